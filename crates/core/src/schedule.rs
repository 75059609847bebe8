//! When a schedule's ticks are. Pure: the clock, the store and the publishing are the beat's.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::{
    config::{ScheduleConfig, When},
    crontab::{Crontab, CrontabError},
};

/// One entry of the schedule, ready to say what is due.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Its name in the configuration.
    pub name: String,
    /// The entry as configured: the task, its arguments and options.
    pub config: ScheduleConfig,
    /// The time zone of its crontab.
    pub timezone: TimeZone,
    when: Compiled,
}

#[derive(Clone, Debug)]
enum Compiled {
    Crontab(Crontab),
    Every(Duration),
}

/// What a schedule asks for at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The tick to publish now; absent when none is due.
    pub tick: Option<Timestamp>,
    /// The first tick after now; absent only near the end of the calendar.
    pub next: Option<Timestamp>,
}

/// A schedule that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The crontab is wrong.
    #[error("{0}")]
    Crontab(#[from] CrontabError),
    /// The time zone is not known.
    #[error("`{0}` is not a time zone; write an IANA name, for example \"Europe/Berlin\"")]
    Timezone(String),
    /// The interval is not usable.
    #[error("`every` has to be at least 1 second")]
    Interval,
}

impl Schedule {
    /// Compiles an entry; `timezone` holds where the entry names none.
    ///
    /// # Errors
    ///
    /// A crontab, time zone or interval that cannot be used: a problem of the configuration.
    pub fn compile(
        name: &str,
        config: &ScheduleConfig,
        timezone: &str,
    ) -> Result<Self, ScheduleError> {
        let zone = config.timezone.as_deref().unwrap_or(timezone);
        let timezone = TimeZone::get(zone).map_err(|_| ScheduleError::Timezone(zone.into()))?;
        let when = match &config.when {
            When::Crontab(text) => Compiled::Crontab(Crontab::parse(text)?),
            When::Every(every) if *every < Duration::from_secs(1) => {
                return Err(ScheduleError::Interval);
            }
            When::Every(every) => Compiled::Every(*every),
        };
        Ok(Self { name: name.into(), config: config.clone(), timezone, when })
    }

    /// Returns the tick that is due at `now`, if any, and the one after.
    ///
    /// `last` is the last tick that was published, or the moment at which the schedule was first seen: one that
    /// was never seen has nothing due. Of several missed ticks only the last is due, as Celery sends one catch-up.
    pub fn due(&self, last: Option<Timestamp>, now: Timestamp) -> Due {
        let tick = last.filter(|last| *last < now).and_then(|last| self.last_between(last, now));
        Due { tick, next: self.next_after(now) }
    }

    /// Returns the first tick after `after`; absent only near the end of the calendar.
    ///
    /// The ticks of an interval are on a grid counted from the Unix epoch, so that every beat names the same ones
    /// whenever it began.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.when {
            Compiled::Crontab(crontab) => crontab.next_after(after, &self.timezone),
            Compiled::Every(every) => grid(after, *every)?.checked_add(*every).ok(),
        }
    }

    /// Returns the last tick in `(after, until]`.
    fn last_between(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        match &self.when {
            Compiled::Every(every) => grid(until, *every).filter(|tick| *tick > after),
            Compiled::Crontab(_) => {
                let mut tick = self.next_after(self.near(after, until)).filter(|t| *t <= until)?;
                while let Some(next) = self.next_after(tick).filter(|next| *next <= until) {
                    tick = next;
                }
                Some(tick)
            }
        }
    }

    /// Returns a moment from which few ticks lead to `until`: after a year's pause a schedule of every minute
    /// has half a million ticks, of which only the last counts.
    fn near(&self, after: Timestamp, until: Timestamp) -> Timestamp {
        let mut back = SignedDuration::from_hours(1);
        loop {
            match until.checked_sub(back) {
                Ok(from) if from > after => {
                    if self.next_after(from).is_some_and(|tick| tick <= until) {
                        return from;
                    }
                }
                _ => return after,
            }
            back = back.saturating_mul(8);
        }
    }
}

