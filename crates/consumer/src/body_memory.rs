//! The memory of the bodies that a worker works on at once.
//!
//! A body's values take many times its bytes. Each body is bounded by itself when it is read; here
//! all of them are bounded together, so that large messages wait for each other while small ones
//! pass.

use std::sync::Arc;

use rhubarb_wire::{Body, memory, memory_of};
use tokio::sync::Semaphore;

use crate::{delivery::Received, turns::Turns};

/// The largest body that is read without a look at the others, bytes.
const SMALL: usize = 16 << 10;

/// The least that all may take together, bytes.
const LEAST: usize = 192 << 20;

/// How many times the greatest message all may take together.
const TIMES: usize = 24;

/// What is counted at once, bytes: a semaphore has no more than 2^29 permits on small machines.
const UNIT: usize = 1 << 10;

/// What the bodies in work may take together. Clones share it.
#[derive(Clone, Debug)]
pub struct BodyMemory {
    units: Arc<Semaphore>,
    all: usize,
    reading: Turns,
}

impl BodyMemory {
    /// Memory for messages of at most `max_message_bytes`.
    pub fn for_messages_of(max_message_bytes: usize) -> Self {
        let all = LEAST.max(max_message_bytes.saturating_mul(TIMES)) / UNIT;
        Self { units: Arc::new(Semaphore::new(all)), all, reading: Turns::default() }
    }

    /// Reads a message's body when there is memory for it, which it holds until the message is let
    /// go.
    ///
    /// # Cancel safety
    ///
    /// A dropped call leaves the body perhaps read.
    pub async fn read(&self, received: &Received) {
        let is_packed = received.envelope.headers.compression.is_some();
        if received.envelope.body_len() <= SMALL && !is_packed {
            return;
        }
        // One at a time: how much it takes is known when it is read.
        let _turn = self.reading.turn().await;
        let Ok(body) = received.body() else { return };
        let units = (2 * weight(body)).div_ceil(UNIT).min(self.all);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        if let Ok(held) = self.units.clone().acquire_many_owned(units).await {
            received.keep_memory(held);
        }
    }
}

/// About what a body takes; its arguments are taken twice, here and in the handler's hands.
fn weight(body: &Body) -> usize {
    let embed = &body.embed;
    let all = embed.callbacks.iter().chain(&embed.errbacks).chain(&embed.chain).chain(&embed.chord);
    body.args.iter().map(memory).sum::<usize>()
        + memory_of(&body.kwargs)
        + all.map(rhubarb_queue::canvas::weight).sum::<usize>()
}
