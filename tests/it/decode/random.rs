//! Whatever the bytes are: no panic, and at least one answer.

use std::fmt::Write as _;

use fatalmonitor::ingest::decode::{Decoder, Dialect};
use fatalmonitor::model::Rejection;
use proptest::prelude::*;

use super::{Outcome, decoder, outcomes};

/// Valid records of every dialect, to be damaged.
const SEEDS: [&str; 12] = [
    r#"{"@timestamp":"2016-01-20T01:20:03+00:00","@version":1,"host":"mw1017","message":"CAS update failed","type":"mediawiki","channel":"session","level":"ERROR","wiki":"enwiki","exception":{"class":"A","file":"/srv/x.php:3","trace":["a","b"]}}"#,
    r#"@cee: {"@timestamp":"2016-01-20T01:20:03.123456Z","message":"caf\u00e9 \ud83d\ude00 \"q\"","normalized_message":"[{reqId}] {exception_url}   x {y}","reqId":"abc","level":400}"#,
    r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"web"}}]},"scopeLogs":[{"scope":{"name":"s"},"logRecords":[{"timeUnixNano":"1453252803000000000","severityNumber":17,"body":{"stringValue":"boom"},"attributes":[{"key":"exception.type","value":{"stringValue":"E"}}]}]}]}]}"#,
    r#"{"version":"1.1","host":"a.example","short_message":"boom","full_message":"boom\n#0 x","timestamp":1453252803.25,"level":3,"_channel":"x"}"#,
    r#"{"@timestamp":"2016-01-20T01:20:03Z","log":{"level":"error","logger":"x","origin":{"file":{"name":"a.php","line":3}}},"message":"m","error":{"type":"T","stack_trace":"s"}}"#,
    r#"{"type":"deploy_marker","id":"a","at":"2016-01-20T01:20:03Z","kind":"deploy","version":"1.27.0-wmf.11","group":"group0"}"#,
    "2016-01-20 01:20:03 [V4aABApAMEoAAFRU2eIAAABO] mw1239 enwiki 1.28.0-wmf.10 fatal ERROR: boom {\"a\":1}\n[Exception E] (/srv/x.php:12) boom\n#0 x",
    "Jan 20 01:20:03 mw1017:  #012Warning: x in /srv/mediawiki/php-1.27.0-wmf.11/a.php on line 3",
    "Jan 20 01:20:03 mw1017 hhvm: message repeated 12 times: [ #012Fatal error: x in /a.php on line 3]",
    "<165>1 2003-10-11T22:14:15.003Z host app 12 ID47 [a b=\"c]\\\"\"] \u{feff}text",
    "Host: mw1017\nType: Segmentation fault\n\n# 0 a\n",
    "[2016-01-20 01:20:03,123] ERROR [main] org.Kafka: text é",
];

fn check(decoder: &mut Decoder, bytes: &[u8]) {
    let found = outcomes(decoder, bytes);
    assert!(
        !found.is_empty(),
        "no answer for {:?}",
        String::from_utf8_lossy(bytes)
    );
    for outcome in found {
        assert!(
            !matches!(
                outcome,
                Outcome::Rejected(
                    Rejection::TooOld
                        | Rejection::Filtered
                        | Rejection::Tombstone
                        | Rejection::InternalError
                )
            ),
            "{outcome:?} is not for decode to say"
        );
    }
}

fn all_dialects() -> Vec<Decoder> {
    Dialect::ALL.into_iter().map(decoder).collect()
}

#[test]
fn a_tombstone_is_told_as_such() {
    let mut found = Vec::new();
    let record = fatalmonitor::model::RawRecord {
        payload: None,
        ..super::record(b"")
    };
    decoder(Dialect::Auto).decode(&record, &mut |it| found.push(it.err()));
    assert_eq!(found, [Some(Rejection::Tombstone)]);
}

#[test]
fn every_cut_of_a_valid_record_is_answered() {
    for decoder in &mut all_dialects() {
        for seed in SEEDS {
            for end in 0..=seed.len() {
                check(decoder, &seed.as_bytes()[..end]);
                check(decoder, &seed.as_bytes()[end..]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn random_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for decoder in &mut all_dialects() {
            check(decoder, &bytes);
        }
    }

    #[test]
    fn damaged_records_are_answered(
        seed in 0..SEEDS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..8),
    ) {
        let mut bytes = SEEDS[seed].as_bytes().to_vec();
        for (at, byte, kind) in changes {
            let place = at.index(bytes.len());
            match kind {
                0 => bytes[place] = byte,
                1 => { bytes.insert(place, byte); }
                2 => { bytes.remove(place); }
                _ => bytes.insert(place, b"\"{}[],:\\"[usize::from(byte % 8)]),
            }
            if bytes.is_empty() {
                break;
            }
        }
        for decoder in &mut all_dialects() {
            check(decoder, &bytes);
        }
    }

    #[test]
    fn values_are_what_serde_json_reads(
        message in any::<String>(), channel in any::<String>(), host in "[a-z0-9-]{0,12}",
        other in any::<String>(), number in any::<f64>(), escape in any::<bool>(),
    ) {
        let value = serde_json::json!({
            "a": [other, number, {"message": "not this one"}], "message": message, "channel": channel,
            "host": host, "nested": {"message": "nor this"},
        });
        let mut text = value.to_string();
        if escape {
            text = text.chars().fold(String::new(), |mut out, it| {
                if matches!(it, ' '..='~') {
                    out.push(it);
                } else {
                    for unit in it.encode_utf16(&mut [0; 2]) {
                        write!(out, "\\u{unit:04x}").unwrap();
                    }
                }
                out
            });
        }
        let mut seen = None;
        decoder(Dialect::Mediawiki).decode(&super::record(text.as_bytes()), &mut |it| {
            if let Ok(fatalmonitor::model::Decoded::Event(it)) = it {
                seen = Some((it.message.to_string(), it.channel.to_string(), it.host.to_string()));
            }
        });
        // Texts in which MediaWiki's own marks are found are taken further apart, on purpose.
        prop_assume!(!message.contains("[Exception ") && !message.contains(" from line "));
        let message = message.trim_end_matches(['\n', '\r']).to_owned();
        prop_assert_eq!(seen, Some((message, channel, host)));
    }
}
