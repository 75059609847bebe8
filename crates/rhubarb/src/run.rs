//! The tower service that apalis runs: a delivery in, its outcome out.

mod ended;
mod outside;

use std::{
    any::Any,
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use apalis_core::task::Task;
use futures_util::{FutureExt, future::BoxFuture};
use rhubarb_consumer::{BodyMemory, Delivery, Ending, Outcome, TaskLimits, Tasks};
use rhubarb_queue::{
    Client,
    config::WorkerConfig,
    wire::{Body, Exception, Headers, Signature, open, open_map, plain},
};
use serde_json::{Map, Value};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tower::Service;
use tracing::{Instrument, Span};

use self::ended::{HandlerEnd, Moment, decide};
use crate::{
    app::App,
    args::Arguments,
    blocking::{Thread, Threads},
    builtin,
    context::{Run, TaskContext},
    errback::FailedTask,
    error::TaskError,
    extract::Call,
    output::TaskResult,
    outside::Outside,
    panics,
    registration::Registration,
    registry::Registry,
    replace,
    slot::Slot,
};

/// How long a task over its own concurrency limit is put off; up to as long again is added.
const OVER_LIMIT: Duration = Duration::from_secs(1);
/// How long a blocking task waits for a thread in its slot, so that what is put off does not go
/// round and round.
const THREAD_WAIT: Duration = Duration::from_secs(1);

/// Runs deliveries. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Runner(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Arc<Registry>,
    client: Arc<Client>,
    node: Arc<str>,
    tasks: Tasks,
    defaults: TaskLimits,
    stop: Stop,
    memory: BodyMemory,
}

/// The two moments of a stop that running tasks have to know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    /// The worker claims no more; tasks may end early by themselves.
    pub(crate) began: CancellationToken,
    /// The time is over: what still runs is cancelled and handed back.
    pub(crate) hand_back: CancellationToken,
}

impl Runner {
    /// Takes over an app's tasks; their limits stand in `tasks`, where remote control changes them.
    pub(crate) fn new(app: App, client: Client, tasks: Tasks, stop: Stop) -> Self {
        let App { config, states, tasks: handlers, layered, .. } = app;
        panics::watch();
        let defaults = default_limits(&config.worker);
        let node = config.node_name().into();
        let threads = Threads::new(config.blocking_threads());
        let memory = BodyMemory::for_messages_of(config.worker.max_message_bytes);
        let (aliases, states) = (config.tasks.aliases, Arc::new(states));
        Self(Arc::new(Inner {
            registry: Arc::new(Registry { tasks: handlers, aliases, states, threads, layered }),
            client: Arc::new(client),
            node,
            tasks,
            defaults,
            stop,
            memory,
        }))
    }

    /// Returns the context of a delivery that no handler runs; `soft_limit` is its soft limit.
    #[cfg(feature = "testing")]
    pub(crate) fn context(
        &self,
        delivery: &Delivery,
        soft_limit: CancellationToken,
    ) -> TaskContext {
        let mut run = self.0.new_run(delivery, &TaskLimits::default());
        run.soft_limit = Some(soft_limit);
        TaskContext::new(Arc::new(run), None)
    }

    /// Runs one delivery to its outcome.
    ///
    /// # Cancel safety
    ///
    /// A dropped call cancels the handler; dropping the delivery hands the message back.
    pub(crate) async fn run(&self, delivery: &Delivery) -> Ending {
        let headers = &delivery.envelope().headers;
        let Some(task) = self.0.registry.find(&headers.task) else {
            return Outcome::Unknown.into();
        };
        if let Some(outside) = task.outside() {
            return self.0.run_outside(outside, task, delivery).await;
        }
        tokio::select! {
            biased;
            () = self.0.memory.read(&delivery.received) => {}
            () = self.0.stop.began.cancelled() => return Outcome::HandBack.into(),
        }
        let body = match delivery.received.body() {
            Ok(body) => body,
            Err(error) => {
                let (reason, exception) = (error.to_string(), error.exception());
                return Outcome::Dead { reason, exception }.into();
            }
        };
        match self.0.mapped(&headers.task, body) {
            Mapped::Unknown => return Outcome::Unknown.into(),
            Mapped::Outside(outside) => {
                return self.0.run_outside(outside, task, delivery).await;
            }
            Mapped::Here => {}
        }
        let permits = match self.0.permits(task).await {
            Ok(permits) => permits,
            Err(not_now) => return not_now.into(),
        };
        self.0.tell_begin(task, delivery).await;
        let limits = time_limits(headers, &self.0.tasks.limits(&headers.task), &self.0.defaults);
        let call = Attempt { task, permits, delivery, limits };
        let (ended, children) = self.0.attempt(call, arguments(body)).await;
        let moment = Moment { now: self.0.client.now(), random: fastrand::f64() };
        let outcome = decide(ended, headers, &task.retry, moment);
        let mut errbacks_called = Vec::new();
        if let Outcome::Failure { exception, traceback } = &outcome
            && !body.embed.errbacks.is_empty()
        {
            let (errbacks, traceback) = (&body.embed.errbacks, traceback.as_deref());
            errbacks_called = self.0.call_errbacks(delivery, errbacks, exception, traceback).await;
        }
        Ending { outcome, children, errbacks_called, made: None }
    }
}

