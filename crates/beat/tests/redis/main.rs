//! The beat against a Redis of its own: each tick once, whoever leads, whatever was missed.

#![expect(clippy::unwrap_used, reason = "a broken fixture or server is to fail the test")]

/// A Redis, and beats in this process.
mod harness;
/// Who leads, and what becomes of it.
mod leading;
/// Schedules that are edited while beats run.
mod live;
/// Missed, late and overlapping ticks.
mod policies;
