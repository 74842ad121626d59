//! Public corpora of bad and odd input, with the outcomes that RELIABILITY.md §5 states.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use fatalmonitor::ingest::decode::{Decoder, Dialect};
use fatalmonitor::model::{Flag, Rejection};

use super::{Outcome, decoder, folder, outcomes};

/// Dialects in which a raw JSON text is looked at as JSON.
const DIALECTS: [Dialect; 5] = [
    Dialect::Auto,
    Dialect::Mediawiki,
    Dialect::Ecs,
    Dialect::OtlpJson,
    Dialect::Gelf,
];

/// What no record may take.
// RELIABILITY.md §2.4, G9.
const RECORD_TIME_MAX: Duration = Duration::from_millis(50);

const SYNTAX: Outcome = Outcome::Rejected(Rejection::Syntax);
const NOT_OBJECT: Outcome = Outcome::Rejected(Rejection::NotObject);
const ENCODING: Outcome = Outcome::Rejected(Rejection::Encoding);
const DEPTH: Outcome = Outcome::Rejected(Rejection::Depth);

/// Returns the files of a folder whose names start so.
fn files(name: &str, start: &str) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(folder("jsontestsuite").join(name))
        .unwrap()
        .map(|it| it.unwrap())
        .map(|it| (it.file_name().into_string().unwrap(), it))
        .filter(|(name, _)| name.starts_with(start))
        .map(|(name, it)| (name, fs::read(it.path()).unwrap()))
        .collect()
}

fn one(decoder: &mut Decoder, bytes: &[u8]) -> Outcome {
    let mut found = outcomes(decoder, bytes);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn counted(flags: &[Flag]) -> Outcome {
    // Records without a known field have no version either.
    let mut flags = flags.to_vec();
    flags.push(Flag::NoVersion);
    Outcome::Counted {
        message: String::new(),
        flags,
    }
}

/// Runs five times; returns the last result and the shortest time, which a busy machine changes least.
#[expect(
    clippy::disallowed_methods,
    reason = "the time that it takes is what is tested"
)]
fn quickest(mut run: impl FnMut() -> Outcome) -> (Outcome, Duration) {
    let mut best = Duration::MAX;
    let mut last = SYNTAX;
    for _ in 0..5 {
        let start = Instant::now();
        last = run();
        best = best.min(start.elapsed());
    }
    (last, best)
}

/// The bytes as a JSON string, as a program would write it.
fn wrapped(text: &str) -> Vec<u8> {
    serde_json::json!({ "message": text })
        .to_string()
        .into_bytes()
}

#[test]
fn what_must_not_parse_is_rejected_as_syntax() {
    let mut files = files("test_parsing", "n_");
    // The two big ones of the suite, made here.
    files.insert(
        "n_structure_100000_opening_arrays.json".to_owned(),
        vec![b'['; 100_000],
    );
    files.insert(
        "n_structure_open_array_object.json".to_owned(),
        ("[{\"\":".repeat(50_000) + "\n").into_bytes(),
    );
    assert_eq!(files.len(), 188);
    for dialect in DIALECTS {
        let mut decoder = decoder(dialect);
        for (name, bytes) in &files {
            assert_eq!(one(&mut decoder, bytes), SYNTAX, "{name} as {dialect}");
        }
    }
}

#[test]
fn what_must_parse_does_and_is_counted_when_wrapped() {
    let files = files("test_parsing", "y_");
    assert_eq!(files.len(), 95);
    for dialect in [Dialect::Auto, Dialect::Mediawiki] {
        let mut decoder = decoder(dialect);
        let mut n_objects = 0;
        for (name, bytes) in &files {
            let is_object = bytes.trim_ascii_start().starts_with(b"{");
            n_objects += usize::from(is_object);
            match one(&mut decoder, bytes) {
                Outcome::Counted { .. } if is_object => {}
                NOT_OBJECT if !is_object => {}
                other => panic!("{name} as {dialect}: {other:?}"),
            }
            let text = std::str::from_utf8(bytes).unwrap();
            match one(&mut decoder, &wrapped(text)) {
                Outcome::Counted { message, .. } => {
                    assert_eq!(message, text.trim_end_matches(['\n', '\r']), "{name}");
                }
                other => panic!("{name} wrapped: {other:?}"),
            }
        }
        assert_eq!(n_objects, 12);
    }
}

