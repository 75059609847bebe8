//! Signatures: calls that are still to be made, carried inside messages.

use serde_json::{Map, Value, json};

use crate::dump::{Json, object};
use crate::error::excerpt;
use crate::json::{self, take, text};

/// A task call as data: a step of a chain, a callback, the body of a chord.
///
/// Groups, chords and chains are signatures too: `subtask_type` names them and their parts are
/// signatures inside `kwargs`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signature {
    /// The name of the task.
    pub task: String,
    /// The positional arguments.
    pub args: Vec<Value>,
    /// The keyword arguments.
    pub kwargs: Map<String, Value>,
    /// How to publish it: `task_id`, `queue`, `priority`, `link`, …
    pub options: Map<String, Value>,
    /// `group`, `chord`, `chain` or nothing.
    pub subtask_type: Option<String>,
    /// Whether the result of the task before is kept out of the arguments.
    pub immutable: bool,
    /// Unknown fields, in order.
    pub other: Map<String, Value>,
}

/// What a signature stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureKind {
    /// A single task.
    Task,
    /// Tasks one after the other.
    Chain,
    /// Tasks side by side.
    Group,
    /// Tasks side by side, and one that gets their results.
    Chord,
    /// One task for each item, all within one message.
    Map,
    /// The same, each item being a list of arguments.
    Starmap,
    /// A starmap cut into messages of so many items.
    Chunks,
}

impl Signature {
    /// Reads a signature; only `task` is needed.
    ///
    /// # Errors
    /// What is wrong with it, as a text to be put into an error.
    pub fn from_value(value: Value) -> Result<Self, String> {
        let Value::Object(mut map) = value else {
            return Err(format!("signature is {}", json::kind(&value)));
        };
        let Some(task) = take(&mut map, "task", text) else {
            return Err(format!("signature names no task: {}", excerpt(&Value::Object(map))));
        };
        Ok(Self {
            task,
            args: list(map.shift_remove("args"), "args")?,
            kwargs: mapping(map.shift_remove("kwargs"), "kwargs")?,
            options: mapping(map.shift_remove("options"), "options")?,
            subtask_type: take(&mut map, "subtask_type", text),
            immutable: take(&mut map, "immutable", Value::as_bool).unwrap_or_default(),
            other: map,
        })
    }

    /// The signature as Celery writes it.
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("task".to_owned(), json!(self.task));
        map.insert("args".to_owned(), json!(self.args));
        map.insert("kwargs".to_owned(), json!(self.kwargs));
        map.insert("options".to_owned(), json!(self.options));
        map.insert("subtask_type".to_owned(), json!(self.subtask_type));
        map.insert("immutable".to_owned(), json!(self.immutable));
        json::extend(&mut map, &self.other);
        Value::Object(map)
    }
}

impl Json for Signature {
    fn dump(&self, out: &mut Vec<u8>) {
        object(out, &self.other, |fields| {
            fields.put("task", &self.task);
            fields.put("args", self.args.as_slice());
            fields.put("kwargs", &self.kwargs);
            fields.put("options", &self.options);
            fields.put("subtask_type", &self.subtask_type);
            fields.put("immutable", &self.immutable);
        });
    }

    fn is_blank(&self) -> bool {
        false
    }
}

/// Reads a list that may be missing or null.
pub(crate) fn list(value: Option<Value>, key: &str) -> Result<Vec<Value>, String> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => Ok(items),
        Some(value) => Err(format!("{key} is {}, must be a list", json::kind(&value))),
    }
}

/// Reads an object that may be missing or null.
pub(crate) fn mapping(value: Option<Value>, key: &str) -> Result<Map<String, Value>, String> {
    match value {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(members)) => Ok(members),
        Some(value) => Err(format!("{key} is {}, must be an object", json::kind(&value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::dumps;

    #[test]
    fn every_field_survives() {
        let value = json!({
            "task": "celery.group", "args": [1], "kwargs": {"tasks": []}, "options": {"task_id": "g"},
            "subtask_type": "group", "immutable": true, "chord_size": 3,
        });
        let signature = Signature::from_value(value.clone()).unwrap();
        assert_eq!(signature.other["chord_size"], 3);
        assert_eq!(signature.to_value(), value);
        assert_eq!(dumps(&signature), dumps(&value));
    }

    #[test]
    fn only_the_task_is_needed() {
        let least = Signature::from_value(json!({"task": "t", "args": null})).unwrap();
        assert_eq!(least, Signature { task: "t".to_owned(), ..Signature::default() });
        for (value, reason) in [
            (json!([]), "signature is a list"),
            (json!({"args": []}), "signature names no task"),
            (json!({"task": "t", "kwargs": []}), "kwargs is a list, must be an object"),
        ] {
            let found = Signature::from_value(value).unwrap_err();
            assert!(found.contains(reason), "{found}");
        }
    }
}
