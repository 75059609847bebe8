//! The way out: returns what only Rhubarb finds to where a Python worker finds it.
//!
//! Claims of workers that are no more, scheduled messages and parked ones go to the consumer's end
//! of their lists. Dead letters stay: no worker of either kind can run them.

use std::{collections::BTreeMap, time::Duration};

use rhubarb_connection::Redis;
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    Client, Error,
    error::redis,
    fields, inspect,
    keys::{LetterKeys, QueueKeys, list_number},
    letter::{Letter, LetterKind},
    orphans::{self, Orphan},
    pauses,
    reap::{self, Reaper},
    replay, script,
};

/// How many scheduled messages one step moves.
const BATCH: u64 = 200;
/// How many letters are read at once.
const LETTERS: usize = 100;
/// How long it waits for workers that an outage may have kept from renewing their leases.
const DOUBT: Duration = Duration::from_secs(60);
/// How long claims without a lease are looked for.
const ORPHANS: Duration = Duration::from_secs(5);
/// How long the worker of such claims has to come back where no worker's lease is known: the
/// default of `worker.lease`.
const ORPHAN_LEASE: Duration = Duration::from_secs(15);
/// How often it looks meanwhile.
const DOUBT_LOOK: Duration = Duration::from_millis(500);

/// What is returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandBack {
    /// Only these queues; all that are known where none is named.
    pub queues: Vec<String>,
    /// Only count.
    pub dry_run: bool,
}

/// What was returned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HandedBack {
    /// By queue; those with nothing to return are shown too.
    pub queues: BTreeMap<String, Returned>,
    /// Parked messages that stay because their record cannot be read.
    pub unreadable: u64,
    /// Dead letters, of all queues; they stay.
    pub dead: u64,
    /// Why nothing would be returned if it were not only counted; absent where nothing is in the
    /// way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// What a queue got back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Returned {
    /// Messages that dead workers had claimed.
    pub claimed: u64,
    /// Messages that waited for their time: ETA, retries, put off.
    pub scheduled: u64,
    /// Messages whose task nobody knew.
    pub parked: u64,
}

/// Returns claims, scheduled and parked messages to their queues' lists, to be taken next, the
/// oldest first.
///
/// # Cancel safety
///
/// A dropped call has returned some of it; each message is either where it was or back.
///
/// # Errors
///
/// [`Error::Refused`] while a Rhubarb worker serves one of the queues, which would take it all
/// again; [`Error::Redis`].
pub async fn hand_back(client: &Client, wanted: &HandBack) -> Result<HandedBack, Error> {
    let orphans = orphans::find(client, ORPHANS).await?;
    let names = if wanted.queues.is_empty() {
        inspect::queue_names(client, &orphans::queues(client, &orphans)).await?
    } else {
        wanted.queues.iter().try_for_each(|queue| pauses::check(client, queue))?;
        wanted.queues.clone()
    };
    let queues: Vec<QueueKeys> =
        names.iter().map(|name| QueueKeys::new(name, client.celery())).collect();
    if !wanted.dry_run {
        doubt(client.queue(), &queues, &orphans).await?;
    }
    let refused = served(client, &queues).await?;
    if let Some(reason) = refused.clone().filter(|_| !wanted.dry_run) {
        return Err(Error::Refused(reason));
    }
    let dead = n_dead(client).await?;
    let mut back = HandedBack { dead, refused, ..HandedBack::default() };
    let redis_ = client.queue();
    // What is pushed last is taken first: the claims are the oldest.
    for queue in &queues {
        let scheduled = scheduled(redis_, queue, wanted.dry_run).await?;
        back.queues.entry(queue.name.clone()).or_default().scheduled = scheduled;
    }
    let mut parked = Parked::new(client, wanted.dry_run);
    let chosen = |letter: &Letter| wanted.queues.is_empty() || names.contains(&letter.queue);
    parked.walk(chosen).await?;
    back.unreadable = parked.unreadable;
    for (queue, n) in parked.moved {
        back.queues.entry(queue).or_default().parked = n;
    }
    for queue in &queues {
        let claimed = claims(redis_, queue, wanted.dry_run).await?;
        back.queues.entry(queue.name.clone()).or_default().claimed = claimed;
    }
    if wanted.dry_run {
        count_orphans(redis_, &orphans, &queues, &mut back).await?;
        return Ok(back);
    }
    // Who was taken for dead may have come back meanwhile.
    let left = served(client, &queues).await?;
    left.map_or(Ok(back), |reason| Err(Error::Refused(format!("not all is back: {reason}"))))
}

