//! What an outcome does to a message, decided without I/O.

mod made;

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use rhubarb_core::{clock, hex::hex};
use rhubarb_queue::{
    Outgoing, Stored,
    keys::list_number,
    letter::{Attempt, Letter, LetterKind},
    notice::NoticeKind,
    queue_name, traced,
};
use rhubarb_trace::Carrier;
use rhubarb_wire::{Exception, State, TaskResult, brief_args, brief_kwargs};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    attempts::{self, add_attempt, attempts},
    circumstances::Circumstances,
    delivery::{Message, RawMessage, Received},
    follow::{self, Failed, Follow, Lineage},
    notices::Failure,
    outcome::{Again, Ending, Outcome},
    record::{record, stores_errors, stores_results},
};

/// What has to be written to end a claim.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// What the settling script does.
    pub(crate) act: Act,
    /// The state to store with it.
    pub(crate) result: Option<Stored>,
    /// The letter to keep before it.
    pub(crate) letter: Option<Letter>,
    /// The queue to publish the unchanged message to before it.
    pub(crate) forward: Option<String>,
    /// What else has to happen, so that whoever waits for the task goes on.
    pub(crate) follow: Follow,
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
        /// The message, and its list (1 for the most urgent) where that is another.
        message: Option<(Vec<u8>, Option<usize>)>,
    },
    /// Give it back.
    Back,
    /// Give it back, and count a death: the line for the deaths of its message.
    Died(String),
    /// Give it back to the producer's end.
    Leave,
}

impl Plan {
    fn act(act: Act) -> Self {
        Self {
            act,
            result: None,
            letter: None,
            forward: None,
            follow: Follow::default(),
            is_final: false,
        }
    }

    fn ended(result: Option<Stored>, follow: Follow) -> Self {
        Self { result, follow, is_final: true, ..Self::act(Act::Done) }
    }
}

/// Decides what an ending does.
pub(crate) fn plan(ending: Ending, message: &Message, around: Circumstances<'_>) -> Plan {
    let Ending { outcome, children, errbacks_called, made } = ending;
    let around = Circumstances { children: &children, errbacks_called: &errbacks_called, ..around };
    let mut plan = match (made, message) {
        (Some(made), Message::Read(received)) => made::decide(outcome, *made, received, around),
        _ => decide(outcome, message, around),
    };
    if around.celery.results_disabled {
        plan.result = None;
        plan.follow.results.clear();
    }
    plan
}

