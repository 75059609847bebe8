//! A peer of Django's django-redis caches: the same keys and bytes, its calls by their names, and
//! single flight besides.
//!
//! Keys are `KEY_PREFIX:VERSION:key`; values are pickles (or JSON, or MessagePack), compressed or
//! not, ints are digits. Pickle is data here: nothing is imported or executed, a foreign class is
//! an error that names it, and a value that cannot be read is never rewritten or dropped. Whatever
//! is stored, reading takes bounded memory. Formats are those of django-redis 7.0.0; what is
//! compressed is known by its magic, whatever is configured.
//!
//! It knows no job, does not decide what is fresh, never touches the queue's keys, and never
//! flushes a database.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use rhubarb_cache::{AliasConfig, Cache, Error, Fetch, PyValue, Timeout};
//! use rhubarb_connection::{Connections, RedisConfig, Role};
//!
//! async fn example(config: &RedisConfig) -> Result<(), Box<dyn std::error::Error>> {
//!     let redis = Connections::new(config, "my-service")?.role(Role::Cache);
//!     // KEY_PREFIX as in Django's settings.CACHES; 300 s, pickle and version 1 unless it says otherwise.
//!     let cache = Cache::new(AliasConfig::new(Role::Cache, "my_site"), redis);
//!
//!     cache.set("greeting", &PyValue::from("hello"), Timeout::Default).await?;
//!     cache.add("visits", &PyValue::Int(0), Timeout::Never).await?;
//!     cache.incr("visits", 1).await?;
//!
//!     // Computed once, however many miss it at the same time in however many processes; for a minute after its five
//!     // it is given out stale while one of them computes it anew. Python reads it by `cache.get("report")`.
//!     let how = Fetch::new(Timeout::Default).stale(Duration::from_secs(60));
//!     let report = cache.fetch("report", how, || async { Ok::<_, Error>(PyValue::Int(42)) }).await?;
//!     println!("{report:?}");
//!     cache.close().await?;
//!     Ok(())
//! }
//! ```
//!
//! - [`Cache`]: one alias: `get`, `set`, `add`, `get_many`, `set_many`, `delete`, `delete_pattern`,
//!   `clear`, `incr`, `touch`, `expire`, `persist`, `ttl`, `keys`, `iter_keys`, `version`,
//!   `incr_version`
//! - [`Cache::fetch`], [`Fetch`]: single flight and stale while revalidate
//! - [`Cache::lock`], [`Lock`], [`Held`]: locks that Python's `cache.lock()` takes part in
//! - [`Cache::counters`]: hits and misses of each namespace, by all processes
//! - [`codec`]: a value's bytes, without Redis
//! - [`PyValue`]: the values
//! - [`key`]: keys and patterns
//! - [`sessions`]: Django's sessions, and logins shared with Django

mod client;
pub mod codec;
mod compress;
mod config;
mod error;
mod flight;
mod flights;
pub mod key;
mod lock;
pub mod sessions;
mod size;

pub use client::{Cache, Condition, Counts, Keys, Timeout, Ttl, namespace};
pub use config::{AliasConfig, Aliases, Compressor, Serializer};
pub use error::{Error, redact_key};
pub use flight::Fetch;
pub use lock::{Held, Lock};
pub use rhubarb_pyvalue::{
    BigInt, Bound, DateTime, Decimal, FormatError, PyValue, TimeDelta, TimeOfDay, Zone,
};

/// The README's examples are run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
