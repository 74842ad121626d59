//! Reads one line of a stack trace.
//!
//! It must never take a line of prose for a frame: each language's own marks are required.

use super::path;

/// The language that a frame was printed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// PHP, by Zend or HHVM.
    Php,
    /// Java and its relatives.
    Java,
    /// Python.
    Python,
    /// Go.
    Go,
    /// JavaScript on Node or in a browser.
    Node,
    /// Rust.
    Rust,
    /// C# and its relatives.
    DotNet,
}

/// One frame of a stack trace, without line and address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The function, with class or module, without generated parts.
    pub function: String,
    /// The file, without root and version; empty when the trace does not say.
    pub file: String,
    /// The language that printed it.
    pub language: Language,
    /// The frame is code of the application, as far as its text says.
    pub in_app: bool,
}

impl Frame {
    /// Returns the text that stands for this frame in an identity.
    pub fn key(&self) -> String {
        if self.file.is_empty() {
            self.function.clone()
        } else {
            format!("{} {}", self.function, self.file)
        }
    }
}

/// What a line of a stack trace holds.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// A whole frame.
    Frame(Frame),
    /// A function whose file stands on the next line.
    Function(&'a str),
    /// A line that belongs to a trace and says nothing.
    Nothing,
}

/// Reads one line; `function` is what the line before left open.
pub(super) fn read<'a>(
    line: &'a str,
    function: Option<&'a str>,
    language: Option<Language>,
) -> Option<Found<'a>> {
    let text = line.trim();
    php(text)
        .or_else(|| python(line, text))
        .or_else(|| rust(text, function))
        .or_else(|| at_line(text))
        .or_else(|| go(line, text, function, language))
}

/// Folders of code that is not the application's.
const LIBRARY_PATHS: [&str; 19] = [
    "/vendor/",
    "/node_modules/",
    "/site-packages/",
    "/dist-packages/",
    "/usr/lib/",
    "/usr/share/",
    "/rustc/",
    "/.cargo/registry/",
    "/.cargo/git/",
    "/usr/local/go/src/",
    "/go/pkg/mod/",
    "/.rustup/",
    "/usr/local/lib/python",
    "/lib/python3",
    "/lib/python2",
    "/pkg/mod/",
    "/usr/local/lib/php",
    "/libexec/",
    "/go/src/runtime/",
];

/// How the names of functions begin that are not the application's, one a line.
const LIBRARY_NAMES: &str = include_str!("libraries.txt");

fn is_library(function: &str, path: &str) -> bool {
    LIBRARY_NAMES.lines().any(|name| function.starts_with(name))
        || LIBRARY_PATHS.iter().any(|folder| path.contains(folder))
        || ["node:", "internal/", "<frozen", "<string>", "vendor/"]
            .iter()
            .any(|p| path.starts_with(p))
}

fn frame<'a>(function: &str, file: &str, language: Language) -> Found<'a> {
    let in_app = !is_library(function, file);
    Found::Frame(Frame {
        function: clean(function),
        file: path::normal(file),
        language,
        in_app,
    })
}

/// Removes what compilers and proxies generate: hashes, numbers of closures, generic arguments.
fn clean(function: &str) -> String {
    let mut out = String::with_capacity(function.len());
    let mut rest = function;
    if let Some((front, hash)) = function.rsplit_once("::h")
        && hash.len() == 16
        && hash.bytes().all(|b| b.is_ascii_hexdigit())
    {
        rest = front;
    }
    let rest = rest.split("$$").next().unwrap_or_default();
    let mut digits_open = false;
    for c in rest.chars() {
        let digit = c.is_ascii_digit();
        // A number behind `$`, `_`, `.func` or `#` was drawn by a compiler; one in a name was not.
        let drawn = out.ends_with(['$', '#']) || out.ends_with("func") || out.ends_with("__");
        if digit && (drawn || digits_open) {
            digits_open = true;
            continue;
        }
        digits_open = false;
        out.push(c);
    }
    out.trim_end_matches(['$', '#']).to_owned()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// `#0 /path/X.php(12): Class->method(args)`, `PHP   3. f() /path/X.php:12`, `thrown in … on line …`.
fn php(text: &str) -> Option<Found<'static>> {
    if text == "Stack trace:" || text == "PHP Stack trace:" {
        return Some(Found::Nothing);
    }
    if text.starts_with("thrown in ") && text.contains(" on line ") {
        return Some(Found::Nothing);
    }
    if let Some(rest) = text.strip_prefix('#') {
        let (number, rest) = rest.split_once(' ')?;
        if !is_number(number) {
            return None;
        }
        let rest = rest.trim_start();
        if rest == "{main}" {
            return Some(Found::Nothing);
        }
        if let Some((call, place)) = rest.split_once(" called at [") {
            let file = place.rsplit_once(':').map_or(place, |(file, _)| file);
            let function = call.split('(').next().unwrap_or_default();
            return Some(frame(&closure(function), file, Language::Php));
        }
        let (place, call) = rest.split_once(": ")?;
        let function = call.split('(').next().unwrap_or_default();
        if place == "[internal function]" {
            return Some(Found::Frame(Frame {
                function: closure(function),
                file: String::new(),
                language: Language::Php,
                in_app: false,
            }));
        }
        let file = place.rsplit_once('(').map_or(place, |(file, _)| file);
        return Some(frame(&closure(function), file, Language::Php));
    }
    let (number, rest) = text.strip_prefix("PHP ")?.trim_start().split_once(". ")?;
    let (call, place) = rest.rsplit_once(' ')?;
    let file = place.rsplit_once(':').map_or(place, |(file, _)| file);
    let function = call.split('(').next().unwrap_or_default();
    (is_number(number) && file.contains('/')).then(|| frame(function, file, Language::Php))
}

