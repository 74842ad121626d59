//! What the next stage has to expect, if a version with open errors goes on.
//!
//! The rate of an error in its groups times how much more traffic the next group has, with an interval that
//! knows how few events were counted. Invariant: no forecast without events and without traffic on both sides.

use std::collections::BTreeMap;

use super::super::channels::as_f64;
use super::super::past::PastError;
use super::super::words;
use super::look::Look;
use super::{Effect, GateForecast, GateReason, GateRule};

/// Seconds before the version's first record in which the traffic of the groups is compared: a whole day.
const TRAFFIC_SECONDS: i64 = 86_400;

/// Standard deviation of the logarithm by which one error's rate for the same traffic differs between groups.
// An assumption: a factor of 1.6 either way covers 90 %. In January 2016 the session errors of group0 foretold those of
// group1 within it.
const GROUP_SPREAD: f64 = 0.286;

/// Standard deviations of a 90 % interval.
const Z_90: f64 = 1.645;

/// Forecasts in one decision.
const FORECASTS_MAX: usize = 20;

impl Look<'_> {
    /// Foretells each open error in each group that the version has not reached.
    pub(super) fn forecast(&self, reasons: &[GateReason]) -> Result<Vec<GateForecast>, PastError> {
        let open = |it: &&GateReason| {
            it.effect == Effect::Fail
                || matches!(it.rule, GateRule::EarlierStage | GateRule::Undecided)
        };
        let Some(first) = self.seen().map(|(_, since)| since.first).min() else {
            return Ok(Vec::new());
        };
        if !reasons.iter().any(|it| open(&it)) {
            return Ok(Vec::new());
        }
        let traffic = self.traffic(first)?;
        let mut forecasts = Vec::new();
        for reason in reasons.iter().filter(open) {
            for group in self.next_groups(&traffic) {
                forecasts.extend(foretell(reason, &group, &traffic));
            }
        }
        forecasts.truncate(FORECASTS_MAX);
        Ok(forecasts)
    }

    /// Returns the records of each group in the day before the version came.
    fn traffic(&self, first: crate::model::EventTime) -> Result<BTreeMap<String, u64>, PastError> {
        let to = first.min(self.at());
        let mut traffic = BTreeMap::new();
        for it in self
            .past
            .release_sums(to.plus_seconds(-TRAFFIC_SECONDS), to)?
        {
            *traffic.entry(it.group).or_insert(0) += it.records;
        }
        Ok(traffic)
    }

    /// Lists the groups that the version has not reached, in the order of the rules, else the smaller ones first.
    fn next_groups(&self, traffic: &BTreeMap<String, u64>) -> Vec<String> {
        let order: Vec<&str> = self.world.rules.groups.names().collect();
        let mut next: Vec<&String> = traffic
            .keys()
            .filter(|it| !it.is_empty() && self.since(it).is_none())
            .collect();
        next.sort_by_key(|it| {
            let place = order.iter().position(|known| known == it);
            (place.unwrap_or(usize::MAX), traffic.get(*it), (*it).clone())
        });
        next.into_iter().cloned().collect()
    }
}

fn foretell(
    reason: &GateReason,
    to: &str,
    traffic: &BTreeMap<String, u64>,
) -> Option<GateForecast> {
    let (signature, rate) = (reason.signature?, reason.rate_per_min?);
    let from: u64 = reason.groups.iter().filter_map(|it| traffic.get(it)).sum();
    let there = *traffic.get(to)?;
    if from == 0 || there == 0 || reason.events == 0 {
        return None;
    }
    let ratio = as_f64(there) / as_f64(from);
    let expected = rate * ratio;
    // Counting error of the events, of the traffic that is compared, and the difference between groups.
    let spread = (1.0 / as_f64(reason.events) + 1.0 / as_f64(from) + GROUP_SPREAD.powi(2)).sqrt();
    let (low, high) = (
        expected * (-Z_90 * spread).exp(),
        expected * (Z_90 * spread).exp(),
    );
    Some(GateForecast {
        signature,
        template: reason.template.clone(),
        from_groups: reason.groups.clone(),
        rate_per_min: rate,
        to_group: to.to_owned(),
        traffic_ratio: ratio,
        low_per_min: low,
        expected_per_min: expected,
        high_per_min: high,
        text: words::clip(
            &format!(
                "from {} on {} expect {}–{} on {to}: [{}] {}",
                words::per_min(rate),
                reason.groups.join(", "),
                words::number(low),
                words::per_min(high),
                reason.channel,
                reason.template
            ),
            400,
        ),
    })
}
