//! Takes messages for free slots, never more; sleeps until the server says that something changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use redis::FromRedisValue;
use rhubarb_connection::{Backoff, Push};
use rhubarb_core::clock;
use rhubarb_wire::{DecodeError, Envelope, Exception};
use tokio::{
    sync::{OwnedSemaphorePermit, broadcast, mpsc},
    time::Instant,
};

use super::{
    Counters, Running, Shared,
    pick::{Passing, pick},
    strangers::{self, Stranger},
};
use crate::{
    Error,
    delivery::{ClaimId, Delivery, Message, RawMessage, Received, Settlement, Ticket},
    error::redis,
    keys::QueueKeys,
    letter,
    outcome::{Outcome, Revocation},
    rate::Turn,
    revoked, script,
};

/// The most messages that one script takes.
const BATCH: usize = 100;
/// How often queues are looked at when the server cannot wake us.
const POLL_WITHOUT_TRACKING: Duration = Duration::from_millis(100);

/// Claims until draining begins.
pub(super) async fn run(shared: Arc<Shared>, deliver: mpsc::UnboundedSender<Delivery>) {
    let pushes = shared.queue.pushes();
    let next_queue = 0;
    let number = 1;
    let reconcile_at = Instant::now() + shared.config.lease;
    let passing = BTreeMap::new();
    let declared = false;
    let mut claimer = Claimer {
        shared,
        deliver,
        pushes,
        next_queue,
        number,
        reconcile_at,
        obeyed: None,
        passing,
        declared,
    };
    claimer.declare().await;
    claimer.run().await;
}

struct Claimer {
    shared: Arc<Shared>,
    deliver: mpsc::UnboundedSender<Delivery>,
    pushes: broadcast::Receiver<Push>,
    next_queue: usize,
    number: u64,
    reconcile_at: Instant,
    /// The connection since whose making no revocation was missed.
    obeyed: Option<u64>,
    /// By queue: how it is looked through past what others run.
    passing: BTreeMap<usize, Passing>,
    /// Whether the queues are declared.
    declared: bool,
}

/// One message as the script hands it out.
pub(super) struct Claimed {
    number: u64,
    deliveries: u32,
    size: usize,
    message: Vec<u8>,
    /// When workers died with it, as the script tells it.
    deaths: Vec<u8>,
}

/// A message that cannot be read, and what ends it.
struct Unread {
    raw: RawMessage,
    outcome: Outcome,
}

