//! A task as `celery inspect` shows it.

use jiff::Timestamp;
use rhubarb_core::clock;
use rhubarb_queue::{Error, error::redis};
use serde_json::{Value, json};

use super::Control;
use crate::{delivery::Received, events::seconds, held::Seen, script};

/// The most tasks that one reply shows.
pub(super) const MAX_SHOWN: usize = 1000;
/// A message with a longer body is shown with its arguments as the text in its headers.
const MAX_BODY: usize = 64 << 10;
/// The most bytes of scheduled messages that one reply is made of.
const MAX_SCHEDULED: usize = 2 << 20;

/// Returns a task in our hands.
pub(super) fn seen(control: &Control, seen: &Seen) -> Value {
    info(control, &seen.received, seen.began)
}

fn info(control: &Control, received: &Received, began: Option<Timestamp>) -> Value {
    let envelope = &received.envelope;
    let (headers, properties) = (&envelope.headers, &envelope.properties);
    let (args, kwargs) = arguments(received);
    json!({
        "id": headers.id,
        "name": headers.shadow.as_deref().unwrap_or(&headers.task),
        "args": args,
        "kwargs": kwargs,
        "type": headers.task,
        "hostname": control.broker.node,
        "time_start": began.map(seconds),
        // Acknowledged is what has ended.
        "acknowledged": false,
        "delivery_info": {
            "exchange": properties.delivery_info.exchange,
            "routing_key": properties.delivery_info.routing_key,
            "priority": properties.priority,
            "redelivered": envelope.is_redelivered(),
        },
        "worker_pid": began.map(|_| received.process().unwrap_or_else(std::process::id)),
    })
}

/// The arguments as they were sent, so that a client decodes them as its worker would.
fn arguments(received: &Received) -> (Value, Value) {
    let headers = &received.envelope.headers;
    let brief = || (json!(headers.argsrepr), json!(headers.kwargsrepr));
    // What is packed may be large.
    if received.envelope.body_len() > MAX_BODY || headers.compression.is_some() {
        return brief();
    }
    received.body().map_or_else(|_| brief(), |body| (json!(body.args), json!(body.kwargs)))
}

/// One message that waits in Redis for its time.
pub(super) struct Scheduled {
    due: Timestamp,
    received: Received,
}

impl Scheduled {
    pub(super) fn id(&self) -> &str {
        &self.received.envelope.headers.id
    }

    /// Returns it as `query_task` shows it.
    pub(super) fn info(&self, control: &Control) -> Value {
        info(control, &self.received, None)
    }

    /// Returns it as `scheduled` shows it; the priority is that of Celery's timer.
    pub(super) fn entry(&self, control: &Control) -> Value {
        json!({ "eta": clock::iso(self.due), "priority": 6, "request": self.info(control) })
    }
}

/// Reads what is scheduled on our queues, soonest first on each, as far as a reply can hold it.
///
/// # Errors
///
/// [`Error::Redis`].
pub(super) async fn scheduled(control: &Control) -> Result<Vec<Scheduled>, Error> {
    let mut found: Vec<Scheduled> = Vec::new();
    let mut left = MAX_SCHEDULED;
    for idx in control.broker.queues.active() {
        let queue = &control.broker.queues[idx];
        let n = MAX_SHOWN - found.len();
        if n == 0 || left == 0 {
            break;
        }
        let args = [n, MAX_SCHEDULED, left].map(|n| n.to_string().into_bytes());
        let page: Vec<Vec<u8>> = control
            .broker
            .queue
            .eval(&script::PEEK, std::slice::from_ref(&queue.scheduled), &args, &[])
            .await
            .map_err(redis(format!("read what is scheduled on queue `{}`", queue.name)))?;
        for pair in page.chunks_exact(2) {
            left = left.saturating_sub(pair[1].len());
            found.extend(read(control, &pair[0], &pair[1]));
        }
    }
    Ok(found)
}

fn read(control: &Control, due: &[u8], message: &[u8]) -> Option<Scheduled> {
    let due: f64 = std::str::from_utf8(due).ok()?.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "a time in ms is a whole number")]
    let due = Timestamp::from_millisecond(due as i64).ok()?;
    let envelope = rhubarb_wire::Envelope::decode(message).ok()?;
    Some(Scheduled { due, received: Received::new(envelope, control.config.max_message_bytes) })
}
