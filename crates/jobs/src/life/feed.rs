//! The feed of a keyword's changes, read as it grows.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use redis::{Value as Answer, cmd};
use rhubarb_cache::{Error, redact_key};
use rhubarb_connection::Redis;
use serde::Serialize;
use serde_json::Value;

/// As many entries are read at once.
const BATCH: usize = 100;

/// One change, as the feed has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    /// `new`, `changed`, `closed` or `reopened`.
    pub change: String,
    /// When the scrape saw it: ISO 8601 text in UTC.
    pub at: String,
    /// The keyword as it was scraped.
    pub keyword: String,
    /// The posting's source.
    pub source: String,
    /// Its identifier there.
    pub external_id: String,
    /// Its title now.
    pub title: String,
    /// Its company now.
    pub company: String,
    /// Its address now.
    pub url: String,
    /// The changed fields, or why it is closed; null where that cannot be read.
    pub detail: Value,
}

/// A place in a keyword's feed.
#[derive(Clone, Debug)]
pub struct Feed {
    redis: Redis,
    key: String,
    /// The last entry that was read.
    last: String,
}

impl Feed {
    /// Begins behind all that a feed has, or with what came at or after a time.
    ///
    /// `redis` has to be a connection of its own: [`Feed::wait`] holds it up.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn open(redis: Redis, key: String, since: Option<Timestamp>) -> Result<Self, Error> {
        let mut feed = Self { redis, key, last: "0-0".to_owned() };
        match since {
            // One before the first of that millisecond.
            Some(at) => {
                let before = at.as_millisecond().saturating_sub(1).max(0);
                feed.last = format!("{before}-{}", u64::MAX);
            }
            None => {
                let newest = cmd("XREVRANGE").arg(&[&feed.key, "+", "-", "COUNT", "1"]).clone();
                if let Some((id, _)) = feed.entries(&newest).await?.pop() {
                    feed.last = id;
                }
            }
        }
        Ok(feed)
    }

    /// Returns the next changes, oldest first; none where there are no more.
    ///
    /// # Errors
    /// [`Error::Redis`]; calling it again goes on.
    pub async fn next(&mut self) -> Result<Vec<Told>, Error> {
        let after = format!("({}", self.last);
        let mut command = cmd("XRANGE");
        command.arg(&[&self.key, after.as_str(), "+", "COUNT"]).arg(BATCH);
        let entries = self.entries(&command).await?;
        if let Some((id, _)) = entries.last() {
            self.last.clone_from(id);
        }
        Ok(entries.into_iter().map(|(_, fields)| Told::read(&fields)).collect())
    }

    /// Waits until there is more, at most so long.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn wait(&self, at_most: Duration) -> Result<(), Error> {
        let block = u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut command = cmd("XREAD");
        command.arg("COUNT").arg(1).arg("BLOCK").arg(block);
        command.arg(&["STREAMS", &self.key, &self.last]);
        let woken: Result<Answer, _> = self.redis.query(&command).await;
        woken.map(drop).map_err(|error| self.failed(error))
    }

    async fn entries(&self, command: &redis::Cmd) -> Result<Vec<(String, Fields)>, Error> {
        self.redis.query(command).await.map_err(|error| self.failed(error))
    }

    fn failed(&self, source: rhubarb_connection::Error) -> Error {
        Error::Redis { operation: "read", key: redact_key(&self.key), source: Box::new(source) }
    }
}

type Fields = BTreeMap<Vec<u8>, Vec<u8>>;

impl Told {
    /// Reads an entry; what is missing is empty.
    fn read(fields: &Fields) -> Self {
        let text = |name: &str| {
            let value = fields.get(name.as_bytes()).map(Vec::as_slice).unwrap_or_default();
            String::from_utf8_lossy(value).into_owned()
        };
        Self {
            change: text("change"),
            at: text("at"),
            keyword: text("keyword"),
            source: text("source"),
            external_id: text("external_id"),
            title: text("title"),
            company: text("company"),
            url: text("url"),
            detail: serde_json::from_str(&text("detail")).unwrap_or_default(),
        }
    }
}
