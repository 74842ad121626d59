//! From what a walk or a line reader found to a [`LogEvent`] in the words of its dialect.
//!
//! It must never look at the record again; [`super::finish`] adds what the rules know. Invariant: an event has the
//! level, channel and message that its record gives it, or none.

use std::borrow::Cow;

use super::exception;
use super::json::{Kind, Scanner};
use super::level;
use super::line::{self, Syslog, Udp2log};
use super::paths::{Field, PathTree, SlotId};
use super::php;
use super::plain::Plain;
use super::time::{Clock, Reading};
use super::walk::{View, Walk};
use crate::model::{EventTime, Flag, Level, LogEvent, Rejection};

/// Places in a line where its context is looked for.
const CONTEXT_TRIES_MAX: usize = 16;

/// What reading an event needs beside the record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) clock: &'a Clock,
    pub(super) arrived: EventTime,
    /// Paths of JSON inside a message.
    pub(super) nested_paths: &'a PathTree,
    /// Paths of the context at the end of a udp2log line.
    pub(super) line_paths: &'a PathTree,
    /// The place of the captured field `wiki`.
    pub(super) wiki: Option<u16>,
}

/// Buffers for texts that do not stand in the record as they are.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// A message with rsyslog's escapes resolved.
    pub(super) message: String,
    /// `file:line` of an exception as a structure.
    pub(super) file: String,
    /// `file:line` of an exception inside a message.
    pub(super) file_in_text: String,
    /// Frames as lines.
    pub(super) trace: String,
    /// A host in lower case.
    pub(super) host: String,
}

/// Buffers that the text of one event borrows from.
#[derive(Debug)]
pub(super) struct Buffers<'a> {
    pub(super) inner: &'a mut Walk,
    pub(super) message: &'a mut String,
    pub(super) file: &'a mut String,
    pub(super) trace: &'a mut String,
}

/// Returns an event that nothing is known of.
pub(super) fn blank<'a>() -> LogEvent<'a> {
    LogEvent {
        repeat: 1,
        ..LogEvent::default()
    }
}

/// Makes the event of a JSON record.
pub(super) fn of_json<'a>(
    view: View<'a>,
    context: &Context<'a>,
    buffers: Buffers<'a>,
) -> Result<LogEvent<'a>, Rejection> {
    let mut event = blank();
    event.time = time(context.clock.read(view.get(Field::Time), context.arrived))?;
    event.level = level_of(&view);
    event.channel = Cow::Borrowed(view.get(Field::Channel));
    event.version = Cow::Borrowed(view.get(Field::Version));
    event.group = Cow::Borrowed(view.get(Field::Group));
    event.service = Cow::Borrowed(view.get(Field::Service));
    event.host = Cow::Borrowed(view.get(Field::Host));
    event.normalized = Cow::Borrowed(view.get(Field::Normalized));
    event.request_id = Cow::Borrowed(view.get(Field::RequestId));
    event.url = Cow::Borrowed(view.get(Field::Url));
    let message = match view.get(Field::Message) {
        "" => view.get(Field::FullMessage),
        message => message,
    };
    event.message = Cow::Borrowed(message);
    merge(&mut event, &view);
    let program = program_of(&view);
    if let Some(line) = enclosed_line(&view, program, context) {
        fill_from_line(&mut event, &line, context, buffers);
    } else if php::is_runtime(program) {
        fill_from_php(&mut event, message, program, (context, buffers));
    } else if event.channel == "exception-json" && message.starts_with('{') {
        fill_from_nested(&mut event, message, context, buffers);
    } else {
        if event.channel.is_empty() {
            event.channel = Cow::Borrowed(channel_of(program));
        }
        fill_exception(&mut event, &view, buffers);
    }
    Ok(event)
}

/// Makes the event of a udp2log line.
pub(super) fn of_udp2log<'a>(
    line: &Udp2log<'a>,
    context: &Context<'a>,
    buffers: Buffers<'a>,
) -> Result<LogEvent<'a>, Rejection> {
    let mut event = blank();
    event.time = time(Reading::of(line.at))?;
    fill_from_line(&mut event, line, context, buffers);
    Ok(event)
}

/// Makes the event of a syslog line; `None` if what follows its head is of no known program.
pub(super) fn of_syslog<'a>(
    head: &Syslog<'a>,
    context: &Context<'a>,
    buffers: Buffers<'a>,
) -> Result<LogEvent<'a>, Rejection> {
    let mut event = blank();
    event.time = match head.at {
        Some(at) => time(Reading::of(at))?,
        None => None,
    };
    event.host = Cow::Borrowed(head.host);
    event.level = head.level.unwrap_or_default();
    let program = if head.program.is_empty() {
        "hhvm"
    } else {
        head.program
    };
    if php::is_runtime(program) {
        fill_from_php(&mut event, head.rest, program, (context, buffers));
    } else {
        event.channel = Cow::Borrowed(channel_of(program));
        event.message = Cow::Borrowed(head.rest.trim_start());
    }
    Ok(event)
}

