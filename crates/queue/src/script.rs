//! The Lua scripts of those who do not claim. Each file's head says what its KEYS and ARGV are and
//! what it returns.

use rhubarb_connection::scripts;

/// How a list takes a message back: what the scripts that give back have in common.
pub const TAKES: &str = include_str!("scripts/takes.lua");

scripts! {
    /// Renews a lease and gives the claims of dead workers back.
    pub REAP = "reap" with TAKES;
    /// Takes a step of the walk that finds claims without a lease.
    pub WALK = "walk";
    /// Gives claims without a lease one.
    pub ORPHAN = "orphan";
    /// Reads a part of one field of a hash.
    pub PIECE = "piece";
    /// Reads texts whose sizes are not known.
    pub VALUES = "values";
    /// Looks for a text in a piece of what a queue holds.
    pub SEEK = "seek";
    /// Reads a piece of a list, without changing it.
    pub SAMPLE = "sample";
    /// Reads what Python workers have not acknowledged, without changing it.
    pub SAMPLE_UNACKED = "sample_unacked";
    /// Tells which message runs next in each list.
    pub NEXT_TAGS = "next_tags";
    /// Stores a passing or final state.
    pub STATE = "state";
    /// Throws away what waits.
    pub PURGE = "purge";
    /// Takes, keeps and releases locks.
    pub LOCK = "lock";
    /// Takes a place under limits.
    pub LIMIT_TAKE = "limit_take";
    /// Holds a place under limits.
    pub LIMIT_RENEW = "limit_renew";
    /// Releases a place under limits.
    pub LIMIT_END = "limit_end";
    /// Takes, keeps and gives up the lead among beats.
    pub BEAT_LEASE = "beat_lease";
    /// Publishes and marks a tick.
    pub TICK = "tick";
    /// Shuts earlier beats out and writes records of schedules.
    pub TICK_NOTE = "tick_note";
    /// Changes one live schedule or pause.
    pub SCHEDULE_EDIT = "schedule_edit";
    /// Reads the entries of Python's RedBeat.
    pub REDBEAT = "redbeat";
    /// Moves unacknowledged messages of Python workers back to their queue.
    pub ADOPT = "adopt";
    /// Moves scheduled messages back to their queue.
    pub UNSCHEDULE = "unschedule";
    /// Moves kept messages back to their queue.
    pub REPLAY = "replay";
    /// Forgets kept messages.
    pub LETTER_DROP = "letter_drop";
    /// Reads which share of tasks our workers take.
    pub SHARES = "shares";
    /// Records revocations.
    pub REVOKE = "revoke";
    /// Stores REVOKED for a task that has not begun.
    pub MARK_REVOKED = "mark_revoked";
}
