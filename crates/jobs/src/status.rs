//! What the last scrape did, for Django's `cache.get("scraping_status")`.

use std::{borrow::Cow, collections::BTreeMap};

use rhubarb_cache::{Error, FormatError, PyValue, redact_key};
use rhubarb_scrape::{SourceState, SourceStatus};
use serde::{Deserialize, Serialize};

use crate::target::Target;

/// The state of the last scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScrapeState {
    /// A scrape is going on.
    Running,
    /// Every source answered.
    Success,
    /// Some sources failed; the others' listings are cached.
    Partial,
    /// All sources failed; the cached listings were left alone.
    Error,
}

/// The status record on db 1 (`scraping_status`, 300 s).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// When the scrape ended, or began while it runs: ISO 8601 text in UTC.
    pub last_scraped: String,
    /// The keyword as the caller wrote it.
    pub keyword: String,
    /// How many listings are cached for the keyword.
    pub jobs_count: u64,
    /// The state.
    pub status: ScrapeState,
    /// What went wrong, where something did.
    pub error: Option<String>,
    /// Each source by its name.
    #[serde(default)]
    pub sources: BTreeMap<String, SourceStatus>,
    /// Listings that the earlier run did not have.
    #[serde(default)]
    pub new: u64,
    /// Listings of the earlier run that are gone.
    #[serde(default)]
    pub closed: u64,
}

impl Status {
    /// Leaves out the sources that ended well, and all but so many of the others.
    fn shorten(&mut self, keep: usize) {
        self.sources.retain(|_, source| source.status != SourceState::Ok);
        if let Some(last) = self.sources.keys().nth(keep).cloned() {
            self.sources.split_off(&last);
        }
        self.error = self.error.as_ref().map(|error| error.chars().take(1_000).collect());
    }
}

/// Where the status stands.
#[derive(Clone, Debug)]
pub struct StatusCache {
    target: Target,
}

impl StatusCache {
    pub(crate) fn new(target: Target) -> Self {
        Self { target }
    }

    /// Writes the status; Python reads a dict.
    ///
    /// Where it is too large with all its sources, those that ended well are left out, and then all
    /// but the first of the others.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn write(&self, status: &Status) -> Result<(), Error> {
        let mut status = Cow::Borrowed(status);
        for keep in [usize::MAX, 100, 10, 0] {
            match self.write_whole(&status).await {
                Err(error) if error.is_too_large() && keep > 0 => status.to_mut().shorten(keep),
                written => return written,
            }
        }
        self.write_whole(&status).await
    }

    async fn write_whole(&self, status: &Status) -> Result<(), Error> {
        let value = PyValue::from_serialize(status).map_err(|error| Error::Write {
            key: self.shown(),
            source: FormatError::Json(error),
        })?;
        self.target.set(&self.target.key, value).await
    }

    /// Returns the status, if one was written of late.
    ///
    /// # Errors
    /// [`Error::foreign`] when something else stands there; it is left alone. See
    /// [`StatusCache::at_hand`].
    pub async fn read(&self) -> Result<Option<Status>, Error> {
        let Some(value) = self.target.cache.get(&self.target.key).await? else { return Ok(None) };
        value.deserialize().map(Some).map_err(|source| Error::Read { key: self.shown(), source })
    }

    /// Returns the status as [`StatusCache::read`] does; one of another shape, as other writers may
    /// have left it, counts as none and is a warning in the log.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn at_hand(&self) -> Result<Option<Status>, Error> {
        match self.read().await {
            Err(error) if error.foreign().is_some() => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "the scraping status is not ours, and counts as none");
                Ok(None)
            }
            read => read,
        }
    }

    pub(crate) async fn clear(&self) -> Result<u64, Error> {
        self.target.clear().await
    }

    fn shown(&self) -> String {
        redact_key(&self.target.cache.raw_key(&self.target.key))
    }
}
