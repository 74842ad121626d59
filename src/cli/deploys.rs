//! `fatalmonitor deploys`: what is deployed where, and announcing it.

use serde_json::{Value, json};

use super::args::{DeploysAction, DeploysArgs, Kind};
use super::output::{Rows, hint};
use super::{Outcome, client, output, stored};
use crate::model::MarkerKind;

pub(super) fn run(args: &DeploysArgs) -> anyhow::Result<Outcome> {
    match &args.action {
        Some(action) => add(&args.target.url, action),
        None => list(args),
    }
}

fn list(args: &DeploysArgs) -> anyhow::Result<Outcome> {
    let answer = if let Some(dir) = &args.target.data_dir {
        let (world, reader) = stored::open(dir)?;
        json!({
            "schema": "fatalmonitor/deploys/v1", "deploys": world.markers(), "releases": world.releases(),
            "rollouts": world.rollouts(&reader)?,
        })
    } else {
        let markers = client::get(&args.target.url, "/api/v1/deploys", &[])?;
        let releases = client::get(&args.target.url, "/api/v1/releases", &[])?;
        let rollouts = client::get(&args.target.url, "/api/v1/rollouts", &[])?;
        json!({
            "schema": "fatalmonitor/deploys/v1",
            "deploys": markers.get("deploys").or_else(|| markers.get("markers")).cloned().unwrap_or(markers.clone()),
            "releases": releases.get("releases").cloned().unwrap_or(releases.clone()),
            "rollouts": rollouts,
        })
    };
    let empty = Vec::new();
    let markers = answer
        .get("deploys")
        .and_then(Value::as_array)
        .unwrap_or(&empty);
    let names = ["at", "kind", "version", "group", "host", "ref", "id"];
    let rows = Rows {
        headings: names.into_iter().chain(["observed"]).collect(),
        rows: markers
            .iter()
            .map(|it| {
                let mut row = names.map(|name| output::cell(it, name)).to_vec();
                row.push(observed(&answer, &output::cell(it, "id")));
                row
            })
            .collect(),
    };
    output::print(
        args.output.output,
        args.output.no_headers,
        &answer,
        (markers, &rows),
    )?;
    tell_live(&answer);
    Ok(Outcome::Done)
}

/// Says when each group of an announcement was seen to follow it.
fn observed(answer: &Value, marker: &str) -> String {
    let groups: Vec<String> = list_of(answer, "/rollouts/announced")
        .iter()
        .filter(|it| output::cell(it, "marker") == marker)
        .map(|it| {
            let (group, at) = (output::cell(it, "group"), output::cell(it, "observed_at"));
            match output::cell(it, "followed").as_str() {
                "observed" => format!("{group} {at}"),
                "waiting" => format!("{group} waiting"),
                _ if at == "-" => format!("{group} NEVER"),
                _ => format!("{group} LATE {at}"),
            }
        })
        .collect();
    if groups.is_empty() {
        "-".to_owned()
    } else {
        groups.join(", ")
    }
}

/// Says on stderr what really runs now, and what is unusual about it.
fn tell_live(answer: &Value) {
    for it in list_of(answer, "/rollouts/live") {
        let groups: Vec<String> = list_of(&it, "/groups")
            .iter()
            .map(|it| {
                let share = it.get("share").and_then(Value::as_f64).unwrap_or_default();
                format!("{} {:.0} %", output::cell(it, "group"), share * 100.0)
            })
            .collect();
        hint(&format!(
            "runs now: {} on {} hosts ({})",
            output::cell(&it, "version"),
            output::cell(&it, "hosts"),
            groups.join(", ")
        ));
    }
    for it in list_of(answer, "/rollouts/warnings") {
        hint(&format!(
            "look: {}",
            output::escape(it.as_str().unwrap_or_default())
        ));
    }
}

fn list_of(value: &Value, pointer: &str) -> Vec<Value> {
    let found = value.pointer(pointer).and_then(Value::as_array);
    found.cloned().unwrap_or_default()
}

fn add(url: &str, action: &DeploysAction) -> anyhow::Result<Outcome> {
    let DeploysAction::Add {
        version,
        group,
        at,
        kind,
        id,
        reference,
    } = action;
    let at = at.unwrap_or_else(crate::node::now);
    let kind = match kind {
        Kind::Deploy => MarkerKind::Deploy,
        Kind::Revert => MarkerKind::Revert,
        Kind::Hotfix => MarkerKind::Hotfix,
        Kind::Config => MarkerKind::Config,
        Kind::Maintenance => MarkerKind::Maintenance,
        Kind::HostFix => MarkerKind::HostFix,
    };
    let id = id.clone().unwrap_or_else(|| {
        format!(
            "{}-{version}-{}-{}",
            kind.name(),
            group.as_deref().unwrap_or("all"),
            at.seconds()
        )
    });
    let body = json!({
        "type": "deploy_marker", "id": id, "at": at, "kind": kind.name(),
        "version": version, "group": group, "ref": reference,
    });
    client::post(url, "/api/v1/deploys", &body)?;
    hint(&format!("announced {id}"));
    Ok(Outcome::Done)
}
