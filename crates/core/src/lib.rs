//! What every process does around its own work: its flags, its log, its signals, its exit code.
//!
//! The only I/O is reading the configuration file and the environment, and the only async is
//! waiting for a signal. It knows neither Redis nor HTTP.

pub mod celery_flags;
pub mod class;
pub mod clock;
pub mod config;
pub mod exit;
pub mod hex;
pub mod metrics;
pub mod process;
pub mod secrets;
pub mod shown;
pub mod shutdown;
pub mod telemetry;

pub use rhubarb_config::redact;

/// What `--version` says: the version, and of a release build its commit and the day it was built.
pub const VERSION: &str = env!("RHUBARB_VERSION");

/// The README's examples are run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
