//! The tasks of `interop/conformance/app.py`, in Rust: the worker that the conformance suite puts
//! under test.
//!
//! Each does what its Python twin does, down to the exception's arguments; the suite compares what
//! becomes of them.

use rhubarb::prelude::*;

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

#[task(name = "conformance.add")]
async fn add(x: Value, y: Value) -> i64 {
    total(&x) + total(&y)
}

#[task(name = "conformance.mul")]
async fn mul(x: Value, y: Value) -> i64 {
    (total(&x) * total(&y)).rem_euclid(1_000_003)
}

#[task(name = "conformance.xsum")]
async fn xsum(values: Value) -> i64 {
    total(&values)
}

#[task(name = "conformance.identity")]
async fn identity(value: Value) -> Value {
    value
}

#[task(name = "conformance.echo")]
async fn echo(#[args] args: Vec<Value>, #[kwargs] kwargs: Map<String, Value>) -> Value {
    json!({"args": args, "kwargs": kwargs})
}

#[task(name = "conformance.nothing")]
async fn nothing() {}

#[task(name = "conformance.fail")]
async fn fail(
    #[args] _args: Vec<Value>,
    #[default("ValueError")] kind: String,
    #[default(vec!["failed".into()])] arguments: Vec<Value>,
) -> Result<(), TaskError> {
    Err(TaskError::raise(match &*kind {
        "Broken" => Exception::new("conformance.app", "Broken", arguments),
        "Inner" => Exception::new("conformance.app", "Outer.Inner", arguments),
        builtin => Exception::builtin(builtin, arguments),
    }))
}

fn again(seconds: f64, exc_type: &str, message: &str) -> Retry {
    Retry::after(Duration::from_secs_f64(seconds)).because(exc_type, message)
}

#[task(name = "conformance.retry_then", max_retries = 5)]
async fn retry_then(
    context: TaskContext,
    times: u32,
    value: Value,
    #[default(0.5)] wait: f64,
) -> Result<Value, Retry> {
    if context.info().retries < times { Err(again(wait, "ValueError", "again")) } else { Ok(value) }
}

#[task(name = "conformance.exhausts", max_retries = 2)]
async fn exhausts(message: String) -> Result<(), Retry> {
    Err(again(0.5, "KeyError", &message))
}

#[task(name = "conformance.progress")]
async fn progress(context: TaskContext, steps: u64) -> Result<u64, TaskError> {
    for step in 1..=steps {
        context.update_state("PROGRESS", json!({"current": step, "total": steps})).await?;
    }
    Ok(steps)
}

#[task(name = "conformance.sleep")]
async fn sleep(context: TaskContext, seconds: Value) -> Value {
    context.cancel_at_soft_limit();
    tokio::time::sleep(Duration::from_secs_f64(seconds.as_f64().unwrap_or_default())).await;
    seconds
}

#[task(name = "conformance.soft")]
async fn soft(context: TaskContext, seconds: f64) -> &'static str {
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs_f64(seconds)) => "not told",
        () = context.soft_limit() => "told in time",
    }
}

#[task(name = "conformance.ignored", ignore_result)]
async fn ignored(value: Value) -> Value {
    value
}

#[task(name = "conformance.family")]
async fn family(context: TaskContext, children: u32) -> Result<u32, TaskError> {
    for n in 0..children {
        add::call(json!(n), json!(n)).send(context.client()).await?;
    }
    Ok(children)
}

#[task(name = "conformance.whoami")]
async fn whoami(context: TaskContext, #[args] args: Vec<Value>) -> Value {
    let info = context.info();
    json!({
        "id": info.id, "root_id": info.root_id, "parent_id": info.parent_id, "group": info.group,
        "group_index": info.group_index, "retries": info.retries, "queue": info.queue,
        "priority": info.priority, "x-trace": info.headers.get("x-trace"), "stamps": info.stamps,
        "args": args,
    })
}

#[task(name = "conformance.big")]
async fn big(length: usize) -> String {
    "x".repeat(length)
}

#[task(name = "conformance.typed")]
async fn typed() -> Value {
    let typed = |kind: &str, value: Value| json!({"__type__": kind, "__value__": value});
    json!({
        "datetime": typed("datetime", json!("2026-01-02T03:04:05.678000+00:00")),
        "date": typed("date", json!("2026-01-02")), "decimal": typed("decimal", json!("12.50")),
        "uuid": typed("uuid", json!({"hex": "6ba7b8109dad11d180b400c04fd430c8"})),
    })
}

#[task(name = "conformance.failed")]
async fn failed(task_id: Value) -> Value {
    json!({"failed": task_id})
}

#[task(name = "conformance.noted")]
async fn noted(failed: FailedTask) -> Value {
    json!({"failed": failed.id})
}

#[task(name = "conformance.done")]
async fn done(value: Value, note: Option<Value>) -> Value {
    json!({"done": value, "note": note})
}

fn main() -> std::process::ExitCode {
    rhubarb::main(|app| {
        app.add_all([add::task(), mul::task(), xsum::task(), identity::task(), echo::task()]);
        app.add_all([nothing::task(), fail::task(), retry_then::task(), exhausts::task()]);
        app.add_all([progress::task(), sleep::task(), soft::task(), ignored::task()]);
        app.add_all([family::task(), whoami::task(), big::task(), typed::task()]);
        app.add_all([failed::task(), noted::task(), done::task()]);
        Ok(())
    })
}
