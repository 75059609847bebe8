//! What follows a task's end, decided without I/O: its callbacks and the next step of its chain, or
//! the same failure for all that waits for it; and its part of a chord.
//!
//! The rules are those of `celery/app/trace.py` and `celery/backends/base.py` (5.7.0, read
//! 2026-11). On purpose more is told here, so that nobody waits for ever: a revoked task and a dead
//! letter fail the rest of their chain too, the members of a group that ends a chain get the
//! failure under their own ids, and a chord whose header failed returns its own part where it is a
//! part of another.

mod fail;

use std::{borrow::Cow, cell::Cell, sync::Arc};

use rhubarb_queue::{
    Client, Error, Outgoing, Stored,
    canvas::{self, Call, CanvasError, Publisher, ResultTree},
    config::CeleryConfig,
    traced,
};
use rhubarb_trace::Carrier;
use rhubarb_wire::{ChordPart, Exception, Signature, State};
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub(crate) use fail::{ChordCause, Failed, chord_failed, failure};

use crate::{
    circumstances::Circumstances,
    delivery::{RawMessage, Received},
    notices::Failure,
};

/// What has to be written besides a task's own result.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Follow {
    /// Groups to be stored under their ids before anything is sent.
    pub(crate) saved: Vec<ResultTree>,
    /// The number of parts of each chord, to be written before anything is sent.
    pub(crate) chord_sizes: Vec<(String, u64)>,
    /// Messages to be sent.
    pub(crate) messages: Vec<Outgoing>,
    /// Final states of tasks that will never run.
    pub(crate) results: Vec<Stored>,
    /// Parts of chords that have ended.
    pub(crate) returns: Vec<PartReturn>,
    /// What the task's result lists of all this.
    pub(crate) children: Vec<Value>,
    /// Whether something was left out that needs more memory than was allowed: decide again, with
    /// all there is.
    pub(crate) too_large: bool,
}

/// One part of a chord, ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PartReturn {
    pub(crate) task_id: String,
    pub(crate) group: String,
    pub(crate) index: Option<u64>,
    /// How it ended, in the form of the chord's collection.
    pub(crate) member: Vec<u8>,
    /// The chord's body.
    pub(crate) body: Signature,
    /// Who publishes the body.
    pub(crate) by: Lineage,
}

/// Of which task something is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lineage {
    /// The publishing task.
    pub(crate) id: String,
    /// The first task of the whole work.
    pub(crate) root_id: String,
    /// What tells this publishing from any other: fresh ids are made of it, so that doing it again
    /// after a crash gives the same ones.
    pub(crate) seed: String,
    /// The publishing task's priority, where it is inherited.
    pub(crate) priority: Option<u8>,
    /// The trace of its run.
    pub(crate) trace: Option<Arc<Carrier>>,
}

impl Follow {
    /// Writes all that follows, when there is no settling script to go with.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]; what was written is taken out.
    pub(crate) async fn carry_out(&mut self, client: &Client) -> Result<(), Error> {
        self.write_groups(client).await?;
        client.send_encoded(&mut self.messages).await?;
        client.store_all(&mut self.results).await
    }

    /// Stores nested groups and the sizes of chords, as has to be before their members are sent.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub(crate) async fn write_groups(&mut self, client: &Client) -> Result<(), Error> {
        client.prepare_chords(&self.saved, &self.chord_sizes).await?;
        self.saved.clear();
        self.chord_sizes.clear();
        Ok(())
    }

    /// Tells whether the task is a part of a chord.
    pub(crate) fn returns_a_part(&self) -> bool {
        !self.returns.is_empty()
    }

    /// Adds all of another one.
    pub(crate) fn add(&mut self, other: Self) {
        self.saved.extend(other.saved);
        self.chord_sizes.extend(other.chord_sizes);
        self.messages.extend(other.messages);
        self.results.extend(other.results);
        self.returns.extend(other.returns);
        self.children.extend(other.children);
        self.too_large |= other.too_large;
    }
}

impl Lineage {
    /// What is published because of a message that could not be read.
    pub(crate) fn of_raw(raw: &RawMessage) -> Self {
        let id = raw.task_id.clone().unwrap_or_default();
        // The same message gives the same ids, however often this is done.
        let seed = Uuid::new_v5(&Uuid::NAMESPACE_OID, &raw.bytes).to_string();
        Self { root_id: id.clone(), id, seed, priority: None, trace: None }
    }

