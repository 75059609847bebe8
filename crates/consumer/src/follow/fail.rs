//! Failures, told to everything that waits: the rest of a chain, the chord around it, the errbacks.

use std::collections::{HashSet, VecDeque};

use rhubarb_core::clock;
use rhubarb_queue::{Stored, canvas};
use rhubarb_wire::{Exception, Signature, State, TaskResult, memory};
use serde_json::{Map, Value, json};

use super::{Call, Follow, Lineage, PartReturn, group, member, own_part, publish};
use crate::{circumstances::Circumstances, delivery::Received};

/// How a task failed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failed {
    /// FAILURE or REVOKED.
    pub(crate) state: State,
    /// What it raised.
    pub(crate) exception: Exception,
    /// Where, as text.
    pub(crate) traceback: Option<String>,
}

/// The most of an exception, and of a traceback, that is told on, bytes: it may be told to each of
/// ten thousand steps.
const TOLD: usize = 64 * 1024;

impl Failed {
    /// What is told to those who wait: the same, unless that is very large.
    fn told(&self) -> Self {
        let mut told = self.clone();
        if let Some(traceback) = told.traceback.as_mut().filter(|text| text.len() > TOLD) {
            traceback.truncate(traceback.floor_char_boundary(TOLD));
        }
        let size = self.size();
        if size > TOLD { Self { traceback: told.traceback, ..self.brief() } } else { told }
    }

    /// How much its exception takes, bytes.
    fn size(&self) -> usize {
        self.exception.exc_message.iter().map(memory).sum()
    }

    /// The least that can be told.
    fn brief(&self) -> Self {
        let text = format!("{} bytes, stored with the task that raised it", self.size());
        let name = self.exception.exc_type.clone();
        let exc_message = if self.size() > 1_024 {
            vec![text.into()]
        } else {
            self.exception.exc_message.clone()
        };
        let exception = Exception {
            exc_type: name,
            exc_message,
            exc_module: self.exception.exc_module.clone(),
        };
        Self { state: self.state.clone(), exception, traceback: None }
    }
}

/// Decides what follows a failure or a revocation; `stores` tells whether states are stored at all.
pub(crate) fn failure(
    received: &Received,
    failed: &Failed,
    stores: bool,
    around: Circumstances<'_>,
) -> Follow {
    let Ok(body) = received.body() else { return Follow::default() };
    let by = Lineage::of(received, around.celery);
    let value = failed.exception.to_value();
    let mut follow = Follow::default();
    follow.returns.extend(own_part(received, &failed.state, &value, by.clone()));
    follow.add(all(&body.embed.chain, failed, &by, stores, around));
    if failed.state == State::Failure {
        // They are no children: the result is stored before they are called.
        let places = body.embed.errbacks.iter().enumerate();
        let rest = places.filter(|(place, _)| !around.errbacks_called.contains(place));
        let rest: Vec<Signature> = rest.map(|(_, errback)| errback.clone()).collect();
        let errbacks = errbacks(&rest, &by, around);
        follow.add(Follow { children: Vec::new(), ..errbacks });
    }
    follow
}

/// Calls errbacks: each is published as a task with the failed task's id, all as one group, as
/// Celery does with those that it cannot call as functions.
fn errbacks(errbacks: &[Signature], by: &Lineage, around: Circumstances<'_>) -> Follow {
    if errbacks.is_empty() {
        return Follow::default();
    }
    let place = format!("errbacks {}", by.id);
    if let Some(refused) = super::refused_together(errbacks, by, &place, around) {
        return refused;
    }
    let call = Call { args: vec![json!(by.id)], ..super::call(by) };
    publish(&group(errbacks), call, by, &place, around)
}

/// Fails signatures that will never be published, and everything that waits for them.
pub(crate) fn all<'a>(
    signatures: impl IntoIterator<Item = &'a Signature>,
    failed: &Failed,
    by: &Lineage,
    stores: bool,
    around: Circumstances<'_>,
) -> Follow {
    let (results, returns) = ends(signatures, failed, by, around);
    let results = if stores { results.iter().map(Stored::from).collect() } else { Vec::new() };
    Follow { results, returns, ..Follow::default() }
}

/// The most tasks that one failure is told to, and the most bytes that are told to them in full: a
/// canvas may name any number of ids.
const MAX_TOLD: usize = 20_000;
const MAX_TOLD_BYTES: usize = 16 << 20;