/// Why a message does not run now.
struct NotNow {
    outcome: Outcome,
    /// Whether it was looked at before, so that nobody has to be told again.
    again: bool,
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
        for queue in self.shared.queues.iter() {
            crate::client::declare(&mut pipeline, &queue.name, self.shared.client.celery());
        }
        while let Err(error) = self.shared.queue.pipe::<::redis::Value>(&pipeline).await {
            if error.is_out_of_memory() {
                tracing::debug!(%error, "the queues are declared later");
                return;
            }
            tracing::debug!(%error, "declaring the queues failed");
            if self.pause(backoff.next_wait()).await {
                return;
            }
        }
        self.declared = true;
    }

    async fn run(&mut self) {
        let mut backoff = Backoff::default();
        while let Some(slots) = self.free_slots().await {
            // Whatever was pushed up to now is covered by the look that follows.
            let reconnected = self.drain_pushes();
            if reconnected || Instant::now() >= self.reconcile_at {
                if !self.declared {
                    self.declare().await;
                }
                self.reconcile().await;
                if !self.shared.hears.load(Ordering::SeqCst) {
                    self.obeyed = None;
                }
            }
            match self.round(slots.num_permits()).await {
                Ok(mut round) => {
                    backoff.reset();
                    let (again, too_early) = (round.again, round.too_early);
                    let looked = std::mem::take(&mut round.looked);
                    if !round.claimed.is_empty()
                        && let Err(error) = self.obey().await
                    {
                        // They are looked at once more when they begin.
                        tracing::debug!(%error, "the revocations were not read");
                    }
                    let ours = self.dispatch(round, slots).await;
                    self.space_out(&looked, &ours);
                    if let Some(due) = again {
                        self.sleep_until_change(due, too_early).await;
                    }
                }
                Err(error) => {
                    drop(slots);
                    // The connection has said what it can say once; anything else is news.
                    if !error.is_logged() {
                        tracing::warn!(%error, cause = ?error, "claiming failed, trying again");
                    }
                    self.reconcile_at = Instant::now();
                    self.pause(backoff.next_wait()).await;
                }
            }
        }
    }

    /// Waits for a free slot and takes all that are free; `None` when draining.
    async fn free_slots(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            () = self.shared.draining.cancelled() => None,
            slots = self.shared.slots.take(BATCH) => slots,
        }
    }

    /// Reads the revocations that stand in Redis, if some may have been missed: broadcasts are, between a connection's
    /// loss and the next one's making.
    async fn obey(&mut self) -> Result<(), Error> {
        let connection = self.shared.queue.connection_number();
        if connection.is_none() || connection != self.obeyed {
            let found = revoked::load(&self.shared.queue).await?;
            self.shared.revoked.add(found, self.shared.now());
            self.obeyed = connection;
        }
        Ok(())
    }

    /// Looks at each queue once, beginning with the one after the last that was begun with.
    async fn round(&mut self, n: usize) -> Result<Round, Error> {
        Counters::add(&self.shared.counters.rounds);
        self.obey().await?;
        let queues = self.shared.queues.active();
        let n_queues = queues.len();
        let mut round = Round::new();
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

    async fn claim(&mut self, idx: usize, n: usize) -> Result<Answer, Error> {
        let shared = &self.shared;
        let queue = &shared.queues[idx];
        let names = shared.others.passed_over(&queue.name);
        if !names.is_empty() {
            let passing = self.passing.entry(idx).or_default();
            return pick(shared, idx, n, &mut self.number, &names, passing).await;
        }
        let number = self.number;
        // Numbers are spent even if the answer is lost: a claim is never confused with an earlier one.
        self.number += n as u64;
        let args = arguments(shared, n, number);
        let answer: Answer = shared
            .queue
            .eval(&script::CLAIM, &keys(shared, queue), &args, &caching(shared))
            .await
            .map_err(redis(format!("claim from queue `{}`", queue.name)))?;
        shared.set_clock(answer.now);
        Ok(answer)
    }

    /// Lets time pass before the next look at a queue that brought nothing of ours past what others run.
    fn space_out(&mut self, looked: &[usize], ours: &BTreeSet<usize>) {
        for idx in looked {
            let passes_over = self.shared.others.passes_over(&self.shared.queues[*idx].name);
            if !passes_over {
                self.passing.remove(idx);
            } else if ours.contains(idx) {
                self.passing.entry(*idx).or_default().soon();
            } else {
                self.passing.entry(*idx).or_default().later();
            }
        }
    }

    /// Hands each message to apalis, or ends at once what cannot or must not run now.
    ///
    /// Returns the queues of which any was not left for other workers.
    async fn dispatch(&mut self, round: Round, mut slots: OwnedSemaphorePermit) -> BTreeSet<usize> {
        let mut suspects = Vec::new();
        let mut ours = BTreeSet::new();
        for (idx, claimed) in round.claimed {
            let claim = ClaimId { queue: idx, number: claimed.number };
            let queue = &self.shared.queues[idx];
            let read = read(&claimed, self.shared.config.max_message_bytes);
            let running = running(queue, &read, round.now);
            let read = read.map(|envelope| self.received(envelope, &claimed.deaths));
            self.shared.held.hold(claim, running, read.as_ref().ok().cloned());
            // The script never returns more than there are slots for.
            let Some(slot) = slots.split(1) else { continue };
            let ticket =
                |message| Ticket::new(claim, message, self.shared.settlements.clone(), slot);
            let received = match read {
                Ok(received) => received,
                Err(unread) => {
                    ours.insert(idx);
                    let Unread { raw, outcome } = *unread;
                    ticket(Message::Raw(Arc::new(raw))).settle(outcome);
                    continue;
                }
            };
            let ticket = ticket(Message::Read(received.clone()));
            let not_now = self.not_now(&received.envelope, claimed.deliveries, round.now);
            if self.is_strange(&received.envelope, not_now.as_ref()) {
                let task = received.envelope.headers.task.clone();
                let leave = strangers::leaving(&claimed.message, &task);
                let keep = not_now.map_or(Outcome::Unknown, |not_now| not_now.outcome);
                let one = Stranger { ticket, queue: queue.name.clone(), task, leave, keep };
                if !self.stranger(one).await {
                    ours.insert(idx);
                }
                continue;
            }
            ours.insert(idx);
            self.tell(&received.envelope, not_now.as_ref());
            if let Some(NotNow { outcome, .. }) = not_now {
                ticket.settle(outcome);
                continue;
            }
            let (name, deliveries) = (queue.name.clone(), claimed.deliveries);
            let delivery = Delivery {
                received,
                queue: name,
                deliveries,
                received_at: round.now,
                ticket: Some(ticket),
            };
            if deliveries >= 2 { suspects.push(delivery) } else { self.hand_over(delivery) }
        }
        drop(slots);
        // Each of them waits for all slots: one that held its own meanwhile would be waited for in vain.
        let suspects: Vec<_> = suspects.into_iter().map(Delivery::without_slot).collect();
        for suspect in suspects {
            self.run_alone(suspect).await;
        }
        ours
    }

    fn received(&self, envelope: Envelope, deaths: &[u8]) -> Arc<Received> {
        let received = Received::new(envelope, self.shared.config.max_message_bytes);
        received.notes().deaths = letter::deaths(deaths);
        Arc::new(received)
    }

    /// Tells whether a message's task is none of ours; what kills workers is dead all the same.
    fn is_strange(&self, envelope: &Envelope, not_now: Option<&NotNow>) -> bool {
        let is_dead = not_now.is_some_and(|it| matches!(it.outcome, Outcome::Dead { .. }));
        !is_dead && !self.shared.tasks.contains(&envelope.headers.task)
    }

    /// Ends a message whose task is none of ours, or gives it to the role that asks who runs it.
    ///
    /// Tells whether it is left, or may be.
    async fn stranger(&self, mut one: Stranger) -> bool {
        let others = &self.shared.others;
        let somebody = others.runs(&one.queue, &one.task);
        if somebody == Some(false) {
            one.ticket.settle(one.keep);
            return false;
        }
        others.pass_over(&one.queue, &one.task);
        if somebody == Some(true) {
            one.ticket.settle(one.leave);
            return true;
        }
        one.ticket = one.ticket.without_slot();
        // Full while an answer is awaited: claiming waits for it too. Closed when draining: it goes back.
        let _ = self.shared.strangers.send(one).await;
        true
    }

    /// Tells whoever reads events of a task that we have, unless that was done before, or it is not to run at all.
    fn tell(&self, envelope: &Envelope, not_now: Option<&NotNow>) {
        let again = not_now
            .is_some_and(|not_now| not_now.again || matches!(not_now.outcome, Outcome::Revoked(_)));
        if !again && self.shared.events.on() && self.shared.tasks.contains(&envelope.headers.task) {
            self.shared.events.received(&envelope.headers);
        }
    }

    /// Tells what ends a message at once: too many deaths, expired, revoked, not due, over its task's rate.
    fn not_now(&self, envelope: &Envelope, deliveries: u32, now: Timestamp) -> Option<NotNow> {
        let (shared, headers) = (&self.shared, &envelope.headers);
        let first = |outcome| Some(NotNow { outcome, again: false });
        if deliveries >= shared.config.max_deliveries {
            let reason = format!("{deliveries} workers died while they ran it");
            let exception = Exception::worker_lost(&reason);
            return first(Outcome::Dead { reason, exception });
        }
        let at =
            |time: &Option<rhubarb_wire::Time>| time.as_ref().map(|t| t.resolve(&shared.timezone));
        // The script's clock counts milliseconds.
        let ms = Timestamp::as_millisecond;
        if at(&headers.expires).is_some_and(|expires| ms(expires) <= ms(now)) {
            return first(Outcome::Revoked(Revocation::Expired));
        }
        if shared.revoked.has(headers, now) {
            return first(Outcome::Revoked(Revocation::Revoked));
        }
        if let Some(at) = at(&headers.eta).filter(|eta| *eta > now) {
            return first(Outcome::NotDue { at });
        }
        match shared.tasks.turn(&headers.task, &headers.id, now) {
            Turn::Now => None,
            Turn::At { at, again } => Some(NotNow { outcome: Outcome::NotDue { at }, again }),
        }
    }

    fn hand_over(&self, delivery: Delivery) {
        // A closed channel means that we are draining: the delivery is dropped and so handed back.
        let _ = self.deliver.send(delivery);
    }

    /// Runs a message that workers died with by itself, so that it takes no other task with it.
    ///
    /// It has to hold no slot yet: the one before it waits for all of them.
    async fn run_alone(&self, mut suspect: Delivery) {
        let Some(ticket) = suspect.take_ticket() else { return };
        tracing::info!(
            id = suspect.envelope().headers.id,
            task = suspect.envelope().headers.task,
            deliveries = suspect.deliveries,
            "workers died with this task: it runs alone"
        );
        let alone = tokio::select! {
            biased;
            () = self.shared.draining.cancelled() => return,
            slots = self.shared.slots.take_all() => slots,
        };
        if let Some(slots) = alone {
            suspect.ticket = Some(ticket.with_slot(slots));
            self.hand_over(suspect);
        }
    }

    /// Gives back what is recorded as ours but not in our hands: claims whose answer was lost.
    ///
    /// Runs between claims, so that no claim can be on its way meanwhile.
    async fn reconcile(&mut self) {
        self.reconcile_at = Instant::now() + self.shared.config.lease;
        for idx in self.shared.queues.watched() {
            let queue = &self.shared.queues[idx];
            let recorded: Vec<u64> = match self
                .shared
                .queue
                .query(::redis::cmd("HKEYS").arg(queue.claims(&self.shared.id)))
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
                self.shared.queues.is_empty_of_ours(idx);
            }
            for number in recorded {
                let claim = ClaimId { queue: idx, number };
                if !self.shared.held.holds(claim) {
                    tracing::info!(
                        queue = queue.name,
                        number,
                        "a claim whose answer was lost goes back"
                    );
                    let lost = Settlement::of_lost_answer(claim);
                    self.shared.settlements.send(lost);
                }
            }
        }
    }

    /// Tells whether a new connection was made since the last call.
    fn drain_pushes(&mut self) -> bool {
        let mut reconnected = false;
        loop {
            match self.pushes.try_recv() {
                // Among pushes that were missed there may have been this one.
                Ok(Push::Connected) | Err(broadcast::error::TryRecvError::Lagged(_)) => {
                    reconnected = true;
                }
                Ok(_) => {}
                Err(_) => return reconnected,
            }
        }
    }

    /// Sleeps until a key changed, a scheduled message is due, it is no longer too early, or the slow poll.
    async fn sleep_until_change(&mut self, due: Option<Timestamp>, too_early: Option<Instant>) {
        let poll = if self.shared.queue.tracks() {
            self.shared.config.poll_interval
        } else {
            POLL_WITHOUT_TRACKING
        };
        let until_due = due.map_or(poll, |due| {
            Duration::try_from(due.duration_since(self.shared.now())).unwrap_or_default()
                + Duration::from_millis(1)
        });
        let wake = Instant::now() + poll.min(until_due);
        let wake = too_early.map_or(wake, |at| wake.min(at));
        loop {
            tokio::select! {
                biased;
                () = self.shared.draining.cancelled() => return,
                () = tokio::time::sleep_until(wake) => return,
                () = self.shared.changed.notified() => return,
                push = self.pushes.recv() => match push {
                    Ok(Push::Message { .. }) => {}
                    // The next look must not discard that we have a new connection.
                    Ok(Push::Connected) | Err(_) => {
                        self.reconcile_at = Instant::now();
                        return;
                    }
                    // Without a connection nothing is armed: the next look makes one.
                    Ok(Push::Invalidated | Push::Lost) => return,
                },
            }
        }
    }

    /// Waits; tells whether draining began meanwhile.
    async fn pause(&self, wait: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.shared.draining.cancelled() => true,
            () = tokio::time::sleep(wait) => false,
        }
    }
}

