//! What is kept of a merge: the aliases, and of each signature with aliases its templates and reasons.
//!
//! Invariant: an alias points to a signature, never to another alias.

use serde::{Deserialize, Serialize};

use super::super::merge::Rule;
use crate::model::{EventTime, SignatureId};

/// Reasons that are kept of one signature.
const REASONS_MAX: usize = 32;

/// Templates of one signature that later fingerprints may fit.
pub(super) const TEMPLATES_MAX: usize = 4;

/// Longest evidence that is kept, in characters.
const EVIDENCE_CHARS_MAX: usize = 400;

/// Why a fingerprint belongs to a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::detect) enum Cause {
    /// A comparison found it; the place of the reason in its group.
    Learned(u8),
    /// It fits what had been learned when it was first seen.
    Fits,
    /// A `[[signature.merge]]` of the rules.
    Rule,
}

/// A fingerprint that is known by another's id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::detect) struct Alias {
    pub(in crate::detect) to: SignatureId,
    pub(in crate::detect) cause: Cause,
    /// Since when.
    pub(in crate::detect) at: EventTime,
    /// Its own first event.
    pub(in crate::detect) first: EventTime,
    /// Its own template.
    pub(in crate::detect) template: Box<str>,
}

/// Why a template was generalised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::detect) struct Reason {
    pub(in crate::detect) rule: Rule,
    pub(in crate::detect) evidence: String,
}

/// What a signature with aliases has in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::detect) struct Group {
    /// The template of the fingerprint whose id the signature has.
    pub(in crate::detect) own: Box<str>,
    /// The learned templates, in the compared form; none where only rules merged.
    pub(in crate::detect) templates: Vec<Box<str>>,
    pub(in crate::detect) reasons: Vec<Reason>,
    /// Fingerprints that fitted when they were first seen, counted in each bucket where they are not kept.
    pub(in crate::detect) fitting: u64,
}

impl Group {
    /// Keeps a reason; returns its place.
    pub(super) fn reason(&mut self, reason: Option<(Rule, String)>) -> Cause {
        let (rule, evidence) = reason.unwrap_or_else(|| {
            let words = "equal once structured values are one";
            (Rule::Structure, words.to_owned())
        });
        let reason = Reason {
            rule,
            evidence: evidence.chars().take(EVIDENCE_CHARS_MAX).collect(),
        };
        let place = self.reasons.iter().position(|it| *it == reason);
        let place = place.unwrap_or_else(|| {
            if self.reasons.len() < REASONS_MAX {
                self.reasons.push(reason);
            }
            self.reasons.len() - 1
        });
        Cause::Learned(u8::try_from(place).unwrap_or(u8::MAX))
    }

    /// Takes the reasons of another group over; returns how a cause of it is called here.
    pub(super) fn adopt(&mut self, other: &Self, cause: Cause) -> Cause {
        let Cause::Learned(place) = cause else {
            return cause;
        };
        let reason = other.reasons.get(usize::from(place));
        self.reason(reason.map(|it| (it.rule, it.evidence.clone())))
    }
}
