//! Reads the dates of sources, whatever their form, into ISO text in UTC.
//!
//! A time without a zone is taken as UTC: the day is what readers use, and most such sources mean
//! it so.

mod scan;
mod words;

use jiff::{Timestamp, ToSpan, civil, fmt::rfc2822, tz::TimeZone};
use rhubarb_core::clock;

use crate::locale::Locale;

/// Which of two numbers in `09/12/2015` is the day, where both could be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateOrder {
    /// The day first, as in most of the world.
    #[default]
    DayFirst,
    /// The month first, as in the United States.
    MonthFirst,
    /// Nothing tells: such a date is none rather than a guess.
    Unknown,
}

impl DateOrder {
    /// Returns the order of a page: by its country, else by its language where that has one order.
    pub fn of(locale: &Locale) -> Self {
        match (locale.country(), locale.language()) {
            (Some("US" | "PH" | "PR" | "GU"), _) => Self::MonthFirst,
            // Canada writes both.
            (Some("CA"), Some("en") | None) => Self::Unknown,
            (Some(_), _) => Self::DayFirst,
            (None, Some("en") | None) => Self::Unknown,
            (None, Some(_)) => Self::DayFirst,
        }
    }

    /// Returns this order, or another one where nothing tells.
    pub(crate) fn or_else(self, other: impl FnOnce() -> Self) -> Self {
        if self == Self::Unknown { other() } else { self }
    }

    /// Returns the order that the dates of a text show: a number over 12 can only be a day.
    ///
    /// `Unknown` where none shows it, or both do.
    pub fn shown_by(text: &str) -> Self {
        let bytes = text.as_bytes();
        let (mut day_first, mut month_first) = (false, false);
        let mut at = 0;
        while let Some(slash) = bytes[at..].iter().position(|byte| *byte == b'/').map(|s| s + at) {
            at = slash + 1;
            if let Some((first, second)) = around(bytes, slash) {
                day_first |= first > 12 && first <= 31 && second <= 12;
                month_first |= second > 12 && second <= 31 && first <= 12;
            }
        }
        match (day_first, month_first) {
            (true, false) => Self::DayFirst,
            (false, true) => Self::MonthFirst,
            _ => Self::Unknown,
        }
    }
}

/// Returns the two numbers around the first slash of `28/8/2026`.
fn around(bytes: &[u8], slash: usize) -> Option<(u32, u32)> {
    let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse::<u32>().ok();
    let before =
        bytes[..slash].iter().rev().take_while(|byte| byte.is_ascii_digit()).take(3).count();
    let is_path = bytes[..slash - before].last().is_some_and(|byte| *byte == b'/');
    let behind = &bytes[slash + 1..];
    let after = behind.iter().take_while(|byte| byte.is_ascii_digit()).take(3).count();
    if is_path || !(1..=2).contains(&before) || !(1..=2).contains(&after) {
        return None;
    }
    let year = behind[after..].strip_prefix(b"/")?;
    let digits = year.iter().take_while(|byte| byte.is_ascii_digit()).take(5).count();
    if digits != 4 {
        return None;
    }
    Some((number(&bytes[slash - before..slash])?, number(&behind[..after])?))
}

/// Only times from 1990 to 2100 are publishing dates; others are mistakes of the source.
const YEARS: std::ops::RangeInclusive<i16> = 1990..=2100;

/// Returns an epoch in seconds or, when it is too large for that, in milliseconds, microseconds or
/// nanoseconds.
pub fn epoch(number: f64) -> Option<String> {
    if !number.is_finite() || number <= 0.0 {
        return None;
    }
    // 10^11 seconds is the year 5138, 10^11 milliseconds is 1973: no publishing date is near
    // either.
    let millis = match number {
        n if n < 1e11 => n * 1e3,
        n if n < 1e14 => n,
        n if n < 1e17 => n / 1e3,
        n => n / 1e6,
    };
    iso(Timestamp::from_millisecond(millis as i64).ok()?)
}

