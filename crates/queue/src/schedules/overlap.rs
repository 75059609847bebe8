//! Whether the task of a schedule's last tick is done.

use rhubarb_wire::Envelope;

use crate::{Client, Error, error::redis, keys::QueueKeys};

/// How many waiting messages of each list are searched: those that run next.
const SEARCHED: isize = 1_000;
/// How many workers' claims are searched.
const MOST_WORKERS: isize = 1_000;

/// Tells whether a task still waits, runs, or waits for a retry.
///
/// It does while it lies in its queue, in a worker's claims or among the scheduled messages. A Python worker that has
/// taken a message keeps it nowhere: there, only the state STARTED (`task_track_started`) or RETRY tells. A task that
/// waits behind more than 1,000 others counts as done.
///
/// # Errors
///
/// [`Error::Redis`], or [`Error::Malformed`] when its stored state is none.
pub async fn unfinished(client: &Client, queue: &str, id: &str) -> Result<bool, Error> {
    // It may move on behind the search, from the scheduled messages to a list: so twice.
    for _ in 0..2 {
        let state = client.result(id).await?.map(|result| result.status);
        if let Some(state) = state {
            return Ok(!state.is_final());
        }
        if held(client, queue, id).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Tells whether a message of the task lies with the queue.
async fn held(client: &Client, queue: &str, id: &str) -> Result<bool, Error> {
    let keys = QueueKeys::new(queue, client.celery());
    let failed = || redis(format!("search queue `{queue}`"));
    let mut pipeline = ::redis::pipe();
    for list in &keys.lists {
        pipeline.cmd("LRANGE").arg(list).arg(-SEARCHED).arg(-1);
    }
    pipeline.cmd("ZRANGE").arg(&keys.scheduled).arg(0).arg(SEARCHED - 1);
    pipeline.cmd("ZRANGE").arg(&keys.leases).arg(0).arg(MOST_WORKERS - 1);
    let mut found: Vec<Vec<Vec<u8>>> = client.queue().pipe(&pipeline).await.map_err(failed())?;
    let workers = found.pop().unwrap_or_default();
    if found.iter().flatten().any(|message| is_of(message, id)) {
        return Ok(true);
    }
    if workers.is_empty() {
        return Ok(false);
    }
    let mut claims = ::redis::pipe();
    for worker in workers {
        claims.cmd("HVALS").arg(keys.claims(&String::from_utf8_lossy(&worker)));
    }
    let claims: Vec<Vec<Vec<u8>>> = client.queue().pipe(&claims).await.map_err(failed())?;
    Ok(claims.iter().flatten().any(|claim| is_of(claim, id)))
}

/// Tells whether it is the task's message, whatever stands in front of its JSON.
fn is_of(message: &[u8], id: &str) -> bool {
    // Its children name it too, as their parent: only a message that names it is looked into.
    let names = message.windows(id.len()).any(|window| window == id.as_bytes());
    let start = message.iter().position(|byte| *byte == b'{');
    names
        && start
            .and_then(|start| Envelope::decode(&message[start..]).ok())
            .is_some_and(|envelope| envelope.headers.id == id)
}
