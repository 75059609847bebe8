//! A worker's side of the queue: sets its roles going, and ends them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use rhubarb_connection::{Backoff, Connections, Redis, Role};
use rhubarb_core::{
    clock,
    config::{Config, UnknownTasks, WorkerConfig},
};
use rhubarb_queue::{Client, Error, inspect::Running, keys::QueueKeys};
use rhubarb_wire::Headers;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Backend,
    broadcasts::{self, Broadcasts},
    claim,
    control::{self, Unwritten},
    delivery::{ClaimId, Delivery, Settlements},
    ended::Ended,
    events::{self, Events},
    floods::Floods,
    handout::Handout,
    heartbeat,
    held::{Held, Termination},
    letters,
    others::Others,
    outcome::{Outcome, Revocation},
    queues::Queues,
    revoked::{self, Revoked},
    room::Room,
    settle,
    slots::Slots,
    strangers::{self, Stranger},
    tasks::Tasks,
    turns::Turns,
    watchdog,
};

/// A worker's side of the queue. Made once a process; [`Consumer::new`] sets its roles going.
#[derive(Debug)]
pub struct Consumer {
    shared: Arc<Shared>,
    roles: JoinSet<()>,
    deliveries: Option<mpsc::UnboundedReceiver<Delivery>>,
    settling: CancellationToken,
}

/// What the roles share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) queue: Redis,
    pub(crate) client: Client,
    /// What comes by the thousand, and is told as one.
    pub(crate) floods: Floods,
    /// Whether results lie beside the queue, so that the settling script can write them.
    pub(crate) results_here: bool,
    pub(crate) id: String,
    pub(crate) node: String,
    pub(crate) queues: Queues,
    pub(crate) config: WorkerConfig,
    /// The settings as Celery names them, secrets hidden.
    pub(crate) settings: serde_json::Map<String, serde_json::Value>,
    pub(crate) result_expires: Duration,
    pub(crate) timezone: jiff::tz::TimeZone,
    pub(crate) slots: Slots,
    pub(crate) settlements: Settlements,
    /// Who is told of each end, if anybody asked.
    ends: OnceLock<mpsc::UnboundedSender<Ended>>,
    pub(crate) draining: CancellationToken,
    pub(crate) tasks: Tasks,
    /// What other workers run.
    pub(crate) others: Others,
    /// The way of messages whose task is none of ours.
    pub(crate) strangers: mpsc::Sender<Stranger>,
    pub(crate) held: Held,
    /// The large plans, one after the other.
    pub(crate) large_plans: Turns,
    /// The large results of chords' headers, brought together one chord after the other.
    pub(crate) large_joins: Turns,
    pub(crate) revoked: Revoked,
    /// What of revocations is not written yet.
    pub(crate) unwritten: Unwritten,
    pub(crate) events: Events,
    /// Fires when remote control asks the worker to stop.
    pub(crate) stop_asked: CancellationToken,
    /// Told when queues or slots have changed.
    pub(crate) changed: Notify,
    /// Told when a heartbeat is wanted at once.
    pub(crate) beat_wanted: Notify,
    /// Fires when the others have told what they know as revoked, or cannot: the first claim waits
    /// for it.
    pub(crate) mingled: CancellationToken,
    /// What was published to all workers and waits for a slot.
    pub(crate) broadcasts: Broadcasts,
    /// What room results find.
    pub(crate) room: Room,
    /// How many bytes Redis may hand out at once.
    pub(crate) handout: Handout,
    /// Whether broadcasts are heard, so that revocations need not be read again.
    pub(crate) hears: AtomicBool,
    clock: Mutex<Option<(Timestamp, Instant)>>,
    pub(crate) counters: Counters,
    pub(crate) started_at: Timestamp,
}

