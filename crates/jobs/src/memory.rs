//! What is remembered of a keyword's sources from run to run, to hold the next run against.
//!
//! It stands beside the keyword's listings, in version 0, where Django looks for nothing, and ends
//! a week after the last run. What cannot be read there counts as nothing.

use std::{collections::BTreeMap, time::Duration};

use rhubarb_cache::{Cache, Error, FormatError, PyValue, Timeout, redact_key};
use rhubarb_scrape::Coverage;
use serde::{Deserialize, Serialize};

use crate::template;

/// How long it is kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The most bytes of one keyword's memory: a source takes about 150.
const MAX_BYTES: usize = 1 << 20;

/// What is remembered of each source of a keyword, by name.
pub type SourceMemory = BTreeMap<String, Remembered>;

/// What is remembered of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remembered {
    /// What its records looked like at the last run that was believed.
    pub look: Coverage,
    /// How many runs in a row were not believed, or lost more records than before.
    pub doubts: u32,
    /// How many runs in a row said that it is not there.
    pub missing: u32,
    /// When the crawl was that was heard last, milliseconds since 1970; 0 for none that was kept.
    pub crawled: i64,
    /// The mark of the content that the keyword's listings of it were made of; 0 for none.
    pub board: u64,
    /// How many listings that content had for the keyword.
    pub matched: u64,
    /// Until when, milliseconds since 1970, those listings are left as they were written while the
    /// content is the same.
    pub until: i64,
}

/// Where it stands.
#[derive(Clone, Debug)]
pub(crate) struct MemoryCache {
    cache: Cache,
    /// The key of the keyword's listings.
    template: String,
}

impl MemoryCache {
    /// Returns the memory beside listings; the cache is one of version 0.
    pub(crate) fn new(cache: Cache, template: &str) -> Self {
        Self { cache, template: template.to_owned() }
    }

    fn key(&self, keyword: &str) -> String {
        format!("rhubarb.sources:{}", template::of_keyword(&self.template, keyword))
    }

    /// Returns what is remembered of a keyword's sources.
    ///
    /// # Errors
    /// [`Error::Redis`] when the server cannot be asked.
    pub(crate) async fn read(&self, keyword: &str) -> Result<SourceMemory, Error> {
        let value = match self.cache.get(&self.key(keyword)).await {
            Err(error) if error.foreign().is_some() => {
                tracing::warn!(%error, "what is remembered of sources cannot be read");
                None
            }
            read => read?,
        };
        Ok(value.and_then(|value| value.deserialize().ok()).unwrap_or_default())
    }

    /// Writes what is remembered of a keyword's sources.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) async fn write(&self, keyword: &str, memory: &SourceMemory) -> Result<(), Error> {
        let key = self.key(keyword);
        let value = PyValue::from_serialize(memory).map_err(|error| Error::Write {
            key: redact_key(&self.cache.raw_key(&key)),
            source: FormatError::Json(error),
        })?;
        self.cache.set_within(&key, value, Timeout::After(KEPT), MAX_BYTES).await
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub(crate) async fn clear(&self) -> Result<(), Error> {
        let pattern = format!("rhubarb.sources:{}", template::logical_pattern(&self.template));
        self.cache.delete_pattern(&pattern).await.map(drop)
    }
}
