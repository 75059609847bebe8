//! Messages that are no tasks: remote control, its replies, and events.

use serde_json::{Map, Value};

use crate::body::{Source, encode};
use crate::dump::object;
use crate::error::{DecodeError, Identity};
use crate::json::{self, kind, take, text};
use crate::properties::{BASE64, DeliveryInfo, JSON, Properties};
use crate::reader;

/// A message with any JSON value for its body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) headers: Map<String, Value>,
    pub(crate) body: Value,
}

impl Message {
    /// Reads a message whose body, decompressed, has at most `max_bytes`.
    pub(crate) fn decode(bytes: &[u8], max_bytes: usize) -> Result<Self, DecodeError> {
        let not_message = |reason| DecodeError::NotMessage { reason };
        // Base64 and the members around it are larger than the body, but not more than twice.
        if bytes.len() / 2 > max_bytes.saturating_add(1 << 16) {
            return Err(DecodeError::TooLarge { limit: max_bytes, identity: Identity::default() });
        }
        let value = reader::read_lossy(bytes).map_err(not_message)?;
        let Value::Object(mut map) = value else {
            return Err(not_message(format!("{} instead of an object", kind(&value))));
        };
        let mut headers = take(&mut map, "headers", json::object).unwrap_or_default();
        let properties = take(&mut map, "properties", json::object).unwrap_or_default();
        let Some(body) = take(&mut map, "body", text) else {
            let reason =
                format!("body is {}, must be a text", map.get("body").map_or("missing", kind));
            return Err(DecodeError::Body { reason, identity: Identity::default() });
        };
        let content_type = take(&mut map, "content-type", text).unwrap_or_default();
        let compression = take(&mut headers, "compression", text);
        let source = Source {
            content_type: &content_type,
            compression: compression.as_deref(),
            properties: &Properties::from_map(properties),
            body: &body,
            identity: Identity::default(),
        };
        Ok(Self { body: source.value(max_bytes)?, headers })
    }

    /// The bytes to publish or to push.
    pub(crate) fn encode(&self, route: &Route<'_>) -> Vec<u8> {
        let properties = Properties {
            delivery_mode: Some(route.delivery_mode),
            delivery_info: DeliveryInfo {
                exchange: route.exchange.to_owned(),
                routing_key: route.routing_key.to_owned(),
                other: Map::new(),
            },
            body_encoding: Some(BASE64.to_owned()),
            delivery_tag: Some(route.delivery_tag.to_owned()),
            ..Properties::default()
        };
        let mut out = Vec::new();
        object(&mut out, &Map::new(), |fields| {
            fields.put("body", &encode(&self.body));
            fields.put("content-encoding", "utf-8");
            fields.put("content-type", JSON);
            fields.put("headers", &self.headers);
            fields.put("properties", &properties);
        });
        out
    }
}

/// Where a message goes, as its properties say it.
pub(crate) struct Route<'a> {
    pub(crate) exchange: &'a str,
    pub(crate) routing_key: &'a str,
    /// 1 for messages that need not survive a restart of the broker, 2 for others.
    pub(crate) delivery_mode: u64,
    /// New for each message; Celery uses a random UUID.
    pub(crate) delivery_tag: &'a str,
}
