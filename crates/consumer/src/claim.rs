//! Takes messages for free slots, never more; sleeps until the server says that something changed.

mod answer;
mod blocked;
mod call;
mod dispatch;
mod pick;
mod read;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use rhubarb_connection::{Backoff, Invalidation};
use rhubarb_core::clock;
use rhubarb_queue::{Error, config::WorkerConfig, error::redis, keys::QueueKeys, revocations};
use tokio::{
    sync::{OwnedSemaphorePermit, broadcast},
    time::Instant,
};

pub(super) use self::{
    answer::Answer,
    call::{Caller, arguments, keys},
    dispatch::Dispatcher,
};

use self::{
    answer::Claimed,
    blocked::Blocked,
    pick::{Passing, pick},
};
use crate::{
    Counters,
    broadcasts::Broadcasts,
    broker::Broker,
    delivery::{ClaimId, Settlement},
    handout, script,
    signals::Signals,
};

/// The most messages that one script takes.
const BATCH: usize = 100;
/// How often queues are looked at when the server cannot wake us.
const POLL_WITHOUT_TRACKING: Duration = Duration::from_millis(100);

/// Claims until draining begins.
pub(super) async fn run(
    caller: Caller,
    dispatcher: Dispatcher,
    broadcasts: Arc<Broadcasts>,
    counters: Arc<Counters>,
) {
    let mut claimer = Claimer {
        changes: caller.broker.queue.changes(),
        reconcile_at: Instant::now() + caller.config.lease,
        broker: caller.broker.clone(),
        config: caller.config.clone(),
        signals: dispatcher.signals.clone(),
        caller,
        dispatcher,
        broadcasts,
        counters,
        next_queue: 0,
        number: 1,
        obeyed: None,
        passing: BTreeMap::new(),
        declared: false,
        measured: None,
        blocked: None,
    };
    claimer.declare().await;
    claimer.run().await;
}

struct Claimer {
    broker: Arc<Broker>,
    config: Arc<WorkerConfig>,
    signals: Arc<Signals>,
    caller: Caller,
    dispatcher: Dispatcher,
    /// What was published to all workers and waits for a slot.
    broadcasts: Arc<Broadcasts>,
    counters: Arc<Counters>,
    changes: broadcast::Receiver<Invalidation>,
    next_queue: usize,
    number: u64,
    reconcile_at: Instant,
    /// The connection since whose making no revocation was missed.
    obeyed: Option<u64>,
    /// By queue: how it is looked through past what others run.
    passing: BTreeMap<usize, Passing>,
    /// Whether the queues are declared.
    declared: bool,
    /// The connection on which it was asked how much the server hands out at once.
    measured: Option<u64>,
    /// A queue that a key of another type keeps from being claimed from.
    blocked: Option<Blocked>,
}

/// What one look at the queues brought.
struct Round {
    claimed: Vec<(usize, Claimed)>,
    now: Timestamp,
    /// When to look again at the latest; `None` at once.
    again: Option<Option<Timestamp>>,
    /// The queues that were looked at.
    looked: Vec<usize>,
    /// When to look at those that it was too early for.
    too_early: Option<Instant>,
}

impl Round {
    fn new() -> Self {
        Self {
            claimed: Vec::new(),
            now: clock::now(),
            again: Some(None),
            looked: Vec::new(),
            too_early: None,
        }
    }
}

impl Claimer {
    /// Declares the queues as Celery's workers do.
    ///
    /// A server that is out of memory refuses it; claiming, which frees some, goes on without.
    async fn declare(&mut self) {
        let mut backoff = Backoff::default();
        let mut pipeline = ::redis::pipe();
        for queue in self.broker.queues.iter() {
            rhubarb_queue::client::declare(&mut pipeline, &queue.name, self.broker.client.celery());
        }
        loop {
            let declared = self.broker.queue.pipe::<::redis::Value>(&pipeline).await;
            let Err(error) = declared.map_err(redis("declare the queues")) else { break };
            if error.is_out_of_memory() {
                tracing::debug!(%error, "the queues are declared later");
                return;
            }
            tracing::debug!(%error, "declaring the queues failed");
            if self.pause(&error, &mut backoff).await {
                return;
            }
        }
        self.declared = true;
    }

