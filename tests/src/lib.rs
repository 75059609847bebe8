//! The harness of the end-to-end tests: everything around Rhubarb's binaries that a test needs.
//!
//! It starts real things (a Redis of the test's own, a job board on loopback, Python with the real
//! Celery and Django, our binaries) and ends them, by process id, when the test ends. It knows
//! nothing of what is being tested: that is in `it/`.
//!
//! - [`eventually`], [`process`], [`redis_server`]: from `rhubarb-testbed`, which all crates' tests
//!   share.
//! - [`certificates`]: an authority and what it signs, for TLS.
//! - [`proxy`]: a bad network in front of a Redis server.
//! - [`faketime`]: a clock of one process's own, turned while it runs.
//! - [`ledger`]: who ran what and what was done to whom, on one clock.
//! - [`board`]: the demo's job board, which answers as the real ones do, or as badly as asked.
//! - [`python`]: programs of `tests/interop`, run by the Python that `tests/run.sh` prepares.
//! - [`terminal`]: a program at a terminal of its own.
//! - [`installation`]: a Redis, a configuration and our three binaries, as an operator has them.

pub mod board;
pub mod certificates;
pub mod faketime;
pub mod installation;
pub mod ledger;
pub mod proxy;
pub mod python;
pub mod terminal;

use std::path::PathBuf;

pub use rhubarb_testbed::{eventually, process, redis_server};

/// Returns the path of a file in this package, e.g. `interop/send.py`.
pub fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The page for those who write tasks: what it shows compiles, and runs where it needs no Redis.
#[cfg(doctest)]
#[doc = include_str!("../../docs/own-tasks.md")]
pub struct OwnTasks;
