//! How many tasks ended how, and how long they took: totals for ever, and minute by minute for
//! three days.
//!
//! A worker counts in memory and adds what came with each heartbeat: `HINCRBY` on the hash of
//! totals and on that of the minute. A worker that is killed loses what it had counted since its
//! last heartbeat; nothing else depends on it.
//!
//! A field is its parts with tabs between: `ends <queue> <task> <state>`, `run <task> <bucket>`,
//! `wait <task> <bucket>`, `run_us <task>`, `wait_us <task>`, and `count <what>`. Bounded: so many
//! names of tasks and queues as [`MAX_TASKS`] and [`MAX_QUEUES`] say, the rest together is `other`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{Client, Error, error::redis};

/// Upper ends of a histogram's buckets, seconds; one more has what is longer.
pub const BUCKETS: [f64; 16] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
];
/// So many names of tasks are counted apart.
pub const MAX_TASKS: usize = 200;
/// So many queues are counted apart.
pub const MAX_QUEUES: usize = 100;
/// What the names beyond are counted as.
pub const OTHER: &str = "other";
/// How long minutes are kept.
pub const KEPT: Duration = Duration::from_secs(72 * 3600);
/// A longer name is counted as [`OTHER`].
const MAX_NAME: usize = 256;

/// How long something took, as counts by bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How many fell into each bucket; the last has what is longer than all ends.
    pub counts: [u64; BUCKETS.len() + 1],
    /// All of them together, microseconds.
    pub sum_us: u64,
}

impl Histogram {
    /// Adds one.
    pub fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BUCKETS.iter().position(|end| seconds <= *end).unwrap_or(BUCKETS.len());
        self.counts[bucket] += 1;
        self.sum_us += u64::try_from(took.as_micros()).unwrap_or(u64::MAX).min(1 << 53);
    }

    /// Returns how many there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the end of the bucket below which this share of them lies (`0.95`), seconds; none
    /// where there are none.
    pub fn percentile(&self, share: f64) -> Option<f64> {
        let n = self.count();
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
        let wanted = share * n as f64;
        let mut below = 0;
        for (count, end) in self.counts.iter().zip(BUCKETS.iter().chain([&f64::INFINITY])) {
            below += count;
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
            if n > 0 && below as f64 >= wanted {
                return Some(*end);
            }
        }
        None
    }
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Ends by queue, task and state.
    pub ends: BTreeMap<(String, String, String), u64>,
    /// How long handlers ran, by task.
    pub run: BTreeMap<String, Histogram>,
    /// How long tasks waited from being published to being begun, by task, where that is known.
    pub wait: BTreeMap<String, Histogram>,
    /// Other counts by name: `late`, `dead`, `parked`, `redelivered`.
    pub counts: BTreeMap<String, u64>,
}

impl Statistics {
    /// Tells whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Counts ends of a task.
    pub fn ends(&mut self, queue: &str, task: &str, state: &str, n: u64) {
        let key = (self.queue(queue).to_owned(), self.task(task).to_owned(), state.to_owned());
        *self.ends.entry(key).or_default() += n;
    }

    /// Counts how long handlers of a task ran.
    pub fn runs(&mut self, task: &str, took: &Histogram) {
        add(&mut self.run, task, took);
    }

    /// Counts how long a task waited.
    pub fn waits(&mut self, task: &str, took: &Histogram) {
        add(&mut self.wait, task, took);
    }

    /// Counts something else.
    pub fn count(&mut self, what: &str, n: u64) {
        if n > 0 {
            *self.counts.entry(what.to_owned()).or_default() += n;
        }
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Self) {
        for ((queue, task, state), n) in &other.ends {
            self.ends(queue, task, state, *n);
        }
        for (own, theirs) in [(&mut self.run, &other.run), (&mut self.wait, &other.wait)] {
            theirs.iter().for_each(|(task, took)| add(own, task, took));
        }
        for (what, n) in &other.counts {
            self.count(what, *n);
        }
    }

