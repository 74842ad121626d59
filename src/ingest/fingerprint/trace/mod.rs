//! Finds in a stack trace what names the problem: the exception, its root cause, the top frame of
//! the application's own code.
//!
//! It must never keep a line number, an address, a generated name or a version of a path, and never
//! read more than a bounded number of lines. A trace that was cut off gives what it still shows.

mod frame;
mod headline;
mod path;

pub use frame::{Frame, Language};

/// Lines of a trace that are read.
const LINES_MAX: usize = 400;
/// Causes of a trace that are kept.
const CAUSES_MAX: usize = 16;

/// One exception of a chain with its frames, the innermost frame first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cause<'a> {
    /// The class, where the text names one.
    pub class: Option<&'a str>,
    /// The message behind the class.
    pub message: &'a str,
    /// The frames, the innermost first.
    pub frames: Vec<Frame>,
}

/// A stack trace with its chain of causes: what was reported first, its root cause last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace<'a> {
    /// The chain, the reported exception first.
    pub causes: Vec<Cause<'a>>,
}

impl Trace<'_> {
    /// Returns the class of the reported exception.
    pub fn class(&self) -> Option<&str> {
        self.causes.first().and_then(|cause| cause.class)
    }

    /// Returns the class of the root cause.
    pub fn root_class(&self) -> Option<&str> {
        self.causes.last().and_then(|cause| cause.class)
    }

    /// Returns the top in-app frame: of the root cause, else of the nearest cause that has one,
    /// else the top frame of all.
    ///
    /// `own` says of a frame whether a rule takes it for the application's code; `None` leaves it to the built-in rule.
    pub fn frame(&self, own: impl Fn(&Frame) -> Option<bool>) -> Option<&Frame> {
        let causes = || self.causes.iter().rev();
        let is_own = |frame: &&Frame| own(frame).unwrap_or(frame.in_app);
        causes()
            .find_map(|cause| cause.frames.iter().find(is_own))
            .or_else(|| causes().find_map(|cause| cause.frames.first()))
    }

    /// Returns the text of the top in-app frame for an identity: `function file`.
    pub fn key(&self) -> Option<String> {
        self.key_by(|_| None)
    }

    /// Returns the text of the top frame that a rule, or else the built-in rule, takes for own code.
    pub fn key_by(&self, own: impl Fn(&Frame) -> Option<bool>) -> Option<String> {
        self.frame(own).map(Frame::key)
    }
}

/// Reads a stack trace of PHP, Java, Python, Go, Node, Rust or .NET.
pub fn parse(text: &str) -> Trace<'_> {
    let mut reader = Reader::default();
    for line in text.lines().take(LINES_MAX) {
        reader.line(unpiped(line));
    }
    reader.finish()
}

/// Removes the rule that Python draws beside the parts of an exception group.
fn unpiped(line: &str) -> &str {
    let text = line.trim_start();
    match text.strip_prefix(['|', '+']) {
        Some(rest) if rest.is_empty() || rest.starts_with([' ', '-', '+']) => {
            rest.strip_prefix(' ').unwrap_or("")
        }
        _ => line,
    }
}

/// Returns the text of the frame for a file that a message names without a trace.
pub fn file_key(file: &str) -> String {
    path::normal(file)
}

#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about what was read"
)]
struct Reader<'a> {
    /// In order of the text.
    causes: Vec<Cause<'a>>,
    language: Option<Language>,
    /// A Go or Rust function whose file stands on the next line.
    function: Option<&'a str>,
    /// Frames of a section that explains nothing: suppressed exceptions, creators.
    skip: bool,
    /// .NET prints inner frames first: number of causes that are still open.
    open: usize,
    reversed: bool,
    /// A group of Python prints itself first and its parts behind.
    group: bool,
    /// The root cause was printed first.
    root_first: bool,
}

/// Lines that join two exceptions of one chain in Python.
const PYTHON_JOINTS: [&str; 2] = [
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
];

impl<'a> Reader<'a> {
    fn line(&mut self, line: &'a str) {
        let text = line.trim();
        if text.is_empty() || self.joint(text) {
            return;
        }
        if let Some(found) = frame::read(line, self.function, self.language) {
            self.function = None;
            self.take(found);
            return;
        }
        self.headline(line, text);
    }

