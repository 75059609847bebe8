//! The span of a run.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
};

use opentelemetry::{
    Context, KeyValue,
    context::FutureExt as _,
    trace::{Link, SpanBuilder, SpanKind, Status, TraceContextExt as _},
};
use serde_json::{Map, Value};

use super::{TRACING, Tracing};
use crate::{Attempt, Carrier, RunEnd};

/// The most characters of an error's text and of a traceback.
const MAX_TEXT: usize = 8_192;

/// One run of a task: its span `run/NAME` lives from [`begin`](Self::begin) to
/// [`end`](Self::end).
#[derive(Debug, Default)]
pub struct Running {
    incoming: Option<Arc<Carrier>>,
    begun: OnceLock<Begun>,
}

#[derive(Debug)]
struct Begun {
    context: Context,
    carrier: Option<Arc<Carrier>>,
}

impl Running {
    /// Takes the context that came with the message.
    pub fn new(headers: &Map<String, Value>) -> Self {
        Self { incoming: Carrier::read(headers), begun: OnceLock::new() }
    }

    /// Begins the run where spans are made; returns the trace's id where it is a new one.
    pub fn begin(&self, what: Attempt<'_>) -> Option<String> {
        let tracing = TRACING.get()?;
        let context = tracing.run(self.incoming.as_deref(), what);
        let carrier = tracing.carrier(&context).map(Arc::new);
        let trace_id = |carrier: &Option<Arc<Carrier>>| {
            carrier.as_ref().and_then(|carrier| carrier.trace_id()).map(str::to_owned)
        };
        let new = trace_id(&carrier).filter(|_| trace_id(&self.incoming).is_none());
        let _ = self.begun.set(Begun { context, carrier });
        new
    }

    /// Returns the context for what the task publishes: the run's own, else the message's.
    pub fn carrier(&self) -> Option<Arc<Carrier>> {
        match self.begun.get() {
            Some(begun) => begun.carrier.clone(),
            None => self.incoming.clone(),
        }
    }

    /// Runs a handler in the run's context.
    pub fn around<T: 'static>(
        &self,
        handler: Pin<Box<dyn Future<Output = T> + Send>>,
    ) -> Pin<Box<dyn Future<Output = T> + Send>> {
        match self.begun.get() {
            Some(begun) => Box::pin(handler.with_context(begun.context.clone())),
            None => handler,
        }
    }

    /// Ends the run, if it has begun; `None` for one that is to be done again as if it had not.
    pub fn end(&self, how: impl FnOnce() -> Option<RunEnd>) {
        let Some(begun) = self.begun.get() else { return };
        let span = begun.context.span();
        if span.is_recording() {
            let ended = how();
            let state = match &ended {
                Some(RunEnd::Well(state)) => state,
                Some(RunEnd::Retry(_)) => "RETRY",
                Some(RunEnd::Failed { .. }) => "FAILURE",
                None => "HANDED BACK",
            };
            span.set_attribute(KeyValue::new("celery.state", state));
            match ended {
                Some(RunEnd::Retry(reason)) => {
                    span.set_attribute(KeyValue::new("celery.retry.reason", cut(reason)));
                }
                Some(RunEnd::Failed { kind, message, traceback }) => {
                    let message = cut(message);
                    span.set_attribute(KeyValue::new("error.type", kind.clone()));
                    span.add_event("exception", exception(kind, &message, traceback));
                    span.set_status(Status::error(message));
                }
                Some(RunEnd::Well(_)) | None => {}
            }
        }
        span.end();
    }
}

fn exception(kind: String, message: &str, traceback: Option<String>) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("exception.type", kind),
        KeyValue::new("exception.message", message.to_owned()),
    ];
    let traceback = traceback.map(|text| KeyValue::new("exception.stacktrace", cut(text)));
    attributes.extend(traceback);
    attributes
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    text
}

impl Tracing {
    fn run(&self, incoming: Option<&Carrier>, what: Attempt<'_>) -> Context {
        let published = self.context(incoming);
        let builder = SpanBuilder::from_name(format!("run/{}", what.task))
            .with_kind(SpanKind::Consumer)
            .with_attributes(attributes(what));
        if !self.links {
            return self.span(builder, &published);
        }
        let publishing = published.span().span_context().clone();
        let links = publishing.is_valid().then(|| vec![Link::with_context(publishing)]);
        self.span(builder.with_links(links.unwrap_or_default()), &Context::new())
    }
}

fn attributes(what: Attempt<'_>) -> Vec<KeyValue> {
    let text = |name: &'static str, text: &str| KeyValue::new(name, text.to_owned());
    let mut attributes = vec![
        KeyValue::new("celery.action", "run"),
        text("celery.task_name", what.task),
        text("messaging.message.id", what.id),
        text("messaging.conversation_id", what.id),
        text("messaging.destination", what.queue),
        // As the instrumentation has it: the publisher, where it is known.
        text("celery.hostname", what.origin.unwrap_or(what.node)),
        text("celery.reply_to", what.reply_to),
        KeyValue::new("messaging.system", "redis"),
        KeyValue::new("messaging.operation.name", "process"),
        KeyValue::new("messaging.operation.type", "process"),
        text("messaging.destination.name", what.queue),
        text("messaging.client.id", what.node),
    ];
    let redelivered = if what.redelivered { "True" } else { "False" };
    // As Python writes it.
    let delivery = format!(
        "{{'exchange': '', 'routing_key': '{}', 'priority': {}, 'redelivered': {redelivered}}}",
        what.queue, what.priority
    );
    attributes.push(KeyValue::new("celery.delivery_info", delivery));
    let (eta, expires) = what.times;
    attributes.extend(eta.map(|eta| text("celery.eta", eta)));
    attributes.extend(expires.map(|expires| text("celery.expires", expires)));
    if what.retries > 0 {
        attributes.push(KeyValue::new("celery.retries", i64::from(what.retries)));
    }
    attributes
}

/// A context to be taken to another thread.
#[derive(Clone, Debug)]
pub struct Here(Option<Context>);

impl Here {
    /// Takes the context of this moment.
    pub fn now() -> Self {
        Self(TRACING.get().map(|_| Context::current()))
    }

    /// Does something in it.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let _current = self.0.clone().map(Context::attach);
        work()
    }
}
