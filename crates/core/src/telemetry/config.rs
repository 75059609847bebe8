//! `[log]`.

use rhubarb_config::{settings, words};

use super::level;

settings! {
    /// Logging.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct LogConfig {
        /// How log lines look: "text", "logfmt", "json", or "auto", which is text on a terminal and
        /// logfmt elsewhere.
        format: LogFormat = LogFormat::Auto,
            accepts "\"auto\", \"text\", \"logfmt\" or \"json\"";
        /// A level (debug, info, warning, error, critical; in any case) or a list of directives
        /// ("info,rhubarb_queue=debug").
        level: String = "info".into(),
            accepts "a level (trace, debug, info, warning, error, critical, off) or a list of \
                     directives such as \"info,rhubarb_queue=debug\"",
            if |text| level(text).is_ok(), over &["RUST_LOG"];
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `Text` on a terminal, `Logfmt` elsewhere.
    #[default]
    Auto,
    /// Readable lines.
    Text,
    /// `key=value`, one line an event.
    Logfmt,
    /// One JSON object an event.
    Json,
}
words!(LogFormat: "auto" => Self::Auto, "text" => Self::Text, "logfmt" => Self::Logfmt,
    "json" => Self::Json);
