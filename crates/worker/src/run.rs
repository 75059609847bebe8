//! The tower service that apalis runs: a delivery in, its outcome out.

use std::{
    any::Any,
    collections::BTreeMap,
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use apalis_core::task::Task;
use futures_util::{FutureExt, future::BoxFuture};
use rhubarb_queue::wire::{Exception, Headers, plain};
use rhubarb_queue::{Client, Delivery, Outcome};
use serde_json::Value;
use tokio::task::JoinError;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tower::Service;
use tracing::{Instrument, Span};

use crate::{
    app::{App, Registration},
    args::Arguments,
    context::{TaskContext, TaskInfo},
    error::TaskError,
    extract::{Call, States},
    handler::TaskResult,
    retry::RetryPolicy,
};

/// How long a task over its own concurrency limit is put off; up to as long again is added.
const OVER_LIMIT: Duration = Duration::from_secs(1);

/// Runs deliveries. Clones share everything.
#[derive(Clone, Debug)]
pub struct Runner(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tasks: BTreeMap<String, Registration>,
    aliases: BTreeMap<String, String>,
    states: Arc<States>,
    client: Client,
    time_limit: Option<Duration>,
    stop: Stop,
}

/// The two moments of a stop that running tasks have to know.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// The worker claims no more; tasks may end early by themselves.
    pub began: CancellationToken,
    /// The time is over: what still runs is cancelled and handed back.
    pub hand_back: CancellationToken,
}

/// How one attempt ended.
#[derive(Debug)]
enum Ended {
    Returned(TaskResult),
    Panicked(String),
    TimedOut(Duration),
    Cancelled,
}

impl Runner {
    /// Takes over an app's tasks.
    pub fn new(app: App, client: Client, stop: Stop) -> Self {
        let App { config, states, tasks, .. } = app;
        let limit = config.worker.task_time_limit;
        Self(Arc::new(Inner {
            tasks,
            aliases: config.task_aliases,
            states: Arc::new(states),
            client,
            time_limit: (!limit.is_zero()).then_some(limit),
            stop,
        }))
    }

    /// Runs one delivery to its outcome.
    ///
    /// # Cancel safety
    ///
    /// A dropped call cancels the handler; dropping the delivery hands the message back.
    pub async fn run(&self, delivery: &Delivery) -> Outcome {
        let headers = &delivery.envelope().headers;
        let Some(task) = self.0.find(&headers.task) else { return Outcome::Unknown };
        let body = match delivery.received.body() {
            Ok(body) => body,
            Err(error) => {
                return Outcome::Dead { reason: error.to_string(), exception: error.exception() };
            }
        };
        let Some(slot) = task.slot() else {
            return Outcome::PutOff { after: OVER_LIMIT.mul_f64(1.0 + fastrand::f64()) };
        };
        let info = TaskInfo {
            id: headers.id.clone(),
            name: headers.task.clone(),
            queue: delivery.queue.clone(),
            retries: headers.retries,
            deaths: delivery.deliveries,
        };
        let arguments = Arguments {
            args: body.args.iter().cloned().map(plain).collect(),
            kwargs: body
                .kwargs
                .iter()
                .map(|(name, value)| (name.clone(), plain(value.clone())))
                .collect(),
        };
        let limit = hard_limit(headers).or(task.time_limit).or(self.0.time_limit);
        let ended = self.0.attempt(task, info, arguments, limit).await;
        drop(slot);
        decide(ended, headers.retries, &task.retry, fastrand::f64())
    }
}

impl Service<Task<Delivery>> for Runner {
    type Response = Outcome;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Outcome, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The queue claims no more than there are free slots, so a delivery always has one.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Delivery>) -> Self::Future {
        let runner = self.clone();
        async move { Ok(runner.run(&task.args).await) }.boxed()
    }
}

impl Inner {
    fn find(&self, name: &str) -> Option<&Registration> {
        self.tasks.get(name).or_else(|| self.tasks.get(self.aliases.get(name)?))
    }

