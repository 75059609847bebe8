//! The tasks that Celery ships and that any worker has to run: `celery.map` and its kin.
//!
//! They are those of `celery/app/builtins.py` (5.7.0, read 2026-11). `celery.chord_unlock` is left
//! out: only result stores without atomic counting send it, Redis never. In the two maps another
//! task runs inside this one, item by item, so that a retry asked for in there is a failure, as it
//! is in Celery.

use rhubarb_queue::{
    canvas::Call,
    wire::{Exception, Signature, open, plain},
};
use serde_json::{Map, Value, json};

use crate::{
    App, TaskContext,
    args::Arguments,
    error::TaskError,
    extract::{Call as HandlerCall, FromCall},
    failure::Raised,
    output::TaskResult,
};

/// The maps, whose messages name another task.
pub(crate) const MAPS: [&str; 2] = ["celery.map", "celery.starmap"];

/// Registers all of them.
pub(crate) fn register(app: &mut App) {
    app.task("celery.map", async |context: TaskContext, Raw(call): Raw| {
        each(&context, call, |item| vec![item]).await
    });
    app.task("celery.starmap", async |context: TaskContext, Raw(call): Raw| {
        each(&context, call, |item| match item {
            Value::Array(arguments) => arguments,
            one => vec![one],
        })
        .await
    });
    app.task("celery.chunks", chunks);
    app.task("celery.group", group);
    app.task("celery.chord", chord);
    app.task("celery.chain", async |Raw(_): Raw| -> TaskResult {
        Err(TaskError::failed("NotImplementedError", "chain is not a real task"))
    });
    app.task("celery.accumulate", async |Raw(call): Raw| accumulate(call));
    // Redis forgets results by itself.
    app.task("celery.backend_cleanup", async |Raw(_): Raw| ());
}

/// The arguments as the message has them: Python's own types are passed on as they are marked.
struct Raw(Arguments);

impl FromCall for Raw {
    async fn from_call(call: &mut HandlerCall) -> Result<Self, TaskError> {
        call.take_arguments();
        Ok(Self(call.context().raw_arguments()))
    }
}

/// Takes a parameter by its place or its name.
fn take(call: &mut Arguments, place: usize, name: &str) -> Option<Value> {
    if let Some(value) = call.kwargs.shift_remove(name) {
        return Some(value);
    }
    call.args.get_mut(place).map(Value::take)
}

#[track_caller]
fn odd(what: &str) -> TaskError {
    TaskError::failed("TypeError", what)
}

fn signature(value: Option<Value>, name: &str) -> Result<Signature, TaskError> {
    let value = value.ok_or_else(|| odd(&format!("missing required argument '{name}'")))?;
    Signature::from_value(value).map_err(|reason| odd(&format!("argument '{name}': {reason}")))
}

fn list(value: Option<Value>, name: &str) -> Result<Vec<Value>, TaskError> {
    match value {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(odd(&format!("argument '{name}' must be a list"))),
    }
}

/// Returns the name of the task that a map's message wants to be run inside.
pub(crate) fn mapped(body: &rhubarb_queue::wire::Body) -> Option<&str> {
    let task = body.kwargs.get("task").or_else(|| body.args.first())?;
    task.get("task")?.as_str()
}

/// `celery.map(task, it)` and `celery.starmap(task, it)`.
async fn each(
    context: &TaskContext,
    mut call: Arguments,
    arguments: impl Fn(Value) -> Vec<Value>,
) -> TaskResult {
    let task = signature(take(&mut call, 0, "task"), "task")?;
    let items = list(take(&mut call, 1, "it"), "it")?;
    let mut results = Vec::with_capacity(items.len());
    for item in items {
        let arguments = Arguments { args: arguments(plain(open(item))), kwargs: Map::new() };
        results.push(context.call(&task.task, arguments, None).await.map_err(no_retry)?);
        // A task that never waits must not keep the thread for all of the items.
        tokio::task::yield_now().await;
    }
    Ok(Value::Array(results))
}

