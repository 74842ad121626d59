//! Makes one token of a structured value while templates are compared.
//!
//! It must never touch a structure of which one field is enough to tell two problems apart: only
//! `Name(k=…, k=…)` and `Name{k=…}` are values.

const MASK: &str = "<*>";

/// Returns the template with structured values as masks, neighbours joined.
pub(super) fn flat(template: &str) -> String {
    let mut text = template.to_owned();
    // 3: structures inside structures, deeper ones are rare and stay as they are.
    for _ in 0..3 {
        let next = collapse(&objects(&text));
        if next == text {
            break;
        }
        text = next;
    }
    text
}

/// Replaces the structures that hold no other structure.
fn objects(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    let mut copied = 0;
    while let Some(&b) = bytes.get(i) {
        let end = match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' => {
                let name = name_end(bytes, i);
                let end = object(text, name);
                if end.is_none() {
                    i = name;
                    continue;
                }
                end
            }
            _ => None,
        };
        match end {
            Some(end) => {
                out.push_str(text.get(copied..i).unwrap_or_default());
                out.push_str(MASK);
                copied = end;
                i = end;
            }
            None => i += 1,
        }
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    out
}

fn name_end(bytes: &[u8], start: usize) -> usize {
    let tail = bytes.get(start..).unwrap_or_default();
    let part = |b: &u8| b.is_ascii_alphanumeric() || b"_.$".contains(b) || *b >= 128;
    start + tail.iter().take_while(|b| part(b)).count()
}

/// Returns the end of `(k=…, k=…)` or `{k=…}` that opens at `open`.
fn object(text: &str, open: usize) -> Option<usize> {
    let tail = text.get(open..)?;
    let (close, pairs_min) = match tail.as_bytes().first() {
        Some(b'(') => (')', 2),
        Some(b'{') => ('}', 1),
        _ => return None,
    };
    let body = tail.get(1..)?;
    let end = body.find(['(', ')', '{', '}', '[', ']'])?;
    if !body.get(end..)?.starts_with(close) {
        return None;
    }
    let parts: Vec<&str> = body.get(..end)?.split('=').collect();
    let (first, rest) = parts.split_first()?;
    if rest.len() < pairs_min || !is_key(first) {
        return None;
    }
    let (_, middle) = rest.split_last()?;
    let keyed = middle.iter().all(|part| {
        part.rsplit_once(',')
            .is_some_and(|(_, key)| is_key(key.strip_prefix(' ').unwrap_or(key)))
    });
    keyed.then_some(open + 1 + end + 1)
}

fn is_key(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || "_.-".contains(c))
}

/// Joins masks between which only separators stand.
pub(super) fn collapse(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(MASK) {
        let (front, tail) = rest.split_at(at);
        out.push_str(front);
        out.push_str(MASK);
        rest = tail.get(MASK.len()..).unwrap_or_default();
        while let Some(next) = rest.find(MASK) {
            let gap = rest.get(..next).unwrap_or_default();
            let joins = gap == "." || gap.chars().all(|c| " ,;:|/_#@+-".contains(c));
            if !joins {
                break;
            }
            rest = rest.get(next + MASK.len()..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structured_values_are_one_mask() {
        for (text, expected) in [
            ("got Foo(a=<*>, b=x) now", "got <*> now"),
            ("got Foo(a=<*>) now", "got Foo(a=<*>) now"),
            ("got Foo{a=x} now", "got <*> now"),
            ("ids [<*>] left", "ids [<*>] left"),
            ("arr[<*>] left", "arr[<*>] left"),
            ("Out(x=In(a=1b, c=d), y=e)", "<*>"),
            ("f(a, b=c)", "f(a, b=c)"),
            ("cut Foo(a=b, c", "cut Foo(a=b, c"),
            ("a Foo{b=c}, Bar{d=e} f", "a <*> f"),
        ] {
            assert_eq!(flat(text), expected, "{text}");
        }
    }
}
