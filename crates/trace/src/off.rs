//! What there is without the feature `otel`: a context is passed on, and no span is made.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use serde_json::{Map, Value};

use crate::{Attempt, Carrier, Collector, Publishing, RunEnd};

/// The sending of spans.
#[derive(Debug)]
pub struct Traces(());

impl Traces {
    /// Sends what is left, for at most this long.
    pub async fn finish(self, _: Duration) {}
}

/// Says why no span will be sent.
///
/// # Errors
///
/// Always: this program was built without the feature.
pub fn start(_: &Collector, _: &str) -> Result<Traces, String> {
    Err("this program was built without the feature `otel`".to_owned())
}

/// A task's publishing.
#[derive(Debug)]
pub struct Sent(());

impl Sent {
    /// Notes that it failed.
    pub fn failed(&self, _: &dyn std::fmt::Display) {}
}

/// Gives a message the context of the task that publishes it, unless it has its own.
pub fn publish(
    parent: Option<&Carrier>,
    _: Publishing<'_>,
    headers: &mut Map<String, Value>,
) -> Option<Sent> {
    if let Some(parent) = parent.filter(|_| !headers.contains_key("traceparent")) {
        parent.write(headers);
    }
    None
}

/// One run of a task.
#[derive(Debug, Default)]
pub struct Running {
    incoming: Option<Arc<Carrier>>,
}

impl Running {
    /// Takes the context that came with the message.
    pub fn new(headers: &Map<String, Value>) -> Self {
        Self { incoming: Carrier::read(headers) }
    }

    /// Begins the run; returns the trace's id where it is a new one.
    pub fn begin(&self, _: Attempt<'_>) -> Option<String> {
        None
    }

    /// Returns the context for what the task publishes.
    pub fn carrier(&self) -> Option<Arc<Carrier>> {
        self.incoming.clone()
    }

    /// Runs a handler in the run's context.
    pub fn around<T>(
        &self,
        handler: Pin<Box<dyn Future<Output = T> + Send>>,
    ) -> Pin<Box<dyn Future<Output = T> + Send>> {
        handler
    }

    /// Ends the run.
    pub fn end(&self, _: impl FnOnce() -> Option<RunEnd>) {}
}

/// A context to be taken to another thread.
#[derive(Clone, Debug)]
pub struct Here(());

impl Here {
    /// Takes the context of this moment.
    pub fn now() -> Self {
        Self(())
    }

    /// Does something in it.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        work()
    }
}

/// A request to a site.
#[derive(Debug)]
pub struct Fetch(());

impl Fetch {
    /// Begins it. The address is told without its query, which may hold secrets.
    pub fn begin(_: &str, _: &str, _: Option<u16>, _: &str) -> Self {
        Self(())
    }

    /// Notes the answer's status.
    pub fn answered(&self, _: u16) {}

    /// Notes how many bytes were read.
    pub fn read(&self, _: usize) {}

    /// Notes that it failed.
    pub fn failed(&self, _: &dyn std::fmt::Display) {}
}
