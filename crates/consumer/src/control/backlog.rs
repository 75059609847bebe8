//! What is to be written to Redis because of commands: in order and bounded.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rhubarb_connection::Backoff;
use rhubarb_queue::Error;
use tokio::sync::{Notify, watch};

/// How many are written in one go.
const CHUNK: usize = 500;

/// What is not written yet.
#[derive(Debug)]
pub(crate) struct Backlog<T> {
    /// The most that wait.
    max: usize,
    waiting: Mutex<Waiting<T>>,
    /// Told when something was added.
    added: Notify,
    state: watch::Sender<State>,
}

#[derive(Debug)]
struct Waiting<T> {
    items: VecDeque<T>,
    /// How many were ever added.
    added: u64,
}

/// How far the writing has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    /// How many of all that were ever added wait no longer.
    done: u64,
    /// Whether the last try failed.
    failing: bool,
}

impl<T: Clone> Backlog<T> {
    pub(crate) fn new(max: usize) -> Self {
        let waiting = Mutex::new(Waiting { items: VecDeque::new(), added: 0 });
        let state = watch::Sender::new(State::default());
        Self { max, waiting, added: Notify::new(), state }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what is to be written; the oldest give way where they are too many.
    pub(crate) fn add(&self, items: impl IntoIterator<Item = T>) {
        let mut waiting = self.waiting();
        let before = waiting.items.len();
        waiting.items.extend(items);
        waiting.added += (waiting.items.len() - before) as u64;
        let over = waiting.items.len().saturating_sub(self.max);
        waiting.items.drain(..over);
        drop(waiting);
        self.added.notify_one();
    }

    /// Returns how many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting().items.len()
    }

    /// Waits until all that was added so far is written, or a try has failed.
    pub(crate) async fn tried(&self) {
        let place = self.waiting().added;
        // The sender is ours.
        let _ = self.state.subscribe().wait_for(|state| state.done >= place || state.failing).await;
    }

    /// Waits until there is something to be written; returns the oldest of it, and the next's
    /// place.
    pub(crate) async fn next(&self) -> (Vec<T>, u64) {
        loop {
            let (chunk, end) = self.oldest();
            if !chunk.is_empty() {
                return (chunk, end);
            }
            self.added.notified().await;
        }
    }

    /// Notes what became of writing what stands before a place; waits where it failed.
    pub(crate) async fn wrote(&self, end: u64, written: Result<(), Error>, backoff: &mut Backoff) {
        let failing = written.is_err();
        if !failing {
            self.take(end);
            *backoff = Backoff::default();
        }
        let before = self.state.send_replace(State { done: self.done(), failing });
        let Err(error) = written else { return };
        if !before.failing && !error.is_logged() {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let waiting = self.len();
            tracing::warn!(
                %error, cause, waiting,
                "what was revoked holds in this worker, and is not written to Redis, trying again"
            );
        }
        backoff.sleep().await;
    }

    fn oldest(&self) -> (Vec<T>, u64) {
        let waiting = self.waiting();
        let chunk: Vec<T> = waiting.items.iter().take(CHUNK).cloned().collect();
        let first = waiting.added - waiting.items.len() as u64;
        let end = first + chunk.len() as u64;
        (chunk, end)
    }

    /// Forgets what stands before a place. What gave way meanwhile is gone already.
    fn take(&self, end: u64) {
        let mut waiting = self.waiting();
        while waiting.added - (waiting.items.len() as u64) < end {
            waiting.items.pop_front();
        }
    }

    fn done(&self) -> u64 {
        let waiting = self.waiting();
        waiting.added - waiting.items.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_that_waits_is_written_in_order_and_again_after_a_failure() {
        let backlog = Backlog::new(10_000);
        backlog.add(0..1_200);
        let (mut written, mut backoff) = (Vec::new(), Backoff::default());
        for fails in [true, false, true, false, false] {
            let (chunk, end) = backlog.next().await;
            if fails {
                let error = Error::Refused("not now".to_owned());
                backlog.wrote(end, Err(error), &mut backoff).await;
                backlog.tried().await;
                continue;
            }
            written.extend(chunk);
            backlog.wrote(end, Ok(()), &mut backoff).await;
        }
        assert_eq!(written, (0..1_200).collect::<Vec<_>>());
        backlog.tried().await;
        assert_eq!(backlog.len(), 0);
    }

    #[tokio::test]
    async fn the_oldest_give_way_also_while_they_are_being_written() {
        let backlog = Backlog::new(3);
        backlog.add(0..5);
        let (chunk, end) = backlog.next().await;
        assert_eq!((chunk, end), (vec![2, 3, 4], 5));
        backlog.add([5]);
        backlog.take(end);
        assert_eq!(backlog.next().await, (vec![5], 6));
        assert_eq!(backlog.len(), 1);
    }
}
