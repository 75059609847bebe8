//! Waiting for an event, with a deadline: what tests do instead of sleeping.

use std::time::Duration;

/// Returns the first `Some` that the probe gives, looking again and again.
///
/// # Panics
/// When there was none within the deadline; `what` says what was waited for.
pub async fn eventually<T>(
    within: Duration,
    what: &str,
    probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let found = rhubarb_demo::eventually(within, probe).await;
    found.unwrap_or_else(|| panic!("not within {within:?}: {what}"))
}
