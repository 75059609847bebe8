//! The headers of a task message: everything known without opening the body.

use rhubarb_pyvalue::exact::open;
use serde_json::{Map, Value};

use crate::dump::{Json, object};
use crate::error::{DecodeError, Identity, excerpt};
use crate::json::{self, exact_text, take, text};
use crate::time::Time;

/// The names of the headers that Celery 5.7 writes (protocol 2), in its order.
pub const HEADERS: [&str; 21] = [
    "lang",
    "task",
    "id",
    "shadow",
    "eta",
    "expires",
    "group",
    "group_index",
    "retries",
    "timelimit",
    "root_id",
    "parent_id",
    "argsrepr",
    "kwargsrepr",
    "origin",
    "ignore_result",
    "replaced_task_nesting",
    "stamped_headers",
    "stamps",
    "compression",
    "redelivered",
];

/// The headers of protocol 2.
///
/// Only `task` and `id` have to be there. `task`, `id`, `eta`, `expires` and `retries` decide what
/// happens, so a value of the wrong type is an error; any other odd value is left in `other` and
/// written back, and its field here is empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Headers {
    /// The language of the producer.
    pub lang: String,
    /// The name of the task.
    pub task: String,
    /// The id of the task; all attempts have the same.
    pub id: String,
    /// A name to show in place of `task`.
    pub shadow: Option<String>,
    /// Not to be run before this time.
    pub eta: Option<Time>,
    /// Not to be run after this time.
    pub expires: Option<Time>,
    /// The group or chord header that the task is part of.
    pub group: Option<String>,
    /// The place in that group, from 0.
    pub group_index: Option<u64>,
    /// How many attempts came before this one.
    pub retries: u32,
    /// The hard and the soft limit, in seconds.
    pub timelimit: (Option<f64>, Option<f64>),
    /// The first task of the whole work.
    pub root_id: Option<String>,
    /// The task that published this one; of a retry, the task itself.
    pub parent_id: Option<String>,
    /// The positional arguments, shortened, for people.
    pub argsrepr: Option<String>,
    /// The keyword arguments, shortened, for people.
    pub kwargsrepr: Option<String>,
    /// The process that published the message.
    pub origin: Option<String>,
    /// Whether no result is to be stored; `None` leaves it to the task.
    pub ignore_result: Option<bool>,
    /// How often the task has replaced itself.
    pub replaced_task_nesting: u64,
    /// The names in `stamps` that are copied to tasks published from this one.
    pub stamped_headers: Option<Vec<String>>,
    /// Marks put on the task by the application.
    pub stamps: Map<String, Value>,
    /// How the body is compressed.
    pub compression: Option<String>,
    /// Whether a worker held the message before and lost it.
    pub redelivered: bool,
    /// Everything else, in order; a field above that says something wins over it.
    pub other: Map<String, Value>,
}

impl Headers {
    /// Headers of a task that has nothing but a name and an id.
    pub fn new(task: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            lang: "py".to_owned(),
            task: task.into(),
            id: id.into(),
            shadow: None,
            eta: None,
            expires: None,
            group: None,
            group_index: None,
            retries: 0,
            timelimit: (None, None),
            root_id: None,
            parent_id: None,
            argsrepr: None,
            kwargsrepr: None,
            origin: None,
            ignore_result: None,
            replaced_task_nesting: 0,
            stamped_headers: None,
            stamps: Map::new(),
            compression: None,
            redelivered: false,
            other: Map::new(),
        }
    }

    /// Reads headers, or the body of protocol 1, which has the same fields.
    pub(crate) fn from_map(mut map: Map<String, Value>) -> Result<Self, DecodeError> {
        let identity = identity(&map);
        let (Some(task), Some(id)) = (take(&mut map, "task", name), take(&mut map, "id", name))
        else {
            return Err(not_task(&map, identity));
        };
        let map = &mut map;
        let wrong = |name, reason| DecodeError::Header { name, reason, identity: identity.clone() };
        Ok(Self {
            lang: take(map, "lang", text).unwrap_or_else(|| "py".to_owned()),
            task,
            id,
            shadow: take(map, "shadow", exact_text),
            eta: time(map, "eta").map_err(|reason| wrong("eta", reason))?,
            expires: time(map, "expires").map_err(|reason| wrong("expires", reason))?,
            group: take(map, "group", text),
            group_index: take(map, "group_index", Value::as_u64),
            retries: retries(map).map_err(|reason| wrong("retries", reason))?,
            timelimit: take(map, "timelimit", timelimit).unwrap_or_default(),
            root_id: take(map, "root_id", text),
            parent_id: take(map, "parent_id", text),
            argsrepr: take(map, "argsrepr", exact_text),
            kwargsrepr: take(map, "kwargsrepr", exact_text),
            origin: take(map, "origin", exact_text),
            ignore_result: take(map, "ignore_result", Value::as_bool),
            replaced_task_nesting: take(map, "replaced_task_nesting", Value::as_u64)
                .unwrap_or_default(),
            stamped_headers: take(map, "stamped_headers", names),
            stamps: take(map, "stamps", json::object).unwrap_or_default(),
            compression: take(map, "compression", text),
            redelivered: take(map, "redelivered", yes).unwrap_or_default(),
            other: std::mem::take(map),
        })
    }

    /// Whose message this is.
    pub(crate) fn identity(&self) -> Identity {
        Identity { id: Some(self.id.clone()), task: Some(self.task.clone()) }
    }
}

