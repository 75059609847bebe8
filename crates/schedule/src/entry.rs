//! The shape of one entry of the schedule: plain values, no rules.

use std::{borrow::Cow, time::Duration};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use rhubarb_wire::CallOptions;
use serde_json::{Map, Value};

/// One entry of the schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleConfig {
    /// The task's name.
    pub task: String,
    /// When it runs.
    pub when: When,
    /// IANA zone; absent means `beat.timezone`.
    pub timezone: Option<String>,
    /// What happens to a crontab where clocks are changed.
    pub dst: Dst,
    /// Positional arguments.
    pub args: Vec<Value>,
    /// Keyword arguments.
    pub kwargs: Map<String, Value>,
    /// What else the call says: the result, limits, name and headers; absent when nothing.
    pub options: Option<Box<CallOptions>>,
    /// The queue; absent means that of `celery.task_routes`, else `celery.task_default_queue`.
    pub queue: Option<String>,
    /// 0 (most urgent) to 9; absent means that of `celery.task_routes`, else
    /// `celery.task_default_priority`.
    pub priority: Option<u8>,
    /// A task that was not begun this long after its tick is revoked; absent means never.
    pub expires: Option<Duration>,
    /// Whether it runs at all.
    pub enabled: bool,
    /// No tick before this time; absent means from the moment that beat first saw it.
    pub start_at: Option<Moment>,
    /// No tick after this time.
    pub end_at: Option<Moment>,
    /// It ends after this many ticks were published.
    pub max_runs: Option<u64>,
    /// Each tick is published up to this much later, by an amount that the tick itself decides.
    pub jitter: Duration,
    /// What becomes of ticks that were missed.
    pub catch_up: CatchUp,
    /// A tick that is later than this is not published any more; absent means that none is too
    /// late.
    pub misfire_grace: Option<Duration>,
    /// What becomes of a tick whose predecessor's task is not done.
    pub overlap: Overlap,
    /// A tick that is later than this is warned about; absent means never.
    pub alert_after: Option<Duration>,
}

/// When a schedule runs.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// Celery's fields, as text: `crontab = { minute = "0", hour = "*/4" }`, or as a line: `cron =
    /// "0 */4 * * *"`.
    Crontab(Box<CrontabText>),
    /// Every so often, on a fixed grid: `every = 30`.
    Every {
        /// The distance of two ticks.
        every: Duration,
        /// Whether the grid is on whole days, hours, minutes or seconds (the unit of the distance,
        /// as Celery's `relative` has it) rather than counted from the moment that beat first saw
        /// the schedule.
        relative: bool,
    },
    /// Once: `at = "2026-12-24T18:00:00"`.
    At(Moment),
}

/// Celery's crontab arguments as text; each is `*` when absent, but for the second, which Celery
/// does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrontabText {
    /// 0 to 59; `0` when absent.
    pub second: Cow<'static, str>,
    /// 0 to 59.
    pub minute: Cow<'static, str>,
    /// 0 to 23.
    pub hour: Cow<'static, str>,
    /// 0 (Sunday) to 6, or names.
    pub day_of_week: Cow<'static, str>,
    /// 1 to 31.
    pub day_of_month: Cow<'static, str>,
    /// 1 to 12, or names.
    pub month_of_year: Cow<'static, str>,
}

/// A point in time as it is written: with its offset, or in the schedule's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// `2026-12-24T18:00:00Z`, or with another offset.
    Instant(Timestamp),
    /// `2026-12-24T18:00:00`: what a clock on the wall shows.
    Local(DateTime),
}

/// What happens to a crontab where clocks are changed.
///
/// | | put forward: the time does not exist | put back: the time exists twice |
/// |---|---|---|
/// | `celery` | as much later as the gap is long | on the first pass |
/// | `skip` | not at all | on the first pass |
/// | `once` | when the clocks are put forward, once for all times in the gap | on the first pass |
/// | `both` | not at all | on both passes |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dst {
    /// As Celery has it: 02:30 becomes 03:30.
    #[default]
    Celery,
    /// A time that no clock shows is left out.
    Skip,
    /// Each day's time happens once.
    Once,
    /// Whenever a clock on the wall shows the time.
    Both,
}

/// What becomes of ticks that were missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// The last of them is published, as Celery sends one catch-up.
    #[default]
    Last,
    /// None is, unless it is no later than `misfire_grace` ([`CatchUp::GRACE`] where absent).
    None,
    /// All are, within bounds.
    All {
        /// At the most so many, the latest.
        max: u32,
        /// None that is older.
        window: Duration,
    },
}

impl CatchUp {
    /// How late a tick may be with `catch_up = "none"`: longer than a change of leader takes.
    pub const GRACE: Duration = Duration::from_secs(30);
    /// What `catch_up = "all"` means.
    pub const ALL: Self = Self::All { max: 1_000, window: Duration::from_secs(86_400) };
}

/// What becomes of a tick whose predecessor's task still waits or runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// It is published.
    #[default]
    Allow,
    /// It is left out.
    Skip,
    /// It waits until that task is done; of several that wait, the last is published.
    QueueOne,
    /// That task is revoked and cancelled, then the tick is published.
    CancelRunning,
}

impl Moment {
    /// Returns the moment; one that the zone's clocks skip is as much later, one that they show
    /// twice is the first.
    pub fn resolve(self, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Instant(at) => Some(at),
            Self::Local(local) => zone.to_timestamp(local).ok(),
        }
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Instant(at) => at.fmt(f),
            Self::Local(local) => local.fmt(f),
        }
    }
}

/// An entry with no task that runs every minute: the ground on which an entry is read.
impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            task: String::new(),
            when: When::Crontab(Box::default()),
            timezone: None,
            dst: Dst::default(),
            args: Vec::new(),
            kwargs: Map::new(),
            options: None,
            queue: None,
            priority: None,
            expires: None,
            enabled: true,
            start_at: None,
            end_at: None,
            max_runs: None,
            jitter: Duration::ZERO,
            catch_up: CatchUp::default(),
            misfire_grace: None,
            overlap: Overlap::default(),
            alert_after: None,
        }
    }
}

impl CrontabText {
    /// Returns a field's text, without memory of its own for the most frequent one: there may be
    /// many schedules.
    pub fn field(text: &str) -> Cow<'static, str> {
        if text == "*" { Cow::Borrowed("*") } else { Cow::Owned(text.to_owned()) }
    }
}

/// Every minute.
impl Default for CrontabText {
    fn default() -> Self {
        let any = Cow::Borrowed("*");
        Self {
            second: Cow::Borrowed("0"),
            minute: any.clone(),
            hour: any.clone(),
            day_of_week: any.clone(),
            day_of_month: any.clone(),
            month_of_year: any,
        }
    }
}
