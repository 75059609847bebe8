//! The whole worker: connect, claim and run until told to stop, then leave nothing behind.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use apalis::{
    layers::WorkerBuilderExt,
    prelude::{Monitor, MonitorError, WorkerBuilder},
};
use rhubarb_connection::{Backoff, Connections, Role};
use rhubarb_consumer::{Backend, Consumer, Tasks};
use rhubarb_core::{
    class::Class,
    shutdown::{Shutdown, StopSignal},
};
use rhubarb_queue::{
    Client,
    config::IntakeConfig,
    inspect::{self, WorkerInfo},
};
use tokio::{
    task::{JoinError, JoinSet},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    app::{App, RegistrationErrors},
    eager::Eager,
    run::{Runner, Stop},
    vital::Begun,
};

/// How long handlers may take to let go once they were told to, and then the claims' ends to be
/// written.
///
/// The drain and twice this stay under the 30 s after which Heroku kills.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How much longer hooks may take, on the last ends and on the stop: the platform's patience still
/// holds.
const HOOKS: Duration = Duration::from_millis(500);

/// How often a stop says what it waits for, and how many tasks it names.
const DRAIN_SAID: Duration = Duration::from_secs(10);
const DRAIN_SHOWN: usize = 10;

/// Why a worker could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Tasks, state and aliases do not fit together.
    #[error(transparent)]
    Registration(#[from] RegistrationErrors),
    /// Redis refuses what waiting cannot change: a database number, a password.
    #[error("failed to connect to Redis for the role {}", .role.name())]
    Redis {
        /// Whose connection it is.
        role: Role,
        /// The connection's error.
        #[source]
        source: rhubarb_connection::Error,
    },
    /// A hook on the start failed.
    #[error("a hook on the start failed: {0:#}")]
    Start(anyhow::Error),
    /// The apalis worker ended by itself.
    #[error("the worker ended unasked")]
    Ended(#[source] Option<MonitorError>),
}

/// How a worker that was told to stop has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Every claim was ended or handed back, the registry entry removed.
    Clean,
    /// Not everything could be written; the others take it over when our lease ends.
    Unclean,
}

/// Runs a worker until `shutdown`.
///
/// While Redis cannot be reached at the start it waits, with one log line. The node's name is
/// `worker.hostname`, or made of the dyno's or host's name.
///
/// # Errors
///
/// [`ServeError`]; none for a passing fault of Redis, which is waited out.
pub async fn serve(mut app: App, shutdown: &Shutdown) -> Result<Stopped, ServeError> {
    app.check()?;
    let begun = Arc::new(Begun::default());
    let vital = rhubarb_probe::serve(app.config.worker.http, begun.clone());
    let _vital = AbortOnDropHandle::new(tokio::spawn(vital));
    tokio::select! {
        reached = reach(&app.connections) => reached?,
        () = shutdown.drained() => return Ok(Stopped::Clean),
    }
    tokio::select! {
        started = std::mem::take(&mut app.at_start).run() => started.map_err(ServeError::Start)?,
        () = shutdown.drained() => return Ok(Stopped::Clean),
    }
    let stop = Stop::default();
    let client = Client::new(&app.connections, &app.config);
    let node = app.config.node_name();
    let tasks = app.limits();
    warn_of_a_namesake(&client, &node).await;
    let mut consumer = Consumer::new(
        &app.connections,
        &app.config,
        &node,
        &app.config.process_id(),
        tasks.clone(),
        stop.began.clone(),
    );
    begun.works(consumer.pulse());
    let mut intakes = intakes(&client, &app.config.intake.apalis, &stop.began);
    announce(&app, &node, &tasks);
    let drain = app.config.worker.drain;
    let hooks = Arc::new(std::mem::take(&mut app.hooks));
    let hooks = (!hooks.is_empty())
        .then(|| AbortOnDropHandle::new(tokio::spawn(hooks.run(consumer.ends()))));
    let at_stop = std::mem::take(&mut app.at_stop);
    let backend = consumer.backend();
    let monitor = monitor(&node, backend, Runner::new(app, client, tasks, stop.clone()));
    let asked = consumer.stop_asked();
    let ended = tokio::select! {
        ended = until_stopped(monitor, &stop, shutdown, Draining { drain, consumer: &consumer }) => ended,
        never = obey(&asked, shutdown) => match never {},
    };
    intakes.shutdown().await;
    let end = Instant::now() + LAST_WORDS;
    let written = consumer.finish(LAST_WORDS).await;
    // The last ends are told only now. Beside the hooks on the stop: one after the other would take
    // too long.
    tokio::join!(last_told(hooks, end + HOOKS), at_stop.run(end + HOOKS));
    ended?;
    tracing::info!(node, clean = written, "stopped");
    Ok(if written { Stopped::Clean } else { Stopped::Unclean })
}

/// Begins to take over what services enqueue with stock apalis-redis.
#[cfg(feature = "intake")]
fn intakes(client: &Client, queues: &[IntakeConfig], stop: &CancellationToken) -> JoinSet<()> {
    let intake = |queue| crate::intake::Intake::new(client, queue).run(stop.clone());
    queues.iter().map(intake).collect()
}

/// Says that nothing is taken over.
#[cfg(not(feature = "intake"))]
fn intakes(_: &Client, queues: &[IntakeConfig], _: &CancellationToken) -> JoinSet<()> {
    for IntakeConfig { queue, .. } in queues {
        tracing::error!(
            queue,
            "[[intake.apalis]] is set, but this worker is built without the feature `intake` of \
             rhubarb: what is enqueued there is left alone"
        );
    }
    JoinSet::new()
}

