//! `fatalmonitor new --since V`: what is new, renamed, worse or gone.

use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use super::args::{NewArgs, Target};
use super::output::{Rows, hint};
use super::{Outcome, client, output, stored};
use crate::detect::NewQuery;

pub(super) fn run(args: &NewArgs) -> anyhow::Result<Outcome> {
    let answer = match &args.target {
        Target {
            data_dir: Some(dir),
            ..
        } => from_store(dir, args)?,
        Target { url, .. } => from_server(url, args)?,
    };
    let mut entries = Vec::new();
    let mut rows = Rows {
        headings: vec![
            "what",
            "id",
            "version",
            "groups",
            "events",
            "ratio",
            "first seen",
            "last seen",
            "hosts",
            "channel",
            "level",
            "message",
        ],
        rows: Vec::new(),
    };
    for what in ["new", "renamed", "worse", "gone"] {
        for entry in answer
            .get(what)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            rows.rows.push(row(what, entry));
            entries.push(entry.clone());
        }
    }
    output::print(
        args.output.output,
        args.output.no_headers,
        &answer,
        (&entries, &rows),
    )?;
    explain(&answer);
    let n_new = answer
        .get("new")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    if n_new == 0 && answer.get("enough_data") == Some(&Value::Bool(false)) && args.fail_on_new {
        return Ok(Outcome::Inconclusive);
    }
    Ok(if n_new > 0 && args.fail_on_new {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

fn from_store(dir: &Path, args: &NewArgs) -> anyhow::Result<Value> {
    let (world, reader) = stored::open(dir)?;
    let query = NewQuery {
        since: args.since.clone(),
        until: args.until.clone(),
        group: args.group.clone(),
        channel: args.channel.clone(),
        count_min: args.min_hits,
    };
    let after = match world.marker_time(&query.since) {
        Some(at) => Some(reader.after(at).context("cannot read the history")?),
        None => None,
    };
    Ok(serde_json::to_value(
        world.new_since_after(&query, after.as_ref())?,
    )?)
}

fn from_server(url: &str, args: &NewArgs) -> anyhow::Result<Value> {
    let min_hits = args.min_hits.to_string();
    let mut query = vec![
        ("since", args.since.as_str()),
        ("min_hits", min_hits.as_str()),
    ];
    let optional = [
        ("until", &args.until),
        ("group", &args.group),
        ("channel", &args.channel),
    ];
    query.extend(
        optional
            .iter()
            .filter_map(|(name, value)| value.as_deref().map(|it| (*name, it))),
    );
    client::get(url, "/api/v1/new", &query)
}

fn row(what: &str, entry: &Value) -> Vec<String> {
    let text = |name: &str| match entry.get(name) {
        Some(Value::String(it)) => it.clone(),
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(","),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    };
    let number = |name: &str| entry.get(name).and_then(Value::as_f64);
    let ratio = match (number("ratio"), number("ratio_low"), number("ratio_high")) {
        (Some(ratio), Some(low), Some(high)) => format!("{ratio:.1} ({low:.1}-{high:.1})"),
        (Some(ratio), ..) => format!("{ratio:.1}"),
        _ => "-".to_owned(),
    };
    let id: String = text("id").chars().take(8).collect();
    vec![
        what.to_owned(),
        id,
        text("version"),
        text("groups"),
        text("events"),
        ratio,
        text("first_seen"),
        text("last_seen"),
        text("hosts"),
        text("channel"),
        text("level"),
        match entry.get("renamed_from_template") {
            Some(Value::String(from)) => format!("{} (renamed from: {from})", text("template")),
            _ => text("template"),
        },
    ]
}

/// Says on stderr what the answer rests on, so that an empty list is not mistaken for health.
fn explain(answer: &Value) {
    let list = |name: &str| {
        let names: Vec<&str> = answer
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if names.is_empty() {
            "nothing".to_owned()
        } else {
            names.join(", ")
        }
    };
    let count = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
    hint(&format!(
        "compared {} ({} events) with {} ({} events)",
        list("versions"),
        count("events_new"),
        list("baseline"),
        count("events_baseline")
    ));
    if answer.get("enough_data") == Some(&Value::Bool(false)) {
        hint("not enough data yet to say that nothing else is new");
    }
}
