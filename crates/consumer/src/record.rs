//! What is stored of a task: a state with what its message tells, in Celery's form.

use jiff::Timestamp;
use rhubarb_core::clock;
use rhubarb_queue::config::CeleryConfig;
use rhubarb_wire::{State, TaskResult};
use serde_json::{Value, json};

use crate::delivery::Received;

/// Who tells, when, and how much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reporter<'a> {
    /// Redis's clock.
    pub(crate) now: Timestamp,
    /// The node's name.
    pub(crate) worker: &'a str,
    /// Celery's settings.
    pub(crate) celery: &'a CeleryConfig,
}

/// Returns a task's state as it is stored.
///
/// The group and the parent are told where there are any, `date_done` of the three final states
/// only; with `result_extended` also what was called, by whom it was run and its stamps (Celery
/// 5.7's order of fields).
pub(crate) fn record(
    received: &Received,
    state: State,
    value: Value,
    children: &[Value],
    reporter: Reporter<'_>,
) -> TaskResult {
    let headers = &received.envelope.headers;
    let mut record = TaskResult {
        children: Value::Array(children.to_vec()),
        date_done: state.is_final().then(|| clock::iso(reporter.now)),
        parent_id: headers.parent_id.clone(),
        group_id: headers.group.clone(),
        ..TaskResult::new(&headers.id, state, value)
    };
    if reporter.celery.result_extended {
        extend(&mut record, received, reporter.worker);
    }
    record
}

fn extend(record: &mut TaskResult, received: &Received, worker: &str) {
    let headers = &received.envelope.headers;
    let body = received.body().ok();
    let mut put = |key: &str, value: Value| record.other.insert(key.to_owned(), value);
    put("name", json!(headers.task));
    put("args", json!(body.map(|body| &body.args)));
    put("kwargs", json!(body.map(|body| &body.kwargs)));
    put("worker", json!(worker));
    put("retries", json!(headers.retries));
    put("queue", json!(received.envelope.properties.delivery_info.routing_key));
    if headers.stamps.is_empty() {
        return;
    }
    put("stamped_headers", json!(headers.stamped_headers));
    for name in headers.stamped_headers.iter().flatten() {
        if let Some(stamp) = headers.stamps.get(name) {
            put(name, stamp.clone());
        }
    }
}

/// Tells whether a task's results are stored: as its call says, else its registration, else the
/// settings. Where results are disabled, none is.
pub(crate) fn stores_results(received: &Received, celery: &CeleryConfig) -> bool {
    if celery.results_disabled {
        return false;
    }
    let by_task = received.stores.ignore_result.unwrap_or(celery.task_ignore_result);
    !received.envelope.headers.ignore_result.unwrap_or(by_task)
}

/// Tells whether a task's failures and retries are stored.
pub(crate) fn stores_errors(received: &Received, celery: &CeleryConfig) -> bool {
    let even_if_ignored = received.stores.store_errors_even_if_ignored;
    !celery.results_disabled
        && (stores_results(received, celery)
            || even_if_ignored.unwrap_or(celery.task_store_errors_even_if_ignored))
}
