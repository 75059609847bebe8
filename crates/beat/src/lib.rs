//! The beat: publishes each tick of each schedule exactly once, with any number of beats.
//!
//! All beats wake each second and reach for one lease in Redis; whoever holds it publishes what is
//! due, the others stand by and take over when it ends. What is due is decided on Redis's clock
//! from the records that are kept there, and a tick is marked in the same script that publishes it,
//! under the leader's fencing number: two beats that both believe to lead, or one that died at any
//! instruction, publish it once all the same.
//!
//! What it deliberately does not do: it never runs a task, and it keeps nothing in memory or on
//! disk that another beat would need.
//!
//! Modules: [`mod@run`] the loop, [`book`] the schedules in the order in which they are due,
//! [`entry`] from a tick to a task, `publishing` what becomes of one, `pulse` its health,
//! `lateness` and [`webhook`] who is told when it is late, [`wake`] when to look, [`error`] what
//! can go wrong, [`cli`] the command line.

mod ages;
pub mod book;
pub mod cli;
pub mod entry;
pub mod error;
mod lateness;
mod publishing;
mod pulse;
pub mod run;
pub mod wake;
pub mod webhook;

pub use cli::main;
pub use error::Error;
pub use run::{run, run_on};
