//! The beat: publishes each tick of each schedule exactly once, with any number of beats.
//!
//! All beats wake each second and reach for one lease in Redis; whoever holds it publishes what is due, the
//! others stand by and take over when it ends. What is due is decided on Redis's clock from the ticks that are
//! marked there, and a tick is marked in the same script that publishes it: two beats that both believe to lead,
//! or one that died at any instruction, publish it once all the same.
//!
//! What it deliberately does not do: it never runs a task, and it keeps nothing in memory or on disk that another
//! beat would need. Of several ticks missed while no beat ran, only the last is published.
//!
//! Modules: [`mod@run`] the loop, [`entry`] from a schedule to a task, [`wake`] when to look, [`error`] what can go
//! wrong, [`cli`] the command line.

pub mod cli;
pub mod entry;
pub mod error;
pub mod run;
pub mod wake;

pub use cli::main;
pub use error::Error;
pub use run::run;
