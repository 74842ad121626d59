//! The parts that written times are made of: a cursor over the text, and a calendar.
//!
//! It must never allocate. Invariant: a [`Local`] that the cursor returns is a day that exists.

use crate::model::EventTime;

const MONTHS: [&[u8; 3]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];
pub(super) const WEEKDAYS: [&[u8; 3]; 7] = [b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun"];

/// Zone names of RFC 2822 and what PHP writes, with their hours from UTC.
const ZONES: [(&str, i64); 12] = [
    ("UTC", 0),
    ("GMT", 0),
    ("UT", 0),
    ("Z", 0),
    ("EST", -5),
    ("EDT", -4),
    ("CST", -6),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
];

/// A date and time of day, not yet in a zone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) millis: i64,
}

impl Local {
    pub(super) fn is_valid(self) -> bool {
        (1..=12).contains(&self.month)
            && (1..=days_in_month(self.year, self.month)).contains(&self.day)
            && (0..24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..=60).contains(&self.second)
    }

    /// Returns the instant if the zone is this many seconds east of UTC; a leap second is the one before it.
    pub(super) fn at_offset(self, east: i64) -> EventTime {
        let days = days_from_civil(self.year, self.month, self.day);
        let seconds = days * 86_400 + self.hour * 3600 + self.minute * 60 + self.second.min(59);
        EventTime::from_seconds(seconds - east).plus_millis(self.millis)
    }
}

pub(super) fn millis_of(fraction: &[u8]) -> i64 {
    let mut padded = fraction.iter().copied().chain(std::iter::repeat(b'0'));
    let mut digit = || i64::from(padded.next().unwrap_or(b'0').wrapping_sub(b'0'));
    digit() * 100 + digit() * 10 + digit()
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts days since 1970-01-01 (the well-known arithmetic with years that start in March).
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// A place in a text.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    pub(super) pos: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self {
            bytes: text.as_bytes(),
            pos: 0,
        }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    /// Takes one of these bytes.
    pub(super) fn any(&mut self, bytes: &[u8]) -> Option<u8> {
        let found = self.peek().filter(|it| bytes.contains(it))?;
        self.pos += 1;
        Some(found)
    }

    /// Takes exactly so many digits.
    pub(super) fn digits(&mut self, n: usize) -> Option<i64> {
        let digits = self.bytes.get(self.pos..self.pos + n)?;
        let mut value = 0;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            value = value * 10 + i64::from(digit - b'0');
        }
        self.pos += n;
        Some(value)
    }

    /// Takes a word of three letters; returns its place in the list.
    pub(super) fn word_of(&mut self, words: &[&[u8; 3]]) -> Option<usize> {
        let word = self.bytes.get(self.pos..self.pos + 3)?;
        let place = words.iter().position(|it| it.eq_ignore_ascii_case(word))?;
        self.pos += 3;
        Some(place)
    }

    pub(super) fn month(&mut self) -> Option<i64> {
        let place = self.word_of(&MONTHS)?;
        i64::try_from(place + 1).ok()
    }

    /// Takes `01:20`, `01:20:03` or `01:20:03.123456` (or with a comma).
    pub(super) fn time_of_day(&mut self, (year, month, day): (i64, i64, i64)) -> Option<Local> {
        let hour = self.digits(2)?;
        self.any(b":")?;
        let minute = self.digits(2)?;
        let mut second = 0;
        let mut millis = 0;
        if self.any(b":").is_some() {
            second = self.digits(2)?;
            let mark = self.pos;
            if self.any(b".,").is_some() {
                let from = self.pos;
                while self.digits(1).is_some() {}
                millis = millis_of(self.bytes.get(from..self.pos)?);
                if self.pos == from {
                    self.pos = mark;
                }
            }
        }
        if self.peek().is_some_and(|it| it.is_ascii_digit()) {
            return None;
        }
        let local = Local {
            year,
            month,
            day,
            hour,
            minute,
            second,
            millis,
        };
        local.is_valid().then_some(local)
    }

    /// Takes `Z`, `+01:00`, `-0500`, ` +0000`, `+02` or ` UTC`; returns seconds east of UTC.
    pub(super) fn zone(&mut self) -> Option<i64> {
        let mark = self.pos;
        let spaced = self.any(b" ").is_some();
        let found = self.offset(spaced).or_else(|| self.zone_name());
        if found.is_none() {
            self.pos = mark;
        }
        found
    }

    fn offset(&mut self, spaced: bool) -> Option<i64> {
        let mark = self.pos;
        let found = self.try_offset(spaced);
        if found.is_none() {
            self.pos = mark;
        }
        found
    }

    fn try_offset(&mut self, spaced: bool) -> Option<i64> {
        let sign = if self.any(b"+-")? == b'-' { -1 } else { 1 };
        let hours = self.digits(2)?;
        let colon = self.any(b":").is_some();
        let minutes = self.digits(2);
        // `01:20:03 -05 x` is more likely prose than a zone; ` -0500` is one.
        if minutes.is_none() && (spaced || colon) {
            return None;
        }
        let minutes = minutes.unwrap_or(0);
        let ends = !self.peek().is_some_and(|it| it.is_ascii_alphanumeric());
        (ends && hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
    }

    pub(super) fn zone_name(&mut self) -> Option<i64> {
        let rest = self.bytes.get(self.pos..)?;
        let n = rest
            .iter()
            .take_while(|it| it.is_ascii_alphabetic())
            .count();
        let name = rest.get(..n)?;
        let (_, hours) = ZONES
            .iter()
            .find(|(zone, _)| zone.as_bytes().eq_ignore_ascii_case(name))?;
        self.pos += n;
        Some(hours * 3600)
    }
}
