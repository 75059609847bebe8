//! What can be wrong with bytes, or with a value that is to become some.

use std::fmt;

/// Why bytes are no value, or a value has no bytes.
///
/// The text never quotes the value; only the source of a `Json` error may quote the one scalar that
/// did not fit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// There is a class that is not read as data. Nothing was made of it; leave the value alone.
    #[error("the value holds `{class}`, which is not read or written as data")]
    Unsupported {
        /// The class as `module.name`, or the kind of value.
        class: String,
    },
    /// The bytes are not of the format.
    #[error("broken {format} at byte {at}: {what}")]
    Malformed {
        /// `pickle`, `JSON`, `msgpack`, or the compression's name.
        format: &'static str,
        /// Where reading stopped.
        at: usize,
        /// What was wrong there.
        what: &'static str,
    },
    /// The bytes are not JSON, or JSON of another shape than asked for.
    #[error("not the expected JSON")]
    Json(#[source] serde_json::Error),
    /// A cap was passed; the value is either hostile or not for a message or a cache.
    #[error("the value passes the limit of {limit} {of}")]
    TooLarge {
        /// The cap.
        limit: usize,
        /// Of what.
        of: Bound,
    },
}

/// What there is a cap on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bound {
    /// The bytes that are read or written.
    Bytes,
    /// The bytes that a value takes once it is read.
    Unpacked,
    /// The values in a value.
    Elements,
    /// Containers in containers.
    Levels,
    /// The digits of an int.
    Digits,
}

impl FormatError {
    /// Returns the error about a value of a kind that the format does not have.
    pub fn unsupported(class: &str) -> Self {
        Self::Unsupported { class: class.to_owned() }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Unpacked => "unpacked bytes",
            Self::Elements => "elements",
            Self::Levels => "nested levels",
            Self::Digits => "digits",
        })
    }
}
