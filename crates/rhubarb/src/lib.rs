//! The worker: registers async functions as Celery tasks and runs them.
//!
//! A worker is a `main` of a few lines:
//!
//! ```no_run
//! use rhubarb::{Args, TaskError};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct Add {
//!     x: i64,
//!     y: i64,
//! }
//!
//! async fn add(Args(Add { x, y }): Args<Add>) -> Result<i64, TaskError> {
//!     x.checked_add(y).ok_or_else(|| TaskError::failed("OverflowError", "the sum is too large"))
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     rhubarb::main(|app| {
//!         app.task("shop.add", add);
//!         Ok(())
//!     })
//! }
//! ```
//!
//! Python calls it as it calls any task: `app.send_task("shop.add", args=[1], kwargs={"y": 2}).get()`.
//!
//! What it deliberately does not do: it never decides when a message is claimed, acknowledged or given
//! back; that is [`rhubarb_queue`]'s. It publishes no schedules.
//!
//! Modules: [`app`] tasks and their options, [`args`] arguments, [`extract`] what handlers may ask for,
//! [`handler`] async functions as handlers, [`blocking`] blocking ones, [`output`] what they return, [`context`] the running task, [`error`] what may go wrong,
//! [`failure`] exceptions with tracebacks, [`retry`] when it is tried again, [`hooks`] what an application is
//! told, [`run`] the service that apalis runs, [`serve`] the whole worker, [`cli`] its command line,
//! `intake` the way in from apalis-redis (feature `intake`).

pub mod app;
pub mod args;
pub mod blocking;
mod builtin;
pub mod cli;
pub mod context;
mod eager;
pub mod errback;
pub mod error;
pub mod extract;
pub mod failure;
pub mod handler;
pub mod hooks;
#[cfg(feature = "intake")]
pub mod intake;
pub mod output;
mod panics;
mod registry;
pub mod retry;
pub mod run;
pub mod serve;

pub use app::App;
pub use cli::main;
pub use context::TaskContext;
pub use errback::FailedTask;
pub use error::{Passing, TaskError};
pub use extract::{Args, RawArgs, State};
pub use retry::{Retry, RetryPolicy};
