//! Unmodified Celery tasks in Python processes, run by Rhubarb's worker.
//!
//! [`register`] starts a zygote: a Python process that imports the application once and forks
//! children (`python/rhubarb_pool`, which this crate carries and hands over; nothing has to be
//! installed). Each child runs one task at a time by Celery's own tracer and speaks [`frames`] over
//! a socket pair. The worker around the task (claim, lease, limits, result, control, events) is
//! Rhubarb's.
//!
//! What the tracer would write at a task's end (its state, the messages that follow) comes with the
//! end and is written by the worker in one step with it. What a task publishes, stores and reads
//! while it runs goes through the worker's connections at once ([`asked`]).
//!
//! What it deliberately does not do: it never decides when a message is claimed, given back or
//! acknowledged.
//!
//! Modules: `frames` what is said, `zygote` the process that forks, `pool` the children, `child` one
//! of them, `task` one run of a message, `asked` what a task asks for meanwhile, `ended` what its
//! end means (pure), `described` the application as the zygote tells it.

mod asked;
mod child;
mod described;
mod embedded;
mod ended;
mod frames;
mod pool;
mod task;
mod zygote;

use std::{collections::BTreeSet, sync::Arc};

use rhubarb::App;
use rhubarb_connection::Role;

use self::{
    described::{Broker, Described},
    pool::Pool,
    task::Python,
    zygote::Zygote,
};

/// What runs Python tasks: the section `[python]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The Celery application: `module:attribute`, or a module, as for `celery -A`.
    pub app: String,
    /// How many children there are.
    pub processes: usize,
    /// The program that runs Python.
    pub interpreter: String,
    /// Modules that are imported before the application.
    pub preload: Vec<String>,
    /// After how many tasks a child is replaced; 0 for never.
    pub max_tasks_per_child: u64,
    /// Over how much resident memory a child is replaced after its task, bytes; 0 for never.
    pub max_memory_per_child: u64,
    /// The names that run in Python although Rust has them too.
    pub prefer: BTreeSet<String>,
    /// Whether a task whose child died fails with `WorkerLostError` unless it says otherwise.
    pub fail_lost: bool,
    /// Whether an application that cannot be imported keeps the worker from starting.
    pub strict: bool,
    /// Which of its messages Python logs: `debug`, `info`, `warn`, `error`.
    pub log: String,
    /// The number of the queue's database, which kombu puts before the names of broadcasts.
    pub database: i64,
}

/// Imports the application and registers its tasks, but for those whose names are taken.
///
/// One that cannot be imported is told in full, and the worker goes on without it.
///
/// # Errors
///
/// The application cannot be imported, and [`Options::strict`] is set.
pub async fn register(app: &mut App, options: Options) -> anyhow::Result<()> {
    let hostname = app.config().node_name();
    let (zygote, described) = match Zygote::start(&options, &hostname).await {
        Ok(started) => started,
        Err(error) if options.strict => return Err(error.into()),
        Err(error) => {
            let error = anyhow::Error::from(error);
            tracing::error!(
                app = options.app,
                "the Python application cannot be imported; its tasks are left to other workers: {error:#}"
            );
            return Ok(());
        }
    };
    warn_of_another_redis(app, &described);
    app.concurrency_unless_set(options.processes);
    app.queues_unless_set(&described.conf.queues);
    if let Some(expires) = described.conf.result_expires() {
        app.result_expires_unless_set(expires);
    }
    let pool = Pool::new(zygote, &options, app.processes());
    register_all(app, &options, &described, &pool);
    let stopping = pool.clone();
    app.on_start(async move || -> anyhow::Result<()> {
        pool.fill();
        Ok(())
    });
    app.on_stop(async move || stopping.close().await);
    Ok(())
}

/// Says that the application publishes to another Redis than the one that is served.
fn warn_of_another_redis(app: &App, described: &Described) {
    let queue = app.connections().role(Role::Queue);
    let url = queue.url().expose();
    let ours = Broker {
        host: url.host_str().unwrap_or("localhost").to_owned(),
        port: url.port().unwrap_or(6379),
        database: queue.db(),
    };
    if let Some(theirs) = described.conf.broker.as_ref().filter(|theirs| theirs.is_another(&ours)) {
        tracing::warn!(
            application = %theirs,
            worker = %ours,
            "the application's broker_url names another Redis than the worker's REDIS_URL: what it \
             publishes elsewhere is not seen here"
        );
    }
}

fn register_all(app: &mut App, options: &Options, described: &Described, pool: &Arc<Pool>) {
    let mut here = Vec::new();
    for (name, task) in &described.tasks {
        if app.has(name) && !options.prefer.contains(name) {
            here.push(name.as_str());
            continue;
        }
        let python = Arc::new(Python::new(pool.clone(), task, options));
        let registration = app.outside(name, python);
        registration.limits_of(task.soft(), task.hard(), task.rate_limit.as_deref());
        registration.ignore_result(task.ignore_result);
        registration.store_errors_even_if_ignored(task.store_errors_even_if_ignored);
    }
    here.retain(|name| !name.starts_with("celery."));
    tracing::info!(
        app = options.app,
        python = described.python,
        celery = described.celery,
        tasks = described.tasks.len(),
        processes = options.processes,
        "the Python application is imported"
    );
    if !here.is_empty() {
        tracing::info!(tasks = here.join(" "), "these names run in Rust, which has them too");
    }
    if !described.conf.ours && described.conf.backend != described::DISABLED {
        tracing::info!(
            backend = described.conf.backend,
            "results are stored by the application's own backend, on connections of its own"
        );
    }
}
