//! The vocabulary of Rhubarb: what every other crate means by the same word.
//!
//! Pure values and their rules; the only I/O is reading the configuration file and the environment, and
//! the only async is waiting for a signal. It knows neither Redis nor HTTP.

pub mod celery_flags;
pub mod class;
pub mod clock;
pub mod config;
pub mod crontab;
pub mod exit;
pub mod process;
pub mod queue_name;
pub mod schedule;
pub mod shutdown;
pub mod telemetry;

pub use rhubarb_config::redact;

#[cfg(test)]
mod recorded;
