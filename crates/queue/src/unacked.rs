//! An entry of kombu's `unacked` hash, and the message that kombu would restore from it.
//!
//! Format: the JSON text `[message, exchange, routing_key]` (kombu 5.4 and 5.7,
//! `transport/redis.py`, `QoS.append`). A message that was delivered before carries `redelivered:
//! true` in its headers and in `properties.delivery_info` (`Channel._do_restore_message`); all else
//! stays the text that it was.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// What an entry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unacked {
    /// The message with the marks of a second delivery.
    pub(crate) message: Vec<u8>,
    /// The exchange that it came by; empty for the default one.
    pub(crate) exchange: String,
    /// The routing key; the queue's name with the default exchange.
    pub(crate) routing_key: String,
    /// The message's priority as kombu reads it: 0 to 9, and 0 for what is none.
    pub(crate) priority: u8,
}

impl Unacked {
    /// Reads an entry.
    ///
    /// # Errors
    ///
    /// One sentence that says what is wrong with it.
    pub(crate) fn read(entry: &[u8]) -> Result<Self, String> {
        let entry: (Box<RawValue>, Option<String>, Option<String>) = serde_json::from_slice(entry)
            .map_err(|e| format!("it is not kombu's [message, exchange, routing key]: {e}"))?;
        let (message, exchange, routing_key) = entry;
        let mut message = Object::of(&message, "the message")?;
        let properties = message.object("properties")?;
        let priority = properties.as_ref().and_then(|p| p.get("priority")).map_or(0, priority);
        if let Some(mut headers) = message.object("headers")? {
            headers.set("redelivered", "true");
            message.set("headers", &headers.to_string());
            if let Some((mut properties, mut info)) = delivery_info(properties)? {
                info.set("redelivered", "true");
                properties.set("delivery_info", &info.to_string());
                message.set("properties", &properties.to_string());
            }
        }
        Ok(Self {
            message: message.to_string().into_bytes(),
            exchange: exchange.unwrap_or_default(),
            routing_key: routing_key.unwrap_or_default(),
            priority,
        })
    }
}

fn delivery_info(properties: Option<Object>) -> Result<Option<(Object, Object)>, String> {
    let Some(properties) = properties else { return Ok(None) };
    let info = properties.object("delivery_info")?;
    Ok(info.map(|info| (properties, info)))
}

/// Reads a priority as Python's `int()` does, bounded to 0 to 9 (`Channel._get_message_priority`).
fn priority(value: &RawValue) -> u8 {
    let text = value.get().trim_matches('"').trim();
    let bounded = |number: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounded to 0 to 9 before"
        )]
        let priority = number.clamp(0.0, 9.0) as u8;
        priority
    };
    text.parse().map_or(0, bounded)
}

/// A JSON object whose values stay the text that they are.
struct Object(Vec<(String, Box<RawValue>)>);

impl Object {
    fn of(value: &RawValue, what: &str) -> Result<Self, String> {
        serde_json::from_str(value.get()).map_err(|e| format!("{what} is no JSON object: {e}"))
    }

    fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    /// Returns the object under a name; `None` where there is nothing.
    fn object(&self, name: &str) -> Result<Option<Self>, String> {
        self.get(name).map(|value| Self::of(value, &format!("`{name}`"))).transpose()
    }

    /// Puts JSON text under a name: in its old place, or at the end as Python's dicts do.
    fn set(&mut self, name: &str, json: &str) {
        let Ok(value) = RawValue::from_string(json.to_owned()) else { return };
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }
}

/// Written with the separators of Python's `json.dumps`.
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (idx, (key, value)) in self.0.iter().enumerate() {
            let separator = if idx == 0 { "" } else { ", " };
            let key = serde_json::Value::from(key.as_str());
            write!(f, "{separator}{key}: {}", value.get())?;
        }
        f.write_str("}")
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_message_keeps_its_text_and_gains_kombus_marks() {
        let entry = r#"[{"body": "W10=", "headers": {"id": "\u00e9", "n": 123456789012345678901234567890, "f": 1.10}, "properties": {"delivery_info": {"exchange": "", "routing_key": "q"}, "priority": 3, "delivery_tag": "t"}}, "", "q"]"#;
        let read = Unacked::read(entry.as_bytes()).unwrap();
        let expect = r#"{"body": "W10=", "headers": {"id": "\u00e9", "n": 123456789012345678901234567890, "f": 1.10, "redelivered": true}, "properties": {"delivery_info": {"exchange": "", "routing_key": "q", "redelivered": true}, "priority": 3, "delivery_tag": "t"}}"#;
        assert_eq!(String::from_utf8(read.message).unwrap(), expect);
        assert_eq!(
            (read.exchange.as_str(), read.routing_key.as_str(), read.priority),
            ("", "q", 3)
        );
    }

    #[test]
    fn a_message_delivered_a_third_time_stays_as_it_is() {
        let entry = br#"[{"headers": {"redelivered": true, "id": "1"}, "properties": {"delivery_info": {"redelivered": true}}}, "", "q"]"#;
        let expect = r#"{"headers": {"redelivered": true, "id": "1"}, "properties": {"delivery_info": {"redelivered": true}}}"#;
        assert_eq!(Unacked::read(entry).unwrap().message, expect.as_bytes());
    }

    /// kombu sets the first mark and gives up at the first key that is missing.
    #[test]
    fn what_is_missing_is_not_made_up() {
        for (message, expect) in [
            (
                r#"{"properties": {"delivery_info": {}}}"#,
                r#"{"properties": {"delivery_info": {}}}"#,
            ),
            (r#"{"headers": {}}"#, r#"{"headers": {"redelivered": true}}"#),
            (
                r#"{"headers": {}, "properties": {}}"#,
                r#"{"headers": {"redelivered": true}, "properties": {}}"#,
            ),
        ] {
            let entry = format!("[{message}, null, \"q\"]");
            assert_eq!(Unacked::read(entry.as_bytes()).unwrap().message, expect.as_bytes());
        }
    }

    #[test]
    fn a_priority_is_read_as_python_does() {
        for (text, expect) in
            [("3", 3), ("\"4\"", 4), ("3.9", 3), ("-1", 0), ("200", 9), ("null", 0)]
        {
            let entry = format!(r#"[{{"properties": {{"priority": {text}}}}}, "", "q"]"#);
            assert_eq!(Unacked::read(entry.as_bytes()).unwrap().priority, expect, "{text}");
        }
    }

    #[test]
    fn garbage_is_told_in_a_sentence() {
        for entry in
            ["", "not json", "[]", "[1, 2]", r#"["text", "", "q"]"#, r#"[{"headers": 7}, "", "q"]"#]
        {
            assert!(Unacked::read(entry.as_bytes()).is_err(), "{entry}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Unacked::read(&bytes);
        }
    }
}
