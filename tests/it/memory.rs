//! What the catalogue of signatures and their aliases weighs, by the allocator's own count.

use crate::counting;
use fatalmonitor::detect::World;
use fatalmonitor::model::{
    CountBatch, CountRow, EventTime, Level, Sample, SignatureDef, SignatureId, SourceRange,
};
use fatalmonitor::rules::RuleSet;
use std::sync::Arc;

/// 18 January 2016, 00:00 UTC.
const START: i64 = 1_453_075_200;

/// Signatures of one context; half of its texts are one message and become aliases.
const CONTEXT: u32 = 500;

/// Bytes that 200,000 signatures and aliases may weigh.
const BYTES_MAX: i64 = 200_000_000;

fn letters(n: u32) -> String {
    n.to_string()
        .bytes()
        .map(|it| char::from(b'a' + it - b'0'))
        .collect()
}

fn def(n: u32) -> SignatureDef {
    let name = letters(n);
    let template = if n.is_multiple_of(2) {
        format!("Lost the leader of topic {name}.events on <host> after <dur>, retrying")
    } else {
        format!("Part{name} of the {name} page could not be read by {name}Reader in <num> ms")
    };
    SignatureDef {
        id: SignatureId(u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
        channel: format!("channel{}", n / 10_000),
        level: Level::Error,
        template,
        exception: Some(format!("Class{}", letters(n / CONTEXT))),
        frame: None,
        joined: Vec::new(),
    }
}

/// One event of each signature of a range, with one example each.
fn batch(range: std::ops::Range<u32>) -> CountBatch {
    let at = EventTime::from_seconds(START + i64::from(range.start / 2_000));
    let defs: Vec<SignatureDef> = range.clone().map(def).collect();
    let places = 0..u32::try_from(defs.len()).expect("a small batch");
    CountBatch {
        range: SourceRange {
            source: "s".to_owned(),
            topic: "t".to_owned(),
            partition: 0,
            from: u64::from(range.start),
            to: u64::from(range.end),
            gap: 0,
        },
        watermark: Some(at),
        strings: ["", "1.27.0-wmf.10", "group1", "mediawiki", "mw1017"]
            .map(str::to_owned)
            .to_vec(),
        counts: places
            .clone()
            .map(|signature| CountRow {
                signature,
                version: 1,
                group: 2,
                service: 3,
                bucket: at.floor(10),
                events: 1,
                first: at,
                last: at,
                hosts: vec![(4, 1)],
                facets: Vec::new(),
            })
            .collect(),
        samples: places
            .map(|signature| Sample {
                signature,
                at,
                host: "mw1017".to_owned(),
                version: "1.27.0-wmf.10".to_owned(),
                message: defs[signature as usize].template.clone(),
                trace: String::new(),
                url: String::new(),
                request_id: String::new(),
            })
            .collect(),
        signatures: defs,
        ..CountBatch::default()
    }
}

/// Returns signatures, aliases, the bytes that a world holds for them, and those of its rate scan.
fn measure(count: u32) -> (usize, usize, i64, i64) {
    let rules = Arc::new(RuleSet::built_in());
    let (world, bytes) = counting::held(|| {
        let mut world = World::new(rules);
        for from in (0..count).step_by(2_000) {
            world.apply(&batch(from..count.min(from + 2_000)));
        }
        world.finish();
        world.advance(EventTime::from_seconds(START + 3_600));
        drop(world.take_checkpoint());
        world
    });
    let counts = world.counts();
    let scan = i64::try_from(world.scan_bytes()).expect("not that many");
    (counts.signatures, counts.aliases, bytes - scan, scan)
}

fn check(count: u32) {
    let (signatures, aliases, bytes, scan) = measure(count);
    let each = bytes / i64::from(count);
    println!(
        "{signatures} signatures and {aliases} aliases hold {bytes} bytes, the rate scan {scan} more: {each} each, {} MB for 200,000",
        each * 200_000 / 1_000_000
    );
    assert!(aliases * 5 > count as usize * 2, "{aliases} aliases");
    assert!(signatures + aliases >= count as usize);
    assert!(each * 200_000 <= BYTES_MAX, "{each} bytes each");
}

#[test]
fn signatures_and_aliases_are_light() {
    check(20_000);
}

#[test]
#[ignore = "takes minutes: make soak"]
fn two_hundred_thousand_signatures_hold_200_mb() {
    check(200_000);
}
