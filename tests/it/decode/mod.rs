//! Decoding: golden cases, public corpora, random bytes, allocations.

mod allocations;
mod corpora;
mod golden;
mod random;
mod times;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use fatalmonitor::ingest::decode::{Decoder, Dialect};
use fatalmonitor::model::{Decoded, EventTime, Flag, Level, LogEvent, RawRecord, Rejection};
use fatalmonitor::rules::RuleSet;

/// When the records of these tests arrive unless they say otherwise.
pub(crate) const ARRIVED: &str = "2016-01-20T01:20:05Z";

pub(crate) fn folder(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "corpora", name]
        .iter()
        .collect()
}

pub(crate) fn decoder(dialect: Dialect) -> Decoder {
    Decoder::new(Arc::new(RuleSet::built_in()), dialect)
}

pub(crate) fn record(bytes: &[u8]) -> RawRecord<'_> {
    RawRecord {
        offset: 7,
        next_offset: 8,
        payload: Some(bytes),
        arrived: EventTime::parse_rfc3339(ARRIVED).unwrap(),
    }
}

/// Decodes one record and returns all that comes out of it, as text.
pub(crate) fn shown(decoder: &mut Decoder, rules: &RuleSet, record: &RawRecord<'_>) -> Vec<String> {
    let mut found = Vec::new();
    decoder.decode(record, &mut |result| {
        found.push(match result {
            Ok(Decoded::Event(event)) => show_event(&event, rules),
            Ok(Decoded::Marker(marker)) => {
                format!("marker {}\n", serde_json::to_string(&marker).unwrap())
            }
            Ok(Decoded::Exposure(exposure)) => {
                format!("exposure {}\n", serde_json::to_string(&exposure).unwrap())
            }
            Err(reason) => format!("rejected {}\n", reason.name()),
        });
    });
    found
}

/// What a record comes to, for tests that ask no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Counted { message: String, flags: Vec<Flag> },
    Control,
    Rejected(Rejection),
}

pub(crate) fn outcomes(decoder: &mut Decoder, bytes: &[u8]) -> Vec<Outcome> {
    let mut found = Vec::new();
    decoder.decode(&record(bytes), &mut |result| {
        found.push(match result {
            Ok(Decoded::Event(event)) => Outcome::Counted {
                message: event.message.to_string(),
                flags: flags_of(&event),
            },
            Ok(_) => Outcome::Control,
            Err(reason) => Outcome::Rejected(reason),
        });
    });
    found
}

fn flags_of(event: &LogEvent<'_>) -> Vec<Flag> {
    Flag::ALL
        .into_iter()
        .filter(|it| event.flags.contains(*it))
        .collect()
}

/// Writes the fields that are not empty, one a line; `\n` in a value stands for a line break.
fn show_event(event: &LogEvent<'_>, rules: &RuleSet) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let value = value
                .replace('\\', "\\\\")
                .replace('\n', "\\n")
                .replace('\t', "\\t");
            writeln!(out, "{name} {value}").unwrap();
        }
    };
    line(
        "time",
        &event.time.map(|it| it.to_string()).unwrap_or_default(),
    );
    line("channel", &event.channel);
    if event.level != Level::Unknown {
        line("level", event.level.name());
    }
    line("version", &event.version);
    line("group", &event.group);
    line("service", &event.service);
    line("host", &event.host);
    line("message", &event.message);
    line("normalized", &event.normalized);
    if let Some(exception) = &event.exception {
        line("class", &exception.class);
        line("exception", &exception.message);
        line("file", &exception.file);
        line("trace", &exception.trace);
    }
    line("request", &event.request_id);
    line("url", &event.url);
    let names: Vec<&str> = rules.fields.captured_names().collect();
    for (place, value) in &event.context {
        line(
            &format!("+{}", names.get(usize::from(*place)).unwrap()),
            value,
        );
    }
    if event.repeat != 1 {
        line("repeat", &event.repeat.to_string());
    }
    let flags: Vec<&str> = flags_of(event).into_iter().map(Flag::name).collect();
    line("flags", &flags.join(" "));
    out
}
