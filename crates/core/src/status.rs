//! What the last scrape did, as Django reads it from `scraping_status`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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

/// How one source ended in a scrape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// `ok`, `not_found`, `failed` or `running`.
    pub status: String,
    /// How many listings matched; zero when it failed.
    pub count: u64,
    /// Why it failed, as one sentence; absent otherwise.
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
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
