//! Celery's message and result formats: bytes to values and back.
//!
//! This crate reads and writes what Celery (5.x, on Redis) puts into queues and results, so that
//! workers and clients in Rust can stand beside those in Python. It works on values alone.
//!
//! It deliberately does no I/O, has no async code and reads no clock: instants, delivery tags and
//! the application's time zone are given by the caller. It does not unpickle: bodies that are
//! neither JSON nor MessagePack are refused by name. It does not run chains, groups or chords, it
//! only builds them and shows what they hold.
//!
//! Input may be hostile. Nothing here panics on it; depth is bounded to 1,000 levels, the memory of
//! the values that are read to 64 MiB or twelve times their text, and a body after decompression to
//! the size that the caller gives. The size of a message or a result as it comes in is the caller's
//! to bound.
//!
//! ```
//! use rhubarb_wire::{Envelope, NewTask};
//! use serde_json::json;
//!
//! let mut task = NewTask::new("shop.tasks.ship", "celery");
//! task.args = vec![json!(42)];
//! let bytes = task.into_envelope("a-fresh-delivery-tag").encode();
//!
//! let envelope = Envelope::decode(&bytes)?;
//! let body = envelope.body(1 << 20)?;
//! assert_eq!(envelope.headers.task, "shop.tasks.ship");
//! assert_eq!(body.args, [json!(42)]);
//! # Ok::<(), rhubarb_wire::DecodeError>(())
//! ```
//!
//! - `envelope`: the JSON object in a queue's list; retries.
//! - `headers`, `properties`: what it says beside the body; `usual` reads the messages that nearly
//!   all are.
//! - `body`, `signature`: arguments, callbacks, chains and chords.
//! - `canvas`: building and taking apart signatures of chains, groups and chords; `compose` has the
//!   rules.
//! - `compression`: bodies that are not plain JSON.
//! - `old`: protocol 1.
//! - `call`: the options of a call.
//! - `task`: making messages.
//! - `result`, `group`, `exception`: what is stored when a task ends.
//! - `control`, `event`: commands to workers with their replies, and what workers report; `message`
//!   is the envelope of both, `matcher` the patterns of node names.
//! - `error`: why bytes could not be read, and whose they were.
//! - `time` and `iso`, `plain`: Python's values.
//! - `reader`, `dump`, `json`: JSON as Python writes it, and small helpers; the values themselves
//!   are `rhubarb-pyvalue`'s.
//! - `keys`: the names of lists, bindings, results and channels in Redis.

mod envelope;
mod headers;
mod properties;
mod usual;

mod body;
mod call;
pub mod canvas;
mod compose;
mod compression;
mod old;
mod signature;

mod task;

mod exception;
mod group;
mod result;

pub mod control;
pub mod event;
mod matcher;
mod message;

mod error;

mod dump;
mod iso;
mod json;
mod plain;
mod reader;
mod time;

mod keys;
mod lamport;

pub use body::{Body, Embed};
pub use call::CallOptions;
pub use compression::Compression;
pub use envelope::Envelope;
pub use error::{DecodeError, Identity};
pub use exception::Exception;
pub use group::{ChordPart, ResultTree};
pub use headers::{HEADERS, Headers};
pub use keys::{
    ChordKeys, GROUP_PREFIX, RESULT_PREFIX, SEPARATOR, STEPS, binding_keys, binding_member,
    bound_queue, chord_keys, event_channel, exchange_key, fanout_channel, group_key, lists,
    pidbox_channel, queue_list, reply_binding_key, reply_binding_member, reply_queue, result_key,
};
pub use lamport::Lamport;
pub use plain::plain;
pub use properties::{DeliveryInfo, Properties};
pub use reader::{common, exact};
pub use result::{State, TaskResult, compress_success};
pub use rhubarb_pyvalue::exact::{json, memory, memory_of, open, open_map, seal};
pub use rhubarb_pyvalue::repr::{brief, brief_args, brief_kwargs, repr};
pub use signature::Signature;
pub use task::NewTask;
pub use time::Time;

/// The README's examples are run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
