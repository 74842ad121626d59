//! Learned merges in the live world: one signature, one alert, one history, whatever people linked to.

use super::*;
use crate::detect::{Action, MuteTarget, MuteUntil, SignatureQuery};

/// Topics as identifiers: three of them at one position are one signature.
const TOPICS: [&str; 4] = ["media.events", "page_links", "job.queue", "user.edits"];

fn lost(topic: &str) -> String {
    format!("Lost the leader of topic {topic}, retrying")
}

/// Returns one error a second of each of some texts, from one second to another.
fn errors(from: i64, to: i64, texts: &[String], version: &'static str) -> Vec<Line> {
    let mut lines = Vec::new();
    for second in from..to {
        let host = format!("mw{}", 1 + second % 12);
        for (n, text) in (1_i64..).zip(texts) {
            let it = line(second * 1000 + n, "exception", Level::Error, text, &host);
            lines.push(it.on(version, "group1"));
        }
    }
    lines
}

fn topics(names: &[&str]) -> Vec<String> {
    names.iter().map(|it| lost(it)).collect()
}

fn id(text: &str) -> SignatureId {
    line(0, "exception", Level::Error, text, "h").def().id
}

/// Returns the ids of some texts' signatures, each once.
fn roots(feed: &Feed, texts: &[String]) -> Vec<SignatureId> {
    let mut roots: Vec<_> = texts.iter().map(|it| feed.world.resolve(id(it))).collect();
    roots.sort_unstable();
    roots.dedup();
    roots
}

#[test]
fn fingerprints_of_one_problem_are_one_signature_with_all_counts() {
    let mut feed = Feed::new(&rules(""));
    let texts = topics(&TOPICS[..3]);
    let mut lines = traffic(0, 900, "v1", "v1");
    lines.extend(errors(100, 200, &texts[..1], "v1"));
    lines.extend(errors(200, 300, &texts, "v1"));
    feed.play(lines, 900);
    let old = id(&texts[0]);
    assert_eq!(roots(&feed, &texts), [old], "the oldest keeps its id");
    let page = feed.world.signature(id(&texts[1])).unwrap();
    assert_eq!((page.summary.id, page.alias), (old, Some(id(&texts[1]))));
    assert_eq!(page.summary.total, 400);
    assert_eq!(page.releases[0].events, 400);
    assert_eq!(page.summary.template, lost("<*>"));
    let merge = page.merge.unwrap();
    assert_eq!((merge.merged, merge.own_template), (2, texts[0].clone()));
    assert!(
        merge.reasons[0].contains("merged because position 6 had 3 values"),
        "{:?}",
        merge.reasons
    );
    let mut known: Vec<_> = merge.texts.iter().map(|it| it.id).collect();
    known.sort_unstable();
    let mut expected = vec![id(&texts[1]), id(&texts[2])];
    expected.sort_unstable();
    assert_eq!(known, expected);
    let checkpoint = feed.world.take_checkpoint();
    let sum = |id| {
        let mine = checkpoint.series.iter().filter(|it| it.signature == id);
        mine.map(|it| it.events).sum::<u64>()
    };
    assert_eq!((sum(old), sum(id(&texts[1]))), (400, 0));
    assert_eq!(checkpoint.merged.len(), 2);
    let found = feed.world.find_prefix(&id(&texts[1]).short());
    assert_eq!(found, [id(&texts[1])]);
}

#[test]
fn a_fingerprint_that_fits_what_was_learned_is_not_new() {
    let mut feed = Feed::new(&rules(""));
    let mut lines = traffic(0, 3600, "v1", "v1");
    lines.extend(errors(500, 3600, &topics(&TOPICS[..3]), "v1"));
    lines.extend(traffic(3600, 4200, "v2", "v1"));
    lines.extend(errors(3600, 4200, &topics(&TOPICS[..3]), "v2"));
    lines.extend(errors(3620, 3680, &topics(&TOPICS[3..]), "v2"));
    lines.extend(errors(3620, 3680, &["Really new".to_owned()], "v2"));
    feed.play(lines, 4200);
    let said = feed.only(AlertKind::New);
    assert!(said.alert.summary.contains("Really new"));
    assert_eq!(roots(&feed, &topics(&TOPICS)).len(), 1);
    let page = feed.world.signature(id(&lost(TOPICS[3]))).unwrap();
    assert_eq!(page.summary.total, 3 * (4200 - 500) + 60);
    let merge = page.merge.unwrap();
    assert!(merge.texts.iter().any(|it| it.why.contains("fits")));
}

