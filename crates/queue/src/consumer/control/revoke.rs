//! Revocations: obeyed at once here, kept in Redis for those who do not hear of them, told to those who wait.

use std::sync::Arc;

use futures_util::FutureExt;
use rhubarb_connection::Backoff;
use serde_json::{Value, json};

use super::{
    super::{Shared, events::signum},
    Answer,
    command::{Arguments, quoted, set_of},
};
use crate::{Error, revoked};

/// How often a revocation is tried to be written while Redis is away. It holds in memory all the same.
const TRIES: usize = 20;

/// Revokes tasks by id, and ends those that run when told to.
pub(super) fn revoke(
    shared: &Arc<Shared>,
    arguments: &Arguments<'_>,
    terminate: bool,
) -> Result<Answer, String> {
    let ids = arguments.ids("revoke", "task_id")?;
    let signal = signal(arguments, terminate)?;
    shared.revoke(ids.iter().cloned());
    let waiting: Vec<String> =
        ids.iter().filter(|id| !shared.held.is_active(id)).cloned().collect();
    let text = if terminate {
        terminated(shared, &signal, &ids)
    } else {
        format!("tasks {} flagged as revoked", set_of(&ids))
    };
    tracing::info!(
        n = ids.len(),
        first = ids.first(),
        terminate,
        "tasks revoked by remote control"
    );
    let shared = shared.clone();
    Ok(Answer::later_then(async move {
        // Told after it stands, as a rule; a Redis that is away delays the reply by one try.
        let recorded = record(&shared, &ids, terminate, &waiting).await;
        let again = recorded.err().map(|error| {
            tracing::debug!(%error, "a revocation was not written, trying again");
            record_later(shared, ids, terminate, waiting).boxed()
        });
        (json!({ "ok": text }), again)
    }))
}

fn terminated(shared: &Shared, signal: &str, ids: &[String]) -> String {
    let wanted = |received: &crate::Received| ids.contains(&received.envelope.headers.id);
    let ended = shared.held.terminate(signal, wanted);
    if ended.is_empty() {
        return "terminate: tasks unknown".to_owned();
    }
    let ended: Vec<&str> = ended.iter().map(|one| one.envelope.headers.id.as_str()).collect();
    format!("terminate: {}", ended.join(", "))
}

/// Returns the signal's name; it only has to be one when something is to be ended.
fn signal(arguments: &Arguments<'_>, terminate: bool) -> Result<String, String> {
    let name = match arguments.get("signal") {
        None => "SIGTERM".to_owned(),
        Some(Value::String(name)) => name.clone(),
        Some(other) => other.to_string(),
    };
    if terminate && signum(&name).is_none() {
        let text = format!("module 'signal' has no attribute '{name}'");
        return Err(format!("AttributeError({})", quoted(&text)));
    }
    Ok(name)
}

/// Revokes tasks by the stamps that they carry. Held in memory alone, as in Celery.
pub(super) fn revoke_by_stamps(
    shared: &Arc<Shared>,
    arguments: &Arguments<'_>,
) -> Result<Answer, String> {
    let headers = stamps(arguments.get("headers"))
        .ok_or("ValueError('headers are stamps by name, or a list of name=value')")?;
    let terminate = arguments.flag("terminate");
    let signal = signal(arguments, true)?;
    for (name, values) in &headers {
        shared.revoked.add_stamps(name, values);
    }
    let shown: serde_json::Map<String, Value> =
        headers.iter().map(|(name, values)| (name.clone(), json!(values))).collect();
    let shown = rhubarb_wire::repr(&Value::Object(shown));
    if !terminate {
        return Ok(Answer::ok(format!("headers {shown} flagged as revoked, but not terminated")));
    }
    let ended = shared.held.terminate(&signal, |received| {
        let own = &received.envelope.headers;
        headers.iter().any(|(name, values)| revoked::is_stamped(own, name, values))
    });
    let did = if ended.is_empty() { "were not terminated" } else { "revoked" };
    Ok(Answer::ok(format!("headers {shown} {did}")))
}

fn stamps(headers: Option<&Value>) -> Option<Vec<(String, Vec<Value>)>> {
    match headers? {
        Value::Object(map) => Some(
            map.iter()
                .map(|(name, value)| match value {
                    Value::Array(values) => (name.clone(), values.clone()),
                    one => (name.clone(), vec![one.clone()]),
                })
                .collect(),
        ),
        Value::Array(pairs) => pairs
            .iter()
            .map(|pair| {
                let (name, value) = pair.as_str()?.split_once('=')?;
                Some((name.to_owned(), vec![json!(value)]))
            })
            .collect(),
        _ => None,
    }
}

/// Writes a revocation, and REVOKED for those tasks that have no state yet which says that they began.
async fn record(
    shared: &Shared,
    ids: &[String],
    terminate: bool,
    waiting: &[String],
) -> Result<(), Error> {
    revoked::store(&shared.client, ids, terminate, shared.config.revoke_expires).await?;
    for id in waiting {
        revoked::mark(&shared.client, id).await?;
    }
    Ok(())
}

async fn record_later(
    shared: Arc<Shared>,
    ids: Vec<String>,
    terminate: bool,
    waiting: Vec<String>,
) {
    let mut backoff = Backoff::default();
    for _ in 0..TRIES {
        backoff.sleep().await;
        if record(&shared, &ids, terminate, &waiting).await.is_ok() {
            return;
        }
    }
    tracing::warn!(n = ids.len(), "a revocation was not written to Redis; it holds in this worker");
}

/// Obeys what was ordered while we did not hear.
pub(super) async fn catch_up(shared: Arc<Shared>) {
    if let Err(error) = read(&shared).await {
        tracing::debug!(%error, "the revocations were not read");
    }
}

async fn read(shared: &Shared) -> Result<(), Error> {
    let found = revoked::load(&shared.client).await?;
    shared.revoked.add(found, shared.now());
    let held = shared.held.seen();
    let ids: Vec<String> =
        held.iter().map(|seen| seen.received.envelope.headers.id.clone()).collect();
    let ordered = revoked::terminated(&shared.client, &ids).await?;
    if !ordered.is_empty() {
        terminated(shared, "SIGTERM", &ordered);
    }
    Ok(())
}
