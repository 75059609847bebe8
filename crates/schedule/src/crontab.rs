//! Celery's crontab: which times it names, and when the next of them is.
//!
//! The rules are those of `celery.schedules.crontab` (5.7.0): all fields have to hold at once (a
//! day of month *and* a day of week, unlike cron), ranges wrap (`fri-mon`, `22-3`), and a step
//! needs `*` or a range. A line of five fields, or six with seconds in front, obeys the same rules
//! ([`mod@text`]). What happens where clocks are changed is a policy ([`Dst`]).

mod field;
mod text;
mod words;

use jiff::{
    SignedDuration, Timestamp, Unit,
    civil::{Date, DateTime, Time},
    tz::{AmbiguousOffset, TimeZone},
};

use self::field::{DAY_OF_MONTH, DAY_OF_WEEK, HOUR, MINUTE, MONTH_OF_YEAR, Members, SECOND};
use crate::entry::{CrontabText, Dst};

/// The days that a month can have, from January.
const LONGEST_MONTHS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// No date is further away: a 29 February on a given weekday comes within 40 years, even across
/// 2100.
const HORIZON_YEARS: i16 = 41;

/// The times at which something happens, in local time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crontab {
    second: Members,
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
    #[error(
        "day_of_month `{day_of_month}` never occurs in month_of_year `{month_of_year}`; for the last days of a month \
         write, for example, \"28-31\""
    )]
    Never {
        /// The day field as given.
        day_of_month: String,
        /// The month field as given.
        month_of_year: String,
    },
    /// A line that has not five or six fields, or a name that does not exist.
    #[error(
        "`{0}` is not a cron line; five fields are expected (minute, hour, day of month, month, day of week), six with \
         seconds in front, or a name, for example \"30 9 * * mon-fri\", \"*/10 * * * * *\" or \"@hourly\""
    )]
    Line(String),
}

impl Crontab {
    /// Reads the fields.
    ///
    /// # Errors
    ///
    /// The first part that is wrong, with its field and an example of the right form; or that the
    /// date never occurs.
    pub fn parse(text: &CrontabText) -> Result<Self, CrontabError> {
        let crontab = Self {
            second: SECOND.parse(&text.second)?,
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
                day_of_month: text.day_of_month.to_string(),
                month_of_year: text.month_of_year.to_string(),
            })
        }
    }

    /// Returns the first time after `after` that the crontab names in this time zone.
    ///
    /// Absent only near the end of the calendar.
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone, dst: Dst) -> Option<Timestamp> {
        if dst == Dst::Both {
            return self.next_shown(after, zone);
        }
        let mut local = zone.to_datetime(after);
        loop {
            local = self.next_local(local)?;
            let at = match (zone.to_ambiguous_timestamp(local).offset(), dst) {
                (AmbiguousOffset::Gap { .. }, Dst::Skip) => continue,
                (AmbiguousOffset::Gap { before, .. }, Dst::Once) => {
                    let late = before.to_timestamp(local).ok()?;
                    let nanosecond = SignedDuration::from_nanos(1);
                    zone.preceding(late.checked_add(nanosecond).ok()?).next()?.timestamp()
                }
                // A time in the gap is as much later as the gap is long; of two passes the first
                // counts.
                _ => zone.to_timestamp(local).ok()?,
            };
            if at > after {
                return Some(at);
            }
        }
    }

    /// Returns the first moment after `after` at which a clock on the wall shows a time that the
    /// crontab names.
    fn next_shown(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut start = after;
        let mut offset = zone.to_offset(after);
        let mut local = offset.to_datetime(after);
        loop {
            let at = offset.to_timestamp(self.next_local(local)?).ok()?;
            match zone.following(start).next() {
                Some(change) if at >= change.timestamp() => {
                    start = change.timestamp();
                    offset = zone.to_offset(start);
                    // The second before, so that the moment of the change itself is looked at.
                    let second = SignedDuration::from_secs(1);
                    local = offset.to_datetime(start).checked_sub(second).ok()?;
                }
                _ => return Some(at),
            }
        }
    }

    fn next_local(&self, after: DateTime) -> Option<DateTime> {
        let second =
            jiff::civil::DateTimeRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Trunc);
        let from = after.round(second).ok()?.checked_add(SignedDuration::from_secs(1)).ok()?;
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
        let first_second = self.second.from(0)?;
        if self.hour.has(number(start.hour())) {
            let this_minute = self.minute.has(number(start.minute()));
            if let Some(second) = self.second.from(number(start.second())).filter(|_| this_minute) {
                return Time::new(start.hour(), start.minute(), second, 0).ok();
            }
            if let Some(minute) = self.minute.from(number(start.minute()) + 1) {
                return Time::new(start.hour(), minute, first_second, 0).ok();
            }
        }
        let hour = self.hour.from(number(start.hour()) + 1)?;
        Time::new(hour, self.minute.from(0)?, first_second, 0).ok()
    }

    /// Returns the least number of seconds that lies between two of its times, clock changes left
    /// aside.
    pub(crate) fn shortest_gap_s(&self) -> u64 {
        let day = 86_400;
        let gap = |members: Members, modulus: u64, unit: u64| {
            (members.len() > 1).then(|| members.shortest_gap(modulus) * unit)
        };
        gap(self.second, 60, 1)
            .or_else(|| gap(self.minute, 60, 60))
            .or_else(|| gap(self.hour, 24, 3_600))
            .unwrap_or(day)
    }
}

/// Turns a part of a date, which is never negative, into the members' type.
fn number(part: i8) -> u8 {
    part.unsigned_abs()
}

#[cfg(test)]
mod dst_tests;
#[cfg(test)]
mod tests;
