//! Building canvases: signatures of Celery's chains, groups, chords, maps and chunks.
//!
//! What is built is, member for member, what `celery.canvas` of Celery 5.7.0 builds from the same
//! calls; 5.4 differs in corners only (an empty group, two chords in a row, the errbacks of a
//! group). As there, a chain is flattened and simplified while it is built: chains inside are
//! unrolled, a group of one task is that task, a group with something behind it becomes a chord,
//! and what follows a chord goes into the chord's body.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::compose::{Node, chord_of, fold, head, nodes, or};
use crate::json::{kind, seconds};
use crate::signature::Signature;
pub use crate::signature::SignatureKind;
use crate::time::Time;

impl Signature {
    /// A task without arguments.
    pub fn new(task: &str) -> Self {
        Self { task: task.to_owned(), ..Self::default() }
    }

    /// Adds a positional argument.
    #[must_use]
    pub fn arg(mut self, value: impl Into<Value>) -> Self {
        self.args.push(value.into());
        self
    }

    /// Sets a keyword argument.
    #[must_use]
    pub fn kwarg(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.kwargs.insert(name.to_owned(), value.into());
        self
    }

    /// Keeps the result of the task before out of the arguments.
    ///
    /// Of a group it is said of each task, of a chord of each task of the header. Said of a chain
    /// it has no effect: Celery loses it when it reads or copies one. Say it of the chain's first
    /// task.
    #[must_use]
    pub fn immutable(self) -> Self {
        let mut node = Node::new(self);
        node.set_immutable();
        node.into_signature()
    }

    /// Sets an option of `apply_async`.
    #[must_use]
    pub fn set_option(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.options.insert(name.to_owned(), value.into());
        self
    }

    /// The queue to publish to.
    #[must_use]
    pub fn queue(self, queue: &str) -> Self {
        self.set_option("queue", queue)
    }

    /// The priority, from 0, the most urgent.
    #[must_use]
    pub fn priority(self, priority: u8) -> Self {
        self.set_option("priority", priority)
    }

    /// Not to be run before so many seconds after it is published.
    #[must_use]
    pub fn countdown(self, delay: f64) -> Self {
        self.set_option("countdown", seconds(delay))
    }

    /// Not to be run before this time.
    #[must_use]
    pub fn eta(self, time: Timestamp) -> Self {
        self.set_option("eta", marked(time))
    }

    /// Not to be run later than so many seconds after it is published.
    #[must_use]
    pub fn expires(self, delay: f64) -> Self {
        self.set_option("expires", seconds(delay))
    }

    /// Not to be run after this time.
    #[must_use]
    pub fn expires_at(self, time: Timestamp) -> Self {
        self.set_option("expires", marked(time))
    }

    /// Calls `callback` with the result of a success.
    ///
    /// That of a chord is called with the result of its body. A group calls it after its *first*
    /// task and without a result, as in Celery: use [`chord`] to wait for all.
    #[must_use]
    pub fn link(self, callback: Self) -> Self {
        let mut node = Node::new(self);
        node.link(callback);
        node.into_signature()
    }

