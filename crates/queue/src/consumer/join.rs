//! The results of a chord's header, brought together for its body.

use std::collections::HashMap;

use rhubarb_wire::{Exception, State, TaskResult};
use serde_json::Value;

use super::Shared;
use crate::{
    Error,
    error::redis,
    follow::{ChordCause, PartReturn},
};

/// How many parts are read at once.
const CHUNK: usize = 1000;

/// One entry of a chord's collection.
struct Part {
    id: String,
    state: State,
    value: Value,
}

/// Returns the results in their order, or why there are none.
///
/// Where the header is nested, its results are as nested: each task's is then looked up by its id.
pub(super) async fn results(
    shared: &Shared,
    part: &PartReturn,
) -> Result<Result<Vec<Value>, ChordCause>, Error> {
    let parts = match collected(shared, &part.group).await? {
        Ok(parts) => parts,
        Err(cause) => return Ok(Err(cause)),
    };
    match saved(shared, &part.group).await? {
        Some(tree) => nested(shared, &tree, parts).await,
        None => Ok(parts.into_iter().map(value).collect()),
    }
}

fn value(part: Part) -> Result<Value, ChordCause> {
    match part.state {
        State::Failure | State::Revoked => {
            Err(ChordCause::dependency(&part.id, exception(&part.value)))
        }
        _ => Ok(part.value),
    }
}

/// What a failure's result raises; one that is no exception is shown as it is.
fn exception(value: &Value) -> Exception {
    Exception::from_value(value)
        .unwrap_or_else(|| Exception::builtin("Exception", vec![value.clone()]))
}

/// Reads the collection in its order, in bounded steps and up to the size of a message.
async fn collected(shared: &Shared, group: &str) -> Result<Result<Vec<Part>, ChordCause>, Error> {
    let key = shared.client.group_key(group, ".j");
    let (mut parts, mut bytes) = (Vec::new(), 0);
    loop {
        let mut range = ::redis::cmd("ZRANGE");
        range.arg(&key).arg(parts.len()).arg(parts.len() + CHUNK - 1);
        let members: Vec<Vec<u8>> = shared
            .client
            .results
            .query(&range)
            .await
            .map_err(redis(format!("read the parts of chord `{group}`")))?;
        let n = members.len();
        bytes += members.iter().map(Vec::len).sum::<usize>();
        if bytes > shared.config.max_message_bytes {
            let text = format!(
                "the results of the header have more than worker.max_message_bytes = {}",
                shared.config.max_message_bytes
            );
            let exception = Exception::builtin("ValueError", vec![text.into()]);
            return Ok(Err(ChordCause::join(exception)));
        }
        parts.extend(members.iter().map(|member| read(member)));
        if n < CHUNK {
            return Ok(Ok(parts));
        }
    }
}

/// Reads `[1, task id, state, result]`; an entry that is something else is a failure that says so.
fn read(member: &[u8]) -> Part {
    let odd = || Part {
        id: String::new(),
        state: State::Failure,
        value: Exception::builtin("ValueError", vec!["a part of the chord is unreadable".into()])
            .to_value(),
    };
    // Python's NaN and large integers are read as everywhere else: through the reader of results.
    let Ok(text) = std::str::from_utf8(member) else { return odd() };
    let wrapped = format!("{{\"status\": \"SUCCESS\", \"result\": {text}}}");
    let Ok(TaskResult { result: Value::Array(fields), .. }) =
        TaskResult::decode(wrapped.as_bytes())
    else {
        return odd();
    };
    match <[Value; 4]>::try_from(fields) {
        Ok([_, Value::String(id), Value::String(state), value]) => {
            Part { id, state: State::from(state.as_str()), value }
        }
        _ => odd(),
    }
}

/// The tree of a nested header, as it was saved.
async fn saved(shared: &Shared, group: &str) -> Result<Option<Value>, Error> {
    let key = shared.client.group_key(group, "");
    let text: Option<Vec<u8>> = shared
        .client
        .results
        .query(::redis::cmd("GET").arg(key))
        .await
        .map_err(redis(format!("read the group `{group}`")))?;
    let tree = text.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    Ok(tree.and_then(|mut tree| tree.get_mut("result").map(Value::take)))
}