/// Returns a date in text: RFC 3339, RFC 2822, an epoch, a date in numbers or words with or without
/// a time, or an age.
///
/// Words around the date are skipped (`Créé le 09/12/2015 16:34`). An age (`3d ago`,
/// `vor 3 Tagen`) counts from `now`; a date without its year is the last one up to then. Months,
/// days and ages are known in the languages of job pages.
pub fn text(text: &str, order: DateOrder, now: Timestamp) -> Option<String> {
    let text = crate::text::cut(text, 200).trim();
    // The end of a day, as ISO 8601 has it.
    if let Some((day, rest)) = text.split_once("T24:00") {
        let begins = self::text(&format!("{day}T00:00{rest}"), order, now)?;
        let begins: Timestamp = begins.parse().ok()?;
        return iso(begins.checked_add(24.hours()).ok()?);
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return iso(at);
    }
    if let Ok(at) = rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text) {
        return iso(at);
    }
    if let Ok(at) = text.parse::<civil::DateTime>()
        && !text.contains(['+', 'Z', 'z'])
    {
        return iso(TimeZone::UTC.to_timestamp(at).ok()?);
    }
    let number = text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/"));
    if let Ok(number) = number.map_or(text, |n| crate::text::cut(n, 13)).parse::<f64>()
        && let Some(at) = epoch(number)
    {
        return Some(at);
    }
    let dated = || scan::date(text, order, now);
    // A year says more than "today", and that more than a day without a year.
    let has_year = text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() == 4);
    let at = if has_year {
        dated().or_else(|| scan::age(text, now))
    } else {
        scan::age(text, now).or_else(dated)
    };
    iso(at?)
}

