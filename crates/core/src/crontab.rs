//! Celery's crontab: which minutes it names, and when the next of them is.
//!
//! The rules are those of `celery.schedules.crontab` (5.7.0): all five fields have to hold at once (a day of
//! month *and* a day of week, unlike cron), ranges wrap (`fri-mon`, `22-3`), and a step needs `*` or a range.

use std::ops::RangeInclusive;

use jiff::{
    Timestamp, Unit,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};

use crate::config::CrontabText;

/// The days that a month can have, from January.
const LONGEST_MONTHS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// No date is further away: a 29 February on a given weekday comes within 40 years, even across 2100.
const HORIZON_YEARS: i16 = 41;

/// The minutes at which something happens, in local time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crontab {
    minute: Members,
    hour: Members,
    day_of_week: Members,
    day_of_month: Members,
    month_of_year: Members,
}

/// A crontab that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrontabError {
    /// A part of a field is not of the syntax or not in the range.
    #[error("{field} `{part}`: {reason}; {example}")]
    Part {
        /// The field's name.
        field: &'static str,
        /// The part between commas.
        part: String,
        /// What is wrong with it.
        reason: String,
        /// What the field takes.
        example: &'static str,
    },
    /// No month has such a day.
    #[error("day_of_month `{day_of_month}` never occurs in month_of_year `{month_of_year}`")]
    Never {
        /// The day field as given.
        day_of_month: String,
        /// The month field as given.
        month_of_year: String,
    },
}

impl Crontab {
    /// Reads the five fields.
    ///
    /// # Errors
    ///
    /// The first part that is wrong, with its field and an example of the right form; or that the date never occurs.
    pub fn parse(text: &CrontabText) -> Result<Self, CrontabError> {
        let crontab = Self {
            minute: MINUTE.parse(&text.minute)?,
            hour: HOUR.parse(&text.hour)?,
            day_of_week: DAY_OF_WEEK.parse(&text.day_of_week)?,
            day_of_month: DAY_OF_MONTH.parse(&text.day_of_month)?,
            month_of_year: MONTH_OF_YEAR.parse(&text.month_of_year)?,
        };
        let occurs = (1..=12u8).zip(LONGEST_MONTHS).any(|(month, length)| {
            crontab.month_of_year.has(month)
                && (1..=length).any(|day| crontab.day_of_month.has(day))
        });
        if occurs {
            Ok(crontab)
        } else {
            Err(CrontabError::Never {
                day_of_month: text.day_of_month.clone(),
                month_of_year: text.month_of_year.clone(),
            })
        }
    }

    /// Returns the first time after `after` that the crontab names in this time zone.
    ///
    /// As Celery has it where clocks are changed: a time in the gap happens as much later as the gap is long; in a
    /// repeated hour each local time happens once, on its first pass. Absent only near the end of the calendar.
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut local = zone.to_datetime(after);
        loop {
            local = self.next_local(local)?;
            let at = zone.to_timestamp(local).ok()?;
            if at > after {
                return Some(at);
            }
        }
    }

    fn next_local(&self, after: DateTime) -> Option<DateTime> {
        let minute =
            jiff::civil::DateTimeRound::new().smallest(Unit::Minute).mode(jiff::RoundMode::Trunc);
        let from = after.round(minute).ok()?.checked_add(jiff::Span::new().minutes(1)).ok()?;
        let last = from.date().year().saturating_add(HORIZON_YEARS);
        let mut date = from.date();
        let mut start = from.time();
        while date.year() <= last {
            if !self.month_of_year.has(number(date.month())) {
                date = date.last_of_month().tomorrow().ok()?;
            } else if let Some(time) = self.on(date).then(|| self.time_from(start)).flatten() {
                return Some(date.to_datetime(time));
            } else {
                date = date.tomorrow().ok()?;
            }
            start = Time::midnight();
        }
        None
    }

    fn on(&self, date: Date) -> bool {
        self.day_of_month.has(number(date.day()))
            && self.day_of_week.has(number(date.weekday().to_sunday_zero_offset()))
    }

    fn time_from(&self, start: Time) -> Option<Time> {
        let this_hour = self.hour.has(number(start.hour()));
        if let Some(minute) = self.minute.from(number(start.minute())).filter(|_| this_hour) {
            return Time::new(start.hour(), minute, 0, 0).ok();
        }
        let hour = self.hour.from(number(start.hour()) + 1)?;
        Time::new(hour, self.minute.from(0)?, 0, 0).ok()
    }
}

