//! The grids of intervals.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, Unit, civil::DateTimeRound, tz::TimeZone};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Returns the last point that is not after `at` of the grid through `anchor`.
pub(super) fn grid(at: Timestamp, every: Duration, anchor: Timestamp) -> Option<Timestamp> {
    let every = i128::try_from(every.as_nanos()).ok().filter(|every| *every > 0)?;
    let (at, anchor) = (at.as_nanosecond(), anchor.as_nanosecond());
    Timestamp::from_nanosecond(at - (at - anchor).rem_euclid(every)).ok()
}

/// An interval on whole units of local time, as Celery's `relative`: the grid begins at the anchor
/// rounded down to the unit of the interval.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relative {
    pub(super) every: Duration,
}

impl Relative {
    pub(super) fn new(every: Duration) -> Self {
        Self { every }
    }

    /// Returns the largest of day, hour, minute and second that the interval is not shorter than.
    fn unit(self) -> Unit {
        match self.every {
            every if every >= DAY => Unit::Day,
            every if every >= HOUR => Unit::Hour,
            every if every >= MINUTE => Unit::Minute,
            _ => Unit::Second,
        }
    }

    pub(super) fn next_after(
        self,
        after: Timestamp,
        anchor: Timestamp,
        zone: &TimeZone,
    ) -> Option<Timestamp> {
        let floor = DateTimeRound::new().smallest(self.unit()).mode(jiff::RoundMode::Floor);
        let first = zone.to_datetime(anchor).round(floor).ok()?;
        let seconds = self.every.as_secs();
        if self.every.subsec_nanos() > 0 || !seconds.is_multiple_of(DAY.as_secs()) {
            let first = zone.to_timestamp(first).ok()?;
            return grid(after, self.every, first)?.checked_add(self.every).ok();
        }
        // Whole days are days of the calendar, 23 to 25 hours long where clocks are changed.
        let days = i64::try_from(seconds / DAY.as_secs()).ok()?;
        let since = zone.to_datetime(after).date() - first.date();
        let mut day = i64::from(since.get_days()).div_euclid(days) * days;
        loop {
            let date = first.date().checked_add(SignedDuration::from_hours(24 * day)).ok()?;
            let tick = zone.to_timestamp(date.to_datetime(first.time())).ok()?;
            if tick > after {
                return Some(tick);
            }
            day += days;
        }
    }

    pub(super) fn words(self, zone: &str) -> String {
        let every = words(self.every);
        match self.unit() {
            Unit::Day => format!("every {every}, at midnight ({zone})"),
            Unit::Hour => format!("every {every}, on the hour ({zone})"),
            Unit::Minute => format!("every {every}, on the minute"),
            _ => format!("every {every}"),
        }
    }
}

/// Returns a length of time in its largest whole unit: `30 seconds`, `hour`, `2 days`.
pub(super) fn words(every: Duration) -> String {
    let seconds = every.as_secs();
    let units = [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)];
    let whole = units.into_iter().find(|(_, length)| seconds.is_multiple_of(*length));
    match whole.filter(|_| every.subsec_nanos() == 0 && seconds > 0) {
        Some((unit, length)) if seconds == length => unit.to_owned(),
        Some((unit, length)) => format!("{} {unit}s", seconds / length),
        None => format!("{} seconds", every.as_secs_f64()),
    }
}
