//! The read side: what lies in the queues, who works, where a task is. It changes nothing.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use rhubarb_connection::Redis;
use rhubarb_core::clock;
use serde::{Deserialize, Serialize};

use crate::{
    Client, Error,
    config::CeleryConfig,
    error::redis,
    keys::QueueKeys,
    letter::{self, Letter, LetterFilter, LetterKind},
    orphans,
    pauses::Pause,
    tick::{self, Record, Ticks},
};

mod composition;
mod names;
mod parameter;
mod search;
mod shelf;

pub use composition::{Composition, composition};
pub use names::{Names, Unseen, all_queue_names, is_known, of_settings, queue_names};
pub use parameter::{Parameter, ParameterKind};
pub use search::{Passed, TaskPlace, task};

/// A member of a zset with its score.
type Scored = (Vec<u8>, f64);

/// One queue as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueueInfo {
    /// Its name.
    pub name: String,
    /// Messages waiting, all priorities together.
    pub waiting: u64,
    /// Messages waiting by priority step, most urgent first.
    pub by_priority: Vec<PriorityInfo>,
    /// Messages claimed by our workers, live or dead.
    pub claimed: u64,
    /// Messages that wait for their time (ETA, retries).
    pub scheduled: u64,
    /// When the next of these is due: ISO 8601 text in UTC.
    pub next_due: Option<String>,
    /// Whether claiming is paused.
    pub paused: bool,
    /// Since when and why it is paused, where that can be read.
    pub pause: Option<Pause>,
    /// Why it cannot be read, where it cannot: a key of it is of another type. Nothing else is
    /// known of it then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// One priority list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PriorityInfo {
    /// The step.
    pub priority: u8,
    /// Messages waiting.
    pub waiting: u64,
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

/// A worker's record in the registry, as it writes it. Fields may be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerRecord {
    /// The process, unique per boot.
    pub id: String,
    /// The node's name.
    pub node: String,
    /// The process id on its machine.
    pub pid: u32,
    /// Rhubarb's version.
    pub version: String,
    /// When it started: ISO 8601 text in UTC.
    pub started_at: String,
    /// Tasks at once.
    pub concurrency: usize,
    /// Its queues.
    pub queues: Vec<String>,
    /// The tasks that it can run.
    pub tasks: Vec<String>,
    /// What those take whose declaration says so.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, Vec<Parameter>>,
    /// How many claims it holds; of a lost worker as [`workers`] returns it, how many have not been
    /// given back.
    pub n_running: usize,
    /// The first of them.
    pub running: Vec<Running>,
    /// Claims ended with a final outcome.
    pub processed: u64,
    /// Claims that were no longer its own when they ended.
    pub late: u64,
    /// Messages that it moved to the dead letters.
    pub dead: u64,
    /// Messages that it parked.
    pub parked: u64,
    /// Whether it is stopping.
    pub draining: bool,
}

/// A worker as the registry knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkerInfo {
    /// Its record.
    #[serde(flatten)]
    pub record: WorkerRecord,
    /// Whether its lease holds.
    pub alive: bool,
    /// When its lease ends or ended: ISO 8601 text in UTC.
    pub lease_until: String,
}

/// Returns each queue as it stands; `more` are names to show besides those known.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn queues(client: &Client, more: &[String]) -> Result<Vec<QueueInfo>, Error> {
    queues_named(client, &queue_names(client, more).await?).await
}

/// Returns each queue of [`all_queue_names`], and counts as claimed what workers without a lease
/// hold, too; looks for both for at most `effort`, and tells what was not looked through.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn all_queues(
    client: &Client,
    more: &[String],
    effort: Duration,
) -> Result<(Vec<QueueInfo>, Option<Unseen>), Error> {
    let orphans = orphans::find(client, effort).await?;
    let more = [more, &orphans::queues(client, &orphans)].concat();
    let Names { names, unseen } = all_queue_names(client, &more, effort).await?;
    let mut queues = queues_named(client, &names).await?;
    for queue in queues.iter_mut().filter(|queue| queue.problem.is_none()) {
        let keys = QueueKeys::new(&queue.name, client.celery());
        for orphan in orphans.iter().filter(|orphan| orphan.is_on(&keys)) {
            queue.claimed += orphan.len(client.queue()).await?;
        }
    }
    Ok((queues, unseen))
}

