//! A lock in Redis that Python's `cache.lock()` (redis-py's `Lock`) takes part in.

use std::{sync::LazyLock, time::Duration};

use redis::cmd;
use rhubarb_connection::Script;
use tokio::time::{Instant, sleep};

use crate::{
    client::{Cache, failed},
    error::{Error, redact_key},
};

static RELEASE: LazyLock<Script> =
    LazyLock::new(|| Script::new("lock_release", include_str!("scripts/lock_release.lua")));
static EXTEND: LazyLock<Script> =
    LazyLock::new(|| Script::new("lock_extend", include_str!("scripts/lock_extend.lua")));

/// A lock, not yet taken. It holds for one at a time of all processes, Rust and Python, that use
/// the same key.
#[derive(Clone, Debug)]
pub struct Lock {
    cache: Cache,
    raw: String,
    timeout: Option<Duration>,
    sleep: Duration,
    blocking_timeout: Option<Duration>,
}

/// A lock that we hold until it is released or ends.
///
/// Dropping it does not release it, because that takes a round trip: it ends by its timeout.
#[derive(Debug)]
#[must_use = "a lock that is not released stays until its timeout, or for ever without one"]
pub struct Held {
    lock: Lock,
    token: String,
}

impl Cache {
    /// Returns a lock under this key, which is a value's key too: do not use one for both.
    ///
    /// As in redis-py it has no timeout unless one is set: then a holder that dies leaves it locked
    /// for ever.
    pub fn lock(&self, key: &str) -> Lock {
        Lock {
            cache: self.clone(),
            raw: self.raw_key(key),
            timeout: None,
            sleep: Duration::from_millis(100),
            blocking_timeout: None,
        }
    }

    /// Gives back a lock and tells whether it was still ours.
    pub(crate) async fn release_lock(&self, raw: &str, token: &str) -> Result<bool, Error> {
        let keys = [raw.to_owned()];
        let released = self.redis().eval(&RELEASE, &keys, &[token.into()], &[]).await;
        released.map_err(failed("release", raw))
    }

    /// Holds a lock longer and tells whether it is still ours.
    pub(crate) async fn extend_lock(
        &self,
        raw: &str,
        token: &str,
        time: Duration,
        replaces: bool,
    ) -> Result<bool, Error> {
        let replaces = if replaces { "1" } else { "0" };
        let args = [token.into(), time.as_millis().to_string().into(), replaces.into()];
        let extended = self.redis().eval(&EXTEND, &[raw.to_owned()], &args, &[]).await;
        extended.map_err(failed("extend", raw))
    }
}

/// Returns a token as redis-py makes them: 32 hexadecimal digits.
pub(crate) fn token() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

impl Lock {
    /// Lets the lock end by itself after so long.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Sets how long to wait between two tries; 100 ms by default.
    pub fn sleep(self, sleep: Duration) -> Self {
        Self { sleep, ..self }
    }

    /// Sets how long to try at most; for ever by default.
    pub fn blocking_timeout(self, blocking_timeout: Duration) -> Self {
        Self { blocking_timeout: Some(blocking_timeout), ..self }
    }

    /// Takes the lock, waiting for it; `None` when it was not free in time.
    ///
    /// # Cancel safety
    /// A call that is dropped while its last try is on the way may have taken the lock: it ends by
    /// its timeout.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn acquire(&self) -> Result<Option<Held>, Error> {
        let until = self.blocking_timeout.and_then(|most| Instant::now().checked_add(most));
        loop {
            if let Some(held) = self.try_acquire().await? {
                return Ok(Some(held));
            }
            if until.is_some_and(|until| Instant::now() + self.sleep > until) {
                return Ok(None);
            }
            sleep(self.sleep).await;
        }
    }

    /// Takes the lock if it is free: `acquire(blocking=False)`.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn try_acquire(&self) -> Result<Option<Held>, Error> {
        let token = token();
        let mut set = cmd("SET");
        set.arg(&self.raw).arg(&token).arg("NX");
        if let Some(timeout) = self.timeout {
            set.arg("PX").arg(timeout.as_millis().max(1) as u64);
        }
        let taken: Option<String> = self.cache.run("lock", &self.raw, &set).await?;
        Ok(taken.map(|_| Held { lock: self.clone(), token }))
    }

    /// Tells whether anybody holds it.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn locked(&self) -> Result<bool, Error> {
        self.cache.run("look up", &self.raw, cmd("EXISTS").arg(&self.raw)).await
    }
}

impl Held {
    /// Tells whether it is still ours.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn owned(&self) -> Result<bool, Error> {
        let raw = &self.lock.raw;
        let token: Option<Vec<u8>> =
            self.lock.cache.run("look up", raw, cmd("GET").arg(raw)).await?;
        Ok(token.is_some_and(|token| token == self.token.as_bytes()))
    }

    /// Gives it back.
    ///
    /// # Errors
    /// [`Error::LockLost`] when it had ended: somebody else may have worked at the same time.
    /// [`Error::Redis`].
    pub async fn release(self) -> Result<(), Error> {
        let Lock { cache, raw, .. } = &self.lock;
        self.lock.lost_unless(cache.release_lock(raw, &self.token).await?)
    }

    /// Holds it for longer than its timeout says, by so much.
    ///
    /// # Errors
    /// As for [`Held::release`]; also for a lock without a timeout.
    pub async fn extend(&self, time: Duration) -> Result<(), Error> {
        let Lock { cache, raw, .. } = &self.lock;
        self.lock.lost_unless(cache.extend_lock(raw, &self.token, time, false).await?)
    }

    /// Lets its timeout begin anew.
    ///
    /// # Errors
    /// As for [`Held::extend`].
    pub async fn reacquire(&self) -> Result<(), Error> {
        let Lock { cache, raw, timeout, .. } = &self.lock;
        let time = timeout.unwrap_or_default();
        self.lock.lost_unless(cache.extend_lock(raw, &self.token, time, true).await?)
    }
}

impl Lock {
    fn lost_unless(&self, is_ours: bool) -> Result<(), Error> {
        if is_ours { Ok(()) } else { Err(Error::LockLost { key: redact_key(&self.raw) }) }
    }
}