/// A signature that is only looked at: one that was read, or one that still is a value in another.
#[derive(Clone, Copy)]
struct Seen<'a> {
    task: &'a str,
    args: Option<&'a [Value]>,
    kwargs: Option<&'a Map<String, Value>>,
    options: Option<&'a Map<String, Value>>,
    subtask_type: Option<&'a str>,
}

impl<'a> From<&'a Signature> for Seen<'a> {
    fn from(signature: &'a Signature) -> Self {
        Self {
            task: &signature.task,
            args: Some(&signature.args),
            kwargs: Some(&signature.kwargs),
            options: Some(&signature.options),
            subtask_type: signature.subtask_type.as_deref(),
        }
    }
}

impl<'a> Seen<'a> {
    fn of(value: &'a Value) -> Option<Self> {
        let map = |key: &str| value.get(key).and_then(Value::as_object);
        Some(Self {
            task: value.get("task")?.as_str()?,
            args: value.get("args").and_then(Value::as_array).map(Vec::as_slice),
            kwargs: map("kwargs"),
            options: map("options"),
            subtask_type: value.get("subtask_type").and_then(Value::as_str),
        })
    }

    fn option(&self, name: &str) -> Option<&'a Value> {
        self.options?.get(name)
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.option(name)?.as_str()
    }

    /// What has ids of its own inside a canvas that will never run.
    fn inside(self) -> impl Iterator<Item = Self> {
        let value = match self.subtask_type {
            // Whoever waits for a chord waits for its body.
            Some("chord") => self.kwargs.and_then(|it| it.get("body")).map(std::slice::from_ref),
            Some("group" | "chain") => {
                self.kwargs.and_then(|it| it.get("tasks")?.as_array()).map(Vec::as_slice)
            }
            _ => None,
        };
        value.unwrap_or_default().iter().filter_map(Self::of)
    }
}

/// How signatures that will never be published end, each id once: a chain has the id of its last
/// step, and it is the chain that knows of its chord.
fn ends<'a>(
    signatures: impl IntoIterator<Item = &'a Signature>,
    failed: &Failed,
    by: &Lineage,
    around: Circumstances<'_>,
) -> (Vec<TaskResult>, Vec<PartReturn>) {
    let (mut results, mut returns) = (Vec::new(), Vec::new());
    let (mut failed, mut bytes) = (failed.told(), 0);
    let mut told = HashSet::new();
    let mut waiting: VecDeque<Seen<'_>> = signatures.into_iter().map(Seen::from).collect();
    while let Some(seen) = waiting.pop_front() {
        if let Some(id) = seen.text("task_id").filter(|id| told.insert(*id)) {
            bytes += failed.size() + seen.args.into_iter().flatten().map(memory).sum::<usize>();
            if bytes > MAX_TOLD_BYTES {
                failed = failed.brief();
            }
            let extended = around.celery.result_extended && bytes <= MAX_TOLD_BYTES;
            results.push(state_of(id, seen, &failed, extended, around));
            returns.extend(part_of(id, seen, &failed, by));
        }
        if results.len() >= MAX_TOLD {
            tracing::warn!(id = by.id, told = MAX_TOLD, "a failure is not told to all that wait");
            break;
        }
        waiting.extend(seen.inside());
    }
    (results, returns)
}

fn state_of(
    id: &str,
    seen: Seen<'_>,
    failed: &Failed,
    extended: bool,
    around: Circumstances<'_>,
) -> TaskResult {
    let text = |name: &str| seen.text(name).map(str::to_owned);
    let mut result = TaskResult {
        traceback: failed.traceback.clone(),
        date_done: Some(clock::iso(around.now)),
        group_id: text("group_id"),
        parent_id: text("parent_id"),
        ..TaskResult::new(id, failed.state.clone(), failed.exception.to_value())
    };
    if extended {
        for (key, value) in [
            ("name", json!(seen.task)),
            ("args", json!(seen.args.unwrap_or_default())),
            ("kwargs", json!(seen.kwargs.unwrap_or(&Map::new()))),
            ("worker", Value::Null),
            ("retries", json!(0)),
            ("queue", Value::Null),
        ] {
            result.other.insert(key.to_owned(), value);
        }
    }
    result
}

/// The part of a chord that a signature would have been.
fn part_of(id: &str, seen: Seen<'_>, failed: &Failed, by: &Lineage) -> Option<PartReturn> {
    Some(PartReturn {
        task_id: id.to_owned(),
        group: seen.text("group_id")?.to_owned(),
        index: seen.option("group_index").and_then(Value::as_u64),
        member: member(id, &failed.state, &failed.exception.to_value()),
        body: Signature::from_value(seen.option("chord")?.clone()).ok()?,
        by: by.clone(),
    })
}

