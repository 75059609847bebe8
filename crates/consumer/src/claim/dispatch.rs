//! What becomes of claimed messages: handed to apalis, or ended at once.

use std::{collections::BTreeSet, sync::Arc};

use jiff::{Timestamp, tz::TimeZone};
use rhubarb_queue::config::WorkerConfig;
use rhubarb_wire::{Envelope, Exception};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{
    Round,
    answer::Claimed,
    read::{Unread, read},
};
use crate::{
    Tasks, attempts,
    broker::Broker,
    delivery::{ClaimId, Delivery, Message, Received, Settlements, Ticket},
    events::Events,
    foreign::{self, ForeignTask},
    held::Held,
    others::{Others, Why},
    outcome::{Outcome, Revocation},
    rate::Turn,
    revoked::Revoked,
    shares::Shares,
    signals::Signals,
    slots::Slots,
};

/// Why a message does not run now.
struct NotNow {
    outcome: Outcome,
    /// Whether it was looked at before, so that nobody has to be told again.
    again: bool,
}

/// What becomes of messages once they are claimed.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    pub(crate) broker: Arc<Broker>,
    pub(crate) config: Arc<WorkerConfig>,
    pub(crate) timezone: TimeZone,
    pub(crate) tasks: Tasks,
    pub(crate) held: Arc<Held>,
    pub(crate) slots: Arc<Slots>,
    pub(crate) settlements: Settlements,
    pub(crate) revoked: Arc<Revoked>,
    /// What other workers run.
    pub(crate) others: Arc<Others>,
    pub(crate) shares: Arc<Shares>,
    pub(crate) events: Arc<Events>,
    pub(crate) signals: Arc<Signals>,
    /// The way of messages whose task is none of ours.
    pub(crate) foreign: mpsc::Sender<ForeignTask>,
    /// The way of those that run.
    pub(crate) deliver: mpsc::UnboundedSender<Delivery>,
}

