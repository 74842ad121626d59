//! Says how fast stage 1 is, as ratios inside one run: `cargo run --profile release --example fingerprint`.
//!
//! It masks the same seeded messages in turns with our scanner and with one regular expression
//! without captures, and prints the median of the ratios of the rounds with their spread. With
//! `--write FILE` it only writes the messages; with `--read FILE` it takes its messages from there
//! and prints what one line costs, for `benches/peers/drain3`. Ratios are the result: times of a
//! shared machine are not.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use fatalmonitor::ingest::fingerprint::Masker;
use regex::Regex;

const MESSAGES: usize = 20_000;
const ROUNDS: usize = 9;
/// Passes over the messages in one round: the kernel accounts in steps of a few milliseconds.
const PASSES: usize = 10;

/// The types that we mask, without groups, so that the fast engines of the crate may run: URL,
/// mail, times, UUID, addresses, path, hexadecimal, session, size, duration, number and identifier.
const ALTERNATION: &str = concat!(
    r"[a-z][a-z0-9+.-]*://[^\s'\x22<>)\]]+",
    r"|[\w.+-]+@[\w-]+\.[\w.-]+",
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?",
    r"|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d{1,2}(?: \d\d:\d\d:\d\d)?",
    r"|\d\d:\d\d:\d\d(?:[.,]\d+)?",
    r"|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
    r"|\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::\d+)?",
    r"|(?:[0-9a-fA-F]{1,4}:){2,7}[0-9a-fA-F]{1,4}",
    r"|(?:/[\w.+-]+){2,}/?",
    r"|\b0x[0-9a-fA-F]+\b",
    r"|\b[0-9a-v]{32}\b",
    r"|\b[0-9a-fA-F]{8,}\b",
    r"|[+-]?\d+(?:\.\d+)? ?(?:bytes|[KMGTP]i?B|B)\b",
    r"|[+-]?\d+(?:\.\d+)?(?:ns|us|ms|s|m|h|d)\b",
    r"|[\w.-]*\d[\w.-]*",
);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let messages = match args.as_slice() {
        ["--write", file] => return Ok(std::fs::write(file, corpus().join("\n"))?),
        ["--read", file] => std::fs::read_to_string(file)?
            .lines()
            .map(str::to_owned)
            .collect(),
        [] => corpus(),
        _ => return Err("usage: fingerprint [--write FILE | --read FILE]".into()),
    };
    let bytes: usize = messages.iter().map(String::len).sum();
    let lines = messages.len();
    say(&format!(
        "{lines} messages of {} bytes",
        bytes / lines.max(1)
    ))?;
    let pattern = Regex::new(ALTERNATION)?;
    let mut masker = Masker::new();
    let mut out = String::new();
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let one = timed(|| messages.iter().map(|m| masker.canonical(m).len()).sum());
        let two = timed(|| {
            let length = |m: &String| {
                replace(&pattern, m, &mut out);
                out.len()
            };
            messages.iter().map(length).sum()
        });
        ratios.push(two.as_secs_f64() / one.as_secs_f64());
        ours.push(one.as_secs_f64());
        theirs.push(two.as_secs_f64());
    }
    let per_line = |seconds: &mut Vec<f64>| {
        median(seconds) * 1e9 / f64::from(u32::try_from(lines * PASSES).unwrap_or(u32::MAX))
    };
    let distinct: HashSet<String> = messages
        .iter()
        .map(|m| masker.canonical(m).to_owned())
        .collect();
    say(&format!(
        "fingerprint: {:.0} ns a message, {} distinct",
        per_line(&mut ours),
        distinct.len()
    ))?;
    say(&format!(
        "alternation: {:.0} ns a message",
        per_line(&mut theirs)
    ))?;
    let middle = median(&mut ratios);
    let spread = (ratios.last().unwrap_or(&0.0) - ratios.first().unwrap_or(&0.0)) / middle;
    let noisy = if spread > 0.2 { ", noisy" } else { "" };
    say(&format!(
        "alternation / fingerprint: {middle:.2} (spread {:.0} %{noisy})",
        spread * 100.0
    ))
}

fn say(text: &str) -> Result<(), Box<dyn std::error::Error>> {
    use std::io::Write as _;
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock, for want of the kernel's account"
)]
fn timed(mut work: impl FnMut() -> usize) -> Duration {
    let (start, cpu) = (Instant::now(), cpu_time());
    for _ in 0..PASSES {
        black_box(work());
    }
    match (cpu, cpu_time()) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        _ => start.elapsed(),
    }
}

