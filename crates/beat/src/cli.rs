//! The command line of the beat: flags, configuration, logging, signals, exit codes.

mod celery;

use std::process::ExitCode;

use clap::Parser;
use rhubarb_core::{
    celery_flags::CelerysFlags, config::CommonArgs, exit, process, shutdown::Shutdown, telemetry,
};
use rhubarb_settings::Settings;
use tokio::runtime;

use self::celery::OfBeat;
use crate::run::run;

/// Publishes scheduled tasks, each tick exactly once with any number of beats.
#[derive(Debug, Parser)]
#[command(
    name = "beat",
    version = rhubarb_core::VERSION,
    after_help = "\
Schedules come from [schedules.NAME] of the configuration file, from `rhubarb schedules add`, and \
from Python's RedBeat. `rhubarb schedules list` shows them all.

A flag wins over the environment (RHUBARB_BEAT_TIMEZONE=Europe/Berlin), the environment over the \
configuration file, and the file over the default. --print-config lists every setting and where it \
came from.

One beat leads and the others stand by. When the leader dies, another one leads within 12 s \
(beat.lease and two seconds). On SIGTERM or SIGINT a leader gives up the lead at once, and ends.

While Redis cannot be reached, the beat logs it and waits for as long as it takes.

Celery's other flags are accepted, with a warning where one changes nothing. A flag that would do \
something else than in Celery is refused, with the reason.

Exit codes:
  0  stopped as told
  1  ended by itself
  2  wrong command line
  3  wrong configuration, or a password that Redis refuses"
)]
pub struct Cli {
    /// The configuration's flags.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Log level (debug, info, warning, error, critical; any case) or filter directives [default:
    /// info]
    #[arg(short, long, alias = "log-level", value_name = "LEVEL", value_parser = telemetry::level)]
    pub loglevel: Option<String>,
    #[command(flatten)]
    celerys: CelerysFlags<OfBeat>,
}

impl Cli {
    /// Returns the flags that were given, as settings: what they win over is the configuration's to
    /// decide.
    fn settings(&self) -> Vec<(&'static str, String)> {
        self.loglevel.iter().map(|level| ("log.level", level.clone())).collect()
    }
}

/// Runs a beat as a process: reads the command line and the configuration, publishes until told to
/// stop.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = runtime::Builder::new_current_thread();
    process::main(&cli.common, &cli.settings(), cli.celerys.told(), runtime, live)
}

async fn live(config: Settings, shutdown: Shutdown) -> u8 {
    match run(&config, &shutdown).await {
        Ok(()) => exit::OK,
        Err(error) => {
            let error = format!("{:#}", anyhow::Error::new(error));
            tracing::error!(error, "beat cannot start");
            exit::CONFIGURATION
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn celerys_spelling_of_the_log_level_becomes_a_setting() {
        let settings = |line: &str| Cli::try_parse_from(line.split(' ')).unwrap().settings();
        assert_eq!(settings("beat -l DEBUG"), [("log.level", "debug".to_owned())]);
        assert_eq!(settings("beat"), []);
        assert!(Cli::try_parse_from(["beat", "--nope"]).is_err());
    }

    #[test]
    fn celerys_flags_are_told_of_or_refused_with_the_reason() {
        let taken = |line: &str| {
            let cli = Cli::try_parse_from(line.split(' '));
            cli.map(|cli| cli.celerys.told().to_vec()).map_err(|error| error.to_string())
        };
        for line in
            ["beat -s /tmp/beat", "beat -S redbeat.RedBeatScheduler", "beat --max-interval 5"]
        {
            let told = taken(line).unwrap();
            assert!(told.len() == 1 && told[0].contains("changes nothing here: "), "{told:?}");
        }
        let django = "beat -S django_celery_beat.schedulers:DatabaseScheduler";
        assert!(taken(django).unwrap_err().contains("rhubarb_tasks.schedules"));
        assert!(taken("beat --detach").unwrap_err().contains("supervisor"));
    }

    #[test]
    fn help_names_the_signals_and_exit_codes() {
        Cli::command().debug_assert();
        let help = Cli::command().render_long_help().to_string();
        for word in ["-l, --loglevel", "Exit codes", "SIGTERM", "--version"] {
            assert!(help.contains(word), "{word} in {help}");
        }
    }
}
