//! The command line of a worker, ours or anyone's own: flags, configuration, logging, signals, exit
//! codes.

mod celery;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, error::ErrorKind};
use rhubarb_config::Configuration;
use rhubarb_core::{
    celery_flags::CelerysFlags,
    config::{CommonArgs, LogConfig, TelemetryConfig},
    exit, process,
    shutdown::Shutdown,
    telemetry,
};
use rhubarb_queue::Config;
use tokio::runtime;

use self::celery::{OfWorker, SOLO};
use crate::{
    App,
    serve::{ServeError, Stopped, serve},
};

/// Claims tasks from Redis and runs them until it is told to stop.
#[derive(Debug, Parser)]
#[command(
    name = "worker",
    version = rhubarb_core::VERSION,
    after_help = "\
Examples:
  worker -Q celery,mail -c 16
  worker --redis-url rediss://:PASSWORD@HOST:6380 -l warning
  worker --print-config

A flag wins over the environment (RHUBARB_WORKER_CONCURRENCY=16), the environment over the \
configuration file, and the file over the default. --print-config lists every setting and where \
it came from.

On SIGTERM or SIGINT the worker claims no more tasks and lets running ones finish for 25 s \
(worker.drain). The rest goes back to its queue. Further SIGTERMs are ignored. A second SIGINT \
hands back at once.

While Redis cannot be reached, the worker logs it and waits for as long as it takes.

Celery's other flags (-P gevent, -O fair, --max-tasks-per-child, …) are accepted, with a warning \
where one changes nothing. A flag that would do something else than in Celery is refused, with the \
reason.

Exit codes:
  0  stopped as told
  1  ended by itself
  2  wrong command line
  3  wrong configuration, or a password that Redis refuses
  5  stopped before everything could be handed back"
)]
pub(crate) struct Cli {
    /// The configuration's flags.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Queues to serve, in order, separated by commas [default: celery]
    #[arg(short = 'Q', long, value_name = "QUEUES", value_delimiter = ',')]
    pub queues: Vec<String>,
    /// Queues not to serve although -Q or worker.queues names them, separated by commas
    #[arg(short = 'X', long, value_name = "QUEUES", value_delimiter = ',')]
    pub exclude_queues: Vec<String>,
    /// Node name; `%h` stands for the host, `%n` and `%d` for its name and domain [default:
    /// rhubarb@$DYNO or rhubarb@host]
    #[arg(short = 'n', long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// How many tasks run at once, 1 to 1000; 0 or `auto` means 8 for each core [default: 0]
    #[arg(short, long, value_name = "N", value_parser = celery::concurrency, allow_negative_numbers = true)]
    pub concurrency: Option<u16>,
    /// Run the tasks of a Celery application too, in Python processes: `module:app`
    #[arg(long, value_name = "APP")]
    pub python: Option<String>,
    /// Do not start, with exit code 3, where the application of --python cannot be imported
    #[arg(long)]
    pub strict: bool,
    /// Accepted for Celery's sake: as many tasks at once as the greater number
    #[arg(long, value_name = "MAX,MIN", value_parser = celery::autoscale, hide = true)]
    pub autoscale: Option<u16>,
    /// Accepted for Celery's sake: one task at a time for `solo`, nothing else
    #[arg(short = 'P', long, value_name = "POOL", value_parser = celery::pool, hide = true)]
    pub pool: Option<String>,
    /// End a task that has no time limit of its own after this many seconds [default: never]
    #[arg(long, value_name = "SECONDS")]
    pub time_limit: Option<String>,
    /// Ask a task that has no soft time limit of its own to end after this many seconds [default:
    /// never]
    #[arg(long, value_name = "SECONDS")]
    pub soft_time_limit: Option<String>,
    /// Log level (debug, info, warning, error, critical; any case) or filter directives [default:
    /// info]
    #[arg(short, long, alias = "log-level", value_name = "LEVEL", value_parser = telemetry::level)]
    pub loglevel: Option<String>,
    /// Send task events from the start, for Flower and `celery events`; remote control switches
    /// them on too
    #[arg(short = 'E', long = "task-events", visible_alias = "events")]
    pub task_events: bool,
    /// Do not tell `celery events` and Flower that this worker lives
    #[arg(long)]
    pub without_heartbeat: bool,
    /// Do not ask the other workers at the start which tasks are revoked
    #[arg(long)]
    pub without_mingle: bool,
    #[command(flatten)]
    celerys: CelerysFlags<OfWorker>,
}