/// Makes the event of PHP's own output without any head.
pub(super) fn of_php<'a>(
    text: &'a str,
    (program, at): (&'static str, Option<EventTime>),
    context: &Context<'a>,
    buffers: Buffers<'a>,
) -> Result<LogEvent<'a>, Rejection> {
    let mut event = blank();
    event.time = match at {
        Some(at) => time(Reading::of(at))?,
        None => None,
    };
    fill_from_php(&mut event, text, program, (context, buffers));
    Ok(event)
}

/// Makes the event of a line that was taken apart.
pub(super) fn of_plain(plain: Plain<'_>) -> Result<LogEvent<'_>, Rejection> {
    let mut event = blank();
    event.time = match plain.time {
        Some(reading) => time(reading)?,
        None => None,
    };
    event.level = plain.level;
    event.channel = Cow::Borrowed(plain.channel);
    event.host = Cow::Borrowed(plain.host);
    event.message = Cow::Borrowed(plain.message);
    for (slot, value) in plain.more {
        let value = Cow::Borrowed(value);
        if let Some(place) = slot.place() {
            event.context.push((place, value));
        } else if slot.is(Field::Version) {
            event.version = value;
        } else if slot.is(Field::Group) {
            event.group = value;
        } else if slot.is(Field::Service) {
            event.service = value;
        } else if slot.is(Field::Normalized) {
            event.normalized = value;
        } else if slot.is(Field::RequestId) {
            event.request_id = value;
        } else if slot.is(Field::Url) {
            event.url = value;
        }
    }
    Ok(event)
}

fn time(reading: Reading) -> Result<Option<EventTime>, Rejection> {
    match reading {
        Reading::Missing => Ok(None),
        Reading::At(at) => Ok(Some(at)),
        Reading::Bad => Err(Rejection::BadTime),
    }
}

fn level_of(view: &View<'_>) -> Level {
    level::read(view.get(Field::Level))
        .or_else(|| level::from_otlp(view.get(Field::SeverityNumber)))
        .unwrap_or_default()
}

/// Adds captured fields that the event does not have yet, and the walk's oddities.
fn merge<'a>(event: &mut LogEvent<'a>, view: &View<'a>) {
    for (place, value) in view.captured() {
        if !event.context.iter().any(|(it, _)| *it == place) {
            event.context.push((place, Cow::Borrowed(value)));
        }
    }
    if view.repeated() {
        event.flags.insert(Flag::DupKey);
    }
    if view.replaced() {
        event.flags.insert(Flag::Lossy);
    }
}

/// Returns syslog's program, or what the log shipper calls the input where that names a runtime.
fn program_of<'a>(view: &View<'a>) -> &'a str {
    match (view.get(Field::Program), view.get(Field::Type)) {
        ("", kind) if kind != "mediawiki" => kind,
        (program, _) => program,
    }
}

/// Returns the channel of a record that names only its program.
fn channel_of(program: &str) -> &str {
    program.strip_prefix("mwlog-").unwrap_or(program)
}

/// Reads the udp2log line that a record of `mwlog-{channel}` holds.
fn enclosed_line<'a>(view: &View<'a>, program: &str, context: &Context<'_>) -> Option<Udp2log<'a>> {
    if !program.starts_with("mwlog-") {
        return None;
    }
    let text = match view.get(Field::Line2log) {
        "" => view.get(Field::Message),
        line => line,
    };
    line::udp2log(text.trim(), context.clock, context.arrived)
        .filter(|it| Reading::of(it.at) != Reading::Bad)
}

fn fill_from_line<'a>(
    event: &mut LogEvent<'a>,
    line: &Udp2log<'a>,
    context: &Context<'a>,
    buffers: Buffers<'a>,
) {
    event.time = Some(line.at);
    event.host = Cow::Borrowed(line.host);
    event.channel = Cow::Borrowed(line.channel);
    event.level = line.level;
    event.version = Cow::Borrowed(line.version);
    event.request_id = Cow::Borrowed(line.request_id);
    if let Some(place) = context.wiki {
        event.context.retain(|(it, _)| *it != place);
        event.context.push((place, Cow::Borrowed(line.wiki)));
    }
    let (message, json, tail) = split_context(line.rest);
    event.message = Cow::Borrowed(message);
    let Buffers {
        inner, file, trace, ..
    } = buffers;
    if let Some(found) = exception::in_text(tail) {
        let place = exception::place(found.file, found.line, file);
        event.exception = exception::info(found.class, found.message, place, found.trace);
    } else if !tail.is_empty() {
        event.message = Cow::Borrowed(line.rest);
    }
    if json.is_empty() || inner.run(json, context.line_paths).is_err() {
        return;
    }
    let view = View::new(json, inner);
    merge(event, &view);
    fill_blank(&mut event.normalized, view.get(Field::Normalized));
    fill_blank(&mut event.request_id, view.get(Field::RequestId));
    fill_blank(&mut event.url, view.get(Field::Url));
    if event.exception.is_none() {
        let stack = match view.of_kind(Field::Trace, Kind::Array) {
            Some(list) => exception::frames(list, trace),
            None => view.get(Field::Trace),
        };
        let (class, message) = (view.get(Field::Class), view.get(Field::ClassMessage));
        event.exception = exception::info(class, message, view.get(Field::File), stack);
    }
}

