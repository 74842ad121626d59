//! What holds for the detector as a whole: order, numbering, restart, lazy = dense, and what it
//! says of plain worlds.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "worlds of a few thousand minutes"
)]

use super::*;

/// A small deterministic random source (`SplitMix64`).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn poisson(&mut self, mean: f64) -> u32 {
        let (limit, mut product, mut n) = ((-mean).exp(), self.next(), 0);
        while product > limit {
            product *= self.next();
            n += 1;
        }
        n
    }
}

/// Minutes of one world: exposure and counts.
type World = Vec<(i64, Vec<CellExposure>, Vec<CellCount>)>;

const DAY: i64 = 1440;
const SHARE: [f64; 3] = [0.01, 0.12, 0.87];

/// 40 signatures of rates 0.01 to 3 a minute on three groups; version 1 reaches group 0 after three
/// days, group 1 after four and group 2 after five; signature 5 is worse on version 1; 6 rises
/// eightfold for four hours on day 2; 7 stops for ten hours; 8 is new on version 1; 9 runs hourly.
fn world(seed: u64, days: i64) -> World {
    let mut random = Random(seed);
    (0..days * DAY)
        .map(|t| {
            let day = std::f64::consts::TAU * (t % DAY) as f64 / DAY as f64;
            let traffic = 60_000.0 * (1.0 + 0.4 * day.sin());
            let (mut exposure, mut counts) = (Vec::new(), Vec::new());
            for group in 0..3_u32 {
                let version = u32::from(t >= (3 + i64::from(group)) * DAY);
                let own = SHARE[group as usize] * traffic;
                exposure.push(CellExposure {
                    version,
                    group,
                    exposure: own,
                });
                for signature in 0..40_u32 {
                    let base = 0.01 * 300_f64.powf(f64::from(signature) / 39.0);
                    let mut mean = base * own / 60_000.0;
                    match signature {
                        5 if version == 1 => mean *= 12.0,
                        6 if (2 * DAY..2 * DAY + 240).contains(&t) => mean *= 40.0,
                        30 if (2 * DAY + 300..2 * DAY + 900).contains(&t) => mean = 0.0,
                        8 => mean = if version == 1 { 0.3 } else { 0.0 },
                        9 => mean = if t % 60 == 7 && group == 2 { 20.0 } else { 0.0 },
                        _ => {}
                    }
                    let count = random.poisson(mean);
                    if count > 0 {
                        counts.push(CellCount {
                            signature,
                            version,
                            group,
                            count,
                        });
                    }
                }
            }
            (t, exposure, counts)
        })
        .collect()
}

fn feed(
    detector: &mut Detector,
    world: &[(i64, Vec<CellExposure>, Vec<CellCount>)],
) -> Vec<Firing> {
    let mut out = Vec::new();
    for (t, exposure, counts) in world {
        detector.minute(*t, exposure, counts, &mut out);
    }
    out
}

fn starts(firings: &[Firing], signature: u32, kind: Kind) -> Vec<i64> {
    let own = |f: &&Firing| f.signature == signature && f.kind == kind && !f.renewal;
    firings.iter().filter(own).map(|f| f.t_minute).collect()
}

#[test]
fn each_planted_cause_is_said_by_its_kind() {
    let world = world(1, 6);
    let said = feed(&mut Detector::new(Params::default()), &world);
    let within = |times: &[i64], from: i64, minutes: i64| {
        times.iter().any(|t| (from..=from + minutes).contains(t))
    };
    assert!(
        within(&starts(&said, 6, Kind::Spike), 2 * DAY, 60),
        "{said:?}"
    );
    assert!(within(&starts(&said, 30, Kind::Silent), 2 * DAY + 300, 60));
    assert!(within(&starts(&said, 8, Kind::New), 3 * DAY, 60));
    let worse = [
        starts(&said, 5, Kind::Spike),
        starts(&said, 5, Kind::Regressed),
    ]
    .concat();
    assert!(within(&worse, 3 * DAY, 2 * DAY));
    assert!(
        starts(&said, 9, Kind::Spike).iter().all(|t| *t < DAY),
        "an hourly job is no spike"
    );
    let rest = said
        .iter()
        .filter(|f| ![5, 6, 8, 30].contains(&f.signature) && !f.renewal);
    let rest: Vec<_> = rest.filter(|f| f.kind != Kind::Resolved).collect();
    assert!(rest.len() <= 4, "{rest:?}");
}

