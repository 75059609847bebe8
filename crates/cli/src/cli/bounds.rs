//! `check`

use std::time::Duration;

use clap::Args;

use super::{Shown, parse_queue, parse_seconds};

/// `check`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb check                                     whether Redis can be used
  rhubarb check --workers 2 --max-age 300 --max-late 120
  rhubarb check --queue mail --max-waiting 1000

One sentence for each bound that does not hold, and exit code 1; exit code 4 when Redis cannot be \
reached. What could not be found out does not hold either. Of tasks that Python published only a \
lower bound of their age is known: docs/metrics.md says how it is found.")]
pub(crate) struct BoundsArgs {
    /// At least so many workers are live, those that are stopping left out
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
    /// No task has waited for longer than this many seconds
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    pub(crate) max_age: Option<Duration>,
    /// No more than so many tasks wait in a queue
    #[arg(long, value_name = "N")]
    pub(crate) max_waiting: Option<u64>,
    /// No schedule is later than this many seconds, and a beat leads
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    pub(crate) max_late: Option<Duration>,
    /// Only this queue; may be given several times [default: all known queues]
    #[arg(long = "queue", value_name = "Q", value_parser = parse_queue)]
    pub(crate) queues: Vec<String>,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}
