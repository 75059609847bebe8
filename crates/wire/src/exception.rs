//! Exceptions as Celery stores them: a class by name and its arguments.

use std::fmt;

use rhubarb_pyvalue::repr;
use serde_json::{Map, Value, json};

use crate::json;

/// A Python exception in a stored result.
///
/// A client makes it real again by importing nothing: it looks for the class in modules it already
/// has, and otherwise makes up a class of that name. A name from `builtins` must be that of an
/// exception, or the client refuses it, so other names need a module of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Exception {
    /// The qualified name of the class, such as `ValueError` or `Outer.Inner`.
    pub exc_type: String,
    /// The arguments the class is called with.
    pub exc_message: Vec<Value>,
    /// The module of the class; `None` means that the name alone has to do.
    pub exc_module: Option<String>,
}

impl Exception {
    /// An exception of any module.
    pub fn new(module: &str, exc_type: &str, args: Vec<Value>) -> Self {
        Self {
            exc_type: exc_type.to_owned(),
            exc_message: args,
            exc_module: Some(module.to_owned()),
        }
    }

    /// An exception of Python itself, such as `ValueError`.
    pub fn builtin(exc_type: &str, args: Vec<Value>) -> Self {
        Self::new("builtins", exc_type, args)
    }

    /// `NotRegistered`: no worker code for the task `name`.
    pub fn not_registered(name: &str) -> Self {
        Self::new(CELERY, "NotRegistered", vec![json!(name)])
    }

    /// `TimeLimitExceeded`: ended at the hard limit of `seconds`.
    pub fn time_limit_exceeded(seconds: f64) -> Self {
        Self::new(BILLIARD, "TimeLimitExceeded", vec![json::seconds(seconds)])
    }

    /// `SoftTimeLimitExceeded`: asked to end at the soft limit.
    pub fn soft_time_limit_exceeded() -> Self {
        Self::new(BILLIARD, "SoftTimeLimitExceeded", Vec::new())
    }

    /// `TaskRevokedError`; Celery's own reasons are `expired`, `revoked` and `terminated`.
    pub fn task_revoked(reason: &str) -> Self {
        Self::new(CELERY, "TaskRevokedError", vec![json!(reason)])
    }

    /// `MaxRetriesExceededError`: the last attempt failed without an exception of its own.
    pub fn max_retries_exceeded(message: &str) -> Self {
        Self::new(CELERY, "MaxRetriesExceededError", vec![json!(message)])
    }

    /// `WorkerLostError`: the worker died while the task ran.
    pub fn worker_lost(message: &str) -> Self {
        Self::new(BILLIARD, "WorkerLostError", vec![json!(message)])
    }

    /// `kombu.exceptions.DecodeError`: the message could not be read.
    pub fn decode_error(message: &str) -> Self {
        Self::new(KOMBU, "DecodeError", vec![json!(message)])
    }

    /// `kombu.exceptions.ContentDisallowed`: the body is in a refused format.
    pub fn content_disallowed(message: &str) -> Self {
        Self::new(KOMBU, "ContentDisallowed", vec![json!(message)])
    }

    /// `ChordError`: a part of the chord failed, so its body never runs.
    pub fn chord_error(message: &str) -> Self {
        Self::new(CELERY, "ChordError", vec![json!(message)])
    }

    /// `celery.exceptions.Retry`, for a RETRY result without an exception of its own.
    ///
    /// A retry that has a cause stores the cause instead, as Celery does.
    pub fn retry(message: &str) -> Self {
        Self::new(CELERY, "Retry", vec![json!(message)])
    }

    /// Reads the `result` of a failure; `None` when it is not an exception.
    ///
    /// Old producers write the arguments as one text: it is taken as the only argument.
    pub fn from_value(value: &Value) -> Option<Self> {
        let map = value.as_object()?;
        let exc_message = match map.get("exc_message") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(args)) => args.clone(),
            Some(one) => vec![one.clone()],
        };
        let exc_module = map.get("exc_module").and_then(json::text);
        Some(Self { exc_type: map.get("exc_type").and_then(json::text)?, exc_message, exc_module })
    }

    /// The `result` of a failure.
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("exc_type".to_owned(), json!(self.exc_type));
        map.insert("exc_message".to_owned(), json!(self.exc_message));
        map.insert("exc_module".to_owned(), json!(self.exc_module));
        Value::Object(map)
    }
}

const CELERY: &str = "celery.exceptions";
const BILLIARD: &str = "billiard.exceptions";
const KOMBU: &str = "kombu.exceptions";

/// Prints as Python's `repr` does: `ValueError('boom')`.
impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.exc_type.rsplit('.').next().unwrap_or_default();
        write!(f, "{name}({})", repr::joined(&self.exc_message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_python_does() {
        let check =
            |exception: Exception, expected: &str| assert_eq!(exception.to_string(), expected);
        check(Exception::builtin("ValueError", vec![json!("boom")]), "ValueError('boom')");
        check(Exception::soft_time_limit_exceeded(), "SoftTimeLimitExceeded()");
        check(Exception::time_limit_exceeded(1.0), "TimeLimitExceeded(1)");
        check(
            Exception::new("app", "Outer.Inner", vec![json!("it's"), json!(null)]),
            "Inner(\"it's\", None)",
        );
    }

    #[test]
    fn text_in_place_of_arguments_is_accepted() {
        let read = |value: Value| Exception::from_value(&value);
        let expected =
            Exception { exc_type: "E".to_owned(), exc_message: vec![json!("m")], exc_module: None };
        assert_eq!(read(json!({"exc_type": "E", "exc_message": "m"})), Some(expected));
        assert_eq!(read(json!({"exc_message": ["m"]})), None);
        assert_eq!(read(json!("E")), None);
    }
}
