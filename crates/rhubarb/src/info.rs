//! The facts about a task that its message carries, and about its run.

use std::time::Duration;

use rhubarb_consumer::Received;
use rhubarb_queue::wire::open_map;
use serde_json::{Map, Value};

/// The facts about a task that its message carries, and about its run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskInfo {
    /// The task's id.
    pub id: String,
    /// The name by which it was called.
    pub name: String,
    /// The queue that it came from.
    pub queue: String,
    /// Retries so far: zero in the first attempt.
    pub retries: u32,
    /// How often a worker died with it before.
    pub deaths: u32,
    /// The first task of the whole work; itself where no task published it.
    pub root_id: String,
    /// The task that published it; of a retry, itself.
    pub parent_id: Option<String>,
    /// The group or chord header that it is part of.
    pub group: Option<String>,
    /// Its place there, from 0.
    pub group_index: Option<u64>,
    /// 0 for the most urgent.
    pub priority: u8,
    /// A name to show in place of its own.
    pub shadow: Option<String>,
    /// The client that waits for its result.
    pub reply_to: Option<String>,
    /// What its result is correlated by: its id, where nobody has said otherwise.
    pub correlation_id: Option<String>,
    /// The process that published it, as Celery writes it: `gen123@host`.
    pub origin: Option<String>,
    /// Whether the message was delivered before: a worker died with it, or it was requeued.
    pub redelivered: bool,
    /// The worker that runs it; empty where none does.
    pub node: String,
    /// The soft time limit that holds for this run; none where there is none, or no run.
    pub soft_time_limit: Option<Duration>,
    /// The hard time limit that holds for this run; none where there is none, or no run.
    pub time_limit: Option<Duration>,
    /// What was not to be run before: as it was written.
    pub eta: Option<String>,
    /// What was not to be run after: as it was written.
    pub expires: Option<String>,
    /// Headers of the application.
    pub headers: Map<String, Value>,
    /// The names of the stamps that were put on it.
    pub stamped_headers: Vec<String>,
    /// The stamps.
    pub stamps: Map<String, Value>,
}

impl TaskInfo {
    /// Reads a message's facts; without a queue's name, the one that the message was sent to
    /// stands.
    pub(crate) fn of(received: &Received, queue: Option<&str>, deaths: u32) -> Self {
        let (headers, properties) = (&received.envelope.headers, &received.envelope.properties);
        let sent_to = &properties.delivery_info.routing_key;
        Self {
            id: headers.id.clone(),
            name: headers.task.clone(),
            queue: queue.unwrap_or(sent_to).to_owned(),
            retries: headers.retries,
            deaths,
            root_id: headers.root_id.clone().unwrap_or_else(|| headers.id.clone()),
            parent_id: headers.parent_id.clone(),
            group: headers.group.clone(),
            group_index: headers.group_index,
            priority: properties.priority,
            shadow: headers.shadow.clone(),
            reply_to: properties.reply_to.clone(),
            correlation_id: properties.correlation_id.clone(),
            origin: headers.origin.clone(),
            redelivered: deaths > 0 || received.envelope.is_redelivered(),
            node: String::new(),
            soft_time_limit: None,
            time_limit: None,
            eta: headers.eta.as_ref().map(|time| time.as_str().to_owned()),
            expires: headers.expires.as_ref().map(|time| time.as_str().to_owned()),
            headers: open_map(headers.other.clone()),
            stamped_headers: headers.stamped_headers.clone().unwrap_or_default(),
            stamps: open_map(headers.stamps.clone()),
        }
    }
}