    fn take(&mut self, found: frame::Found<'a>) {
        match found {
            frame::Found::Frame(frame) => {
                self.language = Some(frame.language);
                if self.skip {
                    return;
                }
                let at = self.causes.len().saturating_sub(1 + self.closed());
                if self.causes.is_empty() {
                    self.causes.push(Cause::default());
                }
                if let Some(cause) = self.causes.get_mut(at) {
                    cause.frames.push(frame);
                }
            }
            frame::Found::Function(name) => self.function = Some(name),
            frame::Found::Nothing => {}
        }
    }

    /// Returns how many causes at the end of the list have all their frames.
    fn closed(&self) -> usize {
        if self.language == Some(Language::DotNet) {
            self.causes.len().saturating_sub(1 + self.open)
        } else {
            0
        }
    }

    /// Takes a line that only joins parts of a trace.
    fn joint(&mut self, text: &'a str) -> bool {
        if text.starts_with("--- End of inner exception") {
            self.open = self.open.saturating_sub(1);
            self.language = Some(Language::DotNet);
            return true;
        }
        let group = text.starts_with("Exception Group Traceback (most recent call last)");
        let traceback = group || text.starts_with("Traceback (most recent call last)");
        if PYTHON_JOINTS.contains(&text) || traceback {
            self.group |= group;
            self.reversed = true;
            self.language = Some(Language::Python);
            self.skip = false;
            if self
                .causes
                .last()
                .is_some_and(|c| c.class.is_some() || !c.frames.is_empty())
                && traceback
            {
                self.causes.push(Cause::default());
            }
            return true;
        }
        if text.starts_with("Suppressed: ") || text.starts_with("created by ") {
            self.skip = true;
            return true;
        }
        text.starts_with("... ") || text.starts_with("--- End of stack trace")
    }

    /// Takes a line that may name an exception.
    fn headline(&mut self, line: &'a str, text: &'a str) {
        if let Some(rest) = text.strip_prefix("---> ") {
            return self.inner(rest);
        }
        if let Some(rest) = text.strip_prefix("Next ") {
            return self.wrapper(rest);
        }
        let cause = ["Caused by: ", "[cause]: "]
            .iter()
            .find_map(|p| text.strip_prefix(p));
        if let Some(rest) = cause {
            self.skip = false;
            return self.push(rest);
        }
        if self.reversed {
            return self.python(line, text);
        }
        if self.causes.is_empty() || (self.causes.len() == 1 && self.empty()) {
            self.causes.clear();
            self.push(text);
        }
    }

    fn empty(&self) -> bool {
        self.causes
            .last()
            .is_some_and(|c| c.class.is_none() && c.frames.is_empty())
    }

    /// Takes the exception around the last one: PHP prints the root cause first.
    fn wrapper(&mut self, text: &'a str) {
        self.skip = false;
        self.root_first = true;
        self.push(text);
    }

    fn inner(&mut self, text: &'a str) {
        self.language = Some(Language::DotNet);
        self.open = self.causes.len();
        self.push(text);
    }

    /// Takes a line that Python prints behind the frames, without indentation.
    fn python(&mut self, line: &'a str, text: &'a str) {
        if line.starts_with(' ') || self.skip {
            return;
        }
        let (class, message) = headline::split(text);
        let Some(cause) = self.causes.last_mut() else {
            return;
        };
        if cause.class.is_none() && class.is_some() && !cause.frames.is_empty() {
            cause.class = class;
            cause.message = message;
            // The innermost frame is the last one that Python prints.
            cause.frames.reverse();
        }
    }

    fn push(&mut self, text: &'a str) {
        if self.causes.len() >= CAUSES_MAX {
            return;
        }
        // .NET writes its whole chain on the first line when it logs an exception.
        let (head, inner) = text
            .split_once(" ---> ")
            .map_or((text, None), |(h, t)| (h, Some(t)));
        let (class, message) = headline::split(head);
        self.causes.push(Cause {
            class,
            message,
            frames: Vec::new(),
        });
        if let Some(inner) = inner {
            self.open = self.causes.len();
            self.push(inner);
        }
    }

    fn finish(mut self) -> Trace<'a> {
        if self.reversed
            && let Some(last) = self.causes.last_mut()
            && last.class.is_none()
        {
            last.frames.reverse();
        }
        if (self.reversed && !self.group) || self.root_first {
            self.causes.reverse();
        }
        self.causes
            .retain(|c| c.class.is_some() || !c.frames.is_empty() || !c.message.is_empty());
        Trace {
            causes: self.causes,
        }
    }
}

#[cfg(test)]
mod tests;
