//! What a worker is told of a task's end, after it was written.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::{
    delivery::{Message, Received, Settlement},
    events::Events,
    outcome::Outcome,
};

/// The end of one run of a task, once it stands in Redis.
///
/// Its slot stays taken until this is dropped, so that whoever acts on ends too slowly slows
/// claiming instead of filling the memory.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ended {
    /// The message.
    pub received: Arc<Received>,
    /// How it ended.
    pub outcome: Outcome,
    /// How long its handler ran; `None` when none did.
    pub ran: Option<Duration>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Ended {
    /// The end that a settlement is; none where the message could not be read.
    pub(crate) fn of(settlement: &Settlement, slot: Option<OwnedSemaphorePermit>) -> Option<Self> {
        let Message::Read(received) = &settlement.message else { return None };
        Some(Self {
            received: received.clone(),
            outcome: settlement.ending.outcome.clone(),
            ran: settlement.ran,
            _slot: slot,
        })
    }
}

/// Tells of each end: those who read events, and whoever of ours asked.
#[derive(Debug)]
pub(crate) struct Ends {
    events: Arc<Events>,
    listener: OnceLock<mpsc::UnboundedSender<Ended>>,
}

impl Ends {
    pub(crate) fn new(events: Arc<Events>) -> Self {
        Self { events, listener: OnceLock::new() }
    }

    /// Returns what is told of each end from now on; the second one's receiver is told nothing.
    pub(crate) fn listen(&self) -> mpsc::UnboundedReceiver<Ended> {
        let (sender, receiver) = mpsc::unbounded_channel();
        // There is one listener.
        let _ = self.listener.set(sender);
        receiver
    }

    /// Tells whether anybody wants to know.
    pub(crate) fn are_wanted(&self) -> bool {
        self.listener.get().is_some() || self.events.on()
    }

    pub(crate) fn tell(&self, ended: Ended) {
        let headers = &ended.received.envelope.headers;
        self.events.ended(headers, &ended.outcome, ended.ran);
        if let Some(listener) = self.listener.get() {
            // Whoever asked has gone by itself.
            let _ = listener.send(ended);
        }
    }
}