/// In Celery's order.
impl Json for Headers {
    fn dump(&self, out: &mut Vec<u8>) {
        let (hard, soft) = self.timelimit;
        object(out, &self.other, |fields| {
            fields.put("lang", &self.lang);
            fields.put("task", &self.task);
            fields.put("id", &self.id);
            fields.put("shadow", &self.shadow);
            fields.put("eta", &self.eta.as_ref().map(Time::as_str));
            fields.put("expires", &self.expires.as_ref().map(Time::as_str));
            fields.put("group", &self.group);
            fields.put("group_index", &self.group_index);
            fields.put("retries", &u64::from(self.retries));
            fields.put("timelimit", &Limits([hard, soft]));
            fields.put("root_id", &self.root_id);
            fields.put("parent_id", &self.parent_id);
            fields.put("argsrepr", &self.argsrepr);
            fields.put("kwargsrepr", &self.kwargsrepr);
            fields.put("origin", &self.origin);
            fields.put("ignore_result", &self.ignore_result);
            fields.put("replaced_task_nesting", &self.replaced_task_nesting);
            fields.put("stamped_headers", &self.stamped_headers.as_deref());
            fields.put("stamps", &self.stamps);
            fields.put_some("compression", self.compression.as_ref());
            fields.put_some("redelivered", self.redelivered.then_some(&true));
        });
    }

    fn is_blank(&self) -> bool {
        false
    }
}

/// The hard and the soft time limit.
struct Limits([Option<f64>; 2]);

impl Json for Limits {
    fn dump(&self, out: &mut Vec<u8>) {
        self.0.map(|limit| limit.map_or(Value::Null, json::seconds)).dump(out);
    }

