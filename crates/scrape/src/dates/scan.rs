//! Finds a date among the words of a text: in numbers or with a month's name, with or without a
//! year, with a time, a half of the day and a zone.

use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, DateTime, ISOWeekDate, Time, Weekday},
    tz::{Offset, TimeZone},
};

use super::{DateOrder, words};
use crate::fold;

/// A word, a number or a sign of a text in plain letters.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'t> {
    /// Digits, as written.
    Number(&'t str),
    Word(&'t str),
    Mark(char),
    Space,
}

/// A date without its year is at most this many days ahead: clocks and zones differ.
const AHEAD: i64 = 1;

/// Returns the date that a text names, in words or numbers.
pub(super) fn date(text: &str, order: DateOrder, now: Timestamp) -> Option<Timestamp> {
    let plain = fold::plain(text);
    let tokens = tokens(&plain);
    let found = |date: Option<(Date, usize)>, at: usize| date.map(|(date, to)| (at, date, to));
    let dates = (0..tokens.len()).find_map(|at| found(dated(&tokens, at, order), at));
    let (at, date, to) =
        dates.or_else(|| (0..tokens.len()).find_map(|at| found(yearless(&tokens, at, now), at)))?;
    let (time, offset) = match clock(&tokens, to) {
        // `10:30 AM, 5 Nov 2026`
        (time, None) if time == Time::midnight() => clock(&tokens[..at], at.saturating_sub(12)),
        found => found,
    };
    let offset = offset.unwrap_or(Offset::UTC);
    offset.to_timestamp(DateTime::from_parts(date, time)).ok()
}

fn tokens(plain: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = plain;
    while let Some(c) = rest.chars().next() {
        let is_like = |other: char| match c {
            c if c.is_ascii_digit() => other.is_ascii_digit(),
            c if c.is_whitespace() => other.is_whitespace(),
            _ => is_letter(c) && is_letter(other),
        };
        let end = rest.find(|other| !is_like(other)).unwrap_or(rest.len()).max(c.len_utf8());
        let (token, left) = rest.split_at(end);
        tokens.push(match c {
            c if c.is_ascii_digit() => Token::Number(token),
            c if c.is_whitespace() => Token::Space,
            c if is_letter(c) => Token::Word(token),
            c => Token::Mark(c),
        });
        rest = left;
    }
    tokens
}

/// Letters of scripts with spaces: 年, 月 and 日 stand alone.
fn is_letter(c: char) -> bool {
    c.is_alphabetic() && (c as u32) < 0x2e80
}

fn number(token: Option<&Token<'_>>, digits: std::ops::RangeInclusive<usize>) -> Option<i16> {
    match token {
        Some(Token::Number(text)) if digits.contains(&text.len()) => text.parse().ok(),
        _ => None,
    }
}

fn word<'t>(token: Option<&Token<'t>>) -> Option<&'t str> {
    match token {
        Some(Token::Word(word)) => Some(word),
        _ => None,
    }
}

