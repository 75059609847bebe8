//! The command line: what can be asked of `rhubarb`, and its help.

mod bounds;
mod cache;
mod connections;
mod doctor;
mod enqueue;
mod letters;
mod listings;
mod monitor;
mod only;
mod queues;
mod schedules;
mod sessions;
mod shadow;
mod share;
mod sources;
mod tasks;
mod web;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;
use rhubarb_core::config::CommonArgs;
use rhubarb_queue::queue_name;

pub(crate) use bounds::BoundsArgs;
pub(crate) use cache::{CacheClearArgs, CacheCommand, CacheShowArgs};
pub(crate) use connections::{ConnectionsArgs, Formation, Plan};
pub(crate) use doctor::DoctorArgs;
pub(crate) use enqueue::{EnqueueArgs, Eta};
pub(crate) use letters::{Chosen, DeadCommand, DropArgs, FilterArgs, LettersArgs, ParkedCommand};
pub(crate) use listings::{ChangesArgs, ListingsArgs};
pub(crate) use monitor::MonitorArgs;
pub(crate) use only::OnlyArgs;
pub(crate) use queues::{
    AdoptArgs, HandBackArgs, PauseArgs, PurgeArgs, QueueArg, QueuesArgs, RevokeArgs, TaskArgs,
};
pub(crate) use schedules::{EntryArgs, ImportArgs, NextArgs, PauseScheduleArgs, SchedulesCommand};
pub(crate) use sessions::{CountArgs, RevokeSessionsArgs, SessionsCommand, ShowArgs};
pub(crate) use shadow::ShadowArgs;
pub(crate) use share::{Share, ShareArgs};
pub(crate) use sources::{CheckArgs, FindArgs, SourcesCommand};
pub(crate) use tasks::TasksArgs;
pub(crate) use web::WebArgs;

/// Looks into a Rhubarb task queue, publishes to it, and reads the listings that it has scraped.
#[derive(Debug, Parser)]
#[command(
    name = "rhubarb",
    version = rhubarb_core::VERSION,
    propagate_version = true,
    arg_required_else_help = true
)]
#[command(after_help = "\
`rhubarb COMMAND --help` explains a command, most of them with examples.

A flag wins over the environment (REDIS_URL, RHUBARB_CELERY_TASK_DEFAULT_QUEUE, …), the environment \
over the configuration file, and the file over the default.

Data goes to standard output, everything else to standard error.

Exit codes:
  0  fine
  1  failed, or what was asked for is not there
  2  wrong command line
  3  wrong configuration, or a password that Redis refuses
  4  Redis cannot be reached
  6  the awaited task failed
  7  the doctor found what somebody has to act on")]
