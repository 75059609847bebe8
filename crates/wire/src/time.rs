//! The times of a message: text on the wire, an instant once the zone is known.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};

use crate::iso::{self, Said};

/// A time as a message gives it.
///
/// The text is kept, so that a message written again says what its producer said. Celery writes ISO
/// 8601 with an offset, or without one when the caller passed a naive `datetime`, which means the
/// time zone of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Time {
    text: String,
    instant: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instant {
    Known(Timestamp),
    Naive(DateTime),
}

impl Time {
    /// Reads ISO 8601 in all forms that Celery takes: with offset, with `Z`, or naive; `None` for
    /// anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let instant = match (text.parse::<Timestamp>(), text.parse::<DateTime>()) {
            (Ok(instant), _) => Instant::Known(instant),
            (_, Ok(local)) => Instant::Naive(local),
            _ => match iso::parse(text)? {
                Said::Instant(instant) => Instant::Known(instant),
                Said::Local(local) => Instant::Naive(local),
            },
        };
        Some(Self { text: text.to_owned(), instant })
    }

    /// A time to be written, as Python's `isoformat` prints it in UTC.
    ///
    /// Python knows microseconds: what is finer is cut off.
    pub fn at(instant: Timestamp) -> Self {
        let cut =
            jiff::TimestampRound::new().smallest(Unit::Microsecond).mode(jiff::RoundMode::Trunc);
        let instant = instant.round(cut).unwrap_or(instant);
        let format = if instant.subsec_nanosecond() == 0 {
            "%Y-%m-%dT%H:%M:%S+00:00"
        } else {
            "%Y-%m-%dT%H:%M:%S.%6f+00:00"
        };
        Self { text: instant.strftime(format).to_string(), instant: Instant::Known(instant) }
    }

    /// The text on the wire.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The instant meant; a time without offset is taken in `default_zone`.
    ///
    /// A local time that a clock change skips or repeats is taken as most calendars do: skipped
    /// ones move forward, repeated ones are the first. Times beyond the calendar are clamped to its
    /// ends.
    pub fn resolve(&self, default_zone: &TimeZone) -> Timestamp {
        match self.instant {
            Instant::Known(instant) => instant,
            Instant::Naive(local) => {
                let end = if local.year() > 0 { Timestamp::MAX } else { Timestamp::MIN };
                default_zone.to_timestamp(local).unwrap_or(end)
            }
        }
    }
}

impl From<Timestamp> for Time {
    fn from(instant: Timestamp) -> Self {
        Self::at(instant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_resolves() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let check = |text: &str, expected: &str| {
            let time = Time::parse(text).unwrap();
            assert_eq!(time.as_str(), text);
            assert_eq!(time.resolve(&berlin).to_string(), expected, "{text}");
        };
        check("2026-11-23T21:53:30.368124+00:00", "2026-11-23T21:53:30.368124Z");
        check("2026-11-23T21:53:30Z", "2026-11-23T21:53:30Z");
        check("2026-11-23T21:53:30+05:30", "2026-11-23T16:23:30Z");
        check("2026-11-23T21:53:30", "2026-11-23T20:53:30Z");
        check("2026-07-01T12:00:00.5", "2026-07-01T10:00:00.5Z");
        check("2026-07-01", "2026-06-30T22:00:00Z");
        // Skipped and repeated by the clock change.
        check("2026-03-29T02:30:00", "2026-03-29T01:30:00Z");
        check("2026-10-25T02:30:00", "2026-10-25T00:30:00Z");
    }

    #[test]
    fn other_text_is_no_time() {
        for text in [
            "",
            "tomorrow",
            "2026-13-01T00:00:00",
            "12:00",
            "1795471321.28",
            "2026-11-23T25:00:00Z",
        ] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_ends_of_the_calendar_are_clamped() {
        let zone = TimeZone::get("Asia/Tokyo").unwrap();
        let first = Time::parse("-009999-01-01T00:00:00").unwrap();
        assert_eq!(first.resolve(&zone), Timestamp::MIN);
    }

    #[test]
    fn written_times_read_as_python_prints_them() {
        let check = |nanoseconds: i128, expected: &str| {
            let time = Time::at(Timestamp::from_nanosecond(nanoseconds).unwrap());
            assert_eq!(time.as_str(), expected);
            assert_eq!(Time::parse(expected), Some(time));
        };
        check(1_795_471_321_000_000_000, "2026-11-23T22:02:01+00:00");
        check(1_795_471_321_280_000_000, "2026-11-23T22:02:01.280000+00:00");
        check(1_795_471_321_280_001_999, "2026-11-23T22:02:01.280001+00:00");
        check(1_795_471_321_000_000_999, "2026-11-23T22:02:01+00:00");
    }
}
