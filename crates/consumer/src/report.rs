//! What a running task tells of itself: STARTED, PROGRESS, and states of its own.

use rhubarb_core::clock;
use rhubarb_queue::{Client, Error};
use rhubarb_wire::State;
use serde_json::Value;

use crate::{
    delivery::Received,
    record::{Reporter, record, stores_results},
};

/// Stores and publishes a passing state of a task that `worker` runs, with what its message tells
/// and what it has published so far.
///
/// # Errors
///
/// [`Error::Refused`] for a state that ends a task; [`Error::Redis`].
pub async fn report(
    client: &Client,
    received: &Received,
    worker: &str,
    (state, meta): (State, Value),
    children: &[Value],
) -> Result<(), Error> {
    if state.is_final() || state == State::Pending {
        return Err(Error::Refused(format!("{state} is for the worker to store")));
    }
    let reporter = Reporter { now: clock::now(), worker, celery: client.celery() };
    client.store_passing(&record(received, state, meta, children, reporter)).await
}

/// Stores and publishes STARTED, where the task's results are stored at all.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn report_started(
    client: &Client,
    received: &Received,
    worker: &str,
) -> Result<(), Error> {
    if !stores_results(received, client.celery()) {
        return Ok(());
    }
    let who = serde_json::json!({"pid": std::process::id(), "hostname": worker});
    report(client, received, worker, (State::Started, who), &[]).await
}
