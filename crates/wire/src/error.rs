//! Why bytes are not a message, a body or a result, and whose they were.

use serde_json::Value;

use crate::exception::Exception;

/// Whose message it was, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The id of the task: the key under which its failure can be stored.
    pub id: Option<String>,
    /// The name of the task.
    pub task: Option<String>,
}

/// Bytes that could not be read, by what a reader does about it.
///
/// None of these gets better by trying again. Where [`task_id`](Self::task_id) is known, a waiting
/// client is told by storing [`exception`](Self::exception) as a FAILURE; where it is not, the
/// bytes can only be kept aside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are no message at all: nobody can be told.
    #[error("message is unreadable: {reason}")]
    NotMessage {
        /// What was found.
        reason: String,
    },
    /// The message is not a task: it may be meant for somebody else.
    #[error("message is not a task: {reason}")]
    NotTask {
        /// What is missing.
        reason: String,
        /// What is there.
        identity: Identity,
    },
    /// A header that decides about the task is malformed.
    #[error("header `{name}` is unusable: {reason}")]
    Header {
        /// The name of the header.
        name: &'static str,
        /// What was found.
        reason: String,
        /// Whose message it was.
        identity: Identity,
    },
    /// The body is in a format that is refused, such as pickle.
    #[error(
        "content type `{content_type}` is refused, only JSON and MessagePack are read, and never pickle"
    )]
    Refused {
        /// The content type of the message.
        content_type: String,
        /// Whose message it was.
        identity: Identity,
    },
    /// The body is compressed in a way that is not supported.
    #[error(
        "compression `{compression}` is not supported, only zlib, gzip, bzip2, brotli and zstd are"
    )]
    Compression {
        /// The compression header of the message.
        compression: String,
        /// Whose message it was.
        identity: Identity,
    },
    /// The body, after decompression, is larger than the reader accepts.
    #[error("body is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
        /// Whose message it was.
        identity: Identity,
    },
    /// The body is damaged or of the wrong shape.
    #[error("body is malformed: {reason}")]
    Body {
        /// What was found.
        reason: String,
        /// Whose message it was.
        identity: Identity,
    },
    /// The bytes are not a stored result.
    #[error("result is unreadable: {reason}")]
    NotResult {
        /// What was found.
        reason: String,
    },
}

impl DecodeError {
    /// The id of the task whose message this was, when it could be read.
    pub fn task_id(&self) -> Option<&str> {
        self.identity()?.id.as_deref()
    }

    /// The name of the task whose message this was, when it could be read.
    pub fn task_name(&self) -> Option<&str> {
        self.identity()?.task.as_deref()
    }

    /// The exception a Celery client should see for this task.
    pub fn exception(&self) -> Exception {
        match self {
            Self::Refused { .. } => Exception::content_disallowed(&self.to_string()),
            _ => Exception::decode_error(&self.to_string()),
        }
    }

    fn identity(&self) -> Option<&Identity> {
        match self {
            Self::NotMessage { .. } | Self::NotResult { .. } => None,
            Self::NotTask { identity, .. }
            | Self::Header { identity, .. }
            | Self::Refused { identity, .. }
            | Self::Compression { identity, .. }
            | Self::TooLarge { identity, .. }
            | Self::Body { identity, .. } => Some(identity),
        }
    }
}

/// A value in a few words, for a reason: hostile input must not fill a log.
pub(crate) fn excerpt(value: &Value) -> String {
    const SHOWN: usize = 80;
    let text = String::from_utf8_lossy(&crate::dump::dumps(value)).into_owned();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
