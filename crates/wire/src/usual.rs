//! The usual message, read at once into its fields.
//!
//! Celery's clients write the same fields with the same types into nearly every message. Those are
//! read here without a tree of values in between, at about a fifth of the cost. Whatever is in any
//! way unusual (an unknown field, another type, a number of Python's, a stamp) is left to the
//! reading by trees, which knows what to make of it: the two agree on all that is read here.

use std::{fmt, marker::PhantomData};

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::Map;

use crate::headers::Headers;
use crate::properties::{DeliveryInfo, JSON, Properties};
use crate::time::Time;

/// A message that is usual in every way.
pub(crate) struct Usual {
    pub(crate) headers: Headers,
    pub(crate) properties: Properties,
    pub(crate) content_type: String,
    pub(crate) content_encoding: String,
    pub(crate) body: String,
}

/// Reads a message that is usual in every way.
pub(crate) fn read(bytes: &[u8]) -> Option<Usual> {
    // Once for the whole message rather than for each of its texts: a twentieth of a task's CPU.
    let text = str::from_utf8(bytes).ok()?;
    let Object(message) = serde_json::from_str::<Object<Message>>(text).ok()?;
    Some(Usual {
        headers: headers(message.headers.0)?,
        properties: properties(message.properties.0),
        content_type: message.content_type.unwrap_or_else(|| JSON.to_owned()),
        content_encoding: message.content_encoding.unwrap_or_else(|| "utf-8".to_owned()),
        body: message.body,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    body: String,
    #[serde(rename = "content-encoding")]
    content_encoding: Option<String>,
    #[serde(rename = "content-type")]
    content_type: Option<String>,
    headers: Object<Head>,
    properties: Object<Props>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    lang: Option<String>,
    task: String,
    id: String,
    shadow: Option<String>,
    eta: Option<String>,
    expires: Option<String>,
    group: Option<String>,
    group_index: Option<u64>,
    retries: Option<u32>,
    timelimit: Option<(Limit, Limit)>,
    root_id: Option<String>,
    parent_id: Option<String>,
    argsrepr: Option<String>,
    kwargsrepr: Option<String>,
    origin: Option<String>,
    ignore_result: Option<bool>,
    replaced_task_nesting: Option<u64>,
    stamped_headers: Option<Vec<String>>,
    #[serde(rename = "stamps")]
    _stamps: Option<Object<Empty>>,
    compression: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Props {
    correlation_id: Option<String>,
    reply_to: Option<String>,
    delivery_mode: Option<u64>,
    expiration: Option<String>,
    delivery_info: Option<Object<Info>>,
    priority: Option<u8>,
    body_encoding: Option<String>,
    delivery_tag: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Info {
    exchange: Option<String>,
    routing_key: Option<String>,
}

/// An object without members.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

fn headers(head: Head) -> Option<Headers> {
    if head.task.is_empty() || head.id.is_empty() {
        return None;
    }
    let (Limit(hard), Limit(soft)) = head.timelimit.unwrap_or_default();
    Some(Headers {
        lang: head.lang.unwrap_or_else(|| "py".to_owned()),
        task: head.task,
        id: head.id,
        shadow: head.shadow,
        eta: time(head.eta)?,
        expires: time(head.expires)?,
        group: head.group,
        group_index: head.group_index,
        retries: head.retries.unwrap_or_default(),
        timelimit: (hard, soft),
        root_id: head.root_id,
        parent_id: head.parent_id,
        argsrepr: head.argsrepr,
        kwargsrepr: head.kwargsrepr,
        origin: head.origin,
        ignore_result: head.ignore_result,
        replaced_task_nesting: head.replaced_task_nesting.unwrap_or_default(),
        stamped_headers: head.stamped_headers,
        stamps: Map::new(),
        compression: head.compression,
        redelivered: false,
        other: Map::new(),
    })
}

fn properties(props: Props) -> Properties {
    let info =
        props.delivery_info.map_or_else(DeliveryInfo::default, |Object(info)| DeliveryInfo {
            exchange: info.exchange.unwrap_or_default(),
            routing_key: info.routing_key.unwrap_or_default(),
            other: Map::new(),
        });
    Properties {
        correlation_id: props.correlation_id,
        reply_to: props.reply_to,
        delivery_mode: props.delivery_mode,
        expiration: props.expiration,
        delivery_info: info,
        priority: props.priority.unwrap_or_default(),
        body_encoding: props.body_encoding,
        delivery_tag: props.delivery_tag,
        other: Map::new(),
    }
}

/// A time or none; the outer `None` is for what is no time.
fn time(text: Option<String>) -> Option<Option<Time>> {
    match text.filter(|text| !text.is_empty()) {
        None => Some(None),
        Some(text) => Time::parse(&text).map(Some),
    }
}

/// An object and nothing else: serde alone would take a list of the fields' values for it.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// A time limit in seconds, or none.
#[derive(Default)]
struct Limit(Option<f64>);

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limit = Option::<serde_json::Number>::deserialize(deserializer)?;
        // A whole number beyond 64 bits is one of Python's, and is read as its text elsewhere.
        let odd = |limit: &serde_json::Number| {
            limit.is_f64() && limit.as_f64().is_none_or(|limit| limit.abs() >= 1e15)
        };
        if limit.as_ref().is_some_and(odd) {
            return Err(de::Error::custom("an unusual limit"));
        }
        Ok(Self(limit.and_then(|limit| limit.as_f64())))
    }
}
