//! Every key on the queue's database: name, type, life, who writes and who reads.
//!
//! | key | type | life | written by | read by |
//! |---|---|---|---|---|
//! | `<queue>`, `<queue>SEP3` … | list | work waiting | Celery clients, publish, claim (due), settle, reap | claim, inspect |
//! | `_kombu.binding.<queue>`, `_kombu.binding_permanent.<queue>` | set | for ever, one member | publish, consumer | Celery clients, inspect |
//! | `celery-task-meta-<id>` | string | `result_expires` | settle, state | Celery clients, client |
//! | `unacked`, `unacked_index`, `unacked_mutex` | hash, zset, string | kombu's | Python workers; `adopt` on demand | Python workers, `adopt` |
//! | `celery-taskset-meta-<id>` | string | `result_expires` | publish (nested groups), Celery | the end of a chord, Celery clients |
//! | `celery-taskset-meta-<id>.s`, `.t` | string | `result_expires`, or until the chord ends | publish, Celery | the end of a chord |
//! | `celery-taskset-meta-<id>.j`, `.d` | zset, set | the same; one member a part | the end of a part | the end of a chord |
//! | `celery-taskset-meta-<id>.c` | string | seconds; 300 s once the chord has ended | the end of a chord | the end of a part |
//! | `rhubarb:{q}:claims:<worker>` | hash | work in flight | claim, settle, reap | claim, inspect |
//! | `rhubarb:{q}:leases` | zset | workers with claims | claim, heartbeat, reap | reap |
//! | `rhubarb:{q}:scheduled` | zset | work put off | settle, claim (due) | claim, inspect |
//! | `rhubarb:{q}:paused` | string | while paused | operator | claim |
//! | `rhubarb:{q}:deliveries` | hash | 7 days unchanged; two fields a message that a worker died with | reap, settle, replay | claim |
//! | `rhubarb:{q}:ticks` | hash | one field a schedule, a week after it has gone | tick, tick_note | beat, inspect |
//! | `rhubarb:{q}:fence` | string | one number | tick, tick_note | tick, tick_note |
//! | `rhubarb:schedules`, `rhubarb:schedules:pauses` | hash | until removed, 20,000 fields | schedule_edit | beat, inspect |
//! | `rhubarb:schedules:version` | string | one number | schedule_edit | beat |
//! | `redbeat::schedule`, `redbeat::lock`, `redbeat:<name>` | zset, string, hash | RedBeat's own | Python | beat, inspect |
//! | `rhubarb:queues` | set | one member a queue | publish, consumer | inspect |
//! | `rhubarb:workers` | zset | alive, and an hour after | heartbeat | inspect |
//! | `rhubarb:worker:<id>` | string | one hour | heartbeat | inspect |
//! | `rhubarb:dead`, `rhubarb:dead:letters`, `rhubarb:dead:bytes` | zset, hash, string | capped by count, age and bytes | settle, replay | inspect, replay |
//! | `rhubarb:parked`, `rhubarb:parked:letters`, `rhubarb:parked:bytes` | zset, hash, string | capped by count, age and bytes | settle, replay | inspect, replay, `strangers`, `hand_back` |
//! | `<id>.reply.celery.pidbox`, `_kombu.binding.reply.celery.pidbox` | list, set | a second | whoever answers, `ask` | `ask` |
//! | `rhubarb:lock:<name>` | string | its owner's lease | lock | lock |
//! | `rhubarb:unique:<name>` | string | as long as asked for | publish | publish |
//! | `rhubarb:revoked`, `rhubarb:revoked:terminate` | zset | `worker.revoke_expires`, 50,000 members | revoke | consumer |
//! | `<oid>.reply.celery.pidbox` | list | until its client has read it, one minute | reply | Celery clients |
//! | `_kombu.binding.reply.celery.pidbox` | set | while clients wait | Celery clients, consumer (its own, for a second) | reply |
//! | `rhubarb:beat:lease` | string | the leader's lease | beat | beat, inspect |
//! | `rhubarb:beat:fence` | string | one number | beat | beat |
//! | `rhubarb:django:<id>` | string | a day by default | `deploy/django` | `deploy/django` |
//!
//! A queue's own keys carry its name as hash tag, so that on a cluster one script finds them all in one slot.

use rhubarb_core::config::CeleryConfig;

