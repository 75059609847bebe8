//! Remote control: the commands of `celery control` and `celery inspect`, and their replies.
//!
//! The format is that of `kombu/pidbox.py` (5.4 and 5.7 agree). A command is published on
//! [`pidbox_channel`](crate::pidbox_channel); a reply is pushed to the list that
//! [`bound_queue`](crate::bound_queue) finds for the asking client.

use serde_json::{Map, Value, json};

use crate::error::{DecodeError, Identity, excerpt};
use crate::json::{kind, object, take, text};
use crate::matcher;
use crate::message::{Message, Route};

/// The exchange of commands, and the end of their channel.
pub(crate) const EXCHANGE: &str = "celery.pidbox";

/// The exchange of replies.
pub(crate) const REPLY_EXCHANGE: &str = "reply.celery.pidbox";

/// A command to one, some or all workers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Command {
    /// What to do, such as `ping`.
    pub method: String,
    /// Its arguments by name; a worker ignores those it does not know.
    pub arguments: Map<String, Value>,
    /// The nodes it is for; `None`, and an empty list, mean all.
    pub destination: Option<Vec<String>>,
    /// Without a destination: a pattern of node names.
    pub pattern: Option<String>,
    /// How the pattern is matched: `glob` or `pcre`.
    pub matcher: Option<String>,
    /// What a reply has to repeat.
    pub ticket: Option<String>,
    /// Where a reply is awaited; `None` when it is not.
    pub reply_to: Option<ReplyTo>,
    /// The sender's logical clock; 0 when it said none.
    pub clock: u64,
    /// When the sender stops waiting, in Unix seconds.
    pub expires: Option<f64>,
}

/// Where a client waits for replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyTo {
    /// The exchange: `reply.celery.pidbox`.
    pub exchange: String,
    /// The client's own id.
    pub routing_key: String,
}

impl ReplyTo {
    /// The way to the client that waits on [`reply_queue`](crate::reply_queue) of `oid`.
    pub fn client(oid: &str) -> Self {
        Self { exchange: REPLY_EXCHANGE.to_owned(), routing_key: oid.to_owned() }
    }
}

impl Command {
    /// A command to all nodes that asks for no reply.
    pub fn new(method: &str, arguments: Map<String, Value>) -> Self {
        Self { method: method.to_owned(), arguments, ..Self::default() }
    }

    /// Reads a command whose body has at most `max_bytes`.
    ///
    /// Missing and null members stand for their defaults and unknown ones are ignored. What decides
    /// who obeys is never guessed: a destination or a pattern of the wrong type is an error.
    ///
    /// # Errors
    /// The bytes are no command. It can only be counted: nobody is waiting under a known address.
    pub fn decode(bytes: &[u8], max_bytes: usize) -> Result<Self, DecodeError> {
        let Message { headers, body } = Message::decode(bytes, max_bytes)?;
        let Value::Object(mut map) = body else {
            return Err(malformed(format!("{}, must be an object", kind(&body))));
        };
        Self::from_map(&mut map, &headers).map_err(malformed)
    }

    fn from_map(
        map: &mut Map<String, Value>,
        headers: &Map<String, Value>,
    ) -> Result<Self, String> {
        let Some(method) = take(map, "method", text).filter(|method| !method.is_empty()) else {
            let found = map.get("method").map_or_else(|| "missing".to_owned(), excerpt);
            return Err(format!("`method` is {found}"));
        };
        Ok(Self {
            method,
            arguments: optional(map, "arguments", object, "an object")?.unwrap_or_default(),
            destination: optional(map, "destination", nodes, "a list of names")?,
            pattern: optional(map, "pattern", text, "a text")?,
            matcher: optional(map, "matcher", text, "a text")?,
            ticket: take(map, "ticket", text),
            reply_to: optional(map, "reply_to", reply_to, "an exchange and a routing key")?,
            clock: clock(headers),
            // Celery writes 0 when the sender waits for nothing.
            expires: headers.get("expires").and_then(Value::as_f64).filter(|time| *time != 0.0),
        })
    }

    /// The bytes to publish; `delivery_tag` must be new for each message.
    pub fn encode(&self, delivery_tag: &str) -> Vec<u8> {
        let mut body = Map::new();
        let mut put = |key: &str, value: Value| body.insert(key.to_owned(), value);
        put("method", json!(self.method));
        put("arguments", json!(self.arguments));
        put("destination", json!(self.destination));
        put("pattern", json!(self.pattern));
        put("matcher", json!(self.matcher));
        if let Some(ticket) = &self.ticket {
            put("ticket", json!(ticket));
        }
        if let Some(ReplyTo { exchange, routing_key }) = &self.reply_to {
            put("reply_to", json!({"exchange": exchange, "routing_key": routing_key}));
        }
        let mut headers = Map::new();
        headers.insert("clock".to_owned(), json!(self.clock));
        headers.insert("expires".to_owned(), self.expires.map_or(json!(0), Value::from));
        let message = Message { headers, body: Value::Object(body) };
        message.encode(&Route {
            exchange: EXCHANGE,
            routing_key: "",
            delivery_mode: 2,
            delivery_tag,
        })
    }

    /// Whether `node` has to obey.
    ///
    /// A destination decides alone; without one a pattern with its matcher does; without these the
    /// command is for all. A pattern that does not compile, or an unknown matcher, is for nobody.
    pub fn is_for(&self, node: &str) -> bool {
        if let Some(destination) = self.destination.as_ref().filter(|nodes| !nodes.is_empty()) {
            return destination.iter().any(|name| name == node);
        }
        let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        match (said(&self.pattern), said(&self.matcher)) {
            (Some(pattern), Some(matcher)) => matcher::matches(node, &pattern, &matcher),
            _ => true,
        }
    }
}

