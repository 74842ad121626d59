//! `fatalmonitor fix MARKER`: did the fix work? 0 gone, 1 still there, 3 not proven yet.

use serde_json::Value;

use super::output::{Format, Rows, say};
use super::rollout_args::FixArgs;
use super::{Outcome, client, output, stored};

pub(super) fn run(args: &FixArgs) -> anyhow::Result<Outcome> {
    let answer = ask(args)?;
    let (targets, new) = (list_of(&answer, "targets"), list_of(&answer, "new"));
    if matches!(args.output.output, Format::Table | Format::Wide) {
        say(&output::escape(&output::cell(&answer, "summary")))?;
    }
    let rows = rows(&targets, &new);
    let entries: Vec<Value> = targets.iter().chain(&new).cloned().collect();
    let no_headers = args.output.no_headers;
    output::print(args.output.output, no_headers, &answer, (&entries, &rows))?;
    let any = |state: &str| targets.iter().any(|it| output::cell(it, "state") == state);
    Ok(if any("still") {
        Outcome::Findings
    } else if any("unproven") || targets.is_empty() {
        Outcome::Inconclusive
    } else {
        Outcome::Done
    })
}

fn ask(args: &FixArgs) -> anyhow::Result<Value> {
    if let Some(dir) = &args.target.data_dir {
        let (world, reader) = stored::open(dir)?;
        return Ok(serde_json::to_value(world.fix(&args.marker, &reader)?)?);
    }
    let path = format!("/api/v1/deploys/{}/fix", client::encoded(&args.marker));
    client::get(&args.target.url, &path, &[])
}

fn rows(targets: &[Value], new: &[Value]) -> Rows {
    let names = [
        "state",
        "named",
        "before_per_min",
        "events_since",
        "expected_since",
        "last_after_seconds",
        "text",
    ];
    let target = |it: &Value| names.map(|name| output::cell(it, name)).to_vec();
    let fresh = |it: &Value| {
        let mut row = vec!["-".to_owned(); names.len() - 1];
        "new".clone_into(row.first_mut()?);
        let (first, template) = (output::cell(it, "first_seen"), output::cell(it, "template"));
        row.push(format!("since {first}: {template}"));
        Some(row)
    };
    Rows {
        headings: vec![
            "state",
            "named",
            "before/min",
            "since",
            "expected",
            "last after s",
            "what",
        ],
        rows: targets
            .iter()
            .map(target)
            .chain(new.iter().filter_map(fresh))
            .collect(),
    }
}

fn list_of(answer: &Value, name: &str) -> Vec<Value> {
    let found = answer.get(name).and_then(Value::as_array);
    found.cloned().unwrap_or_default()
}
