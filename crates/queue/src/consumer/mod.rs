//! The worker's side: claims messages for free slots, hands them to apalis, ends them, keeps the lease.
//!
//! Four roles share one [`Shared`]: [`claim`] takes messages, [`settle`] ends them, [`heartbeat`] keeps the lease and
//! gives back what dead workers held, [`backend`] is what apalis polls. No role stops on an error of Redis: each tries
//! again for ever, and a claim whose fate is unknown is settled again, which the fencing by claim makes harmless.
//! [`watchdog`] ends the process when they stand still all the same.

pub mod backend;
mod claim;
mod heartbeat;
mod settle;
mod watchdog;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use rhubarb_connection::{Connections, Redis, Role};
use rhubarb_core::{
    clock,
    config::{Config, UnknownTasks, WorkerConfig},
};
use tokio::{
    sync::{Notify, Semaphore, mpsc},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Client,
    delivery::{ClaimId, Delivery, Settlement},
    keys::QueueKeys,
};
pub use backend::Backend;

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
    /// Whether results lie beside the queue, so that the settling script can write them.
    pub(crate) results_here: bool,
    pub(crate) id: String,
    pub(crate) node: String,
    pub(crate) queues: Vec<QueueKeys>,
    pub(crate) config: WorkerConfig,
    pub(crate) result_expires: Duration,
    pub(crate) timezone: jiff::tz::TimeZone,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) settlements: mpsc::UnboundedSender<Settlement>,
    pub(crate) draining: CancellationToken,
    pub(crate) tasks: Vec<String>,
    held: Mutex<BTreeMap<ClaimId, Running>>,
    /// Told at each claim's end.
    ended: Notify,
    clock: Mutex<Option<(Timestamp, Instant)>>,
    pub(crate) counters: Counters,
    pub(crate) started_at: Timestamp,
}

/// A claim in our hands, as the registry shows it.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, PartialEq, Eq)]
pub struct Running {
    /// The task's id.
    pub id: String,
    /// The task's name.
    pub task: String,
    /// The queue.
    pub queue: String,
    /// When it was claimed: ISO 8601 text in UTC.
    pub since: String,
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
    /// Looks at the queues for something to claim.
    pub rounds: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Consumer {
    /// Prepares a worker's side: `id` is unique to this process, `tasks` are the names that it can run.
    ///
    /// Its roles begin at once, so that it has to be called inside a tokio runtime. When `draining` fires, claiming stops.
    pub fn new(
        connections: &Connections,
        config: &Config,
        node: &str,
        id: &str,
        tasks: Vec<String>,
        draining: CancellationToken,
    ) -> Self {
        let (settlements, to_settle) = mpsc::unbounded_channel();
        let (deliver, deliveries) = mpsc::unbounded_channel();
        let shared =
            Arc::new(Shared::new(connections, config, node, id, tasks, settlements, draining));
        let mut roles = JoinSet::new();
        let settling = CancellationToken::new();
        roles.spawn(settle::run(shared.clone(), to_settle, settling.clone()));
        roles.spawn(claim::run(shared.clone(), deliver));
        roles.spawn(heartbeat::run(shared.clone(), settling.clone()));
        if let Err(error) = watchdog::start(&shared, settling.clone()) {
            tracing::warn!(%error, "the watchdog could not be started");
        }
        Self { shared, roles, deliveries: Some(deliveries), settling }
    }

    /// Returns the apalis backend. There is one; a second call returns none.
    pub fn backend(&mut self) -> Option<Backend> {
        self.deliveries
            .take()
            .map(|deliveries| Backend::new(deliveries, self.shared.draining.clone()))
    }

    /// Returns the counters.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Returns how many claims are in our hands, running or being ended.
    pub fn held(&self) -> usize {
        self.shared.held().len()
    }

    /// Ends every claim that is still held (those without an outcome go back), leaves the registry, and stops.
    ///
    /// To be called after the handlers have ended or were dropped. Tells whether everything could be written
    /// within `deadline`; what could not is given back by the others when our lease ends.
    pub async fn finish(mut self, deadline: Duration) -> bool {
        self.shared.draining.cancel();
        drop(self.deliveries.take());
        let end = Instant::now() + deadline;
        let emptied = tokio::time::timeout_at(end, self.shared.wait_until_empty()).await.is_ok();
        self.settling.cancel();
        let stopped =
            tokio::time::timeout_at(end, async { while self.roles.join_next().await.is_some() {} })
                .await
                .is_ok();
        emptied && stopped
    }
}

impl Shared {
    fn new(
        connections: &Connections,
        config: &Config,
        node: &str,
        id: &str,
        tasks: Vec<String>,
        settlements: mpsc::UnboundedSender<Settlement>,
        draining: CancellationToken,
    ) -> Self {
        let queue = connections.role(Role::Queue);
        let queues = config.worker_queues();
        Self {
            results_here: queue.same_database(&connections.role(Role::Results)),
            queue,
            client: Client::new(connections, config),
            id: id.to_owned(),
            node: node.to_owned(),
            queues: queues.iter().map(|name| QueueKeys::new(name, &config.celery)).collect(),
            config: WorkerConfig { concurrency: config.concurrency(), ..config.worker.clone() },
            result_expires: config.celery.result_expires,
            timezone: jiff::tz::TimeZone::get(&config.celery.timezone)
                .unwrap_or(jiff::tz::TimeZone::UTC),
            slots: Arc::new(Semaphore::new(config.concurrency())),
            settlements,
            draining,
            tasks,
            held: Mutex::default(),
            ended: Notify::new(),
            clock: Mutex::default(),
            counters: Counters::default(),
            started_at: clock::now(),
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<ClaimId, Running>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hold(&self, claim: ClaimId, running: Running) {
        self.held().insert(claim, running);
    }

    pub(crate) fn let_go(&self, claim: ClaimId) {
        self.held().remove(&claim);
        self.ended.notify_waiters();
    }

    pub(crate) fn holds(&self, claim: ClaimId) -> bool {
        self.held().contains_key(&claim)
    }

    /// Returns the indices of queues on which we hold claims.
    pub(crate) fn queues_held(&self) -> Vec<usize> {
        let mut queues: Vec<usize> = self.held().keys().map(|claim| claim.queue).collect();
        queues.dedup();
        queues
    }

    /// Returns what is running, at most `limit`.
    pub(crate) fn running(&self, limit: usize) -> Vec<Running> {
        self.held().values().take(limit).cloned().collect()
    }

    pub(crate) fn n_held(&self) -> usize {
        self.held().len()
    }

    /// Returns once no claim is in our hands.
    async fn wait_until_empty(&self) {
        loop {
            // Listening before the look, so that the last claim's end between the two is not missed.
            let ended = self.ended.notified();
            if self.n_held() == 0 {
                return;
            }
            ended.await;
        }
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
