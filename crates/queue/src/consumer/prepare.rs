//! Plans a claim's end, and writes what has to stand before it: letters, what follows on other queues, parts of chords.
//!
//! Dying in between leaves the claim: the message comes again, and each of these writes replaces itself or counts once;
//! what was published to another queue is published a second time, under the same ids.

use std::{sync::Arc, time::Duration};

use rhubarb_connection::Backoff;
use uuid::Uuid;

use super::{Shared, chord};
use crate::{
    Error,
    canvas::ResultTree,
    client::declare,
    delivery::{ClaimId, Message, Settlement},
    error::redis,
    follow::{Follow, Outgoing},
    keys::QueueKeys,
    letter,
    outcome::Outcome,
    plan::{Circumstances, Plan, plan},
    record::Stored,
};

/// The most messages that follow one claim inside its settling script; more are published before it.
const FOLLOWERS: usize = 100;
/// The most bytes of them.
const FOLLOWERS_BYTES: usize = 4 << 20;
/// How many messages or results one pipeline writes.
const CHUNK: usize = 500;
/// How many bytes of messages one pipeline writes; a message larger than this goes alone.
const CHUNK_BYTES: usize = 8 << 20;

/// Tells whether a settlement is planned in no time and needs no look at a body.
pub(super) fn is_light(settlement: &Settlement) -> bool {
    match (&settlement.outcome, &settlement.message) {
        (
            Outcome::HandBack | Outcome::Leave | Outcome::NotDue { .. } | Outcome::PutOff { .. },
            _,
        ) => true,
        (Outcome::Success(_) | Outcome::Failure { .. } | Outcome::Retry { .. }, message) => {
            matches!(message, Message::Read(received) if received.ends_alone())
        }
        _ => false,
    }
}

/// Decides what ends a claim.
pub(super) fn decide(shared: &Shared, claim: ClaimId, outcome: Outcome, message: &Message) -> Plan {
    let tag = Uuid::new_v4().to_string();
    plan(outcome, message, around(shared, claim.queue, &tag))
}

/// What plans are made under.
pub(super) fn around<'a>(shared: &'a Shared, queue: usize, tag: &'a str) -> Circumstances<'a> {
    Circumstances {
        now: shared.now(),
        queue: &shared.queues[queue].name,
        worker: &shared.node,
        celery: shared.client.celery(),
        max_message_bytes: shared.config.max_message_bytes,
        max_result_bytes: shared.config.max_result_bytes,
        forward_to: shared.forward_to(),
        tag,
        reply_to: &shared.client.reply_to,
        origin: &shared.client.origin,
    }
}

/// Tells whether the settling script alone can carry a plan out.
pub(super) fn is_ready(shared: &Shared, claim: ClaimId, plan: &Plan) -> bool {
    let follow = &plan.follow;
    plan.letter.is_none()
        && plan.forward.is_none()
        && (plan.result.is_none() || shared.results_here)
        && (follow.saved.is_empty() && follow.chord_sizes.is_empty())
        && (follow.results.is_empty() && follow.returns.is_empty())
        && fits(&shared.queues[claim.queue], &follow.messages)
}

/// Tells whether messages can go with the settling script of this queue.
fn fits(queue: &QueueKeys, messages: &[Outgoing]) -> bool {
    let bytes: usize = messages.iter().map(|outgoing| outgoing.message.len()).sum();
    messages.len() <= FOLLOWERS
        && bytes <= FOLLOWERS_BYTES
        && messages.iter().all(|outgoing| outgoing.queue == queue.name)
}

/// Writes all of a plan that the settling script cannot, trying for ever; what is left of it is for the script.
pub(super) async fn prepare(shared: &Shared, claim: ClaimId, plan: &mut Plan, message: &Message) {
    let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
    while let Err(error) = prepare_once(shared, claim, plan, message).await {
        if !error.is_unreachable() {
            let cause = super::settle::source(&error);
            tracing::warn!(%error, cause, claim = claim.number, "ending a claim failed, trying again");
        }
        backoff.sleep().await;
    }
}

/// Goes through the plan in order and takes out of it what is written.
async fn prepare_once(
    shared: &Shared,
    claim: ClaimId,
    plan: &mut Plan,
    message: &Message,
) -> Result<(), Error> {
    if let Some(letter) = &plan.letter {
        letter::keep(&shared.queue, letter).await?;
        tracing::warn!(
            id = letter.id, task = letter.task, queue = letter.queue, kind = ?letter.kind,
            reason = letter.reason, "message kept apart"
        );
        plan.letter = None;
    }
    if let (Some(queue), Message::Read(received)) = (&plan.forward, message) {
        let envelope = &received.envelope;
        let (priority, message) = (envelope.properties.priority, envelope.encode());
        let outgoing = Outgoing { queue: queue.clone(), priority, message };
        send(shared, &mut vec![outgoing]).await?;
        plan.forward = None;
    }
    write_groups(shared, &mut plan.follow).await?;
    if !fits(&shared.queues[claim.queue], &plan.follow.messages) {
        send(shared, &mut plan.follow.messages).await?;
    }
    store_all(shared, &mut plan.follow.results).await?;
    let mut own = plan.result.take();
    let returned = chord::return_parts(shared, claim, &mut own, &mut plan.follow.returns).await;
    // Without parts, the result is still to be stored; with them it was stored with the first.
    plan.result = own;
    returned?;
    if let Some(result) = plan.result.as_ref().filter(|_| !shared.results_here) {
        shared.client.store_final(result).await?;
        plan.result = None;
    }
    Ok(())
}

