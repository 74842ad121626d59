//! Small sums for metrics and the status page, cheap enough to take after every commit.

use crate::model::{AlertState, EventTime};
use crate::rules::{DetectRules, RuleSet};

use super::scan::Params;
use super::{World, rates};

/// Seconds without an event after which a signature counts as quiet.
const QUIET_SECONDS: i64 = 3_600;

/// One channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelGauge {
    /// Name.
    pub channel: String,
    /// Whether its cap is engaged now.
    pub capped: bool,
    /// Last record.
    pub last_seen: EventTime,
}

/// How many signatures are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignatureStates {
    /// Seen in the last hour.
    pub active: u64,
    /// Not seen in the last hour.
    pub quiet: u64,
    /// With a muted alert that fires.
    pub muted: u64,
}

impl World {
    /// Returns the rules in force.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// Lists every channel with what its gauges show, sorted by name.
    pub fn channel_gauges(&self) -> Vec<ChannelGauge> {
        let now = self.clock.closed.unwrap_or_default();
        let mut gauges: Vec<ChannelGauge> = self
            .channels
            .table
            .iter()
            .map(|(name, channel)| ChannelGauge {
                channel: name.to_string(),
                capped: channel
                    .capped_last
                    .is_some_and(|last| now.millis_since(last) < 60_000),
                last_seen: channel.last,
            })
            .collect();
        gauges.sort_by(|a, b| a.channel.cmp(&b.channel));
        gauges
    }

    /// Counts the signatures by state.
    pub fn signature_states(&self) -> SignatureStates {
        let since = self
            .clock
            .closed
            .unwrap_or_default()
            .plus_seconds(-QUIET_SECONDS);
        let mut states = SignatureStates::default();
        for (_, signature) in self.catalogue.iter() {
            if signature.last >= since {
                states.active += 1;
            } else {
                states.quiet += 1;
            }
        }
        let muted = |it: &&crate::model::Alert| {
            it.state == AlertState::Firing && it.muted.is_some() && it.key.signature.is_some()
        };
        states.muted = self.book.all().filter(muted).count() as u64;
        states
    }
}

/// Returns the parameters of the rate scan under these rules: the same for live, replay and backtest.
pub fn scan_params(rules: &DetectRules) -> Params {
    rates::params(rules)
}
