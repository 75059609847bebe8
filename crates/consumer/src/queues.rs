//! The queues of a worker, which remote control adds and cancels while it runs.

use std::{
    ops::Index,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rhubarb_queue::keys::QueueKeys;

/// The most queues that a worker ever serves, cancelled ones counted.
const MAX: usize = 256;

/// A list that only grows: a claim names its queue by its place in it, whatever becomes of the
/// queue.
#[derive(Debug)]
pub(crate) struct Queues {
    entries: Box<[OnceLock<Entry>]>,
    adding: Mutex<()>,
}

#[derive(Debug)]
struct Entry {
    keys: QueueKeys,
    /// Whether messages are claimed from it.
    active: AtomicBool,
    /// Whether its leases and claims are still looked after.
    watched: AtomicBool,
}

impl Queues {
    pub(crate) fn new(queues: impl IntoIterator<Item = QueueKeys>) -> Self {
        let entries = (0..MAX).map(|_| OnceLock::new()).collect();
        let queues_ = Self { entries, adding: Mutex::default() };
        for keys in queues {
            // The configuration allows fewer than there are places.
            queues_.add(keys);
        }
        queues_
    }

    /// Serves a queue from now on; false when there is no place for a further one.
    pub(crate) fn add(&self, keys: QueueKeys) -> bool {
        let _one_at_a_time = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.entries().find(|entry| entry.keys.name == keys.name) {
            known.watched.store(true, Ordering::SeqCst);
            known.active.store(true, Ordering::SeqCst);
            return true;
        }
        let Some(free) = self.entries.iter().find(|entry| entry.get().is_none()) else {
            return false;
        };
        let entry = Entry { keys, active: AtomicBool::new(true), watched: AtomicBool::new(true) };
        free.set(entry).is_ok()
    }

    /// Claims from a queue no more; what is claimed of it still ends.
    pub(crate) fn cancel(&self, name: &str) {
        if let Some(entry) = self.entries().find(|entry| entry.keys.name == name) {
            entry.active.store(false, Ordering::SeqCst);
        }
    }

    /// Says that nothing of a queue is recorded as ours, so that a cancelled one needs no further
    /// look.
    pub(crate) fn is_empty_of_ours(&self, idx: usize) {
        if let Some(entry) = self.entries[idx].get()
            && !entry.active.load(Ordering::SeqCst)
        {
            entry.watched.store(false, Ordering::SeqCst);
        }
    }

    /// Returns the places of the queues that are claimed from.
    pub(crate) fn active(&self) -> Vec<usize> {
        self.places(|entry| entry.active.load(Ordering::SeqCst))
    }

    /// Returns the places of the queues that are looked after.
    pub(crate) fn watched(&self) -> Vec<usize> {
        self.places(|entry| entry.watched.load(Ordering::SeqCst))
    }

    /// Returns the names of the queues that are claimed from.
    pub(crate) fn names(&self) -> Vec<String> {
        self.active().into_iter().map(|idx| self[idx].name.clone()).collect()
    }

    /// Returns every queue that was ever served.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &QueueKeys> {
        self.entries().map(|entry| &entry.keys)
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map_while(OnceLock::get)
    }

    fn places(&self, holds: impl Fn(&Entry) -> bool) -> Vec<usize> {
        self.entries().enumerate().filter(|(_, entry)| holds(entry)).map(|(idx, _)| idx).collect()
    }
}

impl Index<usize> for Queues {
    type Output = QueueKeys;

    fn index(&self, idx: usize) -> &QueueKeys {
        // A place is told only once it is taken, and stays taken.
        &self.entries[idx].get().expect("the place of a queue is taken").keys
    }
}

#[cfg(test)]
mod tests {
    use rhubarb_queue::Config;

    use super::*;

    fn keys(name: &str) -> QueueKeys {
        QueueKeys::new(name, &Config::default().celery)
    }

    #[test]
    fn a_cancelled_queue_keeps_its_place_and_is_watched_until_it_is_empty() {
        let queues = Queues::new([keys("a"), keys("b")]);
        queues.cancel("a");
        assert_eq!((queues.active(), queues.watched()), (vec![1], vec![0, 1]));
        queues.is_empty_of_ours(0);
        queues.is_empty_of_ours(1);
        assert_eq!(queues.watched(), [1]);
        assert!(queues.add(keys("c")) && queues.add(keys("a")));
        assert_eq!(queues.names(), ["a", "b", "c"]);
        assert_eq!(queues.watched(), [0, 1, 2]);
        assert_eq!(queues[2].name, "c");
    }

    #[test]
    fn the_number_of_queues_is_bounded() {
        let queues = Queues::new([]);
        assert!((0..MAX).all(|n| queues.add(keys(&n.to_string()))));
        assert!(!queues.add(keys("more")));
        assert!(queues.add(keys("7")), "one that was there before");
    }
}
