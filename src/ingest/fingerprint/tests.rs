use super::{Identity, Masker, TEMPLATE_BYTES_MAX, prefix, signature_id, trace};
use proptest::prelude::*;

#[rustfmt::skip]
const PARTS: &[&str] = &[
    " ", " ", " ", "  ", "\t", ", ", ": ", ":", "=", "==", "\"", "'", "(", ")", "()", "[", "]", "{", "}", "<", ">", ".", "...", "/", "\\", "-", "_", "@", "#", "+", "|", "?", "!", ";", "%", "&", "user", "for", "invalid", "Bearer", "Basic", "password", "Cookie", "key", "name2_x", "12", "0x1f", "deadbeef", "5ms", "KB", "KB/s", "bytes", "1190 bytes (1.16 KB)", " (5 MB)", "sec", "1.2.3.4", "fe80::1", "::", "a:b:1", "enwiki", "http://a.b/c?d=1", "/srv/x/y.php", "C:\\x", "Mon", "Jan", "20", "2016", "01:20:03", "UTC", "PM", "true", "null", "nil.", "<num>", "<*>", "<id>", "{user}", "{\"a\": 1}", "['a', 'b']", "[a,b]", "map[", "&{", "<X object at 0x12>", "[30]A\\B<+:1:C d>e", "utf-8", "1.27.0-wmf.11", "foo.com", "foo.bar:80", "Ж", "имя", "é", "Name", "the", "abcdefghijklmnopqrstuvabcdefghij", "-----BEGIN X-----", "\u{0}", "\u{1b}[0m", "\u{1f4a9}",
];

/// A text made of parts that real messages are made of, in any order.
fn parts() -> impl Strategy<Value = String> {
    let part = prop::sample::select(PARTS);
    prop::collection::vec(part, 0..14).prop_map(|parts| parts.concat())
}

/// A thousand keeps a run below a second; the scanner has stood a hundred times as many.
const CASES: u32 = 1000;

fn check(text: &str) -> Result<(), TestCaseError> {
    let mut masker = Masker::new();
    let once = masker.template(text).to_owned();
    prop_assert_eq!(
        masker.template(&once),
        once.as_str(),
        "template of {:?}",
        text
    );
    let canonical = masker.canonical(text).to_owned();
    prop_assert_eq!(
        masker.canonical(&once),
        canonical.as_str(),
        "canonical of template of {:?}",
        text
    );
    prop_assert_eq!(
        masker.canonical(&canonical),
        canonical.as_str(),
        "canonical of {:?}",
        text
    );
    prop_assert!(once.len() <= TEMPLATE_BYTES_MAX && canonical.len() <= TEMPLATE_BYTES_MAX);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn the_template_of_a_template_is_itself(text in parts()) {
        check(&text)?;
    }

    #[test]
    fn any_text_has_a_stable_template(text in "(?s).{0,120}") {
        check(&text)?;
    }

    #[test]
    fn long_texts_stay_within_the_bound(text in parts(), times in 1_usize..400) {
        check(&text.repeat(times))?;
    }
}

/// Returns how many bytes were looked at to mask a text.
fn work(masker: &mut Masker, text: &str) -> usize {
    super::class::VISITED.with(|visited| visited.set(0));
    masker.canonical(text);
    super::class::VISITED.with(std::cell::Cell::get)
}

/// Repeats a text up to a length.
fn filled(part: &str, bytes: usize) -> String {
    let mut text = part.repeat(bytes / part.len() + 1);
    text.truncate(text.floor_char_boundary(bytes));
    text
}

#[test]
fn twice_the_text_is_at_most_twice_the_work() {
    // 3,000 and 6,000: below the limits of what is looked at and of a template.
    const HALF: usize = 3_000;
    // 6 rounds of at most 250 looks at a byte: a bracket may open a window of 512 bytes, and the
    // shortest one that does is five bytes long.
    const LOOKS_MAX: usize = 1_500;
    let mut masker = Masker::new();
    let mut texts: Vec<String> = PARTS.iter().map(|part| (*part).to_owned()).collect();
    for pair in PARTS.windows(2) {
        texts.push(pair.concat());
    }
    texts.extend(
        [
            "[1]A<+:",
            "k=\"",
            "{\"a\":",
            "['",
            "a:b:",
            "\u{416} A ",
            "(1 ",
            "&{[",
            "<a at 0x",
        ]
        .map(str::to_owned),
    );
    for part in texts {
        let once = work(&mut masker, &filled(&part, HALF));
        let twice = work(&mut masker, &filled(&part, 2 * HALF));
        assert!(twice < LOOKS_MAX * 2 * HALF, "{part:?}: {twice} looks");
        assert!(
            twice <= 3 * once + 10_000,
            "{part:?}: {once}, then {twice} looks"
        );
    }
}