#[test]
fn alerts_of_merged_signatures_become_one_that_lives_on_and_ends_once() {
    let mut feed = Feed::new(&rules(""));
    let texts = topics(&TOPICS[..3]);
    let mut lines = traffic(0, 3600, "v1", "v1");
    lines.extend(traffic(3600, 9000, "v2", "v1"));
    lines.extend(errors(3605, 4200, &texts, "v2"));
    feed.play(lines, 9000);
    let fired = feed.firings(AlertKind::New);
    assert_eq!(fired.len(), 3, "{:#?}", feed.sentences());
    assert!(fired.iter().all(|it| it.at == time(3620)));
    let ended: Vec<_> = feed
        .log
        .iter()
        .filter(|it| it.to == AlertState::Resolved && it.alert.key.kind == AlertKind::New)
        .collect();
    let withdrawn: Vec<_> = ended.iter().filter(|it| it.at == time(3660)).collect();
    assert_eq!(
        (ended.len(), withdrawn.len()),
        (3, 2),
        "{:#?}",
        feed.sentences()
    );
    assert!(
        withdrawn
            .iter()
            .all(|it| it.alert.description.starts_with("Withdrawn: these lines"))
    );
    let last = ended.iter().find(|it| it.at > time(4200)).unwrap();
    // What went on counted the events of all three.
    assert_eq!(last.alert.evidence.count, 3 * (4200 - 3605));
    let page = feed.world.signature(id(&texts[2])).unwrap();
    assert_eq!(page.alerts.len(), 3);
}

#[test]
fn a_merge_with_something_old_withdraws_the_alert_about_something_new() {
    let mut feed = Feed::new(&rules(""));
    let texts = topics(&TOPICS[..3]);
    let mut lines = traffic(0, 3600, "v1", "v1");
    lines.extend(errors(500, 3600, &texts[..1], "v1"));
    lines.extend(traffic(3600, 4200, "v2", "v1"));
    lines.extend(errors(3601, 4200, &texts, "v2"));
    feed.play(lines, 4200);
    assert_eq!(feed.firings(AlertKind::New).len(), 2);
    assert!(
        feed.world
            .active_alerts()
            .iter()
            .all(|it| { it.key.kind != AlertKind::New || it.state == AlertState::Resolved })
    );
    assert_eq!(roots(&feed, &texts), [id(&texts[0])]);
}

#[test]
fn a_merge_of_steady_signatures_is_no_rise() {
    let mut feed = Feed::new(&rules(""));
    let few: Vec<String> = ["wait", "hold", "stop", "play"]
        .map(|it| format!("Changed the state of the long job to {it} now"))
        .to_vec();
    let fifth = "Changed the state of the long job to run now".to_owned();
    let mut lines = traffic(0, 100_000, "v1", "v1");
    let mut steady = errors(0, 100_000, &few, "v1");
    steady.retain(|it| it.at / 1000 % 30 == 0);
    lines.extend(steady);
    lines.extend(errors(90_000, 90_003, std::slice::from_ref(&fifth), "v1"));
    feed.play(lines, 100_000);
    let mut all = few;
    all.push(fifth);
    assert_eq!(roots(&feed, &all).len(), 1, "five words at one position");
    for kind in [AlertKind::Spike, AlertKind::Regressed, AlertKind::New] {
        assert!(feed.firings(kind).is_empty(), "{:#?}", feed.sentences());
    }
}

#[test]
fn a_mute_of_a_merged_signature_holds_for_all_of_it() {
    let mut feed = Feed::new(&rules(""));
    let texts = topics(&TOPICS[..3]);
    feed.play(traffic(0, 60, "v1", "v1"), 60);
    feed.play(errors(61, 80, &texts[..2], "v1"), 90);
    let younger = texts.iter().take(2).map(|it| id(it)).max().unwrap();
    let mute = |id| Action::Mute {
        target: MuteTarget::Signature(id),
        until: MuteUntil::Lifted,
        reason: "known".to_owned(),
        by: "me".to_owned(),
    };
    feed.world.act(time(90), mute(younger)).unwrap();
    feed.play(errors(91, 120, &texts[2..], "v1"), 240);
    let root = feed.world.resolve(younger);
    assert_eq!(roots(&feed, &texts), [root]);
    assert_ne!(root, younger);
    assert_eq!(feed.world.mutes()[0].target, MuteTarget::Signature(root));
    // An old id still names it.
    let target = MuteTarget::Signature(younger);
    feed.world
        .act(time(240), Action::Unmute { target })
        .unwrap();
    assert!(feed.world.mutes().is_empty());
}

/// Restores a world with other rules, as a restart does.
fn restarted(feed: &mut Feed, own: &str) -> World {
    let checkpoint = feed.world.take_checkpoint();
    let rows = checkpoint.rows.into_iter().filter_map(|row| {
        let value = row.value?;
        Some((row.kind.to_owned(), row.key, value))
    });
    let mut world = World::restore(rules(own), rows, checkpoint.positions).unwrap();
    world.enforce_signature_rules();
    world
}

