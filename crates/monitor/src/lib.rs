//! A look at a whole installation without ever holding Redis up: servers, databases, keys by
//! namespace, queues, what is wrong, and all of it as metrics.
//!
//! It only reads. Servers and databases are asked at once, each on its one connection; what is
//! refused is noted in the report and leaves the others alone.
//!
//! [`servers`] servers and databases, [`collect`] finding out (with [`ask`], [`info`], [`scan`],
//! [`slow`]), [`census`] and [`namespace`] which keys are what, [`finding`] what is wrong,
//! [`fleet`] who works and what became of tasks, [`bounds`] what it is held to, [`report`] what was
//! found, [`boot`] what a process says when it has started, [`prometheus`] the same as metrics,
//! [`number`] how numbers are written.

pub mod ask;
pub mod boot;
pub mod bounds;
pub mod census;
pub mod collect;
pub mod doctor;
pub mod finding;
pub mod fleet;
pub mod info;
pub mod namespace;
pub mod number;
pub mod prometheus;
pub mod report;
pub mod scan;
pub mod servers;
pub mod slow;

/// The README's examples are run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
