//! How one source ended, for those who read about a scrape.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What became of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SourceState {
    /// It answered and was read; none of its listings may have matched.
    Ok,
    /// It says that there is no such board.
    NotFound,
    /// It could not be asked or read.
    Failed,
    /// It is being asked.
    Running,
}

impl fmt::Display for SourceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::NotFound => "not_found",
            Self::Failed => "failed",
            Self::Running => "running",
        })
    }
}

/// How one source ended in a scrape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// What became of it.
    pub status: SourceState,
    /// How many listings matched; zero when it failed.
    pub count: u64,
    /// Why it failed, as one sentence; absent otherwise.
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}