async fn nested(
    shared: &Shared,
    tree: &Value,
    parts: Vec<Part>,
) -> Result<Result<Vec<Value>, ChordCause>, Error> {
    let mut known: HashMap<String, Part> =
        parts.into_iter().map(|part| (part.id.clone(), part)).collect();
    let mut leaves = Vec::new();
    leaves_of(tree, &mut leaves);
    let unknown: Vec<&str> = leaves.into_iter().filter(|id| !known.contains_key(*id)).collect();
    for ids in unknown.chunks(CHUNK) {
        let mut get = ::redis::cmd("MGET");
        get.arg(ids.iter().map(|id| shared.client.result_key(id)).collect::<Vec<_>>());
        let found: Vec<Option<Vec<u8>>> =
            shared.client.results.query(&get).await.map_err(redis("read a header's results"))?;
        for (id, found) in ids.iter().zip(found) {
            let Some(result) = found.and_then(|bytes| TaskResult::decode(&bytes).ok()) else {
                continue;
            };
            let part = Part { id: (*id).to_owned(), state: result.status, value: result.result };
            known.insert(part.id.clone(), part);
        }
    }
    let joined = join(tree, &known);
    Ok(joined.map(|value| match value {
        Value::Array(values) => values,
        one => vec![one],
    }))
}

/// The ids of the tasks in a tree: `[[id, parent], null]` is a task, `[[id, parent], [members]]` a group.
fn leaves_of<'a>(tree: &'a Value, leaves: &mut Vec<&'a str>) {
    match tree.get(1) {
        Some(Value::Array(members)) => {
            members.iter().for_each(|member| leaves_of(member, leaves));
        }
        _ => leaves.extend(id_of(tree)),
    }
}

fn id_of(tree: &Value) -> Option<&str> {
    tree.get(0)?.get(0)?.as_str()
}

fn join(tree: &Value, known: &HashMap<String, Part>) -> Result<Value, ChordCause> {
    if let Some(Value::Array(members)) = tree.get(1) {
        return members.iter().map(|member| join(member, known)).collect();
    }
    let Some(part) = id_of(tree).and_then(|id| known.get(id)) else { return Err(missing()) };
    match part.state {
        State::Success => Ok(part.value.clone()),
        State::Failure | State::Revoked => Err(ChordCause::join(exception(&part.value))),
        _ => Err(missing()),
    }
}

/// A task whose result is ignored stores none: Celery waits for it in vain and says this.
fn missing() -> ChordCause {
    let text = "The operation timed out.";
    ChordCause::join(Exception::new("celery.exceptions", "TimeoutError", vec![text.into()]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nested_results_are_as_nested_as_their_header() {
        let tree = json!([
            ["g", null],
            [[["a", null], null], [["h", null], [[["b", null], null], [["c", null], null]]]]
        ]);
        let mut known = HashMap::new();
        for (id, state) in [("a", "SUCCESS"), ("b", "SUCCESS"), ("c", "SUCCESS")] {
            let part = read(json!([1, id, state, id]).to_string().as_bytes());
            known.insert(id.to_owned(), part);
        }
        assert_eq!(join(&tree, &known).unwrap(), json!(["a", ["b", "c"]]));
        known.remove("c");
        assert_eq!(
            join(&tree, &known).unwrap_err().message,
            "Join error: TimeoutError('The operation timed out.')"
        );
    }

    #[test]
    fn an_entry_that_is_none_fails_the_chord() {
        for entry in ["", "[]", "[1, 2, 3, 4]", "{", "\u{ff}"] {
            assert_eq!(read(entry.as_bytes()).state, State::Failure, "{entry}");
        }
        let cause = value(read(br#"[1, "x", "REVOKED", {"exc_type": "TaskRevokedError", "exc_message": ["revoked"], "exc_module": "celery.exceptions"}]"#));
        assert_eq!(cause.unwrap_err().message, "Dependency x raised TaskRevokedError('revoked')");
    }
}
