//! The envelope: the JSON object that lies in a queue's list.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::body::{Body, Source};
use crate::dump::{Json, object};
use crate::error::DecodeError;
use crate::headers::{self, Headers};
use crate::json::{self, kind, take, text};
use crate::old;
use crate::properties::{BASE64, JSON, Properties};
use crate::reader;
use crate::time::Time;
use crate::usual::{self, Usual};

/// Mostly more than a message has beside its body, bytes.
const BESIDE_BODY: usize = 1_280;

/// A task message as it lies in a queue.
///
/// Reading and writing again keeps every header, property and unknown field, and a message of
/// Celery's own comes out as the same bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// What the task is.
    pub headers: Headers,
    /// What the transport knows.
    pub properties: Properties,
    /// The format of the body; a message without one counts as JSON.
    pub content_type: String,
    /// The character set of the body; only UTF-8 is read, whatever it says.
    pub content_encoding: String,
    /// The body as it stands in the message: encoded and perhaps compressed.
    pub body: String,
    /// Unknown fields beside these, in order.
    pub other: Map<String, Value>,
}

impl Envelope {
    /// Reads a message of protocol 2, or one of protocol 1, which is turned into protocol 2.
    ///
    /// The body of protocol 2 is left unread: see [`body`](Self::body). Takes time and memory in
    /// proportion to the input, whose size is the caller's to bound.
    ///
    /// # Errors
    /// The bytes are no task message; the error tells whose they were if that could be seen.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match usual::read(bytes) {
            Some(usual) => Ok(Self::from(usual)),
            None => Self::decode_any(bytes),
        }
    }

    /// Reads whatever is a message, by way of a tree of values.
    fn decode_any(bytes: &[u8]) -> Result<Self, DecodeError> {
        let not_message = |reason| DecodeError::NotMessage { reason };
        let value = reader::read_message(bytes).map_err(not_message)?;
        let Value::Object(mut map) = value else {
            return Err(not_message(format!("{} instead of an object", kind(&value))));
        };
        let headers = take(&mut map, "headers", json::object).unwrap_or_default();
        let properties = take(&mut map, "properties", json::object).unwrap_or_default();
        let Some(body) = take(&mut map, "body", text) else {
            let found = map.get("body").map_or("missing", kind);
            let identity = headers::identity(&headers);
            return Err(DecodeError::Body {
                reason: format!("body is {found}, must be a text"),
                identity,
            });
        };
        let mut properties = Properties::from_map(properties);
        let content_type = take(&mut map, "content-type", text).unwrap_or_else(|| JSON.to_owned());
        let content_encoding =
            take(&mut map, "content-encoding", text).unwrap_or_else(|| "utf-8".to_owned());
        if headers.contains_key("task") {
            let headers = Headers::from_map(headers)?;
            return Ok(Self {
                headers,
                properties,
                content_type,
                content_encoding,
                body,
                other: map,
            });
        }
        let (headers, body) = old::decode(headers, &properties, &content_type, &body)?;
        properties.body_encoding = Some(BASE64.to_owned());
        Ok(Self {
            headers,
            properties,
            content_type: JSON.to_owned(),
            content_encoding: "utf-8".to_owned(),
            body: body.encode(),
            other: map,
        })
    }

    /// The bytes to put into a queue.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len() + BESIDE_BODY);
        self.encode_into(&mut out);
        out
    }

    /// Appends the bytes to put into a queue: for many messages one after the other, without a
    /// buffer for each.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        self.dump(out);
    }

    /// The same with an empty body: for whoever passes the body on beside it, as it came.
    pub fn encode_without_body(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BESIDE_BODY);
        self.dump_with("", &mut out);
        out
    }

    fn dump_with(&self, body: &str, out: &mut Vec<u8>) {
        object(out, &self.other, |fields| {
            fields.put("body", body);
            fields.put("content-encoding", &self.content_encoding);
            fields.put("content-type", &self.content_type);
            fields.put("headers", &self.headers);
            fields.put("properties", &self.properties);
        });
    }

    /// Returns the length of the body as it came, in bytes.
    pub fn body_len(&self) -> usize {
        self.body.len()
    }

    /// Reads the body, which may have at most `max_bytes` once it is decompressed.
    ///
    /// # Errors
    /// The body is of a refused format, too large, damaged or of the wrong shape. The same message
    /// fails again: store [`DecodeError::exception`] as its result.
    pub fn body(&self, max_bytes: usize) -> Result<Body, DecodeError> {
        let source = Source {
            content_type: &self.content_type,
            compression: self.headers.compression.as_deref(),
            properties: &self.properties,
            body: &self.body,
            identity: self.headers.identity(),
        };
        source.body(max_bytes)
    }

    /// Puts another body in the place of the one that is there, as plain JSON in base64.
    pub fn set_body(&mut self, body: &Body) {
        self.body = body.encode();
        JSON.clone_into(&mut self.content_type);
        "utf-8".clone_into(&mut self.content_encoding);
        self.properties.body_encoding = Some(BASE64.to_owned());
        self.headers.compression = None;
    }

    /// Whether a worker held the message before and lost it.
    pub fn is_redelivered(&self) -> bool {
        let info = &self.properties.delivery_info.other;
        self.headers.redelivered || info.get("redelivered").is_some_and(|mark| mark == true)
    }

    /// The next attempt of this task, to be run at `eta`.
    ///
    /// Id, root, parent, body, queue, priority and limits stay; a task without a parent becomes its
    /// own, as in Celery. Publish it before the RETRY result is stored, so that a crash between
    /// them loses no task.
    #[must_use]
    pub fn retry(&self, delivery_tag: &str, eta: Timestamp) -> Self {
        let mut next = self.clone();
        next.headers.retries = self.headers.retries.saturating_add(1);
        next.headers.eta = Some(Time::at(eta));
        next.headers.parent_id.get_or_insert_with(|| self.headers.id.clone());
        next.headers.root_id.get_or_insert_with(|| self.headers.id.clone());
        next.headers.redelivered = false;
        next.headers.other.shift_remove("redelivered");
        next.properties.delivery_info.other.shift_remove("redelivered");
        next.properties.delivery_tag = Some(delivery_tag.to_owned());
        next
    }
}

