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
        let world = stored::world(dir)?;
        json!({"schema": "fatalmonitor/deploys/v1", "deploys": world.markers(), "releases": world.releases()})
    } else {
        let markers = client::get(&args.target.url, "/api/v1/deploys", &[])?;
        let releases = client::get(&args.target.url, "/api/v1/releases", &[])?;
        json!({
            "schema": "fatalmonitor/deploys/v1",
            "deploys": markers.get("deploys").or_else(|| markers.get("markers")).cloned().unwrap_or(markers.clone()),
            "releases": releases.get("releases").cloned().unwrap_or(releases.clone()),
        })
    };
    let empty = Vec::new();
    let markers = answer
        .get("deploys")
        .and_then(Value::as_array)
        .unwrap_or(&empty);
    let rows = Rows {
        headings: vec!["at", "kind", "version", "group", "host", "ref", "id"],
        rows: markers
            .iter()
            .map(|it| {
                ["at", "kind", "version", "group", "host", "ref", "id"]
                    .map(|name| {
                        it.get(name)
                            .and_then(Value::as_str)
                            .unwrap_or("-")
                            .to_owned()
                    })
                    .to_vec()
            })
            .collect(),
    };
    output::print(
        args.output.output,
        args.output.no_headers,
        &answer,
        (markers, &rows),
    )?;
    Ok(Outcome::Done)
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
