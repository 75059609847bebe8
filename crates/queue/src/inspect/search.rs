//! Where one task is.

use std::time::Duration;

use jiff::tz::TimeZone;
use rhubarb_core::clock;
use rhubarb_wire::{Envelope, State, TaskResult};
use serde::Serialize;
use tokio::time::Instant;

use super::{
    Names, Unseen, all_queue_names, of_settings, queue_names,
    shelf::{Shelf, Walked},
    workers,
};
use crate::{
    Client, Error,
    error::redis,
    fields,
    keys::QueueKeys,
    letter::{self, LetterKind},
    orphans::{self, Orphan},
};

/// How many messages of each list are read at first: what was published lately, or runs soon.
const SHALLOW: usize = 1000;
/// How many messages of each list are read at most.
const DEEP: usize = 100_000;
/// How long the deep search may take; what is not read by then is told.
const PATIENCE: Duration = Duration::from_secs(5);
/// For how long queues are looked for that only Celery's programs use.
const EFFORT: Duration = Duration::from_secs(1);

/// Where a task is, as far as can be seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskPlace {
    /// Its id.
    pub id: String,
    /// Celery's state: the stored one, `PENDING` where none is.
    pub state: String,
    /// `waiting`, `scheduled`, `running`, `dead`, `parked`; `done` where it has ended and is in no
    /// place, else `unknown`.
    pub place: String,
    /// The queue, where it is on one.
    pub queue: Option<String>,
    /// How many messages of its queue are taken before it, of those that were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ahead: Option<u64>,
    /// When it is due, where it waits for its time, also in a list that no worker has taken it
    /// from: ISO 8601 text in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// The worker, where one runs it, or where its result says who did (`result_extended`).
    pub worker: Option<String>,
    /// Its name, where it is known.
    pub task: Option<String>,
    /// Why it is dead or parked.
    pub reason: Option<String>,
    /// Its stored state.
    pub result: Option<serde_json::Value>,
    /// The queues that were not searched to their end, where it was found nowhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passed: Vec<Passed>,
    /// What was not looked through for queues that only Celery's programs use, where it was found
    /// nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unseen: Option<Unseen>,
}

/// A queue that was not searched to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Passed {
    /// Its name.
    pub queue: String,
    /// Messages that were read, those that run next.
    pub searched: u64,
    /// Messages that wait there, those that wait for their time among them.
    pub holds: u64,
}

/// Finds a task: its stored state, and where its message is.
///
/// Searched are the queues of Celery's settings, those that Rhubarb knows, all that workers hold,
/// and the letters; for a task without a final state then also the queues that only Celery's
/// programs use. Of each list that is the 1,000 messages that run next, and in a second round
/// 100,000, for at most 5 s.
///
/// # Errors
///
/// [`Error::Redis`], or [`Error::Malformed`] when its stored state is none.
pub async fn task(client: &Client, id: &str) -> Result<TaskPlace, Error> {
    let result = client.result(id).await?;
    let state = result.as_ref().map_or(State::Pending, |result| result.status.clone());
    let mut info = TaskPlace {
        id: id.to_owned(),
        state: state.as_str().to_owned(),
        place: if state.is_final() { "done" } else { "unknown" }.to_owned(),
        queue: None,
        ahead: None,
        due: None,
        worker: None,
        task: None,
        reason: None,
        result: result.as_ref().map(as_json),
        passed: Vec::new(),
        unseen: None,
    };
    let known = queue_names(client, &of_settings(client.celery())).await?;
    let shallow = Bounds { depth: SHALLOW, until: None, orphans: &[] };
    if seek(client, &known, &mut info, shallow).await? {
        return Ok(info);
    }
    if !state.is_final() {
        let orphans = orphans::find(client, EFFORT).await?;
        let all = [known.clone(), orphans::queues(client, &orphans)].concat();
        let Names { names, unseen } = all_queue_names(client, &all, EFFORT).await?;
        let until = Some(Instant::now() + PATIENCE);
        let deep = Bounds { depth: DEEP, until, orphans: &orphans };
        if seek(client, &names, &mut info, deep).await? {
            return Ok(info);
        }
        info.unseen = unseen;
    }
    // Once more, for a message that went back to a place already searched. What was passed over
    // stays what it was.
    let passed = std::mem::take(&mut info.passed);
    if !seek(client, &known, &mut info, shallow).await? {
        info.passed = passed;
        told_by_result(&mut info);
    }
    Ok(info)
}