fn decide(outcome: Outcome, message: &Message, around: Circumstances<'_>) -> Plan {
    match (outcome, message) {
        (Outcome::HandBack, _) => Plan::act(Act::Back),
        (Outcome::Died { .. }, _) => {
            Plan::act(Act::Died(attempts::death(around.now, around.worker)))
        }
        (Outcome::Leave, _) => Plan::act(Act::Leave),
        (Outcome::Dead { reason, exception }, message) => dead(reason, exception, message, around),
        (Outcome::Unknown, Message::Read(received)) => unknown(received, around),
        (Outcome::NotDue { at }, _) => Plan::act(Act::Schedule { at, message: None }),
        (Outcome::PutOff { after }, _) => {
            Plan::act(Act::Schedule { at: later(around.now, after), message: None })
        }
        (Outcome::Ignored, _) => Plan::ended(None, Follow::default()),
        (Outcome::Rejected { requeue: true, .. }, Message::Read(received)) => {
            back(received, around)
        }
        (Outcome::Rejected { reason, .. }, message) => {
            let follow = notice(NoticeKind::TaskDead, message, &reason, around);
            let letter = letter(LetterKind::Dead, reason, message, around);
            Plan { letter: Some(letter), ..Plan::ended(None, follow) }
        }
        (Outcome::Success(value), Message::Read(received)) => success(value, received, around),
        (Outcome::Failure { exception, traceback }, Message::Read(received)) => {
            let failed = Failed { state: State::Failure, exception, traceback };
            let stores = stores_errors(received, around.celery);
            failure(&failed, received, stores, around)
        }
        (Outcome::Revoked(revocation), Message::Read(received)) => {
            let exception = revocation.exception();
            let failed = Failed { state: State::Revoked, exception, traceback: None };
            let stores = stores_results(received, around.celery);
            failure(&failed, received, stores, around)
        }
        (Outcome::Retry { exception, traceback, after, again }, Message::Read(received)) => {
            let at = again.at.unwrap_or_else(|| later(around.now, after));
            retry(received, &exception, traceback, (at, *again), around)
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

fn success(value: Value, received: &Arc<Received>, around: Circumstances<'_>) -> Plan {
    let follow = follow::success(received, &value, around);
    let stores = stores_results(received, around.celery);
    if !stores && !follow.returns_a_part() {
        return Plan::ended(None, follow);
    }
    let mut result = record(received, State::Success, value, around.children, around.reporter());
    if let Value::Array(children) = &mut result.children {
        children.extend(follow.children.iter().cloned());
    }
    let stored = Stored::from(&result);
    let size = stored.bytes.len();
    if size <= around.max_result_bytes {
        let stored = stores.then(|| stored.compressed(around.celery));
        return Plan::ended(stored, follow);
    }
    // What would have followed a success is dropped: it was not published yet.
    let text = format!(
        "the result has {size} bytes, more than worker.max_result_bytes = {}",
        around.max_result_bytes
    );
    let exception = Exception::builtin("ValueError", vec![text.into()]);
    let failed = Failed { state: State::Failure, exception, traceback: None };
    failure(&failed, received, stores_errors(received, around.celery), around)
}

/// A task that failed or was revoked: stored where it is to be, told to all that waits for it, and
/// to whoever is told of failures.
fn failure(
    failed: &Failed,
    received: &Arc<Received>,
    stores: bool,
    around: Circumstances<'_>,
) -> Plan {
    let mut plan = ended_badly(failed, received, stores, around);
    if failed.state == State::Failure {
        let (message, error) = (Message::Read(received.clone()), failed.exception.to_string());
        plan.follow.add(notice(NoticeKind::TaskFailed, &message, &error, around));
    }
    plan
}

/// What tells of an end, where somebody is to be told.
fn notice(kind: NoticeKind, message: &Message, error: &str, around: Circumstances<'_>) -> Follow {
    let (task, by) = match message {
        Message::Read(received) => {
            (received.envelope.headers.task.as_str(), Lineage::of(received, around.celery))
        }
        Message::Raw(raw) => (raw.task.as_deref().unwrap_or("unknown"), Lineage::of_raw(raw)),
    };
    let Circumstances { queue, worker, now: at, .. } = around;
    let failure = Failure { kind, task, id: &by.id, queue, worker, error, at };
    follow::notice(failure, &by, around)
}

fn ended_badly(
    failed: &Failed,
    received: &Received,
    stores: bool,
    around: Circumstances<'_>,
) -> Plan {
    let follow = follow::failure(received, failed, stores, around);
    let result = stores.then(|| {
        let value = failed.exception.to_value();
        let mut result =
            record(received, failed.state.clone(), value, around.children, around.reporter());
        result.traceback.clone_from(&failed.traceback);
        bounded(result, around)
    });
    Plan::ended(result, follow)
}

/// Encodes a failure; one that is too large gives up its traceback and then its message.
fn bounded(mut result: TaskResult, around: Circumstances<'_>) -> Stored {
    let stored = Stored::from(&result);
    let size = stored.bytes.len();
    if size <= around.max_result_bytes {
        return stored;
    }
    let text = format!(
        "the failure has {size} bytes, more than worker.max_result_bytes = {}",
        around.max_result_bytes
    );
    result.result = Exception::builtin("ValueError", vec![text.into()]).to_value();
    result.traceback = None;
    Stored::from(&result)
}

/// Celery's reject with `requeue`: the same message again, marked as delivered before.
fn back(received: &Received, around: Circumstances<'_>) -> Plan {
    let mut next = received.envelope.clone();
    next.headers.redelivered = true;
    next.properties.delivery_info.other.insert("redelivered".to_owned(), true.into());
    Plan::act(Act::Schedule { at: around.now, message: Some((next.encode(), None)) })
}

/// Celery's retry: the same task later, its result RETRY with the reason.
fn retry(
    received: &Arc<Received>,
    exception: &Exception,
    traceback: Option<String>,
    (at, again): (Timestamp, Again),
    around: Circumstances<'_>,
) -> Plan {
    if let Some(Err(reason)) = again.queue.as_ref().map(|q| queue_name::check(q, around.celery)) {
        let exception = Exception::builtin("ValueError", vec![reason.into()]);
        let failed = Failed { state: State::Failure, exception, traceback };
        return failure(&failed, received, stores_errors(received, around.celery), around);
    }
    let mut next = received.envelope.retry(around.tag, at);
    let this = attempt(exception.to_string(), around);
    add_attempt(&mut next.headers, received.deaths.iter().cloned().chain([this]));
    change(&mut next, &again, received);
    let trace = received.trace.carrier();
    // The run's own context, in place of that which it came with.
    Carrier::remove(&mut next.headers.other);
    let queue = again.queue.as_deref().unwrap_or(around.queue);
    drop(traced(&mut next, queue, trace.as_deref()));
    let result = stores_errors(received, around.celery).then(|| {
        let record = record(
            received,
            State::Retry,
            exception.to_value(),
            around.children,
            around.reporter(),
        );
        bounded(TaskResult { traceback, ..record }, around)
    });
    let elsewhere = again.queue.filter(|queue| queue != around.queue);
    if let Some(queue) = elsewhere {
        let (priority, message) = (next.properties.priority, next.encode());
        let follow =
            Follow { messages: vec![Outgoing { queue, priority, message }], ..Follow::default() };
        return Plan { result, follow, ..Plan::act(Act::Done) };
    }
    let list = again.priority.map(|priority| list_number(priority, &around.celery.priority_steps));
    Plan { result, ..Plan::act(Act::Schedule { at, message: Some((next.encode(), list)) }) }
}

/// Gives the next attempt what its task wanted to be different.
fn change(next: &mut rhubarb_wire::Envelope, again: &Again, received: &Received) {
    if let Some(priority) = again.priority {
        next.properties.priority = priority;
    }
    if let Some(queue) = &again.queue {
        next.properties.delivery_info.routing_key.clone_from(queue);
    }
    if again.args.is_none() && again.kwargs.is_none() {
        return;
    }
    let Ok(body) = received.body() else { return };
    let mut body = body.clone();
    if let Some(args) = &again.args {
        body.args.clone_from(args);
        next.headers.argsrepr = Some(brief_args(args));
    }
    if let Some(kwargs) = &again.kwargs {
        body.kwargs.clone_from(kwargs);
        next.headers.kwargsrepr = Some(brief_kwargs(kwargs));
    }
    next.set_body(&body);
}

fn unknown(received: &Arc<Received>, around: Circumstances<'_>) -> Plan {
    if let Some(queue) = around.forward_to.filter(|queue| *queue != around.queue) {
        return Plan { forward: Some(queue.to_owned()), ..Plan::act(Act::Done) };
    }
    let reason = format!("no live worker knows the task `{}`", received.envelope.headers.task);
    let message = Message::Read(received.clone());
    let letter = letter(LetterKind::Parked, reason, &message, around);
    Plan { letter: Some(letter), ..Plan::act(Act::Done) }
}

fn dead(
    reason: String,
    exception: Exception,
    message: &Message,
    around: Circumstances<'_>,
) -> Plan {
    // Waiting callers are told, whether they asked to ignore the result or not: their message will
    // not run.
    let told = match message {
        Message::Read(received) => {
            let failed = Failed { state: State::Failure, exception, traceback: None };
            ended_badly(&failed, received, true, around)
        }
        Message::Raw(raw) => {
            let result = raw.task_id.as_deref().map(|id| TaskResult {
                date_done: Some(clock::iso(around.now)),
                ..TaskResult::new(id, State::Failure, exception.to_value())
            });
            Plan::ended(result.as_ref().map(Stored::from), Follow::default())
        }
    };
    let mut told = told;
    told.follow.add(notice(NoticeKind::TaskDead, message, &reason, around));
    Plan { letter: Some(letter(LetterKind::Dead, reason, message, around)), ..told }
}

fn letter(
    kind: LetterKind,
    reason: String,
    message: &Message,
    around: Circumstances<'_>,
) -> Letter {
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
    let (deaths, mut history) = match message {
        Message::Read(received) => (received.deaths.clone(), attempts(&received.envelope.headers)),
        Message::Raw(raw) => (raw.deaths.clone(), Vec::new()),
    };
    let deliveries = u32::try_from(deaths.len()).unwrap_or(u32::MAX);
    history.extend(deaths);
    history.push(attempt(reason.clone(), around));
    let mut letter = Letter {
        id: id.unwrap_or_else(|| sha256.clone()),
        kind,
        history,
        reason,
        queue: around.queue.to_owned(),
        task,
        at: clock::iso(around.now),
        size,
        sha256,
        message: None,
        message_base64: None,
        headers: None,
        deliveries,
    };
    match message {
        Message::Raw(raw) if raw.bytes.len() != raw.size => letter.headers = headers_text(raw),
        _ => letter.set_bytes(&bytes),
    }
    letter
}

/// What ends an attempt here and now.
fn attempt(error: String, around: Circumstances<'_>) -> Attempt {
    Attempt { at: clock::iso(around.now), worker: around.worker.to_owned(), error }
}

fn headers_text(raw: &RawMessage) -> Option<String> {
    let text = String::from_utf8_lossy(&raw.bytes);
    text.rfind("\"headers\"").map(|at| text[at..].chars().take(16_384).collect())
}

#[cfg(test)]
mod tests;
