//! Every schedule with what became of it, in the order in which they are due. Pure: what it says is
//! written elsewhere.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use rhubarb_queue::{
    schedules::{All, KnownSchedule, Owner},
    tick::Record,
};

/// What is kept of a schedule that has gone from the file or from RedBeat stays this long: an entry
/// that comes back with the next deploy has its history, and none of its ticks is published again.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What is kept in Redis of schedules, by name: the queue that it is kept with, and the record.
pub type Kept = HashMap<String, (String, Record)>;

/// One schedule in the book.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The schedule.
    pub known: Box<KnownSchedule>,
    /// What became of it: in Redis it is the same.
    pub record: Record,
    /// When it is looked at next; absent when it is not.
    due: Option<Timestamp>,
    /// Whether somebody was told that it is late.
    pub told: bool,
}

/// The schedules of one leader.
#[derive(Clone, Debug, Default)]
pub struct Book {
    slots: Vec<Slot>,
    due: BTreeSet<(Timestamp, usize)>,
    /// What is kept of schedules that are not in it: gone, left to Python, or not to be used at
    /// present.
    away: Kept,
}

/// What has to be written before the book is what is in Redis.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Records to be written, by queue: the places of their schedules.
    pub note: BTreeMap<String, Vec<usize>>,
    /// Records to be removed, by queue.
    pub forget: BTreeMap<String, Vec<String>>,
    /// Schedules that are seen for the first time, and from when on their ticks count.
    pub new: Vec<(String, Timestamp)>,
}

impl Book {
    /// Opens a book of schedules that go on from what is kept of them; what is kept of those that
    /// are gone is forgotten in time.
    pub fn open(all: All, mut kept: Kept, now: Timestamp) -> (Self, Changes) {
        let slots = Vec::with_capacity(all.known.len());
        let (mut book, mut changes) = (Self { slots, ..Self::default() }, Changes::default());
        for (name, known) in all.known {
            let before = kept.remove(&name);
            if before.is_none() && !known.schedule.config.enabled {
                continue;
            }
            let was = before.clone().map(|(_, record)| record);
            let mut record = known.record(was.clone(), now);
            let next = known.schedule.next_at(&record.progress());
            record.next = next;
            let moved = before.as_ref().filter(|(queue, _)| *queue != known.queue);
            if moved.is_some() || was.as_ref() != Some(&record) {
                let of_queue = changes.note.entry(known.queue.clone()).or_default();
                of_queue.push(book.slots.len());
            }
            if let Some((queue, _)) = moved {
                changes.forget.entry(queue.clone()).or_default().push(name.clone());
            }
            if before.is_none() {
                changes.new.push((name, record.tick));
            }
            let due = next.filter(|_| known.is_on());
            book.insert(Slot { known, record, due: None, told: false }, due);
        }
        for (name, (queue, record)) in kept {
            let touched = record.at.unwrap_or(record.tick).max(record.tick);
            if now.duration_since(touched) > KEPT && !all.left.contains(&name) {
                changes.forget.entry(queue).or_default().push(name);
            } else {
                book.away.insert(name, (queue, record));
            }
        }
        (book, changes)
    }

    fn insert(&mut self, slot: Slot, due: Option<Timestamp>) {
        self.slots.push(slot);
        self.look_at(self.slots.len() - 1, due);
    }

    /// Returns how many schedules publish.
    pub fn n_on(&self) -> usize {
        self.slots.iter().filter(|slot| slot.known.is_on()).count()
    }

    /// Returns the queues that tasks go to.
    pub fn queues(&self) -> BTreeSet<&str> {
        self.slots.iter().map(|slot| slot.known.queue.as_str()).collect()
    }

    /// Returns a schedule's place if it is due at `now`, the earliest first.
    pub fn first_due(&self, now: Timestamp) -> Option<usize> {
        self.due.first().filter(|(due, _)| *due <= now).map(|(_, idx)| *idx)
    }

