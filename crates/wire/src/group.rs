//! Results of groups and chords: what Celery stores beside the results of single tasks.
//!
//! The formats are those of `celery/result.py` (`as_tuple`, `result_from_tuple`) and
//! `celery/backends/redis.py` (5.7.0, and 5.4 for what both have).

use rhubarb_pyvalue::repr::repr;
use serde_json::{Value, json};

use crate::dump::dumps;
use crate::error::{DecodeError, excerpt};
use crate::exception::Exception;
use crate::json::kind;
use crate::reader;
use crate::result::State;

/// Trees are not read deeper than this; JSON of that depth is not read either.
const DEPTH: usize = 64;

/// The ids of a task or a group, with those of what it belongs to.
///
/// It is the saved form of a group, and each element of [`TaskResult`](crate::TaskResult)'s
/// `children` is one. On the wire: `[[id, parent], children]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultTree {
    /// The id of the task or the group.
    pub id: String,
    /// What it was published after, in a chain.
    pub parent: Option<Box<ResultTree>>,
    /// The members of a group; `None` for a task.
    pub children: Option<Vec<ResultTree>>,
}

impl ResultTree {
    /// A task on its own.
    pub fn task(id: &str) -> Self {
        Self { id: id.to_owned(), parent: None, children: None }
    }

    /// A group.
    pub fn group(id: &str, children: Vec<Self>) -> Self {
        Self { id: id.to_owned(), parent: None, children: Some(children) }
    }

    /// Reads `[[id, parent], children]`, or `[id, children]` of old producers.
    ///
    /// # Errors
    /// What is wrong with it, as a text to be put into an error. Nesting is bounded.
    pub fn from_value(value: &Value) -> Result<Self, String> {
        Self::read(value, DEPTH)
    }

    fn read(value: &Value, depth: usize) -> Result<Self, String> {
        if depth == 0 {
            return Err(format!("nested deeper than {DEPTH} levels"));
        }
        let [own, children] = pair(value)?;
        let (id, parent) = match own {
            Value::Array(_) => {
                let [id, parent] = pair(own)?;
                (id, Some(parent).filter(|parent| !parent.is_null()))
            }
            id => (id, None),
        };
        let children = match children {
            Value::Null => None,
            Value::Array(items) => {
                let read = |item| Self::read(item, depth - 1);
                Some(items.iter().map(read).collect::<Result<_, _>>()?)
            }
            other => return Err(format!("children are {}, must be a list", kind(other))),
        };
        Ok(Self {
            id: id
                .as_str()
                .ok_or_else(|| format!("id is {}, must be a text", kind(id)))?
                .to_owned(),
            parent: parent.map(|parent| Self::read(parent, depth - 1)).transpose()?.map(Box::new),
            children,
        })
    }

    /// The form on the wire.
    pub fn to_value(&self) -> Value {
        let parent = self.parent.as_ref().map(|parent| parent.to_value());
        let children: Option<Vec<_>> =
            self.children.as_ref().map(|children| children.iter().map(Self::to_value).collect());
        json!([[self.id, parent], children])
    }

    /// Reads the `children` of a result; null is none.
    ///
    /// # Errors
    /// As [`from_value`](Self::from_value).
    pub fn list(children: &Value) -> Result<Vec<Self>, String> {
        match children {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) => items.iter().map(Self::from_value).collect(),
            other => Err(format!("children are {}, must be a list", kind(other))),
        }
    }

    /// Reads a saved group: the value of [`group_key`](crate::group_key).
    ///
    /// # Errors
    /// [`DecodeError::NotResult`]: the bytes are no saved group. Treat it as not saved.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let not_result = |reason| DecodeError::NotResult { reason };
        let value = reader::read_lossy(bytes).map_err(not_result)?;
        let Some(tree) = value.get("result") else {
            return Err(not_result(format!("no `result` in {}", excerpt(&value))));
        };
        let tree = Self::from_value(tree).map_err(not_result)?;
        match tree.children {
            Some(_) => Ok(tree),
            None => Err(not_result("a task instead of a group".to_owned())),
        }
    }

    /// The bytes of a group to be saved.
    pub fn encode(&self) -> Vec<u8> {
        dumps(&json!({"result": self.to_value()}))
    }
}

