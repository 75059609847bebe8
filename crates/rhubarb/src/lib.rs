//! The task queue's door: tasks of one's own, a worker that runs them, and typed calls.
//!
//! A task is declared once. A worker is a `main` of a few lines:
//!
//! ```no_run
//! use rhubarb::prelude::*;
//!
//! #[task(name = "shop.add", queue = "shop")]
//! async fn add(x: i64, #[default(1)] y: i64) -> Result<i64, TaskError> {
//!     x.checked_add(y).ok_or_else(|| TaskError::failed("OverflowError", "the sum is too large"))
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     rhubarb::main(|app| {
//!         app.add(add::task());
//!         Ok(())
//!     })
//! }
//! ```
//!
//! Rust calls it typed, and Python as it calls any task:
//! `app.send_task("shop.add", args=[2], kwargs={"y": 3}, queue="shop").get()`.
//!
//! ```no_run
//! # use rhubarb::prelude::*;
//! # #[task(name = "shop.add", queue = "shop")]
//! # async fn add(x: i64, #[default(1)] y: i64) -> i64 {
//! #     x + y
//! # }
//! # async fn buy() -> anyhow::Result<()> {
//! let client = rhubarb::connect(&rhubarb::configuration()?)?;
//! let sent = add::call(2).y(3).countdown(Duration::from_secs(5)).send(&client).await?;
//! assert_eq!(sent.get(Duration::from_secs(30)).await?, 5);
//! # Ok(())
//! # }
//! ```
//!
//! What it deliberately does not do: it never decides when a message is claimed, acknowledged or
//! given back; that is the consumer's. It publishes no schedules.
//!
//! Everything is at the root, but for these modules: [`canvas`] chains, groups and chords,
//! [`hooks`] what an application is told, `testing` tests of tasks without Redis (feature
//! `testing`), `intake` the way in from apalis-redis (feature `intake`).
//!
//! | to | is |
//! |---|---|
//! | declare a task | [`task`](macro@task), [`Task`] |
//! | register it, with what tasks share | [`App`], [`State`], [`Registration`] |
//! | ask for arguments and the call | [`Args`], [`RawArgs`], [`TaskContext`], [`FailedTask`], [`FromCall`] |
//! | say what went wrong | [`TaskError`], [`Passing`], [`Retry`], [`RetryPolicy`] |
//! | run a worker | [`main`], [`main_async`], [`serve`] |
//! | call it | [`configuration`], [`connect`], [`Client`], [`Publish`], [`Handle`] |

// What the macro writes names this crate, in this crate too.
extern crate self as rhubarb;

mod app;
mod args;
mod blocking;
mod builtin;
mod cli;
mod connect;
mod context;
mod eager;
mod errback;
mod error;
mod extract;
mod failure;
mod given_away;
mod handler;
pub mod hooks;
mod info;
mod inside;
#[cfg(feature = "intake")]
pub mod intake;
mod json;
mod layer;
mod output;
#[doc(hidden)]
pub mod outside;
mod panics;
mod registration;
mod registry;
mod replace;
mod retry;
mod run;
mod serve;
mod slot;
#[cfg(feature = "testing")]
pub mod testing;
mod typed;
mod vital;

pub use app::{App, RegistrationErrors};
pub use args::{ArgumentError, Arguments, RawArgs};
pub use blocking::BlockingHandler;
#[doc(hidden)]
pub use cli::{main, main_async, main_with, main_with_async};
pub use connect::{configuration, connect};
pub use context::TaskContext;
pub use errback::FailedTask;
pub use error::{Passing, TaskError};
pub use extract::{Args, Call, FromCall, State, States};
pub use failure::Raised;
pub use handler::Handler;
pub use info::TaskInfo;
pub use jiff::Timestamp;
pub use layer::{CallError, TaskService};
pub use output::{Failure, IntoTaskResult};
pub use registration::Registration;
pub use retry::{Retry, RetryPolicy};
pub use rhubarb_core::shutdown::{Shutdown, StopSignal};
/// Checks a handler of [`App::task`] or [`App::blocking_task`] where it is written, so that a
/// mistake in its signature is told at the parameter or the result that it is in.
///
/// The function stays as it is. [`task`](macro@task) checks the same by itself.
///
/// ```
/// use rhubarb::prelude::*;
///
/// #[rhubarb::debug_handler]
/// async fn greet(Args((name,)): Args<(String,)>, context: TaskContext) -> String {
///     format!("hello {name}, this is {}", context.id())
/// }
/// ```
pub use rhubarb_macros::debug_handler;
/// Declares an async function, or a blocking one, as a task: see [`Task`].
pub use rhubarb_macros::task;
pub use rhubarb_queue::{
    Client, Config, Error as QueueError, Publish,
    wire::{CallOptions, Exception},
};
pub use serde_json::{Map, Value, json};
pub use serve::{ServeError, Stopped, serve};
pub use typed::{
    Task,
    call::TypedCall,
    handle::{GetError, Handle},
    schema::{Parameter, ParameterKind, Schema},
};

/// Chains, groups and chords of tasks, and what their results are joined by.
pub mod canvas {
    pub use rhubarb_queue::{
        canvas::ResultTree,
        client::Joined,
        wire::{
            Signature,
            canvas::{chain, chord, chunks, group, map, starmap},
        },
    };
}

/// What a worker's and a producer's source needs: `use rhubarb::prelude::*`.
pub mod prelude {
    pub use std::time::Duration;

    pub use crate::{
        App, Args, Client, Config, Exception, FailedTask, Map, Passing, Publish, Retry,
        RetryPolicy, State, TaskContext, TaskError, Value,
        canvas::{Signature, chain, chord, group},
        json, task,
    };
}

/// What the macro's output is made of; nobody else's.
#[doc(hidden)]
pub mod __private {
    pub use crate::{
        args::ArgumentError,
        json,
        typed::{
            Fallible, argument,
            binding::{Bind, Binding, Bound},
            chosen::{Chosen, OfAny, OfBoth, OfError, OfOne, Returned},
            default, extracted,
            schema::{parameter, schema},
            sendable,
        },
    };
    pub use serde;
}

/// The README's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