    /// Returns when the next schedule is due.
    pub fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Returns the schedule at a place that [`Book::first_due`] named.
    pub fn slot(&mut self, idx: usize) -> &mut Slot {
        &mut self.slots[idx]
    }

    /// Returns the name and record of the schedule at a place.
    pub fn named(&self, idx: usize) -> (&str, &Record) {
        let slot = &self.slots[idx];
        (&slot.known.schedule.name, &slot.record)
    }

    /// Decides when a schedule is looked at next; never when absent.
    pub fn look_at(&mut self, idx: usize, due: Option<Timestamp>) {
        if let Some(before) = self.slots[idx].due.take() {
            self.due.remove(&(before, idx));
        }
        self.slots[idx].due = due;
        self.due.extend(due.map(|due| (due, idx)));
    }

    /// Tells whether nobody had to be told that a schedule is late.
    pub fn all_on_time(&self) -> bool {
        self.slots.iter().all(|slot| !slot.told)
    }

    /// Closes the book: what is in it is what is kept. A live schedule that is no longer there has
    /// been removed, and nothing of it is: one that is added under its name starts from then.
    pub fn close(self, all: &All) -> (Kept, BTreeMap<String, Vec<String>>) {
        let mut kept = self.away;
        let mut removed: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for slot in self.slots {
            let name = slot.known.schedule.name;
            let is_there = all.known.contains_key(&name) || all.left.contains(&name);
            if slot.known.owner == Owner::Live && !is_there && !all.live_unread {
                removed.entry(slot.known.queue).or_default().push(name);
            } else {
                kept.insert(name, (slot.known.queue, slot.record));
            }
        }
        (kept, removed)
    }
}

/// Puts the records of a queue to those of the others. Of two of one name, the later is what the
/// schedule goes on from; the queue and name of the other are returned, to be forgotten.
pub fn gather(
    kept: &mut Kept,
    queue: &str,
    records: HashMap<String, Record>,
) -> Vec<(String, String)> {
    let mut stale = Vec::new();
    for (name, record) in records {
        match kept.get_mut(&name) {
            Some((other, before)) if before.tick >= record.tick => {
                debug_assert_ne!(other, queue);
                stale.push((queue.to_owned(), name));
            }
            Some(before) => {
                let (other, _) = std::mem::replace(before, (queue.to_owned(), record));
                stale.push((other, name));
            }
            None => {
                kept.insert(name, (queue.to_owned(), record));
            }
        }
    }
    stale
}

