//! Points in time as people type them: RFC 3339, a date, or a span back from now (`7d`, `36h`); and spans alone.

use std::time::Duration;

use anyhow::{anyhow, bail};
use keytrail_event::Timestamp;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Reads `text` as RFC 3339 (`2026-01-02T03:04:05Z`), a date (its first instant, UTC), or a whole number of minutes,
/// hours, days or weeks before `now` (`90m`, `36h`, `7d`, `2w`).
pub(crate) fn parse(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    if let Some(span) = span_seconds(text) {
        let nanos = now.unix_nanos().saturating_sub(span.saturating_mul(NANOS_PER_SECOND));
        return Ok(Timestamp::from_unix_nanos(nanos));
    }
    // A date is its first instant, so it needs no reader of its own.
    let at = text
        .parse::<jiff::Timestamp>()
        .or_else(|_| format!("{text}T00:00:00Z").parse::<jiff::Timestamp>())
        .map_err(|_| {
            anyhow!("{text:?} is no time: use 2026-01-02T03:04:05Z, 2026-01-02, 7d or 36h")
        })?;
    match u64::try_from(at.as_nanosecond()) {
        Ok(nanos) => Ok(Timestamp::from_unix_nanos(nanos)),
        Err(_) => bail!("{text:?} lies outside the years that CloudTrail knows"),
    }
}

/// Reads a whole number of minutes, hours, days or weeks: `90m`, `36h`, `30d`, `2w`.
pub(crate) fn span(text: &str) -> anyhow::Result<Duration> {
    let seconds = span_seconds(text);
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| anyhow!("{text:?} is no length of time: use 90m, 36h, 30d or 52w"))
}

/// The seconds of `36h` and its like; `None` when `text` is something else.
fn span_seconds(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let number = text.strip_suffix(unit)?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    Some(number.parse::<u64>().ok()?.saturating_mul(seconds))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    fn check(text: &str, expected: &str) {
        let now = Timestamp::parse_event_time("2026-03-01T12:00:00Z").unwrap();
        let found = parse(text, now).map(Timestamp::event_time);
        assert_eq!(found.unwrap_or_else(|error| error.to_string()), expected, "{text}");
    }

    #[test]
    fn dates_instants_and_spans_are_understood() {
        check("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z");
        check("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05Z");
        check("2026-01-02", "2026-01-02T00:00:00Z");
        check("36h", "2026-02-28T00:00:00Z");
        check("7d", "2026-02-22T12:00:00Z");
        check("90m", "2026-03-01T10:30:00Z");
        check("99999999999999w", "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_span_has_a_number_and_a_unit() {
        assert_eq!(span("30d").unwrap(), Duration::from_hours(720));
        assert_eq!(span("0m").unwrap(), Duration::ZERO);
        for text in ["", "30", "-1d", "1s", "2026-01-02"] {
            assert!(span(text).unwrap_err().to_string().contains("use 90m, 36h, 30d or 52w"));
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_forms_that_work() {
        for text in ["", "d", "-7d", "7y", "yesterday", "2026-13-01", "é"] {
            let expected =
                format!("{text:?} is no time: use 2026-01-02T03:04:05Z, 2026-01-02, 7d or 36h");
            check(text, &expected);
        }
    }
}
