use super::{Trace, parse};
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    case: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    text: String,
    class: Option<String>,
    root: Option<String>,
    frame: Option<String>,
}

fn check(file: &str) {
    let cases: File = toml::from_str(file).unwrap();
    assert!(cases.case.len() >= CASES_MIN, "{} cases", cases.case.len());
    let mut wrong = Vec::new();
    for case in cases.case {
        let trace = parse(&case.text);
        let found = (trace.class(), trace.root_class(), trace.key());
        let expected = (case.class.as_deref(), case.root.as_deref(), case.frame);
        if found != expected {
            wrong.push(format!(
                "{}\n  found    {found:?}\n  expected {expected:?}",
                case.name
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Cases that each language has at least.
const CASES_MIN: usize = 12;

#[test]
fn traces_of_php_under_hhvm_name_class_root_and_frame() {
    check(include_str!("../cases/traces/php_hhvm.toml"));
}

#[test]
fn traces_of_php_under_zend_name_class_root_and_frame() {
    check(include_str!("../cases/traces/php_zend.toml"));
}

#[test]
fn traces_of_java_name_class_root_and_frame() {
    check(include_str!("../cases/traces/java.toml"));
}

#[test]
fn traces_of_python_name_class_root_and_frame() {
    check(include_str!("../cases/traces/python.toml"));
}

#[test]
fn traces_of_go_name_class_root_and_frame() {
    check(include_str!("../cases/traces/go.toml"));
}

#[test]
fn traces_of_node_name_class_root_and_frame() {
    check(include_str!("../cases/traces/node.toml"));
}

#[test]
fn traces_of_rust_name_class_root_and_frame() {
    check(include_str!("../cases/traces/rust.toml"));
}

#[test]
fn traces_of_dotnet_name_class_root_and_frame() {
    check(include_str!("../cases/traces/dotnet.toml"));
}

#[test]
fn a_message_without_trace_has_no_frame() {
    let trace = parse("Session \"x\": Bad data");
    assert_eq!((trace.class(), trace.key()), (None, None));
    assert_eq!(parse(""), Trace::default());
}

proptest::proptest! {
    #[test]
    fn any_text_is_survived(text in "(?s)(#0 |\n|\tat |  File \"|Caused by: |Traceback \\(most recent call last\\)|---> |[a-z.():0-9<>$]{0,5}|.{0,4}){0,30}") {
        let trace = parse(&text);
        proptest::prop_assert!(trace.causes.len() <= super::CAUSES_MAX + 1);
    }
}
