//! Kinds `silent_channel` and `silent_host`: what was regular and stopped while the rest of the feed flows.
//!
//! It must never take our own lag, an idle or broken feed for a silence. Invariant: a silence is told only
//! while other channels (or hosts) write at half of their usual rate or more.

use super::World;
use super::channels::{as_f64, minute_before};
use super::lifecycle::Condition;
use super::name::Name;
use super::words;
use crate::model::{AlertKey, AlertKind, EventTime, Evidence, Severity};

/// Part of its usual rate that the rest of the feed has to write.
const FEED_ALIVE: f64 = 0.5;

/// Records a minute that the rest of the feed has to be expected to write, to be worth asking.
const FEED_EXPECTED_MIN: f64 = 2.0;

/// Minutes of learning before a channel can be silent without a rule for it: twelve hours.
const CHANNEL_MINUTES_MIN: u32 = 720;

/// Hosts that may fall silent at once before it is called the feed's trouble, as a part of all.
const HOSTS_AT_ONCE_MAX: f64 = 0.1;

/// Seconds before a silence in which a marker is named as its likely cause.
const CAUSE_SECONDS: i64 = 600;

impl World {
    /// Looks for channels that stopped, at the close of every bucket.
    pub(super) fn look_for_silent_channels(&mut self, at: EventTime) {
        let names: Vec<Name> = self
            .channels
            .table
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            let silent = self.channel_is_silent(&name, at);
            let was = self.channels.table.get(&name).is_some_and(|it| it.silent);
            if silent != was
                && let Some(channel) = self.channels.table.get_mut(&name)
            {
                channel.silent = silent;
            }
            if silent && let Some(condition) = self.silent_channel_condition(&name, at) {
                self.raise(at, condition);
            }
        }
    }

    fn channel_is_silent(&self, name: &Name, at: EventTime) -> bool {
        let Some(channel) = self.channels.table.get(name) else {
            return false;
        };
        let quiet = at.millis_since(channel.last) / 1000;
        if channel.silent {
            return quiet > 0;
        }
        let rule = self.rules.channel(name);
        if rule.is_some_and(|it| !it.alert) {
            return false;
        }
        match rule.and_then(|it| it.silent_after_seconds) {
            Some(0) => return false,
            Some(limit) => return quiet >= i64::try_from(limit).unwrap_or(i64::MAX),
            None => {}
        }
        let detect = &self.rules.detect;
        // Errors that stop are no loss, and a channel of hours is no habit.
        if channel.rate.minutes() < CHANNEL_MINUTES_MIN || channel.is_errors_only() {
            return false;
        }
        let rate = channel.rate.per_min();
        let expected = rate * as_f64(quiet.unsigned_abs()) / 60.0;
        quiet >= detect.silent_channel_seconds_min
            && quiet > 2 * channel.quiet_longest
            && expected / channel.rate.dispersion() >= detect.silent_channel_expected
            && self.feed_flows(name, at)
    }

    /// Tells whether the rest of the feed writes at half of its usual rate or more.
    fn feed_flows(&self, name: &Name, at: EventTime) -> bool {
        let minute = minute_before(at);
        let seconds = at.millis_since(EventTime::from_seconds((minute - 1) * 60)) / 1000;
        let (seen, per_min) = self.channels.others(name, minute, 2);
        let expected = per_min * as_f64(seconds.unsigned_abs()) / 60.0;
        expected >= FEED_EXPECTED_MIN && as_f64(seen) >= FEED_ALIVE * expected
    }

    fn silent_channel_condition(&self, name: &Name, at: EventTime) -> Option<Condition> {
        let channel = self.channels.table.get(name)?;
        let quiet = at.millis_since(channel.last) / 1000;
        let rate = channel.rate.per_min();
        let key = AlertKey {
            kind: AlertKind::SilentChannel,
            service: channel.service.to_string(),
            group: "*".to_owned(),
            version: "*".to_owned(),
            channel: name.to_string(),
            signature: None,
            host: None,
        };
        let flowing = self
            .channels
            .table
            .iter()
            .filter(|(other, it)| *other != name && !it.silent && at.millis_since(it.last) < 60_000)
            .count();
        let cause = self
            .releases
            .marker_before(channel.last, CAUSE_SECONDS, "*")
            .map_or_else(String::new, |marker| {
                format!(
                    " It stopped {} after {} `{}`{}.",
                    words::duration(channel.last.millis_since(marker.at) / 1000),
                    marker.kind.name(),
                    marker.id,
                    marker
                        .reference
                        .as_deref()
                        .map_or_else(String::new, |it| format!(" ({})", words::clip(it, 80)))
                )
            });
        Some(Condition {
            severity: Severity::Critical,
            started_at: channel.last,
            last_at: at,
            resolve_after: 60,
            template: String::new(),
            summary: words::summary(&format!(
                "Channel {name} is silent on all hosts since {}: {} expected, none in {}",
                words::time(channel.last),
                words::per_min(rate),
                words::duration(quiet)
            )),
            description: format!(
                "No record of channel {name} since {} ({}), where {} are usual. {flowing} other channels keep flowing, \
                 so it is neither our lag nor the producers; no cap of ours drops it (capped records count as life).{cause} \
                 Look at the logging configuration.",
                words::time(channel.last),
                words::duration(quiet),
                words::per_min(rate),
            ),
            evidence: Evidence {
                rate_per_min: Some(0.0),
                expected_per_min: Some(rate),
                ratio: Some(0.0),
                ..Evidence::default()
            },
            withheld: self.planned(&key, "", 0.0),
            key,
        })
    }

    /// Looks for hosts that stopped, at the close of every minute.
    pub(super) fn look_for_silent_hosts(&mut self, at: EventTime) {
        let detect = self.rules.detect.clone();
        let mut silent: Vec<Name> = Vec::new();
        let mut back: Vec<Name> = Vec::new();
        let mut learned = 0_u64;
        for (name, host) in self.hosts.table.iter() {
            let quiet = at.millis_since(host.last) / 1000;
            if host.silent && quiet < 60 {
                back.push(name.clone());
            }
            if !host.is_regular() {
                continue;
            }
            learned += 1;
            let expected = host.rate.per_min() * as_f64(quiet.unsigned_abs()) / 60.0;
            let stopped = quiet >= detect.silent_host_seconds_min
                && quiet > 2 * host.quiet_longest
                && expected / host.rate.dispersion() >= detect.silent_host_expected;
            if host.silent || stopped {
                silent.push(name.clone());
            }
        }
        for name in back {
            silent.retain(|it| *it != name);
            self.set_host_silent(&name, false);
        }
        let began: Vec<Name> = silent
            .iter()
            .filter(|name| self.hosts.table.get(*name).is_some_and(|it| !it.silent))
            .cloned()
            .collect();
        // Many at once is the feed or the network between, which silent channels and lag speak of.
        let many = as_f64(began.len() as u64) > (as_f64(learned) * HOSTS_AT_ONCE_MAX).max(1.0);
        if many || !self.feed_flows(&Name::from(""), at) {
            silent.retain(|it| !began.contains(it));
        }
        for name in silent {
            self.set_host_silent(&name, true);
            if let Some(condition) = self.silent_host_condition(&name, at) {
                self.raise(at, condition);
            }
        }
    }

    fn set_host_silent(&mut self, name: &Name, silent: bool) {
        if self
            .hosts
            .table
            .get(name)
            .is_some_and(|it| it.silent != silent)
            && let Some(host) = self.hosts.table.get_mut(name)
        {
            host.silent = silent;
        }
    }

    fn silent_host_condition(&self, name: &Name, at: EventTime) -> Option<Condition> {
        let host = self.hosts.table.get(name)?;
        let quiet = at.millis_since(host.last) / 1000;
        let version = host.versions.last().map(|(it, _)| it.clone());
        let peers = self
            .hosts
            .table
            .iter()
            .filter(|(other, it)| *other != name && at.millis_since(it.last) < 300_000)
            .count();
        let key = AlertKey {
            kind: AlertKind::SilentHost,
            service: self.rules.fields.service_default.clone(),
            group: "*".to_owned(),
            version: version.as_deref().unwrap_or("*").to_owned(),
            channel: "*".to_owned(),
            signature: None,
            host: Some(name.to_string()),
        };
        Some(Condition {
            severity: Severity::Warning,
            started_at: host.last,
            last_at: at,
            resolve_after: 60,
            template: String::new(),
            summary: words::summary(&format!(
                "{name} has sent nothing for {} while its {peers} peers do",
                words::duration(quiet)
            )),
            description: format!(
                "No record of any channel from {name} since {}, where {} are usual; its longest pause before was {}. \
                 {peers} other hosts wrote within the last 5 minutes.",
                words::time(host.last),
                words::per_min(host.rate.per_min()),
                words::duration(host.quiet_longest),
            ),
            evidence: Evidence {
                rate_per_min: Some(0.0),
                expected_per_min: Some(host.rate.per_min()),
                ratio: Some(0.0),
                hosts: 1,
                ..Evidence::default()
            },
            withheld: None,
            key,
        })
    }
}
