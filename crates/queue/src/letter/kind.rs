//! The two kinds of messages kept apart.

use serde::{Deserialize, Serialize};

/// The two kinds of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LetterKind {
    /// It can never run as it is.
    Dead,
    /// No worker here knows its task.
    Parked,
}
