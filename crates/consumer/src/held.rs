//! The claims in a worker's hands: what they are, which of them run, and how to end one that runs.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use jiff::Timestamp;
use rhubarb_core::clock;
use rhubarb_queue::inspect::Running;
use tokio::sync::Notify;

use crate::{
    delivery::{ClaimId, Message, Received},
    queues::Queues,
};

/// All claims in our hands.
#[derive(Debug, Default)]
pub(crate) struct Held {
    claims: Mutex<BTreeMap<ClaimId, Holding>>,
    /// Told at each claim's end.
    ended: Notify,
}

#[derive(Clone, Debug)]
struct Holding {
    message: Message,
    /// When it was claimed.
    since: Timestamp,
    stage: Stage,
    termination: Arc<Termination>,
}

impl Holding {
    fn received(&self) -> Option<&Arc<Received>> {
        match &self.message {
            Message::Read(received) => Some(received),
            Message::Raw(_) => None,
        }
    }

    /// The task's id and name, as far as they are known.
    fn task(&self) -> (&str, &str) {
        match &self.message {
            Message::Read(received) => {
                let headers = &received.envelope.headers;
                (&headers.id, &headers.task)
            }
            Message::Raw(raw) => (
                raw.task_id.as_deref().unwrap_or_default(),
                raw.task.as_deref().unwrap_or_default(),
            ),
        }
    }
}

/// How far a claim has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Reserved,
    Active(Timestamp),
    Ending,
}

/// A claim whose message could be read, as remote control shows it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) received: Arc<Received>,
    /// When it began; `None` while it waits to begin.
    pub(crate) began: Option<Timestamp>,
}

/// The order to end a task while it runs.
#[derive(Debug, Default)]
pub(crate) struct Termination {
    signal: OnceLock<String>,
    given: Notify,
}

impl Termination {
    fn give(&self, signal: &str) {
        // A second order changes nothing.
        let _ = self.signal.set(signal.to_owned());
        self.given.notify_one();
    }

    /// Waits for the order and returns the signal that was asked for. One waits at most: whoever
    /// runs the task.
    pub(crate) async fn given(&self) -> String {
        loop {
            if let Some(signal) = self.signal.get() {
                return signal.clone();
            }
            // An order since the look has left its permit here.
            self.given.notified().await;
        }
    }
}

impl Held {
    fn claims(&self) -> MutexGuard<'_, BTreeMap<ClaimId, Holding>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, claim: ClaimId, since: Timestamp, message: Message) {
        let (stage, termination) = (Stage::Reserved, Arc::default());
        self.claims().insert(claim, Holding { message, since, stage, termination });
    }

    pub(crate) fn let_go(&self, claim: ClaimId) {
        self.claims().remove(&claim);
        self.ended.notify_waiters();
    }

    /// Notes that a claim runs; returns what orders its end.
    pub(crate) fn begin(&self, claim: ClaimId, now: Timestamp) -> Arc<Termination> {
        self.claims().get_mut(&claim).map_or_else(Arc::default, |holding| {
            holding.stage = Stage::Active(now);
            holding.termination.clone()
        })
    }

    /// Notes that a claim runs no more and has only to be written.
    pub(crate) fn cease(&self, claim: ClaimId) {
        if let Some(holding) = self.claims().get_mut(&claim) {
            holding.stage = Stage::Ending;
        }
    }

    /// Orders the end of every claim of a task that is wanted; returns how many of them there are,
    /// once an id.
    pub(crate) fn terminate(
        &self,
        signal: &str,
        wanted: impl Fn(&Received) -> bool,
    ) -> Vec<Arc<Received>> {
        let mut terminated: Vec<Arc<Received>> = Vec::new();
        for holding in self.claims().values().filter(|holding| holding.stage != Stage::Ending) {
            let Some(received) = holding.received().filter(|one| wanted(one)) else {
                continue;
            };
            holding.termination.give(signal);
            let id = &received.envelope.headers.id;
            if terminated.iter().all(|one| one.envelope.headers.id != *id) {
                terminated.push(received.clone());
            }
        }
        terminated
    }

    pub(crate) fn holds(&self, claim: ClaimId) -> bool {
        self.claims().contains_key(&claim)
    }

    /// Returns a claim's task and its id, as far as they are known.
    pub(crate) fn task_of(&self, claim: ClaimId) -> Option<(String, String)> {
        let claims = self.claims();
        let (id, task) = claims.get(&claim)?.task();
        Some((task.to_owned(), id.to_owned()))
    }

    /// Returns the places of the queues on which we hold claims.
    pub(crate) fn queues(&self) -> Vec<usize> {
        let mut queues: Vec<usize> = self.claims().keys().map(|claim| claim.queue).collect();
        queues.dedup();
        queues
    }

    /// Returns what is in our hands as the registry shows it, at most `limit`.
    pub(crate) fn running(&self, queues: &Queues, limit: usize) -> Vec<Running> {
        let running = |(claim, holding): (&ClaimId, &Holding)| {
            let (id, task) = holding.task();
            Running {
                id: id.to_owned(),
                task: task.to_owned(),
                queue: queues[claim.queue].name.clone(),
                since: clock::iso(holding.since),
            }
        };
        self.claims().iter().take(limit).map(running).collect()
    }

    /// Returns the claims that run or wait to run.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let seen = |holding: &Holding| {
            let began = match holding.stage {
                Stage::Reserved => None,
                Stage::Active(since) => Some(since),
                Stage::Ending => return None,
            };
            Some(Seen { received: holding.received()?.clone(), began })
        };
        self.claims().values().filter_map(seen).collect()
    }

    /// Returns the ids of the tasks that run.
    pub(crate) fn active(&self) -> HashSet<String> {
        let active = |holding: &&Holding| matches!(holding.stage, Stage::Active(_));
        let claims = self.claims();
        claims.values().filter(active).map(|holding| holding.task().0.to_owned()).collect()
    }

    /// Returns how many claims run.
    pub(crate) fn n_active(&self) -> usize {
        let active = |holding: &&Holding| matches!(holding.stage, Stage::Active(_));
        self.claims().values().filter(active).count()
    }

    pub(crate) fn len(&self) -> usize {
        self.claims().len()
    }

    /// Returns once no claim is in our hands.
    pub(crate) async fn wait_until_empty(&self) {
        loop {
            // Listening before the look, so that the last claim's end between the two is not
            // missed.
            let ended = self.ended.notified();
            if self.len() == 0 {
                return;
            }
            ended.await;
        }
    }
}
