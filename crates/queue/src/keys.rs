//! Every key on the queue's database: name, type, life, who writes and who reads.
//!
//! All of them begin with the broker's `global_keyprefix`, Celery's, kombu's and ours alike, but
//! for `celery-task…`: these have the results' own, `result_global_keyprefix`, as Celery joins it.
//! RedBeat's have `beat.redbeat_key_prefix` alone, as RedBeat reads them. A prefix with a hash tag
//! (`{shop}:`) puts all of an installation into one slot of a cluster.
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
//! | `rhubarb:{q}:looks` | hash | 7 days after the last look; one field a length of lease | reap | reap |
//! | `rhubarb:{q}:scheduled` | zset | work put off | settle, claim (due) | claim, inspect |
//! | `rhubarb:{q}:paused` | string | while paused | operator | claim |
//! | `rhubarb:{q}:deliveries` | hash | 7 days unchanged; two fields a message that a worker died with | reap, settle, replay | claim |
//! | `rhubarb:{q}:ticks` | hash | one field a schedule, a week after it has gone | tick, tick_note | beat, inspect |
//! | `rhubarb:{q}:fence` | string | one number | tick, tick_note | tick, tick_note |
//! | `rhubarb:schedules`, `rhubarb:schedules:pauses` | hash | until removed, 20,000 fields | schedule_edit | beat, inspect |
//! | `rhubarb:schedules:version` | string | one number | schedule_edit | beat |
//! | `redbeat::schedule`, `redbeat::lock`, `redbeat:<name>` | zset, string, hash | RedBeat's own | Python | beat, inspect |
//! | `rhubarb:queues` | set | one member a queue | publish, consumer | inspect |
//! | `rhubarb:queues:paused` | set | one member a paused queue | operator | inspect |
//! | `rhubarb:walk` | hash | a day after the last step | walk | walk |
//! | `rhubarb:workers` | zset | alive, and an hour after | heartbeat | inspect |
//! | `rhubarb:worker:<id>` | string | one hour | heartbeat | inspect |
//! | `rhubarb:dead`, `rhubarb:dead:letters`, `rhubarb:dead:bytes` | zset, hash, string | capped by count, age and bytes | settle, replay | inspect, replay |
//! | `rhubarb:parked`, `rhubarb:parked:letters`, `rhubarb:parked:bytes` | zset, hash, string | capped by count, age and bytes | settle, replay | inspect, replay, `foreign`, `hand_back` |
//! | `<id>.reply.celery.pidbox`, `_kombu.binding.reply.celery.pidbox` | list, set | a second | whoever answers, `ask` | `ask` |
//! | `rhubarb:lock:<name>` | string | its owner's lease | lock | lock |
//! | `rhubarb:{limits}:<name>`, `rhubarb:{limits}:<name>:places` | hash, zset | 10 minutes after the last use, or its lease | limiter | limiter |
//! | `rhubarb:unique:<name>` | string | as long as asked for | publish | publish |
//! | `rhubarb:audit` | stream | about 1,000 entries | `audit` | `audit` |
//! | `rhubarb:web:key` | string | for ever | `audit` | `audit` |
//! | `rhubarb:revoked`, `rhubarb:revoked:terminate` | zset | `worker.revoke_expires`, 50,000 members | revoke | consumer |
//! | `<oid>.reply.celery.pidbox` | list | until its client has read it, one minute | reply | Celery clients |
//! | `_kombu.binding.reply.celery.pidbox` | set | while clients wait | Celery clients, consumer (its own, for a second) | reply |
//! | `rhubarb:history` | stream | capped by count, age and bytes | settle | `history`, `rhubarb web` |
//! | `rhubarb:totals` | hash | for ever, bounded names | heartbeat | `statistics` |
//! | `rhubarb:minute:<n>` | hash | 72 h, bounded names | heartbeat | `statistics` |
//! | `rhubarb:shares` | hash | until reset, 1,000 fields | `rhubarb share` | consumer, `rhubarb share` |
//! | `rhubarb:next` | hash | a day after the last look; one field a list | `oldest` | `oldest` |
//! | `rhubarb:beat:lease` | string | the leader's lease | beat | beat, inspect |
//! | `rhubarb:beat:fence` | string | one number | beat | beat |
//! | `rhubarb:django:<id>` | string | a day by default | `deploy/django` | `deploy/django` |
//!
//! A queue's own keys carry its name as hash tag, so that on a cluster one script finds them all in
//! one slot. So do limits: one script takes a place under several.

