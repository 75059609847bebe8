//! Events: what workers tell `celery events`, Flower and each other.
//!
//! Fields and their order are Celery's (5.7.0: `celery/events/event.py`, `worker/heartbeat.py`,
//! `worker/strategy.py`, `worker/request.py`, `app/amqp.py`). Worker events are published one by
//! one on their own topic, a worker's task events as a JSON array on [`TASK_MULTI`], a client's
//! `task-sent` alone on `task.sent`.
//!
//! ```
//! use rhubarb_wire::event::{self, Origin};
//!
//! let origin = Origin { hostname: "w1@host", utcoffset: 0.0, pid: 7, clock: 12, timestamp: 1795471329.5 };
//! let started = event::task_started(&origin, "an-id");
//! let bytes = event::message(event::TASK_MULTI, origin.hostname, &[started].into(), "fresh-tag");
//! assert_eq!(rhubarb_wire::event_channel("", 0, event::TASK_MULTI), "/0.celeryev/task.multi");
//! # let _ = bytes;
//! ```

use rhubarb_pyvalue::repr::brief;
use serde_json::{Map, Value, json};

use crate::error::DecodeError;
use crate::exception::Exception;
use crate::headers::Headers;
use crate::message::{Message, Route};
use crate::time::Time;

/// The exchange of events, and the middle of their channels.
pub const EXCHANGE: &str = "celeryev";

/// The topic of a worker's task events, which are sent several at once.
pub const TASK_MULTI: &str = "task.multi";

/// The most events that Celery sends at once; it flushes fewer when it has time to.
pub const BATCH: usize = 24;

/// The topic of events of this type: `worker-online` is sent on `worker.online`.
pub fn topic(kind: &str) -> String {
    kind.replace('-', ".")
}

/// The bytes to publish: `body` is one event, or an array of them for [`TASK_MULTI`].
///
/// `delivery_tag` must be new for each message.
pub fn message(topic: &str, hostname: &str, body: &Value, delivery_tag: &str) -> Vec<u8> {
    let mut headers = Map::new();
    headers.insert("hostname".to_owned(), json!(hostname));
    let message = Message { headers, body: body.clone() };
    message.encode(&Route {
        exchange: EXCHANGE,
        routing_key: topic,
        delivery_mode: 1,
        delivery_tag,
    })
}

/// Reads the events of one message whose body, decompressed, has at most `max_bytes`.
///
/// # Errors
/// It is no message of kombu's, or too large.
pub fn read(bytes: &[u8], max_bytes: usize) -> Result<Vec<Value>, DecodeError> {
    match Message::decode(bytes, max_bytes)?.body {
        Value::Array(events) => Ok(events),
        event => Ok(vec![event]),
    }
}

/// Who says something, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Origin<'a> {
    /// The name of the node, `<name>@<host>`; of a client `gen<pid>@<host>`.
    pub hostname: &'a str,
    /// Hours between the host's clock and UTC: positive in the west, as Python's `time.timezone`.
    pub utcoffset: f64,
    /// The process.
    pub pid: u32,
    /// The node's logical clock, counted up for each event.
    pub clock: u64,
    /// Unix seconds.
    pub timestamp: f64,
}

impl Origin<'_> {
    fn event(&self, kind: &str, fields: Vec<(&str, Value)>) -> Value {
        let mut map = Map::new();
        let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
        put("hostname", json!(self.hostname));
        put("utcoffset", json!(self.utcoffset));
        put("pid", json!(self.pid));
        put("clock", json!(self.clock));
        for (key, value) in fields {
            put(key, value);
        }
        put("timestamp", json!(self.timestamp));
        put("type", json!(kind));
        Value::Object(map)
    }

    fn task(&self, kind: &str, uuid: &str, fields: Vec<(&str, Value)>) -> Value {
        let mut all = vec![("uuid", json!(uuid))];
        all.extend(fields);
        self.event(kind, all)
    }
}

/// What a worker says about itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worker<'a> {
    /// Seconds between heartbeats: readers take a worker for gone after a few of them.
    pub freq: f64,
    /// The tasks that run now.
    pub active: u64,
    /// The tasks taken since the start.
    pub processed: u64,
    /// The load of the host over 1, 5 and 15 minutes.
    pub loadavg: [f64; 3],
    /// The name of the software; Celery's is `py-celery`.
    pub sw_ident: &'a str,
    /// Its version.
    pub sw_ver: &'a str,
    /// The operating system, such as `Linux`.
    pub sw_sys: &'a str,
}

/// `worker-online`: the worker begins, or reports again after it was silent.
pub fn worker_online(origin: &Origin<'_>, worker: &Worker<'_>) -> Value {
    origin.event("worker-online", worker.fields())
}

/// `worker-heartbeat`: the worker lives.
pub fn worker_heartbeat(origin: &Origin<'_>, worker: &Worker<'_>) -> Value {
    origin.event("worker-heartbeat", worker.fields())
}

/// `worker-offline`: the worker ends.
pub fn worker_offline(origin: &Origin<'_>, worker: &Worker<'_>) -> Value {
    origin.event("worker-offline", worker.fields())
}

impl Worker<'_> {
    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("freq", json!(self.freq)),
            ("active", json!(self.active)),
            ("processed", json!(self.processed)),
            ("loadavg", json!(self.loadavg)),
            ("sw_ident", json!(self.sw_ident)),
            ("sw_ver", json!(self.sw_ver)),
            ("sw_sys", json!(self.sw_sys)),
        ]
    }
}

