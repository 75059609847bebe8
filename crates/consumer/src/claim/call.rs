//! What a claim is called with.

use std::sync::Arc;

use rhubarb_queue::{Error, config::WorkerConfig, fields, keys::QueueKeys};

use super::Answer;
use crate::{broker::Broker, handout::Handout};

/// The keys of a claim.
pub(crate) fn keys(broker: &Broker, queue: &QueueKeys) -> Vec<String> {
    let mut keys = vec![
        queue.claims(&broker.id),
        queue.leases.clone(),
        queue.scheduled.clone(),
        queue.paused.clone(),
        queue.deliveries.clone(),
    ];
    keys.extend(queue.lists.iter().cloned());
    keys
}

/// The arguments of a claim of up to `n` messages, of which `at_once` bytes are handed out.
pub(crate) fn arguments(
    id: &str,
    config: &WorkerConfig,
    n: usize,
    number: u64,
    at_once: usize,
) -> Vec<Vec<u8>> {
    vec![
        n.to_string().into_bytes(),
        id.to_owned().into_bytes(),
        config.lease.as_millis().to_string().into_bytes(),
        number.to_string().into_bytes(),
        config.max_message_bytes.to_string().into_bytes(),
        at_once.to_string().into_bytes(),
    ]
}

/// What calls the scripts that claim.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) broker: Arc<Broker>,
    pub(crate) config: Arc<WorkerConfig>,
    /// How many bytes Redis may hand out at once.
    pub(crate) handout: Handout,
}

impl Caller {
    /// The arguments of a claim of up to `n` messages.
    pub(super) fn arguments(&self, n: usize, number: u64) -> Vec<Vec<u8>> {
        arguments(&self.broker.id, &self.config, n, number, self.at_once())
    }

    /// How many bytes of messages a claim hands out, and how many a piece of one has.
    fn at_once(&self) -> usize {
        self.handout.at_once().min(self.config.max_message_bytes)
    }

    /// What goes before a claim so that the server tracks the keys that it reads.
    pub(super) fn caching(&self) -> Vec<::redis::Cmd> {
        let mut caching = ::redis::cmd("CLIENT");
        caching.arg("CACHING").arg("YES");
        if self.broker.queue.tracks() { vec![caching] } else { Vec::new() }
    }

    /// Reads the messages that did not fit into an answer, in pieces that do.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]: all of the answer goes back by reconciling.
    pub(super) async fn complete(&self, idx: usize, answer: &mut Answer) -> Result<(), Error> {
        let (broker, max) = (&self.broker, self.config.max_message_bytes);
        let key = broker.queues[idx].claims(&broker.id);
        for claimed in answer.left_out(max) {
            let (number, at_once) = (claimed.number.to_string(), self.at_once());
            let read = fields::in_pieces(&broker.queue, &key, number.as_bytes(), at_once).await?;
            if let Some(recorded) = read {
                claimed.complete(recorded);
            }
        }
        answer.keep_whole(max);
        Ok(())
    }
}
