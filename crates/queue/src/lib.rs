//! The task queue on Redis's db 0, for those who produce, read and operate: what `kombu` is to
//! Python.
//!
//! Producers publish Celery messages ([`Client`]) and wait for results; beat publishes ticks
//! exactly once ([`Ticks`]); operators pause, purge, replay and hand back; the read side changes
//! nothing ([`inspect`]). Any Celery worker can run what is published here, and any Celery client
//! can wait for what is run here.
//!
//! What it deliberately does not do: it claims nothing (`rhubarb-consumer` does), knows no
//! handlers, no scraping, no caches; it is no broker abstraction.
//!
//! Modules:
//! - [`client`] publish and results, [`canvas`] chains, groups and chords
//! - [`pauses`] pause, resume and purge, [`letter`] messages kept apart, [`replay`] bringing them
//!   back
//! - [`revocations`] tasks that shall not run
//! - [`adopt`] the way in from Python workers, [`hand_back`] the way out to them
//! - [`tick`] beat's side, [`schedules`] all schedules there are, [`lock`] locks, [`limiter`]
//!   limits that all workers keep together
//! - [`shadow`] what would run here of a queue that Celery's workers serve
//! - [`shares`] how many of a task's messages our workers take
//! - [`published`] when a message was, [`oldest`] how long the next one has waited
//! - [`mod@config`] the settings of all who take part, [`queue_name`] what a queue may be called
//! - [`inspect`] the read side, [`history`] what became of tasks, [`statistics`] how many,
//!   [`keys`] every key, [`script`] the Lua scripts, [`error`] errors
//! - what the consuming side is built of: [`fields`] and [`piece`] bounded reading, [`orphans`] and
//!   [`reap`] what dead workers left, [`mod@write`] messages in bounded pipelines

pub mod adopt;
pub mod audit;
pub mod canvas;
pub mod client;
pub mod config;
pub mod error;
pub mod fields;
pub mod hand_back;
mod hash;
pub mod history;
pub mod inspect;
pub mod keys;
pub mod letter;
pub mod limiter;
pub mod lock;
pub mod notice;
pub mod oldest;
pub mod orphans;
pub mod pauses;
pub mod piece;
pub mod published;
pub mod reap;
pub mod replay;
pub mod revocations;
mod scan;
pub mod schedules;
pub mod script;
pub mod shadow;
pub mod shares;
pub mod slot;
pub mod statistics;
pub mod tick;
mod unacked;
pub mod write;

pub use client::{Client, Publish, Published, Recorder, traced};
pub use config::{Config, queue_name};
pub use error::Error;
pub use lock::OwnedLock;
/// Celery's messages and results, which this crate's types hold.
pub use rhubarb_wire::{self as wire, CallOptions};
pub use tick::Ticks;
pub use write::{Outgoing, Stored};

/// The README's examples are run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
