//! What a replay shows: for each symptom when we said it and when people did, and whether anything was
//! said that must not be.
//!
//! It reads nothing but the scenario and the alert log. Invariant: an alert that was withheld from people
//! was not said.

mod said;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Control, Scenario, Symptom};
use crate::model::{AlertKind, AlertTransition, EventTime, Severity};
use said::{Said, said_in};

/// The report on a replay of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Name of the scenario.
    pub scenario: String,
    /// One line a symptom, in the order of the file.
    pub symptoms: Vec<SymptomResult>,
    /// One line for each thing that must not be said.
    pub controls: Vec<ControlResult>,
    /// How much was said since people look on.
    pub firings: Firings,
    /// Whether every dated symptom that is not soft was said in time, no control was violated, and not too much was said.
    pub passed: bool,
}

/// When a symptom was said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SymptomResult {
    /// Name of the symptom.
    pub id: String,
    /// What was wrong.
    pub title: String,
    /// Ticket, if it has one.
    pub task: Option<String>,
    /// When it was first said rightly; `None` if it never was.
    pub said_at: Option<EventTime>,
    /// How it was said.
    pub kind: Option<AlertKind>,
    /// The sentence that said it.
    pub summary: Option<String>,
    /// The deadline.
    pub must_alert_by: Option<EventTime>,
    /// When people noticed.
    pub human_noticed: Option<EventTime>,
    /// Minutes gained over people; negative if they were faster.
    pub lead_minutes: Option<f64>,
    /// Whether it was said by its deadline; true where there is none.
    pub in_time: bool,
    /// Whether it was said before people noticed; true where they did not.
    pub before_people: bool,
    /// Whether it is hoped for, but not required.
    pub soft: bool,
}

/// Whether something was said that must not be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ControlResult {
    /// Name of the control.
    pub id: String,
    /// Why an alert would be wrong.
    pub why: String,
    /// Whether it held.
    pub held: bool,
    /// What was said, if it did not.
    pub violations: Vec<Firing>,
}

/// One thing that was said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Firing {
    /// Id of the alert.
    pub id: String,
    /// When.
    pub at: EventTime,
    /// How.
    pub kind: AlertKind,
    /// How urgently.
    pub severity: Severity,
    /// The sentence.
    pub summary: String,
}

/// How much was said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Firings {
    /// From when on.
    pub since: EventTime,
    /// Alerts of severity warning.
    pub warning: u64,
    /// Alerts of severity critical.
    pub critical: u64,
    /// How many of both together are bearable, if the scenario says.
    pub max: Option<u64>,
    /// Those of both that no symptom of the scenario explains.
    pub unexplained: Vec<Firing>,
}

impl Report {
    /// Judges an alert log.
    pub fn new(scenario: &Scenario, log: &[AlertTransition]) -> Self {
        let said = said_in(log);
        let symptoms: Vec<SymptomResult> = scenario
            .symptoms()
            .iter()
            .map(|it| judge_symptom(it, &said))
            .collect();
        let controls: Vec<ControlResult> = scenario
            .controls()
            .iter()
            .map(|it| judge_control(it, scenario.show_from(), &said))
            .collect();
        let firings = count(scenario, &said);
        let bearable = firings
            .max
            .is_none_or(|max| firings.warning + firings.critical <= max);
        let passed = bearable
            && controls.iter().all(|it| it.held)
            && symptoms.iter().all(|it| it.in_time || it.soft);
        Self {
            scenario: scenario.name().to_owned(),
            symptoms,
            controls,
            firings,
            passed,
        }
    }

    /// Tells whether every dated symptom that is not soft was said before people noticed it.
    pub fn before_people(&self) -> bool {
        self.symptoms.iter().all(|it| it.before_people || it.soft)
    }
}

