//! What a task's end in a child means. Pure.

use std::time::Duration;

use rhubarb::{
    Exception,
    outside::{Ending, Made, Outcome},
};
use serde::Deserialize;
use serde_json::Value;

use crate::asked::To;

/// What a child tells of a task's end.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct End {
    /// Celery's state; UNREADABLE or EXITED beside.
    state: String,
    /// Whether what follows was made by Celery's tracer.
    told: bool,
    /// The value, as a person reads it.
    text: Option<String>,
    /// What was raised.
    error: Option<Raised>,
    traceback: Option<String>,
    requeue: bool,
    reason: Option<String>,
    /// The code of a task that has ended its process.
    code: Option<String>,
    /// The place of the state among the parts, and that of its part of a chord.
    stored: Option<usize>,
    part: Option<usize>,
    /// Where the rest of the parts go.
    messages: Vec<To>,
    errbacks_called: Vec<usize>,
    /// Whether the worker has to tell those who wait for a task that failed.
    rest: bool,
    /// Whether the child ends now.
    pub(crate) exits: u8,
    /// The child's resident memory at its peak, bytes; where it was asked for.
    pub(crate) rss: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Raised {
    exc_type: String,
    exc_message: Vec<Value>,
    exc_module: String,
}

impl From<Raised> for Exception {
    fn from(raised: Raised) -> Self {
        Self::new(&raised.exc_module, &raised.exc_type, raised.exc_message)
    }
}

/// Decides what an end means for its message.
pub(crate) fn ending(end: End, mut parts: Vec<Vec<u8>>) -> Ending {
    let first = parts.len().saturating_sub(end.messages.len());
    let bodies = parts.split_off(first);
    let mut part =
        |place: Option<usize>| place.and_then(|place| parts.get_mut(place)).map(std::mem::take);
    let (stored, own_part) = (part(end.stored), part(end.part));
    let messages = end.messages.into_iter().zip(bodies).map(|(to, body)| to.with(body)).collect();
    let value = stored.as_deref().and_then(value_of);
    let exception = end.error.map_or_else(|| unexplained(&end.state), Exception::from);
    let traceback = end.traceback;
    let outcome = match end.state.as_str() {
        "SUCCESS" => Outcome::Success(value.unwrap_or_else(|| end.text.into())),
        "RETRY" => {
            let (after, again) = (Duration::ZERO, Box::default());
            Outcome::Retry { exception, traceback, after, again }
        }
        "IGNORED" => Outcome::Ignored,
        "REJECTED" => {
            let reason = end.reason.unwrap_or_default();
            Outcome::Rejected { requeue: end.requeue, reason }
        }
        "UNREADABLE" => {
            Outcome::Dead { reason: format!("Python cannot read it: {exception}"), exception }
        }
        "EXITED" => {
            let code = end.code.unwrap_or_default();
            let text = format!("Worker exited prematurely: exitcode {code}.");
            Outcome::Failure { exception: worker_lost(text), traceback }
        }
        _ => Outcome::Failure { exception, traceback },
    };
    let made = Made { state: stored, messages, part: own_part, told: !end.rest };
    Ending {
        made: end.told.then(|| Box::new(made)),
        errbacks_called: end.errbacks_called,
        ..outcome.into()
    }
}

/// Returns the value in a state that is JSON, for those who are told of it.
fn value_of(state: &[u8]) -> Option<Value> {
    let Value::Object(mut state) = serde_json::from_slice(state).ok()? else { return None };
    state.remove("result")
}

fn unexplained(state: &str) -> Exception {
    Exception::builtin("RuntimeError", vec![format!("the task ended as {state}").into()])
}

/// Celery's `WorkerLostError`.
pub(crate) fn worker_lost(text: String) -> Exception {
    Exception::new("billiard.exceptions", "WorkerLostError", vec![text.into()])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ended(head: Value, parts: &[&[u8]]) -> Ending {
        let end = serde_json::from_value(head).unwrap();
        ending(end, parts.iter().map(|part| part.to_vec()).collect())
    }

    #[test]
    fn a_success_has_its_state_its_value_and_what_follows() {
        let head = json!({"state": "SUCCESS", "told": true, "stored": 0, "rest": true,
            "messages": [{"queue": "q", "priority": 3}]});
        let Ending { outcome, made, .. } = ended(head, &[br#"{"result": [7]}"#, b"next"]);
        assert_eq!(outcome, Outcome::Success(json!([7])));
        let made = made.unwrap();
        assert_eq!(made.state.as_deref(), Some(&br#"{"result": [7]}"#[..]));
        assert_eq!((made.messages[0].queue.as_str(), made.messages[0].priority), ("q", 3));
        assert_eq!(made.messages[0].message, b"next");
    }

    #[test]
    fn a_state_that_is_no_json_is_stored_as_it_is() {
        let head = json!({"state": "SUCCESS", "told": true, "stored": 0, "text": "<Set>"});
        let Ending { outcome, made, .. } = ended(head, &[b"\x80\x04N."]);
        assert_eq!(outcome, Outcome::Success(json!("<Set>")));
        assert_eq!(made.unwrap().state.unwrap(), b"\x80\x04N.");
    }

    #[test]
    fn what_the_tracer_did_not_tell_is_planned_by_the_worker() {
        let error = json!({"exc_type": "MemoryError", "exc_message": [], "exc_module": "builtins"});
        let end = ended(json!({"state": "FAILURE", "error": error, "traceback": "t"}), &[]);
        assert!(end.made.is_none());
        let Outcome::Failure { exception, .. } = end.outcome else { panic!("{:?}", end.outcome) };
        assert_eq!(exception.exc_type, "MemoryError");
        let end = ended(json!({"state": "EXITED", "code": "3", "exits": 1}), &[]);
        let Outcome::Failure { exception, .. } = end.outcome else { panic!("{:?}", end.outcome) };
        assert_eq!(exception.exc_type, "WorkerLostError");
    }

    #[test]
    fn places_that_there_are_not_are_nothing() {
        let head = json!({"state": "SUCCESS", "told": true, "stored": 9, "part": 1});
        let Ending { made, .. } = ended(head, &[]);
        assert_eq!((made.clone().unwrap().state, made.unwrap().part), (None, None));
    }
}