#[cfg(test)]
mod tests {
    use rhubarb_queue::schedules::{Live, RedBeat};
    use rhubarb_settings::Settings;

    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + s).unwrap()
    }

    fn known(entries: &[(&str, &str)]) -> All {
        let text: String = entries
            .iter()
            .map(|(name, entry)| format!("[schedules.{name}]\ntask = \"t\"\n{entry}\n"))
            .collect();
        let config = Settings::from_toml(&text).unwrap();
        All::of(config.scheduled(), Live::default(), &RedBeat::default())
    }

    fn names<'a>(book: &'a Book, changes: &'a Changes) -> Vec<(&'a str, &'a str)> {
        let of = |(queue, notes): (&'a String, &'a Vec<usize>)| {
            notes.iter().map(|idx| (queue.as_str(), book.named(*idx).0)).collect::<Vec<_>>()
        };
        changes.note.iter().flat_map(of).collect()
    }

    #[test]
    fn schedules_come_in_the_order_in_which_they_are_due() {
        let (mut book, changes) = Book::open(
            known(&[
                ("a", "every = 30"),
                ("b", "every = 10"),
                ("off", "every = 1\nenabled = false"),
            ]),
            Kept::new(),
            at(0),
        );
        assert_eq!(names(&book, &changes), [("celery", "a"), ("celery", "b")]);
        assert_eq!(changes.new, [("a".to_owned(), at(0)), ("b".to_owned(), at(0))]);
        assert_eq!((book.first_due(at(9)), book.next(), book.n_on()), (None, Some(at(10)), 2));
        let first = book.first_due(at(40)).unwrap();
        assert_eq!(book.slot(first).known.schedule.name, "b");
        book.look_at(first, Some(at(50)));
        let second = book.first_due(at(40)).unwrap();
        assert_eq!(book.slot(second).known.schedule.name, "a");
        book.look_at(second, None);
        assert_eq!((book.first_due(at(40)), book.next()), (None, Some(at(50))));
    }

    #[test]
    fn a_record_moves_with_its_schedule_to_another_queue() {
        let (book, _) = Book::open(known(&[("a", "every = 30")]), Kept::new(), at(0));
        let moved = known(&[("a", "every = 30\nqueue = \"other\"")]);
        let (kept, removed) = book.close(&moved);
        assert!(removed.is_empty());
        let (book, changes) = Book::open(moved, kept, at(20));
        assert_eq!(names(&book, &changes), [("other", "a")]);
        assert_eq!(changes.forget, [("celery".to_owned(), vec!["a".to_owned()])].into());
        assert_eq!((changes.new.len(), book.next()), (0, Some(at(30))));
    }

    #[test]
    fn nothing_is_written_of_what_has_not_changed() {
        let (book, _) = Book::open(known(&[("a", "every = 30")]), Kept::new(), at(0));
        let (kept, _) = book.close(&known(&[("a", "every = 30")]));
        let (_, changes) = Book::open(known(&[("a", "every = 30\npriority = 5")]), kept, at(20));
        assert_eq!(changes, Changes::default());
    }

    #[test]
    fn what_has_gone_is_forgotten_after_a_week() {
        let kept: Kept = [("a", 0), ("b", -8 * 86_400)]
            .map(|(name, s)| (name.to_owned(), ("q".to_owned(), Record::new(at(s)))))
            .into();
        let (_, changes) = Book::open(All::default(), kept.clone(), at(0));
        assert_eq!(changes.forget, [("q".to_owned(), vec!["b".to_owned()])].into());
        let left = BTreeSet::from(["b".to_owned()]);
        let (_, changes) = Book::open(All { left, ..All::default() }, kept, at(0));
        assert_eq!(changes, Changes::default(), "it is there, and not ours at present");
    }

    #[test]
    fn what_was_away_goes_on_and_a_removed_live_schedule_does_not() {
        let of = |owner| {
            let mut all = known(&[("a", "every = 30")]);
            all.known.get_mut("a").unwrap().owner = owner;
            all
        };
        let gone = All::default;
        let left = || All { left: BTreeSet::from(["a".to_owned()]), ..All::default() };
        let unread = || All { live_unread: true, ..All::default() };
        for (owner, meanwhile, stays) in [
            (Owner::RedBeat, gone(), true),
            (Owner::RedBeat, left(), true),
            (Owner::Live, left(), true),
            (Owner::Live, unread(), true),
            (Owner::Live, gone(), false),
        ] {
            let (book, _) = Book::open(of(owner), Kept::new(), at(0));
            let (kept, removed) = book.close(&meanwhile);
            assert_eq!(removed.is_empty(), stays, "{owner} {meanwhile:?}");
            let (book, _) = Book::open(meanwhile, kept, at(10));
            let (kept, _) = book.close(&of(owner));
            let (_, changes) = Book::open(of(owner), kept, at(20));
            assert_eq!(changes.new.is_empty(), stays, "{owner}");
        }
    }

    #[test]
    fn of_two_records_of_a_name_the_later_counts() {
        let mut kept = Kept::new();
        let record = |s| [("a".to_owned(), Record::new(at(s)))].into();
        assert_eq!(gather(&mut kept, "x", record(5)), []);
        assert_eq!(gather(&mut kept, "y", record(9)), [("x".to_owned(), "a".to_owned())]);
        assert_eq!(gather(&mut kept, "z", record(7)), [("z".to_owned(), "a".to_owned())]);
        assert_eq!(kept["a"], ("y".to_owned(), Record::new(at(9))));
    }
}