#[test]
fn what_may_parse_comes_to_what_the_table_says() {
    let object_with_lone_surrogate_in_a_key = counted(&[]);
    for dialect in [Dialect::Auto, Dialect::Mediawiki] {
        let mut decoder = decoder(dialect);
        let files = files("test_parsing", "i_");
        assert_eq!(files.len(), 35);
        for (name, bytes) in &files {
            let expected = match name.as_str() {
                "i_object_key_lone_2nd_surrogate.json" => &object_with_lone_surrogate_in_a_key,
                "i_structure_UTF-8_BOM_empty_object.json" => &counted(&[]),
                "i_structure_500_nested_arrays.json" => &DEPTH,
                "i_string_UTF-16LE_with_BOM.json"
                | "i_string_utf16BE_no_BOM.json"
                | "i_string_utf16LE_no_BOM.json" => &ENCODING,
                // Arrays, whatever number or (after the lossy retry) string they hold.
                _ => &NOT_OBJECT,
            };
            assert_eq!(&one(&mut decoder, bytes), expected, "{name} as {dialect}");
        }
    }
}

#[test]
fn odd_values_in_a_field_that_nobody_needs_do_not_matter() {
    let mut decoder = decoder(Dialect::Auto);
    for (name, bytes) in files("test_parsing", "i_") {
        let is_wide = name.contains("UTF-16") || name.contains("utf16");
        if is_wide || name.contains("BOM") {
            continue;
        }
        let lossy = std::str::from_utf8(&bytes).is_err();
        let record = [br#"{"unused":"#.as_slice(), &bytes, br#","message":"m"}"#].concat();
        let mut flags = vec![Flag::NoVersion];
        if lossy {
            flags.insert(0, Flag::Lossy);
        }
        let expected = Outcome::Counted {
            message: "m".to_owned(),
            flags,
        };
        assert_eq!(one(&mut decoder, &record), expected, "{name}");
    }
}

#[test]
fn transformed_values_follow_the_stated_rules() {
    let mut decoder = decoder(Dialect::Auto);
    let files = files("test_transform", "");
    assert_eq!(files.len(), 22);
    for (name, bytes) in &files {
        let expected = match name.as_str() {
            "object_same_key_different_values.json"
            | "object_same_key_same_value.json"
            | "object_same_key_unclear_values.json" => counted(&[Flag::DupKey]),
            // Two spellings of one letter are two keys.
            "object_key_nfc_nfd.json" | "object_key_nfd_nfc.json" => counted(&[]),
            _ => NOT_OBJECT,
        };
        assert_eq!(one(&mut decoder, bytes), expected, "{name}");
    }
}

#[test]
fn the_last_of_equal_keys_wins_and_is_flagged() {
    let mut decoder = decoder(Dialect::Auto);
    for (text, message) in [
        (r#"{"message":"a","message":"b"}"#, "b"),
        (r#"{"message":"a","m\u0065ssage":"b"}"#, "b"),
        (r#"{"message":"a","message":null}"#, ""),
    ] {
        let expected = Outcome::Counted {
            message: message.to_owned(),
            flags: vec![Flag::DupKey, Flag::NoVersion],
        };
        assert_eq!(one(&mut decoder, text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn depth_only_matters_where_somebody_looks() {
    let mut decoder = decoder(Dialect::Auto);
    let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
    let took = |decoder: &mut Decoder, text: &str| quickest(|| one(decoder, text.as_bytes()));
    assert_eq!(took(&mut decoder, &nested(127)).0, NOT_OBJECT);
    assert_eq!(took(&mut decoder, &nested(128)).0, DEPTH);
    let (outcome, time) = took(&mut decoder, &nested(1_000_000));
    assert_eq!(outcome, DEPTH);
    assert!(time < RECORD_TIME_MAX, "{time:?}");
    for n in [1, 126, 127, 128, 100_000] {
        let text = format!(r#"{{"unused":{},"message":"m"}}"#, nested(n));
        let (outcome, time) = took(&mut decoder, &text);
        assert!(
            matches!(outcome, Outcome::Counted { .. }),
            "{n}: {outcome:?}"
        );
        assert!(time < RECORD_TIME_MAX, "{n}: {time:?}");
        let text = format!(r#"{{"message":{}}}"#, nested(n));
        let is_counted = matches!(took(&mut decoder, &text).0, Outcome::Counted { .. });
        assert_eq!(is_counted, n <= 126, "{n}");
    }
    let objects = "{\"a\":".repeat(100_000) + "1" + &"}".repeat(100_000);
    assert!(matches!(
        took(&mut decoder, &objects).0,
        Outcome::Counted { .. }
    ));
    let known = "{\"log\":".repeat(100_000) + "1" + &"}".repeat(100_000);
    assert!(matches!(
        took(&mut decoder, &known).0,
        Outcome::Counted { .. }
    ));
}

#[test]
fn numbers_out_of_range_do_not_matter_in_unused_fields() {
    let mut decoder = decoder(Dialect::Auto);
    let digits = "9".repeat(10_000);
    for number in ["1e999", "-0", "-1e-999", "0.1e+5", digits.as_str()] {
        let text = format!(r#"{{"unused":{number},"message":"m"}}"#);
        assert!(
            matches!(one(&mut decoder, text.as_bytes()), Outcome::Counted { .. }),
            "{number}"
        );
    }
    for number in ["NaN", "Infinity", "-", "01", "1.", ".5", "+1", "0x10"] {
        let text = format!(r#"{{"unused":{number},"message":"m"}}"#);
        assert_eq!(one(&mut decoder, text.as_bytes()), SYNTAX, "{number}");
    }
}

#[test]
fn many_keys_take_no_more_than_their_length() {
    let mut decoder = decoder(Dialect::Auto);
    let keys: Vec<String> = (0..50_000)
        .map(|it| format!("\"key{it:05}\":{it}"))
        .collect();
    let text = format!("{{{}}}", keys.join(","));
    let (outcome, time) = quickest(|| one(&mut decoder, text.as_bytes()));
    assert_eq!(outcome, counted(&[]));
    assert!(time < RECORD_TIME_MAX, "{time:?}");
}

#[test]
fn naughty_strings_come_back_as_they_are_from_every_field() {
    let text = fs::read_to_string(folder("blns").join("blns.json")).unwrap();
    let strings: Vec<String> = serde_json::from_str(&text).unwrap();
    assert_eq!(strings.len(), 515);
    let mut decoder = decoder(Dialect::Mediawiki);
    for naughty in &strings {
        let record = serde_json::json!({
            "message": naughty, "channel": naughty, "mwversion": naughty, "user": naughty, "wiki": naughty,
            "reqId": naughty,
        });
        let mut seen = None;
        decoder.decode(
            &super::record(record.to_string().as_bytes()),
            &mut |result| {
                let Ok(fatalmonitor::model::Decoded::Event(event)) = result else {
                    panic!("{naughty:?}: {result:?}");
                };
                assert_eq!(event.version.trim(), naughty.trim(), "the version");
                seen = Some(
                    [&event.message, &event.channel, &event.request_id].map(ToString::to_string),
                );
            },
        );
        assert_eq!(seen, Some([(); 3].map(|()| naughty.clone())), "{naughty:?}");
    }
}

#[test]
fn invalid_utf_8_is_replaced_as_the_reference_replaces_it() {
    let bytes = fs::read(folder("utf8tests").join("utf8tests.bin")).unwrap();
    let reference = fs::read_to_string(folder("utf8tests").join("utf8.replace.ref.txt")).unwrap();
    let cases: Vec<&[u8]> = bytes
        .split(|it| *it == b'\n')
        .filter(|it| !it.is_empty())
        .collect();
    let expected: Vec<&str> = reference.split('\n').filter(|it| !it.is_empty()).collect();
    assert_eq!(cases.len(), expected.len());
    assert!(cases.len() >= 150, "{}", cases.len());
    let mut decoder = decoder(Dialect::Auto);
    let mut n_checked = 0;
    for (case, expected) in cases.iter().zip(expected) {
        if case
            .iter()
            .any(|it| *it < 0x20 || matches!(it, b'"' | b'\\'))
        {
            continue;
        }
        n_checked += 1;
        let record = [br#"{"message":""#.as_slice(), case, br#""}"#].concat();
        let mut flags = vec![Flag::NoVersion];
        if std::str::from_utf8(case).is_err() {
            flags.insert(0, Flag::Lossy);
        }
        let expected = Outcome::Counted {
            message: expected.to_owned(),
            flags,
        };
        assert_eq!(one(&mut decoder, &record), expected);
    }
    assert!(n_checked >= 150, "{n_checked}");
}
