//! Writes one record in the shape in use: today's JSON, or a line of January 2016.
//!
//! It must never fail and never allocate in the steady state; all texts come in already escaped.

use super::plan::{CODE_ROOT, Line, SEVERITIES};
use super::random::Rng;
use super::template::{Filled, Scene, push_number};

/// Bytes of `normalized_message` that `MediaWiki`'s log pipeline keeps.
const NORMALIZED_MAX: usize = 255;

/// What a record says beside its message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    /// `2016-01-20T01:20:03`.
    pub(crate) second: &'a str,
    /// `Jan 20 01:20:03`.
    pub(crate) syslog_second: &'a str,
    pub(crate) micros: u32,
    pub(crate) host: &'a str,
    pub(crate) servergroup: &'a str,
    pub(crate) section: &'a str,
    pub(crate) job: bool,
    pub(crate) ip: &'a str,
}

/// Buffers that live on from record to record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) message: String,
    pub(crate) exception_message: String,
    pub(crate) filled: Vec<Filled>,
}

/// Renders the message (and the exception's own) into the scratch buffers.
pub(crate) fn render(line: &Line, scene: &Scene<'_>, rng: &mut Rng, scratch: &mut Scratch) {
    scratch.message.clear();
    scratch.exception_message.clear();
    if let Some(exception) = &line.exception {
        let filled = &mut scratch.filled;
        exception
            .message
            .render(scene, rng, &mut scratch.exception_message, filled);
    }
    let scene = Scene {
        exception_message: &scratch.exception_message,
        ..*scene
    };
    let repeated = line.repeat_share > 0.0 && rng.unit() < line.repeat_share;
    if repeated {
        scratch.message.push_str("message repeated ");
        push_number(u64::from(rng.below(11)) + 2, &mut scratch.message);
        scratch.message.push_str(" times: [ ");
    }
    line.template
        .render(&scene, rng, &mut scratch.message, &mut scratch.filled);
    if repeated {
        scratch.message.push(']');
    }
}

/// Writes a record as `MediaWiki` sends it today.
pub(crate) fn write_today(
    line: &Line,
    scene: &Scene<'_>,
    frame: &Frame<'_>,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) {
    let mut micros = *b"000000";
    let mut rest = frame.micros;
    for digit in micros.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    let severity = SEVERITIES.get(line.severity).copied().unwrap_or("debug");
    push(out, &["{\"@timestamp\":\"", frame.second, "."]);
    out.extend_from_slice(&micros);
    push(
        out,
        &[
            "+00:00\",\"@version\":1,\"type\":\"mediawiki\",\"program\":\"mediawiki\",\"severity\":\"",
            severity,
            "\",\"channel\":\"",
            &line.channel,
            "\",\"level\":\"",
            &line.level,
            "\",\"host\":\"",
            frame.host,
            "\",\"servergroup\":\"",
            frame.servergroup,
            "\",\"wiki\":\"",
            scene.wiki,
            "\",\"shard\":\"",
            frame.section,
            "\",\"mwversion\":\"",
            scene.version,
            "\",\"reqId\":\"",
            scene.request_id,
            "\",\"server\":\"",
            scene.server,
        ],
    );
    if !frame.job {
        push(
            out,
            &[
                "\",\"url\":\"",
                scene.url,
                "\",\"http_method\":\"",
                scene.method,
                "\",\"ip\":\"",
                frame.ip,
            ],
        );
    }
    push(out, &["\",\"normalized_message\":\""]);
    if line.psr {
        line.template.write_names(out);
    } else {
        write_normalized(line, scene, &scratch.message, out);
    }
    push(
        out,
        &["\",\"message\":\"", &scratch.message, "\"", &line.context],
    );
    if line.psr {
        for part in &scratch.filled {
            let name = line.template.name_at(part.piece);
            let value = scratch.message.get(part.from..part.to).unwrap_or_default();
            push(out, &[",\"", name, "\":\"", value, "\""]);
        }
    }
    write_exception_today(line, scene, scratch, out);
    out.push(b'}');
}

