//! Results: what a task left under its key in the result store.

use std::{borrow::Cow, fmt};

use serde_json::{Map, Value, json};

use crate::compression::{self, Compression, Failure};
use crate::dump::{Json, dumps, object};
use crate::error::{DecodeError, excerpt};
use crate::exception::Exception;
use crate::json::{self, take, text};
use crate::reader;

/// What a compressed result begins with, before the method's name and a zero
/// (`COMPRESSED_PAYLOAD_MAGIC` of
/// `celery/backends/base.py`, 5.7.0).
const MAGIC: &[u8] = b"\0celery-compressed\0";

/// The greatest result that is compressed, and that is read after decompression, bytes.
const MAX_COMPRESSED: usize = 64 << 20;

/// The state of a task.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Waiting, or unknown: nothing is stored.
    Pending,
    /// Taken by a worker.
    Received,
    /// Running.
    Started,
    /// Ended with a value.
    Success,
    /// Ended with an exception.
    Failure,
    /// Failed and sent again.
    Retry,
    /// Will not run: revoked or expired.
    Revoked,
    /// A state of the application, such as `PROGRESS`.
    Custom(String),
}

impl State {
    /// Whether a waiting client gets its answer from this state.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Success | Self::Failure | Self::Revoked)
    }

    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "PENDING",
            Self::Received => "RECEIVED",
            Self::Started => "STARTED",
            Self::Success => "SUCCESS",
            Self::Failure => "FAILURE",
            Self::Retry => "RETRY",
            Self::Revoked => "REVOKED",
            Self::Custom(name) => name,
        }
    }
}

impl From<&str> for State {
    fn from(name: &str) -> Self {
        match name {
            "PENDING" => Self::Pending,
            "RECEIVED" => Self::Received,
            "STARTED" => Self::Started,
            "SUCCESS" => Self::Success,
            "FAILURE" => Self::Failure,
            "RETRY" => Self::Retry,
            "REVOKED" => Self::Revoked,
            custom => Self::Custom(custom.to_owned()),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A stored result.
///
/// The same bytes are stored under [`result_key`](crate::result_key) and published on the channel
/// of that name.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskResult {
    /// The state of the task.
    pub status: State,
    /// The value, or the exception as [`Exception::to_value`] gives it.
    pub result: Value,
    /// Python's traceback, or any text a person should read.
    pub traceback: Option<String>,
    /// The tasks this one published: `[[[id, null], null], …]`; null in results of a revoke.
    pub children: Value,
    /// When the task ended, in ISO 8601; `None` before that.
    pub date_done: Option<String>,
    /// The group the task belongs to.
    pub group_id: Option<String>,
    /// The task that published this one.
    pub parent_id: Option<String>,
    /// Everything else, in order: the fields of Celery's `result_extended`, and unknown ones.
    pub other: Map<String, Value>,
    /// The id of the task; empty when the stored text has none.
    pub task_id: String,
}

impl TaskResult {
    /// A result without children, traceback and time.
    pub fn new(task_id: &str, status: State, result: Value) -> Self {
        Self {
            status,
            result,
            traceback: None,
            children: json!([]),
            date_done: None,
            group_id: None,
            parent_id: None,
            other: Map::new(),
            task_id: task_id.to_owned(),
        }
    }

    /// The exception of a task that failed, is retried or was revoked.
    pub fn exception(&self) -> Option<Exception> {
        match self.status {
            State::Failure | State::Retry | State::Revoked => Exception::from_value(&self.result),
            _ => None,
        }
    }

    /// Reads a stored result, compressed or not; everything but `status` may be missing.
    ///
    /// At most 64 MiB come out of a compressed one.
    ///
    /// # Errors
    /// [`DecodeError::NotResult`]: the bytes were not written by a task. Treat the result as
    /// unknown.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::read(bytes, reader::read_lossy)
    }

    /// Reads a result that is passed on: what cannot be held exactly is sealed, see
    /// [`exact`](crate::exact()).
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_exact(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::read(bytes, reader::read)
    }

    fn read(
        bytes: &[u8],
        read: impl Fn(&[u8]) -> Result<Value, String>,
    ) -> Result<Self, DecodeError> {
        let not_result = |reason| DecodeError::NotResult { reason };
        let bytes = plain(bytes).map_err(not_result)?;
        let value = read(&bytes).map_err(not_result)?;
        let Value::Object(mut map) = value else {
            return Err(not_result(format!("{} instead of an object", json::kind(&value))));
        };
        let Some(status) = take(&mut map, "status", text) else {
            let found = map.get("status").map_or_else(|| "missing".to_owned(), excerpt);
            return Err(not_result(format!("`status` is {found}")));
        };
        Ok(Self {
            status: State::from(status.as_str()),
            result: map.shift_remove("result").unwrap_or_default(),
            traceback: take(&mut map, "traceback", text),
            children: map.shift_remove("children").unwrap_or_default(),
            date_done: take(&mut map, "date_done", text),
            group_id: take(&mut map, "group_id", text),
            parent_id: take(&mut map, "parent_id", text),
            task_id: take(&mut map, "task_id", text).unwrap_or_default(),
            other: map,
        })
    }

    /// The bytes to store and to publish.
    ///
    /// They start with `{"status": "SUCCESS"` for a success, spaced as Python spaces it: scripts on
    /// the server look at this beginning to see whether a result may still be overwritten.
    pub fn encode(&self) -> Vec<u8> {
        dumps(self)
    }
}

impl Json for TaskResult {
    fn dump(&self, out: &mut Vec<u8>) {
        object(out, &self.other, |fields| {
            fields.put("status", self.status.as_str());
            fields.put("result", &self.result);
            fields.put("traceback", &self.traceback);
            fields.put("children", &self.children);
            fields.put("date_done", &self.date_done);
            fields.put_some("group_id", self.group_id.as_ref());
            fields.put_some("parent_id", self.parent_id.as_ref());
            fields.put_last("task_id", &self.task_id);
        });
    }

