#![expect(clippy::cast_precision_loss, reason = "counts of a week")]

use std::collections::BTreeMap;

use super::*;

/// Adds up what each emitter should write, from rates and rollouts alone.
fn expected_counts(stream: &Stream, from: EventTime, to: EventTime) -> BTreeMap<String, f64> {
    const STEP: i64 = 10;
    let plan = &stream.plan;
    let (swing, peak) = stream.curve;
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for window in &plan.windows {
        let emitter = &plan.emitters[window.emitter];
        let total: f64 = window.groups.iter().map(|&it| plan.shares[it]).sum();
        let mut sum = 0.0;
        let mut at = from.max(window.from);
        while at < to.min(window.to) {
            let hour = at.seconds().rem_euclid(86_400) as f64 / 3600.0;
            let curve = 1.0 + swing * ((hour - peak) / 24.0 * std::f64::consts::TAU).cos();
            let mut part = 0.0;
            let allowed = |unit: usize| -> f64 {
                let channel = Some(emitter.lines[0].channel.as_str());
                let hushes = &mut plan.hushes.iter();
                if hushes.any(|it| it.channel.as_deref() == channel && it.from <= at && at < it.to)
                {
                    return 0.0;
                }
                if emitter.versions.is_empty() || emitter.stale {
                    return 1.0;
                }
                let shares = plan.rollouts.running(unit, at).shares(at.millis() + 5000);
                let fit = shares.iter().filter(|it| emitter.versions.contains(&it.0));
                fit.map(|it| it.1).sum()
            };
            if window.wikis.is_empty() {
                for &group in &window.groups {
                    let unit = plan.fleet.unit(&plan.fleet.groups[group]).unwrap();
                    part += plan.shares[group] / total * allowed(unit);
                }
            } else {
                part = allowed(plan.fleet.wikis[window.wikis[0]].unit);
            }
            let hosts = if emitter.regular {
                emitter.hosts.len() as f64
            } else {
                1.0
            };
            let rate = window.per_second * hosts * if emitter.curve { curve } else { 1.0 };
            sum += rate * part * STEP as f64;
            at = at.plus_seconds(STEP);
        }
        let lines = if emitter.together {
            emitter.lines.len() as f64
        } else {
            1.0
        };
        *sums.entry(emitter.id.clone()).or_default() += sum * lines;
    }
    sums
}

#[test]
fn the_whole_week_has_the_rates_of_its_file_and_is_valid_json_in_order() {
    let scenario = Scenario::incident();
    let mut stream = scenario.stream(&StreamOptions::default());
    let expected = expected_counts(&stream, scenario.from(), scenario.to());
    let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
    let (mut records, mut controls) = (0_u64, 0_u64);
    let mut payload = Vec::new();
    let mut last = EventTime::MIN;
    while let Some(item) = stream.next_into(&mut payload) {
        assert!(item.at >= last, "{} after {last}", item.at);
        last = item.at;
        serde_json::from_slice::<serde::de::IgnoredAny>(&payload)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&payload)));
        if item.topic == MARKERS_TOPIC {
            controls += 1;
            continue;
        }
        records += 1;
        *counts.entry(stream.occurrence.emitter).or_default() += 1;
    }
    assert!((6_000_000..=7_000_000).contains(&records), "{records}");
    assert_eq!(controls, 22, "markers between start and end");
    for (&place, &count) in &counts {
        let id = &stream.plan.emitters[place].id;
        let mut mean = expected[id];
        // The one host that was off for six hours is known, the others report on the second.
        if id == "healthcheck" {
            mean -= f64::from(6 * 60 + 4);
        }
        let slack = 6.0 * mean.sqrt() + mean * 0.003 + 3.0;
        assert!(
            (count as f64 - mean).abs() <= slack,
            "{id}: {count} of {mean:.0}"
        );
    }
    assert_eq!(
        counts.len(),
        stream.plan.emitters.len(),
        "every emitter wrote"
    );
}

#[test]
fn every_emitter_writes_text_without_empty_parameters() {
    let scenario = Scenario::incident();
    let mut seen = std::collections::BTreeSet::new();
    let mut payload = Vec::new();
    for day in ["20T19:40:00", "21T23:00:00", "22T18:20:00", "23T01:14:00"] {
        let from = EventTime::parse_rfc3339(&format!("2016-01-{day}Z")).unwrap();
        let mut stream = scenario.stream(&StreamOptions {
            from: Some(from),
            to: Some(from.plus_seconds(1200)),
            ..StreamOptions::default()
        });
        while let Some(item) = stream.next_into(&mut payload) {
            let id = &stream.plan.emitters[stream.occurrence.emitter].id;
            if item.topic != MARKERS_TOPIC && seen.insert(id.clone()) {
                let text = std::str::from_utf8(&payload).unwrap();
                assert!(!text.contains("{}"), "{id}: {text}");
            }
        }
    }
    assert!(seen.len() > 20, "{seen:?}");
}