/// Returns each of these queues as it stands.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn queues_named(client: &Client, names: &[String]) -> Result<Vec<QueueInfo>, Error> {
    let (redis_, celery) = (client.queue(), client.celery());
    let mut found = Vec::new();
    for name in names {
        found.push(match queue(redis_, name, celery).await {
            Err(error) if error.wrong_type().is_some() => {
                let wrong = wrong_keys(redis_, name, celery).await?;
                let problem = wrong.unwrap_or_else(|| error.to_string());
                QueueInfo { name: name.to_owned(), problem: Some(problem), ..QueueInfo::default() }
            }
            other => other?,
        });
    }
    Ok(found)
}

/// Names the keys of a queue that are of another type, if there are any.
pub async fn wrong_keys(
    redis_: &Redis,
    name: &str,
    celery: &CeleryConfig,
) -> Result<Option<String>, Error> {
    let keys = QueueKeys::new(name, celery);
    let lists = keys.lists.iter().map(|list| (list, "list"));
    let others = [(&keys.scheduled, "zset"), (&keys.leases, "zset"), (&keys.paused, "string")];
    let expected: Vec<(&String, &str)> = lists.chain(others).collect();
    let mut pipeline = ::redis::pipe();
    for (key, _) in &expected {
        pipeline.cmd("TYPE").arg(key);
    }
    let types: Vec<String> =
        redis_.pipe(&pipeline).await.map_err(redis(format!("look at queue `{name}`")))?;
    let wrong = expected.iter().zip(&types).filter(|((_, kind), is)| is != kind && *is != "none");
    let wrong: Vec<String> =
        wrong.map(|((key, kind), is)| format!("key {key} is a {is}, not a {kind}")).collect();
    Ok((!wrong.is_empty()).then(|| wrong.join("; ")))
}

async fn queue(redis_: &Redis, name: &str, celery: &CeleryConfig) -> Result<QueueInfo, Error> {
    let keys = QueueKeys::new(name, celery);
    let failed = || redis(format!("look at queue `{name}`"));
    let mut pipeline = ::redis::pipe();
    for list in &keys.lists {
        pipeline.cmd("LLEN").arg(list);
    }
    let lens: Vec<u64> = redis_.pipe(&pipeline).await.map_err(failed())?;
    let mut pipeline = ::redis::pipe();
    pipeline.cmd("ZCARD").arg(&keys.scheduled);
    pipeline.cmd("ZRANGE").arg(&keys.scheduled).arg(0).arg(0).arg("WITHSCORES");
    pipeline.cmd("GET").arg(&keys.paused);
    pipeline.cmd("ZRANGE").arg(&keys.leases).arg(0).arg(-1);
    let (scheduled, first, paused, workers): (u64, Vec<Scored>, Option<Vec<u8>>, Vec<String>) =
        redis_.pipe(&pipeline).await.map_err(failed())?;
    let mut claimed = 0;
    if !workers.is_empty() {
        let mut pipeline = ::redis::pipe();
        for worker in &workers {
            pipeline.cmd("HLEN").arg(keys.claims(worker));
        }
        let held: Vec<u64> = redis_.pipe(&pipeline).await.map_err(failed())?;
        claimed = held.iter().sum();
    }
    let by_priority = celery.priority_steps.iter().zip(&lens);
    Ok(QueueInfo {
        name: name.to_owned(),
        waiting: lens.iter().sum(),
        by_priority: by_priority.map(|(p, n)| PriorityInfo { priority: *p, waiting: *n }).collect(),
        claimed,
        scheduled,
        next_due: first.first().and_then(|(_, ms)| iso_ms(*ms)),
        paused: paused.is_some(),
        pause: paused.and_then(|record| serde_json::from_slice(&record).ok()),
        problem: None,
    })
}

fn iso_ms(ms: f64) -> Option<String> {
    #[expect(clippy::cast_possible_truncation, reason = "scores are whole milliseconds below 2^53")]
    let ms = ms as i64;
    // Python's last day goes on for longer than a timestamp here does: what is due in 9999 is due
    // at its end.
    let last = jiff::Timestamp::MAX.as_second() * 1000;
    jiff::Timestamp::from_millisecond(ms.min(last)).ok().map(clock::iso)
}