/// Writes all that follows, when there is no settling script to go with.
pub(super) async fn carry_out(shared: &Shared, follow: &mut Follow) -> Result<(), Error> {
    write_groups(shared, follow).await?;
    send(shared, &mut follow.messages).await?;
    store_all(shared, &mut follow.results).await
}

/// Stores nested groups and the sizes of chords, as has to be before their members are sent.
///
/// A chord that is published again under the same id starts anew: who published its body before is forgotten (Celery
/// 5.7's order: `.c` goes first).
pub(super) async fn write_groups(shared: &Shared, follow: &mut Follow) -> Result<(), Error> {
    if follow.saved.is_empty() && follow.chord_sizes.is_empty() {
        return Ok(());
    }
    let (client, ttl) = (&shared.client, shared.result_expires.as_secs().max(1));
    let mut pipeline = ::redis::pipe();
    for tree in &follow.saved {
        pipeline.cmd("SET").arg(client.group_key(&tree.id, "")).arg(saved(tree));
        pipeline.arg("EX").arg(ttl).ignore();
    }
    for (group, size) in &follow.chord_sizes {
        pipeline.cmd("DEL").arg(client.group_key(group, ".c")).ignore();
        pipeline.cmd("SET").arg(client.group_key(group, ".s")).arg(size);
        pipeline.arg("EX").arg(ttl).ignore();
    }
    let _: ::redis::Value =
        client.results.pipe(&pipeline).await.map_err(redis("store the sizes of chords"))?;
    follow.saved.clear();
    follow.chord_sizes.clear();
    Ok(())
}

fn saved(tree: &ResultTree) -> String {
    serde_json::json!({"result": tree.as_tuple()}).to_string()
}

/// Publishes messages in their order, in bounded pipelines; those that were sent are taken out.
pub(super) async fn send(shared: &Shared, messages: &mut Vec<Outgoing>) -> Result<(), Error> {
    while !messages.is_empty() {
        let n = chunk(messages.iter().map(|outgoing| outgoing.message.len()));
        let mut pipeline = ::redis::pipe();
        let mut declared = "";
        for Outgoing { queue, priority, message } in &messages[..n] {
            if declared != queue && !shared.queues.iter().any(|known| known.name == *queue) {
                declare(&mut pipeline, queue, shared.client.celery());
                declared = queue;
            }
            let keys = QueueKeys::new(queue, shared.client.celery());
            pipeline.cmd("LPUSH").arg(keys.list_for(*priority)).arg(message).ignore();
        }
        let _: ::redis::Value =
            shared.queue.pipe(&pipeline).await.map_err(redis("publish what follows a task"))?;
        messages.drain(..n);
    }
    Ok(())
}

/// Stores final states, in bounded pipelines; those that were stored are taken out.
async fn store_all(shared: &Shared, results: &mut Vec<Stored>) -> Result<(), Error> {
    // A failure of a long chain is stored under each of its steps: many at once, each by the script that knows when
    // to leave what stands.
    while !results.is_empty() {
        let n = chunk(results.iter().map(|stored| stored.bytes.len()));
        let stores = results[..n].iter().map(|stored| shared.client.store_final(stored));
        futures_util::future::try_join_all(stores).await?;
        results.drain(..n);
    }
    Ok(())
}

/// How many of these sizes go into one pipeline.
fn chunk(sizes: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    let fitting = sizes.take(CHUNK).take_while(|size| {
        bytes += size;
        bytes <= CHUNK_BYTES
    });
    fitting.count().max(1)
}

/// Plans and prepares; the rest of the plan is for the settling script.
pub(super) async fn plan_and_prepare(shared: Arc<Shared>, settlement: Settlement) -> Plan {
    let Settlement { claim, message, outcome, .. } = settlement;
    let mut plan = decide(&shared, claim, outcome, &message);
    if !is_ready(&shared, claim, &plan) {
        prepare(&shared, claim, &mut plan, &message).await;
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipelines_are_bounded_by_count_and_by_bytes() {
        assert_eq!(chunk(std::iter::repeat_n(10, 2000)), CHUNK);
        assert_eq!(chunk(std::iter::repeat_n(3 << 20, 10)), 2);
        assert_eq!(chunk(std::iter::once(100 << 20)), 1);
    }
}
