//! A task that was sent, and its typed result.

use std::{fmt, marker::PhantomData, time::Duration};

use rhubarb_queue::{
    Client, Error, Published,
    wire::{Exception, State, TaskResult},
};
use serde::de::DeserializeOwned;

use crate::json;

/// A task that was sent, whose result is an `R`.
pub struct Handle<R> {
    client: Client,
    task: &'static str,
    published: Published,
    is_ignored: bool,
    returns: PhantomData<fn() -> R>,
}

/// Why a result cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// The task has not ended in time; it may still.
    #[error("task `{task}` ({id}) has not ended within {timeout:?}")]
    Timeout {
        /// The task's name.
        task: &'static str,
        /// Its id.
        id: String,
        /// How long was waited.
        timeout: Duration,
    },
    /// The task ended without a result: it failed, was revoked, or has expired.
    #[error("task `{task}` ({}) {}", .result.task_id, end(.result))]
    Failed {
        /// The task's name.
        task: &'static str,
        /// What it left.
        result: Box<TaskResult>,
    },
    /// The task ended well with a result of another type.
    #[error(
        "task `{task}` ({id}) left a result that is not of the type that it declares: {reason}"
    )]
    Unfit {
        /// The task's name.
        task: &'static str,
        /// Its id.
        id: String,
        /// What was expected and what was there.
        reason: String,
    },
    /// The call or the declaration says that no result is stored.
    #[error("task `{task}` ({id}) stores no result: it, or its call, says `ignore_result`")]
    Ignored {
        /// The task's name.
        task: &'static str,
        /// Its id.
        id: String,
    },
    /// The result could not be read.
    #[error(transparent)]
    Queue(#[from] Error),
}

/// Says how a task ended that has no result.
fn end(result: &TaskResult) -> String {
    let exception = Exception::from_value(&result.result);
    let raised = exception.map(|exception| format!(": {exception}")).unwrap_or_default();
    match &result.status {
        State::Revoked => format!("was revoked{raised}"),
        _ => format!("failed{raised}"),
    }
}

impl<R> Handle<R> {
    pub(crate) fn new(
        client: Client,
        task: &'static str,
        published: Published,
        is_ignored: bool,
    ) -> Self {
        Self { client, task, published, is_ignored, returns: PhantomData }
    }

    /// Returns the task's id; for a duplicate, that of the earlier call.
    pub fn id(&self) -> &str {
        &self.published.id
    }

    /// Tells whether nothing was published, because of `unique_for`.
    pub fn is_duplicate(&self) -> bool {
        self.published.duplicate
    }

    /// Waits for the task's end and returns its result.
    ///
    /// # Cancel safety
    ///
    /// As for [`Client::wait`]; it may be called again.
    ///
    /// # Errors
    ///
    /// [`GetError`]
    pub async fn get(&self, timeout: Duration) -> Result<R, GetError>
    where
        R: DeserializeOwned,
    {
        let (task, id) = (self.task, self.published.id.clone());
        if self.is_ignored {
            return Err(GetError::Ignored { task, id });
        }
        let ended = self.client.wait(&id, timeout, |_| {}).await?;
        let result = ended.ok_or_else(|| GetError::Timeout { task, id: id.clone(), timeout })?;
        read(task, id, result)
    }
}

pub(crate) fn read<R: DeserializeOwned>(
    task: &'static str,
    id: String,
    result: TaskResult,
) -> Result<R, GetError> {
    if result.status != State::Success {
        return Err(GetError::Failed { task, result: Box::new(result) });
    }
    json::read(result.result).map_err(|reason| GetError::Unfit { task, id, reason })
}

impl<R> fmt::Debug for Handle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("task", &self.task)
            .field("published", &self.published)
            .finish_non_exhaustive()
    }
}