#[test]
fn every_start_has_one_end() {
    let mut detector = Detector::new(Params::default());
    let mut said = feed(&mut detector, &world(2, 6));
    let quiet = [CellExposure {
        version: 1,
        group: 2,
        exposure: 0.0,
    }];
    for t in 6 * DAY..6 * DAY + 100 {
        detector.minute(t, &quiet, &[], &mut said);
    }
    let mut open = std::collections::BTreeMap::new();
    for f in &said {
        let key = (f.signature, f.version);
        let alarm = matches!(f.kind, Kind::Spike | Kind::New | Kind::Regressed);
        if alarm && !f.renewal {
            assert!(open.insert(key, f.kind).is_none(), "started twice: {f:?}");
        } else if let Some(kind) = f.ends.filter(|k| *k != Kind::Silent) {
            assert_eq!(
                open.remove(&key),
                Some(kind),
                "ended without a start: {f:?}"
            );
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn order_within_a_minute_changes_nothing() {
    let world = world(3, 4);
    let mut shuffled = world.clone();
    for (_, exposure, counts) in &mut shuffled {
        exposure.reverse();
        counts.reverse();
        let halves: Vec<CellCount> = counts.iter().filter(|c| c.count > 1).copied().collect();
        for half in halves {
            counts
                .iter_mut()
                .filter(|c| **c == half)
                .for_each(|c| c.count -= 1);
            counts.push(CellCount { count: 1, ..half });
        }
    }
    let a = feed(&mut Detector::new(Params::default()), &world);
    let b = feed(&mut Detector::new(Params::default()), &shuffled);
    assert!(!a.is_empty());
    assert_eq!(a, b);
}

#[test]
fn numbering_changes_nothing() {
    let world = world(4, 4);
    let mut other = world.clone();
    let signature = |s: u32| 1_000_003_u32.wrapping_mul(s + 1) % 65_537;
    for (_, exposure, counts) in &mut other {
        for e in exposure {
            (e.version, e.group) = (90 - e.version, 70 - e.group);
        }
        for c in counts {
            (c.version, c.group, c.signature) =
                (90 - c.version, 70 - c.group, signature(c.signature));
        }
    }
    let key = |f: &Firing| (f.t_minute, f.signature, f.version, f.kind, f.renewal);
    let mut a: Vec<_> = feed(&mut Detector::new(Params::default()), &world)
        .iter()
        .map(|f| {
            key(&Firing {
                signature: signature(f.signature),
                version: 90 - f.version,
                ..*f
            })
        })
        .collect();
    let mut b: Vec<_> = feed(&mut Detector::new(Params::default()), &other)
        .iter()
        .map(key)
        .collect();
    a.sort_unstable();
    b.sort_unstable();
    assert!(!a.is_empty());
    assert_eq!(a, b);
}

#[test]
fn restored_detector_goes_on_exactly() {
    let world = world(5, 6);
    for cut in [DAY / 2 + 17, 3 * DAY + 100, 4 * DAY - 1, 4 * DAY] {
        let (before, after) = world.split_at(cut as usize);
        let mut first = Detector::new(Params::default());
        let mut store = std::collections::BTreeMap::new();
        for part in before.chunks(997) {
            feed(&mut first, part);
            for signature in first.dirty() {
                let series = first.series(signature).unwrap();
                store.insert(signature, postcard::to_stdvec(series).unwrap());
            }
        }
        let globals = postcard::to_stdvec(&first.globals()).unwrap();
        let mut second = Detector::new(Params::default());
        second.restore_globals(postcard::from_bytes(&globals).unwrap());
        for (signature, bytes) in &store {
            second.restore(*signature, postcard::from_bytes(bytes).unwrap());
        }
        let (a, b) = (feed(&mut first, after), feed(&mut second, after));
        assert!(!a.is_empty());
        assert_eq!(a, b);
        assert_eq!(first.globals(), second.globals());
    }
}

/// The dense form visits every series every minute; only rounding may differ.
#[test]
fn lazy_form_says_what_the_dense_form_says() {
    for seed in 6..9 {
        let world = world(seed, 6);
        let lazy = feed(&mut Detector::new(Params::default()), &world);
        let mut detector = Detector::new(Params::default());
        detector.eager = true;
        let dense = feed(&mut detector, &world);
        let near = |a: f64, b: f64| (a - b).abs() <= 0.02 * b.abs() + 0.02;
        let mut unmatched = Vec::new();
        for f in &lazy {
            let same = dense.iter().any(|d| {
                let key = |x: &Firing| (x.signature, x.version, x.kind, x.ends, x.renewal);
                // A silence timer may come some minutes late when traffic rises under it.
                let late = if f.kind == Kind::Silent { 5 } else { 0 };
                key(d) == key(f)
                    && (f.t_minute - d.t_minute).abs() <= late
                    && near(f.score, d.score)
            });
            if !same {
                unmatched.push(f);
            }
        }
        assert!(lazy.len() > 10);
        assert!(unmatched.is_empty(), "{unmatched:?}");
        assert_eq!(lazy.len(), dense.len());
    }
}

#[test]
fn hostile_minutes_do_no_harm() {
    let mut detector = Detector::new(Params::default());
    let mut out = Vec::new();
    for (t, exposure) in [
        (5, f64::NAN),
        (6, -1.0),
        (7, f64::INFINITY),
        (8, 1e300),
        (9, 0.0),
    ] {
        let cells = [CellExposure {
            version: 0,
            group: 0,
            exposure,
        }];
        let counts = [CellCount {
            signature: 1,
            version: 9,
            group: 9,
            count: u32::MAX,
        }];
        detector.minute(t, &cells, &counts, &mut out);
    }
    detector.minute(3, &[], &[], &mut out);
    assert_eq!(detector.minutes_refused(), 1);
    detector.minute(i64::MAX, &[], &[], &mut out);
    assert!(out.iter().all(|f| f.score.is_finite()));
}
