//! Everything at once on this machine: a Redis, a job board, a worker and a beat.
//!
//! `rhubarb demo` shows it to a person. The tests of all crates start the same Redis and the same
//! board through `rhubarb-testbed`. It knows neither Redis's protocol nor what the others do.
//!
//! ```no_run
//! # async fn example() -> Result<(), rhubarb_demo::Error> {
//! use rhubarb_demo::{Demo, Programs};
//! let mut demo = Demo::new()?;
//! let started = demo.start(&Programs::find(None)?).await?;
//! println!("{}", started.redis);
//! demo.stop().await
//! # }
//! ```
//!
//! Modules: [`board`] the invented openings as eight kinds of sources show them, `configuration`
//! what the worker and the beat run with, `demo` all of it, [`process`] a program beside us,
//! [`redis`] a server of one's own, [`site`] a web server, `eventually` the only place that polls.

pub mod board;
pub mod process;
pub mod redis;
pub mod site;

mod configuration;
mod demo;
mod error;
mod eventually;

pub use configuration::{configuration, sources};
pub use demo::{Demo, Programs, Started};
pub use error::Error;
pub use eventually::eventually;
