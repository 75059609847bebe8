//! Writing and deleting values.

use redis::{Cmd, cmd, pipe};

use super::{BATCH, Cache, Expiry, Timeout, failed};
use crate::{PyValue, error::Error};

/// How many bytes of values are sent at once, or one value.
const MANY_BYTES: usize = 4 << 20;

/// When a value is stored: django-redis's `nx` and `xx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// In any case.
    Always,
    /// Only where there is none: `nx=True`.
    Missing,
    /// Only in place of one: `xx=True`.
    Present,
}

impl Cache {
    /// Stores a value in place of whatever is there.
    ///
    /// A server that is out of memory is no error: caches give way first, so that tasks go on.
    /// Nothing is written then, what was there stays until its timeout, and one line says so.
    ///
    /// # Errors
    /// [`Error::Write`] when the serializer cannot hold it or it is over the cap; nothing was
    /// written.
    pub async fn set(&self, key: &str, value: &PyValue, timeout: Timeout) -> Result<(), Error> {
        self.set_if(key, value, timeout, Condition::Always).await.map(drop)
    }

    /// Stores a value where there is none yet, and tells whether it did.
    ///
    /// With a timeout of zero nothing is stored, and the answer is whether there was no value.
    ///
    /// # Errors
    /// As for [`Cache::set`].
    pub async fn add(&self, key: &str, value: &PyValue, timeout: Timeout) -> Result<bool, Error> {
        self.set_if(key, value, timeout, Condition::Missing).await
    }

    /// Stores a value on a condition, and tells whether it did: django-redis's `set` with `nx` or
    /// `xx`.
    ///
    /// With a timeout of zero the key is deleted and the answer is whether there was one; with
    /// [`Condition::Missing`] see [`Cache::add`].
    ///
    /// # Errors
    /// As for [`Cache::set`].
    pub async fn set_if(
        &self,
        key: &str,
        value: &PyValue,
        timeout: Timeout,
        condition: Condition,
    ) -> Result<bool, Error> {
        let raw = self.raw_key(key);
        let bytes = self.encode(&raw, value)?;
        self.store_open(&raw, bytes, timeout, condition).await
    }

    /// Stores a value of no more than so many bytes, compressed or not.
    pub async fn set_within(
        &self,
        key: &str,
        value: PyValue,
        timeout: Timeout,
        limit: usize,
    ) -> Result<(), Error> {
        let raw = self.raw_key(key);
        let bytes = self.encode_within(&raw, &value, limit)?;
        // Before it is sent: a large value takes several times as much as its bytes.
        drop(value);
        self.store_open(&raw, bytes, timeout, Condition::Always).await.map(drop)
    }

    async fn store_open(
        &self,
        raw: &str,
        bytes: Vec<u8>,
        timeout: Timeout,
        condition: Condition,
    ) -> Result<bool, Error> {
        let stored = self.store(raw, bytes, self.expiry(timeout), condition).await;
        self.open(stored, false)
    }

    /// Stores bytes under a raw key and tells whether it did; a full server is no error.
    pub(crate) async fn store(
        &self,
        raw: &str,
        bytes: Vec<u8>,
        expiry: Expiry,
        condition: Condition,
    ) -> Result<bool, Error> {
        if expiry == Expiry::Gone && condition == Condition::Missing {
            return self
                .run("look up", raw, cmd("EXISTS").arg(raw))
                .await
                .map(|there: bool| !there);
        }
        if expiry == Expiry::Gone {
            return self.run("delete", raw, cmd("DEL").arg(raw)).await;
        }
        let mut set = set(raw, &bytes, expiry);
        drop(bytes);
        match condition {
            Condition::Always => {}
            Condition::Missing => drop(set.arg("NX")),
            Condition::Present => drop(set.arg("XX")),
        }
        let stored: Result<Option<String>, Error> = self.run("set", raw, &set).await;
        let stored = stored.map(|stored| stored.is_some());
        self.shared.outage.gives_way(&self.alias.prefix, stored, false)
    }

    /// Stores values, each in place of whatever is there; not in one step: a reader may see some of
    /// them first.
    ///
    /// # Errors
    /// As for [`Cache::set`]; with [`Error::Write`] none was written, with [`Error::Redis`] some
    /// may be.
    pub async fn set_many(
        &self,
        values: &[(&str, PyValue)],
        timeout: Timeout,
    ) -> Result<(), Error> {
        let expiry = self.expiry(timeout);
        let encoded = values.iter().map(|(key, value)| {
            let raw = self.raw_key(key);
            self.encode(&raw, value).map(|bytes| (raw, bytes))
        });
        let encoded: Vec<(String, Vec<u8>)> = encoded.collect::<Result<_, _>>()?;
        let mut rest = encoded.as_slice();
        while let Some((first, _)) = rest.first() {
            let (now, later) = rest.split_at(fitting(rest));
            rest = later;
            let mut batch = pipe();
            for (raw, bytes) in now {
                batch.add_command(match expiry {
                    Expiry::Gone => cmd("DEL").arg(raw).clone(),
                    expiry => set(raw, bytes, expiry),
                });
                batch.ignore();
            }
            let written = self.redis.pipe::<()>(&batch).await.map_err(failed("set", first));
            let written = self.shared.outage.gives_way(&self.alias.prefix, written, ());
            self.open(written, ())?;
        }
        Ok(())
    }

    /// Deletes exactly this key and tells whether there was one.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.delete_many(&[key]).await.map(|deleted| deleted > 0)
    }

    /// Deletes exactly these keys and returns how many there were.
    ///
    /// # Errors
    /// [`Error::Redis`]; some may be gone.
    pub async fn delete_many(&self, keys: &[&str]) -> Result<u64, Error> {
        let raws: Vec<Vec<u8>> = keys.iter().map(|key| self.raw_key(key).into_bytes()).collect();
        let mut deleted = 0;
        for batch in raws.chunks(BATCH) {
            deleted += self.open(self.unlink(batch).await, 0)?;
        }
        Ok(deleted)
    }

    /// Frees in the background of Redis: a big value holds up nobody.
    pub(super) async fn unlink(&self, raws: &[Vec<u8>]) -> Result<u64, Error> {
        match raws.first() {
            Some(first) => {
                self.run("delete", &String::from_utf8_lossy(first), cmd("UNLINK").arg(raws)).await
            }
            None => Ok(0),
        }
    }
}

fn set(raw: &str, bytes: &[u8], expiry: Expiry) -> Cmd {
    let mut set = cmd("SET");
    set.arg(raw).arg(bytes);
    if let Expiry::Milliseconds(ms) = expiry {
        set.arg("PX").arg(ms);
    }
    set
}

/// Returns how many of the values go into one batch: at least one.
fn fitting(values: &[(String, Vec<u8>)]) -> usize {
    let mut bytes = 0;
    let fits = |(_, value): &&(String, Vec<u8>)| {
        bytes += value.len();
        bytes <= MANY_BYTES
    };
    values.iter().take(BATCH).take_while(fits).count().max(1)
}
