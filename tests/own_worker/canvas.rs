//! Tasks for canvases: small sums, failures on demand, and a record of what ran in Redis.

use std::time::Duration;

use rhubarb::{App, Args, RawArgs, Retry, State, TaskContext, TaskError};
use rhubarb_connection::{Redis, Role};
use rhubarb_queue::Publish;
use serde::Deserialize;
use serde_json::{Value, json};

/// The record of what ran: a list under this key on the queue's database.
const RAN: &str = "e2e:ran";

#[derive(Deserialize)]
struct Two {
    x: i64,
    y: i64,
}

async fn add(Args(Two { x, y }): Args<Two>) -> i64 {
    x + y
}

#[derive(Deserialize)]
struct Numbers {
    numbers: Vec<i64>,
}

async fn sum(Args(Numbers { numbers }): Args<Numbers>) -> i64 {
    numbers.iter().sum()
}

async fn echo(Args(args): Args<Vec<Value>>) -> Vec<Value> {
    args
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

async fn fail(Args(Text { text }): Args<Text>) -> Result<(), TaskError> {
    Err(TaskError::failed("ValueError", text))
}

/// Fails so often with something that a retry cures, then returns how often it was tried.
async fn flaky(Args((times,)): Args<(u32,)>, context: TaskContext) -> Result<u32, TaskError> {
    let retries = context.info().retries;
    if retries < times {
        let retry = Retry::after(Duration::from_millis(20)).because("OSError", "not yet");
        return Err(retry.max_retries(times).into());
    }
    Ok(retries + 1)
}

/// Writes a line that a test reads, and returns it.
async fn note(
    Args((text,)): Args<(Value,)>,
    State(redis): State<Redis>,
    context: TaskContext,
) -> Result<Value, TaskError> {
    let line = json!([text, context.id(), context.info().parent_id, context.info().root_id]);
    let mut push = redis::cmd("RPUSH");
    push.arg(RAN).arg(line.to_string());
    let _: u64 = redis.query(&push).await?;
    Ok(text)
}

/// Writes a line and kills its worker, unless it was killed with it before.
async fn kills_once(
    Args((text,)): Args<(Value,)>,
    State(redis): State<Redis>,
    context: TaskContext,
) -> Result<Value, TaskError> {
    if context.info().deaths == 0 {
        std::process::abort();
    }
    note(Args((text,)), State(redis), context).await
}

/// Kills its worker, is retried once, and then kills each.
async fn kills(context: TaskContext) -> Result<(), TaskError> {
    if context.info().deaths > 0 && context.info().retries == 0 {
        return Err(Retry::after(Duration::ZERO).because("OSError", "not yet").into());
    }
    std::process::abort()
}

/// Publishes two tasks and returns their ids.
async fn publishes(context: TaskContext) -> Result<Value, TaskError> {
    let one = context.publish(&Publish::new("e2e.add").arg(1).arg(2)).await?;
    let note = context.publish(&Publish::new("e2e.note").arg("child")).await?;
    Ok(json!([one, note]))
}

/// A text of so many bytes.
async fn large(Args((n,)): Args<(usize,)>) -> String {
    "x".repeat(n)
}

/// The arguments as JSON text.
async fn raw(RawArgs { args, kwargs }: RawArgs) -> [String; 2] {
    [args, kwargs]
}

/// Registers all of them.
pub(crate) fn register(app: &mut App) {
    app.state(app.connections().role(Role::Queue));
    app.task("e2e.add", add);
    app.task("e2e.sum", sum);
    app.task("e2e.large", large);
    app.task("e2e.raw", raw);
    app.task("e2e.echo", echo);
    app.task("e2e.fail", fail);
    app.task("e2e.flaky", flaky);
    app.task("e2e.note", note);
    app.task("e2e.kills_once", kills_once);
    app.task("e2e.kills", kills);
    app.task("e2e.publishes", publishes);
    app.task("e2e.ignored", add).ignore_result(true);
}
