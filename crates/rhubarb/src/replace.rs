//! Another task in the place of a running one, as Celery's `replace()` has it.

use rhubarb_consumer::Received;
use rhubarb_queue::{
    Client,
    canvas::Call,
    wire::{Body, Signature, canvas::SignatureKind},
};
use serde_json::{Map, Value, json};

use crate::error::TaskError;

/// Publishes what takes a task's place: it has its id, and what would have followed the task
/// follows it.
///
/// The worker may die between this and the end of the message; then the task runs again, and is
/// replaced again.
///
/// # Errors
///
/// The signature cannot be published, for good, or Redis was away.
pub(crate) async fn replace(
    client: &Client,
    received: &Received,
    by: Signature,
) -> Result<(), TaskError> {
    let body = received.body().ok().cloned().unwrap_or_default();
    let options = options(received, &body);
    let chain = body.embed.chain.clone();
    let call = Call { options, chain, ..Call::default() };
    client.apply_with(followed(by, body), call).await?;
    Ok(())
}

/// Gives the replacement the callbacks and errbacks of the task.
fn followed(by: Signature, body: Body) -> Signature {
    // A group has no single end: what it comes to is collected, as Celery does.
    let by = match by.kind() {
        SignatureKind::Group => by.then(Signature::new("celery.accumulate").kwarg("index", 0)),
        _ => by,
    };
    let by = body.embed.callbacks.into_iter().fold(by, Signature::link);
    body.embed.errbacks.into_iter().fold(by, Signature::link_error)
}

/// What the replacement takes over: the id, and the place in a group or a chord.
fn options(received: &Received, body: &Body) -> Map<String, Value> {
    let headers = &received.envelope.headers;
    let nesting = headers.replaced_task_nesting.saturating_add(1);
    let all = [
        ("task_id", Some(json!(headers.id))),
        ("group_id", headers.group.as_ref().map(|group| json!(group))),
        ("group_index", headers.group_index.map(|index| json!(index))),
        ("chord", body.embed.chord.as_ref().map(Signature::to_value)),
        ("replaced_task_nesting", Some(json!(nesting))),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
