//! From the bytes of a record to events: tolerant of what it does not need, strict about what JSON is.
//!
//! It must never panic, never recurse into data, never build a tree of values, and never drop a record
//! without a reason from [`Rejection`]. Invariant: for every record the sink is called at least once; a record whose
//! text has no escapes costs no allocation once the buffers are warm.

mod event;
mod exception;
mod finish;
mod json;
mod level;
mod line;
mod otlp;
mod paths;
mod php;
mod plain;
mod sniff;
mod time;
mod walk;

use std::str::FromStr;
use std::sync::Arc;

use memchr::memmem::Finder;
use regex::CaptureLocations;

use self::event::{Buffers, Context, Texts};
use self::finish::{Finisher, GroupMemory};
use self::json::{JsonError, Kind};
use self::line::{Syslog, Udp2log};
use self::otlp::Payload;
use self::paths::{Field, PathTree};
use self::plain::Patterns;
use self::time::Clock;
use self::walk::{Base, View, Walk};
use crate::model::{Decoded, EventTime, Flag, LogEvent, RawRecord, Rejection};
use crate::rules::RuleSet;

/// How the records of a source are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// Found for each record from its first bytes and its fields.
    #[default]
    Auto,
    /// Logstash JSON, `@cee:` JSON, udp2log lines and PHP error lines, as `MediaWiki` at Wikimedia writes them.
    Mediawiki,
    /// Elastic Common Schema, nested or with dots in its keys.
    Ecs,
    /// OpenTelemetry logs as JSON.
    OtlpJson,
    /// Graylog's JSON.
    Gelf,
    /// Lines.
    Plain,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 6] = [
        Self::Auto,
        Self::Mediawiki,
        Self::Ecs,
        Self::OtlpJson,
        Self::Gelf,
        Self::Plain,
    ];

    /// Returns the name used in configuration and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Mediawiki => "mediawiki",
            Self::Ecs => "ecs",
            Self::OtlpJson => "otlp-json",
            Self::Gelf => "gelf",
            Self::Plain => "plain",
        }
    }
}

impl std::fmt::Display for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is of no dialect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown dialect `{0}`: use auto, mediawiki, ecs, otlp-json, gelf or plain")]
pub struct ParseDialectError(String);

impl FromStr for Dialect {
    type Err = ParseDialectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|it| it.name() == text);
        found.ok_or_else(|| ParseDialectError(text.to_owned()))
    }
}

/// Takes what decoding finds, once for every event or reason.
pub type Sink<'s> = &'s mut dyn FnMut(Result<Decoded<'_>, Rejection>);

/// Decodes records of one dialect by one set of rules. It keeps buffers, so each thread has its own.
#[derive(Debug)]
pub struct Decoder {
    setup: Setup,
    scratch: Scratch,
}

/// What stays the same for all records.
#[derive(Debug)]
struct Setup {
    rules: Arc<RuleSet>,
    dialect: Dialect,
    records: PathTree,
    nested: PathTree,
    line_context: PathTree,
    attributes: PathTree,
    clock: Clock,
    patterns: Patterns,
    version_mark: Finder<'static>,
    group_by: Option<u16>,
    wiki: Option<u16>,
}

/// Buffers.
#[derive(Debug)]
struct Scratch {
    lossy: String,
    work: Work,
}

#[derive(Debug)]
struct Work {
    outer: Walk,
    inner: Walk,
    bases: [Base; 2],
    texts: Texts,
    groups: GroupMemory,
    locations: Vec<CaptureLocations>,
}

impl Decoder {
    /// Makes a decoder. Time zones come from the data base that is compiled in: nothing is read.
    pub fn new(rules: Arc<RuleSet>, dialect: Dialect) -> Self {
        let fields = &rules.fields;
        let n_captured = fields.captured_names().count();
        let patterns = Patterns::new(fields);
        let work = Work {
            outer: Walk::new(n_captured),
            inner: Walk::new(n_captured),
            bases: [Base::default(), Base::default()],
            texts: Texts::default(),
            groups: GroupMemory::default(),
            locations: patterns.locations(),
        };
        let setup = Setup {
            dialect,
            records: PathTree::of_records(dialect, fields),
            nested: PathTree::of_nested(fields),
            line_context: PathTree::of_context(fields),
            attributes: PathTree::of_attributes(fields),
            clock: Clock::new(fields.time_zone().unwrap_or(jiff::tz::TimeZone::UTC)),
            patterns,
            version_mark: Finder::new("/php-"),
            group_by: fields.captured(&fields.group_by).map(|it| it.0),
            wiki: fields.captured("wiki").map(|it| it.0),
            rules,
        };
        let lossy = String::new();
        Self {
            setup,
            scratch: Scratch { lossy, work },
        }
    }

    /// Decodes a record: calls the sink with each event in it, or with the reason why there is none.
    pub fn decode(&mut self, record: &RawRecord<'_>, sink: Sink<'_>) {
        let Some(payload) = record.payload else {
            return sink(Err(Rejection::Tombstone));
        };
        let Scratch { lossy, work } = &mut self.scratch;
        let (text, is_lossy) = match sniff::text_of(payload, lossy) {
            Ok(found) => found,
            Err(reason) => return sink(Err(reason)),
        };
        let mut flagged = |result: Result<Decoded<'_>, Rejection>| match result {
            Ok(Decoded::Event(mut event)) if is_lossy => {
                event.flags.insert(Flag::Lossy);
                sink(Ok(Decoded::Event(event)));
            }
            other => sink(other),
        };
        let reader = Reader {
            setup: &self.setup,
            arrived: record.arrived,
        };
        reader.read(text, work, &mut flagged);
    }
}

