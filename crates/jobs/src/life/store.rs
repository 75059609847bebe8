//! Where records and feeds stand.

use std::time::Duration;

use redis::cmd;
use rhubarb_cache::{Cache, Error, redact_key};
use rhubarb_connection::{Redis, scripts};
use rhubarb_core::clock;

use super::{
    bytes,
    record::{Event, Notice, Record},
};
use crate::template;

scripts! {
    /// Writes a record and what has changed.
    LIFE_PUT = "life_put";
}

/// As many changes are written after one scrape, and about as many are kept of a keyword.
const MAX_EVENTS: usize = 1_000;
/// As many notices wait for delivery, a day long.
const MAX_NOTICES: usize = 20;
/// A day: a record and its feed stay for the configured days and one more.
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The records of keywords, beside the listings that are read.
#[derive(Clone, Debug)]
pub struct LifeCache {
    cache: Cache,
    /// The key of the keyword's listings.
    template: String,
}

impl LifeCache {
    /// Returns the records beside listings; the cache is one of version 0.
    pub(crate) fn new(cache: Cache, template: &str) -> Self {
        Self { cache, template: template.to_owned() }
    }

    /// Returns the raw keys of a keyword's record, of its feed and of the notices that wait.
    pub fn keys(&self, keyword: &str) -> [String; 3] {
        let of = template::of_keyword(&self.template, keyword);
        ["life", "changes", "notices"]
            .map(|name| self.cache.raw_key(&format!("rhubarb.{name}:{of}")))
    }

    /// Returns the connection that they are read on.
    pub fn redis(&self) -> &Redis {
        self.cache.redis()
    }

    /// Returns a keyword's record. What stands there and cannot be read, or was written by a later
    /// version, is as absent.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn read(&self, keyword: &str) -> Result<Option<Record>, Error> {
        let [key, ..] = self.keys(keyword);
        let read: Result<Option<Vec<u8>>, _> = self.redis().query(cmd("GET").arg(&key)).await;
        let bytes = match read {
            Err(error) if error.wrong_type().is_some() => Some(Vec::new()),
            read => read.map_err(|error| failed("read", &key, error))?,
        };
        let record = bytes.as_deref().map(bytes::decode);
        if matches!(record, Some(None)) {
            let key = redact_key(&key);
            tracing::warn!(key, "what is known of postings cannot be read, and counts as nothing");
        }
        Ok(record.flatten())
    }

    /// Returns the message of a notice that waits.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn notice(&self, keyword: &str, id: &str) -> Result<Option<String>, Error> {
        let [.., key] = self.keys(keyword);
        let read = self.redis().query(cmd("HGET").arg(&[&key, id])).await;
        read.map_err(|error| failed("read", &key, error))
    }

    /// Forgets a notice.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn forget_notice(&self, keyword: &str, id: &str) -> Result<(), Error> {
        let [.., key] = self.keys(keyword);
        let deleted: Result<u64, _> = self.redis().query(cmd("HDEL").arg(&[&key, id])).await;
        deleted.map(drop).map_err(|error| failed("delete", &key, error))
    }

    /// Writes a keyword's record, what has changed and what webhooks are told, all or nothing.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn write(
        &self,
        keyword: &str,
        record: &Record,
        events: &[Event],
        notices: &[Notice],
        kept_days: u64,
    ) -> Result<(), Error> {
        let keys = self.keys(keyword);
        let Some(bytes) = bytes::encode(record) else {
            tracing::warn!(key = redact_key(&keys[0]), "what is known of postings is too large");
            return Ok(());
        };
        let life = DAY * u32::try_from(kept_days.saturating_add(1)).unwrap_or(u32::MAX);
        let mut args = vec![
            bytes,
            life.as_millis().to_string().into_bytes(),
            MAX_EVENTS.to_string().into_bytes(),
            DAY.as_millis().to_string().into_bytes(),
            MAX_NOTICES.to_string().into_bytes(),
            notices.len().to_string().into_bytes(),
        ];
        for Notice { id, body, .. } in notices {
            args.extend([id, body].map(|text| text.clone().into_bytes()));
        }
        for event in events.iter().take(MAX_EVENTS) {
            args.extend(fields(keyword, event).map(String::into_bytes));
        }
        let put: Result<u64, _> = self.redis().eval(&LIFE_PUT, &keys, &args, &[]).await;
        put.map(drop).map_err(|error| failed("write", &keys[0], error))
    }
}

/// The values of an entry of the feed, in the order in which the script names them.
fn fields(keyword: &str, event: &Event) -> [String; 9] {
    let listing = &event.listing;
    [
        event.kind.name().to_owned(),
        clock::iso(event.at),
        keyword.to_owned(),
        listing.source.clone(),
        listing.external_id.clone(),
        listing.title.clone(),
        listing.company.clone(),
        listing.url.clone(),
        event.detail.to_string(),
    ]
}

fn failed(operation: &'static str, key: &str, source: rhubarb_connection::Error) -> Error {
    Error::Redis { operation, key: redact_key(key), source: Box::new(source) }
}
