//! The two steps of stopping: finish what runs, then hand back at once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A signal that asks a process to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGTERM, from the platform; it may come again and again.
    Terminate,
    /// SIGINT, from a person at a terminal.
    Interrupt,
}

/// Whether the process is stopping, shared by all its parts.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    abort: CancellationToken,
    interrupted: Arc<AtomicBool>,
}

impl Shutdown {
    /// Returns one that nothing has asked to stop.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a signal: the first starts the drain; a second SIGINT ends it. Further SIGTERMs change
    /// nothing, because Heroku repeats them.
    pub fn request(&self, signal: StopSignal) {
        self.drain.cancel();
        if signal == StopSignal::Interrupt && self.interrupted.swap(true, Ordering::SeqCst) {
            self.abort.cancel();
        }
    }

    /// Tells whether a stop was asked for.
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Returns the token that is cancelled when a stop is asked for: take no new work, finish what
    /// runs.
    pub fn drain(&self) -> &CancellationToken {
        &self.drain
    }

    /// Returns the token that is cancelled when nothing is to be waited for any more: hand back at
    /// once.
    pub fn abort(&self) -> &CancellationToken {
        &self.abort
    }

    /// Waits until a stop is asked for.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    pub async fn drained(&self) {
        self.drain.cancelled().await;
    }

    /// Catches SIGTERM and SIGINT from now on; the returned future hands them to `self` for as long
    /// as it is polled.
    ///
    /// # Errors
    ///
    /// The runtime has no signal driver, or the system refuses the handler.
    pub fn listen(&self) -> std::io::Result<impl Future<Output = ()> + Send + use<>> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        Ok(async move {
            loop {
                let caught = tokio::select! {
                    _ = terminate.recv() => StopSignal::Terminate,
                    _ = interrupt.recv() => StopSignal::Interrupt,
                };
                if !shutdown.is_draining() {
                    tracing::info!(signal = ?caught, "stopping");
                }
                shutdown.request(caught);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(signals: &[StopSignal]) -> (bool, bool) {
        let shutdown = Shutdown::new();
        let seen_by_parts = shutdown.clone();
        signals.iter().for_each(|signal| shutdown.request(*signal));
        (seen_by_parts.is_draining(), seen_by_parts.abort().is_cancelled())
    }

    #[test]
    fn further_sigterms_are_ignored_and_a_second_sigint_ends_the_drain() {
        use StopSignal::{Interrupt, Terminate};
        assert_eq!(after(&[]), (false, false));
        assert_eq!(after(&[Terminate]), (true, false));
        assert_eq!(after(&[Terminate, Terminate, Terminate]), (true, false));
        assert_eq!(after(&[Interrupt]), (true, false));
        assert_eq!(after(&[Terminate, Interrupt]), (true, false));
        assert_eq!(after(&[Interrupt, Terminate, Interrupt]), (true, true));
    }

    #[tokio::test]
    async fn waiting_parts_wake_when_a_stop_is_asked_for() {
        let shutdown = Shutdown::new();
        let (drained, ()) = tokio::join!(shutdown.drained(), async {
            shutdown.request(StopSignal::Terminate);
        });
        drained
    }
}
