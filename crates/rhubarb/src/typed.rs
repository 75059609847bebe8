//! Tasks that are declared once and typed at both ends: what the macro [`task`](macro@crate::task)
//! writes is made of this.
//!
//! [`schema`] says what a task takes, [`binding`] binds a call's arguments to it, [`call`] makes a
//! call, [`handle`] waits for its result.

pub(crate) mod binding;
pub(crate) mod call;
pub(crate) mod chosen;
pub(crate) mod handle;
pub(crate) mod schema;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    blocking::BlockingHandler,
    extract::{FromCall, States},
    handler::Handler,
    json::{self, Odd},
    registration::{Function, Registration},
    typed::schema::Schema,
};

/// A declared task, to be registered by [`App::add`](crate::App::add).
///
/// The attribute [`task`](macro@crate::task) leaves its function as it is, and writes a type of the
/// same name beside it. (So no other type or module may have that name.)
///
/// | of the task `add` | is |
/// |---|---|
/// | `add(2, 3)` | the function |
/// | `add::task()` | the task, for [`App::add`](crate::App::add) |
/// | `add::call(2)` | a call with the arguments that are required, an `AddCall` |
/// | `add::partial()` | a call without arguments: a step of a chain gets the result of the step before |
/// | `add::schema()` | what it takes: a [`Schema`] |
/// | `add::NAME` | its name |
///
/// A call has a method for each argument (`.y(3)`; one that is named as an option has a `_` behind
/// it:
/// `.queue_(…)`) and for each option of a [`Publish`](crate::Publish). `send(&client)` publishes it
/// and gives a [`Handle`](crate::Handle), whose `get(timeout)` returns what the function returns.
/// `signature()` makes it a step of a [canvas](crate::canvas).
///
/// ```no_run
/// use rhubarb::prelude::*;
///
/// #[task(name = "shop.add", queue = "shop", max_retries = 5, time_limit = 60)]
/// async fn add(x: i64, #[default(1)] y: i64) -> Result<i64, TaskError> {
///     x.checked_add(y).ok_or_else(|| TaskError::failed("OverflowError", "the sum is too large"))
/// }
///
/// # async fn calls(client: &Client) -> anyhow::Result<()> {
/// let five: i64 = add::call(2).y(3).send(client).await?.get(Duration::from_secs(30)).await?;
/// let six = chain(vec![add::call(2).y(3).signature()?, add::partial().signature()?]);
/// let six = client.join(&client.apply(six).await?, Duration::from_secs(30)).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Parameters
///
/// Arguments are passed by position or by name, as in Python. Their types implement
/// `serde::Deserialize`, for the worker, and `serde::Serialize`, for callers.
///
/// | parameter | is |
/// |---|---|
/// | `x: i64` | required |
/// | `x: Option<i64>` | `None` where it is left out |
/// | `#[default(1)] x: i64`, `#[default] x: i64` | the default where it is left out; any expression |
/// | `#[args] rest: Vec<i64>` | Python's `*rest`: what stands behind it is passed by name only |
/// | `#[kwargs] more: Map<String, Value>` | Python's `**more`, the last argument |
/// | `context: TaskContext`, `State(shop): State<Shop>`, `failed: FailedTask` | from the call, not from the caller |
/// | `#[from_call] own: Own` | any other [`FromCall`](crate::FromCall) |
///
/// ```
/// use rhubarb::prelude::*;
///
/// #[task(name = "shop.note")]
/// fn note(context: TaskContext, #[args] lines: Vec<String>, #[kwargs] tags: Map<String, Value>) -> usize {
///     tracing::info!(id = context.id(), "noted");
///     lines.len() + tags.len()
/// }
///
/// # fn main() -> anyhow::Result<()> {
/// let call = note::call().lines(vec!["tea".to_owned()]).publish()?;
/// assert_eq!(call.args, ["tea"]);
/// # Ok(())
/// # }
/// ```
///
/// A function that is not `async` blocks, and runs on a thread of its own:
/// [`App::blocking_task`](crate::App::blocking_task).
///
/// # Options
///
/// `name` is required, and `queue` is where its calls go. The others are those of
/// [`Registration`](crate::Registration): `retry = RetryPolicy { … }` or `max_retries = 5`,
/// `time_limit` and `soft_time_limit` (seconds, or a `Duration`), `rate_limit = "10/m"`,
/// `max_concurrency = 2`, `ignore_result`, `store_errors_even_if_ignored`, `track_started`.
///
/// # What does not compile
///
/// An argument that no message can hold:
///
/// ```compile_fail,E0277
/// struct Order;
/// #[rhubarb::task(name = "shop.order")]
/// async fn order(order: Order) {}
/// ```
///
/// A result that cannot be stored:
///
/// ```compile_fail,E0277
/// struct Receipt;
/// #[rhubarb::task(name = "shop.order")]
/// async fn order() -> Receipt {
///     Receipt
/// }
/// ```
///
/// A future that cannot move between threads:
///
/// ```compile_fail
/// #[rhubarb::task(name = "shop.order")]
/// async fn order() {
///     let here = std::rc::Rc::new(1);
///     tokio::task::yield_now().await;
///     drop(here);
/// }
/// ```
///
/// An argument without a name, and one that is borrowed:
///
/// ```compile_fail
/// #[rhubarb::task(name = "shop.order")]
/// async fn order((item, count): (String, u32)) {}
/// ```
///
/// ```compile_fail
/// #[rhubarb::task(name = "shop.order")]
/// async fn order(item: &str) {}
/// ```
pub struct Task {
    pub(crate) schema: &'static Schema,
    pub(crate) function: Function,
    pub(crate) missing: fn(&States) -> Vec<&'static str>,
    pub(crate) refused: Option<String>,
    pub(crate) is_told_of_failures: bool,
    pub(crate) configure: fn(&mut Registration),
}

