//! `fatalmonitor doctor`: which channels say one thing in many texts, what varies, and what to do about it.

use serde_json::Value;

use super::args::{DoctorArgs, Target};
use super::output::{Rows, hint};
use super::{Outcome, client, output, stored};

pub(super) fn run(args: &DoctorArgs) -> anyhow::Result<Outcome> {
    let answer = match &args.target {
        Target {
            data_dir: Some(dir),
            ..
        } => serde_json::to_value(stored::world(dir)?.doctor(args.channel.as_deref()))?,
        Target { url, .. } => {
            let query: Vec<(&str, &str)> = args
                .channel
                .iter()
                .map(|it| ("channel", it.as_str()))
                .collect();
            client::get(url, "/api/v1/doctor", &query)?
        }
    };
    let mut rows = Rows {
        headings: vec![
            "channel",
            "events",
            "texts (estimate)",
            "fingerprints",
            "signatures",
            "position",
            "kind",
            "values",
            "use",
            "message",
        ],
        rows: Vec::new(),
    };
    let channels = array(&answer, "channels");
    for channel in channels {
        let varying = array(channel, "varying");
        if varying.is_empty() {
            rows.rows.push(row(channel, None));
        }
        for (place, it) in varying.iter().enumerate() {
            let mut cells = row(channel, Some(it));
            if place > 0 {
                // Said once for each channel.
                cells.iter_mut().take(5).for_each(String::clear);
            }
            rows.rows.push(cells);
        }
    }
    output::print(
        args.output.output,
        args.output.no_headers,
        &answer,
        (channels, &rows),
    )?;
    hint("texts are estimated from the examples that are kept; all other figures are counted");
    Ok(Outcome::Done)
}

fn array<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let list = value.get(name).and_then(Value::as_array);
    list.map(Vec::as_slice).unwrap_or_default()
}

fn row(channel: &Value, varying: Option<&Value>) -> Vec<String> {
    let text = |value: Option<&Value>| match value {
        Some(Value::String(it)) => it.clone(),
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(", "),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    };
    let of_channel = |name: &str| text(channel.get(name));
    let of_position = |name: &str| text(varying.and_then(|it| it.get(name)));
    vec![
        of_channel("channel"),
        of_channel("events"),
        of_channel("distinct_texts_estimated"),
        of_channel("fingerprints"),
        of_channel("signatures"),
        of_position("position"),
        of_position("kind"),
        of_position("values"),
        of_position("placeholder"),
        of_position("template"),
    ]
}
