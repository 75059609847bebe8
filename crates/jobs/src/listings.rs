//! The listings of each keyword, whole, in every configured target.

use std::time::Duration;

use rhubarb_scrape::Listing;

use rhubarb_cache::{Cache, Error, FormatError, PyValue, Timeout, Ttl, redact_key};

use crate::{target::Target, template};

/// Where listings are written; the first target is read from.
#[derive(Clone, Debug)]
pub struct Listings {
    targets: Vec<Target>,
}

/// What is cached for a keyword.
#[derive(Clone, Debug, PartialEq)]
pub struct Cached {
    /// The listings; an honest zero is empty.
    pub listings: Vec<Listing>,
    /// How long ago they were written, by the configured timeout; absent when they never expire.
    pub age: Option<Duration>,
    /// How long they will be there; absent means for ever.
    pub ttl: Option<Duration>,
}

impl Listings {
    pub(crate) fn new(targets: Vec<Target>) -> Self {
        Self { targets }
    }

    /// Writes a keyword's listings to every target, in the configured order.
    ///
    /// Python reads a list of dicts; absent values are `None`.
    ///
    /// # Errors
    /// The first target's error that failed; the others were written all the same.
    pub async fn write(&self, keyword: &str, listings: &[Listing]) -> Result<(), Error> {
        let mut first = Ok(());
        for target in &self.targets {
            let key = template::of_keyword(&target.key, keyword);
            let written = match PyValue::from_serialize(&listings) {
                Ok(value) => target.set(&key, &value).await,
                Err(error) => Err(Error::Write {
                    key: redact_key(&target.cache.raw_key(&key)),
                    source: FormatError::Json(error),
                }),
            };
            first = first.and(written);
        }
        first
    }

    /// Returns what is cached for a keyword.
    ///
    /// # Errors
    /// [`Error::Read`] when the value is not data or no list of listings; it is left alone.
    pub async fn read(&self, keyword: &str) -> Result<Option<Cached>, Error> {
        let Some(target) = self.targets.first() else { return Ok(None) };
        let key = template::of_keyword(&target.key, keyword);
        let Some((value, ttl)) = target.cache.get_with_ttl(&key).await? else { return Ok(None) };
        let listings = value.deserialize().map_err(|source| Error::Read {
            key: redact_key(&target.cache.raw_key(&key)),
            source,
        })?;
        let ttl = match ttl {
            Ttl::Left(left) => Some(left),
            Ttl::Never | Ttl::Missing => None,
        };
        let whole = match target.timeout {
            Timeout::After(timeout) => Some(timeout),
            Timeout::Default => target.cache.default_timeout(),
            Timeout::Never => None,
        };
        let age = whole.zip(ttl).map(|(whole, left)| whole.saturating_sub(left));
        Ok(Some(Cached { listings, age, ttl }))
    }

    /// Returns the cache that they are read from.
    ///
    /// # Errors
    /// [`Error::UnknownAlias`] where they are kept nowhere.
    pub fn cache(&self) -> Result<&Cache, Error> {
        let nowhere = || Error::UnknownAlias { alias: "listings".to_owned() };
        self.targets.first().map(|target| &target.cache).ok_or_else(nowhere)
    }

    pub(crate) async fn clear(&self) -> Result<u64, Error> {
        let mut deleted = 0;
        for target in &self.targets {
            deleted += target.clear().await?;
        }
        Ok(deleted)
    }
}
