//! What can go wrong with a cache, by what to do about it.

use std::sync::Arc;

use rhubarb_core::class::Class;

use crate::FormatError;

/// An error of a cache. No value and no session's identifier is ever in the text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command failed; the source tells whether to try again.
    #[error("failed to {operation} cache key `{key}`")]
    Redis {
        /// What was tried.
        operation: &'static str,
        /// The raw key.
        key: String,
        /// Why it failed.
        #[source]
        source: Box<rhubarb_connection::Error>,
    },
    /// What is stored cannot be read. It stays as it is: its writer may read it.
    #[error("failed to decode cache key `{key}`")]
    Read {
        /// The raw key.
        key: String,
        /// Why not.
        #[source]
        source: FormatError,
    },
    /// The value cannot be stored in this cache. Nothing was written.
    #[error("failed to encode cache key `{key}`")]
    Write {
        /// The raw key.
        key: String,
        /// Why not.
        #[source]
        source: FormatError,
    },
    /// There is no such key, where one is needed: Django raises `ValueError`.
    #[error("there is no cache key `{key}`")]
    NoSuchKey {
        /// The raw key.
        key: String,
    },
    /// What is stored is nothing that can be added to. It stays as it is.
    #[error("cache key `{key}` is no number to add to")]
    NotANumber {
        /// The raw key.
        key: String,
    },
    /// Others changed the value at every try. Try again later.
    #[error("cache key `{key}` changes too often to be changed")]
    Contended {
        /// The raw key.
        key: String,
    },
    /// A version below zero.
    #[error("cache key `{key}` cannot have a version below 0")]
    NoSuchVersion {
        /// The raw key.
        key: String,
    },
    /// More keys match than are returned at once.
    #[error("more than {limit} cache keys match `{pattern}`")]
    TooMany {
        /// The limit.
        limit: usize,
        /// The pattern.
        pattern: String,
    },
    /// The lock has ended or was taken away; what it protected may have been done by two.
    #[error("the lock `{key}` is no longer ours")]
    LockLost {
        /// The raw key.
        key: String,
    },
    /// The value was not there and could not be had either. Everyone who waited for it gets this.
    #[error("failed to compute cache key `{key}`")]
    Compute {
        /// The raw key.
        key: String,
        /// Why not, in the computation's own words.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// Somebody else in this process asked for the value at the same time, and this is what he got.
    #[error(transparent)]
    Shared(Arc<Error>),
    /// The configuration names a cache that it does not have.
    #[error("no cache alias `{alias}` is configured; add it under cache.aliases")]
    UnknownAlias {
        /// The name.
        alias: String,
    },
    /// The configuration gives a cache keys that can be another's, or a session's: clearing one
    /// would delete the other.
    #[error("{problem}")]
    Collision {
        /// Which, and what to do.
        problem: String,
    },
}

impl Error {
    /// Tells what a caller should do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Redis { source, .. } => source.class(),
            Self::Read { source, .. } | Self::Write { source, .. } => class_of(source),
            Self::Contended { .. } | Self::Compute { .. } | Self::LockLost { .. } => {
                Class::Transient
            }
            Self::Shared(error) => error.class(),
            Self::NoSuchKey { .. }
            | Self::NotANumber { .. }
            | Self::NoSuchVersion { .. }
            | Self::TooMany { .. }
            | Self::UnknownAlias { .. }
            | Self::Collision { .. } => Class::Permanent,
        }
    }

    /// Returns the raw key at which something else stands than this cache holds, if that is why: it
    /// stays as it is.
    pub fn foreign(&self) -> Option<&str> {
        match self {
            Self::Read { key, .. } => Some(key),
            Self::Redis { key, source, .. } if source.wrong_type().is_some() => Some(key),
            Self::Shared(error) => error.foreign(),
            _ => None,
        }
    }

    /// Tells whether a value was not written because it has more bytes than it may.
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::Write { source: FormatError::TooLarge { .. }, .. })
    }

    /// Tells whether the server is out of memory.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Redis { source, .. } if source.is_out_of_memory())
    }

    /// Returns the words with which the server refused the command, if it did.
    pub(crate) fn refusal(&self) -> Option<&str> {
        match self {
            Self::Redis { source, .. } => match source.as_ref() {
                rhubarb_connection::Error::Refused { reason, .. } => Some(reason),
                _ => None,
            },
            _ => None,
        }
    }
}

/// What every session's logical key begins with; the rest is as good as its password.
pub(crate) const SESSIONS: &str = "django.contrib.sessions.";

/// Returns a raw key as an error or a page may show it: what gives a session away is left out.
pub fn redact_key(key: &str) -> String {
    match key.find(SESSIONS) {
        Some(at) => format!("{}***", &key[..at + SESSIONS.len()]),
        None => key.to_owned(),
    }
}

/// Tells what a caller should do about bytes that are no value, or a value that has none.
pub(crate) fn class_of(error: &FormatError) -> Class {
    match error {
        FormatError::Malformed { .. } | FormatError::Json(_) => Class::Malformed,
        _ => Class::Permanent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_key_is_never_shown() {
        let shown =
            redact_key("session:1:django.contrib.sessions.caches6efptxbt1ntjjscon1jw2z0k4mg3t0h");
        assert_eq!(shown, "session:1:django.contrib.sessions.***");
    }
}
