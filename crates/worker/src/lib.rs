//! The worker.
pub mod args;
