//! What a server sends unasked over RESP3.

use redis::{PushInfo, PushKind, Value};

/// One unasked message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Push {
    /// A new connection stands: whatever was armed on the old one is gone.
    Connected,
    /// The connection has ended; the next command makes a new one.
    Lost,
    /// A tracked key changed; the names are not needed, whoever armed it looks again.
    Invalidated,
    /// A message on a subscribed channel.
    Message {
        /// The channel.
        channel: String,
        /// The payload.
        payload: Vec<u8>,
    },
}

/// Reads a push message; `None` for kinds that nobody here waits for.
pub(crate) fn read(info: PushInfo) -> Option<Push> {
    match info.kind {
        PushKind::Invalidate => Some(Push::Invalidated),
        PushKind::Message => {
            let mut parts = info.data.into_iter();
            let channel = text(parts.next()?)?;
            let payload = bytes(parts.next()?)?;
            Some(Push::Message { channel, payload })
        }
        _ => None,
    }
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    }
}

fn text(value: Value) -> Option<String> {
    bytes(value).and_then(|bytes| String::from_utf8(bytes).ok())
}
