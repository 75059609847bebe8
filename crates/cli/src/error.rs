//! Why a command ends without success, and the exit code that says so.

use std::io;

use rhubarb_core::exit;
use rhubarb_scrape::BuildError;

/// Why a command ends without success, by exit code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line makes no sense in a way that only the configuration shows.
    #[error("{0}")]
    Usage(String),
    /// The configuration is wrong; each problem is a line.
    #[error("{0}")]
    Configuration(String),
    /// What was asked for is not there, or could not be done.
    #[error("{0}")]
    Failed(String),
    /// Some of the databases could not be reached; the others were shown.
    #[error("{0}")]
    Unreached(String),
    /// The awaited task failed or was revoked.
    #[error("task {id} ended as {state}: {reason}")]
    Task {
        /// The task's id.
        id: String,
        /// `FAILURE` or `REVOKED`.
        state: String,
        /// The exception, as one line.
        reason: String,
    },
    /// The doctor found what somebody has to act on.
    #[error("{0}")]
    Findings(String),
    /// Redis, on the way to a cache or a queue.
    #[error(transparent)]
    Connection(#[from] rhubarb_connection::Error),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] rhubarb_queue::Error),
    /// The caches.
    #[error(transparent)]
    Cache(#[from] rhubarb_cache::Error),
    /// Django's sessions.
    #[error(transparent)]
    Session(#[from] rhubarb_cache::sessions::SessionError),
    /// A source's configuration.
    #[error(transparent)]
    Source(#[from] BuildError),
    /// The fetcher.
    #[error(transparent)]
    Fetch(#[from] rhubarb_scrape::error::Error),
    /// The demo.
    #[error(transparent)]
    Demo(#[from] rhubarb_demo::Error),
    /// Standard output.
    #[error("failed to write to standard output")]
    Output(#[from] io::Error),
}

impl Error {
    /// Returns the process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => exit::USAGE,
            Self::Unreached(_) => exit::REDIS_UNREACHABLE,
            Self::Task { .. } => exit::TASK_FAILED,
            Self::Findings(_) => exit::FINDINGS,
            Self::Configuration(_) | Self::Source(_) => exit::CONFIGURATION,
            // Whoever closed the pipe has read all that was wanted.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::OK,
            _ => match self.connection() {
                Some(
                    rhubarb_connection::Error::Url { .. }
                    | rhubarb_connection::Error::Denied { .. }
                    | rhubarb_connection::Error::NoDatabase { .. },
                ) => exit::CONFIGURATION,
                Some(error) if error.is_unreachable() => exit::REDIS_UNREACHABLE,
                _ => exit::FAILED,
            },
        }
    }

    /// Returns what to tell the person: one line, causes included.
    ///
    /// Of an unreachable Redis only that is told: what was to be done there is beside the point.
    pub(crate) fn message(&self) -> String {
        if let Some(error) = self.connection().filter(|_| self.exit_code() != exit::FAILED) {
            return told(error);
        }
        let mut message = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        message
    }

    /// Returns the connection's error somewhere in the chain of causes.
    fn connection(&self) -> Option<&rhubarb_connection::Error> {
        if let Self::Connection(error) = self {
            return Some(error);
        }
        let mut cause: Option<&(dyn std::error::Error + 'static)> = match self {
            Self::Queue(error) => Some(error),
            Self::Cache(error) => Some(error),
            Self::Session(error) => Some(error),
            _ => None,
        };
        while let Some(error) = cause {
            let boxed = || error.downcast_ref().map(|boxed: &Box<_>| &**boxed);
            if let Some(found) = error.downcast_ref().or_else(boxed) {
                return Some(found);
            }
            cause = error.source();
        }
        None
    }
}

/// Says what a connection ended with, and what to do about it.
fn told(error: &rhubarb_connection::Error) -> String {
    match error {
        // Where a setting or a limit is named, that is what to look at.
        rhubarb_connection::Error::Unreachable { reason, .. }
            if !["redis.", "maxclients"].iter().any(|named| reason.contains(named)) =>
        {
            format!(
                "{error}; check that it runs and that the URL is right (REDIS_URL, --redis-url, or [redis] \
             of rhubarb.toml)"
            )
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable() -> rhubarb_connection::Error {
        let url = "redis://:hunter2@localhost:1/0".parse().unwrap();
        rhubarb_connection::Error::Unreachable { url, reason: "connection refused".into() }
    }

    #[test]
    fn an_unreachable_redis_is_one_line_with_its_url_and_no_password() {
        let source = unreachable();
        let queue = Error::from(rhubarb_queue::Error::Redis { operation: "list".into(), source });
        let (key, source) = ("k".to_owned(), Box::new(unreachable()));
        let cache = Error::from(rhubarb_cache::Error::Redis { operation: "get", key, source });
        for error in [queue, cache] {
            assert_eq!(error.exit_code(), exit::REDIS_UNREACHABLE);
            let message = error.message();
            assert!(message.starts_with("cannot reach Redis at `redis://"), "{message}");
            assert!(!message.contains("hunter2") && !message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn a_wrong_password_is_a_wrong_configuration() {
        let url = "redis://:hunter2@localhost:1/0".parse().unwrap();
        let denied =
            |url, reason: &str| rhubarb_connection::Error::Denied { url, reason: reason.into() };
        let error = Error::from(denied(url, "WRONGPASS: no"));
        assert_eq!(error.exit_code(), exit::CONFIGURATION);
        let message = error.message();
        let told = "refuses our user or password: WRONGPASS: no; correct them in the URL";
        assert!(message.ends_with(told), "{message}");
        let error = Error::from(denied("redis://localhost:1/0".parse().unwrap(), "NOAUTH: HELLO"));
        let told = "the Redis at `redis://localhost:1/0` wants a password (NOAUTH): put it into the URL, \
                    redis://:PASSWORD@HOST or redis://USER:PASSWORD@HOST";
        assert_eq!(error.message(), told);
    }

    #[test]
    fn a_refusal_says_what_was_tried_and_why_it_was_refused() {
        let source = rhubarb_connection::Error::Refused {
            command: "LPUSH".into(),
            code: Some("OOM".into()),
            reason: "out of memory".into(),
        };
        let operation = "publish task `t`".to_owned();
        let error = Error::from(rhubarb_queue::Error::Redis { operation, source });
        assert_eq!(error.exit_code(), exit::FAILED);
        assert_eq!(
            error.message(),
            "failed to publish task `t`: Redis refused LPUSH: out of memory"
        );
    }

    #[test]
    fn a_reader_that_has_seen_enough_is_no_failure() {
        let error = Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(error.exit_code(), exit::OK);
    }
}
