//! A signature with its parts in view.

use rhubarb_wire::{Signature, memory, memory_of};
use serde_json::{Map, Value, json};

use super::{CanvasError, MAX_BYTES};

/// About what a part takes beside the values that it is made of, bytes: itself, and the options
/// that it is frozen with.
pub(super) const PART: usize = 2_048;

/// A signature whose parts, if it is a canvas, are read too.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) task: String,
    pub(super) args: Vec<Value>,
    /// Without what stands in `kind`.
    pub(super) kwargs: Map<String, Value>,
    pub(super) options: Map<String, Value>,
    pub(super) immutable: bool,
    pub(super) kind: PartKind,
    subtask_type: Option<String>,
    other: Map<String, Value>,
}

#[derive(Clone, Debug)]
pub(super) enum PartKind {
    Task,
    Chain(Vec<Part>),
    Group(Vec<Part>),
    Chord(Box<Chord>),
}

#[derive(Clone, Debug)]
pub(super) struct Chord {
    pub(super) header: Vec<Part>,
    /// The options of the header as a group, once it is frozen; before that it is a list.
    pub(super) header_options: Option<Map<String, Value>>,
    pub(super) body: Option<Part>,
}

impl Part {
    /// Reads a signature that may hold `depth` more levels of canvases.
    pub(super) fn read(mut signature: Signature, depth: usize) -> Result<Self, CanvasError> {
        let depth = depth.checked_sub(1).ok_or(CanvasError::TooDeep)?;
        let kind = match canvas(&signature)? {
            None => PartKind::Task,
            Some("chunks") => return chunks(signature, depth),
            Some("chain") => PartKind::Chain(tasks(&mut signature.kwargs, depth)?),
            Some("group") => PartKind::Group(tasks(&mut signature.kwargs, depth)?),
            Some(_) => PartKind::Chord(Box::new(chord(&mut signature.kwargs, depth)?)),
        };
        let Signature { task, args, kwargs, options, subtask_type, immutable, other } = signature;
        Ok(Self { task, args, kwargs, options, immutable, kind, subtask_type, other })
    }

    fn read_value(value: Value, depth: usize) -> Result<Self, CanvasError> {
        let signature = Signature::from_value(value).map_err(malformed)?;
        Self::read(signature, depth)
    }

    fn canvas(name: &str, options: Map<String, Value>, kind: PartKind) -> Self {
        Self {
            task: format!("celery.{name}"),
            args: Vec::new(),
            kwargs: Map::new(),
            options,
            immutable: false,
            kind,
            subtask_type: Some(name.to_owned()),
            other: Map::new(),
        }
    }

    /// A group of these.
    pub(super) fn group(members: Vec<Self>, options: Map<String, Value>) -> Self {
        Self::canvas("group", options, PartKind::Group(members))
    }

    /// A chord of this header and body.
    pub(super) fn chord(header: Vec<Self>, body: Self, options: Map<String, Value>) -> Self {
        let chord = Chord { header, header_options: None, body: Some(body) };
        let kwargs = Map::from_iter([("kwargs".to_owned(), json!({}))]);
        Self { kwargs, ..Self::canvas("chord", options, PartKind::Chord(Box::new(chord))) }
    }

    /// How many levels of canvases this is.
    pub(super) fn depth(&self) -> usize {
        let deepest = |parts: &[Self]| parts.iter().map(Self::depth).max().unwrap_or_default();
        1 + match &self.kind {
            PartKind::Task => 0,
            PartKind::Chain(parts) | PartKind::Group(parts) => deepest(parts),
            PartKind::Chord(chord) => {
                deepest(&chord.header).max(chord.body.as_ref().map_or(0, Self::depth))
            }
        }
    }

