//! What a running task knows about itself, and its way to report progress.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
};

use jiff::Timestamp;
use rhubarb_consumer::{Received, TaskLimits};
use rhubarb_queue::{
    Client, Error, Publish,
    canvas::ResultTree,
    wire::{Signature, State},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    args::{Arguments, RawArgs},
    errback::FailedTask,
    info::TaskInfo,
    registry::Registry,
};

/// The running task: who it is, how often it was tried, and how to report on it.
#[derive(Clone, Debug)]
pub struct TaskContext(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The name of a task that another one calls inside itself.
    called: Option<String>,
    /// Most tasks never ask.
    info: OnceLock<TaskInfo>,
    /// What an errback is told of.
    failed: Option<Arc<FailedTask>>,
    run: Arc<Run>,
}

/// What all calls inside one run of a message share.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) received: Arc<Received>,
    pub(crate) queue: String,
    pub(crate) deaths: u32,
    /// The client whose child this run's own is.
    pub(crate) parent: Arc<Client>,
    /// Made when it is asked for: most tasks publish nothing.
    pub(crate) client: OnceLock<Client>,
    pub(crate) stopping: CancellationToken,
    pub(crate) limits: TaskLimits,
    /// Fires after the soft time limit, where there is one.
    pub(crate) soft_limit: Option<CancellationToken>,
    /// Fires when the task asks to be cancelled at its soft limit.
    pub(crate) ends_softly: CancellationToken,
    /// Fires when nobody waits for the handler any more.
    pub(crate) given_up: CancellationToken,
    pub(crate) node: Arc<str>,
    pub(crate) registry: Arc<Registry>,
}

impl Run {
    pub(crate) fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            let (envelope, trace) = (&self.received.envelope, self.received.trace.carrier());
            self.parent.child_of(&envelope.headers, envelope.properties.priority, trace)
        })
    }

    /// Ends when the soft time limit has passed of a task that asked to be cancelled by it.
    pub(crate) async fn cancelled_softly(&self) {
        match &self.soft_limit {
            Some(soft_limit) => {
                self.ends_softly.cancelled().await;
                soft_limit.cancelled().await;
            }
            None => std::future::pending().await,
        }
    }

    /// Tells whether the soft time limit has passed.
    pub(crate) fn is_over_soft_limit(&self) -> bool {
        self.soft_limit.as_ref().is_some_and(CancellationToken::is_cancelled)
    }

    /// Returns what was published so far, as a result lists it.
    pub(crate) fn children(&self) -> Vec<Value> {
        let published = self.client.get().map(Client::children).unwrap_or_default();
        published.iter().map(ResultTree::to_value).collect()
    }
}

impl TaskContext {
    pub(crate) fn new(run: Arc<Run>, failed: Option<Arc<FailedTask>>) -> Self {
        Self(Arc::new(Inner { called: None, info: OnceLock::new(), failed, run }))
    }

    /// Returns the failed task that an errback is told of.
    pub(crate) fn failed(&self) -> Option<Arc<FailedTask>> {
        self.0.failed.clone()
    }

    /// Returns the task's id.
    pub fn id(&self) -> &str {
        &self.0.run.received.envelope.headers.id
    }

    /// Returns the facts about the task.
    pub fn info(&self) -> &TaskInfo {
        let Inner { called, info, run, .. } = &*self.0;
        info.get_or_init(|| {
            let info = TaskInfo::of(&run.received, Some(&run.queue), run.deaths);
            let name = called.clone().unwrap_or(info.name);
            let (node, TaskLimits { soft, hard, .. }) = (run.node.to_string(), &run.limits);
            TaskInfo { name, node, soft_time_limit: *soft, time_limit: *hard, ..info }
        })
    }

    /// Returns the current time: this machine's, and in a test that of its clock.
    pub fn now(&self) -> Timestamp {
        self.0.run.parent.now()
    }

    /// Returns the queue's client; what is published through it has this task as its parent.
    ///
    /// What it publishes is listed among the children of the task's result. A task that runs again
    /// publishes again.
    pub fn client(&self) -> &Client {
        self.0.run.client()
    }

    /// Publishes a task as a child of this one, and returns its id.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have published.
    ///
    /// # Errors
    ///
    /// As for [`Client::publish`].
    pub async fn publish(&self, publish: &Publish) -> Result<String, Error> {
        self.client().publish(publish).await.map(|published| published.id)
    }

    /// Publishes a signature (a task, a chain, a group, a chord) as a child of this task, and
    /// returns what can be waited for.
    ///
    /// # Cancel safety
    ///
    /// As for [`Client::apply`].
    ///
    /// # Errors
    ///
    /// As for [`Client::apply`].
    pub async fn apply(&self, signature: impl Into<Signature>) -> Result<ResultTree, Error> {
        self.client().apply(signature).await
    }

