//! The span of a request to a site.

use opentelemetry::{
    Context, KeyValue,
    trace::{SpanBuilder, SpanKind, Status, TraceContextExt as _},
};

use super::{TRACING, number};

/// A request to a site: its span ends when this is dropped.
#[derive(Debug)]
pub struct Fetch(Option<Context>);

impl Fetch {
    /// Begins it, as a part of what runs. The address is told without its query, which may hold
    /// secrets.
    pub fn begin(method: &str, host: &str, port: Option<u16>, path: &str) -> Self {
        Self(TRACING.get().map(|tracing| {
            let mut attributes = vec![
                KeyValue::new("http.request.method", method.to_owned()),
                KeyValue::new("server.address", host.to_owned()),
                KeyValue::new("url.path", path.to_owned()),
            ];
            attributes.extend(port.map(|port| KeyValue::new("server.port", i64::from(port))));
            let builder = SpanBuilder::from_name(format!("{method} {host}"))
                .with_kind(SpanKind::Client)
                .with_attributes(attributes);
            tracing.span(builder, &Context::current())
        }))
    }

    /// Notes the answer's status.
    pub fn answered(&self, status: u16) {
        self.note(KeyValue::new("http.response.status_code", i64::from(status)));
        if let (Some(context), 400..) = (&self.0, status) {
            context.span().set_status(Status::error(status.to_string()));
        }
    }

    /// Notes how many bytes were read.
    pub fn read(&self, bytes: usize) {
        self.note(KeyValue::new("http.response.body.size", number(bytes)));
    }

    /// Notes that it failed.
    pub fn failed(&self, error: &dyn std::fmt::Display) {
        if let Some(context) = &self.0 {
            context.span().set_status(Status::error(error.to_string()));
        }
    }

    fn note(&self, attribute: KeyValue) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(attribute);
        }
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        if let Some(context) = &self.0 {
            context.span().end();
        }
    }
}