/// Reads one record.
#[derive(Clone, Copy)]
struct Reader<'a> {
    setup: &'a Setup,
    arrived: EventTime,
}

impl<'a> Reader<'a> {
    fn read(self, text: &'a str, work: &'a mut Work, sink: Sink<'_>) {
        let text = sniff::trim(text);
        if let Some(object) = sniff::cee(text) {
            return self.json(object, work, sink);
        }
        let dialect = self.setup.dialect;
        let is_object = text.starts_with('{');
        if is_object && (dialect != Dialect::Plain || sniff::is_control(text)) {
            return self.json(text, work, sink);
        }
        let shape = match dialect {
            Dialect::Plain => self.plain(text, work),
            Dialect::Mediawiki => self.known_line(self.shape(text), text, work),
            Dialect::Auto if sniff::may_be_json(text) => {
                let reason = sniff::not_object(text);
                if reason == Rejection::Syntax && sniff::is_line(text) {
                    self.any_line(text, work)
                } else {
                    Err(reason)
                }
            }
            Dialect::Auto => self.any_line(text, work),
            _ => Err(sniff::not_object(text)),
        };
        sink(shape.map(Decoded::Event));
    }

    /// Reads a line of any kind.
    fn any_line(self, text: &'a str, work: &'a mut Work) -> Result<LogEvent<'a>, Rejection> {
        let shape = self.shape(text);
        let is_foreign = matches!(&shape, Shape::Syslog(head) if !head.is_runtime());
        if !is_foreign && !matches!(shape, Shape::Other) {
            return self.known_line(shape, text, work);
        }
        let is_dated = || plain::dated(text, &self.setup.clock, self.arrived).is_some();
        if sniff::is_line(text) || is_dated() {
            return self.plain(text, work);
        }
        Err(sniff::not_object(text))
    }

    fn context(self) -> Context<'a> {
        let setup = self.setup;
        Context {
            clock: &setup.clock,
            arrived: self.arrived,
            nested_paths: &setup.nested,
            line_paths: &setup.line_context,
            wiki: setup.wiki,
        }
    }

    /// Finds out whether a line is of a shape that `MediaWiki`'s servers write.
    fn shape(self, text: &'a str) -> Shape<'a> {
        let clock = &self.setup.clock;
        if let Some(line) = line::udp2log(text, clock, self.arrived) {
            return Shape::Udp2log(line);
        }
        if let Some(head) = line::syslog(text, clock, self.arrived) {
            return Shape::Syslog(head);
        }
        if php::crash(text).is_some() {
            return Shape::Php("hhvm", None, text);
        }
        let (at, bare) = plain::dated(text, clock, self.arrived)
            .map_or((None, text), |(at, rest)| (Some(at), rest.trim_start()));
        if sniff::is_php_error(bare) {
            return Shape::Php("php", at, bare);
        }
        Shape::Other
    }

    /// Reads a line of a shape that `MediaWiki`'s servers write.
    fn known_line(
        self,
        shape: Shape<'a>,
        text: &'a str,
        work: &'a mut Work,
    ) -> Result<LogEvent<'a>, Rejection> {
        let (buffers, rest) = split(&mut work.inner, &mut work.texts, &mut work.groups);
        let context = self.context();
        let event = match shape {
            Shape::Udp2log(line) => event::of_udp2log(&line, &context, buffers)?,
            Shape::Syslog(head) => event::of_syslog(&head, &context, buffers)?,
            Shape::Php(program, at, bare) => event::of_php(bare, (program, at), &context, buffers)?,
            Shape::Other => return Err(sniff::not_object(text)),
        };
        Ok(self.finish(event, rest))
    }

    fn plain(self, text: &'a str, work: &'a mut Work) -> Result<LogEvent<'a>, Rejection> {
        if text.is_empty() {
            return Err(Rejection::Syntax);
        }
        let Work {
            locations,
            groups,
            texts,
            ..
        } = work;
        let clock = &self.setup.clock;
        let by_pattern = self
            .setup
            .patterns
            .read(text, locations, (clock, self.arrived));
        let plain = by_pattern.unwrap_or_else(|| plain::by_head(text, clock, self.arrived));
        let event = event::of_plain(plain)?;
        let rest = Rest {
            groups,
            host: &mut texts.host,
            file: &mut texts.file_in_text,
        };
        Ok(self.finish(event, rest))
    }

    fn json(self, text: &'a str, work: &'a mut Work, sink: Sink<'_>) {
        // Some senders end a GELF message with a NUL.
        let text = text
            .strip_suffix("}\0")
            .map_or(text, |it| text.get(..=it.len()).unwrap_or(text));
        if let Err(error) = work.outer.run(text, &self.setup.records) {
            return sink(Err(reason_of(error)));
        }
        let view = View::new(text, &work.outer);
        if view.of_kind(Field::Otlp, Kind::Array).is_some() {
            return self.otlp(text, work, sink);
        }
        if let Some(control) = sniff::control(view.get(Field::Type), text) {
            return sink(control);
        }
        if self.setup.dialect == Dialect::OtlpJson {
            return sink(Err(Rejection::Syntax));
        }
        let Work {
            outer,
            inner,
            texts,
            groups,
            ..
        } = work;
        let (buffers, rest) = split(inner, texts, groups);
        let event = event::of_json(View::new(text, outer), &self.context(), buffers);
        sink(event.map(|event| Decoded::Event(self.finish(event, rest))));
    }

    fn otlp(self, text: &'a str, work: &'a mut Work, sink: Sink<'_>) {
        let Work {
            outer,
            inner,
            texts,
            groups,
            bases,
            ..
        } = work;
        let Some(list) = View::new(text, outer).span(Field::Otlp) else {
            return sink(Err(Rejection::Syntax));
        };
        let payload = Payload {
            text,
            tree: &self.setup.attributes,
        };
        let sent = payload.each(list, outer, bases, &mut |walk| {
            let read = walk.map_err(reason_of).and_then(|walk| {
                let (buffers, rest) = split(inner, texts, groups);
                // Shortened to the life of this one record.
                let reader: Reader<'_> = self;
                let event = event::of_json(View::new(text, walk), &reader.context(), buffers)?;
                Ok(Decoded::Event(reader.finish(event, rest)))
            });
            sink(read);
        });
        // A payload without log records is no log.
        if !matches!(sent, Ok(1..)) {
            sink(Err(Rejection::Syntax));
        }
    }

    fn finish<'e>(self, mut event: LogEvent<'e>, rest: Rest<'e>) -> LogEvent<'e>
    where
        'a: 'e,
    {
        let Rest { groups, host, file } = rest;
        let finisher = Finisher {
            rules: &self.setup.rules,
            arrived: self.arrived,
            group_by: self.setup.group_by,
            version_mark: &self.setup.version_mark,
            memory: groups,
            host,
            file,
        };
        finisher.finish(&mut event);
        event
    }
}

/// A line, as far as its shape is known.
enum Shape<'a> {
    Udp2log(Udp2log<'a>),
    Syslog(Syslog<'a>),
    /// PHP's own output: the channel it goes to, its time, and the rest.
    Php(&'static str, Option<EventTime>, &'a str),
    Other,
}

/// Buffers for the last step.
struct Rest<'a> {
    groups: &'a mut GroupMemory,
    host: &'a mut String,
    file: &'a mut String,
}

fn split<'a>(
    inner: &'a mut Walk,
    texts: &'a mut Texts,
    groups: &'a mut GroupMemory,
) -> (Buffers<'a>, Rest<'a>) {
    let Texts {
        message,
        file,
        file_in_text,
        trace,
        host,
    } = texts;
    let buffers = Buffers {
        inner,
        message,
        file,
        trace,
    };
    (
        buffers,
        Rest {
            groups,
            host,
            file: file_in_text,
        },
    )
}

const fn reason_of(error: JsonError) -> Rejection {
    match error {
        JsonError::Syntax => Rejection::Syntax,
        JsonError::Depth => Rejection::Depth,
    }
}
