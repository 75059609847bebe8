//! What was seen, counted: each message once, by its id.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{BuildHasher, RandomState},
};

use rhubarb_wire::{DecodeError, Envelope};
use serde_json::Value;

use super::{
    KnownTasks, fit,
    report::{TaskReport, Unreadable, Verdict},
};

/// How many messages are told apart.
const MESSAGES: usize = 500_000;
/// How many names of tasks are counted one by one.
const NAMES: usize = 1_000;
/// The longest name that is kept, characters.
const LONGEST: usize = 200;
/// What stands for the names beyond these.
const OTHERS: &str = "(other tasks)";

/// Where a message was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It waited when the first look came.
    Before,
    /// It came later.
    Came,
}

/// All that was seen.
#[derive(Debug)]
pub(super) struct Tally {
    known: KnownTasks,
    max_message_bytes: usize,
    hasher: RandomState,
    /// Messages that were read.
    read: HashSet<u64>,
    /// Tasks that only an event told of, by the hash of their id: their names.
    told: HashMap<u64, String>,
    tasks: BTreeMap<String, TaskReport>,
    unreadable: BTreeMap<&'static str, Unreadable>,
}

impl Tally {
    pub(super) fn new(known: KnownTasks, max_message_bytes: usize) -> Self {
        Self {
            known,
            max_message_bytes,
            hasher: RandomState::new(),
            read: HashSet::new(),
            told: HashMap::new(),
            tasks: BTreeMap::new(),
            unreadable: BTreeMap::new(),
        }
    }

    /// Tells whether no further message can be told apart.
    pub(super) fn is_full(&self) -> bool {
        self.read.len() + self.told.len() >= MESSAGES
    }

    /// Counts a message of so many bytes; of one that is too large the bytes are not there.
    pub(super) fn message(&mut self, bytes: &[u8], size: usize, place: Place) {
        if self.is_full() {
            return;
        }
        if bytes.is_empty() && size > 0 {
            let max = self.max_message_bytes;
            let reason =
                format!("the message has {size} bytes, more than worker.max_message_bytes = {max}");
            // Two of the same size are taken for one.
            if self.is_new(&("too large", size)) {
                self.refuse("too large", reason, None);
            }
            return;
        }
        let envelope = match Envelope::decode(bytes) {
            Ok(envelope) => envelope,
            Err(error) => return self.unreadable(&error, bytes),
        };
        let id = &envelope.headers.id;
        if !self.is_new(&id) {
            return;
        }
        self.told.remove(&self.hasher.hash_one(id));
        match envelope.body(self.max_message_bytes) {
            Err(error) => self.refuse(kind(&error), error.to_string(), Some(id.clone())),
            Ok(body) => {
                let misfit = self.known.parameters(&envelope.headers.task);
                let misfit = misfit.and_then(|parameters| fit::misfit(parameters, &body));
                let task = self.task(&envelope.headers.task);
                match place {
                    Place::Before => task.waited += 1,
                    Place::Came => task.came += 1,
                }
                task.bytes += size as u64;
                task.largest = task.largest.max(size);
                if let Some(reason) = misfit {
                    task.misfits += 1;
                    task.misfit.get_or_insert(reason);
                }
            }
        }
    }

    /// Counts a task that an event tells of, unless its message was read. Tells whether it names
    /// one.
    pub(super) fn event(&mut self, event: &Value) -> bool {
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        let names_it = matches!(text("type"), Some("task-received" | "task-sent"));
        let (true, Some(id), Some(name)) = (names_it, text("uuid"), text("name")) else {
            return false;
        };
        let hash = self.hasher.hash_one(id);
        if !self.is_full() && !self.read.contains(&hash) {
            let name = self.counted_as(name);
            self.told.insert(hash, name);
        }
        true
    }

    fn is_new<T: std::hash::Hash>(&mut self, what: &T) -> bool {
        self.read.insert(self.hasher.hash_one(what))
    }

    fn unreadable(&mut self, error: &DecodeError, bytes: &[u8]) {
        let id = error.task_id().map(str::to_owned);
        let is_new = match &id {
            Some(id) => self.is_new(id),
            None => self.is_new(&bytes),
        };
        if is_new {
            self.refuse(kind(error), error.to_string(), id);
        }
    }

    fn refuse(&mut self, kind: &'static str, reason: String, id: Option<String>) {
        let short = |text: String| text.chars().take(LONGEST).collect();
        let first = || Unreadable { n: 0, reason: short(reason), id: id.map(short) };
        self.unreadable.entry(kind).or_insert_with(first).n += 1;
    }

    fn task(&mut self, name: &str) -> &mut TaskReport {
        let name = self.counted_as(name);
        self.tasks.entry(name).or_default()
    }

    fn counted_as(&self, name: &str) -> String {
        let short: String = name.chars().take(LONGEST).collect();
        let is_counted = self.tasks.len() < NAMES || self.tasks.contains_key(&short);
        if is_counted { short } else { OTHERS.to_owned() }
    }

