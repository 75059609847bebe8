//! What publishing a signature means: the messages that Celery's `apply_async` sends for it, as a
//! function of values.
//!
//! A signature is a task, or a canvas of them. [`unroll`] turns one into the messages that can be
//! sent now; what comes later travels inside them, as Celery's layout has it, so that Python and
//! Rust workers finish each other's canvases. No I/O, no clock and no random numbers: instants and
//! ids are the caller's ([`Publisher`]).
//!
//! | signature | at publishing |
//! |---|---|
//! | a task; `celery.map`, `celery.starmap` | one message; a worker runs the two maps itself, as tasks |
//! | `celery.chain` | its first step's messages, the rest reversed in `chain`; a chain is never a message of its own |
//! | `celery.group` | the messages of its members |
//! | `celery.chord` | those of its header, each with the body in `chord`; with an empty header those of the body |
//! | `celery.chunks` | as a group of `celery.starmap`; one that has an id already is a task, for somebody waits for that id |
//! | `celery.accumulate`, `celery.chord_unlock`, every other name | one message: workers run them as tasks |
//!
//! The rules are those of `celery/canvas.py`, `app/base.py` and `app/amqp.py`, read in 5.7.0 and
//! 5.4.0 (2026-11). Where the two differ, 5.7 holds: a chord's tail stands in the chain instead of
//! in each header message, and the body carries its header's group. These differ from both, on
//! purpose:
//! - groups inside a group keep their order (Celery reverses them in a chord's header);
//! - links of a chain inside a chain are kept (Celery drops them once it went through JSON);
//! - arguments from the task before reach a group that begins a chain (Celery drops them);
//! - steps of a chain inside a chord's body are spliced and upgraded when it is published (Celery:
//!   when it runs), which comes to the same;
//! - `celery.map`, `celery.starmap` and the parts of `celery.chunks` are routed by the task that
//!   they call;
//! - the serializer is JSON, also where a step asks for msgpack; bodies are not compressed,
//!   exchanges are not used: an `exchange` with a `routing_key` means the queue of that name, as it
//!   does where Celery makes queues by itself.
//!
//! # Bounds
//!
//! Signatures come out of messages and may be hostile. Nesting is bounded to [`MAX_DEPTH`], what is
//! built for one signature to [`MAX_BYTES`], in a worker to [`max_bytes_in_worker`]. All that is
//! built or copied is counted before it is made: ten thousand header tasks that each carry a large
//! body, or large options, are refused instead of built. A chain takes time and memory in
//! proportion to its length.

mod apply;
mod chain;
mod chord;
mod freeze;
mod group;
mod link;
mod message;
mod options;
mod part;
mod results;
mod unroll;

use jiff::Timestamp;
pub use rhubarb_wire::ResultTree;
use rhubarb_wire::{Envelope, Signature};
use serde_json::{Map, Value};

use crate::config::CeleryConfig;

pub(crate) use self::message::Task;

/// How deeply canvases may be nested in each other.
pub const MAX_DEPTH: usize = 64;

/// How much memory may be taken for one signature that a client publishes, bytes.
pub const MAX_BYTES: usize = 512 << 20;

/// The same for what a worker publishes, at the least: its signatures come out of messages.
const LEAST_IN_WORKER: usize = 128 << 20;

/// How many of the greatest messages it may be.
const MESSAGES_IN_WORKER: usize = 16;

/// Returns how much memory may be taken for what a worker publishes at once, bytes.
pub fn max_bytes_in_worker(max_message_bytes: usize) -> usize {
    LEAST_IN_WORKER.max(max_message_bytes.saturating_mul(MESSAGES_IN_WORKER))
}

/// Who publishes, and what it goes by.
#[derive(Clone, Copy)]
pub struct Publisher<'a> {
    /// Celery's settings: the default queue and priority, the routes.
    pub celery: &'a CeleryConfig,
    /// What `countdown` and a relative `expires` count from.
    pub now: Timestamp,
    /// The client that waits for results, where a signature names none.
    pub reply_to: &'a str,
    /// The publishing process, in Celery's form.
    pub origin: &'a str,
    /// Gives a fresh id at each call.
    pub fresh_id: &'a dyn Fn() -> String,
    /// How much memory may be taken, bytes.
    pub max_bytes: usize,
}