/// The bytes of `node`'s reply to `command`, or `None` when it asked for none.
///
/// `clock` is the replying node's logical clock; `delivery_tag` must be new for each message.
pub fn reply(
    node: &str,
    value: Value,
    command: &Command,
    clock: u64,
    delivery_tag: &str,
) -> Option<Vec<u8>> {
    let ReplyTo { exchange, routing_key } = command.reply_to.as_ref()?;
    let mut headers = Map::new();
    headers.insert("ticket".to_owned(), json!(command.ticket));
    headers.insert("clock".to_owned(), json!(clock));
    let mut body = Map::new();
    body.insert(node.to_owned(), value);
    let message = Message { headers, body: Value::Object(body) };
    Some(message.encode(&Route { exchange, routing_key, delivery_mode: 1, delivery_tag }))
}

/// A reply to a command of ours.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reply {
    /// The ticket of the command; a reply with another belongs to somebody who asked before.
    pub ticket: Option<String>,
    /// What each node said; in practice one node per reply.
    pub nodes: Map<String, Value>,
    /// The replying node's logical clock; 0 when it said none.
    pub clock: u64,
}

impl Reply {
    /// Reads a reply whose body has at most `max_bytes`.
    ///
    /// # Errors
    /// The bytes are no reply.
    pub fn decode(bytes: &[u8], max_bytes: usize) -> Result<Self, DecodeError> {
        let Message { mut headers, body } = Message::decode(bytes, max_bytes)?;
        let Value::Object(nodes) = body else {
            return Err(malformed(format!("{}, must be an object", kind(&body))));
        };
        let clock = clock(&headers);
        Ok(Self { ticket: take(&mut headers, "ticket", text), nodes, clock })
    }
}

fn malformed(reason: String) -> DecodeError {
    DecodeError::Body { reason, identity: Identity::default() }
}

fn clock(headers: &Map<String, Value>) -> u64 {
    headers.get("clock").and_then(Value::as_u64).unwrap_or_default()
}

/// A single name stands for a list of itself, as everywhere in Celery's own interface.
fn nodes(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(name) => Some(vec![name.clone()]),
        Value::Array(names) => names.iter().map(text).collect(),
        _ => None,
    }
}

fn reply_to(value: &Value) -> Option<ReplyTo> {
    let part = |key| value.get(key).and_then(text);
    Some(ReplyTo { exchange: part("exchange")?, routing_key: part("routing_key")? })
}

fn optional<T>(
    map: &mut Map<String, Value>,
    key: &str,
    read: impl Fn(&Value) -> Option<T>,
    wanted: &str,
) -> Result<Option<T>, String> {
    let found = take(map, key, read);
    match map.get(key) {
        Some(value) if found.is_none() => {
            Err(format!("`{key}` is {}, must be {wanted}", excerpt(value)))
        }
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1 << 20;

    fn decode(body: &Value) -> Result<Command, DecodeError> {
        Command::decode(json!({"body": body.to_string()}).to_string().as_bytes(), MAX)
    }

    #[test]
    fn the_least_command_is_for_all() {
        let least = decode(&json!({"method": "ping", "arguments": null, "x": 1})).unwrap();
        assert_eq!(least, Command::new("ping", Map::new()));
        assert!(least.is_for("w1@vm"));
    }

    #[test]
    fn what_decides_who_obeys_is_never_guessed() {
        let check = |key: &str, value: Value, expected: &str| {
            let error = decode(&json!({"method": "shutdown", key: value})).unwrap_err();
            assert_eq!(error.to_string(), format!("body is malformed: {expected}"));
        };
        check("destination", json!([1]), "`destination` is [1], must be a list of names");
        check("destination", json!(true), "`destination` is true, must be a list of names");
        check("pattern", json!(["*"]), "`pattern` is [\"*\"], must be a text");
        check("matcher", json!(1), "`matcher` is 1, must be a text");
        check("arguments", json!([1]), "`arguments` is [1], must be an object");
        check("reply_to", json!("q"), "`reply_to` is \"q\", must be an exchange and a routing key");
        check("method", json!(7), "`method` is 7");
        assert!(decode(&json!(["ping"])).is_err());
        let text = json!({"method": "ping", "destination": "w1@vm"});
        assert_eq!(decode(&text).unwrap().destination, Some(vec!["w1@vm".to_owned()]));
    }

    #[test]
    fn a_destination_wins_over_a_pattern() {
        let mut command = Command::new("ping", Map::new());
        command.pattern = Some("w*".to_owned());
        assert!(command.is_for("x"), "a pattern alone says nothing, as in kombu");
        command.matcher = Some("glob".to_owned());
        assert!(command.is_for("w1") && !command.is_for("x"));
        command.matcher = Some("sql".to_owned());
        assert!(!command.is_for("w1"));
        command.destination = Some(Vec::new());
        assert!(!command.is_for("w1"));
        command.destination = Some(vec!["w1@vm".to_owned()]);
        assert!(command.is_for("w1@vm") && !command.is_for("w1") && !command.is_for("w1@vm2"));
    }

    #[test]
    fn size_is_bounded_before_and_after_decoding() {
        let body = |size: usize| json!({"method": "m", "arguments": {"a": "x".repeat(size)}});
        let too_large = |size| matches!(decode(&body(size)), Err(DecodeError::TooLarge { .. }));
        assert!(!too_large(MAX - 1000));
        assert!(too_large(MAX) && too_large(5 * MAX));
    }
}
