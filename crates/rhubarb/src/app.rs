//! The tasks of a worker and what they share.

use std::{collections::BTreeMap, fmt, future::Future, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use rhubarb_connection::Connections;
use rhubarb_consumer::{Limits, Rate, ResultPolicy, Tasks};
use rhubarb_queue::{Config, config::WorkerConfig, inspect::Parameter};
use serde_json::Value;
use tokio::sync::Semaphore;
use tower::{BoxError, Layer, Service};

use crate::{
    blocking::{self, BlockingHandler, Thread, Threads},
    builtin,
    extract::{Call, Runs, States},
    handler::Handler,
    hooks::{AtStart, AtStop, Failed, HookEnd, Hooks, Retried, Revoked, Succeeded},
    layer::TaskService,
    output::TaskResult,
    retry::RetryPolicy,
    slot::Slot,
    typed::{Task, schema::Schema},
};

/// A worker in the making: its configuration, its shared state and its tasks.
#[derive(Debug)]
pub struct App {
    pub(crate) config: Config,
    pub(crate) connections: Connections,
    pub(crate) states: States,
    pub(crate) tasks: BTreeMap<String, Registration>,
    pub(crate) hooks: Hooks,
    pub(crate) at_start: AtStart,
    pub(crate) at_stop: AtStop,
    pub(crate) layered: Option<TaskService>,
    twice: Vec<String>,
}

/// Why a worker cannot run its tasks: every reason.
#[derive(Debug, thiserror::Error)]
#[error("the tasks cannot be registered: {}", .0.join("; "))]
pub struct RegistrationErrors(pub Vec<String>);

impl App {
    /// Makes an app that has only the tasks that Celery ships (`celery.map` and its kin); nothing
    /// is sent to Redis yet.
    ///
    /// # Errors
    ///
    /// A Redis URL that cannot be used.
    pub fn new(config: Config) -> Result<Self, rhubarb_connection::Error> {
        let connections = Connections::new(&config.redis, "rhubarb-worker")?;
        Ok(Self::with_connections(config, connections))
    }

    /// As [`new`](Self::new), on connections that the process has already and that others use too.
    pub fn with_connections(config: Config, connections: Connections) -> Self {
        let mut app = Self {
            config,
            connections,
            states: States::default(),
            tasks: BTreeMap::new(),
            hooks: Hooks::default(),
            at_start: AtStart::default(),
            at_stop: AtStop::default(),
            layered: None,
            twice: Vec::new(),
        };
        builtin::register(&mut app);
        app
    }

    /// Returns the configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the process's connections, for state that needs Redis too.
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Shares a value with all handlers, which ask for it as [`State<S>`](crate::State).
    ///
    /// There is one value a type; a second one of the same type takes its place.
    pub fn state<S: Clone + Send + Sync + 'static>(&mut self, state: S) -> &mut Self {
        self.states.insert(state);
        self
    }

    /// Registers a handler under a task's name; what it returns sets the task's options.
    ///
    /// The handler is an async function of up to eight parameters ([`Args`](crate::Args),
    /// [`State`](crate::State), [`TaskContext`](crate::TaskContext)) that returns `Result<R, E>`,
    /// or just `R`, with `R: Serialize`. [`IntoTaskResult`](crate::IntoTaskResult) says which
    /// errors `E` may be; each fails its task. The handler has to bear being run twice: a worker
    /// that dies before its acknowledgement leaves the task to another one.
    pub fn task<P, H: Handler<P>>(
        &mut self,
        name: impl Into<String>,
        handler: H,
    ) -> &mut Registration {
        let function = Function::awaits(handler);
        let registration = self.register(name.into(), function, H::missing, H::refused());
        registration.is_told_of_failures = H::is_told_of_failures();
        registration
    }

    /// Registers a blocking function under a task's name: one that computes for long, or waits
    /// without `.await`.
    ///
    /// As [`task`](Self::task), with an ordinary function, which gets the same parameters and
    /// returns the same. It runs on a thread beside those of the runtime, so that neither the other
    /// tasks nor the worker's lease wait for it; at most `worker.blocking_threads` run at once. A
    /// task for which there is no thread waits in its slot for a second and is then put off,
    /// without a counted attempt.
    ///
    /// A thread cannot be ended from outside. When the soft limit passes,
    /// [`TaskContext::is_cancelled`] turns true, and the handler should look at it between its
    /// steps. When the hard limit passes, the task ends with
    /// `TimeLimitExceeded` at once; the handler goes on in vain and keeps its thread, and its place
    /// among [`max_concurrency`](Registration::max_concurrency), until it returns. The same holds
    /// for a task that was terminated or handed back.
    ///
    /// ```
    /// use rhubarb::{Args, TaskContext, TaskError};
    ///
    /// fn count(context: TaskContext, Args((to,)): Args<(u64,)>) -> Result<u64, TaskError> {
    ///     for n in 0..to {
    ///         if context.is_cancelled() {
    ///             return Err(TaskError::Cancelled);
    ///         }
    ///         // One step of something long.
    ///         if n % 1000 == 0 {
    ///             context.block_on(context.progress(n, to, "counting"));
    ///         }
    ///     }
    ///     Ok(to)
    /// }
    ///
    /// # fn register(app: &mut rhubarb::App) {
    /// app.blocking_task("shop.count", count);
    /// # }
    /// ```
    ///
    /// [`TaskContext::is_cancelled`]: crate::TaskContext::is_cancelled
    pub fn blocking_task<P, H: BlockingHandler<P>>(
        &mut self,
        name: impl Into<String>,
        handler: H,
    ) -> &mut Registration {
        let function = Function::blocks(handler);
        let registration = self.register(name.into(), function, H::missing, H::refused());
        registration.is_told_of_failures = H::is_told_of_failures();
        registration
    }

    /// Registers a task that [`task`](macro@crate::task) declares; what it returns sets more of its
    /// options.
    ///
    /// ```
    /// use rhubarb::prelude::*;
    ///
    /// #[task(name = "shop.add", max_retries = 5)]
    /// async fn add(x: i64, #[default(1)] y: i64) -> i64 {
    ///     x + y
    /// }
    ///
    /// fn register(app: &mut App) -> anyhow::Result<()> {
    ///     app.add(add::task());
    ///     Ok(())
    /// }
    /// ```
    pub fn add(&mut self, task: Task) -> &mut Registration {
        let Task { schema, function, missing, refused, is_told_of_failures, configure } = task;
        let registration = self.register(schema.name.to_owned(), function, missing, refused);
        registration.is_told_of_failures = is_told_of_failures;
        registration.schema = Some(schema);
        configure(registration);
        registration
    }

    /// Registers several tasks; see [`add`](Self::add).
    pub fn add_all(&mut self, tasks: impl IntoIterator<Item = Task>) -> &mut Self {
        for task in tasks {
            self.add(task);
        }
        self
    }

    fn register(
        &mut self,
        name: String,
        function: Function,
        missing: fn(&States) -> Vec<&'static str>,
        refused: Option<String>,
    ) -> &mut Registration {
        if self.tasks.contains_key(&name) {
            self.twice.push(name.clone());
        }
        let registration = Registration {
            function: Arc::new(function),
            missing,
            refused,
            is_told_of_failures: false,
            retry: RetryPolicy::default(),
            schema: None,
            limits: Limits::default(),
            rate_problem: None,
            slots: None,
            results: ResultPolicy::default(),
            track_started: None,
        };
        self.tasks.entry(name).insert_entry(registration).into_mut()
    }

    /// Calls an async function after each success, once its result is stored.
    ///
    /// Hooks are told once for each stored end; of a worker that dies right after, never. One may
    /// take ten seconds, and its task's slot stays taken as long. Whatever it does, its task's end
    /// stands.
    ///
    /// ```
    /// # fn register(app: &mut rhubarb::App) {
    /// app.on_failure(async |failed| {
    ///     tracing::error!(task = failed.task.name, error = %failed.exception, "somebody should look");
    /// });
    /// # }
    /// ```
    pub fn on_success<F, Fut>(&mut self, hook: F) -> &mut Self
    where
        F: Fn(Succeeded) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.hooks.on_success(hook);
        self
    }

    /// Calls an async function after each final failure; as for [`on_success`](Self::on_success).
    pub fn on_failure<F, Fut>(&mut self, hook: F) -> &mut Self
    where
        F: Fn(Failed) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.hooks.on_failure(hook);
        self
    }

    /// Calls an async function after each retry; as for [`on_success`](Self::on_success).
    pub fn on_retry<F, Fut>(&mut self, hook: F) -> &mut Self
    where
        F: Fn(Retried) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.hooks.on_retry(hook);
        self
    }

    /// Calls an async function after each task that was revoked or has expired; as for
    /// [`on_success`](Self::on_success).
    pub fn on_revoked<F, Fut>(&mut self, hook: F) -> &mut Self
    where
        F: Fn(Revoked) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.hooks.on_revoked(hook);
        self
    }

    /// Calls an async function once, when the worker starts: Redis answers, and nothing is claimed
    /// yet. The functions are called one after the other.
    ///
    /// The worker waits for as long as it takes, and stops waiting when it is told to stop. An
    /// error keeps the worker from starting, with exit code 1.
    ///
    /// ```
    /// # fn register(app: &mut rhubarb::App) {
    /// app.on_start(async || -> anyhow::Result<()> {
    ///     tokio::fs::create_dir_all("/tmp/shop").await?;
    ///     Ok(())
    /// });
    /// # }
    /// ```
    pub fn on_start<F, Fut>(&mut self, hook: F) -> &mut Self
    where
        F: FnOnce() -> Fut + Send + Sync + 'static,
        Fut: Future<Output: HookEnd> + Send + 'static,
    {
        self.at_start.push(hook);
        self
    }

    /// Calls an async function once, when the worker stops: its tasks have ended or gone back.
    ///
    /// It has half a second at least, and no more than 2.5 s: the platform's patience is at its end
    /// by then. It returns nothing, or a `Result` whose error is logged. A worker that is killed
    /// never calls it, nor does one that never reached Redis.
    pub fn on_stop<F, Fut>(&mut self, hook: F) -> &mut Self
    where
        F: FnOnce() -> Fut + Send + Sync + 'static,
        Fut: Future<Output: HookEnd> + Send + 'static,
    {
        self.at_stop.push(hook);
        self
    }

    /// Puts a layer of tower around every task; the last one that is added is the outermost.
    ///
    /// A layer sees the [`Call`] before its parameters are taken out, and the value or the
    /// [`CallError`](crate::CallError) that it came to. It runs inside the task's limits. An error
    /// of the layer's own fails the task, as one that the task returned.
    ///
    /// ```
    /// use rhubarb::{App, Call, TaskService};
    /// use tower::{ServiceExt, layer::layer_fn};
    ///
    /// fn register(app: &mut App) {
    ///     app.layer(layer_fn(|tasks: TaskService| {
    ///         tasks.map_request(|call: Call| {
    ///             tracing::info!(task = call.context().info().name, "somebody calls");
    ///             call
    ///         })
    ///     }));
    /// }
    /// ```
    pub fn layer<L>(&mut self, layer: L) -> &mut Self
    where
        L: Layer<TaskService>,
        L::Service: Service<Call, Response = Value> + Clone + Send + Sync + 'static,
        <L::Service as Service<Call>>::Error: Into<BoxError>,
        <L::Service as Service<Call>>::Future: Send + 'static,
    {
        let inner = self.layered.take().unwrap_or_else(TaskService::innermost);
        self.layered = Some(TaskService::wrapping(layer.layer(inner)));
        self
    }

    /// Returns the tasks with all names that they have, and their limits.
    pub(crate) fn limits(&self) -> Tasks {
        Tasks::new(self.tasks.iter().map(|(name, task)| {
            let aliases = self.config.tasks.aliases.iter();
            let aliases = aliases.filter(|(_, to)| *to == name).map(|(alias, _)| alias);
            let names = std::iter::once(name).chain(aliases).cloned().collect();
            (names, task.limits.clone(), task.results)
        }))
        .described(|name| self.tasks.get(name).map(Registration::parameters).unwrap_or_default())
    }

    /// Checks that every task has a name, its state and limits that can hold, and every alias its
    /// task.
    ///
    /// # Errors
    ///
    /// All that is wrong, at once.
    pub fn check(&self) -> Result<(), RegistrationErrors> {
        let twice = self.twice.iter().map(|name| format!("task `{name}` is registered twice"));
        let states = self.tasks.iter().flat_map(|(name, task)| {
            let missing = (task.missing)(&self.states).into_iter();
            missing.map(move |state| format!("task `{name}` wants a state of type `{state}`"))
        });
        let aliases =
            self.config.tasks.aliases.iter().filter(|(_, to)| !self.tasks.contains_key(*to));
        let aliases =
            aliases.map(|(alias, to)| format!("alias `{alias}` of [tasks.aliases] stands for `{to}`, which this worker does not register"));
        let own = self.tasks.iter().flat_map(|(name, task)| {
            let problems = task.problems(name, &self.config.worker).into_iter();
            problems.map(move |problem| format!("task `{name}` {problem}"))
        });
        let problems: Vec<String> = twice.chain(states).chain(own).chain(aliases).collect();
        if problems.is_empty() { Ok(()) } else { Err(RegistrationErrors(problems)) }
    }
}

