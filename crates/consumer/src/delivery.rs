//! A message in a worker's hands, and the ticket that ends its claim.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use rhubarb_queue::{letter::Attempt, published};
use rhubarb_trace::Running;
use rhubarb_wire::{Body, DecodeError, Envelope};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::{
    outcome::{Ending, Outcome},
    tasks::ResultPolicy,
};

/// Names one claim of one worker: the queue's index among the worker's queues, and the claim's
/// number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClaimId {
    pub(crate) queue: usize,
    pub(crate) number: u64,
}

/// A message as it came in: its envelope, and its body once somebody has asked for it.
///
/// The arguments are needed to run a task, and what follows it (callbacks, chain, chord) to end it:
/// both read the same body, which is decoded once.
#[derive(Debug)]
#[non_exhaustive]
pub struct Received {
    /// The envelope.
    pub envelope: Envelope,
    max_body_bytes: usize,
    body: OnceLock<Result<Body, DecodeError>>,
    /// Whose results are stored, as the task's registration says.
    pub(crate) stores: ResultPolicy,
    /// The deaths of workers that are known, the oldest first.
    pub(crate) deaths: Vec<Attempt>,
    /// How long it waited to be claimed, where its publisher says when it was published.
    pub(crate) waited: Option<Duration>,
    /// Its trace.
    pub trace: Running,
    /// The process that runs it, where that is not the worker's own; 0 for none.
    process: AtomicU32,
    /// The memory that the body was given.
    memory: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Received {
    /// Takes an envelope whose body may have at most `max_body_bytes` after decompression.
    pub fn new(envelope: Envelope, max_body_bytes: usize) -> Self {
        Self {
            trace: Running::new(&envelope.headers.other),
            envelope,
            max_body_bytes,
            body: OnceLock::new(),
            stores: ResultPolicy::default(),
            deaths: Vec::new(),
            waited: None,
            process: AtomicU32::new(0),
            memory: Mutex::default(),
        }
    }

    /// Adds what its message does not tell: whether its states are stored, and who died with it.
    pub(crate) fn told(self, stores: ResultPolicy, deaths: Vec<Attempt>) -> Self {
        Self { stores, deaths, ..self }
    }

    /// Adds how long it waited to be claimed `now`: from when it was published, or was due. Of one
    /// that was claimed before that is not known.
    pub(crate) fn claimed(self, now: Timestamp, due: Option<Timestamp>) -> Self {
        let tag = self.envelope.properties.delivery_tag.as_deref();
        let tag = tag.filter(|_| self.deaths.is_empty());
        let published = tag.and_then(published::time_of);
        let since = published.map(|at| due.map_or(at, |due| due.max(at)));
        let waited = since.map(|since| now.duration_since(since));
        // Their clock may be ahead of Redis's.
        let waited = waited.map(|waited| Duration::try_from(waited).unwrap_or_default());
        Self { waited, ..self }
    }

    /// Keeps what the body was given of the worker's memory for as long as the message is there.
    pub(crate) fn keep_memory(&self, memory: OwnedSemaphorePermit) {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = Some(memory);
    }

    /// Notes that it runs in another process than the worker's own.
    pub fn runs_in(&self, process: u32) {
        self.process.store(process, Ordering::Relaxed);
    }

    /// Returns the other process that it runs in.
    pub(crate) fn process(&self) -> Option<u32> {
        Some(self.process.load(Ordering::Relaxed)).filter(|process| *process != 0)
    }

    /// Tells whether the body was read already, without anything that follows the task.
    pub(crate) fn ends_alone(&self) -> bool {
        let body = self.body.get().and_then(|body| body.as_ref().ok());
        body.is_some_and(|body| {
            let embed = &body.embed;
            embed.chord.is_none()
                && embed.chain.is_empty()
                && embed.callbacks.is_empty()
                && embed.errbacks.is_empty()
        })
    }

    /// Returns the body; the first call decodes it.
    ///
    /// # Errors
    ///
    /// The body cannot be read, now or ever.
    pub fn body(&self) -> Result<&Body, &DecodeError> {
        self.body.get_or_init(|| self.envelope.body(self.max_body_bytes)).as_ref()
    }
}

/// A claimed message, decoded as far as its headers: what a handler's runtime receives.
///
/// Whoever drops it without an outcome hands it back: the message returns to its queue and no
/// attempt is burnt.
#[derive(Debug)]
#[non_exhaustive]
pub struct Delivery {
    /// The message.
    pub received: Arc<Received>,
    /// The queue that it came from.
    pub queue: String,
    /// How often a worker died with it before.
    pub deliveries: u32,
    /// When it was claimed, on Redis's clock.
    pub received_at: Timestamp,
    pub(crate) ticket: Option<Ticket>,
}

impl Delivery {
    /// A message that nobody has claimed, and that is nobody's to end: for tests.
    pub fn unclaimed(received: Arc<Received>, queue: String) -> Self {
        Self {
            received,
            queue,
            deliveries: 0,
            received_at: rhubarb_core::clock::now(),
            ticket: None,
        }
    }

