//! Golden cases: a record, and everything that comes out of it.

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;

use fatalmonitor::ingest::decode::{Decoder, Dialect};
use fatalmonitor::model::{EventTime, RawRecord};
use fatalmonitor::rules::{BUILT_IN, RuleSet};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What it shows, as a fact.
    name: String,
    dialect: String,
    #[serde(default)]
    arrived: Option<EventTime>,
    /// Rules beside the built-in ones.
    #[serde(default)]
    rules: String,
    /// Rules instead of the built-in ones.
    #[serde(default)]
    only_rules: String,
    record: String,
    /// Non-empty fields of each event, one a line; events are set apart by `--`.
    expect: String,
}

#[test]
fn golden_cases_decode_as_written() {
    let mut n_cases = 0;
    let mut wrong = String::new();
    let mut files: Vec<_> = fs::read_dir(super::folder("decode"))
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    files.sort();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let file: File =
            toml::from_str(&text).unwrap_or_else(|it| panic!("{}: {it}", path.display()));
        for case in file.case {
            n_cases += 1;
            let got = run(&case);
            if got.trim() != case.expect.trim() {
                write!(
                    wrong,
                    "\n=== {} ({})\n{got}--- expected\n{}",
                    case.name,
                    path.display(),
                    case.expect
                )
                .unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(n_cases >= 60, "{n_cases} cases found");
}

fn run(case: &Case) -> String {
    let texts = match case.only_rules.as_str() {
        "" => vec![("built-in", BUILT_IN), ("case", case.rules.as_str())],
        only => vec![("case", only)],
    };
    let rules =
        Arc::new(RuleSet::parse(&texts).unwrap_or_else(|it| panic!("{}: {it:?}", case.name)));
    let dialect: Dialect = case.dialect.parse().unwrap();
    let mut decoder = Decoder::new(Arc::clone(&rules), dialect);
    let record = RawRecord {
        arrived: case
            .arrived
            .unwrap_or_else(|| EventTime::parse_rfc3339(super::ARRIVED).unwrap()),
        ..super::record(case.record.as_bytes())
    };
    let first = super::shown(&mut decoder, &rules, &record);
    // Buffers are reused: what came before must leave no trace.
    let again = super::shown(&mut decoder, &rules, &record);
    assert_eq!(first, again, "{}", case.name);
    first.join("--\n")
}

#[test]
fn a_dialect_is_called_by_its_name_and_an_unknown_one_is_told_the_names() {
    for dialect in Dialect::ALL {
        assert_eq!(dialect.name().parse(), Ok(dialect));
    }
    let error = "logfmt".parse::<Dialect>().unwrap_err().to_string();
    for dialect in Dialect::ALL {
        assert!(error.contains(dialect.name()), "{error}");
    }
}