/// Closures of PHP name the file and line that they were made on, those of HHVM have a number.
fn closure(function: &str) -> String {
    let function = function
        .split_once(';')
        .map_or(function, |(front, _)| front);
    match function.split_once("{closure:") {
        Some((front, _)) => format!("{front}{{closure}}"),
        None => function.to_owned(),
    }
}

/// `File "/path/x.py", line 12, in function`.
fn python<'a>(line: &'a str, text: &'a str) -> Option<Found<'a>> {
    if !line.starts_with(' ') && !line.starts_with('\t') {
        return None;
    }
    let (file, rest) = text.strip_prefix("File \"")?.split_once("\", line ")?;
    let function = rest
        .split_once(", in ")
        .map_or("<module>", |(_, name)| name);
    Some(frame(function, file, Language::Python))
}

/// `3: app::run::h0123456789abcdef`, then `at ./src/main.rs:12:5`.
fn rust<'a>(text: &'a str, function: Option<&'a str>) -> Option<Found<'a>> {
    if text == "stack backtrace:" {
        return Some(Found::Nothing);
    }
    let numbered = text
        .split_once(": ")
        .filter(|(number, _)| is_number(number));
    // A release build puts the address before the name.
    let numbered = numbered.map(|(_, name)| match name.split_once(" - ") {
        Some((address, name)) if address.trim_start().starts_with("0x") => name,
        _ => name,
    });
    if let Some(name) = numbered
        && !name.contains(' ')
        && name.contains("::")
    {
        return Some(Found::Function(name));
    }
    if let Some(name) = numbered
        && (name.starts_with('<') || name.starts_with("rust_") || name.starts_with('_'))
    {
        return Some(Found::Function(name));
    }
    let name = function.filter(|f| f.contains("::") || f.starts_with(['r', '_', '<']))?;
    let place = text.strip_prefix("at ")?;
    let file = place.split(".rs:").next().unwrap_or_default();
    Some(frame(name, &format!("{file}.rs"), Language::Rust))
}

/// `at …` of Java, Node and .NET.
fn at_line(text: &str) -> Option<Found<'static>> {
    let rest = text.strip_prefix("at ")?;
    // Node opens the properties of an error behind its last frame, log4j names the archive.
    let rest = rest.strip_suffix(" {").unwrap_or(rest);
    let rest = match rest.rsplit_once(") ") {
        Some((front, mark)) if mark.trim_start_matches('~').starts_with('[') => {
            rest.get(..=front.len()).unwrap_or(rest)
        }
        _ => rest,
    };
    if let Some((call, line)) = rest.rsplit_once(":line ")
        && is_number(line)
    {
        let (call, file) = call.rsplit_once(" in ")?;
        return Some(frame(&dot_net(call), file, Language::DotNet));
    }
    java(rest).or_else(|| node(rest)).or_else(|| {
        (rest.ends_with(')') && rest.contains('.') && !rest.contains("://"))
            .then(|| frame(&dot_net(rest), "", Language::DotNet))
    })
}

