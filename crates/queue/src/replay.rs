//! Brings kept messages back: a dead letter that is to be tried again, a parked task that a worker
//! knows by now.

use rhubarb_wire::Envelope;

use crate::{
    Client, Error,
    error::redis,
    keys::{LetterKeys, QueueKeys},
    letter::{self, Letter, LetterFilter, LetterKind},
    pauses, script,
};

/// What became of the letters that were to be replayed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replayed {
    /// How many are back on their queues.
    pub moved: u64,
    /// Why some stay, a sentence each, at most 100.
    pub refused: Vec<String>,
    /// How many stay.
    pub n_refused: u64,
}

/// Puts a kept message back on its queue, to run next; tells whether there was such a letter.
///
/// The task's old result is removed first, so that the new run can store its own; then one script
/// moves the message and forgets the letter and the workers that died with it. Dying between the
/// two leaves the letter without an old result: replay it again. It is never both a letter and
/// back.
///
/// # Cancel safety
///
/// As for dying.
///
/// # Errors
///
/// [`Error::Refused`] when the message itself was not kept (it was too large); [`Error::Redis`].
pub async fn replay(client: &Client, kind: LetterKind, id: &str) -> Result<bool, Error> {
    // The record may be replaced while we look (a worker keeps it once more): the script moves only
    // what we have read.
    loop {
        let Some((record, letter)) = letter::found(client, kind, id).await? else {
            return Ok(false);
        };
        if put_back(client, kind, &letter, record).await? {
            return Ok(true);
        }
    }
}

/// Puts all kept messages that are meant back on their queues, each once, the newest first, so that
/// the oldest is next.
///
/// # Cancel safety
///
/// A dropped call has moved some of them; each is either still kept or back.
///
/// # Errors
///
/// [`Error::Redis`]; those before are back.
pub async fn replay_all(
    client: &Client,
    kind: LetterKind,
    filter: &LetterFilter,
) -> Result<Replayed, Error> {
    let mut replayed = Replayed::default();
    // Looked up first: a live worker may keep again what was just replayed.
    for id in letter::ids(client, kind, filter).await? {
        match replay(client, kind, &id).await {
            Ok(moved) => replayed.moved += u64::from(moved),
            Err(Error::Refused(reason)) => {
                replayed.n_refused += 1;
                if replayed.refused.len() < 100 {
                    replayed.refused.push(reason);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(replayed)
}

async fn put_back(
    client: &Client,
    kind: LetterKind,
    letter: &Letter,
    record: Vec<u8>,
) -> Result<bool, Error> {
    let id = &letter.id;
    let Some(bytes) = letter.bytes() else {
        return Err(Error::Refused(format!(
            "the message of `{id}` was too large to keep ({} bytes); raise worker.max_message_bytes and publish it anew",
            letter.size
        )));
    };
    pauses::check(client, &letter.queue)?;
    let envelope = Envelope::decode(&bytes).ok();
    if let Some(envelope) = &envelope {
        client.forget_result(&envelope.headers.id).await?;
    }
    let priority = envelope.as_ref().map_or(0, |envelope| envelope.properties.priority);
    let queue = QueueKeys::new(&letter.queue, client.celery());
    let list = queue.list_number(priority).to_string().into_bytes();
    let args = [id.clone().into_bytes(), record, list, bytes];
    let moved: Vec<u8> = client
        .queue()
        .eval(&script::REPLAY, &keys(&client.keys().letters(kind), &queue), &args, &[])
        .await
        .map_err(redis(format!("replay `{id}`")))?;
    Ok(moved == [1])
}

/// The keys of the script that moves letters to a queue.
pub(crate) fn keys(letters: &LetterKeys, queue: &QueueKeys) -> Vec<String> {
    let queues = [&queue.deliveries].into_iter().chain(&queue.lists).cloned();
    letters.all().into_iter().chain(queues).collect()
}
