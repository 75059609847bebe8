//! Reads the dates of sources, whatever their form, into ISO text in UTC.
//!
//! A time without a zone is taken as UTC: the day is what readers use, and most such sources mean
//! it so.

use jiff::{SignedDuration, Timestamp, civil, fmt::rfc2822, tz::TimeZone};
use rhubarb_core::clock;

/// Which of two numbers in `09/12/2015` is the day, where both could be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateOrder {
    /// The day first, as in most of the world.
    #[default]
    DayFirst,
    /// The month first, as in the United States.
    MonthFirst,
}

/// Only times from 1990 to 2100 are publishing dates; others are mistakes of the source.
const YEARS: std::ops::RangeInclusive<i16> = 1990..=2100;

/// Returns an epoch in seconds or, when it is too large for that, in milliseconds.
pub fn epoch(number: f64) -> Option<String> {
    if !number.is_finite() || number <= 0.0 {
        return None;
    }
    // 10^11 seconds is the year 5138, 10^11 milliseconds is 1973: no publishing date is near
    // either.
    let millis = if number < 1e11 { number * 1000.0 } else { number };
    iso(Timestamp::from_millisecond(millis as i64).ok()?)
}

/// Returns a date in text: RFC 3339, RFC 2822, an epoch, a date with or without a time, or an age.
///
/// Words around the date are skipped (`Créé le 09/12/2015 16:34`). An age (`3d ago`) counts from
/// `now`.
pub fn text(text: &str, order: DateOrder, now: Timestamp) -> Option<String> {
    let text = crate::text::cut(text, 200).trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return iso(at);
    }
    if let Ok(at) = rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text) {
        return iso(at);
    }
    if let Ok(at) = text.parse::<civil::DateTime>() {
        return iso(TimeZone::UTC.to_timestamp(at).ok()?);
    }
    if let Ok(number) = text.parse::<f64>() {
        return epoch(number);
    }
    let at = age(text, now).or_else(|| loose(text, order))?;
    iso(at)
}

fn iso(at: Timestamp) -> Option<String> {
    YEARS.contains(&TimeZone::UTC.to_datetime(at).year()).then(|| clock::iso(at))
}

/// Reads `3d ago`, `< 1h ago`, `3 weeks ago`, `today`, `yesterday`.
fn age(text: &str, now: Timestamp) -> Option<Timestamp> {
    let lower = text.to_lowercase();
    let hours = match lower.as_str() {
        "today" | "just now" | "just posted" => 0,
        "yesterday" => 24,
        _ => {
            let past = lower.strip_suffix("ago")?;
            let from = past.find(|c: char| c.is_ascii_digit())?;
            let number = &past[from..];
            let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
            number[..end].parse::<i64>().ok()?.checked_mul(hours_of(number[end..].trim())?)?
        }
    };
    let span = SignedDuration::from_secs(hours.checked_mul(3600)?);
    now.checked_sub(span).ok()
}

fn hours_of(unit: &str) -> Option<i64> {
    let unit = unit.trim_end_matches('+').trim();
    Some(match unit {
        "s" | "sec" | "second" | "seconds" | "m" | "min" | "minute" | "minutes" => 0,
        "h" | "hr" | "hour" | "hours" => 1,
        "d" | "day" | "days" => 24,
        "w" | "week" | "weeks" => 24 * 7,
        "mo" | "month" | "months" => 24 * 30,
        "y" | "yr" | "year" | "years" => 24 * 365,
        _ => return None,
    })
}

/// Finds a date, then perhaps a time, among the words of a text.
fn loose(text: &str, order: DateOrder) -> Option<Timestamp> {
    let words = text.split(|c: char| c.is_whitespace() || c == ',');
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    for (at, word) in words.iter().enumerate() {
        let found = numeric(word, order)
            .map(|date| (date, at + 1))
            .or_else(|| words.get(at..at + 3).and_then(named).map(|date| (date, at + 3)));
        if let Some((date, after)) = found {
            let time = words.get(after).and_then(|word| clock_time(word)).unwrap_or_default();
            return TimeZone::UTC.to_timestamp(date.to_datetime(time)).ok();
        }
    }
    None
}