impl From<Usual> for Envelope {
    fn from(usual: Usual) -> Self {
        let Usual { headers, properties, content_type, content_encoding, body } = usual;
        Self { headers, properties, content_type, content_encoding, body, other: Map::new() }
    }
}

impl Json for Envelope {
    fn dump(&self, out: &mut Vec<u8>) {
        self.dump_with(&self.body, out);
    }

    fn is_blank(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decode(value: &Value) -> Result<Envelope, DecodeError> {
        Envelope::decode(value.to_string().as_bytes())
    }

    #[test]
    fn the_least_message_runs() {
        let envelope =
            decode(&json!({"headers": {"task": "t", "id": "1"}, "body": "[[2], {}, null]"}))
                .unwrap();
        let body = envelope.body(100).unwrap();
        assert_eq!((body.args, envelope.properties), (vec![json!(2)], Properties::default()));
    }

    /// Celery's own form, with everything in it that is read at once, and then with each thing that
    /// is not.
    #[test]
    fn a_message_is_the_same_whichever_way_it_is_read() {
        let usual = json!({
            "body": "W1tdLCB7fSwge31d", "content-encoding": "utf-8", "content-type": "application/json",
            "headers": {"lang": "py", "task": "t", "id": "1", "shadow": null, "eta": "2026-11-23T21:53:30+00:00",
                "expires": "", "group": "g", "group_index": 3, "retries": 2, "timelimit": [30, 2.5], "root_id": "0",
                "parent_id": null, "argsrepr": "('\u{e9}',)", "kwargsrepr": "{}", "origin": "gen1@h",
                "ignore_result": false, "replaced_task_nesting": 0, "stamped_headers": ["a"], "stamps": {},
                "compression": null},
            "properties": {"correlation_id": "1", "reply_to": "r", "delivery_mode": 2, "priority": 3,
                "delivery_info": {"exchange": "", "routing_key": "q"}, "body_encoding": "base64", "delivery_tag": "d"},
        });
        let same = |value: &Value| {
            let bytes = value.to_string();
            let any = Envelope::decode_any(bytes.as_bytes());
            assert_eq!(Envelope::decode(bytes.as_bytes()), any, "{bytes}");
            usual::read(bytes.as_bytes()).is_some()
        };
        assert!(same(&usual));
        for (place, odd) in [
            ("/headers", json!([])),
            ("/headers", json!(["py", "t", "1"])),
            ("/headers/task", json!("")),
            ("/headers/id", json!(7)),
            ("/headers/eta", json!("tomorrow")),
            ("/headers/retries", json!(-1)),
            ("/headers/timelimit", json!([1e300, null])),
            ("/headers/timelimit", json!([1])),
            ("/headers/stamps", json!([])),
            ("/headers/stamps", json!({"a": 1})),
            ("/headers/stamped_headers", json!([1])),
            ("/headers/group_index", json!("x")),
            ("/headers/parent_id", json!(1.5)),
            ("/properties", Value::Null),
            ("/properties/priority", json!(300)),
            ("/properties/delivery_info", json!({"redelivered": true})),
            ("/body", Value::Null),
        ] {
            let mut value = usual.clone();
            *value.pointer_mut(place).unwrap() = odd;
            assert!(!same(&value), "{place}");
        }
        for parent in ["", "/headers", "/properties", "/properties/delivery_info"] {
            let mut value = usual.clone();
            value.pointer_mut(parent).unwrap()["more"] = json!([1]);
            assert!(!same(&value), "{parent}");
        }
        for field in usual["headers"].as_object().unwrap().keys() {
            let mut value = usual.clone();
            value["headers"][field] = Value::Null;
            same(&value);
            value["headers"].as_object_mut().unwrap().remove(field);
            same(&value);
        }
    }

    #[test]
    fn other_bytes_are_refused_with_a_reason() {
        let check = |bytes: &str, expected: &str, id: Option<&str>| {
            let error = Envelope::decode(bytes.as_bytes()).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
            assert_eq!(error.task_id(), id);
        };
        check("hello", "message is unreadable: not JSON: ", None);
        check("[1]", "message is unreadable: a list instead of an object", None);
        check(
            &"[".repeat(10_000),
            "message is unreadable: not JSON: nested deeper than 1000 levels",
            None,
        );
        check(
            r#"{"headers": {"task": "t", "id": "1"}}"#,
            "body is malformed: body is missing",
            Some("1"),
        );
        check(
            r#"{"headers": {"task": "t", "id": "1"}, "body": []}"#,
            "body is malformed: body is a list",
            Some("1"),
        );
        check(r#"{"body": "[1]"}"#, "message is not a task: ", None);
    }

    #[test]
    fn unknown_fields_stay() {
        let value = json!({"headers": {"task": "t", "id": "1", "x": 1}, "properties": {"y": 2}, "body": "", "z": 3});
        let written: Value = serde_json::from_slice(&decode(&value).unwrap().encode()).unwrap();
        assert_eq!(
            (&written["headers"]["x"], &written["properties"]["y"], &written["z"]),
            (&json!(1), &json!(2), &json!(3))
        );
    }

    #[test]
    fn a_retry_is_the_same_task_later() {
        let first = decode(&json!({
            "headers": {"task": "t", "id": "1", "root_id": "0", "parent_id": "0", "retries": 2, "redelivered": true, "x": 1},
            "properties": {"correlation_id": "1", "priority": 6, "delivery_tag": "a",
                "delivery_info": {"exchange": "", "routing_key": "q", "redelivered": true}},
            "body": "[[], {}, {}]",
        })).unwrap();
        assert!(first.is_redelivered());
        let next = first.retry("b", "2026-11-23T21:00:00Z".parse().unwrap());
        assert!(!next.is_redelivered());
        let mut expected = first.clone();
        expected.headers.retries = 3;
        expected.headers.redelivered = false;
        expected.headers.eta = Time::parse("2026-11-23T21:00:00+00:00");
        expected.properties.delivery_tag = Some("b".to_owned());
        expected.properties.delivery_info.other.clear();
        assert_eq!(next, expected);
        assert_eq!(Envelope::decode(&next.encode()), Ok(next));
        let mut first = first;
        first.headers.parent_id = None;
        let next = first.retry("b", "2026-11-23T21:00:00Z".parse().unwrap());
        assert_eq!(next.headers.parent_id.as_deref(), Some("1"));
    }
}