fn judge_symptom(symptom: &Symptom, said: &[Said<'_>]) -> SymptomResult {
    let due_from = symptom.due_from.unwrap_or(symptom.from);
    let first = said
        .iter()
        .filter(|it| it.at >= symptom.from && it.at < symptom.to && it.until > due_from)
        .filter(|it| it.says(symptom))
        .min_by_key(|it| (it.at, it.seq));
    let said_at = first.map(|it| it.at);
    let by = |limit: Option<EventTime>| match (limit, said_at) {
        (None, _) => true,
        (Some(limit), Some(at)) => at <= limit,
        (Some(_), None) => false,
    };
    SymptomResult {
        id: symptom.id.clone(),
        title: symptom.title.clone(),
        task: symptom.task.clone(),
        said_at,
        kind: first.map(|it| it.alert.key.kind),
        summary: first.map(|it| it.alert.summary.clone()),
        must_alert_by: symptom.must_alert_by,
        human_noticed: symptom.human_noticed,
        lead_minutes: said_at.zip(symptom.human_noticed).map(lead_minutes),
        in_time: by(symptom.must_alert_by),
        before_people: by(symptom.human_noticed),
        soft: symptom.soft,
    }
}

/// Returns the minutes between what we said and what people noticed, to a tenth.
#[expect(clippy::cast_precision_loss, reason = "minutes of a few weeks")]
fn lead_minutes((said_at, noticed): (EventTime, EventTime)) -> f64 {
    (noticed.millis_since(said_at) as f64 / 6_000.0).round() / 10.0
}

fn judge_control(control: &Control, show_from: EventTime, said: &[Said<'_>]) -> ControlResult {
    let from = control.from.unwrap_or(show_from);
    let to = control.to.unwrap_or(EventTime::MAX);
    let mut seen = BTreeSet::new();
    let hits: Vec<&Said<'_>> = said
        .iter()
        .filter(|it| it.at >= from && it.at < to && it.offends(control))
        // An alert that changes while it fires is still one alert.
        .filter(|it| seen.insert(it.alert.id.clone()))
        .collect();
    let violations: Vec<Firing> = match control.per_problem_max {
        Some(max) => {
            let mut by_problem: BTreeMap<_, Vec<&Said<'_>>> = BTreeMap::new();
            for hit in hits {
                by_problem.entry(hit.problem()).or_default().push(hit);
            }
            let too_many = by_problem.into_values().filter(|it| it.len() > max);
            too_many.flatten().map(firing).collect()
        }
        None if hits.len() > control.firings_max => hits.into_iter().map(firing).collect(),
        None => Vec::new(),
    };
    ControlResult {
        id: control.id.clone(),
        why: control.why.clone(),
        held: violations.is_empty(),
        violations,
    }
}

fn firing(said: &Said<'_>) -> Firing {
    Firing {
        id: said.alert.id.to_string(),
        at: said.at,
        kind: said.alert.key.kind,
        severity: said.alert.severity,
        summary: said.alert.summary.clone(),
    }
}

fn count(scenario: &Scenario, said: &[Said<'_>]) -> Firings {
    let since = scenario.show_from();
    let mut firings = Firings {
        since,
        warning: 0,
        critical: 0,
        max: scenario.file.firings_max,
        unexplained: Vec::new(),
    };
    // The severity of an alert is the highest that it had.
    let mut alerts: BTreeMap<&str, &Said<'_>> = BTreeMap::new();
    for it in said.iter().filter(|it| it.at >= since) {
        let worst = alerts.entry(&it.alert.id.0).or_insert(it);
        if it.alert.severity > worst.alert.severity {
            *worst = it;
        }
    }
    let mut loud: Vec<&Said<'_>> = alerts.into_values().collect();
    loud.sort_by_key(|it| (it.at, it.seq));
    for it in loud {
        match it.alert.severity {
            Severity::Info => continue,
            Severity::Warning => firings.warning += 1,
            Severity::Critical => firings.critical += 1,
        }
        if !scenario
            .symptoms()
            .iter()
            .any(|symptom| it.concerns(symptom))
        {
            firings.unexplained.push(firing(it));
        }
    }
    firings
}

#[cfg(test)]
mod tests;
