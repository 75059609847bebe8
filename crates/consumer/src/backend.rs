//! What apalis polls: an ephemeral backend that yields claimed messages and ends each with its
//! outcome.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use apalis_core::{
    backend::{Backend as ApalisBackend, BackendConfig, finalize::Ephemeral},
    task::{Task, builder::TaskBuilder},
    worker::context::WorkerContext,
};
use rhubarb_trace::RunEnd;
use rhubarb_wire::{Exception, Headers};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tower::{Layer, Service};
use tracing::{Instrument, Span};

use crate::{
    Counters, Tasks,
    broker::Broker,
    delivery::{ClaimId, Delivery},
    events::Events,
    held::{Held, Termination},
    outcome::{Ending, Outcome, Revocation},
    revoked::Revoked,
    signals::Signals,
};

/// What a task's run needs: whether it may begin, and that it is seen.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) broker: Arc<Broker>,
    pub(crate) tasks: Tasks,
    pub(crate) held: Arc<Held>,
    pub(crate) revoked: Arc<Revoked>,
    pub(crate) events: Arc<Events>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) signals: Arc<Signals>,
}

impl Runner {
    /// Notes that a handler begins; returns what orders its end, or why it must not begin.
    fn begin(&self, claim: ClaimId, headers: &Headers) -> Result<Arc<Termination>, Outcome> {
        let now = self.broker.now();
        // It may have been revoked since it was claimed.
        if self.revoked.has(headers, now) {
            return Err(Outcome::Revoked(Revocation::Revoked));
        }
        Counters::add(&self.counters.started);
        if self.tasks.contains(&headers.task) {
            self.counters.began(&headers.task);
            self.events.started(headers);
        }
        Ok(self.held.begin(claim, now))
    }
}

/// The source of an apalis worker. It never returns an error: a passing fault of Redis is waited
/// out by the claiming role, because apalis ends a worker whose backend fails.
pub struct Backend {
    deliveries: mpsc::UnboundedReceiver<Delivery>,
    draining: Pin<Box<WaitForCancellationFutureOwned>>,
    runner: Arc<Runner>,
}

impl Backend {
    pub(crate) fn new(deliveries: mpsc::UnboundedReceiver<Delivery>, runner: Arc<Runner>) -> Self {
        let draining = Box::pin(runner.signals.draining.clone().cancelled_owned());
        Self { deliveries, draining, runner }
    }
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backend").finish_non_exhaustive()
    }
}

impl ApalisBackend for Backend {
    type Task = Task<Delivery>;
    type Error = Infallible;

    fn poll_ready(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        // Back-pressure is the claiming role's: it claims only what there are free slots for.
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        if self.draining.as_mut().poll(cx).is_ready() {
            // What was claimed but not begun is dropped here, and so handed back.
            self.deliveries.close();
            while self.deliveries.try_recv().is_ok() {}
            // A worker whose backend has ended waits for its own stop; one that was stopped before
            // says so.
            let _ = worker.stop();
            return Poll::Ready(None);
        }
        self.deliveries
            .poll_recv(cx)
            .map(|delivery| delivery.map(|d| Ok(TaskBuilder::new(d).build())))
    }

    fn poll_close(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        // Ending claims is the settling role's, which outlives the apalis worker.
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for Backend {
    type Args = Delivery;
    type Id = String;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = SettleLayer;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> SettleLayer {
        SettleLayer(self.runner.clone())
    }
}

/// Ends each delivery's claim with what the service made of it, and the service's work when that is
/// ordered.
#[derive(Clone, Debug)]
pub struct SettleLayer(Arc<Runner>);

impl<S> Layer<S> for SettleLayer {
    type Service = SettleService<S>;

    fn layer(&self, inner: S) -> SettleService<S> {
        SettleService { inner, runner: self.0.clone() }
    }
}

/// See [`SettleLayer`].
#[derive(Clone, Debug)]
pub struct SettleService<S> {
    inner: S,
    runner: Arc<Runner>,
}

impl<S> Service<Task<Delivery>> for SettleService<S>
where
    S: Service<Task<Delivery>>,
    S::Response: Into<Ending>,
    S::Error: std::fmt::Display + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<(), S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut task: Task<Delivery>) -> Self::Future {
        // Whoever has taken the ticket ends the claim.
        let Some(ticket) = task.args.take_ticket() else { return Box::pin(async { Ok(()) }) };
        let termination = match self.runner.begin(ticket.claim(), &task.args.envelope().headers) {
            Ok(termination) => termination,
            Err(outcome) => {
                ticket.settle(outcome);
                return Box::pin(async { Ok(()) });
            }
        };
        let began = Instant::now();
        let received = task.args.received.clone();
        let span = span(&task.args);
        tracing::debug!(parent: &span, "task begins");
        let call = span.in_scope(|| self.inner.call(task));
        let mut running = Box::pin(call.instrument(span.clone()));
        let runner = self.runner.clone();
        Box::pin(async move {
            // Dropped while running (the worker is being torn down): the ticket hands the message
            // back.
            let ending = tokio::select! {
                biased;
                ended = &mut running => ended.map_or_else(|error| raised(&error), Into::into),
                signal = termination.given() => {
                    Outcome::Revoked(Revocation::Terminated { signal }).into()
                }
            };
            drop(running);
            runner.held.cease(ticket.claim());
            log_end(&ending.outcome, began.elapsed(), &span);
            received.trace.end(|| ended(&ending.outcome));
            ticket.settle_after(began.elapsed(), ending);
            // An error would end the apalis worker; the outcome is where it belongs.
            Ok(())
        })
    }
}

