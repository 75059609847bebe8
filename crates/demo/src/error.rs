//! Why a demo could not go on.

use std::{io, path::PathBuf, process::ExitStatus};

use crate::process::Process;

/// Why a demo could not go on; each is a sentence for the person who runs it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No `redis-server` was found.
    #[error(
        "redis-server is not installed: run deploy/demo.sh, which installs it, \
         or install your system's redis package"
    )]
    NoRedis,
    /// A sibling binary is missing.
    #[error(
        "{name} is not beside this program ({}): build it with `cargo build --workspace`",
        path.display()
    )]
    NoSibling {
        /// `worker` or `beat`.
        name: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("failed to start {what}")]
    Start {
        /// What was to be started.
        what: &'static str,
        /// Why it refused.
        source: io::Error,
    },
    /// A process ended by itself.
    #[error("{name} ended by itself ({status}); its log ends with\n{tail}")]
    Ended {
        /// The process.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        tail: String,
    },
    /// A process does not get ready.
    #[error("{name} did not {what} in time; its log ends with\n{tail}")]
    Slow {
        /// The process.
        name: String,
        /// What it should have done.
        what: &'static str,
        /// The last lines of its log.
        tail: String,
    },
    /// A process could not be stopped.
    #[error("failed to stop {name}")]
    Stop {
        /// The process.
        name: String,
        /// Why the operating system refused.
        source: io::Error,
    },
    /// A process has not shown itself in Redis in time.
    #[error("{name} did not come up in time")]
    NotUp {
        /// The process.
        name: &'static str,
    },
    /// The temporary folder.
    #[error("failed to use the demo's temporary folder")]
    Folder(#[source] io::Error),
    /// The configuration made for the demo is refused.
    #[error("the demo's own configuration is wrong: {0}")]
    Configuration(String),
}

impl Error {
    /// Returns the error for a process that ended, with the end of its log.
    pub(crate) fn ended(process: &Process, status: ExitStatus) -> Self {
        Self::Ended { name: process.name().to_owned(), status, tail: process.tail() }
    }

    /// Returns the error for a process that did not do `what` in time, with the end of its log.
    pub(crate) fn slow(process: &Process, what: &'static str) -> Self {
        Self::Slow { name: process.name().to_owned(), what, tail: process.tail() }
    }
}