/// The keys of a claim.
pub(super) fn keys(shared: &Shared, queue: &QueueKeys) -> Vec<String> {
    let mut keys = vec![
        queue.claims(&shared.id),
        queue.leases.clone(),
        queue.scheduled.clone(),
        queue.paused.clone(),
        queue.deliveries.clone(),
    ];
    keys.extend(queue.lists.iter().cloned());
    keys
}

/// The arguments of a claim of up to `n` messages.
pub(super) fn arguments(shared: &Shared, n: usize, number: u64) -> Vec<Vec<u8>> {
    vec![
        n.to_string().into_bytes(),
        shared.id.clone().into_bytes(),
        shared.config.lease.as_millis().to_string().into_bytes(),
        number.to_string().into_bytes(),
        shared.config.max_message_bytes.to_string().into_bytes(),
    ]
}

/// What goes before a claim so that the server tracks the keys that it reads.
pub(super) fn caching(shared: &Shared) -> Vec<::redis::Cmd> {
    let mut caching = ::redis::cmd("CLIENT");
    caching.arg("CACHING").arg("YES");
    if shared.queue.tracks() { vec![caching] } else { Vec::new() }
}

/// The claim script's answer.
pub(super) struct Answer {
    pub(super) now: Timestamp,
    pub(super) full: bool,
    next_due: Option<Timestamp>,
    pub(super) claimed: Vec<Claimed>,
}

