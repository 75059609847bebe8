//! Protocol 1: the whole task in the body, and no headers.
//!
//! Celery wrote it up to version 3 and still does with `task_protocol = 1`. It is turned into
//! protocol 2 on reading, so that nothing else has to know of it.

use serde_json::{Map, Value};

use crate::body::{Body, Embed, Source};
use crate::error::DecodeError;
use crate::headers::{self, Headers};
use crate::json::{kind, take, text};
use crate::properties::Properties;
use crate::signature::{list, mapping};

/// The largest body that is opened to see whether it is a task, in bytes after decompression.
const MAX_BYTES: usize = 16 << 20;

/// The headers and the body of protocol 2 that say the same.
pub(crate) fn decode(
    mut headers: Map<String, Value>,
    properties: &Properties,
    content_type: &str,
    body: &str,
) -> Result<(Headers, Body), DecodeError> {
    let compression = take(&mut headers, "compression", text);
    let source = Source {
        content_type,
        compression: compression.as_deref(),
        properties,
        body,
        identity: headers::identity(&headers),
    };
    let mut map = match source.value(MAX_BYTES)? {
        Value::Object(map) => map,
        value => {
            let reason = format!("no `task` in the headers, and the body is {}", kind(&value));
            return Err(DecodeError::NotTask { reason, identity: source.identity });
        }
    };
    let identity = headers::identity(&map);
    let body = body_of(&mut map).map_err(|reason| DecodeError::Body { reason, identity })?;
    // Producers of protocol 1 name the group twice, the oldest ones only as `taskset`.
    if let Some(group) = map.shift_remove("taskset")
        && map.get("group").is_none_or(Value::is_null)
    {
        map.insert("group".to_owned(), group);
    }
    // Says that times are in UTC, which their own offsets say as well.
    map.shift_remove("utc");
    for (key, value) in headers {
        map.entry(key).or_insert(value);
    }
    Ok((Headers::from_map(map)?, body))
}

fn body_of(map: &mut Map<String, Value>) -> Result<Body, String> {
    let args = list(map.shift_remove("args"), "args")?;
    let kwargs = mapping(map.shift_remove("kwargs"), "kwargs")?;
    let parts = ["callbacks", "errbacks", "chain", "chord"];
    let embed =
        parts.iter().filter_map(|key| Some(((*key).to_owned(), map.shift_remove(*key)?))).collect();
    Ok(Body { args, kwargs, embed: Embed::from_value(Value::Object(embed))? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{Envelope, Time};

    fn decode(body: &serde_json::Value) -> Result<Envelope, crate::DecodeError> {
        let message = json!({
            "body": body.to_string(), "content-type": "application/json", "headers": {"x": 1},
            "properties": {"delivery_tag": "d", "delivery_info": {"exchange": "", "routing_key": "q"}},
        });
        Envelope::decode(message.to_string().as_bytes())
    }

    #[test]
    fn protocol_1_becomes_protocol_2() {
        let signature = json!({"task": "n", "args": [], "kwargs": {}, "options": {}, "subtask_type": null, "immutable": false});
        let envelope = decode(&json!({
            "task": "t", "id": "1", "args": [1], "kwargs": {"k": 2}, "group": null, "retries": 2,
            "eta": "2026-11-23T21:00:00+00:00", "expires": null, "utc": true, "callbacks": [signature],
            "errbacks": null, "timelimit": [30, null], "taskset": "g", "chord": signature,
        })).unwrap();
        let headers = &envelope.headers;
        assert_eq!((headers.task.as_str(), headers.id.as_str(), headers.retries), ("t", "1", 2));
        assert_eq!(headers.eta, Time::parse("2026-11-23T21:00:00+00:00"));
        assert_eq!((headers.timelimit, headers.group.as_deref()), ((Some(30.0), None), Some("g")));
        assert_eq!(json!(headers.other), json!({"x": 1}));
        assert_eq!(envelope.properties.delivery_info.routing_key, "q");
        let body = envelope.body(1000).unwrap();
        assert_eq!((json!(body.args), json!(body.kwargs)), (json!([1]), json!({"k": 2})));
        assert_eq!(body.embed.callbacks[0].to_value(), signature);
        assert_eq!(body.embed.chord.unwrap().to_value(), signature);
        assert_eq!(Envelope::decode(&envelope.encode()), Ok(envelope));
    }

    #[test]
    fn errors_know_the_task() {
        let check = |body: serde_json::Value, expected: &str, id: Option<&str>| {
            let error = decode(&body).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.task_id()), (expected, id));
        };
        check(
            json!({"task": "t", "id": "1", "kwargs": []}),
            "body is malformed: kwargs is a list, must be an object",
            Some("1"),
        );
        check(
            json!({"task": "t", "id": "1", "eta": "x"}),
            "header `eta` is unusable: \"x\" is not a time",
            Some("1"),
        );
        check(json!({"id": "1"}), "message is not a task: `task` is missing", Some("1"));
        check(
            json!([[], {}, {}]),
            "message is not a task: no `task` in the headers, and the body is a list",
            None,
        );
    }
}