/// What a task runs.
pub(crate) enum Function {
    Awaits(Box<dyn Fn(Call) -> BoxFuture<'static, TaskResult> + Send + Sync>),
    Blocks(Arc<blocking::Function>),
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
            _ => unreachable!("`thread` is asked first"),
        }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Awaits(_) => "Awaits",
            Self::Blocks(_) => "Blocks",
        })
    }
}

/// A registered task and its options.
pub struct Registration {
    function: Arc<Function>,
    missing: fn(&States) -> Vec<&'static str>,
    refused: Option<String>,
    /// Whether it is an errback that is called where a task fails.
    pub(crate) is_told_of_failures: bool,
    pub(crate) retry: RetryPolicy,
    /// What it takes, where a declaration says it.
    schema: Option<&'static Schema>,
    limits: Limits,
    rate_problem: Option<String>,
    slots: Option<Arc<Semaphore>>,
    pub(crate) results: ResultPolicy,
    pub(crate) track_started: Option<bool>,
}

impl Registration {
    /// Returns what it takes, as a worker's record tells it.
    fn parameters(&self) -> Vec<Parameter> {
        let described = self.schema.and_then(|schema| serde_json::to_value(schema.parameters).ok());
        described.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default()
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
    /// [`blocking_task`](App::blocking_task).
    pub fn time_limit(&mut self, limit: Duration) -> &mut Self {
        self.limits.hard = Some(limit);
        self
    }

    /// Sets the soft time limit where the message names none; by default
    /// `worker.task_soft_time_limit`.
    ///
    /// Zero means none, whatever the settings say. One above the hard limit is told by
    /// [`App::check`].
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
    /// What is no rate is told by [`App::check`].
    pub fn rate_limit(&mut self, rate: &str) -> &mut Self {
        match Rate::parse(rate) {
            Ok(rate) => self.limits.rate = rate,
            Err(problem) => self.rate_problem = Some(format!("rate limit `{rate}`: {problem}")),
        }
        self
    }

    /// Sets how many of these tasks this process runs at once, at least one: [`App::check`] refuses
    /// zero.
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
    fn problems(&self, name: &str, worker: &WorkerConfig) -> Vec<String> {
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
        let Limits { soft: own_soft, hard: own_hard, .. } = self.limits;
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

    /// Waits for the thread that one call needs; `None` at once where it needs none.
    pub(crate) async fn thread(&self, threads: &Threads) -> Option<Thread> {
        match &*self.function {
            Function::Awaits(_) => None,
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
