//! Waiting for an event, with a deadline: what tests do instead of sleeping.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

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

/// Returns the pace of a load: a tick each period, the first at once. Ticks that a busy machine
/// misses are not made up for, so that an outage is not followed by all that it held up.
pub fn paced(period: Duration) -> Interval {
    let mut pace = interval(period);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}