    /// Has the handler cancelled when the soft time limit passes: it is dropped at its next
    /// `.await`, and the task fails with `SoftTimeLimitExceeded`.
    ///
    /// For a handler that has nothing to save, so that it need not ask for
    /// [`soft_limit`](Self::soft_limit). A blocking handler goes on in vain, as past its hard
    /// limit. It changes nothing where the task has no soft limit.
    pub fn cancel_at_soft_limit(&self) {
        self.0.run.ends_softly.cancel();
    }

    /// Returns the arguments as JSON text, without any loss; see [`RawArgs`](crate::RawArgs).
    pub fn raw_args(&self) -> RawArgs {
        RawArgs::from(self.raw_arguments())
    }

    /// Returns the arguments as the message has them, Python's own types still marked.
    pub(crate) fn raw_arguments(&self) -> Arguments {
        let body = self.0.run.received.body();
        let body = body.ok().cloned().unwrap_or_default();
        Arguments { args: body.args, kwargs: body.kwargs }
    }

    /// Returns the context of another task that runs inside this one.
    pub(crate) fn inside(&self, name: &str, failed: Option<Arc<FailedTask>>) -> Self {
        let (info, run) = (OnceLock::new(), self.0.run.clone());
        Self(Arc::new(Inner { called: Some(name.to_owned()), info, failed, run }))
    }

    /// Returns the tasks that its worker knows.
    pub(crate) fn registry(&self) -> &Registry {
        &self.0.run.registry
    }

    /// Ends when the worker begins to stop.
    ///
    /// A long task may then save what it has and return [`TaskError::Cancelled`](crate::TaskError),
    /// which hands it back to its queue; one that does not look is cancelled and handed back when
    /// `worker.drain` is over.
    ///
    /// # Cancel safety
    ///
    /// Yes.
    pub async fn stopping(&self) {
        self.0.run.stopping.cancelled().await;
    }

    /// Ends when the task has run for its soft time limit; never where it has none.
    ///
    /// A task that then returns [`TaskError::Cancelled`](crate::TaskError) fails with
    /// `SoftTimeLimitExceeded`.
    ///
    /// # Cancel safety
    ///
    /// Yes.
    pub async fn soft_limit(&self) {
        match &self.0.run.soft_limit {
            Some(soft_limit) => soft_limit.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// Tells whether the worker has begun to stop; for handlers that do not await
    /// [`stopping`](Self::stopping).
    pub fn is_stopping(&self) -> bool {
        self.0.run.stopping.is_cancelled()
    }

    /// Tells whether the soft time limit has passed; for handlers that do not await
    /// [`soft_limit`](Self::soft_limit).
    pub fn is_past_soft_limit(&self) -> bool {
        self.0.run.soft_limit.as_ref().is_some_and(CancellationToken::is_cancelled)
    }

    /// Tells whether the handler's end counts for nothing any more: its hard limit has passed,
    /// remote control has terminated it, or it was handed back. Only a blocking handler lives to
    /// see it.
    pub fn is_given_up(&self) -> bool {
        self.0.run.given_up.is_cancelled()
    }

    /// Tells whether the handler should end: what a blocking one asks between two steps.
    ///
    /// True from the soft limit on, from the moment when the worker begins to stop, and when the
    /// task was given up. The handler may save what it has and return
    /// [`TaskError::Cancelled`](crate::TaskError): past the soft limit that fails the task with
    /// `SoftTimeLimitExceeded`, while the worker stops it hands the task back.
    pub fn is_cancelled(&self) -> bool {
        self.is_past_soft_limit() || self.is_stopping() || self.is_given_up()
    }

    /// Waits for something async in a blocking handler: [`publish`](Self::publish), say, or
    /// [`progress`](Self::progress).
    ///
    /// # Panics
    ///
    /// In an async handler, which awaits instead.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        tokio::runtime::Handle::current().block_on(future)
    }

    /// Stores a state of the task's own making (`PROGRESS`, say) with what belongs to it.
    ///
    /// Python reads it as `AsyncResult.state` and `AsyncResult.info`.
    ///
    /// # Errors
    ///
    /// Redis could not be reached in time, or `state` is one of those that end a task.
    pub async fn update_state(&self, state: &str, meta: Value) -> Result<(), rhubarb_queue::Error> {
        let run = &self.0.run;
        let (told, children) = ((State::from(state), meta), run.children());
        rhubarb_consumer::report(run.client(), &run.received, &run.node, told, &children).await
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
