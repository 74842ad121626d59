//! `fatalmonitor gate`: may a version go on? PASS 0, FAIL 1, INCONCLUSIVE 3.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::output::{Format, Rows, hint, say};
use super::rollout_args::GateArgs;
use super::{Outcome, client, output, progress, stored};
use crate::detect::gate::GateQuery;

/// Time between two questions while waiting.
const POLL: Duration = Duration::from_secs(5);

/// Name and version of the answer's form.
const SCHEMA: &str = "fatalmonitor/gate/v1";

pub(super) fn run(args: &GateArgs) -> anyhow::Result<Outcome> {
    let answer = if let Some(dir) = &args.target.data_dir {
        wait(args, || from_store(dir, args))?
    } else {
        if args.wait.is_some() {
            // Asking does not decide; only the last answer is kept.
            wait(args, || preview(args))?;
        }
        decide(args)?
    };
    show(args, &answer)?;
    Ok(match answer.get("verdict").and_then(Value::as_str) {
        Some("pass") => Outcome::Done,
        Some("fail") => Outcome::Findings,
        _ => Outcome::Inconclusive,
    })
}

/// Asks until the gate is decided or the time is over.
fn wait(args: &GateArgs, mut ask: impl FnMut() -> anyhow::Result<Value>) -> anyhow::Result<Value> {
    let started = crate::node::instant();
    let patience = args.wait.unwrap_or_default();
    let bar = progress::counter("{spinner} {elapsed} {wide_msg}");
    loop {
        let answer = ask()?;
        let left = patience.saturating_sub(started.elapsed());
        if answer.get("verdict").and_then(Value::as_str) != Some("inconclusive") || left.is_zero() {
            bar.finish_and_clear();
            return Ok(answer);
        }
        bar.set_message(output::escape(text(&answer, "summary")));
        bar.tick();
        std::thread::sleep(POLL.min(left));
    }
}

fn from_store(dir: &Path, args: &GateArgs) -> anyhow::Result<Value> {
    let (world, reader) = stored::open(dir)?;
    let query = GateQuery {
        version: args.version.clone(),
        group: args.group.clone(),
        at: args.at,
        records_min: args.min_exposure,
    };
    let decision = world.gate(&query, &reader)?;
    let mut answer = json!({"schema": SCHEMA, "permalink": null});
    if let (Some(answer), Value::Object(fields)) =
        (answer.as_object_mut(), serde_json::to_value(decision)?)
    {
        answer.extend(fields);
    }
    Ok(answer)
}

fn preview(args: &GateArgs) -> anyhow::Result<Value> {
    let at = args.at.map(|it| it.to_string());
    let min = args.min_exposure.map(|it| it.to_string());
    let mut query = vec![("version", args.version.as_str())];
    for (name, value) in [("group", &args.group), ("at", &at), ("min_exposure", &min)] {
        query.extend(value.as_deref().map(|it| (name, it)));
    }
    client::get(&args.target.url, "/api/v1/gate", &query)
}

fn decide(args: &GateArgs) -> anyhow::Result<Value> {
    let body = json!({
        "version": args.version, "group": args.group, "at": args.at, "min_exposure": args.min_exposure,
    });
    client::post(&args.target.url, "/api/v1/gate", &body)
}

fn show(args: &GateArgs, answer: &Value) -> anyhow::Result<()> {
    let list = |name: &str| {
        let all = answer.get(name).and_then(Value::as_array);
        all.cloned().unwrap_or_default()
    };
    let (reasons, forecast) = (list("reasons"), list("forecast"));
    let mut rows = Rows {
        headings: vec![
            "effect",
            "rule",
            "groups",
            "events",
            "per min",
            "last seen",
            "what",
        ],
        rows: reasons.iter().map(reason_row).collect(),
    };
    rows.rows.extend(forecast.iter().map(forecast_row));
    if matches!(args.output.output, Format::Table | Format::Wide) {
        let word = text(answer, "verdict").to_uppercase();
        say(&format!(
            "{word}  {}",
            output::escape(text(answer, "summary"))
        ))?;
    }
    if !rows.rows.is_empty() || !matches!(args.output.output, Format::Table | Format::Wide) {
        let entries: Vec<Value> = reasons.into_iter().chain(forecast).collect();
        output::print(
            args.output.output,
            args.output.no_headers,
            answer,
            (&entries, &rows),
        )?;
    }
    if let Some(link) = answer.get("permalink").and_then(Value::as_str) {
        hint(&format!(
            "kept as {}{link}",
            args.target.url.trim_end_matches('/')
        ));
    }
    Ok(())
}

fn reason_row(reason: &Value) -> Vec<String> {
    let groups: Vec<&str> = reason
        .get("groups")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let rate = reason.get("rate_per_min").and_then(Value::as_f64);
    vec![
        text(reason, "effect").to_owned(),
        text(reason, "rule").to_owned(),
        if groups.is_empty() {
            "-".to_owned()
        } else {
            groups.join(",")
        },
        reason
            .get("events")
            .and_then(Value::as_u64)
            .map_or_else(String::new, |it| it.to_string()),
        rate.map_or_else(|| "-".to_owned(), |it| format!("{it:.1}")),
        reason
            .get("last_seen")
            .and_then(Value::as_str)
            .unwrap_or("-")
            .to_owned(),
        text(reason, "text").to_owned(),
    ]
}

fn forecast_row(forecast: &Value) -> Vec<String> {
    let number = |name: &str| {
        forecast
            .get(name)
            .and_then(Value::as_f64)
            .unwrap_or_default()
    };
    vec![
        "forecast".to_owned(),
        "next_group".to_owned(),
        text(forecast, "to_group").to_owned(),
        String::new(),
        format!("{:.0}-{:.0}", number("low_per_min"), number("high_per_min")),
        "-".to_owned(),
        text(forecast, "text").to_owned(),
    ]
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
