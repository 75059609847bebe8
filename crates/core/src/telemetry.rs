//! Log lines: for a person on a terminal, for a collector elsewhere.

use std::io::IsTerminal;

use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt::writer::BoxMakeWriter, layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::config::{LogConfig, LogFormat};

/// Where log lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output: the worker and the beat, whose lines are their output.
    Stdout,
    /// Standard error: the command line, whose output is its answer.
    Stderr,
}

/// Logging that could not be set up, and why.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is neither a level nor a list of directives.
    #[error("log level `{level}` is not valid")]
    Level {
        /// The level as given.
        level: String,
        /// What the parser says.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something else has set up logging before.
    #[error("logging is set up already")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Sets up logging for the whole process.
///
/// # Errors
///
/// The level cannot be read (the configuration's check finds this before), or logging is set up already.
pub fn init(config: &LogConfig, output: Output) -> Result<(), TelemetryError> {
    let filter = filter(&config.level)?;
    let (terminal, writer) = match output {
        Output::Stdout => (std::io::stdout().is_terminal(), BoxMakeWriter::new(std::io::stdout)),
        Output::Stderr => (std::io::stderr().is_terminal(), BoxMakeWriter::new(std::io::stderr)),
    };
    let lines = layer(resolve(config.format, terminal), terminal, writer);
    tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()?;
    Ok(())
}

/// Reads a level or a directive list.
pub(crate) fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    // tracing-subscriber 0.3.23 takes the places of a trimmed directive for those of the untrimmed one, and panics where one
    // of them is inside a character.
    let trimmed: Vec<&str> = level.split(',').map(str::trim).collect();
    EnvFilter::try_new(trimmed.join(","))
        .map_err(|source| TelemetryError::Level { level: level.into(), source })
}

fn resolve(format: LogFormat, terminal: bool) -> LogFormat {
    match format {
        LogFormat::Auto if terminal => LogFormat::Text,
        LogFormat::Auto => LogFormat::Logfmt,
        other => other,
    }
}

fn layer(
    format: LogFormat,
    colours: bool,
    writer: BoxMakeWriter,
) -> Box<dyn Layer<Registry> + Send + Sync> {
    match format {
        LogFormat::Json => {
            tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(writer).boxed()
        }
        LogFormat::Logfmt => tracing_logfmt::builder().layer().with_writer(writer).boxed(),
        LogFormat::Auto | LogFormat::Text => tracing_subscriber::fmt::layer()
            .with_ansi(colours)
            .with_target(false)
            .with_writer(writer)
            .boxed(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Result, Write},
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    fn line(format: LogFormat) -> String {
        let lines = Lines::default();
        let kept = lines.clone();
        let writer = BoxMakeWriter::new(move || lines.clone());
        let subscriber = tracing_subscriber::registry().with(layer(format, false, writer));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(task_id = "t1", elapsed_ms = 7, "task ended");
        });
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_are_readable_on_a_terminal_and_logfmt_elsewhere() {
        assert_eq!(resolve(LogFormat::Auto, true), LogFormat::Text);
        assert_eq!(resolve(LogFormat::Auto, false), LogFormat::Logfmt);
        assert_eq!(resolve(LogFormat::Json, true), LogFormat::Json);
    }

    #[test]
    fn every_format_is_one_line_with_message_and_fields() {
        for format in [LogFormat::Text, LogFormat::Logfmt, LogFormat::Json] {
            let line = line(format);
            assert_eq!(line.trim_end().lines().count(), 1, "{line}");
            for part in ["task ended", "task_id", "t1", "elapsed_ms", "7"] {
                assert!(line.contains(part), "{part} in {line}");
            }
        }
        let json: serde_json::Value = serde_json::from_str(&line(LogFormat::Json)).unwrap();
        assert_eq!(json["task_id"], "t1");
    }

    #[test]
    fn a_level_with_spaces_and_foreign_letters_is_read_or_refused() {
        let _ = filter(" \u{1880}=");
        let _ = filter("info, \u{1880}=debug");
        assert!(filter(" info , rhubarb=debug ").is_ok());
        assert!(filter("info,=x=y").is_err());
    }
}