    async fn run(&mut self) {
        let mut backoff = Backoff::default();
        tokio::select! {
            () = self.signals.draining.cancelled() => {}
            () = self.signals.mingled.cancelled() => {}
        }
        while let Some(slots) = self.free_slots().await {
            self.counters.turn();
            // Whatever has changed up to now is covered by the look that follows.
            let reconnected = self.drain_changes();
            if reconnected || Instant::now() >= self.reconcile_at {
                if !self.declared {
                    self.declare().await;
                }
                self.reconcile().await;
                if !self.signals.hears.load(Ordering::SeqCst) {
                    self.obeyed = None;
                }
            }
            match self.round(slots.num_permits()).await {
                Ok(mut round) => {
                    Counters::add(&self.counters.rounds);
                    backoff.reset();
                    let (again, too_early) = (round.again, round.too_early);
                    let looked = std::mem::take(&mut round.looked);
                    self.tell_unblocked(&looked);
                    if !round.claimed.is_empty()
                        && let Err(error) = self.obey().await
                    {
                        // They are looked at once more when they begin.
                        tracing::debug!(%error, "the revocations were not read");
                    }
                    let ours = self.dispatcher.dispatch(round, slots).await;
                    self.space_out(&looked, &ours);
                    if let Some(due) = again {
                        self.sleep_until_change(due, too_early).await;
                    }
                }
                Err(error) => {
                    drop(slots);
                    let mut told = error.is_logged();
                    if error.wrong_type().is_some() {
                        // The key is at fault, not the connection.
                        Counters::add(&self.counters.rounds);
                        told |= self.tell_blocked(&error).await;
                    }
                    // The connection has said what it can say once; anything else is news.
                    if !told {
                        let cause = crate::settler::source(&error);
                        tracing::warn!(%error, cause, "claiming failed, trying again");
                    }
                    self.reconcile_at = Instant::now();
                    self.pause(&error, &mut backoff).await;
                }
            }
        }
    }

