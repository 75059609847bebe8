//! Waiting between tries: exponential, capped, jittered.

use std::time::Duration;

use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::{Push, Redis};

/// The next wait of a loop that tries for ever.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    tries: u32,
    /// Whether the last wait was cut short.
    woken: bool,
}

impl Default for Backoff {
    /// From 50 ms up to 5 s: a restarted server is found at once, a dead one is asked every few
    /// seconds.
    fn default() -> Self {
        Self::new(Duration::from_millis(50), Duration::from_secs(5))
    }
}

impl Backoff {
    /// Makes one that begins at `first` and never waits longer than `cap`.
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self { first, cap, tries: 0, woken: false }
    }

    /// Returns the next wait: between a half and the whole of the doubled one, so that many clients
    /// part.
    pub fn next_wait(&mut self) -> Duration {
        let whole = ceiling(self.first, self.cap, self.tries);
        self.tries = self.tries.saturating_add(1);
        whole.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// Begins anew after a success.
    pub fn reset(&mut self) {
        self.tries = 0;
    }

    /// Sleeps for the next wait.
    ///
    /// # Cancel safety
    ///
    /// Safe; a cancelled sleep still counts as a try.
    pub async fn sleep(&mut self) {
        tokio::time::sleep(self.next_wait()).await;
    }

    /// Sleeps for the next wait after a connection was lost, but only until one stands again.
    ///
    /// After a wait that was cut short the next one is whole: a server that takes connections and
    /// ends each at its first command is not asked without a pause.
    ///
    /// # Cancel safety
    ///
    /// As for [`Backoff::sleep`].
    pub async fn sleep_until_back(&mut self, redis: &Redis) {
        let mut pushes = redis.pushes();
        let wait = tokio::time::sleep(self.next_wait());
        if std::mem::take(&mut self.woken) {
            return wait.await;
        }
        // Somebody else may have connected before we listened.
        self.woken = redis.connection_number().is_some();
        if !self.woken {
            tokio::select! {
                () = wait => {}
                () = connected(&mut pushes) => self.woken = true,
            }
        }
    }
}

async fn connected(pushes: &mut Receiver<Push>) {
    // Whoever has missed something may have missed that.
    while !matches!(pushes.recv().await, Ok(Push::Connected) | Err(RecvError::Lagged(_))) {}
}

fn ceiling(first: Duration, cap: Duration, tries: u32) -> Duration {
    first.saturating_mul(1_u32.checked_shl(tries.min(31)).unwrap_or(u32::MAX)).min(cap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_doubles_is_capped_and_jittered_down_to_half() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for expect in [100, 200, 400, 800, 1000, 1000] {
            let wait = backoff.next_wait();
            let whole = Duration::from_millis(expect);
            assert!(wait >= whole / 2 && wait <= whole, "{wait:?} of {whole:?}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= Duration::from_millis(100));
    }

    #[test]
    fn a_thousand_tries_do_not_overflow() {
        let mut backoff = Backoff::default();
        for _ in 0..1000 {
            assert!(backoff.next_wait() <= Duration::from_secs(5));
        }
    }
}
