//! `queues`, `pause`, `resume`, `purge`, `revoke`, `task`, and the ways in and out.

use std::time::Duration;

use clap::Args;

use super::{Shown, monitor, not_empty, parse_queue, parse_seconds};

/// `queues`
#[derive(Args, Debug)]
#[command(after_help = "\
It shows the queues that Rhubarb knows, those of the configuration, and those that only Celery's \
programs use. Redis has no list of the last ones: the command looks through keys for kombu's \
bindings, for at most --effort seconds, and says when that was not all.")]
pub(crate) struct QueuesArgs {
    /// Look for Celery's queues for at most this many seconds, and through 250,000 keys for each
    /// second
    #[arg(long, value_name = "S", default_value = "1", value_parser = monitor::parse_effort,
        allow_negative_numbers = true)]
    pub(crate) effort: Duration,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// `resume`
#[derive(Args, Debug)]
pub(crate) struct QueueArg {
    /// The queue's name
    #[arg(value_parser = parse_queue)]
    pub(crate) queue: String,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// `pause`
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  rhubarb pause celery --note \"a deploy\"

A pause lasts until `rhubarb resume QUEUE`, also when workers start anew. Python workers do not \
obey it.")]
pub(crate) struct PauseArgs {
    /// The queue's name
    #[arg(value_parser = parse_queue)]
    pub(crate) queue: String,
    /// Why, for the next person who looks
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// `purge`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb purge mail
  rhubarb purge mail --scheduled --yes

Nothing brings purged tasks back.")]
pub(crate) struct PurgeArgs {
    /// The queue's name
    #[arg(value_parser = parse_queue)]
    pub(crate) queue: String,
    /// Delete the scheduled tasks (ETA, retries) as well; without this flag only those go that no
    /// worker has looked at yet, because they still wait in the list
    #[arg(long)]
    pub(crate) scheduled: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// `revoke`
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  rhubarb revoke 8f14e45f-ceea-467f-9575-d3ea3f7d1b2a --terminate

Rust and Python workers are told. A Rust worker that is down now obeys when it is back; a Python \
worker does not.")]
pub(crate) struct RevokeArgs {
    /// The tasks' ids
    #[arg(required = true, value_name = "ID", value_parser = not_empty)]
    pub(crate) ids: Vec<String>,
    /// Also end those that run
    #[arg(long)]
    pub(crate) terminate: bool,
}

/// `task`
#[derive(Args, Debug)]
pub(crate) struct TaskArgs {
    /// The task's id
    #[arg(value_parser = not_empty)]
    pub(crate) id: String,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// `adopt-unacked`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb adopt-unacked --older-than 7200 --dry-run
  rhubarb adopt-unacked --older-than 0            when no Python worker is left")]
pub(crate) struct AdoptArgs {
    /// Only what was delivered at least this many seconds ago, by Redis's clock
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    pub(crate) older_than: Duration,
    /// At most so many, the oldest ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
    /// Only tell what would be put back
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// `hand-back`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb hand-back --dry-run
  rhubarb hand-back --queue celery --queue mail")]
pub(crate) struct HandBackArgs {
    /// Only this queue; may be given several times [default: all known queues]
    #[arg(long = "queue", value_name = "Q", value_parser = parse_queue)]
    pub(crate) queues: Vec<String>,
    /// Only tell what would be put back
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}