/// What is told of a task before it runs; all of it stands in the headers of its message.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Task<'a> {
    /// The id of the task.
    pub uuid: &'a str,
    /// The name of the task.
    pub name: &'a str,
    /// The header `argsrepr`.
    pub args: Option<&'a str>,
    /// The header `kwargsrepr`.
    pub kwargs: Option<&'a str>,
    /// The first task of the whole work.
    pub root_id: Option<&'a str>,
    /// The task that published this one.
    pub parent_id: Option<&'a str>,
    /// How many attempts came before.
    pub retries: u32,
    /// Not to be run before, in ISO 8601.
    pub eta: Option<&'a str>,
    /// Not to be run after, in ISO 8601.
    pub expires: Option<&'a str>,
}

impl<'a> From<&'a Headers> for Task<'a> {
    /// What a message's headers tell; the name is what the task is to be shown as.
    fn from(headers: &'a Headers) -> Self {
        Self {
            uuid: &headers.id,
            name: headers.shadow.as_deref().unwrap_or(&headers.task),
            args: headers.argsrepr.as_deref(),
            kwargs: headers.kwargsrepr.as_deref(),
            root_id: headers.root_id.as_deref(),
            parent_id: headers.parent_id.as_deref(),
            retries: headers.retries,
            eta: headers.eta.as_ref().map(Time::as_str),
            expires: headers.expires.as_ref().map(Time::as_str),
        }
    }
}

/// `task-sent`: a client has published the task to `queue`.
///
/// Celery publishes to the default exchange and so names an empty `exchange`; the routing key is
/// then the queue.
pub fn task_sent(
    origin: &Origin<'_>,
    task: &Task<'_>,
    queue: &str,
    exchange: &str,
    routing_key: &str,
) -> Value {
    let fields = vec![
        ("root_id", json!(task.root_id)),
        ("parent_id", json!(task.parent_id)),
        ("name", json!(task.name)),
        ("args", json!(task.args)),
        ("kwargs", json!(task.kwargs)),
        ("retries", json!(task.retries)),
        ("eta", json!(task.eta)),
        ("expires", json!(task.expires)),
        ("queue", json!(queue)),
        ("exchange", json!(exchange)),
        ("routing_key", json!(routing_key)),
    ];
    origin.task("task-sent", task.uuid, fields)
}

/// `task-received`: a worker has taken the task; it may still have to wait.
pub fn task_received(origin: &Origin<'_>, task: &Task<'_>) -> Value {
    let fields = vec![
        ("name", json!(task.name)),
        ("args", json!(task.args)),
        ("kwargs", json!(task.kwargs)),
        ("root_id", json!(task.root_id)),
        ("parent_id", json!(task.parent_id)),
        ("retries", json!(task.retries)),
        ("eta", json!(task.eta)),
        ("expires", json!(task.expires)),
    ];
    origin.task("task-received", task.uuid, fields)
}

/// `task-started`: the task runs.
pub fn task_started(origin: &Origin<'_>, uuid: &str) -> Value {
    origin.task("task-started", uuid, Vec::new())
}

/// `task-succeeded`: the task returned `result`, after `runtime` seconds.
///
/// The value is shown as Celery shows it: its `repr`, cut at 1,024 characters. Celery gives no
/// runtime when the worker process was lost after it had stored the result.
pub fn task_succeeded(
    origin: &Origin<'_>,
    uuid: &str,
    result: &Value,
    runtime: Option<f64>,
) -> Value {
    let fields = vec![("result", json!(brief(result))), ("runtime", json!(runtime))];
    origin.task("task-succeeded", uuid, fields)
}

/// `task-failed`: the task raised `exception`, which is shown whole.
///
/// Celery gives no traceback for a task that no worker code is registered for.
pub fn task_failed(
    origin: &Origin<'_>,
    uuid: &str,
    exception: &Exception,
    traceback: Option<&str>,
) -> Value {
    let mut fields = vec![("exception", json!(exception.to_string()))];
    fields.extend(traceback.map(|traceback| ("traceback", json!(traceback))));
    origin.task("task-failed", uuid, fields)
}

/// `task-retried`: the task raised `exception` and was sent again.
pub fn task_retried(
    origin: &Origin<'_>,
    uuid: &str,
    exception: &Exception,
    traceback: &str,
) -> Value {
    let fields = vec![("exception", json!(exception.to_string())), ("traceback", json!(traceback))];
    origin.task("task-retried", uuid, fields)
}

/// Why a task will not run, or not to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// It was revoked before it ran.
    Revoked,
    /// It was past its `expires`.
    Expired,
    /// It ran and was ended by this signal; 15 is Celery's default.
    Terminated {
        /// The number of the signal.
        signum: i32,
    },
}

/// `task-revoked`: the task was revoked, has expired or was ended.
pub fn task_revoked(origin: &Origin<'_>, uuid: &str, why: Revoked) -> Value {
    let (terminated, signum, expired) = match why {
        Revoked::Revoked => (false, None, false),
        Revoked::Expired => (false, None, true),
        Revoked::Terminated { signum } => (true, Some(signum), false),
    };
    let fields = vec![
        ("terminated", json!(terminated)),
        ("signum", json!(signum)),
        ("expired", json!(expired)),
    ];
    origin.task("task-revoked", uuid, fields)
}

/// `task-rejected`: the message was given up, or put back into its queue.
pub fn task_rejected(origin: &Origin<'_>, uuid: &str, requeue: bool) -> Value {
    origin.task("task-rejected", uuid, vec![("requeue", json!(requeue))])
}
