//! The Lua scripts. Each file's head says what its KEYS and ARGV are and what it returns. What several have in
//! common is a file of its own, put before theirs.

use std::sync::LazyLock;

use rhubarb_connection::Script;

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $file:literal $(with $part:literal)?;)*) => {
        $($(#[$doc])* pub static $name: LazyLock<Script> = LazyLock::new(|| Script::new(
            $file,
            concat!(
                $(include_str!(concat!("scripts/", $part, ".lua")),)?
                include_str!(concat!("scripts/", $file, ".lua")),
            ),
        ));)*
    };
}

scripts! {
    /// Takes messages and records them as claimed.
    CLAIM = "claim" with "due";
    /// Records as claimed what was published to all workers.
    HEARD = "heard";
    /// Ends claims.
    SETTLE = "settle" with "takes";
    /// Renews a lease and gives the claims of dead workers back.
    REAP = "reap" with "takes";
    /// Takes a step of the walk that finds claims without a lease.
    WALK = "walk";
    /// Gives claims without a lease one.
    ORPHAN = "orphan";
    /// Keeps a worker in the registry.
    HEARTBEAT = "heartbeat";
    /// Records revocations.
    REVOKE = "revoke";
    /// Stores REVOKED for a task that has not begun.
    MARK_REVOKED = "mark_revoked";
    /// Replies to a client that still waits.
    REPLY = "reply";
    /// Reads a part of one field of a hash.
    PIECE = "piece";
    /// Shows the first scheduled messages.
    PEEK = "peek";
    /// Reads a piece of what a chord's header has collected.
    PARTS = "parts";
    /// Reads texts whose sizes are not known.
    VALUES = "values";
    /// Looks for a text in a piece of what a queue holds.
    SEEK = "seek";
    /// Stores a passing or final state.
    STATE = "state";
    /// Counts a part of a chord.
    CHORD_PART = "chord_part";
    /// Publishes a chord's body and removes what was collected.
    CHORD_END = "chord_end";
    /// Keeps a message apart.
    LETTER = "letter";
    /// Throws away what waits.
    PURGE = "purge";
    /// Takes, keeps and releases locks.
    LOCK = "lock";
    /// Takes, keeps and gives up the lead among beats.
    BEAT_LEASE = "beat_lease";
    /// Publishes and marks a tick.
    TICK = "tick";
    /// Shuts earlier beats out and writes records of schedules.
    TICK_NOTE = "tick_note";
    /// Changes one live schedule or pause.
    SCHEDULE_EDIT = "schedule_edit";
    /// Reads the entries of Python's RedBeat.
    REDBEAT = "redbeat";
    /// Claims from among messages that other workers run.
    PICK = "pick" with "due";
    /// Moves unacknowledged messages of Python workers back to their queue.
    ADOPT = "adopt";
    /// Moves scheduled messages back to their queue.
    UNSCHEDULE = "unschedule";
    /// Moves kept messages back to their queue.
    REPLAY = "replay";
    /// Forgets kept messages.
    LETTER_DROP = "letter_drop";
}