/// Returns the last point of the grid that is not after `at`.
fn grid(at: Timestamp, every: Duration) -> Option<Timestamp> {
    let every = i128::try_from(every.as_nanos()).ok()?;
    Timestamp::from_nanosecond(at.as_nanosecond() - at.as_nanosecond().rem_euclid(every)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::CrontabText;

    fn schedule(when: When, timezone: Option<&str>) -> Schedule {
        let config = ScheduleConfig {
            timezone: timezone.map(Into::into),
            when,
            ..ScheduleConfig::default()
        };
        Schedule::compile("s", &config, "UTC").unwrap()
    }

    fn quarter() -> Schedule {
        schedule(
            When::Crontab(CrontabText { minute: "*/15".into(), ..CrontabText::default() }),
            None,
        )
    }

    fn at(text: &str) -> Timestamp {
        format!("2026-11-23T{text}Z").parse().unwrap()
    }

    #[test]
    fn a_crontab_is_due_when_celery_says_so() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../tests/golden/celery_5_7_crontab.json")).unwrap();
        let cases =
            golden["interval"].as_array().unwrap().iter().filter(|c| c.get("crontab").is_some());
        let mut checked = 0;
        for case in cases {
            let now = at(case["now"].as_str().unwrap());
            let due = quarter().due(Some(at(case["last_run"].as_str().unwrap())), now);
            assert_eq!(due.tick.is_some(), case["is_due"].as_bool().unwrap(), "{case}");
            let wait = due.next.unwrap().duration_since(now).as_secs_f64();
            assert_eq!(Some(wait), case["next"].as_f64(), "{case}");
            checked += 1;
        }
        assert_eq!(checked, 4);
    }

    #[test]
    fn of_missed_ticks_only_the_last_is_due() {
        let due = quarter().due(Some(at("09:00:00")), at("12:50:00"));
        assert_eq!(due, Due { tick: Some(at("12:45:00")), next: Some(at("13:00:00")) });
        let due = quarter().due(Some("1999-01-01T00:00:00Z".parse().unwrap()), at("12:50:00"));
        assert_eq!(due.tick, Some(at("12:45:00")));
        let every = schedule(When::Every(Duration::from_secs(30)), None);
        assert_eq!(every.due(Some(at("09:00:00")), at("12:50:07")).tick, Some(at("12:50:00")));
    }

    #[test]
    fn a_schedule_that_was_never_seen_has_nothing_due() {
        assert_eq!(
            quarter().due(None, at("12:45:00")),
            Due { tick: None, next: Some(at("13:00:00")) }
        );
    }

    #[test]
    fn a_tick_is_due_once() {
        let first = quarter().due(Some(at("12:44:00")), at("12:45:00")).tick;
        assert_eq!(first, Some(at("12:45:00")));
        assert_eq!(quarter().due(first, at("12:45:00")).tick, None);
        assert_eq!(quarter().due(first, at("12:59:59")).tick, None);
    }

    #[test]
    fn the_entrys_time_zone_goes_before_the_beats() {
        let nine = CrontabText { minute: "0".into(), hour: "9".into(), ..CrontabText::default() };
        let due =
            schedule(When::Crontab(nine), Some("America/Sao_Paulo")).due(None, at("00:00:00"));
        assert_eq!(due.next, Some(at("12:00:00")));
    }

    #[test]
    fn what_cannot_run_is_an_error() {
        let check = |config: ScheduleConfig, zone: &str, expect: &str| {
            let error = Schedule::compile("s", &config, zone).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        };
        let every = |d| ScheduleConfig { when: When::Every(d), ..ScheduleConfig::default() };
        check(every(Duration::ZERO), "UTC", "at least 1 second");
        check(every(Duration::from_secs(5)), "Mars/Olympus", "`Mars/Olympus` is not a time zone");
        let text = CrontabText { minute: "61".into(), ..CrontabText::default() };
        let config = ScheduleConfig { when: When::Crontab(text), ..ScheduleConfig::default() };
        check(config, "UTC", "minute `61`");
    }

    proptest! {
        #[test]
        fn the_due_tick_is_the_last_one_up_to_now(
            last in 1_700_000_000i64..1_800_000_000, past in 0i64..100_000_000, every in 1u64..100_000,
            minute in 0u8..60, cron: bool,
        ) {
            let when = if cron {
                When::Crontab(CrontabText { minute: minute.to_string(), ..CrontabText::default() })
            } else {
                When::Every(Duration::from_secs(every))
            };
            let schedule = schedule(when, None);
            let last = Timestamp::from_second(last).unwrap();
            let now = last + SignedDuration::from_secs(past);
            let due = schedule.due(Some(last), now);
            prop_assert!(due.next.unwrap() > now);
            match due.tick {
                Some(tick) => {
                    prop_assert!(tick > last && tick <= now);
                    prop_assert_eq!(schedule.next_after(tick), due.next);
                }
                None => prop_assert!(schedule.next_after(last).unwrap() > now),
            }
        }
    }
}
