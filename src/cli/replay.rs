//! `fatalmonitor replay`: log files or a scenario through the same pipeline, apart from any live state.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};

use super::args::ReplayArgs;
use super::output::{Format, hint, say};
use super::{Outcome, output, progress, report};
use crate::config::read_rules;
use crate::ingest::decode::Dialect;
use crate::model::RawRecord;
use crate::node::{Player, instant};
use crate::rules::RuleSet;
use crate::scenario::{Scenario, StreamOptions};
use crate::source::file;
use crate::store::{self, Store};

pub(super) fn run(args: &ReplayArgs) -> anyhow::Result<Outcome> {
    let started = instant();
    let dialect: Dialect = args
        .dialect
        .parse()
        .map_err(|error| anyhow::anyhow!("--dialect {}: {error}", args.dialect))?;
    let scenario = scenario(&args.input)?;
    if scenario.is_none() && (args.from.is_some() || args.to.is_some()) {
        bail!("--from and --to are for scenarios; log files are read in full");
    }
    let rules = Arc::new(rules(args, scenario.as_ref())?);
    let store = args.data_dir.as_deref().map(fresh_store).transpose()?;
    let mut player = Player::new(&rules, dialect, 1, store);
    if let Some(path) = &args.markers {
        markers(&mut player, path)?;
    }
    match &scenario {
        Some(scenario) => play_scenario(&mut player, scenario, args)?,
        None => play_files(&mut player, &args.input)?,
    }
    player.finish().context("writing the store")?;
    let judged = scenario
        .as_ref()
        .map(|it| report::judge(it, player.transitions()));
    let seconds = started.elapsed().as_secs_f64();
    if args.report.is_some() {
        let value = report::report(
            player.world(),
            player.transitions(),
            judged.as_ref(),
            seconds,
        );
        say(&serde_json::to_string_pretty(&value)?)?;
    } else if let Some(judged) = &judged {
        output::print::<()>(Format::Table, false, &(), (&[], &report::table(judged)))?;
    } else {
        output::print::<()>(
            Format::Table,
            false,
            &(),
            (&[], &report::alerts(player.transitions())),
        )?;
    }
    let totals = player.world().accounting().total;
    hint(&format!(
        "{} records read, {} counted, {} capped, {} rejected{}; {} signatures; {seconds:.1} s",
        totals.read,
        totals.counted,
        totals.capped,
        totals.rejected_sum(),
        report::reasons(&totals),
        player.world().counts().signatures
    ));
    Ok(Outcome::Done)
}

/// A store of its own: replay never touches one that is in use.
fn fresh_store(dir: &Path) -> anyhow::Result<Store> {
    if dir.read_dir().is_ok_and(|mut it| it.next().is_some()) {
        bail!(
            "--data-dir {} is not empty: a replay keeps its result in a folder of its own",
            dir.display()
        );
    }
    Store::open(dir, store::Limits::default())
        .with_context(|| format!("cannot make a store in {}", dir.display()))
}

fn scenario(input: &[PathBuf]) -> anyhow::Result<Option<Scenario>> {
    let [only] = input else { return Ok(None) };
    if only.as_os_str() == "incident" {
        return Ok(Some(Scenario::incident()));
    }
    if only.extension().is_none_or(|it| it != "toml") {
        return Ok(None);
    }
    let text = std::fs::read_to_string(only)
        .with_context(|| format!("cannot read the scenario {}", only.display()))?;
    Scenario::parse(&text)
        .map(Some)
        .with_context(|| format!("the scenario {} is wrong", only.display()))
}

fn rules(args: &ReplayArgs, scenario: Option<&Scenario>) -> anyhow::Result<RuleSet> {
    match scenario {
        Some(scenario) if args.rules.is_empty() => {
            let texts = scenario.rules();
            RuleSet::parse(&texts).map_err(|problems| {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                anyhow::anyhow!("the scenario's rules are wrong:\n{}", lines.join("\n"))
            })
        }
        _ => Ok(read_rules(&args.rules)?),
    }
}

fn markers(player: &mut Player, path: &Path) -> anyhow::Result<()> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    for (place, line) in text
        .lines()
        .enumerate()
        .filter(|it| !it.1.trim().is_empty())
    {
        let value: serde_json::Value = serde_json::from_str(line)
            .with_context(|| format!("{}:{}: not a JSON object", path.display(), place + 1))?;
        let at = || format!("{}:{}", path.display(), place + 1);
        match value.get("type").and_then(serde_json::Value::as_str) {
            Some("deploy_marker") => player
                .marker(serde_json::from_value(value).with_context(at)?)
                .with_context(at)?,
            Some("exposure") => player
                .exposure(serde_json::from_value(value).with_context(at)?)
                .with_context(at)?,
            other => bail!(
                "{}: \"type\" is {other:?}, expected \"deploy_marker\" or \"exposure\"",
                at()
            ),
        }
    }
    Ok(())
}

fn play_scenario(
    player: &mut Player,
    scenario: &Scenario,
    args: &ReplayArgs,
) -> anyhow::Result<()> {
    let options = StreamOptions {
        seed: args.seed,
        rate_factor: Some(args.rate),
        from: args.from,
        to: args.to,
        ..StreamOptions::default()
    };
    let from = args.from.unwrap_or_else(|| scenario.from());
    let to = args.to.unwrap_or_else(|| scenario.to());
    let total = u64::try_from(to.millis_since(from)).unwrap_or_default();
    let bar = progress::bar(total, "{msg} {bar:40} {percent}% {elapsed}");
    bar.set_message(scenario.name().to_owned());
    let mut stream = scenario.stream(&options);
    let mut payload = Vec::new();
    let mut records = 0_u64;
    while let Some(item) = stream.next_into(&mut payload) {
        player.record(0, &payload, item.at)?;
        records += 1;
        if records.is_multiple_of(65_536) {
            bar.set_position(u64::try_from(item.at.millis_since(from)).unwrap_or_default());
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn play_files(player: &mut Player, input: &[PathBuf]) -> anyhow::Result<()> {
    let bar = progress::counter("{spinner} {human_pos} records, {per_sec}");
    for path in file::files_of(input) {
        let mut failed = None;
        file::for_each_line(&path, |record: &RawRecord<'_>| {
            bar.inc(1);
            if failed.is_none()
                && let Some(payload) = record.payload
            {
                failed = player.record(0, payload, record.arrived).err();
            }
        })
        .with_context(|| format!("cannot read {}", path.display()))?;
        if let Some(error) = failed {
            return Err(error).context("writing the store");
        }
    }
    bar.finish_and_clear();
    Ok(())
}
