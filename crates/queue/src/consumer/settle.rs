//! Ends claims: many in one script, a lone one at once.

use std::{sync::Arc, time::Duration};

use rhubarb_connection::Backoff;
use rhubarb_wire::TaskResult;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Counters, Shared};
use crate::{
    Error,
    delivery::{ClaimId, Settlement},
    error::redis,
    keys::QueueKeys,
    letter,
    outcome::Outcome,
    plan::{Act, Circumstances, Plan, plan},
    script,
};

/// The most claims that one script ends.
const BATCH: usize = 100;

/// How long messages that go back wait for each other.
const GATHER: Duration = Duration::from_millis(10);

/// An end that only the settling script has still to write.
struct Ready {
    claim: ClaimId,
    plan: Plan,
    /// Whether an earlier try of it may have been carried out, so that "late" proves nothing.
    tried: bool,
}

/// Ends claims until `stop` fires and nothing is left in the channel.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut settlements: mpsc::UnboundedReceiver<Settlement>,
    stop: CancellationToken,
) {
    let (ready_tx, mut ready_rx) = mpsc::unbounded_channel();
    // What needs other keys first (a letter, a result elsewhere) is prepared aside, so that it holds up nobody.
    let mut preparing = JoinSet::new();
    let mut batch: Vec<Ready> = Vec::new();
    loop {
        tokio::select! {
            biased;
            Some(settlement) = settlements.recv() => {
                accept(&shared, settlement, &mut batch, &mut preparing, &ready_tx);
            }
            Some(ready) = ready_rx.recv() => batch.push(ready),
            () = stop.cancelled() => return,
        }
        if batch.iter().any(|ready| ready.plan.act == Act::Back) {
            // A stopping worker's messages come back together, and their order is kept within one script.
            tokio::time::sleep(GATHER).await;
        }
        while batch.len() < BATCH {
            if let Ok(settlement) = settlements.try_recv() {
                accept(&shared, settlement, &mut batch, &mut preparing, &ready_tx);
            } else if let Ok(ready) = ready_rx.try_recv() {
                batch.push(ready);
            } else {
                break;
            }
        }
        while preparing.try_join_next().is_some() {}
        settle_all(&shared, std::mem::take(&mut batch), &stop).await;
    }
}

fn accept(
    shared: &Arc<Shared>,
    settlement: Settlement,
    batch: &mut Vec<Ready>,
    preparing: &mut JoinSet<()>,
    ready: &mpsc::UnboundedSender<Ready>,
) {
    let Settlement { claim, message, outcome, .. } = settlement;
    count(&shared.counters, &outcome);
    let tag = Uuid::new_v4().to_string();
    let around = Circumstances {
        now: shared.now(),
        queue: &shared.queues[claim.queue].name,
        worker: &shared.node,
        max_result_bytes: shared.config.max_result_bytes,
        forward_to: shared.forward_to(),
        tag: &tag,
    };
    let plan = plan(outcome, &message, around);
    let result_elsewhere = plan.result.is_some() && !shared.results_here;
    if plan.letter.is_none() && plan.forward.is_none() && !result_elsewhere {
        batch.push(Ready { claim, plan, tried: false });
        return;
    }
    let (shared, ready) = (shared.clone(), ready.clone());
    preparing.spawn(async move {
        let plan = prepare(&shared, claim, plan, &message).await;
        let _ = ready.send(Ready { claim, plan, tried: false });
    });
}

fn count(counters: &Counters, outcome: &Outcome) {
    match outcome {
        Outcome::Dead { .. } => Counters::add(&counters.dead),
        Outcome::Unknown => Counters::add(&counters.parked),
        _ => {}
    }
}

/// Writes what has to stand before the claim ends, trying for ever.
///
/// Dying in between leaves the claim: the message comes again, and each of these writes replaces itself (a
/// forwarded message may then run twice).
async fn prepare(
    shared: &Shared,
    claim: ClaimId,
    mut plan: Plan,
    message: &crate::delivery::Message,
) -> Plan {
    let mut backoff = Backoff::default();
    while let Err(error) = prepare_once(shared, &plan, message).await {
        if !error.is_logged() {
            let cause = source(&error);
            tracing::warn!(%error, cause, claim = claim.number, "ending a claim failed, trying again");
        }
        backoff.sleep().await;
    }
    if let Some(letter) = plan.letter.take() {
        tracing::warn!(
            id = letter.id, task = letter.task, queue = letter.queue, kind = ?letter.kind,
            reason = letter.reason, "message kept apart"
        );
    }
    if !shared.results_here {
        plan.result = None;
    }
    plan
}