/// Returns the workers of the last hour, the living first.
///
/// # Errors
///
/// [`Error::Redis`]. A record that cannot be read is left out.
pub async fn workers(client: &Client) -> Result<Vec<WorkerInfo>, Error> {
    let failed = || redis("list the workers");
    let mut pipeline = ::redis::pipe();
    pipeline.cmd("TIME");
    pipeline.cmd("ZREVRANGE").arg(client.keys().workers()).arg(0).arg(999).arg("WITHSCORES");
    let ((s, us), leases): ((i64, i64), Vec<(String, f64)>) =
        client.queue().pipe(&pipeline).await.map_err(failed())?;
    if leases.is_empty() {
        return Ok(Vec::new());
    }
    let mut get = ::redis::cmd("MGET");
    for (id, _) in &leases {
        get.arg(client.keys().worker(id));
    }
    let records: Vec<Option<Vec<u8>>> = client.queue().query(&get).await.map_err(failed())?;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are below 2^53")]
    let now = (s * 1000 + us / 1000) as f64;
    let info = |((_, end), record): ((String, f64), Option<Vec<u8>>)| {
        let record = serde_json::from_slice(&record?).ok()?;
        Some(WorkerInfo { record, alive: end > now, lease_until: iso_ms(end)? })
    };
    let mut workers: Vec<WorkerInfo> = leases.into_iter().zip(records).filter_map(info).collect();
    still_held(client, &mut workers).await?;
    Ok(workers)
}

/// Has lost workers show what has not been given back yet, in place of what their last word was.
async fn still_held(client: &Client, workers: &mut [WorkerInfo]) -> Result<(), Error> {
    let mut lost: Vec<&mut WorkerRecord> = workers
        .iter_mut()
        .filter(|worker| !worker.alive && worker.record.n_running > 0)
        .map(|worker| &mut worker.record)
        .collect();
    let mut pipeline = ::redis::pipe();
    for record in &lost {
        for queue in &record.queues {
            let keys = QueueKeys::new(queue, client.celery());
            pipeline.cmd("HLEN").arg(keys.claims(&record.id));
        }
    }
    if pipeline.is_empty() {
        lost.iter_mut().for_each(|record| leave_running(record, 0));
        return Ok(());
    }
    let held: Vec<usize> =
        client.queue().pipe(&pipeline).await.map_err(redis("count what lost workers hold"))?;
    let mut held = held.into_iter();
    for record in lost {
        let n = held.by_ref().take(record.queues.len()).sum();
        leave_running(record, n);
    }
    Ok(())
}

fn leave_running(record: &mut WorkerRecord, n: usize) {
    // Which of them are left is known only when all are.
    if n < record.n_running {
        record.running.clear();
    }
    record.n_running = n;
}

/// Returns the letters of a kind that are meant, newest first, at most `limit`.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn letters(
    client: &Client,
    kind: LetterKind,
    filter: &LetterFilter,
    limit: usize,
) -> Result<Vec<Letter>, Error> {
    letter::list(client, kind, filter, limit).await
}

/// Returns how many letters of a kind are kept.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn n_letters(client: &Client, kind: LetterKind) -> Result<u64, Error> {
    let mut count = ::redis::cmd("ZCARD");
    count.arg(client.keys().letters(kind).index);
    client.queue().query(&count).await.map_err(redis("count the kept messages"))
}

/// Returns each schedule's record on a queue.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn schedule_records(
    client: &Client,
    queue: &str,
) -> Result<HashMap<String, Record>, Error> {
    let lease = Duration::from_secs(1);
    Ticks::new(client.queue().clone(), client.celery(), "inspect", lease).records(queue).await
}

/// Returns which beat leads, and for how long; none when no beat runs.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn leader(client: &Client) -> Result<Option<(String, Duration)>, Error> {
    tick::leader(client).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_day_that_python_knows_is_shown() {
        // 9999-12-31T23:59:59Z
        let shown = iso_ms(253_402_300_799_000.0).unwrap();
        assert!(shown.starts_with("9999-12-30T"), "{shown}");
        assert_eq!(iso_ms(0.0).as_deref(), Some("1970-01-01T00:00:00+00:00"));
    }
}
