//! `fatalmonitor init`: looks at a sample and writes a configuration with comments.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::{Context, bail};

use super::Outcome;
use super::args::InitArgs;
use super::output::{escape, hint, say};
use crate::ingest::decode::{Decoder, Dialect};
use crate::model::{Decoded, Level, LogEvent, RawRecord};
use crate::node;
use crate::rules::RuleSet;
use crate::source::file;

/// Dialects that are tried, with their names in the configuration.
const DIALECTS: [(&str, Dialect); 5] = [
    ("mediawiki", Dialect::Mediawiki),
    ("ecs", Dialect::Ecs),
    ("otlp-json", Dialect::OtlpJson),
    ("gelf", Dialect::Gelf),
    ("plain", Dialect::Plain),
];

/// How many records of the sample yield each field under one dialect.
#[derive(Clone, Debug, Default)]
struct Found {
    events: usize,
    fields: [usize; 8],
    channels: std::collections::BTreeMap<String, usize>,
    versions: std::collections::BTreeMap<String, usize>,
}

const FIELDS: [&str; 8] = [
    "time",
    "channel",
    "level",
    "version",
    "group",
    "host",
    "template",
    "exception",
];

pub(super) fn run(args: &InitArgs) -> anyhow::Result<Outcome> {
    let (records, about, source) = match &args.file {
        Some(path) => {
            let mut records = Vec::new();
            file::for_each_line(path, |record| {
                if records.len() < args.samples {
                    records.extend(record.payload.map(<[u8]>::to_vec));
                }
            })
            .with_context(|| format!("cannot read {}", path.display()))?;
            let source = format!(
                "kind = \"file\"\npaths = [{:?}]\nfollow = true   # go on with what is appended",
                path.display().to_string()
            );
            (records, format!("{}", path.display()), source)
        }
        None => from_kafka(args)?,
    };
    if records.is_empty() {
        bail!("{about} holds no record to learn from: produce some, or give another topic");
    }
    let (name, found) = best(&records);
    say(&configuration(
        name,
        &found,
        records.len(),
        (&about, &source),
    ))?;
    hint(&format!(
        "looked at {} records of {about}: dialect {name}, {} of them decoded",
        records.len(),
        found.events
    ));
    hint(
        "save this as fatalmonitor.toml, then: fatalmonitor check config fatalmonitor.toml && fatalmonitor serve --config fatalmonitor.toml",
    );
    Ok(Outcome::Done)
}

#[cfg(feature = "kafka")]
fn from_kafka(args: &InitArgs) -> anyhow::Result<(Vec<Vec<u8>>, String, String)> {
    let brokers = args.brokers.clone().unwrap_or_default();
    let mut properties = Vec::new();
    for property in &args.property {
        let Some((name, value)) = property.split_once('=') else {
            bail!("--property {property}: expected NAME=VALUE, such as security.protocol=SASL_SSL");
        };
        properties.push((
            name.to_owned(),
            crate::config::Secret::new(value.to_owned()),
        ));
    }
    let resolved = properties
        .iter()
        .map(|(name, value)| value.resolve().map(|it| (name.clone(), it)))
        .collect::<Result<Vec<_>, String>>()
        .map_err(|problem| anyhow::anyhow!(problem))?;
    let sampled = crate::source::sample::sample(&brokers, &args.topic, &resolved, args.samples)?;
    let topics = args
        .topic
        .iter()
        .map(|it| format!("{it:?}"))
        .collect::<Vec<_>>()
        .join(", ");
    let mut source = format!(
        "kind = \"kafka\"\nbrokers = {brokers:?}\ntopics = [{topics}]   # a name that begins with ^ is a regular expression\nstart = \"latest\"   # where to begin the first time: earliest, latest, or a time; later starts go on where they were"
    );
    if !properties.is_empty() {
        source.push_str("\n\n[source.properties]   # any property of librdkafka; secrets as \"file:PATH\" or \"env:NAME\"");
        for (name, value) in &properties {
            let shown = serde_json::to_string(value)?;
            write!(source, "\n{name:?} = {shown}")?;
        }
    }
    Ok((sampled.records, sampled.topics.join(", "), source))
}

