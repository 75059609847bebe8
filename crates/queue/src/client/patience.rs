//! Waits for a Redis that is out of memory: publishing takes memory, and workers free it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{self, Duration},
};

use ::redis::FromRedisValue;
use rhubarb_connection::{Backoff, Redis, Spell, Telling, spell::NEAR_THE_LIMIT};
use tokio::time::Instant;

/// Since when the server refuses what takes memory, if it does. Clones share it, so that it is said
/// once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patience {
    full: Arc<Mutex<Option<Spell>>>,
}

impl Patience {
    /// Sends a pipeline, and again for so long, as long as the answer is that the server is out of
    /// memory; once more where it is that another server serves us.
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
        let mut is_second = false;
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
                // Said to a server that has become a replica: the next try is on a new connection.
                Err(error) if error.is_elsewhere() && !is_second => is_second = true,
                Ok(done) => {
                    self.note_free();
                    return Ok(done);
                }
                other => return other,
            }
        }
    }

    fn note_full(&self, error: &rhubarb_connection::Error) {
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        match Spell::note(&mut full, NEAR_THE_LIMIT, time::Instant::now()) {
            Some(Telling::Begins) => {
                tracing::warn!(%error, "redis is out of memory: publishing waits for it");
            }
            Some(Telling::GoesOn(full)) => {
                let full_s = full.as_secs_f64();
                tracing::warn!(%error, full_s, "redis is still out of memory: publishing waits for it");
            }
            None => {}
        }
    }

    fn note_free(&self) {
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(was) = full.as_ref().and_then(|full| full.over(time::Instant::now())) {
            *full = None;
            let full_s = was.as_secs_f64();
            tracing::info!(full_s, "redis has memory again: publishing goes on");
        }
    }
}
