//! Kinds `flood` and `capped`: a channel far above its budget or its usual rate, with a forecast in bytes a day.
//!
//! Counted records and those past the cap weigh the same. Invariant: what is told rests on whole minutes.

use super::World;
use super::channels::{Channel, as_f64, minute_before};
use super::lifecycle::Condition;
use super::name::Name;
use super::words;
use crate::model::{AlertKey, AlertKind, EventTime, Evidence, LevelClass, Severity};

/// Minutes over which a flood is measured.
const WINDOW: i64 = 5;

/// Seconds without a flood (or a capped record) after which it is over.
// Half an hour: a channel that swings around its limit is one problem.
const OVER_SECONDS: i64 = 1_800;

/// Records of a minute past the cap that count as being over it.
const CAPPED_MIN: u64 = 5;

/// Why a channel is a flood.
struct Excess {
    per_min: f64,
    /// Rate that is usual or allowed.
    limit: f64,
    budget: bool,
    class: Option<LevelClass>,
}

impl World {
    /// Looks for floods and engaged caps, at the close of every minute.
    pub(super) fn look_for_floods(&mut self, at: EventTime) {
        let names: Vec<Name> = self
            .channels
            .table
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            if !self.alerts_in(&name) {
                continue;
            }
            let Some(channel) = self.channels.table.get(&name) else {
                continue;
            };
            let flood = self
                .excess(&name, channel, at)
                .map(|excess| self.flood_condition(&name, channel, &excess, at));
            let capped = self.capped_condition(&name, channel, at);
            let flooded = flood.is_some();
            if channel.flooded != flooded
                && let Some(channel) = self.channels.table.get_mut(&name)
            {
                channel.flooded = flooded;
            }
            for condition in flood.into_iter().chain(capped) {
                self.raise(at, condition);
            }
        }
    }

    fn excess(&self, name: &Name, channel: &Channel, at: EventTime) -> Option<Excess> {
        let detect = &self.rules.detect;
        let minute = minute_before(at);
        let per_min = as_f64(channel.records.sum(minute, WINDOW)) / 5.0;
        if let Some(rule) = self.rules.channel(name) {
            let events = rule.events_per_minute_max.map(as_f64);
            let bytes = rule.bytes_per_day_max.map(as_f64);
            if let Some(limit) = events.filter(|limit| per_min > *limit) {
                return Some(Excess {
                    per_min,
                    limit,
                    budget: true,
                    class: None,
                });
            }
            let per_day = channel.bytes_per_day(minute);
            if let Some(limit) = bytes.filter(|limit| per_day > *limit) {
                return Some(Excess {
                    per_min,
                    limit: per_min * limit / per_day,
                    budget: true,
                    class: None,
                });
            }
        }
        if !self.is_learned(at) {
            return None;
        }
        let counts = channel.class_counts(minute, WINDOW);
        counts.into_iter().find_map(|(class, count)| {
            // A rise of errors is told as such, by signature, release or host.
            if class == LevelClass::Error {
                return None;
            }
            let usual = channel
                .class_rates
                .get(&class)
                .map_or(0.0, super::learned::Learned::per_min);
            let rate = as_f64(count) / 5.0;
            let loud = rate >= detect.flood_per_minute_min && rate >= detect.flood_ratio * usual;
            loud.then_some(Excess {
                per_min: rate,
                limit: usual,
                budget: false,
                class: Some(class),
            })
        })
    }

    fn flood_condition(
        &self,
        name: &Name,
        channel: &Channel,
        excess: &Excess,
        at: EventTime,
    ) -> Condition {
        let minute = minute_before(at);
        let (version, group) = self.loudest_place(name, excess.class);
        let per_day = channel.bytes_per_day(minute);
        let level = excess.class.map_or("", |it| match it {
            LevelClass::Info => " at level DEBUG/INFO",
            LevelClass::Warning => " at level WARNING",
            LevelClass::Error => " at level ERROR",
            LevelClass::Unknown => "",
        });
        let against = if excess.budget {
            format!("its budget of {}", words::per_min(excess.limit))
        } else {
            format!("its usual {}", words::per_min(excess.limit))
        };
        let ratio = (excess.limit > 0.0).then(|| excess.per_min / excess.limit);
        let key = AlertKey {
            kind: AlertKind::Flood,
            service: channel.service.to_string(),
            group: group.clone(),
            version: version.clone(),
            channel: name.to_string(),
            signature: None,
            host: None,
        };
        let mostly = if version == "*" {
            String::new()
        } else {
            format!(", mostly from {}", words::place(&version, &group))
        };
        let capped = channel.capped_minutes.sum(minute, WINDOW);
        let much = excess.budget || per_day >= self.rules.detect.flood_bytes_per_day;
        Condition {
            severity: if much {
                Severity::Warning
            } else {
                Severity::Info
            },
            started_at: at.plus_seconds(-60 * WINDOW),
            last_at: at,
            resolve_after: OVER_SECONDS,
            template: String::new(),
            summary: words::summary(&format!(
                "Channel {name} floods{level}: {} against {against}, {} a day at this rate",
                words::per_min(excess.per_min),
                words::bytes(per_day)
            )),
            description: format!(
                "{} records a minute{level} against {against}{mostly}. At this rate it writes {} a day. \
                 In the last hour by level: {}. {}{}",
                words::number(excess.per_min),
                words::bytes(per_day),
                loudest_levels(name, channel, at),
                cap_words(capped),
                self.top_templates(name, at),
            ),
            evidence: Evidence {
                count: channel.records.sum(minute, WINDOW),
                ratio,
                rate_per_min: Some(excess.per_min),
                expected_per_min: Some(excess.limit),
                ..Evidence::default()
            },
            withheld: self.planned(&key, "", excess.per_min),
            key,
        }
    }

    fn capped_condition(&self, name: &Name, channel: &Channel, at: EventTime) -> Option<Condition> {
        let minute = minute_before(at);
        let capped = channel.capped_minutes.sum(minute, 1);
        let read = channel.records.sum(minute, 1);
        let before = channel.capped_minutes.sum(minute - 1, 1);
        // One second over the cap is a burst; two minutes of it are a state.
        if capped < CAPPED_MIN || before < CAPPED_MIN {
            return None;
        }
        let share = super::tally::ratio(capped, read);
        let key = AlertKey {
            kind: AlertKind::Capped,
            service: channel.service.to_string(),
            group: "*".to_owned(),
            version: "*".to_owned(),
            channel: name.to_string(),
            signature: None,
            host: None,
        };
        Some(Condition {
            // What is capped is still counted; the flood itself is told as such.
            severity: Severity::Info,
            started_at: EventTime::from_seconds(minute * 60),
            last_at: at,
            resolve_after: OVER_SECONDS,
            template: String::new(),
            summary: words::summary(&format!(
                "Channel {name} is over its cap: {} of {} records of the last minute were counted by channel only",
                words::count(capped),
                words::count(read)
            )),
            description: format!(
                "The cap of {} records a second and partition is engaged: {} of the last minute's records were not looked at \
                 in detail. Their number is exact by channel, version, group, level and host; signatures of this channel may be missing.",
                self.rules.caps.events_per_second(name),
                words::percent(share),
            ),
            evidence: Evidence {
                count: capped,
                rate_per_min: Some(as_f64(read)),
                expected_per_min: channel.expected(),
                ..Evidence::default()
            },
            withheld: None,
            key,
        })
    }

    /// Names the loudest signatures of a channel over the last ten minutes, with their share.
    fn top_templates(&self, channel: &Name, at: EventTime) -> String {
        let minute = minute_before(at);
        let mut top: Vec<(u64, &str)> = self
            .catalogue
            .iter()
            .filter(|(_, it)| it.def.channel == **channel)
            .map(|(_, it)| (it.minutes.sum(minute, 10), it.def.template.as_str()))
            .filter(|(n, _)| *n > 0)
            .collect();
        top.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        let total: u64 = top.iter().map(|(n, _)| n).sum();
        let parts: Vec<String> = top
            .iter()
            .take(5)
            .map(|(n, template)| {
                format!(
                    "{} {}",
                    words::percent(super::tally::ratio(*n, total)),
                    words::clip(template, 80)
                )
            })
            .collect();
        if parts.is_empty() {
            return String::new();
        }
        format!(" Loudest: {}.", parts.join("; "))
    }

    /// Returns version and group with most recent events of a channel's signatures; `*` where none has 60 %.
    fn loudest_place(&self, channel: &Name, class: Option<LevelClass>) -> (String, String) {
        let Some(now) = self.clock.closed else {
            return ("*".to_owned(), "*".to_owned());
        };
        let mut places: std::collections::BTreeMap<(&Name, &Name), u64> =
            std::collections::BTreeMap::new();
        for (_, signature) in self.catalogue.iter() {
            if signature.def.channel == **channel && class.is_none_or(|it| it == signature.class())
            {
                for (version, group, events) in signature.recent_places(now) {
                    *places.entry((version, group)).or_default() += events;
                }
            }
        }
        let total: u64 = places.values().sum();
        places
            .into_iter()
            .find(|(_, n)| super::tally::ratio(*n, total) >= 0.6)
            .map_or_else(
                || ("*".to_owned(), "*".to_owned()),
                |((version, group), _)| (version.to_string(), group.to_string()),
            )
    }
}

/// Names the three levels with most records of the last hour.
fn loudest_levels(name: &Name, channel: &Channel, at: EventTime) -> String {
    let levels: Vec<String> = channel
        .view(name, at)
        .levels
        .iter()
        .take(3)
        .map(|it| format!("{} {}", it.value, words::count(it.events)))
        .collect();
    levels.join(", ")
}

fn cap_words(capped: u64) -> String {
    if capped == 0 {
        return "No cap is engaged.".to_owned();
    }
    format!(
        "The cap is engaged ({} records in 5 minutes counted by channel only); counts stay exact.",
        words::count(capped)
    )
}
