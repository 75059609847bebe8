//! The flags by which every program finds its settings, and `[log]`, which every program has.

mod args;

pub use self::args::CommonArgs;
pub use crate::telemetry::{LogConfig, LogFormat, TelemetryConfig};
