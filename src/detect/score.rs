//! The "needs attention" score, the state word and the verdict of a signature.
//!
//! Invariant: of two signatures that differ in one respect, the newer, more severe, wider or faster one scores higher.

use super::World;
use super::catalogue::Signature;
use super::channels::{as_f64, minute_before};
use super::mute::MuteTarget;
use super::view::SignatureState;
use super::words;
use crate::model::{AlertKind, EventTime, LevelClass, SignatureId};

/// Seconds without an event after which a signature is quiet.
const QUIET_SECONDS: i64 = 3_600;

/// What the score is made of.
pub(super) struct Rates {
    /// Events per minute over the last five minutes.
    pub(super) now: f64,
    /// Events per minute that are usual.
    pub(super) expected: Option<f64>,
}

impl World {
    pub(super) fn rates(signature: &Signature, now: EventTime) -> Rates {
        let minute = minute_before(now);
        Rates {
            now: as_f64(signature.minutes.sum(minute, 5)) / 5.0,
            expected: signature
                .rate
                .expected(now.plus_millis(-1).seconds().div_euclid(3600)),
        }
    }

    /// Returns what to think of a signature now.
    pub(super) fn state_of(
        &self,
        id: SignatureId,
        signature: &Signature,
        now: EventTime,
    ) -> SignatureState {
        let target = MuteTarget::Signature(id);
        if self.book.mutes.iter().any(|it| it.target == target) {
            return SignatureState::Muted;
        }
        let mut state = None;
        for alert in self.book.about(id) {
            let word = match alert.key.kind {
                AlertKind::New => SignatureState::New,
                AlertKind::Regressed => SignatureState::Regressed,
                AlertKind::Resurfaced => SignatureState::Resurfaced,
                _ => SignatureState::Spike,
            };
            state = Some(state.map_or(word, |it: SignatureState| it.min(word)));
        }
        if let Some(state) = state {
            return state;
        }
        if now.millis_since(signature.last) > QUIET_SECONDS * 1000 {
            return SignatureState::Quiet;
        }
        if self.explains(signature) {
            return SignatureState::New;
        }
        SignatureState::Known
    }

    /// Returns novelty × severity × breadth × ratio, on a scale that has no meaning of its own.
    pub(super) fn score(signature: &Signature, state: SignatureState, rates: &Rates) -> f64 {
        let novelty = match state {
            SignatureState::New => 8.0,
            SignatureState::Regressed | SignatureState::Spike => 6.0,
            SignatureState::Resurfaced => 5.0,
            SignatureState::Known => 1.0,
            SignatureState::Quiet => 0.3,
            SignatureState::Muted => 0.1,
        };
        let severity = match signature.class() {
            LevelClass::Error => 4.0,
            LevelClass::Warning => 2.0,
            LevelClass::Unknown => 1.0,
            LevelClass::Info => 0.5,
        };
        let breadth = 1.0 + as_f64(signature.hosts.distinct()).max(1.0).ln();
        let rise = match rates.expected {
            Some(expected) => ((rates.now + 0.2) / (expected + 0.2)).max(0.1),
            None => 2.0,
        };
        let volume = 1.0 + rates.now.ln_1p();
        novelty * severity * breadth * (1.0 + rise.ln_1p()) * volume
    }

    /// Says in one sentence what to think of a signature, with its numbers.
    pub(super) fn verdict(
        &self,
        signature: &Signature,
        state: SignatureState,
        rates: &Rates,
    ) -> String {
        let version = &signature.first_version;
        let place = words::place(version, &signature.group(Some(version)));
        let now = words::per_min(rates.now);
        let usual = rates.expected.map_or_else(
            || "no usual rate yet".to_owned(),
            |it| format!("usually {}", words::per_min(it)),
        );
        let reference = self
            .releases
            .reference(version, &signature.first_group)
            .filter(|_| self.explains(signature));
        match (state, reference) {
            (SignatureState::New, Some(reference)) => format!(
                "Not seen in {reference} over {} records; {now} in {place}, {} events since {}.",
                words::count(self.records_on(&reference)),
                words::count(signature.events),
                words::time(signature.first)
            ),
            (SignatureState::New, None) => format!(
                "First seen {} in {place}; {now}, {} events so far.",
                words::time(signature.first),
                words::count(signature.events)
            ),
            (SignatureState::Spike | SignatureState::Regressed, _) => {
                let ratio = rates
                    .expected
                    .filter(|it| *it > 0.0)
                    .map_or_else(String::new, |it| {
                        format!(", {} the usual rate", words::times(rates.now / it))
                    });
                format!(
                    "{now} now, {usual}{ratio}; first seen {} on {}.",
                    words::time(signature.first),
                    super::releases::shown(version, "an unknown version")
                )
            }
            (SignatureState::Resurfaced, _) => format!(
                "Back after a long absence: {now}; first seen {}.",
                words::time(signature.first)
            ),
            (SignatureState::Quiet, _) => format!(
                "Quiet since {}; {} events from {} on.",
                words::time(signature.last),
                words::count(signature.events),
                words::time(signature.first)
            ),
            (SignatureState::Muted | SignatureState::Known, _) => format!(
                "As usual: {now}, {usual}; known since {}.",
                words::time(signature.first)
            ),
        }
    }
}
