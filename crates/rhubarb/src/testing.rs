//! Tests of tasks without Redis and without a worker: tasks run in the test's own process, and
//! what they publish is recorded.
//!
//! [`Eager`] runs an app's tasks as a worker does, with their layers, limits, retries and
//! errbacks. [`Given`] makes a [`TaskContext`] for a handler that is called as a function.
//!
//! - Nothing waits. A countdown, an ETA and a retry move the test's clock to their time, and then
//!   the task runs. [`Ran::began`] tells when each attempt began, [`Ran::waits`] how long each
//!   retry waited. [`Eager::set_now`] and [`Eager::advance`] move the clock by hand.
//! - What a task publishes is recorded and not run: a chain's next step, a group and a callback
//!   are published by the worker when a task ends, and so are not there.
//!   [`assert_published!`](crate::assert_published) looks at what is recorded.
//! - Hooks are not called, results are not stored, and [`Handle::get`](crate::Handle::get) finds
//!   no result: nothing is sent to Redis.
//!
//! ```
//! use rhubarb::{assert_published, prelude::*, testing::Eager};
//!
//! #[task(name = "shop.mail")]
//! async fn mail(to: String, #[default] copy: bool) {}
//!
//! #[task(name = "shop.sell", max_retries = 3)]
//! async fn sell(context: TaskContext, item: String) -> Result<u32, TaskError> {
//!     if context.info().retries == 0 {
//!         return Err(TaskError::transient("ConnectionError", "the till is closed"));
//!     }
//!     mail::call(item).copy(true).send(context.client()).await?;
//!     Ok(context.info().retries)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyhow::Result<()> {
//! let mut app = rhubarb::testing::app();
//! app.add(sell::task());
//! let eager = Eager::new(app)?;
//! let ran = eager.run(sell::call("tea").publish()?).await;
//! assert_eq!(ran.value::<u32>(), 1);
//! assert_eq!(ran.waits.len(), 1);
//! assert_published!(eager, "shop.mail", args = ["tea"], kwargs = {"copy": true});
//! # Ok(())
//! # }
//! ```
//!
//! # Time
//!
//! The clock says when a call is due, when it expires and when a retry runs.
//! [`TaskContext::now`] reads it.
//!
//! ```
//! use rhubarb::{Timestamp, prelude::*, testing::{Eager, End}};
//!
//! /// The till opens at nine.
//! #[task(name = "shop.open")]
//! async fn open(context: TaskContext, at: Timestamp) -> Result<String, TaskError> {
//!     if context.now() < at {
//!         return Err(Retry::at(at).into());
//!     }
//!     Ok(context.now().to_string())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyhow::Result<()> {
//! let mut app = rhubarb::testing::app();
//! app.add(open::task());
//! let eager = Eager::new(app)?;
//! let (six, nine) = ("2030-05-01T06:00:00Z".parse()?, "2030-05-01T09:00:00Z".parse()?);
//! eager.set_now(six);
//! let ran = eager.run(open::call(nine).publish()?).await;
//! assert_eq!(ran.began.len(), 2);
//! assert_eq!(ran.waits[0].as_secs().div_ceil(60), 3 * 60);
//! assert!(ran.value::<Timestamp>() >= nine);
//!
//! // It would be run in an hour, and is worth nothing after half of one.
//! let (hour, half) = (Duration::from_secs(3600), Duration::from_secs(1800));
//! let late = open::call(nine).countdown(hour).expires_in(half).publish()?;
//! assert_eq!(eager.run(late).await.end, End::Expired);
//! # Ok(())
//! # }
//! ```
//!
//! Between its moves the clock goes on with tokio's time. Let that stand still with
//! `#[tokio::test(start_paused = true)]` and tokio's feature `test-util`: then `sleep` in a task
//! and time limits pass at once too, and move the clock by just as long.

