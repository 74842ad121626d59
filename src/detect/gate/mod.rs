//! The deploy gate: may a version go on to the next group, as of some moment.
//!
//! It weighs what the detectors said by then against how much was seen, and says which is missing. It must
//! never pass for lack of data, nor look at anything that happened after the moment it is asked about.
//! Invariant: the same question about the same moment has the same answer whenever it is asked.

mod decision;
mod forecast;
mod judge;
mod kept;
mod look;

#[cfg(test)]
pub(super) mod tests;

pub use decision::{
    Effect, GateDecision, GateExposure, GateForecast, GateGroup, GateQuery, GateReason, GateRule,
    Verdict, verdict_of,
};
pub(super) use kept::Gates;

use super::World;
use super::past::{Past, PastError};
use super::words;
use look::Look;

/// Records of a release without which a gate does not pass.
// Rule of three: a problem that shows in none of n records makes up less than 3/n of them with 95 % certainty.
// 1,000 bound it at 0.3 %. The errors of January 2016 on group0 were 40 % of its records and more.
const RECORDS_MIN: u64 = 1_000;

/// Seconds after the latest change before which a gate does not pass.
// A new error needs two buckets, a rate the close of a minute, a silence two minutes.
const SETTLE_SECONDS: i64 = 120;

/// Reasons in one decision.
const REASONS_MAX: usize = 60;

impl World {
    /// Decides whether a version is good, as far as can be known as of some moment.
    pub fn gate(&self, query: &GateQuery, past: &dyn Past) -> Result<GateDecision, PastError> {
        let records_min = query.records_min.unwrap_or(RECORDS_MIN);
        let Some(look) = Look::new(self, query, past)? else {
            return Ok(nothing_known(query, records_min));
        };
        let mut reasons = look.reasons()?;
        let groups = look.stages()?;
        let exposure = look.exposure(&groups, records_min);
        reasons.extend(look.gaps(&groups, &exposure));
        reasons.sort_by(|a, b| {
            (a.effect, b.severity, b.events, &a.text)
                .cmp(&(b.effect, a.severity, a.events, &b.text))
        });
        reasons.truncate(REASONS_MAX);
        let forecast = look.forecast(&reasons)?;
        let verdict = verdict_of(&reasons);
        Ok(GateDecision {
            id: String::new(),
            verdict,
            version: query.version.clone(),
            group: look.asked().unwrap_or("*").to_owned(),
            at: look.at(),
            is_past: look.is_past(),
            asked_at: None,
            summary: summary(verdict, query, &reasons, &exposure),
            exposure,
            groups,
            reasons,
            forecast,
        })
    }
}

impl GateDecision {
    /// Adds what the pipeline knows of itself, such as lag, and weighs the verdict again.
    #[must_use]
    pub fn with_health(mut self, problems: &[String]) -> Self {
        for problem in problems {
            self.reasons.push(GateReason::new(
                Effect::Inconclusive,
                GateRule::Lag,
                words::clip(problem, 300),
            ));
        }
        self.reasons.sort_by_key(|it| it.effect);
        let verdict = verdict_of(&self.reasons);
        if verdict != self.verdict {
            self.verdict = verdict;
            let query = GateQuery {
                version: self.version.clone(),
                group: Some(self.group.clone()),
                ..GateQuery::default()
            };
            self.summary = summary(verdict, &query, &self.reasons, &self.exposure);
        }
        self
    }
}

fn nothing_known(query: &GateQuery, records_min: u64) -> GateDecision {
    let text = "nothing was decided by then: no record had been read".to_owned();
    let reasons = vec![GateReason::new(
        Effect::Inconclusive,
        GateRule::Learning,
        text,
    )];
    let exposure = GateExposure {
        records_min,
        ..GateExposure::default()
    };
    GateDecision {
        id: String::new(),
        verdict: Verdict::Inconclusive,
        version: query.version.clone(),
        group: query.group.clone().unwrap_or_else(|| "*".to_owned()),
        at: query.at.unwrap_or_default(),
        is_past: false,
        asked_at: None,
        summary: summary(Verdict::Inconclusive, query, &reasons, &exposure),
        exposure,
        groups: Vec::new(),
        reasons,
        forecast: Vec::new(),
    }
}

/// Says the verdict in one sentence.
fn summary(
    verdict: Verdict,
    query: &GateQuery,
    reasons: &[GateReason],
    exposure: &GateExposure,
) -> String {
    let group = query.group.as_deref().filter(|it| *it != "*");
    let place = group.map_or_else(
        || format!("{} in all its groups", query.version),
        |group| format!("{} in {group}", query.version),
    );
    let why = |wanted: fn(Effect) -> bool| {
        let mut of = reasons.iter().filter(|it| wanted(it.effect));
        let first = of.next().map_or("", |it| it.text.as_str()).to_owned();
        match of.count() {
            0 => first,
            more => format!("{first} (and {more} more)"),
        }
    };
    let text = match verdict {
        Verdict::Fail => format!("{place}: {}", why(|it| it == Effect::Fail)),
        Verdict::Inconclusive => format!(
            "{place}: {}",
            why(|it| matches!(it, Effect::Blind | Effect::Inconclusive))
        ),
        Verdict::Pass => format!(
            "{place}: nothing new or worse in {} records{}",
            words::count(exposure.records),
            exposure.share_bound.map_or_else(String::new, |it| format!(
                "; what never showed is below {} of them with 95 % certainty",
                share(it)
            ))
        ),
    };
    words::clip(&text, 400)
}

/// Returns a small share in words: `0.3 %`.
fn share(value: f64) -> String {
    let percent = value * 100.0;
    if percent >= 9.95 {
        format!("{percent:.0} %")
    } else if percent >= 0.095 {
        format!("{percent:.1} %")
    } else if percent >= 0.001 {
        format!("{percent:.3} %")
    } else {
        "0.001 %".to_owned()
    }
}