    /// What a message's own task publishes.
    pub(crate) fn of(received: &Received, celery: &CeleryConfig) -> Self {
        let (headers, properties) = (&received.envelope.headers, &received.envelope.properties);
        let inherits = celery.task_inherit_parent_priority;
        Self {
            id: headers.id.clone(),
            root_id: headers.root_id.clone().unwrap_or_else(|| headers.id.clone()),
            // A redelivered message has the tag that it had; one of the same task that is published
            // anew has another.
            seed: properties.delivery_tag.clone().unwrap_or_else(|| headers.id.clone()),
            priority: inherits.then_some(properties.priority),
            trace: received.trace.carrier(),
        }
    }
}

/// Decides what follows a success.
pub(crate) fn success(received: &Received, value: &Value, around: Circumstances<'_>) -> Follow {
    let Ok(body) = received.body() else { return Follow::default() };
    let (embed, by) = (&body.embed, Lineage::of(received, around.celery));
    let mut follow = Follow::default();
    follow.add(callbacks(&embed.callbacks, value, &by, around));
    if let Some((next, rest)) = embed.chain.split_last() {
        let call = Call { args: vec![value.clone()], chain: rest.to_vec(), ..call(&by) };
        follow.add(publish(next, call, &by, "chain", around));
    }
    follow.returns.extend(own_part(received, &State::Success, value, by));
    follow
}

/// Decides what a chord whose header has succeeded publishes: its body, called with the results.
pub(crate) fn chord_body(
    part: &PartReturn,
    results: Vec<Value>,
    around: Circumstances<'_>,
) -> Follow {
    let call = Call { args: vec![Value::Array(results)], ..call(&part.by) };
    publish(&part.body, call, &part.by, &format!("body {}", part.group), around)
}

fn call(by: &Lineage) -> Call {
    Call {
        root_id: Some(by.root_id.clone()),
        parent_id: Some(by.id.clone()),
        priority: by.priority,
        ..Call::default()
    }
}

fn callbacks(
    callbacks: &[Signature],
    value: &Value,
    by: &Lineage,
    around: Circumstances<'_>,
) -> Follow {
    if let Some(refused) = refused_together(callbacks, by, "callbacks", around) {
        return refused;
    }
    let mut follow = Follow::default();
    for (nth, callback) in as_celery_groups_them(callbacks).iter().enumerate() {
        let call = Call { args: vec![value.clone()], ..call(by) };
        follow.add(publish(callback, call, by, &format!("callback {nth}"), around));
    }
    follow
}

/// Several callbacks are called as one group, except that groups among them are called one by one
/// and first.
fn as_celery_groups_them(callbacks: &[Signature]) -> Vec<Cow<'_, Signature>> {
    if let [one] = callbacks {
        return vec![Cow::Borrowed(one)];
    }
    let is_group = |callback: &&Signature| callback.subtask_type.as_deref() == Some("group");
    let mut calls: Vec<Cow<'_, Signature>> =
        callbacks.iter().filter(is_group).map(Cow::Borrowed).collect();
    let tasks: Vec<&Signature> = callbacks.iter().filter(|callback| !is_group(callback)).collect();
    if !tasks.is_empty() {
        calls.push(Cow::Owned(group(tasks)));
    }
    calls
}

/// Sees before anything is copied whether signatures are too much to be published together; what
/// becomes of them then.
fn refused_together(
    signatures: &[Signature],
    by: &Lineage,
    place: &str,
    around: Circumstances<'_>,
) -> Option<Follow> {
    let limit = around.max_canvas_bytes;
    let fits = signatures.iter().map(canvas::weight).sum::<usize>() <= limit;
    let error = CanvasError::TooLarge { limit };
    (!fits).then(|| refused(signatures, &error, by, place, around))
}

/// Fails signatures that cannot be published, and everything that waits for them.
fn refused<'a>(
    signatures: impl IntoIterator<Item = &'a Signature>,
    error: &CanvasError,
    by: &Lineage,
    place: &str,
    around: Circumstances<'_>,
) -> Follow {
    if matches!(error, CanvasError::TooLarge { .. })
        && around.max_canvas_bytes < canvas::max_bytes_in_worker(around.max_message_bytes)
    {
        return Follow { too_large: true, ..Follow::default() };
    }
    let mut signatures = signatures.into_iter().peekable();
    let task = signatures.peek().map(|first| first.task.as_str()).unwrap_or_default();
    let reason = format!("task {task} cannot be published: {error}");
    tracing::warn!(id = by.id, place, reason, "what follows a task is refused");
    let exception = Exception::builtin("ValueError", vec![reason.into()]);
    let failed = Failed { state: State::Failure, exception, traceback: None };
    fail::all(signatures, &failed, by, true, around)
}