use std::{sync::Arc, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use rhubarb_consumer::{Again, Delivery, Outcome, Received};
use rhubarb_queue::{
    Client, Config, Publish, Recorder,
    wire::{Envelope, Exception, Headers, Time, open, open_map},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    App, RegistrationErrors, TaskContext, json,
    run::{Runner, Stop},
};

/// The most attempts that one call may have.
const ATTEMPTS: usize = 1_000;

/// Returns an app with the default configuration, which needs no Redis.
///
/// # Panics
///
/// Never: the default configuration can be used.
pub fn app() -> App {
    App::new(Config::default()).expect("the default configuration can be used")
}

/// Runs tasks in this process.
#[derive(Debug)]
pub struct Eager {
    runner: Runner,
    client: Client,
    recorder: Recorder,
    stop: Stop,
}

/// How a call ended, and what it did on its way.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ran {
    /// How its last attempt ended.
    pub end: End,
    /// When each attempt began, by the test's clock.
    pub began: Vec<Timestamp>,
    /// How long each retry waited, by the test's clock.
    pub waits: Vec<Duration>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum End {
    /// It returned this.
    Success(Value),
    /// It failed with this.
    Failure {
        /// What it raised.
        exception: Exception,
        /// Where, as text.
        traceback: Option<String>,
    },
    /// It asked to be run later: [`TaskError::PutOff`](crate::TaskError::PutOff).
    PutOff(Duration),
    /// It gave up, or was stopped: it would go back to its queue.
    HandedBack,
    /// It ends without a word, or was replaced by what is recorded.
    Ignored,
    /// It refused its message.
    Rejected {
        /// Whether the message would go back to its queue.
        requeue: bool,
        /// Why.
        reason: String,
    },
    /// It did not run: its time was over.
    Expired,
    /// The app has no task of that name.
    Unknown,
}

/// A task that was published.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sent {
    /// Its name.
    pub task: String,
    /// Its id.
    pub id: String,
    /// The queue that it was sent to.
    pub queue: String,
    /// Positional arguments.
    pub args: Vec<Value>,
    /// Keyword arguments.
    pub kwargs: Map<String, Value>,
    /// Its message as it was sent, for all else.
    pub message: Vec<u8>,
}

impl Eager {
    /// Takes over an app's tasks.
    ///
    /// # Errors
    ///
    /// All that is wrong with them, as a worker would say at its start.
    pub fn new(app: App) -> Result<Self, RegistrationErrors> {
        app.check()?;
        let (client, recorder) = Client::new(&app.connections, &app.config).recording();
        let (stop, tasks) = (Stop::default(), app.limits());
        let runner = Runner::new(app, client.clone(), tasks, stop.clone());
        Ok(Self { runner, client, recorder, stop })
    }

    /// Runs a call to its end, its retries too. The clock is moved to the time of each attempt.
    ///
    /// # Panics
    ///
    /// The call cannot be published, or is retried more than a thousand times.
    pub async fn run(&self, call: Publish) -> Ran {
        let mut envelope = envelope(&self.client, call);
        let (mut began, mut waits) = (Vec::new(), Vec::new());
        while waits.len() < ATTEMPTS {
            if self.expires_before_it_is_due(&envelope.headers) {
                return Ran { end: End::Expired, began, waits };
            }
            began.push(self.now());
            let received = received(envelope);
            let queue = received.envelope.properties.delivery_info.routing_key.clone();
            let ending = self.runner.run(&Delivery::unclaimed(received.clone(), queue)).await;
            let end = match ending.outcome {
                Outcome::Retry { after, again, .. } => {
                    waits.push(after);
                    self.advance(after);
                    envelope = next(&received, *again, self.now());
                    continue;
                }
                Outcome::Success(value) => End::Success(value),
                Outcome::Failure { exception, traceback } => End::Failure { exception, traceback },
                Outcome::Dead { exception, .. } => End::Failure { exception, traceback: None },
                Outcome::PutOff { after } => End::PutOff(after),
                Outcome::Ignored => End::Ignored,
                Outcome::Rejected { requeue, reason } => End::Rejected { requeue, reason },
                Outcome::Unknown => End::Unknown,
                _ => End::HandedBack,
            };
            return Ran { end, began, waits };
        }
        panic!("the task has asked for {ATTEMPTS} retries");
    }

    /// Waits for a message's time, by the clock, as a worker does: one that is expired at its first
    /// sight does not run, nor does one that is when it is due.
    fn expires_before_it_is_due(&self, headers: &Headers) -> bool {
        let at = |time: &Option<Time>| time.as_ref().map(|time| time.resolve(&TimeZone::UTC));
        let is_expired = || at(&headers.expires).is_some_and(|expires| expires <= self.now());
        if is_expired() {
            return true;
        }
        if let Some(eta) = at(&headers.eta).filter(|eta| *eta > self.now()) {
            self.set_now(eta);
        }
        is_expired()
    }