/// What has happened since the start. Each only grows.
#[derive(Debug, Default)]
pub struct Counters {
    /// Claims ended with a final outcome.
    pub processed: AtomicU64,
    /// Claims that were no longer ours when they ended.
    pub late: AtomicU64,
    /// Messages that went to the dead letters.
    pub dead: AtomicU64,
    /// Messages that were parked.
    pub parked: AtomicU64,
    /// Looks at the queues for something to claim that Redis has answered.
    pub rounds: AtomicU64,
    /// Claims, ends and heartbeats that Redis has carried out.
    pub worked: AtomicU64,
    /// Handlers that were begun.
    pub started: AtomicU64,
    /// Broadcasts that were no commands.
    pub garbage: AtomicU64,
    /// Commands that were not answered because too many were being answered.
    pub unanswered: AtomicU64,
    /// Handlers that were begun, by task.
    pub(crate) by_task: Mutex<BTreeMap<String, u64>>,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Consumer {
    /// Prepares a worker's side: `id` is unique to this process, `tasks` are those that it can run.
    ///
    /// Its roles begin at once, so that it has to be called inside a tokio runtime. When `draining`
    /// fires, claiming stops.
    pub fn new(
        connections: &Connections,
        config: &Config,
        node: &str,
        id: &str,
        tasks: impl Into<Tasks>,
        draining: CancellationToken,
    ) -> Self {
        let (settlements, to_settle) = Settlements::channel();
        let (deliver, deliveries) = mpsc::unbounded_channel();
        let queue = connections.role(Role::Queue);
        let (events, to_send) = Events::new(config, &queue, node);
        let identity = (node.to_owned(), id.to_owned());
        let shared = Shared::new(connections, config, identity, tasks.into(), settlements, events);
        let (strangers, to_decide) = mpsc::channel(strangers::WAITING);
        let shared = Arc::new(Shared { draining, strangers, ..shared });
        let mut roles = JoinSet::new();
        let settling = CancellationToken::new();
        roles.spawn(settle::run(shared.clone(), to_settle, settling.clone()));
        roles.spawn(claim::run(shared.clone(), deliver));
        roles.spawn(broadcasts::run(shared.clone()));
        roles.spawn(strangers::run(shared.clone(), to_decide));
        roles.spawn(heartbeat::run(shared.clone(), settling.clone()));
        roles.spawn(events::run(shared.clone(), to_send, settling.clone()));
        if config.worker.enable_remote_control {
            roles.spawn(control::run(shared.clone(), settling.clone()));
        } else {
            shared.mingled.cancel();
        }
        if let Err(error) = watchdog::start(&shared, settling.clone()) {
            tracing::warn!(%error, "the watchdog could not be started");
        }
        Self { shared, roles, deliveries: Some(deliveries), settling }
    }

    /// Returns the apalis backend. There is one; a second call returns none.
    pub fn backend(&mut self) -> Option<Backend> {
        self.deliveries.take().map(|deliveries| Backend::new(deliveries, self.shared.clone()))
    }

    /// Returns what tells each task's end once it is written; only the first call's receiver is
    /// told.
    ///
    /// To be called before the backend is given to apalis. A task's slot stays taken until its
    /// [`Ended`] is dropped.
    pub fn ends(&self) -> mpsc::UnboundedReceiver<Ended> {
        let (sender, receiver) = mpsc::unbounded_channel();
        if self.shared.ends.set(sender).is_ok() {
            self.shared.settlements.keep_slots();
        }
        receiver
    }

    /// Returns the counters.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Returns how many claims are in our hands, running or being ended.
    pub fn held(&self) -> usize {
        self.shared.held.len()
    }

    /// Returns the first `limit` claims in our hands.
    pub fn running(&self, limit: usize) -> Vec<Running> {
        self.shared.held.running(&self.shared.queues, limit)
    }

    /// Returns what fires when remote control asks this worker to stop.
    pub fn stop_asked(&self) -> CancellationToken {
        self.shared.stop_asked.clone()
    }

    /// Ends every claim that is still held (those without an outcome go back), leaves the registry,
    /// and stops.
    ///
    /// To be called after the handlers have ended or were dropped. Tells whether everything could
    /// be written within `deadline`; what could not is given back by the others when our lease
    /// ends.
    pub async fn finish(mut self, deadline: Duration) -> bool {
        self.shared.draining.cancel();
        drop(self.deliveries.take());
        let end = Instant::now() + deadline;
        let emptied =
            tokio::time::timeout_at(end, self.shared.held.wait_until_empty()).await.is_ok();
        if !emptied {
            let n = self.shared.held.len();
            tracing::warn!(
                n,
                "the ends of tasks could not be written in time: they run again elsewhere when our lease ends"
            );
        }
        self.settling.cancel();
        let stopped =
            tokio::time::timeout_at(end, async { while self.roles.join_next().await.is_some() {} })
                .await
                .is_ok();
        emptied && stopped
    }
}

impl Shared {
    /// Waits after a failure: for the next try, or until a lost connection stands again.
    pub(crate) async fn wait_out(&self, error: &Error, backoff: &mut Backoff) {
        if error.is_unreachable() {
            backoff.sleep_until_back(&self.queue).await;
        } else {
            backoff.sleep().await;
        }
    }

