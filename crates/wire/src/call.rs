//! How a task is called: the options of Celery's `apply_async`, typed.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::signature::Signature;
use crate::time::Time;

/// The options of a call. What is absent is left to the task, the routes and the settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallOptions {
    /// The task's id; absent for a fresh one.
    pub id: Option<String>,
    /// The queue; absent for that of `celery.task_routes`, else the default one.
    pub queue: Option<String>,
    /// Not before this long from now (our clock, as Celery's clients do).
    pub countdown: Option<Duration>,
    /// Not before this time; wins over `countdown`.
    pub eta: Option<Time>,
    /// Not after this long from now.
    pub expires_in: Option<Duration>,
    /// Not after this time; wins over `expires_in`.
    pub expires: Option<Time>,
    /// 0 (most urgent) to 255; lists exist for the configured steps. Absent as for `queue`.
    pub priority: Option<u8>,
    /// The hard time limit.
    pub time_limit: Option<Duration>,
    /// The soft time limit, after which a Python task is given the chance to clean up.
    pub soft_time_limit: Option<Duration>,
    /// A name to show in place of the task's.
    pub shadow: Option<String>,
    /// Headers of the application; they cannot replace Celery's own.
    pub headers: Map<String, Value>,
    /// Whether nobody will ask for the result.
    pub ignore_result: Option<bool>,
    /// To be called with the result of a success.
    pub link: Vec<Signature>,
    /// To be called after a failure.
    pub link_error: Vec<Signature>,
    /// The first task of the whole work; absent for the publishing task's, else this one.
    pub root_id: Option<String>,
    /// The task that publishes this one; absent for the one that the client is a child of.
    pub parent_id: Option<String>,
}

impl From<CallOptions> for Map<String, Value> {
    /// The options by Celery's names, as a signature carries them.
    fn from(options: CallOptions) -> Self {
        let mut map = Self::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                map.insert(key.to_owned(), value);
            }
        };
        let seconds = |time: Duration| json!(time.as_secs_f64());
        let at = |time: Time| json!(time.as_str());
        let list = |signatures: Vec<Signature>| {
            let values = signatures.iter().map(Signature::to_value).collect::<Vec<_>>();
            Some(Value::Array(values)).filter(|_| !signatures.is_empty())
        };
        put("task_id", options.id.map(Value::String));
        put("queue", options.queue.map(Value::String));
        // Celery's `countdown` wins over `eta`; ours is the other way round.
        put("countdown", options.countdown.filter(|_| options.eta.is_none()).map(seconds));
        put("eta", options.eta.map(at));
        put("expires", options.expires.map(at).or_else(|| options.expires_in.map(seconds)));
        put("priority", options.priority.map(|priority| json!(priority)));
        put("time_limit", options.time_limit.map(seconds));
        put("soft_time_limit", options.soft_time_limit.map(seconds));
        put("shadow", options.shadow.map(Value::String));
        put("ignore_result", options.ignore_result.map(Value::Bool));
        put("link", list(options.link));
        put("link_error", list(options.link_error));
        put("root_id", options.root_id.map(Value::String));
        put("parent_id", options.parent_id.map(Value::String));
        put("headers", Some(options.headers).filter(|map| !map.is_empty()).map(Value::Object));
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_becomes_celerys() {
        let seconds = |n| Some(Duration::from_secs(n));
        let options = CallOptions {
            id: Some("i".to_owned()),
            queue: Some("q".to_owned()),
            countdown: seconds(5),
            expires_in: seconds(60),
            priority: Some(0),
            time_limit: seconds(9),
            soft_time_limit: seconds(8),
            shadow: Some("s".to_owned()),
            headers: Map::from_iter([("x".to_owned(), json!("y"))]),
            ignore_result: Some(true),
            link: vec![Signature::new("next")],
            link_error: vec![Signature::new("failed")],
            root_id: Some("r".to_owned()),
            parent_id: Some("p".to_owned()),
            ..CallOptions::default()
        };
        let expected = json!({
            "task_id": "i", "queue": "q", "countdown": 5.0, "expires": 60.0, "priority": 0,
            "time_limit": 9.0, "soft_time_limit": 8.0, "shadow": "s", "ignore_result": true,
            "link": [Signature::new("next").to_value()],
            "link_error": [Signature::new("failed").to_value()],
            "root_id": "r", "parent_id": "p", "headers": {"x": "y"},
        });
        assert_eq!(json!(Map::from(options.clone())), expected);
        let at = Time::parse("2026-11-24T10:00:00+00:00");
        let absolute = CallOptions { eta: at.clone(), expires: at, ..options };
        let options = Map::from(absolute);
        assert_eq!(options["eta"], "2026-11-24T10:00:00+00:00");
        assert_eq!((options.get("countdown"), &options["expires"]), (None, &options["eta"]));
        assert_eq!(Map::from(CallOptions::default()), Map::new());
    }
}
