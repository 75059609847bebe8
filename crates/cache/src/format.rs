//! What can be wrong with the bytes of a cache value.

use rhubarb_core::class::Class;

/// Why bytes are no value, or a value has no bytes.
///
/// The text never quotes the value; only the source of a `Json` error may quote the one scalar that did not fit.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The pickle names a class that is not read as data. Nothing was made of it; leave the value alone.
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
    /// A cap was passed; the value is either hostile or not for a cache.
    #[error("the value passes the limit of {limit} {of}")]
    TooLarge {
        /// The cap.
        limit: usize,
        /// Of what.
        of: &'static str,
    },
}

impl FormatError {
    /// Tells what a caller should do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Malformed { .. } | Self::Json(_) => Class::Malformed,
            Self::Unsupported { .. } | Self::TooLarge { .. } => Class::Permanent,
        }
    }

    /// Returns the error of a class of Python's that this side does not carry.
    pub fn unsupported(class: &str) -> Self {
        Self::Unsupported { class: class.to_owned() }
    }
}