impl Cli {
    /// Returns the flags that were given, as settings: what they win over is the configuration's to
    /// decide.
    fn settings(&self) -> Vec<(&'static str, String)> {
        let list = |queues: &[String]| (!queues.is_empty()).then(|| queues.join(","));
        let solo = (self.pool.as_deref() == Some(SOLO)).then_some(1);
        let concurrency = solo.or(self.autoscale).or(self.concurrency);
        let flags = [
            ("worker.queues", list(&self.queues)),
            ("worker.exclude_queues", list(&self.exclude_queues)),
            ("worker.hostname", self.hostname.clone()),
            ("worker.concurrency", concurrency.map(|n| n.to_string())),
            ("worker.task_time_limit", self.time_limit.clone()),
            ("worker.task_soft_time_limit", self.soft_time_limit.clone()),
            ("worker.send_task_events", self.task_events.then(|| "true".to_owned())),
            ("worker.send_heartbeats", self.without_heartbeat.then(|| "false".to_owned())),
            ("worker.mingle", self.without_mingle.then(|| "false".to_owned())),
            ("log.level", self.loglevel.clone()),
            ("python.app", self.python.clone()),
            ("python.strict", self.strict.then(|| "true".to_owned())),
        ];
        flags.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Returns one sentence for each flag of Celery's that was taken and changes nothing, or other
    /// than there.
    fn told(&self) -> Vec<String> {
        let pool = self.pool.as_deref().filter(|pool| *pool != SOLO).map(|_| {
            "--pool changes nothing here: tasks are async, or run on threads (worker.blocking_threads)"
                .to_owned()
        });
        let autoscale = self.autoscale.map(|most| {
            format!(
                "--autoscale is taken as --concurrency {most}: a slot that is free costs nothing"
            )
        });
        self.celerys.told().iter().cloned().chain(pool).chain(autoscale).collect()
    }
}

/// Runs a worker as a process: reads the command line and the configuration, registers tasks,
/// serves.
///
/// Everything that a worker's `main` has to do except naming its tasks.
pub fn main(register: impl FnOnce(&mut App) -> anyhow::Result<()>) -> ExitCode {
    main_async(async |app: &mut App| register(app))
}

/// As [`main`], where state has to be awaited: a pool of connections, a token.
///
/// The worker stops waiting for it when it is told to stop.
///
/// ```no_run
/// use rhubarb::prelude::*;
///
/// #[derive(Clone)]
/// struct Prices(String);
///
/// #[task(name = "shop.prices")]
/// async fn prices(State(Prices(text)): State<Prices>) -> String {
///     text
/// }
///
/// fn main() -> std::process::ExitCode {
///     rhubarb::main_async(async |app: &mut App| {
///         app.state(Prices(tokio::fs::read_to_string("prices.txt").await?));
///         app.add(prices::task());
///         Ok(())
///     })
/// }
/// ```
pub fn main_async(register: impl AsyncFnOnce(&mut App) -> anyhow::Result<()>) -> ExitCode {
    run(async |app: &mut App, _: Config| register(app).await)
}

/// As [`main`], with settings of which a worker's are a part: `register` is given all of them.
///
/// Where one file is shared by several programs, so that what is wrong with any of its sections is
/// told by each.
#[doc(hidden)]
pub fn main_with<C>(register: impl FnOnce(&mut App, C) -> anyhow::Result<()>) -> ExitCode
where
    C: Configuration + AsRef<Config> + AsRef<LogConfig> + AsRef<TelemetryConfig>,
{
    run(async |app: &mut App, settings: C| register(app, settings))
}

/// As [`main_with`], where what is registered has to be awaited.
#[doc(hidden)]
pub fn main_with_async<C>(register: impl AsyncFnOnce(&mut App, C) -> anyhow::Result<()>) -> ExitCode
where
    C: Configuration + AsRef<Config> + AsRef<LogConfig> + AsRef<TelemetryConfig>,
{
    run(register)
}

fn run<C>(register: impl AsyncFnOnce(&mut App, C) -> anyhow::Result<()>) -> ExitCode
where
    C: Configuration + AsRef<Config> + AsRef<LogConfig> + AsRef<TelemetryConfig>,
{
    let cli = Cli::parse();
    if cli.python.is_some() && C::OTHERS.contains(&"python") {
        let error = "--python: this worker is built without rhubarb-python and runs no Python";
        Cli::command().error(ErrorKind::InvalidValue, error).exit();
    }
    let runtime = runtime::Builder::new_multi_thread();
    process::main(&cli.common, &cli.settings(), &cli.told(), runtime, |settings: C, shutdown| {
        let config: &Config = settings.as_ref();
        live(config.clone(), shutdown, async |app: &mut App| register(app, settings).await)
    })
}

async fn live(
    config: Config,
    shutdown: Shutdown,
    register: impl AsyncFnOnce(&mut App) -> anyhow::Result<()>,
) -> u8 {
    let mut app = match App::new(config) {
        Ok(app) => app,
        Err(error) => return misconfigured(&anyhow::Error::new(error)),
    };
    tokio::select! {
        registered = register(&mut app) => if let Err(error) = registered {
            return misconfigured(&error);
        },
        () = shutdown.drained() => return exit::OK,
    }
    match serve(app, &shutdown).await {
        Ok(Stopped::Clean) => exit::OK,
        Ok(Stopped::Unclean) => exit::UNCLEAN_STOP,
        Err(error @ (ServeError::Start(_) | ServeError::Ended(_))) => {
            tracing::error!(error = format!("{:#}", anyhow::Error::new(error)), "worker ended");
            exit::FAILED
        }
        Err(error) => misconfigured(&anyhow::Error::new(error)),
    }
}

fn misconfigured(error: &anyhow::Error) -> u8 {
    tracing::error!(error = format!("{error:#}"), "worker cannot start");
    exit::CONFIGURATION
}

#[cfg(test)]
mod tests {

