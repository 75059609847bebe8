//! What an outcome does to a message, decided without I/O.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use rhubarb_core::clock;
use rhubarb_wire::{Envelope, Exception, State, TaskResult};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    delivery::{Message, RawMessage, Received},
    letter::{Attempt, Kind, Letter},
    outcome::Outcome,
};

/// What has to be written to end a claim.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// What the settling script does.
    pub(crate) act: Act,
    /// The state to store with it.
    pub(crate) result: Option<TaskResult>,
    /// The letter to keep before it.
    pub(crate) letter: Option<Letter>,
    /// The queue to publish the unchanged message to before it.
    pub(crate) forward: Option<String>,
    /// Whether it counts as processed.
    pub(crate) is_final: bool,
}

/// What the settling script does with the claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Remove it.
    Done,
    /// Put a message into the schedule; the claimed one, unchanged, when none is given.
    Schedule {
        /// When it is due.
        at: Timestamp,
        /// The message.
        message: Option<Vec<u8>>,
    },
    /// Give it back.
    Back,
}

/// What a plan needs to know besides the outcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'a> {
    /// Redis's clock.
    pub(crate) now: Timestamp,
    /// The queue's name.
    pub(crate) queue: &'a str,
    /// The node's name.
    pub(crate) worker: &'a str,
    /// The greatest result that is stored, bytes.
    pub(crate) max_result_bytes: usize,
    /// Where unknown tasks are forwarded to, if they are.
    pub(crate) forward_to: Option<&'a str>,
    /// A fresh delivery tag.
    pub(crate) tag: &'a str,
}

impl Plan {
    fn act(act: Act) -> Self {
        Self { act, result: None, letter: None, forward: None, is_final: false }
    }

    fn ended(result: Option<TaskResult>) -> Self {
        Self { result, is_final: true, ..Self::act(Act::Done) }
    }
}

/// Decides what an outcome does.
pub(crate) fn plan(outcome: Outcome, message: &Message, around: Circumstances<'_>) -> Plan {
    match (outcome, message) {
        (Outcome::HandBack, _) => Plan::act(Act::Back),
        (Outcome::Dead { reason, exception }, message) => dead(reason, &exception, message, around),
        (Outcome::Unknown, Message::Read(received)) => unknown(received, around),
        (Outcome::NotDue { at }, _) => Plan::act(Act::Schedule { at, message: None }),
        (Outcome::PutOff { after }, _) => {
            Plan::act(Act::Schedule { at: later(around.now, after), message: None })
        }
        (Outcome::Success(value), Message::Read(received)) => {
            let envelope = &received.envelope;
            let result = result(envelope, State::Success, value, None, around);
            Plan::ended(
                Some(bounded(result, envelope, around)).filter(|_| !envelope.headers.ignore_result),
            )
        }
        (Outcome::Failure { exception, traceback }, Message::Read(received)) => {
            let envelope = &received.envelope;
            let result = result(envelope, State::Failure, exception.to_value(), traceback, around);
            // Celery stores failures of `ignore_result` tasks neither.
            Plan::ended(
                Some(bounded(result, envelope, around)).filter(|_| !envelope.headers.ignore_result),
            )
        }
        (Outcome::Revoked(revocation), Message::Read(received)) => {
            let envelope = &received.envelope;
            let exception = revocation.exception().to_value();
            let result = result(envelope, State::Revoked, exception, None, around);
            Plan::ended(Some(result).filter(|_| !envelope.headers.ignore_result))
        }
        (Outcome::Retry { exception, traceback, after }, Message::Read(received)) => {
            retry(&received.envelope, &exception, traceback, after, around)
        }
        // Nothing but an end by force is ever decided for a message that could not be read.
        (_, Message::Raw(_)) => Plan::act(Act::Back),
    }
}

fn later(now: Timestamp, after: Duration) -> Timestamp {
    SignedDuration::try_from(after)
        .ok()
        .and_then(|d| now.checked_add(d).ok())
        .unwrap_or(Timestamp::MAX)
}

