//! Messages kept apart: dead letters (they can never run) and parked tasks (nobody here knows them).

use std::time::Duration;

use base64_text as text;
use rhubarb_connection::Redis;
use serde::{Deserialize, Serialize};

use crate::{Error, error::redis, script};

/// How many letters of each kind are kept.
pub const MAX_LETTERS: usize = 10_000;
/// How long a letter is kept.
pub const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The two kinds of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It can never run as it is.
    Dead,
    /// No worker here knows its task.
    Parked,
}

impl Kind {
    /// The zset of ids by time.
    pub(crate) fn index(self) -> &'static str {
        match self {
            Self::Dead => "rhubarb:dead",
            Self::Parked => "rhubarb:parked",
        }
    }

    /// The hash of records.
    pub(crate) fn letters(self) -> &'static str {
        match self {
            Self::Dead => "rhubarb:dead:letters",
            Self::Parked => "rhubarb:parked:letters",
        }
    }
}

/// One attempt that a message had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it ended: ISO 8601 text in UTC.
    pub at: String,
    /// The worker.
    pub worker: String,
    /// What it ended with.
    pub error: String,
}

/// A message kept apart, with why. The record in Redis is this as JSON; fields may be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// The task's id, or the SHA-256 of the message where it has none that can be read.
    pub id: String,
    /// Why it is here.
    pub kind: Kind,
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
    /// The attempts that are known.
    #[serde(default)]
    pub history: Vec<Attempt>,
}

impl Letter {
    /// Returns the message's bytes, if it was kept.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match (&self.message, &self.message_base64) {
            (Some(text), _) => Some(text.clone().into_bytes()),
            (None, Some(base64)) => text::decode(base64),
            (None, None) => None,
        }
    }

    /// Keeps the message's bytes, as text where they are.
    pub(crate) fn set_bytes(&mut self, bytes: &[u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.message = Some(text.to_owned()),
            Err(_) => self.message_base64 = Some(text::encode(bytes)),
        }
    }
}

/// Keeps a letter; a letter with the same id is replaced, so that repeating it is harmless.
///
/// # Errors
///
/// [`Error::Redis`]; whoever holds the claim goes on holding it and tries again.
pub(crate) async fn keep(queue: &Redis, letter: &Letter) -> Result<(), Error> {
    let record = serde_json::to_vec(letter).map_err(|e| Error::Malformed {
        what: format!("letter `{}`", letter.id),
        reason: e.to_string(),
    })?;
    let keys = [letter.kind.index().to_owned(), letter.kind.letters().to_owned()];
    let args = [
        letter.id.clone().into_bytes(),
        record,
        MAX_LETTERS.to_string().into_bytes(),
        MAX_AGE.as_millis().to_string().into_bytes(),
    ];
    let gone: Vec<String> = queue
        .eval(&script::LETTER, &keys, &args, &[])
        .await
        .map_err(redis(format!("keep the message `{}` apart", letter.id)))?;
    for id in gone {
        tracing::warn!(id, kind = ?letter.kind, "a kept message had to give way: too many or too old");
    }
    Ok(())
}

/// Returns the letters of a kind, newest first, at most `limit`.
///
/// # Errors
///
/// [`Error::Redis`]. A record that cannot be read is left out and logged.
pub async fn list(queue: &Redis, kind: Kind, limit: usize) -> Result<Vec<Letter>, Error> {
    let mut range = ::redis::cmd("ZREVRANGE");
    range.arg(kind.index()).arg(0).arg(limit.clamp(1, 1000) - 1);
    let ids: Vec<String> = queue.query(&range).await.map_err(redis("list the letters"))?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut get = ::redis::cmd("HMGET");
    get.arg(kind.letters()).arg(&ids);
    let records: Vec<Option<Vec<u8>>> =
        queue.query(&get).await.map_err(redis("read the letters"))?;
    Ok(records.into_iter().flatten().filter_map(|record| read(&record).ok()).collect())
}

/// Returns one letter.
///
/// # Errors
///
/// [`Error::Redis`], or [`Error::Malformed`] when its record cannot be read.
pub async fn find(queue: &Redis, kind: Kind, id: &str) -> Result<Option<Letter>, Error> {
    let mut get = ::redis::cmd("HGET");
    get.arg(kind.letters()).arg(id);
    let record: Option<Vec<u8>> =
        queue.query(&get).await.map_err(redis(format!("read the letter `{id}`")))?;
    record.map(|record| read(&record)).transpose()
}

/// Forgets a letter; tells whether there was one.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn drop_letter(queue: &Redis, kind: Kind, id: &str) -> Result<bool, Error> {
    let mut pipeline = ::redis::pipe();
    pipeline.cmd("ZREM").arg(kind.index()).arg(id).ignore();
    pipeline.cmd("HDEL").arg(kind.letters()).arg(id);
    let (gone,): (u64,) =
        queue.pipe(&pipeline).await.map_err(redis(format!("drop the letter `{id}`")))?;
    Ok(gone > 0)
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
