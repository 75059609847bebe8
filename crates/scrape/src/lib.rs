//! Fetches job boards politely and reads listings out of what they answer.
//!
//! It knows neither Redis nor tasks: bytes come in over HTTP, [`Listing`]s go out. Every reader is
//! a pure function of a payload, and a payload is hostile until read: whatever it holds, reading
//! ends soon and without a panic.
//!
//! ```no_run
//! # async fn example(config: rhubarb_scrape::config::ScrapeSettings) -> Result<(), Box<dyn std::error::Error>> {
//! use rhubarb_scrape::{run::Scraper, Query};
//!
//! let scraper = Scraper::new(&config.scrape, &config.sources)?;
//! let now = rhubarb_core::clock::now();
//! let query = Query::new("rust developer", now);
//! let report = scraper.scrape(&query, &|_| {}).await;
//! for listing in report.listings {
//!     println!("{} at {}", listing.title, listing.company);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! From the outside in: [`run`] asks the sources of a configuration side by side; [`Source`] says
//! what a source is, and [`Gathering`] what it gave and how it ended; [`sources`] has the kinds,
//! one file each; [`dedupe`] makes one list by the rule of [`identity`]; [`salary`], [`dates`] and
//! [`text`] read what sources have in common; [`budget`] bounds what reading costs; [`fetch`] keeps
//! every rule that a request keeps on its way to a page.

pub mod config;
pub mod run;

mod coverage;
pub mod filter;
pub mod keyword;
mod listing;
mod source_status;

pub mod blocked;
pub mod boards;
pub mod dedupe;
pub mod find;
mod gathering;
pub mod identity;
pub mod link;
mod source;
pub mod sources;
mod trouble;

mod feed;
mod following;
mod query;
mod reading;
mod setup;
pub mod steps;

pub mod budget;
mod context;
pub mod dates;
mod dom;
mod embedded;
mod employment;
mod empty;
mod fold;
#[cfg(test)]
mod hostile;
mod json;
mod jsonld;
pub mod locale;
mod location;
mod paging;
mod parse_error;
mod parsed;
mod paths;
mod posting;
mod record;
mod rows;
mod rss;
pub mod salary;
#[cfg(test)]
mod testing;
pub mod text;
mod tokens;
mod workplace;
mod xml;

pub mod error;
pub mod fetch;
pub mod hosts;
pub mod page;
pub mod proxies;
pub mod robots;
mod store;

pub mod address;
pub mod charset;
mod politeness;

pub use context::Context;
pub use coverage::Coverage;
pub use gathering::{Conclusion, Gathering, SourceLimits};
pub use listing::Listing;
pub use parse_error::ParseError;
pub use parsed::Parsed;
pub use query::Query;
pub use setup::BuildError;
pub use source::{Refines, Running, Source, Sources};
pub use source_status::{Ending, SourceState, SourceStatus};
pub use trouble::Trouble;

/// The README's examples are run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
