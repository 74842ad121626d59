//! Times as logs write them.
//!
//! Pure: the arrival is an argument and zones come from the data base that is compiled in, so that the same
//! log means the same times on every machine. It must never guess a time that cannot be one: a number or
//! date outside 1990 to 2199 is [`Reading::Bad`].

mod written;

use jiff::tz::TimeZone;

use self::written::{Cursor, Local, WEEKDAYS, millis_of};
use crate::model::EventTime;

/// First second that a log record may be from (1990): smaller numbers are defaults and counters, not times.
const SECONDS_MIN: i64 = 631_152_000;
/// First second that it may not be from any more (2200).
const SECONDS_MAX: i64 = 7_258_118_400;

/// What a time field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Nothing: it is empty or `-`.
    Missing,
    /// An instant.
    At(EventTime),
    /// Something that cannot be the time of a log record.
    Bad,
}

impl Reading {
    /// Judges an instant.
    pub(super) const fn of(at: EventTime) -> Self {
        if is_plausible(at) {
            Self::At(at)
        } else {
            Self::Bad
        }
    }
}

/// Reads times; holds the zone of those that name none.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    zone: Zone,
}

/// A zone, with the common case apart because it needs no table.
#[derive(Clone, Debug)]
enum Zone {
    /// Seconds east of UTC.
    Fixed(i64),
    /// A zone with changes of its offset.
    Named(TimeZone),
}

impl Clock {
    /// Makes a reader; the zone is that of times that name none.
    pub(super) fn new(zone: TimeZone) -> Self {
        let zone = match zone.to_fixed_offset() {
            Ok(offset) => Zone::Fixed(i64::from(offset.seconds())),
            Err(_) => Zone::Named(zone),
        };
        Self { zone }
    }

    /// Reads a whole field.
    pub(super) fn read(&self, text: &str, arrived: EventTime) -> Reading {
        let text = text.trim();
        if text.is_empty() || text == "-" {
            return Reading::Missing;
        }
        let found = match self.prefix(text, arrived) {
            Some((at, "")) => Some(at),
            _ => number(text).or_else(|| self.compact(text)),
        };
        match found {
            Some(at) => Reading::of(at),
            None => Reading::Bad,
        }
    }