    /// Runs the handler in a tokio task of its own, so that computing neither delays the others nor the
    /// heartbeat, and a panic ends no more than itself.
    async fn attempt(
        &self,
        task: &Registration,
        info: TaskInfo,
        arguments: Arguments,
        limit: Option<Duration>,
    ) -> Ended {
        let context = TaskContext::new(info, self.client.clone(), self.stop.began.clone());
        let handler = (task.run)(Call::new(arguments, context, Arc::clone(&self.states)));
        let mut handler = AbortOnDropHandle::new(tokio::spawn(handler.instrument(Span::current())));
        let limit_passed = async {
            match limit {
                Some(limit) => {
                    tokio::time::sleep(limit).await;
                    limit
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            joined = &mut handler => joined.map_or_else(panicked, Ended::Returned),
            limit = limit_passed => Ended::TimedOut(limit),
            () = self.stop.hand_back.cancelled() => Ended::Cancelled,
        }
    }
}

/// Returns the message's hard limit; one that is no positive number of seconds does not count.
fn hard_limit(headers: &Headers) -> Option<Duration> {
    let seconds = headers.timelimit.0.filter(|seconds| *seconds > 0.0)?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn panicked(error: JoinError) -> Ended {
    match error.try_into_panic() {
        Ok(panic) => Ended::Panicked(panic_message(&*panic)),
        // Nobody else aborts a handler: the runtime itself is ending.
        Err(_) => Ended::Cancelled,
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".to_owned())
}

/// Decides what an attempt's end means for its task; `random` in `0.0..1.0` is the retry's jitter.
fn decide(ended: Ended, retries: u32, policy: &RetryPolicy, random: f64) -> Outcome {
    let retry = |exception, wait: Option<Duration>| match wait {
        Some(after) => Outcome::Retry { exception, traceback: None, after },
        None => failure(exception),
    };
    match ended {
        Ended::Returned(Ok(value)) => Outcome::Success(value),
        Ended::Returned(Err(TaskError::Failed(exception))) => failure(exception),
        Ended::Returned(Err(TaskError::Transient(exception))) => {
            retry(exception, policy.wait(retries, random))
        }
        Ended::Returned(Err(TaskError::Retry { after, exception })) => {
            retry(exception, (retries < policy.max_retries).then_some(after))
        }
        Ended::Returned(Err(TaskError::PutOff { after })) => Outcome::PutOff { after },
        Ended::Returned(Err(TaskError::Cancelled)) | Ended::Cancelled => Outcome::HandBack,
        Ended::Panicked(message) => {
            let message = Value::String(format!("the task panicked: {message}"));
            failure(Exception::builtin("RuntimeError", vec![message]))
        }
        Ended::TimedOut(limit) => failure(Exception::time_limit_exceeded(limit.as_secs_f64())),
    }
}

fn failure(exception: Exception) -> Outcome {
    Outcome::Failure { exception, traceback: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exception() -> Exception {
        Exception::builtin("OSError", vec!["gone".into()])
    }

    fn returned(error: TaskError) -> Ended {
        Ended::Returned(Err(error))
    }

    #[test]
    fn each_end_has_its_outcome() {
        let policy = RetryPolicy::default();
        let check = |ended, retries, expect| {
            assert_eq!(decide(ended, retries, &policy, 0.5), expect, "after {retries} retries");
        };
        let retry = |seconds| Outcome::Retry {
            exception: exception(),
            traceback: None,
            after: Duration::from_secs(seconds),
        };
        let five = Duration::from_secs(5);
        check(Ended::Returned(Ok(1.into())), 0, Outcome::Success(1.into()));
        check(returned(TaskError::Failed(exception())), 0, failure(exception()));
        check(returned(TaskError::Transient(exception())), 0, retry(30));
        check(returned(TaskError::Transient(exception())), 2, retry(120));
        check(returned(TaskError::put_off(five)), 9, Outcome::PutOff { after: five });
        check(returned(TaskError::Cancelled), 0, Outcome::HandBack);
        check(Ended::Cancelled, 0, Outcome::HandBack);
        check(Ended::TimedOut(five), 0, failure(Exception::time_limit_exceeded(5.0)));
    }

    #[test]
    fn exhausted_retries_end_in_the_original_exception() {
        let policy = RetryPolicy::default();
        let explicit =
            || TaskError::Retry { after: Duration::from_secs(7), exception: exception() };
        let check = |error, retries, expect| {
            assert_eq!(decide(returned(error), retries, &policy, 0.5), expect);
        };
        check(TaskError::Transient(exception()), 3, failure(exception()));
        check(explicit(), 3, failure(exception()));
        let after = Duration::from_secs(7);
        let retry = Outcome::Retry { exception: exception(), traceback: None, after };
        check(explicit(), 2, retry);
    }

    #[test]
    fn a_panic_fails_with_its_message() {
        let Outcome::Failure { exception, .. } =
            decide(Ended::Panicked("index 3".into()), 0, &RetryPolicy::default(), 0.0)
        else {
            panic!("not a failure")
        };
        assert_eq!(exception.exc_message, ["the task panicked: index 3"]);
    }
}
