//! Tasks that fail, come back, or are told to end.

use std::time::Duration;

use rhubarb::{Args, Retry, TaskContext, TaskError, args::Arguments};
use rhubarb_queue::wire::Exception;
use serde::Deserialize;
use serde_json::{Value, json};

/// Raises an exception of one of the kinds that `app.py` has; takes any positional arguments
/// besides.
pub(crate) async fn fail(Arguments { mut kwargs, .. }: Arguments) -> Result<(), TaskError> {
    let kind = kwargs.remove("kind").unwrap_or_else(|| json!("ValueError"));
    let arguments = match kwargs.remove("arguments") {
        Some(Value::Array(arguments)) => arguments,
        _ => vec![json!("failed")],
    };
    Err(TaskError::raise(match kind.as_str().unwrap_or_default() {
        "Broken" => Exception::new("conformance.app", "Broken", arguments),
        "Inner" => Exception::new("conformance.app", "Outer.Inner", arguments),
        builtin => Exception::builtin(builtin, arguments),
    }))
}

#[derive(Deserialize)]
pub(crate) struct RetryThen {
    times: u32,
    value: Value,
    #[serde(default = "a_moment")]
    wait: f64,
}

fn a_moment() -> f64 {
    0.5
}

pub(crate) async fn retry_then(
    Args(RetryThen { times, value, wait }): Args<RetryThen>,
    context: TaskContext,
) -> Result<Value, TaskError> {
    if context.info().retries < times {
        return Err(again(wait, "ValueError", "again"));
    }
    Ok(value)
}

#[derive(Deserialize)]
pub(crate) struct Message {
    message: String,
}

pub(crate) async fn exhausts(Args(Message { message }): Args<Message>) -> Result<(), TaskError> {
    Err(again(0.5, "KeyError", &message))
}

fn again(seconds: f64, exc_type: &str, message: &str) -> TaskError {
    Retry::after(Duration::from_secs_f64(seconds)).because(exc_type, message).into()
}

#[derive(Deserialize)]
pub(crate) struct Steps {
    steps: u64,
}

pub(crate) async fn progress(
    Args(Steps { steps }): Args<Steps>,
    context: TaskContext,
) -> Result<u64, TaskError> {
    for step in 1..=steps {
        context.update_state("PROGRESS", json!({"current": step, "total": steps})).await?;
    }
    Ok(steps)
}

#[derive(Deserialize)]
pub(crate) struct Seconds {
    seconds: Value,
}

impl Seconds {
    /// Lets the time pass; returns whether all of it did before the soft time limit.
    async fn pass(&self, context: &TaskContext) -> bool {
        let seconds = Duration::from_secs_f64(self.seconds.as_f64().unwrap_or_default());
        tokio::select! {
            () = tokio::time::sleep(seconds) => true,
            () = context.soft_limit() => false,
        }
    }
}

pub(crate) async fn sleep(
    Args(seconds): Args<Seconds>,
    context: TaskContext,
) -> Result<Value, TaskError> {
    if seconds.pass(&context).await { Ok(seconds.seconds) } else { Err(TaskError::Cancelled) }
}

pub(crate) async fn soft(Args(seconds): Args<Seconds>, context: TaskContext) -> &'static str {
    if seconds.pass(&context).await { "not told" } else { "told in time" }
}