    fn is_blank(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

/// What a map says about whose message it is, usable or not.
pub(crate) fn identity(map: &Map<String, Value>) -> Identity {
    let get = |key| map.get(key).and_then(name);
    Identity { id: get("id"), task: get("task") }
}

fn not_task(map: &Map<String, Value>, identity: Identity) -> DecodeError {
    let missing = if identity.task.is_none() { "task" } else { "id" };
    let found = map.get(missing).map_or_else(|| "missing".to_owned(), excerpt);
    DecodeError::NotTask { reason: format!("`{missing}` is {found}"), identity }
}

fn name(value: &Value) -> Option<String> {
    text(value).filter(|name| !name.is_empty())
}

fn yes(value: &Value) -> Option<bool> {
    value.as_bool().filter(|flag| *flag)
}

fn names(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(text).collect()
}

fn timelimit(value: &Value) -> Option<(Option<f64>, Option<f64>)> {
    let limit = |value: &Value| match value {
        Value::Null => Some(None),
        value => open(value.clone()).as_f64().map(Some),
    };
    match value.as_array()?.as_slice() {
        [hard, soft] => Some((limit(hard)?, limit(soft)?)),
        _ => None,
    }
}

fn time(map: &mut Map<String, Value>, key: &str) -> Result<Option<Time>, String> {
    match map.shift_remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(value) => match value.as_str().and_then(Time::parse) {
            Some(time) => Ok(Some(time)),
            None => Err(format!("{} is not a time", excerpt(&value))),
        },
    }
}

// Read as 0, a wrong count would let a failing task be sent again for ever. Python's workers take a
// text for what it says.
fn retries(map: &mut Map<String, Value>) -> Result<u32, String> {
    match map.shift_remove("retries") {
        None | Some(Value::Null) => Ok(0),
        Some(value) => {
            let count = match &value {
                Value::String(text) => text.trim().parse().ok(),
                value => value.as_u64(),
            };
            count
                .and_then(|count| u32::try_from(count).ok())
                .ok_or_else(|| format!("{} is not a count", excerpt(&value)))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dump::dumps;

    fn written(headers: &Headers) -> Map<String, Value> {
        serde_json::from_slice(&dumps(headers)).unwrap()
    }

    fn read(value: &Value) -> Result<Headers, DecodeError> {
        Headers::from_map(value.as_object().unwrap().clone())
    }

    #[test]
    fn task_and_id_are_enough() {
        assert_eq!(read(&json!({"task": "t", "id": "1"})), Ok(Headers::new("t", "1")));
    }

    #[test]
    fn all_that_is_written_is_celerys_own() {
        let headers = Headers {
            compression: Some("zlib".to_owned()),
            redelivered: true,
            ..Headers::new("t", "1")
        };
        assert_eq!(written(&headers).keys().collect::<Vec<_>>(), HEADERS);
    }

    #[test]
    fn nulls_count_as_missing() {
        let mut map = written(&Headers::new("t", "1"));
        for (key, value) in &mut map {
            if key != "task" && key != "id" {
                *value = Value::Null;
            }
        }
        assert_eq!(Headers::from_map(map), Ok(Headers::new("t", "1")));
    }

    #[test]
    fn odd_values_are_kept_and_written_back() {
        let odd = json!({"shadow": 5, "timelimit": "30", "group_index": "x", "stamps": [1], "origin": {"a": 1}, "redelivered": "yes"});
        let mut map = odd.as_object().unwrap().clone();
        map.insert("task".to_owned(), json!("t"));
        map.insert("id".to_owned(), json!("1"));
        let headers = Headers::from_map(map).unwrap();
        assert_eq!(
            (&headers.shadow, headers.timelimit, headers.redelivered),
            (&None, (None, None), false)
        );
        let written = written(&headers);
        for (key, value) in odd.as_object().unwrap() {
            assert_eq!(&written[key], value, "{key}");
        }
    }

    #[test]
    fn a_field_set_later_wins_over_an_odd_one() {
        let mut headers = read(&json!({"task": "t", "id": "1", "parent_id": 7})).unwrap();
        headers.parent_id = Some("p".to_owned());
        assert_eq!(written(&headers)["parent_id"], "p");
    }

    #[test]
    fn a_count_of_attempts_may_be_a_text_as_python_takes_it() {
        let headers = read(&json!({"task": "t", "id": "1", "retries": "2"})).unwrap();
        assert_eq!(headers.retries, 2);
    }

    #[test]
    fn deciding_headers_are_refused_with_the_id_known() {
        let check = |key: &str, value: Value, expected: &str| {
            let error = read(&json!({"task": "t", "id": "1", key: value})).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert_eq!((error.task_id(), error.task_name()), (Some("1"), Some("t")));
        };
        check("eta", json!("tomorrow"), "header `eta` is unusable: \"tomorrow\" is not a time");
        check("expires", json!(60), "header `expires` is unusable: 60 is not a time");
        check("retries", json!("x"), "header `retries` is unusable: \"x\" is not a count");
        check("retries", json!(-1), "header `retries` is unusable: -1 is not a count");
    }

    #[test]
    fn without_task_or_id_it_is_no_task() {
        let check = |value: Value, expected: &str, id: Option<&str>| {
            let error = read(&value).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.task_id()), (expected, id));
        };
        check(json!({}), "message is not a task: `task` is missing", None);
        check(json!({"id": "1"}), "message is not a task: `task` is missing", Some("1"));
        check(json!({"task": "t", "id": 7}), "message is not a task: `id` is 7", None);
        check(json!({"task": "t", "id": ""}), "message is not a task: `id` is \"\"", None);
    }
}
