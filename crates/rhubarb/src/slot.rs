//! A task's place among those of its name.

use tokio::sync::OwnedSemaphorePermit;

/// A task's place among those of its name; free for the next when dropped.
#[derive(Debug, Default)]
pub(crate) struct Slot(
    #[expect(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>,
);

impl Slot {
    /// Returns the place that a permit is for.
    pub(crate) fn of(permit: OwnedSemaphorePermit) -> Self {
        Self(Some(permit))
    }
}
