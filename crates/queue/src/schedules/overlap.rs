//! Whether the task of a schedule's last tick is done.

use rhubarb_wire::Envelope;

use crate::{Client, Error, error::redis, keys::QueueKeys, piece::Piece, script};

/// How many waiting messages of each list are searched: those that run next.
const SEARCHED: i64 = 1_000;
/// About how many bytes are looked at in one step.
const PIECE: usize = 1 << 20;
/// How many steps are taken for each list.
const MOST_PIECES: usize = 256;
/// How many workers' claims are searched.
const MOST_WORKERS: isize = 1_000;

/// Tells whether a task still waits, runs, or waits for a retry.
///
/// It does while it lies in its queue, in a worker's claims or among the scheduled messages. A
/// Python worker that has taken a message keeps it nowhere: there, only the state STARTED
/// (`task_track_started`) or RETRY tells. A task that waits behind more than 1,000 others, or 256
/// MiB of them, counts as done.
///
/// # Errors
///
/// [`Error::Redis`], or [`Error::Malformed`] when its stored state is none.
pub async fn unfinished(client: &Client, queue: &str, id: &str) -> Result<bool, Error> {
    // It may move on behind the search, from the scheduled messages to a list: so twice.
    for _ in 0..2 {
        match client.result(id).await {
            Ok(Some(result)) => return Ok(!result.status.is_final()),
            Ok(None) => {}
            // So large is no state but a result.
            Err(Error::Refused(_)) => return Ok(false),
            Err(error) => return Err(error),
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
    for key in keys.lists.iter().chain([&keys.scheduled]) {
        if names(client, key, id).await.map_err(failed())? {
            return Ok(true);
        }
    }
    let mut leases = ::redis::cmd("ZRANGE");
    leases.arg(&keys.leases).arg(0).arg(MOST_WORKERS - 1);
    let workers: Vec<Vec<u8>> = client.queue().query(&leases).await.map_err(failed())?;
    for worker in workers {
        let claims = keys.claims(&String::from_utf8_lossy(&worker));
        if names(client, &claims, id).await.map_err(failed())? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Tells whether a message of the task is among the first elements of a list, a sorted set or a
/// hash.
async fn names(client: &Client, key: &str, id: &str) -> Result<bool, rhubarb_connection::Error> {
    let (key, mut first) = ([key.to_owned()], 0);
    for _ in 0..MOST_PIECES {
        let args = [first.to_string(), id.to_owned(), PIECE.to_string()].map(String::into_bytes);
        let Piece { next, values } = client.queue().eval(&script::SEEK, &key, &args, &[]).await?;
        if values.iter().any(|message| is_of(message, id)) {
            return Ok(true);
        }
        if !(0..SEARCHED).contains(&next) {
            break;
        }
        first = next;
    }
    Ok(false)
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