    /// Returns the time by the test's clock; it begins with this machine's.
    pub fn now(&self) -> Timestamp {
        self.recorder.clock().now()
    }

    /// Sets the test's clock.
    pub fn set_now(&self, now: Timestamp) {
        self.recorder.clock().set(now);
    }

    /// Moves the test's clock forward.
    pub fn advance(&self, by: Duration) {
        self.recorder.clock().advance(by);
    }

    /// Returns a client that records what it publishes, for code beside the tasks.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Tells tasks that the worker stops: [`TaskContext::stopping`] ends. No further task runs.
    pub fn stop(&self) {
        self.stop.began.cancel();
    }

    /// Returns what was published so far, in order.
    pub fn published(&self) -> Vec<Sent> {
        sent(&self.recorder)
    }

    /// Returns the states of their own that tasks have stored so far, with what belongs to them.
    pub fn states(&self) -> Vec<(String, Value)> {
        states(&self.recorder)
    }
}

impl Ran {
    /// Returns the value of a success.
    ///
    /// # Panics
    ///
    /// It was none, or is of another type.
    #[track_caller]
    pub fn value<T: DeserializeOwned>(&self) -> T {
        match &self.end {
            End::Success(value) => match json::read(value.clone()) {
                Ok(value) => value,
                Err(problem) => panic!("the task returned another type: {problem}"),
            },
            end => panic!("the task did not succeed: {end:?}"),
        }
    }

    /// Returns the exception of a failure.
    ///
    /// # Panics
    ///
    /// It was none.
    #[track_caller]
    pub fn exception(&self) -> &Exception {
        match &self.end {
            End::Failure { exception, .. } => exception,
            end => panic!("the task did not fail: {end:?}"),
        }
    }
}

/// A [`TaskContext`] made by hand, for a handler that is called as a function.
///
/// ```
/// use rhubarb::{assert_published, prelude::*, testing::Given};
///
/// #[task(name = "shop.mail")]
/// async fn mail(to: String) {}
///
/// #[task(name = "shop.sell")]
/// async fn sell(context: TaskContext, item: String) -> Result<u32, TaskError> {
///     mail::call(item).send(context.client()).await?;
///     Ok(context.info().retries)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), TaskError> {
/// let given = Given::call(Publish::new("shop.sell")).retries(2);
/// assert_eq!(sell(given.context(), "tea".to_owned()).await?, 2);
/// assert_published!(given, "shop.mail", args = ["tea"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Given {
    envelope: Envelope,
    deaths: u32,
    eager: Eager,
    soft_limit: tokio_util::sync::CancellationToken,
}

impl Given {
    /// The context of this call, in its first attempt.
    ///
    /// # Panics
    ///
    /// The call cannot be published.
    pub fn call(call: Publish) -> Self {
        let eager = Eager::new(app()).expect("an app without tasks fits together");
        let envelope = envelope(&eager.client, call);
        Self { envelope, deaths: 0, eager, soft_limit: Default::default() }
    }

    /// Sets the time that the task reads: [`TaskContext::now`].
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        self.eager.set_now(now);
        self
    }

    /// Sets how many retries there were.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.envelope.headers.retries = retries;
        self
    }

    /// Sets how often a worker died with it.
    #[must_use]
    pub fn deaths(self, deaths: u32) -> Self {
        Self { deaths, ..self }
    }

    /// Makes the context.
    pub fn context(&self) -> TaskContext {
        let mut delivery = Delivery::unclaimed(
            received(self.envelope.clone()),
            self.envelope.properties.delivery_info.routing_key.clone(),
        );
        delivery.deliveries = self.deaths;
        self.eager.runner.context(&delivery, self.soft_limit.clone())
    }

    /// Tells the task that the worker stops.
    pub fn stop(&self) {
        self.eager.stop();
    }

    /// Tells the task that its soft time limit has passed.
    pub fn pass_soft_limit(&self) {
        self.soft_limit.cancel();
    }

    /// Returns what was published so far, in order.
    pub fn published(&self) -> Vec<Sent> {
        self.eager.published()
    }

    /// Returns the states of its own that the task has stored so far, with what belongs to them.
    pub fn states(&self) -> Vec<(String, Value)> {
        self.eager.states()
    }
}

