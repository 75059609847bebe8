//! When the beat looks at its schedules: each second, by apalis-cron.

use std::time::{SystemTime, UNIX_EPOCH};

use apalis_cron::{CronScheduler, Schedule, Tick, timezone::Utc};
use futures_util::{Stream, StreamExt, stream::BoxStream};

/// Each whole second of this machine's clock. Schedules tick on whole seconds, so none is passed
/// over.
#[derive(Clone, Copy, Debug)]
struct EverySecond;

impl Schedule<Utc> for EverySecond {
    fn next_tick(&mut self, _: &Utc) -> Option<Tick> {
        Some(Tick::new(second() + 1))
    }
}

fn second() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn seconds() -> impl Stream<Item = Result<Tick, apalis_cron::Error>> {
    CronScheduler::new(EverySecond).into_stream()
}

/// The beat's wakes. They say only that it is time to look; what is due is decided on Redis's
/// clock.
pub struct Wakes {
    seconds: BoxStream<'static, Result<Tick, apalis_cron::Error>>,
    /// The second in which the last wake was: the next tick was named then.
    last: Option<u64>,
}

impl std::fmt::Debug for Wakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wakes").finish_non_exhaustive()
    }
}

impl Default for Wakes {
    fn default() -> Self {
        Self { seconds: seconds().boxed(), last: None }
    }
}

impl Wakes {
    /// Waits for the next second, or returns at once when one has passed since the last wake.
    ///
    /// # Cancel safety
    ///
    /// Safe; the next call waits for the same second.
    pub async fn next(&mut self) {
        // apalis-cron 1.0.0 answers `OutOfRange` for ever, with a warning, once a tick is polled
        // after its time, which an outage or a clock that was set does to it: such a tick is not
        // polled, nor one that is an hour away.
        if self.last.is_some_and(|last| last != second()) {
            let slept_through = self.last < Some(second());
            *self = Self::default();
            if slept_through {
                return;
            }
        }
        match self.seconds.next().await {
            Some(Ok(_)) => self.last = Some(second()),
            _ => *self = Self::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_wake_that_was_slept_through_does_not_end_the_wakes() {
        let second = Duration::from_secs(3);
        let mut wakes = Wakes::default();
        // The next tick is named when the first fires; it is in the past when it is polled.
        tokio::time::timeout(second, wakes.next()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1100)).await;
        for _ in 0..3 {
            tokio::time::timeout(second, wakes.next()).await.unwrap();
        }
    }
}
