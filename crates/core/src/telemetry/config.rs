//! `[log]` and `[telemetry]`.

use rhubarb_config::{redact::Address, settings, words};

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

settings! {
    /// Traces by OpenTelemetry's protocol. Off without an address.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct TelemetryConfig {
        /// Where spans are sent, over HTTP, as protobuf: the address of a collector. "/v1/traces"
        /// is added where it does not end with it.
        otlp: Option<Address> = None, accepts "an http:// or https:// address",
            if |address| address.as_ref().is_none_or(Address::is_http),
            from &["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"],
            example "\"http://localhost:4318\"";
        /// Link a run to its publishing, in place of making it a part of the publisher's trace.
        span_links: bool = false;
        /// Send no spans, whatever else is set.
        disabled: bool = false, from &["OTEL_SDK_DISABLED"];
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