impl Answer {
    pub(super) fn empty(now: Timestamp) -> Self {
        Self { now, full: false, next_due: None, claimed: Vec::new() }
    }

    /// Adds what a later call of the same look brought.
    pub(super) fn join(&mut self, later: Self) {
        self.claimed.extend(later.claimed);
        (self.now, self.full, self.next_due) = (later.now, later.full, later.next_due);
    }

    fn merge_into(self, idx: usize, round: &mut Round) {
        round.now = self.now;
        round.claimed.extend(self.claimed.into_iter().map(|claimed| (idx, claimed)));
        if self.full {
            round.again = None;
        } else if let (Some(due), Some(again)) = (self.next_due, &mut round.again) {
            *again = Some(again.map_or(due, |earlier| earlier.min(due)));
        }
    }
}

impl FromRedisValue for Answer {
    fn from_redis_value(value: ::redis::Value) -> Result<Self, ::redis::ParsingError> {
        let mut parts = Vec::<::redis::Value>::from_redis_value(value)?.into_iter();
        let mut int = || i64::from_redis_value(parts.next().unwrap_or(::redis::Value::Nil));
        let (now, state, at) = (int()?, int()?, int()?);
        let claimed = parts
            .map(|item| {
                type Item = (u64, u32, u32, usize, Vec<u8>, Vec<u8>);
                let (number, _list, deliveries, size, message, deaths): Item =
                    FromRedisValue::from_redis_value(item)?;
                Ok(Claimed { number, deliveries, size, message, deaths })
            })
            .collect::<Result<Vec<_>, ::redis::ParsingError>>()?;
        let time = |ms| Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(Self {
            now: time(now),
            full: state == 0,
            next_due: (at >= 0).then(|| time(at)),
            claimed,
        })
    }
}

