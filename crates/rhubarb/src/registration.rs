//! A task of a worker: what it runs, and its options.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use rhubarb_consumer::{Rate, ResultPolicy, TaskLimits};
use rhubarb_queue::{config::WorkerConfig, inspect};
use tokio::sync::Semaphore;

use crate::{
    blocking::{self, BlockingHandler, Thread, Threads},
    error::TaskError,
    extract::{Call, Runs, States},
    handler::Handler,
    layer::TaskService,
    output::TaskResult,
    outside::Outside,
    retry::RetryPolicy,
    slot::Slot,
    typed::schema::Schema,
};

/// What a task runs.
pub(crate) enum Function {
    Awaits(Box<dyn Fn(Call) -> BoxFuture<'static, TaskResult> + Send + Sync>),
    Blocks(Arc<blocking::Function>),
    /// Whole messages are given away.
    Outside(Arc<dyn Outside>),
}

impl Function {
    pub(crate) fn awaits<P>(handler: impl Handler<P>) -> Self {
        Self::Awaits(Box::new(move |call| handler.call(call)))
    }

    pub(crate) fn blocks<P>(handler: impl BlockingHandler<P>) -> Self {
        Self::Blocks(Arc::new(move |call| handler.call(call)))
    }

    /// Runs the handler on one call; see [`Registration::run`].
    pub(crate) fn run(
        &self,
        call: Call,
        thread: Option<Thread>,
        slot: Slot,
    ) -> BoxFuture<'static, TaskResult> {
        match (self, thread) {
            (Self::Blocks(function), Some(thread)) => {
                Box::pin(blocking::run(function.clone(), call, thread, slot))
            }
            (Self::Awaits(function), None) => {
                let handler = function(call);
                Box::pin(async move {
                    let _slot = slot;
                    handler.await
                })
            }
            (Self::Outside(_), _) => Box::pin(async {
                let text = "a task that runs outside of this process cannot run inside another";
                Err(TaskError::failed("RuntimeError", text))
            }),
            _ => unreachable!("`thread` is asked first"),
        }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Awaits(_) => "Awaits",
            Self::Blocks(_) => "Blocks",
            Self::Outside(_) => "Outside",
        })
    }
}

/// A registered task and its options.
pub struct Registration {
    function: Arc<Function>,
    pub(crate) missing: fn(&States) -> Vec<&'static str>,
    refused: Option<String>,
    /// Whether it is an errback that is called where a task fails.
    pub(crate) is_told_of_failures: bool,
    pub(crate) retry: RetryPolicy,
    /// What it takes, where a declaration says it.
    pub(crate) schema: Option<&'static Schema>,
    pub(crate) limits: TaskLimits,
    rate_problem: Option<String>,
    slots: Option<Arc<Semaphore>>,
    pub(crate) results: ResultPolicy,
    pub(crate) track_started: Option<bool>,
}

impl Registration {
    pub(crate) fn new(
        function: Function,
        missing: fn(&States) -> Vec<&'static str>,
        refused: Option<String>,
    ) -> Self {
        Self {
            function: Arc::new(function),
            missing,
            refused,
            is_told_of_failures: false,
            retry: RetryPolicy::default(),
            schema: None,
            limits: TaskLimits::default(),
            rate_problem: None,
            slots: None,
            results: ResultPolicy::default(),
            track_started: None,
        }
    }

    /// Returns what it takes, as a worker's record tells it.
    pub(crate) fn parameters(&self) -> Vec<inspect::Parameter> {
        let all = self.schema.into_iter().flat_map(|schema| schema.parameters);
        all.map(|parameter| inspect::Parameter {
            name: parameter.name.to_owned(),
            kind: parameter.kind,
            type_name: parameter.type_name.to_owned(),
            required: parameter.is_required(),
        })
        .collect()
    }

    /// Sets how passing errors are retried; by default three times, 60 s × 2^n with full jitter.
    pub fn retry(&mut self, policy: RetryPolicy) -> &mut Self {
        self.retry = policy;
        self
    }

    /// Sets the hard time limit where the message names none; by default `worker.task_time_limit`.
    ///
    /// Zero means none, whatever the settings say.
    ///
    /// An async handler is dropped at its next `.await`. One that computes without awaiting goes on
    /// in vain and holds a thread of the runtime, so what computes for long is registered as a
    /// [`blocking_task`](crate::App::blocking_task).
    pub fn time_limit(&mut self, limit: Duration) -> &mut Self {
        self.limits.hard = Some(limit);
        self
    }

    /// Sets the soft time limit where the message names none; by default
    /// `worker.task_soft_time_limit`.
    ///
    /// Zero means none, whatever the settings say. One above the hard limit is told by
    /// [`App::check`](crate::App::check).
    ///
    /// [`TaskContext::soft_limit`](crate::TaskContext::soft_limit) ends then; the handler may save
    /// what it has and return [`TaskError::Cancelled`](crate::TaskError), which fails the task with
    /// `SoftTimeLimitExceeded`. One that does not look goes on to its end or its hard limit.
    pub fn soft_time_limit(&mut self, limit: Duration) -> &mut Self {
        self.limits.soft = Some(limit);
        self
    }

