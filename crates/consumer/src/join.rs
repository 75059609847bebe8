//! The results of a chord's header, brought together for its body.

use std::{collections::HashMap, time::Duration};

use rhubarb_queue::{Error, error::redis, piece::Piece, script::VALUES};
use rhubarb_wire::{ChordPart, Exception, State, TaskResult, seal};
use serde_json::Value;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use crate::{
    follow::{ChordCause, PartReturn},
    script,
    settler::Settler,
};

/// How many results are looked up at once.
const CHUNK: usize = 1000;
/// About how many bytes are read at once: the connection may be one whose answers Redis bounds.
const PIECE: usize = 1 << 20;
/// From how many bytes on the results of chords are brought together one after the other.
const LARGE: usize = 1 << 20;

/// How long results of a nested header are waited for: Celery's `result_chord_join_timeout`.
///
/// Clients of 5.4 count such a header wrongly (a group in it has the header's id), so that its body
/// may be asked for before all of it has ended.
const WAIT: Duration = Duration::from_secs(3);
/// How long until they are looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Returns the results in their order, or why there are none; with it the turn of large ones, to be
/// kept until the body is published.
///
/// Where the header is nested, its results are as nested: each task's is then looked up by its id.
pub(super) async fn results(
    settler: &Settler,
    part: &PartReturn,
) -> Result<(Result<Vec<Value>, ChordCause>, Option<OwnedSemaphorePermit>), Error> {
    let mut bounds = Bounds::new(settler.config.max_message_bytes);
    let results = within(settler, part, &mut bounds).await?;
    Ok((results, bounds.turn))
}

async fn within(
    settler: &Settler,
    part: &PartReturn,
    bounds: &mut Bounds,
) -> Result<Result<Vec<Value>, ChordCause>, Error> {
    let parts = match collected(settler, &part.group, bounds).await? {
        Ok(parts) => parts,
        Err(cause) => return Ok(Err(cause)),
    };
    match saved(settler, &part.group, bounds).await? {
        Ok(Some(tree)) => nested(settler, &tree, parts, bounds).await,
        Ok(None) => Ok(parts.into_iter().map(value).collect()),
        Err(cause) => Ok(Err(cause)),
    }
}

fn value(part: ChordPart) -> Result<Value, ChordCause> {
    match part.state {
        State::Failure | State::Revoked => {
            Err(ChordCause::dependency(&part.task_id, exception(&part.result)))
        }
        _ => Ok(part.result),
    }
}

/// What a failure's result raises; one that is no exception is shown as it is.
fn exception(value: &Value) -> Exception {
    Exception::from_value(value)
        .unwrap_or_else(|| Exception::builtin("Exception", vec![value.clone()]))
}

/// Reads the collection in its order, in bounded steps and up to the size of a message. No piece is
/// asked for whose size is not known to fit.
async fn collected(
    settler: &Settler,
    group: &str,
    bounds: &mut Bounds,
) -> Result<Result<Vec<ChordPart>, ChordCause>, Error> {
    let key = [settler.broker.client.group_key(group, ".j")];
    let (mut parts, mut first) = (Vec::new(), 0);
    loop {
        let args = [first, bounds.left, PIECE].map(|n| n.to_string().into_bytes());
        let Piece { next, values } = settler
            .broker
            .client
            .results()
            .eval(&script::PARTS, &key, &args, &[])
            .await
            .map_err(redis(format!("read the parts of chord `{group}`")))?;
        parts.extend(values.iter().map(|member| read(member)));
        bounds.spend(settler, &values).await;
        match next {
            -2 => return Ok(Err(bounds.too_large())),
            -1 => return Ok(Ok(parts)),
            next => first = usize::try_from(next).unwrap_or_default(),
        }
    }
}

/// What may still be read for one chord.
#[derive(Debug)]
struct Bounds {
    left: usize,
    max: usize,
    /// Large ones are brought together one after the other.
    turn: Option<OwnedSemaphorePermit>,
}

impl Bounds {
    fn new(max: usize) -> Self {
        Self { left: max, max, turn: None }
    }

    async fn spend(&mut self, settler: &Settler, values: &[Vec<u8>]) {
        self.left = self.left.saturating_sub(values.iter().map(Vec::len).sum());
        if self.turn.is_none() && self.max - self.left > LARGE {
            self.turn = settler.large_joins.turn().await;
        }
    }

    fn too_large(&self) -> ChordCause {
        let text = format!(
            "the results of the header have more than worker.max_message_bytes = {}",
            self.max
        );
        ChordCause::join(Exception::builtin("ValueError", vec![text.into()]))
    }
}

