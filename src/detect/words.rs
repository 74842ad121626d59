//! Numbers and times as people read them, for summaries and verdicts.
//!
//! Invariant: the text depends only on the value, never on a locale or a clock.

use crate::model::EventTime;

/// Longest summary in characters.
// UX.md §7.
const SUMMARY_MAX: usize = 200;

/// Returns a count with separators: `1,234,567`.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Returns a rate per minute: `0.4/min`, `12/min`, `3,400/min`.
pub(super) fn per_min(rate: f64) -> String {
    format!("{}/min", number(rate))
}

/// Returns a number with as many digits as it deserves.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shown, not reckoned with"
)]
pub(super) fn number(value: f64) -> String {
    let value = value.max(0.0);
    if value >= 10.0 {
        count(value.round() as u64)
    } else if value >= 0.095 || value == 0.0 {
        let text = format!("{value:.1}");
        text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
    } else {
        format!("{value:.3}")
    }
}

/// Returns a ratio: `x12`, `x2.4`.
pub(super) fn times(ratio: f64) -> String {
    format!("x{}", number(ratio))
}

/// Returns a share: `85 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Returns a length of time: `40 s`, `12 min`, `3 h 5 min`, `2 d 4 h`.
pub(super) fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let minutes = seconds / 60;
    if seconds < 120 {
        format!("{seconds} s")
    } else if minutes < 120 {
        format!("{minutes} min")
    } else if minutes < 2880 {
        format!("{} h {} min", minutes / 60, minutes % 60)
    } else {
        format!("{} d {} h", minutes / 1440, minutes / 60 % 24)
    }
}

/// Returns a size: `2.1 GB`.
pub(super) fn bytes(size: f64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    for (unit, name) in units {
        if size >= unit {
            return format!("{:.1} {name}", size / unit);
        }
    }
    format!("{size:.0} B")
}

/// Returns a time of day with its date.
pub(super) fn time(at: EventTime) -> String {
    at.floor(1)
        .to_string()
        .replace('T', " ")
        .replace('Z', " UTC")
}

/// Returns one line of at most 200 characters.
pub(super) fn summary(text: &str) -> String {
    clip(text, SUMMARY_MAX)
}

/// Returns one line of at most `max` characters; what is cut off shows as `…`.
pub(super) fn clip(text: &str, max: usize) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if line.chars().count() <= max {
        return line;
    }
    let mut cut: String = line.chars().take(max.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Returns where something runs: `group1 on 1.27.0-wmf.11`, `all groups`.
pub(super) fn place(version: &str, group: &str) -> String {
    let group = match group {
        "*" => "several groups",
        "" => "an unnamed group",
        it => it,
    };
    match version {
        "*" => format!("{group}, several versions"),
        "" => format!("{group}, version unknown"),
        it => format!("{group} on {it}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(12), "12");
        assert_eq!(per_min(0.04), "0.040/min");
        assert_eq!(per_min(3.0), "3/min");
        assert_eq!(times(228.4), "x228");
        assert_eq!(duration(7_500), "2 h 5 min");
        assert_eq!(bytes(1.09e11), "109.0 GB");
        assert_eq!(
            time(EventTime::from_seconds(1_453_245_247)),
            "2016-01-19 23:14:07 UTC"
        );
    }

    #[test]
    fn a_summary_is_one_line_of_at_most_200_characters() {
        let text = summary(&"ж\n".repeat(300));
        assert_eq!(text.chars().count(), 200);
        assert!(text.ends_with('…') && !text.contains('\n'));
    }
}
