//! Runs the examples that rules files hold (`[[test]]`) through stage 1, as live records go through it.
//!
//! Invariant: what an example sees is what the pipeline would count, since it is the pipeline that is asked.

use std::sync::Arc;

use super::decode::Dialect;
use super::{Clock, Ingest, Resume};
use crate::model::{CountBatch, EventTime, RawRecord, Rejection, SignatureDef};
use crate::rules::{RuleSet, RuleTest};

/// Arrival of every record: a time that a record without its own is given.
// 23 January 2016, noon: the year that times without one fall into.
const ARRIVED: EventTime = EventTime::from_seconds(1_453_550_400);

/// What came of one example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleVerdict {
    /// Where it is written: `file:line`.
    pub place: String,
    /// What it expects, as a fact.
    pub name: String,
    /// What was otherwise, a sentence each; empty if it holds.
    pub failures: Vec<String>,
}

/// Runs every example of the rules, in their order.
pub fn run(rules: &Arc<RuleSet>) -> Vec<RuleVerdict> {
    rules
        .tests
        .iter()
        .map(|test| RuleVerdict {
            place: test.place.clone(),
            name: test.name.clone(),
            failures: failures(rules, test),
        })
        .collect()
}

fn failures(rules: &Arc<RuleSet>, test: &RuleTest) -> Vec<String> {
    let dialect = match test.dialect.parse::<Dialect>() {
        Ok(it) => it,
        Err(error) => return vec![format!("dialect = \"{}\": {error}", test.dialect)],
    };
    let mut failures = Vec::new();
    let mut found = Vec::new();
    for (number, input) in (1_usize..).zip(&test.input) {
        let mut batch = counted(rules, dialect, Clock::Record, input);
        if rejection(&batch) == Some(Rejection::BadTime) {
            // A record without a time of its own has that of its arrival, as in live reading.
            batch = counted(rules, dialect, Clock::Arrival, input);
        }
        let mut say = |sentence: String| failures.push(format!("input {number}: {sentence}"));
        match (&test.rejected, rejection(&batch)) {
            (Some(wanted), Some(reason)) if wanted == reason.name() => {}
            (Some(wanted), reason) => say(format!(
                "expected to be rejected as `{wanted}`, but it was {}",
                reason.map_or_else(
                    || "counted".to_owned(),
                    |it| format!("rejected as `{}`", it.name())
                )
            )),
            (None, Some(reason)) => say(format!("was rejected as `{}`", reason.name())),
            (None, None) => {}
        }
        if test.rejected.is_none() {
            for event in events(&batch) {
                compare(rules, test, &event, &mut say);
                found.push(event.signature.clone());
            }
        }
    }
    if let Some(same) = test.same {
        compare_signatures(same, &found, &mut failures);
    }
    failures
}

/// Sends one record through stage 1.
fn counted(rules: &Arc<RuleSet>, dialect: Dialect, clock: Clock, input: &str) -> CountBatch {
    let mut ingest = Ingest::new(Arc::clone(rules), dialect, clock);
    let index = ingest.open("test", "test", 0, &Resume::default());
    ingest.record(
        index,
        &RawRecord {
            offset: 0,
            next_offset: 1,
            payload: Some(input.as_bytes()),
            arrived: ARRIVED,
        },
    );
    ingest.cut().pop().unwrap_or_default()
}

fn rejection(batch: &CountBatch) -> Option<Rejection> {
    Rejection::ALL
        .into_iter()
        .zip(batch.totals.rejected)
        .find_map(|(reason, records)| (records > 0).then_some(reason))
}

/// One counted event, as the pipeline sees it.
struct Seen<'a> {
    signature: &'a SignatureDef,
    version: &'a str,
    group: &'a str,
}