impl std::fmt::Debug for Publisher<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher")
            .field("now", &self.now)
            .field("reply_to", &self.reply_to)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// One call of a signature: what `apply_async` is given beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Call {
    /// Put before the signature's own arguments, unless it is immutable: the result of the task
    /// before.
    pub args: Vec<Value>,
    /// Calling options as Celery names them; they win over the signature's own.
    pub options: Map<String, Value>,
    /// What follows the signature, reversed as in a message: the next step is the last element.
    pub chain: Vec<Signature>,
    /// The first task of the whole work; absent when no task publishes this.
    pub root_id: Option<String>,
    /// The task that publishes this.
    pub parent_id: Option<String>,
    /// The publishing task's priority, where tasks inherit it (`task_inherit_parent_priority`): for
    /// what names none.
    pub priority: Option<u8>,
}

/// What is to be written for a signature, in this order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unrolled {
    /// Groups to be stored under their id first: headers whose members are groups again, as their
    /// body is given the nested lists.
    pub saved: Vec<ResultTree>,
    /// Group id and number of parts of each chord: `<group>.s` is set to it, and `<group>.c`
    /// removed, before anything is sent.
    pub chord_sizes: Vec<(String, u64)>,
    /// The messages, in the order in which Celery sends them.
    pub messages: Vec<Outgoing>,
    /// What a caller waits for; nothing for a chain without steps, which sends nothing.
    pub result: Option<ResultTree>,
    /// What the publishing task lists as its children: the tasks and whole groups that were sent,
    /// not what is to come.
    pub children: Vec<ResultTree>,
}

/// A message and where it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The queue; the list in it follows from the priority.
    pub queue: String,
    /// The message.
    pub envelope: Envelope,
}

/// Why a signature cannot be published. The same signature fails again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CanvasError {
    /// A part of the signature is no signature.
    #[error("signature is malformed: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// An option has a value that means nothing.
    #[error("option `{name}` of task `{task}` {reason}")]
    Option {
        /// The task.
        task: String,
        /// The option.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Canvases are nested too deeply.
    #[error("canvas is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// The messages would be too large together.
    #[error(
        "canvas needs more than {} MiB of memory for its messages: send it in smaller parts",
        limit >> 20
    )]
    TooLarge {
        /// What it may have, bytes.
        limit: usize,
    },
    /// One of the messages would be larger than what a worker takes.
    #[error("the message has {size} bytes, more than worker.max_message_bytes = {max}")]
    Message {
        /// What it has, bytes.
        size: usize,
        /// What it may have.
        max: usize,
    },
    /// A chord's body is missing.
    #[error("chord has no body")]
    NoBody,
    /// A chain without steps stands where its result is needed.
    #[error("chain has no steps")]
    EmptyChain,
    /// `link` or `link_error` was given to a group, which has no single end.
    #[error("a group cannot have `{name}`: use a chord, or its members")]
    LinkedGroup {
        /// The option.
        name: &'static str,
    },
}

impl CanvasError {
    fn option(task: &str, name: &'static str, reason: String) -> Self {
        Self::Option { task: task.to_owned(), name, reason }
    }
}

/// About how much memory it takes to publish a signature, at the least, bytes: known before
/// anything is made of it.
pub fn weight(signature: &Signature) -> usize {
    /// A signature as a value: an object of six members.
    const VALUE: usize = 1_300;
    VALUE + part::memory_of_signature(signature) + part::weight(&signature.kwargs)
}

/// Turns a signature into what is to be written for it.
///
/// # Errors
/// [`CanvasError`]: the signature, not the moment, is at fault.
pub fn unroll(
    signature: Signature,
    call: Call,
    publisher: Publisher<'_>,
) -> Result<Unrolled, CanvasError> {
    let mut unroll = unroll::Unroll::new(publisher, &call);
    unroll.spend(part::weight(&signature.kwargs))?;
    let part = part::Part::read(signature, MAX_DEPTH)?;
    let how = unroll::How::from(call);
    let result = unroll.apply(part, how)?;
    Ok(unroll.finish(result))
}

#[cfg(test)]
mod tests;

/// Turns a task that is no canvas into what is to be written for it, straight from its options.
pub(crate) fn single(
    task: Task,
    call: &Call,
    publisher: Publisher<'_>,
) -> Result<Unrolled, CanvasError> {
    let mut unroll = unroll::Unroll::new(publisher, call);
    let sent = unroll.send_typed(task)?;
    unroll.note_child(sent);
    Ok(unroll.finish(Some(sent)))
}
