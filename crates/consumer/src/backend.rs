//! What apalis polls: an ephemeral backend that yields claimed messages and ends each with its outcome.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use apalis_core::{
    backend::{Backend as ApalisBackend, BackendConfig, finalize::Ephemeral},
    task::{Task, builder::TaskBuilder},
    worker::context::WorkerContext,
};
use rhubarb_wire::Exception;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tower::{Layer, Service};

use crate::{
    Shared,
    delivery::{Delivery, Received},
    outcome::{Outcome, Revocation},
};

/// The source of an apalis worker. It never returns an error: a passing fault of Redis is waited out by the
/// claiming role, because apalis ends a worker whose backend fails.
pub struct Backend {
    deliveries: mpsc::UnboundedReceiver<Delivery>,
    draining: Pin<Box<WaitForCancellationFutureOwned>>,
    shared: Arc<Shared>,
}

impl Backend {
    pub(crate) fn new(deliveries: mpsc::UnboundedReceiver<Delivery>, shared: Arc<Shared>) -> Self {
        let draining = Box::pin(shared.draining.clone().cancelled_owned());
        Self { deliveries, draining, shared }
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
            // A worker whose backend has ended waits for its own stop; one that was stopped before says so.
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
        SettleLayer(self.shared.clone())
    }
}

/// Ends each delivery's claim with what the service made of it, and the service's work when that is ordered.
#[derive(Clone, Debug)]
pub struct SettleLayer(Arc<Shared>);

impl<S> Layer<S> for SettleLayer {
    type Service = SettleService<S>;

    fn layer(&self, inner: S) -> SettleService<S> {
        SettleService { inner, shared: self.0.clone() }
    }
}

/// See [`SettleLayer`].
#[derive(Clone, Debug)]
pub struct SettleService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Task<Delivery>> for SettleService<S>
where
    S: Service<Task<Delivery>, Response = Outcome>,
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
        let termination = match self.shared.begin(ticket.claim(), &task.args.envelope().headers) {
            Ok(termination) => termination,
            Err(outcome) => {
                ticket.settle(outcome);
                return Box::pin(async { Ok(()) });
            }
        };
        let began = Instant::now();
        let received = task.args.received.clone();
        let mut running = Box::pin(self.inner.call(task));
        let shared = self.shared.clone();
        Box::pin(async move {
            // Dropped while running (the worker is being torn down): the ticket hands the message back.
            let outcome = tokio::select! {
                biased;
                ended = &mut running => ended.unwrap_or_else(|error| raised(&error)),
                signal = termination.given() => terminated(signal, &received, began),
            };
            drop(running);
            shared.held.cease(ticket.claim());
            ticket.settle_after(began.elapsed(), outcome);
            // An error would end the apalis worker; the outcome is where it belongs.
            Ok(())
        })
    }
}

/// The end of a task that remote control has ended. Its own layers are gone, so that the line at its end is ours.
fn terminated(signal: String, received: &Received, began: Instant) -> Outcome {
    let headers = &received.envelope.headers;
    let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(
        task = headers.task,
        id = headers.id,
        attempt = headers.retries + 1,
        elapsed_ms,
        signal,
        outcome = "terminated",
        "task ended"
    );
    Outcome::Revoked(Revocation::Terminated { signal })
}

/// An error that no layer turned into an outcome is the task's failure.
fn raised(error: &impl std::fmt::Display) -> Outcome {
    let exception = Exception::builtin("RuntimeError", vec![error.to_string().into()]);
    Outcome::Failure { exception, traceback: None }
}