    /// Calls `errback` after a failure.
    ///
    /// That of a group is called for each task that fails. That of a chord is called for its body,
    /// which also fails when a task of the header does (`task_allow_error_cb_on_chord_header` off).
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "as `link`, which puts its argument away")]
    pub fn link_error(self, errback: Self) -> Self {
        let mut node = Node::new(self);
        node.link_error(&errback);
        node.into_signature()
    }

    /// Runs `next` after this one: the `|` of Python.
    ///
    /// Like [`chain`] of the two, but options of a chain that is continued may stay.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        or(Node::new(self), Node::new(next)).into_signature()
    }

    /// What the signature stands for.
    pub fn kind(&self) -> SignatureKind {
        match (self.subtask_type.as_deref().unwrap_or_default(), self.task.as_str()) {
            ("chain", _) | ("", "celery.chain") => SignatureKind::Chain,
            ("group", _) | ("", "celery.group") => SignatureKind::Group,
            ("chord", _) | ("", "celery.chord") => SignatureKind::Chord,
            ("", "celery.map") => SignatureKind::Map,
            ("", "celery.starmap") => SignatureKind::Starmap,
            ("", "celery.chunks") => SignatureKind::Chunks,
            _ => SignatureKind::Task,
        }
    }

    /// The tasks of a chain in the order they run, of a group, or of a chord's header.
    ///
    /// # Errors
    /// They are malformed, or the signature has none; the reason as text.
    pub fn tasks(&self) -> Result<Vec<Self>, String> {
        let key = if self.kind() == SignatureKind::Chord { "header" } else { "tasks" };
        match self.kwargs.get(key) {
            Some(Value::Array(tasks)) => {
                let read = |task: &Value| Self::from_value(task.clone());
                tasks.iter().map(read).collect::<Result<_, _>>()
            }
            // A header that was frozen is a group.
            Some(group @ Value::Object(_)) => Self::from_value(group.clone())?.tasks(),
            found => Err(format!("{key} is {}, must be a list", found.map_or("missing", kind))),
        }
        .map_err(|reason| format!("{}: {reason}", self.task))
    }

    /// The header of a chord as a group; its option `task_id`, if there, is the id of the group.
    ///
    /// # Errors
    /// It is malformed, or the signature has none; the reason as text.
    pub fn header(&self) -> Result<Self, String> {
        match self.kwargs.get("header") {
            Some(header @ Value::Object(_)) => Self::from_value(header.clone()),
            _ => self.tasks().map(group),
        }
    }

    /// The body of a chord; `None` when it has none.
    ///
    /// # Errors
    /// It is malformed; the reason as text.
    pub fn body(&self) -> Result<Option<Self>, String> {
        match self.kwargs.get("body") {
            None | Some(Value::Null) => Ok(None),
            Some(body) => Self::from_value(body.clone())
                .map(Some)
                .map_err(|reason| format!("{}: body: {reason}", self.task)),
        }
    }

    /// The task that a map, a starmap or chunks call for each item.
    ///
    /// # Errors
    /// It is malformed, or the signature has none; the reason as text.
    pub fn mapped(&self) -> Result<Self, String> {
        let task = self.kwargs.get("task").cloned().unwrap_or_default();
        Self::from_value(task).map_err(|reason| format!("{}: {reason}", self.task))
    }

    /// The items of a map, a starmap or chunks; nothing when it has none.
    pub fn items(&self) -> &[Value] {
        self.kwargs.get("it").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// How many items of chunks go into one message.
    pub fn chunk_size(&self) -> Option<u64> {
        self.kwargs.get("n").and_then(Value::as_u64).filter(|size| *size > 0)
    }
}

/// Tasks one after the other, each with the result of the one before as its first argument.
pub fn chain(steps: Vec<Signature>) -> Signature {
    fold(steps.into_iter().map(Node::new)).into_signature()
}

/// Tasks side by side.
pub fn group(tasks: Vec<Signature>) -> Signature {
    Node::Group { head: head("celery.group", "group"), tasks: nodes(tasks) }.into_signature()
}

/// Tasks side by side, and `body` that is called with the list of their results.
pub fn chord(header: Vec<Signature>, body: Signature) -> Signature {
    chord_of(nodes(header), Node::new(body)).into_signature()
}

/// `task` called with each item, one after the other, in one message; the result is a list.
pub fn map(task: &Signature, items: Vec<Value>) -> Signature {
    over("celery.map", task, items)
}

/// `task` called with each item as its arguments, one after the other, in one message.
pub fn starmap(task: &Signature, items: Vec<Value>) -> Signature {
    over("celery.starmap", task, items)
}

/// A starmap in messages of `size` items each; `size` is at least 1.
pub fn chunks(task: &Signature, items: Vec<Value>, size: u32) -> Signature {
    over("celery.chunks", task, items).kwarg("n", size.max(1))
}

fn over(name: &str, task: &Signature, items: Vec<Value>) -> Signature {
    let mut signature = Signature::new(name).kwarg("task", task.to_value()).kwarg("it", items);
    signature.immutable = true;
    signature
}

/// A time as kombu writes a `datetime` into JSON: a text would be taken for no time.
fn marked(time: Timestamp) -> Value {
    json!({"__type__": "datetime", "__value__": Time::at(time).as_str()})
}
