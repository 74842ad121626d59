use super::{Alias, Learner, Limits, Rule};
use proptest::prelude::*;

/// Returns the id that the tests give to a template: its text, so that failures can be read.
fn id(template: &str) -> u128 {
    u128::from(super::token::hash(template))
}

fn learned(ticks: &[&[&str]]) -> (Learner, Vec<Alias>) {
    let mut learner = Learner::new(Limits::default());
    let mut aliases = Vec::new();
    for tick in ticks {
        for template in *tick {
            learner.add(id(template), template);
        }
        aliases.extend(learner.tick());
    }
    (learner, aliases)
}

fn together(learner: &Learner, templates: &[&str]) -> bool {
    let roots: Vec<u128> = templates.iter().map(|t| learner.root(id(t))).collect();
    roots.windows(2).all(|pair| pair[0] == pair[1])
}

const TOPICS: [&str; 3] = [
    "Lost the leader of topic media-wiki.events, retrying",
    "Lost the leader of topic page.links, retrying",
    "Lost the leader of topic job_queue, retrying",
];

#[test]
fn identifiers_at_one_position_are_one_signature() {
    let (learner, aliases) = learned(&[&TOPICS]);
    assert!(together(&learner, &TOPICS));
    assert_eq!(aliases.len(), 2);
    assert_eq!(
        learner.template(id(TOPICS[0])),
        Some("Lost the leader of topic <*>, retrying")
    );
    assert_eq!(aliases[0].rule, Rule::Skeleton);
    assert!(
        aliases[0].evidence.contains("position 6 had 3 values"),
        "{}",
        aliases[0].evidence
    );
}

#[test]
fn enum_like_words_stay_apart_until_they_are_many() {
    let state = |word: &str| format!("Changed the state of the job to {word} now");
    let few: Vec<String> = ["ACTIVE", "IDLE", "DONE"].map(state).to_vec();
    let few: Vec<&str> = few.iter().map(String::as_str).collect();
    let (learner, aliases) = learned(&[&few]);
    assert!(aliases.is_empty() && !together(&learner, &few));
    let words = [
        "ACTIVE", "IDLE", "DONE", "LOST", "HELD", "WAITING", "PAUSED", "DRAINED",
    ];
    let many: Vec<String> = words.map(state).to_vec();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(together(&learned(&[&many]).0, &many));
}

#[test]
fn one_word_with_many_identifiers_is_one_signature_but_not_with_two() {
    let all = [
        "unresolvable Dr.Smith",
        "unresolvable JaneDoe",
        "unresolvable a_b",
    ];
    assert!(together(&learned(&[&all]).0, &all));
    assert!(!together(&learned(&[&all[..2]]).0, &all[..2]));
}

#[test]
fn what_stands_between_two_quoted_texts_is_no_value() {
    let pair = [
        "new name '<*>' is not valid. The old name is '<*>' now",
        "new name '<*>' is not a named user. The old name is '<*>' now",
    ];
    let quoted: Vec<String> = ["not valid", "no named user", "<*> of them"]
        .map(|text| format!("the new name was '{text}' until now"))
        .to_vec();
    let quoted: Vec<&str> = quoted.iter().map(String::as_str).collect();
    assert!(!together(&learned(&[&pair]).0, &pair));
    assert!(together(&learned(&[&quoted]).0, &quoted));
}

#[test]
fn two_plain_words_are_two_signatures() {
    for pair in [
        [
            "program interrupt: illegal instruction",
            "program interrupt: privileged instruction",
        ],
        [
            "Received the block of the peer",
            "Deleted the block of the peer",
        ],
        ["screen is on for display", "screen is off for display"],
        [
            "onReceive action: android.intent.action.SCREEN_ON",
            "onReceive action: android.intent.action.SCREEN_OFF",
        ],
    ] {
        assert!(!together(&learned(&[&pair]).0, &pair), "{pair:?}");
    }
}

#[test]
fn a_free_text_that_recurs_is_a_value() {
    let texts = ["Connection refused", "Broken pipe", "No route to host"];
    let fetch: Vec<String> = texts
        .map(|t| format!("Cannot fetch the page: {t}"))
        .to_vec();
    let store: Vec<String> = texts
        .map(|t| format!("Cannot store the file: {t}"))
        .to_vec();
    let all: Vec<&str> = fetch.iter().chain(&store).map(String::as_str).collect();
    let (learner, _) = learned(&[&all]);
    assert!(together(&learner, &all[..3]) && together(&learner, &all[3..]));
    assert!(!together(&learner, &[all[0], all[3]]));
    assert_eq!(
        learner.template(id(all[0])),
        Some("Cannot fetch the page: <*>")
    );
}

