//! `dead` and `parked`: which kept messages, and what becomes of them.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{Shown, TaskArgs, not_empty, parse_queue, parse_seconds};

/// `dead`
#[derive(Debug, Subcommand)]
pub(crate) enum DeadCommand {
    /// Lists the dead letters, the newest first
    List(LettersArgs),
    /// Shows one dead letter with its reason and history
    Show(TaskArgs),
    /// Puts dead letters back on their queues, to run next, with their count of deliveries at zero
    ///
    /// It removes the task's old result first, and then moves the message in one step. When it is
    /// killed in between, the dead letter is still there: run it again.
    Retry(Chosen),
    /// Deletes dead letters; with --all it asks first
    Drop(DropArgs),
}

/// `parked`
#[derive(Debug, Subcommand)]
pub(crate) enum ParkedCommand {
    /// Lists the parked tasks, the newest first
    List(LettersArgs),
    /// Shows one parked task with its arguments and history
    Show(TaskArgs),
    /// Puts parked tasks back on their queues; one that still nobody knows is parked again
    Replay(Chosen),
    /// Deletes parked tasks; with --all it asks first
    Drop(DropArgs),
}

/// Which kept messages are meant.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct FilterArgs {
    /// Only this task's
    #[arg(long, value_name = "NAME", value_parser = not_empty)]
    pub(crate) task: Option<String>,
    /// Only those of this queue
    #[arg(long, value_name = "Q", value_parser = parse_queue)]
    pub(crate) queue: Option<String>,
    /// Only those whose reason contains this, in any case
    #[arg(long, value_name = "TEXT", value_parser = not_empty)]
    pub(crate) reason: Option<String>,
    /// Only those that are kept for at least this many seconds
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    pub(crate) older_than: Option<Duration>,
}

/// `dead list`, `parked list`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb dead list --queue celery --reason 'workers died'
  rhubarb dead list --older-than 86400 --limit 20 --json
  rhubarb parked list --task shop.report")]
pub(crate) struct LettersArgs {
    /// Which ones.
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) limit: u32,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// One kept message by its id, those that are meant, or all of them.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true)
    .args(["id", "all", "task", "queue", "reason", "older_than"]))]
pub(crate) struct Chosen {
    /// The task's id
    #[arg(conflicts_with_all = ["all", "task", "queue", "reason", "older_than"])]
    pub(crate) id: Option<String>,
    /// All of them
    #[arg(long, conflicts_with_all = ["task", "queue", "reason", "older_than"])]
    pub(crate) all: bool,
    /// Which ones.
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

/// `dead drop`, `parked drop`
#[derive(Args, Debug)]
pub(crate) struct DropArgs {
    /// Which ones.
    #[command(flatten)]
    pub(crate) chosen: Chosen,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}
