//! The listings of each keyword, whole, in every configured target.

use std::time::Duration;

use rhubarb_scrape::Listing;

use rhubarb_cache::{Cache, Error, FormatError, PyValue, Timeout, Ttl, redact_key};

use crate::{
    fit,
    life::LifeCache,
    memory::{MemoryCache, SourceMemory},
    target::Target,
    template,
};

/// Where what was read of boards is kept beside listings, in version 0, where Django looks for
/// nothing: all of it, and when each was kept.
pub(crate) const BOARDS: [&str; 2] = ["rhubarb.boards", "rhubarb.boards.used"];

/// Where listings are written; the first target is read from.
#[derive(Clone, Debug)]
pub struct Listings {
    targets: Vec<Target>,
    /// Absent where there is no target.
    memory: Option<MemoryCache>,
    life: Option<LifeCache>,
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
    pub(crate) fn new(
        targets: Vec<Target>,
        memory: Option<MemoryCache>,
        life: Option<LifeCache>,
    ) -> Self {
        Self { targets, memory, life }
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
                Ok(value) => target.set(&key, value).await,
                Err(error) => Err(Error::Write {
                    key: redact_key(&target.cache.raw_key(&key)),
                    source: FormatError::Json(error),
                }),
            };
            first = first.and(written);
        }
        first
    }

    /// Writes as many of a keyword's listings as every target takes, the newest of each source;
    /// where these are not all, returns them.
    ///
    /// # Errors
    /// As for [`Listings::write`], save that none is too large.
    pub async fn write_fitting(
        &self,
        keyword: &str,
        listings: &[Listing],
    ) -> Result<Option<Vec<Listing>>, Error> {
        let mut tries = fit::TRIES.into_iter();
        let mut fitting: Option<Vec<Listing>> = None;
        loop {
            match self.write(keyword, fitting.as_deref().unwrap_or(listings)).await {
                Ok(()) => return Ok(fitting),
                Err(error) => match tries.next().filter(|_| error.is_too_large()) {
                    Some(percent) => {
                        let fitting = fitting.get_or_insert_with(|| listings.to_vec());
                        fit::next(fitting, self.max_bytes(), percent);
                    }
                    None => return Err(error),
                },
            }
        }
    }

    /// Lets a keyword's listings live on as if they were written now; tells whether all targets
    /// have some.
    ///
    /// # Errors
    /// See [`Error`].
    #[cfg(feature = "tasks")]
    pub(crate) async fn touch(&self, keyword: &str) -> Result<bool, Error> {
        let mut all = !self.targets.is_empty();
        for target in &self.targets {
            let key = template::of_keyword(&target.key, keyword);
            all &= target.cache.touch(&key, target.timeout).await?;
        }
        Ok(all)
    }

    fn max_bytes(&self) -> usize {
        self.targets.iter().map(|target| target.max_bytes).min().unwrap_or(usize::MAX)
    }

    /// Returns what is remembered of a keyword's sources.
    ///
    /// # Errors
    /// [`Error::Redis`] when the server cannot be asked.
    pub async fn remembered(&self, keyword: &str) -> Result<SourceMemory, Error> {
        match &self.memory {
            Some(memory) => memory.read(keyword).await,
            None => Ok(SourceMemory::new()),
        }
    }

    /// Writes what is remembered of a keyword's sources.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn remember(&self, keyword: &str, known: &SourceMemory) -> Result<(), Error> {
        match &self.memory {
            Some(memory) => memory.write(keyword, known).await,
            None => Ok(()),
        }
    }

    /// Returns the records of postings' lives; nothing where listings are kept nowhere.
    pub fn life(&self) -> Option<&LifeCache> {
        self.life.as_ref()
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
        if let Some(memory) = &self.memory {
            memory.clear().await?;
        }
        if let Ok(cache) = self.cache() {
            // What boards have is asked for again, as a person who clears wants it.
            for key in BOARDS {
                cache.version(0).delete(key).await?;
            }
        }
        for target in &self.targets {
            deleted += target.clear().await?;
        }
        Ok(deleted)
    }
}