/// Says who of ours would take everything again, if anybody would.
async fn served(client: &Client, queues: &[QueueKeys]) -> Result<Option<String>, Error> {
    let workers = inspect::workers(client).await?;
    let serves = |served: &[String]| queues.iter().any(|queue| served.contains(&queue.name));
    let serving = workers.iter().filter(|w| w.alive && serves(&w.record.queues));
    let alive: Vec<&str> = serving.map(|worker| worker.record.id.as_str()).collect();
    let mut silent: BTreeMap<String, i64> = BTreeMap::new();
    for queue in queues {
        for (id, rest) in holding(client.queue(), queue).await? {
            if !alive.contains(&id.as_str()) {
                let longest = silent.entry(id).or_default();
                *longest = rest.max(*longest);
            }
        }
    }
    let name = |id: &str| {
        let known = workers.iter().find(|worker| worker.record.id == id);
        known.map_or_else(
            || id.to_owned(),
            |w| format!("{} (process {})", w.record.node, w.record.pid),
        )
    };
    let mut reasons = Vec::new();
    if !alive.is_empty() {
        let names: Vec<String> = alive.into_iter().map(name).collect();
        reasons.push(format!(
            "these Rhubarb workers are alive and would take it all again: {}; stop them first (SIGTERM)",
            names.join(", ")
        ));
    }
    if let Some(longest) = silent.values().max() {
        let names: Vec<String> = silent.keys().map(|id| name(id)).collect();
        reasons.push(format!(
            "these did not stop cleanly and still hold tasks: {}; their lease ends in {} s, try again then",
            names.join(", "),
            (longest + 999) / 1000
        ));
    }
    Ok((!reasons.is_empty()).then(|| reasons.join("; ")))
}

/// Returns the workers that hold claims under a lease that has not ended, and its rest in
/// milliseconds.
///
/// A worker that has stopped cleanly holds none: its lease stands until it ends by itself, and
/// keeps nobody from anything.
async fn holding(redis_: &Redis, queue: &QueueKeys) -> Result<Vec<(String, i64)>, Error> {
    let leases = leases(redis_, queue).await?.into_iter().filter(|(_, rest)| *rest > 0);
    let leases: Vec<(String, i64)> = leases.collect();
    if leases.is_empty() {
        return Ok(leases);
    }
    let mut pipeline = ::redis::pipe();
    for (id, _) in &leases {
        pipeline.cmd("HLEN").arg(queue.claims(id));
    }
    let held: Vec<u64> = redis_
        .pipe(&pipeline)
        .await
        .map_err(redis(format!("count the claims on queue `{}`", queue.name)))?;
    let holds = |(lease, n): ((String, i64), u64)| (n > 0).then_some(lease);
    Ok(leases.into_iter().zip(held).filter_map(holds).collect())
}

/// Returns the workers with claims on a queue, and how many milliseconds their lease still has.
async fn leases(redis_: &Redis, queue: &QueueKeys) -> Result<Vec<(String, i64)>, Error> {
    let mut pipeline = ::redis::pipe();
    pipeline.cmd("TIME");
    pipeline.cmd("ZRANGE").arg(&queue.leases).arg(0).arg(999).arg("WITHSCORES");
    let ((s, us), leases): ((i64, i64), Vec<(String, f64)>) = redis_
        .pipe(&pipeline)
        .await
        .map_err(redis(format!("read the leases of queue `{}`", queue.name)))?;
    let now = s * 1000 + us / 1000;
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 are below 2^53")]
    let rest = |end: f64| end as i64 - now;
    Ok(leases.into_iter().map(|(id, end)| (id, rest(end))).collect())
}

async fn n_dead(client: &Client) -> Result<u64, Error> {
    let mut count = ::redis::cmd("ZCARD");
    count.arg(client.keys().letters(LetterKind::Dead).index);
    client.queue().query(&count).await.map_err(redis("count the dead letters"))
}

