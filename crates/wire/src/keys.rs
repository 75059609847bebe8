//! The names of Celery's keys and channels in Redis.
//!
//! With kombu's option `global_keyprefix` every one of them, the channels too, has that prefix in
//! front (`GlobalKeyPrefixMixin` of kombu 5.4.2 and 5.7.0 has PUBLISH and PSUBSCRIBE on its lists).
//! Keys are given here without it; channels take it, because their db number belongs behind it.

use crate::control::{EXCHANGE, REPLY_EXCHANGE};
use crate::event;

/// Kombu's separator between the name of a queue and its priority step.
pub const SEPARATOR: &str = "\u{6}\u{16}";

/// Kombu's priority steps; 0 is the most urgent.
pub const STEPS: [u8; 4] = [0, 3, 6, 9];

/// The prefix of result keys.
pub const RESULT_PREFIX: &str = "celery-task-meta-";

/// The list that holds messages of this priority: that of the greatest step not above it.
///
/// `steps` ascend. Without any step, and for step 0, it is the queue's own name.
pub fn queue_list(queue: &str, priority: u8, steps: &[u8], separator: &str) -> String {
    let below = steps.iter().rev().find(|step| **step <= priority);
    // Kombu indexes with -1 when the priority is below every step, and so takes the last.
    match below.or(steps.last()) {
        None | Some(0) => queue.to_owned(),
        Some(step) => format!("{queue}{separator}{step}"),
    }
}

/// Every list of a queue, the most urgent first.
pub fn lists(queue: &str, steps: &[u8], separator: &str) -> Vec<String> {
    if steps.is_empty() {
        return vec![queue.to_owned()];
    }
    steps.iter().map(|step| queue_list(queue, *step, steps, separator)).collect()
}

/// The sets that tell producers of a queue; newer kombu (5.7) reads the second too.
pub fn binding_keys(queue: &str) -> [String; 2] {
    [format!("_kombu.binding.{queue}"), format!("_kombu.binding_permanent.{queue}")]
}

/// The member of a queue in its [`binding_keys`]: routing key, empty pattern, queue.
pub fn binding_member(queue: &str, separator: &str) -> String {
    format!("{queue}{separator}{separator}{queue}")
}

/// The key, and the channel, of a task's result.
pub fn result_key(prefix: &str, id: &str) -> String {
    format!("{prefix}{id}")
}

/// The prefix of what is stored of groups and chords.
pub const GROUP_PREFIX: &str = "celery-taskset-meta-";

/// The key of a saved group; chords whose header holds groups save it too.
pub fn group_key(prefix: &str, id: &str) -> String {
    format!("{prefix}{id}")
}

/// The keys by which the tasks of a chord's header count themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChordKeys {
    /// `.j`: the sorted set of [`ChordPart`](crate::ChordPart)s.
    pub parts: String,
    /// `.t`: how many tasks were added to the header while it ran.
    pub added: String,
    /// `.s`: the size of the header, written before it is published.
    pub size: String,
    /// `.d`: the set of parts that were counted, `task_id:group_index` (Celery 5.7 alone).
    pub counted: String,
    /// `.c`: who publishes the body, then `done` (Celery 5.7 alone).
    pub claim: String,
}

/// The keys of the chord whose header is the group `id`.
pub fn chord_keys(prefix: &str, id: &str) -> ChordKeys {
    let key = |ending: &str| format!("{prefix}{id}{ending}");
    ChordKeys {
        parts: key(".j"),
        added: key(".t"),
        size: key(".s"),
        counted: key(".d"),
        claim: key(".c"),
    }
}

/// The channel of remote control; a worker subscribes to it, a client publishes on it.
///
/// `db` is the number of the broker's database: channels are common to all databases of a server,
/// so kombu puts it into the name (`fanout_prefix`, `/{db}.`).
pub fn pidbox_channel(prefix: &str, db: i64) -> String {
    format!("{prefix}/{db}.{EXCHANGE}")
}

/// The channel on which a fanout exchange (a `Broadcast` queue) of this name is heard by all its
/// workers.
///
/// `routing_key` is that of its binding; kombu leaves an empty one out.
pub fn fanout_channel(prefix: &str, db: i64, exchange: &str, routing_key: &str) -> String {
    let slash = if routing_key.is_empty() { "" } else { "/" };
    format!("{prefix}/{db}.{exchange}{slash}{routing_key}")
}

