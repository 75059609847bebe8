//! One of Django's cache aliases, with django-redis's commands.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{Cmd, FromRedisValue, cmd, pipe};
use rhubarb_connection::Redis;
use rhubarb_core::config::AliasConfig;

use crate::{
    codec,
    error::{Error, SESSIONS, shown},
    key,
    value::PyValue,
};

/// How many keys one turn of a scan looks at, and at most how many one command deletes.
const SCAN_COUNT: usize = 1000;

/// A cache alias: where its keys are, how they are named and how values are written.
#[derive(Clone, Debug)]
pub struct Cache {
    alias: AliasConfig,
    redis: Redis,
    /// Whether the last value was not written because the server is out of memory.
    full: Arc<AtomicBool>,
}

/// How long a value is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// The alias's own timeout.
    Default,
    /// For ever.
    Never,
    /// So long, to the millisecond; zero deletes the key, as it does in Django.
    After(Duration),
}

/// How long a key will be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// There is no such key.
    Missing,
    /// For ever.
    Never,
    /// So long.
    Left(Duration),
}

/// A timeout in the terms of Redis.
#[derive(Clone, Copy)]
enum Expiry {
    Never,
    Milliseconds(u64),
    Gone,
}

impl Cache {
    /// Returns the cache of an alias on its role's connection.
    pub fn new(alias: AliasConfig, redis: Redis) -> Self {
        Self { alias, redis, full: Arc::default() }
    }

    /// Returns the key as it stands in Redis.
    pub fn raw_key(&self, key: &str) -> String {
        key::raw(&self.alias, key)
    }

    /// Returns the alias's own timeout; absent means for ever.
    pub fn default_timeout(&self) -> Option<Duration> {
        self.alias.timeout
    }

    /// Returns the value; `None` when there is none (Python's `None` is [`PyValue::None`]).
    ///
    /// # Errors
    /// [`Error::Read`] for a value that is not data: leave it alone. [`Error::Redis`]: see its class.
    pub async fn get(&self, key: &str) -> Result<Option<PyValue>, Error> {
        let raw = self.raw_key(key);
        let bytes: Option<Vec<u8>> = self.run("get", &raw, cmd("GET").arg(&raw)).await?;
        bytes.map(|bytes| self.decode(&raw, &bytes)).transpose()
    }

    /// Returns the value and how long it will be there, or a little less.
    ///
    /// # Errors
    /// As for [`Cache::get`].
    pub async fn get_with_ttl(&self, key: &str) -> Result<Option<(PyValue, Ttl)>, Error> {
        let raw = self.raw_key(key);
        // No MULTI: a server that is out of memory refuses to queue even reads (Redis 7.0). A value that is written between
        // the two looks older than it is.
        let mut both = pipe();
        both.cmd("PTTL").arg(&raw).cmd("GET").arg(&raw);
        let answer = self.redis.pipe::<(i64, Option<Vec<u8>>)>(&both).await;
        let (pttl, bytes) = answer.map_err(failed("get", &raw))?;
        let Some(bytes) = bytes else { return Ok(None) };
        Ok(Some((self.decode(&raw, &bytes)?, Ttl::from_pttl(pttl))))
    }

    /// Returns those of the keys that have a value.
    ///
    /// # Errors
    /// As for [`Cache::get`]; one value that cannot be read fails the whole.
    pub async fn get_many(&self, keys: &[&str]) -> Result<BTreeMap<String, PyValue>, Error> {
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let raws: Vec<String> = keys.iter().map(|key| self.raw_key(key)).collect();
        let stored: Vec<Option<Vec<u8>>> =
            self.run("get", &raws[0], cmd("MGET").arg(&raws)).await?;
        let found = keys.iter().zip(&raws).zip(stored);
        found
            .filter_map(|((key, raw), bytes)| Some((key, raw, bytes?)))
            .map(|(key, raw, bytes)| Ok(((*key).to_owned(), self.decode(raw, &bytes)?)))
            .collect()
    }

    /// Stores a value in place of whatever is there.
    ///
    /// A server that is out of memory is no error: caches give way first, so that tasks go on. Nothing is written then,
    /// what was there stays until its timeout, and one line says so.
    ///
    /// # Errors
    /// [`Error::Write`] when the serializer cannot hold it or it is over the cap; nothing was written.
    pub async fn set(&self, key: &str, value: &PyValue, timeout: Timeout) -> Result<(), Error> {
        let raw = self.raw_key(key);
        let mut set = cmd("SET");
        set.arg(&raw).arg(self.encode(&raw, value)?);
        match self.expiry(timeout) {
            Expiry::Gone => return self.run("delete", &raw, cmd("DEL").arg(&raw)).await,
            Expiry::Milliseconds(ms) => set.arg("PX").arg(ms),
            Expiry::Never => &mut set,
        };
        self.gives_way(self.run("set", &raw, &set).await)
    }