async fn scheduled(redis_: &Redis, queue: &QueueKeys, dry_run: bool) -> Result<u64, Error> {
    let failed = || redis(format!("return the scheduled messages of queue `{}`", queue.name));
    let mut count = ::redis::cmd("ZCARD");
    count.arg(&queue.scheduled);
    let n: u64 = redis_.query(&count).await.map_err(failed())?;
    if dry_run {
        return Ok(n);
    }
    let mut keys = vec![queue.scheduled.clone()];
    keys.extend(queue.lists.iter().cloned());
    let mut moved = 0;
    loop {
        let args = [BATCH.to_string().into_bytes()];
        let step: u64 =
            redis_.eval(&script::UNSCHEDULE, &keys, &args, &[]).await.map_err(failed())?;
        moved += step;
        if step < BATCH {
            return Ok(moved);
        }
    }
}

/// Returns what workers held whose lease has ended, as every worker of ours would.
///
/// What came before may have taken so long that a look grants each lease one more period; that is
/// waited for, too.
async fn claims(redis_: &Redis, queue: &QueueKeys, dry_run: bool) -> Result<u64, Error> {
    let (mut moved, mut before) = (0, Vec::new());
    loop {
        let ended: Vec<String> =
            leases(redis_, queue).await?.into_iter().filter(|l| l.1 <= 0).map(|l| l.0).collect();
        if ended.is_empty() {
            return Ok(moved);
        }
        if dry_run {
            return held(redis_, queue, &ended).await;
        }
        let look = Reaper { most: reap::MOST, ..Reaper::default() };
        // Each claim counts as a death, as when a worker reaps.
        let reaped = reap::look(redis_, queue, look).await?;
        moved += reaped.given.iter().map(|(_, n)| n).sum::<u64>();
        if reaped.granted > 0 {
            wait_out(redis_, vec![queue]).await?;
        } else if reaped.given.is_empty() && ended == before {
            return Err(Error::Refused(format!(
                "what dead workers hold of queue `{}` stays with them: a key of another type stands in \
                 the place of one of its lists; rename that key and try again",
                queue.name
            )));
        }
        before = ended;
    }
}

/// Has workers that an outage of Redis may have cut off come back before they are taken for dead.
///
/// Where nobody has looked at a queue's leases for a while, either all its workers are gone or
/// Redis was; only time tells, one period of a lease.
async fn doubt(redis_: &Redis, queues: &[QueueKeys], orphans: &[Orphan]) -> Result<(), Error> {
    let mut doubtful = Vec::new();
    for queue in queues {
        for orphan in orphans.iter().filter(|orphan| orphan.is_on(queue)) {
            if orphan.adopt(redis_, ORPHAN_LEASE).await? > 0 {
                doubtful.push(queue);
            }
        }
        let leases = leases(redis_, queue).await?;
        let ended: Vec<String> = leases.into_iter().filter(|l| l.1 <= 0).map(|l| l.0).collect();
        let holds = !ended.is_empty() && held(redis_, queue, &ended).await? > 0;
        if holds && reap::look(redis_, queue, Reaper::default()).await?.granted > 0 {
            doubtful.push(queue);
        }
    }
    wait_out(redis_, doubtful).await
}

/// Waits until no worker holds anything of these queues under a lease that has not ended, for at
/// most a minute.
async fn wait_out(redis_: &Redis, mut doubtful: Vec<&QueueKeys>) -> Result<(), Error> {
    let until = Instant::now() + DOUBT;
    while !doubtful.is_empty() && Instant::now() < until {
        tokio::time::sleep(DOUBT_LOOK).await;
        let mut still = Vec::new();
        for queue in doubtful {
            // Without a look at times the next one would doubt anew.
            reap::look(redis_, queue, Reaper::default()).await?;
            if !holding(redis_, queue).await?.is_empty() {
                still.push(queue);
            }
        }
        doubtful = still;
    }
    Ok(())
}

/// Counts, besides, what workers without a lease hold.
async fn count_orphans(
    redis_: &Redis,
    orphans: &[Orphan],
    queues: &[QueueKeys],
    back: &mut HandedBack,
) -> Result<(), Error> {
    for orphan in orphans {
        if let Some(queue) = queues.iter().find(|queue| orphan.is_on(queue)) {
            let n = orphan.len(redis_).await?;
            back.queues.entry(queue.name.clone()).or_default().claimed += n;
        }
    }
    Ok(())
}