fn pair(value: &Value) -> Result<&[Value; 2], String> {
    let items = value.as_array().map(Vec::as_slice);
    items
        .and_then(|items| items.try_into().ok())
        .ok_or_else(|| format!("{} is no pair", excerpt(value)))
}

/// How one task of a chord's header has ended.
///
/// It is a member of the sorted set [`ChordKeys::parts`](crate::ChordKeys), scored by the place in
/// the header: `[1, task_id, state, result]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ChordPart {
    /// The id of the task.
    pub task_id: String,
    /// The final state of the task.
    pub state: State,
    /// The value, or the exception as [`Exception::to_value`] gives it; sealed where it cannot be
    /// held, so that the chord's body gets it as it was: see [`exact`](crate::exact()).
    pub result: Value,
}

impl ChordPart {
    /// Reads a member.
    ///
    /// # Errors
    /// [`DecodeError::NotResult`]: the bytes were not written by a task of a chord.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let not_result = |reason| DecodeError::NotResult { reason };
        let value = reader::read(bytes).map_err(not_result)?;
        match value.as_array().map(Vec::as_slice) {
            Some([_, Value::String(task_id), Value::String(state), result]) => Ok(Self {
                task_id: task_id.clone(),
                state: State::from(state.as_str()),
                result: result.clone(),
            }),
            _ => Err(not_result(format!("{} is no part of a chord", excerpt(&value)))),
        }
    }

    /// The bytes to be added.
    pub fn encode(&self) -> Vec<u8> {
        dumps(&json!([1, self.task_id, self.state.as_str(), self.result]))
    }

    /// The exception that the chord's body gets when this part has failed.
    ///
    /// Celery words it `Dependency <id> raised ValueError('boom')`.
    pub fn failure(&self) -> Option<Exception> {
        if !matches!(self.state, State::Failure | State::Revoked) {
            return None;
        }
        let raised = Exception::from_value(&self.result)
            .map_or_else(|| repr(&self.result), |exception| exception.to_string());
        Some(Exception::chord_error(&format!("Dependency {} raised {raised}", self.task_id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_values_are_refused_with_a_reason() {
        let check = |value: Value, expected: &str| {
            assert_eq!(ResultTree::from_value(&value).unwrap_err(), expected);
        };
        check(json!("a"), "\"a\" is no pair");
        check(json!([["a", null]]), "[[\"a\", null]] is no pair");
        check(json!([[1, null], null]), "id is a number, must be a text");
        check(json!([["a", null], {}]), "children are an object, must be a list");
        check(json!([["a", null], [[1]]]), "[1] is no pair");
        let deep = (0..100).fold(json!(null), |inner, _| json!([["a", inner], null]));
        check(deep, "nested deeper than 64 levels");
        for bytes in [&b"[]"[..], b"{}", b"{\"result\": [[\"a\", null], null]}", b"\x80\x04"] {
            assert!(ResultTree::decode(bytes).is_err());
        }
        for bytes in [&b"[]"[..], b"[1, \"a\", \"SUCCESS\"]", b"[1, 2, \"SUCCESS\", 3]", b"{"] {
            assert!(ChordPart::decode(bytes).is_err());
        }
    }

    #[test]
    fn old_and_empty_forms_are_read() {
        assert_eq!(ResultTree::from_value(&json!(["a", null])), Ok(ResultTree::task("a")));
        assert_eq!(ResultTree::list(&json!(null)), Ok(Vec::new()));
        assert!(ResultTree::list(&json!({})).is_err());
    }

    #[test]
    fn only_a_failed_part_fails_the_chord() {
        let part = |state: &str, result: Value| ChordPart {
            task_id: "a".to_owned(),
            state: State::from(state),
            result,
        };
        assert_eq!(part("SUCCESS", json!(1)).failure(), None);
        let boom = Exception::builtin("ValueError", vec![json!("hdr")]).to_value();
        let failure = part("FAILURE", boom).failure().unwrap();
        assert_eq!(failure, Exception::chord_error("Dependency a raised ValueError('hdr')"));
        let odd = part("REVOKED", json!("x")).failure().unwrap();
        assert_eq!(odd, Exception::chord_error("Dependency a raised 'x'"));
    }
}
