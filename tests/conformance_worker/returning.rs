//! Tasks that return something.

use rhubarb::{Args, FailedTask, TaskContext, TaskError, args::Arguments};
use rhubarb_queue::Publish;
use serde::Deserialize;
use serde_json::{Value, json};

/// Adds up every number inside a value; a text counts as its length, null and the booleans as
/// nothing.
fn total(value: &Value) -> i64 {
    match value {
        Value::Null | Value::Bool(_) => 0,
        Value::Number(number) => number.as_i64().unwrap_or_default(),
        Value::String(text) => i64::try_from(text.chars().count()).unwrap_or(i64::MAX),
        Value::Array(values) => values.iter().map(total).sum(),
        Value::Object(values) => values.values().map(total).sum(),
    }
}

#[derive(Deserialize)]
pub(crate) struct Two {
    x: Value,
    y: Value,
}

pub(crate) async fn add(Args(Two { x, y }): Args<Two>) -> i64 {
    total(&x) + total(&y)
}

pub(crate) async fn mul(Args(Two { x, y }): Args<Two>) -> i64 {
    (total(&x) * total(&y)).rem_euclid(1_000_003)
}

#[derive(Deserialize)]
pub(crate) struct Values {
    values: Value,
}

pub(crate) async fn xsum(Args(Values { values }): Args<Values>) -> i64 {
    total(&values)
}

#[derive(Deserialize)]
pub(crate) struct One {
    value: Value,
}

pub(crate) async fn identity(Args(One { value }): Args<One>) -> Value {
    value
}

pub(crate) async fn echo(Arguments { args, kwargs }: Arguments) -> Value {
    json!({"args": args, "kwargs": kwargs})
}

pub(crate) async fn nothing() {}

#[derive(Deserialize)]
pub(crate) struct Length {
    length: usize,
}

pub(crate) async fn big(Args(Length { length }): Args<Length>) -> String {
    "x".repeat(length)
}

/// Celery's own form for what JSON has no words for.
pub(crate) async fn typed() -> Value {
    let typed = |kind: &str, value: Value| json!({"__type__": kind, "__value__": value});
    json!({
        "datetime": typed("datetime", json!("2026-01-02T03:04:05.678000+00:00")),
        "date": typed("date", json!("2026-01-02")),
        "decimal": typed("decimal", json!("12.50")),
        "uuid": typed("uuid", json!({"hex": "6ba7b8109dad11d180b400c04fd430c8"})),
    })
}

pub(crate) async fn whoami(Arguments { args, .. }: Arguments, context: TaskContext) -> Value {
    let info = context.info();
    json!({
        "id": info.id,
        "root_id": info.root_id,
        "parent_id": info.parent_id,
        "group": info.group,
        "group_index": info.group_index,
        "retries": info.retries,
        "queue": info.queue,
        "priority": info.priority,
        "x-trace": info.headers.get("x-trace"),
        "stamps": info.stamps,
        "args": args,
    })
}

#[derive(Deserialize)]
pub(crate) struct Done {
    value: Value,
    note: Option<Value>,
}

pub(crate) async fn done(Args(Done { value, note }): Args<Done>) -> Value {
    json!({"done": value, "note": note})
}

#[derive(Deserialize)]
pub(crate) struct Failed {
    task_id: Value,
}

pub(crate) async fn failed(Args(Failed { task_id }): Args<Failed>) -> Value {
    json!({"failed": task_id})
}

pub(crate) async fn noted(failed: FailedTask) -> Value {
    json!({"failed": failed.id})
}

#[derive(Deserialize)]
pub(crate) struct Children {
    children: u32,
}

pub(crate) async fn family(
    Args(Children { children }): Args<Children>,
    context: TaskContext,
) -> Result<u32, TaskError> {
    for n in 0..children {
        context.publish(&Publish::new("conformance.add").arg(n).arg(n)).await?;
    }
    Ok(children)
}
