//! What can go wrong in the queue, by what to do about it.

use rhubarb_core::class::Class;

/// An error of the queue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Redis: see its class.
    #[error("failed to {operation}")]
    Redis {
        /// What was tried, with its object: ``publish task `x` to queue `q` ``.
        operation: String,
        /// The connection's error.
        #[source]
        source: rhubarb_connection::Error,
    },
    /// What is stored under a key is not what belongs there.
    #[error("{what} cannot be read: {reason}")]
    Malformed {
        /// The object.
        what: String,
        /// Why.
        reason: String,
    },
    /// A request that can never be carried out.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// Tells what a caller should do.
    pub fn class(&self) -> Class {
        match self {
            Self::Redis { source, .. } => source.class(),
            Self::Malformed { .. } => Class::Malformed,
            Self::Refused(_) => Class::Permanent,
        }
    }

    /// Tells whether Redis could not be reached or went away.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Redis { source, .. } if source.is_unreachable())
    }

    /// Tells whether it may have been carried out: the answer was lost.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Redis { source: rhubarb_connection::Error::Lost { .. }, .. })
    }

    /// Returns what Redis says of a key of another type than the command is for.
    pub fn wrong_type(&self) -> Option<&str> {
        match self {
            Self::Redis { source, .. } => source.wrong_type(),
            _ => None,
        }
    }

    /// Tells whether the server is out of memory.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Redis { source, .. } if source.is_out_of_memory())
    }

    /// Tells whether the connection has said so in the log, once for as long as it lasts.
    pub fn is_logged(&self) -> bool {
        matches!(self, Self::Redis { source, .. } if source.is_logged())
    }
}

/// Names the operation that a connection's error ended.
pub fn redis(operation: impl Into<String>) -> impl FnOnce(rhubarb_connection::Error) -> Error {
    let operation = operation.into();
    move |source| Error::Redis { operation, source }
}