/// Reads `2026-8-28`, `28-8-2026`, `09/12/2015`, `28.8.2026`.
fn numeric(word: &str, order: DateOrder) -> Option<civil::Date> {
    let separator = word.chars().find(|c| matches!(c, '-' | '/' | '.'))?;
    let mut parts = word.trim_end_matches('.').split(separator);
    let (a, b, c) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let number = |part: &str| part.parse::<i16>().ok().filter(|number| *number >= 0);
    let (first, second, third) = (number(a)?, number(b)?, number(c)?);
    if a.len() == 4 {
        return date(first, second, third);
    }
    if c.len() != 4 {
        return None;
    }
    // Dots are written day first everywhere.
    let month_first = order == DateOrder::MonthFirst && separator != '.';
    let (day, month) = if month_first { (second, first) } else { (first, second) };
    date(third, month, day).or_else(|| date(third, day, month))
}

/// Reads `20 October 2020` and `October 20 2020`.
fn named(words: &[&str]) -> Option<civil::Date> {
    let [a, b, year] = words else { return None };
    let (month, day) = month(b).map(|month| (month, *a)).or_else(|| Some((month(a)?, *b)))?;
    let day = day.trim_end_matches(|c: char| !c.is_ascii_digit());
    date(year.parse().ok()?, month, day.parse().ok()?)
}

fn month(word: &str) -> Option<i16> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let start = word.get(..3)?.to_lowercase();
    MONTHS.iter().position(|month| *month == start).map(|at| at as i16 + 1)
}

fn date(year: i16, month: i16, day: i16) -> Option<civil::Date> {
    civil::Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// Reads `16:34` and `20:28:32`.
fn clock_time(word: &str) -> Option<civil::Time> {
    let word = word.trim_end_matches('Z');
    let mut parts = word.split(':').map(|part| crate::text::cut(part, 2).parse::<i8>().ok());
    let (hour, minute) = (parts.next()??, parts.next()??);
    civil::Time::new(hour, minute, parts.next().flatten().unwrap_or(0), 0).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn every_form_of_date_is_read() {
        let check = |input: &str, expect: &str| {
            let got = text(input, DateOrder::DayFirst, now());
            assert_eq!(got.as_deref(), Some(expect).filter(|e| !e.is_empty()), "{input:?}");
        };
        check("2026-07-16T11:55:32-04:00", "2026-07-16T15:55:32+00:00");
        check("2026-04-20T22:43:56.531+00:00", "2026-04-20T22:43:56.531000+00:00");
        check("Mon, 16 Nov 2026 10:00:00 +0000", "2026-11-16T10:00:00+00:00");
        check("1790412915", "2026-09-26T08:55:15+00:00");
        check("1764205361939", "2025-11-27T01:02:41.939000+00:00");
        check("2026-11-05", "2026-11-05T00:00:00+00:00");
        check("2026-09-21T12:55:11", "2026-09-21T12:55:11+00:00");
        check("2020-10-20 20:28:32 UTC", "2020-10-20T20:28:32+00:00");
        check("2026-8-28 15:08 UTC", "2026-08-28T15:08:00+00:00");
        check("28-8-2026", "2026-08-28T00:00:00+00:00");
        check("28.8.2026", "2026-08-28T00:00:00+00:00");
        check("Créé le 09/12/2015 16:34 par X", "2015-12-09T16:34:00+00:00");
        check("12/28/2015", "2015-12-28T00:00:00+00:00");
        check("October 20, 2020", "2020-10-20T00:00:00+00:00");
        check("Posted 3rd Oct 2020", "2020-10-03T00:00:00+00:00");
        check("3d ago", "2026-11-20T12:00:00+00:00");
        check("< 1h ago", "2026-11-23T11:00:00+00:00");
        check("3 weeks ago", "2026-11-02T12:00:00+00:00");
        check("not a date", "");
        check("0001-01-01", "");
        check("99/99/2020", "");
        check("", "");
    }

    #[test]
    fn an_ambiguous_date_follows_the_order() {
        let got = text("09/12/2015", DateOrder::MonthFirst, now());
        assert_eq!(got.as_deref(), Some("2015-09-12T00:00:00+00:00"));
    }

    #[test]
    fn an_epoch_is_seconds_or_milliseconds() {
        assert_eq!(epoch(1_793_404_800_000.0), epoch(1_793_404_800.0));
        assert_eq!(epoch(0.0), None);
        assert_eq!(epoch(f64::MAX), None);
        assert_eq!(epoch(f64::NAN), None);
    }

    proptest! {
        #[test]
        fn any_text_is_a_date_or_none(input in "(?s).{0,80}") {
            let _ = text(&input, DateOrder::DayFirst, now());
        }

        #[test]
        fn numbers_in_any_order_never_panic(input in "[0-9]{0,22}[-/. :T]{0,2}[0-9]{0,9}[-/. ][0-9]{0,9} ?[a-z]{0,3}( ago)?") {
            let _ = text(&input, DateOrder::MonthFirst, now());
        }
    }
}
