//! What decoding costs: no allocation per event once the buffers are warm.

use fatalmonitor::ingest::decode::Dialect;
use fatalmonitor::model::Decoded;

use super::{decoder, record};
use crate::counting::allocations;

fn counted(dialect: Dialect, text: &str) -> u64 {
    let mut decoder = decoder(dialect);
    let record = record(text.as_bytes());
    let mut n_events = 0u32;
    let mut run = |times: u32| {
        for _ in 0..times {
            decoder.decode(&record, &mut |it| {
                n_events += u32::from(matches!(it, Ok(Decoded::Event(_))));
            });
        }
    };
    run(3);
    let spent = allocations(|| run(100));
    assert_eq!(n_events, 103, "{text}");
    spent
}

#[test]
fn records_without_escapes_cost_no_allocation() {
    for (dialect, text) in [
        (
            Dialect::Mediawiki,
            r#"{"@timestamp":"2016-01-20T01:20:03+00:00","@version":1,"host":"mw1017","message":"CAS update failed","type":"mediawiki","channel":"session","level":"ERROR","url":"/w/api.php","ip":"10.0.0.1","http_method":"POST","server":"en.wikipedia.org","referrer":null,"uid":"a1b2c3d","process_id":123,"wiki":"enwiki","mwversion":"1.27.0-wmf.11"}"#,
        ),
        (
            Dialect::Auto,
            r#"{"@timestamp":"2026-01-20T01:20:03.123456Z","message":"Boom: x","normalized_message":"Boom: {what}","type":"mediawiki","channel":"exception","level":"ERROR","monolog_level":"ERROR","shard":"s1","servergroup":"appserver","host":"mw1017.eqiad.wmnet","wiki":"enwiki","mwversion":"1.45.0-wmf.1","reqId":"a","exception":{"class":"Boom","message":"x","code":0,"file":"/srv/mediawiki/php-1.45.0-wmf.1/a.php:12","trace":"none"}}"#,
        ),
        (
            Dialect::Auto,
            r#"{"@timestamp":"2016-01-20T01:20:03Z","log":{"level":"error","logger":"web","origin":{"file":{"name":"a.php","line":3}}},"message":"m","error":{"type":"T","message":"x","stack_trace":"s"},"host":{"name":"WEB1.example"},"service":{"name":"web","version":"1.2"},"labels":{"wiki":"enwiki","channel":"web"}}"#,
        ),
        (
            Dialect::Auto,
            r#"{"version":"1.1","host":"a.example","short_message":"boom","timestamp":1453252803.25,"level":3,"_channel":"x","_wiki":"enwiki"}"#,
        ),
        (
            Dialect::OtlpJson,
            r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"web"}},{"key":"host.name","value":{"stringValue":"h"}}]},"scopeLogs":[{"scope":{"name":"s"},"logRecords":[{"timeUnixNano":"1453252803000000000","severityNumber":17,"body":{"stringValue":"boom"},"attributes":[{"key":"exception.type","value":{"stringValue":"E"}}]}]}]}]}"#,
        ),
        (
            Dialect::Auto,
            "2016-01-20 01:20:03 [V4aABApAMEoAAFRU2eIAAABO] mw1239 enwiki 1.28.0-wmf.10 fatal ERROR: boom {\"a\":1}",
        ),
        (
            Dialect::Auto,
            "Jan 20 01:20:03 mw1017:  #012Warning: x in /srv/mediawiki/php-1.27.0-wmf.11/a.php on line 3",
        ),
        (
            Dialect::Plain,
            "2016-01-20 01:20:03 ERROR something happened",
        ),
    ] {
        assert_eq!(counted(dialect, text), 0, "{text}");
    }
}

#[test]
fn escapes_cost_no_allocation_either() {
    let text = r##"{"@timestamp":"2016-01-20T01:20:03Z","message":"a\nb \u00e9 \"q\"","channel":"s\u0065ssion","level":"ERROR","wiki":"enwiki","exception":{"class":"A\\B","trace":"#0 \/srv\/a.php\n#1 {main}"}}"##;
    assert_eq!(counted(Dialect::Mediawiki, text), 0);
}

#[test]
fn the_counter_counts() {
    assert!(allocations(|| drop(std::hint::black_box(vec![1u8; 100]))) >= 1);
}
