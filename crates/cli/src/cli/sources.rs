//! `sources`

use clap::{Args, Subcommand};

use super::Shown;

/// `sources`
#[derive(Debug, Subcommand)]
pub(crate) enum SourcesCommand {
    /// Lists the sources
    List(Shown),
    /// Fetches from the sources without a worker and tells what each answered
    Check(CheckArgs),
    /// Tells which kind of source reads a careers page, and writes its configuration
    Find(FindArgs),
}

/// `sources find`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb sources find https://jobs.lever.co/acme
  rhubarb sources find acme.example/careers >> rhubarb.toml

The kind is told by the address, or else the page is fetched and looked through for boards, JSON-LD,
feeds, data in scripts and sitemaps. Exit code 1 when no kind is known for it.")]
pub(crate) struct FindArgs {
    /// The address of the careers page
    #[arg(value_name = "ADDRESS")]
    pub(crate) url: String,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// `sources check`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb sources check
  rhubarb sources check remoteok --keyword \"rust engineer\"
  rhubarb sources check https://jobs.lever.co/acme

Of one source the steps are shown: what was fetched, how many records were read, three of them, and
what to change. Exit code 1 when a source failed or its board was not found.")]
pub(crate) struct CheckArgs {
    /// Only this source, or the one that reads this address [default: all enabled ones]
    #[arg(value_name = "NAME|ADDRESS")]
    pub(crate) name: Option<String>,
    /// The keyword to look for [default: everything]
    #[arg(long, value_name = "KEYWORD", default_value = "", hide_default_value = true)]
    pub(crate) keyword: String,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}
