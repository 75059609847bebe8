//! The task queue on Redis's db 0, for those who run tasks: what Celery's worker is to Python.
//!
//! A [`Consumer`] claims messages for its free slots under a lease, runs them on apalis
//! ([`Backend`]) and ends each claim in one step with its result.
//!
//! The life of a message: a list holds it; the script `claim` moves it into the worker's claims
//! under a lease; `settle` removes it together with storing its result, or puts it into the
//! schedule, or back; `reap` gives it back when the lease ended. It is in exactly one of these
//! places at any instant, so that no death loses it; what was claimed by a worker that died runs
//! again.
//!
//! What it deliberately does not do: it knows no handlers, no scraping, no caches. Publishing,
//! reading and operating are `rhubarb-queue`'s.
//!
//! Each role is given what it uses of a worker (`consumer`): `claim` takes messages, `settle` ends
//! them, `foreign` decides about those whose task is none of ours, `heartbeat` keeps the lease
//! and gives back what dead workers held, `control` answers `celery inspect` and `celery control`,
//! `events` tells of tasks, `backend` is what apalis polls. No role stops on an error of Redis:
//! each tries again for ever, and a claim whose fate is unknown is settled again, which the fencing
//! by claim makes harmless. `watchdog` ends the process when they stand still all the same.
//!
//! What a claim becomes: [`Delivery`] a claimed message, [`Outcome`] how it ended, `plan` what that
//! does to the message and `follow` what follows it (both without I/O), [`Ended`] who is told.

mod ask;
mod attempts;
mod backend;
mod body_memory;
mod broadcasts;
mod broker;
mod chord;
mod chronicle;
mod circumstances;
mod claim;
mod consumer;
mod control;
mod counters;
mod delivery;
mod ended;
mod events;
mod floods;
mod follow;
mod foreign;
mod handout;
mod heartbeat;
mod held;
mod join;
mod letters;
mod machine;
mod memory;
mod notices;
mod others;
mod outcome;
mod plan;
mod prepare;
mod pulse;
mod queues;
mod rate;
mod record;
mod report;
mod revoked;
mod room;
mod script;
mod settle;
mod settler;
mod shares;
mod signals;
mod slots;
mod tasks;
mod turns;
mod watchdog;

pub use backend::Backend;
pub use body_memory::BodyMemory;
pub use consumer::Consumer;
pub use counters::Counters;
pub use delivery::{Delivery, Received};
pub use ended::Ended;
pub use outcome::{Again, Ending, Made, Outcome, Revocation};
pub use pulse::Pulse;
pub use rate::{Rate, RateError};
pub use report::{report, report_started};
pub use tasks::{Processes, ResultPolicy, TaskLimits, Tasks};

/// The README's examples are run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
