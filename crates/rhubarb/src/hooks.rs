//! What an application wants to be told: its hooks on success, failure, retry and revocation.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
pub use rhubarb_consumer::Revocation;
use rhubarb_consumer::{Ended, Outcome};
use rhubarb_queue::wire::{Exception, open};
use serde_json::Value;
use tokio::{runtime::Handle, sync::mpsc, task::JoinSet, time::Instant};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::Instrument;

use crate::info::TaskInfo;

/// How long a hook may take before it is dropped.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// A task has succeeded; its result is stored.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Succeeded {
    /// The task.
    pub task: TaskInfo,
    /// What it returned.
    pub value: Value,
    /// How long it ran.
    pub ran: Duration,
}

/// A task has failed for good; its failure is stored.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Failed {
    /// The task.
    pub task: TaskInfo,
    /// What it raised.
    pub exception: Exception,
    /// Where, as text.
    pub traceback: Option<String>,
    /// How long it ran; zero when it never did (its message is a dead letter).
    pub ran: Duration,
}

/// A task is to be tried again; its next attempt waits.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Retried {
    /// The task.
    pub task: TaskInfo,
    /// Why.
    pub exception: Exception,
    /// Where, as text.
    pub traceback: Option<String>,
    /// How long the next attempt waits.
    pub after: Duration,
}

/// A task was revoked or has expired.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revoked {
    /// The task.
    pub task: TaskInfo,
    /// Why.
    pub reason: Revocation,
}

type Hook<E> = Box<dyn Fn(E) -> BoxFuture<'static, ()> + Send + Sync>;

/// The hooks of an app.
#[derive(Default)]
pub(crate) struct Hooks {
    success: Vec<Hook<Succeeded>>,
    failure: Vec<Hook<Failed>>,
    retry: Vec<Hook<Retried>>,
    revoked: Vec<Hook<Revoked>>,
}

/// How a hook on the start or the stop may end: with nothing, or with a `Result` of nothing.
#[diagnostic::on_unimplemented(
    message = "a hook cannot return `{Self}`",
    label = "is neither `()` nor a `Result<(), E>`",
    note = "`E` is `anyhow::Error` or a `std::error::Error + Send + Sync`"
)]
pub trait HookEnd {
    /// Returns what went wrong.
    ///
    /// # Errors
    ///
    /// The hook's own.
    fn end(self) -> anyhow::Result<()>;
}

impl HookEnd for () {
    fn end(self) -> anyhow::Result<()> {
        Ok(())
    }
}

impl<E: Into<anyhow::Error>> HookEnd for Result<(), E> {
    fn end(self) -> anyhow::Result<()> {
        self.map_err(Into::into)
    }
}

type OnceHook = Box<dyn FnOnce() -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

fn once<F, Fut>(hook: F) -> OnceHook
where
    F: FnOnce() -> Fut + Send + Sync + 'static,
    Fut: Future<Output: HookEnd> + Send + 'static,
{
    // Called inside, where a panic before its first `.await` is caught too.
    Box::new(|| Box::pin(async { hook().await.end() }))
}

/// What is done once, before a worker claims.
#[derive(Default)]
pub(crate) struct AtStart(Vec<OnceHook>);

impl AtStart {
    pub(crate) fn push<F, Fut>(&mut self, hook: F)
    where
        F: FnOnce() -> Fut + Send + Sync + 'static,
        Fut: Future<Output: HookEnd> + Send + 'static,
    {
        self.0.push(once(hook));
    }

    /// Runs them one after the other.
    ///
    /// # Errors
    ///
    /// That of the first one that fails or panics.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        for hook in self.0 {
            let ended = AbortOnDropHandle::new(tokio::spawn(async { hook().await })).await;
            ended.unwrap_or_else(|_| Err(anyhow::anyhow!("it has panicked")))?;
        }
        Ok(())
    }
}

impl fmt::Debug for AtStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AtStart").field(&self.0.len()).finish()
    }
}

/// What is done once, when a worker's tasks have ended.
#[derive(Default)]
pub(crate) struct AtStop(Vec<OnceHook>);

impl AtStop {
    pub(crate) fn push<F, Fut>(&mut self, hook: F)
    where
        F: FnOnce() -> Fut + Send + Sync + 'static,
        Fut: Future<Output: HookEnd> + Send + 'static,
    {
        self.0.push(once(hook));
    }

    /// Runs them beside one another, until `end` at the latest.
    ///
    /// Each on a thread of its own: one that blocks must not keep the runtime from seeing that the
    /// time is over.
    pub(crate) async fn run(self, end: Instant) {
        let over = CancellationToken::new();
        let _ends_with_us = over.clone().drop_guard();
        let mut running = JoinSet::new();
        for hook in self.0 {
            let (over, runtime) = (over.clone(), Handle::current());
            running
                .spawn_blocking(move || runtime.block_on(over.run_until_cancelled_owned(hook())));
        }
        while let Some(ended) = match tokio::time::timeout_at(end, running.join_next()).await {
            Ok(ended) => ended,
            Err(_) => return tracing::warn!("hooks on the stop that still ran were dropped"),
        } {
            match ended {
                Ok(Some(Err(error))) => {
                    tracing::warn!(error = format!("{error:#}"), "a hook on the stop has failed");
                }
                Ok(_) => {}
                Err(_) => tracing::warn!("a hook on the stop has panicked"),
            }
        }
    }
}