    /// Stores a value where there is none yet, and tells whether it did.
    ///
    /// With a timeout of zero nothing is stored, and the answer is whether there was no value.
    ///
    /// # Errors
    /// As for [`Cache::set`].
    pub async fn add(&self, key: &str, value: &PyValue, timeout: Timeout) -> Result<bool, Error> {
        let raw = self.raw_key(key);
        let mut set = cmd("SET");
        set.arg(&raw).arg(self.encode(&raw, value)?).arg("NX");
        match self.expiry(timeout) {
            Expiry::Gone => {
                let there: bool = self.run("look up", &raw, cmd("EXISTS").arg(&raw)).await?;
                return Ok(!there);
            }
            Expiry::Milliseconds(ms) => set.arg("PX").arg(ms),
            Expiry::Never => &mut set,
        };
        let stored: Option<String> = self.run("add", &raw, &set).await?;
        Ok(stored.is_some())
    }

    /// Deletes exactly these keys and returns how many there were.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn delete(&self, keys: &[&str]) -> Result<u64, Error> {
        let raws: Vec<Vec<u8>> = keys.iter().map(|key| self.raw_key(key).into_bytes()).collect();
        self.unlink(&raws).await
    }

    /// Returns how long the key will be there.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn ttl(&self, key: &str) -> Result<Ttl, Error> {
        let raw = self.raw_key(key);
        self.run("look up", &raw, cmd("PTTL").arg(&raw)).await.map(Ttl::from_pttl)
    }

    /// Gives the key another timeout and tells whether there was one to change.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn touch(&self, key: &str, timeout: Timeout) -> Result<bool, Error> {
        let raw = self.raw_key(key);
        let command = match self.expiry(timeout) {
            Expiry::Never => cmd("PERSIST").arg(&raw).clone(),
            Expiry::Milliseconds(ms) => cmd("PEXPIRE").arg(&raw).arg(ms).clone(),
            Expiry::Gone => cmd("DEL").arg(&raw).clone(),
        };
        self.run("touch", &raw, &command).await
    }

    /// Deletes every key of a template and returns how many there were; never a session.
    pub(crate) async fn delete_template(&self, template: &str) -> Result<u64, Error> {
        let pattern = key::pattern(&self.alias, template);
        let (mut cursor, mut deleted) = (0_u64, 0);
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN_COUNT);
            let (next, found): (u64, Vec<Vec<u8>>) = self.run("scan", &pattern, &scan).await?;
            let listings: Vec<Vec<u8>> = found.into_iter().filter(|key| !is_session(key)).collect();
            for batch in listings.chunks(SCAN_COUNT) {
                deleted += self.unlink(batch).await?;
            }
            if next == 0 {
                return Ok(deleted);
            }
            cursor = next;
        }
    }

    /// Lets a write pass that a full server refused; says so once at its start and once at its end.
    fn gives_way(&self, written: Result<(), Error>) -> Result<(), Error> {
        let is_full =
            matches!(&written, Err(Error::Redis { source, .. }) if source.is_out_of_memory());
        if self.full.swap(is_full, Ordering::Relaxed) == is_full {
            return if is_full { Ok(()) } else { written };
        }
        let prefix = &self.alias.prefix;
        match written {
            Err(error) if is_full => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, prefix, "redis is out of memory: values are not cached");
                Ok(())
            }
            written => {
                tracing::info!(prefix, "redis has memory again: values are cached");
                written
            }
        }
    }

    async fn unlink(&self, raws: &[Vec<u8>]) -> Result<u64, Error> {
        match raws.first() {
            Some(first) => {
                self.run("delete", &String::from_utf8_lossy(first), cmd("UNLINK").arg(raws)).await
            }
            None => Ok(0),
        }
    }

    async fn run<T: FromRedisValue>(
        &self,
        operation: &'static str,
        raw: &str,
        command: &Cmd,
    ) -> Result<T, Error> {
        self.redis.query(command).await.map_err(failed(operation, raw))
    }

    fn decode(&self, raw: &str, bytes: &[u8]) -> Result<PyValue, Error> {
        let value = codec::decode(bytes, self.alias.serializer);
        value.map_err(|source| Error::Read { key: shown(raw), source })
    }

    fn encode(&self, raw: &str, value: &PyValue) -> Result<Vec<u8>, Error> {
        let bytes = codec::encode(value, self.alias.serializer);
        bytes.map_err(|source| Error::Write { key: shown(raw), source })
    }

    fn expiry(&self, timeout: Timeout) -> Expiry {
        let after = match timeout {
            Timeout::Default => self.alias.timeout,
            Timeout::Never => None,
            Timeout::After(after) => Some(after),
        };
        match after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)) {
            None => Expiry::Never,
            Some(0) => Expiry::Gone,
            Some(ms) => Expiry::Milliseconds(ms),
        }
    }
}

impl Ttl {
    /// `PTTL` answers -2 without a key and -1 without an expiry.
    pub(crate) fn from_pttl(pttl: i64) -> Self {
        match u64::try_from(pttl) {
            Ok(ms) => Self::Left(Duration::from_millis(ms)),
            Err(_) if pttl == -1 => Self::Never,
            Err(_) => Self::Missing,
        }
    }
}

fn failed(operation: &'static str, raw: &str) -> impl FnOnce(rhubarb_connection::Error) -> Error {
    let key = shown(raw);
    move |source| Error::Redis { operation, key, source: Box::new(source) }
}

fn is_session(key: &[u8]) -> bool {
    key.windows(SESSIONS.len()).any(|window| window == SESSIONS.as_bytes())
}
