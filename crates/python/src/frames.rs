//! What is said over a socket: a head, which is a JSON object, and parts that are passed as they
//! are.
//!
//! A frame is two lengths (4 bytes each, big endian: of all that follows both, and of the head), the
//! head and the parts. The other end is `python/rhubarb_pool/frames.py`. A task can write what it
//! likes to its socket, so that all of it is checked.

use bytes::{Buf, BytesMut};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The two lengths.
const LENGTHS: usize = 8;
/// The most that a frame may have, bytes: more than any result or message that is taken.
const MOST: usize = 1 << 30;

/// A frame that was received.
#[derive(Debug, PartialEq)]
pub(crate) struct Frame {
    head: Value,
    /// The parts, in order.
    pub(crate) parts: Vec<Vec<u8>>,
}

/// What came is no frame.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("what came from Python is no frame: {0}")]
pub(crate) struct NoFrame(String);

impl Frame {
    /// Reads the head as what it should be.
    pub(crate) fn head<T: DeserializeOwned>(&mut self) -> Result<T, NoFrame> {
        let head = self.head.take();
        serde_json::from_value(head).map_err(|error| NoFrame(error.to_string()))
    }
}

/// Returns the bytes of a frame.
pub(crate) fn encode(head: &impl Serialize, parts: &[&[u8]]) -> Vec<u8> {
    let mut text = serde_json::to_vec(head).expect("heads have texts for keys");
    if !parts.is_empty() {
        let sizes: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        let sizes = serde_json::to_string(&sizes).expect("numbers are JSON");
        text.pop();
        text.extend_from_slice(b",\"sizes\":");
        text.extend_from_slice(sizes.as_bytes());
        text.push(b'}');
    }
    let all = text.len() + parts.iter().map(|part| part.len()).sum::<usize>();
    let length = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes();
    let mut frame = Vec::with_capacity(LENGTHS + all);
    frame.extend_from_slice(&length(all));
    frame.extend_from_slice(&length(text.len()));
    frame.extend_from_slice(&text);
    parts.iter().for_each(|part| frame.extend_from_slice(part));
    frame
}

/// Takes the next frame out of what was received, if all of it is there.
pub(crate) fn next(buffer: &mut BytesMut) -> Result<Option<Frame>, NoFrame> {
    if buffer.len() < LENGTHS {
        return Ok(None);
    }
    let length = |at: usize| {
        let bytes = [buffer[at], buffer[at + 1], buffer[at + 2], buffer[at + 3]];
        u32::from_be_bytes(bytes) as usize
    };
    let (all, text) = (length(0), length(4));
    if all > MOST || text > all {
        return Err(NoFrame(format!("lengths of {all} and {text} bytes")));
    }
    if buffer.len() < LENGTHS + all {
        return Ok(None);
    }
    buffer.advance(LENGTHS);
    let text = buffer.split_to(text);
    let rest = buffer.split_to(all - text.len());
    let head: Value = serde_json::from_slice(&text).map_err(|error| NoFrame(error.to_string()))?;
    let parts = parts(&head, &rest)?;
    Ok(Some(Frame { head, parts }))
}

fn parts(head: &Value, mut rest: &[u8]) -> Result<Vec<Vec<u8>>, NoFrame> {
    let mut parts = Vec::new();
    for size in head.get("sizes").and_then(Value::as_array).into_iter().flatten() {
        let part =
            size.as_u64().and_then(|size| rest.split_at_checked(usize::try_from(size).ok()?));
        let Some((part, more)) = part else {
            return Err(NoFrame(format!("a part of {size} bytes, of {}", rest.len())));
        };
        parts.push(part.to_vec());
        rest = more;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_frame_comes_out_as_it_went_in_however_it_is_cut() {
        let bytes = encode(&json!({"kind": "end"}), &[b"one", b"", b"three"]);
        let mut buffer = BytesMut::new();
        for (at, byte) in bytes.iter().enumerate() {
            assert_eq!(next(&mut buffer).unwrap(), None, "{at}");
            buffer.extend_from_slice(&[*byte]);
        }
        let frame = next(&mut buffer).unwrap().unwrap();
        assert_eq!(frame.parts, [&b"one"[..], b"", b"three"]);
        assert_eq!(frame.head["kind"], "end");
        assert!(buffer.is_empty());
    }

    #[test]
    fn what_a_task_writes_to_its_socket_is_no_frame_and_nothing_worse() {
        for rubbish in [&b"hello, this is a print"[..], b"\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert!(next(&mut BytesMut::from(rubbish)).is_err());
        }
        let short = encode(&json!({"sizes": [5, "x", -1]}), &[]);
        assert!(next(&mut BytesMut::from(&short[..])).is_err());
        let empty = encode(&json!(null), &[]);
        let mut frame = next(&mut BytesMut::from(&empty[..])).unwrap().unwrap();
        assert!(frame.head::<std::collections::BTreeMap<String, u8>>().is_err());
    }
}