    fn queue<'n>(&self, name: &'n str) -> &'n str {
        let known = || self.ends.keys().map(|(queue, ..)| queue.as_str());
        named(name, MAX_QUEUES, known().any(|one| one == name), || {
            known().collect::<BTreeSet<_>>().len()
        })
    }

    fn task<'n>(&self, name: &'n str) -> &'n str {
        let known = || self.ends.keys().map(|(_, task, _)| task.as_str());
        named(name, MAX_TASKS, known().any(|one| one == name), || {
            known().collect::<BTreeSet<_>>().len()
        })
    }

    /// Returns the fields of the hashes with what is to be added to each.
    fn fields(&self) -> Vec<(String, u64)> {
        let mut fields = Vec::new();
        for ((queue, task, state), n) in &self.ends {
            fields.push((format!("ends\t{queue}\t{task}\t{state}"), *n));
        }
        for (what, histograms) in [("run", &self.run), ("wait", &self.wait)] {
            for (task, histogram) in histograms {
                let counts = histogram.counts.iter().enumerate().filter(|(_, n)| **n > 0);
                fields.extend(counts.map(|(at, n)| (format!("{what}\t{task}\t{at}"), *n)));
                fields.push((format!("{what}_us\t{task}"), histogram.sum_us));
            }
        }
        fields.extend(self.counts.iter().map(|(what, n)| (format!("count\t{what}"), *n)));
        fields
    }

    /// Adds a field of a hash; what is none is left out.
    fn read(&mut self, field: &str, n: u64) {
        let parts: Vec<&str> = field.split('\t').collect();
        match parts.as_slice() {
            ["ends", queue, task, state] => {
                let key = ((*queue).to_owned(), (*task).to_owned(), (*state).to_owned());
                *self.ends.entry(key).or_default() += n;
            }
            ["run", task, at] => add_bucket(&mut self.run, task, at, n),
            ["wait", task, at] => add_bucket(&mut self.wait, task, at, n),
            ["run_us", task] => self.run.entry((*task).to_owned()).or_default().sum_us += n,
            ["wait_us", task] => self.wait.entry((*task).to_owned()).or_default().sum_us += n,
            ["count", what] => self.count(what, n),
            _ => {}
        }
    }
}

fn add_bucket(of: &mut BTreeMap<String, Histogram>, task: &str, at: &str, n: u64) {
    let at = at.parse::<usize>().ok().filter(|at| *at <= BUCKETS.len());
    if let Some(at) = at {
        of.entry(task.to_owned()).or_default().counts[at] += n;
    }
}

/// Returns the name, or [`OTHER`] where it is none to be counted or there are too many.
fn named(name: &str, most: usize, known: bool, n_known: impl FnOnce() -> usize) -> &str {
    if known {
        return name;
    }
    let counts = name.len() <= MAX_NAME && !name.is_empty() && !name.contains(char::is_control);
    if counts && n_known() < most { name } else { OTHER }
}

fn add(to: &mut BTreeMap<String, Histogram>, task: &str, took: &Histogram) {
    if took.count() == 0 {
        return;
    }
    let task = named(task, MAX_TASKS, to.contains_key(task), || to.len()).to_owned();
    let sum = to.entry(task).or_default();
    sum.counts.iter_mut().zip(took.counts).for_each(|(a, b)| *a += b);
    sum.sum_us += took.sum_us;
}

/// Returns the minute of a time, minutes since 1970.
pub fn minute_of(ms: i64) -> i64 {
    ms.div_euclid(60_000)
}

/// Adds what was counted to the totals and to a minute.
///
/// A call whose answer is lost may have added all of it, or nothing: who tries again may count
/// twice.
///
/// # Errors
/// [`Error::Redis`].
pub async fn write(client: &Client, minute: i64, counted: &Statistics) -> Result<(), Error> {
    let fields = counted.fields();
    let keys = [client.keys().totals(), client.keys().minute(minute)];
    for some in fields.chunks(500) {
        let mut pipeline = ::redis::pipe();
        for key in &keys {
            for (field, n) in some {
                pipeline.cmd("HINCRBY").arg(key).arg(field).arg(*n).ignore();
            }
        }
        let kept = KEPT.as_secs() + 60;
        pipeline.cmd("EXPIRE").arg(&keys[1]).arg(kept).ignore();
        client.queue().pipe::<()>(&pipeline).await.map_err(redis("count ended tasks"))?;
    }
    Ok(())
}

