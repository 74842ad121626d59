//! What a gate says: a verdict, the reasons with their numbers, and what the next stage has to expect.
//!
//! Plain data, kept as it was decided. Invariant: a decision that is kept is never reckoned again.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{AlertId, EventTime, Severity, SignatureId};

/// What the gate comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing speaks against it, and enough was seen.
    Pass,
    /// Something is worse on it.
    Fail,
    /// Not enough is known.
    Inconclusive,
}

impl Verdict {
    /// Returns the name used in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        }
    }

    /// Returns the word that people read.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Inconclusive => "INCONCLUSIVE",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a reason does to the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It makes the gate fail.
    Fail,
    /// It makes the gate inconclusive, also where a warning would make it fail: we are blind.
    Blind,
    /// It makes a gate that would pass inconclusive.
    Inconclusive,
    /// It changes nothing, but is worth knowing.
    Note,
}

/// The rule that a reason comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateRule {
    /// An alert about the release fires.
    OpenAlert,
    /// An alert about the release fires in another group, an earlier stage.
    EarlierStage,
    /// A change went out after the last event, but too little time has passed to call it a fix.
    FixUnproven,
    /// A change ended it.
    Fixed,
    /// An error that only this release has, with too few events to be told.
    Undecided,
    /// Fewer records than the minimum.
    TooLittleExposure,
    /// The release or its latest change is too fresh for the detectors.
    TooEarly,
    /// The release was not seen there.
    NeverSeen,
    /// The release no longer runs there.
    NotRunning,
    /// A channel has gone silent.
    SilentChannel,
    /// A cap hides records of the release.
    CappedChannel,
    /// Records were gone before they could be read.
    DataGap,
    /// The monitor is behind, or reads nothing.
    Lag,
    /// Too little was seen before to know what is usual.
    Learning,
    /// The errors come from one host.
    BadHost,
    /// Somebody declared it beforehand, and it keeps within its bound.
    Planned,
    /// Somebody muted it.
    Muted,
    /// Too small for a warning.
    Minor,
}

impl GateRule {
    /// Returns the name used in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAlert => "open_alert",
            Self::EarlierStage => "earlier_stage",
            Self::FixUnproven => "fix_unproven",
            Self::Fixed => "fixed",
            Self::Undecided => "undecided",
            Self::TooLittleExposure => "too_little_exposure",
            Self::TooEarly => "too_early",
            Self::NeverSeen => "never_seen",
            Self::NotRunning => "not_running",
            Self::SilentChannel => "silent_channel",
            Self::CappedChannel => "capped_channel",
            Self::DataGap => "data_gap",
            Self::Lag => "lag",
            Self::Learning => "learning",
            Self::BadHost => "bad_host",
            Self::Planned => "planned",
            Self::Muted => "muted",
            Self::Minor => "minor",
        }
    }
}

/// One reason, or one thing worth knowing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateReason {
    /// What it does to the verdict.
    pub effect: Effect,
    /// The rule that it comes from.
    pub rule: GateRule,
    /// One sentence with its numbers. Redacted.
    pub text: String,
    /// Kind of the alert, if it is about one.
    pub kind: Option<String>,
    /// Severity of that alert.
    pub severity: Option<Severity>,
    /// Id of that alert.
    pub alert: Option<AlertId>,
    /// Signature, if it is about one.
    pub signature: Option<SignatureId>,
    /// Template of that signature; empty if none. Redacted.
    pub template: String,
    /// Channel; empty if it is not about one.
    pub channel: String,
    /// Groups in which it shows.
    pub groups: Vec<String>,
    /// Events on the release since its latest change, within the last day.
    pub events: u64,
    /// Events per minute over that time.
    pub rate_per_min: Option<f64>,
    /// When it began.
    pub first_seen: Option<EventTime>,
    /// End of the last minute with an event.
    pub last_seen: Option<EventTime>,
}

impl GateReason {
    /// Makes a reason that is only a sentence.
    pub fn new(effect: Effect, rule: GateRule, text: String) -> Self {
        Self {
            effect,
            rule,
            text,
            kind: None,
            severity: None,
            alert: None,
            signature: None,
            template: String::new(),
            channel: String::new(),
            groups: Vec::new(),
            events: 0,
            rate_per_min: None,
            first_seen: None,
            last_seen: None,
        }
    }
}

/// The release in one group, as far as the gate looks at it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateGroup {
    /// Group; `-` if unknown.
    pub group: String,
    /// From when on it is judged: its first record, or its latest announced change.
    pub since: EventTime,
    /// Name of the marker of that change, if it was announced.
    pub marker: Option<String>,
    /// Records since then.
    pub records: u64,
    /// Whether it had a record in the last ten minutes.
    pub running: bool,
}

