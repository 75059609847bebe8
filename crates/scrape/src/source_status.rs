//! How one source ended, for those who read about a scrape.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What became of a source, coarsely; [`Ending`] has the finer word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SourceState {
    /// It answered and was read; none of its listings may have matched.
    Ok,
    /// Some of it was read; the rest was lost or left out.
    Partial,
    /// It says that there is no such board.
    NotFound,
    /// It could not be asked or read.
    Failed,
    /// It is being asked.
    Running,
}

/// How a source ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ending {
    /// It was read whole and has postings.
    Found,
    /// It was read whole, and shows that it has no posting.
    Nothing,
    /// It has what it had at the last run.
    Unchanged,
    /// There is no such board or page (404).
    NotFound,
    /// It was there and is not any more (410), or a posting's own page is not.
    Gone,
    /// It shows a challenge, a login or a consent form in place of its postings, or refuses access.
    Blocked,
    /// It asks to be left alone for a while.
    Throttled,
    /// It could not be asked or read.
    Failed,
    /// Some pages or records were lost or left out; what came counts.
    Partial,
    /// It was read, but what was read is not believed.
    Suspicious,
}

impl Ending {
    /// Returns the coarse word for it. This is the one place that knows both.
    pub const fn state(self) -> SourceState {
        match self {
            Self::Found | Self::Nothing | Self::Unchanged => SourceState::Ok,
            Self::Partial => SourceState::Partial,
            Self::NotFound | Self::Gone => SourceState::NotFound,
            Self::Blocked | Self::Throttled | Self::Failed | Self::Suspicious => {
                SourceState::Failed
            }
        }
    }

    /// Tells whether nothing of what it has is known from this run.
    pub const fn is_silent(self) -> bool {
        matches!(self.state(), SourceState::NotFound | SourceState::Failed)
    }

    /// Returns its word in a status, for logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Nothing => "nothing",
            Self::Unchanged => "unchanged",
            Self::NotFound => "not_found",
            Self::Gone => "gone",
            Self::Blocked => "blocked",
            Self::Throttled => "throttled",
            Self::Failed => "failed",
            Self::Partial => "partial",
            Self::Suspicious => "suspicious",
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for SourceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
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
    /// Why it did not end well, as one sentence; absent otherwise.
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// How it ended; absent in the records of earlier versions, and while it runs.
    #[serde(default)]
    pub outcome: Option<Ending>,
    /// How many of its earlier listings were kept, which did not come in this run.
    #[serde(default)]
    pub kept: u64,
}

impl SourceStatus {
    /// Returns the status of a source that has ended.
    pub fn new(ending: Ending, count: u64) -> Self {
        let status = ending.state();
        Self { status, count, error: None, elapsed_ms: 0, outcome: Some(ending), kept: 0 }
    }

    /// Changes how it ended, and says why.
    pub fn turn(&mut self, ending: Ending, reason: impl Into<Option<String>>) {
        self.status = ending.state();
        self.outcome = Some(ending);
        self.error = reason.into();
    }

    /// Returns the finest word that is known for how it ended.
    pub fn word(&self) -> String {
        self.outcome.map_or_else(|| self.status.to_string(), |ending| ending.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ending_has_its_coarse_word_and_its_own_name() {
        let check = |endings: &[Ending], state: SourceState| {
            for ending in endings {
                assert_eq!(ending.state(), state, "{ending}");
                assert_eq!(serde_json::json!(ending), ending.name(), "as it is stored");
            }
        };
        check(&[Ending::Found, Ending::Nothing, Ending::Unchanged], SourceState::Ok);
        check(&[Ending::Partial], SourceState::Partial);
        check(&[Ending::NotFound, Ending::Gone], SourceState::NotFound);
        let failed = [Ending::Blocked, Ending::Throttled, Ending::Failed, Ending::Suspicious];
        check(&failed, SourceState::Failed);
    }

    #[test]
    fn a_status_without_an_outcome_is_read() {
        let text = r#"{"status":"failed","count":0,"error":"HTTP 500","elapsed_ms":3}"#;
        let status: SourceStatus = serde_json::from_str(text).unwrap();
        assert_eq!((status.status, status.outcome), (SourceState::Failed, None));
        assert_eq!(status.word(), "failed");
    }
}
