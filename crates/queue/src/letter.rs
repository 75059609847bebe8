//! Messages kept apart: dead letters (they can never run) and parked tasks (nobody here knows
//! them).
//!
//! They are
//! listed, found and dropped here, and brought back by [`crate::replay`].

pub(crate) mod kind;

use std::time::Duration;

use base64_text as text;
use serde::{Deserialize, Serialize};

use crate::{Client, Error, error::redis, fields, keys::LetterKeys, script};

pub use kind::LetterKind;

/// How many ids one script is given, or one look at the index brings.
pub const BATCH: usize = 100;

/// A message kept apart, with why. The record in Redis is this as JSON; fields may be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// The task's id, or the SHA-256 of the message where it has none that can be read.
    pub id: String,
    /// Why it is here.
    pub kind: LetterKind,
    /// One sentence for a person.
    pub reason: String,
    /// The queue that it came from.
    pub queue: String,
    /// The task's name, where it can be read.
    pub task: Option<String>,
    /// When it was kept: ISO 8601 text in UTC.
    pub at: String,
    /// The message's size in bytes.
    pub size: usize,
    /// The message's SHA-256, or of what was handed out of one that is too large.
    pub sha256: String,
    /// The message; absent when it was too large to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The message in base64, when it is no UTF-8 text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_base64: Option<String>,
    /// The headers' text of a message that was too large to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<String>,
    /// How often a worker died with it.
    pub deliveries: u32,
    /// The attempts that are known, the oldest first: retries, deaths of workers, and what made it
    /// a letter.
    #[serde(default)]
    pub history: Vec<Attempt>,
}

/// One attempt that a message had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it ended, or was seen to have ended: ISO 8601 text in UTC.
    pub at: String,
    /// The worker.
    pub worker: String,
    /// What it ended with.
    pub error: String,
}

/// Which letters are meant. All that is given has to hold; nothing given means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// The task's name.
    pub task: Option<String>,
    /// The queue that it came from.
    pub queue: Option<String>,
    /// What its reason contains, in any case.
    pub reason: Option<String>,
    /// Kept at least so long, by Redis's clock.
    pub older_than: Option<Duration>,
}

impl LetterFilter {
    /// Tells whether a letter is meant, but for its age.
    fn takes(&self, letter: &Letter) -> bool {
        let reason =
            |wanted: &String| letter.reason.to_lowercase().contains(wanted.to_lowercase().as_str());
        self.task.as_ref().is_none_or(|task| letter.task.as_ref() == Some(task))
            && self.queue.as_ref().is_none_or(|queue| letter.queue == *queue)
            && self.reason.as_ref().is_none_or(reason)
    }
}

impl Letter {
    /// Leaves the message out.
    fn head(self) -> Self {
        Self { message: None, message_base64: None, headers: None, ..self }
    }

    /// Returns the message's bytes, if it was kept.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match (&self.message, &self.message_base64) {
            (Some(text), _) => Some(text.clone().into_bytes()),
            (None, Some(base64)) => text::decode(base64),
            (None, None) => None,
        }
    }

    /// Keeps the message's bytes, as text where they are.
    pub fn set_bytes(&mut self, bytes: &[u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.message = Some(text.to_owned()),
            Err(_) => self.message_base64 = Some(text::encode(bytes)),
        }
    }
}

/// Returns the letters that are meant, newest first, at most `limit`.
///
/// # Errors
///
/// [`Error::Redis`]. A record that cannot be read is left out and logged.
pub async fn list(
    client: &Client,
    kind: LetterKind,
    filter: &LetterFilter,
    limit: usize,
) -> Result<Vec<Letter>, Error> {
    let mut walk = Walk::new(client, kind, filter.clone()).await?;
    let mut found = Vec::new();
    while found.len() < limit {
        let Some(mut letters) = walk.next().await? else { break };
        letters.truncate(limit - found.len());
        found.append(&mut letters);
    }
    Ok(found)
}

/// Returns the letters that are meant, newest first, at most `limit`, without their messages: many
/// at once stay small.
///
/// # Errors
///
/// [`Error::Redis`]. A record that cannot be read is left out and logged.
pub async fn heads(
    client: &Client,
    kind: LetterKind,
    filter: &LetterFilter,
    limit: usize,
) -> Result<Vec<Letter>, Error> {
    let mut walk = Walk::new(client, kind, filter.clone()).await?;
    let mut found = Vec::new();
    while found.len() < limit {
        let Some(letters) = walk.next().await? else { break };
        found.extend(letters.into_iter().take(limit - found.len()).map(Letter::head));
    }
    Ok(found)
}

/// Returns the ids of all letters that are meant, newest first.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn ids(
    client: &Client,
    kind: LetterKind,
    filter: &LetterFilter,
) -> Result<Vec<String>, Error> {
    let mut walk = Walk::new(client, kind, filter.clone()).await?;
    let mut ids = Vec::new();
    while let Some(letters) = walk.next().await? {
        ids.extend(letters.into_iter().map(|letter| letter.id));
    }
    Ok(ids)
}

