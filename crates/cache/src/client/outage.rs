//! What is said while Redis fails or is full, once and not with every call.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::error::Error;

/// How often ignored failures are told at most.
const INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Outage {
    /// Whether the last value was not written because the server is out of memory.
    full: AtomicBool,
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
        let is_full = written.as_ref().is_err_and(Error::is_out_of_memory);
        let was_full = self.full.swap(is_full, Ordering::Relaxed);
        match written {
            Err(error) if is_full => {
                if !was_full {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause, prefix, "redis is out of memory: values are not cached");
                }
                Ok(nothing)
            }
            written => {
                if was_full {
                    tracing::info!(prefix, "redis has memory again: values are cached");
                }
                written
            }
        }
    }
}