async fn held(redis_: &Redis, queue: &QueueKeys, workers: &[String]) -> Result<u64, Error> {
    let mut pipeline = ::redis::pipe();
    for worker in workers {
        pipeline.cmd("HLEN").arg(queue.claims(worker));
    }
    let held: Vec<u64> = redis_
        .pipe(&pipeline)
        .await
        .map_err(redis(format!("count the claims on queue `{}`", queue.name)))?;
    Ok(held.iter().sum())
}

/// One pass over the parked messages, from the newest to the oldest.
#[derive(Debug)]
#[non_exhaustive]
pub struct Parked<'c> {
    client: &'c Client,
    keys: LetterKeys,
    dry_run: bool,
    /// How many went back, by queue.
    pub moved: BTreeMap<String, u64>,
    /// How many records could not be read.
    pub unreadable: u64,
}

/// A parked message to be put back.
struct Item {
    id: Vec<u8>,
    record: Vec<u8>,
    list: usize,
    message: Vec<u8>,
}

impl<'c> Parked<'c> {
    /// Begins a pass; a dry run counts and moves nothing.
    pub fn new(client: &'c Client, dry_run: bool) -> Self {
        let keys = client.keys().letters(LetterKind::Parked);
        Self { client, keys, dry_run, moved: BTreeMap::new(), unreadable: 0 }
    }

    /// Puts back those that are chosen; the others stay.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn walk(&mut self, chosen: impl Fn(&Letter) -> bool) -> Result<(), Error> {
        let mut offset = 0;
        loop {
            let mut range = ::redis::cmd("ZREVRANGE");
            range.arg(&self.keys.index).arg(offset).arg(offset + LETTERS - 1);
            let ids: Vec<Vec<u8>> = self
                .client
                .queue()
                .query(&range)
                .await
                .map_err(redis("list the parked messages"))?;
            if ids.is_empty() {
                return Ok(());
            }
            let n = ids.len();
            let mut moved = 0;
            for group in fields::groups(self.client.queue(), &self.keys.letters, ids).await? {
                moved += self.group(group, &chosen).await?;
            }
            offset += n - if self.dry_run { 0 } else { moved };
        }
    }

    /// Returns how many were moved, or would be.
    async fn group(
        &mut self,
        ids: Vec<Vec<u8>>,
        chosen: &impl Fn(&Letter) -> bool,
    ) -> Result<usize, Error> {
        let fields = fields::read(self.client.queue(), &self.keys.letters, ids).await?;
        let mut queues: BTreeMap<String, Vec<Item>> = BTreeMap::new();
        for (id, record) in fields {
            let Some(record) = record else { continue };
            let letter: Option<Letter> = serde_json::from_slice(&record).ok();
            let Some((letter, message)) = letter.and_then(|l| l.bytes().map(|bytes| (l, bytes)))
            else {
                self.unreadable += 1;
                continue;
            };
            if pauses::check(self.client, &letter.queue).is_err() {
                self.unreadable += 1;
                continue;
            }
            if !chosen(&letter) {
                continue;
            }
            let priority = rhubarb_wire::Envelope::decode(&message)
                .map_or(0, |envelope| envelope.properties.priority);
            let list = list_number(priority, &self.client.celery().priority_steps);
            queues.entry(letter.queue).or_default().push(Item { id, record, list, message });
        }
        let mut moved = 0;
        for (queue, items) in queues {
            let n = if self.dry_run { items.len() } else { self.put_back(&queue, &items).await? };
            *self.moved.entry(queue).or_default() += n as u64;
            moved += n;
        }
        Ok(moved)
    }

    async fn put_back(&self, queue: &str, items: &[Item]) -> Result<usize, Error> {
        let queue_keys = QueueKeys::new(queue, self.client.celery());
        let keys = replay::keys(&self.keys, &queue_keys);
        let mut args = Vec::new();
        for item in items {
            let list = item.list.to_string().into_bytes();
            args.extend([item.id.clone(), item.record.clone(), list, item.message.clone()]);
        }
        let moved: Vec<usize> = self
            .client
            .queue()
            .eval(&script::REPLAY, &keys, &args, &[])
            .await
            .map_err(redis(format!("return parked messages to queue `{queue}`")))?;
        Ok(moved.iter().sum())
    }
}
