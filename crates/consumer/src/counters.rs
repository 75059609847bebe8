//! What a worker counts.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What has happened since the start. Each only grows.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Claims ended with a final outcome.
    pub processed: AtomicU64,
    /// Claims that were no longer ours when they ended.
    pub late: AtomicU64,
    /// Messages that went to the dead letters.
    pub dead: AtomicU64,
    /// Messages that were parked.
    pub parked: AtomicU64,
    /// Looks at the queues for something to claim that Redis has answered.
    pub rounds: AtomicU64,
    /// Claims, ends and heartbeats that Redis has carried out.
    pub worked: AtomicU64,
    /// Handlers that were begun.
    pub started: AtomicU64,
    /// Broadcasts that were no commands.
    pub garbage: AtomicU64,
    /// Commands that were not answered because too many were being answered.
    pub unanswered: AtomicU64,
    /// Handlers that were begun, by task.
    by_task: Mutex<BTreeMap<String, u64>>,
    /// When the claim loop last turned; at first, when somebody first asked.
    turned: Mutex<Option<Instant>>,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that the claim loop turns, whether Redis answers it or not.
    pub(crate) fn turn(&self) {
        *self.turned.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Returns for how long the claim loop has not turned.
    pub(crate) fn stands_for(&self) -> Duration {
        let mut turned = self.turned.lock().unwrap_or_else(PoisonError::into_inner);
        turned.get_or_insert_with(Instant::now).elapsed()
    }

    /// Counts a handler that begins, of a task that is registered.
    pub(crate) fn began(&self, task: &str) {
        let mut by_task = self.by_task.lock().unwrap_or_else(PoisonError::into_inner);
        match by_task.get_mut(task) {
            Some(n) => *n += 1,
            None => drop(by_task.insert(task.to_owned(), 1)),
        }
    }

    /// Returns how many handlers were begun, by task.
    pub(crate) fn by_task(&self) -> BTreeMap<String, u64> {
        self.by_task.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
