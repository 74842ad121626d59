//! From an event to the number of its signature, and the examples that are kept of it.
//!
//! The text is masked for every event; the identity is hashed once per distinct masked text, which is
//! found again by its bytes. Invariant: the id depends on the event and the rules only.

use std::sync::Arc;

use rapidhash::{RapidHashMap, RapidHashSet};

use super::fingerprint::{self, Identity, Masker, redact, signature_id, trace};
use crate::model::{EventTime, LogEvent, Sample, SignatureDef, SignatureId};
use crate::rules::{JoinRule, RuleSet, TraceRules, glob_matches};

/// Distinct masked texts that a worker keeps before it starts afresh at a cut.
const IDENTITIES_MAX: usize = 50_000;

/// Examples of a signature that a worker hands over before it holds back.
const SAMPLES_FIRST: u32 = 4;

/// Seconds of event time between later examples of one signature.
const SAMPLE_EVERY_SECONDS: i64 = 60;

/// Longest example message, in bytes.
const MESSAGE_MAX: usize = 2048;

/// Longest example trace, in bytes.
const TRACE_MAX: usize = 4096;

/// Finds the signatures of events.
#[derive(Debug)]
pub(super) struct Identifier {
    rules: Arc<RuleSet>,
    masker: Masker,
    known: RapidHashMap<Box<[u8]>, u32>,
    definitions: Vec<SignatureDef>,
    sampled: Vec<Sampled>,
    /// Channels that no join rule names, by text, so that most events need no glob.
    unjoined: RapidHashSet<Box<str>>,
    /// Places of the rules' own masks by channel; empty without any.
    masks: RapidHashMap<Box<str>, Box<[usize]>>,
    key: Vec<u8>,
    masked: String,
}

#[derive(Clone, Copy, Debug)]
struct Sampled {
    given: u32,
    last: EventTime,
}

impl Identifier {
    /// Makes an identifier for these rules.
    pub(super) fn new(rules: Arc<RuleSet>) -> Self {
        Self {
            rules,
            masker: Masker::new(),
            known: RapidHashMap::default(),
            definitions: Vec::new(),
            sampled: Vec::new(),
            unjoined: RapidHashSet::default(),
            masks: RapidHashMap::default(),
            key: Vec::new(),
            masked: String::new(),
        }
    }

    /// Lists the definitions by the numbers that [`Identifier::signature`] gives.
    pub(super) fn definitions(&self) -> &[SignatureDef] {
        &self.definitions
    }

    /// Returns the number of an event's signature.
    pub(super) fn signature(&mut self, channel: &str, event: &LogEvent<'_>) -> u32 {
        if self.rules.masks.is_empty() {
            return self.identified(channel, event, &Parts::of(event));
        }
        let mut masked = std::mem::take(&mut self.masked);
        let mut parts = Parts::of(event);
        if self.mask(channel, parts.message, &mut masked) {
            parts.message = &masked;
        }
        let number = self.identified(channel, event, &parts);
        self.masked = masked;
        number
    }

    /// Replaces what the rules' own masks match; returns whether any did.
    fn mask(&mut self, channel: &str, text: &str, out: &mut String) -> bool {
        if !self.masks.contains_key(channel) {
            let places = self.rules.masks.for_channel(channel);
            self.masks.insert(channel.into(), places.into());
        }
        let places = self.masks.get(channel).map_or(&[][..], |it| it);
        let text = fingerprint::looked_at(text);
        self.rules.masks.apply(places, text, out)
    }

    fn identified(&mut self, channel: &str, event: &LogEvent<'_>, parts: &Parts<'_>) -> u32 {
        let frame = parts.frame(&self.rules.trace);
        let class = event.level.class().name();
        self.key.clear();
        for part in [
            channel,
            class,
            parts.exception.unwrap_or_default(),
            frame.as_deref().unwrap_or_default(),
        ] {
            self.key.extend_from_slice(part.as_bytes());
            self.key.push(0xff);
        }
        self.key
            .extend_from_slice(self.masker.canonical(parts.message).as_bytes());
        let join = self.join(channel, event);
        for (name, value) in joined(join, &self.rules, event) {
            self.key.push(0xff);
            self.key.extend_from_slice(name.as_bytes());
            self.key.push(0xff);
            self.key.extend_from_slice(value.as_bytes());
        }
        if let Some(&number) = self.known.get(self.key.as_slice()) {
            return number;
        }
        let joined: Vec<(&str, &str)> = joined(join, &self.rules, event).collect();
        let id = signature_id(&Identity {
            channel,
            level_class: class,
            exception_class: parts.exception,
            template: self.masker.canonical(parts.message),
            frame: frame.as_deref(),
            joined: &joined,
        });
        let mut template = String::new();
        redact::redact(self.masker.template(parts.message), &mut template);
        let number = u32::try_from(self.definitions.len()).unwrap_or(u32::MAX);
        self.definitions.push(SignatureDef {
            id: SignatureId(id),
            channel: channel.to_owned(),
            level: event.level,
            template,
            exception: parts.exception.map(str::to_owned),
            frame,
            joined: joined
                .into_iter()
                .map(|(name, value)| (name.to_owned(), redacted(value, MESSAGE_MAX)))
                .collect(),
        });
        self.sampled.push(Sampled {
            given: 0,
            last: EventTime::MIN,
        });
        self.known.insert(self.key.as_slice().into(), number);
        number
    }

