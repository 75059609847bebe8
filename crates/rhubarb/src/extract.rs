//! What a handler may ask for: arguments, shared state, the task's context.

use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
    fmt,
    sync::Arc,
};

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;

use crate::{
    args::{ArgumentError, Arguments, RawArgs},
    context::TaskContext,
    errback::FailedTask,
    error::TaskError,
    output::TaskResult,
};

/// What a worker runs for a call, with the places that it has taken for it.
pub(crate) trait Runs: fmt::Debug + Send + Sync {
    /// Runs it.
    fn run(self: Box<Self>, call: Call) -> BoxFuture<'static, TaskResult>;
}

/// One call of a handler, before its parameters are taken out of it.
#[derive(Debug)]
pub struct Call {
    arguments: Option<Arguments>,
    context: TaskContext,
    states: Arc<States>,
    /// What it runs, while layers have it.
    runs: Option<Box<dyn Runs>>,
}

impl Call {
    pub(crate) fn new(arguments: Arguments, context: TaskContext, states: Arc<States>) -> Self {
        Self { arguments: Some(arguments), context, states, runs: None }
    }

    pub(crate) fn runs(self, runs: Box<dyn Runs>) -> Self {
        Self { runs: Some(runs), ..self }
    }

    /// Takes out what it runs, once.
    pub(crate) fn take_runs(&mut self) -> Option<Box<dyn Runs>> {
        self.runs.take()
    }

    /// Returns the task's context.
    pub fn context(&self) -> &TaskContext {
        &self.context
    }

    /// Returns the arguments that no parameter has taken yet.
    pub fn arguments(&self) -> Option<&Arguments> {
        self.arguments.as_ref()
    }

    /// Returns a clone of shared state, as [`State<S>`](State) does.
    pub fn state<S: Clone + Send + Sync + 'static>(&self) -> Option<S> {
        self.states.get()
    }

    /// Takes the arguments; a later parameter finds none.
    ///
    /// A handler whose parameters take no arguments refuses a call that has some.
    pub fn take_arguments(&mut self) -> Arguments {
        self.arguments.take().unwrap_or_default()
    }

    /// Refuses arguments that no parameter took.
    pub(crate) fn finish(mut self) -> Result<(), TaskError> {
        match self.arguments.take() {
            Some(left) => left.bind().map_err(|error| wrong_arguments(&self.context, &error)),
            None => Ok(()),
        }
    }
}

/// A parameter of a handler: a parser of arguments, a connection, whatever a call has to say.
///
/// ```
/// use rhubarb::{FromCall, prelude::*};
///
/// /// The customer whom a header of the message names.
/// struct Customer(String);
///
/// impl FromCall for Customer {
///     async fn from_call(call: &mut rhubarb::Call) -> Result<Self, TaskError> {
///         let name = call.context().info().headers.get("customer").and_then(Value::as_str);
///         let name = name.ok_or_else(|| TaskError::failed("KeyError", "no customer"))?;
///         // It may await: a pool, say, that is had by `call.state::<Pool>()`.
///         Ok(Self(name.to_owned()))
///     }
/// }
///
/// #[task(name = "shop.greet")]
/// async fn greet(#[from_call] customer: Customer) -> String {
///     format!("hello {}", customer.0)
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be had from a call",
    label = "is no parameter that a handler may ask for",
    note = "these are: `Args<T>`, `RawArgs`, `State<S>`, `TaskContext`, `FailedTask`, and what implements `FromCall`"
)]
pub trait FromCall: Sized {
    /// Takes the parameter out of the call. The time that it takes is the task's: its limits hold.
    ///
    /// # Cancel safety
    ///
    /// It is dropped where the handler would be: past the hard limit, or when the worker stops.
    ///
    /// # Errors
    ///
    /// What ends the task instead of running it.
    fn from_call(call: &mut Call) -> impl Future<Output = Result<Self, TaskError>> + Send;

    /// Returns what is missing for the parameter to be had, so that the worker refuses to start.
    fn missing(_states: &States) -> Option<&'static str> {
        None
    }

    /// Tells whether a handler with this parameter is an errback that is called where a task fails.
    fn is_told_of_failures() -> bool {
        false
    }
}

/// The task's arguments as a type; see [`Arguments::bind`] for how they fit.
///
/// Only the first `Args` of a handler gets them. Without any, the task takes no arguments.
#[derive(Clone, Copy, Debug)]
pub struct Args<T>(pub T);

impl<T: DeserializeOwned> FromCall for Args<T> {
    async fn from_call(call: &mut Call) -> Result<Self, TaskError> {
        let arguments = call.take_arguments();
        arguments.bind().map(Self).map_err(|error| wrong_arguments(&call.context, &error))
    }
}

/// All arguments as they came, positional and keyword: Python's `def task(*args, **kwargs)`.
///
/// Shares the place of [`Args`]: the first of a handler gets them.
impl FromCall for Arguments {
    async fn from_call(call: &mut Call) -> Result<Self, TaskError> {
        Ok(call.arguments.take().unwrap_or_default())
    }
}

impl FromCall for RawArgs {
    async fn from_call(call: &mut Call) -> Result<Self, TaskError> {
        call.take_arguments();
        Ok(call.context.raw_args())
    }
}

pub(crate) fn wrong_arguments(context: &TaskContext, error: &ArgumentError) -> TaskError {
    TaskError::failed("TypeError", format!("{}() {error}", context.info().name))
}

/// A clone of the shared state that [`App::state`](crate::App::state) was given.
#[derive(Clone, Copy, Debug)]
pub struct State<S>(pub S);

impl<S: Clone + Send + Sync + 'static> FromCall for State<S> {
    async fn from_call(call: &mut Call) -> Result<Self, TaskError> {
        let missing = || TaskError::failed("RuntimeError", missing_state::<S>());
        call.states.get().map(Self).ok_or_else(missing)
    }

    fn missing(states: &States) -> Option<&'static str> {
        if states.get::<S>().is_none() { Some(type_name::<S>()) } else { None }
    }
}

fn missing_state<S>() -> String {
    format!("no state of type {}", type_name::<S>())
}

impl FromCall for TaskContext {
    async fn from_call(call: &mut Call) -> Result<Self, TaskError> {
        Ok(call.context.clone())
    }
}

impl FromCall for FailedTask {
    async fn from_call(call: &mut Call) -> Result<Self, TaskError> {
        let failed = call.context().failed().map(|failed| (*failed).clone());
        failed.ok_or_else(|| {
            let name = &call.context().info().name;
            TaskError::failed("TypeError", format!("{name}() is told of no failed task"))
        })
    }

    fn is_told_of_failures() -> bool {
        true
    }
}

/// All shared state, one value a type.
#[derive(Debug, Default)]
pub struct States(HashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl States {
    pub(crate) fn insert<S: Clone + Send + Sync + 'static>(&mut self, state: S) {
        self.0.insert(TypeId::of::<S>(), Box::new(state));
    }

    /// Returns a clone of the value of a type.
    pub fn get<S: Clone + Send + Sync + 'static>(&self) -> Option<S> {
        self.0.get(&TypeId::of::<S>())?.downcast_ref().cloned()
    }
}
