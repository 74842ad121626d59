//! What comes by the clock: health checks, traffic records, deploy markers, time stamps.

use serde::Serialize;

use super::{Due, MARKERS_TOPIC, ScenarioItem, Stream};
use crate::model::{EventTime, ExposureRecord};
use crate::scenario::plan::Plan;
use crate::scenario::random::mix;

/// Requests a minute of the whole fleet that the exposure records speak of.
// Wikimedia's application servers answered about 10,000 requests a second in 2016.
const REQUESTS_PER_MIN: f64 = 600_000.0;

impl Stream {
    /// Adds the traffic of each version and group in a minute.
    pub(super) fn add_exposures(&mut self, minute: i64, curve: f64) {
        let at = EventTime::from_seconds(minute * 60);
        let sum: f64 = self.plan.shares.iter().sum();
        for (place, group) in self.plan.fleet.groups.iter().enumerate() {
            // A group's wikis that are switched apart have no traffic to speak of.
            let Some(unit) = self.plan.fleet.unit(group) else {
                continue;
            };
            let middle = at.plus_seconds(30);
            let running = self.plan.rollouts.running(unit, middle);
            let share = self.plan.shares.get(place).copied().unwrap_or_default();
            let traffic = REQUESTS_PER_MIN * curve * share / sum.max(f64::MIN_POSITIVE);
            for (version, part) in running.shares(middle.millis()) {
                let (Some(version), true) = (self.plan.versions.get(version), part > 0.0) else {
                    continue;
                };
                self.exposures.push_back(ExposureRecord {
                    t: at,
                    version: version.clone(),
                    group: group.clone(),
                    exposure: (traffic * part).round(),
                });
            }
        }
    }
}

/// Spreads the regular reports of each host over the minute.
pub(super) fn regular_minute(plan: &Plan) -> Vec<Vec<Due>> {
    let mut minute = vec![Vec::new(); 60];
    for (place, window) in (0_u16..).zip(&plan.windows) {
        let Some(emitter) = plan.emitters.get(window.emitter).filter(|it| it.regular) else {
            continue;
        };
        for (order, &host) in (0_u16..).zip(&emitter.hosts) {
            let salt = plan.fleet.hosts.get(host).map_or(0, |it| it.salt);
            let milli = mix(salt, 60) % 60_000;
            let second = usize::try_from(milli / 1000).unwrap_or_default();
            if let Some(list) = minute.get_mut(second) {
                list.push(Due {
                    milli: u16::try_from(milli % 1000).unwrap_or_default(),
                    order: u32::from(order),
                    window: place,
                    host: Some(order),
                });
            }
        }
    }
    minute
}

/// Makes `Jan  2 01:20:03` of `2016-01-02T01:20:03`.
pub(super) fn syslog_stamp(stamp: &str) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (date, time) = stamp.split_once('T').unwrap_or((stamp, ""));
    let mut parts = date.split('-').skip(1).map(|it| it.parse().unwrap_or(1));
    let month: usize = parts.next().unwrap_or(1);
    let day: usize = parts.next().unwrap_or(1);
    let month = MONTHS
        .get(month.saturating_sub(1))
        .copied()
        .unwrap_or("Jan");
    format!("{month} {day:>2} {time}")
}

pub(super) fn write_control<T: Serialize>(
    kind: &'static str,
    at: EventTime,
    body: &T,
    payload: &mut Vec<u8>,
) -> ScenarioItem {
    #[derive(Serialize)]
    struct Typed<'a, T> {
        r#type: &'static str,
        #[serde(flatten)]
        body: &'a T,
    }
    let typed = Typed { r#type: kind, body };
    *payload = serde_json::to_vec(&typed).unwrap_or_default();
    ScenarioItem {
        at,
        topic: MARKERS_TOPIC,
        key: 0,
    }
}
