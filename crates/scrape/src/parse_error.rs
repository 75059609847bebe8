//! Why nothing can be said of a payload.

use crate::{blocked::Sign, budget::TooMuch};

/// A payload of which nothing can be said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A page for people where data was expected: a login, a captcha, a maintenance notice.
    #[error("the answer is HTML where {expected} is expected")]
    Html {
        /// `JSON` or `RSS`.
        expected: &'static str,
    },
    /// The payload ends before its structure does.
    #[error("the answer is cut off: {expected} ends too early")]
    Truncated {
        /// `JSON` or `RSS`.
        expected: &'static str,
    },
    /// The payload is empty.
    #[error("the answer is empty")]
    Empty,
    /// The payload breaks the rules of its format.
    #[error("the answer is not valid {expected}: {reason}")]
    Invalid {
        /// `JSON`, `RSS` or `HTML`.
        expected: &'static str,
        /// What the reader said.
        reason: String,
    },
    /// The format is right, the content is something else.
    #[error("the answer has no {expected}")]
    Shape {
        /// What was looked for.
        expected: &'static str,
    },
    /// The list is not where the configuration says.
    #[error("the answer has no list at `paths.items`; {instead}")]
    NoList {
        /// What stands there, or where a list is: a clause.
        instead: String,
    },
    /// Reading it costs more than a page may.
    #[error("the answer was not read to its end: {0}")]
    TooMuch(#[from] TooMuch),
    /// A page that keeps visitors out.
    #[error("the answer is {0}")]
    Blocked(Sign),
}