fn day(year: i16, month: i16, day: i16) -> Option<Date> {
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// Reads a date with its year at a token, and returns it with the token behind it.
fn dated(tokens: &[Token<'_>], at: usize, order: DateOrder) -> Option<(Date, usize)> {
    if at > 0 && matches!(tokens[at], Token::Number(_)) && is_inside(tokens, at) {
        return None;
    }
    basic(tokens, at)
        .or_else(|| week(tokens, at))
        .or_else(|| ideographs(tokens, at))
        .or_else(|| numeric(tokens, at, order))
        .or_else(|| named(tokens, at))
}

/// Tells whether a number goes on from one before it, as in `1.2.2026` and `3/11/5/2026`.
fn is_inside(tokens: &[Token<'_>], at: usize) -> bool {
    let is_mark = matches!(tokens[at - 1], Token::Mark('.' | '/' | '-'));
    is_mark && at > 1 && matches!(tokens[at - 2], Token::Number(_))
}

/// `20261105` and `20261105T100000Z`.
fn basic(tokens: &[Token<'_>], at: usize) -> Option<(Date, usize)> {
    let Token::Number(text) = tokens[at] else { return None };
    if !matches!(text.len(), 8 | 12 | 14) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| text.get(range)?.parse::<i16>().ok();
    let date = day(part(0..4)?, part(4..6)?, part(6..8)?)?;
    (1990..=2100).contains(&date.year()).then_some((date, at + 1))
}

/// `2026-W45-4`, `2026W45`.
fn week(tokens: &[Token<'_>], at: usize) -> Option<(Date, usize)> {
    let year = number(tokens.get(at), 4..=4)?;
    let at = at + 1 + usize::from(tokens.get(at + 1) == Some(&Token::Mark('-')));
    word(tokens.get(at)).filter(|word| *word == "w")?;
    let Some(Token::Number(digits)) = tokens.get(at + 1) else { return None };
    let week: i8 = digits.get(..2)?.parse().ok()?;
    let (weekday, to) = match (digits.get(2..3), number(tokens.get(at + 3), 1..=1)) {
        (Some(weekday), _) => (weekday.parse().ok()?, at + 2),
        (None, Some(weekday)) if tokens.get(at + 2) == Some(&Token::Mark('-')) => (weekday, at + 4),
        _ => (1, at + 2),
    };
    let weekday = Weekday::from_monday_one_offset(i8::try_from(weekday).ok()?).ok()?;
    Some((ISOWeekDate::new(year, week, weekday).ok()?.date(), to))
}

/// `2026年11月5日`, `2026년 11월 5일`.
fn ideographs(tokens: &[Token<'_>], at: usize) -> Option<(Date, usize)> {
    let mut rest = (at..tokens.len()).filter(|at| tokens[*at] != Token::Space);
    let mut part = |digits, signs: [char; 2]| {
        let number = number(tokens.get(rest.next()?), digits)?;
        let sign = rest.next()?;
        matches!(tokens[sign], Token::Mark(c) if signs.contains(&c)).then_some((number, sign + 1))
    };
    let (year, _) = part(4..=4, ['年', '년'])?;
    let (month, _) = part(1..=2, ['月', '월'])?;
    let (of_month, to) = part(1..=2, ['日', '일'])?;
    Some((day(year, month, of_month)?, to))
}

/// `2026-8-28`, `28-8-2026`, `09/12/2015`, `28. 8. 2026`, `05.11.26`.
fn numeric(tokens: &[Token<'_>], at: usize, order: DateOrder) -> Option<(Date, usize)> {
    let separator = match tokens.get(at + 1)? {
        Token::Mark(mark @ ('-' | '/' | '.')) => *mark,
        _ => return None,
    };
    let skip = |at: usize| at + usize::from(tokens.get(at) == Some(&Token::Space));
    let second = skip(at + 2);
    if tokens.get(second + 1) != Some(&Token::Mark(separator)) {
        return None;
    }
    let third = skip(second + 2);
    let (a, b) = (number(tokens.get(at), 1..=4)?, number(tokens.get(second), 1..=2)?);
    let to = third + 1;
    if number(tokens.get(at), 4..=4).is_some() {
        return Some((day(a, b, number(tokens.get(third), 1..=2)?)?, to));
    }
    number(tokens.get(at), 1..=2)?;
    let year = match number(tokens.get(third), 2..=4)? {
        year if number(tokens.get(third), 2..=2).is_some() => full(year),
        year => year,
    };
    // Dots are written day first everywhere.
    let order = if separator == '.' { DateOrder::DayFirst } else { order };
    let (day_first, month_first) = (day(year, b, a), day(year, a, b));
    let date = match order {
        DateOrder::DayFirst => day_first.or(month_first),
        DateOrder::MonthFirst => month_first.or(day_first),
        // The same either way, or possible in one way only: there is nothing to guess.
        DateOrder::Unknown => match (day_first, month_first) {
            (Some(one), Some(other)) => (one == other).then_some(one),
            (one, other) => one.or(other),
        },
    };
    Some((date?, to))
}

/// The year that two digits mean.
fn full(year: i16) -> i16 {
    if year < 70 { 2000 + year } else { 1900 + year }
}

/// `5 November 2026`, `5. listopadu 2026`, `5 de noviembre de 2026`, `05-Nov-26`,
/// `November 5th, 2026`, `2026 November 5`, `Nov 5 10:00:00 CET 2026`.
fn named(tokens: &[Token<'_>], at: usize) -> Option<(Date, usize)> {
    if let Some(year) = number(tokens.get(at), 4..=4) {
        let (month, at) = month(tokens, filler(tokens, at + 1))?;
        let of_month = filler(tokens, at);
        return Some((day(year, month, number(tokens.get(of_month), 1..=2)?)?, of_month + 1));
    }
    let (of_month, month, to) = day_and_month(tokens, at)?;
    let after = filler(tokens, to);
    let behind = year(tokens, after).map(|year| (year, after + 1));
    let (year, to) = behind.or_else(|| {
        // Java and asctime write the time, and perhaps its zone, before the year.
        let later = (to..tokens.len().min(to + 12)).find(|at| {
            number(tokens.get(*at), 4..=4).is_some()
                && !matches!(tokens.get(at - 1), Some(Token::Mark('+' | '-' | ':')))
        })?;
        let is_time = matches!(tokens.get(after + 1), Some(Token::Mark(':')));
        let year = is_time.then(|| number(tokens.get(later), 4..=4)).flatten()?;
        Some((year, to))
    })?;
    Some((day(year, month, of_month)?, to))
}

fn year(tokens: &[Token<'_>], at: usize) -> Option<i16> {
    let two = || number(tokens.get(at), 2..=2).map(full);
    let is_time = tokens.get(at + 1) == Some(&Token::Mark(':'));
    let is_dashed = at > 0 && matches!(tokens[at - 1], Token::Mark('-' | '/' | '\'' | '’'));
    number(tokens.get(at), 4..=4).or_else(|| two().filter(|_| is_dashed && !is_time))
}

fn day_and_month(tokens: &[Token<'_>], at: usize) -> Option<(i16, i16, usize)> {
    if let Some(of_month) = number(tokens.get(at), 1..=2) {
        let (month, to) = month(tokens, filler(tokens, at + 1))?;
        return Some((of_month, month, to));
    }
    let (month, to) = month(tokens, at)?;
    let at = filler(tokens, to);
    let of_month = number(tokens.get(at), 1..=2)?;
    let is_suffix = word(tokens.get(at + 1)).is_some_and(|word| SUFFIXES.contains(&word));
    Some((of_month, month, at + 1 + usize::from(is_suffix)))
}

fn month(tokens: &[Token<'_>], at: usize) -> Option<(i16, usize)> {
    let month = words::month(word(tokens.get(at))?)?;
    Some((month.into(), at + 1))
}

const SUFFIXES: [&str; 8] = ["st", "nd", "rd", "th", "er", "eme", "o", "e"];

/// Passes over what stands between the parts of a date.
fn filler(tokens: &[Token<'_>], mut at: usize) -> usize {
    const WORDS: [&str; 5] = ["of", "de", "del", "den", "r"];
    while let Some(token) = tokens.get(at) {
        let is_filler = match token {
            Token::Space | Token::Mark('.' | ',' | '-' | '/' | 'º' | '°' | '\'' | '’') => true,
            Token::Word(word) => WORDS.contains(word) || SUFFIXES.contains(word),
            _ => false,
        };
        if !is_filler {
            break;
        }
        at += 1;
    }
    at
}

/// Reads a day and a month's name, or `11月5日`, without a year: the last such day up to now.
fn yearless(tokens: &[Token<'_>], at: usize, now: Timestamp) -> Option<(Date, usize)> {
    let (of_month, month, to) = signs(tokens, at).or_else(|| dotted(tokens, at)).or_else(|| {
        let found = day_and_month(tokens, at)?;
        let names = || tokens[at..found.2].iter().filter_map(|token| word(Some(token)));
        names().any(words::is_sure_month).then_some(found)
    })?;
    let today = TimeZone::UTC.to_datetime(now).date();
    let latest = today.checked_add(AHEAD.days()).ok()?;
    let of = |year: i16| day(year, month, of_month).filter(|date| *date <= latest);
    // 29 February may be four years back.
    let date = (0..=4).find_map(|back| of(today.year() - back))?;
    Some((date, to))
}

/// `5.11.`
fn dotted(tokens: &[Token<'_>], at: usize) -> Option<(i16, i16, usize)> {
    let is_dot = |at: usize| tokens.get(at) == Some(&Token::Mark('.'));
    let is_begun = at > 0 && (is_dot(at - 1) || matches!(tokens[at - 1], Token::Word(_)));
    let (of_month, month) = (number(tokens.get(at), 1..=2)?, number(tokens.get(at + 2), 1..=2)?);
    let is_whole = is_dot(at + 1) && is_dot(at + 3) && number(tokens.get(at + 4), 1..=4).is_none();
    (is_whole && !is_begun && month <= 12).then_some((of_month, month, at + 4))
}

fn signs(tokens: &[Token<'_>], at: usize) -> Option<(i16, i16, usize)> {
    let month = number(tokens.get(at), 1..=2)?;
    matches!(tokens.get(at + 1)?, Token::Mark('月' | '월')).then_some(())?;
    let next = at + 2 + usize::from(tokens.get(at + 2) == Some(&Token::Space));
    let of_month = number(tokens.get(next), 1..=2)?;
    matches!(tokens.get(next + 1)?, Token::Mark('日' | '일')).then_some((of_month, month, next + 2))
}

/// Reads the time behind a date, and its zone; midnight without one.
fn clock(tokens: &[Token<'_>], from: usize) -> (Time, Option<Offset>) {
    // A zone behind a date without a time (`2026-11-05+01:00`) is no time.
    let is_zone = |at: usize| {
        at.checked_sub(1).is_some_and(|at| matches!(tokens[at], Token::Mark('+' | '-')))
    };
    let mut near = (from..tokens.len().min(from + 8)).filter(|at| !is_zone(*at));
    let found = near.find_map(|at| time(tokens, at));
    let basic = || basic_time(tokens, from);
    let Some((time, to)) = found.or_else(basic) else { return (Time::midnight(), None) };
    (time, (to..tokens.len().min(to + 5)).find_map(|at| offset(tokens, at)))
}

/// `16:34`, `20:28:32.5`, `3:30 PM`, `10h30`, `3 pm`.
fn time(tokens: &[Token<'_>], at: usize) -> Option<(Time, usize)> {
    let hour = number(tokens.get(at), 1..=2)?;
    let minutes = |at| number(tokens.get(at), 2..=2);
    let separator = tokens.get(at + 1);
    let (minute, second, to) = match separator {
        Some(Token::Mark(':') | Token::Word("h")) if minutes(at + 2).is_some() => {
            let is_mark = tokens.get(at + 3) == Some(&Token::Mark(':'));
            let second = minutes(at + 4).filter(|_| is_mark);
            (minutes(at + 2)?, second.unwrap_or(0), at + if second.is_some() { 5 } else { 3 })
        }
        _ => {
            half(tokens, at + 1)?;
            (0, 0, at + 1)
        }
    };
    // Fractions of a second are of no use here.
    let is_fraction = matches!(tokens.get(to), Some(Token::Mark('.' | ',')))
        && matches!(tokens.get(to + 1), Some(Token::Number(_)));
    let to = if is_fraction { to + 2 } else { to };
    let half = half(tokens, to);
    let hour = match half {
        Some((true, _)) if hour < 12 => hour + 12,
        Some((false, _)) if hour == 12 => 0,
        _ => hour,
    };
    let part = |number: i16| i8::try_from(number).ok();
    let time = Time::new(part(hour)?, part(minute)?, part(second)?.min(59), 0).ok()?;
    Some((time, half.map_or(to, |(_, to)| to)))
}

/// Reads `am`, `p.m.`, `PM`: whether it is after noon, and what is behind it.
fn half(tokens: &[Token<'_>], at: usize) -> Option<(bool, usize)> {
    let at = at + usize::from(tokens.get(at) == Some(&Token::Space));
    let dotted =
        tokens.get(at + 1) == Some(&Token::Mark('.')) && word(tokens.get(at + 2)) == Some("m");
    match word(tokens.get(at))? {
        "am" => Some((false, at + 1)),
        "pm" => Some((true, at + 1)),
        "a" if dotted => Some((false, at + 3)),
        "p" if dotted => Some((true, at + 3)),
        _ => None,
    }
}

/// The time of `20261105T100000Z`.
fn basic_time(tokens: &[Token<'_>], from: usize) -> Option<(Time, usize)> {
    let Some(Token::Number(date)) = tokens.get(from.checked_sub(1)?) else { return None };
    let (digits, to) = match (date.get(8..), tokens.get(from), tokens.get(from + 1)) {
        (Some(digits), _, _) if digits.len() >= 4 => (digits, from),
        (_, Some(Token::Word("t")), Some(Token::Number(digits))) => (*digits, from + 2),
        _ => return None,
    };
    let part = |from: usize| digits.get(from..from + 2).and_then(|two| two.parse::<i8>().ok());
    Some((Time::new(part(0)?, part(2)?, part(4).unwrap_or(0), 0).ok()?, to))
}

/// `Z`, `EST`, `GMT+0100`, `+01:00`, `-05`, `[Europe/Berlin]` is passed over.
fn offset(tokens: &[Token<'_>], at: usize) -> Option<Offset> {
    let zone = |minutes: i32| Offset::from_seconds(minutes * 60).ok();
    match tokens.get(at)? {
        Token::Mark(sign @ ('+' | '-' | '−')) => {
            let Some(Token::Number(digits)) = tokens.get(at + 1) else { return None };
            let part = |text: &str| text.parse::<i32>().ok();
            let minutes = match digits.len() {
                1 | 2 => {
                    let is_colon = tokens.get(at + 2) == Some(&Token::Mark(':'));
                    let minute = number(tokens.get(at + 3), 2..=2).filter(|_| is_colon);
                    part(digits)? * 60 + i32::from(minute.unwrap_or(0))
                }
                4 => part(&digits[..2])? * 60 + part(&digits[2..])?,
                _ => return None,
            };
            zone(if *sign == '+' { minutes } else { -minutes })
        }
        Token::Word(name) => {
            let is_signed = matches!(tokens.get(at + 1), Some(Token::Mark('+' | '-')));
            if is_signed && matches!(*name, "gmt" | "utc") {
                return offset(tokens, at + 1);
            }
            words::zone(name).and_then(zone)
        }
        _ => None,
    }
}

/// Reads `3d ago`, `vor 3 Tagen`, `il y a 2 jours`, `30+ days ago`, `yesterday`, `gestern`.
pub(super) fn age(text: &str, now: Timestamp) -> Option<Timestamp> {
    let spaced = parted(&fold::spaced(text));
    let hours = match counted(&spaced) {
        Some(hours) => hours,
        None => words::days_ago(&spaced)? * 24,
    };
    now.checked_sub(SignedDuration::from_secs(hours.checked_mul(3600)?)).ok()
}

/// Puts spaces between digits and letters: `3d`, `3日前`.
fn parted(spaced: &str) -> String {
    let mut out = String::with_capacity(spaced.len() + 8);
    let mut before = ' ';
    for c in spaced.chars() {
        let is_change = before.is_ascii_digit() != c.is_ascii_digit() && before != ' ' && c != ' ';
        if is_change || matches!(c, '前' | '전') {
            out.push(' ');
        }
        out.push(c);
        before = c;
    }
    out
}

fn counted(spaced: &str) -> Option<i64> {
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let one = |at: usize| {
        let number = match words[at].parse::<i64>() {
            Ok(number) => number,
            Err(_) if words::ONE.contains(&words[at]) => 1,
            Err(_) => return None,
        };
        let hours = words::hours(words.get(at + 1)?)?;
        let before = exactly(&words[..at]);
        let is_before = words::BEFORE.iter().any(|past| before.ends_with(&format!(" {past} ")));
        let next = words.get(at + 2).copied();
        let is_behind = next.is_some_and(|next| words::BEHIND.contains(&next));
        // "for 3 days" is no age in English, "for 3 dager siden" is one in Norwegian.
        let is_for = before.ends_with(" for ") && !is_behind;
        let is_alone = words.len() == 2 && words[at].parse::<i64>().is_ok();
        let is_age = (is_before && !is_for) || is_behind || is_alone && words[1].len() <= 2;
        let hours = is_age.then(|| number.checked_mul(hours)).flatten()?;
        hours.checked_add(beside(&words, at))
    };
    (0..words.len()).find_map(|at| one(at).or_else(|| unnumbered(&words, at)))
}

/// Returns words with what may stand around them, without those that say "about" at their end.
fn exactly(words: &[&str]) -> String {
    let mut text = format!(" {} ", words.join(" "));
    while let Some(about) = words::ABOUT.iter().find(|of| text.ends_with(&format!(" {of} "))) {
        text.truncate(text.len() - about.len() - 1);
    }
    text
}

/// Returns the hours of the larger or smaller number and unit beside that at this place: `2 weeks,
/// 3 days ago`, `vor 2 Wochen und 3 Tagen`.
fn beside(words: &[&str], at: usize) -> i64 {
    let pair = |at: usize| {
        let number = words.get(at)?.parse::<i64>().ok().filter(|number| *number < 100)?;
        Some(number * words::hours(words.get(at + 1)?)?)
    };
    let is_and = |word: &&str| matches!(*word, "and" | "und" | "et" | "y" | "i" | "a" | "e");
    let back = 2 + usize::from(at > 0 && words.get(at - 1).is_some_and(is_and));
    let next = at + 2 + usize::from(words.get(at + 2).is_some_and(is_and));
    at.checked_sub(back).and_then(pair).or_else(|| pair(next)).unwrap_or_default()
}

/// Reads one unit without a number: `tydzień temu`, `před týdnem`.
fn unnumbered(words: &[&str], at: usize) -> Option<i64> {
    let before = at.checked_sub(1).map(|before| words[before]);
    let is_behind = words.get(at + 1).is_some_and(|next| words::BEHIND.contains(next));
    let is_alone = before.is_none_or(|before| before.parse::<i64>().is_err());
    let is_age = is_behind || before.is_some_and(|before| words::BEFORE.contains(&before));
    (is_age && is_alone && words::ONES.contains(&words[at])).then(|| words::hours(words[at]))?
}
