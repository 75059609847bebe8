//! Locks with an owner and an end, for work that may run once at a time.

use std::time::Duration;

use rhubarb_connection::Redis;

use crate::{Client, Error, error::redis, script};

/// A named lock. Holding it is a claim with an end: whoever holds it renews well before.
#[derive(Clone, Debug)]
pub struct OwnedLock {
    redis: Redis,
    key: String,
    name: String,
    owner: String,
    ttl: Duration,
}

impl OwnedLock {
    /// Prepares a lock; nothing is sent. `owner` has to be unique to this holder, `ttl` is how long
    /// it is held without a renewal.
    pub fn new(client: &Client, name: &str, owner: &str, ttl: Duration) -> Self {
        Self {
            redis: client.queue().clone(),
            key: client.keys().lock(name),
            name: name.to_owned(),
            owner: owner.to_owned(),
            ttl,
        }
    }

    /// Returns the owner of whoever holds the lock now.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn holder(&self) -> Result<Option<String>, Error> {
        self.redis
            .query(::redis::cmd("GET").arg(&self.key))
            .await
            .map_err(redis(format!("look who holds the lock `{}`", self.name)))
    }

    /// Takes the lock if nobody holds it (or the same owner does); tells whether we hold it now.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have taken the lock; it ends by itself after the ttl.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]; after a lost connection the lock may be held.
    pub async fn acquire(&self) -> Result<bool, Error> {
        self.run("acquire").await
    }

    /// Holds the lock for another ttl; false when it was lost.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn renew(&self) -> Result<bool, Error> {
        self.run("renew").await
    }

    /// Releases the lock if it is ours; tells whether it was.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn release(&self) -> Result<bool, Error> {
        self.run("release").await
    }

    async fn run(&self, what: &str) -> Result<bool, Error> {
        let ttl = self.ttl.as_millis().to_string();
        let args = [what.into(), self.owner.clone().into_bytes(), ttl.into_bytes()];
        self.redis
            .eval(&script::LOCK, std::slice::from_ref(&self.key), &args, &[])
            .await
            .map_err(redis(format!("{what} the lock `{}`", self.name)))
    }
}