/// Each message of the table has the template that stands beside it.
#[test]
fn every_case_of_the_table_has_its_template() {
    let mut masker = Masker::new();
    let mut wrong = Vec::new();
    let table = include_str!("cases/masks.golden");
    let cases = table.lines().filter(|l| !l.starts_with("# "));
    assert!(cases.clone().count() >= 400);
    for line in cases {
        let (text, expected) = line.split_once('\t').unwrap();
        let found = masker.template(text);
        if found != expected {
            wrong.push(format!("{text}\n  found    {found}\n  expected {expected}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Returns the id of a message on a channel, after the wrapping is removed.
fn id(channel: &str, text: &str, joined: &[(&str, &str)]) -> u128 {
    let found = prefix::unwrap(text);
    let mut masker = Masker::new();
    let frame = found.file.map(trace::file_key);
    signature_id(&Identity {
        channel,
        level_class: "error",
        exception_class: found.exception_class,
        template: masker.canonical(found.message),
        frame: frame.as_deref(),
        joined,
    })
}

#[test]
fn two_session_ids_are_one_signature() {
    let sessions = [
        "[30]MediaWiki\\Session\\CookieSessionProvider<+:4821:Any Name>0k5v2mq8c1r7j3t9h4b6n0g2s8d1f5a7",
        "[30]MediaWiki\\Session\\CookieSessionProvider<-:77:Ива́н И>v9tbo2mq8c1r7j3t9h4b6n0g2s8d1f5a",
        "[30]MediaWiki\\Session\\CookieSessionProvider<anon>abcdefghijklmnopqrstuvabcdefghij",
        "[50]MediaWiki\\Session\\BotPasswordSessionProvider<none>v9tbo2mq8c1r7j3t9h4b6n0g2s8d1f5a",
        "[1]null<none>0k5v2mq8c1r7j3t9h4b6n0g2s8d1f5a7",
    ];
    for problem in SESSION_PROBLEMS {
        let ids: Vec<u128> = sessions
            .iter()
            .map(|session| id("session", &format!("Session {session}: {problem}"), &[]))
            .collect();
        assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{problem}");
    }
    assert_eq!(
        id("x", "sid 0k5v2mq8c1r7j3t9h4b6n0g2s8d1f5a7", &[]),
        id("x", "sid abcdefghijklmnopqrstuvabcdefghij", &[])
    );
}

/// What `MediaWiki` says of a session, with its values filled in.
const SESSION_PROBLEMS: [&str; 12] = [
    "Bad data",
    "Bad data structure",
    "Bad metadata",
    "Unknown provider, MediaWiki\\Session\\X",
    "Metadata merge failed: no such key",
    "User ID mismatch, 4821 !== 4822",
    "User ID matched but name didn't (rename?), Any !== Other",
    "Metadata has an anonymous user, but a non-anon user was provided",
    "User token mismatch",
    "Null provider and no metadata",
    "Unverified user provided and no metadata to auth it",
    "Hook aborted",
];

#[test]
fn the_problems_of_sessions_stay_apart() {
    let text =
        |problem: &str| format!("Session [30]P<anon>0k5v2mq8c1r7j3t9h4b6n0g2s8d1f5a7: {problem}");
    let mut ids: Vec<u128> = SESSION_PROBLEMS
        .iter()
        .map(|problem| id("session", &text(problem), &[]))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), SESSION_PROBLEMS.len());
}

#[test]
fn an_old_error_in_a_new_version_is_not_new() {
    let text = |version: &str, line: u32, request: &str| {
        format!(
            "[{request}] /w/index.php?x={line}   MWException from line {line} of /srv/mediawiki/php-{version}/includes/User.php: CAS update failed for user ID '{line}'"
        )
    };
    let old = id("exception", &text("1.27.0-wmf.10", 3790, "5c5c2c0c"), &[]);
    assert_eq!(
        old,
        id("exception", &text("1.27.0-wmf.11", 3811, "a1b2c3d4"), &[])
    );
    let fatal = |version: &str, line: u32| {
        format!(
            "#012Fatal error: Class undefined: Foo in /srv/mediawiki/php-{version}/includes/a.php on line {line}"
        )
    };
    assert_eq!(
        id("hhvm", &fatal("1.27.0-wmf.10", 1), &[]),
        id("hhvm", &fatal("1.27.0-wmf.11", 22), &[])
    );
}

#[test]
fn the_text_form_and_the_raw_form_of_an_exception_are_one_message() {
    let raw =
        "[{reqId}] {exception_url}   Wikimedia\\Assert\\InvariantException: Invariant failed: 12";
    let full = "[V4aABApAMEoAAFRU2eIAAABO] /w/api.php   Wikimedia\\Assert\\InvariantException: Invariant failed: 97";
    assert_eq!(id("exception", raw, &[]), id("exception", full, &[]));
}

#[test]
fn a_folded_repeat_is_the_message_it_repeats() {
    let (count, inner) =
        prefix::repeated("message repeated 12 times: [ #012Warning: x in /srv/a/b.php on line 3]");
    assert_eq!(count, 12);
    assert_eq!(
        id("hhvm", inner, &[]),
        id("hhvm", "#012Warning: x in /srv/a/b.php on line 9", &[])
    );
}

#[test]
fn a_reworded_text_is_another_signature_until_it_is_linked() {
    assert_ne!(
        id("session", "Session x1: Bad data", &[]),
        id("session", "Session \"x1\": Bad data", &[])
    );
}

#[test]
fn enum_like_words_stay_apart() {
    assert_ne!(
        id("x", "intent.action.SCREEN_ON", &[]),
        id("x", "intent.action.SCREEN_OFF", &[])
    );
    assert_ne!(
        id("x", "state is 'Active'", &[]),
        id("x", "state is 'Inactive'", &[])
    );
}

#[test]
fn a_joined_field_keeps_logins_apart() {
    let success = id("authevents", "Login attempt", &[("status", "success")]);
    assert_ne!(
        success,
        id("authevents", "Login attempt", &[("status", "need_token")])
    );
    assert_ne!(success, id("authevents", "Login attempt", &[]));
}

#[test]
fn one_stray_word_does_not_join_messages() {
    assert_ne!(id("x", "ERROR lost 3", &[]), id("x", "WARN lost 3", &[]));
}

/// The ids of released versions: a change here is a new epoch of every signature.
#[test]
fn ids_are_frozen() {
    let bare = Identity::default();
    let full = Identity {
        channel: "exception",
        level_class: "error",
        exception_class: Some("MWException"),
        template: "CAS update failed for user ID '<*>'",
        frame: Some("User->saveSettings includes/User.php"),
        joined: &[("status", "need_token")],
    };
    let session = Identity {
        channel: "session",
        level_class: "warning",
        template: "Session <*>: Bad data",
        ..bare
    };
    let ids: Vec<String> = [bare, full, session]
        .iter()
        .map(|i| format!("{:032x}", signature_id(i)))
        .collect();
    assert_eq!(
        ids,
        [
            "1f63a7c8addbdaf20887be01775f73a6",
            "16e6dbf92d491e9b0d7b64df72931ff0",
            "8e0bd16cd2f90257fd1d9c9f923843f3"
        ]
    );
    assert_ne!(
        signature_id(&Identity {
            frame: Some(""),
            ..bare
        }),
        signature_id(&bare)
    );
}

/// The ids of whole messages, from text to number: what a release shows, the next one must show.
#[test]
fn ids_of_messages_are_frozen() {
    let found: Vec<String> = include_str!("cases/ids.golden")
        .lines()
        .filter(|l| !l.starts_with("# "))
        .map(|line| {
            let (_, rest) = line.split_once('\t').unwrap();
            let (channel, text) = rest.split_once('\t').unwrap();
            format!("{:032x}\t{rest}", id(channel, text, &[]))
        })
        .collect();
    let expected: Vec<&str> = include_str!("cases/ids.golden")
        .lines()
        .filter(|l| !l.starts_with("# "))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_type_that_is_shown_never_changes_the_canonical_form() {
    let mut masker = Masker::new();
    let first = masker.canonical("user 12 from 10.0.0.1").to_owned();
    assert_eq!(masker.canonical("user abc9f from fe80::1"), first);
    assert_eq!(masker.canonical("user {user} from {ip}"), first);
    assert_eq!(
        masker.template("user {user} from {ip}"),
        "user {user} from {ip}"
    );
}

#[test]
fn only_the_first_line_counts() {
    let mut masker = Masker::new();
    assert_eq!(masker.template("\n  not met:\nSELECT 1\n#0 x"), "not met:");
}

#[test]
fn what_lies_beyond_the_limit_changes_nothing() {
    let mut masker = Masker::new();
    let long = "word ".repeat(4000);
    let first = masker.template(&long).to_owned();
    assert!(first.len() <= TEMPLATE_BYTES_MAX && first.starts_with("word word"));
    assert_eq!(masker.template(&format!("{long}12")), first);
}
