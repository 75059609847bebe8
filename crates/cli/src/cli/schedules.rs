//! The command line of `schedules`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::{
    Shown,
    enqueue::{JsonArgs, parse_args, parse_kwargs},
    not_empty,
};

/// `schedules`
#[derive(Debug, Subcommand)]
pub(crate) enum SchedulesCommand {
    /// Lists the schedules: owner, timetable in words, last and next run, missed ticks, state
    List(Shown),
    /// Shows when schedules run next
    Next(NextArgs),
    /// Adds a schedule in Redis; beats obey it within a second
    Add(Box<EntryArgs>),
    /// Changes a schedule in Redis, or adds it; what you do not give stays as it is
    Set(Box<EntryArgs>),
    /// Removes a schedule from Redis
    Remove(NameArg),
    /// Pauses a schedule, whoever owns it; ticks in the meantime are not made up for
    Pause(PauseScheduleArgs),
    /// Ends a schedule's pause
    Resume(NameArg),
    /// Publishes a schedule's task once, now, beside its timetable
    Run(NameArg),
    /// Adds or changes schedules in Redis from a JSON file
    Import(ImportArgs),
}

/// A schedule's name.
#[derive(Args, Debug)]
pub(crate) struct NameArg {
    /// The schedule's name
    #[arg(value_parser = not_empty)]
    pub(crate) name: String,
}

/// `schedules pause`
#[derive(Args, Debug)]
pub(crate) struct PauseScheduleArgs {
    /// The schedule's name
    #[arg(value_parser = not_empty)]
    pub(crate) name: String,
    /// Why, for whoever looks at the schedules
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) note: String,
}

/// `schedules next`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb schedules next --n 10
  rhubarb schedules next nightly --from 2027-03-28T00:00:00 --tz Europe/Berlin

Times are in each schedule's own time zone, or in --tz. Without Redis it shows the file's schedules \
only, intervals begin at --from, and the exit code is 4.")]
pub(crate) struct NextArgs {
    /// Only this schedule [default: all]
    pub(crate) name: Option<String>,
    /// How many runs of each schedule
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) n: u16,
    /// Runs after this time, ISO 8601; without an offset in --tz or beat.timezone [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Show times in this IANA time zone
    #[arg(long, value_name = "Z")]
    pub(crate) tz: Option<String>,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// `schedules import`
#[derive(Args, Debug)]
#[command(after_help = "\
The file is a JSON object of entries by name, for example:
  {\"nightly\": {\"task\": \"shop.report\", \"cron\": \"0 1 * * *\"}}

`python -m rhubarb_tasks.schedules` of deploy/django writes such a file for a Django project. An \
entry that cannot be used is reported and stops no other. The exit code is 1 when one was refused.")]
pub(crate) struct ImportArgs {
    /// The file; - for standard input
    pub(crate) file: PathBuf,
    /// Only tell what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `schedules add` and `set`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb schedules add nightly --task shop.report --cron '30 1 * * mon-fri'
  rhubarb schedules add often --task shop.ping --every 30 --overlap skip
  rhubarb schedules set nightly --cron '0 2 * * *' --timezone Europe/Berlin
  rhubarb schedules add once --json '{\"task\": \"shop.sale\", \"at\": \"2026-12-24T18:00:00\"}'

Lengths of time are seconds, or text such as 90s, 10m, 1h30m. deploy/rhubarb.toml explains each \
setting.")]
pub(crate) struct EntryArgs {
    /// The schedule's name
    #[arg(value_parser = not_empty)]
    pub(crate) name: String,
    /// The task's name
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// When: a cron line; five fields, six with seconds in front, or @hourly and the like
    #[arg(long, value_name = "LINE", group = "when")]
    cron: Option<String>,
    /// When: an interval
    #[arg(long, value_name = "S", group = "when")]
    every: Option<String>,
    /// With --every: on whole days, hours or minutes
    #[arg(long)]
    relative: bool,
    /// When: once, at this time
    #[arg(long, value_name = "TIME", group = "when")]
    at: Option<String>,
    /// Positional arguments, as a JSON array
    #[arg(long, value_name = "JSON", value_parser = parse_args)]
    args: Option<JsonArgs>,
    /// Keyword arguments, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = parse_kwargs)]
    kwargs: Option<Map<String, Value>>,
    /// The time zone [default: beat.timezone]
    #[arg(long, value_name = "Z")]
    timezone: Option<String>,
    /// On days when clocks change: celery, skip, once or both
    #[arg(long, value_name = "POLICY")]
    dst: Option<String>,
    /// The queue [default: that of celery.task_routes, else celery.task_default_queue]
    #[arg(long, value_name = "Q")]
    queue: Option<String>,
    /// 0 (served first) to 9
    #[arg(long, value_name = "N")]
    priority: Option<u8>,
    /// Do not run a task any more when it has not begun this long after its tick
    #[arg(long, value_name = "S")]
    expires: Option<String>,
    /// No tick before this time
    #[arg(long, value_name = "TIME")]
    start_at: Option<String>,
    /// No tick after this time
    #[arg(long, value_name = "TIME")]
    end_at: Option<String>,
    /// End after this many ticks
    #[arg(long, value_name = "N")]
    max_runs: Option<u32>,
    /// Publish each tick up to this much later
    #[arg(long, value_name = "S")]
    jitter: Option<String>,
    /// Which missed ticks to publish: last, none or all
    #[arg(long, value_name = "WHICH")]
    catch_up: Option<String>,
    /// Leave out a tick that is later than this
    #[arg(long, value_name = "S")]
    misfire_grace: Option<String>,
    /// While the last tick's task waits or runs: allow, skip, queue_one or cancel_running
    #[arg(long, value_name = "POLICY")]
    overlap: Option<String>,
    /// Warn about a tick that is later than this
    #[arg(long, value_name = "S")]
    alert_after: Option<String>,
    /// The entry as JSON, with the file's keys; flags win over it
    #[arg(long, value_name = "JSON", value_parser = parse_kwargs)]
    json: Option<Map<String, Value>>,
}

impl EntryArgs {
    /// Tells whether a setting was given in `--json`.
    pub(crate) fn is_of_json(&self, key: &str) -> bool {
        self.json.as_ref().is_some_and(|json| json.contains_key(key))
    }

    /// Returns what was given, by the file's keys.
    pub(crate) fn given(&self) -> Map<String, Value> {
        let mut given = self.json.clone().unwrap_or_default();
        let mut put = |key: &str, value: Option<Value>| {
            given.extend(value.map(|value| (key.to_owned(), value)));
        };
        let texts = [
            ("task", &self.task),
            ("cron", &self.cron),
            ("every", &self.every),
            ("at", &self.at),
            ("timezone", &self.timezone),
            ("dst", &self.dst),
            ("queue", &self.queue),
            ("expires", &self.expires),
            ("start_at", &self.start_at),
            ("end_at", &self.end_at),
            ("jitter", &self.jitter),
            ("catch_up", &self.catch_up),
            ("misfire_grace", &self.misfire_grace),
            ("overlap", &self.overlap),
            ("alert_after", &self.alert_after),
        ];
        for (key, text) in texts {
            put(key, text.clone().map(Value::from));
        }
        put("relative", self.relative.then(|| true.into()));
        put("args", self.args.as_ref().map(|args| args.0.clone().into()));
        put("kwargs", self.kwargs.clone().map(Value::from));
        put("priority", self.priority.map(Value::from));
        put("max_runs", self.max_runs.map(Value::from));
        given
    }
}
