//! Ends claims: many in one script, a lone one at once.

use std::{sync::Arc, time::Duration};

use rhubarb_connection::Backoff;
use rhubarb_queue::{Error, error::redis, keys::QueueKeys};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Counters,
    delivery::{ClaimId, Settlement},
    ended::Ended,
    outcome::Outcome,
    plan::{Act, Plan},
    prepare, script,
    settler::{Settler, source},
};

/// The most claims that one script ends.
const BATCH: usize = 100;

/// The most messages that follow the claims of one script.
const FOLLOWERS: usize = 500;

/// About how many bytes one script is given; a claim with more goes alone.
const BYTES: usize = 16 << 20;

/// How long messages that go back wait for each other.
const GATHER: Duration = Duration::from_millis(10);

/// An end that only the settling script has still to write.
struct Ready {
    claim: ClaimId,
    plan: Plan,
    /// Who is told when it is done.
    ended: Option<Ended>,
    /// Whether an earlier try of it may have been carried out, so that "late" proves nothing.
    tried: bool,
    /// Given back when all that was planned is written.
    _turn: Option<OwnedSemaphorePermit>,
}

impl Ready {
    /// Tells whether it is done with nothing that follows.
    fn is_simple(&self) -> bool {
        self.plan.act == Act::Done && self.plan.follow.messages.is_empty()
    }
}

/// Ends claims until `stop` fires and nothing is left in the channel.
pub(super) async fn run(
    settler: Settler,
    mut settlements: mpsc::UnboundedReceiver<Settlement>,
    stop: CancellationToken,
) {
    let settler = Arc::new(settler);
    let (ready_tx, mut ready_rx) = mpsc::unbounded_channel();
    // What needs a look at a body, or other keys first (a letter, a result elsewhere, a part of a
    // chord), is prepared aside, so that it holds up nobody.
    let mut preparing = JoinSet::new();
    let mut batch: Vec<Ready> = Vec::new();
    loop {
        tokio::select! {
            biased;
            Some(settlement) = settlements.recv() => {
                accept(&settler, settlement, &mut batch, &mut preparing, &ready_tx);
            }
            Some(ready) = ready_rx.recv() => batch.push(ready),
            () = stop.cancelled() => return,
        }
        if batch.iter().any(|ready| ready.plan.act == Act::Back) {
            // A stopping worker's messages come back together, and their order is kept within one
            // script.
            tokio::time::sleep(GATHER).await;
        }
        while batch.len() < BATCH {
            if let Ok(settlement) = settlements.try_recv() {
                accept(&settler, settlement, &mut batch, &mut preparing, &ready_tx);
            } else if let Ok(ready) = ready_rx.try_recv() {
                batch.push(ready);
            } else {
                break;
            }
        }
        while preparing.try_join_next().is_some() {}
        settle_all(&settler, std::mem::take(&mut batch), &stop).await;
    }
}

fn accept(
    settler: &Arc<Settler>,
    mut settlement: Settlement,
    batch: &mut Vec<Ready>,
    preparing: &mut JoinSet<()>,
    ready: &mpsc::UnboundedSender<Ready>,
) {
    count(&settler.counters, &settlement.ending.outcome);
    settler.chronicle.note(&settlement);
    let (claim, slot) = (settlement.claim, settlement.slot.take());
    let ended = settler.ends.are_wanted().then(|| Ended::of(&settlement, slot)).flatten();
    if prepare::is_light(&settlement) {
        let Settlement { ending, message, .. } = settlement;
        let may_fail = prepare::may_fail(&ending.outcome);
        let mut plan = prepare::decide(settler, claim, ending, &message);
        let fits = !may_fail || settler.room.takes(prepare::result_bytes(&plan));
        if fits && prepare::is_ready(settler, claim, &plan) {
            batch.push(Ready { claim, plan, ended, tried: false, _turn: None });
            return;
        }
        let (settler, ready) = (settler.clone(), ready.clone());
        preparing.spawn(async move {
            if !fits {
                plan = prepare::with_room(&settler, claim, plan, &message).await;
            }
            if !prepare::is_ready(&settler, claim, &plan) {
                prepare::prepare(&settler, claim, &mut plan, &message).await;
            }
            let _ = ready.send(Ready { claim, plan, ended, tried: false, _turn: None });
        });
        return;
    }
    let (settler, ready) = (settler.clone(), ready.clone());
    preparing.spawn(async move {
        let (plan, turn) = prepare::plan_and_prepare(settler, settlement).await;
        let _ = ready.send(Ready { claim, plan, ended, tried: false, _turn: turn });
    });
}

fn count(counters: &Counters, outcome: &Outcome) {
    match outcome {
        Outcome::Dead { .. } | Outcome::Rejected { requeue: false, .. } => {
            Counters::add(&counters.dead)
        }
        Outcome::Unknown => Counters::add(&counters.parked),
        _ => {}
    }
}

async fn settle_all(settler: &Settler, mut batch: Vec<Ready>, stop: &CancellationToken) {
    // The youngest claim first: what goes back is pushed to the consumer's end, so that the oldest
    // is next. By cached keys, because they are less to move than what they stand for.
    batch.sort_by_cached_key(|ready| {
        (ready.claim.queue, !ready.is_simple(), std::cmp::Reverse(ready.claim.number))
    });
    while !batch.is_empty() {
        let rest = batch.split_off(share(&batch));
        settle_queue(settler, batch[0].claim.queue, &mut batch, stop).await;
        batch = rest;
    }
}

