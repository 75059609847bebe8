//! The task queue on Redis's db 0: what `kombu` and Celery's worker are to Python.
//!
//! Producers publish Celery messages ([`Client`]); a worker claims them for its free slots, runs them on apalis and
//! ends each claim in one step with its result ([`Consumer`]); beat publishes ticks exactly once ([`Ticks`]); the read
//! side changes nothing ([`inspect`]). Any Celery worker can run what is published here, and any Celery client can wait
//! for what is run here.
//!
//! What it deliberately does not do: it knows no handlers, no scraping, no caches; it is no broker abstraction.
//!
//! The life of a message: a list holds it; [`script::CLAIM`] moves it into the worker's claims under a lease;
//! [`script::SETTLE`] removes it together with storing its result, or puts it into the schedule, or back;
//! [`script::REAP`] gives it back when the lease ended. It is in exactly one of these places at any instant, so that
//! no death loses it; what was claimed by a worker that died runs again.
//!
//! Modules:
//! - [`client`] publish and results, [`canvas`] chains, groups and chords
//! - [`consumer`] the worker's side, [`delivery`] a claimed message, [`outcome`] how it ended, [`ended`] who is told
//! - [`tasks`] what a worker runs and under which limits, [`rate`] rate limits
//! - [`hold`] pause, resume and purge, [`letter`] messages kept apart, [`replay`] bringing them back
//! - [`adopt`] the way in from Python workers, [`hand_back`] the way out to them
//! - [`tick`] beat's side, [`schedules`] all schedules there are, [`lock`] locks
//! - [`inspect`] the read side, [`keys`] every key, [`script`] the Lua scripts, [`error`] errors

pub mod adopt;
pub mod canvas;
pub mod client;
pub mod consumer;
pub mod delivery;
pub mod ended;
pub mod error;
mod fields;
mod floods;
mod follow;
pub mod hand_back;
mod hash;
pub mod hold;
pub mod inspect;
pub mod keys;
pub mod letter;
pub mod lock;
pub mod memory;
mod orphans;
pub mod outcome;
mod piece;
mod plan;
pub mod rate;
mod reap;
mod record;
pub mod replay;
mod revoked;
pub mod schedules;
pub mod script;
pub mod tasks;
pub mod tick;
mod turns;
mod unacked;
mod write;

pub use client::{Client, Publish, Published};
pub use consumer::{Consumer, backend::Backend};
pub use delivery::{Again, Delivery, Notes, Received};
pub use ended::Ended;
pub use error::Error;
pub use lock::Lock;
pub use outcome::{Outcome, Revocation};
pub use rate::{Rate, RateError};
/// Celery's messages and results, which this crate's types hold.
pub use rhubarb_wire as wire;
pub use tasks::{Limits, Tasks};
pub use tick::Ticks;
