//! Worker, beat and dashboard in one process, for the smallest plans: one connection to each
//! database for all three.
//!
//! A program of its own, which `rhubarb all` becomes: the command line itself links nothing that
//! claims. Each part is what the program of its name runs; when one ends, the others are told to
//! stop, so that the platform starts all of it anew.

use std::{future::Future, process::ExitCode};

use clap::Parser;
use rhubarb::{App, ServeError, Stopped};
use rhubarb_connection::Connections;
use rhubarb_core::{
    config::CommonArgs,
    exit, process,
    shutdown::{Shutdown, StopSignal},
};
use rhubarb_settings::Settings;
use tokio::runtime;

/// Runs the dashboard, a worker and a beat in one process until it is told to stop.
#[derive(Debug, Parser)]
#[command(name = "rhubarb all", version = rhubarb_core::VERSION)]
#[command(after_help = "\
Examples:
  rhubarb all
  PORT=5000 RHUBARB_WEB_WRITE_TOKENS=ops:HASH rhubarb all

It stops as a worker does: its tasks may end for 25 s (worker.drain), and the rest goes back to \
its queue. When one of the three ends by itself, the others stop too.

Exit codes:
  0  stopped as it was told to
  1  one of them ended by itself
  2  wrong command line
  3  wrong configuration, or a password that Redis refuses
  5  stopped, but not everything could be handed back")]
struct Cli {
    /// The configuration's flags.
    #[command(flatten)]
    common: CommonArgs,
}

/// Reads the command line and the configuration, and runs all three until told to stop.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = runtime::Builder::new_multi_thread();
    process::main(&cli.common, &[], &[], runtime, all)
}

async fn all(settings: Settings, shutdown: Shutdown) -> u8 {
    let connections = match Connections::new(&settings.redis, "rhubarb-all") {
        Ok(connections) => connections,
        Err(error) => return exit::refuse(&error),
    };
    let codes = tokio::join!(
        ending(&shutdown, worker(&settings, &connections, &shutdown)),
        ending(&shutdown, beat(&settings, &connections, &shutdown)),
        ending(&shutdown, dashboard(&settings, &connections, &shutdown)),
    );
    worst(codes.into())
}

/// Tells the others to stop when one has ended.
async fn ending(shutdown: &Shutdown, part: impl Future<Output = u8>) -> u8 {
    let code = part.await;
    shutdown.request(StopSignal::Terminate);
    code
}

/// A wrong configuration is what has to be mended first; then whatever did not end well.
fn worst(codes: [u8; 3]) -> u8 {
    let is_configuration = codes.contains(&exit::CONFIGURATION);
    let other = codes.into_iter().find(|code| *code != exit::OK);
    if is_configuration { exit::CONFIGURATION } else { other.unwrap_or(exit::OK) }
}

async fn worker(settings: &Settings, connections: &Connections, shutdown: &Shutdown) -> u8 {
    let mut app = App::with_connections(settings.engine.clone(), connections.clone());
    if let Err(error) = rhubarb_jobs::tasks::register(&mut app, &settings.scraping, &settings.cache)
    {
        tracing::error!(error = format!("{error:#}"), "worker cannot start");
        return exit::CONFIGURATION;
    }
    match rhubarb::serve(app, shutdown).await {
        Ok(Stopped::Clean) => exit::OK,
        Ok(Stopped::Unclean) => exit::UNCLEAN_STOP,
        Err(error @ (ServeError::Start(_) | ServeError::Ended(_))) => {
            tracing::error!(error = %error, "worker ended");
            exit::FAILED
        }
        Err(error) => exit::refuse(&error),
    }
}

async fn beat(settings: &Settings, connections: &Connections, shutdown: &Shutdown) -> u8 {
    match rhubarb_beat::run_on(settings, connections, shutdown).await {
        Ok(()) => exit::OK,
        Err(error) => exit::refuse(&error),
    }
}

async fn dashboard(settings: &Settings, connections: &Connections, shutdown: &Shutdown) -> u8 {
    match rhubarb_web::serve_on(settings.clone(), connections.clone(), shutdown).await {
        Ok(()) => exit::OK,
        Err(error @ rhubarb_web::Error::Listen { .. }) => {
            tracing::error!("{error}");
            exit::FAILED
        }
        Err(error) => exit::refuse(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_to_be_mended_first_is_the_exit_code() {
        assert_eq!(worst([exit::OK, exit::OK, exit::OK]), exit::OK);
        assert_eq!(worst([exit::OK, exit::FAILED, exit::CONFIGURATION]), exit::CONFIGURATION);
        assert_eq!(worst([exit::UNCLEAN_STOP, exit::OK, exit::FAILED]), exit::UNCLEAN_STOP);
    }
}