/// Writes the message as the pipeline keeps it: an exception's id and URL by name, the rest as it is, cut.
fn write_normalized(line: &Line, scene: &Scene<'_>, message: &str, out: &mut Vec<u8>) {
    const NAMES: &str = "[{exception_id}] {exception_url}";
    let after_id = message.split_once("] ").map(|it| it.1);
    let after_url = after_id.and_then(|it| it.strip_prefix(scene.url));
    match after_url.filter(|_| line.exception.is_some()) {
        Some(rest) => push(
            out,
            &[NAMES, cut_escaped(rest, NORMALIZED_MAX - NAMES.len())],
        ),
        None => push(out, &[cut_escaped(message, NORMALIZED_MAX)]),
    }
}

fn write_exception_today(line: &Line, scene: &Scene<'_>, scratch: &mut Scratch, out: &mut Vec<u8>) {
    let Some(exception) = &line.exception else {
        return;
    };
    push(
        out,
        &[
            ",\"exception_url\":\"",
            scene.url,
            "\",\"caught_by\":\"mwe_handler\",\"exception\":{\"class\":\"",
            &exception.class,
            "\",\"message\":\"",
            &scratch.exception_message,
            "\",\"code\":0,\"file\":\"",
            CODE_ROOT,
            scene.version,
            "/",
            scene.path,
            ":",
        ],
    );
    // The message has been written, so its buffer is free for the number.
    scratch.message.clear();
    push_number(u64::from(scene.line), &mut scratch.message);
    push(out, &[&scratch.message, "\",\"trace\":\""]);
    write_trace(&exception.frames, scene.version, "\\n", out);
    push(out, &["\"}"]);
}

/// Writes a record as the log files of January 2016 show it: without a version of its own.
pub(crate) fn write_2016(
    line: &Line,
    scene: &Scene<'_>,
    frame: &Frame<'_>,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) {
    if line.channel == "hhvm" {
        push(out, &[frame.syslog_second, " ", frame.host, ":  "]);
        push(out, &[&scratch.message]);
        return;
    }
    let (date, time) = frame.second.split_once('T').unwrap_or((frame.second, ""));
    push(
        out,
        &[
            date,
            " ",
            time,
            " ",
            frame.host,
            " ",
            scene.wiki,
            " ",
            &line.channel,
            " ",
            &line.level,
            ": ",
            &scratch.message,
            " {",
            // The first field has no comma before it.
            line.context.strip_prefix(',').unwrap_or_default(),
            "}",
        ],
    );
    let Some(exception) = &line.exception else {
        return;
    };
    scratch.message.clear();
    push_number(u64::from(scene.line), &mut scratch.message);
    push(
        out,
        &[
            "\n[Exception ",
            &exception.class,
            "] (",
            CODE_ROOT,
            scene.version,
            "/",
            scene.path,
            ":",
            &scratch.message,
            ") ",
            &scratch.exception_message,
            "\n",
        ],
    );
    write_trace(&exception.frames, scene.version, "\n", out);
}

fn write_trace(frames: &[String], version: &str, newline: &str, out: &mut Vec<u8>) {
    for (frame, number) in frames.iter().zip(FRAME_NUMBERS) {
        push(
            out,
            &["#", number, " ", CODE_ROOT, version, "/", frame, newline],
        );
    }
    let last = FRAME_NUMBERS.get(frames.len()).unwrap_or(&"9");
    push(out, &["#", last, " {main}"]);
}

/// Numbers of stack frames; the scenarios show at most the top nine.
const FRAME_NUMBERS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

fn push(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Cuts an escaped text to so many bytes, never inside a letter or an escape.
fn cut_escaped(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let kept = text.get(..end).unwrap_or_default();
    let bare = kept.trim_end_matches('\\');
    if (kept.len() - bare.len()) % 2 == 1 {
        kept.get(..kept.len() - 1).unwrap_or_default()
    } else {
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::cut_escaped;

    #[test]
    fn a_cut_text_is_still_a_json_string() {
        for lead in 0..4 {
            let text = format!("{}{}", "x".repeat(lead), "\\\\\\n\\\"é".repeat(80));
            let cut = cut_escaped(&text, 255);
            assert!(cut.len() <= 255 && cut.len() > 250);
            serde_json::from_str::<String>(&format!("\"{cut}\"")).unwrap();
        }
    }
}
