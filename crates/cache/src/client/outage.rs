//! What is said while Redis fails or is full, once and not with every call.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rhubarb_connection::{Spell, Telling, spell::NEAR_THE_LIMIT};

use crate::error::Error;

/// How often ignored failures are told at most.
const INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Outage {
    /// Since values are not written because the server is out of memory.
    full: Mutex<Option<Spell>>,
    ignored: AtomicU64,
    told: Mutex<Option<Instant>>,
}

impl Outage {
    pub(super) fn ignored(&self) -> u64 {
        self.ignored.load(Ordering::Relaxed)
    }

    /// Counts an ignored failure and tells it, if none was told within a minute.
    pub(super) fn ignore(&self, prefix: &str, error: &Error) {
        let ignored = self.ignored.fetch_add(1, Ordering::Relaxed) + 1;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= INTERVAL) {
            *told = Some(Instant::now());
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(%error, cause, prefix, ignored, "going on without the cache");
        }
    }

    /// Lets a write pass that a full server refused; says so once at its start and once at its end.
    pub(super) fn gives_way<T>(
        &self,
        prefix: &str,
        written: Result<T, Error>,
        nothing: T,
    ) -> Result<T, Error> {
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        match written {
            Err(error) if error.is_out_of_memory() => {
                let telling = Spell::note(&mut full, NEAR_THE_LIMIT, Instant::now());
                drop(full);
                tell_full(telling, prefix, &error);
                Ok(nothing)
            }
            written => {
                if full.as_ref().is_some_and(|full| full.over(Instant::now()).is_some()) {
                    *full = None;
                    tracing::info!(prefix, "redis has memory again: values are cached");
                }
                written
            }
        }
    }
}

fn tell_full(telling: Option<Telling>, prefix: &str, error: &Error) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    match telling {
        Some(Telling::Begins) => {
            tracing::warn!(%error, cause, prefix, "redis is out of memory: values are not cached");
        }
        Some(Telling::GoesOn(full)) => {
            let full_s = full.as_secs_f64();
            tracing::warn!(%error, cause, prefix, full_s, "redis is still out of memory: values are not cached");
        }
        None => {}
    }
}
