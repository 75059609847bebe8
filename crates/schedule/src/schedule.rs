//! When a schedule's ticks are.

mod due;
mod interval;

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

pub use self::due::{Progress, Step};
use self::interval::{Relative, grid};
use crate::{
    crontab::{Crontab, CrontabError},
    entry::{Dst, Moment, ScheduleConfig, When},
};

/// One entry of the schedule, ready to say what is due.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Its name in the configuration.
    pub name: String,
    /// The entry as configured: the task, its arguments and options.
    pub config: Arc<ScheduleConfig>,
    /// Its time zone.
    pub timezone: TimeZone,
    when: Compiled,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

#[derive(Clone, Debug)]
enum Compiled {
    Crontab(Crontab, Dst),
    Every(Duration),
    Relative(Relative),
    At(Timestamp),
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
    #[error("`every` has to be at least 1 second, for example 30 or \"1h30m\"")]
    Interval,
    /// A time that no calendar has.
    #[error("`{0}` is beyond the calendar; write, for example, \"2026-12-24T18:00:00\"")]
    Moment(&'static str),
    /// Ticks could be published in another order than they come in.
    #[error("`jitter` has to be less than {0} s, the least distance of two ticks")]
    Jitter(u64),
    /// It ends before it starts.
    #[error("`end_at` is not after `start_at`")]
    Ends,
}

impl ScheduleError {
    /// Returns the setting that has to be changed.
    pub fn setting(&self) -> &'static str {
        match self {
            Self::Crontab(_) => "crontab",
            Self::Timezone(_) => "timezone",
            Self::Interval => "every",
            Self::Moment(setting) => setting,
            Self::Jitter(_) => "jitter",
            Self::Ends => "end_at",
        }
    }
}

impl Schedule {
    /// Compiles an entry; `timezone` holds where the entry names none.
    ///
    /// # Errors
    ///
    /// What cannot be used: a problem of the configuration.
    pub fn compile(
        name: &str,
        config: impl Into<Arc<ScheduleConfig>>,
        timezone: &str,
    ) -> Result<Self, ScheduleError> {
        let config = config.into();
        let zone = config.timezone.as_deref().unwrap_or(timezone);
        let timezone = TimeZone::get(zone).map_err(|_| ScheduleError::Timezone(zone.into()))?;
        let resolve = |name, moment: Option<Moment>| {
            moment.map(|at| at.resolve(&timezone).ok_or(ScheduleError::Moment(name))).transpose()
        };
        let start = resolve("start_at", config.start_at)?;
        let end = resolve("end_at", config.end_at)?;
        if start.zip(end).is_some_and(|(start, end)| end <= start) {
            return Err(ScheduleError::Ends);
        }
        let when = Compiled::new(&config, &timezone)?;
        let shortest = when.shortest_gap_s();
        if config.jitter >= Duration::from_secs(shortest) {
            return Err(ScheduleError::Jitter(shortest));
        }
        Ok(Self { name: name.into(), config, timezone, when, start, end })
    }

    /// Returns the first tick after `after`; absent when there is none.
    ///
    /// The ticks of an interval are counted from `anchor`, the moment at which the schedule was
    /// first seen: it is kept in Redis, so that every beat names the same ones.
    pub fn next_after(&self, after: Timestamp, anchor: Timestamp) -> Option<Timestamp> {
        let after = self.start.map_or(Some(after), |start| {
            start.checked_sub(SignedDuration::from_nanos(1)).ok().map(|before| before.max(after))
        })?;
        let tick = match &self.when {
            Compiled::Crontab(crontab, dst) => crontab.next_after(after, &self.timezone, *dst),
            Compiled::Every(every) => grid(after, *every, anchor)?.checked_add(*every).ok(),
            Compiled::Relative(relative) => relative.next_after(after, anchor, &self.timezone),
            Compiled::At(at) => Some(*at).filter(|at| *at > after),
        };
        tick.filter(|tick| self.end.is_none_or(|end| *tick <= end))
    }

    /// Returns the last tick in `(after, until]`.
    fn last_between(
        &self,
        after: Timestamp,
        until: Timestamp,
        anchor: Timestamp,
    ) -> Option<Timestamp> {
        let until = self.end.map_or(until, |end| end.min(until));
        let mut tick = self.next_after(after, anchor).filter(|tick| *tick <= until)?;
        if let Compiled::Every(every) = &self.when {
            return grid(until, *every, anchor);
        }
        if let Some(near) = self.near(tick, until, anchor) {
            tick = near;
        }
        while let Some(next) = self.next_after(tick, anchor).filter(|next| *next <= until) {
            tick = next;
        }
        Some(tick)
    }

    /// Returns a tick from which few lead to `until`: after a year's pause a schedule of every
    /// minute has half a million ticks, of which only the last counts. Absent when there is none
    /// between.
    fn near(&self, after: Timestamp, until: Timestamp, anchor: Timestamp) -> Option<Timestamp> {
        let mut back = SignedDuration::from_mins(2);
        loop {
            let from = until.checked_sub(back).ok().filter(|from| *from > after)?;
            if let Some(tick) = self.next_after(from, anchor).filter(|tick| *tick <= until) {
                return Some(tick);
            }
            back = back.saturating_mul(8);
        }
    }

    /// Returns the schedule in words: `every hour at minute 0 (Europe/Berlin)`.
    pub fn words(&self) -> String {
        let zone = self.timezone.iana_name().unwrap_or("UTC");
        match &self.when {
            Compiled::Crontab(crontab, _) => format!("{} ({zone})", crontab.words()),
            Compiled::Every(every) => format!("every {}", interval::words(*every)),
            Compiled::Relative(relative) => relative.words(zone),
            Compiled::At(at) => {
                let local = self.timezone.to_datetime(*at);
                format!("once, at {} ({zone})", local.strftime("%Y-%m-%d %H:%M:%S"))
            }
        }
    }

    /// Returns a digest of everything that decides when its ticks are: another one is another
    /// timetable.
    ///
    /// The same on every machine; a disabled schedule has one of its own.
    pub fn digest(&self) -> String {
        if !self.config.enabled {
            return "off".to_owned();
        }
        let entry = self.config.to_json();
        let zone = self.timezone.iana_name().unwrap_or_default().into();
        let keys = ["cron", "every", "relative", "at", "dst", "start_at", "end_at"];
        let timetable: Vec<_> = keys.iter().map(|key| &entry[key]).chain([&zone]).collect();
        format!("{:016x}", fnv(serde_json::json!(timetable).to_string().as_bytes()))
    }
}

impl Compiled {
    fn new(config: &ScheduleConfig, zone: &TimeZone) -> Result<Self, ScheduleError> {
        Ok(match &config.when {
            When::Crontab(text) => Self::Crontab(Crontab::parse(text)?, config.dst),
            When::Every { every, .. } if *every < Duration::from_secs(1) => {
                return Err(ScheduleError::Interval);
            }
            When::Every { every, relative: false } => Self::Every(*every),
            When::Every { every, relative: true } => Self::Relative(Relative::new(*every)),
            When::At(at) => Self::At(at.resolve(zone).ok_or(ScheduleError::Moment("at"))?),
        })
    }

    fn shortest_gap_s(&self) -> u64 {
        match self {
            Self::Crontab(crontab, _) => crontab.shortest_gap_s(),
            Self::Every(every) => every.as_secs(),
            Self::Relative(relative) => relative.every.as_secs(),
            Self::At(_) => u64::MAX,
        }
    }
}

/// The 64-bit FNV-1a hash: the same everywhere and always, which the standard library's is not.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
