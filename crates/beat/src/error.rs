//! Why a beat cannot start. Once it runs, it goes on for ever.

use rhubarb_core::class::Class;

/// An error that only another configuration mends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A schedule of the file cannot be used.
    #[error("cannot use schedule `{name}`: {problem}")]
    Schedule {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The queue's URL cannot be used, or its server refuses what waiting cannot change.
    #[error("failed to connect to the queue's Redis")]
    Redis(#[source] rhubarb_connection::Error),
}

impl Error {
    /// Tells what a caller should do.
    pub fn class(&self) -> Class {
        match self {
            Self::Schedule { .. } => Class::Permanent,
            Self::Redis(source) => source.class(),
        }
    }
}
