//! Reading values.

use std::collections::BTreeMap;

use redis::{Cmd, cmd, pipe};

use super::{Cache, Event, Ttl, failed};
use crate::{PyValue, codec::MAX_VALUE, error::Error};

/// How many values are asked for at once.
const MANY: usize = 100;

impl Cache {
    /// Returns the value; `None` when there is none (Python's `None` is [`PyValue::None`]).
    ///
    /// No more than [`MAX_VALUE`] is fetched, however large the value is. An empty string, which no
    /// serializer writes, is no value.
    ///
    /// # Errors
    /// [`Error::Read`] for a value that is not data: leave it alone. [`Error::Redis`]: see its
    /// class.
    pub async fn get(&self, key: &str) -> Result<Option<PyValue>, Error> {
        let raw = self.raw_key(key);
        let bytes: Vec<u8> = match self.run("get", &raw, &fetch(&raw)).await {
            Ok(bytes) => bytes,
            Err(error) => return self.open(Err(error), None),
        };
        self.looked(key, !bytes.is_empty());
        if bytes.is_empty() { Ok(None) } else { self.decode(&raw, &bytes).map(Some) }
    }

    /// Returns the value and how long it will be there, or a little less.
    ///
    /// # Errors
    /// As for [`Cache::get`].
    pub async fn get_with_ttl(&self, key: &str) -> Result<Option<(PyValue, Ttl)>, Error> {
        let raw = self.raw_key(key);
        let found = self.fetch_with_ttl(&raw).await;
        let found = match found {
            Ok(found) => found,
            Err(error) => return self.open(Err(error), None),
        };
        self.looked(key, found.is_some());
        let Some((bytes, ttl)) = found else { return Ok(None) };
        Ok(Some((self.decode(&raw, &bytes)?, ttl)))
    }

    /// Returns a value's bytes, and how long they will be there.
    pub(crate) async fn fetch_with_ttl(&self, raw: &str) -> Result<Option<(Vec<u8>, Ttl)>, Error> {
        // No MULTI: a server that is out of memory refuses to queue even reads (Redis 7.0). A value
        // that is written between the two looks older than it is.
        let mut both = pipe();
        both.cmd("PTTL").arg(raw).add_command(fetch(raw));
        let answer = self.redis.pipe::<(i64, Vec<u8>)>(&both).await;
        let (pttl, bytes) = answer.map_err(failed("get", raw))?;
        Ok((!bytes.is_empty()).then(|| (bytes, Ttl::from_pttl(pttl))))
    }

    /// Returns those of the keys that have a value.
    ///
    /// # Errors
    /// As for [`Cache::get`]; one value that cannot be read fails the whole.
    pub async fn get_many(&self, keys: &[&str]) -> Result<BTreeMap<String, PyValue>, Error> {
        let mut found = BTreeMap::new();
        for keys in keys.chunks(MANY) {
            let raws: Vec<String> = keys.iter().map(|key| self.raw_key(key)).collect();
            let stored = match self.fetch_many(&raws).await.map_err(failed("get", &raws[0])) {
                Ok(stored) => stored,
                Err(error) => return self.open(Err(error), found),
            };
            for ((key, raw), bytes) in keys.iter().zip(&raws).zip(stored) {
                self.looked(key, !bytes.is_empty());
                if !bytes.is_empty() {
                    found.insert((*key).to_owned(), self.decode(raw, &bytes)?);
                }
            }
        }
        Ok(found)
    }

    /// Returns the bytes of values; of fewer at once where they take more than one answer may.
    async fn fetch_many(&self, raws: &[String]) -> Result<Vec<Vec<u8>>, rhubarb_connection::Error> {
        let mut batch = pipe();
        for raw in raws {
            batch.add_command(fetch(raw));
        }
        match self.redis.pipe(&batch).await {
            Err(rhubarb_connection::Error::TooLarge { .. }) if raws.len() > 1 => {
                let (first, rest) = raws.split_at(raws.len() / 2);
                let mut found = Box::pin(self.fetch_many(first)).await?;
                found.extend(Box::pin(self.fetch_many(rest)).await?);
                Ok(found)
            }
            other => other,
        }
    }

    /// Tells whether there is such a key.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn has_key(&self, key: &str) -> Result<bool, Error> {
        let raw = self.raw_key(key);
        self.open(self.run("look up", &raw, cmd("EXISTS").arg(&raw)).await, false)
    }

    /// Counts a look.
    pub(crate) fn looked(&self, key: &str, is_hit: bool) {
        self.count(key, if is_hit { Event::Hit } else { Event::Miss });
    }
}

/// The command that reads a value up to one byte more than any may have, so that a huge one costs
/// no more.
fn fetch(raw: &str) -> Cmd {
    cmd("GETRANGE").arg(raw).arg(0).arg(MAX_VALUE).clone()
}