/// The names of workers and of their records.
pub const WORKERS: &str = "rhubarb:workers";
/// The names of all queues that were ever published to or consumed from.
pub const QUEUES: &str = "rhubarb:queues";
/// The ids of tasks that shall not run, to when that ends, ms.
pub const REVOKED: &str = "rhubarb:revoked";
/// Those of them that are to be ended while they run.
pub const TERMINATED: &str = "rhubarb:revoked:terminate";
/// The live schedules.
pub const SCHEDULES: &str = "rhubarb:schedules";
/// Which schedules are paused, or were.
pub const SCHEDULE_PAUSES: &str = "rhubarb:schedules:pauses";
/// Counts the edits of the two above.
pub const SCHEDULES_VERSION: &str = "rhubarb:schedules:version";
/// The beat's lease.
pub const BEAT_LEASE: &str = "rhubarb:beat:lease";
/// The beat's counter of fencing numbers.
pub const BEAT_FENCE: &str = "rhubarb:beat:fence";

/// Returns the key of a worker's record.
pub fn worker(id: &str) -> String {
    format!("rhubarb:worker:{id}")
}

/// Returns the list of a queue for a priority: what [`QueueKeys::list_for`] returns, without all the others.
pub(crate) fn list(queue: &str, priority: u8, celery: &CeleryConfig) -> String {
    let name = format!("{}{queue}", celery.global_keyprefix);
    rhubarb_wire::queue_list(&name, priority, &celery.priority_steps, &celery.sep)
}

/// Returns the key of a lock.
pub fn lock(name: &str) -> String {
    format!("rhubarb:lock:{name}")
}

/// Returns the key that keeps a second task of the same name and arguments out.
pub fn unique(digest: &str) -> String {
    format!("rhubarb:unique:{digest}")
}

/// The keys of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueKeys {
    /// The queue's name.
    pub name: String,
    /// Its lists, most urgent first.
    pub lists: Vec<String>,
    /// Worker id to the end of its lease, ms.
    pub leases: String,
    /// `<list>|<message>` to when it is due, ms.
    pub scheduled: String,
    /// Exists while the queue is paused.
    pub paused: String,
    /// SHA-1 of a message to how often a worker died with it.
    pub deliveries: String,
    /// Schedule name to its record.
    pub ticks: String,
    /// The greatest fencing number that has written there.
    pub fence: String,
    /// What a worker's claims hash begins with.
    pub claims_prefix: String,
    steps: Vec<u8>,
}

impl QueueKeys {
    /// Returns the keys of a queue under Celery's settings.
    pub fn new(name: &str, celery: &CeleryConfig) -> Self {
        let tag = tag(name);
        let key = |kind: &str| format!("rhubarb:{tag}:{kind}");
        Self {
            name: name.to_owned(),
            lists: lists(name, celery),
            leases: key("leases"),
            scheduled: key("scheduled"),
            paused: key("paused"),
            deliveries: key("deliveries"),
            ticks: key("ticks"),
            fence: key("fence"),
            claims_prefix: key("claims:"),
            steps: celery.priority_steps.clone(),
        }
    }

    /// Returns the key of a worker's claims.
    pub fn claims(&self, worker: &str) -> String {
        format!("{}{worker}", self.claims_prefix)
    }

    /// Tells whether a key only records what is claimed: claims, leases, deaths. What is to be claimed is in the others.
    pub(crate) fn is_record(&self, key: &[u8]) -> bool {
        key.starts_with(self.claims_prefix.as_bytes())
            || key == self.leases.as_bytes()
            || key == self.deliveries.as_bytes()
    }

    /// Returns the list for a priority: that of the greatest step not above it.
    pub fn list_for(&self, priority: u8) -> &str {
        &self.lists[self.list_number(priority) - 1]
    }

    /// Returns which list that is, 1 for the most urgent.
    pub(crate) fn list_number(&self, priority: u8) -> usize {
        list_number(priority, &self.steps)
    }
}

/// Which list of a queue a priority has, 1 for the most urgent.
pub(crate) fn list_number(priority: u8, steps: &[u8]) -> usize {
    steps.iter().rposition(|step| *step <= priority).unwrap_or(0) + 1
}

/// A name with braces of its own keeps them as its tag, as Redis Cluster reads names.
fn tag(name: &str) -> String {
    let own = name.find('{').is_some_and(|open| name[open + 1..].find('}').is_some_and(|n| n > 0));
    if own { name.to_owned() } else { format!("{{{name}}}") }
}

/// `global_keyprefix` stands in front of every key of Celery's.
fn lists(name: &str, celery: &CeleryConfig) -> Vec<String> {
    let name = format!("{}{name}", celery.global_keyprefix);
    rhubarb_wire::lists(&name, &celery.priority_steps, &celery.sep)
}

