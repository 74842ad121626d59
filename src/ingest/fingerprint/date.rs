//! Recognises dates and clock times that are made of several words.
//!
//! It must never look further than one date reaches; a date that is one word of digits is masked
//! without its help.

use super::class::{at, is_blank, is_word, run, span};

const MONTHS: [&str; 23] = [
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Sept",
    "Oct",
    "Nov",
    "Dec",
    "January",
    "February",
    "March",
    "April",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
];
const DAYS: [&str; 14] = [
    "Mon",
    "Tue",
    "Wed",
    "Thu",
    "Fri",
    "Sat",
    "Sun",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];
const ZONES: [&str; 17] = [
    "UTC", "GMT", "Z", "CET", "CEST", "EET", "EEST", "WET", "EST", "EDT", "CST", "CDT", "MST",
    "MDT", "PST", "PDT", "JST",
];

/// Says whether a word starts as the name of a day or a month does.
fn may_be(word: &[u8]) -> bool {
    matches!(
        word,
        [b'J', b'a' | b'u', b'n' | b'l', ..]
            | [b'M', b'a', b'r' | b'y', ..]
            | [b'M', b'o', b'n', ..]
            | [b'A', b'p' | b'u', b'r' | b'g', ..]
            | [b'S', b'e' | b'a' | b'u', b'p' | b't' | b'n', ..]
            | [b'F', b'e' | b'r', b'b' | b'i', ..]
            | [b'T', b'u' | b'h', b'e' | b'u', ..]
            | [b'O', b'c', b't', ..]
            | [b'N', b'o', b'v', ..]
            | [b'D', b'e', b'c', ..]
            | [b'W', b'e', b'd', ..]
    )
}

fn is_month(word: &[u8]) -> bool {
    word == b"December" || MONTHS.iter().any(|m| m.as_bytes() == word)
}

fn is_day(word: &[u8]) -> bool {
    DAYS.iter().any(|d| d.as_bytes() == word)
}

fn blanks(bytes: &[u8], from: usize) -> usize {
    run(bytes, from, is_blank)
}

fn digits(bytes: &[u8], from: usize) -> usize {
    run(bytes, from, |b| b.is_ascii_digit())
}

fn letters(bytes: &[u8], from: usize) -> usize {
    run(bytes, from, |b| b.is_ascii_alphabetic())
}

/// Returns the end of a number of at most `max` digits after at least one blank.
fn number(bytes: &[u8], from: usize, max: usize) -> Option<usize> {
    let start = blanks(bytes, from);
    let end = digits(bytes, start);
    let len = end - start;
    (start > from && (1..=max).contains(&len) && !is_word(at(bytes, end))).then_some(end)
}

/// Returns the end of a date that begins with the word from `start` to `end`.
pub(super) fn from_word(bytes: &[u8], start: usize, end: usize) -> Option<usize> {
    let word = span(bytes, start, end);
    if !may_be(word) {
        return None;
    }
    if is_day(word) {
        let mut next = end;
        if at(bytes, next) == b',' {
            next += 1;
        }
        let next = blanks(bytes, next);
        let word_end = letters(bytes, next);
        if is_month(span(bytes, next, word_end)) {
            return from_month(bytes, word_end);
        }
        let day_end = digits(bytes, next);
        return (day_end > next)
            .then(|| from_day(bytes, next, day_end))
            .flatten();
    }
    if is_month(word) {
        from_month(bytes, end)
    } else {
        None
    }
}

fn from_month(bytes: &[u8], end: usize) -> Option<usize> {
    // `May 2016`: four digits are a year.
    let year = || number(bytes, end, 4).filter(|&e| e - blanks(bytes, end) == 4);
    number(bytes, end, 2)
        .map(|day| tail(bytes, day))
        .or_else(year)
}

/// Returns the end of `20/Jan/2016:01:20:03 +0000` as servers of web pages write it.
pub(super) fn slashed(bytes: &[u8], start: usize) -> Option<usize> {
    let day = digits(bytes, start);
    let month = letters(bytes, day + 1);
    let year = digits(bytes, month + 1);
    let marks = (at(bytes, day), at(bytes, month), at(bytes, year)) == (b'/', b'/', b':');
    let long = (1..=2).contains(&(day - start)) && year - month == 5;
    (marks && long && is_month(span(bytes, day + 1, month)))
        .then(|| clock(bytes, year + 1))
        .flatten()
}

/// Returns the end of a date that begins with a day of the month, such as `20 Jan 2016`.
pub(super) fn from_day(bytes: &[u8], start: usize, end: usize) -> Option<usize> {
    if end - start > 2 {
        return None;
    }
    let month = blanks(bytes, end);
    let month_end = letters(bytes, month);
    if month == end || !is_month(span(bytes, month, month_end)) || is_word(at(bytes, month_end)) {
        return None;
    }
    Some(tail(bytes, month_end))
}

/// Returns the end of what may follow the day: a year, a clock, a zone, a year again, an offset.
fn tail(bytes: &[u8], mut end: usize) -> usize {
    let year = |end: usize| {
        let comma = usize::from(at(bytes, end) == b',');
        number(bytes, end + comma, 4).filter(|&e| e - blanks(bytes, end + comma) == 4)
    };
    if let Some(e) = year(end).filter(|&e| at(bytes, e) != b':') {
        end = e;
    }
    let start = blanks(bytes, end);
    if start > end
        && let Some(e) = clock(bytes, start)
    {
        end = year(e).unwrap_or(e);
    }
    end
}

/// Returns the end of a clock time that starts here: `1:20`, `01:20:03.5 PM`, `10:00 UTC`.
pub(super) fn clock(bytes: &[u8], start: usize) -> Option<usize> {
    let hour = digits(bytes, start);
    if !(1..=2).contains(&(hour - start)) || at(bytes, hour) != b':' {
        return None;
    }
    let minute = digits(bytes, hour + 1);
    if minute - hour != 3 {
        return None;
    }
    let mut end = minute;
    if at(bytes, end) == b':' && digits(bytes, end + 1) - end == 3 {
        end += 3;
    }
    if matches!(at(bytes, end), b'.' | b',') && at(bytes, end + 1).is_ascii_digit() {
        end = digits(bytes, end + 1);
    }
    if at(bytes, end) == b':' && is_word(at(bytes, end + 1)) {
        // A MAC address, or something else of more parts than a clock has.
        return None;
    }
    let zone = zone(bytes, end);
    (zone > end || !is_word(at(bytes, end))).then_some(zone)
}

/// Returns the end of a zone or AM/PM that follows a clock time.
pub(super) fn zone(bytes: &[u8], end: usize) -> usize {
    let start = blanks(bytes, end);
    if matches!(at(bytes, start), b'+' | b'-') {
        let stop = run(bytes, start + 1, |b| b.is_ascii_digit() || b == b':');
        let len = stop - start - 1;
        return if (4..=5).contains(&len) { stop } else { end };
    }
    let stop = letters(bytes, start);
    let word = span(bytes, start, stop);
    let half = word.eq_ignore_ascii_case(b"am") || word.eq_ignore_ascii_case(b"pm");
    let known = half || ZONES.iter().any(|z| z.as_bytes() == word);
    if known && !is_word(at(bytes, stop)) {
        stop
    } else {
        end
    }
}