/// Returns what was counted since the installation began.
///
/// # Errors
/// [`Error::Redis`].
pub async fn totals(client: &Client) -> Result<Statistics, Error> {
    let mut get = ::redis::cmd("HGETALL");
    get.arg(client.keys().totals());
    let fields = client.queue().query(&get).await.map_err(redis("read the totals"))?;
    Ok(counted(fields))
}

/// Returns what was counted in each of these minutes (since 1970), empty ones left out.
///
/// # Errors
/// [`Error::Redis`].
pub async fn minutes(
    client: &Client,
    wanted: std::ops::RangeInclusive<i64>,
) -> Result<BTreeMap<i64, Statistics>, Error> {
    let wanted: Vec<i64> = wanted.collect();
    let mut found = BTreeMap::new();
    for some in wanted.chunks(60) {
        let mut pipeline = ::redis::pipe();
        for minute in some {
            pipeline.cmd("HGETALL").arg(client.keys().minute(*minute));
        }
        let hashes: Vec<Vec<(String, String)>> =
            client.queue().pipe(&pipeline).await.map_err(redis("read the statistics"))?;
        let read = some.iter().zip(hashes).map(|(minute, fields)| (*minute, counted(fields)));
        found.extend(read.filter(|(_, statistics)| !statistics.is_empty()));
    }
    Ok(found)
}

fn counted(fields: Vec<(String, String)>) -> Statistics {
    let mut statistics = Statistics::default();
    for (field, n) in fields {
        if let Ok(n) = n.parse() {
            statistics.read(&field, n);
        }
    }
    statistics
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(ms: &[u64]) -> Histogram {
        let mut took = Histogram::default();
        ms.iter().for_each(|ms| took.add(Duration::from_millis(*ms)));
        took
    }

    fn some() -> Statistics {
        let mut statistics = Statistics::default();
        statistics.ends("celery", "a", "SUCCESS", 2);
        statistics.runs("a", &took(&[7, 7_200_000]));
        statistics.waits("a", &took(&[1]));
        statistics.count("late", 1);
        statistics
    }

    #[test]
    fn what_is_written_is_read_back() {
        let fields = some().fields().into_iter().map(|(field, n)| (field, n.to_string()));
        assert_eq!(counted(fields.collect()), some());
        let rubbish = ["", "ends\ta", "run\ta\t99", "run\ta\tx", "what\ta\tb"];
        let rubbish = rubbish.map(|field| (field.to_owned(), "1".to_owned()));
        assert_eq!(counted(rubbish.into()), Statistics::default());
    }

    #[test]
    fn names_beyond_the_bound_are_counted_together() {
        let mut statistics = Statistics::default();
        for n in 0..300 {
            statistics.ends(&format!("q{n}"), &format!("t{n}"), "SUCCESS", 1);
            statistics.runs(&format!("t{n}"), &took(&[0]));
        }
        statistics.ends("q0", "a\tb", "SUCCESS", 1);
        let tasks: BTreeSet<_> = statistics.ends.keys().map(|(_, task, _)| task).collect();
        let queues: BTreeSet<_> = statistics.ends.keys().map(|(queue, ..)| queue).collect();
        assert_eq!((tasks.len(), queues.len()), (MAX_TASKS + 1, MAX_QUEUES + 1));
        assert_eq!(statistics.run.len(), MAX_TASKS + 1);
        assert_eq!(statistics.ends[&("q0".into(), OTHER.into(), "SUCCESS".into())], 1);
    }

    #[test]
    fn sums_are_those_of_both() {
        let mut sum = some();
        sum.merge(&some());
        assert_eq!(sum.ends[&("celery".into(), "a".into(), "SUCCESS".into())], 4);
        assert_eq!(sum.run["a"].count(), 4);
        assert_eq!(sum.counts["late"], 2);
    }

    #[test]
    fn a_percentile_is_the_end_of_its_bucket() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(0.5), None);
        for _ in 0..99 {
            histogram.add(Duration::from_millis(3));
        }
        histogram.add(Duration::from_secs(4));
        assert_eq!(histogram.percentile(0.5), Some(0.005));
        assert_eq!(histogram.percentile(0.999), Some(5.0));
    }
}
