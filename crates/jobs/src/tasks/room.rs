//! How much of Redis's memory what we keep for ourselves may take: the queue on the same server
//! goes before it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rhubarb_connection::{Redis, memory};

/// A plan changes seldom.
const BELIEVED: Duration = Duration::from_secs(600);

/// The room of one use on one server.
#[derive(Clone, Debug)]
pub(super) struct Room {
    redis: Redis,
    wanted: usize,
    /// It has at most one such part of the server's `maxmemory`.
    part: u64,
    known: Arc<Mutex<Option<(Instant, usize)>>>,
}

impl Room {
    /// Returns the room for this many bytes, and at most one `part`th of a server that has a limit.
    pub(super) fn new(redis: Redis, wanted: usize, part: u64) -> Self {
        Self { redis, wanted, part, known: Arc::default() }
    }

    /// Tells whether there is none by setting.
    pub(super) fn is_none(&self) -> bool {
        self.wanted == 0
    }

    /// Returns how many bytes there are. A server that does not tell its limit is believed to have
    /// none.
    pub(super) async fn bytes(&self) -> usize {
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, bytes)) = known
            && at.elapsed() < BELIEVED
        {
            return bytes;
        }
        let info = self.redis.query::<String>(redis::cmd("INFO").arg("memory")).await;
        let share = memory::share(self.wanted as u64, self.part, &info.unwrap_or_default());
        let bytes = usize::try_from(share).unwrap_or(usize::MAX);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), bytes));
        bytes
    }
}