/// The channel of events on `topic`: see [`event::topic`](crate::event::topic).
///
/// Readers subscribe to the pattern whose topic is `*`, or `worker.*`.
pub fn event_channel(prefix: &str, db: i64, topic: &str) -> String {
    format!("{prefix}/{db}.{}/{topic}", event::EXCHANGE)
}

/// The list on which the client `oid` waits for replies to its commands.
pub fn reply_queue(oid: &str) -> String {
    format!("{oid}.{REPLY_EXCHANGE}")
}

/// The set that leads replies to the clients who wait for them.
///
/// A client adds its [`reply_binding_member`] before it asks and removes it, with the list,
/// afterwards. Kombu 5.7 keeps it out of `_kombu.binding_permanent.*`, because the list expires,
/// and sweeps the whole set an hour after the last such client was seen.
pub fn reply_binding_key() -> String {
    exchange_key(REPLY_EXCHANGE)
}

/// The set of all queues bound to `exchange`, of members for [`bound_queue`].
pub fn exchange_key(exchange: &str) -> String {
    format!("_kombu.binding.{exchange}")
}

/// The member of a waiting client in [`reply_binding_key`]: routing key, empty pattern, list.
pub fn reply_binding_member(oid: &str, separator: &str) -> String {
    format!("{oid}{separator}{separator}{}", reply_queue(oid))
}

/// The queue in a member of a binding set, when it is bound with this routing key.
///
/// A reply goes to the queue of the member that matches the command's `reply_to`. When none does,
/// the client has gone, and the reply must be dropped: nobody would ever delete its list.
pub fn bound_queue<'a>(member: &'a str, routing_key: &str, separator: &str) -> Option<&'a str> {
    let mut parts = member.split(separator);
    let (found, _pattern, queue) = (parts.next()?, parts.next()?, parts.next()?);
    (found == routing_key && parts.next().is_none() && !queue.is_empty()).then_some(queue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_find_the_client_that_waits() {
        let member = reply_binding_member("oid", SEPARATOR);
        assert_eq!(member, "oid\u{6}\u{16}\u{6}\u{16}oid.reply.celery.pidbox");
        assert_eq!(bound_queue(&member, "oid", SEPARATOR), Some("oid.reply.celery.pidbox"));
        for (member, routing_key) in [
            (member.as_str(), "other"),
            ("", ""),
            ("oid", "oid"),
            ("oid\u{6}\u{16}\u{6}\u{16}", "oid"),
        ] {
            assert_eq!(bound_queue(member, routing_key, SEPARATOR), None, "{member:?}");
        }
        assert_eq!(reply_binding_key(), "_kombu.binding.reply.celery.pidbox");
    }

    #[test]
    fn channels_have_the_prefix_before_the_database() {
        assert_eq!(pidbox_channel("", 0), "/0.celery.pidbox");
        assert_eq!(pidbox_channel("app:", 3), "app:/3.celery.pidbox");
        assert_eq!(event_channel("", 0, "worker.heartbeat"), "/0.celeryev/worker.heartbeat");
        assert_eq!(event_channel("", 1, "*"), "/1.celeryev/*");
        assert_eq!(fanout_channel("app:", 1, "bcast", "celery"), "app:/1.bcast/celery");
        assert_eq!(fanout_channel("", 0, "bcast", ""), "/0.bcast");
    }

    #[test]
    fn a_priority_goes_to_the_step_below() {
        let check = |priority: u8, expected: &str| {
            assert_eq!(queue_list("celery", priority, &STEPS, SEPARATOR), expected);
        };
        check(0, "celery");
        check(2, "celery");
        check(3, "celery\u{6}\u{16}3");
        check(8, "celery\u{6}\u{16}6");
        check(255, "celery\u{6}\u{16}9");
        assert_eq!(queue_list("q", 7, &[], ":"), "q");
        assert_eq!(queue_list("q", 1, &[2, 5], ":"), "q:5");
    }

    #[test]
    fn lists_come_most_urgent_first() {
        assert_eq!(lists("q", &STEPS, ":"), ["q", "q:3", "q:6", "q:9"]);
        assert_eq!(lists("q", &[], ":"), ["q"]);
    }

    #[test]
    fn bindings_and_results_are_named_as_celery_names_them() {
        assert_eq!(binding_member("celery", SEPARATOR), "celery\u{6}\u{16}\u{6}\u{16}celery");
        assert_eq!(binding_keys("celery")[0], "_kombu.binding.celery");
        assert_eq!(result_key(RESULT_PREFIX, "1"), "celery-task-meta-1");
    }
}