/// Turns a part of a date, which is never negative, into the members' type.
fn number(part: i8) -> u8 {
    part.unsigned_abs()
}

/// A set of numbers below 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Members(u64);

impl Members {
    fn has(self, number: u8) -> bool {
        self.0 >> number & 1 == 1
    }

    fn add(&mut self, number: u8) {
        self.0 |= 1 << number;
    }

    /// Returns the least member that is not below `least`.
    fn from(self, least: u8) -> Option<i8> {
        (least..64).find(|n| self.has(*n)).and_then(|n| i8::try_from(n).ok())
    }
}

struct Field {
    name: &'static str,
    least: u8,
    greatest: u8,
    names: &'static [&'static str],
    example: &'static str,
}

const MINUTE: Field = Field {
    name: "minute",
    least: 0,
    greatest: 59,
    names: &[],
    example: "it takes 0 to 59, for example \"0\", \"*/15\" or \"0-30/10\"",
};
const HOUR: Field = Field {
    name: "hour",
    least: 0,
    greatest: 23,
    names: &[],
    example: "it takes 0 to 23, for example \"*/4\", \"8-18\" or \"22-3\"",
};
const DAY_OF_WEEK: Field = Field {
    name: "day_of_week",
    least: 0,
    greatest: 6,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    example: "it takes 0 (Sunday) to 6 or names, for example \"mon-fri\" or \"0,6\"",
};
const DAY_OF_MONTH: Field = Field {
    name: "day_of_month",
    least: 1,
    greatest: 31,
    names: &[],
    example: "it takes 1 to 31, for example \"1\", \"1-7\" or \"*/10\"",
};
const MONTH_OF_YEAR: Field = Field {
    name: "month_of_year",
    least: 1,
    greatest: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    example: "it takes 1 to 12 or names, for example \"jan\", \"*/3\" or \"oct-feb\"",
};

impl Field {
    fn parse(&self, text: &str) -> Result<Members, CrontabError> {
        let mut members = Members::default();
        for part in text.split(',') {
            self.parse_part(part.trim(), &mut members).map_err(|reason| CrontabError::Part {
                field: self.name,
                part: part.trim().chars().take(40).collect(),
                reason,
                example: self.example,
            })?;
        }
        Ok(members)
    }

    fn parse_part(&self, part: &str, members: &mut Members) -> Result<(), String> {
        let (base, step) = match part.split_once('/') {
            Some((base, step)) => (base, Some(parse_step(step)?)),
            None => (part, None),
        };
        let (first, last) = match base.split_once('-') {
            _ if base == "*" => (self.least, self.greatest),
            Some((first, last)) => (self.number(first)?, self.number(last)?),
            None if step.is_some() => return Err("a step needs `*` or a range before it".into()),
            None => (self.number(base)?, self.number(base)?),
        };
        let step = step.unwrap_or(1);
        if first <= last {
            (first..=last).step_by(step).for_each(|n| members.add(n));
        } else {
            let wrapped = (first..=self.greatest).chain(self.least..=last);
            wrapped.step_by(step).for_each(|n| members.add(n));
        }
        Ok(())
    }

    /// Reads a number or a name; a name counts by its first three letters, as Celery takes it (`thurs`).
    fn number(&self, text: &str) -> Result<u8, String> {
        let range: RangeInclusive<u8> = self.least..=self.greatest;
        if text.is_empty() {
            return Err("a number is missing (negative numbers are not supported)".into());
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            let number = text.parse().ok().filter(|n| range.contains(n));
            return number
                .ok_or_else(|| format!("{text} is not in {} to {}", self.least, self.greatest));
        }
        let short: String = text.chars().take(3).collect::<String>().to_lowercase();
        let known = text.chars().all(char::is_alphabetic);
        let name = self.names.iter().position(|name| known && **name == short);
        name.and_then(|at| u8::try_from(at).ok())
            .map(|at| self.least + at)
            .ok_or_else(|| "not a number or name that the field knows".into())
    }
}

