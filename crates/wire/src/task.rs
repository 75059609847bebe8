//! Making messages: what a caller says about a task, and the envelope it becomes.

use rhubarb_pyvalue::repr;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::body::{Body, Embed};
use crate::envelope::Envelope;
use crate::headers::{HEADERS, Headers};
use crate::properties::{BASE64, DeliveryInfo, JSON, Properties};

/// A task to be published: what its message says.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTask {
    /// Its headers. A root and texts of the arguments that are absent are this task's own; what
    /// stands in `other` cannot replace Celery's.
    pub headers: Headers,
    /// The positional arguments.
    pub args: Vec<Value>,
    /// The keyword arguments.
    pub kwargs: Map<String, Value>,
    /// What follows the task.
    pub embed: Embed,
    /// The queue, which is also the routing key.
    pub queue: String,
    /// 0 (the most urgent) to 255; it also chooses the list: see [`queue_list`](crate::queue_list).
    pub priority: u8,
    /// The client that waits for the result.
    pub reply_to: String,
    /// How long the message is worth anything, in milliseconds as text.
    pub expiration: Option<String>,
}

impl NewTask {
    /// A task with a fresh random id, without arguments, at priority 0.
    pub fn new(task: &str, queue: &str) -> Self {
        Self {
            headers: Headers::new(task, Uuid::new_v4().to_string()),
            args: Vec::new(),
            kwargs: Map::new(),
            embed: Embed::default(),
            queue: queue.to_owned(),
            priority: 0,
            reply_to: String::new(),
            expiration: None,
        }
    }

    /// The message; `delivery_tag` must be new for each message, Celery uses a random UUID.
    pub fn into_envelope(self, delivery_tag: impl Into<String>) -> Envelope {
        let Self { mut headers, args, kwargs, embed, queue, priority, reply_to, expiration } = self;
        let properties = Properties {
            correlation_id: Some(headers.id.clone()),
            reply_to: Some(reply_to),
            delivery_mode: Some(2),
            expiration,
            delivery_info: DeliveryInfo {
                exchange: String::new(),
                routing_key: queue,
                other: Map::new(),
            },
            priority,
            body_encoding: Some(BASE64.to_owned()),
            delivery_tag: Some(delivery_tag.into()),
            other: Map::new(),
        };
        headers.root_id.get_or_insert_with(|| headers.id.clone());
        headers.argsrepr.get_or_insert_with(|| repr::brief_args(&args));
        headers.kwargsrepr.get_or_insert_with(|| repr::brief_kwargs(&kwargs));
        headers.other.retain(|key, _| !HEADERS.contains(&key.as_str()));
        Envelope {
            headers,
            properties,
            content_type: JSON.to_owned(),
            content_encoding: "utf-8".to_owned(),
            body: Body { args, kwargs, embed }.encode(),
            other: Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn headers_of_the_application_cannot_replace_celerys() {
        let mut task = NewTask::new("t", "q");
        let given = json!({"task": "evil", "retries": 9, "compression": "zlib", "x": "y"});
        task.headers.other = given.as_object().unwrap().clone();
        let headers = Envelope::decode(&task.into_envelope("d").encode()).unwrap().headers;
        assert_eq!((headers.task.as_str(), headers.retries, headers.compression), ("t", 0, None));
        assert_eq!(json!(headers.other), json!({"x": "y"}));
    }

    #[test]
    fn ids_are_fresh() {
        assert_ne!(NewTask::new("t", "q").headers.id, NewTask::new("t", "q").headers.id);
    }
}
