//! A look at a live queue that changes nothing: what would run here of what Celery's workers serve.
//!
//! It reads the queue's lists, kombu's `unacked` and, where workers send them, Celery's events;
//! again and again, each message once. It claims nothing and writes nothing. What came and went
//! between two looks is seen by events alone: a [`ShadowReport`] says how many looks left a gap.
//!
//! At most 100 commands a second, 4 MB and a message for each answer, and 500,000 messages that are
//! told apart.

mod fit;
mod list;
mod report;
mod tally;
mod unacked;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rhubarb_connection::{Heard, Inbox};
use rhubarb_wire::event;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::{
    Client, Error,
    inspect::{Parameter, WorkerInfo},
    keys::QueueKeys,
};

pub use report::{
    KnownFrom, QueueReport, ShadowReport, Sum, TaskReport, UnackedReport, Unreadable, Verdict,
};

use list::List;
use tally::Tally;
use unacked::Unacked;

/// The shortest time between two looks.
const EVERY: Duration = Duration::from_millis(250);
/// How much time a look has for each command that it sent.
const COMMAND: Duration = Duration::from_millis(10);
/// How much of an answer is read before the next one, bytes.
const ANSWER: usize = 4 << 20;
/// The topics on which events name tasks.
const TOPICS: [&str; 3] = [event::TASK_MULTI, "task.received", "task.sent"];

/// Which tasks would run here.
#[derive(Debug)]
pub struct KnownTasks {
    from: KnownFrom,
    names: BTreeSet<String>,
    parameters: BTreeMap<String, Vec<Parameter>>,
}

impl KnownTasks {
    /// Takes a caller's list.
    pub fn of_names(names: impl IntoIterator<Item = String>) -> Self {
        let names = names.into_iter().collect();
        Self { from: KnownFrom::List, names, parameters: BTreeMap::new() }
    }

    /// Takes what our live workers register.
    pub fn of_workers(workers: &[WorkerInfo]) -> Self {
        let alive: Vec<_> = workers.iter().filter(|worker| worker.alive).collect();
        let from = if alive.is_empty() { KnownFrom::Nowhere } else { KnownFrom::Workers };
        let names = alive.iter().flat_map(|worker| worker.record.tasks.iter().cloned()).collect();
        let parameters = alive.iter().flat_map(|worker| worker.record.parameters.clone()).collect();
        Self { from, names, parameters }
    }

    fn knows(&self, task: &str) -> Option<bool> {
        (self.from != KnownFrom::Nowhere).then(|| self.names.contains(task))
    }

    fn parameters(&self, task: &str) -> Option<&[Parameter]> {
        self.parameters.get(task).map(Vec::as_slice)
    }
}

/// What to look at.
#[derive(Debug)]
pub struct Watch {
    /// The queues.
    pub queues: Vec<String>,
    /// Whether events count: they name no queue, so that they are of use only where all queues are
    /// looked at.
    pub events: bool,
    /// Which tasks would run here.
    pub known: KnownTasks,
    /// The greatest message that a worker here takes, bytes.
    pub max_message_bytes: usize,
}

/// Looks at queues until a time has passed, or `stop` ends.
///
/// # Errors
///
/// [`Error::Redis`] of the first look. A later one that fails is counted, and the next one goes on.
pub async fn watch(
    client: &Client,
    watch: Watch,
    time: Duration,
    stop: impl Future<Output = ()>,
) -> Result<ShadowReport, Error> {
    let begun = Instant::now();
    let mut shadow = Shadow::new(client, watch);
    shadow.subscribe().await;
    shadow.look().await?;
    tokio::pin!(stop);
    let mut next = Instant::now() + EVERY;
    let mut hearing = interval(Duration::from_millis(50));
    hearing.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while begun.elapsed() < time && !shadow.tally.is_full() {
        tokio::select! {
            () = &mut stop => break,
            _ = hearing.tick() => shadow.hear(),
            () = sleep_until(next.min(begun + time)) => {
                let started = Instant::now();
                match shadow.look().await {
                    Ok(commands) => next = started + EVERY.max(COMMAND * commands),
                    Err(error) => {
                        tracing::debug!(%error, "a look failed, trying again");
                        shadow.failed_looks += 1;
                        next = started + Duration::from_secs(1);
                    }
                }
            }
        }
    }
    shadow.hear();
    Ok(shadow.ended(begun.elapsed()))
}

