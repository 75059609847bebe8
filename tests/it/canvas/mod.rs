//! Canvases: that we publish what Celery publishes, and that its workers finish what we began.

#![expect(
    clippy::needless_pass_by_value,
    reason = "`json!` takes values, which reads best in the calls"
)]

mod client;
mod shapes;

use serde_json::{Value, json};

/// A task's signature.
fn task(name: &str, args: Value) -> Value {
    json!({"task": name, "args": args, "kwargs": {}, "options": {}, "subtask_type": null, "immutable": false})
}

fn canvas(kind: &str, kwargs: Value) -> Value {
    json!({
        "task": format!("celery.{kind}"), "args": [], "kwargs": kwargs, "options": {}, "subtask_type": kind,
        "immutable": false,
    })
}

fn chain(steps: Vec<Value>) -> Value {
    canvas("chain", json!({"tasks": steps}))
}

fn group(members: Vec<Value>) -> Value {
    canvas("group", json!({"tasks": members}))
}

fn chord(header: Vec<Value>, body: Value) -> Value {
    canvas("chord", json!({"header": header, "body": body, "kwargs": {}}))
}

fn with(mut signature: Value, options: Value) -> Value {
    signature["options"] = options;
    signature
}
