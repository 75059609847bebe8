//! One of Django's cache aliases, with django-redis's commands by their names.

mod counters;
mod life;
mod number;
mod outage;
mod read;
mod scan;
mod timeout;
mod write;

use std::{fmt, sync::Arc, time::Duration};

use redis::{Cmd, FromRedisValue};
use rhubarb_connection::Redis;
use tokio_util::task::TaskTracker;

pub(crate) use self::{counters::Event, timeout::Expiry};
pub use self::{
    counters::{Counts, namespace},
    scan::Keys,
    timeout::{Timeout, Ttl},
    write::Condition,
};

use self::{counters::Counters, outage::Outage};
use crate::{
    Bound, FormatError, PyValue, codec,
    config::AliasConfig,
    error::{Error, redact_key},
    flights::Flights,
    key,
};

/// How many keys one turn of a scan looks at, and at most how many one command names.
const BATCH: usize = 1000;

/// A cache alias: where its keys are, how they are named and how values are written. Clones share
/// all of it.
///
/// Where the alias says `ignore_exceptions`, a Redis that fails is no error, as with django-redis's
/// `IGNORE_EXCEPTIONS`: reads find nothing, writes are left out, [`Cache::ignored`] counts and the
/// log has one line a minute. What has no such answer (`incr`, `incr_version`, locks, `iter_keys`)
/// fails all the same, and so does a value that cannot be read.
#[derive(Clone)]
pub struct Cache {
    alias: AliasConfig,
    redis: Redis,
    shared: Arc<Shared>,
}

/// What all clones of a cache have in common.
#[derive(Default)]
pub(crate) struct Shared {
    outage: Outage,
    counters: Counters,
    pub(crate) flights: Flights,
    /// Refreshes and counters being written in the background; [`Cache::close`] waits for them.
    pub(crate) tasks: TaskTracker,
}

impl Cache {
    /// Returns the cache of an alias on its role's connection.
    pub fn new(alias: AliasConfig, redis: Redis) -> Self {
        Self { alias, redis, shared: Arc::default() }
    }

    /// Returns the same cache at another version, as Django's argument `version=` does for one
    /// call.
    pub fn version(&self, version: u32) -> Self {
        let alias = AliasConfig { version, ..self.alias.clone() };
        Self { alias, redis: self.redis.clone(), shared: Arc::clone(&self.shared) }
    }

    /// Returns the key as it stands in Redis.
    pub fn raw_key(&self, key: &str) -> String {
        key::raw(&self.alias, key)
    }

    /// Returns what the alias is configured with.
    pub fn alias(&self) -> &AliasConfig {
        &self.alias
    }

    /// Returns the connection.
    pub fn redis(&self) -> &Redis {
        &self.redis
    }

    /// Returns the alias's own timeout; absent means for ever.
    pub fn default_timeout(&self) -> Option<Duration> {
        self.alias.timeout
    }

    /// Returns how many failures of Redis this process has ignored, by `ignore_exceptions`.
    pub fn ignored(&self) -> u64 {
        self.shared.outage.ignored()
    }

    /// Waits for what goes on in the background (refreshes, counters), and writes the counters.
    ///
    /// Call it before a process ends; the cache can be used afterwards all the same.
    ///
    /// # Cancel safety
    /// A dropped call leaves the rest in the background.
    ///
    /// # Errors
    /// [`Error::Redis`] when the counters could not be written; they are kept for the next time.
    pub async fn close(&self) -> Result<(), Error> {
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        self.shared.tasks.reopen();
        self.flush_counters().await
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        operation: &'static str,
        raw: &str,
        command: &Cmd,
    ) -> Result<T, Error> {
        self.redis.query(command).await.map_err(failed(operation, raw))
    }

    /// Returns `nothing` for a failure of Redis, where the alias ignores them.
    fn open<T>(&self, answer: Result<T, Error>, nothing: T) -> Result<T, Error> {
        match answer {
            Err(error @ Error::Redis { .. }) if self.alias.ignore_exceptions => {
                self.shared.outage.ignore(&self.alias.prefix, &error);
                Ok(nothing)
            }
            answer => answer,
        }
    }

    pub(crate) fn decode(&self, raw: &str, bytes: &[u8]) -> Result<PyValue, Error> {
        let value = codec::decode(bytes, self.alias.serializer);
        value.map_err(|source| Error::Read { key: redact_key(raw), source })
    }

    pub(crate) fn encode(&self, raw: &str, value: &PyValue) -> Result<Vec<u8>, Error> {
        let bytes = codec::encode_compressed(value, self.alias.serializer, self.alias.compressor);
        bytes.map_err(|source| Error::Write { key: redact_key(raw), source })
    }

    /// Returns a value's bytes, if they are no more than so many.
    pub(crate) fn encode_within(
        &self,
        raw: &str,
        value: &PyValue,
        limit: usize,
    ) -> Result<Vec<u8>, Error> {
        let bytes = self.encode(raw, value)?;
        if bytes.len() > limit {
            let source = FormatError::TooLarge { limit, of: Bound::Bytes };
            return Err(Error::Write { key: redact_key(raw), source });
        }
        Ok(bytes)
    }

    pub(crate) fn expiry(&self, timeout: Timeout) -> Expiry {
        Expiry::new(timeout, self.alias.timeout)
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("alias", &self.alias)
            .field("redis", &self.redis)
            .finish_non_exhaustive()
    }
}

pub(crate) fn failed(
    operation: &'static str,
    raw: &str,
) -> impl FnOnce(rhubarb_connection::Error) -> Error {
    let key = redact_key(raw);
    move |source| Error::Redis { operation, key, source: Box::new(source) }
}
