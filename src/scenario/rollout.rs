//! What runs where, when: deployments spread over the hosts one after another.
//!
//! Invariant: rollouts of one unit do not overlap, so at any moment a unit runs one or two versions.

use super::file::ScenarioFile;
use super::fleet::Fleet;
use super::random::mix;
use crate::model::EventTime;

/// One switch of one unit.
#[derive(Clone, Debug)]
struct Switch {
    start_ms: i64,
    length_ms: i64,
    version: usize,
    salt: u64,
}

/// All switches, by unit, in the order of time.
#[derive(Clone, Debug)]
pub(crate) struct Rollouts {
    initial: usize,
    units: Vec<Vec<Switch>>,
}

/// What a unit runs around some moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running {
    before: usize,
    after: usize,
    start_ms: i64,
    length_ms: i64,
    salt: u64,
}

impl Rollouts {
    /// Reads the deployments; tells what is wrong with them.
    pub(crate) fn new(file: &ScenarioFile, fleet: &Fleet, problems: &mut Vec<String>) -> Self {
        let version_of = |name: &str, problems: &mut Vec<String>| {
            let found = file.versions.iter().position(|it| it == name);
            if found.is_none() {
                problems.push(format!("`{name}` is not among `versions`"));
            }
            found.unwrap_or_default()
        };
        let initial = version_of(&file.initial_version, problems);
        let mut units = vec![Vec::new(); fleet.units.len()];
        for (number, deployment) in (0_u64..).zip(&file.deployment) {
            if deployment.units.is_empty() {
                continue;
            }
            let Some(version) = &deployment.version else {
                problems.push(format!(
                    "[[deployment]] `{}` switches units, but names no version",
                    deployment.id
                ));
                continue;
            };
            let version = version_of(version, problems);
            for unit in &deployment.units {
                let Some(switches) = fleet.unit(unit).and_then(|it| units.get_mut(it)) else {
                    problems.push(format!(
                        "[[deployment]] `{}` names the unit `{unit}`, which no [[wikis]] has",
                        deployment.id
                    ));
                    continue;
                };
                switches.push(Switch {
                    start_ms: deployment.at.millis(),
                    length_ms: minutes_ms(deployment.minutes),
                    version,
                    salt: number,
                });
            }
        }
        for (switches, unit) in units.iter_mut().zip(&fleet.units) {
            switches.sort_by_key(|it: &Switch| it.start_ms);
            let overlap = switches
                .iter()
                .zip(switches.iter().skip(1))
                .any(|(a, b)| a.start_ms + a.length_ms > b.start_ms);
            if overlap {
                problems.push(format!("two rollouts of the unit `{unit}` overlap"));
            }
        }
        Self { initial, units }
    }

    /// Returns what a unit runs around a moment; good until its next switch begins.
    pub(crate) fn running(&self, unit: usize, at: EventTime) -> Running {
        let switches = self.units.get(unit).map_or(&[][..], |it| it);
        let begun = switches.partition_point(|it| it.start_ms <= at.millis());
        let version_before = |n: usize| {
            n.checked_sub(1)
                .and_then(|it| switches.get(it))
                .map_or(self.initial, |it| it.version)
        };
        let last = begun.checked_sub(1).and_then(|it| switches.get(it));
        Running {
            before: version_before(begun.saturating_sub(1)),
            after: version_before(begun),
            start_ms: last.map_or(i64::MIN, |it| it.start_ms),
            length_ms: last.map_or(0, |it| it.length_ms),
            salt: last.map_or(0, |it| it.salt),
        }
    }
}

impl Running {
    /// Returns the version that a host runs at a moment.
    pub(crate) fn version(&self, host_salt: u64, at_ms: i64) -> usize {
        let passed = at_ms.saturating_sub(self.start_ms);
        if passed >= self.length_ms {
            return self.after;
        }
        let length = u64::try_from(self.length_ms).unwrap_or(1).max(1);
        let turn = mix(host_salt, self.salt) % length;
        if u64::try_from(passed).is_ok_and(|it| it >= turn) {
            self.after
        } else {
            self.before
        }
    }

    /// Returns the versions with the share of hosts that run each at a moment.
    #[expect(clippy::cast_precision_loss, reason = "rollouts last minutes")]
    pub(crate) fn shares(&self, at_ms: i64) -> [(usize, f64); 2] {
        let passed = at_ms.saturating_sub(self.start_ms);
        let done = if passed >= self.length_ms {
            1.0
        } else {
            passed.max(0) as f64 / self.length_ms as f64
        };
        [(self.before, 1.0 - done), (self.after, done)]
    }
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
fn minutes_ms(minutes: f64) -> i64 {
    (minutes.max(0.0) * 60_000.0) as i64
}
