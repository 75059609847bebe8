//! The command line of Rhubarb: publishes tasks, and shows queues, workers, listings and schedules.
//!
//! Everything is read through the read sides of the other crates ([`rhubarb_queue::inspect`],
//! [`rhubarb_cache`]); nothing here knows a Redis key. `monitor` also asks the servers about
//! themselves. `demo` starts the sibling binaries ([`rhubarb_demo`]) and needs no configuration.
//!
//! What it deliberately does not do: it runs no task and keeps no connection open after its answer.
//!
//! Modules: `cli` the command line, `commands` what each command does, `view` how things look to a
//! person, `table` and `progress` how they are drawn, `output` where they go, `error` exit codes.

mod cli;
mod commands;
mod error;
mod output;
mod progress;
mod table;
mod view;

use std::{ffi::OsString, time::Duration};

use clap::CommandFactory;
use rhubarb_core::{
    exit, process,
    telemetry::{self, TelemetryConfig},
};
use rhubarb_settings::{Loaded, Settings};

use self::{
    cli::{Cli, Command},
    error::Error,
};

/// Runs one command line, the program's name first, and returns the process's exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    match parse_and_run(args) {
        Ok(code) => code,
        Err(error) => {
            if error.exit_code() != exit::OK {
                // One may be several problems, a line each; names in it come from elsewhere.
                for line in error.message().lines() {
                    output::note(&format!("error: {}", table::clean(line)));
                }
            }
            error.exit_code()
        }
    }
}

fn parse_and_run(args: impl IntoIterator<Item = OsString>) -> Result<u8, Error> {
    let Cli { common, wide, command } = match Cli::read(args) {
        Ok(cli) => cli,
        Err(told) => return Ok(tell(&told)),
    };
    if wide {
        table::show_whole();
    }
    // The demo has a configuration of its own, so that nothing of this machine's can break it.
    if let (Some(Command::Demo(args)), false) = (&command, common.print_config) {
        return execute(None, commands::demo::run(args.seconds));
    }
    if let Some(answered) = command.as_ref().and_then(without_configuration) {
        return answered.map(|()| exit::OK);
    }
    let flags = match &command {
        Some(Command::Web(args)) => args.settings(),
        _ => Vec::new(),
    };
    let loaded = match process::configured(&common, &flags) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let Some(command) = command else {
        return Ok(tell(&Cli::command().error(
            clap::error::ErrorKind::MissingSubcommand,
            "a command is required; `rhubarb --help` lists them",
        )));
    };
    if let Command::Web(args) = &command {
        return match &args.new_token {
            Some(name) => commands::web::new_token(name).map(|()| exit::OK),
            None => Ok(commands::web::serve(loaded)),
        };
    }
    // A line in the middle of the live view would spoil it; the view says what is wrong itself.
    if !matches!(&command, Command::Monitor(args) if args.watch) {
        log(&loaded);
    }
    let telemetry = loaded.config.telemetry.clone();
    execute(Some(&telemetry), commands::run(command, loaded))
}

/// Runs what asks no configuration of ours.
fn without_configuration(command: &Command) -> Option<Result<(), Error>> {
    match command {
        Command::All { flags } => Some(Err(commands::all::become_all(flags))),
        Command::Completions { shell } => Some(commands::manual::completions(*shell)),
        Command::Man { folder } => Some(commands::manual::man(folder)),
        _ => None,
    }
}

/// Shows what clap has to say: help and version are answers, all else is a mistake.
fn tell(told: &clap::Error) -> u8 {
    // A closed pipe is the reader's wish.
    let _ = told.print();
    if told.use_stderr() { exit::USAGE } else { exit::OK }
}

/// Sets up logging to standard error.
///
/// A command's answer or error says it all; of the layers below only errors are shown unless a
/// level was chosen, and that publishing waits for a full server, because nothing else would say
/// why the command does.
fn log(loaded: &Loaded) {
    let mut loaded = loaded.clone();
    let level = &mut loaded.config.log.level;
    if *level == Settings::default().log.level {
        *level = "error,rhubarb_queue::client::patience=warn".to_owned();
    }
    // What is wrong with it was told, and a command does without.
    let _ = process::log(&loaded, telemetry::Output::Stderr);
}

fn execute(
    telemetry: Option<&TelemetryConfig>,
    command: impl Future<Output = Result<(), Error>>,
) -> Result<u8, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let traces = telemetry.and_then(process::traces);
        let done = command.await;
        process::finish(traces, LAST_SPANS).await;
        done
    })?;
    Ok(exit::OK)
}

/// How long a command waits for its spans to be sent.
pub(crate) const LAST_SPANS: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn code(line: &[&str]) -> u8 {
        run(std::iter::once("rhubarb").chain(line.iter().copied()).map(OsString::from))
    }

    #[test]
    fn help_and_version_are_answers_and_a_mistake_is_not() {
        assert_eq!(code(&["--help"]), exit::OK);
        assert_eq!(code(&["queues", "--version"]), exit::OK);
        assert_eq!(code(&["enqueue"]), exit::USAGE);
        assert_eq!(code(&["enqueue", "t", "--args", "{"]), exit::USAGE);
        assert_eq!(code(&["no-such-command"]), exit::USAGE);
    }
}