/// Waits for the hooks on tasks' ends, until `end` at the latest.
async fn last_told(hooks: Option<AbortOnDropHandle<()>>, end: Instant) {
    if let Some(hooks) = hooks
        && tokio::time::timeout_at(end, hooks).await.is_err()
    {
        tracing::warn!("hooks that still ran were dropped");
    }
}

/// Waits until every role's Redis answers; only what waiting cannot change is an error.
async fn reach(connections: &Connections) -> Result<(), ServeError> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    for role in [Role::Queue, Role::Results, Role::Cache, Role::Jobs] {
        while let Err(source) = connections.role(role).ready().await {
            if source.class() != Class::Transient {
                return Err(ServeError::Redis { role, source });
            }
            backoff.sleep().await;
        }
    }
    Ok(())
}

/// Says that a worker of this node's name is there already, as Celery does
/// (`DuplicateNodenameWarning`).
async fn warn_of_a_namesake(client: &Client, node: &str) {
    // A courtesy: that the registry cannot be read keeps nobody from working.
    let Ok(workers) = inspect::workers(client).await else { return };
    let is_it = |worker: &&WorkerInfo| {
        worker.alive && !worker.record.draining && worker.record.node == node
    };
    if let Some(WorkerInfo { record, .. }) = workers.iter().find(is_it) {
        tracing::warn!(
            node,
            pid = record.pid,
            started_at = record.started_at,
            "a worker with this node name is alive, or was killed less than a lease ago: remote control and events take \
             the two for one; give each its own name by -n or worker.hostname"
        );
    }
}

/// Stops the worker when remote control asks for it, as SIGTERM does.
async fn obey(asked: &CancellationToken, shutdown: &Shutdown) -> std::convert::Infallible {
    asked.cancelled().await;
    shutdown.request(StopSignal::Terminate);
    std::future::pending().await
}

fn announce(app: &App, node: &str, tasks: &Tasks) {
    let config = &app.config;
    let queues = config.worker_queues().join(",");
    let concurrency = config.concurrency();
    tracing::info!(node, queues, concurrency, tasks = app.tasks.len(), "worker ready");
    rhubarb_core::process::ready();
    for name in tasks.names() {
        tracing::debug!(task = name, "task registered");
    }
}

/// Sets up apalis: our backend, and a net under every panic.
fn monitor(node: &str, backend: Option<Backend>, runner: Runner) -> Monitor {
    let node = node.to_owned();
    let backend = Arc::new(Mutex::new(backend));
    Monitor::new().register(move |_| {
        let backend = backend.lock().unwrap_or_else(PoisonError::into_inner).take();
        // apalis asks again only after an error of the backend, of which ours has none.
        let backend = backend.expect("a worker is made once");
        WorkerBuilder::new(node.as_str()).backend(backend).catch_panic().build(runner.clone())
    })
}

/// Runs apalis through the phases of a stop: claim no more, let what runs end, hand back the rest.
async fn until_stopped(
    monitor: Monitor,
    stop: &Stop,
    shutdown: &Shutdown,
    draining: Draining<'_>,
) -> Result<(), ServeError> {
    // On the runtime's own threads, where the task that claims is: handing over costs no switch of
    // threads.
    let mut running = AbortOnDropHandle::new(tokio::spawn(Eager::new(monitor.run())));
    tokio::select! {
        ended = &mut running => return Err(ServeError::Ended(ended.ok().and_then(Result::err))),
        () = shutdown.drained() => stop.began.cancel(),
    }
    tokio::select! {
        ended = &mut running => return end(ended),
        () = draining.wait() => draining.say("handing back what still runs"),
        () = shutdown.abort().cancelled() => draining.say("handing back at once"),
    }
    stop.hand_back.cancel();
    // Every runner answers at once now; a defect in one must not outlast the platform's patience.
    match tokio::time::timeout(LAST_WORDS, running).await {
        Ok(ended) => end(ended),
        Err(_) => Ok(()),
    }
}

/// A stop's first phase, in which what runs may end.
struct Draining<'a> {
    drain: Duration,
    consumer: &'a Consumer,
}

impl Draining<'_> {
    /// Lets the drain pass, and says what it waits for: at its beginning and every few seconds.
    async fn wait(&self) {
        let end = Instant::now() + self.drain;
        while Instant::now() < end {
            if self.consumer.held() > 0 {
                let left_s = (end - Instant::now()).as_secs();
                self.say(&format!("waiting for what still runs, for {left_s} s at the most"));
            }
            tokio::time::sleep_until(end.min(Instant::now() + DRAIN_SAID)).await;
        }
    }

    fn say(&self, what: &str) {
        let running = self.consumer.running(DRAIN_SHOWN);
        let tasks: Vec<String> =
            running.iter().map(|one| format!("{}[{}]", one.task, one.id)).collect();
        tracing::info!(n = self.consumer.held(), tasks = tasks.join(" "), "{what}");
    }
}

/// How apalis ended; nobody aborts it while it is waited for, and a panic is as unexpected as its
/// error.
fn end(ended: Result<Result<(), MonitorError>, JoinError>) -> Result<(), ServeError> {
    let ended = ended.map_err(|_| ServeError::Ended(None))?;
    ended.map_err(|error| ServeError::Ended(Some(error)))
}