/// A family of keys on the queue's or the results' database, by how their names begin and end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// What it holds.
    pub name: &'static str,
    /// What its names begin with.
    pub prefix: String,
    /// What they end with; mostly nothing.
    pub suffix: &'static str,
}

/// Returns the families that the table above names, for whoever counts keys; the lists are [`QueueKeys::lists`].
pub fn families(celery: &CeleryConfig) -> Vec<Family> {
    let celerys = |name, key: &str, suffix| Family {
        name,
        prefix: format!("{}{key}", celery.global_keyprefix),
        suffix,
    };
    let ours = |name, key: &str| Family { name, prefix: key.to_owned(), suffix: "" };
    vec![
        celerys("results", rhubarb_wire::RESULT_PREFIX, ""),
        celerys("groups and chords", rhubarb_wire::GROUP_PREFIX, ""),
        celerys("bindings", "_kombu.binding", ""),
        celerys("unacknowledged by Python", "unacked", ""),
        celerys("replies", "", ".reply.celery.pidbox"),
        ours("workers", "rhubarb:worker"),
        ours("dead letters", "rhubarb:dead"),
        ours("parked tasks", "rhubarb:parked"),
        ours("schedules", "rhubarb:schedules"),
        ours("unique locks", "rhubarb:unique:"),
        ours("queues", "rhubarb:{"),
        ours("rhubarb", "rhubarb:"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn celery() -> CeleryConfig {
        rhubarb_core::config::Config::default().celery
    }

    #[test]
    fn lists_are_celerys_with_the_separator() {
        let keys = QueueKeys::new("celery", &celery());
        assert_eq!(
            keys.lists,
            ["celery", "celery\u{6}\u{16}3", "celery\u{6}\u{16}6", "celery\u{6}\u{16}9"]
        );
        for (priority, list) in [(0, 0), (2, 0), (3, 1), (8, 2), (9, 3), (255, 3)] {
            assert_eq!(keys.list_for(priority), keys.lists[list], "{priority}");
        }
    }

    #[test]
    fn one_list_is_named_as_it_is_among_all() {
        let celery = CeleryConfig {
            global_keyprefix: "shop:".into(),
            priority_steps: vec![0, 2, 5],
            ..celery()
        };
        let keys = QueueKeys::new("q", &celery);
        for priority in 0..=u8::MAX {
            assert_eq!(list("q", priority, &celery), keys.list_for(priority));
        }
    }

    #[test]
    fn a_queues_keys_carry_its_name_as_hash_tag() {
        assert_eq!(QueueKeys::new("celery", &celery()).scheduled, "rhubarb:{celery}:scheduled");
        assert_eq!(QueueKeys::new("{a}b", &celery()).claims("w"), "rhubarb:{a}b:claims:w");
        assert_eq!(QueueKeys::new("{}", &celery()).paused, "rhubarb:{{}}:paused");
    }

    #[test]
    fn records_of_claims_are_told_from_what_is_to_be_claimed() {
        let keys = QueueKeys::new("celery", &celery());
        let claims = keys.claims("w");
        for record in [&claims, &keys.leases, &keys.deliveries] {
            assert!(keys.is_record(record.as_bytes()), "{record}");
        }
        let others_claims = QueueKeys::new("other", &celery()).claims("w");
        for key in keys.lists.iter().chain([&keys.scheduled, &keys.paused, &others_claims]) {
            assert!(!keys.is_record(key.as_bytes()), "{key}");
        }
    }

    #[test]
    fn every_key_of_ours_is_in_the_family_that_is_named_first() {
        let families = families(&CeleryConfig { global_keyprefix: "shop:".into(), ..celery() });
        let family = |key: &str| {
            let found = families
                .iter()
                .find(|family| key.starts_with(&family.prefix) && key.ends_with(family.suffix));
            found.map_or("none", |family| family.name)
        };
        let keys = QueueKeys::new("celery", &celery());
        assert_eq!(family(&keys.scheduled), "queues");
        assert_eq!(family(&keys.claims("w")), "queues");
        assert_eq!(family(WORKERS), "workers");
        assert_eq!(family(&worker("w")), "workers");
        assert_eq!(family(QUEUES), "rhubarb");
        assert_eq!(family(&unique("x")), "unique locks");
        assert_eq!(family("shop:celery-task-meta-1"), "results");
        assert_eq!(family("shop:1.reply.celery.pidbox"), "replies");
        assert_eq!(family("celery-task-meta-1"), "none");
    }
}