    fn is_blank(&self) -> bool {
        false
    }
}

/// Compresses an encoded result as Celery's `result_compression` does: the same bytes to a client
/// of 5.7, which reads them whatever its own setting is. Clients before 5.7 cannot read them.
///
/// To be used for results of successes only: the method goes by kombu's short name, where Celery
/// writes its content type, and scripts on the server take that for a SUCCESS, which they cannot
/// see otherwise. Returns nothing where compression saves nothing, or the result has more than 64
/// MiB.
pub fn compress_success(bytes: &[u8], method: Compression) -> Option<Vec<u8>> {
    let packed = (bytes.len() <= MAX_COMPRESSED).then(|| method.compress(bytes).ok()).flatten()?;
    let whole = [MAGIC, method.alias().as_bytes(), b"\0", &packed].concat();
    (whole.len() < bytes.len()).then_some(whole)
}

/// Decompresses what says that it is compressed.
fn plain(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else { return Ok(Cow::Borrowed(bytes)) };
    let end =
        rest.iter().position(|byte| *byte == 0).ok_or("a compressed result without a method")?;
    let method = String::from_utf8_lossy(&rest[..end]);
    compression::decompress(&method, &rest[end + 1..], MAX_COMPRESSED).map(Cow::Owned).map_err(
        |failure| match failure {
            Failure::Unknown => format!("compressed with `{}`", method.escape_default()),
            Failure::TooLarge => format!("more than {MAX_COMPRESSED} bytes after decompression"),
            Failure::Damaged(error) => format!("damaged: {error}"),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_starts_as_scripts_expect() {
        let bytes = TaskResult::new("1", State::Success, json!({"n": 1})).encode();
        assert!(bytes.starts_with(b"{\"status\": \"SUCCESS\", \"result\": {\"n\": 1}, "));
    }

    #[test]
    fn a_compressed_success_is_read_again_and_its_length_is_bounded() {
        let success = TaskResult::new("1", State::Success, json!("ab".repeat(10_000)));
        let bytes = success.encode();
        for method in [Compression::Zlib, Compression::Bzip2, Compression::Zstd] {
            let packed = compress_success(&bytes, method).unwrap();
            assert!(packed.len() < bytes.len() / 10, "{method:?}");
            assert_eq!(TaskResult::decode(&packed).unwrap(), success, "{method:?}");
        }
        assert_eq!(compress_success(b"{}", Compression::Zlib), None, "nothing is saved");
        let bomb = Compression::Zlib.compress(&vec![b' '; MAX_COMPRESSED + 1]).unwrap();
        let bomb = [MAGIC, b"zlib\0", &bomb].concat();
        let error = TaskResult::decode(&bomb).unwrap_err().to_string();
        assert!(error.contains("more than 67108864 bytes"), "{error}");
    }

    #[test]
    fn what_celery_compressed_is_read_and_damage_is_told() {
        let packed = Compression::Zlib.compress(b"{\"status\": \"STARTED\"}").unwrap();
        let celerys = [MAGIC, b"application/x-gzip\0", &packed].concat();
        assert_eq!(TaskResult::decode(&celerys).unwrap().status, State::Started);
        for (rest, expected) in [
            (&b"zlib"[..], "without a method"),
            (b"x-lzma\0abc", "compressed with `x-lzma`"),
            (b"zlib\0abc", "damaged"),
        ] {
            let error = TaskResult::decode(&[MAGIC, rest].concat()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn only_status_is_needed() {
        let result = TaskResult::decode(br#"{"status": "PROGRESS"}"#).unwrap();
        assert_eq!(result.status, State::Custom("PROGRESS".to_owned()));
        assert!(!result.status.is_final());
        assert_eq!((result.result, result.task_id.as_str()), (Value::Null, ""));
    }

    #[test]
    fn other_bytes_are_refused_with_a_reason() {
        let check = |bytes: &[u8], expected: &str| {
            let error = TaskResult::decode(bytes).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        };
        check(b"[]", "a list instead of an object");
        check(b"{}", "`status` is missing");
        check(br#"{"status": 3}"#, "`status` is 3");
        check(b"\x80\x04", "not UTF-8");
    }

    #[test]
    fn final_states_are_three() {
        let all = [
            "PENDING", "RECEIVED", "STARTED", "SUCCESS", "FAILURE", "RETRY", "REVOKED", "PROGRESS",
        ];
        for name in all {
            assert_eq!(State::from(name).as_str(), name);
        }
        let ends: Vec<_> = all.into_iter().filter(|name| State::from(*name).is_final()).collect();
        assert_eq!(ends, ["SUCCESS", "FAILURE", "REVOKED"]);
    }
}
