//! Revocations: obeyed at once here, kept in Redis for those who do not hear of them, told to those
//! who wait.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::future::join_all;
use rhubarb_connection::Backoff;
use rhubarb_core::class::Class;
use rhubarb_queue::{Error, revocations};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    Answer, Control,
    backlog::Backlog,
    command::{Arguments, quoted, set_of},
};
use crate::{
    events::signum,
    floods::{Flood, What},
    revoked,
};

/// How long what is not written yet may hold up the worker's end.
const LAST: Duration = Duration::from_secs(1);

/// What is to be written of revocations. They hold in memory all the same.
#[derive(Debug)]
pub(in super::super) struct Unwritten {
    /// Those that are to stand in Redis.
    orders: Backlog<Order>,
    /// Those of them that are to be told to whoever waits, for they did not run.
    told: Backlog<Arc<str>>,
}

#[derive(Clone, Debug)]
struct Order {
    id: Arc<str>,
    terminate: bool,
    runs: bool,
}

impl Default for Unwritten {
    fn default() -> Self {
        Self { orders: Backlog::new(revocations::MAX), told: Backlog::new(revocations::MAX) }
    }
}

/// Revokes tasks by id, and ends those that run when told to.
pub(super) fn revoke(
    control: &Arc<Control>,
    arguments: &Arguments<'_>,
    terminate: bool,
) -> Result<Answer, String> {
    let ids = arguments.ids("revoke", "task_id")?;
    let signal = signal(arguments, terminate)?;
    let text = if terminate {
        terminated(control, &signal, &ids)
    } else {
        format!("tasks {} flagged as revoked", set_of(&ids))
    };
    if control.floods.note(What::Revoked, 1) {
        let (n, first) = (ids.len(), ids.first());
        tracing::info!(n, first, terminate, "tasks revoked by remote control");
    }
    let ids: Vec<Arc<str>> = ids.into_iter().map(Arc::from).collect();
    control.revoke(ids.iter().cloned());
    let active = control.held.active();
    let order = |id: Arc<str>| Order { runs: active.contains(&*id), id, terminate };
    // What gives way there has given way in memory too, and is told by that.
    control.unwritten.orders.add(ids.into_iter().map(order));
    // Told after it stands, as a rule; a Redis that is away delays the reply by one try.
    Ok(Answer::Written(json!({ "ok": text })))
}

/// Tells of revocations that had to give way.
pub(super) fn forget(control: &Control, n: usize) {
    if n > 0 && control.floods.note(What::Forgotten, n as u64) {
        tracing::warn!(
            n,
            max = revocations::MAX,
            "more tasks are revoked than are remembered: the oldest revocations are forgotten"
        );
    }
}

fn terminated(control: &Control, signal: &str, ids: &[String]) -> String {
    let ids: HashSet<&str> = ids.iter().map(String::as_str).collect();
    let wanted = |received: &crate::Received| ids.contains(&*received.envelope.headers.id);
    let ended = control.held.terminate(signal, wanted);
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
    control: &Arc<Control>,
    arguments: &Arguments<'_>,
) -> Result<Answer, String> {
    let headers = stamps(arguments.get("headers"))
        .ok_or("ValueError('headers are stamps by name, or a list of name=value')")?;
    let terminate = arguments.flag("terminate");
    let signal = signal(arguments, true)?;
    control
        .revoked
        .add_stamps(&headers)
        .map_err(|wrong| format!("ValueError({})", quoted(&wrong)))?;
    let shown: serde_json::Map<String, Value> =
        headers.iter().map(|(name, values)| (name.clone(), json!(values))).collect();
    let shown = rhubarb_wire::repr(&Value::Object(shown));
    if !terminate {
        return Ok(Answer::ok(format!("headers {shown} flagged as revoked, but not terminated")));
    }
    let ended = control.held.terminate(&signal, |received| {
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

/// Writes what is ordered, for ever.
pub(super) async fn write(control: &Control) {
    tokio::join!(write_orders(control), tell(control));
}

async fn write_orders(control: &Control) {
    let mut backoff = Backoff::default();
    loop {
        let (orders, end) = control.unwritten.orders.next().await;
        let written = store(control, &orders).await;
        control.unwritten.orders.wrote(end, written, &mut backoff).await;
    }
}

async fn tell(control: &Control) {
    let mut backoff = Backoff::default();
    loop {
        let (ids, end) = control.unwritten.told.next().await;
        let written = mark(control, &ids).await;
        control.unwritten.told.wrote(end, written, &mut backoff).await;
    }
}

/// Waits until what was ordered so far is written, or cannot be written now.
pub(super) async fn written(control: &Control) {
    control.unwritten.orders.tried().await;
    control.unwritten.told.tried().await;
}

/// Gives the last orders a moment, and tells of those that hold nowhere from now on.
pub(super) async fn finish(control: &Control) {
    let last = async {
        tokio::select! {
            () = write(control) => {}
            () = written(control) => {}
        }
    };
    // What is left is told.
    let _ = timeout(LAST, last).await;
    let n = control.unwritten.orders.len();
    if n > 0 {
        tracing::warn!(n, "revocations were not written to Redis: other workers may not know them");
    }
}

/// Writes revocations.
async fn store(control: &Control, orders: &[Order]) -> Result<(), Error> {
    for terminate in [false, true] {
        let orders = orders.iter().filter(|order| order.terminate == terminate);
        let ids: Vec<Arc<str>> = orders.map(|order| order.id.clone()).collect();
        revocations::store(&control.broker.client, &ids, terminate, control.config.revoke_expires)
            .await?;
    }
    let waiting = orders.iter().filter(|order| !order.runs);
    control.unwritten.told.add(waiting.map(|order| order.id.clone()));
    Ok(())
}

/// Stores REVOKED for those tasks that have no state yet which says that they began.
async fn mark(control: &Control, ids: &[Arc<str>]) -> Result<(), Error> {
    // One round trip: they go out together, on one connection.
    let marked = join_all(ids.iter().map(|id| revocations::mark(&control.broker.client, id))).await;
    for error in marked.into_iter().filter_map(Result::err) {
        if error.class() == Class::Transient {
            return Err(error);
        }
        tracing::debug!(%error, "a revocation is not told");
    }
    Ok(())
}

/// Obeys what was ordered while we did not hear, trying until it is read.
pub(super) async fn catch_up(control: &Control) {
    let mut backoff = Backoff::default();
    while let Err(error) = read(control).await {
        tracing::debug!(%error, "the revocations were not read, trying again");
        control.broker.wait_out(&error, &mut backoff).await;
    }
}

async fn read(control: &Control) -> Result<(), Error> {
    let found = revocations::load(&control.broker.client).await?;
    control.revoked.add(found, control.broker.now());
    let held = control.held.seen();
    let ids: Vec<String> =
        held.iter().map(|seen| seen.received.envelope.headers.id.clone()).collect();
    let ordered = revocations::terminated(&control.broker.client, &ids).await?;
    if !ordered.is_empty() {
        terminated(control, "SIGTERM", &ordered);
    }
    Ok(())
}

/// Tells of a revocation that could not be taken: nobody may be waiting for the reply that says so.
pub(super) fn refused(control: &Control, wrong: &str) {
    if control.floods.note(Flood::new(What::Refused, None, Some(wrong)), 1) {
        tracing::warn!(reason = wrong, "a revocation is refused");
    }
}