    /// Ends the counting.
    pub(super) fn ended(mut self) -> (BTreeMap<String, TaskReport>, Vec<(String, Unreadable)>) {
        for name in std::mem::take(&mut self.told).into_values() {
            self.task(&name).told += 1;
        }
        for (name, task) in &mut self.tasks {
            task.verdict = match self.known.knows(name) {
                None => Verdict::NobodySays,
                Some(true) => Verdict::Runs,
                Some(false) => Verdict::Unknown,
            };
        }
        let unreadable = self.unreadable.into_iter().map(|(kind, it)| (kind.to_owned(), it));
        (self.tasks, unreadable.collect())
    }
}

/// The kinds of what cannot be read.
fn kind(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::NotMessage { .. } | DecodeError::NotResult { .. } => "not a message",
        DecodeError::NotTask { .. } => "not a task",
        DecodeError::Header { .. } => "unusable header",
        DecodeError::Refused { .. } => "refused content type",
        DecodeError::Compression { .. } => "unsupported compression",
        DecodeError::TooLarge { .. } => "body too large",
        DecodeError::Body { .. } => "malformed body",
        _ => "unreadable",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tally(names: &[&str]) -> Tally {
        let known = KnownTasks::of_names(names.iter().map(|name| (*name).to_owned()));
        Tally::new(known, 1_000)
    }

    fn message(id: &str, task: &str) -> Vec<u8> {
        let headers = json!({"id": id, "task": task});
        let message = json!({"body": "W1tdLCB7fSwge31d", "content-type": "application/json",
            "content-encoding": "utf-8", "headers": headers,
            "properties": {"body_encoding": "base64", "delivery_tag": id,
                "delivery_info": {"exchange": "", "routing_key": "q"}}});
        serde_json::to_vec(&message).unwrap()
    }

    fn see(tally: &mut Tally, bytes: &[u8], place: Place) {
        tally.message(bytes, bytes.len(), place);
    }

    #[test]
    fn a_message_counts_once_wherever_it_is_seen() {
        let mut tally = tally(&["t.known"]);
        let received =
            |id: &str, name: &str| json!({"type": "task-received", "uuid": id, "name": name});
        tally.event(&received("1", "t.known"));
        tally.event(&received("3", "t.told"));
        for _ in 0..3 {
            see(&mut tally, &message("1", "t.known"), Place::Before);
            see(&mut tally, &message("2", "t.other"), Place::Came);
        }
        tally.event(&received("2", "t.other"));
        tally.event(&received("3", "t.told"));
        tally.event(&json!({"type": "task-succeeded", "uuid": "4"}));
        let (tasks, unreadable) = tally.ended();
        let counts: Vec<_> =
            tasks.iter().map(|(name, t)| (name.as_str(), t.waited, t.came, t.told)).collect();
        assert_eq!(counts, [("t.known", 1, 0, 0), ("t.other", 0, 1, 0), ("t.told", 0, 0, 1)]);
        assert_eq!(tasks["t.known"].verdict, Verdict::Runs);
        assert_eq!(tasks["t.told"].verdict, Verdict::Unknown);
        assert!(unreadable.is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_counted_by_kind_with_the_first_reason() {
        let mut tally = tally(&[]);
        let of = |field: &str, value: Value| {
            let mut one: Value = serde_json::from_slice(&message(field, "t")).unwrap();
            one[field] = value;
            serde_json::to_vec(&one).unwrap()
        };
        let not_task = json!({"body": "[1]"});
        for bytes in [
            b"rubbish".to_vec(),
            b"more rubbish".to_vec(),
            serde_json::to_vec(&not_task).unwrap(),
            of("content-type", json!("application/x-python-serialize")),
            of("body", json!("%%%")),
        ] {
            see(&mut tally, &bytes, Place::Came);
            see(&mut tally, &bytes, Place::Came);
        }
        tally.message(b"", 5_000, Place::Came);
        let (tasks, unreadable) = tally.ended();
        let counts: Vec<_> = unreadable.iter().map(|(kind, it)| (kind.as_str(), it.n)).collect();
        let expect = [
            ("malformed body", 1),
            ("not a message", 2),
            ("not a task", 1),
            ("refused content type", 1),
            ("too large", 1),
        ];
        assert_eq!(counts, expect);
        assert!(tasks.is_empty());
    }

    #[test]
    fn names_are_bounded_in_number_and_length() {
        let mut tally = tally(&[]);
        for n in 0..NAMES + 10 {
            see(&mut tally, &message(&n.to_string(), &format!("t.{n}")), Place::Came);
        }
        see(&mut tally, &message("long", &"n".repeat(5_000)), Place::Came);
        let (tasks, _) = tally.ended();
        assert_eq!(tasks.len(), NAMES + 1);
        assert_eq!(tasks[OTHERS].came, 11);
    }
}
