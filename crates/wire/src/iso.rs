//! The rarer forms of ISO 8601 that Celery takes.
//!
//! Celery reads times with `dateutil.parser.isoparse` (2.9): week dates, days of the year, dates
//! without a day, `24:00` for the end of a day, and any one character between date and time.

use jiff::civil::{Date, DateTime, ISOWeekDate, Time, Weekday};
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};

/// What a text says: an instant, or a local time.
pub(crate) enum Said {
    Instant(Timestamp),
    Local(DateTime),
}

/// Reads a date, or a date and a time.
pub(crate) fn parse(text: &str) -> Option<Said> {
    let mut rest = Rest(text);
    let date = date(&mut rest)?;
    // Nothing follows a month, or a year: the forms of the same length are those of a week and of a
    // day of the year.
    let read = &text[..text.len() - rest.0.len()];
    let has_day = read.len() > 7 || read.len() == 7 && read.as_bytes()[4] != b'-';
    let mut after = rest.0.chars();
    if after.next().is_none() {
        return Some(Said::Local(date.to_datetime(Time::midnight())));
    }
    has_day.then_some(())?;
    rest = Rest(after.as_str());
    let (days, time) = time(&mut rest)?;
    let local = date.checked_add(days.days()).ok()?.to_datetime(time);
    if rest.0.is_empty() {
        return Some(Said::Local(local));
    }
    let offset = offset(&mut rest)?;
    let instant = offset.to_timestamp(local).ok()?;
    rest.0.is_empty().then_some(Said::Instant(instant))
}

/// What is left to be read.
#[derive(Clone, Copy)]
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn skip(&mut self, c: char) -> bool {
        let rest = self.0.strip_prefix(c);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Takes a number of exactly so many digits.
    fn digits(&mut self, n: usize) -> Option<i16> {
        let (digits, rest) = self.0.split_at_checked(n)?;
        let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(digits)?;
        self.0 = rest;
        number.parse().ok()
    }

    fn two(&mut self) -> Option<i8> {
        self.digits(2).and_then(|number| i8::try_from(number).ok())
    }

    fn n_digits(&self) -> usize {
        self.0.bytes().take_while(u8::is_ascii_digit).count()
    }
}

fn date(rest: &mut Rest<'_>) -> Option<Date> {
    let year = rest.digits(4)?;
    let dashed = rest.skip('-');
    if rest.skip('W') {
        let week = rest.two()?;
        let has_day = if dashed { rest.skip('-') } else { rest.n_digits() > 0 };
        let day = if has_day { rest.digits(1)? } else { 1 };
        let day = Weekday::from_monday_one_offset(i8::try_from(day).ok()?).ok()?;
        return ISOWeekDate::new(year, week, day).ok().map(ISOWeekDate::date);
    }
    match (rest.n_digits(), dashed) {
        (3, _) => {
            let day = rest.digits(3)?;
            let first = Date::new(year, 1, 1).ok()?;
            (1..=first.days_in_year()).contains(&day).then_some(())?;
            first.checked_add((day - 1).days()).ok()
        }
        (0, false) => Date::new(year, 1, 1).ok(),
        (2, true) => {
            let month = rest.two()?;
            let day = if rest.skip('-') { rest.two()? } else { 1 };
            Date::new(year, month, day).ok()
        }
        (4.., false) => Date::new(year, rest.two()?, rest.two()?).ok(),
        _ => None,
    }
}

/// Reads a time of day, and how many days are to be added: one for `24:00`.
fn time(rest: &mut Rest<'_>) -> Option<(i8, Time)> {
    let hour = rest.two()?;
    let coloned = rest.skip(':');
    let mut minute_and_second = [0; 2];
    for (nth, part) in minute_and_second.iter_mut().enumerate() {
        let is_there = match (nth, coloned) {
            (0, true) => true,
            (0, false) => rest.n_digits() > 0,
            (_, true) => rest.skip(':'),
            (_, false) => rest.n_digits() > 0,
        };
        if !is_there {
            break;
        }
        *part = rest.two()?;
    }
    let [minute, second] = minute_and_second;
    let nanosecond = if rest.skip('.') || rest.skip(',') { fraction(rest)? } else { 0 };
    if hour == 24 {
        let is_end = minute == 0 && second == 0 && nanosecond == 0;
        return is_end.then_some((1, Time::midnight()));
    }
    Time::new(hour, minute, second, nanosecond).ok().map(|time| (0, time))
}

/// The nanoseconds of a fraction, of which Python keeps microseconds.
fn fraction(rest: &mut Rest<'_>) -> Option<i32> {
    let n = rest.n_digits();
    let (digits, after) = rest.0.split_at_checked(n).filter(|_| n > 0)?;
    rest.0 = after;
    let micros = &format!("{digits:0<6}")[..6];
    micros.parse::<i32>().ok().map(|micros| micros * 1_000)
}

fn offset(rest: &mut Rest<'_>) -> Option<Offset> {
    if rest.skip('Z') || rest.skip('z') {
        return Some(Offset::UTC);
    }
    let sign = if rest.skip('-') {
        -1
    } else if rest.skip('+') {
        1
    } else {
        return None;
    };
    let hours = i32::from(rest.two()?);
    let minutes = if rest.skip(':') || rest.n_digits() > 0 { i32::from(rest.two()?) } else { 0 };
    (hours < 24 && minutes < 60).then_some(())?;
    Offset::from_seconds(sign * (hours * 60 + minutes) * 60).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The right side is what `dateutil` 2.9 says.
    #[test]
    fn the_rarer_forms_are_read_as_python_reads_them() {
        let check = |text: &str, expected: &str| {
            let found = match parse(text) {
                Some(Said::Instant(instant)) => instant.to_string(),
                Some(Said::Local(local)) => local.to_string(),
                None => "none".to_owned(),
            };
            assert_eq!(found, expected, "{text}");
        };
        check("2026-11-29T24:00", "2026-11-30T00:00:00");
        check("2026-12-31T24:00:00+00:00", "2027-01-01T00:00:00Z");
        check("2026-W48-7T12:00:00+01:00", "2026-11-29T11:00:00Z");
        check("2026W487T1200Z", "2026-11-29T12:00:00Z");
        check("2026-W48", "2026-11-23T00:00:00");
        check("2026-333", "2026-11-29T00:00:00");
        check("2026333T10", "2026-11-29T10:00:00");
        check("2026-333T10", "2026-11-29T10:00:00");
        check("2026-11", "2026-11-01T00:00:00");
        check("2026", "2026-01-01T00:00:00");
        check("20261129T120000,5-0530", "2026-11-29T17:30:00.5Z");
        check("2026-11-29_12:00:00.1234567", "2026-11-29T12:00:00.123456");
        for text in [
            "",
            "x",
            "2026-11-29T24:01",
            "2026-11-29T25:00",
            "2026-W54-1",
            "2026-W48-8",
            "2026-366",
            "2026-000",
            "2026-1",
            "2026-11T12",
            "12:00",
            "2026-11-29T",
            "2026-11-29T12:00+24:00",
            "2026-11-29T12:00x",
            "2026-11-29T1é",
            "tomorrow",
            "1795471321.28",
        ] {
            check(text, "none");
        }
    }
}