    /// Sets how often this process starts the task, in Celery's notation: `10/s`, `100/m`, `5/h`.
    ///
    /// Starts are at even distances. A task whose turn has not come waits in Redis and holds no
    /// slot. Remote control (`celery control rate_limit`) changes the rate while the worker runs.
    /// What is no rate is told by [`App::check`](crate::App::check).
    pub fn rate_limit(&mut self, rate: &str) -> &mut Self {
        match Rate::parse(rate) {
            Ok(rate) => self.limits.rate = rate,
            Err(problem) => self.rate_problem = Some(format!("rate limit `{rate}`: {problem}")),
        }
        self
    }

    /// Sets how many of these tasks this process runs at once, at least one:
    /// [`App::check`](crate::App::check) refuses zero.
    ///
    /// A task over the limit is put off for a second or two: it holds no slot in the meantime, so
    /// other tasks pass it, and no attempt is counted.
    pub fn max_concurrency(&mut self, tasks: usize) -> &mut Self {
        self.slots = Some(Arc::new(Semaphore::new(tasks)));
        self
    }

    /// Sets whether results are stored where the call does not say; by default
    /// `celery.task_ignore_result`.
    pub fn ignore_result(&mut self, ignore: bool) -> &mut Self {
        self.results.ignore_result = Some(ignore);
        self
    }

    /// Sets whether failures are stored where results are ignored; by default
    /// `celery.task_store_errors_even_if_ignored`.
    pub fn store_errors_even_if_ignored(&mut self, store: bool) -> &mut Self {
        self.results.store_errors_even_if_ignored = Some(store);
        self
    }

    /// Sets whether STARTED is stored when the task begins, at the cost of a round trip; by default
    /// `celery.task_track_started`.
    pub fn track_started(&mut self, track: bool) -> &mut Self {
        self.track_started = Some(track);
        self
    }

    /// Says what is wrong with the task itself, each as the rest of a sentence that begins with its
    /// name.
    pub(crate) fn problems(&self, name: &str, worker: &WorkerConfig) -> Vec<String> {
        let name = (name.trim().is_empty() || name.chars().any(char::is_control))
            .then(|| "needs a name without control characters".to_owned());
        let rate = self.rate_problem.as_ref().map(|problem| format!("has the {problem}"));
        let slots = self.slots.as_ref().is_some_and(|slots| slots.available_permits() == 0);
        let slots = slots.then(|| {
            "has max_concurrency(0) and would never run: leave it out for no limit".to_owned()
        });
        let problems = [name, rate, slots, self.limits_problem(worker), self.refused.clone()];
        problems.into_iter().flatten().collect()
    }

    /// Says that the soft limit lies above the hard one; one of the two may come from the settings.
    fn limits_problem(&self, worker: &WorkerConfig) -> Option<String> {
        let TaskLimits { soft: own_soft, hard: own_hard, .. } = self.limits;
        let (soft, hard) = (
            own_soft.unwrap_or(worker.task_soft_time_limit),
            own_hard.unwrap_or(worker.task_time_limit),
        );
        let is_own = own_soft.or(own_hard).is_some();
        (is_own && !hard.is_zero() && soft > hard)
            .then(|| format!("has a soft time limit of {soft:?}, above its hard one of {hard:?}"))
    }

    /// Takes one of the task's own slots; `None` when all are taken.
    pub(crate) fn slot(&self) -> Option<Slot> {
        match &self.slots {
            None => Some(Slot::default()),
            Some(slots) => slots.clone().try_acquire_owned().ok().map(Slot::of),
        }
    }

    /// Returns what runs it outside of this process.
    pub(crate) fn outside(&self) -> Option<&Arc<dyn Outside>> {
        match &*self.function {
            Function::Outside(outside) => Some(outside),
            _ => None,
        }
    }

    /// Waits for the thread that one call needs; `None` at once where it needs none.
    pub(crate) async fn thread(&self, threads: &Threads) -> Option<Thread> {
        match &*self.function {
            Function::Awaits(_) | Function::Outside(_) => None,
            Function::Blocks(_) => Some(threads.take().await),
        }
    }

    /// Runs the handler on one call, inside the layers. The slot is given back when the handler has
    /// really ended.
    ///
    /// # Cancel safety
    ///
    /// A dropped call drops an async handler; a blocking one goes on, and so keeps its thread and
    /// the slot.
    pub(crate) fn run(
        &self,
        call: Call,
        thread: Option<Thread>,
        slot: Slot,
        layered: Option<&TaskService>,
    ) -> BoxFuture<'static, TaskResult> {
        match layered {
            None => self.function.run(call, thread, slot),
            Some(layered) => {
                let function = self.function.clone();
                layered.run(call.runs(Box::new(Ready { function, thread, slot })))
            }
        }
    }
}

/// What a call runs, and the places that it has taken for it.
#[derive(Debug)]
struct Ready {
    function: Arc<Function>,
    thread: Option<Thread>,
    slot: Slot,
}

impl Runs for Ready {
    fn run(self: Box<Self>, call: Call) -> BoxFuture<'static, TaskResult> {
        self.function.run(call, self.thread, self.slot)
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("retry", &self.retry)
            .field("limits", &self.limits)
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}
