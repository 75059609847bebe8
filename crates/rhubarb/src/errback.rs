//! Errbacks of Celery's newer form: functions that are told what a failed task raised.

use std::sync::Arc;

use rhubarb_consumer::Received;
use rhubarb_queue::{Client, wire::Exception};
use serde_json::Value;

use crate::{args::Arguments, info::TaskInfo};

/// A task that failed, as its errback (`link_error`) is told of it: Python's
/// `def on_error(request, exc, traceback)`.
///
/// A handler with this parameter is an errback. Where a worker that has it registered sees the task
/// fail, it calls the handler itself, before the failure is stored: nothing is published, and no
/// result is stored. The errback's own arguments go to the handler's [`Args`](crate::Args). That it
/// fails changes nothing but the log; one that asks to be retried is published as a task.
///
/// Other workers, Celery's among them, publish a task with the failed task's id. So does a worker
/// that gives up a message which workers died with, since they may have died in the errback; and
/// one that cannot store a task's value. Then `task` is not known, and the exception is that of the
/// stored result, if one is stored.
///
/// ```
/// use rhubarb::FailedTask;
///
/// async fn on_error(failed: FailedTask) {
///     let exception = failed.exception.map(|exception| exception.to_string());
///     println!("{} failed: {exception:?}", failed.id);
/// }
///
/// # fn register(app: &mut rhubarb::App) {
/// app.task("shop.on_error", on_error);
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct FailedTask {
    /// The id of the task that failed.
    pub id: String,
    /// The task that failed, where it failed in this worker.
    pub task: Option<TaskInfo>,
    /// What it raised; none where no result of the task is stored.
    pub exception: Option<Exception>,
    /// Where, as text.
    pub traceback: Option<String>,
}

impl FailedTask {
    /// Reads what is known of a task that failed in this worker.
    pub(crate) fn here(
        received: &Received,
        queue: &str,
        deaths: u32,
        exception: &Exception,
        traceback: Option<&str>,
    ) -> Arc<Self> {
        let task = TaskInfo::of(received, Some(queue), deaths);
        Arc::new(Self {
            id: task.id.clone(),
            task: Some(task),
            exception: Some(exception.clone()),
            traceback: traceback.map(str::to_owned),
        })
    }

    /// Takes the id out of an errback's arguments, and looks for the result that stands under it.
    pub(crate) async fn elsewhere(client: &Client, arguments: &mut Arguments) -> Option<Arc<Self>> {
        let is_text = arguments.args.first().is_some_and(Value::is_string);
        let Value::String(id) = is_text.then(|| arguments.args.remove(0))? else { return None };
        let stored = client.result(&id).await.inspect_err(|error| {
            tracing::warn!(%error, failed = id, "what a failed task raised was not read");
        });
        let stored = stored.ok().flatten();
        let exception = stored.as_ref().and_then(|stored| Exception::from_value(&stored.result));
        let traceback = stored.and_then(|stored| stored.traceback);
        Some(Arc::new(Self { id, task: None, exception, traceback }))
    }
}
