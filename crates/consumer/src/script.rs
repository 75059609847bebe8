//! The Lua scripts of those who claim. Each file's head says what its KEYS and ARGV are and what it
//! returns.

use rhubarb_connection::scripts;
use rhubarb_queue::script::TAKES;

/// How what is due comes to its list: what claiming and picking have in common.
const DUE: &str = include_str!("scripts/due.lua");

scripts! {
    /// Keeps a message apart.
    pub(crate) LETTER = "letter";
    /// Takes messages and records them as claimed.
    pub(crate) CLAIM = "claim" with DUE;
    /// Records as claimed what was published to all workers.
    pub(crate) HEARD = "heard";
    /// Ends claims.
    pub(crate) SETTLE = "settle" with TAKES;
    /// Keeps a worker in the registry.
    pub(crate) HEARTBEAT = "heartbeat";
    /// Replies to a client that still waits.
    pub(crate) REPLY = "reply";
    /// Shows the first scheduled messages.
    pub(crate) PEEK = "peek";
    /// Reads a piece of what a chord's header has collected.
    pub(crate) PARTS = "parts";
    /// Counts a part of a chord.
    pub(crate) CHORD_PART = "chord_part";
    /// Publishes a chord's body and removes what was collected.
    pub(crate) CHORD_END = "chord_end";
    /// Claims from among messages that other workers run.
    pub(crate) PICK = "pick" with DUE;
}
