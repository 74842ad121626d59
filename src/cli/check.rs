//! `fatalmonitor check`: what is wrong with a configuration or rules, before it matters.

use std::sync::Arc;

use anyhow::Context;

use super::Outcome;
use super::args::{CheckArgs, CheckWhat, TestArgs, TestWhat};
use super::output::{hint, say};
use super::serve::overridden;
use crate::config::{Config, ConfigError, read_rules};
use crate::ingest::rule_tests;

pub(super) fn run(args: &CheckArgs) -> anyhow::Result<Outcome> {
    match &args.what {
        CheckWhat::Config {
            file,
            show_effective,
            overrides,
        } => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read configuration file {}", file.display()))?;
            let name = file.display().to_string();
            let from_file = match Config::parse(&name, &text) {
                Ok(it) => it,
                Err(error) => return findings(error),
            };
            let config = overridden(from_file.clone(), overrides);
            if let Err(error) = config
                .check(&name)
                .and_then(|()| config.read_rules().map(drop))
            {
                return findings(error);
            }
            if *show_effective {
                for line in config.effective(&from_file, &text) {
                    say(&format!(
                        "{} = {}    # {}",
                        line.key, line.value, line.origin
                    ))?;
                }
            } else {
                hint(&format!(
                    "{name}: good ({} sources, {} alertmanagers)",
                    config.source.len(),
                    config.alertmanager.len()
                ));
            }
            Ok(Outcome::Done)
        }
        CheckWhat::Rules { paths } => match read_rules(paths) {
            Ok(rules) => {
                hint(&format!("rules are good (hash {})", rules.hash));
                Ok(Outcome::Done)
            }
            Err(error) => findings(error),
        },
    }
}

/// `fatalmonitor test rules`: what the rules' own examples say.
pub(super) fn test(args: &TestArgs) -> anyhow::Result<Outcome> {
    let TestWhat::Rules { paths } = &args.what;
    let rules = match read_rules(paths) {
        Ok(it) => Arc::new(it),
        Err(error) => return findings(error),
    };
    let verdicts = rule_tests::run(&rules);
    for verdict in verdicts.iter().filter(|it| !it.failures.is_empty()) {
        say(&format!("{}: {}: FAILED", verdict.place, verdict.name))?;
        for failure in &verdict.failures {
            say(&format!("    {failure}"))?;
        }
    }
    let failed = verdicts.iter().filter(|it| !it.failures.is_empty()).count();
    hint(&format!(
        "{} passed, {failed} failed",
        verdicts.len() - failed
    ));
    if verdicts.is_empty() {
        hint(
            "these rules hold no [[test]]: add one with `name`, `input` and what is expected, such as `template`",
        );
    }
    Ok(if failed == 0 {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

/// Problems found are findings (1); a file that cannot be read is trouble (2).
fn findings(error: ConfigError) -> anyhow::Result<Outcome> {
    match error {
        ConfigError::Invalid(problems) => {
            for problem in &problems {
                say(problem)?;
            }
            hint(&format!("{} problems", problems.len()));
            Ok(Outcome::Findings)
        }
        error @ ConfigError::Read { .. } => Err(error.into()),
    }
}
