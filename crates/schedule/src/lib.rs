//! Schedules: what an entry says, when its ticks are, and which of them are due. Pure: the clock,
//! the store and the publishing are the beat's.

mod config;
mod crontab;
mod entry;
mod read;
#[cfg(test)]
mod recorded;
mod schedule;

pub use config::{BeatConfig, WebhookUrl};
pub use crontab::{Crontab, CrontabError};
pub use entry::{CatchUp, CrontabText, Dst, Moment, Overlap, ScheduleConfig, When};
pub use read::check_name;
pub use schedule::{Progress, Schedule, ScheduleError, Step};

/// The README's examples are run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
