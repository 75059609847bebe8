//! What is the same in every process that goes on until it is told to stop: configuration, logging,
//! signals, and what is left when it ends.

use std::{process::ExitCode, time::Duration};

use rhubarb_config::{Configuration, Loaded};
use rhubarb_trace::{Collector, Traces};
use tokio::runtime;

use crate::{
    config::{CommonArgs, LogConfig, TelemetryConfig},
    exit,
    shutdown::Shutdown,
    telemetry::{self, Output},
};

/// Reads the configuration for a command line, or answers in place of the program.
///
/// # Errors
///
/// The exit code, when all is said: the configuration was asked for and printed, or what is wrong
/// with it was told.
pub fn configured<C: Configuration>(
    common: &CommonArgs,
    flags: &[(&'static str, String)],
) -> Result<Loaded<C>, u8> {
    let loaded = common.load(flags).map_err(|problems| exit::refuse(&problems))?;
    if common.print_config { Err(exit::print(&loaded)) } else { Ok(loaded) }
}

/// Sets up logging, and says what the configuration warns of.
///
/// # Errors
///
/// The exit code, when logging cannot be set up and that was told.
pub fn log<C: AsRef<LogConfig>>(loaded: &Loaded<C>, output: Output) -> Result<(), u8> {
    telemetry::init(loaded.config.as_ref(), output).map_err(|error| exit::refuse(&error))?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// Tells the supervisor that the process does its work from now on: systemd, where the unit has
/// `Type=notify`. Without one that wants to know, nothing happens.
pub fn ready() {
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::debug!(%error, "the supervisor could not be told that the process is ready");
    }
}

/// Runs a process from its command line to its exit code: `live` is everything that is its own.
///
/// `warnings` are what is to be said of the command line, beside what the configuration warns of.
/// `live` is told to stop by SIGTERM and SIGINT, which are caught before it begins. Threads that
/// still compute when it has ended are left behind.
pub fn main<C, Live>(
    common: &CommonArgs,
    flags: &[(&'static str, String)],
    warnings: &[String],
    runtime: runtime::Builder,
    live: impl FnOnce(C, Shutdown) -> Live,
) -> ExitCode
where
    C: Configuration + AsRef<LogConfig> + AsRef<TelemetryConfig>,
    Live: Future<Output = u8>,
{
    let told = configured::<C>(common, flags)
        .and_then(|loaded| log(&loaded, Output::Stdout).map(|()| loaded.config));
    for warning in warnings.iter().filter(|_| told.is_ok()) {
        tracing::warn!("{warning}");
    }
    match told {
        Ok(config) => run(runtime, async |shutdown| {
            let traces = traces(config.as_ref());
            let code = live(config, shutdown).await;
            finish(traces, LAST_SPANS).await;
            code
        })
        .into(),
        Err(code) => code.into(),
    }
}

/// How long the last spans of a process that goes on may take to be sent: what it stops within is
/// the platform's to say, and the tasks come first.
const LAST_SPANS: Duration = Duration::from_millis(400);

/// Begins to send spans, where the configuration says where; to be called on the runtime.
///
/// What is wrong is one warning: no task waits for a trace.
pub fn traces(config: &TelemetryConfig) -> Option<Traces> {
    let endpoint = config.otlp.as_ref().filter(|_| !config.disabled)?;
    let collector = Collector { endpoint: endpoint.expose().to_owned(), links: config.span_links };
    match rhubarb_trace::start(&collector, &program()) {
        Ok(traces) => {
            tracing::info!(collector = %endpoint, "traces are sent");
            Some(traces)
        }
        Err(reason) => {
            tracing::warn!(collector = %endpoint, reason, "telemetry.otlp: no traces are sent");
            None
        }
    }
}

/// Sends the last spans, for at most this long.
pub async fn finish(traces: Option<Traces>, within: Duration) {
    if let Some(traces) = traces {
        traces.finish(within).await;
    }
}

/// The name of the program that runs, for those who read its traces.
fn program() -> String {
    let path = std::env::current_exe().ok();
    let name = path.as_deref().and_then(|path| path.file_stem()?.to_str());
    name.unwrap_or("rhubarb").to_owned()
}

/// Runs a process until it ends by itself or is told to stop, and returns its exit code; see
/// [`main`].
pub fn run<Live>(mut runtime: runtime::Builder, live: impl FnOnce(Shutdown) -> Live) -> u8
where
    Live: Future<Output = u8>,
{
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the runtime did not start");
            return exit::FAILED;
        }
    };
    let code = runtime.block_on(until_stopped(live));
    // What computes without awaiting cannot be cancelled, nor can a look-up of a name.
    runtime.shutdown_background();
    code
}

async fn until_stopped<Live>(live: impl FnOnce(Shutdown) -> Live) -> u8
where
    Live: Future<Output = u8>,
{
    let shutdown = Shutdown::new();
    let signals = match shutdown.listen() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "signals cannot be caught");
            return exit::FAILED;
        }
    };
    tokio::select! {
        code = live(shutdown) => code,
        () = signals => exit::FAILED,
    }
}
