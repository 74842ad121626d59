//! Levels as records write them: names, syslog's numbers, Monolog's numbers.
//!
//! It must never mix up scales: syslog counts 0 to 7 downwards, Monolog 100 to 600 upwards.

use crate::model::Level;

/// Reads a level name or number; `None` if it is neither.
pub(super) fn read(text: &str) -> Option<Level> {
    // The spellings that nearly every record has, before the general table.
    match text {
        "" => return None,
        "ERROR" => return Some(Level::Error),
        "WARNING" => return Some(Level::Warning),
        "INFO" => return Some(Level::Info),
        "DEBUG" => return Some(Level::Debug),
        _ => {}
    }
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    if !text.bytes().all(|it| it.is_ascii_digit()) {
        return Some(Level::parse(text)).filter(|it| *it != Level::Unknown);
    }
    match text.parse::<u16>().ok()? {
        number @ 0..=7 => u8::try_from(number).ok().map(Level::from_syslog),
        100 => Some(Level::Debug),
        200 => Some(Level::Info),
        250 => Some(Level::Notice),
        300 => Some(Level::Warning),
        400 => Some(Level::Error),
        500 => Some(Level::Critical),
        550 => Some(Level::Alert),
        600 => Some(Level::Emergency),
        _ => None,
    }
}

/// Reads OpenTelemetry's severity number, 1 to 24.
pub(super) fn from_otlp(number: &str) -> Option<Level> {
    match number.trim().parse::<u8>().ok()? {
        1..=8 => Some(Level::Debug),
        9 | 11 | 12 => Some(Level::Info),
        // INFO2 is what OpenTelemetry's data model maps syslog's "notice" to; ERROR2 and ERROR3 likewise.
        10 => Some(Level::Notice),
        13..=16 => Some(Level::Warning),
        17 | 20 => Some(Level::Error),
        18 | 21..=24 => Some(Level::Critical),
        19 => Some(Level::Alert),
        _ => None,
    }
}

/// Reads the severity in a syslog priority such as the `14` of `<14>`.
pub(super) fn from_priority(priority: &str) -> Option<Level> {
    let number: u16 = priority.parse().ok()?;
    u8::try_from(number % 8)
        .ok()
        .filter(|_| number <= 191)
        .map(Level::from_syslog)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scale_is_read_by_its_own_rule() {
        for (text, level) in [
            ("ERROR", Some(Level::Error)),
            ("warn", Some(Level::Warning)),
            ("3", Some(Level::Error)),
            ("0", Some(Level::Emergency)),
            ("400", Some(Level::Error)),
            ("550", Some(Level::Alert)),
            ("8", None),
            ("sometimes", None),
            ("", None),
        ] {
            assert_eq!(read(text), level, "{text}");
        }
        assert_eq!(from_otlp("17"), Some(Level::Error));
        assert_eq!(from_otlp("0"), None);
        assert_eq!(from_priority("14"), Some(Level::Info));
        assert_eq!(from_priority("192"), None);
    }
}