pub(crate) struct Cli {
    /// The configuration's flags.
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// Show tables whole on a terminal: all columns, times in full, one line a row
    #[arg(long, global = true)]
    pub(crate) wide: bool,
    /// What to do; may be left out with `--print-config`.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Cli {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    /// What clap has to say, help and version among it. A negative number is a value like any
    /// other, so that what is wrong with it is told by its option.
    pub(crate) fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut command = with_negative_numbers(Self::command());
        let matches = command.try_get_matches_from_mut(args)?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let negative = |arg: clap::Arg| match arg.get_action().takes_values() {
        true => arg.allow_negative_numbers(true),
        false => arg,
    };
    command.mut_args(negative).mut_subcommands(with_negative_numbers)
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows everything at once on this machine: Redis, a job board, a worker and a beat
    ///
    /// Starts a private Redis in a temporary folder, a local job board with invented openings, a
    /// worker, and a beat with a schedule every few seconds. Goes on until Ctrl-C, then stops what
    /// it started and removes the folder. Needs `redis-server`, and `worker` and `beat` beside
    /// `rhubarb`; reads no configuration.
    ///
    /// Ends with exit code 0 when it has seen listings from at least four kinds of sources.
    Demo(DemoArgs),
    /// Publishes a task and prints its id
    Enqueue(Box<EnqueueArgs>),
    /// Scrapes one keyword now
    Scrape(ScrapeArgs),
    /// Shows the cached listings of a keyword
    Listings(ListingsArgs),
    /// Shows the status of the last scrape
    Status(Shown),
    /// Says what keeps the installation from running well, and what to do; silent where nothing
    /// does
    Doctor(DoctorArgs),
    /// Counts whether a formation's connections, and what is kept, fit a plan of Redis
    Connections(ConnectionsArgs),
    /// Shows Redis: keys, memory, clients, advice, a live view; clears the job caches
    Monitor(MonitorArgs),
    /// Lists, shows and clears the caches that Django reads
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Shows the queues: how many tasks wait, run and are scheduled, and what is paused
    Queues(QueuesArgs),
    /// Stops every worker from claiming from a queue; running tasks end, publishing goes on
    Pause(PauseArgs),
    /// Checks that an installation keeps within bounds, for scripts and health checks
    Check(BoundsArgs),
    /// Lets a paused queue go on
    Resume(QueueArg),
    /// Deletes the tasks that wait in a queue; running tasks go on
    Purge(PurgeArgs),
    /// Shows the workers: who is alive, which queues each serves, and how many tasks it runs
    Workers(Shown),
    /// Shows one task: where it is, its result or why it failed
    Task(TaskArgs),
    /// Lists what became of tasks, the newest first
    Tasks(TasksArgs),
    /// Keeps tasks from running, by their ids, for 3 hours (worker.revoke_expires)
    Revoke(RevokeArgs),
    /// Shows, retries or drops dead letters: messages that could not be run
    #[command(subcommand)]
    Dead(DeadCommand),
    /// Shows, replays or drops parked tasks: those whose name no live worker knows
    #[command(subcommand)]
    Parked(ParkedCommand),
    /// The way in: puts what dead Python workers had not acknowledged back on its queues
    ///
    /// A Celery worker with `acks_late`, or one killed with prefetched tasks, leaves them in
    /// kombu's `unacked`, where only another Python worker would look, after its visibility
    /// timeout. This takes them over at once, under kombu's own lock: each goes to the consumer's
    /// end of its queue, marked as redelivered, the oldest next.
    ///
    /// WARNING: a Python worker that is alive still runs what it has not acknowledged, and holds
    /// its ETA tasks there too. With --older-than shorter than its longest task, or than its ETAs,
    /// those tasks run twice. Stop the Python workers first, or choose a time longer than any of
    /// their tasks.
    ///
    /// Killed half-way, each message is either still unacknowledged or back on its queue; the lock
    /// ends after 30 s, then run it again. Entries that make no message are told and left, with
    /// exit code 1.
    AdoptUnacked(AdoptArgs),
    /// The way out: returns claims, scheduled and parked tasks to where a Python worker finds them
    ///
    /// For a way back to Celery, once Rhubarb's workers are stopped: what dead workers had claimed,
    /// what waits for its time (ETA, retries, put-off tasks; each carries its ETA, which a Python
    /// worker keeps itself), and the parked tasks go to the consumer's end of their queues, the
    /// oldest next. Dead letters stay: nobody can run them.
    ///
    /// Refused while a Rhubarb worker serves one of the queues, because it would take it all again.
    /// One that was killed counts as alive until its lease has ended (15 s by default).
    ///
    /// Killed half-way, each task is either where it was or back on its queue; run it again.
    HandBack(HandBackArgs),
    /// Before a switch: looks at what Celery's workers serve and tells what would run here
    ///
    /// It reads the queues, what Python's workers have not acknowledged (kombu's `unacked`), and
    /// the events of workers that send them; again and again, each message once. It claims nothing
    /// and writes nothing to a queue.
    Shadow(ShadowArgs),
    /// Moves a task to Rust step by step: how many of 100 of its messages our workers take
    ///
    /// The others are left for Python's workers, which have to be alive, register the task and
    /// serve the queue; without one our workers take all. The id decides, so that all workers
    /// decide alike, a retry as the first time.
    Share(ShareArgs),
    /// Shows, adds, changes, pauses and runs schedules
    #[command(subcommand)]
    Schedules(SchedulesCommand),
    /// Counts, shows and ends Django's sessions
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Shows or tries the sources of the configuration
    #[command(subcommand)]
    Sources(SourcesCommand),
    /// Serves the dashboard, health and metrics over HTTP until it is told to stop
    Web(WebArgs),
    /// Runs dashboard, worker and beat in one process, for the smallest plans
    ///
    /// All three use one connection to each database. It becomes the program `rhubarb-all`, which
    /// stands beside `rhubarb`; everything after `all` is that program's.
    #[command(disable_help_flag = true)]
    All {
        /// The flags of `rhubarb-all`; --help lists them
        #[arg(allow_hyphen_values = true, trailing_var_arg = true, value_name = "FLAG")]
        flags: Vec<OsString>,
    },
    /// Prints what completes these commands in a shell
    #[command(after_help = "\
Example:
  rhubarb completions bash > ~/.local/share/bash-completion/completions/rhubarb")]
    Completions {
        /// Which shell's
        shell: Shell,
    },
    /// Writes a manual page for each command into a folder
    #[command(after_help = "\
Example:
  rhubarb man /usr/local/share/man/man1")]
    Man {
        /// The folder, which must be there
        folder: PathBuf,
    },
}