use std::sync::Arc;

use crate::{config::CeleryConfig, slot::hash_tag};

use crate::letter::kind::LetterKind;

/// What the name of every key of ours begins with, behind the broker's prefix.
pub(crate) const OURS: &str = "rhubarb:";

/// The keys of one installation that are no single queue's.
///
/// Every key begins with the broker's `global_keyprefix`, so that two installations on one Redis
/// see nothing of each other. There is no other way to one of these names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    prefix: Arc<str>,
    /// That of results, Celery's other setting.
    results: Arc<str>,
}

impl Keys {
    /// Returns the keys of the installation that has these settings.
    pub fn new(celery: &CeleryConfig) -> Self {
        Self {
            prefix: celery.global_keyprefix.as_str().into(),
            results: celery.result_prefix().into(),
        }
    }

    pub(crate) fn ours(&self, name: &str) -> String {
        format!("{}{OURS}{name}", self.prefix)
    }

    /// Returns a key of kombu's.
    pub fn kombus(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Returns the key and channel of a task's result.
    pub fn result(&self, id: &str) -> String {
        format!("{}{}{id}", self.results, rhubarb_wire::RESULT_PREFIX)
    }

    /// Returns the key of what belongs to a group or chord; `part` is empty or `.j`, `.s`, ….
    pub(crate) fn group(&self, id: &str, part: &str) -> String {
        format!("{}{}{id}{part}", self.results, rhubarb_wire::GROUP_PREFIX)
    }

    /// Returns the zset of workers, to the ends of their leases.
    pub fn workers(&self) -> String {
        self.ours("workers")
    }

    /// Returns the key of a worker's record.
    pub fn worker(&self, id: &str) -> String {
        self.ours(&format!("worker:{id}"))
    }

    /// Returns the set of all queues that were ever published to or consumed from.
    pub fn queues(&self) -> String {
        self.ours("queues")
    }

    /// Returns the set of queues that were paused, which nobody else may know.
    pub fn paused_queues(&self) -> String {
        self.ours("queues:paused")
    }

    /// Returns the zset of tasks that shall not run, to when that ends, ms.
    pub fn revoked(&self) -> String {
        self.ours("revoked")
    }

    /// Returns the zset of those of them that are to be ended while they run.
    pub fn terminated(&self) -> String {
        self.ours("revoked:terminate")
    }

    /// Returns the hash of live schedules.
    pub fn schedules(&self) -> String {
        self.ours("schedules")
    }

    /// Returns the hash that tells which schedules are paused, or were.
    pub fn schedule_pauses(&self) -> String {
        self.ours("schedules:pauses")
    }

    /// Returns the counter of edits of the two above.
    pub fn schedules_version(&self) -> String {
        self.ours("schedules:version")
    }

    /// Returns the beat's lease.
    pub fn beat_lease(&self) -> String {
        self.ours("beat:lease")
    }

    /// Returns the beat's counter of fencing numbers.
    pub fn beat_fence(&self) -> String {
        self.ours("beat:fence")
    }

    /// Returns the hash of tasks to the share that our workers take.
    pub fn shares(&self) -> String {
        self.ours("shares")
    }

    /// Returns the key of a lock.
    pub fn lock(&self, name: &str) -> String {
        self.ours(&format!("lock:{name}"))
    }

    /// Returns the hash of a limit's state.
    pub fn limit(&self, name: &str) -> String {
        self.ours(&format!("{{limits}}:{name}"))
    }

    /// Returns the zset of a limit's places.
    pub fn limit_places(&self, name: &str) -> String {
        self.ours(&format!("{{limits}}:{name}:places"))
    }

    /// Returns the key that keeps a second task of the same name and arguments out.
    pub fn unique(&self, digest: &str) -> String {
        self.ours(&format!("unique:{digest}"))
    }

    /// Returns the stream of what people changed.
    pub fn audit(&self) -> String {
        self.ours("audit")
    }

    /// Returns the key of the secret that logins at the dashboards are sealed with.
    pub fn web_key(&self) -> String {
        self.ours("web:key")
    }

    /// Returns the stream of what became of tasks.
    pub fn history(&self) -> String {
        self.ours("history")
    }

    /// Returns the hash of what was counted since the installation began.
    pub fn totals(&self) -> String {
        self.ours("totals")
    }

    /// Returns the hash of what was counted in a minute, minutes since 1970.
    pub fn minute(&self, minute: i64) -> String {
        self.ours(&format!("minute:{minute}"))
    }

    /// Returns the hash of what was seen next in each list, and since when.
    pub fn seen_next(&self) -> String {
        self.ours("next")
    }

    /// Returns how far the fleet's walk for claims without a lease has come.
    pub fn walk(&self) -> String {
        self.ours("walk")
    }

    /// Returns the keys of the messages that are kept apart.
    pub fn letters(&self, kind: LetterKind) -> LetterKeys {
        let name = match kind {
            LetterKind::Dead => "dead",
            LetterKind::Parked => "parked",
        };
        LetterKeys {
            index: self.ours(name),
            letters: self.ours(&format!("{name}:letters")),
            bytes: self.ours(&format!("{name}:bytes")),
        }
    }
}

/// The keys of messages that are kept apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterKeys {
    /// The zset of ids by time.
    pub index: String,
    /// The hash of records.
    pub letters: String,
    /// How many bytes the records have together.
    pub bytes: String,
}

