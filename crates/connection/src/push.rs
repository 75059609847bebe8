//! What a server sends unasked over RESP3.

use redis::{PushInfo, PushKind, Value};

/// One unasked message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Push {
    /// A new connection stands: whatever was armed on the old one is gone.
    Connected,
    /// The connection has ended; the next command makes a new one.
    Lost,
    /// A message on a subscribed channel.
    Message {
        /// The channel.
        channel: String,
        /// The payload.
        payload: Vec<u8>,
    },
}

/// What becomes of tracked keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalidation {
    /// A new connection stands: whatever was armed on the old one is gone.
    Connected,
    /// The connection has ended; the next command makes a new one.
    Lost,
    /// These keys changed, and are tracked no more until they are read again.
    Keys(Vec<Vec<u8>>),
    /// Any tracked key may have changed: the database was emptied.
    All,
}

/// An unasked message, by who waits for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unasked {
    Push(Push),
    Invalidation(Invalidation),
}

/// Reads a push message; `None` for kinds that nobody here waits for.
pub(crate) fn read(info: PushInfo) -> Option<Unasked> {
    let mut parts = info.data.into_iter();
    match info.kind {
        PushKind::Invalidate => Some(Unasked::Invalidation(change(parts.next()))),
        PushKind::Message => {
            let channel = text(parts.next()?)?;
            let payload = bytes(parts.next()?)?;
            Some(Unasked::Push(Push::Message { channel, payload }))
        }
        _ => None,
    }
}

/// Reads which keys changed. The server sends a null for all; what is no list of names is taken for
/// the same.
fn change(keys: Option<Value>) -> Invalidation {
    let Some(Value::Array(keys)) = keys else { return Invalidation::All };
    keys.into_iter().map(bytes).collect::<Option<_>>().map_or(Invalidation::All, Invalidation::Keys)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn invalidated(data: Vec<Value>) -> Option<Unasked> {
        read(PushInfo { kind: PushKind::Invalidate, data })
    }

    #[test]
    fn changed_keys_are_told_by_name_and_an_emptied_database_as_all() {
        let name = |name: &str| Value::BulkString(name.as_bytes().to_vec());
        let keys = Invalidation::Keys(vec![b"a".to_vec(), b"b".to_vec()]);
        let told = invalidated(vec![Value::Array(vec![name("a"), name("b")])]);
        assert_eq!(told, Some(Unasked::Invalidation(keys)));
        for odd in [vec![Value::Nil], vec![], vec![Value::Array(vec![name("a"), Value::Int(1)])]] {
            assert_eq!(invalidated(odd), Some(Unasked::Invalidation(Invalidation::All)));
        }
    }
}
