//! `rhubarb monitor`.

use std::time::Duration;

use clap::{ArgGroup, Args};

/// `monitor`
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("form").args(["info", "clear", "watch"]))]
#[command(group = ArgGroup::new("format").args(["json", "prometheus"]))]
#[command(after_help = "\
Examples:
  rhubarb monitor
  rhubarb monitor --info --effort 30
  rhubarb monitor --clear
  rhubarb monitor --watch --interval 2
  rhubarb monitor --json --interval 10 >>redis.jsonl
  rhubarb monitor --prometheus >redis.prom

Keys are counted by SCAN, for at most --effort seconds. Counts of keys that it has not seen by then \
are estimates, marked with ~. It sends nothing that blocks Redis.

The exit code is 4 when a database cannot be reached, and 3 when Redis refuses the user, the \
password or the database number. The other databases are shown all the same.")]
pub(crate) struct MonitorArgs {
    /// Show also version, persistence, hit rate, queues and more, and findings with advice
    #[arg(long)]
    pub(crate) info: bool,
    /// Delete the cached listings, the status and the proxy list; never queues, sessions or other
    /// caches
    #[arg(long)]
    pub(crate) clear: bool,
    /// With --clear: do not ask
    #[arg(long, requires = "clear")]
    pub(crate) yes: bool,
    /// Show a live view on the terminal; q quits
    #[arg(long)]
    pub(crate) watch: bool,
    /// Print one JSON document; with --interval one on each line
    #[arg(long, conflicts_with = "watch")]
    pub(crate) json: bool,
    /// Print metrics in Prometheus's text format; with --info the namespaces too
    #[arg(long, conflicts_with_all = ["watch", "clear", "interval"])]
    pub(crate) prometheus: bool,
    /// Look again after this many seconds, until stopped [default with --watch: 1]
    #[arg(long, value_name = "S", conflicts_with = "clear", value_parser = parse_interval,
        allow_negative_numbers = true)]
    pub(crate) interval: Option<Duration>,
    /// Look through keys for at most this many seconds, and through 250,000 keys of each database
    /// for each second
    #[arg(long, value_name = "S", default_value = "1", conflicts_with = "watch", value_parser = parse_effort,
        allow_negative_numbers = true)]
    pub(crate) effort: Duration,
}

/// More often than five times a second is more than a person can see.
fn parse_interval(text: &str) -> Result<Duration, String> {
    within(text, 0.2, 3_600.0)
}

pub(super) fn parse_effort(text: &str) -> Result<Duration, String> {
    within(text, 0.1, 600.0)
}

fn within(text: &str, least: f64, most: f64) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (least..=most).contains(seconds));
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("expected a number of seconds from {least} to {most}"))
}
