//! The producers of the benchmarks: what tests/bench measures enqueueing with, and fills queues
//! with.
//!
//! `single` and `bulk` publish with our own client; `load` and `pace` push ready-made messages of
//! anybody's, so that every worker is fed alike. Each prints one line of JSON.

mod messages;
mod publishing;
mod pushing;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use serde_json::Value;

/// Publishes for the benchmarks.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publishes no-op tasks one after the other with our client
    Single(Publishing),
    /// Publishes them 1,000 at once
    Bulk(Publishing),
    /// Pushes messages into a list as fast as Redis takes them
    Load(Load),
    /// Pushes messages at a steady rate and writes down when each was sent
    Pace(Pace),
}

#[derive(Debug, Args)]
struct Publishing {
    /// The server, redis://host:port/db
    #[arg(long)]
    url: String,
    /// How many tasks
    #[arg(long)]
    count: usize,
    /// The only argument of each task
    #[arg(long)]
    text: String,
}

#[derive(Debug, Args)]
struct To {
    /// The server, host:port
    #[arg(long)]
    address: String,
    /// The list
    #[arg(long)]
    list: String,
    /// A file with one message, in which `@ID@` stands for the task's id and `@TAG@` for another
    /// fresh one
    #[arg(long)]
    template: PathBuf,
}

#[derive(Debug, Args)]
struct Load {
    #[command(flatten)]
    to: To,
    /// How many messages
    #[arg(long)]
    count: usize,
}

#[derive(Debug, Args)]
struct Pace {
    #[command(flatten)]
    to: To,
    /// Messages a second
    #[arg(long)]
    rate: f64,
    /// For how long
    #[arg(long)]
    seconds: f64,
    /// A file for one line a message: its id, and when it was sent, ns since 1970
    #[arg(long)]
    log: PathBuf,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Single(Publishing { url, count, text }) => publishing::single(&url, count, &text),
        Command::Bulk(Publishing { url, count, text }) => publishing::bulk(&url, count, &text),
        Command::Load(Load { to, count }) => to.open().and_then(|to| pushing::load(to, count)),
        Command::Pace(Pace { to, rate, seconds, log }) => {
            to.open().and_then(|to| pushing::pace(to, rate, seconds, &log))
        }
    };
    report(done)
}

impl To {
    fn open(&self) -> anyhow::Result<pushing::Target> {
        pushing::Target::open(&self.address, &self.list, &self.template)
    }
}

fn report(done: anyhow::Result<Value>) -> ExitCode {
    match done {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
