//! Caches that Django reads and writes through django-redis, byte for byte.
//!
//! Keys are `KEY_PREFIX:VERSION:key`; values are pickles (or JSON, or MessagePack), ints are digits. Pickle is
//! data here: nothing is imported or executed, a foreign class is an error that names it, and a
//! value that cannot be read is never rewritten or dropped. Formats are those of django-redis 7.0.0.
//!
//! It does not scrape, schedule or decide what is fresh; it never touches the queue's keys.
//!
//! ```no_run
//! use rhubarb_cache::{Caches, Error, PyValue, Timeout};
//! use rhubarb_connection::Connections;
//! use rhubarb_core::config::Config;
//!
//! async fn example(config: &Config, connections: &Connections) -> Result<(), Error> {
//!     let caches = Caches::new(config, connections)?;
//!     caches.alias("default")?.set("greeting", &PyValue::from("hello"), Timeout::Default).await?;
//!     if let Some(cached) = caches.listings().read("rust developer").await? {
//!         println!("{} listings, {:?} old", cached.listings.len(), cached.age);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! - [`Caches`]: all aliases of a configuration, with [`Listings`], [`StatusCache`] and [`Proxies`]
//! - [`Cache`]: one alias: get, set, add, delete, touch, ttl
//! - [`codec`]: a value's bytes, without Redis
//! - [`PyValue`]: the values
//! - [`key`]: keys and patterns
//! - [`sessions`]: Django's sessions, and logins shared with Django

mod caches;
mod client;
pub mod codec;
mod error;
mod format;
pub mod key;
mod listings;
mod proxies;
pub mod sessions;
mod status;
mod value;

mod bigint;
mod msgpack;
mod pickle;

pub use bigint::BigInt;
pub use caches::{Caches, Cleared};
pub use client::{Cache, Timeout, Ttl};
pub use error::Error;
pub use format::FormatError;
pub use listings::{Cached, Listings};
pub use proxies::{Proxies, ProxyList};
pub use status::StatusCache;
pub use value::{DateTime, Decimal, PyValue, TimeDelta};