    /// Returns the message's envelope.
    pub fn envelope(&self) -> &Envelope {
        &self.received.envelope
    }

    /// Frees the slot while the claim stays held.
    pub(crate) fn without_slot(mut self) -> Self {
        self.ticket = self.ticket.map(Ticket::without_slot);
        self
    }

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
    pub(crate) ending: Ending,
    /// How long its handler ran; `None` when none did.
    pub(crate) ran: Option<Duration>,
    /// The slot of whoever is told of the end; nobody, mostly.
    pub(crate) slot: Option<OwnedSemaphorePermit>,
}

impl Settlement {
    /// Gives back a claim of which nothing but its number is known.
    pub(crate) fn of_lost_answer(claim: ClaimId) -> Self {
        let message = Message::Raw(Arc::new(RawMessage::default()));
        Self { claim, message, ending: Outcome::HandBack.into(), ran: None, slot: None }
    }
}

/// The way to the settling role.
#[derive(Clone, Debug)]
pub(crate) struct Settlements {
    sender: mpsc::UnboundedSender<Settlement>,
    keeps_slots: Arc<AtomicBool>,
}

impl Settlements {
    pub(crate) fn channel() -> (Self, mpsc::UnboundedReceiver<Settlement>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender, keeps_slots: Arc::default() }, receiver)
    }

    /// From now on a task's slot stays taken until whoever is told of its end drops it.
    pub(crate) fn keep_slots(&self) {
        self.keeps_slots.store(true, Ordering::Relaxed);
    }

    /// Passes one on; a closed channel means that the process is ending, and the lease with it.
    pub(crate) fn send(&self, settlement: Settlement) {
        let _ = self.sender.send(settlement);
    }
}

/// What is known of the message that a settlement ends.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// It could be read.
    Read(Arc<Received>),
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
    pub(crate) deaths: Vec<Attempt>,
}

/// Ends a claim once: with an outcome, or by handing back when dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    claim: ClaimId,
    message: Message,
    settlements: Settlements,
    slot: Mutex<Option<OwnedSemaphorePermit>>,
    settled: bool,
}

impl Ticket {
    pub(crate) fn new(
        claim: ClaimId,
        message: Message,
        settlements: Settlements,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        Self { claim, message, settlements, slot: Mutex::new(Some(slot)), settled: false }
    }

    /// Returns the claim that it ends.
    pub(crate) fn claim(&self) -> ClaimId {
        self.claim
    }

    /// Gives the outcome of a message that no handler was asked to run to the settling role, and
    /// frees the slot.
    pub(crate) fn settle(mut self, outcome: Outcome) {
        self.send(outcome.into(), None);
    }

    /// Gives the ending of a handler that ran for so long to the settling role, and frees the
    /// slot.
    pub(crate) fn settle_after(mut self, ran: Duration, ending: Ending) {
        self.send(ending, Some(ran));
    }

    pub(crate) fn without_slot(mut self) -> Self {
        self.slot = Mutex::new(None);
        self
    }

    /// Binds other slots to the claim's end.
    pub(crate) fn with_slot(mut self, slot: OwnedSemaphorePermit) -> Self {
        self.slot = Mutex::new(Some(slot));
        self
    }

    fn send(&mut self, ending: Ending, ran: Option<Duration>) {
        self.settled = true;
        let message = self.message.clone();
        let slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let slot = slot.filter(|_| self.settlements.keeps_slots.load(Ordering::Relaxed));
        self.settlements.send(Settlement { claim: self.claim, message, ending, ran, slot });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.settled {
            self.send(Outcome::HandBack.into(), None);
        }
    }
}