fn arguments(body: &Body) -> Arguments {
    readable_arguments(&body.args, &body.kwargs)
}

fn readable_arguments(args: &[Value], kwargs: &Map<String, Value>) -> Arguments {
    let kwargs = kwargs.iter();
    Arguments {
        args: args.iter().map(readable).collect(),
        kwargs: open_map(kwargs.map(|(name, value)| (name.clone(), readable(value))).collect()),
    }
}

/// Tells whether an errback has had its call; else it is published as a task.
fn is_called(errback: &str, ended: HandlerEnd) -> bool {
    let reason = match ended {
        HandlerEnd::Returned(Ok(_) | Err(TaskError::Ignore)) => return true,
        HandlerEnd::Returned(Err(TaskError::Failed(raised))) => raised.exception.to_string(),
        HandlerEnd::Returned(Err(TaskError::Reject { reason, .. })) => reason,
        HandlerEnd::Panicked(message, _) => format!("it panicked: {message}"),
        HandlerEnd::TimedOut(_) | HandlerEnd::SoftlyTimedOut => {
            "its time limit has passed".to_owned()
        }
        HandlerEnd::Returned(Err(_)) | HandlerEnd::Cancelled => return false,
    };
    tracing::warn!(errback, reason, "an errback failed");
    true
}

/// A value as handlers have it: nothing is sealed, and Python's own types are texts.
fn readable(value: &Value) -> Value {
    plain(open(value.clone()))
}

impl Service<Task<Delivery>> for Runner {
    type Response = Ending;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Ending, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The queue claims no more than there are free slots, so a delivery always has one.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Delivery>) -> Self::Future {
        let runner = self.clone();
        async move { Ok(runner.run(&task.args).await) }.boxed()
    }
}

/// Where what a mapping task calls runs.
enum Mapped<'a> {
    /// In this process; also where nothing is mapped.
    Here,
    Outside(&'a Arc<dyn Outside>),
    /// Only other workers know it.
    Unknown,
}

/// What a task has to have before it begins.
type Permits = (Option<Thread>, Slot);

/// One attempt at a task.
struct Attempt<'a> {
    task: &'a Registration,
    permits: Permits,
    delivery: &'a Delivery,
    limits: TaskLimits,
}

impl Inner {
    /// Takes a task's permits; what becomes of the task where there is none now.
    async fn permits(&self, task: &Registration) -> Result<Permits, Outcome> {
        let not_now = || Outcome::PutOff { after: OVER_LIMIT.mul_f64(1.0 + fastrand::f64()) };
        let slot = task.slot().ok_or_else(not_now)?;
        tokio::select! {
            biased;
            thread = task.thread(&self.registry.threads) => Ok((thread, slot)),
            () = self.stop.began.cancelled() => Err(Outcome::HandBack),
            () = tokio::time::sleep(THREAD_WAIT) => Err(not_now()),
        }
    }

