//! A look at who works and what became of tasks: workers, counts, schedules, the last scrape.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rhubarb_connection::Connections;
use rhubarb_core::clock;
use rhubarb_jobs::{Caches, Status};
use rhubarb_queue::{
    Client, Error,
    inspect::{self, QueueInfo, WorkerInfo},
    letter::LetterKind,
    oldest,
    schedules::{All, KnownSchedule, RedBeat, Schedules},
    statistics::{self, Statistics},
    tick::Record,
};
use rhubarb_settings::Settings;

use crate::servers::Server;

/// So many queues are looked at for their oldest task.
const QUEUES: usize = 100;
/// So many schedules are told.
const SCHEDULES: usize = 200;

/// What a fleet is looked at by.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The configuration.
    pub config: &'a Settings,
    /// The connections.
    pub connections: &'a Connections,
    /// The servers in use.
    pub servers: &'a [Server],
    /// The queue's read side.
    pub client: &'a Client,
}

/// What was found out; absent is what could not be.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// The workers of the last hour.
    pub workers: Option<Vec<WorkerInfo>>,
    /// For how long the next task of each queue has waited at least.
    pub oldest: HashMap<String, Duration>,
    /// What was counted since the installation began.
    pub counted: Option<Statistics>,
    /// How many dead letters are kept.
    pub dead: Option<u64>,
    /// How many parked tasks are kept.
    pub parked: Option<u64>,
    /// The schedules, at most two hundred.
    pub schedules: Option<Vec<ScheduleState>>,
    /// The node of the beat that leads; absent also when none does.
    pub leader: Option<String>,
    /// The last scrape.
    pub scrape: Option<Status>,
    /// How long each server took to answer.
    pub round_trips: Vec<(String, Duration)>,
}

/// One schedule, as far as metrics tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleState {
    /// Its name.
    pub name: String,
    /// `on`, `off` or `paused`.
    pub state: &'static str,
    /// How late it was published the last time.
    pub late: Duration,
    /// For how long it has been due without being published.
    pub overdue: Duration,
}

impl Fleet {
    /// Returns the live workers that claim.
    pub fn claiming(&self) -> impl Iterator<Item = &WorkerInfo> {
        self.workers.iter().flatten().filter(|worker| worker.alive && !worker.record.draining)
    }

    /// Returns how many slots serve a queue.
    pub fn slots_of(&self, queue: &str) -> usize {
        let serving = self.claiming().filter(|one| one.record.queues.iter().any(|q| q == queue));
        serving.map(|worker| worker.record.concurrency).sum()
    }

    /// Returns how many slots there are.
    pub fn slots(&self) -> usize {
        self.claiming().map(|worker| worker.record.concurrency).sum()
    }
}

/// Returns running and waiting tasks by the slots that there are; by one where there is none, so
/// that an autoscaler that starts from nothing sees how many are wanted.
pub fn load<'q>(queues: impl IntoIterator<Item = &'q QueueInfo>, slots: usize) -> f64 {
    let tasks: u64 = queues.into_iter().map(|queue| queue.waiting + queue.claimed).sum();
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    let load = tasks as f64 / slots.max(1) as f64;
    load
}

/// Looks; `queues` are those that are known.
pub async fn look(view: View<'_>, queues: &[QueueInfo]) -> Fleet {
    let client = view.client;
    let waiting = queues.iter().filter(|queue| queue.waiting > 0).take(QUEUES);
    let waiting: Vec<String> = waiting.map(|queue| queue.name.clone()).collect();
    let (workers, oldest, counted, dead, parked, schedules, leader, scrape, round_trips) = tokio::join!(
        inspect::workers(client),
        oldest::look(client, &waiting),
        statistics::totals(client),
        inspect::n_letters(client, LetterKind::Dead),
        inspect::n_letters(client, LetterKind::Parked),
        schedules(view),
        inspect::leader(client),
        scrape(view),
        round_trips(view.servers),
    );
    Fleet {
        workers: workers.ok(),
        oldest: oldest.unwrap_or_default(),
        counted: counted.ok(),
        dead: dead.ok(),
        parked: parked.ok(),
        schedules: schedules.ok(),
        leader: leader.ok().flatten().map(|(holder, _)| node(&holder)),
        scrape,
        round_trips,
    }
}

/// Returns the node of a process, without what is new at each start: that would be another label
/// each time.
fn node(process: &str) -> String {
    let mut parts = process.rsplitn(3, ':');
    let (_, _, node) = (parts.next(), parts.next(), parts.next());
    node.unwrap_or(process).to_owned()
}

async fn scrape(view: View<'_>) -> Option<Status> {
    let caches = Caches::new(&view.config.cache, view.connections).ok()?;
    caches.status().at_hand().await.ok().flatten()
}

async fn round_trips(servers: &[Server]) -> Vec<(String, Duration)> {
    let ask = async |server: &Server| {
        let begun = Instant::now();
        let answer = server.databases.first()?.redis.query::<String>(&redis::cmd("PING")).await;
        answer.ok().map(|_| (server.name.clone(), begun.elapsed()))
    };
    let all = futures_util::future::join_all(servers.iter().map(ask)).await;
    all.into_iter().flatten().collect()
}

/// Returns the schedules, those of the file and of Redis.
async fn schedules(view: View<'_>) -> Result<Vec<ScheduleState>, Error> {
    let live = Schedules::new(view.client).live().await?;
    let beat = &view.config.beat;
    let redbeat = match RedBeat::obeyed(beat, &view.config.celery) {
        Some(prefix) => RedBeat::read(view.client.queue(), prefix, None).await?,
        None => None,
    };
    let all = All::of(view.config.scheduled(), live, &redbeat.unwrap_or_default());
    let queues: BTreeSet<&String> = all.known.values().map(|known| &known.queue).collect();
    let mut records = HashMap::new();
    for queue in queues {
        records.insert(queue, inspect::schedule_records(view.client, queue).await?);
    }
    let now = clock::now();
    let mut told = Vec::new();
    for (name, known) in all.known.iter().take(SCHEDULES) {
        let record = records.get(&known.queue).and_then(|of| of.get(name));
        told.push(schedule(name, known, record, now));
    }
    Ok(told)
}

fn schedule(
    name: &str,
    known: &KnownSchedule,
    record: Option<&Record>,
    now: Timestamp,
) -> ScheduleState {
    let state = match (&known.pause, known.schedule.config.enabled) {
        (Some(_), _) => "paused",
        (None, false) => "off",
        (None, true) => "on",
    };
    let next = record.and_then(|record| record.next).filter(|_| state == "on");
    let overdue = next.map(|next| now.duration_since(next)).unwrap_or_default();
    ScheduleState {
        name: name.to_owned(),
        state,
        late: Duration::from_millis(record.map_or(0, |record| record.late_ms)),
        overdue: Duration::try_from(overdue).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_of_a_beat_does_not_change_with_each_start() {
        assert_eq!(node("rhubarb@host:17:ab12cd34"), "rhubarb@host");
        assert_eq!(node("a:b@host:17:ab12cd34"), "a:b@host");
        assert_eq!(node("odd"), "odd");
    }

    #[test]
    fn load_is_by_slots_and_by_one_where_nobody_works() {
        let queue = QueueInfo { waiting: 6, claimed: 2, ..QueueInfo::default() };
        assert!((load([&queue], 4) - 2.0).abs() < 1e-9);
        assert!((load([&queue, &queue], 0) - 16.0).abs() < 1e-9);
        assert!(load([], 4).abs() < 1e-9);
    }
}
