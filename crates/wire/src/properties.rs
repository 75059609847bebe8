//! The properties of a message: what the transport knows about it.

use serde_json::{Map, Value};

use crate::dump::{Json, object};
use crate::json::{self, take, text};

/// The content type of every body that is written here.
pub(crate) const JSON: &str = "application/json";

/// The name of the only encoding of bodies beside plain text.
pub(crate) const BASE64: &str = "base64";

/// The properties kombu puts on a message.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Properties {
    /// The id of the task again.
    pub correlation_id: Option<String>,
    /// The client that waits for the result; of use to other transports only.
    pub reply_to: Option<String>,
    /// 2 for messages that should survive a restart of the broker; of use to other transports only.
    pub delivery_mode: Option<u64>,
    /// Milliseconds, as text; of use to other transports only.
    pub expiration: Option<String>,
    /// Where the message was sent.
    pub delivery_info: DeliveryInfo,
    /// 0 (the most urgent) to 255.
    pub priority: u8,
    /// `base64`, or nothing for plain text.
    pub body_encoding: Option<String>,
    /// The name under which a worker records that it holds the message.
    pub delivery_tag: Option<String>,
    /// Everything else, in order; a field above that says something wins over it.
    pub other: Map<String, Value>,
}

/// Where a message was sent.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct DeliveryInfo {
    /// The exchange; empty for tasks, which go straight to a queue.
    pub exchange: String,
    /// The routing key: for tasks, the name of the queue.
    pub routing_key: String,
    /// Everything else, in order.
    pub other: Map<String, Value>,
}

impl Properties {
    pub(crate) fn from_map(mut map: Map<String, Value>) -> Self {
        let map = &mut map;
        Self {
            correlation_id: take(map, "correlation_id", text),
            reply_to: take(map, "reply_to", text),
            delivery_mode: take(map, "delivery_mode", Value::as_u64),
            expiration: take(map, "expiration", text),
            delivery_info: take(map, "delivery_info", json::object)
                .map(DeliveryInfo::from_map)
                .unwrap_or_default(),
            priority: take(map, "priority", priority).unwrap_or_default(),
            body_encoding: take(map, "body_encoding", text),
            delivery_tag: take(map, "delivery_tag", text),
            other: std::mem::take(map),
        }
    }
}

/// In kombu's order; those that are absent are left out.
impl Json for Properties {
    fn dump(&self, out: &mut Vec<u8>) {
        object(out, &self.other, |fields| {
            fields.put_some("correlation_id", self.correlation_id.as_ref());
            fields.put_some("reply_to", self.reply_to.as_ref());
            fields.put_some("delivery_mode", self.delivery_mode.as_ref());
            fields.put_some("expiration", self.expiration.as_ref());
            fields.put("delivery_info", &self.delivery_info);
            fields.put("priority", &u64::from(self.priority));
            fields.put_some("body_encoding", self.body_encoding.as_ref());
            fields.put_some("delivery_tag", self.delivery_tag.as_ref());
        });
    }

    fn is_blank(&self) -> bool {
        false
    }
}

impl DeliveryInfo {
    fn from_map(mut map: Map<String, Value>) -> Self {
        Self {
            exchange: take(&mut map, "exchange", text).unwrap_or_default(),
            routing_key: take(&mut map, "routing_key", text).unwrap_or_default(),
            other: map,
        }
    }
}

impl Json for DeliveryInfo {
    fn dump(&self, out: &mut Vec<u8>) {
        object(out, &self.other, |fields| {
            fields.put("exchange", &self.exchange);
            fields.put("routing_key", &self.routing_key);
        });
    }

    fn is_blank(&self) -> bool {
        false
    }
}

fn priority(value: &Value) -> Option<u8> {
    u8::try_from(value.as_u64()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dump::dumps;

    #[test]
    fn odd_and_unknown_properties_are_written_back() {
        let value = json!({
            "correlation_id": "1", "delivery_info": {"exchange": "", "routing_key": "q", "redelivered": true},
            "priority": 300, "delivery_tag": 7, "x": [1],
        });
        let properties = Properties::from_map(value.as_object().unwrap().clone());
        assert_eq!((properties.priority, &properties.delivery_tag), (0, &None));
        let written: Value = serde_json::from_slice(&dumps(&properties)).unwrap();
        assert_eq!(written, value);
    }
}