async fn prepare_once(
    shared: &Shared,
    plan: &Plan,
    message: &crate::delivery::Message,
) -> Result<(), Error> {
    if let Some(letter) = &plan.letter {
        letter::keep(&shared.queue, letter).await?;
    }
    if let (Some(queue), crate::delivery::Message::Read(received)) = (&plan.forward, message) {
        let envelope = &received.envelope;
        let keys = QueueKeys::new(queue, shared.client.celery());
        let list = keys.list_for(envelope.properties.priority);
        let mut push = ::redis::cmd("LPUSH");
        push.arg(list).arg(envelope.encode());
        let _: u64 = shared.queue.query(&push).await.map_err(redis(format!(
            "forward task `{}` to queue `{queue}`",
            envelope.headers.task
        )))?;
    }
    if let (Some(result), false) = (&plan.result, shared.results_here) {
        shared.client.store_final(result).await?;
    }
    Ok(())
}

fn source(error: &Error) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

async fn settle_all(shared: &Shared, mut batch: Vec<Ready>, stop: &CancellationToken) {
    // The youngest claim first: what goes back is pushed to the consumer's end, so that the oldest is next.
    batch.sort_by_key(|ready| (ready.claim.queue, std::cmp::Reverse(ready.claim.number)));
    while !batch.is_empty() {
        let queue = batch[0].claim.queue;
        let n = batch.iter().take_while(|ready| ready.claim.queue == queue).take(BATCH).count();
        let rest = batch.split_off(n);
        settle_queue(shared, queue, &mut batch, stop).await;
        batch = rest;
    }
}

/// Ends claims of one queue, trying until Redis has answered.
async fn settle_queue(
    shared: &Shared,
    queue: usize,
    batch: &mut [Ready],
    stop: &CancellationToken,
) {
    let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
    loop {
        match settle_once(shared, &shared.queues[queue], batch).await {
            Ok(answers) => return conclude(shared, batch, &answers),
            Err(error) => {
                if !error.is_logged() {
                    let cause = source(&error);
                    tracing::warn!(%error, cause, "acknowledging failed, trying again");
                }
                batch.iter_mut().for_each(|ready| ready.tried = true);
                tokio::select! {
                    () = backoff.sleep() => {}
                    // Our lease ends by itself; the others give these messages back.
                    () = stop.cancelled() => return,
                }
            }
        }
    }
}

fn conclude(shared: &Shared, batch: &[Ready], answers: &[u8]) {
    for (ready, answer) in batch.iter().zip(answers) {
        shared.let_go(ready.claim);
        if *answer == 0 && !ready.tried {
            Counters::add(&shared.counters.late);
            tracing::warn!(
                queue = shared.queues[ready.claim.queue].name,
                claim = ready.claim.number,
                "a late acknowledgement changed nothing: our lease had ended and the message went back"
            );
        } else if ready.plan.is_final {
            Counters::add(&shared.counters.processed);
        }
    }
}

async fn settle_once(
    shared: &Shared,
    queue: &QueueKeys,
    batch: &[Ready],
) -> Result<Vec<u8>, Error> {
    let mut keys =
        vec![queue.claims(&shared.id), queue.scheduled.clone(), queue.deliveries.clone()];
    keys.extend(queue.lists.iter().cloned());
    let mut args =
        vec![queue.lists.len().to_string().into_bytes(), batch.len().to_string().into_bytes()];
    for ready in batch {
        push_item(shared, ready, &mut keys, &mut args);
    }
    shared.queue.eval(&script::SETTLE, &keys, &args, &[]).await.map_err(redis(format!(
        "end {} claims on queue `{}`",
        batch.len(),
        queue.name
    )))
}

/// Adds one item's eight values, and its result's key.
fn push_item(shared: &Shared, ready: &Ready, keys: &mut Vec<String>, args: &mut Vec<Vec<u8>>) {
    let text = |value: &str| value.as_bytes().to_vec();
    let (what, at, message) = match &ready.plan.act {
        Act::Done => ("done", String::new(), Vec::new()),
        Act::Back => ("back", String::new(), Vec::new()),
        Act::Schedule { at, message } => {
            ("schedule", at.as_millisecond().to_string(), message.clone().unwrap_or_default())
        }
    };
    let key = ready.plan.result.as_ref().map_or(0, |result| {
        keys.push(shared.client.result_key(&result.task_id));
        keys.len()
    });
    args.push(text(&ready.claim.number.to_string()));
    args.push(text(what));
    args.push(text(&key.to_string()));
    args.push(text(&shared.result_expires.as_secs().max(1).to_string()));
    args.push(ready.plan.result.as_ref().map(TaskResult::encode).unwrap_or_default());
    args.push(text(&at));
    args.push(message);
    args.push(text("0"));
}
