//! The command line of a worker, ours or anyone's own: flags, configuration, logging, signals, exit codes.

use std::process::ExitCode;

use clap::Parser;
use rhubarb_core::{
    config::{CommonArgs, Config},
    exit, process,
    shutdown::Shutdown,
    telemetry,
};
use tokio::runtime;

use crate::{
    App,
    serve::{Error, Stopped, serve},
};

/// Claims tasks from Redis and runs them until it is told to stop.
#[derive(Debug, Parser)]
#[command(
    name = "worker",
    version,
    after_help = "\
Each flag wins over the environment (RHUBARB_WORKER_CONCURRENCY, …), the environment over the configuration \
file, the file over the defaults; --print-config shows what holds and where it came from.

SIGTERM or SIGINT: no further task is claimed, what runs may finish (worker.drain, 25 s), the rest goes back to \
its queue. Further SIGTERMs are ignored; a second SIGINT hands back at once.

While Redis cannot be reached at the start it waits for as long as it takes, with one log line.

Exit codes: 0 stopped as told, 1 ended by itself, 2 wrong command line, 3 wrong configuration (a password that Redis
            refuses, too), 5 stopped before everything could be handed back"
)]
pub struct Cli {
    /// The configuration's flags.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Queues to serve, in order, separated by commas [default: celery]
    #[arg(short = 'Q', long, value_name = "QUEUES", value_delimiter = ',')]
    pub queues: Vec<String>,
    /// Node name; `%h` stands for the host (default: rhubarb@$DYNO or rhubarb@host)
    #[arg(short = 'n', long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Tasks at once, at most 1000; 0 for 8 a core [default: 0]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(..=1000),
        allow_negative_numbers = true)]
    pub concurrency: Option<u16>,
    /// Log level (debug, info, warning, error, critical; any case) or filter directives [default: info]
    #[arg(short, long, alias = "log-level", value_name = "LEVEL", value_parser = telemetry::level)]
    pub loglevel: Option<String>,
    /// Send task events from the start, for Flower and `celery events`; remote control switches them on too
    #[arg(short = 'E', long = "task-events", visible_alias = "events")]
    pub task_events: bool,
    /// Do not tell `celery events` and Flower of the worker itself
    #[arg(long)]
    pub without_heartbeat: bool,
    /// Accepted for Celery's sake: workers of Rhubarb do not gossip
    #[arg(long, hide = true)]
    pub without_gossip: bool,
}

impl Cli {
    /// Returns the flags that were given, as settings: what they win over is the configuration's to decide.
    fn settings(&self) -> Vec<(&'static str, String)> {
        let queues = (!self.queues.is_empty()).then(|| self.queues.join(","));
        let flags = [
            ("worker.queues", queues),
            ("worker.hostname", self.hostname.clone()),
            ("worker.concurrency", self.concurrency.map(|n| n.to_string())),
            ("worker.send_task_events", self.task_events.then(|| "true".to_owned())),
            ("worker.send_heartbeats", self.without_heartbeat.then(|| "false".to_owned())),
            ("log.level", self.loglevel.clone()),
        ];
        flags.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Runs a worker as a process: reads the command line and the configuration, registers tasks, serves.
///
/// Everything that a worker's `main` has to do except naming its tasks.
pub fn main(register: impl FnOnce(&mut App) -> anyhow::Result<()>) -> ExitCode {
    let cli = Cli::parse();
    let runtime = runtime::Builder::new_multi_thread();
    process::main(&cli.common, &cli.settings(), runtime, |config, shutdown| {
        live(config, shutdown, register)
    })
}

async fn live(
    config: Config,
    shutdown: Shutdown,
    register: impl FnOnce(&mut App) -> anyhow::Result<()>,
) -> u8 {
    let mut app = match App::new(config) {
        Ok(app) => app,
        Err(error) => return misconfigured(&anyhow::Error::new(error)),
    };
    if let Err(error) = register(&mut app) {
        return misconfigured(&error);
    }
    match serve(app, &shutdown).await {
        Ok(Stopped::Clean) => exit::OK,
        Ok(Stopped::Unclean) => exit::UNCLEAN_STOP,
        Err(error @ Error::Ended(_)) => {
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
    use clap::CommandFactory;

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