    /// Tells where `celery.map` runs: where the task is that it maps.
    fn mapped(&self, name: &str, body: &Body) -> Mapped<'_> {
        let mapped = builtin::MAPS.contains(&name).then(|| builtin::mapped(body)).flatten();
        let Some(mapped) = mapped else { return Mapped::Here };
        match self.registry.find(mapped) {
            None => Mapped::Unknown,
            Some(task) => task.outside().map_or(Mapped::Here, Mapped::Outside),
        }
    }

    /// Tells that a task has begun, where that is wanted.
    async fn tell_begin(&self, task: &Registration, delivery: &Delivery) {
        if !task.track_started.unwrap_or(self.client.celery().task_track_started) {
            return;
        }
        // A courtesy: that Redis is away for a moment does not keep the task from running.
        if let Err(error) =
            rhubarb_consumer::report_started(&self.client, &delivery.received, &self.node).await
        {
            tracing::debug!(%error, "the start was not reported");
        }
    }

    /// Runs the handler in a tokio task of its own, so that computing neither delays the others nor
    /// the heartbeat, and a panic ends no more than itself. Returns what it has published, too.
    async fn attempt(
        &self,
        attempt: Attempt<'_>,
        mut arguments: Arguments,
    ) -> (HandlerEnd, Vec<Value>) {
        let Attempt { task, permits: (thread, slot), delivery, limits } = attempt;
        self.begin_trace(delivery);
        let run = self.running(delivery, &limits);
        // Also when this is dropped because the task was terminated.
        let _given_up = run.given_up.clone().drop_guard();
        let failed = match task.is_told_of_failures {
            true => FailedTask::elsewhere(&self.client, &mut arguments).await,
            false => None,
        };
        let context = TaskContext::new(run.clone(), failed);
        let call = Call::new(arguments, context, self.registry.states.clone());
        let handler = task.run(call, thread, slot, self.registry.layered.as_ref());
        let handler = delivery.received.trace.around(caught(handler).boxed());
        let handler = handler.instrument(Span::current());
        let mut handler = AbortOnDropHandle::new(tokio::spawn(handler));
        let ended = tokio::select! {
            biased;
            // Nobody else aborts a handler: the runtime itself is ending.
            joined = &mut handler => joined.unwrap_or(HandlerEnd::Cancelled),
            limit = passed(&limits, run.soft_limit.as_ref()) => HandlerEnd::TimedOut(limit),
            () = run.cancelled_softly() => HandlerEnd::SoftlyTimedOut,
            () = self.stop.hand_back.cancelled() => HandlerEnd::Cancelled,
        };
        let ended = match ended {
            HandlerEnd::Returned(Err(TaskError::Replace(by))) => {
                let replaced = replace::replace(run.client(), &run.received, *by).await;
                HandlerEnd::Returned(Err(replaced.err().unwrap_or(TaskError::Ignore)))
            }
            ended => ended,
        };
        (self.told(ended, run.is_over_soft_limit()), run.children())
    }

    /// Begins the run's span; the log's lines have the id of a trace that begins here.
    fn begin_trace(&self, delivery: &Delivery) {
        let Delivery { received, queue, .. } = delivery;
        let (headers, properties) = (&received.envelope.headers, &received.envelope.properties);
        let begun = received.trace.begin(rhubarb_trace::Attempt {
            task: &headers.task,
            id: &headers.id,
            queue,
            retries: headers.retries,
            reply_to: properties.reply_to.as_deref().unwrap_or_default(),
            origin: headers.origin.as_deref(),
            node: &self.node,
            priority: properties.priority,
            redelivered: headers.redelivered,
            times: (
                headers.eta.as_ref().map(|time| time.as_str()),
                headers.expires.as_ref().map(|time| time.as_str()),
            ),
        });
        if let Some(id) = begun {
            Span::current().record("trace_id", id);
        }
    }

    fn running(&self, delivery: &Delivery, limits: &TaskLimits) -> Arc<Run> {
        Arc::new(self.new_run(delivery, limits))
    }

    fn new_run(&self, delivery: &Delivery, limits: &TaskLimits) -> Run {
        Run {
            received: delivery.received.clone(),
            queue: delivery.queue.clone(),
            deaths: delivery.deliveries,
            parent: self.client.clone(),
            client: OnceLock::new(),
            stopping: self.stop.began.clone(),
            limits: limits.clone(),
            soft_limit: limits.soft.map(|_| CancellationToken::new()),
            ends_softly: CancellationToken::new(),
            given_up: CancellationToken::new(),
            node: self.node.clone(),
            registry: self.registry.clone(),
        }
    }

    /// Calls those of a failed task's errbacks that are registered here and told of failures;
    /// returns their places.
    ///
    /// They are called before the failure is stored, so that a death in between calls them again.
    async fn call_errbacks(
        &self,
        delivery: &Delivery,
        errbacks: &[Signature],
        exception: &Exception,
        traceback: Option<&str>,
    ) -> Vec<usize> {
        let mut called = Vec::new();
        let received = &delivery.received;
        let (queue, deaths) = (&delivery.queue, delivery.deliveries);
        let failed = FailedTask::here(received, queue, deaths, exception, traceback);
        for (place, errback) in errbacks.iter().enumerate() {
            let task = self.registry.find(&errback.task);
            if !task.is_some_and(|task| task.is_told_of_failures) {
                continue;
            }
            let ended = self.call_errback(delivery, errback, failed.clone()).await;
            if is_called(&errback.task, ended) {
                called.push(place);
            }
        }
        called
    }

    async fn call_errback(
        &self,
        delivery: &Delivery,
        errback: &Signature,
        failed: Arc<FailedTask>,
    ) -> HandlerEnd {
        let (name, limits) = (errback.task.clone(), self.tasks.limits(&errback.task));
        let limits = time_limits(&Headers::new(&*name, ""), &limits, &self.defaults);
        let run = self.running(delivery, &limits);
        let _given_up = run.given_up.clone().drop_guard();
        let context = TaskContext::new(run.clone(), None);
        let arguments = readable_arguments(&errback.args, &errback.kwargs);
        let call = async move { context.call(&name, arguments, Some(failed)).await };
        let call = caught(call.boxed()).instrument(Span::current());
        let mut call = AbortOnDropHandle::new(tokio::spawn(call));
        tokio::select! {
            biased;
            joined = &mut call => joined.unwrap_or(HandlerEnd::Cancelled),
            limit = passed(&limits, run.soft_limit.as_ref()) => HandlerEnd::TimedOut(limit),
            () = self.stop.hand_back.cancelled() => HandlerEnd::Cancelled,
        }
    }

    /// A handler that gives up after its soft limit has exceeded it; after the worker's stop began,
    /// it is handed back.
    fn told(&self, ended: HandlerEnd, is_over: bool) -> HandlerEnd {
        let gave_up = matches!(ended, HandlerEnd::Returned(Err(TaskError::Cancelled)));
        let exceeded = is_over && !self.stop.began.is_cancelled();
        if gave_up && exceeded { HandlerEnd::SoftlyTimedOut } else { ended }
    }
}