/// An error that no layer turned into an outcome is the task's failure.
fn raised(error: &impl std::fmt::Display) -> Ending {
    let exception = Exception::builtin("RuntimeError", vec![error.to_string().into()]);
    Outcome::Failure { exception, traceback: None }.into()
}

/// The span in which a task runs: its handler's log lines carry these fields too.
fn span(delivery: &Delivery) -> Span {
    let headers = &delivery.envelope().headers;
    let trace = delivery.received.trace.carrier();
    let span = tracing::info_span!(
        "task",
        task = headers.task,
        id = headers.id,
        queue = delivery.queue,
        attempt = headers.retries + 1,
        trace_id = tracing::field::Empty,
    );
    if let Some(id) = trace.as_ref().and_then(|trace| trace.trace_id()) {
        span.record("trace_id", id);
    }
    span
}

/// What a run's span tells of its outcome; `None` for one that is to be done again.
fn ended(outcome: &Outcome) -> Option<RunEnd> {
    let failed = |exception: &Exception, traceback: Option<&String>| RunEnd::Failed {
        kind: exception.exc_type.clone(),
        message: exception.to_string(),
        traceback: traceback.cloned(),
    };
    Some(match outcome {
        Outcome::Success(_) => RunEnd::Well("SUCCESS"),
        Outcome::Failure { exception, traceback } => failed(exception, traceback.as_ref()),
        Outcome::Retry { exception, .. } => RunEnd::Retry(exception.to_string()),
        Outcome::Dead { exception, .. } => failed(exception, None),
        Outcome::Revoked(_) => RunEnd::Well("REVOKED"),
        Outcome::Ignored => RunEnd::Well("IGNORED"),
        Outcome::Rejected { .. } => RunEnd::Well("REJECTED"),
        Outcome::PutOff { .. }
        | Outcome::NotDue { .. }
        | Outcome::Unknown
        | Outcome::Leave
        | Outcome::Died { .. }
        | Outcome::HandBack => return None,
    })
}

/// The one line at a task's end.
fn log_end(outcome: &Outcome, took: Duration, span: &Span) {
    let elapsed_ms = ms(took);
    macro_rules! ended {
        ($level:ident, $outcome:literal $($field:tt)*) => {
            tracing::$level!(parent: span, elapsed_ms, outcome = $outcome $($field)*, "task ended")
        };
    }
    match outcome {
        Outcome::Success(_) => ended!(info, "success"),
        Outcome::Failure { exception, .. } => ended!(warn, "failure", error = %exception),
        Outcome::Retry { exception, after, .. } => {
            ended!(info, "retry", after_ms = ms(*after), error = %exception)
        }
        Outcome::PutOff { after } => ended!(debug, "put off", after_ms = ms(*after)),
        Outcome::NotDue { at } => ended!(debug, "not due", at = %at),
        Outcome::Revoked(Revocation::Terminated { signal }) => {
            ended!(info, "terminated", signal = signal)
        }
        Outcome::Revoked(why) => ended!(info, "revoked", error = %why.exception()),
        Outcome::Dead { reason, .. } => ended!(warn, "dead", reason = reason),
        Outcome::Ignored => ended!(info, "ignored"),
        Outcome::Rejected { requeue: true, reason } => ended!(info, "requeued", reason = reason),
        Outcome::Rejected { reason, .. } => ended!(warn, "rejected", reason = reason),
        Outcome::Unknown => ended!(warn, "unknown"),
        Outcome::Leave => ended!(debug, "left"),
        Outcome::Died { reason } => ended!(error, "died", reason = reason),
        Outcome::HandBack => ended!(info, "handed back"),
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
