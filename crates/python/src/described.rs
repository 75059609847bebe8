//! The application, as the zygote tells of it.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

/// The backend of an application that stores no results.
pub(crate) const DISABLED: &str = "celery.backends.base.DisabledBackend";

/// An application that is imported.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Described {
    /// Its tasks, by name.
    pub(crate) tasks: BTreeMap<String, Task>,
    pub(crate) conf: Conf,
    /// The version of Python.
    pub(crate) python: String,
    /// The version of Celery.
    pub(crate) celery: String,
}

/// What a task says of itself.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Task {
    pub(crate) rate_limit: Option<String>,
    time_limit: Option<f64>,
    soft_time_limit: Option<f64>,
    pub(crate) ignore_result: bool,
    pub(crate) store_errors_even_if_ignored: bool,
    /// `None` where neither the task nor the application says it.
    pub(crate) reject_on_worker_lost: Option<bool>,
}

/// What an application's configuration says.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Conf {
    /// The class of its result backend.
    pub(crate) backend: String,
    /// Whether results go through the worker.
    pub(crate) ours: bool,
    /// The queues that a Celery worker serves without `-Q`.
    pub(crate) queues: Vec<String>,
    /// The broker that the application itself names, where that is a Redis.
    pub(crate) broker: Option<Broker>,
    /// How long results are kept, seconds.
    result_expires: Option<f64>,
}

/// Where a Redis is.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Broker {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) database: u32,
}

impl Broker {
    /// Tells whether this names another Redis than ours; names of this machine are all the same.
    pub(crate) fn is_another(&self, ours: &Self) -> bool {
        let local = |host: &str| ["localhost", "127.0.0.1", "::1", "[::1]"].contains(&host);
        let same = self.host == ours.host || local(&self.host) && local(&ours.host);
        !same || (self.port, self.database) != (ours.port, ours.database)
    }
}

impl std::fmt::Display for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.port, self.database)
    }
}

impl Conf {
    /// How long results are kept, where the application says so.
    pub(crate) fn result_expires(&self) -> Option<Duration> {
        seconds(self.result_expires).filter(|expires| !expires.is_zero())
    }
}

impl Task {
    /// Its soft time limit.
    pub(crate) fn soft(&self) -> Option<Duration> {
        seconds(self.soft_time_limit)
    }

    /// Its hard time limit.
    pub(crate) fn hard(&self) -> Option<Duration> {
        seconds(self.time_limit)
    }
}

fn seconds(number: Option<f64>) -> Option<Duration> {
    Duration::try_from_secs_f64(number?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16, database: u32) -> Broker {
        Broker { host: host.to_owned(), port, database }
    }

    #[test]
    fn names_of_this_machine_are_one_redis() {
        let ours = at("127.0.0.1", 6379, 0);
        assert!(!at("localhost", 6379, 0).is_another(&ours));
        assert!(at("localhost", 6380, 0).is_another(&ours));
        assert!(at("localhost", 6379, 1).is_another(&ours));
        assert!(at("redis", 6379, 0).is_another(&ours));
        assert!(!at("redis", 6379, 0).is_another(&at("redis", 6379, 0)));
    }
}