/// Takes from the result of a task that is in no place what it says: with `result_extended`, whose
/// it was.
fn told_by_result(info: &mut TaskPlace) {
    let told = |name: &str| Some(info.result.as_ref()?.get(name)?.as_str()?.to_owned());
    let (task, worker, queue) = (told("name"), told("worker"), told("queue"));
    info.task = info.task.take().or(task);
    info.worker = info.worker.take().or(worker);
    info.queue = info.queue.take().or(queue);
}

/// How far a search goes.
#[derive(Clone, Copy, Debug)]
struct Bounds<'o> {
    /// Messages of each list.
    depth: usize,
    /// When it ends; what is found until then counts.
    until: Option<Instant>,
    /// Claims without a lease.
    orphans: &'o [Orphan],
}

fn as_json(result: &TaskResult) -> serde_json::Value {
    serde_json::from_slice(&result.encode()).unwrap_or_default()
}

/// Searches the places in the order in which a message goes through them, so that one that moves on
/// meanwhile is still met.
async fn seek(
    client: &Client,
    queues: &[String],
    info: &mut TaskPlace,
    bounds: Bounds<'_>,
) -> Result<bool, Error> {
    info.passed.clear();
    for queue in queues {
        if seek_waiting(client, queue, info, bounds).await?
            || seek_claimed(client, queue, info, bounds.orphans).await?
        {
            info.queue = Some(queue.clone());
            info.passed.clear();
            return Ok(true);
        }
    }
    for kind in [LetterKind::Dead, LetterKind::Parked] {
        if let Some(letter) = letter::find(client, kind, &info.id).await? {
            info.place = format!("{kind:?}").to_lowercase();
            info.queue = Some(letter.queue);
            info.task = letter.task;
            info.reason = Some(letter.reason);
            info.passed.clear();
            return Ok(true);
        }
    }
    Ok(false)
}

/// Searches a queue's lists and what waits for its time; a key of another type is passed over.
async fn seek_waiting(
    client: &Client,
    queue: &str,
    info: &mut TaskPlace,
    bounds: Bounds<'_>,
) -> Result<bool, Error> {
    let keys = QueueKeys::new(queue, client.celery());
    let (mut searched, mut holds) = (0, 0_u64);
    for shelf in Shelf::of(&keys) {
        let its = |messages: &[Vec<u8>]| {
            let mut all = messages.iter().enumerate();
            let (at, task) =
                all.find_map(|(at, one)| Some((at, named_there(&shelf, one, &info.id)?)))?;
            // A list is read from its end.
            let before = if shelf.is_list() { messages.len() - 1 - at } else { at };
            Some((task, before as u64, messages[at].clone()))
        };
        match shelf.walk(client, bounds.depth, bounds.until, its).await {
            Ok(Walked { found: Some((task, before, member)), read, .. }) => {
                if shelf.is_list() {
                    info.place = "waiting".to_owned();
                    info.ahead = Some(holds + read as u64 + before);
                    info.due = shelf.message(&member).and_then(due_later);
                } else {
                    info.place = "scheduled".to_owned();
                    let due = shelf.due(client, &member).await;
                    info.due = due.map_err(redis(format!("search queue `{queue}`")))?;
                }
                info.task = Some(task);
                return Ok(true);
            }
            Ok(walked) => {
                searched += walked.read as u64;
                holds += walked.holds as u64;
            }
            Err(error) if error.wrong_type().is_some() => {}
            Err(source) => return Err(redis(format!("search queue `{queue}`"))(source)),
        }
    }
    if searched < holds {
        info.passed.push(Passed { queue: queue.to_owned(), searched, holds });
    }
    Ok(false)
}

