//! `worker.max_memory`: a worker that has grown too large finishes what it runs and exits, for its
//! platform to start it again.

use tokio_util::sync::CancellationToken;

use crate::machine;

/// Looks at this process's memory until it was too much once.
pub(super) struct MemoryWatch {
    max_bytes: u64,
    done: bool,
}

impl MemoryWatch {
    /// Zero looks at nothing.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { max_bytes: max_bytes as u64, done: max_bytes == 0 }
    }

    /// Asks the worker to stop, as SIGTERM does, when there is too much.
    pub(super) fn check(&mut self, stop: &CancellationToken) {
        if self.done {
            return;
        }
        let resident_kb = machine::resident_kb();
        if resident_kb == 0 {
            tracing::warn!(
                "worker.max_memory has no effect: this system has no /proc to tell the memory in use"
            );
            self.done = true;
        } else if resident_kb * 1024 > self.max_bytes {
            self.done = true;
            tracing::warn!(
                resident_bytes = resident_kb * 1024,
                max_bytes = self.max_bytes,
                "over worker.max_memory: finishing what runs, then exiting for a restart"
            );
            stop.cancel();
        }
    }
}