#[cfg(not(feature = "kafka"))]
fn from_kafka(_args: &InitArgs) -> anyhow::Result<(Vec<Vec<u8>>, String, String)> {
    bail!("this program was built without Kafka: use --file, or build it with the feature `kafka`")
}

/// Tries every dialect and keeps the one under which the sample tells most.
fn best(records: &[Vec<u8>]) -> (&'static str, Found) {
    let rules = Arc::new(RuleSet::built_in());
    let mut best = ("plain", Found::default(), 0);
    for (name, dialect) in DIALECTS {
        let mut decoder = Decoder::new(Arc::clone(&rules), dialect);
        let mut found = Found::default();
        for (offset, payload) in (0_u64..).zip(records) {
            let record = RawRecord {
                offset,
                next_offset: offset + 1,
                payload: Some(payload),
                arrived: node::now(),
            };
            decoder.decode(&record, &mut |it| {
                if let Ok(Decoded::Event(event)) = it {
                    found.note(&event);
                }
            });
        }
        // A dialect that names channel, level and version tells more than one that only reads the line.
        let score = found.events + found.fields.iter().sum::<usize>();
        if score > best.2 {
            best = (name, found, score);
        }
    }
    (best.0, best.1)
}

impl Found {
    fn note(&mut self, event: &LogEvent<'_>) {
        self.events += 1;
        let has = [
            event.time.is_some(),
            !event.channel.is_empty(),
            event.level != Level::Unknown,
            !event.version.is_empty(),
            !event.group.is_empty(),
            !event.host.is_empty(),
            !event.normalized.is_empty(),
            event.exception.is_some(),
        ];
        for (sum, has) in self.fields.iter_mut().zip(has) {
            *sum += usize::from(has);
        }
        *self.channels.entry(event.channel.to_string()).or_default() += 1;
        *self.versions.entry(event.version.to_string()).or_default() += 1;
    }
}

fn configuration(dialect: &str, found: &Found, n: usize, (about, source): (&str, &str)) -> String {
    let mut fields = String::new();
    for (name, &count) in FIELDS.iter().zip(&found.fields) {
        let share = count * 100 / found.events.max(1);
        let note = if share == 0 {
            "   <- nothing: name its path under [fields] in a rules file if your records have it"
        } else {
            ""
        };
        writeln!(
            fields,
            "#   {name:<10} in {share:>3} % of the records{note}"
        )
        .ok();
    }
    let top = |values: &std::collections::BTreeMap<String, usize>| {
        let mut values: Vec<(&String, &usize)> =
            values.iter().filter(|it| !it.0.is_empty()).collect();
        values.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let names: Vec<String> = values.iter().take(8).map(|it| escape(it.0)).collect();
        if names.is_empty() {
            "none seen".to_owned()
        } else {
            names.join(", ")
        }
    };
    format!(
        "# fatalmonitor.toml, made by `fatalmonitor init` from {n} records of {about}.
# {decoded} of them decode as `{dialect}`. What they name:
{fields}#   channels: {channels}
#   versions: {versions}

# Dashboard, API and metrics.
listen = \"127.0.0.1:9477\"
# Counts, signatures, baselines and alerts are kept here, together with the positions in Kafka.
data_dir = \"fatalmonitor-data\"
# Rules: field names, groups, caps, budgets. Without any, the built-in ones for MediaWiki are used.
# rules = [\"rules\"]

[[source]]
name = \"logs\"
dialect = \"{dialect}\"   # or auto, mediawiki, ecs, otlp-json, gelf, plain
{source}

# Every Alertmanager gets every alert; they agree among themselves.
# [[alertmanager]]
# url = \"http://127.0.0.1:9093\"",
        decoded = found.events,
        channels = top(&found.channels),
        versions = top(&found.versions),
    )
}