/// Returns the name of the task whose message this member is, if it is that task's.
fn named_there(shelf: &Shelf<'_>, member: &[u8], id: &str) -> Option<String> {
    if is_surely_another(member, id) {
        return None;
    }
    named(shelf.message(member)?, id)
}

/// Tells, without reading it as JSON, that a message is not the task's: an id that no encoder
/// escapes is not in it.
fn is_surely_another(message: &[u8], id: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    id.chars().all(is_plain) && std::str::from_utf8(message).is_ok_and(|text| !text.contains(id))
}

/// Looks into what workers hold: the claims themselves, since a worker's record tells only its
/// first ones, and those of some seconds ago.
async fn seek_claimed(
    client: &Client,
    queue: &str,
    info: &mut TaskPlace,
    orphans: &[Orphan],
) -> Result<bool, Error> {
    let keys = QueueKeys::new(queue, client.celery());
    let failed = || redis(format!("search what is claimed of queue `{queue}`"));
    let redis_ = client.queue();
    let mut leases = ::redis::cmd("ZRANGE");
    leases.arg(&keys.leases).arg(0).arg(-1);
    let mut holders: Vec<String> = redis_.query(&leases).await.map_err(failed())?;
    let orphaned = orphans.iter().filter(|orphan| orphan.is_on(&keys));
    holders.extend(orphaned.map(|orphan| orphan.worker.clone()));
    for holder in holders {
        let key = keys.claims(&holder);
        let claims = redis_.query(::redis::cmd("HKEYS").arg(&key)).await.map_err(failed())?;
        for group in fields::groups(redis_, &key, claims).await? {
            for (_, claim) in fields::read(redis_, &key, group).await? {
                let message = claim.as_deref().and_then(claimed);
                if let Some(task) = message.and_then(|message| named(message, &info.id)) {
                    info.place = "running".to_owned();
                    info.task = Some(task);
                    info.worker = Some(node(client, holder).await?);
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// Returns the name of a worker's node; its id while the registry does not know it.
async fn node(client: &Client, id: String) -> Result<String, Error> {
    let known = workers(client).await?.into_iter().find(|worker| worker.record.id == id);
    Ok(known.map_or(id, |worker| worker.record.node))
}

/// Returns the message of a claim: the claim itself, or `<list>:<deliveries>:<ms>:<message>`.
fn claimed(claim: &[u8]) -> Option<&[u8]> {
    if claim.starts_with(b"{") {
        return Some(claim);
    }
    claim.splitn(4, |b| *b == b':').nth(3)
}

/// Returns when a message that a list holds is due, if that is yet to come.
fn due_later(message: &[u8]) -> Option<String> {
    let eta = Envelope::decode(message).ok()?.headers.eta?;
    let at = eta.resolve(&TimeZone::UTC);
    (at > clock::now()).then(|| clock::iso(at))
}

/// Returns the name of the task whose message this is, if it is that task's.
fn named(message: &[u8], id: &str) -> Option<String> {
    let envelope = Envelope::decode(message).ok()?;
    (envelope.headers.id == id).then_some(envelope.headers.task)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_message_that_cannot_be_the_tasks_is_passed_over_unread() {
        for (message, id, expect) in [
            (&b"{\"id\": \"7c1e-1\"}"[..], "7c1e-1", false),
            (b"{\"id\": \"7c1e-2\"}", "7c1e-1", true),
            (b"{\"id\": \"caf\\u00e9\"}", "caf\u{e9}", false),
            (b"\xff 7c1e-2", "7c1e-1", false),
            (b"{}", "", false),
        ] {
            assert_eq!(is_surely_another(message, id), expect, "{id:?}");
        }
    }
}
