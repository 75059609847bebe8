//! The broker as this worker reaches it.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use rhubarb_connection::{Backoff, Connections, Redis, Role};
use rhubarb_core::clock;
use rhubarb_queue::{Client, Config, Error, keys::QueueKeys};
use tokio::time::Instant;

use crate::{notices::Notices, queues::Queues};

/// The connection, who this worker is on it, the queues that it serves there, and Redis's clock.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) queue: Redis,
    pub(crate) client: Client,
    pub(crate) id: String,
    pub(crate) node: String,
    pub(crate) queues: Queues,
    /// Which ends somebody is told of.
    pub(crate) notices: Notices,
    /// Redis's clock as it was last told, and when that was.
    clock: Mutex<Option<(Timestamp, Instant)>>,
}

impl Broker {
    pub(crate) fn new(
        connections: &Connections,
        config: &Config,
        (node, id): (String, String),
    ) -> Self {
        let queue = connections.role(Role::Queue);
        // A claim for every slot, besides what any answer may take.
        let claims = config.concurrency() as u64 * config.worker.max_message_bytes as u64;
        queue.expect_answers_of(claims.saturating_add(64 << 20));
        let queues = config.worker_queues();
        Self {
            queue,
            client: Client::new(connections, config),
            id,
            node,
            notices: Notices::new(config),
            queues: Queues::new(queues.iter().map(|name| QueueKeys::new(name, &config.celery))),
            clock: Mutex::default(),
        }
    }

    /// Waits after a failure: for the next try, or until a lost connection stands again.
    pub(crate) async fn wait_out(&self, error: &Error, backoff: &mut Backoff) {
        if error.is_unreachable() {
            backoff.sleep_until_back(&self.queue).await;
        } else {
            backoff.sleep().await;
        }
    }

    /// Notes Redis's clock as a script told it.
    pub(crate) fn set_clock(&self, now: Timestamp) {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Instant::now()));
    }

    /// Returns Redis's clock: what it last told, and the time that has passed here since.
    pub(crate) fn now(&self) -> Timestamp {
        let told = *self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((at, since)) = told else { return clock::now() };
        SignedDuration::try_from(since.elapsed())
            .ok()
            .and_then(|passed| at.checked_add(passed).ok())
            .unwrap_or(at)
    }
}