/// `app//com.example.Foo.bar(Foo.java:12)`, `(Native Method)`, `(Unknown Source)`.
fn java(rest: &str) -> Option<Found<'static>> {
    let (call, place) = rest.strip_suffix(')')?.rsplit_once('(')?;
    let file = place.split_once(':').map_or(place, |(file, _)| file);
    let ending = [".java", ".kt", ".scala", ".groovy", ".clj"]
        .iter()
        .any(|e| file.ends_with(e));
    let unknown = [
        "Native Method",
        "Unknown Source",
        "<generated>",
        "<Unknown>",
    ]
    .contains(&file);
    if !(ending || unknown) || call.contains(' ') || file.contains('/') {
        return None;
    }
    let name = call.rsplit('/').next().unwrap_or_default();
    let generated = unknown && file != "Unknown Source" || name.contains("GeneratedMethodAccessor");
    let Found::Frame(mut frame) = frame(name, if ending { file } else { "" }, Language::Java)
    else {
        return None;
    };
    frame.in_app &= !generated && !name.contains("$$") && !name.starts_with("$Proxy");
    Some(Found::Frame(frame))
}

/// `fn (/path/x.js:1:2)`, `/path/x.js:1:2`, `async fn (…)`, `new Foo (…)`, `async Promise.all (…)`.
fn node(rest: &str) -> Option<Found<'static>> {
    let rest = rest.strip_prefix("async ").unwrap_or(rest);
    if rest.ends_with("(<anonymous>)") || rest.contains(" (index ") || rest.ends_with("(native)") {
        return Some(Found::Nothing);
    }
    let (function, place) = match rest.strip_suffix(')').and_then(|r| r.split_once(" (")) {
        Some((function, place)) => (function, place),
        None => ("<anonymous>", rest),
    };
    let (place, column) = place.rsplit_once(':')?;
    let (file, line) = place.rsplit_once(':')?;
    if !is_number(column) || !is_number(line) {
        return None;
    }
    let function = function.split(" [as ").next().unwrap_or_default();
    let function = function.strip_prefix("new ").unwrap_or(function);
    Some(frame(function, file, Language::Node))
}

/// Removes arguments, generic arity and the state machine of async methods.
fn dot_net(call: &str) -> String {
    let call = call.split('(').next().unwrap_or_default().trim();
    let call = call.split('[').next().unwrap_or_default();
    let call = call.strip_suffix(".MoveNext").unwrap_or(call);
    let mut out = String::new();
    let mut rest = call;
    // `Service.<Load>d__12` is `Service.Load`; `<>c__DisplayClass3_0.<Run>b__1` is `Run`.
    while let Some((front, tail)) = rest.split_once('<') {
        out.push_str(front);
        let Some((name, tail)) = tail.split_once('>') else {
            break;
        };
        out.push_str(name);
        rest = tail
            .find('.')
            .and_then(|at| tail.get(at..))
            .unwrap_or_default();
    }
    out.push_str(rest);
    let name = out.replace("..", ".");
    let mut parts = name.split('`');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    plain
}

/// `main.(*Server).run(0xc000, 0x1)`, then `\t/path/x.go:12 +0x1d`.
fn go<'a>(
    line: &'a str,
    text: &'a str,
    function: Option<&'a str>,
    language: Option<Language>,
) -> Option<Found<'a>> {
    if text.starts_with("goroutine ") && text.ends_with("]:") {
        return Some(Found::Nothing);
    }
    if text.starts_with("[signal ") || text.starts_with("exit status ") {
        return Some(Found::Nothing);
    }
    if let (Some(name), true) = (function, line.starts_with('\t') || line.starts_with("    ")) {
        let (file, _) = text.split_once(".go:")?;
        let name = go_name(name);
        let mut found = frame(&name, &format!("{file}.go"), Language::Go);
        if let Found::Frame(frame) = &mut found {
            frame.in_app &=
                !name.starts_with("runtime.") && name != "panic" && !name.starts_with("testing.");
        }
        return Some(found);
    }
    let call = text.ends_with(')') && !line.starts_with([' ', '\t']);
    let name = text.rsplit_once('(').map(|(name, _)| name)?;
    let shaped = name.contains('.') || name == "panic";
    let quiet = !name.contains(' ') && !name.contains(": ");
    let known = language.is_none() || language == Some(Language::Go);
    (call && shaped && quiet && known).then_some(Found::Function(text))
}

/// Removes arguments, the path of the module and numbers of closures.
fn go_name(call: &str) -> String {
    let name = call.rsplit_once('(').map_or(call, |(name, _)| name);
    let name = name.rsplit('/').next().unwrap_or_default();
    name.replace("[...]", "")
}