/// How a listing command shows what it found.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Shown {
    /// Print one JSON document instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// `demo`
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  rhubarb demo\n  rhubarb demo --seconds 60")]
pub(crate) struct DemoArgs {
    /// End by itself this many seconds after all is up
    #[arg(long, value_name = "N")]
    pub(crate) seconds: Option<u64>,
}

/// `scrape`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb scrape \"software engineer\" --wait 120
  rhubarb scrape \"data scientist\" --location Berlin --source remoteok --source arbeitnow

Prints the task's id. With --wait it prints what each source found, and on standard error which \
sources did not end well and why; the exit code is 6 when all of them failed.")]
pub(crate) struct ScrapeArgs {
    /// What to look for
    #[arg(value_parser = not_empty)]
    pub(crate) keyword: String,
    /// What is counted.
    #[command(flatten)]
    pub(crate) filters: OnlyArgs,
    /// Ask only this source; may be given several times [default: all enabled ones]
    #[arg(long = "source", value_name = "S")]
    pub(crate) sources: Vec<String>,
    /// Fetch even when the cached listings are fresh
    #[arg(long)]
    pub(crate) force: bool,
    /// Wait this many seconds for the result, showing progress
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    pub(crate) wait: Option<Duration>,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}

fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn parse_queue(text: &str) -> Result<String, String> {
    if queue_name::is_valid(text) { Ok(text.to_owned()) } else { Err(queue_name::RULE.to_owned()) }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    let seconds = seconds.ok_or_else(|| "expected a number of seconds, zero or more".to_owned())?;
    // 300 years; beyond the calendar's end neither Python nor Redis could count.
    if seconds > 1e10 {
        return Err("expected at most 10000000000 seconds".to_owned());
    }
    Duration::try_from_secs_f64(seconds).map_err(|problem| problem.to_string())
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;
    use serde_json::Value;

    use super::*;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        let words = line.split('|').map(str::trim);
        let words = std::iter::once("rhubarb").chain(words).map(OsString::from);
        Cli::read(words).map(|cli| cli.command.unwrap())
    }

    fn enqueue(line: &str) -> EnqueueArgs {
        match parse(line).unwrap() {
            Command::Enqueue(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn enqueue_takes_celerys_options() {
        let args = enqueue(
            "enqueue|t|--args|[1, \"a\"]|--kwargs|{\"k\": null}|--countdown|1.5|--expires|60|--priority|9",
        );
        assert_eq!(args.args.0, [Value::from(1), Value::from("a")]);
        assert_eq!(args.kwargs.get("k"), Some(&Value::Null));
        assert_eq!(args.countdown, Some(Duration::from_millis(1500)));
        assert_eq!(args.expires, Some(Duration::from_secs(60)));
        assert_eq!(args.priority, Some(9));
        let args = enqueue(
            "enqueue|t|--shadow|s|--header|a=1=2|--header|b=|--time-limit|9|--soft-time-limit|8|--link|x|--link|y",
        );
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(args.headers, [header("a", "1=2"), header("b", "")]);
        assert_eq!((args.shadow.as_deref(), args.link.len()), (Some("s"), 2));
        assert_eq!(
            args.time_limit.zip(args.soft_time_limit).map(|(a, b)| (a - b).as_secs()),
            Some(1)
        );
        assert!(enqueue("enqueue|--signature|-|--args|[1]").task.is_none());
    }

    #[test]
    fn an_eta_may_have_any_offset_or_none() {
        let eta = |text: &str| enqueue(&format!("enqueue|t|--eta|{text}")).eta.unwrap();
        let at = Eta::At("2027-01-01T03:30:00Z".parse().unwrap());
        assert_eq!(eta("2027-01-01T09:00:00+05:30"), at);
        assert_eq!(eta("2027-01-01 03:30Z"), at);
        assert_eq!(eta("2027-01-01T03:30"), Eta::Local("2027-01-01T03:30:00".parse().unwrap()));
    }

    #[test]
    fn a_wrong_value_is_told_in_one_sentence() {
        for (line, sentence) in [
            (
                "enqueue|t|--args|[18446744073709551616]",
                "`18446744073709551616` cannot be kept as it is",
            ),
            ("enqueue|t|--args|[1", "not valid JSON: EOF while parsing"),
            ("enqueue|t|--args|{}", "expected a JSON array such as [\"a\", 1], not an object"),
            ("enqueue|t|--kwargs|[]", "expected a JSON object such as {\"a\": 1}, not an array"),
            ("enqueue|t|--countdown|-1", "expected a number of seconds, zero or more"),
            ("enqueue|t|--expires|-1", "expected a number of seconds, zero or more"),
            ("enqueue|t|--priority|-1", "-1 is not in 0..=9"),
            ("enqueue|t|--header|id=7", "`id` is a header of Celery's own"),
            ("enqueue|t|--header|task=x", "`task` is a header of Celery's own"),
            ("enqueue|a b\nc", "no control characters"),
            ("enqueue|t|--queue|x\ny", "no control characters"),
            ("pause|x\ny", "no control characters"),
            ("enqueue|t|--countdown|soon", "expected a number of seconds, zero or more"),
            ("enqueue|t|--wait|inf", "expected a number of seconds, zero or more"),
            ("enqueue|t|--eta|tomorrow", "expected a time such as"),
            ("enqueue|t|--priority|10", "10 is not in 0..=9"),
            ("enqueue|t|--header|x", "expected a name and a value such as x-trace=1"),
            ("enqueue|t|--time-limit|0", "expected a number of seconds above zero"),
            ("enqueue|t|--ignore-result|--wait|1", "cannot be used with"),
            ("enqueue|t|--countdown|1e18", "expected at most 10000000000 seconds"),
            ("enqueue|t|--unique-for|1e300", "expected at most 10000000000 seconds"),
            ("dead|list|--older-than|-3", "expected a number of seconds, zero or more"),
            ("parked|list|--limit|-3", "-3 is not in 1..=1000000"),
            ("cache|show|users|", "it is empty"),
            ("enqueue", "required arguments were not provided"),
            ("enqueue|t|--signature|x.json", "cannot be used with"),
            ("enqueue|t|--id|7", "invalid value '7' for '--id <UUID>'"),
            ("enqueue|t|--countdown|1|--eta|2027-01-01T00:00Z", "cannot be used with"),
            ("dead|retry", "required arguments were not provided"),
            ("dead|drop|x|--all", "cannot be used with"),
            ("monitor|--info|--clear", "cannot be used with"),
            ("monitor|--yes", "required arguments were not provided"),
            ("monitor|--watch|--json", "cannot be used with"),
            ("monitor|--prometheus|--interval|1", "cannot be used with"),
            ("monitor|--watch|--interval|0.1", "expected a number of seconds from 0.2 to 3600"),
            ("monitor|--interval|1e300", "expected a number of seconds from 0.2 to 3600"),
            ("monitor|--effort|1e9", "expected a number of seconds from 0.1 to 600"),
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), i32::from(rhubarb_core::exit::USAGE), "{line}");
            assert!(error.to_string().contains(sentence), "{line}: {error}");
        }
    }

    /// Whoever computes a number should read what is wrong with it, not that `-3` is no flag.
    #[test]
    fn a_negative_or_empty_value_is_told_by_its_option_in_every_command() {
        fn check(command: &clap::Command, path: &[String]) {
            // Of a file or a shell that is none clap says as much itself.
            let files = ["config", "signature", "file", "folder", "shell", "flags"];
            let all = command.get_arguments().filter(|arg| arg.get_action().takes_values());
            for arg in all.filter(|arg| !files.contains(&arg.get_id().as_str())) {
                let value = |text: &str| match arg.get_long() {
                    Some(long) => vec![format!("--{long}"), text.to_owned()],
                    None => vec![text.to_owned()],
                };
                for text in ["-3", ""] {
                    let words = path.iter().cloned().chain(value(text)).map(OsString::from);
                    let Err(told) = Cli::read(words) else { continue };
                    let is_clear = told.kind() != ErrorKind::UnknownArgument
                        && !told.to_string().contains("none was supplied");
                    assert!(is_clear, "{path:?} {} {text:?}: {told}", arg.get_id());
                }
            }
            for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
                check(sub, &[path, &[sub.get_name().to_owned()]].concat());
            }
        }
        check(&Cli::command(), &["rhubarb".to_owned()]);
    }

    #[test]
    fn every_command_has_help_and_a_version() {
        fn check(command: &clap::Command, path: &[String]) {
            for (flag, kind) in
                [("--help", ErrorKind::DisplayHelp), ("--version", ErrorKind::DisplayVersion)]
            {
                let words = path.iter().map(String::as_str).chain([flag]);
                let told = Cli::read(words.map(OsString::from)).unwrap_err();
                assert_eq!(told.kind(), kind, "{path:?} {flag}");
            }
            assert!(command.get_about().is_some(), "{path:?}");
            // `all` is another program, which has its own.
            for sub in
                command.get_subcommands().filter(|sub| !["help", "all"].contains(&sub.get_name()))
            {
                check(sub, &[path, &[sub.get_name().to_owned()]].concat());
            }
        }
        let mut command = Cli::command();
        command.build();
        check(&command, &["rhubarb".to_owned()]);
    }
}
