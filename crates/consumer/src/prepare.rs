//! Plans a claim's end, and writes what has to stand before it: letters, what follows on other
//! queues, parts of chords.
//!
//! Dying in between leaves the claim: the message comes again, and each of these writes replaces
//! itself or counts once; what was published to another queue is published a second time, under the
//! same ids.

use std::{sync::Arc, time::Duration};

use rhubarb_connection::Backoff;
use rhubarb_queue::{Error, Outgoing, keys::QueueKeys, published};
use rhubarb_wire::Exception;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    chord,
    circumstances::Circumstances,
    delivery::{ClaimId, Message, Settlement},
    floods::Flood,
    outcome::{Ending, Outcome},
    plan::{Plan, plan},
    settler::Settler,
};

/// The most messages that follow one claim inside its settling script; more are published before
/// it.
const FOLLOWERS: usize = 100;
/// The most bytes of them.
const FOLLOWERS_BYTES: usize = 4 << 20;

/// How much memory a plan may take for what follows without waiting for its turn, bytes.
const SMALL: usize = 4 << 20;
/// From which size on messages are planned one after the other, bytes: each is copied a few times
/// on its way.
const LARGE_MESSAGE: usize = 1 << 20;

/// Tells whether a settlement is planned in no time and needs no look at a body.
pub(super) fn is_light(settlement: &Settlement) -> bool {
    match (&settlement.ending.outcome, &settlement.message) {
        (
            Outcome::HandBack
            | Outcome::Died { .. }
            | Outcome::Leave
            | Outcome::NotDue { .. }
            | Outcome::PutOff { .. },
            _,
        ) => true,
        (Outcome::Success(_) | Outcome::Retry { .. } | Outcome::Ignored, Message::Read(_))
            if settlement.ending.made.as_ref().is_some_and(|made| made.part.is_none()) =>
        {
            true
        }
        (Outcome::Success(_) | Outcome::Failure { .. } | Outcome::Retry { .. }, message) => {
            matches!(message, Message::Read(received) if received.ends_alone())
        }
        _ => false,
    }
}

/// Decides what ends a claim.
pub(super) fn decide(settler: &Settler, claim: ClaimId, ending: Ending, message: &Message) -> Plan {
    // Randomness is a system call: none for the many whose end sends nothing with a tag.
    let is_retry = matches!(ending.outcome, Outcome::Retry { .. });
    let tag = if is_retry { published::fresh_tag() } else { String::new() };
    plan(ending, message, Circumstances::of(&settler.broker, &settler.config, claim.queue, &tag))
}

/// The same where no more than a little memory is taken for what follows: [`Follow::too_large`]
/// tells that it does not do.
fn decide_small(settler: &Settler, claim: ClaimId, ending: Ending, message: &Message) -> Plan {
    let tag = published::fresh_tag();
    let around = Circumstances {
        max_canvas_bytes: SMALL,
        ..Circumstances::of(&settler.broker, &settler.config, claim.queue, &tag)
    };
    plan(ending, message, around)
}

/// Tells whether a task may fail, instead, for want of room for its result.
pub(super) fn may_fail(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Success(_) | Outcome::Failure { .. })
}

/// Returns how many bytes the result has that is to be stored.
pub(super) fn result_bytes(plan: &Plan) -> usize {
    plan.result.as_ref().map_or(0, |stored| stored.bytes.len())
}

/// Has a plan whose result finds no room be a failure that says so.
pub(super) async fn with_room(
    settler: &Settler,
    claim: ClaimId,
    plan: Plan,
    message: &Message,
) -> Plan {
    let bytes = result_bytes(&plan);
    match settler.room.ask(settler.broker.client.results(), bytes, size(message)).await {
        Ok(()) => plan,
        Err(reason) => {
            let exception = Exception::builtin("MemoryError", vec![reason.into()]);
            let failed = Outcome::Failure { exception, traceback: None };
            decide(settler, claim, failed.into(), message)
        }
    }
}

/// Tells whether the settling script alone can carry a plan out.
pub(super) fn is_ready(settler: &Settler, claim: ClaimId, plan: &Plan) -> bool {
    let follow = &plan.follow;
    plan.letter.is_none()
        && plan.forward.is_none()
        && (plan.result.is_none() || settler.results_here)
        && (follow.saved.is_empty() && follow.chord_sizes.is_empty())
        && (follow.results.is_empty() && follow.returns.is_empty())
        && fits(&settler.broker.queues[claim.queue], &follow.messages)
}