    /// How many tasks report to a chord whose header this is part of.
    ///
    /// Of a chain the last step that is anything, of a chord its body.
    pub(super) fn size(&self) -> u64 {
        match &self.kind {
            PartKind::Task => 1,
            PartKind::Group(members) => members.iter().map(Self::size).sum(),
            PartKind::Chain(steps) => {
                steps.iter().rev().map(Self::size).find(|size| *size > 0).unwrap_or_default()
            }
            PartKind::Chord(chord) => chord.body.as_ref().map_or(0, Self::size),
        }
    }

    pub(super) fn is_empty_group(&self) -> bool {
        matches!(&self.kind, PartKind::Group(members) if members.is_empty())
    }

    pub(super) fn is_empty_chain(&self) -> bool {
        matches!(&self.kind, PartKind::Chain(steps) if steps.is_empty())
    }

    /// A group of one is its member.
    pub(super) fn single(mut self) -> Self {
        while let PartKind::Group(members) = &mut self.kind
            && members.len() == 1
            && let Some(only) = members.pop()
        {
            self = only;
        }
        self
    }

    /// The signature as a message carries it.
    pub(super) fn into_signature(mut self) -> Signature {
        match self.kind {
            PartKind::Task => {}
            PartKind::Chain(parts) | PartKind::Group(parts) => {
                self.kwargs.insert("tasks".to_owned(), list(parts));
            }
            PartKind::Chord(chord) => {
                let header = match chord.header_options {
                    Some(options) => Self::group(chord.header, options).into_value(),
                    None => list(chord.header),
                };
                self.kwargs.insert("header".to_owned(), header);
                let body = chord.body.map_or(Value::Null, Self::into_value);
                self.kwargs.insert("body".to_owned(), body);
            }
        }
        Signature {
            task: self.task,
            args: self.args,
            kwargs: self.kwargs,
            options: self.options,
            subtask_type: self.subtask_type,
            immutable: self.immutable,
            other: self.other,
        }
    }

    pub(super) fn into_value(self) -> Value {
        value(self.into_signature())
    }
}

/// About what a signature takes as it is, bytes.
pub(super) fn memory_of_signature(signature: &Signature) -> usize {
    let Signature { args, kwargs, options, other, .. } = signature;
    let maps = [kwargs, options, other].into_iter().map(memory_of).sum::<usize>();
    size_of::<Signature>() + maps + args.iter().map(memory).sum::<usize>()
}

/// About what the parts of a signature will take, bytes: known before any is made.
pub(super) fn weight(kwargs: &Map<String, Value>) -> usize {
    let one = |value: &Value| match value.get("kwargs") {
        Some(Value::Object(kwargs)) => PART + weight(kwargs),
        _ => PART,
    };
    let all = |key: &str| match kwargs.get(key) {
        Some(Value::Array(parts)) => parts.iter().map(one).sum(),
        Some(part @ Value::Object(_)) => one(part),
        _ => 0,
    };
    ["tasks", "header", "body"].into_iter().map(all).sum()
}

/// The signature as a value, without a copy of its parts.
pub(super) fn value(signature: Signature) -> Value {
    let mut map = Map::new();
    map.insert("task".to_owned(), Value::String(signature.task));
    map.insert("args".to_owned(), Value::Array(signature.args));
    map.insert("kwargs".to_owned(), Value::Object(signature.kwargs));
    map.insert("options".to_owned(), Value::Object(signature.options));
    map.insert("subtask_type".to_owned(), json!(signature.subtask_type));
    map.insert("immutable".to_owned(), Value::Bool(signature.immutable));
    for (key, value) in signature.other {
        map.entry(key).or_insert(value);
    }
    Value::Object(map)
}

fn list(parts: Vec<Part>) -> Value {
    parts.into_iter().map(Part::into_value).collect()
}