/// A run of looks.
#[derive(Debug)]
struct Shadow<'c> {
    client: &'c Client,
    watch_events: bool,
    known_from: KnownFrom,
    max: usize,
    queues: Vec<(QueueReport, Vec<List>)>,
    unacked: Unacked,
    inboxes: Vec<Inbox>,
    tally: Tally,
    looks: u64,
    failed_looks: u64,
    events: u64,
}

impl<'c> Shadow<'c> {
    fn new(client: &'c Client, watch: Watch) -> Self {
        let queue = |name: &String| {
            let lists = QueueKeys::new(name, client.celery()).lists.into_iter().map(List::new);
            (QueueReport { name: name.clone(), ..QueueReport::default() }, lists.collect())
        };
        Self {
            client,
            watch_events: watch.events,
            known_from: watch.known.from,
            max: watch.max_message_bytes,
            queues: watch.queues.iter().map(queue).collect(),
            unacked: Unacked::new(client, &watch.queues),
            inboxes: Vec::new(),
            tally: Tally::new(watch.known, watch.max_message_bytes),
            looks: 0,
            failed_looks: 0,
            events: 0,
        }
    }

    /// Hears events from now on. A server that does not let us is one without events.
    async fn subscribe(&mut self) {
        if !self.watch_events {
            return;
        }
        let (redis, prefix) = (self.client.queue(), &self.client.celery().global_keyprefix);
        for topic in TOPICS {
            let channel = rhubarb_wire::event_channel(prefix, redis.db().into(), topic);
            let inbox = redis.inbox(&channel);
            match redis.subscribe(&channel).await {
                Ok(()) => self.inboxes.push(inbox),
                Err(error) => tracing::debug!(%error, "events cannot be heard"),
            }
        }
    }

    /// Counts what was heard meanwhile.
    fn hear(&mut self) {
        let Self { inboxes, tally, events, max, .. } = self;
        for inbox in inboxes {
            while let Some(Some(heard)) = futures_util::FutureExt::now_or_never(inbox.next()) {
                let Heard::Message(bytes) = heard else { continue };
                // What is no message of kombu's is nobody's event.
                for event in event::read(&bytes, *max).unwrap_or_default() {
                    *events += u64::from(tally.event(&event));
                }
            }
        }
    }

    /// Looks once at everything; returns how many commands that took.
    async fn look(&mut self) -> Result<u32, Error> {
        let Self { client, queues, unacked, tally, max, .. } = self;
        let mut commands = 0;
        for (report, lists) in queues {
            let (mut waiting, mut met) = (0, true);
            report.not_reached = 0;
            for list in lists {
                let seen = list.look(client, *max, tally).await?;
                commands += seen.commands;
                waiting += seen.waiting;
                met &= seen.met;
                report.not_reached += seen.not_reached;
                report.oldest_seconds = report.oldest_seconds.max(seen.age.as_secs_f64());
            }
            if self.looks == 0 {
                report.waiting_first = waiting;
            }
            report.waiting_last = waiting;
            report.waiting_most = report.waiting_most.max(waiting);
            report.looks_without_gap += u64::from(met);
        }
        commands += unacked.look(client, *max, tally).await?;
        self.looks += 1;
        Ok(commands)
    }

    fn ended(self, time: Duration) -> ShadowReport {
        let ended_early = self.tally.is_full();
        let (tasks, unreadable) = self.tally.ended();
        let unreadable = unreadable.into_iter().collect();
        let sum = Sum::of(&tasks, &unreadable);
        ShadowReport {
            seconds: time.as_secs_f64(),
            looks: self.looks,
            failed_looks: self.failed_looks,
            queues: self.queues.into_iter().map(|(report, _)| report).collect(),
            unacked: self.unacked.report,
            events: self.events,
            conclusion: sum.conclusion(self.known_from),
            tasks,
            unreadable,
            ended_early,
            known_from: self.known_from,
            sum,
        }
    }
}
