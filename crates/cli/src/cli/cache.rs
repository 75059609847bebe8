//! `cache`

use clap::{Args, Subcommand};

use super::{Shown, not_empty};

/// `cache`
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Lists the caches: what each holds, where and for how long, its hits and misses
    List(Shown),
    /// Shows a cached value, or the keys of a cache
    Show(CacheShowArgs),
    /// Deletes the values of one cache; never queues, sessions or other caches
    ///
    /// It finds the keys by SCAN and frees them in Redis's background, so that Redis is not
    /// blocked. When it is killed half-way, some values are gone: run it again.
    Clear(CacheClearArgs),
}

/// `cache show`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb cache show status
  rhubarb cache show listings \"software engineer\" --json
  rhubarb cache show users                # which keys there are
  rhubarb cache show users 7

Passwords of proxies are not shown. Exit code 1 when nothing is cached.")]
pub(crate) struct CacheShowArgs {
    /// The cache's name, as `rhubarb cache list` has it
    #[arg(value_parser = not_empty)]
    pub(crate) name: String,
    /// Which value: a keyword, an id or a path, as the key of the cache says
    #[arg(value_name = "ARG", value_parser = not_empty)]
    pub(crate) argument: Option<String>,
    /// At most so many keys
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// `cache clear`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb cache clear users 7
  rhubarb cache clear responses --yes")]
pub(crate) struct CacheClearArgs {
    /// The cache's name, as `rhubarb cache list` has it
    #[arg(value_parser = not_empty)]
    pub(crate) name: String,
    /// Only this value: a keyword, an id or a path
    #[arg(value_name = "ARG", value_parser = not_empty)]
    pub(crate) argument: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}