#[test]
fn names_with_blanks_are_values() {
    let names = [
        "Bob",
        "Any Name",
        "Renamed User Two",
        "Dr Smith",
        "<*>",
        "Jimbo",
    ];
    let all: Vec<String> = names
        .map(|n| format!("The account of {n} is locked globally"))
        .to_vec();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    assert!(together(&learned(&[&all]).0, &all));
}

#[test]
fn a_special_template_joins_the_general_one() {
    let pair = ["took <*> from the cache", "took it from the cache"];
    let (learner, aliases) = learned(&[&pair]);
    assert!(together(&learner, &pair));
    assert_eq!(aliases[0].rule, Rule::Cover);
}

#[test]
fn the_id_of_the_older_one_stays() {
    let (learner, aliases) = learned(&[&TOPICS[..1], &TOPICS[1..]]);
    assert!(aliases.iter().all(|alias| alias.older == id(TOPICS[0])));
    assert!(TOPICS.iter().all(|t| learner.root(id(t)) == id(TOPICS[0])));
}

#[test]
fn within_a_tick_the_smallest_id_is_the_oldest() {
    let (learner, _) = learned(&[&TOPICS]);
    assert_eq!(
        Some(learner.root(id(TOPICS[0]))),
        TOPICS.iter().map(|t| id(t)).min()
    );
}

#[test]
fn what_was_merged_stays_merged() {
    let mut learner = learned(&[&TOPICS]).0;
    let before = learner.root(id(TOPICS[0]));
    for n in 0..50 {
        let text = format!("Something else of kind {} happened", "x".repeat(n + 1));
        learner.add(id(&text), &text);
        learner.tick();
    }
    assert!(TOPICS.iter().all(|t| learner.root(id(t)) == before));
}

#[test]
fn a_restart_changes_nothing() {
    let (mut one, _) = learned(&[&TOPICS[..2]]);
    one.add(id(TOPICS[2]), TOPICS[2]);
    let mut two = Learner::restore(Limits::default(), one.keep());
    assert_eq!(one.keep(), two.keep());
    assert_eq!(one.tick(), two.tick());
    assert_eq!(one.keep(), two.keep());
    assert!(
        TOPICS
            .iter()
            .all(|t| two.root(id(t)) == one.root(id(t))
                && two.template(id(t)) == one.template(id(t)))
    );
}

#[test]
fn a_full_learner_refuses_and_counts() {
    let mut learner = Learner::new(Limits {
        live_max: 2,
        ..Limits::default()
    });
    for template in TOPICS {
        learner.add(id(template), template);
    }
    learner.tick();
    assert_eq!((learner.live(), learner.refused()), (2, 1));
    assert_eq!(learner.root(id(TOPICS[2])), id(TOPICS[2]));
}

#[test]
fn a_very_long_template_is_only_itself() {
    let long = |word: &str| format!("{} {word}.x tail of it", "word ".repeat(200));
    let pair = [long("a"), long("b")];
    assert!(!together(
        &learned(&[&[&pair[0], &pair[1]]]).0,
        &[&pair[0], &pair[1]]
    ));
}

fn templates() -> impl Strategy<Value = Vec<String>> {
    let word = prop::sample::select(vec![
        "the",
        "job",
        "state",
        "<*>",
        "a.b",
        "c_d",
        "Foo",
        "BarBaz",
        "ACTIVE",
        "IDLE",
        "error:",
        "(x)",
        "\"q\"",
        "Connection",
        "refused",
        "with",
        "k=v",
        "[<*>]",
        "é",
    ]);
    prop::collection::vec(
        prop::collection::vec(word, 1..9).prop_map(|w| w.join(" ")),
        1..40,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_order_within_a_tick_changes_nothing((list, shuffled) in templates().prop_flat_map(|l| (Just(l.clone()), Just(l).prop_shuffle()))) {
        let (one, first) = learned(&[&list.iter().map(String::as_str).collect::<Vec<_>>()]);
        let (two, second) = learned(&[&shuffled.iter().map(String::as_str).collect::<Vec<_>>()]);
        prop_assert_eq!(first, second);
        for template in &list {
            prop_assert_eq!(one.template(id(template)), two.template(id(template)));
        }
    }

    #[test]
    fn aliases_and_roots_agree(list in templates(), cut in 0_usize..40) {
        let all: Vec<&str> = list.iter().map(String::as_str).collect();
        let cut = cut.min(all.len());
        let (learner, aliases) = learned(&[&all[..cut], &all[cut..]]);
        for alias in &aliases {
            prop_assert_ne!(alias.younger, alias.older);
            prop_assert_eq!(learner.root(alias.younger), learner.root(alias.older));
            prop_assert!(!alias.evidence.is_empty());
        }
    }
}
