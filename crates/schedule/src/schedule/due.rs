//! What is due of a schedule, by what became of it before and by its policies.

use std::{collections::VecDeque, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{Compiled, Schedule, fnv, grid};
use crate::entry::CatchUp;

/// Missed ticks beyond this are not counted one by one; only an interval, whose grid is arithmetic,
/// counts on.
const MOST_COUNTED: u64 = 100_000;

/// What became of a schedule so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The last tick that was published or passed over, or the moment at which the schedule was
    /// first seen.
    pub last: Timestamp,
    /// The moment from which the ticks of an interval are counted.
    pub anchor: Timestamp,
    /// How many ticks were published.
    pub runs: u64,
}

/// What to do with a tick that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The tick.
    pub tick: Timestamp,
    /// Whether it is to be published; one that is not is passed over for good.
    pub publish: bool,
    /// How many ticks are missed: those between it and the one before, and itself when it is passed
    /// over.
    pub missed: u64,
}

impl Schedule {
    /// Returns what is due at `now`, the oldest first; nothing when nothing is.
    ///
    /// Of missed ticks `catch_up` says which are published. A clock that went back finds nothing
    /// due until it has come to the last tick again: a tick is known by its time, and is published
    /// once.
    pub fn due(&self, progress: &Progress, now: Timestamp) -> Vec<Step> {
        if self.finished(progress) {
            return Vec::new();
        }
        let Some(first) = self.next_after(progress.last, progress.anchor) else {
            return Vec::new();
        };
        if self.ready(first) > now {
            return Vec::new();
        }
        let Some(last) = self.last_ready(progress, now) else { return Vec::new() };
        let oldest = now.checked_sub(signed(self.grace())).unwrap_or(Timestamp::MIN);
        if last < oldest {
            let missed = self.count(progress, last);
            return vec![Step { tick: last, publish: false, missed }];
        }
        match self.config.catch_up {
            CatchUp::Last | CatchUp::None => {
                let missed = self.count(progress, last).saturating_sub(1);
                vec![Step { tick: last, publish: true, missed }]
            }
            CatchUp::All { max, window } => {
                let from = now.checked_sub(signed(window)).unwrap_or(Timestamp::MIN).max(oldest);
                self.all(progress, from, last, max)
            }
        }
    }

    /// Returns when the next tick is to be published; absent when there is none any more.
    pub fn next_at(&self, progress: &Progress) -> Option<Timestamp> {
        if self.finished(progress) {
            return None;
        }
        self.next_after(progress.last, progress.anchor).map(|tick| self.ready(tick))
    }

    fn finished(&self, progress: &Progress) -> bool {
        self.config.max_runs.is_some_and(|max| progress.runs >= max)
    }

    /// Returns the moment at which a tick is to be published: with jitter, later by what its own
    /// hash says.
    fn ready(&self, tick: Timestamp) -> Timestamp {
        let jitter = u64::try_from(self.config.jitter.as_millis()).unwrap_or(u64::MAX);
        if jitter == 0 {
            return tick;
        }
        let hash = fnv(format!("{}\n{}", self.name, tick.as_millisecond()).as_bytes());
        tick.checked_add(Duration::from_millis(hash % (jitter + 1))).unwrap_or(tick)
    }

    /// Returns how late a tick may be.
    fn grace(&self) -> Duration {
        let default = match self.config.catch_up {
            CatchUp::None => CatchUp::GRACE,
            _ => Duration::MAX,
        };
        self.config.misfire_grace.unwrap_or(default)
    }

    /// Returns the last tick whose moment has come. Jitter is less than the distance of two ticks:
    /// at most one waits.
    fn last_ready(&self, progress: &Progress, now: Timestamp) -> Option<Timestamp> {
        let last = self.last_between(progress.last, now, progress.anchor)?;
        if self.ready(last) <= now {
            return Some(last);
        }
        let before = last.checked_sub(SignedDuration::from_nanos(1)).ok()?;
        self.last_between(progress.last, before, progress.anchor)
    }

    /// Returns the ticks in `[from, last]`, the latest `max` of them.
    fn all(&self, progress: &Progress, from: Timestamp, last: Timestamp, max: u32) -> Vec<Step> {
        let left = self.config.max_runs.map_or(u64::MAX, |most| most - progress.runs);
        let before = from.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(from);
        let mut kept = VecDeque::new();
        let mut after = before.max(progress.last);
        while let Some(tick) = self.next_after(after, progress.anchor).filter(|tick| *tick <= last)
        {
            kept.push_back(tick);
            if kept.len() > usize::try_from(max).unwrap_or(usize::MAX) {
                kept.pop_front();
            }
            after = tick;
        }
        let Some(first) = kept.front().copied() else {
            let missed = self.count(progress, last);
            return vec![Step { tick: last, publish: false, missed }];
        };
        let missed = self.count(progress, first).saturating_sub(1);
        let step =
            |tick| Step { tick, publish: true, missed: if tick == first { missed } else { 0 } };
        kept.into_iter().map(step).take(usize::try_from(left).unwrap_or(usize::MAX)).collect()
    }

    /// Returns the number of ticks in `(progress.last, until]`.
    fn count(&self, progress: &Progress, until: Timestamp) -> u64 {
        let next = |after| self.next_after(after, progress.anchor).filter(|tick| *tick <= until);
        let Some(first) = next(progress.last) else { return 0 };
        if let Compiled::Every(every) = &self.when {
            let last = grid(until, *every, progress.anchor).unwrap_or(first);
            let between = last.as_nanosecond() - first.as_nanosecond();
            let every = i128::try_from(every.as_nanos()).unwrap_or(i128::MAX);
            return u64::try_from(between / every).unwrap_or(u64::MAX) + 1;
        }
        let ticks = std::iter::successors(Some(first), |tick| next(*tick));
        ticks.take(usize::try_from(MOST_COUNTED).unwrap_or(usize::MAX)).fold(0, |n, _| n + 1)
    }
}

fn signed(length: Duration) -> SignedDuration {
    SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX)
}
