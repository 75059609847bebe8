//! How one source ended, for those who read about a scrape.

use serde::{Deserialize, Serialize};

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