fn parse_step(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(0) => Err("a step cannot be zero".into()),
        Ok(step) if text.bytes().all(|b| b.is_ascii_digit()) => Ok(step),
        _ => Err("the step after `/` is not a number".into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn text(fields: &[(&str, &str)]) -> CrontabText {
        let mut text = CrontabText::default();
        for (field, value) in fields {
            let value = (*value).to_owned();
            match *field {
                "minute" => text.minute = value,
                "hour" => text.hour = value,
                "day_of_week" => text.day_of_week = value,
                "day_of_month" => text.day_of_month = value,
                "month_of_year" => text.month_of_year = value,
                other => panic!("no field {other}"),
            }
        }
        text
    }

    fn members(crontab: &Crontab, field: &str) -> Vec<u64> {
        let members = match field {
            "minute" => crontab.minute,
            "hour" => crontab.hour,
            "day_of_week" => crontab.day_of_week,
            "day_of_month" => crontab.day_of_month,
            "month_of_year" => crontab.month_of_year,
            other => panic!("no field {other}"),
        };
        (0..64).filter(|n| members.has(*n)).map(u64::from).collect()
    }

    fn golden() -> Value {
        serde_json::from_str(include_str!("../tests/golden/celery_5_7_crontab.json")).unwrap()
    }

    #[test]
    fn fields_hold_what_celery_says() {
        let golden = golden();
        let mut checked = 0;
        for case in golden["fields"].as_array().unwrap() {
            // Rows with `python_value` are Python ints and sets, which have no form as text.
            let Some(expr) = case.get("expr").and_then(Value::as_str) else { continue };
            let field = case["field"].as_str().unwrap();
            let ours = Crontab::parse(&text(&[(field, expr)]));
            match case["result"].as_array() {
                Some(expected) => {
                    let expected: Vec<u64> = expected.iter().map(|n| n.as_u64().unwrap()).collect();
                    assert_eq!(members(&ours.unwrap(), field), expected, "{field} {expr:?}");
                }
                None => assert!(ours.is_err(), "{field} {expr:?} is an error in Celery"),
            }
            checked += 1;
        }
        assert_eq!(checked, 71 - 6);
    }

    #[test]
    fn next_times_are_celerys_across_clock_changes() {
        for case in golden()["next"].as_array().unwrap() {
            let fields: Vec<(&str, &str)> = case["crontab"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_str().unwrap()))
                .collect();
            let fires: Vec<&str> =
                case["fires"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
            let crontab = match Crontab::parse(&text(&fields)) {
                Ok(crontab) => crontab,
                Err(error) => {
                    assert!(fires[0].starts_with("ValueError"), "{error} for {case}");
                    continue;
                }
            };
            let zone = TimeZone::get(case["tz"].as_str().unwrap()).unwrap();
            let after: DateTime = case["after"].as_str().unwrap().parse().unwrap();
            let mut at = zone.to_timestamp(after).unwrap();
            for fire in fires {
                at = crontab.next_after(at, &zone).unwrap();
                assert_eq!(at, fire.parse::<Timestamp>().unwrap(), "{case}");
            }
        }
    }

    #[test]
    fn an_error_names_the_field_the_part_and_the_right_form() {
        let error = Crontab::parse(&text(&[("hour", "*/4,24")])).unwrap_err().to_string();
        assert_eq!(
            error,
            "hour `24`: 24 is not in 0 to 23; it takes 0 to 23, for example \"*/4\", \"8-18\" or \"22-3\""
        );
        let error = Crontab::parse(&text(&[("day_of_month", "30"), ("month_of_year", "feb")]));
        assert!(error.unwrap_err().to_string().contains("never occurs"));
    }

    /// The crontabs of public projects, with Celery's own answers. Left out where the recordings are not at hand.
    #[test]
    fn crontabs_of_public_projects_expand_as_in_celery() {
        let Some(rows) = crate::recorded::read("crontab/crontab_args.tsv") else { return };
        let mut checked = 0;
        for row in rows.lines().skip(1) {
            let columns: Vec<String> = row.split('\t').map(unquote).collect();
            let Some(fields) = plain_arguments(&columns[0]) else { continue };
            let fields: Vec<(&str, &str)> =
                fields.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            let ours = Crontab::parse(&text(&fields));
            checked += 1;
            if columns[2] != "ok" {
                assert!(ours.is_err(), "{row}");
                continue;
            }
            let crontab = ours.unwrap();
            let names = ["minute", "hour", "day_of_week", "day_of_month", "month_of_year"];
            for (name, expected) in names.iter().zip(&columns[3..8]) {
                let expected: Vec<u64> = expected.split(',').map(|n| n.parse().unwrap()).collect();
                assert_eq!(members(&crontab, name), expected, "{name} of {row}");
            }
            let mut at: Timestamp = "2026-02-27T23:50:30Z".parse().unwrap();
            for fire in columns[8].split_whitespace() {
                at = crontab.next_after(at, &TimeZone::UTC).unwrap();
                assert_eq!(at, format!("{fire}:00Z").parse::<Timestamp>().unwrap(), "{row}");
            }
        }
        assert!(checked > 60, "only {checked} rows are in plain form");
    }

    fn unquote(column: &str) -> String {
        let inner = column.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        inner.map_or_else(|| column.to_owned(), |inner| inner.replace("\"\"", "\""))
    }

    /// Reads `minute="0", hour=4`; absent when a value is not a text or number, or a name is not one of the five.
    fn plain_arguments(text: &str) -> Option<Vec<(String, String)>> {
        let names = ["minute", "hour", "day_of_week", "day_of_month", "month_of_year"];
        let mut rest = text;
        let mut found = Vec::new();
        while !rest.is_empty() {
            let (name, value) = rest.split_once('=')?;
            let name = name.trim_matches([',', ' ']);
            names.contains(&name).then_some(())?;
            let quote = value.chars().next().filter(|c| *c == '"' || *c == '\'');
            let (value, after) = match quote {
                Some(quote) => value[1..].split_once(quote)?,
                None => value.split_once(',').unwrap_or((value, "")),
            };
            let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
            (quote.is_some() || digits).then_some(())?;
            found.push((name.to_owned(), value.to_owned()));
            rest = after;
        }
        Some(found)
    }

    /// A field as people write them, and as they should not.
    fn field() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just("*".to_owned()),
            (0u8..70).prop_map(|n| n.to_string()),
            (0u8..70, 0u8..70).prop_map(|(a, b)| format!("{a}-{b}")),
            (0u8..70).prop_map(|n| format!("*/{n}")),
            (0u8..70, 0u8..70, 0u8..70).prop_map(|(a, b, n)| format!("{a}-{b}/{n}")),
            "[a-z]{3,9}",
            Just("4294967296".to_owned()),
        ];
        prop::collection::vec(part, 1..4).prop_map(|parts| parts.join(","))
    }

    proptest! {
        /// Whatever is taken has a next time, found soon; leap days and far weekdays are the long searches.
        #[test]
        fn whatever_is_taken_has_a_next_time(
            (minute, hour) in (field(), field()),
            (weekday, day, month) in (field(), field(), field()),
            seconds in -30_000_000_000i64..200_000_000_000,
        ) {
            let fields = [("minute", minute), ("hour", hour), ("day_of_week", weekday), ("day_of_month", day),
                ("month_of_year", month)];
            let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            if let Ok(crontab) = Crontab::parse(&text(&fields)) {
                let after = Timestamp::from_second(seconds).unwrap();
                let begun = std::time::Instant::now();
                let next = crontab.next_after(after, &TimeZone::UTC);
                prop_assert!(next.is_some_and(|next| next > after), "{next:?}");
                prop_assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{:?}", begun.elapsed());
            }
        }

        #[test]
        fn arbitrary_text_never_panics(a in ".{0,12}", b in "[0-9a-z*/,-]{0,12}") {
            let _ = Crontab::parse(&text(&[("minute", &a), ("day_of_week", &b), ("hour", &b)]));
        }

        #[test]
        fn the_next_time_is_later_and_of_the_crontab(
            seconds in -2_000_000_000i64..4_000_000_000, minute in 0u8..60, hour in 0u8..24, day in 1u8..32,
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe",
                "Pacific/Apia", "Africa/Casablanca"]),
        ) {
            let zone = TimeZone::get(zone).unwrap();
            let after = Timestamp::from_second(seconds).unwrap();
            let fields = [("minute", minute.to_string()), ("hour", hour.to_string()), ("day_of_month", day.to_string())];
            let fields: Vec<_> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
            let next = Crontab::parse(&text(&fields)).unwrap().next_after(after, &zone).unwrap();
            prop_assert!(next > after);
            let local = zone.to_datetime(next);
            let named = local.minute() == minute as i8 && local.hour() == hour as i8 && local.day() == day as i8;
            let after_a_gap = zone.to_datetime(next - jiff::SignedDuration::from_hours(25)).day() != local.day();
            prop_assert!(named || after_a_gap, "{local} for {day}. {hour}:{minute}");
        }
    }
}
