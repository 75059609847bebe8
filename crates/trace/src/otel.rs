//! Spans by OpenTelemetry.
//!
//! The context of a run is the current one in its handler, so that spans that the handler makes
//! itself, with OpenTelemetry's own API, are parts of the run.

mod exporting;
mod fetch;
mod running;

use std::sync::OnceLock;

use opentelemetry::{
    Context, KeyValue,
    baggage::BaggageExt as _,
    global,
    propagation::{Extractor, Injector, TextMapCompositePropagator, TextMapPropagator},
    trace::{
        SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_sdk::{
    propagation::{BaggagePropagator, TraceContextPropagator},
    trace::SdkTracer,
};
use serde_json::{Map, Value};

use crate::{Carrier, Collector, Publishing};

pub(crate) use self::exporting::counts;
pub use self::{
    exporting::Traces,
    fetch::Fetch,
    running::{Here, Running},
};

/// What spans are made with, once they are.
struct Tracing {
    tracer: SdkTracer,
    propagator: TextMapCompositePropagator,
    links: bool,
}

static TRACING: OnceLock<Tracing> = OnceLock::new();

/// Begins to make spans and to send them, on the runtime that this is called on. `service` names
/// the program where `OTEL_SERVICE_NAME` does not.
///
/// # Errors
///
/// The endpoint or a variable of OpenTelemetry's means nothing, or it was begun before: in words
/// for a person.
pub fn start(collector: &Collector, service: &str) -> Result<Traces, String> {
    let (provider, traces) = exporting::start(&collector.endpoint, service)?;
    let tracing = Tracing {
        tracer: provider.tracer("rhubarb"),
        propagator: propagator(),
        links: collector.links,
    };
    TRACING.set(tracing).map_err(|_| "traces are sent already".to_owned())?;
    // For spans of a handler's own.
    global::set_tracer_provider(provider);
    global::set_text_map_propagator(propagator());
    Ok(traces)
}

fn propagator() -> TextMapCompositePropagator {
    TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ])
}

impl Tracing {
    fn context(&self, carrier: Option<&Carrier>) -> Context {
        let empty = Context::new();
        carrier.map_or(empty.clone(), |carrier| {
            self.propagator.extract_with_context(&empty, &Reading(carrier))
        })
    }

    fn carrier(&self, context: &Context) -> Option<Carrier> {
        let mut written = Written::default();
        self.propagator.inject_context(context, &mut written);
        Carrier::of(|name| written.get(name))
    }

    fn span(&self, builder: SpanBuilder, parent: &Context) -> Context {
        parent.with_span(self.tracer.build_with_context(builder, parent))
    }
}

struct Reading<'a>(&'a Carrier);

impl Extractor for Reading<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)
    }

    fn keys(&self) -> Vec<&str> {
        Vec::new()
    }
}

#[derive(Default)]
struct Written(Vec<(String, String)>);

impl Written {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Injector for Written {
    fn set(&mut self, key: &str, value: String) {
        self.0.push((key.to_owned(), value));
    }
}

/// A task's publishing: its span ends when this is dropped.
#[derive(Debug)]
pub struct Sent(Context);

impl Sent {
    /// Notes that it failed.
    pub fn failed(&self, error: &dyn std::fmt::Display) {
        self.0.span().set_status(Status::error(error.to_string()));
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.0.span().end();
    }
}

/// Gives a message its context, and begins the span `apply_async/NAME` where spans are made.
///
/// The parent is what the message's own headers name, else the current context, else `parent`: the
/// task that publishes it.
pub fn publish(
    parent: Option<&Carrier>,
    what: Publishing<'_>,
    headers: &mut Map<String, Value>,
) -> Option<Sent> {
    let own = Carrier::read(headers);
    let Some(tracing) = TRACING.get() else {
        if let Some(parent) = parent.filter(|_| own.is_none()) {
            parent.write(headers);
        }
        return None;
    };
    let current = Context::current();
    let has_current = current.span().span_context().is_valid() || !current.baggage().is_empty();
    let parent = match own {
        Some(own) => tracing.context(Some(&own)),
        None if has_current => current,
        None => tracing.context(parent),
    };
    let builder = SpanBuilder::from_name(format!("apply_async/{}", what.task))
        .with_kind(SpanKind::Producer)
        .with_attributes(attributes(what));
    let context = tracing.span(builder, &parent);
    if let Some(carrier) = tracing.carrier(&context) {
        carrier.write(headers);
    }
    Some(Sent(context))
}

fn attributes(what: Publishing<'_>) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("celery.action", "apply_async"),
        KeyValue::new("celery.task_name", what.task.to_owned()),
        KeyValue::new("messaging.message.id", what.id.to_owned()),
        KeyValue::new("messaging.destination", what.queue.to_owned()),
        KeyValue::new("messaging.destination_kind", "queue"),
        KeyValue::new("messaging.system", "redis"),
        KeyValue::new("messaging.operation.name", "publish"),
        KeyValue::new("messaging.operation.type", "send"),
        KeyValue::new("messaging.destination.name", what.queue.to_owned()),
        KeyValue::new("messaging.message.body.size", number(what.bytes)),
    ];
    if what.retries > 0 {
        attributes.push(KeyValue::new("celery.retries", i64::from(what.retries)));
    }
    attributes
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
