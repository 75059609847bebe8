//! What the last scrape did, for Django's `cache.get("scraping_status")`.

use rhubarb_core::status::Status;

use rhubarb_cache::{Error, FormatError, PyValue, redact_key};

use crate::caches::Target;

/// The scraping status.
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
    /// # Errors
    /// See [`Error`].
    pub async fn write(&self, status: &Status) -> Result<(), Error> {
        let value = PyValue::from_serialize(status).map_err(|error| Error::Write {
            key: self.shown(),
            source: FormatError::Json(error),
        })?;
        self.target.set(&self.target.key, &value).await
    }

    /// Returns the status, if one was written of late.
    ///
    /// # Errors
    /// [`Error::foreign`] when something else stands there; it is left alone. See [`StatusCache::at_hand`].
    pub async fn read(&self) -> Result<Option<Status>, Error> {
        let Some(value) = self.target.cache.get(&self.target.key).await? else { return Ok(None) };
        value.deserialize().map(Some).map_err(|source| Error::Read { key: self.shown(), source })
    }

    /// Returns the status as [`StatusCache::read`] does; one of another shape, as other writers may have left it, counts as
    /// none and is a warning in the log.
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
