//! What the pages show, each looked at once for everybody; what was last seen stays while Redis is
//! away.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use rhubarb_jobs::Status;
use rhubarb_queue::{
    inspect::WorkerInfo,
    letter::Letter,
    statistics::{Histogram, Statistics},
};
use tokio::time::Instant;

use crate::{glance::Glance, problem::Problem, timetable::Timetable};

/// How long one look serves everybody.
const FRESH: Duration = Duration::from_secs(2);
/// The same of what changes by the minute.
const SLOW: Duration = Duration::from_secs(10);

/// What was last seen, and what was wrong since.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    good: Option<(Arc<T>, Instant)>,
    problem: Option<Problem>,
}

/// What is shown, and how old it is.
#[derive(Debug)]
pub struct Shown<T> {
    /// It.
    pub what: Arc<T>,
    /// How many seconds old.
    pub age_s: u64,
}

pub(crate) async fn kept<T: Send + Sync + 'static>(
    glance: &Glance<Kept<T>>,
    look: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<Shown<T>, Problem> {
    let before = glance.last().and_then(|seen| seen.what.good.clone());
    let look = async move {
        match look.await {
            Ok(what) => Kept { good: Some((Arc::new(what), Instant::now())), problem: None },
            Err(problem) => Kept { good: before, problem: Some(problem) },
        }
    };
    let seen = glance.get(look).await;
    let none = || Problem::unavailable("Redis has not answered yet");
    let seen = seen.ok_or_else(none)?;
    match &seen.what.good {
        Some((what, at)) => Ok(Shown { what: what.clone(), age_s: at.elapsed().as_secs() }),
        None => Err(seen.what.problem.clone().unwrap_or_else(none)),
    }
}

/// How many tasks ended in a minute, or in more of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndCounts {
    /// With success.
    pub good: u64,
    /// With a failure, or as a dead letter.
    pub bad: u64,
}

impl EndCounts {
    /// Adds ends of a state.
    pub fn add(&mut self, state: &str, n: u64) {
        match state {
            "SUCCESS" => self.good += n,
            "FAILURE" | "DEAD" => self.bad += n,
            _ => {}
        }
    }
}

/// What was counted in a minute, or in more of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Minute {
    /// How many tasks ended.
    pub ended: EndCounts,
    /// How long their handlers ran.
    pub run: Histogram,
    /// How long they had waited.
    pub wait: Histogram,
}

impl Minute {
    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Self) {
        self.ended.good += other.ended.good;
        self.ended.bad += other.ended.bad;
        merge(&mut self.run, &other.run);
        merge(&mut self.wait, &other.wait);
    }
}

/// Adds one histogram to another.
pub fn merge(own: &mut Histogram, other: &Histogram) {
    own.counts.iter_mut().zip(other.counts).for_each(|(own, n)| *own += n);
    own.sum_us += other.sum_us;
}

/// By hour since 1970 and name of a task.
pub type Hours = BTreeMap<i64, BTreeMap<String, EndCounts>>;

/// What is remembered of minutes that have passed: the first that may still grow, and all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    pub(crate) settled: i64,
    pub(crate) minutes: BTreeMap<i64, Minute>,
    pub(crate) hours: Hours,
}

/// The last three days by minute, and the last hour by task.
#[derive(Clone, Debug, Default)]
pub struct Trend {
    /// The current minute, since 1970.
    pub now: i64,
    /// Minutes in which something ended.
    pub minutes: BTreeMap<i64, Minute>,
    /// Ends of the last day.
    pub hours: Hours,
    /// All that was counted in the last hour.
    pub hour: Statistics,
}

/// All looks.
#[derive(Debug)]
pub struct Boards {
    pub(crate) workers: Glance<Kept<Vec<WorkerInfo>>>,
    pub(crate) timetable: Glance<Kept<Timetable>>,
    pub(crate) dead: Glance<Kept<Vec<Letter>>>,
    pub(crate) parked: Glance<Kept<Vec<Letter>>>,
    pub(crate) status: Glance<Kept<Option<Status>>>,
    pub(crate) trend: Glance<Kept<Trend>>,
    pub(crate) past: Mutex<Past>,
}

impl Default for Boards {
    fn default() -> Self {
        Self {
            workers: Glance::new(FRESH),
            timetable: Glance::new(FRESH),
            dead: Glance::new(FRESH),
            parked: Glance::new(FRESH),
            status: Glance::new(FRESH),
            trend: Glance::new(SLOW),
            past: Mutex::default(),
        }
    }
}