/// How many of the first ones go into one script: of one queue, and not too much.
fn share(batch: &[Ready]) -> usize {
    let (mut followers, mut bytes) = (0, 0);
    let fits = |ready: &&Ready| {
        let plan = &ready.plan;
        followers += plan.follow.messages.len();
        bytes += plan.result.as_ref().map_or(0, |stored| stored.bytes.len());
        bytes += plan.follow.messages.iter().map(|one| one.message.len()).sum::<usize>();
        ready.claim.queue == batch[0].claim.queue && followers <= FOLLOWERS && bytes <= BYTES
    };
    batch.iter().take(BATCH).take_while(fits).count().max(1)
}

/// Ends claims of one queue, trying until Redis has answered.
async fn settle_queue(
    settler: &Settler,
    queue: usize,
    batch: &mut [Ready],
    stop: &CancellationToken,
) {
    let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
    loop {
        match settle_once(settler, &settler.broker.queues[queue], batch).await {
            Ok(late) => {
                Counters::add(&settler.counters.worked);
                return conclude(settler, batch, &late);
            }
            Err(error) => {
                if !error.is_logged() {
                    let cause = source(&error);
                    tracing::warn!(%error, cause, "acknowledging failed, trying again");
                }
                batch.iter_mut().for_each(|ready| ready.tried = true);
                tokio::select! {
                    () = settler.broker.wait_out(&error, &mut backoff) => {}
                    // Our lease ends by itself; the others give these messages back.
                    () = stop.cancelled() => return,
                }
            }
        }
    }
}

/// Lets go of claims that were ended; `late` are the places, from 1, of those that were no longer
/// ours.
fn conclude(settler: &Settler, batch: &mut [Ready], late: &[usize]) {
    for (ready, place) in batch.iter_mut().zip(1..) {
        let is_late = late.contains(&place) && !ready.tried;
        let of = if is_late { settler.held.task_of(ready.claim) } else { None };
        settler.held.let_go(ready.claim);
        if is_late {
            let Some((task, id)) = of else {
                let claim = ready.claim.number;
                tracing::debug!(claim, "a claim that had no message here had gone back already");
                continue;
            };
            Counters::add(&settler.counters.late);
            settler.chronicle.count("late", 1);
            tracing::warn!(
                task,
                id,
                queue = settler.broker.queues[ready.claim.queue].name,
                claim = ready.claim.number,
                "a late acknowledgement changed nothing: our lease had ended and the message went back"
            );
            continue;
        }
        if ready.plan.is_final {
            Counters::add(&settler.counters.processed);
        }
        if let Some(ended) = ready.ended.take() {
            settler.ends.tell(ended);
        }
    }
}

async fn settle_once(
    settler: &Settler,
    queue: &QueueKeys,
    batch: &[Ready],
) -> Result<Vec<usize>, Error> {
    let mut keys =
        vec![queue.claims(&settler.broker.id), queue.scheduled.clone(), queue.deliveries.clone()];
    keys.extend(queue.lists.iter().cloned());
    let results = batch.iter().filter_map(|ready| ready.plan.result.as_ref());
    keys.extend(results.map(|stored| settler.broker.client.result_key(&stored.task_id)));
    let (simple, others) = batch.split_at(batch.partition_point(Ready::is_simple));
    let ttl = settler.result_expires.as_secs().max(1);
    let mut args = vec![number(queue.lists.len()), ttl.to_string().into_bytes()];
    args.push(number(simple.len()));
    simple.iter().for_each(|ready| push_end(ready, &mut args));
    args.push(number(others.len()));
    others.iter().for_each(|ready| push_item(queue, ready, &mut args));
    settler.broker.queue.eval(&script::SETTLE, &keys, &args, &[]).await.map_err(redis(format!(
        "end {} claims on queue `{}`",
        batch.len(),
        queue.name
    )))
}

fn number(n: usize) -> Vec<u8> {
    n.to_string().into_bytes()
}

/// Adds a simple item's two values.
fn push_end(ready: &Ready, args: &mut Vec<Vec<u8>>) {
    args.push(ready.claim.number.to_string().into_bytes());
    args.push(ready.plan.result.as_ref().map(|stored| stored.bytes.clone()).unwrap_or_default());
}

/// Adds another item's seven values and its followers.
fn push_item(queue: &QueueKeys, ready: &Ready, args: &mut Vec<Vec<u8>>) {
    let plan = &ready.plan;
    let (what, at, message, list) = match &plan.act {
        Act::Done => ("done", String::new(), Vec::new(), 0),
        Act::Back => ("back", String::new(), Vec::new(), 0),
        Act::Leave => ("leave", String::new(), Vec::new(), 0),
        Act::Died(line) => ("died", String::new(), line.clone().into_bytes(), 0),
        Act::Schedule { at, message } => {
            let (message, list) = message.clone().unwrap_or_default();
            ("schedule", at.as_millisecond().to_string(), message, list.unwrap_or(0))
        }
    };
    push_end(ready, args);
    args.push(what.into());
    args.push(at.into_bytes());
    args.push(message);
    args.push(number(list));
    args.push(number(plan.follow.messages.len()));
    for outgoing in &plan.follow.messages {
        args.push(number(queue.list_number(outgoing.priority)));
        args.push(outgoing.message.clone());
    }
}