fn fill_blank<'a>(field: &mut Cow<'a, str>, value: &'a str) {
    if field.is_empty() {
        *field = Cow::Borrowed(value);
    }
}

/// Splits what follows the level in a udp2log line: message, context as JSON, exception.
fn split_context(rest: &str) -> (&str, &str, &str) {
    let (head, tail) = match rest.find("\n[Exception ") {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let head = head.trim_end();
    let head = head.strip_suffix(" []").map_or(head, str::trim_end);
    if head.ends_with('}') {
        let starts = head.match_indices('{').map(|(at, _)| at);
        let starts = starts.filter(|&at| at == 0 || head.as_bytes().get(at - 1) == Some(&b' '));
        for at in starts.take(CONTEXT_TRIES_MAX) {
            let mut scanner = Scanner::at(head, at);
            if scanner.value().is_ok() && scanner.end().is_ok() {
                let (message, json) = head.split_at(at);
                return (message.trim_end(), json, tail.trim_start());
            }
        }
    }
    (head, "", tail.trim_start())
}

fn fill_from_php<'a>(
    event: &mut LogEvent<'a>,
    text: &'a str,
    program: &'a str,
    (context, buffers): (&Context<'a>, Buffers<'a>),
) {
    let (repeat, body) = php::repeated(text);
    let body = php::trim_start(body);
    event.repeat = repeat;
    if event.channel.is_empty() || event.channel == "syslog" {
        event.channel = Cow::Borrowed(program);
    }
    if body.starts_with('{') {
        fill_from_nested(event, body, context, buffers);
        // An HHVM error that comes as an object is always a fatal one.
        event.level = Level::Critical;
        return;
    }
    let body = php::unescape(body, buffers.message);
    if let Some(crash) = php::crash(body) {
        event.channel = Cow::Borrowed("hhvm-fatal");
        event.level = Level::Critical;
        event.message = Cow::Borrowed(crash.message);
        event.exception = exception::info("", "", "", crash.trace);
        fill_blank(&mut event.host, crash.host);
        return;
    }
    if let Some(level) = php::severity(body) {
        event.level = level;
    }
    event.message = Cow::Borrowed(body);
}

/// Reads the JSON that stands in a message instead of a text.
fn fill_from_nested<'a>(
    event: &mut LogEvent<'a>,
    text: &'a str,
    context: &Context<'a>,
    buffers: Buffers<'a>,
) {
    let Buffers {
        inner, file, trace, ..
    } = buffers;
    event.message = Cow::Borrowed(text);
    if inner.run(text, context.nested_paths).is_err() {
        return;
    }
    let view = View::new(text, inner);
    merge(event, &view);
    let message = view.get(Field::Message);
    if !message.is_empty() {
        event.message = Cow::Borrowed(message);
    }
    fill_blank(&mut event.request_id, view.get(Field::RequestId));
    fill_blank(&mut event.url, view.get(Field::Url));
    fill_blank(&mut event.version, view.get(Field::Version));
    let stack = match view.of_kind(Field::Trace, Kind::Array) {
        Some(list) => exception::frames(list, trace),
        None => view.get(Field::Trace),
    };
    let place = exception::place(view.get(Field::File), view.get(Field::Line), file);
    event.exception = exception::info(view.get(Field::Class), message, place, stack);
}

/// Adds the exception that a JSON record carries as a structure or as one text.
fn fill_exception<'a>(event: &mut LogEvent<'a>, view: &View<'a>, buffers: Buffers<'a>) {
    let Buffers { file, trace, .. } = buffers;
    let class = view.get(Field::Class);
    let whole = view.get(Field::Exception);
    if class.is_empty() && !whole.is_empty() {
        event.exception = match exception::in_text(whole) {
            Some(found) => {
                let place = exception::place(found.file, found.line, file);
                exception::info(found.class, found.message, place, found.trace)
            }
            None => exception::info("", "", "", whole),
        };
        return;
    }
    let stack = match view.of_kind(Field::Trace, Kind::Array) {
        Some(list) => exception::frames(list, trace),
        None if view.get(Field::Trace).is_empty() => stack_in(view.get(Field::FullMessage)),
        None => view.get(Field::Trace),
    };
    let mut place = view.get(Field::File);
    if !class.is_empty() || !stack.is_empty() {
        place = exception::place(place, view.get(Field::Line), file);
    } else if !place.is_empty() {
        // Where a text was logged is no exception.
        place = "";
    }
    event.exception = exception::info(class, view.get(Field::ClassMessage), place, stack);
}

/// Returns a long message if it is a stack trace.
fn stack_in(text: &str) -> &str {
    let is_stack = ["\n\tat ", "\n#0 ", "Traceback ", "\n    at "]
        .iter()
        .any(|it| text.contains(it));
    if is_stack { text } else { "" }
}

impl SlotId {
    /// Returns the place of a captured field.
    fn place(self) -> Option<u16> {
        self.is_captured()
            .then(|| self.0.saturating_sub(Self::captured(0).0))
    }
}
