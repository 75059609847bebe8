//! What all processes know together of proxies: which fail for which hosts.
//!
//! Each process keeps its own [`Health`](super::Health); a [`Fleet`] tells it of the others', and
//! lets one process of all try a proxy again.

use std::{fmt, future::Future, pin::Pin, time::Duration};

/// The boxed future of a [`Fleet`].
pub type Telling<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Keeps what all processes know of proxies. It is a help: without it each process finds out by
/// itself.
///
/// A way is a proxy and the host that it is to lead to: hexadecimal digits, from which neither
/// credentials nor names can be told.
pub trait Fleet: fmt::Debug + Send + Sync {
    /// Returns the ways that fail, each with how long it rests yet.
    fn resting(&self) -> Telling<'_, Vec<(String, Duration)>>;

    /// Tells whether this process is the one that may try a way whose rest is over.
    fn claim<'a>(&'a self, way: &'a str) -> Telling<'a, bool>;

    /// Notes that a way failed, and rests for so long; or, without a rest, that it serves.
    fn note<'a>(&'a self, way: &'a str, rest: Option<Duration>) -> Telling<'a, ()>;
}
