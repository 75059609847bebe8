//! Waiting between tries: exponential, capped, jittered.

use std::time::Duration;

/// The next wait of a loop that tries for ever.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    tries: u32,
}

impl Default for Backoff {
    /// From 50 ms up to 5 s: a restarted server is found at once, a dead one is asked every few seconds.
    fn default() -> Self {
        Self::new(Duration::from_millis(50), Duration::from_secs(5))
    }
}

impl Backoff {
    /// Makes one that begins at `first` and never waits longer than `cap`.
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self { first, cap, tries: 0 }
    }

    /// Returns the next wait: between a half and the whole of the doubled one, so that many clients part.
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