    use super::*;

    fn settings(line: &str) -> Vec<(&'static str, String)> {
        Cli::try_parse_from(line.split(' ')).unwrap().settings()
    }

    #[test]
    fn celerys_spellings_become_settings() {
        let expect = [
            ("worker.queues", "celery,slow"),
            ("worker.hostname", "w1@%h"),
            ("worker.concurrency", "4"),
            ("log.level", "debug"),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        assert_eq!(settings("worker -Q celery,slow -n w1@%h -c 4 -l DEBUG"), expect);
        let long = "worker --queues celery --queues slow --hostname w1@%h --concurrency=4 --loglevel debug";
        assert_eq!(settings(long), expect);
        let events = ["true", "false"].map(str::to_owned);
        let [on, off] = events;
        let expect = [("worker.send_task_events", on), ("worker.send_heartbeats", off)];
        assert_eq!(settings("worker -E --without-heartbeat --without-gossip"), expect);
        for level in ["warning", "WARNING", "warn"] {
            let expect = [("log.level", "warn".to_owned())];
            assert_eq!(settings(&format!("worker --log-level {level}")), expect);
        }
        assert_eq!(settings("worker"), []);
    }

    #[test]
    fn celerys_flags_that_have_a_meaning_here_are_obeyed() {
        let check = |line: &str, expect: &[(&'static str, &str)]| {
            let expect: Vec<_> =
                expect.iter().map(|(name, to)| (*name, (*to).to_owned())).collect();
            assert_eq!(settings(line), expect, "{line}");
        };
        check("worker -c auto", &[("worker.concurrency", "0")]);
        check("worker --without-mingle", &[("worker.mingle", "false")]);
        let limits = [("worker.task_time_limit", "60"), ("worker.task_soft_time_limit", "50.5")];
        check("worker --time-limit 60 --soft-time-limit=50.5", &limits);
        let queues = [("worker.queues", "a,b,c"), ("worker.exclude_queues", "b,c")];
        check("worker -Q a,b,c -X b,c", &queues);
        check("worker -P solo -c 8", &[("worker.concurrency", "1")]);
        for line in ["worker --autoscale 10,3", "worker --autoscale=3,10", "worker --autoscale 10"]
        {
            check(line, &[("worker.concurrency", "10")]);
        }
    }

    fn told(line: &str) -> Vec<String> {
        Cli::try_parse_from(line.split(' ')).unwrap().told()
    }

    #[test]
    fn each_of_celerys_flags_that_changes_nothing_is_told_once() {
        let line = "worker -A proj -P gevent -Ofair --without-gossip --max-tasks-per-child=100 -S /tmp/state \
                    --prefetch-multiplier 4 --schedule x";
        let flags = [
            "--app ",
            "--without-gossip ",
            "--optimization ",
            "--prefetch-multiplier ",
            "--max-tasks-per-child ",
            "--statedb ",
            "--schedule-filename ",
            "--pool ",
        ];
        let told = told(line);
        assert_eq!(told.len(), flags.len(), "{told:?}");
        for (told, flag) in told.iter().zip(flags) {
            assert!(told.starts_with(flag) && told.contains("changes nothing here: "), "{told}");
        }
        assert_eq!(settings(line), []);
        assert_eq!(
            super::tests::told("worker -c 4 -P solo --without-mingle -E"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn what_would_do_something_else_than_in_celery_is_refused_with_the_reason() {
        for (line, reason) in [
            ("worker -B", "start `beat` as a process of its own"),
            ("worker --purge", "rhubarb purge QUEUE"),
            ("worker --discard", "rhubarb purge QUEUE"),
            ("worker -D", "supervisor"),
            ("worker --pidfile x", "echo $!"),
            ("worker -f /tmp/log", "standard output"),
            ("worker --uid 1", "as that user"),
            ("worker -P custom", "no class of Python's is loaded"),
            ("worker -P fibers", "gevent or solo is expected"),
            ("worker -O slow", "fair"),
            ("worker --autoscale 0", "the greater from 1 to 1000"),
            ("worker --autoscale 1,2,3", "one or two"),
            ("worker --prefetch-multiplier x", "a whole number"),
        ] {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
            let text = error.to_string();
            assert!(error.exit_code() == 2 && text.contains(reason), "{line}: {text}");
        }
    }

    #[test]
    fn as_to_celery_a_concurrency_of_0_means_what_the_machine_has() {
        let cores = [("worker.concurrency", "0".to_owned())];
        assert_eq!(settings("worker -c 0"), cores);
        assert_eq!(settings("worker --concurrency=0"), cores);
    }

    #[test]
    fn a_flag_that_cannot_be_is_refused() {
        for line in [
            "worker -c -1",
            "worker -c 1001",
            "worker -c many",
            "worker --nope",
            "worker extra",
            "worker -l loud",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }

    #[test]
    fn help_names_every_flag_and_exit_code() {
        Cli::command().debug_assert();
        let help = Cli::command().render_long_help().to_string();
        for word in [
            "-Q, --queues",
            "-n, --hostname",
            "-c, --concurrency",
            "-l, --loglevel",
            "-E, --task-events",
            "--without-heartbeat",
            "Exit codes",
            "SIGTERM",
        ] {
            assert!(help.contains(word), "{word} in {help}");
        }
    }
}
