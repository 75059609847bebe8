//! `listings`: which of a keyword's listings are meant, and how they are shown.

use clap::Args;
use jiff::Timestamp;

use super::{Shown, not_empty, only::OnlyArgs, tasks::parse_since};

/// `listings`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb listings \"software engineer\"
  rhubarb listings \"software engineer\" --remote --posted-within 7d --min-salary 60000
  rhubarb listings \"software engineer\" --json | jq '.[].title'
  rhubarb listings \"software engineer\" --new --since 2d
  rhubarb listings \"software engineer\" --closed --since 1w --csv > closed.csv
  rhubarb listings \"software engineer\" --follow --new --remote --jsonl

The best matches come first, newer ones before older; changes come latest first. With --json the \
listings are printed as Django reads them, in its order. --jsonl adds `life` to each: state, \
first_seen, last_seen, changes, closed_at, closed_why, reopened_at; so does --json with --new, \
--changed, --closed or --since.

--new, --changed, --closed and --since look at what became of the keyword's postings in the last \
30 days, also when its listings have expired. Several of them show what any of them does.

Exit code 1 when nothing is known of the keyword.")]
pub(crate) struct ListingsArgs {
    /// The keyword that was scraped
    #[arg(value_parser = not_empty)]
    pub(crate) keyword: String,
    /// What is shown.
    #[command(flatten)]
    pub(crate) filters: OnlyArgs,
    /// Only listings of this source
    #[arg(long, value_name = "S")]
    pub(crate) source: Option<String>,
    /// What happened to them.
    #[command(flatten)]
    pub(crate) changes: ChangesArgs,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
    /// Print one JSON object a line
    #[arg(long, conflicts_with_all = ["json", "csv"])]
    pub(crate) jsonl: bool,
    /// Print CSV with a line of headings; no cell is read as a formula
    #[arg(long, conflicts_with_all = ["json", "follow"])]
    pub(crate) csv: bool,
    /// Print each change as it comes, until Ctrl-C; with --since those since then first
    #[arg(long, conflicts_with = "json")]
    pub(crate) follow: bool,
}

/// What happened to postings, and since when.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct ChangesArgs {
    /// Only postings that are new, or are back after they were closed
    #[arg(long)]
    pub(crate) new: bool,
    /// Only postings that say something else than before
    #[arg(long)]
    pub(crate) changed: bool,
    /// Only postings that are closed
    #[arg(long)]
    pub(crate) closed: bool,
    /// Only what happened since then: a time (2026-11-29T12:00:00Z) or how long ago (90s, 15m, 1h,
    /// 2d, 1w) [default with --new, --changed or --closed: 1d]
    #[arg(long, value_name = "T", value_parser = parse_since)]
    pub(crate) since: Option<Timestamp>,
}
