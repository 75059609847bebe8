//! Why a page, or all of a source, was not read.

use std::fmt;

use crate::source_status::Ending;

/// Why a page, or all of a source, was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// How a source ends that has nothing else.
    pub ending: Ending,
    /// One sentence for the status.
    pub reason: String,
    /// Whether asking again soon changes nothing.
    pub permanent: bool,
}

impl Trouble {
    /// Returns a failure that may pass.
    pub fn failed(reason: impl fmt::Display) -> Self {
        Self { ending: Ending::Failed, reason: reason.to_string(), permanent: false }
    }

    /// Returns a failure that stays.
    pub fn for_good(reason: impl fmt::Display) -> Self {
        Self { permanent: true, ..Self::failed(reason) }
    }

    /// Returns a trouble that ends a source so; asking again changes nothing.
    pub(crate) fn ends(ending: Ending, reason: impl fmt::Display) -> Self {
        Self { ending, ..Self::for_good(reason) }
    }
}
