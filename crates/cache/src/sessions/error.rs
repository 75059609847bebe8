//! What can go wrong with a session, by what to do about it.

use rhubarb_core::class::Class;

use crate::{FormatError, error::class_of};

/// An error of a session. Neither its key nor anything it holds is ever in the text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The command failed; the source tells whether to try again.
    #[error("failed to {operation} a session")]
    Redis {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: Box<rhubarb_connection::Error>,
    },
    /// The session holds what is not read as data (a class of the application's, say), or broken
    /// bytes. It stays as it is, and is never rewritten: Django may read it. It can be ended.
    #[error("failed to decode a session")]
    Read(#[source] FormatError),
    /// The session cannot be stored. Nothing was written.
    #[error("failed to encode a session")]
    Write(#[source] FormatError),
    /// The session ended since it was read, by a logout or its timeout. Nothing was written: it
    /// stays ended.
    #[error("the session has ended")]
    Gone,
    /// Others wrote the session again and again while this change was to be written. Nothing was
    /// written.
    #[error("the session is being written by too many at once")]
    Conflict,
    /// The session lies in Django's table as well, under the old key: only Django can give it
    /// another.
    #[error("a session of cached_db is given another key by Django only")]
    InTable,
    /// No key for a new session could be made: the system has no random numbers, or always the
    /// same.
    #[error("no new session key could be made")]
    NoKey,
    /// The configuration has no such cache.
    #[error("no cache alias `{alias}` is configured; add it under cache.aliases")]
    UnknownAlias {
        /// The name.
        alias: String,
    },
}

impl SessionError {
    /// Tells what a caller should do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Redis { source, .. } => source.class(),
            Self::Read(source) | Self::Write(source) => class_of(source),
            Self::Conflict => Class::Transient,
            Self::Gone | Self::InTable | Self::NoKey | Self::UnknownAlias { .. } => {
                Class::Permanent
            }
        }
    }
}
