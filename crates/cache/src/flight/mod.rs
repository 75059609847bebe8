//! Single flight: a value that is not there is computed once, whoever asks for it.
//!
//! In the process, all who miss the same key wait for one future. Across processes, whoever takes
//! the lock `PREFIX:0:rhubarb.flight:VERSION:KEY` computes, renewing it; the others look for the
//! value until it is there, and one of them takes over when the lock has ended because its holder
//! died. Redis holds the plain value and nothing around it, so that Python reads it as any other:
//! whether it is stale is told by how long it still lives.

mod run;

use std::{error::Error as StdError, time::Duration};

use self::run::{Mode, Task};
use crate::{
    PyValue,
    client::{Cache, Event, Expiry, Timeout, Ttl},
    codec::MAX_VALUE,
    error::{Error, redact_key},
    flights::Landed,
};
use futures_util::FutureExt;

/// How a value that is not there is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// How long the value is fresh.
    pub timeout: Timeout,
    /// For how long after that it is given out stale, while one computes it anew in the background.
    /// Zero for never.
    ///
    /// It is added to the key's life in Redis. A value that somebody else wrote with `timeout`
    /// alone counts as stale so much earlier.
    pub stale: Duration,
    /// How long a process that computes keeps the others waiting after it has died. It renews while
    /// it lives.
    pub lease: Duration,
    /// How long to wait for another process before computing beside it.
    pub patience: Duration,
    /// The most bytes of the stored value; [`MAX_VALUE`] unless it is less.
    pub max_bytes: usize,
}

impl Fetch {
    /// Returns what holds where nothing else is set: never stale, a lease of 10 s, a patience of
    /// 30 s.
    pub fn new(timeout: Timeout) -> Self {
        Self {
            timeout,
            stale: Duration::ZERO,
            lease: Duration::from_secs(10),
            patience: Duration::from_secs(30),
            max_bytes: MAX_VALUE,
        }
    }

    /// Returns it with a time during which a value is given out stale.
    pub fn stale(self, stale: Duration) -> Self {
        Self { stale, ..self }
    }
}

impl Cache {
    /// Returns the value, or computes and stores it: once, however many ask for it. See
    /// [`Cache::fetch`].
    ///
    /// # Errors
    /// As for [`Cache::fetch`].
    pub async fn get_or_set<F, Fut, E>(
        &self,
        key: &str,
        compute: F,
        timeout: Timeout,
    ) -> Result<PyValue, Error>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<PyValue, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        self.fetch(key, Fetch::new(timeout), compute).await
    }

    /// Returns the value, stale if allowed, or computes and stores it: once, in this process and
    /// all others.
    ///
    /// Where Redis is out of memory, or fails and the alias ignores that, it is computed once in
    /// the process and not stored.
    ///
    /// # Cancel safety
    /// A dropped call leaves the computation to the others that wait for it in this process;
    /// without any it is dropped, and another process takes over.
    ///
    /// # Errors
    /// [`Error::Read`] for a value that is not data: it is left alone, and nothing is computed.
    /// [`Error::Compute`] with the computation's own error, which is not stored: the next call
    /// computes again. [`Error::Write`] for a value that cannot be stored. [`Error::Redis`]. Who
    /// waited for another call gets [`Error::Shared`] with one of these.
    pub async fn fetch<F, Fut, E>(
        &self,
        key: &str,
        how: Fetch,
        compute: F,
    ) -> Result<PyValue, Error>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<PyValue, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        let task = |mode| Task { cache: self.clone(), key: key.to_owned(), how, mode };
        let found = if how.stale.is_zero() {
            self.get(key).await?.map(|value| (value, Ttl::Never))
        } else {
            self.get_with_ttl(key).await?
        };
        let raw = self.raw_key(key);
        match found {
            Some((value, ttl)) => {
                if matches!(ttl, Ttl::Left(left) if left <= how.stale) {
                    self.count(key, Event::Stale);
                    // Not the name of any raw key: a refresh and a miss are two flights, which meet
                    // at the lock.
                    let name = format!("refresh {raw}");
                    let flights = &self.shared().flights;
                    let flight = flights.begin(&name, || task(Mode::Refresh).run(compute).boxed());
                    if let Some(flight) = flight {
                        self.shared().tasks.spawn(flight);
                    }
                }
                Ok(value)
            }
            None => {
                let flights = &self.shared().flights;
                let flight = flights.join(&raw, || task(Mode::Miss).run(compute).boxed());
                match flight.await {
                    Landed::Value(value) => Ok(value.as_ref().clone()),
                    Landed::Failed(error) => Err(Error::Shared(error)),
                    // No miss ends so.
                    Landed::Elsewhere => Err(Error::Contended { key: redact_key(&raw) }),
                }
            }
        }
    }

    /// Returns how long a value that is fetched so lives in Redis.
    fn whole_life(&self, how: &Fetch) -> Expiry {
        self.expiry(how.timeout).and(how.stale)
    }
}
