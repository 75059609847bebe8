//! Traces of tasks: from whoever publishes one, through all that it calls, to the last fetch.
//!
//! A message carries its context in three headers ([`Carrier`]), as Celery's instrumentation for
//! OpenTelemetry writes them (0.66b2, read 2026-11). Two kinds of spans follow from it:
//! `apply_async/NAME` for a task that is published ([`publish`]) and `run/NAME` for one that runs
//! ([`Running`]). What a task fetches is a third ([`Fetch`]).
//!
//! Without the feature `otel`, or before [`start`], no span is made. A context that came with a
//! message is passed on unchanged to what its task publishes, so that a trace is not cut by a
//! worker that sends no spans.
//!
//! It knows no queue and no task's arguments: what a span tells are names, ids and counts.

mod carrier;
#[cfg(not(feature = "otel"))]
mod off;
#[cfg(feature = "otel")]
mod otel;

pub use self::carrier::Carrier;
#[cfg(not(feature = "otel"))]
pub use self::off::{Fetch, Here, Running, Sent, Traces, publish, start};
#[cfg(feature = "otel")]
pub use self::otel::{Fetch, Here, Running, Sent, Traces, publish, start};

/// Where spans go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collector {
    /// The collector's address, with or without `/v1/traces`.
    pub endpoint: String,
    /// Whether a run is linked to its publishing in place of being a part of it.
    pub links: bool,
}

/// A task that is published, as its span tells it.
#[derive(Clone, Copy, Debug)]
pub struct Publishing<'a> {
    /// The task's name.
    pub task: &'a str,
    /// The task's id.
    pub id: &'a str,
    /// The queue.
    pub queue: &'a str,
    /// How many attempts came before.
    pub retries: u32,
    /// The message's body, bytes.
    pub bytes: usize,
}

/// A task that runs, as its span tells it.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The task's name.
    pub task: &'a str,
    /// The task's id.
    pub id: &'a str,
    /// The queue.
    pub queue: &'a str,
    /// How many attempts came before.
    pub retries: u32,
    /// The client that waits for the result.
    pub reply_to: &'a str,
    /// The process that published it, in Celery's form; absent where that is not known.
    pub origin: Option<&'a str>,
    /// The worker that runs it.
    pub node: &'a str,
    /// How urgent it is.
    pub priority: u8,
    /// Whether a worker held it before.
    pub redelivered: bool,
    /// Not to be run before and after, as the message has it.
    pub times: (Option<&'a str>, Option<&'a str>),
}

/// How a run has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// In a state that is no failure: `SUCCESS`, `REVOKED`.
    Well(&'static str),
    /// It is tried again; why.
    Retry(String),
    /// It failed.
    Failed {
        /// The exception's type.
        kind: String,
        /// What it says.
        message: String,
        /// Where it came from.
        traceback: Option<String>,
    },
}

/// How many spans were sent, and how many could not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The collector has taken them.
    pub exported: u64,
    /// They were more than the queue holds, or the collector did not take them.
    pub dropped: u64,
}

/// Returns what became of the spans so far.
pub fn counts() -> Counts {
    #[cfg(feature = "otel")]
    return otel::counts();
    #[cfg(not(feature = "otel"))]
    Counts::default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn what() -> Publishing<'static> {
        Publishing { task: "t", id: "1", queue: "q", retries: 0, bytes: 1 }
    }

    #[test]
    fn while_no_spans_are_sent_none_is_made_and_a_message_stays_as_it_is() {
        let mut bare = Map::new();
        assert!(Running::new(&bare).carrier().is_none());
        assert!(publish(None, what(), &mut bare).is_none());
        assert_eq!(bare, Map::new());
        assert_eq!(counts(), Counts::default());
    }

    #[test]
    fn a_context_goes_from_a_task_to_what_it_publishes_without_spans_too() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let came = json!({ "traceparent": parent }).as_object().unwrap().clone();
        let running = Running::new(&came);
        let mut goes = Map::new();
        assert!(publish(running.carrier().as_deref(), what(), &mut goes).is_none());
        assert_eq!(goes, came);
    }
}