/// Which canvas a signature is. Celery goes by `subtask_type` alone; one written by hand may have
/// left it out.
fn canvas(signature: &Signature) -> Result<Option<&'static str>, CanvasError> {
    let has = |key: &str| signature.kwargs.contains_key(key);
    match signature.subtask_type.as_deref() {
        Some("chain") => Ok(Some("chain")),
        Some("group") => Ok(Some("group")),
        Some("chord") => Ok(Some("chord")),
        Some("xmap" | "xstarmap") => Ok(None),
        None | Some("" | "chunks") => Ok(match signature.task.as_str() {
            "celery.chain" if has("tasks") => Some("chain"),
            // With these it is the task of that name, which old clients publish.
            "celery.group" if has("tasks") && !has("result") => Some("group"),
            "celery.chord" if has("header") && !has("partial_args") => Some("chord"),
            "celery.chunks" if !signature.options.contains_key("task_id") => Some("chunks"),
            _ => None,
        }),
        Some(other) => Err(malformed(format!("subtask_type is `{other}`, which is no canvas"))),
    }
}

fn tasks(kwargs: &mut Map<String, Value>, depth: usize) -> Result<Vec<Part>, CanvasError> {
    match kwargs.shift_remove("tasks") {
        Some(Value::Array(tasks)) => {
            tasks.into_iter().map(|task| Part::read_value(task, depth)).collect()
        }
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(_) => Err(malformed("tasks is no list")),
    }
}

/// A header is a list, or one signature: of a group or a chain its parts are the header, and its
/// own options are lost.
fn chord(kwargs: &mut Map<String, Value>, depth: usize) -> Result<Chord, CanvasError> {
    let header = match kwargs.shift_remove("header") {
        Some(Value::Array(tasks)) => {
            tasks.into_iter().map(|task| Part::read_value(task, depth)).collect::<Result<_, _>>()?
        }
        None | Some(Value::Null) => Vec::new(),
        Some(value) => {
            let part = Part::read_value(value, depth)?;
            match part.kind {
                PartKind::Group(parts) | PartKind::Chain(parts) => parts,
                _ => vec![part],
            }
        }
    };
    let body = match kwargs.shift_remove("body") {
        None | Some(Value::Null) => None,
        Some(value) => Some(Part::read_value(value, depth)?),
    };
    kwargs.entry("kwargs").or_insert_with(|| json!({}));
    Ok(Chord { header, header_options: None, body })
}

/// `celery.chunks`: a group of `celery.starmap`, each with `n` of the argument lists.
fn chunks(mut signature: Signature, depth: usize) -> Result<Part, CanvasError> {
    let n = signature.kwargs.get("n").and_then(Value::as_u64).unwrap_or_default();
    let n = usize::try_from(n).ok().filter(|n| *n > 0);
    let (Some(n), Some(task), Some(Value::Array(items))) =
        (n, signature.kwargs.shift_remove("task"), signature.kwargs.shift_remove("it"))
    else {
        return Err(malformed("celery.chunks needs task, it (a list) and n (at least 1)"));
    };
    if (memory(&task) + PART).saturating_mul(items.len().div_ceil(n)) > MAX_BYTES {
        return Err(CanvasError::TooLarge { limit: MAX_BYTES });
    }
    let mut items = items.into_iter();
    let mut members = Vec::new();
    loop {
        let chunk: Vec<Value> = items.by_ref().take(n).collect();
        if chunk.is_empty() {
            break;
        }
        let starmap = Signature {
            task: "celery.starmap".to_owned(),
            kwargs: Map::from_iter([
                ("task".to_owned(), task.clone()),
                ("it".to_owned(), Value::Array(chunk)),
            ]),
            immutable: true,
            ..Signature::default()
        };
        members.push(Part::read(starmap, depth)?);
    }
    Ok(Part::group(members, signature.options))
}

/// Reads a list of signatures.
pub(super) fn signatures(values: Vec<Value>) -> Result<Vec<Signature>, CanvasError> {
    let read = |value| Signature::from_value(value).map_err(malformed);
    values.into_iter().map(read).collect()
}

pub(super) fn joined(mut before: Vec<Value>, after: Vec<Value>) -> Vec<Value> {
    before.extend(after);
    before
}

pub(super) fn malformed(reason: impl Into<String>) -> CanvasError {
    CanvasError::Malformed { reason: reason.into() }
}
