//! Waiting for an event, with a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often a condition is looked at: short against every deadline, long against a look's cost.
pub(crate) const INTERVAL: Duration = Duration::from_millis(20);

/// Returns the first `Some` that the probe gives, looking again and again; `None` when there was
/// none within the time.
pub async fn eventually<T>(
    within: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> Option<T> {
    let deadline = Instant::now() + within;
    loop {
        let found = probe().await;
        if found.is_some() || Instant::now() > deadline {
            return found;
        }
        sleep(INTERVAL).await;
    }
}
