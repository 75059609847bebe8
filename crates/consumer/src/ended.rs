//! What a worker is told of a task's end, after it was written.

use std::{sync::Arc, time::Duration};

use tokio::sync::OwnedSemaphorePermit;

use crate::{
    delivery::{Message, Received, Settlement},
    outcome::Outcome,
};

/// The end of one run of a task, once it stands in Redis.
///
/// Its slot stays taken until this is dropped, so that whoever acts on ends too slowly slows
/// claiming instead of filling the memory.
#[derive(Debug)]
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