/// Returns the time that this thread has run, by the kernel's own account: what others do on the
/// machine is not in it. Elsewhere than on Linux the clock on the wall has to do.
fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn replace(pattern: &Regex, text: &str, out: &mut String) {
    out.clear();
    let mut at = 0;
    for found in pattern.find_iter(text) {
        out.push_str(text.get(at..found.start()).unwrap_or_default());
        out.push_str("<*>");
        at = found.end();
    }
    out.push_str(text.get(at..).unwrap_or_default());
}

/// Messages as the applications of a wiki write them; `%` and a letter stand for values.
const SHAPES: [&str; 24] = [
    "Session [30]MediaWiki\\Session\\CookieSessionProvider<+:%n:Any Name>%s: Metadata merge failed: no such key",
    "Session \"%s\" requested without UserID cookie from %i, giving it a new one",
    "Expectation (masterConns <= 0) by MediaWiki::main not met on %h after %n queries",
    "CAS update failed on user_touched for user ID '%n' (read from slave); the version of the user to be saved is older than the current version.",
    "Login attempt",
    "Error connecting to %i: Can't connect to MySQL server on '%i' (%n)",
    "Wikimedia\\Rdbms\\DatabaseMysqli::query: Lost connection to MySQL server during query (%i) after %n ms",
    "Lock wait timeout exceeded; try restarting transaction (%h:3306) in %f seconds",
    "Undefined index: title in %p on line %n",
    "Memcached error for key \"enwiki:page:%n\" on server \"%i:11211\": SERVER HAS FAILED AND IS DISABLED UNTIL TIMED RETRY",
    "Slow parse of page %n took %f seconds, started at %t, wiki enwiki",
    "Job refreshLinks %u failed after 3 attempts: could not acquire lock enwiki:%n",
    "%t [%u] GET https://en.wikipedia.org/w/index.php?title=Main_Page&oldid=%n 200 %n bytes in %f ms",
    "Redis exception connecting to \"%h:6379\"",
    "upload of %p stopped: disk full, needs %n bytes, has %n bytes",
    "The user has exceeded the limit of edits, address %i, action edit, limit 8 in 60 seconds",
    "No localisation cache found for English. Please run maintenance/rebuildLocalisationCache.php.",
    "Request from %i via %h, Varnish XID %n: Error: 503, Service Unavailable at %t",
    "connection=%n host=%h state=closed reason=timeout bytes=%n",
    "Consumer group mediawiki_events moved partition %n of topic page-links from broker %n to broker %n (epoch %n)",
    "Could not deliver event {\"id\": \"%u\", \"wiki\": \"enwiki\", \"page\": %n}: HTTP 503 from eventbus",
    "Failed to fetch the thumbnail of File:Example.jpg from swift at %h: connection reset by peer",
    "Stopping worker %x after %n jobs and %f seconds, memory %n KB",
    "Wrong token for the action edit by a user of %i: the session was lost or the form is too old, try again",
];

/// A generator of numbers that gives the same corpus on every machine.
struct Seed(u64);

impl Seed {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 20
    }
}

fn corpus() -> Vec<String> {
    let mut seed = Seed(20_160_120);
    (0..MESSAGES).map(|_| message(&mut seed)).collect()
}

fn message(seed: &mut Seed) -> String {
    let shape = SHAPES
        .get(usize::try_from(seed.next() % 24).unwrap_or_default())
        .copied()
        .unwrap_or_default();
    let mut out = String::new();
    let mut parts = shape.split('%');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        value(seed, part.chars().next().unwrap_or(' '), &mut out);
        out.push_str(part.get(1..).unwrap_or_default());
    }
    out
}

fn value(seed: &mut Seed, kind: char, out: &mut String) {
    let (a, b) = (seed.next(), seed.next());
    let written = match kind {
        'n' => write!(out, "{}", a % 100_000),
        'f' => write!(out, "{}.{:03}", a % 60, b % 1000),
        'i' => write!(out, "10.64.{}.{}", a % 64, b % 256),
        'h' => write!(out, "db{}.eqiad.wmnet", 1000 + a % 200),
        'p' => write!(
            out,
            "/srv/mediawiki/php-1.27.0-wmf.{}/includes/Class{}.php",
            a % 20,
            b % 90
        ),
        't' => write!(out, "2016-01-20T{:02}:{:02}:03Z", a % 24, b % 60),
        'u' => write!(out, "{:08x}-1b2c-4d3e-8f4a-{b:012x}", a % (1 << 32)),
        'x' => write!(out, "0x{a:012x}"),
        _ => write!(out, "{}", base32(a, b)),
    };
    written.unwrap_or_default();
}

/// Returns 32 letters of the alphabet that sessions are written in.
fn base32(a: u64, b: u64) -> String {
    let mut state = Seed(a ^ b.rotate_left(17));
    (0..32)
        .map(|_| {
            char::from_digit(u32::try_from(state.next() % 32).unwrap_or_default(), 32)
                .unwrap_or('0')
        })
        .collect()
}