fn iso(at: Timestamp) -> Option<String> {
    YEARS.contains(&TimeZone::UTC.to_datetime(at).year()).then(|| clock::iso(at))
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
        check("/Date(1793836800000)/", "2026-11-05T00:00:00+00:00");
        check("/Date(1793836800000+0100)/", "2026-11-05T00:00:00+00:00");
        check("20261105", "2026-11-05T00:00:00+00:00");
        check("2026-11-05T24:00:00Z", "2026-11-06T00:00:00+00:00");
        check("12:05 AM, 5 Nov 2026", "2026-11-05T00:05:00+00:00");
        check("5 Νοεμβρίου 2026", "2026-11-05T00:00:00+00:00");
        check("5 листопада 2026 р.", "2026-11-05T00:00:00+00:00");
        check("20261105T100000Z", "2026-11-05T10:00:00+00:00");
        check("20261105T100000+0100", "2026-11-05T09:00:00+00:00");
        check("2026-W45-4", "2026-11-05T00:00:00+00:00");
        check("2026-11-05Z", "2026-11-05T00:00:00+00:00");
        check("2026-11-05T10:00:00 +0100", "2026-11-05T09:00:00+00:00");
        check("2026-11-05 10:00:00 EST", "2026-11-05T15:00:00+00:00");
        check("2026-11-05 03:30 PM", "2026-11-05T15:30:00+00:00");
        check("2026-11-05 12:05 a.m.", "2026-11-05T00:05:00+00:00");
        check("5 Nov 2026 12:30 PM PST", "2026-11-05T20:30:00+00:00");
        check("Thu Nov 5 10:00:00 CET 2026", "2026-11-05T09:00:00+00:00");
        check("Thu Nov  5 10:00:00 2026", "2026-11-05T10:00:00+00:00");
        check("Thursday, 05-Nov-26 10:00:00 GMT", "2026-11-05T10:00:00+00:00");
        check("05-Nov-2026", "2026-11-05T00:00:00+00:00");
        check("05.11.26", "2026-11-05T00:00:00+00:00");
        check("5. 11. 2026 v 14:05", "2026-11-05T14:05:00+00:00");
        check("5/11/2026 à 10h30", "2026-11-05T10:30:00+00:00");
        check("not a date", "");
        check("0001-01-01", "");
        check("99/99/2020", "");
        check("", "");
    }

    #[test]
    fn months_are_known_in_the_languages_of_job_pages() {
        let check = |input: &str, expect: &str| {
            let got = text(input, DateOrder::Unknown, now());
            assert_eq!(got.as_deref().map(|at| &at[..10]), Some(expect), "{input:?}");
        };
        check("5 März 2026", "2026-03-05");
        check("10. Dezember 2026", "2026-12-10");
        check("5 juin 2026", "2026-06-05");
        check("1er juillet 2026", "2026-07-01");
        check("le 12 août 2026", "2026-08-12");
        check("3 févr. 2026", "2026-02-03");
        check("5 de noviembre de 2026", "2026-11-05");
        check("5 ene. 2026", "2026-01-05");
        check("7 de setembro de 2026", "2026-09-07");
        check("12 ottobre 2026", "2026-10-12");
        check("5 mei 2026", "2026-05-05");
        check("5 listopada 2026 r.", "2026-11-05");
        check("21 paź 2026", "2026-10-21");
        check("5. června 2026", "2026-06-05");
        check("5. července 2026", "2026-07-05");
        check("17 maj 2026", "2026-05-17");
        check("2. desember 2026", "2026-12-02");
        check("5 ноября 2026 г.", "2026-11-05");
        check("2026年11月5日", "2026-11-05");
        check("2026년 11월 5일", "2026-11-05");
        check("Posted on 5th of November 2026", "2026-11-05");
        check("2026 November 5", "2026-11-05");
    }

    #[test]
    fn ages_are_known_in_the_languages_of_job_pages() {
        let check = |input: &str, days: i64| {
            let at = text(input, DateOrder::Unknown, now());
            let expect = now() - jiff::SignedDuration::from_hours(24 * days);
            assert_eq!(at, iso(expect), "{input:?}");
        };
        check("Posted 30+ days ago", 30);
        check("Posted over 2 weeks ago", 14);
        check("vor 3 Tagen", 3);
        check("vor einem Tag", 1);
        check("vor mehr als 30 Tagen", 30);
        check("vor über 30 Tagen", 30);
        check("il y a environ 2 jours", 2);
        check("2 weeks, 3 days ago", 17);
        check("vor 2 Wochen und 3 Tagen", 17);
        check("tydzień temu", 7);
        check("před týdnem", 7);
        check("last week", 7);
        check("Publiée il y a 2 jours", 2);
        check("il y a une semaine", 7);
        check("hace 3 días", 3);
        check("Publicado há 2 semanas", 14);
        check("3 dni temu", 3);
        check("před 3 dny", 3);
        check("3 giorni fa", 3);
        check("2 weken geleden", 14);
        check("för 3 dagar sedan", 3);
        check("3日前", 3);
        check("3 天前", 3);
        check("3일 전", 3);
        check("a day ago", 1);
        check("2d", 2);
        check("Posted Today", 0);
        check("Just posted", 0);
        check("Posted Yesterday", 1);
        check("gestern", 1);
        check("Publié hier", 1);
        check("ayer", 1);
        check("wczoraj", 1);
        check("včera", 1);
        check("vorgestern", 2);
        check("avant-hier", 2);
        check("昨日", 1);
    }

    #[test]
    fn what_lies_ahead_or_counts_something_else_is_no_age() {
        for input in ["ends in 3 days", "noch 3 Tage", "for 3 days", "40 hours", "3 out of 5"] {
            assert_eq!(text(input, DateOrder::Unknown, now()), None, "{input:?}");
        }
    }

    #[test]
    fn a_date_without_its_year_is_the_last_one_up_to_now() {
        let check = |input: &str, expect: &str| {
            let got = text(input, DateOrder::Unknown, now());
            assert_eq!(got.as_deref().map(|at| &at[..10]), Some(expect), "{input:?}");
        };
        check("Nov 5", "2026-11-05");
        check("5. November", "2026-11-05");
        check("24 novembre", "2026-11-24");
        check("Posted 25 Nov", "2025-11-25");
        check("Dec 24", "2025-12-24");
        check("Feb 29", "2024-02-29");
        check("11月5日", "2026-11-05");
        check("05.11.", "2026-11-05");
        check("am 5.11. veröffentlicht", "2026-11-05");
    }

    #[test]
    fn without_any_sign_an_ambiguous_date_is_none() {
        let check = |input: &str, expect: Option<&str>| {
            let got = text(input, DateOrder::Unknown, now());
            assert_eq!(got.as_deref().map(|at| &at[..10]), expect, "{input:?}");
        };
        check("11/5/2026", None);
        check("25/11/2026", Some("2026-11-25"));
        check("11/25/2026", Some("2026-11-25"));
        check("5/5/2026", Some("2026-05-05"));
        check("5.11.2026", Some("2026-11-05"));
    }

    #[test]
    fn the_order_is_that_of_the_country_or_of_the_pages_other_dates() {
        let check = |tag: &str, expect: DateOrder| {
            assert_eq!(DateOrder::of(&Locale::of_tag(tag)), expect, "{tag}");
        };
        check("en-US", DateOrder::MonthFirst);
        check("es-US", DateOrder::MonthFirst);
        check("en-GB", DateOrder::DayFirst);
        check("de", DateOrder::DayFirst);
        check("en", DateOrder::Unknown);
        check("", DateOrder::Unknown);
        let shown = DateOrder::shown_by;
        assert_eq!(shown("<b>11/5/2026</b><b>11/25/2026</b>"), DateOrder::MonthFirst);
        assert_eq!(shown("11/5/2026, 25/11/2026"), DateOrder::DayFirst);
        assert_eq!(shown("25/11/2026 11/25/2026"), DateOrder::Unknown);
        assert_eq!(shown("/25/11/2026 99/5/2026 25/11/20265 a/b"), DateOrder::Unknown);
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