/// Fires `soft_limit` in its time, and returns the hard limit once it has passed.
async fn passed(limits: &TaskLimits, soft_limit: Option<&CancellationToken>) -> Duration {
    if limits.soft.is_none() && limits.hard.is_none() {
        return std::future::pending().await;
    }
    let began = Instant::now();
    if let Some(soft) = limits.soft.filter(|soft| limits.hard.is_none_or(|hard| *soft < hard)) {
        tokio::time::sleep(soft).await;
        tracing::warn!(soft_limit_s = soft.as_secs_f64(), "soft time limit exceeded");
        if let Some(soft_limit) = soft_limit {
            soft_limit.cancel();
        }
    }
    match limits.hard {
        Some(hard) => {
            tokio::time::sleep(hard.saturating_sub(began.elapsed())).await;
            hard
        }
        None => std::future::pending().await,
    }
}

/// Returns the time limits that hold for a message: its own, else its task's, else the settings'.
///
/// Zero means none, wherever it stands.
fn time_limits(headers: &Headers, of_task: &TaskLimits, defaults: &TaskLimits) -> TaskLimits {
    // One that is no number of seconds does not count.
    let own = |seconds: Option<f64>| Duration::try_from_secs_f64(seconds?).ok();
    let (hard, soft) = headers.timelimit;
    TaskLimits {
        rate: None,
        soft: own(soft).or(of_task.soft).or(defaults.soft).filter(|limit| !limit.is_zero()),
        hard: own(hard).or(of_task.hard).or(defaults.hard).filter(|limit| !limit.is_zero()),
    }
}

fn default_limits(config: &WorkerConfig) -> TaskLimits {
    let limit = |limit: Duration| (!limit.is_zero()).then_some(limit);
    TaskLimits {
        rate: None,
        soft: limit(config.task_soft_time_limit),
        hard: limit(config.task_time_limit),
    }
}

/// Runs a handler to its end; a panic is caught on the thread that it happened on, where its place
/// is known.
async fn caught(handler: BoxFuture<'static, TaskResult>) -> HandlerEnd {
    match AssertUnwindSafe(handler).catch_unwind().await {
        Ok(returned) => HandlerEnd::Returned(returned),
        Err(panic) => HandlerEnd::Panicked(panic_message(&*panic), panics::last()),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_messages_time_limit_wins_over_the_tasks_and_that_over_the_settings() {
        let of = |soft: u64, hard: u64| {
            let limit = |s| (s > 0).then(|| Duration::from_secs(s));
            TaskLimits { rate: None, soft: limit(soft), hard: limit(hard) }
        };
        let message = |soft, hard| Headers { timelimit: (hard, soft), ..Headers::new("t", "7") };
        let check = |message: &Headers, of_task, defaults, expect| {
            assert_eq!(time_limits(message, &of_task, &defaults), expect);
        };
        check(&message(Some(1.0), Some(2.0)), of(3, 4), of(5, 6), of(1, 2));
        check(&message(None, Some(-2.0)), of(3, 4), of(5, 6), of(3, 4));
        check(&message(Some(0.0), Some(f64::NAN)), of(3, 4), of(5, 6), of(0, 4));
        check(&message(None, Some(0.0)), of(3, 4), of(5, 6), of(3, 0));
        check(&message(None, None), of(0, 0), of(0, 0), of(0, 0));
    }
}
