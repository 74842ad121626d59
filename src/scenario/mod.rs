//! Scenarios: a file that tells a story of deployments and errors becomes a stream of records, and the
//! alerts that were said about it become a report.
//!
//! Pure and deterministic: the same file, seed and options give the same bytes. It must never know how
//! records are decoded or judged; the report sees nothing but the alert log.

mod file;
mod fleet;
pub mod load;
mod plan;
mod random;
mod record;
pub mod report;
mod rollout;
mod stream;
mod template;

pub use file::{Control, Shape, Symptom};
pub use stream::{
    MARKERS_TOPIC, ScenarioItem, ScenarioRecord, Stream, StreamOptions, UDP2LOG_TOPIC,
};

use crate::model::{DeployMarker, EventTime};
use crate::rules;
use file::ScenarioFile;
use plan::Plan;

/// The week of January 2016 in which the session rework was rolled out and back.
const INCIDENT: &str = include_str!("../../tests/scenarios/incident_20160123.toml");

/// A few hours of the same story in the log lines of that month.
const JANUARY: &str = include_str!("../../tests/scenarios/january_2016.toml");

/// A checked scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    file: ScenarioFile,
}

/// What is wrong with a scenario file: every problem found, one a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ScenarioError(pub Vec<String>);

impl Scenario {
    /// Reads a scenario; the error lists all that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let file: ScenarioFile = toml::from_str(text)
            .map_err(|error| ScenarioError(vec![error.to_string().trim_end().to_owned()]))?;
        let mut problems = Vec::new();
        if file.from >= file.to {
            problems.push(format!(
                "`from` {} is not before `to` {}",
                file.from, file.to
            ));
        }
        if let Err(more) = Plan::new(&file, file.shape, &file.shares, 1.0) {
            problems.extend(more);
        }
        let scenario = Self { file };
        if let Err(more) = rules::RuleSet::parse(&scenario.rules()) {
            problems.extend(more.iter().map(ToString::to_string));
        }
        if problems.is_empty() {
            Ok(scenario)
        } else {
            Err(ScenarioError(problems))
        }
    }

    /// Returns the built-in incident of January 2016.
    ///
    /// # Panics
    /// Never: a test reads the constant text.
    pub fn incident() -> Self {
        #[expect(clippy::expect_used, reason = "a test reads this constant text")]
        Self::parse(INCIDENT).expect("the built-in incident is valid")
    }

    /// Returns the small built-in scenario in the log lines of January 2016, which name no version.
    ///
    /// # Panics
    /// Never: a test reads the constant text.
    pub fn january_2016() -> Self {
        #[expect(clippy::expect_used, reason = "a test reads this constant text")]
        Self::parse(JANUARY).expect("the built-in lines of January 2016 are valid")
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// Returns its title.
    pub fn title(&self) -> &str {
        &self.file.title
    }

    /// Returns its start.
    pub const fn from(&self) -> EventTime {
        self.file.from
    }

    /// Returns its end.
    pub const fn to(&self) -> EventTime {
        self.file.to
    }

    /// Returns from when people look on: before it, the baseline is learned; from it on, alerts count.
    pub const fn show_from(&self) -> EventTime {
        self.file.show_from
    }

    /// Returns the rule texts it is to be judged by, as `(name, text)`: the built-in ones and its own.
    pub fn rules(&self) -> Vec<(&str, &str)> {
        vec![
            ("built-in rules", rules::BUILT_IN),
            ("scenario rules", &self.file.rules),
        ]
    }

    /// Lists the symptoms that are to be told.
    pub fn symptoms(&self) -> &[Symptom] {
        &self.file.symptom
    }

    /// Lists what must not be told.
    pub fn controls(&self) -> &[Control] {
        &self.file.control
    }

    /// Lists the deploy markers in the order of time, at the times when people announced them.
    pub fn markers(&self) -> Vec<DeployMarker> {
        let mut markers: Vec<DeployMarker> = self
            .file
            .deployment
            .iter()
            .filter(|it| it.marker)
            .map(|it| DeployMarker {
                id: it.id.clone(),
                at: it.announced.unwrap_or(it.at),
                kind: it.kind,
                version: it.version.clone(),
                group: it.group.clone(),
                host: it.host.clone(),
                reference: it.reference.clone(),
                expected: it.expected.clone(),
            })
            .collect();
        markers.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        markers
    }

    /// Tells which version most hosts of a group run at a time, by what was really rolled out.
    pub fn version_at(&self, group: &str, at: EventTime) -> &str {
        let switched = self
            .file
            .deployment
            .iter()
            .filter(|it| it.at <= at && it.units.iter().any(|unit| unit == group))
            .max_by_key(|it| it.at);
        switched
            .and_then(|it| it.version.as_deref())
            .unwrap_or(&self.file.initial_version)
    }
}

#[cfg(test)]
mod tests;
