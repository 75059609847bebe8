//! What can go wrong with a cache, by what to do about it.

use rhubarb_core::class::Class;

use crate::format::FormatError;

/// An error of a cache. No value and no session's identifier is ever in the text.
#[derive(Debug, thiserror::Error)]
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
    /// The configuration names a cache that it does not have.
    #[error("no cache alias `{alias}` is configured; add it under cache.aliases")]
    UnknownAlias {
        /// The name.
        alias: String,
    },
}

impl Error {
    /// Tells what a caller should do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Redis { source, .. } => source.class(),
            Self::Read { source, .. } | Self::Write { source, .. } => source.class(),
            Self::UnknownAlias { .. } => Class::Permanent,
        }
    }
}

/// What every session's logical key begins with; the rest is as good as its password.
pub(crate) const SESSIONS: &str = "django.contrib.sessions.";

/// Returns the key as an error may show it.
pub(crate) fn shown(key: &str) -> String {
    match key.find(SESSIONS) {
        Some(at) => format!("{}***", &key[..at + SESSIONS.len()]),
        None => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_key_is_never_shown() {
        let shown =
            shown("session:1:django.contrib.sessions.caches6efptxbt1ntjjscon1jw2z0k4mg3t0h");
        assert_eq!(shown, "session:1:django.contrib.sessions.***");
    }
}