/// Publishes what tells of a task's end, where somebody is to be told; it is no child of the task.
pub(crate) fn notice(failure: Failure<'_>, by: &Lineage, around: Circumstances<'_>) -> Follow {
    let Some(notice) = around.notices.of(failure) else { return Follow::default() };
    let Follow { messages, .. } = publish(&notice.task().into(), call(by), by, "notice", around);
    Follow { messages, ..Follow::default() }
}

fn group<'a>(tasks: impl IntoIterator<Item = &'a Signature>) -> Signature {
    let tasks: Vec<Value> = tasks.into_iter().map(Signature::to_value).collect();
    Signature {
        task: "celery.group".to_owned(),
        kwargs: Map::from_iter([("tasks".to_owned(), json!(tasks))]),
        subtask_type: Some("group".to_owned()),
        ..Signature::default()
    }
}

/// Turns a signature into messages; one that cannot be published fails, and what would have
/// followed it.
fn publish(
    signature: &Signature,
    call: Call,
    by: &Lineage,
    place: &str,
    around: Circumstances<'_>,
) -> Follow {
    let limit = around.max_canvas_bytes;
    let weight = canvas::weight(signature) + call.chain.iter().map(canvas::weight).sum::<usize>();
    if weight > limit {
        let all = std::iter::once(signature).chain(&call.chain);
        return refused(all, &CanvasError::TooLarge { limit }, by, place, around);
    }
    let rest = call.chain.clone();
    let n_ids = Cell::new(0_u32);
    let fresh_id = || {
        n_ids.set(n_ids.get() + 1);
        let name = format!("{} {place} {}", by.seed, n_ids.get());
        Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
    };
    let publisher = Publisher {
        celery: around.celery,
        now: around.now,
        reply_to: around.reply_to,
        origin: around.origin,
        fresh_id: &fresh_id,
        max_bytes: limit,
    };
    let unrolled = canvas::unroll(signature.clone(), call, publisher)
        .and_then(|unrolled| encode(unrolled, around.max_message_bytes, by.trace.as_deref()));
    unrolled.unwrap_or_else(|error| {
        refused(std::iter::once(signature).chain(&rest), &error, by, place, around)
    })
}

/// Encodes the messages; none of them may be larger than what a worker takes.
fn encode(
    unrolled: canvas::Unrolled,
    max: usize,
    trace: Option<&Carrier>,
) -> Result<Follow, CanvasError> {
    let follow = encoded(unrolled, trace);
    match follow.messages.iter().map(|outgoing| outgoing.message.len()).max() {
        Some(size) if size > max => Err(CanvasError::Message { size, max }),
        _ => Ok(follow),
    }
}

fn encoded(unrolled: canvas::Unrolled, trace: Option<&Carrier>) -> Follow {
    let encode = |canvas::Outgoing { queue, mut envelope }| {
        drop(traced(&mut envelope, &queue, trace));
        let priority = envelope.properties.priority;
        Outgoing { queue, priority, message: envelope.encode() }
    };
    Follow {
        saved: unrolled.saved,
        chord_sizes: unrolled.chord_sizes,
        messages: unrolled.messages.into_iter().map(encode).collect(),
        children: unrolled.children.iter().map(ResultTree::to_value).collect(),
        ..Follow::default()
    }
}

/// The part of a chord that a message's own task is, if it is one.
fn own_part(received: &Received, state: &State, value: &Value, by: Lineage) -> Option<PartReturn> {
    let id = &received.envelope.headers.id;
    part(received, by, || member(id, state, value))
}

/// The same where its entry of the chord's collection was made already.
pub(crate) fn made_part(
    received: &Received,
    member: Vec<u8>,
    celery: &CeleryConfig,
) -> Option<PartReturn> {
    part(received, Lineage::of(received, celery), || member)
}

fn part(received: &Received, by: Lineage, member: impl FnOnce() -> Vec<u8>) -> Option<PartReturn> {
    let body = received.body().ok()?.embed.chord.clone()?;
    let headers = &received.envelope.headers;
    Some(PartReturn {
        task_id: headers.id.clone(),
        group: headers.group.clone()?,
        index: headers.group_index,
        member: member(),
        body,
        by,
    })
}

/// An entry of a chord's collection.
fn member(id: &str, state: &State, value: &Value) -> Vec<u8> {
    ChordPart { task_id: id.to_owned(), state: state.clone(), result: value.clone() }.encode()
}