impl Task {
    /// Returns what the task takes.
    pub fn schema(&self) -> &'static Schema {
        self.schema
    }

    /// Makes a task of an async handler.
    #[doc(hidden)]
    pub fn awaits<P, H: Handler<P>>(
        schema: &'static Schema,
        handler: H,
        configure: fn(&mut Registration),
    ) -> Self {
        Self {
            schema,
            function: Function::awaits(handler),
            missing: H::missing,
            refused: H::refused(),
            is_told_of_failures: H::is_told_of_failures(),
            configure,
        }
    }

    /// Makes a task of a blocking handler.
    #[doc(hidden)]
    pub fn blocks<P, H: BlockingHandler<P>>(
        schema: &'static Schema,
        handler: H,
        configure: fn(&mut Registration),
    ) -> Self {
        Self {
            schema,
            function: Function::blocks(handler),
            missing: H::missing,
            refused: H::refused(),
            is_told_of_failures: H::is_told_of_failures(),
            configure,
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// What a declared task can take as an argument.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a task",
    label = "no message can hold this",
    note = "derive `serde::Deserialize` for the worker and `serde::Serialize` for callers",
    note = "what comes from the call instead is `TaskContext`, `State<S>`, `FailedTask` or marked `#[from_call]`"
)]
pub trait Argument {}

impl<T: Serialize + DeserializeOwned> Argument for T {}

/// Checks an argument's type where it is written.
pub const fn argument<T: Argument>() {}

/// Checks what comes from the call where it is written.
pub const fn extracted<T: FromCall>() {}

/// Checks that a task can move between threads, where its function is written.
pub fn sendable(_future: impl Future + Send) {}

/// Tells what a `Result` is stored as, whatever it is called.
pub trait Fallible {
    /// What a success is.
    type Ok;
}

impl<R, E> Fallible for Result<R, E> {
    type Ok = R;
}

/// Makes a default for the schema; none where it cannot be JSON.
pub fn default(default: &impl Serialize) -> Option<Value> {
    json::write(default, Odd::Refused).ok()
}
