//! What an operator does to a whole queue: pause it, resume it, throw away what waits.

use rhubarb_core::clock;
use serde::{Deserialize, Serialize};

use crate::{Client, Error, error::redis, keys::QueueKeys, queue_name, script};

/// The longest note that a pause takes, characters.
const MAX_NOTE: usize = 500;

/// A pause as it is stored: JSON. Whatever lies under the key pauses the queue, readable or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when: ISO 8601 text in UTC.
    pub since: String,
    /// Why, as a person said.
    pub note: Option<String>,
}

/// What a purge threw away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Purged {
    /// Messages that waited.
    pub waiting: u64,
    /// Messages that waited for their time.
    pub scheduled: u64,
}

/// Pauses a queue until it is resumed: no worker claims from it, what runs ends, publishing goes
/// on.
///
/// The pause is a key without an end. Each claim looks at it, so that a worker that is at work
/// obeys at its next claim, and one that has no free slot claims nothing anyway. Pausing a paused
/// queue changes its note. Tells whether it was running before.
///
/// # Errors
///
/// [`Error::Refused`] for a name or a note that cannot be; [`Error::Redis`].
pub async fn pause(client: &Client, queue: &str, note: Option<&str>) -> Result<bool, Error> {
    check(client, queue)?;
    if note.is_some_and(|note| note.chars().count() > MAX_NOTE) {
        return Err(Error::Refused(format!("a note has at most {MAX_NOTE} characters")));
    }
    let pause = Pause { since: clock::iso(clock::now()), note: note.map(str::to_owned) };
    let record = serde_json::to_vec(&pause).map_err(|e| Error::Refused(e.to_string()))?;
    let keys = QueueKeys::new(queue, client.celery());
    // First, so that no pause is there that nobody can see.
    list(client, "SADD", queue).await.map_err(redis(format!("pause queue `{queue}`")))?;
    let mut set = ::redis::cmd("SET");
    set.arg(&keys.paused).arg(record).arg("GET");
    let before: Option<Vec<u8>> =
        client.queue().query(&set).await.map_err(redis(format!("pause queue `{queue}`")))?;
    Ok(before.is_none())
}

/// Resumes a queue: idle workers are woken and claim at once. Tells whether it was paused.
///
/// # Errors
///
/// [`Error::Refused`] for a name that cannot be; [`Error::Redis`].
pub async fn resume(client: &Client, queue: &str) -> Result<bool, Error> {
    check(client, queue)?;
    let keys = QueueKeys::new(queue, client.celery());
    let failed = || redis(format!("resume queue `{queue}`"));
    let gone: u64 =
        client.queue().query(::redis::cmd("DEL").arg(&keys.paused)).await.map_err(failed())?;
    list(client, "SREM", queue).await.map_err(failed())?;
    Ok(gone == 1)
}

/// Keeps the list of paused queues. A pause counts without it, so that a refusal is no error.
async fn list(
    client: &Client,
    command: &str,
    queue: &str,
) -> Result<(), rhubarb_connection::Error> {
    let mut change = ::redis::cmd(command);
    change.arg(client.keys().paused_queues()).arg(queue);
    match client.queue().query::<u64>(&change).await {
        Err(rhubarb_connection::Error::Refused { .. }) => Ok(()),
        other => other.map(drop),
    }
}

/// Throws away what waits in a queue, and with `scheduled` what waits for its time as well. What
/// runs goes on.
///
/// Nobody is told: whoever waits for one of these tasks waits until its own deadline, as after
/// `celery purge`.
///
/// # Errors
///
/// [`Error::Refused`] for a name that cannot be; [`Error::Redis`].
pub async fn purge(client: &Client, queue: &str, scheduled: bool) -> Result<Purged, Error> {
    check(client, queue)?;
    let keys = QueueKeys::new(queue, client.celery());
    let named: Vec<String> = std::iter::once(keys.scheduled).chain(keys.lists).collect();
    let (waiting, scheduled): (u64, u64) = client
        .queue()
        .eval(&script::PURGE, &named, &[u8::from(scheduled).to_string().into_bytes()], &[])
        .await
        .map_err(redis(format!("purge queue `{queue}`")))?;
    Ok(Purged { waiting, scheduled })
}

/// Refuses what is no name of a queue.
pub(crate) fn check(client: &Client, queue: &str) -> Result<(), Error> {
    queue_name::check(queue, client.celery()).map_err(Error::Refused)
}
