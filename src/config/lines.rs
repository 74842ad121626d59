//! Finds the line of a configuration file that a problem speaks of.
//!
//! What is wrong with a value is found after the file was read, when lines are forgotten; the problem quotes the
//! value, so the line is the last one that holds it. Invariant: a problem whose value stands nowhere in the file,
//! such as a default, keeps its text.

/// Writes the line behind the name of the file: `file: …` becomes `file:7: …`.
pub(super) fn with_line(name: &str, text: &str, problem: &str) -> String {
    let Some(sentence) = problem
        .strip_prefix(name)
        .and_then(|it| it.strip_prefix(": "))
    else {
        return problem.to_owned();
    };
    // The first quoted text names the table, such as a source; what is quoted behind it is more exact.
    let mut quoted: Vec<&str> = sentence
        .split(['`', '"'])
        .skip(1)
        .step_by(2)
        .filter(|it| !it.is_empty())
        .collect();
    if quoted.len() > 1 {
        quoted.rotate_left(1);
    }
    let key = sentence
        .strip_prefix("limits.")
        .and_then(|it| it.split(' ').next());
    key.into_iter()
        .chain(quoted)
        .find_map(|it| line_of(text, it))
        .map_or_else(
            || problem.to_owned(),
            |line| format!("{name}:{line}: {sentence}"),
        )
}

/// Returns the last line, from 1 on, that holds a text outside a comment: in quotes, or else anyhow.
fn line_of(text: &str, wanted: &str) -> Option<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let last = |wanted: &str| {
        lines
            .iter()
            .rposition(|line| !line.trim_start().starts_with('#') && line.contains(wanted))
    };
    let place = last(&format!("\"{wanted}\"")).or_else(|| last(wanted))?;
    Some(place + 1)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn said(text: &str) -> String {
        Config::parse("my.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_with_a_value_names_its_line() {
        for (text, place) in [
            ("# listen\nlisten = \"0.0.0.0:9477\"\n", "my.toml:2: listen"),
            (
                "[limits]\ncommit_interval_ms = 5\n",
                "my.toml:2: limits.commit_interval_ms",
            ),
            (
                "[limits]\n\nkeep_1m_days = -1.0\n",
                "my.toml:3: limits.keep_1m_days",
            ),
            ("[[alertmanager]]\nurl = \"ftp://a\"\n", "my.toml:2: url"),
            (
                "[[source]]\nname = \"a\"\nkind = \"file\"\npaths = [\"x\"]\n[[source]]\nname = \"a\"\nkind = \"file\"\npaths = [\"y\"]\n",
                "my.toml:6: two [[source]]",
            ),
            (
                "[[source]]\nname = \"a\"\nkind = \"kafka\"\nbrokers = \"b:1\"\ntopics = [\"^(\"]\n",
                "my.toml:5: source `a`",
            ),
        ] {
            assert!(said(text).contains(place), "{place}: {}", said(text));
        }
    }
}