/// Reads a message as far as its headers; what cannot be read is ended with the reason.
fn read(claimed: &Claimed, max: usize) -> Result<Envelope, Box<Unread>> {
    if claimed.size > max {
        let reason = format!(
            "the message has {} bytes, more than worker.max_message_bytes = {max}",
            claimed.size
        );
        let (task_id, task) = head_of(&claimed.message);
        let raw = RawMessage {
            bytes: claimed.message.clone(),
            size: claimed.size,
            task_id,
            task,
            deaths: letter::deaths(&claimed.deaths),
        };
        return Err(Box::new(Unread { raw, outcome: dead(reason) }));
    }
    Envelope::decode(&claimed.message).map_err(|error: DecodeError| {
        let raw = RawMessage {
            bytes: claimed.message.clone(),
            size: claimed.size,
            task_id: error.task_id().map(str::to_owned),
            task: error.task_name().map(str::to_owned),
            deaths: letter::deaths(&claimed.deaths),
        };
        let outcome = Outcome::Dead { reason: error.to_string(), exception: error.exception() };
        Box::new(Unread { raw, outcome })
    })
}

fn dead(reason: String) -> Outcome {
    let exception = Exception::decode_error(&reason);
    Outcome::Dead { reason, exception }
}

/// Finds id and task name in the ends of a message that is too large to be read whole.
///
/// Celery writes the body first, so that the headers stand in the last bytes.
fn head_of(ends: &[u8]) -> (Option<String>, Option<String>) {
    let text = String::from_utf8_lossy(ends);
    let Some(at) = text.rfind("\"headers\"") else { return (None, None) };
    let Some(open) = text[at..].find('{') else { return (None, None) };
    let mut values =
        serde_json::Deserializer::from_str(&text[at + open..]).into_iter::<serde_json::Value>();
    let Some(Ok(headers)) = values.next() else { return (None, None) };
    let field =
        |name: &str| headers.get(name)?.as_str().filter(|s| s.len() <= 512).map(str::to_owned);
    (field("id"), field("task"))
}

fn running(queue: &QueueKeys, read: &Result<Envelope, Box<Unread>>, now: Timestamp) -> Running {
    let (id, task) = match read {
        Ok(envelope) => (envelope.headers.id.clone(), envelope.headers.task.clone()),
        Err(unread) => {
            let raw = &unread.raw;
            (raw.task_id.clone().unwrap_or_default(), raw.task.clone().unwrap_or_default())
        }
    };
    Running { id, task, queue: queue.name.clone(), since: clock::iso(now) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_of_a_message_too_large_to_read_are_found_at_its_end() {
        let ends = br#"AAAA", "content-type": "application/json", "headers": {"task": "t.x", "id": "42"}, "properties": {}}"#;
        assert_eq!(head_of(ends), (Some("42".into()), Some("t.x".into())));
        assert_eq!(head_of(b"nothing"), (None, None));
        assert_eq!(head_of(br#""headers": {"id": "#), (None, None));
    }
}
