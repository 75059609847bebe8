//! Kombu's `Broadcast` queues: what is published to all workers of a queue at once, each of which
//! runs it.
//!
//! Such a message stands nowhere in Redis. It is sent on a channel, and who is not connected misses
//! it, as with kombu. What a worker hears it records as claimed by itself, and from there it is
//! like any other message. Whether a queue is of that kind is known only to its producers, so that
//! a worker listens for each of its queues.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use rhubarb_connection::{Backoff, Heard};
use rhubarb_wire::Envelope;
use tokio::{sync::Notify, task::JoinSet};

use crate::{Tasks, broker::Broker, signals::Signals};

/// The most bytes that wait for a slot.
const MOST: usize = 32 << 20;

/// What was heard and waits for a slot.
#[derive(Debug, Default)]
pub(super) struct Broadcasts {
    waiting: Mutex<Waiting>,
    /// Told when a queue was added.
    pub(super) added: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// A queue's place, and the message.
    messages: VecDeque<(usize, Vec<u8>)>,
    bytes: usize,
}

impl Broadcasts {
    /// Puts a message behind the others; false where too much waits already.
    fn put(&self, idx: usize, message: Vec<u8>) -> bool {
        let mut waiting = self.waiting();
        let fits = waiting.bytes + message.len() <= MOST;
        if fits {
            waiting.bytes += message.len();
            waiting.messages.push_back((idx, message));
        }
        fits
    }

    /// Takes the oldest.
    pub(super) fn take(&self) -> Option<(usize, Vec<u8>)> {
        let mut waiting = self.waiting();
        let taken = waiting.messages.pop_front()?;
        waiting.bytes -= taken.1.len();
        Some(taken)
    }

    /// Puts back what was taken, as the oldest.
    pub(super) fn put_back(&self, idx: usize, message: Vec<u8>) {
        let mut waiting = self.waiting();
        waiting.bytes += message.len();
        waiting.messages.push_front((idx, message));
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What hears broadcasts.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) broker: Arc<Broker>,
    pub(super) tasks: Tasks,
    pub(super) broadcasts: Arc<Broadcasts>,
    pub(super) signals: Arc<Signals>,
}

/// Listens until draining begins.
pub(super) async fn run(listener: Listener) {
    let listener = Arc::new(listener);
    let (mut ears, mut heard) = (JoinSet::new(), BTreeSet::new());
    let db = i64::from(listener.broker.queue.db());
    let celery = listener.broker.client.celery();
    loop {
        for idx in listener.broker.queues.active() {
            if heard.insert(idx) {
                let queue = &listener.broker.queues[idx].name;
                for key in [celery.task_default_queue.as_str(), ""] {
                    let prefix = &celery.global_keyprefix;
                    let channel = rhubarb_wire::fanout_channel(prefix, db, queue, key);
                    ears.spawn(hear(listener.clone(), idx, channel));
                }
            }
        }
        tokio::select! {
            () = listener.signals.draining.cancelled() => return,
            () = listener.broadcasts.added.notified() => {}
        }
    }
}

async fn hear(listener: Arc<Listener>, idx: usize, channel: String) {
    // From before the subscription, so that nothing falls between.
    let mut inbox = listener.broker.queue.inbox(&channel);
    let mut backoff = Backoff::default();
    while let Err(error) = listener.broker.queue.subscribe_quietly(&channel).await {
        tracing::debug!(%error, channel, "listening for broadcasts failed");
        if !listener.broker.queue.hears() {
            return;
        }
        backoff.sleep().await;
    }
    while let Some(heard) = inbox.next().await {
        match heard {
            Heard::Message(message) => take(&listener, idx, message),
            Heard::Missed(n) => missed(&listener, idx, n),
            Heard::Connected => {}
        }
    }
}

/// Takes a message that we may run; what we do not know is for those who do, and they have heard
/// it, too.
fn take(listener: &Listener, idx: usize, message: Vec<u8>) {
    let known = |envelope: &Envelope| listener.tasks.contains(&envelope.headers.task);
    let is_strange = Envelope::decode(&message).is_ok_and(|envelope| !known(&envelope));
    if is_strange || !listener.broker.queues.active().contains(&idx) {
        tracing::debug!(queue = listener.broker.queues[idx].name, "a broadcast is none of ours");
    } else if listener.broadcasts.put(idx, message) {
        listener.signals.changed.notify_one();
    } else {
        missed(listener, idx, 1);
    }
}

fn missed(listener: &Listener, idx: usize, n: u64) {
    let queue = &listener.broker.queues[idx].name;
    tracing::warn!(queue, n, "broadcasts are lost here: more than 32 MB wait for a slot");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_by_bytes_and_keeps_its_order() {
        let broadcasts = Broadcasts::default();
        assert!(broadcasts.put(0, vec![1; MOST / 2]) && broadcasts.put(1, vec![2]));
        assert!(!broadcasts.put(0, vec![3; MOST / 2]));
        let (idx, first) = broadcasts.take().unwrap();
        broadcasts.put_back(idx, first);
        assert_eq!(
            broadcasts.take().map(|(idx, message)| (idx, message.len())),
            Some((0, MOST / 2))
        );
        assert_eq!(broadcasts.take(), Some((1, vec![2])));
        assert_eq!(broadcasts.take(), None);
        assert!(broadcasts.put(0, vec![3; MOST]));
    }
}
