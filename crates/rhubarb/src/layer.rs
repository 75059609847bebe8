//! Layers of tower around tasks.

use std::{
    fmt,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use serde_json::Value;
use tower::{BoxError, Service, ServiceExt, service_fn, util::BoxCloneSyncService};

use crate::{error::TaskError, extract::Call, failure::Raised, output::TaskResult};

/// All that a worker runs tasks by, as a service of tower: what a layer wraps.
#[derive(Clone)]
pub struct TaskService(BoxCloneSyncService<Call, Value, CallError>);

/// Why a call came to no value, as layers see it.
///
/// An error of a layer's own fails the task with the name of its type, if that can be had.
#[derive(Debug)]
pub struct CallError(TaskError);

impl TaskService {
    /// Runs what the call is of.
    pub(crate) fn innermost() -> Self {
        Self(BoxCloneSyncService::new(service_fn(run)))
    }

    /// Wraps what a layer has made.
    pub(crate) fn wrapping<S>(service: S) -> Self
    where
        S: Service<Call, Response = Value> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
    {
        let outer = service.map_err(|error: S::Error| CallError::from(error.into()));
        Self(BoxCloneSyncService::new(outer))
    }

    /// Runs one call through all layers.
    pub(crate) fn run(&self, call: Call) -> BoxFuture<'static, TaskResult> {
        let ended = self.0.clone().oneshot(call);
        Box::pin(async move { ended.await.map_err(CallError::into_inner) })
    }
}

async fn run(mut call: Call) -> Result<Value, CallError> {
    let Some(runs) = call.take_runs() else {
        let text = "a layer ran a call that no worker has made";
        return Err(CallError(TaskError::failed("RuntimeError", text)));
    };
    runs.run(call).await.map_err(CallError)
}

impl Service<Call> for TaskService {
    type Response = Value;
    type Error = CallError;
    type Future = BoxFuture<'static, Result<Value, CallError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        self.0.call(call)
    }
}

impl CallError {
    /// Returns what becomes of the task.
    pub fn into_inner(self) -> TaskError {
        self.0
    }
}

impl From<TaskError> for CallError {
    fn from(error: TaskError) -> Self {
        Self(error)
    }
}

impl From<BoxError> for CallError {
    /// What the task itself has said stays as it was.
    fn from(error: BoxError) -> Self {
        use crate::output::Failure;
        error.downcast::<Self>().map_or_else(|error| Self(error.into_task_error()), |own| *own)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let raised = |raised: &Raised| raised.exception.to_string();
        f.write_str(&match &self.0 {
            TaskError::Failed(failed) => format!("the task failed: {}", raised(failed)),
            TaskError::Transient(failed) => {
                format!("the task failed in passing: {}", raised(failed))
            }
            TaskError::Retry(_) => "the task asks for another attempt".to_owned(),
            TaskError::PutOff { .. } => "the task asks to be run later".to_owned(),
            TaskError::Cancelled => "the task gave up".to_owned(),
            TaskError::Replace(by) => format!("the task is replaced by {}", by.task),
            TaskError::Ignore => "the task ends without a word".to_owned(),
            TaskError::Reject { reason, .. } => format!("the task refuses its message: {reason}"),
        })
    }
}

impl std::error::Error for CallError {}

impl fmt::Debug for TaskService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskService")
    }
}