    /// Reads a date and time at the start of a text; returns it with what follows.
    pub(super) fn prefix<'a>(
        &self,
        text: &'a str,
        arrived: EventTime,
    ) -> Option<(EventTime, &'a str)> {
        let mut cursor = Cursor::new(text);
        let at = match cursor.peek()? {
            b'0'..=b'9' => self.digits_first(&mut cursor)?,
            b'A'..=b'Z' => self.word_first(&mut cursor, arrived)?,
            _ => return None,
        };
        Some((at, text.get(cursor.pos..)?))
    }

    /// `2016-01-20T01:20:03.5Z`, `2016/01/20 01:20:03`, `20/Jan/2016:01:20:03 +0000`, `20 Jan 2016 01:20:03`.
    fn digits_first(&self, cursor: &mut Cursor<'_>) -> Option<EventTime> {
        if let Some(year) = cursor.digits(4) {
            let separator = cursor.any(b"-/")?;
            let month = cursor.digits(2)?;
            cursor.any(&[separator])?;
            let day = cursor.digits(2)?;
            cursor.any(b"Tt ")?;
            return self.time_and_zone(cursor, (year, month, day));
        }
        let day = cursor.digits(2).or_else(|| cursor.digits(1))?;
        cursor.any(b"/- ")?;
        let month = cursor.month()?;
        cursor.any(b"/- ")?;
        let year = cursor.digits(4)?;
        cursor.any(b": ")?;
        self.time_and_zone(cursor, (year, month, day))
    }

    fn time_and_zone(&self, cursor: &mut Cursor<'_>, date: (i64, i64, i64)) -> Option<EventTime> {
        let local = cursor.time_of_day(date)?;
        match cursor.zone() {
            Some(east) => Some(local.at_offset(east)),
            None => self.at_home(local),
        }
    }

    /// `Jan  2 01:20:03`, `Wed Jan 20 01:20:03.5 2016`, `Wed, 20 Jan 2016 01:20:03 +0000`.
    fn word_first(&self, cursor: &mut Cursor<'_>, arrived: EventTime) -> Option<EventTime> {
        let Some(month) = cursor.month() else {
            cursor.word_of(&WEEKDAYS)?;
            cursor.any(b",");
            cursor.any(b" ")?;
            if cursor.peek()?.is_ascii_digit() {
                return self.digits_first(cursor);
            }
            let month = cursor.month()?;
            let (day, mut local) = self.day_and_time(cursor, month)?;
            cursor.any(b" ")?;
            let east = cursor
                .zone_name()
                .map(|it| (it, cursor.any(b" ")))
                .map(|it| it.0);
            local.year = cursor.digits(4)?;
            local.day = day;
            if !local.is_valid() {
                return None;
            }
            return east.map_or_else(|| self.at_home(local), |it| Some(local.at_offset(it)));
        };
        let mark = cursor.pos;
        let (_, local) = self.day_and_time(cursor, month).or_else(|| {
            cursor.pos = mark;
            self.day_year_and_time(cursor, month)
        })?;
        if local.year != 0 {
            return self.at_home(local);
        }
        self.nearest_year(local, arrived)
    }

    /// ` 20 01:20:03`, with one blank more before a day of one digit.
    #[expect(clippy::unused_self, reason = "reads like its neighbours")]
    fn day_and_time(&self, cursor: &mut Cursor<'_>, month: i64) -> Option<(i64, Local)> {
        cursor.any(b" ")?;
        cursor.any(b" ");
        let day = cursor.digits(2).or_else(|| cursor.digits(1))?;
        cursor.any(b" ")?;
        // Year 2000 stands in so that 29 February passes; the year itself is 0 until it is known.
        let mut local = cursor.time_of_day((2000, month, day))?;
        local.year = 0;
        Some((day, local))
    }

    #[expect(clippy::unused_self, reason = "reads like its neighbours")]
    fn day_year_and_time(&self, cursor: &mut Cursor<'_>, month: i64) -> Option<(i64, Local)> {
        cursor.any(b" ")?;
        cursor.any(b" ");
        let day = cursor.digits(2).or_else(|| cursor.digits(1))?;
        cursor.any(b",");
        cursor.any(b" ")?;
        let year = cursor.digits(4)?;
        cursor.any(b" ")?;
        Some((day, cursor.time_of_day((year, month, day))?))
    }

    /// Puts a time without year into the year that brings it nearest to its arrival.
    fn nearest_year(&self, local: Local, arrived: EventTime) -> Option<EventTime> {
        let year = year_of(arrived);
        [year - 1, year, year + 1]
            .into_iter()
            .map(|year| Local { year, ..local })
            .filter(|it| it.is_valid())
            .filter_map(|it| self.at_home(it))
            .min_by_key(|it| it.millis_since(arrived).unsigned_abs())
    }

    fn at_home(&self, local: Local) -> Option<EventTime> {
        let zone = match &self.zone {
            Zone::Fixed(east) => return Some(local.at_offset(*east)),
            Zone::Named(zone) => zone,
        };
        let civil = jiff::civil::DateTime::new(
            i16::try_from(local.year).ok()?,
            i8::try_from(local.month).ok()?,
            i8::try_from(local.day).ok()?,
            i8::try_from(local.hour).ok()?,
            i8::try_from(local.minute).ok()?,
            i8::try_from(local.second.min(59)).ok()?,
            0,
        )
        .ok()?;
        let at = zone.to_ambiguous_timestamp(civil).compatible().ok()?;
        Some(EventTime::from_millis(at.as_millisecond()).plus_millis(local.millis))
    }

    /// `MediaWiki`'s own `20160120012003`.
    fn compact(&self, text: &str) -> Option<EventTime> {
        let mut cursor = Cursor::new(text);
        let (year, month, day) = (cursor.digits(4)?, cursor.digits(2)?, cursor.digits(2)?);
        let (hour, minute, second) = (cursor.digits(2)?, cursor.digits(2)?, cursor.digits(2)?);
        let local = Local {
            year,
            month,
            day,
            hour,
            minute,
            second,
            millis: 0,
        };
        if cursor.peek().is_some() || !local.is_valid() {
            return None;
        }
        self.at_home(local)
    }
}

const fn is_plausible(at: EventTime) -> bool {
    at.seconds() >= SECONDS_MIN && at.seconds() < SECONDS_MAX
}

/// Reads a count of seconds, milliseconds, microseconds or nanoseconds since 1970; its size says which.
pub(super) fn number(text: &str) -> Option<EventTime> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|it| it.is_ascii_digit()) || whole.contains(['e', 'E']) {
        return exponent(text);
    }
    if whole.is_empty() || !whole.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let millis = match whole {
        0..100_000_000_000 => whole * 1000 + millis_of(fraction.as_bytes()),
        100_000_000_000..100_000_000_000_000 => whole,
        100_000_000_000_000..100_000_000_000_000_000 => whole / 1000,
        _ => whole / 1_000_000,
    };
    let at = EventTime::from_millis(millis);
    is_plausible(at).then_some(at)
}

/// Reads seconds written like `1.453252803e9`.
fn exponent(text: &str) -> Option<EventTime> {
    if !text
        .bytes()
        .all(|it| it.is_ascii_digit() || b".eE+-".contains(&it))
    {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    if !(0.0..1e19).contains(&value) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    let (whole, millis) = (value as i128, (value.fract() * 1000.0) as i64);
    let whole = i64::try_from(whole).ok()?;
    number_of(whole).map(|it| {
        if whole < 100_000_000_000 {
            it.plus_millis(millis)
        } else {
            it
        }
    })
}

fn number_of(whole: i64) -> Option<EventTime> {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = whole;
    while rest > 0 && at > 0 {
        at -= 1;
        if let (Some(place), Ok(digit)) = (digits.get_mut(at), u8::try_from(rest % 10)) {
            *place = b'0' + digit;
        }
        rest /= 10;
    }
    number(std::str::from_utf8(digits.get(at..)?).ok()?)
}

fn year_of(at: EventTime) -> i64 {
    // 31,556,952 s is the mean Gregorian year; near a turn of the year the neighbours are tried too.
    1970 + at.seconds().div_euclid(31_556_952)
}
