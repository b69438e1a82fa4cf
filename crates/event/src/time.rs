//! Points in time, and the three ways AWS writes them.
//!
//! A [`Timestamp`] holds nanoseconds since 1970 in UTC. There is no clock here: `now` is always given by the caller.
//! Records carry whole seconds (`eventTime`), API timestamps inside `requestParameters` and `responseElements` are
//! locale text without a zone, and the lake stores microseconds.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::ParseError;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z, up to the year 2554.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The point `nanos` nanoseconds after 1970.
    pub const fn from_unix_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The point `seconds` seconds after 1970; saturates at the last representable nanosecond, in 2554.
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// Nanoseconds since 1970.
    pub const fn unix_nanos(self) -> u64 {
        self.0
    }

    /// Microseconds since 1970, rounded down: the unit of the lake.
    pub const fn unix_micros(self) -> i64 {
        (self.0 / 1_000).cast_signed() // at most 2⁶⁴ / 1000, far below 2⁶³
    }

    /// Whole seconds since 1970, rounded down: the unit of `eventTime`.
    pub const fn unix_seconds(self) -> u64 {
        self.0 / NANOS_PER_SECOND
    }

    /// Reads `eventTime`: exactly `YYYY-MM-DDTHH:MM:SSZ`, a date that exists, not before 1970.
    ///
    /// # Errors
    /// [`ParseError::EventTime`] for any other text.
    pub fn parse_event_time(text: &str) -> Result<Self, ParseError> {
        let seconds = event_seconds(text).ok_or(ParseError::EventTime)?;
        let seconds = u64::try_from(seconds).map_err(|_| ParseError::EventTime)?;
        let nanos = seconds.checked_mul(NANOS_PER_SECOND).ok_or(ParseError::EventTime)?;
        Ok(Self(nanos))
    }

    /// `2026-01-02T03:04:05Z`, the form of `eventTime`; fractions of a second are cut off.
    pub fn event_time(self) -> String {
        self.civil().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// `May 21, 2025, 5:47:45 AM`: how CloudTrail writes API timestamps (`deletionDate`, `validTo`, `creationDate` of a
    /// key) inside `requestParameters` and `responseElements`. UTC, short month, 12-hour clock, no zone.
    pub fn locale(self) -> String {
        self.civil().strftime("%b %-d, %Y, %-I:%M:%S %p").to_string()
    }

    fn civil(self) -> DateTime {
        civil_of_seconds(self.unix_seconds().cast_signed()).unwrap_or_default() // 2554 < 9999
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.event_time())
    }
}

/// Bytes of `YYYY-MM-DDTHH:MM:SSZ`.
const EVENT_TIME_LENGTH: usize = 20;

/// Seconds since 1970 of exactly `YYYY-MM-DDTHH:MM:SSZ`, years 0000 to 9999, or `None`.
///
/// Taken apart by hand because it stands in the ingest loop, where a general parser costs several times as much. No leap
/// second: UTC has had none in CloudTrail's life, and `:60` would not survive the way back.
pub(crate) fn event_seconds(text: &str) -> Option<i64> {
    let bytes: &[u8; EVENT_TIME_LENGTH] = text.as_bytes().try_into().ok()?;
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
        b'Z',
    ] = *bytes
    else {
        return None;
    };
    let year = i16::from(two(y1, y2)?) * 100 + i16::from(two(y3, y4)?);
    let (hour, minute, second) = (two(h1, h2)?, two(n1, n2)?, two(s1, s2)?);
    let civil = DateTime::new(year, two(m1, m2)?, two(d1, d2)?, hour, minute, second, 0).ok()?;
    Offset::UTC.to_timestamp(civil).ok().map(jiff::Timestamp::as_second)
}

/// Appends `YYYY-MM-DDTHH:MM:SSZ`; `None`, and nothing appended, outside the years 0000 to 9999.
pub(crate) fn push_event_time(out: &mut String, seconds: i64) -> Option<()> {
    let civil = civil_of_seconds(seconds).filter(|civil| civil.year() >= 0)?;
    let year = civil.year().unsigned_abs();
    push_two(out, year / 100);
    push_two(out, year % 100);
    for (mark, field) in [
        ('-', civil.month()),
        ('-', civil.day()),
        ('T', civil.hour()),
        (':', civil.minute()),
        (':', civil.second()),
    ] {
        out.push(mark);
        push_two(out, field.unsigned_abs().into());
    }
    out.push('Z');
    Some(())
}

/// Two decimal digits of a number below 100.
fn push_two(out: &mut String, value: u16) {
    out.extend(char::from_digit(u32::from(value / 10), 10));
    out.extend(char::from_digit(u32::from(value % 10), 10));
}

fn civil_of_seconds(seconds: i64) -> Option<DateTime> {
    jiff::Timestamp::from_second(seconds).ok().map(|time| Offset::UTC.to_datetime(time))
}

fn two(tens: u8, ones: u8) -> Option<i8> {
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| ((tens - b'0') * 10 + (ones - b'0')).cast_signed())
}
