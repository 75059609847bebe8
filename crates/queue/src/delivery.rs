//! A message in a worker's hands, and the ticket that ends its claim.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rhubarb_wire::Envelope;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::outcome::Outcome;

/// Names one claim of one worker: the queue's index among the worker's queues, and the claim's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClaimId {
    pub(crate) queue: usize,
    pub(crate) number: u64,
}

/// A claimed message, decoded as far as its headers: what a handler's runtime receives.
///
/// Whoever drops it without an outcome hands it back: the message returns to its queue and no attempt is
/// burnt.
#[derive(Debug)]
pub struct Delivery {
    /// The message.
    pub envelope: Arc<Envelope>,
    /// The queue that it came from.
    pub queue: String,
    /// How often a worker died with it before.
    pub deliveries: u32,
    /// When it was claimed, on Redis's clock.
    pub received_at: Timestamp,
    pub(crate) ticket: Option<Ticket>,
}

impl Delivery {
    /// Takes out what ends the claim. Only the first call has it.
    pub(crate) fn take_ticket(&mut self) -> Option<Ticket> {
        self.ticket.take()
    }
}

/// The end of a claim that was decided but not yet written.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) claim: ClaimId,
    pub(crate) message: Message,
    pub(crate) outcome: Outcome,
}

/// What is known of the message that a settlement ends.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// It could be read.
    Read(Arc<Envelope>),
    /// It could not: the raw bytes, or the first and the last of them when it is too large.
    Raw(Arc<RawMessage>),
}

/// A message that could not be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawMessage {
    pub(crate) bytes: Vec<u8>,
    pub(crate) size: usize,
    pub(crate) task_id: Option<String>,
    pub(crate) task: Option<String>,
}

/// Ends a claim once: with an outcome, or by handing back when dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    claim: ClaimId,
    message: Message,
    settlements: mpsc::UnboundedSender<Settlement>,
    slot: Mutex<Option<OwnedSemaphorePermit>>,
    settled: bool,
}

impl Ticket {
    pub(crate) fn new(
        claim: ClaimId,
        message: Message,
        settlements: mpsc::UnboundedSender<Settlement>,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        Self { claim, message, settlements, slot: Mutex::new(Some(slot)), settled: false }
    }

    /// Gives the outcome to the settling role and frees the slot.
    pub(crate) fn settle(mut self, outcome: Outcome) {
        self.send(outcome);
    }

    /// Frees the slot while the claim stays held.
    pub(crate) fn without_slot(mut self) -> Self {
        self.slot = Mutex::new(None);
        self
    }

    /// Binds other slots to the claim's end.
    pub(crate) fn with_slot(mut self, slot: OwnedSemaphorePermit) -> Self {
        self.slot = Mutex::new(Some(slot));
        self
    }

    fn send(&mut self, outcome: Outcome) {
        self.settled = true;
        let message = self.message.clone();
        // A closed channel means that the process is ending; the lease ends too, and the message is reaped.
        let _ = self.settlements.send(Settlement { claim: self.claim, message, outcome });
        drop(self.slot.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.settled {
            self.send(Outcome::HandBack);
        }
    }
}
