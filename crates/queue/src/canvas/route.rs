//! Where a task goes whose call names no queue.

use super::Publisher;

/// What the settings say about a task's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Routed {
    pub(super) queue: String,
    pub(super) priority: Option<u8>,
}

impl Publisher<'_> {
    pub(super) fn route(&self, _task: &str) -> Routed {
        Routed { queue: self.celery.task_default_queue.clone(), priority: None }
    }
}