    /// Waits for a free slot and takes all that are free; `None` when draining.
    async fn free_slots(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            () = self.signals.draining.cancelled() => None,
            slots = self.dispatcher.slots.take(BATCH) => slots,
        }
    }

    /// Reads the revocations that stand in Redis, if some may have been missed: broadcasts are,
    /// between a connection's loss and the next one's making.
    async fn obey(&mut self) -> Result<(), Error> {
        let connection = self.broker.queue.connection_number();
        if connection.is_none() || connection != self.obeyed {
            let found = revocations::load(&self.broker.client).await?;
            self.dispatcher.revoked.add(found, self.broker.now());
            self.obeyed = connection;
        }
        Ok(())
    }

    /// Looks at each queue once, beginning with the one after the last that was begun with.
    async fn round(&mut self, n: usize) -> Result<Round, Error> {
        self.obey().await?;
        self.measure().await?;
        let queues = self.broker.queues.active();
        let n_queues = queues.len();
        let mut round = self.heard(n).await?;
        let first = self.next_queue % n_queues.max(1);
        self.next_queue = first + 1;
        for idx in (0..n_queues).map(|i| queues[(first + i) % n_queues]) {
            let left = n - round.claimed.len();
            if left == 0 {
                round.again = None;
                break;
            }
            if let Some(at) = self.passing.get(&idx).and_then(Passing::too_early) {
                round.too_early = Some(round.too_early.map_or(at, |other| other.min(at)));
                continue;
            }
            round.looked.push(idx);
            match self.claim(idx, left).await {
                Ok(answer) => answer.merge_into(idx, &mut round),
                // What the queues before gave is ours and has to run.
                Err(error) if !round.claimed.is_empty() => {
                    tracing::debug!(%error, "claiming stopped half-way");
                    round.again = None;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(round)
    }

    /// Takes up to `n` of those that were published to all workers.
    async fn heard(&mut self, n: usize) -> Result<Round, Error> {
        let (mut round, mut paused) = (Round::new(), Vec::new());
        let mut failed = None;
        while round.claimed.len() < n
            && failed.is_none()
            && let Some((idx, message)) = self.broadcasts.take()
        {
            match self.record(idx, &message).await {
                Ok(Some((now, number))) => {
                    let max = self.config.max_message_bytes;
                    round.now = now;
                    round.claimed.push((idx, Claimed::heard(number, message, max)));
                }
                Ok(None) => paused.push((idx, message)),
                Err(error) => {
                    // What is perhaps recorded comes back by reconciling.
                    if !error.is_lost() {
                        paused.push((idx, message));
                    }
                    failed = Some(error);
                }
            }
        }
        for (idx, message) in paused.into_iter().rev() {
            self.broadcasts.put_back(idx, message);
        }
        match failed {
            Some(error) if round.claimed.is_empty() => Err(error),
            _ => Ok(round),
        }
    }

    /// Records a message that we have heard as claimed by us; tells when, and its number, unless
    /// the queue is paused.
    async fn record(
        &mut self,
        idx: usize,
        message: &[u8],
    ) -> Result<Option<(Timestamp, u64)>, Error> {
        let (broker, number) = (&self.broker, self.number);
        let queue = &broker.queues[idx];
        self.number += 1;
        let keys = [queue.claims(&broker.id), queue.leases.clone(), queue.paused.clone()];
        let args = [
            number.to_string().into_bytes(),
            broker.id.clone().into_bytes(),
            self.config.lease.as_millis().to_string().into_bytes(),
            message.to_vec(),
        ];
        let now: Option<i64> = broker
            .queue
            .eval(&script::HEARD, &keys, &args, &[])
            .await
            .map_err(redis(format!("take what was broadcast to queue `{}`", queue.name)))?;
        let now = now.map(|ms| Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH));
        Ok(now.map(|now| (now, number)))
    }

    async fn claim(&mut self, idx: usize, n: usize) -> Result<Answer, Error> {
        let (broker, others) = (self.broker.clone(), self.dispatcher.others.clone());
        let queue = &broker.queues[idx];
        let shares = self.dispatcher.shares.clone();
        let passed = others.passed_over(&queue.name, |task| shares.percent(task));
        if !passed.is_empty() {
            let passing = self.passing.entry(idx).or_default();
            let with = (&self.caller, &*others);
            return pick(with, idx, n, &mut self.number, &passed, passing).await;
        }
        let number = self.number;
        // Numbers are spent even if the answer is lost: a claim is never confused with an earlier
        // one.
        self.number += n as u64;
        let args = self.caller.arguments(n, number);
        let mut answer: Answer = broker
            .queue
            .eval(&script::CLAIM, &keys(&broker, queue), &args, &self.caller.caching())
            .await
            .map_err(redis(format!("claim from queue `{}`", queue.name)))?;
        answer.number_from(number);
        broker.set_clock(answer.now);
        Counters::add(&self.counters.worked);
        self.caller.complete(idx, &mut answer).await?;
        Ok(answer)
    }

    /// Asks how much the server may hand out at once, and which shares of tasks are ours, on each
    /// new connection.
    async fn measure(&mut self) -> Result<(), Error> {
        let connection = self.broker.queue.connection_number();
        if connection.is_none() || connection != self.measured {
            let said = self.broker.queue.query_quietly(&handout::question()).await;
            self.caller.handout.told(said.map_err(redis("ask how much it hands out"))?.as_ref());
            self.dispatcher.shares.read(&self.broker.client).await?;
            self.measured = connection;
        }
        Ok(())
    }

    /// Lets time pass before the next look at a queue that brought nothing of ours past what others
    /// run.
    fn space_out(&mut self, looked: &[usize], ours: &BTreeSet<usize>) {
        for idx in looked {
            let passes_over = self.dispatcher.others.passes_over(&self.broker.queues[*idx].name);
            if !passes_over {
                self.passing.remove(idx);
            } else if ours.contains(idx) {
                self.passing.entry(*idx).or_default().soon();
            } else {
                self.passing.entry(*idx).or_default().later();
            }
        }
    }

    /// Gives back what is recorded as ours but not in our hands: claims whose answer was lost.
    ///
    /// Runs between claims, so that no claim can be on its way meanwhile.
    async fn reconcile(&mut self) {
        self.reconcile_at = Instant::now() + self.config.lease;
        for idx in self.broker.queues.watched() {
            let queue = &self.broker.queues[idx];
            let recorded: Vec<u64> = match self
                .broker
                .queue
                .query(::redis::cmd("HKEYS").arg(queue.claims(&self.broker.id)))
                .await
            {
                Ok(recorded) => recorded,
                Err(error) => {
                    tracing::debug!(%error, "reconciling failed, trying again");
                    self.reconcile_at = Instant::now();
                    return;
                }
            };
            if recorded.is_empty() {
                self.broker.queues.is_empty_of_ours(idx);
            }
            let lost =
                |number: &u64| !self.dispatcher.held.holds(ClaimId { queue: idx, number: *number });
            let lost: Vec<u64> = recorded.into_iter().filter(lost).collect();
            self.ask_for_less(queue, &lost).await;
            for number in lost {
                tracing::info!(
                    queue = queue.name,
                    number,
                    "a claim whose answer was lost goes back"
                );
                let claim = ClaimId { queue: idx, number };
                self.dispatcher.settlements.send(Settlement::of_lost_answer(claim));
            }
        }
    }

    /// Has smaller answers asked for where a large one was lost, which Redis may have ended the
    /// connection for.
    async fn ask_for_less(&self, queue: &QueueKeys, lost: &[u64]) {
        let mut sizes = ::redis::pipe();
        for number in lost.iter().take(BATCH) {
            sizes.cmd("HSTRLEN").arg(queue.claims(&self.broker.id)).arg(number);
        }
        if lost.is_empty() {
            return;
        }
        let sizes: Vec<usize> = match self.broker.queue.pipe(&sizes).await {
            Ok(sizes) => sizes,
            Err(error) => return tracing::debug!(%error, "what was lost was not measured"),
        };
        let bytes = sizes.iter().sum();
        if let Some(at_once) = self.caller.handout.lost(bytes) {
            tracing::warn!(
                queue = queue.name,
                bytes,
                at_once,
                "a large answer was lost, perhaps for its size: less is asked for at once for 10 minutes \
                 (see Redis's client-output-buffer-limit)"
            );
        }
    }

    /// Tells whether a new connection was made since the last call.
    fn drain_changes(&mut self) -> bool {
        let mut reconnected = false;
        loop {
            match self.changes.try_recv() {
                // Among those that were missed there may have been this one.
                Ok(Invalidation::Connected) | Err(broadcast::error::TryRecvError::Lagged(_)) => {
                    reconnected = true;
                }
                Ok(_) => {}
                Err(_) => return reconnected,
            }
        }
    }

    /// Sleeps until a key changed, a scheduled message is due, it is no longer too early, or the
    /// slow poll.
    async fn sleep_until_change(&mut self, due: Option<Timestamp>, too_early: Option<Instant>) {
        let poll = if self.broker.queue.tracks() {
            self.config.poll_interval
        } else {
            POLL_WITHOUT_TRACKING
        };
        let until_due = due.map_or(poll, |due| {
            Duration::try_from(due.duration_since(self.broker.now())).unwrap_or_default()
                + Duration::from_millis(1)
        });
        let wake = Instant::now() + poll.min(until_due);
        let wake = too_early.map_or(wake, |at| wake.min(at));
        loop {
            tokio::select! {
                biased;
                () = self.signals.draining.cancelled() => return,
                () = tokio::time::sleep_until(wake) => return,
                () = self.signals.changed.notified() => return,
                change = self.changes.recv() => match change {
                    Ok(Invalidation::Keys(keys)) if keys.iter().all(|key| self.is_record(key)) => {}
                    // The next look must not discard that we have a new connection.
                    Ok(Invalidation::Connected) | Err(_) => {
                        self.reconcile_at = Instant::now();
                        return;
                    }
                    // Without a connection nothing is armed: the next look makes one.
                    Ok(Invalidation::Keys(_) | Invalidation::All | Invalidation::Lost) => return,
                },
            }
        }
    }

    /// Tells whether a key only records what was claimed: its change brings nothing to claim.
    ///
    /// Redis up to 7.0 tracks all keys of a script that reads any, and our own ends change these.
    fn is_record(&self, key: &[u8]) -> bool {
        self.broker.queues.iter().any(|queue| queue.is_record(key))
    }

    /// Waits; tells whether draining began meanwhile.
    async fn pause(&self, error: &Error, backoff: &mut Backoff) -> bool {
        tokio::select! {
            biased;
            () = self.signals.draining.cancelled() => true,
            () = self.broker.wait_out(error, backoff) => false,
        }
    }
}
