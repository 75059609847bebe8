//! Making messages: what a caller says about a task, and the envelope it becomes.

use jiff::Timestamp;
use rhubarb_pyvalue::repr;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::body::{Body, Embed};
use crate::envelope::{Envelope, JSON};
use crate::headers::{self, Headers};
use crate::properties::{BASE64, DeliveryInfo, Properties};
use crate::time::Time;

/// A task to be published, field by field as `apply_async` takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTask {
    /// The name of the task.
    pub task: String,
    /// The id of the task.
    pub id: String,
    /// The positional arguments.
    pub args: Vec<Value>,
    /// The keyword arguments.
    pub kwargs: Map<String, Value>,
    /// The queue, which is also the routing key.
    pub queue: String,
    /// Not to be run before this time.
    pub eta: Option<Timestamp>,
    /// Not to be run after this time.
    pub expires: Option<Timestamp>,
    /// 0 (the most urgent) to 255; it also chooses the list: see [`queue_list`](crate::queue_list).
    pub priority: u8,
    /// Whether no result is to be stored; `None` leaves it to the task.
    pub ignore_result: Option<bool>,
    /// The first task of the whole work; `None` means this one.
    pub root_id: Option<String>,
    /// The task that publishes this one.
    pub parent_id: Option<String>,
    /// How many attempts came before.
    pub retries: u32,
    /// The hard and the soft limit, in seconds.
    pub timelimit: (Option<f64>, Option<f64>),
    /// A name to show in place of `task`.
    pub shadow: Option<String>,
    /// Headers of the application; they cannot replace Celery's own.
    pub headers: Map<String, Value>,
    /// What follows the task.
    pub embed: Embed,
    /// The client that waits for the result.
    pub reply_to: Option<String>,
    /// The publishing process; Celery writes `gen<pid>@<host>`.
    pub origin: Option<String>,
    /// The group or chord header that the task is part of.
    pub group: Option<String>,
    /// The place in that group, from 0.
    pub group_index: Option<u64>,
    /// Whether a schedule publishes it.
    pub beat: bool,
}

impl NewTask {
    /// A task with a fresh random id, without arguments, at priority 0.
    pub fn new(task: &str, queue: &str) -> Self {
        Self {
            task: task.to_owned(),
            id: Uuid::new_v4().to_string(),
            args: Vec::new(),
            kwargs: Map::new(),
            queue: queue.to_owned(),
            eta: None,
            expires: None,
            priority: 0,
            ignore_result: None,
            root_id: None,
            parent_id: None,
            retries: 0,
            timelimit: (None, None),
            shadow: None,
            headers: Map::new(),
            embed: Embed::default(),
            reply_to: None,
            origin: None,
            group: None,
            group_index: None,
            beat: false,
        }
    }

    /// The message; `delivery_tag` must be new for each message, Celery uses a random UUID.
    pub fn into_envelope(self, delivery_tag: impl Into<String>) -> Envelope {
        let properties = Properties {
            correlation_id: Some(self.id.clone()),
            reply_to: Some(self.reply_to.unwrap_or_default()),
            delivery_mode: Some(2),
            expiration: None,
            delivery_info: DeliveryInfo {
                exchange: String::new(),
                routing_key: self.queue,
                other: Map::new(),
            },
            priority: self.priority,
            body_encoding: Some(BASE64.to_owned()),
            delivery_tag: Some(delivery_tag.into()),
            other: Map::new(),
        };
        let headers = Headers {
            shadow: self.shadow,
            eta: self.eta.map(Time::at),
            expires: self.expires.map(Time::at),
            group: self.group,
            group_index: self.group_index,
            retries: self.retries,
            timelimit: self.timelimit,
            root_id: Some(self.root_id.unwrap_or_else(|| self.id.clone())),
            parent_id: self.parent_id,
            argsrepr: Some(repr::brief_args(&self.args)),
            kwargsrepr: Some(repr::brief_kwargs(&self.kwargs)),
            origin: self.origin,
            ignore_result: self.ignore_result,
            other: extra(self.headers, self.beat),
            ..Headers::new(self.task, self.id)
        };
        let body = Body { args: self.args, kwargs: self.kwargs, embed: self.embed }.encode();
        let content_encoding = "utf-8".to_owned();
        Envelope {
            headers,
            properties,
            content_type: JSON.to_owned(),
            content_encoding,
            body,
            other: Map::new(),
        }
    }
}

/// The headers of the application that are not Celery's own.
fn extra(mut given: Map<String, Value>, beat: bool) -> Map<String, Value> {
    given.retain(|key, _| !headers::HEADERS.contains(&key.as_str()));
    if beat {
        given.insert("celery_beat_task".to_owned(), json!(true));
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_application_cannot_replace_celerys() {
        let mut task = NewTask::new("t", "q");
        let given = json!({"task": "evil", "retries": 9, "compression": "zlib", "x": "y"});
        task.headers = given.as_object().unwrap().clone();
        let headers = Envelope::decode(&task.into_envelope("d").encode()).unwrap().headers;
        assert_eq!((headers.task.as_str(), headers.retries, headers.compression), ("t", 0, None));
        assert_eq!(json!(headers.other), json!({"x": "y"}));
    }

    #[test]
    fn ids_are_fresh() {
        assert_ne!(NewTask::new("t", "q").id, NewTask::new("t", "q").id);
    }
}
