//! The tasks of a worker and what they share.

use std::{collections::BTreeMap, future::Future};

use rhubarb_connection::Connections;
use rhubarb_consumer::{Processes, Tasks};
use rhubarb_queue::Config;
use serde_json::Value;
use tower::{BoxError, Layer, Service};

use crate::{
    blocking::BlockingHandler,
    builtin,
    extract::{Call, States},
    handler::Handler,
    hooks::{AtStart, AtStop, Failed, HookEnd, Hooks, Retried, Revoked, Succeeded},
    layer::TaskService,
    registration::{Function, Registration},
    typed::Task,
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
    pub(crate) processes: Processes,
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
            processes: Processes::default(),
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

    pub(crate) fn register(
        &mut self,
        name: String,
        function: Function,
        missing: fn(&States) -> Vec<&'static str>,
        refused: Option<String>,
    ) -> &mut Registration {
        if self.tasks.contains_key(&name) {
            self.twice.push(name.clone());
        }
        let registration = Registration::new(function, missing, refused);
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
        .beside(self.processes.clone())
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
