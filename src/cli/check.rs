//! `fatalmonitor check`: what is wrong with a configuration or rules, before it matters.

use anyhow::Context;

use super::Outcome;
use super::args::{CheckArgs, CheckWhat};
use super::output::{hint, say};
use super::serve::overridden;
use crate::config::{Config, ConfigError, read_rules};

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