/// How much was seen, and what that is enough for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GateExposure {
    /// Records of the release since its latest change.
    pub records: u64,
    /// Records that are needed.
    pub records_min: u64,
    /// Records a minute over the last quarter of an hour.
    pub records_per_min: f64,
    /// Share of records below which a problem that never showed lies, with 95 % certainty; `None` without any record.
    pub share_bound: Option<f64>,
    /// Seconds until enough is seen at this rate; `None` if it is enough, or nothing comes.
    pub seconds_left: Option<i64>,
}

/// What the next stage has to expect of one open error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateForecast {
    /// Signature.
    pub signature: SignatureId,
    /// Its template. Redacted.
    pub template: String,
    /// Groups in which it shows.
    pub from_groups: Vec<String>,
    /// Events per minute there.
    pub rate_per_min: f64,
    /// The group that comes next.
    pub to_group: String,
    /// Times the traffic of the groups in which it shows.
    pub traffic_ratio: f64,
    /// Lower end of the 90 % interval, events per minute.
    pub low_per_min: f64,
    /// Expected events per minute.
    pub expected_per_min: f64,
    /// Upper end of the 90 % interval, events per minute.
    pub high_per_min: f64,
    /// The same in words.
    pub text: String,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateDecision {
    /// Name under which it is kept; empty if it is not.
    pub id: String,
    /// What it comes to.
    pub verdict: Verdict,
    /// Version that was asked about.
    pub version: String,
    /// Group that was asked about; `*` for all.
    pub group: String,
    /// Event time as of which it was decided.
    pub at: EventTime,
    /// Whether that lay in the past when it was asked.
    pub is_past: bool,
    /// Wall-clock time of the question, where there is a wall clock.
    pub asked_at: Option<EventTime>,
    /// The verdict in one sentence. Redacted.
    pub summary: String,
    /// How much was seen.
    pub exposure: GateExposure,
    /// The release in each group that is looked at.
    pub groups: Vec<GateGroup>,
    /// The reasons, gravest first; then what is worth knowing.
    pub reasons: Vec<GateReason>,
    /// What the next stages have to expect.
    pub forecast: Vec<GateForecast>,
}

/// A question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GateQuery {
    /// Version.
    pub version: String,
    /// Group; all groups in which the version was seen if absent.
    pub group: Option<String>,
    /// As of when; now if absent.
    pub at: Option<EventTime>,
    /// Records that are needed, if not the default.
    pub records_min: Option<u64>,
}

/// Returns the verdict that some reasons come to.
///
/// A channel that is silent makes a gate inconclusive even where a warning speaks against the release: what
/// silenced it may have changed the other channels too. What is critical stands all the same.
pub fn verdict_of(reasons: &[GateReason]) -> Verdict {
    let any = |effect| reasons.iter().any(|it| it.effect == effect);
    let is_critical = |it: &GateReason| {
        it.effect == Effect::Fail && it.severity.is_some_and(|it| it >= Severity::Critical)
    };
    if reasons.iter().any(is_critical) {
        Verdict::Fail
    } else if any(Effect::Blind) {
        Verdict::Inconclusive
    } else if any(Effect::Fail) {
        Verdict::Fail
    } else if any(Effect::Inconclusive) {
        Verdict::Inconclusive
    } else {
        Verdict::Pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(effect: Effect, severity: Option<Severity>) -> GateReason {
        GateReason {
            severity,
            ..GateReason::new(effect, GateRule::OpenAlert, String::new())
        }
    }

    #[test]
    fn blindness_outweighs_a_warning_but_not_what_is_critical() {
        let blind = || reason(Effect::Blind, None);
        let warning = || reason(Effect::Fail, Some(Severity::Warning));
        let critical = || reason(Effect::Fail, Some(Severity::Critical));
        let scarce = || reason(Effect::Inconclusive, None);
        assert_eq!(verdict_of(&[]), Verdict::Pass);
        assert_eq!(verdict_of(&[reason(Effect::Note, None)]), Verdict::Pass);
        assert_eq!(verdict_of(&[scarce()]), Verdict::Inconclusive);
        assert_eq!(verdict_of(&[scarce(), warning()]), Verdict::Fail);
        assert_eq!(verdict_of(&[warning(), blind()]), Verdict::Inconclusive);
        assert_eq!(verdict_of(&[critical(), blind()]), Verdict::Fail);
    }
}