impl LetterKeys {
    /// Returns them in the scripts' order.
    pub fn all(&self) -> [String; 3] {
        [self.index.clone(), self.letters.clone(), self.bytes.clone()]
    }
}

/// Returns the list of a queue for a priority: what [`QueueKeys::list_for`] returns, without all
/// the others.
pub fn list(queue: &str, priority: u8, celery: &CeleryConfig) -> String {
    let name = format!("{}{queue}", celery.global_keyprefix);
    rhubarb_wire::queue_list(&name, priority, &celery.priority_steps, &celery.sep)
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
    /// When workers looked at the leases last, ms.
    pub looks: String,
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
        let key = |kind: &str| format!("{}{OURS}{tag}:{kind}", celery.global_keyprefix);
        Self {
            name: name.to_owned(),
            lists: lists(name, celery),
            leases: key("leases"),
            looks: key("looks"),
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

    /// Tells whether a key only records what is claimed: claims, leases, deaths. What is to be
    /// claimed is in the others.
    pub fn is_record(&self, key: &[u8]) -> bool {
        key.starts_with(self.claims_prefix.as_bytes())
            || key == self.leases.as_bytes()
            || key == self.looks.as_bytes()
            || key == self.deliveries.as_bytes()
    }

    /// Returns the list for a priority: that of the greatest step not above it.
    pub fn list_for(&self, priority: u8) -> &str {
        &self.lists[self.list_number(priority) - 1]
    }

    /// Returns which list that is, 1 for the most urgent.
    pub fn list_number(&self, priority: u8) -> usize {
        list_number(priority, &self.steps)
    }
}

/// Which list of a queue a priority has, 1 for the most urgent.
pub fn list_number(priority: u8, steps: &[u8]) -> usize {
    steps.iter().rposition(|step| *step <= priority).unwrap_or(0) + 1
}

/// Returns a queue's part of its keys: another one for each name, with the hash tag of its lists.
///
/// A name with braces of its own keeps them as its tag, as Redis Cluster reads names. `{x}` would
/// so have the keys of `x`: it gets a beginning that no other queue can have, because no queue's
/// name begins so (`queue_name`).
fn tag(name: &str) -> String {
    if !has_tag(name) {
        return format!("{{{name}}}");
    }
    let within = name.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
    match within.is_some_and(|within| !has_tag(within)) {
        true => format!("{OURS}{name}"),
        false => name.to_owned(),
    }
}

fn has_tag(name: &str) -> bool {
    hash_tag(name).is_some()
}

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

/// Returns the families that the table above names, for whoever counts keys; the lists are
/// [`QueueKeys::lists`].
pub fn families(celery: &CeleryConfig) -> Vec<Family> {
    let keys = Keys::new(celery);
    let results = |name, prefix| Family { name, prefix, suffix: "" };
    let celerys = |name, key: &str, suffix| Family { name, prefix: keys.kombus(key), suffix };
    let ours = |name, key: &str| Family { name, prefix: keys.ours(key), suffix: "" };
    vec![
        results("results", keys.result("")),
        results("groups and chords", keys.group("", "")),
        celerys("bindings", "_kombu.binding", ""),
        celerys("unacknowledged by Python", "unacked", ""),
        celerys("replies", "", ".reply.celery.pidbox"),
        ours("workers", "worker"),
        ours("dead letters", "dead"),
        ours("parked tasks", "parked"),
        ours("schedules", "schedules"),
        ours("unique locks", "unique:"),
        ours("queues", "{"),
        ours("rhubarb", ""),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn celery() -> CeleryConfig {
        crate::Config::default().celery
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
    fn no_two_queues_share_a_key_and_each_keeps_its_tag() {
        let names =
            ["x", "{x}", "{{x}}", "a{x}", "{x}a", "{}", "{{}}", "{a}{b}", "a}{b", "x}", "{x"];
        let mut found = std::collections::HashMap::new();
        for name in names {
            let paused = QueueKeys::new(name, &celery()).paused;
            assert_eq!(found.insert(paused.clone(), name), None, "{name}: {paused}");
        }
        assert_eq!(QueueKeys::new("{x}", &celery()).paused, "rhubarb:rhubarb:{x}:paused");
        for name in ["x", "{x}", "a{x}", "{x}a"] {
            let QueueKeys { lists, paused, .. } = QueueKeys::new(name, &celery());
            assert!(slot(&paused) == slot("x") && slot(&lists[0]) == slot("x"), "{name}");
        }
    }

    /// Every key of an installation, of two queues among them.
    fn every_key(celery: &CeleryConfig) -> Vec<String> {
        let keys = Keys::new(celery);
        let mut all = vec![
            keys.workers(),
            keys.worker("w"),
            keys.queues(),
            keys.revoked(),
            keys.terminated(),
            keys.schedules(),
            keys.schedule_pauses(),
            keys.schedules_version(),
            keys.beat_lease(),
            keys.beat_fence(),
            keys.lock("scrape:rust"),
            keys.unique("0a1b"),
            keys.kombus("unacked"),
        ];
        all.extend(keys.letters(LetterKind::Dead).all());
        all.extend(keys.letters(LetterKind::Parked).all());
        all.extend(rhubarb_wire::binding_keys("celery").map(|key| keys.kombus(&key)));
        for name in ["celery", "{a}b"] {
            let queue = QueueKeys::new(name, celery);
            all.extend([queue.claims("w"), queue.leases, queue.scheduled, queue.paused]);
            all.extend([queue.deliveries, queue.ticks, queue.fence]);
            all.extend(queue.lists);
        }
        all
    }

    #[test]
    fn results_have_their_own_prefix_as_each_celery_joins_it() {
        use crate::config::KeyprefixForm::{Celery5_4, Celery5_7};

        for (form, prefix, expect) in [
            (Celery5_7, "", ""),
            (Celery5_4, "", ""),
            (Celery5_7, "shop", "shop_"),
            (Celery5_4, "shop", "shop_"),
            (Celery5_7, "shop:", "shop:"),
            (Celery5_4, "shop:", "shop:_"),
            (Celery5_7, "shop-", "shop-"),
            (Celery5_7, "shop.", "shop."),
            (Celery5_7, "shop_", "shop_"),
            (Celery5_4, "shop_", "shop__"),
            (Celery5_7, "{shop}", "{shop}_"),
        ] {
            let keys = Keys::new(&CeleryConfig {
                global_keyprefix: "other:".into(),
                result_global_keyprefix: prefix.into(),
                result_keyprefix_form: form,
                ..celery()
            });
            assert_eq!(keys.result("1"), format!("{expect}celery-task-meta-1"));
            assert_eq!(keys.group("1", ".j"), format!("{expect}celery-taskset-meta-1.j"));
        }
    }

    #[test]
    fn without_a_prefix_every_key_is_what_it_always_was() {
        let all = every_key(&CeleryConfig { priority_steps: vec![0, 5], ..celery() });
        let expect = "rhubarb:workers rhubarb:worker:w rhubarb:queues rhubarb:revoked \
            rhubarb:revoked:terminate rhubarb:schedules rhubarb:schedules:pauses \
            rhubarb:schedules:version rhubarb:beat:lease rhubarb:beat:fence \
            rhubarb:lock:scrape:rust rhubarb:unique:0a1b unacked \
            rhubarb:dead rhubarb:dead:letters rhubarb:dead:bytes \
            rhubarb:parked rhubarb:parked:letters rhubarb:parked:bytes \
            _kombu.binding.celery _kombu.binding_permanent.celery \
            rhubarb:{celery}:claims:w rhubarb:{celery}:leases rhubarb:{celery}:scheduled \
            rhubarb:{celery}:paused rhubarb:{celery}:deliveries rhubarb:{celery}:ticks \
            rhubarb:{celery}:fence celery celery\u{6}\u{16}5 \
            rhubarb:{a}b:claims:w rhubarb:{a}b:leases rhubarb:{a}b:scheduled rhubarb:{a}b:paused \
            rhubarb:{a}b:deliveries rhubarb:{a}b:ticks rhubarb:{a}b:fence {a}b {a}b\u{6}\u{16}5";
        assert_eq!(all, expect.split(' ').collect::<Vec<_>>());
    }

    #[test]
    fn a_prefix_stands_before_every_key_and_its_hash_tag_makes_one_slot() {
        let prefixed = CeleryConfig { global_keyprefix: "{shop}:".into(), ..celery() };
        let with: Vec<String> =
            every_key(&celery()).iter().map(|key| format!("{{shop}}:{key}")).collect();
        assert_eq!(every_key(&prefixed), with);
        let slots: std::collections::HashSet<u16> = with.iter().map(|key| slot(key)).collect();
        assert_eq!(slots.into_iter().collect::<Vec<_>>(), [slot("shop")]);
    }

    /// Redis Cluster's slot of a key: CRC16 (XMODEM) of its hash tag, where it has one.
    fn slot(key: &str) -> u16 {
        let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
        let hashed = tag.map(|(tag, _)| tag).filter(|tag| !tag.is_empty()).unwrap_or(key);
        let crc = hashed.bytes().fold(0_u16, |crc, byte| {
            (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
                (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
            })
        });
        crc % 16_384
    }

    #[test]
    fn slots_are_redis_clusters() {
        // From the specification: the CRC16 of "123456789" is 31C3.
        assert_eq!(slot("123456789"), 0x31c3);
        assert_eq!(slot("a{123456789}b"), slot("{123456789}{c}"));
    }

    #[test]
    fn records_of_claims_are_told_from_what_is_to_be_claimed() {
        let keys = QueueKeys::new("celery", &celery());
        let claims = keys.claims("w");
        for record in [&claims, &keys.leases, &keys.looks, &keys.deliveries] {
            assert!(keys.is_record(record.as_bytes()), "{record}");
        }
        let others_claims = QueueKeys::new("other", &celery()).claims("w");
        for key in keys.lists.iter().chain([&keys.scheduled, &keys.paused, &others_claims]) {
            assert!(!keys.is_record(key.as_bytes()), "{key}");
        }
    }

    #[test]
    fn every_key_of_ours_is_in_the_family_that_is_named_first() {
        let celery = CeleryConfig {
            global_keyprefix: "shop:".into(),
            result_global_keyprefix: "its".into(),
            ..celery()
        };
        let families = families(&celery);
        let family = |key: &str| {
            let found = families
                .iter()
                .find(|family| key.starts_with(&family.prefix) && key.ends_with(family.suffix));
            found.map_or("none", |family| family.name)
        };
        let (queue, keys) = (QueueKeys::new("celery", &celery), Keys::new(&celery));
        assert_eq!(family(&queue.scheduled), "queues");
        assert_eq!(family(&queue.claims("w")), "queues");
        assert_eq!(family(&keys.workers()), "workers");
        assert_eq!(family(&keys.worker("w")), "workers");
        assert_eq!(family(&keys.queues()), "rhubarb");
        assert_eq!(family(&keys.unique("x")), "unique locks");
        assert_eq!(family(&keys.letters(LetterKind::Dead).bytes), "dead letters");
        assert_eq!(family("its_celery-task-meta-1"), "results");
        assert_eq!(family("shop:1.reply.celery.pidbox"), "replies");
        assert_eq!(family("celery-task-meta-1"), "none");
    }
}
