//! What a running task knows about itself, and its way to report progress.

use std::sync::Arc;

use rhubarb_queue::Client;
use rhubarb_queue::wire::State;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// The running task: who it is, how often it was tried, and how to report on it.
#[derive(Clone, Debug)]
pub struct TaskContext(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    info: TaskInfo,
    client: Client,
    stopping: CancellationToken,
}

/// The facts about a running task that its message carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskInfo {
    /// The task's id.
    pub id: String,
    /// The name by which it was called.
    pub name: String,
    /// The queue that it came from.
    pub queue: String,
    /// Retries so far: zero in the first attempt.
    pub retries: u32,
    /// How often a worker died with it before.
    pub deaths: u32,
}

impl TaskContext {
    pub(crate) fn new(info: TaskInfo, client: Client, stopping: CancellationToken) -> Self {
        Self(Arc::new(Inner { info, client, stopping }))
    }

    /// Returns the task's id.
    pub fn id(&self) -> &str {
        &self.0.info.id
    }

    /// Returns the facts about the task.
    pub fn info(&self) -> &TaskInfo {
        &self.0.info
    }

    /// Returns the queue's client, to publish tasks from a task.
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// Ends when the worker begins to stop.
    ///
    /// A long task may then save what it has and return [`TaskError::Cancelled`](crate::TaskError), which
    /// hands it back to its queue; one that does not look is cancelled and handed back when
    /// `worker.drain` is over.
    ///
    /// # Cancel safety
    ///
    /// Yes.
    pub async fn stopping(&self) {
        self.0.stopping.cancelled().await;
    }

    /// Stores a state of the task's own making (`PROGRESS`, say) with what belongs to it.
    ///
    /// Python reads it as `AsyncResult.state` and `AsyncResult.info`.
    ///
    /// # Errors
    ///
    /// Redis could not be reached in time, or `state` is one of those that end a task.
    pub async fn update_state(&self, state: &str, meta: Value) -> Result<(), rhubarb_queue::Error> {
        self.0.client.set_state(self.id(), State::from(state), meta).await
    }

    /// Reports progress as state `PROGRESS` with `current`, `total` and `message`.
    ///
    /// Progress is a courtesy: that Redis is away for a moment does not fail the task.
    pub async fn progress(&self, current: u64, total: u64, message: &str) {
        let meta = json!({ "current": current, "total": total, "message": message });
        self.report(meta).await;
    }

    /// Reports progress with whatever the task's readers understand.
    pub async fn report(&self, meta: Value) {
        if let Err(error) = self.update_state("PROGRESS", meta).await {
            tracing::debug!(%error, "progress not reported");
        }
    }
}
