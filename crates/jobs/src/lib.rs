//! Job listings: the caches that hold them, and the tasks that scrape them.
//!
//! The shared crate of the worker, which writes database 3 and the status in database 1, and of
//! those who read them. The tasks are behind the feature `tasks`, so that a reader links no worker.
//!
//! It does not fetch or parse (`rhubarb-scrape` does), and knows no format of Django's
//! (`rhubarb-cache` does).
//!
//! - [`Caches`]: every cache alias of a configuration, with [`Listings`], [`StatusCache`],
//!   [`Proxies`], and every cache of the application as a [`DomainCache`]
//! - `tasks`: the scraping tasks, under the names that the Django application calls

mod caches;
mod config;
mod domain;
mod fit;
pub mod life;
mod listings;
mod memory;
mod proxies;
mod status;
mod target;
#[cfg(feature = "tasks")]
pub mod tasks;
pub mod template;

pub use caches::{Caches, Cleared};
pub use config::{CacheConfig, CacheTarget, DOMAINS, Domain, Holds};
pub use domain::{DomainCache, FoundKeys};
pub use listings::{Cached, Listings};
pub use memory::{Remembered, SourceMemory};
pub use proxies::{Proxies, ProxyList};
pub use rhubarb_scrape::{Ending, SourceState, SourceStatus};
pub use status::{ScrapeState, Status, StatusCache};

/// The README's examples are run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