/// Tells whether messages can go with the settling script of this queue.
fn fits(queue: &QueueKeys, messages: &[Outgoing]) -> bool {
    let bytes: usize = messages.iter().map(|outgoing| outgoing.message.len()).sum();
    messages.len() <= FOLLOWERS
        && bytes <= FOLLOWERS_BYTES
        && messages.iter().all(|outgoing| outgoing.queue == queue.name)
}

/// Writes all of a plan that the settling script cannot, trying for ever; what is left of it is for
/// the script.
pub(super) async fn prepare(settler: &Settler, claim: ClaimId, plan: &mut Plan, message: &Message) {
    let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
    while let Err(error) = prepare_once(settler, claim, plan, message).await {
        if !error.is_logged() {
            let cause = crate::settler::source(&error);
            tracing::warn!(%error, cause, claim = claim.number, "ending a claim failed, trying again");
        }
        settler.broker.wait_out(&error, &mut backoff).await;
    }
}

/// Goes through the plan in order and takes out of it what is written.
async fn prepare_once(
    settler: &Settler,
    claim: ClaimId,
    plan: &mut Plan,
    message: &Message,
) -> Result<(), Error> {
    if let Some(letter) = &plan.letter {
        settler.letters().keep(letter).await?;
        let flood = Flood::new(letter.kind.into(), letter.task.as_deref(), Some(&letter.reason));
        if settler.floods.note(flood, 1) {
            tracing::warn!(
                id = letter.id, task = letter.task, queue = letter.queue, kind = ?letter.kind,
                reason = letter.reason, "message kept apart"
            );
        }
        plan.letter = None;
    }
    if let (Some(queue), Message::Read(received)) = (&plan.forward, message) {
        let envelope = &received.envelope;
        let (priority, message) = (envelope.properties.priority, envelope.encode());
        let outgoing = Outgoing { queue: queue.clone(), priority, message };
        settler.broker.client.send_encoded(&mut vec![outgoing]).await?;
        plan.forward = None;
    }
    plan.follow.write_groups(&settler.broker.client).await?;
    if !fits(&settler.broker.queues[claim.queue], &plan.follow.messages) {
        settler.broker.client.send_encoded(&mut plan.follow.messages).await?;
    }
    settler.broker.client.store_all(&mut plan.follow.results).await?;
    let mut own = plan.result.take();
    let returned = chord::return_parts(settler, claim, &mut own, &mut plan.follow.returns).await;
    // Without parts, the result is still to be stored; with them it was stored with the first.
    plan.result = own;
    returned?;
    if let Some(result) = plan.result.as_ref().filter(|_| !settler.results_here) {
        settler.broker.client.store_final(result).await?;
        plan.result = None;
    }
    Ok(())
}

/// Plans and prepares; the rest of the plan is for the settling script, and until then what makes
/// large plans wait for each other.
pub(super) async fn plan_and_prepare(
    settler: Arc<Settler>,
    settlement: Settlement,
) -> (Plan, Option<OwnedSemaphorePermit>) {
    let Settlement { claim, message, ending, .. } = settlement;
    let mut turn =
        if size(&message) > LARGE_MESSAGE { settler.large_plans.turn().await } else { None };
    let may_fail = may_fail(&ending.outcome);
    let mut plan = decide_small(&settler, claim, ending.clone(), &message);
    if plan.follow.too_large {
        if turn.is_none() {
            turn = settler.large_plans.turn().await;
        }
        plan = decide(&settler, claim, ending, &message);
    }
    if may_fail && !settler.room.takes(result_bytes(&plan)) {
        plan = with_room(&settler, claim, plan, &message).await;
    }
    if !is_ready(&settler, claim, &plan) {
        prepare(&settler, claim, &mut plan, &message).await;
    }
    (plan, turn)
}

/// How many bytes of a message are in our hands.
fn size(message: &Message) -> usize {
    match message {
        Message::Read(received) => received.envelope.body_len(),
        Message::Raw(raw) => raw.bytes.len(),
    }
}
