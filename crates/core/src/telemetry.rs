//! Log lines: for a person on a terminal, for a collector elsewhere.

mod config;

use std::{fmt, io::IsTerminal};

use tracing::{Event, Subscriber};
use tracing_logfmt::FieldsFormatter;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields, format::Writer,
        writer::BoxMakeWriter,
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

pub use self::config::{LogConfig, LogFormat, TelemetryConfig};

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
    #[error("log level `{level}` is not valid: {reason}")]
    Level {
        /// The level as given.
        level: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something else has set up logging before.
    #[error("logging is set up already")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Sets up logging for the whole process.
///
/// # Errors
///
/// The level cannot be read (the configuration's check finds this before), or logging is set up
/// already.
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
    let directives = directives(level)
        .map_err(|reason| TelemetryError::Level { level: level.into(), reason })?;
    EnvFilter::try_new(directives)
        .map_err(|e| TelemetryError::Level { level: level.into(), reason: e.to_string() })
}

/// Reads a log level as Celery or Rust spell it, in any case, or a list of directives; returns it
/// as the filter has it.
///
/// # Errors
///
/// What is wrong, with the accepted words. A word that is no level is refused: to the filter it
/// would be the name of a module, and everything else would be silent.
///
/// # Example
///
/// ```
/// # use rhubarb_core::telemetry::level;
/// assert_eq!(level("WARNING").as_deref(), Ok("warn"));
/// assert_eq!(level("info,rhubarb_queue=debug").as_deref(), Ok("info,rhubarb_queue=debug"));
/// assert!(level("loud").is_err());
/// ```
pub fn level(text: &str) -> Result<String, String> {
    let directives = directives(text)?;
    EnvFilter::try_new(&directives).map_err(|e| e.to_string())?;
    Ok(directives)
}

fn directives(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err(format!("{ACCEPTED} is expected"));
    }
    // tracing-subscriber 0.3.23 takes the places of a trimmed directive for those of the untrimmed
    // one, and panics where one of them is inside a character.
    let parts: Result<Vec<String>, String> =
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(directive).collect();
    Ok(parts?.join(","))
}

/// What a log level may be, as a person reads it.
pub(crate) const ACCEPTED: &str = "a level (trace, debug, info, warning, error, critical, off) or a list of directives such as \
                                   \"info,rhubarb_queue=debug\"";

fn directive(part: &str) -> Result<String, String> {
    if let Some(level) = known_level(part) {
        return Ok(level.to_owned());
    }
    match part.rsplit_once('=') {
        Some((target, level)) => {
            Ok(format!("{target}={}", known_level(level.trim()).unwrap_or(level)))
        }
        None if part.contains(['[', ':']) => Ok(part.to_owned()),
        None => Err(format!("{ACCEPTED} is expected; `{part}` is no level")),
    }
}

/// Finds a level by the words of Celery (Python's logging) and of Rust.
fn known_level(word: &str) -> Option<&'static str> {
    let words = [
        ("trace", "trace"),
        ("debug", "debug"),
        ("info", "info"),
        ("warning", "warn"),
        ("warn", "warn"),
        ("error", "error"),
        ("critical", "error"),
        ("fatal", "error"),
        ("off", "off"),
    ];
    words.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, level)| *level)
}

/// A logfmt line: time, level, target, message, the fields of the task that it is about, its own
/// fields.
///
/// The task's name and id come before whatever is long: an error's text may be cut off by a
/// collector.
struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let level = metadata.level().as_str().to_ascii_lowercase();
        let now = jiff::Timestamp::now();
        write!(writer, "ts={now:.9} level={level} target={}", metadata.target())?;
        let mut fields = String::new();
        context.field_format().format_fields(Writer::new(&mut fields), event)?;
        let (message, own) = split_message(&fields);
        write!(writer, "{message}")?;
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>().filter(|one| !one.is_empty());
            fields.map_or(Ok(()), |fields| write!(writer, " {fields}"))?;
        }
        writeln!(writer, "{own}")
    }
}

/// Splits an event's fields behind its message, which comes first; each part has a space before it.
fn split_message(fields: &str) -> (String, String) {
    let spaced = |part: &str| if part.is_empty() { String::new() } else { format!(" {part}") };
    let Some(value) = fields.strip_prefix("message=") else {
        return (String::new(), spaced(fields));
    };
    let end = match value.strip_prefix('"') {
        None => value.find(' ').unwrap_or(value.len()),
        Some(text) => {
            let mut escaped = false;
            let quote = text.bytes().position(|byte| {
                let ends = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                ends
            });
            quote.map_or(value.len(), |quote| quote + 2)
        }
    };
    let (message, own) = fields.split_at("message=".len() + end);
    (spaced(message), spaced(own.trim_start()))
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
        LogFormat::Logfmt => tracing_subscriber::fmt::layer()
            .event_format(Logfmt)
            .fmt_fields(FieldsFormatter::default())
            .with_writer(writer)
            .boxed(),
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
    fn celerys_levels_are_levels_in_any_case() {
        for (text, expect) in [
            ("warning", "warn"),
            ("WARNING", "warn"),
            ("critical", "error"),
            ("fatal", "error"),
            ("FATAL", "error"),
            ("Info", "info"),
            ("off", "off"),
            (" info , rhubarb_queue=WARNING ", "info,rhubarb_queue=warn"),
            ("rhubarb_queue::consumer", "rhubarb_queue::consumer"),
            ("info,[task{id=a}]=debug", "info,[task{id=a}]=debug"),
        ] {
            assert_eq!(level(text).as_deref(), Ok(expect), "{text}");
        }
        let shown = filter("fatal").unwrap().max_level_hint();
        assert_eq!(shown, Some(tracing::level_filters::LevelFilter::ERROR));
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_with_the_accepted_ones() {
        for text in ["loud", "info,loud", "warnings", "", " "] {
            let problem = level(text).unwrap_err();
            for word in ["debug", "info", "warning", "error", "critical"] {
                assert!(problem.contains(word), "{word} in {problem}");
            }
            assert!(filter(text).is_err(), "{text}");
        }
        assert!(level("rhubarb_queue=loud").is_err());
    }

    #[test]
    fn the_tasks_name_and_id_stand_before_a_long_error() {
        let lines = Lines::default();
        let sink = lines.clone();
        let writer = BoxMakeWriter::new(move || sink.clone());
        let subscriber = Registry::default().with(layer(LogFormat::Logfmt, false, writer));
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("task", task = "shop.mail", id = "t1");
            let error = format!("said \"no\" {}", "x".repeat(5000));
            tracing::warn!(parent: &span, elapsed_ms = 7, error, "task ended: \"badly\" \\");
        });
        let line = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let places = ["level=warn", "message=", "task=shop.mail id=t1", "elapsed_ms=7", "error="];
        let places = places.map(|part| line.find(part).unwrap_or_else(|| panic!("{part}: {line}")));
        assert!(places.is_sorted(), "{}", &line[..300]);
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn a_message_ends_at_its_own_quote() {
        let check = |fields: &str, message: &str, own: &str| {
            assert_eq!(split_message(fields), (message.to_owned(), own.to_owned()));
        };
        check("message=ready n=1", " message=ready", " n=1");
        check("message=\"a \\\"b\\\" c\" n=1", " message=\"a \\\"b\\\" c\"", " n=1");
        check("message=\"a \\\\\" n=1", " message=\"a \\\\\"", " n=1");
        check("message=ready", " message=ready", "");
        check("n=1 m=2", "", " n=1 m=2");
        check("", "", "");
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