fn retry(
    envelope: &Envelope,
    exception: &Exception,
    traceback: Option<String>,
    after: Duration,
    around: Circumstances<'_>,
) -> Plan {
    let at = later(around.now, after);
    let message = envelope.retry(around.tag, at).encode();
    let result = TaskResult {
        traceback,
        parent_id: envelope.headers.parent_id.clone(),
        group_id: envelope.headers.group.clone(),
        ..TaskResult::new(&envelope.headers.id, State::Retry, exception.to_value())
    };
    Plan {
        result: Some(result).filter(|_| !envelope.headers.ignore_result),
        ..Plan::act(Act::Schedule { at, message: Some(message) })
    }
}

fn unknown(received: &Arc<Received>, around: Circumstances<'_>) -> Plan {
    if let Some(queue) = around.forward_to.filter(|queue| *queue != around.queue) {
        return Plan { forward: Some(queue.to_owned()), ..Plan::act(Act::Done) };
    }
    let reason = format!("no live worker knows the task `{}`", received.envelope.headers.task);
    let message = Message::Read(received.clone());
    let letter = letter(Kind::Parked, reason, &message, around);
    Plan { letter: Some(letter), ..Plan::act(Act::Done) }
}

fn dead(
    reason: String,
    exception: &Exception,
    message: &Message,
    around: Circumstances<'_>,
) -> Plan {
    // Waiting callers are told, whether they asked to ignore the result or not: their message will not run.
    let result = match message {
        Message::Read(received) => {
            let envelope = &received.envelope;
            Some(result(envelope, State::Failure, exception.to_value(), None, around))
        }
        Message::Raw(raw) => raw.task_id.as_deref().map(|id| TaskResult {
            date_done: Some(clock::iso(around.now)),
            ..TaskResult::new(id, State::Failure, exception.to_value())
        }),
    };
    let letter = letter(Kind::Dead, reason, message, around);
    Plan { letter: Some(letter), ..Plan::ended(result) }
}

fn letter(kind: Kind, reason: String, message: &Message, around: Circumstances<'_>) -> Letter {
    let (bytes, size, id, task) = match message {
        Message::Read(received) => {
            let envelope = &received.envelope;
            let bytes = envelope.encode();
            let size = bytes.len();
            (bytes, size, Some(envelope.headers.id.clone()), Some(envelope.headers.task.clone()))
        }
        Message::Raw(raw) => (raw.bytes.clone(), raw.size, raw.task_id.clone(), raw.task.clone()),
    };
    let sha256 = hex(&Sha256::digest(&bytes));
    let mut letter = Letter {
        id: id.unwrap_or_else(|| sha256.clone()),
        kind,
        history: vec![Attempt {
            at: clock::iso(around.now),
            worker: around.worker.to_owned(),
            error: reason.clone(),
        }],
        reason,
        queue: around.queue.to_owned(),
        task,
        at: clock::iso(around.now),
        size,
        sha256,
        message: None,
        message_base64: None,
        headers: None,
        deliveries: 0,
    };
    match message {
        Message::Raw(raw) if raw.bytes.len() != raw.size => letter.headers = headers_text(raw),
        _ => letter.set_bytes(&bytes),
    }
    letter
}

fn headers_text(raw: &RawMessage) -> Option<String> {
    let text = String::from_utf8_lossy(&raw.bytes);
    text.rfind("\"headers\"").map(|at| text[at..].chars().take(16_384).collect())
}

fn result(
    envelope: &Envelope,
    state: State,
    value: Value,
    traceback: Option<String>,
    around: Circumstances<'_>,
) -> TaskResult {
    TaskResult {
        traceback,
        children: Value::Array(Vec::new()),
        date_done: Some(clock::iso(around.now)),
        parent_id: envelope.headers.parent_id.clone(),
        group_id: envelope.headers.group.clone(),
        ..TaskResult::new(&envelope.headers.id, state, value)
    }
}

/// Replaces a result that is too large by a FAILURE that says so.
fn bounded(stored: TaskResult, envelope: &Envelope, around: Circumstances<'_>) -> TaskResult {
    let size = stored.encode().len();
    if size <= around.max_result_bytes {
        return stored;
    }
    let text = format!(
        "the result has {size} bytes, more than worker.max_result_bytes = {}",
        around.max_result_bytes
    );
    let exception = Exception::builtin("ValueError", vec![text.into()]);
    result(envelope, State::Failure, exception.to_value(), None, around)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}