/// Decides what a chord whose header has failed does: its body fails, and what waits for that.
pub(crate) fn chord_failed(
    part: &PartReturn,
    cause: ChordCause,
    around: Circumstances<'_>,
) -> Follow {
    let body = &part.body;
    let raised =
        |exception: Exception, traceback| Failed { state: State::Failure, exception, traceback };
    let is_group = body.subtask_type.as_deref() == Some("group");
    let failed = match cause.origin {
        // Celery tells the members of a group what was raised in the header, anybody else that the
        // chord failed.
        Some(origin) if is_group => raised(origin, None),
        _ => {
            let text = format!(
                "Traceback (most recent call last):\n  the header of chord {}\ncelery.exceptions.ChordError: {}\n",
                part.group, cause.message
            );
            raised(Exception::chord_error(&cause.message), Some(text))
        }
    };
    let (mut results, returns) = ends([body], &failed, &part.by, around);
    let told = Failed { traceback: None, ..failed };
    let rest = body.options.get("chain").cloned().unwrap_or_default();
    let mut follow = all(&signatures(&rest), &told, &part.by, true, around);
    for (id, errors) in errbacks_of(body, around.max_canvas_bytes) {
        // As Celery has it: for the errbacks of a body the body is the root, and they are its
        // children.
        let by = Lineage { id: id.clone(), root_id: id, ..part.by.clone() };
        let mut errbacks = errbacks(&errors, &by, around);
        let children = std::mem::take(&mut errbacks.children);
        if let Some(result) = results.iter_mut().find(|result| result.task_id == by.id) {
            result.children = Value::Array(children);
        }
        follow.add(errbacks);
    }
    // The group of a body is its header, which Celery tells of a body that ran only.
    if let Some(result) = results.first_mut() {
        result.group_id = None;
    }
    follow.results.splice(0..0, results.iter().map(Stored::from));
    follow.returns.splice(0..0, returns);
    follow
}

/// Why the body of a chord never runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ChordCause {
    /// Celery's words.
    pub(crate) message: String,
    /// What a part of the header has raised, if that is why.
    pub(crate) origin: Option<Exception>,
}

impl ChordCause {
    /// A part of the header failed.
    pub(crate) fn dependency(id: &str, exception: Exception) -> Self {
        Self::new(format!("Dependency {id} raised {exception}"), exception)
    }

    /// The results could not be brought together.
    pub(crate) fn join(exception: Exception) -> Self {
        Self::new(format!("Join error: {exception}"), exception)
    }

    fn new(mut message: String, origin: Exception) -> Self {
        message.truncate(message.floor_char_boundary(TOLD));
        Self { message, origin: Some(origin) }
    }
}

/// The errbacks of a body, by the id that they are told: a group's members have theirs and the
/// group's, each once.
fn errbacks_of(body: &Signature, limit: usize) -> Vec<(String, Vec<Signature>)> {
    let linked = |signature: &Signature| {
        signatures(signature.options.get("link_error").unwrap_or(&Value::Null))
    };
    let id = |signature: &Signature| {
        signature.options.get("task_id").and_then(Value::as_str).map(str::to_owned)
    };
    let one = |signature: &Signature, more: &[Signature]| {
        let mut all = linked(signature);
        for errback in more {
            if !all.contains(errback) {
                all.push(errback.clone());
            }
        }
        Some((id(signature)?, all))
    };
    if body.subtask_type.as_deref() != Some("group") {
        return one(body, &[]).into_iter().collect();
    }
    let of_group = linked(body);
    let each: usize = of_group.iter().map(canvas::weight).sum();
    let members = body.kwargs.get("tasks").and_then(Value::as_array).into_iter().flatten();
    // Each member is given copies of the group's: no more of them than may be published.
    let most = limit.checked_div(each).unwrap_or(usize::MAX);
    let members = members.filter_map(|value| Signature::from_value(value.clone()).ok());
    members.take(most).filter_map(|member| one(&member, &of_group)).collect()
}

/// Reads a list of signatures out of an option; a single one stands for a list of itself.
fn signatures(value: &Value) -> Vec<Signature> {
    let values = match value {
        Value::Array(values) => values.as_slice(),
        Value::Null => &[],
        one => std::slice::from_ref(one),
    };
    values.iter().filter_map(|value| Signature::from_value(value.clone()).ok()).collect()
}
