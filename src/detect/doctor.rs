//! The cardinality doctor: which channels say one thing in many texts, what varies in them, and what to do about it.
//!
//! It must never show a value that was not redacted: it reads templates and kept examples only. Invariant: every figure
//! that is no count says so.

use std::collections::BTreeMap;

use super::World;
use super::catalogue::Signature;
use super::channels::as_f64;
use super::view::{ChannelDoctor, DoctorView, VaryingView};
use crate::model::SignatureId;

/// Name and version of the answer's form.
const SCHEMA: &str = "fatalmonitor/doctor/v1";

/// Signatures of a channel whose varying positions are shown.
const SIGNATURES_SHOWN: usize = 5;

/// Positions of one signature that are shown.
const POSITIONS_SHOWN: usize = 4;

/// Example values of one position, and the longest of them in characters.
const VALUES_SHOWN: usize = 5;
const VALUE_CHARS_MAX: usize = 80;

/// Texts that are read for example values.
const TEXTS_READ: usize = 64;

/// Words that say nothing of what follows them.
const STOP_WORDS: [&str; 24] = [
    "a", "after", "against", "an", "and", "at", "by", "for", "from", "got", "has", "in", "into",
    "is", "not", "of", "on", "the", "to", "took", "via", "was", "while", "with",
];

/// A mask of a template: what stands before it, and its name.
struct Hole<'a> {
    before: &'a str,
    mask: &'a str,
    /// Position among the words, from 1 on.
    position: usize,
}

impl World {
    /// Says where texts vary, channel by channel, the worst first; only for one channel if it is named.
    pub fn doctor(&self, channel: Option<&str>) -> DoctorView {
        let mut by_channel: BTreeMap<&str, Vec<(SignatureId, &Signature)>> = BTreeMap::new();
        for (id, it) in self.catalogue.iter() {
            if channel.is_none_or(|asked| asked == it.def.channel) {
                let list = by_channel.entry(&it.def.channel).or_default();
                list.push((*id, it));
            }
        }
        let mut channels: Vec<ChannelDoctor> = by_channel
            .into_iter()
            .map(|(name, list)| self.examine(name, list))
            .collect();
        channels.sort_by(|a, b| {
            (b.fingerprints, b.distinct_texts_estimated)
                .cmp(&(a.fingerprints, a.distinct_texts_estimated))
                .then_with(|| a.channel.cmp(&b.channel))
        });
        DoctorView {
            schema: SCHEMA,
            channels,
        }
    }

    fn examine(&self, name: &str, mut list: Vec<(SignatureId, &Signature)>) -> ChannelDoctor {
        let merged = |id: SignatureId| self.catalogue.learned.members(id).count() as u64;
        list.sort_by_cached_key(|(id, it)| std::cmp::Reverse((merged(*id), it.events, *id)));
        let varying = list
            .iter()
            .take(SIGNATURES_SHOWN)
            .flat_map(|(id, it)| self.varying(*id, it))
            .collect();
        ChannelDoctor {
            channel: name.to_owned(),
            events: list.iter().map(|(_, it)| it.events).sum(),
            distinct_texts_estimated: list.iter().map(|(_, it)| distinct_texts(it)).sum(),
            fingerprints: list.iter().map(|(id, _)| 1 + merged(*id)).sum(),
            signatures: list.len() as u64,
            varying,
        }
    }

    /// Lists the positions of a signature that vary, with examples and advice.
    fn varying(&self, id: SignatureId, signature: &Signature) -> Vec<VaryingView> {
        let template = &signature.def.template;
        let holes = holes(template);
        let learned = &self.catalogue.learned;
        let own = learned.group(id).map(|it| it.own.to_string());
        let merged = own
            .into_iter()
            .chain(learned.members(id).map(|it| it.1.template.to_string()));
        let merged: Vec<String> = merged.take(TEXTS_READ).collect();
        let messages: Vec<&str> = signature
            .samples
            .iter()
            .map(|it| it.message.lines().next().unwrap_or_default())
            .collect();
        let from_merged = values(&holes, template, merged.iter().map(String::as_str));
        let from_samples = values(&holes, template, messages.into_iter());
        holes
            .iter()
            .zip(from_merged.into_iter().zip(from_samples))
            .take(POSITIONS_SHOWN)
            .map(|(hole, (texts, samples))| {
                let texts: Vec<String> = texts.into_iter().filter(|it| *it != hole.mask).collect();
                let learned = texts.len() > 1;
                let mut values = if learned { texts } else { samples };
                values.truncate(VALUES_SHOWN);
                let placeholder = placeholder(hole);
                VaryingView {
                    signature: id,
                    template: template.clone(),
                    position: hole.position,
                    kind: hole.mask.to_owned(),
                    learned,
                    advice: advice(hole, learned, &placeholder),
                    placeholder,
                    values,
                }
            })
            .collect()
    }
}