    /// Tells whether another example of a signature is wanted, and notes that it was given.
    pub(super) fn wants_sample(&mut self, signature: u32, at: EventTime) -> bool {
        let Some(sampled) = self.sampled.get_mut(signature as usize) else {
            return false;
        };
        if sampled.given >= SAMPLES_FIRST && at < sampled.last.plus_seconds(SAMPLE_EVERY_SECONDS) {
            return false;
        }
        sampled.given += 1;
        sampled.last = at;
        true
    }

    /// Starts afresh when hostile input has made too many; only right after a cut.
    pub(super) fn shrink(&mut self) {
        if self.definitions.len() > IDENTITIES_MAX {
            self.known.clear();
            self.definitions.clear();
            self.sampled.clear();
        }
        if self.unjoined.len() > IDENTITIES_MAX {
            self.unjoined.clear();
        }
        if self.masks.len() > IDENTITIES_MAX {
            self.masks.clear();
        }
    }

    /// Returns the place of the join rule that applies, if any.
    fn join(&mut self, channel: &str, event: &LogEvent<'_>) -> Option<usize> {
        if self.rules.joins.is_empty() || self.unjoined.contains(channel) {
            return None;
        }
        if !self
            .rules
            .joins
            .iter()
            .any(|it| glob_matches(&it.channel, channel))
        {
            self.unjoined.insert(channel.into());
            return None;
        }
        self.rules
            .joins
            .iter()
            .position(|it| applies(it, channel, event))
    }
}

fn applies(rule: &JoinRule, channel: &str, event: &LogEvent<'_>) -> bool {
    glob_matches(&rule.channel, channel)
        && rule
            .message
            .as_ref()
            .is_none_or(|it| event.message.starts_with(it.as_str()))
}

/// Lists the context fields that join an event's identity.
fn joined<'a>(
    join: Option<usize>,
    rules: &'a RuleSet,
    event: &'a LogEvent<'_>,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    join.and_then(|it| rules.joins.get(it))
        .into_iter()
        .flat_map(|rule| &rule.fields)
        .filter_map(|name| {
            let place = rules.fields.captured(name)?.0;
            let value = event.context.iter().find(|it| it.0 == place)?;
            Some((name.as_str(), &*value.1))
        })
}

/// The parts of an event that make its identity, in the order of preference of SIGNATURES.md §1.
struct Parts<'a> {
    exception: Option<&'a str>,
    message: &'a str,
    trace: &'a str,
    file: &'a str,
}

impl<'a> Parts<'a> {
    fn of(event: &'a LogEvent<'_>) -> Self {
        let exception = event.exception.as_ref();
        let thrown = exception.map_or("", |it| &*it.message);
        let text = if !event.normalized.is_empty() {
            &*event.normalized
        } else if thrown.is_empty() {
            &*event.message
        } else {
            thrown
        };
        let unwrapped = fingerprint::prefix::unwrap(text);
        let named = exception.map(|it| &*it.class).filter(|it| !it.is_empty());
        Self {
            exception: named.or(unwrapped.exception_class),
            message: unwrapped.message,
            trace: exception.map_or("", |it| &*it.trace),
            file: exception
                .map(|it| &*it.file)
                .filter(|it| !it.is_empty())
                .or(unwrapped.file)
                .unwrap_or_default(),
        }
    }

    /// Returns the top in-app frame, or the file that the exception or message names.
    fn frame(&self, rules: &TraceRules) -> Option<String> {
        let from_trace = if self.trace.is_empty() {
            None
        } else {
            let says_nothing = rules.app.is_empty() && rules.library.is_empty();
            trace::parse(self.trace).key_by(|frame| {
                (!says_nothing)
                    .then(|| rules.is_app(&frame.key()))
                    .flatten()
            })
        };
        from_trace.or_else(|| (!self.file.is_empty()).then(|| trace::file_key(self.file)))
    }
}

/// Makes a redacted example of an event.
pub(super) fn sample(event: &LogEvent<'_>, at: EventTime) -> Sample {
    let trace = event.exception.as_ref().map_or("", |it| &*it.trace);
    Sample {
        signature: 0,
        at,
        host: redacted(&event.host, 128),
        version: redacted(&event.version, 128),
        message: redacted(&event.message, MESSAGE_MAX),
        trace: redacted(trace, TRACE_MAX),
        url: redacted(&event.url, MESSAGE_MAX),
        request_id: redacted(&event.request_id, 128),
    }
}

fn redacted(text: &str, max: usize) -> String {
    let text = text.get(..text.floor_char_boundary(max)).unwrap_or(text);
    let mut out = String::new();
    redact::redact(text, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::fingerprint::Kind;
    use crate::rules::MASK_KINDS;

    #[test]
    fn every_kind_that_a_rule_may_show_is_read_as_a_mask() {
        for kind in MASK_KINDS {
            let mask = format!("<{kind}>");
            assert_eq!(super::fingerprint::canonical_of(&mask), "<*>", "{mask}");
        }
        assert_eq!(Kind::Id.mask(), "<id>");
    }
}