    fn new(
        connections: &Connections,
        config: &Config,
        (node, id): (String, String),
        tasks: Tasks,
        settlements: Settlements,
        events: Events,
    ) -> Self {
        let queue = connections.role(Role::Queue);
        // A claim for every slot, besides what any answer may take.
        let claims = config.concurrency() as u64 * config.worker.max_message_bytes as u64;
        queue.expect_answers_of(claims.saturating_add(64 << 20));
        let queues = config.worker_queues();
        Self {
            results_here: queue.same_database(&connections.role(Role::Results)),
            queue,
            client: Client::new(connections, config),
            floods: Floods::default(),
            id,
            node,
            queues: Queues::new(queues.iter().map(|name| QueueKeys::new(name, &config.celery))),
            settings: control::settings(config),
            config: WorkerConfig { concurrency: config.concurrency(), ..config.worker.clone() },
            result_expires: config.celery.result_expires,
            timezone: jiff::tz::TimeZone::get(&config.celery.timezone)
                .unwrap_or(jiff::tz::TimeZone::UTC),
            slots: Slots::new(config.concurrency()),
            settlements,
            ends: OnceLock::new(),
            draining: CancellationToken::new(),
            tasks,
            others: Others::default(),
            // Nobody reads it: the role's own takes its place.
            strangers: mpsc::channel(1).0,
            held: Held::default(),
            large_plans: Turns::default(),
            large_joins: Turns::default(),
            revoked: Revoked::default(),
            unwritten: Unwritten::default(),
            events,
            stop_asked: CancellationToken::new(),
            changed: Notify::new(),
            beat_wanted: Notify::new(),
            mingled: CancellationToken::new(),
            broadcasts: Broadcasts::default(),
            room: Room::new(config.worker.results_beyond_maxmemory),
            handout: Handout::default(),
            hears: AtomicBool::new(false),
            clock: Mutex::default(),
            counters: Counters::default(),
            started_at: clock::now(),
        }
    }

    /// Returns what keeps messages apart.
    pub(crate) fn letters(&self) -> letters::Writer<'_> {
        letters::Writer { client: &self.client, config: &self.config, floods: &self.floods }
    }

    /// Tells whether anybody asked for ends.
    pub(crate) fn tells_ends(&self) -> bool {
        self.ends.get().is_some() || self.events.on()
    }

    pub(crate) fn tell(&self, ended: Ended) {
        let headers = &ended.received.envelope.headers;
        self.events.ended(headers, &ended.outcome, ended.ran);
        if let Some(ends) = self.ends.get() {
            // Whoever asked has gone by itself.
            let _ = ends.send(ended);
        }
    }

    /// Notes that a handler begins; returns what orders its end, or why it must not begin.
    pub(crate) fn begin(
        &self,
        claim: ClaimId,
        headers: &Headers,
    ) -> Result<Arc<Termination>, Outcome> {
        let now = self.now();
        // It may have been revoked since it was claimed.
        if self.revoked.has(headers, now) {
            return Err(Outcome::Revoked(Revocation::Revoked));
        }
        Counters::add(&self.counters.started);
        if self.tasks.contains(&headers.task) {
            let mut by_task = self.counters.by_task.lock().unwrap_or_else(PoisonError::into_inner);
            *by_task.entry(headers.task.clone()).or_default() += 1;
            drop(by_task);
            self.events.started(headers);
        }
        Ok(self.held.begin(claim, now))
    }

    /// Revokes tasks in memory; returns those that were not revoked before.
    pub(crate) fn revoke(&self, ids: impl IntoIterator<Item = Arc<str>>) -> Vec<Arc<str>> {
        let now = self.now();
        let until = revoked::expiry(now, self.config.revoke_expires);
        let added = self.revoked.add(ids.into_iter().map(|id| (id, until)), now);
        control::forget(self, added.forgotten);
        added.fresh
    }

    /// Notes Redis's clock as a script told it.
    pub(crate) fn set_clock(&self, now: Timestamp) {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Instant::now()));
    }

    /// Returns Redis's clock: what it last told, and the time that has passed here since.
    pub(crate) fn now(&self) -> Timestamp {
        let told = *self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((at, since)) = told else { return clock::now() };
        SignedDuration::try_from(since.elapsed())
            .ok()
            .and_then(|passed| at.checked_add(passed).ok())
            .unwrap_or(at)
    }

    /// Returns the queue that unknown tasks are forwarded to, if they are.
    pub(crate) fn forward_to(&self) -> Option<&str> {
        match &self.config.unknown_tasks {
            UnknownTasks::Park => None,
            UnknownTasks::Forward(queue) => Some(queue),
        }
    }
}
