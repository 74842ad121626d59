//! Times: what each text comes to, given when it arrived.

use fatalmonitor::ingest::decode::Dialect;
use fatalmonitor::model::{Decoded, EventTime, RawRecord, Rejection};

use super::{decoder, record};

/// Returns the time of an event whose JSON holds this value as its time.
fn read(value: &str, arrived: &str) -> Result<Option<String>, Rejection> {
    let text = format!(r#"{{"@timestamp":{value},"message":"x"}}"#);
    let record = RawRecord {
        arrived: EventTime::parse_rfc3339(arrived).unwrap(),
        ..record(text.as_bytes())
    };
    let mut found = None;
    decoder(Dialect::Auto).decode(&record, &mut |result| {
        found = Some(result.map(|it| match it {
            Decoded::Event(event) => event.time.map(|it| it.to_string()),
            other => panic!("{other:?}"),
        }));
    });
    found.unwrap()
}

type Expected = Result<Option<&'static str>, Rejection>;

const AT: Expected = Ok(Some("2016-01-20T01:20:03Z"));
const QUARTER: Expected = Ok(Some("2016-01-20T01:20:03.250Z"));
const BAD: Expected = Err(Rejection::BadTime);

/// Values of a time field as JSON, and what they come to.
const TABLE: &[(&str, Expected)] = &[
    // RFC 3339 and its looser relatives.
    ("\"2016-01-20T01:20:03Z\"", AT),
    ("\"2016-01-20T01:20:03+00:00\"", AT),
    ("\"2016-01-20t01:20:03z\"", AT),
    ("\"2016-01-20T03:20:03+02:00\"", AT),
    ("\"2016-01-19T20:20:03-05:00\"", AT),
    ("\"2016-01-20T06:50:03+0530\"", AT),
    ("\"2016-01-20T03:20:03+02\"", AT),
    ("\"2016-01-20T01:20:03.25Z\"", QUARTER),
    ("\"2016-01-20T01:20:03.250123Z\"", QUARTER),
    ("\"2016-01-20T01:20:03.250123456Z\"", QUARTER),
    ("\"2016-01-20 01:20:03,250\"", QUARTER),
    ("\"2016-01-20 01:20:03\"", AT),
    ("\"2016-01-20 01:20:03 UTC\"", AT),
    ("\"2016-01-20 01:20:03 +0000\"", AT),
    ("\"2016/01/20 01:20:03\"", AT),
    ("\" 2016-01-20T01:20:03Z \"", AT),
    ("\"20160120012003\"", AT),
    // Leap second, leap day, ends of a day.
    ("\"2016-12-31T23:59:60Z\"", Ok(Some("2016-12-31T23:59:59Z"))),
    ("\"2016-02-29T00:00:00Z\"", Ok(Some("2016-02-29T00:00:00Z"))),
    ("\"2015-02-29T00:00:00Z\"", BAD),
    ("\"2016-01-20T24:00:00Z\"", BAD),
    // Numbers: the size says the unit.
    ("1453252803", AT),
    ("\"1453252803\"", AT),
    ("1453252803.25", QUARTER),
    ("1453252803.250999", QUARTER),
    ("1.45325280325e9", QUARTER),
    ("1453252803250", QUARTER),
    ("1453252803250123", QUARTER),
    ("1453252803250123456", QUARTER),
    ("4102444800", Ok(Some("2100-01-01T00:00:00Z"))),
    ("2147483648", Ok(Some("2038-01-19T03:14:08Z"))),
    // The others.
    ("\"Wed, 20 Jan 2016 01:20:03 +0000\"", AT),
    ("\"Wed, 20 Jan 2016 01:20:03 GMT\"", AT),
    ("\"20 Jan 2016 01:20:03 GMT\"", AT),
    ("\"Tue, 19 Jan 2016 17:20:03 PST\"", AT),
    ("\"Wed Jan 20 01:20:03 2016\"", AT),
    ("\"Wed Jan 20 01:20:03.250123 2016\"", QUARTER),
    ("\"20/Jan/2016:01:20:03 +0000\"", AT),
    ("\"20-Jan-2016 01:20:03 UTC\"", AT),
    ("\"Jan 20 2016 01:20:03\"", AT),
    ("\"Jan 20 01:20:03\"", AT),
    // Nothing there.
    ("\"\"", Ok(None)),
    ("\" \"", Ok(None)),
    ("\"-\"", Ok(None)),
    ("null", Ok(None)),
    ("true", Ok(None)),
    ("{}", Ok(None)),
    // There, but not the time of a log record.
    ("0", BAD),
    ("-1", BAD),
    ("\"0\"", BAD),
    ("1", BAD),
    ("1e999", BAD),
    ("-1453252803", BAD),
    ("99999999999999999999999", BAD),
    ("\"1970-01-01T00:00:00Z\"", BAD),
    ("\"9999-12-31T23:59:59Z\"", BAD),
    ("\"0000-00-00 00:00:00\"", BAD),
    ("\"yesterday\"", BAD),
    ("\"2016-01-20\"", BAD),
    ("\"2016-13-20T01:20:03Z\"", BAD),
    ("\"2016-01-20T01:20:03Z trailing\"", BAD),
    ("\"Wed, 20 Jan 2016\"", BAD),
    ("\"NaN\"", BAD),
];

#[test]
fn times_are_read_in_all_their_forms() {
    for (value, expected) in TABLE {
        let got = read(value, super::ARRIVED);
        assert_eq!(
            got.as_ref().map(|it| it.as_deref()),
            expected.as_ref().map(|it| *it),
            "{value}"
        );
    }
}

#[test]
fn a_time_without_year_is_put_nearest_to_its_arrival() {
    for (value, arrived, expected) in [
        (
            "Jan 20 01:20:03",
            "2016-01-20T01:20:05Z",
            "2016-01-20T01:20:03Z",
        ),
        (
            "Dec 31 23:59:59",
            "2016-01-01T00:00:02Z",
            "2015-12-31T23:59:59Z",
        ),
        (
            "Jan  1 00:00:01",
            "2015-12-31T23:59:59Z",
            "2016-01-01T00:00:01Z",
        ),
        (
            "Jun 30 12:00:00",
            "2016-01-20T01:20:05Z",
            "2016-06-30T12:00:00Z",
        ),
        (
            "Sep 30 12:00:00",
            "2016-01-20T01:20:05Z",
            "2015-09-30T12:00:00Z",
        ),
        (
            "Feb 29 12:00:00",
            "2017-02-28T12:00:00Z",
            "2016-02-29T12:00:00Z",
        ),
        (
            "Jan 20 01:20:03.250",
            "2016-01-20T01:20:05Z",
            "2016-01-20T01:20:03.250Z",
        ),
    ] {
        let got = read(&format!("\"{value}\""), arrived);
        assert_eq!(
            got,
            Ok(Some(expected.to_owned())),
            "{value} arrived {arrived}"
        );
    }
}