impl fmt::Debug for AtStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AtStop").field(&self.0.len()).finish()
    }
}

fn boxed<E, F, Fut>(hook: F) -> Hook<E>
where
    E: Send + 'static,
    F: Fn(E) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let hook = Arc::new(hook);
    Box::new(move |event| {
        let hook = hook.clone();
        // Called inside, where a panic before its first `.await` is caught too.
        Box::pin(async move { hook(event).await })
    })
}

macro_rules! on {
    ($name:ident, $field:ident, $event:ty) => {
        pub(crate) fn $name<F, Fut>(&mut self, hook: F)
        where
            F: Fn($event) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = ()> + Send + 'static,
        {
            self.$field.push(boxed(hook));
        }
    };
}

impl Hooks {
    on!(on_success, success, Succeeded);
    on!(on_failure, failure, Failed);
    on!(on_retry, retry, Retried);
    on!(on_revoked, revoked, Revoked);

    pub(crate) fn is_empty(&self) -> bool {
        let Self { success, failure, retry, revoked } = self;
        success.is_empty() && failure.is_empty() && retry.is_empty() && revoked.is_empty()
    }

    /// The calls that an end asks for, not yet begun.
    fn calls(&self, ended: &Ended) -> Vec<BoxFuture<'static, ()>> {
        let task = TaskInfo::of(&ended.received, None, 0);
        let ran = ended.ran.unwrap_or_default();
        match &ended.outcome {
            Outcome::Success(value) => {
                let value = open(value.clone());
                call(&self.success, &Succeeded { task, value, ran })
            }
            Outcome::Failure { exception, traceback } => {
                let (exception, traceback) = (exception.clone(), traceback.clone());
                call(&self.failure, &Failed { task, exception, traceback, ran })
            }
            Outcome::Dead { exception, .. } => {
                let exception = exception.clone();
                call(&self.failure, &Failed { task, exception, traceback: None, ran })
            }
            Outcome::Retry { exception, traceback, after, .. } => {
                let (exception, traceback) = (exception.clone(), traceback.clone());
                call(&self.retry, &Retried { task, exception, traceback, after: *after })
            }
            Outcome::Revoked(reason) => {
                call(&self.revoked, &Revoked { task, reason: reason.clone() })
            }
            Outcome::PutOff { .. }
            | Outcome::NotDue { .. }
            | Outcome::Ignored
            | Outcome::Rejected { .. }
            | Outcome::Unknown
            | Outcome::Leave
            | Outcome::Died { .. }
            | Outcome::HandBack => Vec::new(),
        }
    }

    /// Calls the hooks of each end until no more ends come and all hooks have ended.
    ///
    /// Each hook runs in a task of its own, for [`LIMIT`] at the most; that it fails, panics or is
    /// dropped changes nothing but the log. The hooks of one end run together, and its slot stays
    /// taken until they are done.
    pub(crate) async fn run(self: Arc<Self>, mut ends: mpsc::UnboundedReceiver<Ended>) {
        let mut running = JoinSet::new();
        while let Some(ended) = ends.recv().await {
            let calls = self.calls(&ended);
            if calls.is_empty() {
                continue;
            }
            let headers = &ended.received.envelope.headers;
            let span = tracing::info_span!("hook", task = headers.task, id = headers.id);
            running.spawn(guarded(ended, calls).instrument(span));
            while running.try_join_next().is_some() {}
        }
        while running.join_next().await.is_some() {}
    }
}

fn call<E: Clone>(hooks: &[Hook<E>], event: &E) -> Vec<BoxFuture<'static, ()>> {
    hooks.iter().map(|hook| hook(event.clone())).collect()
}

/// Runs the hooks of one end; `ended` holds the task's slot meanwhile.
async fn guarded(ended: Ended, calls: Vec<BoxFuture<'static, ()>>) {
    let mut hooks = JoinSet::new();
    for call in calls {
        hooks.spawn(tokio::time::timeout(LIMIT, call).in_current_span());
    }
    while let Some(joined) = hooks.join_next().await {
        match joined {
            Ok(Ok(())) => {}
            Ok(Err(_)) => {
                tracing::warn!(limit_s = LIMIT.as_secs(), "a hook took too long and was dropped")
            }
            Err(error) => tracing::warn!(%error, "a hook panicked"),
        }
    }
    drop(ended);
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("success", &self.success.len())
            .field("failure", &self.failure.len())
            .field("retry", &self.retry.len())
            .field("revoked", &self.revoked.len())
            .finish()
    }
}