/// One pass over the letters that are meant, from the newest to the oldest, a bounded number of
/// bytes at a time.
struct Walk<'c> {
    client: &'c Client,
    keys: LetterKeys,
    filter: LetterFilter,
    /// When the youngest of them was kept at the latest, ms; none for any time.
    until: Option<i128>,
    offset: usize,
    /// Ids that can be read at once, the next group last.
    groups: Vec<Vec<Vec<u8>>>,
}

impl<'c> Walk<'c> {
    async fn new(
        client: &'c Client,
        kind: LetterKind,
        filter: LetterFilter,
    ) -> Result<Self, Error> {
        let until = match filter.older_than {
            None => None,
            Some(age) => {
                let (s, us): (i128, i128) = client
                    .queue()
                    .query(&::redis::cmd("TIME"))
                    .await
                    .map_err(redis("ask for Redis's clock"))?;
                Some(s * 1000 + us / 1000 - i128::try_from(age.as_millis()).unwrap_or(i128::MAX))
            }
        };
        let keys = client.keys().letters(kind);
        Ok(Self { client, keys, filter, until, offset: 0, groups: Vec::new() })
    }

    /// Returns the next letters, perhaps none of those that were looked at; `None` after the
    /// oldest.
    async fn next(&mut self) -> Result<Option<Vec<Letter>>, Error> {
        if self.groups.is_empty() {
            let mut range = ::redis::cmd("ZREVRANGEBYSCORE");
            let until = self.until.map_or_else(|| "+inf".to_owned(), |until| until.to_string());
            range.arg(&self.keys.index).arg(until).arg("-inf");
            range.arg("LIMIT").arg(self.offset).arg(BATCH);
            let ids: Vec<Vec<u8>> =
                self.client.queue().query(&range).await.map_err(redis("list the letters"))?;
            self.offset += ids.len();
            self.groups = fields::groups(self.client.queue(), &self.keys.letters, ids).await?;
            self.groups.reverse();
        }
        let Some(group) = self.groups.pop() else { return Ok(None) };
        let records = fields::read(self.client.queue(), &self.keys.letters, group).await?;
        let letters = records.into_iter().filter_map(|(_, record)| read(&record?).ok());
        Ok(Some(letters.filter(|letter| self.filter.takes(letter)).collect()))
    }
}

/// Returns one letter.
///
/// # Errors
///
/// [`Error::Redis`], or [`Error::Malformed`] when its record cannot be read.
pub async fn find(client: &Client, kind: LetterKind, id: &str) -> Result<Option<Letter>, Error> {
    Ok(found(client, kind, id).await?.map(|(_, letter)| letter))
}

/// Returns one letter, and its record as it stands.
pub(crate) async fn found(
    client: &Client,
    kind: LetterKind,
    id: &str,
) -> Result<Option<(Vec<u8>, Letter)>, Error> {
    let mut get = ::redis::cmd("HGET");
    get.arg(client.keys().letters(kind).letters).arg(id);
    let record: Option<Vec<u8>> =
        client.queue().query(&get).await.map_err(redis(format!("read the letter `{id}`")))?;
    let Some(record) = record else { return Ok(None) };
    let letter = read(&record)?;
    Ok(Some((record, letter)))
}

/// Forgets a letter; tells whether there was one.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn drop_letter(client: &Client, kind: LetterKind, id: &str) -> Result<bool, Error> {
    Ok(drop_letters(client, kind, &[id.to_owned()]).await? > 0)
}

/// Forgets letters, 100 in a step; returns how many there were.
///
/// # Cancel safety
///
/// A dropped call has forgotten some of them.
///
/// # Errors
///
/// [`Error::Redis`]; those before are forgotten.
pub async fn drop_letters(client: &Client, kind: LetterKind, ids: &[String]) -> Result<u64, Error> {
    let keys = client.keys().letters(kind).all();
    let mut dropped = 0;
    for batch in ids.chunks(BATCH) {
        let args: Vec<Vec<u8>> = batch.iter().map(|id| id.clone().into_bytes()).collect();
        let n: u64 = client
            .queue()
            .eval(&script::LETTER_DROP, &keys, &args, &[])
            .await
            .map_err(redis("drop letters"))?;
        dropped += n;
    }
    Ok(dropped)
}

fn read(record: &[u8]) -> Result<Letter, Error> {
    serde_json::from_slice(record).map_err(|e| {
        tracing::warn!(error = %e, "a letter's record cannot be read");
        Error::Malformed { what: "a letter's record".to_owned(), reason: e.to_string() }
    })
}

mod base64_text {
    use base64::{Engine, engine::general_purpose::STANDARD};

    pub(super) fn encode(bytes: &[u8]) -> String {
        STANDARD.encode(bytes)
    }

    pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
        STANDARD.decode(text).ok()
    }
}
