//! Where one task is.

use rhubarb_wire::{Envelope, State, TaskResult};
use serde::Serialize;

use super::{queue_names, workers};
use crate::{
    Client, Error,
    error::redis,
    fields,
    keys::QueueKeys,
    letter::{self, Kind},
};

/// How many messages are read of a queue to find one task.
const SEARCHED: isize = 1000;

/// Where a task is, as far as can be seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskInfo {
    /// Its id.
    pub id: String,
    /// Celery's state: the stored one, `PENDING` where none is.
    pub state: String,
    /// `waiting`, `scheduled`, `running`, `dead`, `parked` or `unknown` (done, or never seen).
    pub place: String,
    /// The queue, where it is on one.
    pub queue: Option<String>,
    /// The worker, where one runs it.
    pub worker: Option<String>,
    /// Its name, where it is known.
    pub task: Option<String>,
    /// Why it is dead or parked.
    pub reason: Option<String>,
    /// Its stored state.
    pub result: Option<serde_json::Value>,
}

/// Finds a task: its stored state, and where its message is.
///
/// Of each waiting list the 1,000 messages that run next are searched, and all that workers hold.
///
/// # Errors
///
/// [`Error::Redis`], or [`Error::Malformed`] when its stored state is none.
pub async fn task(client: &Client, id: &str) -> Result<TaskInfo, Error> {
    let result = client.result(id).await?;
    let state = result.as_ref().map_or(State::Pending, |result| result.status.clone());
    let mut info = TaskInfo {
        id: id.to_owned(),
        state: state.as_str().to_owned(),
        place: "unknown".to_owned(),
        queue: None,
        worker: None,
        task: None,
        reason: None,
        result: result.as_ref().map(as_json),
    };
    // Twice, for a message that goes back to a place already searched.
    for _ in 0..2 {
        if seek(client, &mut info).await? {
            break;
        }
    }
    Ok(info)
}

fn as_json(result: &TaskResult) -> serde_json::Value {
    serde_json::from_slice(&result.encode()).unwrap_or_default()
}

/// Searches the places in the order in which a message goes through them, so that one that moves on meanwhile is
/// still met.
async fn seek(client: &Client, info: &mut TaskInfo) -> Result<bool, Error> {
    for queue in queue_names(client, &[]).await? {
        if seek_waiting(client, &queue, info).await? || seek_claimed(client, &queue, info).await? {
            info.queue = Some(queue);
            return Ok(true);
        }
    }
    for kind in [Kind::Dead, Kind::Parked] {
        if let Some(letter) = letter::find(client.queue(), kind, &info.id).await? {
            info.place = format!("{kind:?}").to_lowercase();
            info.queue = Some(letter.queue);
            info.task = letter.task;
            info.reason = Some(letter.reason);
            return Ok(true);
        }
    }
    Ok(false)
}

async fn seek_waiting(client: &Client, queue: &str, info: &mut TaskInfo) -> Result<bool, Error> {
    let keys = QueueKeys::new(queue, client.celery());
    let mut pipeline = ::redis::pipe();
    for list in &keys.lists {
        pipeline.cmd("LRANGE").arg(list).arg(-SEARCHED).arg(-1);
    }
    pipeline.cmd("ZRANGE").arg(&keys.scheduled).arg(0).arg(SEARCHED - 1);
    let lists: Vec<Vec<Vec<u8>>> =
        client.queue().pipe(&pipeline).await.map_err(redis(format!("search queue `{queue}`")))?;
    let n_lists = keys.lists.len();
    for (idx, messages) in lists.into_iter().enumerate() {
        let waiting = idx < n_lists;
        for message in messages {
            let message = if waiting { Some(&message[..]) } else { scheduled(&message) };
            if let Some(task) = message.and_then(|message| named(message, &info.id)) {
                info.place = if waiting { "waiting" } else { "scheduled" }.to_owned();
                info.task = Some(task);
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Looks into what workers hold: the claims themselves, since a worker's record tells only its first ones, and those
/// of some seconds ago.
async fn seek_claimed(client: &Client, queue: &str, info: &mut TaskInfo) -> Result<bool, Error> {
    let keys = QueueKeys::new(queue, client.celery());
    let failed = || redis(format!("search what is claimed of queue `{queue}`"));
    let redis_ = client.queue();
    let mut leases = ::redis::cmd("ZRANGE");
    leases.arg(&keys.leases).arg(0).arg(-1);
    let holders: Vec<String> = redis_.query(&leases).await.map_err(failed())?;
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

/// Returns the message of a scheduled member: `<list>|<message>`.
fn scheduled(member: &[u8]) -> Option<&[u8]> {
    let at = member.iter().position(|b| *b == b'|')?;
    Some(&member[at + 1..])
}

/// Returns the message of a claim: the claim itself, or `<list>:<deliveries>:<ms>:<message>`.
fn claimed(claim: &[u8]) -> Option<&[u8]> {
    if claim.starts_with(b"{") {
        return Some(claim);
    }
    claim.splitn(4, |b| *b == b':').nth(3)
}

/// Returns the name of the task whose message this is, if it is that task's.
fn named(message: &[u8], id: &str) -> Option<String> {
    let envelope = Envelope::decode(message).ok()?;
    (envelope.headers.id == id).then_some(envelope.headers.task)
}
