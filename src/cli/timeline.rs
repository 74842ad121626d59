//! `fatalmonitor timeline`: the incident report's timeline, as Markdown, wikitext or JSON.

use serde_json::Value;

use super::output::{hint, say};
use super::rollout_args::{TimelineArgs, TimelineForm};
use super::{Outcome, client, output, stored};
use crate::detect::timeline::{Timeline, TimelineQuery};
use crate::model::Severity;

pub(super) fn run(args: &TimelineArgs) -> anyhow::Result<Outcome> {
    let timeline = match &args.target.data_dir {
        Some(dir) => {
            let (world, reader) = stored::open(dir)?;
            let to = args.to.or_else(|| world.clock()).unwrap_or_default();
            let query = TimelineQuery {
                from: args.from.unwrap_or_else(|| to.plus_seconds(-86_400)),
                to,
                severity_min: if args.all {
                    Severity::Info
                } else {
                    Severity::Warning
                },
            };
            world.timeline(query, &reader)?
        }
        None => from_server(args)?,
    };
    match args.output {
        TimelineForm::Json => say(&serde_json::to_string_pretty(&timeline)?)?,
        TimelineForm::Md => print(&timeline.markdown())?,
        TimelineForm::Wikitext => print(&timeline.wikitext())?,
    }
    if timeline.left_out > 0 {
        hint(&format!(
            "{} entries are left out: ask for less time at once",
            timeline.left_out
        ));
    }
    Ok(Outcome::Done)
}

/// Prints line by line, with control characters made visible.
fn print(text: &str) -> anyhow::Result<()> {
    let lines: Vec<String> = text.lines().map(output::escape).collect();
    say(&lines.join("\n"))
}

fn from_server(args: &TimelineArgs) -> anyhow::Result<Timeline> {
    let (from, to) = (
        args.from.map(|it| it.to_string()),
        args.to.map(|it| it.to_string()),
    );
    let mut query = vec![("severity", if args.all { "info" } else { "warning" })];
    for (name, value) in [("from", &from), ("to", &to)] {
        query.extend(value.as_deref().map(|it| (name, it)));
    }
    let answer: Value = client::get(&args.target.url, "/api/v1/timeline", &query)?;
    Ok(serde_json::from_value(answer)?)
}