impl Dispatcher {
    /// Hands each message to apalis, or ends at once what cannot or must not run now.
    ///
    /// Returns the queues of which any was not left for other workers.
    pub(super) async fn dispatch(
        &self,
        round: Round,
        mut slots: OwnedSemaphorePermit,
    ) -> BTreeSet<usize> {
        let mut suspects = Vec::new();
        let mut ours = BTreeSet::new();
        for (idx, claimed) in round.claimed {
            let claim = ClaimId { queue: idx, number: claimed.number };
            let queue = &self.broker.queues[idx];
            let (message, read) = self.take(claim, &claimed, round.now);
            // The script never returns more than there are slots for.
            let Some(slot) = slots.split(1) else { continue };
            let ticket = Ticket::new(claim, message, self.settlements.clone(), slot);
            let received = match read {
                Ok(received) => received,
                Err(unread) => {
                    ours.insert(idx);
                    ticket.settle(unread.outcome);
                    continue;
                }
            };
            if let Some(leave) = self.pythons_share(&received.envelope, &claimed, &queue.name) {
                let task = received.envelope.headers.task.clone();
                let (queue, keep, why) = (queue.name.clone(), Outcome::HandBack, Why::Share);
                self.foreign_task(ForeignTask { ticket, queue, task, why, leave, keep }).await;
                continue;
            }
            let not_now = self.not_now(&received.envelope, claimed.deliveries, round.now);
            if self.is_strange(&received.envelope, not_now.as_ref()) {
                let task = received.envelope.headers.task.clone();
                let leave = foreign::leaving(&claimed.message, &task);
                let keep = not_now.map_or(Outcome::Unknown, |not_now| not_now.outcome);
                let (queue, why) = (queue.name.clone(), Why::Foreign);
                let one = ForeignTask { ticket, queue, task, why, leave, keep };
                if !self.foreign_task(one).await {
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
        // Each of them waits for all slots: one that held its own meanwhile would be waited for in
        // vain.
        let suspects: Vec<_> = suspects.into_iter().map(Delivery::without_slot).collect();
        for suspect in suspects {
            self.run_alone(suspect).await;
        }
        ours
    }

    /// Takes a claim into our hands, read or not.
    fn take(
        &self,
        claim: ClaimId,
        claimed: &Claimed,
        now: Timestamp,
    ) -> (Message, Result<Arc<Received>, Box<Unread>>) {
        let read = read(claimed, self.config.max_message_bytes);
        let read = read.map(|envelope| self.received(envelope, &claimed.deaths, now));
        let message = match &read {
            Ok(received) => Message::Read(received.clone()),
            Err(unread) => Message::Raw(unread.raw.clone()),
        };
        self.held.add(claim, now, message.clone());
        (message, read)
    }

    fn received(&self, envelope: Envelope, deaths: &[u8], now: Timestamp) -> Arc<Received> {
        let stores = self.tasks.results(&envelope.headers.task);
        let due = envelope.headers.eta.as_ref().map(|eta| eta.resolve(&self.timezone));
        let received = Received::new(envelope, self.config.max_message_bytes);
        Arc::new(received.told(stores, attempts::deaths(deaths)).claimed(now, due))
    }

    /// Tells whether a message's task is none of ours; what kills workers is dead all the same.
    fn is_strange(&self, envelope: &Envelope, not_now: Option<&NotNow>) -> bool {
        let is_dead = not_now.is_some_and(|it| matches!(it.outcome, Outcome::Dead { .. }));
        !is_dead && !self.tasks.contains(&envelope.headers.task)
    }

    /// Tells how a message of ours is given back that is not in our share of its task; `None` where
    /// it is, or no Python worker would take it.
    ///
    /// What was published to all workers has no place to go back to.
    fn pythons_share(
        &self,
        envelope: &Envelope,
        claimed: &Claimed,
        queue: &str,
    ) -> Option<Outcome> {
        let (task, id) = (&envelope.headers.task, &envelope.headers.id);
        let is_ours = self.shares.holds(task, id) || !self.tasks.contains(task);
        let has_to_end = claimed.is_broadcast || claimed.deliveries >= self.config.max_deliveries;
        if is_ours || has_to_end || self.others.takes(queue, task, Why::Share) == Some(false) {
            return None;
        }
        Some(foreign::leaving_share(&claimed.message, task, id))
    }

    /// Ends a message whose task is none of ours, or gives it to the role that asks who runs it.
    ///
    /// Tells whether it is left, or may be.
    async fn foreign_task(&self, mut one: ForeignTask) -> bool {
        let others = &self.others;
        let somebody = others.takes(&one.queue, &one.task, one.why);
        if somebody == Some(false) {
            one.ticket.settle(one.keep);
            return false;
        }
        others.pass_over(&one.queue, &one.task, one.why);
        if somebody == Some(true) {
            one.ticket.settle(one.leave);
            return true;
        }
        one.ticket = one.ticket.without_slot();
        // Full while an answer is awaited: claiming waits for it too. Closed when draining: it goes
        // back.
        let _ = self.foreign.send(one).await;
        true
    }

    /// Tells whoever reads events of a task that we have, unless that was done before, or it is not
    /// to run at all.
    fn tell(&self, envelope: &Envelope, not_now: Option<&NotNow>) {
        let again = not_now
            .is_some_and(|not_now| not_now.again || matches!(not_now.outcome, Outcome::Revoked(_)));
        if !again && self.events.on() && self.tasks.contains(&envelope.headers.task) {
            self.events.received(&envelope.headers);
        }
    }

    /// Tells what ends a message at once: too many deaths, expired, revoked, not due, over its
    /// task's rate.
    fn not_now(&self, envelope: &Envelope, deliveries: u32, now: Timestamp) -> Option<NotNow> {
        let headers = &envelope.headers;
        let first = |outcome| Some(NotNow { outcome, again: false });
        if deliveries >= self.config.max_deliveries {
            let reason = format!("{deliveries} workers died while they ran it");
            let exception = Exception::worker_lost(&reason);
            return first(Outcome::Dead { reason, exception });
        }
        let at =
            |time: &Option<rhubarb_wire::Time>| time.as_ref().map(|t| t.resolve(&self.timezone));
        // The script's clock counts milliseconds.
        let ms = Timestamp::as_millisecond;
        if at(&headers.expires).is_some_and(|expires| ms(expires) <= ms(now)) {
            return first(Outcome::Revoked(Revocation::Expired));
        }
        if self.revoked.has(headers, now) {
            return first(Outcome::Revoked(Revocation::Revoked));
        }
        if let Some(at) = at(&headers.eta).filter(|eta| *eta > now) {
            return first(Outcome::NotDue { at });
        }
        match self.tasks.turn(&headers.task, &headers.id, now) {
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
            () = self.signals.draining.cancelled() => return,
            slots = self.slots.take_all() => slots,
        };
        if let Some(slots) = alone {
            suspect.ticket = Some(ticket.with_slot(slots));
            self.hand_over(suspect);
        }
    }
}
