//! Log text made harmless for whatever shows an alert: a terminal, a mail, a chat.
//!
//! Receivers put labels and annotations into HTML, Slack markup and terminals without a thought of where they came
//! from. Invariant: the result has no control or direction-changing character, no `<`, `>` or backtick, and at most
//! the characters asked for.

/// Marks a text that was cut.
const CUT: char = '…';

/// Returns the text on one line, harmless, and cut to `chars_max` characters.
pub(super) fn one_line(text: &str, chars_max: usize) -> String {
    harmless(text, chars_max, false)
}

/// Returns the text with its line ends, harmless, and cut to `chars_max` characters.
pub(super) fn lines(text: &str, chars_max: usize) -> String {
    harmless(text, chars_max, true)
}

fn harmless(text: &str, chars_max: usize, keeps_lines: bool) -> String {
    let mut out = String::with_capacity(text.len().min(chars_max));
    let mut n_chars = 0;
    for c in text.trim().chars() {
        let piece = match c {
            // Close enough to read `<num>` by, and markup to nothing: `<!channel>` would call a whole Slack channel.
            '<' => "‹".to_owned(),
            '>' => "›".to_owned(),
            '`' => "'".to_owned(),
            '\n' if keeps_lines => "\n".to_owned(),
            '\t' => " ".to_owned(),
            c if is_invisible(c) => c.escape_unicode().to_string(),
            c => c.to_string(),
        };
        let length = piece.chars().count();
        if n_chars + length > chars_max {
            out.push(CUT);
            // Make room for the mark, whole characters only.
            while out.chars().count() > chars_max {
                let mark = out.pop();
                out.pop();
                out.extend(mark);
            }
            break;
        }
        n_chars += length;
        out.push_str(&piece);
    }
    out
}

/// Tells whether a character acts on its neighbours instead of being seen.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_markup_are_shown_not_obeyed() {
        let cases = [
            ("user <num> not found", "user ‹num› not found"),
            ("<!channel> `rm`", "‹!channel› 'rm'"),
            ("a\u{1b}[31mred", "a\\u{1b}[31mred"),
            ("evil\u{202e}txt", "evil\\u{202e}txt"),
            ("two\nlines", "two\\u{a}lines"),
            ("  tab\there ", "tab here"),
        ];
        for (text, expected) in cases {
            assert_eq!(one_line(text, 200), expected);
        }
        assert_eq!(lines("two\nlines", 200), "two\nlines");
    }

    #[test]
    fn a_long_text_is_cut_at_a_whole_character() {
        let cut = one_line(&"ä".repeat(300), 200);
        assert_eq!(cut.chars().count(), 200);
        assert!(cut.ends_with("ä…"));
        assert_eq!(one_line(&"\u{1b}".repeat(300), 200).chars().count(), 199);
        assert_eq!(one_line("exact", 5), "exact");
    }
}