fn events(batch: &CountBatch) -> Vec<Seen<'_>> {
    batch
        .counts
        .iter()
        .filter_map(|row| {
            Some(Seen {
                signature: batch.signatures.get(row.signature as usize)?,
                version: batch.string(row.version),
                group: batch.string(row.group),
            })
        })
        .collect()
}

fn compare(rules: &RuleSet, test: &RuleTest, event: &Seen<'_>, say: &mut impl FnMut(String)) {
    let def = event.signature;
    let id = def.id.to_string();
    let known = rules.known(&def.channel, &def.template, &id);
    let frame = def.frame.as_deref().unwrap_or_default();
    for (what, wanted, got) in [
        ("template", &test.template, def.template.as_str()),
        ("channel", &test.channel, &def.channel),
        ("version", &test.version, event.version),
        ("group", &test.group, event.group),
        ("frame", &test.frame, frame),
        ("owner", &test.owner, known.owner.unwrap_or_default()),
        ("ticket", &test.ticket, known.ticket.unwrap_or_default()),
    ] {
        if let Some(wanted) = wanted
            && wanted != got
        {
            say(format!("{what} is `{got}`, expected `{wanted}`"));
        }
    }
    if let Some(noise) = test.noise
        && noise != known.noise.is_some()
    {
        say(format!(
            "it is {}known noise",
            if noise { "not " } else { "" }
        ));
    }
}

fn compare_signatures(same: bool, found: &[SignatureDef], failures: &mut Vec<String>) {
    for (at, b) in found.iter().enumerate() {
        for a in found.iter().take(at) {
            if same && a.id != b.id {
                failures.push(format!(
                    "expected one signature, but there are `{}` and `{}`",
                    a.template, b.template
                ));
                return;
            }
            if !same && a.id == b.id {
                failures.push(format!(
                    "expected different signatures, but two are `{}`",
                    b.template
                ));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(text: &str) -> Vec<RuleVerdict> {
        run(&Arc::new(RuleSet::parse(&[("mine.toml", text)]).unwrap()))
    }

    #[test]
    fn the_examples_of_the_built_in_rules_hold() {
        let verdicts = run(&Arc::new(RuleSet::built_in()));
        assert!(verdicts.len() >= 5, "{}", verdicts.len());
        for verdict in verdicts {
            assert_eq!(verdict.failures, Vec::<String>::new(), "{}", verdict.name);
        }
    }

    #[test]
    fn an_example_that_does_not_hold_says_where_and_what_was_otherwise() {
        let found = verdicts(
            "[[mask]]\npattern = 'ORD-\\w+'\n\n[[test]]\nname = 'orders are masked'\ndialect = 'plain'\ninput = ['order ORD-AB lost', 'order ORD-CD lost']\nsame = true\ntemplate = 'order <id> lost'\n\n[[test]]\nname = 'and kept apart'\ndialect = 'plain'\ninput = ['order ORD-AB lost', 'order ORD-CD lost']\nsame = false\nowner = 'shop'\n",
        );
        assert_eq!(found[0].failures, Vec::<String>::new());
        assert_eq!(found[1].place, "mine.toml:11");
        assert_eq!(
            found[1].failures,
            [
                "input 1: owner is ``, expected `shop`",
                "input 2: owner is ``, expected `shop`",
                "expected different signatures, but two are `order <id> lost`"
            ]
        );
    }

    #[test]
    fn records_that_a_rule_drops_are_told_by_their_reason() {
        let found = verdicts(
            "[[drop]]\nchannel = '*'\ncontains = 'ping'\n[[test]]\nname = 'pings are dropped'\ndialect = 'plain'\ninput = ['ping from a']\nrejected = 'filtered'\n[[test]]\nname = 'and this is not'\ndialect = 'plain'\ninput = ['pong']\nrejected = 'filtered'\n",
        );
        assert_eq!(found[0].failures, Vec::<String>::new());
        assert_eq!(
            found[1].failures,
            ["input 1: expected to be rejected as `filtered`, but it was counted"]
        );
    }
}
