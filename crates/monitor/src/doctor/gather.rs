//! Asks the queue's server for what the fleet is.

use std::time::Duration;

use jiff::Timestamp;
use redis::cmd;
use rhubarb_connection::Redis;
use rhubarb_core::clock;
use rhubarb_jobs::Caches;
use rhubarb_queue::{
    Error,
    inspect::{self, Composition, QueueInfo, WorkerInfo},
    letter::LetterKind,
    orphans,
    schedules::All,
};

use super::fleet::{Fleet, LateSchedule};
use crate::{
    ask::{Asked, Missing},
    collect::{Scope, queue_missing},
};

/// How many messages of each list are read for the names of their tasks.
const SAMPLE: usize = 200;
/// How many queues are looked into, and for how long each.
const QUEUES: usize = 50;
const EFFORT: Duration = Duration::from_millis(200);
/// A tick that is not published by then is late. A beat looks each second, and another one leads
/// 12 s after the leader died.
const LATE: Duration = Duration::from_secs(30);

/// Returns what is known; what Redis refuses goes to `missing`.
pub(super) async fn fleet(
    look: &Scope<'_>,
    caches: &Caches,
    queues: Vec<QueueInfo>,
    missing: &mut Vec<Missing>,
) -> Fleet {
    let client = look.client;
    let mut noted = Noted { place: look.servers[0].name.clone(), missing };
    let workers = noted.or_none(inspect::workers(client).await);
    let waiting = noted.or_none(samples(look, &queues).await);
    let stranded = noted.or_none(stranded(look).await);
    let mut fleet = Fleet { queues, workers, waiting, stranded, ..Fleet::default() };
    noted.or_none(schedules(look, &mut fleet).await);
    fleet.status = caches.status().at_hand().await.ok().flatten();
    let mut asked = Asked::new(client.queue(), noted.place.clone());
    let keys = client.keys();
    let mut count = async |command: &'static str, key: &str| {
        asked.ask::<u64>("counts", cmd(command).arg(key)).await.unwrap_or_default()
    };
    fleet.dead = count("ZCARD", &keys.letters(LetterKind::Dead).index).await;
    fleet.parked = count("ZCARD", &keys.letters(LetterKind::Parked).index).await;
    fleet.unacked = count("HLEN", &keys.kombus("unacked")).await;
    noted.missing.extend(asked.into_missing());
    fleet.python = python_workers(client.queue(), &keys.kombus(PIDBOX), &fleet.workers).await;
    fleet
}

/// kombu's record of who listens for remote control.
const PIDBOX: &str = "_kombu.binding.celery.pidbox";

struct Noted<'a> {
    place: String,
    missing: &'a mut Vec<Missing>,
}

impl Noted<'_> {
    fn or_none<T: Default>(&mut self, answer: Result<T, Error>) -> T {
        answer.unwrap_or_else(|error| {
            self.missing.push(queue_missing(self.place.clone(), &error));
            T::default()
        })
    }
}

async fn samples(look: &Scope<'_>, queues: &[QueueInfo]) -> Result<Vec<Composition>, Error> {
    let mut samples = Vec::new();
    for queue in queues.iter().filter(|queue| queue.waiting > 0).take(QUEUES) {
        samples.push(inspect::composition(look.client, &queue.name, SAMPLE, EFFORT).await?);
    }
    Ok(samples)
}

async fn stranded(look: &Scope<'_>) -> Result<u64, Error> {
    let mut n = 0;
    for orphan in orphans::find(look.client, look.effort.time() / 2).await? {
        n += orphan.len(look.client.queue()).await?;
    }
    Ok(n)
}

async fn schedules(look: &Scope<'_>, fleet: &mut Fleet) -> Result<(), Error> {
    let all = All::read(look.client, look.config.scheduled()).await?;
    fleet.led = all.redbeat_leads || inspect::leader(look.client).await?.is_some();
    fleet.unusable =
        all.problems.into_iter().map(|problem| (problem.name, problem.problem)).collect();
    let now = clock::now();
    let mut records = std::collections::HashMap::new();
    for (name, known) in all.known.iter().filter(|(_, known)| known.is_on()) {
        fleet.schedules += 1;
        if !records.contains_key(&known.queue) {
            let of_queue = inspect::schedule_records(look.client, &known.queue).await?;
            records.insert(known.queue.clone(), of_queue);
        }
        // What no beat has seen yet starts from now.
        let Some(record) = records[&known.queue].get(name) else { continue };
        let record = known.record(Some(record.clone()), now);
        let next = known.schedule.next_at(&record.progress());
        if let Some(by) = next.and_then(|next| overdue(next, now)).filter(|by| *by >= LATE) {
            fleet.late.push(LateSchedule { name: name.clone(), by });
        }
    }
    Ok(())
}

fn overdue(next: Timestamp, now: Timestamp) -> Option<Duration> {
    Duration::try_from(now.duration_since(next)).ok()
}

/// Returns how many workers that are not ours listen for remote control; a worker of Celery's that
/// was killed is among them until another one starts under its name.
async fn python_workers(redis: &Redis, key: &str, ours: &[WorkerInfo]) -> usize {
    let members: Vec<Vec<u8>> = redis.query(cmd("SMEMBERS").arg(key)).await.unwrap_or_default();
    let is_ours = |member: &[u8]| {
        let text = String::from_utf8_lossy(member);
        ours.iter().any(|worker| text.contains(&format!("{}.celery.pidbox", worker.record.node)))
    };
    members.iter().filter(|member| !is_ours(member)).count()
}