#[test]
fn a_split_keeps_a_text_apart_and_takes_learned_merges_back() {
    let texts = topics(&TOPICS);
    let split = "[[signature.split]]\ntemplate = \"* topic page_links, *\"\n";
    let mut lines = traffic(0, 300, "v1", "v1");
    lines.extend(errors(100, 200, &texts, "v1"));
    let mut feed = Feed::new(&rules(split));
    feed.play(lines.clone(), 300);
    assert_eq!(roots(&feed, &texts).len(), 2);
    assert_eq!(feed.world.resolve(id(&texts[1])), id(&texts[1]));

    let mut feed = Feed::new(&rules(""));
    feed.play(lines, 300);
    assert_eq!(roots(&feed, &texts).len(), 1);
    feed.world = restarted(&mut feed, split);
    feed.play(errors(310, 320, &texts, "v1"), 600);
    assert_eq!(roots(&feed, &texts).len(), 2);
    let apart = feed.world.signature(id(&texts[1])).unwrap();
    let rest = feed.world.signature(id(&texts[0])).unwrap();
    // What was counted together stays where it was counted, unless the text apart held all of it.
    assert_eq!(apart.summary.total + rest.summary.total, 4 * 110);
    assert_eq!(apart.summary.template, texts[1]);
    assert!(feed.firings(AlertKind::New).is_empty(), "it is no news");
}

#[test]
fn a_merge_by_rule_holds_from_the_first_event_and_for_what_was_apart() {
    let texts = vec![
        "Cannot open the door".to_owned(),
        "The window is jammed".to_owned(),
    ];
    let merge = "[[signature.merge]]\nchannel = \"exc*\"\ntemplates = [\"Cannot open *\", \"The window is jammed\"]\n";
    let mut lines = traffic(0, 300, "v1", "v1");
    lines.extend(errors(100, 200, &texts, "v1"));
    let mut feed = Feed::new(&rules(merge));
    feed.play(lines.clone(), 300);
    let found = roots(&feed, &texts);
    assert_eq!(found.len(), 1);
    let page = feed.world.signature(found[0]).unwrap();
    assert_eq!(page.summary.total, 200);
    assert!(page.merge.unwrap().reasons[0].contains("[[signature.merge]]"));

    let mut feed = Feed::new(&rules(""));
    feed.play(lines, 300);
    assert_eq!(roots(&feed, &texts).len(), 2);
    feed.world = restarted(&mut feed, merge);
    let found = roots(&feed, &texts);
    assert_eq!(found.len(), 1);
    assert_eq!(feed.world.signature(found[0]).unwrap().summary.total, 200);
    // Without the rule they are two again.
    feed.world = restarted(&mut feed, "");
    assert_eq!(roots(&feed, &texts).len(), 2);
}

#[test]
fn many_texts_of_one_message_are_one_row_of_the_list() {
    let mut feed = Feed::new(&rules(""));
    let mut lines = traffic(0, 1200, "v1", "v1");
    for n in 0..1000_i64 {
        let letters: String = n
            .to_string()
            .bytes()
            .map(|it| char::from(b'a' + it - b'0'))
            .collect();
        let text = format!("get against {letters}wiki_content took <num> millis");
        lines.push(line(
            60_000 + n * 1000,
            "search",
            Level::Debug,
            &text,
            "mw1",
        ));
    }
    feed.play(lines, 1200);
    let query = SignatureQuery {
        channel: Some("search".to_owned()),
        ..SignatureQuery::default()
    };
    let page = feed.world.signatures(&query);
    assert_eq!(
        page.total,
        1,
        "{:?}",
        page.rows.iter().map(|it| &it.template).collect::<Vec<_>>()
    );
    assert_eq!(page.rows[0].total, 1000);
    assert_eq!(page.rows[0].template, "get against <*> took <num> millis");
}

#[test]
fn the_doctor_names_what_varies() {
    let mut feed = Feed::new(&rules(""));
    let mut lines = traffic(0, 300, "v1", "v1");
    lines.extend(errors(100, 200, &topics(&TOPICS), "v1"));
    feed.play(lines, 300);
    let doctor = feed.world.doctor(Some("exception"));
    let [channel] = doctor.channels.as_slice() else {
        panic!("{doctor:#?}");
    };
    assert_eq!((channel.fingerprints, channel.signatures), (5, 2));
    let [it] = channel.varying.as_slice() else {
        panic!("{:#?}", channel.varying);
    };
    assert_eq!((it.position, &*it.kind, it.learned), (6, "<*>", true));
    assert_eq!(it.placeholder, "{topic}");
    assert!(it.values.contains(&TOPICS[0].to_owned()), "{:?}", it.values);
    assert!(it.advice.contains("{topic}"), "{}", it.advice);
    assert!(feed.world.doctor(Some("nothing")).channels.is_empty());
}
