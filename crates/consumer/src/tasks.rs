//! The tasks that a worker runs, with their limits, which remote control may change while it runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use rhubarb_queue::inspect::Parameter;

use crate::rate::{Places, Rate, Turn};

/// So many tasks, with so many parameters together, tell what they take: it stands in every
/// heartbeat's record.
const DESCRIBED: usize = 200;
const PARAMETERS: usize = 500;

/// The limits of one task; none of them for a task that has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskLimits {
    /// How often it may start in this worker.
    pub rate: Option<Rate>,
    /// After how long it is asked to end; zero means never, whatever the settings say.
    pub soft: Option<Duration>,
    /// After how long it is ended; zero means never, whatever the settings say.
    pub hard: Option<Duration>,
}

/// Whether a task's states are stored, as its registration says; `None` leaves it to the settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResultPolicy {
    /// Whether its results are ignored.
    pub ignore_result: Option<bool>,
    /// Whether its failures are stored where its results are ignored.
    pub store_errors_even_if_ignored: Option<bool>,
}

/// The names that a worker answers to, and the limits behind them. Clones share the limits.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    by_name: Arc<BTreeMap<String, Arc<Entry>>>,
    processes: Processes,
}

/// The processes beside the worker's own that run its tasks; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Processes(Arc<Mutex<BTreeSet<u32>>>);

impl Processes {
    /// Adds one that was started, by its id.
    pub fn add(&self, pid: u32) {
        lock(&self.0).insert(pid);
    }

    /// Takes one out that has ended.
    pub fn remove(&self, pid: u32) {
        lock(&self.0).remove(&pid);
    }

    /// Returns the ids of all.
    pub fn all(&self) -> Vec<u32> {
        lock(&self.0).iter().copied().collect()
    }
}

#[derive(Debug, Default)]
struct Entry {
    limits: Mutex<TaskLimits>,
    places: Mutex<Places>,
    results: ResultPolicy,
    parameters: Vec<Parameter>,
}

impl Tasks {
    /// Takes tasks with all the names that each has.
    pub fn new(tasks: impl IntoIterator<Item = (Vec<String>, TaskLimits, ResultPolicy)>) -> Self {
        let mut by_name = BTreeMap::new();
        for (names, limits, results) in tasks {
            let limits = Mutex::new(limits);
            let entry = Arc::new(Entry { limits, results, ..Entry::default() });
            by_name.extend(names.into_iter().map(|name| (name, entry.clone())));
        }
        Self { by_name: Arc::new(by_name), processes: Processes::default() }
    }

    /// Tells of processes that run tasks beside the worker's own.
    #[must_use]
    pub fn beside(self, processes: Processes) -> Self {
        Self { processes, ..self }
    }

    /// Returns the ids of the processes beside the worker's own.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.processes.all()
    }

    /// Has tasks tell what they take, where their declaration says it. To be called before there
    /// are clones.
    #[must_use]
    pub fn described(mut self, parameters: impl Fn(&str) -> Vec<Parameter>) -> Self {
        for (name, entry) in Arc::get_mut(&mut self.by_name).into_iter().flatten() {
            // One with an alias shares its entry, and stays as it is: nobody can tell then.
            if let Some(entry) = Arc::get_mut(entry) {
                entry.parameters = parameters(name);
            }
        }
        self
    }

    /// Returns what those tasks take whose declaration says so, within bounds.
    pub(crate) fn parameters(&self) -> BTreeMap<String, Vec<Parameter>> {
        let mut left = PARAMETERS;
        let mut fits = |entry: &Entry| {
            let n = entry.parameters.len();
            let fits = (1..=left).contains(&n);
            left -= if fits { n } else { 0 };
            fits
        };
        let described = self.by_name.iter().filter(|(_, entry)| fits(entry));
        described
            .take(DESCRIBED)
            .map(|(name, entry)| (name.clone(), entry.parameters.clone()))
            .collect()
    }

    /// Returns all names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Tells whether the worker has a task of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Returns the limits that hold now.
    pub fn limits(&self, name: &str) -> TaskLimits {
        self.by_name.get(name).map(|entry| lock(&entry.limits).clone()).unwrap_or_default()
    }

    /// Returns whether its states are stored.
    pub(crate) fn results(&self, name: &str) -> ResultPolicy {
        self.by_name.get(name).map(|entry| entry.results).unwrap_or_default()
    }

    /// Sets how often a task may start; false when there is none of this name.
    pub fn set_rate(&self, name: &str, rate: Option<Rate>) -> bool {
        let Some(entry) = self.by_name.get(name) else { return false };
        lock(&entry.limits).rate = rate;
        lock(&entry.places).clear();
        true
    }

    /// Sets how long a task may run from its next start on; false when there is none of this name.
    pub fn set_time_limits(
        &self,
        name: &str,
        soft: Option<Duration>,
        hard: Option<Duration>,
    ) -> bool {
        let Some(entry) = self.by_name.get(name) else { return false };
        let mut limits = lock(&entry.limits);
        (limits.soft, limits.hard) = (soft, hard);
        true
    }

    /// Decides whether a message of a task may start now.
    pub(crate) fn turn(&self, name: &str, id: &str, now: Timestamp) -> Turn {
        let Some(entry) = self.by_name.get(name) else { return Turn::Now };
        let limits = lock(&entry.limits);
        match &limits.rate {
            Some(rate) => lock(&entry.places).turn(id, rate, now),
            None => Turn::Now,
        }
    }
}

impl From<Vec<String>> for Tasks {
    fn from(names: Vec<String>) -> Self {
        Self::new(
            names
                .into_iter()
                .map(|name| (vec![name], TaskLimits::default(), ResultPolicy::default())),
        )
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_shares_the_limits_of_its_task() {
        let tasks = Tasks::new([(
            vec!["a".to_owned(), "b".to_owned()],
            TaskLimits::default(),
            ResultPolicy::default(),
        )]);
        assert!(tasks.set_rate("b", Rate::parse("1/h").unwrap()));
        assert!(tasks.set_time_limits("a", None, Some(Duration::from_secs(9))));
        assert!(!tasks.set_rate("c", None) && !tasks.set_time_limits("c", None, None));
        assert_eq!(tasks.limits("a"), tasks.limits("b"));
        assert_eq!(tasks.turn("a", "1", Timestamp::UNIX_EPOCH), Turn::Now);
        assert!(matches!(tasks.turn("b", "2", Timestamp::UNIX_EPOCH), Turn::At { .. }));
    }
}
