//! Waiting for an event, with a deadline: what tests do instead of sleeping.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often a condition is looked at; short against every deadline, long against the cost of looking.
const INTERVAL: Duration = Duration::from_millis(20);

/// Returns the first `Some` that the probe gives, looking again and again.
///
/// # Panics
/// When there was none within the deadline; `what` says what was waited for.
pub async fn eventually<T>(
    within: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        sleep(INTERVAL).await;
    }
}