/// Checks that a task was published: by its name, with these positional arguments, with these
/// keyword arguments. It gives the first one that is meant, as a [`Sent`].
///
/// The first argument is an [`Eager`] or a [`Given`]; the arguments are JSON.
#[macro_export]
macro_rules! assert_published {
    ($in:expr, $task:expr $(,)?) => {
        $crate::testing::published($in.published(), $task, None, None)
    };
    ($in:expr, $task:expr, args = $args:tt $(,)?) => {
        $crate::testing::published(
            $in.published(),
            $task,
            Some($crate::__private::json!($args)),
            None,
        )
    };
    ($in:expr, $task:expr, kwargs = $kwargs:tt $(,)?) => {
        $crate::testing::published(
            $in.published(),
            $task,
            None,
            Some($crate::__private::json!($kwargs)),
        )
    };
    ($in:expr, $task:expr, args = $args:tt, kwargs = $kwargs:tt $(,)?) => {
        $crate::testing::published(
            $in.published(),
            $task,
            Some($crate::__private::json!($args)),
            Some($crate::__private::json!($kwargs)),
        )
    };
}

/// Finds a published task; for [`assert_published!`](crate::assert_published).
#[doc(hidden)]
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "a macro makes them")]
pub fn published(all: Vec<Sent>, task: &str, args: Option<Value>, kwargs: Option<Value>) -> Sent {
    let fits = |sent: &&Sent| {
        sent.task == task
            && args.as_ref().is_none_or(|args| args.as_array() == Some(&sent.args))
            && kwargs.as_ref().is_none_or(|kwargs| kwargs.as_object() == Some(&sent.kwargs))
    };
    if let Some(found) = all.iter().find(fits) {
        return found.clone();
    }
    let all: Vec<String> = all
        .iter()
        .map(|sent| {
            let kwargs = Value::Object(sent.kwargs.clone());
            format!(
                "\n  {} args = {}, kwargs = {kwargs}",
                sent.task,
                Value::Array(sent.args.clone())
            )
        })
        .collect();
    let wanted = |name: &str, value: &Option<Value>| {
        value.as_ref().map(|value| format!(", {name} = {value}")).unwrap_or_default()
    };
    let wanted = format!("{task}{}{}", wanted("args", &args), wanted("kwargs", &kwargs));
    panic!("not published: {wanted}; published were {}:{}", all.len(), all.concat());
}

fn envelope(client: &Client, call: Publish) -> Envelope {
    let outgoing = client.message(call);
    let outgoing = outgoing.unwrap_or_else(|error| panic!("the call cannot be published: {error}"));
    Envelope::decode(&outgoing.message).expect("what was just encoded can be read")
}

fn received(envelope: Envelope) -> Arc<Received> {
    Arc::new(Received::new(envelope, usize::MAX))
}

/// The next attempt's message, as the worker would write it.
fn next(received: &Received, again: Again, at: Timestamp) -> Envelope {
    let mut next = received.envelope.retry("", at);
    let mut body = received.body().cloned().unwrap_or_default();
    if let Some(args) = again.args {
        body.args = args;
    }
    if let Some(kwargs) = again.kwargs {
        body.kwargs = kwargs;
    }
    next.set_body(&body);
    if let Some(queue) = again.queue {
        next.properties.delivery_info.routing_key = queue;
    }
    next
}

fn sent(recorder: &Recorder) -> Vec<Sent> {
    let read = |(queue, envelope): (String, Envelope)| {
        let body = envelope.body(usize::MAX).unwrap_or_default();
        Sent {
            task: envelope.headers.task.clone(),
            id: envelope.headers.id.clone(),
            queue,
            args: body.args.into_iter().map(open).collect(),
            kwargs: open_map(body.kwargs),
            message: envelope.encode(),
        }
    };
    recorder.messages().into_iter().map(read).collect()
}

fn states(recorder: &Recorder) -> Vec<(String, Value)> {
    let states = recorder.states().into_iter();
    states.map(|state| (state.status.to_string(), open(state.result))).collect()
}
