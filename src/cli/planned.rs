//! `fatalmonitor planned`: effects that are declared beforehand, with a bound.

use serde_json::{Value, json};

use super::output::{Rows, hint};
use super::rollout_args::{PlannedAction, PlannedArgs};
use super::{Outcome, client, output, stored};

pub(super) fn run(args: &PlannedArgs) -> anyhow::Result<Outcome> {
    match &args.action {
        None | Some(PlannedAction::List) => list(args),
        Some(PlannedAction::Remove { marker }) => {
            client::delete(
                &args.target.url,
                &format!("/api/v1/planned/{}", client::encoded(marker)),
            )?;
            hint(&format!("{marker} covers nothing any more"));
            Ok(Outcome::Done)
        }
        Some(PlannedAction::Add(it)) => {
            let at = it.at.unwrap_or_else(crate::node::now);
            let id = it
                .id
                .clone()
                .unwrap_or_else(|| format!("planned-{}", at.seconds()));
            let body = json!({
                "type": "deploy_marker", "id": id, "at": at, "kind": "maintenance",
                "version": it.version, "group": it.group, "ref": it.reference,
                "expected": {"channel": it.channel, "template": it.template, "rate_max_per_min": it.max_per_min},
            });
            client::post(&args.target.url, "/api/v1/deploys", &body)?;
            hint(&format!(
                "planned as {id}: silent up to {}/min, told past it",
                it.max_per_min
            ));
            Ok(Outcome::Done)
        }
    }
}

fn list(args: &PlannedArgs) -> anyhow::Result<Outcome> {
    let answer = match &args.target.data_dir {
        Some(dir) => {
            json!({"schema": "fatalmonitor/planned/v1", "planned": stored::world(dir)?.planned_effects()})
        }
        None => client::get(&args.target.url, "/api/v1/planned", &[])?,
    };
    let empty = Vec::new();
    let planned = answer
        .get("planned")
        .and_then(Value::as_array)
        .unwrap_or(&empty);
    let headings = vec![
        "marker", "at", "state", "group", "channel", "template", "per min", "max", "ref",
    ];
    let names = [
        "marker",
        "at",
        "state",
        "group",
        "channel",
        "template",
        "rate_per_min",
        "rate_max_per_min",
        "ref",
    ];
    let rows = Rows {
        headings,
        rows: planned
            .iter()
            .map(|it| names.map(|name| output::cell(it, name)).to_vec())
            .collect(),
    };
    output::print(
        args.output.output,
        args.output.no_headers,
        &answer,
        (planned, &rows),
    )?;
    Ok(Outcome::Done)
}