/// Estimates how many distinct texts a signature had, from how many of its kept examples differ.
fn distinct_texts(signature: &Signature) -> u64 {
    let mut texts: Vec<&str> = signature
        .first_sample
        .iter()
        .chain(&signature.samples)
        .map(|it| it.message.as_str())
        .collect();
    let kept = texts.len();
    texts.sort_unstable();
    texts.dedup();
    if kept < 2 {
        let varies = signature.def.template.contains('<');
        return if varies { signature.events } else { 1 };
    }
    let fresh = as_f64(texts.len().saturating_sub(1) as u64) / as_f64((kept - 1) as u64);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate of a count"
    )]
    let estimate = (as_f64(signature.events) * fresh.min(1.0)).round() as u64;
    estimate
        .max(texts.len() as u64)
        .min(signature.events.max(1))
}

/// Finds the masks of a template.
fn holes(template: &str) -> Vec<Hole<'_>> {
    let mut holes = Vec::new();
    let mut from = 0;
    while let Some(rest) = template.get(from..)
        && let Some(open) = rest.find(['<', '{'])
    {
        let close = if rest.get(open..).is_some_and(|it| it.starts_with('<')) {
            '>'
        } else {
            '}'
        };
        let Some(length) = rest.get(open..).and_then(|it| it.find(close)) else {
            break;
        };
        let mask = rest.get(open..=open + length).unwrap_or_default();
        let start = from + open;
        if super::merge::canonical(mask) == "<*>" {
            let before = template.get(..start).unwrap_or_default();
            holes.push(Hole {
                before,
                mask,
                position: before.split_whitespace().count()
                    + usize::from(before.is_empty() || before.ends_with(char::is_whitespace)),
            });
            from = start + mask.len();
        } else {
            from = start + 1;
        }
    }
    holes
}

/// Returns the distinct texts that stand at each mask in some texts, sorted.
fn values<'a>(
    holes: &[Hole<'_>],
    template: &str,
    texts: impl Iterator<Item = &'a str>,
) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = holes.iter().map(|_| Vec::new()).collect();
    for text in texts {
        let Some(parts) = aligned(holes, template, text) else {
            continue;
        };
        for (list, part) in found.iter_mut().zip(parts) {
            list.push(part.chars().take(VALUE_CHARS_MAX).collect());
        }
    }
    for list in &mut found {
        list.sort_unstable();
        list.dedup();
    }
    found
}

/// Returns what stands at each mask of a template in a text that fits it.
fn aligned<'a>(holes: &[Hole<'_>], template: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut ends: Vec<&str> = Vec::new();
    let mut from = 0;
    for hole in holes {
        ends.push(template.get(from..hole.before.len())?);
        from = hole.before.len() + hole.mask.len();
    }
    let last = template.get(from..)?;
    let mut literals = ends.into_iter();
    let mut rest = text.strip_prefix(literals.next()?)?;
    let mut parts = Vec::new();
    for literal in literals {
        let skip = rest.chars().next().map_or(0, char::len_utf8);
        let at = skip + rest.get(skip..)?.find(literal)?;
        parts.push(rest.get(..at)?);
        rest = rest.get(at + literal.len()..)?;
    }
    parts.push(rest.strip_suffix(last)?);
    Some(parts)
}

/// Names the placeholder that an application should write there, after the word before it.
fn placeholder(hole: &Hole<'_>) -> String {
    let word = hole
        .before
        .rsplit(|it: char| !it.is_ascii_alphabetic() && it != '_')
        .filter(|it| it.len() > 1)
        .take(3)
        .find(|it| !STOP_WORDS.contains(&it.to_ascii_lowercase().as_str()));
    let kind = hole.mask.trim_matches(['<', '>', '{', '}']);
    let name = match word {
        Some(word) => word.to_ascii_lowercase(),
        None if kind == "*" => "value".to_owned(),
        None => kind.to_owned(),
    };
    format!("{{{name}}}")
}

fn advice(hole: &Hole<'_>, learned: bool, placeholder: &str) -> String {
    if hole.mask.starts_with('{') {
        return "the application names it already: nothing to do".to_owned();
    }
    let write = format!(
        "write {placeholder} in the message and pass the value beside it, as PSR-3 and its kin do"
    );
    if learned {
        format!(
            "no mask knows these values, they were learned: {write}; then it is one text from its first line on"
        )
    } else {
        format!(
            "the mask {} finds it; for other tools too, {write}",
            hole.mask
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_found_with_their_words() {
        let holes = holes("Lost topic <*>, user=<num> took {time} of <b> a<ip>");
        let found: Vec<_> = holes
            .iter()
            .map(|it| (it.mask, it.position, placeholder(it)))
            .collect();
        let expected = [
            ("<*>", 3, "{topic}"),
            ("<num>", 4, "{user}"),
            ("{time}", 6, "{user}"),
            ("<ip>", 9, "{user}"),
        ];
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!((found.0, found.1), (expected.0, expected.1));
        }
        assert_eq!((&*found[0].2, &*found[1].2), ("{topic}", "{user}"));
    }

    #[test]
    fn values_are_read_where_a_text_fits() {
        let template = "get for <id> took <num> ms";
        let holes = holes(template);
        let texts = ["get for x1 took 5 ms", "get for x2 took 5 ms", "other"];
        let found = values(&holes, template, texts.into_iter());
        assert_eq!(found, [vec!["x1", "x2"], vec!["5"]]);
    }
}
