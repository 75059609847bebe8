//! How long keys live, and which version they belong to.

use std::time::Duration;

use jiff::Timestamp;
use redis::cmd;

use super::{Cache, Expiry, Timeout, Ttl};
use crate::error::{Error, redact_key};

impl Cache {
    /// Returns how long the key will be there: django-redis's `ttl` and `pttl`.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn ttl(&self, key: &str) -> Result<Ttl, Error> {
        let raw = self.raw_key(key);
        let pttl: Result<i64, Error> = self.run("look up", &raw, cmd("PTTL").arg(&raw)).await;
        self.open(pttl.map(Ttl::from_pttl), Ttl::Missing)
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
        self.open(self.run("touch", &raw, &command).await, false)
    }

    /// Lets the key end after so long: django-redis's `expire` and `pexpire`. Tells whether there
    /// was one.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn expire(&self, key: &str, after: Duration) -> Result<bool, Error> {
        self.touch(key, Timeout::After(after)).await
    }

    /// Lets the key end at this time of Redis's clock: `expire_at` and `pexpire_at`. Tells whether
    /// there was one.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn expire_at(&self, key: &str, at: Timestamp) -> Result<bool, Error> {
        let raw = self.raw_key(key);
        let command = cmd("PEXPIREAT").arg(&raw).arg(at.as_millisecond()).clone();
        self.open(self.run("touch", &raw, &command).await, false)
    }

    /// Lets the key stay for ever and tells whether it had an end.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn persist(&self, key: &str) -> Result<bool, Error> {
        let raw = self.raw_key(key);
        self.open(self.run("touch", &raw, cmd("PERSIST").arg(&raw)).await, false)
    }

    /// Moves the value to the version higher by `delta`, in place of what is there, and returns
    /// that version.
    ///
    /// The value and its timeout move as they are, in one step; django-redis reads and writes them
    /// anew.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`]; [`Error::NoSuchVersion`] below zero; [`Error::Redis`].
    pub async fn incr_version(&self, key: &str, delta: i32) -> Result<u32, Error> {
        let raw = self.raw_key(key);
        let version = self.alias.version.checked_add_signed(delta);
        let version = version.ok_or_else(|| Error::NoSuchVersion { key: redact_key(&raw) })?;
        let to = self.version(version).raw_key(key);
        let moved = self.run::<()>("move", &raw, cmd("RENAME").arg(&raw).arg(&to)).await;
        match moved {
            Ok(()) => Ok(version),
            // The server has no code of its own for it: `ERR no such key`.
            Err(error) if error.refusal().is_some_and(|words| words.contains("no such key")) => {
                Err(Error::NoSuchKey { key: redact_key(&raw) })
            }
            Err(error) => Err(error),
        }
    }

    /// Moves the value to the version lower by `delta`; see [`Cache::incr_version`].
    ///
    /// # Errors
    /// As for [`Cache::incr_version`].
    pub async fn decr_version(&self, key: &str, delta: i32) -> Result<u32, Error> {
        self.incr_version(key, delta.saturating_neg()).await
    }
}
