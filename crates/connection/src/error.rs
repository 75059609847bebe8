//! What can go wrong between us and Redis, by what to do about it.

use rhubarb_core::{class::Class, redact::SafeUrl};

/// An error of a connection or of a command on it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL or its TLS parameters make no sense. Mend the configuration.
    #[error("cannot use the Redis URL `{url}`: {reason}")]
    Url {
        /// The URL, password hidden.
        url: SafeUrl,
        /// What is wrong with it.
        reason: String,
    },
    /// The server cannot be reached or refuses the connection. Try again later.
    #[error("cannot reach Redis at `{url}`: {reason}")]
    Unreachable {
        /// The URL, password hidden.
        url: SafeUrl,
        /// What the attempt ended with.
        reason: String,
    },
    /// The server has no such database. Fold the roles together with `redis.layout = "two"`.
    #[error(
        "the Redis at `{url}` has no database {db}; set redis.layout = \"two\" (RHUBARB_REDIS_LAYOUT=two) to \
         use databases 0 and 1 only"
    )]
    NoDatabase {
        /// The URL, password hidden.
        url: SafeUrl,
        /// The database number.
        db: u32,
    },
    /// The connection was lost before the answer came, or the answer took too long: the command may or may
    /// not have been carried out.
    #[error("lost the connection to Redis at `{url}` while waiting for {command}: {reason}")]
    Lost {
        /// The URL, password hidden.
        url: SafeUrl,
        /// The command's name.
        command: String,
        /// How it was lost.
        reason: String,
    },
    /// The server answered with an error, so the command was not carried out (a script up to the failing
    /// line).
    #[error("Redis refused {command}: {reason}")]
    Refused {
        /// The command's name.
        command: String,
        /// The server's error code, such as `OOM`, `READONLY`, `LOADING`.
        code: Option<String>,
        /// The server's words.
        reason: String,
    },
    /// The answer has another shape than expected.
    #[error("Redis answered {command} in an unexpected form: {reason}")]
    Unexpected {
        /// The command's name.
        command: String,
        /// What was unexpected.
        reason: String,
    },
}

impl Error {
    /// Tells what a caller should do.
    pub fn class(&self) -> Class {
        match self {
            Self::Url { .. } | Self::NoDatabase { .. } | Self::Unexpected { .. } => {
                Class::Permanent
            }
            Self::Unreachable { .. } | Self::Lost { .. } => Class::Transient,
            Self::Refused { code, .. } => match code.as_deref() {
                Some(
                    "OOM" | "READONLY" | "LOADING" | "BUSY" | "MASTERDOWN" | "TRYAGAIN"
                    | "CLUSTERDOWN" | "NOREPLICAS" | "MISCONF",
                ) => Class::Transient,
                _ => Class::Permanent,
            },
        }
    }

    /// Tells whether the server could not be reached or went away.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Lost { .. })
    }

    /// Tells whether the server is out of memory.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Refused { code: Some(code), .. } if code == "OOM")
    }
}