/// Reads an entry; one that is something else is a failure that says so.
fn read(member: &[u8]) -> ChordPart {
    let part = ChordPart::decode(member);
    let part = part.map(|part| match part.state {
        State::Failure | State::Revoked => part,
        _ => ChordPart { result: kept(part.result), ..part },
    });
    part.unwrap_or_else(|error| ChordPart {
        task_id: String::new(),
        state: State::Failure,
        result: Exception::builtin("ValueError", vec![error.to_string().into()]).to_value(),
    })
}

/// A result that is only passed on: a container takes no more memory than its text.
fn kept(value: Value) -> Value {
    if value.is_array() || value.is_object() { seal(&value) } else { value }
}

/// The tree of a nested header, as it was saved.
async fn saved(
    settler: &Settler,
    group: &str,
    bounds: &mut Bounds,
) -> Result<Result<Option<Value>, ChordCause>, Error> {
    let key = [settler.broker.client.group_key(group, "")];
    let Piece { next, values } =
        texts(settler, &key, bounds.max, format!("read the group `{group}`")).await?;
    if next == -2 {
        return Ok(Err(bounds.too_large()));
    }
    let tree =
        values.first().and_then(|text| rhubarb_wire::exact(std::str::from_utf8(text).ok()?).ok());
    Ok(Ok(tree.and_then(|mut tree| tree.get_mut("result").map(Value::take))))
}

async fn texts(
    settler: &Settler,
    keys: &[String],
    left: usize,
    operation: String,
) -> Result<Piece, Error> {
    let args = [left, PIECE].map(|n| n.to_string().into_bytes());
    let results = settler.broker.client.results();
    results.eval(&VALUES, keys, &args, &[]).await.map_err(redis(operation))
}

async fn nested(
    settler: &Settler,
    tree: &Value,
    parts: Vec<ChordPart>,
    bounds: &mut Bounds,
) -> Result<Result<Vec<Value>, ChordCause>, Error> {
    let mut known: HashMap<String, ChordPart> =
        parts.into_iter().map(|part| (part.task_id.clone(), part)).collect();
    let until = Instant::now() + WAIT;
    loop {
        if let Err(cause) = look_up(settler, tree, &mut known, bounds).await? {
            return Ok(Err(cause));
        }
        let joined = match join(tree, &known) {
            Ok(Value::Array(values)) => Ok(values),
            Ok(one) => Ok(vec![one]),
            Err(None) if Instant::now() < until => {
                tokio::time::sleep(LOOK_AGAIN).await;
                continue;
            }
            Err(cause) => Err(cause.unwrap_or_else(missing)),
        };
        return Ok(joined);
    }
}

/// Looks up the stored results of the leaves that are not known to have ended.
async fn look_up(
    settler: &Settler,
    tree: &Value,
    known: &mut HashMap<String, ChordPart>,
    bounds: &mut Bounds,
) -> Result<Result<(), ChordCause>, Error> {
    let mut leaves = Vec::new();
    leaves_of(tree, &mut leaves);
    let has_ended = |id: &&str| known.get(*id).is_some_and(|part| part.state.is_final());
    let unknown: Vec<&str> = leaves.into_iter().filter(|id| !has_ended(id)).collect();
    let mut rest = unknown.as_slice();
    while !rest.is_empty() {
        let some = &rest[..rest.len().min(CHUNK)];
        let keys: Vec<String> =
            some.iter().map(|id| settler.broker.client.result_key(id)).collect();
        let operation = "read a header's results".to_owned();
        let Piece { next, values } = texts(settler, &keys, bounds.left, operation).await?;
        bounds.spend(settler, &values).await;
        for (id, found) in some.iter().zip(values) {
            let Ok(result) = TaskResult::decode_exact(&found) else { continue };
            let (task_id, state) = ((*id).to_owned(), result.status);
            let result = kept(result.result);
            known.insert(task_id.clone(), ChordPart { task_id, state, result });
        }
        match usize::try_from(next) {
            Ok(looked_at) => rest = &rest[looked_at.clamp(1, rest.len())..],
            Err(_) => return Ok(Err(bounds.too_large())),
        }
    }
    Ok(Ok(()))
}

/// The ids of the tasks in a tree: `[[id, parent], null]` is a task, `[[id, parent], [members]]` a
/// group.
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

/// Brings the results together; an error without a cause means that one is missing (yet).
fn join(tree: &Value, known: &HashMap<String, ChordPart>) -> Result<Value, Option<ChordCause>> {
    if let Some(Value::Array(members)) = tree.get(1) {
        return members.iter().map(|member| join(member, known)).collect();
    }
    let Some(part) = id_of(tree).and_then(|id| known.get(id)) else { return Err(None) };
    match part.state {
        State::Success => Ok(part.result.clone()),
        State::Failure | State::Revoked => Err(Some(ChordCause::join(exception(&part.result)))),
        _ => Err(None),
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
        assert_eq!(join(&tree, &known).unwrap_err(), None, "it may come yet");
        assert_eq!(missing().message, "Join error: TimeoutError('The operation timed out.')");
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
