//! Refuses patterns whose cost is more than linear in the length of a line.
//!
//! A search by this engine reads each byte once, but finding *all* matches may read far behind each match
//! before it is sure of it, and so cost the square of the length. Here a pattern is run over lines made of
//! its own parts, and the bytes read are counted: no clock, so the verdict is the same on every machine.

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::util::primitives::PatternID;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Class, Hir, HirKind};

/// Bytes of each line that is tried.
const LINE_BYTES: usize = 2048;

/// Times that a byte of a line may be read over a whole search.
// A bounded look-ahead such as `a.{0,30}b` reads a byte about 30 times; a square cost, 1000 times.
const READS_PER_BYTE_MAX: usize = 64;

/// Parts of a pattern that lines are made of.
const PARTS_MAX: usize = 10;

/// Returns how often the worst byte is read, if that is more than a line may cost.
pub(super) fn reads_per_byte(pattern: &str) -> Option<usize> {
    let hir = regex_syntax::parse(pattern).ok()?;
    let dfa = DFA::builder()
        .configure(DFA::config().skip_cache_capacity_check(true))
        .build(pattern)
        .ok()?;
    let mut cache = dfa.create_cache();
    let parts = parts(&hir);
    let mut worst = 0;
    for a in &parts {
        worst = worst.max(reads(&dfa, &mut cache, &line(a, "")));
        for b in parts.iter().filter(|it| *it != a) {
            let both = format!("{a}{b}");
            worst = worst.max(reads(&dfa, &mut cache, &line(a, b))).max(reads(
                &dfa,
                &mut cache,
                &line(&both, ""),
            ));
        }
    }
    (worst > READS_PER_BYTE_MAX * LINE_BYTES).then_some(worst / LINE_BYTES)
}

fn line(part: &str, last: &str) -> String {
    let mut line = part.repeat(LINE_BYTES / part.len().max(1));
    line.push_str(last);
    line
}

/// Returns a character of each class and each literal, and one that none of them holds.
fn parts(hir: &Hir) -> Vec<String> {
    let mut parts = Vec::new();
    collect(hir, &mut parts);
    parts.retain(|it| !it.is_empty());
    parts.sort();
    parts.dedup();
    parts.truncate(PARTS_MAX);
    parts.push("~".to_owned());
    parts.push("\n".to_owned());
    parts.dedup();
    parts
}

fn collect(hir: &Hir, parts: &mut Vec<String>) {
    match hir.kind() {
        HirKind::Literal(it) => parts.push(String::from_utf8_lossy(&it.0).into_owned()),
        HirKind::Class(Class::Unicode(class)) => {
            // The first printable character of the class, and one in its middle.
            for range in class.ranges().iter().take(3) {
                let printable = range.start().max('!');
                parts.extend((printable <= range.end()).then(|| printable.to_string()));
                parts.push(range.end().to_string());
            }
        }
        HirKind::Class(Class::Bytes(class)) => {
            parts.extend(
                class
                    .ranges()
                    .iter()
                    .take(3)
                    .map(|it| char::from(it.end()).to_string()),
            );
        }
        HirKind::Repetition(it) => collect(&it.sub, parts),
        HirKind::Capture(it) => collect(&it.sub, parts),
        HirKind::Concat(all) | HirKind::Alternation(all) => {
            for it in all {
                collect(it, parts);
            }
        }
        HirKind::Empty | HirKind::Look(_) => {}
    }
}

/// Counts the bytes read while all matches of a line are found; stops once the verdict is clear.
fn reads(dfa: &DFA, cache: &mut Cache, line: &str) -> usize {
    let bytes = line.as_bytes();
    let (mut from, mut reads) = (0, 0);
    while from <= bytes.len() && reads <= 4 * READS_PER_BYTE_MAX * LINE_BYTES {
        let Some((end, read)) = search(dfa, cache, bytes, from) else {
            break;
        };
        reads += read;
        match end {
            Some(end) => from = end.max(from + 1),
            None => break,
        }
    }
    reads
}

/// Finds the end of the first match from a place on, and the number of bytes that this took.
fn search(
    dfa: &DFA,
    cache: &mut Cache,
    bytes: &[u8],
    from: usize,
) -> Option<(Option<usize>, usize)> {
    let input = Input::new(bytes)
        .span(from..bytes.len())
        .anchored(Anchored::No);
    let mut state = dfa.start_state_forward(cache, &input).ok()?;
    let mut end = None;
    for (at, &byte) in bytes.iter().enumerate().skip(from) {
        state = dfa.next_state(cache, state, byte).ok()?;
        if state.is_match() {
            // A match is told one byte late.
            end = Some(at);
        } else if state.is_dead() || state.is_quit() {
            return Some((end, at + 1 - from));
        }
    }
    state = dfa.next_eoi_state(cache, state).ok()?;
    if state.is_match() && dfa.match_pattern(cache, state, 0) == PatternID::ZERO {
        end = Some(bytes.len());
    }
    Some((end, bytes.len() - from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_cost_is_found_and_a_linear_one_is_not() {
        for pattern in [".*[^A-Z]|[A-Z]", "a.*z|a", "[0-9]+(x.*y)?", "(?s)<.*>|<"] {
            assert!(reads_per_byte(pattern).is_some(), "{pattern}");
        }
        for pattern in [
            "ORD-[A-Z0-9]+",
            "user (?<value>\\w+) logged in",
            "[0-9a-v]{32}",
            "(a+)+",
            "a.{0,30}b|a",
            "^(?<time>\\S+) (?<message>.*)$",
        ] {
            assert_eq!(reads_per_byte(pattern), None, "{pattern}");
        }
    }
}
