//! Waits for a Redis that is out of memory: publishing takes memory, and workers free it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::redis::FromRedisValue;
use rhubarb_connection::{Backoff, Redis};
use tokio::time::Instant;

/// Since when the server refuses what takes memory, if it does. Clones share it, so that it is said once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patience {
    full_since: Arc<Mutex<Option<Instant>>>,
}

impl Patience {
    /// Sends a pipeline, and again for so long, as long as the answer is that the server is out of memory.
    ///
    /// The pipeline must change nothing when it is refused.
    pub(crate) async fn pipe<T: FromRedisValue>(
        &self,
        redis: &Redis,
        pipeline: &::redis::Pipeline,
        patience: Duration,
    ) -> Result<T, rhubarb_connection::Error> {
        let until = Instant::now() + patience;
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        loop {
            match redis.pipe(pipeline).await {
                Err(error) if error.is_out_of_memory() => {
                    self.note_full(&error);
                    let wait = backoff.next_wait();
                    if Instant::now() + wait >= until {
                        return Err(error);
                    }
                    tokio::time::sleep(wait).await;
                }
                Ok(done) => {
                    self.note_free();
                    return Ok(done);
                }
                other => return other,
            }
        }
    }

    fn note_full(&self, error: &rhubarb_connection::Error) {
        let mut since = self.full_since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.is_none() {
            *since = Some(Instant::now());
            tracing::warn!(%error, "redis is out of memory: publishing waits for it");
        }
    }

    fn note_free(&self) {
        let since = self.full_since.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(since) = since {
            let full_s = since.elapsed().as_secs_f64();
            tracing::info!(full_s, "redis has memory again: publishing goes on");
        }
    }
}
