//! `enqueue`: Celery's calling options as flags.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use jiff::{Timestamp, civil::DateTime};
use rhubarb_queue::wire;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Shown, not_empty, parse_queue, parse_seconds};

/// `enqueue`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb enqueue job_scraper.tasks.get_scraping_status --wait 10
  rhubarb enqueue shop.mail --args '[\"ada@example.org\"]' --kwargs '{\"urgent\": true}'
  rhubarb enqueue shop.report --queue slow --eta 2027-01-01T09:00:00+01:00
  rhubarb enqueue shop.resize --args '[\"a.png\"]' --time-limit 60 --link shop.publish
  rhubarb enqueue --signature canvas.json --wait 60

A signature is a task or a canvas (chain, group, chord) as JSON in Celery's own form: an object \
with task, args, kwargs, options, subtask_type and immutable. --args go before its own arguments. \
The other flags are options of the call.

Prints the task's id, with --json as {\"id\": ..., \"duplicate\": false}. With --wait it prints the \
result as JSON; the exit code is 6 when the task failed, and 1 when there is no result in time.")]
pub(crate) struct EnqueueArgs {
    /// The task's name
    #[arg(value_parser = parse_task, required_unless_present = "signature")]
    pub(crate) task: Option<String>,
    /// Positional arguments, as a JSON array
    #[arg(long, value_name = "JSON", value_parser = parse_args, default_value = "[]", hide_default_value = true)]
    pub(crate) args: JsonArgs,
    /// Keyword arguments, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = parse_kwargs, default_value = "{}", hide_default_value = true)]
    pub(crate) kwargs: Map<String, Value>,
    /// Publish this signature or canvas instead of one task: a file with JSON, or - for standard
    /// input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["task", "kwargs", "unique_for"])]
    pub(crate) signature: Option<PathBuf>,
    /// The queue [default: that of celery.task_routes, else celery.task_default_queue]
    #[arg(long, value_name = "Q", value_parser = parse_queue)]
    pub(crate) queue: Option<String>,
    /// Run it this many seconds from now
    #[arg(long, value_name = "S", value_parser = parse_seconds, conflicts_with = "eta", allow_negative_numbers = true)]
    pub(crate) countdown: Option<Duration>,
    /// Run it at this time, ISO 8601; a time without an offset is in celery.timezone
    #[arg(long, value_name = "TIME", value_parser = parse_eta)]
    pub(crate) eta: Option<Eta>,
    /// Do not run it any more when it has not begun this many seconds from now
    #[arg(long, value_name = "S", value_parser = parse_seconds, allow_negative_numbers = true)]
    pub(crate) expires: Option<Duration>,
    /// 0 (served first) to 9 [default: that of celery.task_routes, else
    /// celery.task_default_priority]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=9), allow_negative_numbers = true)]
    pub(crate) priority: Option<u8>,
    /// End it when it has run for this many seconds (its hard time limit)
    #[arg(long, value_name = "S", value_parser = parse_limit)]
    pub(crate) time_limit: Option<Duration>,
    /// Ask it to end when it has run for this many seconds (its soft time limit)
    #[arg(long, value_name = "S", value_parser = parse_limit)]
    pub(crate) soft_time_limit: Option<Duration>,
    /// Show it under this name in events and Flower
    #[arg(long, value_name = "NAME", value_parser = not_empty)]
    pub(crate) shadow: Option<String>,
    /// Add a header to the message; may be given several times
    #[arg(long = "header", value_name = "K=V", value_parser = parse_header)]
    pub(crate) headers: Vec<(String, String)>,
    /// Store no result
    #[arg(long, conflicts_with = "wait")]
    pub(crate) ignore_result: bool,
    /// Call this task with the result after a success; may be given several times
    #[arg(long, value_name = "TASK", value_parser = not_empty)]
    pub(crate) link: Vec<String>,
    /// Call this task with the task's id after a failure; may be given several times
    #[arg(long, value_name = "TASK", value_parser = not_empty)]
    pub(crate) link_error: Vec<String>,
    /// Publish it once: for this many seconds the same task with the same arguments is not
    /// published again
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    pub(crate) unique_for: Option<Duration>,
    /// The task's id [default: a new one]
    #[arg(long, value_name = "UUID")]
    pub(crate) id: Option<Uuid>,
    /// Wait this many seconds for the result and print it
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    pub(crate) wait: Option<Duration>,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// What Celery 5.7 gives a meaning besides the headers that it writes.
const RESERVED: [&str; 3] = ["meth", "chain", "reply_to"];

/// Positional arguments; a type of its own because clap would take a `Vec` for a repeated flag.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JsonArgs(pub(crate) Vec<Value>);

/// When a task is to run, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eta {
    /// With an offset.
    At(Timestamp),
    /// Without one: Celery's configured time zone decides.
    Local(DateTime),
}

pub(super) fn parse_args(text: &str) -> Result<JsonArgs, String> {
    match parse_json(text)? {
        Value::Array(args) => Ok(JsonArgs(args)),
        other => Err(format!("expected a JSON array such as [\"a\", 1], not {}", kind(&other))),
    }
}

pub(super) fn parse_kwargs(text: &str) -> Result<Map<String, Value>, String> {
    match parse_json(text)? {
        Value::Object(kwargs) => Ok(kwargs),
        other => Err(format!("expected a JSON object such as {{\"a\": 1}}, not {}", kind(&other))),
    }
}

fn parse_json(text: &str) -> Result<Value, String> {
    let valid: Result<Value, _> = serde_json::from_str(text);
    valid.map_err(|problem| format!("not valid JSON: {problem}"))?;
    wire::common(text)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn parse_eta(text: &str) -> Result<Eta, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Eta::At(at));
    }
    // The order matters: a date and time with an offset would parse as one without.
    text.parse::<DateTime>()
        .map(Eta::Local)
        .map_err(|_| "expected a time such as 2027-01-01T09:00:00+01:00".to_owned())
}

fn parse_task(text: &str) -> Result<String, String> {
    if (1..=512).contains(&text.len()) && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("a task's name has 1 to 512 characters and no control characters".to_owned())
    }
}

fn parse_limit(text: &str) -> Result<Duration, String> {
    let limit = parse_seconds(text).ok().filter(|limit| !limit.is_zero());
    limit.ok_or_else(|| "expected a number of seconds above zero".to_owned())
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, _)) if wire::HEADERS.contains(&name) || RESERVED.contains(&name) => {
            Err(format!("`{name}` is a header of Celery's own; the other flags set those"))
        }
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected a name and a value such as x-trace=1".to_owned()),
    }
}