/// A task that was called by another one cannot be tried again by itself.
fn no_retry(error: TaskError) -> TaskError {
    match error {
        TaskError::Transient(raised) => TaskError::Failed(raised),
        TaskError::Retry(retry) => TaskError::Failed(
            retry.raised.unwrap_or_else(|| Raised::from(Exception::retry("Task can be retried"))),
        ),
        TaskError::Replace(_) => {
            TaskError::failed("RuntimeError", "an item of a map cannot be replaced")
        }
        other => other,
    }
}

/// `celery.chunks(task, it, n)`: a group of starmaps.
async fn chunks(context: TaskContext, Raw(mut call): Raw) -> TaskResult {
    let mut chunks = Signature { task: "celery.chunks".to_owned(), ..Signature::default() };
    for (place, name) in ["task", "it", "n"].into_iter().enumerate() {
        chunks.kwargs.insert(name.to_owned(), take(&mut call, place, name).unwrap_or_default());
    }
    chunks.subtask_type = Some("chunks".to_owned());
    Ok(context.apply(chunks).await?.to_value())
}

/// `celery.group(tasks, result, group_id, partial_args)`.
async fn group(context: TaskContext, Raw(mut call): Raw) -> TaskResult {
    let tasks = list(take(&mut call, 0, "tasks"), "tasks")?;
    let result = take(&mut call, 1, "result").unwrap_or_default();
    let id = take(&mut call, 2, "group_id").unwrap_or_default();
    let args = list(Some(take(&mut call, 3, "partial_args").unwrap_or(json!([]))), "partial_args")?;
    let mut group = Signature {
        task: "celery.group".to_owned(),
        kwargs: Map::from_iter([("tasks".to_owned(), Value::Array(tasks))]),
        subtask_type: Some("group".to_owned()),
        ..Signature::default()
    };
    if id.is_string() {
        group.options.insert("task_id".to_owned(), id);
    }
    context.client().apply_with(group, Call { args, ..Call::default() }).await?;
    Ok(result)
}

/// `celery.chord(header, body, partial_args=())`.
async fn chord(context: TaskContext, Raw(mut call): Raw) -> TaskResult {
    let mut chord = Signature {
        task: "celery.chord".to_owned(),
        kwargs: Map::from_iter([("kwargs".to_owned(), json!({}))]),
        subtask_type: Some("chord".to_owned()),
        ..Signature::default()
    };
    for (place, name) in ["header", "body"].into_iter().enumerate() {
        chord.kwargs.insert(name.to_owned(), take(&mut call, place, name).unwrap_or_default());
    }
    let args = list(Some(take(&mut call, 2, "partial_args").unwrap_or(json!([]))), "partial_args")?;
    Ok(context.client().apply_with(chord, Call { args, ..Call::default() }).await?.to_value())
}

/// `celery.accumulate(*args, index=None)`: what a task that replaced itself by a group comes to.
fn accumulate(mut call: Arguments) -> TaskResult {
    let Some(index) = call.kwargs.shift_remove("index").filter(|index| !index.is_null()) else {
        return Ok(Value::Array(call.args));
    };
    let found = index.as_i64().and_then(|index| {
        let from_end = usize::try_from(index.checked_neg()?).ok();
        let place = usize::try_from(index).ok().or_else(|| call.args.len().checked_sub(from_end?));
        call.args.get_mut(place?).map(Value::take)
    });
    found.ok_or_else(|| TaskError::failed("IndexError", "tuple index out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accumulate_takes_the_asked_one_or_all() {
        let call = |kwargs: Value| Arguments {
            args: vec![json!("a"), json!("b")],
            kwargs: kwargs.as_object().cloned().unwrap_or_default(),
        };
        assert_eq!(accumulate(call(json!({}))).unwrap(), json!(["a", "b"]));
        assert_eq!(accumulate(call(json!({"index": 0}))).unwrap(), json!("a"));
        assert_eq!(accumulate(call(json!({"index": -1}))).unwrap(), json!("b"));
        assert!(accumulate(call(json!({"index": 2}))).is_err());
        assert!(accumulate(call(json!({"index": -3}))).is_err());
    }
}
