//! The ids of tasks that shall not run: in memory, where each claim looks.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use rhubarb_queue::revocations::MAX;
use rhubarb_wire::Headers;
use serde_json::Value;

/// The most stamps that are kept.
const MAX_STAMPS: usize = 10_000;
/// The longest stamp, as JSON, and the longest name of one, bytes.
const MAX_STAMP: usize = 4 << 10;
/// The most bytes of stamps that are kept, their names included.
const MAX_STAMP_BYTES: usize = 1 << 20;

/// What is revoked, in memory.
#[derive(Debug, Default)]
pub(crate) struct Revoked {
    set: Mutex<Set>,
    /// The number of ids and stamps, so that a worker without any need not lock.
    n: AtomicUsize,
}

#[derive(Debug, Default)]
struct Set {
    until: HashMap<Arc<str>, Timestamp>,
    /// In the order of addition, which is that of expiry but for those that were read from Redis.
    order: VecDeque<Arc<str>>,
    stamps: HashMap<String, Vec<Value>>,
    n_stamps: usize,
    stamp_bytes: usize,
}

/// What became of ids that were added.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Added {
    /// Those that were not known.
    pub(crate) fresh: Vec<Arc<str>>,
    /// How many that still held had to give way.
    pub(crate) forgotten: usize,
}

impl Revoked {
    fn set(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds ids.
    pub(crate) fn add(
        &self,
        ids: impl IntoIterator<Item = (Arc<str>, Timestamp)>,
        now: Timestamp,
    ) -> Added {
        let mut set = self.set();
        let mut fresh = Vec::new();
        for (id, until) in ids {
            if until > now && set.until.insert(id.clone(), until).is_none() {
                set.order.push_back(id.clone());
                fresh.push(id);
            }
        }
        let forgotten = set.purge(now);
        self.count(&set);
        Added { fresh, forgotten }
    }

    /// Adds stamps by header, all or none: a task that carries one of the values shall not run.
    ///
    /// # Errors
    ///
    /// Why they are too large or too many.
    pub(crate) fn add_stamps(&self, stamps: &[(String, Vec<Value>)]) -> Result<(), String> {
        let mut set = self.set();
        let fresh = set.unknown(stamps)?;
        for (header, value, bytes) in fresh {
            set.stamps.entry(header.to_owned()).or_default().push(value.clone());
            set.n_stamps += 1;
            set.stamp_bytes += bytes;
        }
        self.count(&set);
        Ok(())
    }

    fn count(&self, set: &Set) {
        self.n.store(set.until.len() + set.stamps.len(), Ordering::SeqCst);
    }

    /// Tells whether a task shall not run.
    pub(crate) fn has(&self, headers: &Headers, now: Timestamp) -> bool {
        if self.n.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let set = self.set();
        set.until.get(headers.id.as_str()).is_some_and(|until| *until > now)
            || set.stamps.iter().any(|(header, values)| is_stamped(headers, header, values))
    }

    /// Returns the ids, oldest first.
    pub(crate) fn ids(&self, now: Timestamp) -> Vec<Arc<str>> {
        let mut set = self.set();
        set.purge(now);
        set.order.iter().cloned().collect()
    }
}

impl Set {
    /// Lets go of what has expired, and of the oldest where they are too many.
    ///
    /// Returns how many of these still held.
    fn purge(&mut self, now: Timestamp) -> usize {
        let mut forgotten = 0;
        while let Some(id) = self.order.front() {
            let expired = self.until.get(id).is_none_or(|until| *until <= now);
            if !expired && self.order.len() <= MAX {
                break;
            }
            forgotten += usize::from(!expired);
            self.until.remove(id);
            self.order.pop_front();
        }
        forgotten
    }

    /// Returns those stamps that are not known, each with its size, or why they cannot be taken.
    fn unknown<'s>(
        &self,
        stamps: &'s [(String, Vec<Value>)],
    ) -> Result<Vec<(&'s str, &'s Value, usize)>, String> {
        let (mut unknown, mut n, mut bytes) = (Vec::new(), self.n_stamps, self.stamp_bytes);
        for (header, values) in stamps {
            let known = self.stamps.get(header).map_or(&[][..], Vec::as_slice);
            for value in values.iter().filter(|value| !known.contains(value)) {
                let value_bytes = json_len(value);
                if header.len().max(value_bytes) > MAX_STAMP {
                    return Err(format!(
                        "a stamp has at most {MAX_STAMP} bytes, this one has more"
                    ));
                }
                n += 1;
                bytes += header.len() + value_bytes;
                if n > MAX_STAMPS || bytes > MAX_STAMP_BYTES {
                    return Err(format!(
                        "a worker remembers at most {MAX_STAMPS} stamps of {MAX_STAMP_BYTES} bytes \
                         together until it is started anew; these were not taken"
                    ));
                }
                unknown.push((header.as_str(), value, header.len() + value_bytes));
            }
        }
        Ok(unknown)
    }
}

/// Returns how long a value is as JSON.
fn json_len(value: &Value) -> usize {
    struct Length(usize);
    impl std::io::Write for Length {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut length = Length(0);
    // What was read can be written.
    let _ = serde_json::to_writer(&mut length, value);
    length.0
}

/// Tells whether a task carries one of the values under this header, as Celery compares them.
pub(crate) fn is_stamped(headers: &Headers, header: &str, values: &[Value]) -> bool {
    let named = headers.stamped_headers.iter().flatten().any(|name| name == header);
    match headers.stamps.get(header).filter(|_| named) {
        None | Some(Value::Null) => false,
        Some(Value::Array(carried)) => carried.iter().any(|value| values.contains(value)),
        Some(carried) => values.contains(carried),
    }
}

/// Returns when a revocation of now ends.
pub(crate) fn expiry(now: Timestamp, keep: Duration) -> Timestamp {
    SignedDuration::try_from(keep)
        .ok()
        .and_then(|keep| now.checked_add(keep).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_second(s).unwrap()
    }

    fn named(n: usize, until: i64) -> (Arc<str>, Timestamp) {
        (n.to_string().into(), at(until))
    }

    fn ids(revoked: &Revoked, now: i64) -> Vec<String> {
        revoked.ids(at(now)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_revocation_holds_until_it_expires() {
        let revoked = Revoked::default();
        let added = revoked.add([named(1, 10), named(2, 3), named(1, 10)], at(1));
        assert_eq!(added, Added { fresh: vec!["1".into(), "2".into()], forgotten: 0 });
        assert_eq!(revoked.add([named(1, 20), named(3, 1)], at(1)), Added::default());
        let has = |id: &str, now| revoked.has(&Headers::new("t", id), at(now));
        assert!(has("1", 19) && !has("1", 20));
        assert!(has("2", 2) && !has("2", 3));
        assert!(!has("3", 0));
        assert_eq!(ids(&revoked, 5), ["1", "2"], "what lies behind one that holds stays a while");
        assert!(ids(&revoked, 20).is_empty());
    }

    #[test]
    fn the_oldest_revocations_give_way() {
        let revoked = Revoked::default();
        assert_eq!(revoked.add((0..MAX + 3).map(|n| named(n, 10)), at(1)).forgotten, 3);
        let ids = ids(&revoked, 1);
        assert_eq!((ids.len(), ids[0].as_str()), (MAX, "3"));
        assert!(!revoked.has(&Headers::new("t", "2"), at(1)));
    }

    #[test]
    fn stamps_are_compared_as_celery_compares_them() {
        let revoked = Revoked::default();
        revoked.add_stamps(&[("order".to_owned(), vec![json!("7"), json!("8")])]).unwrap();
        let mut headers = Headers::new("t", "1");
        headers.stamps = json!({"order": ["1", "8"]}).as_object().unwrap().clone();
        assert!(!revoked.has(&headers, at(1)), "a stamp that is not named does not count");
        headers.stamped_headers = Some(vec!["order".to_owned()]);
        assert!(revoked.has(&headers, at(1)));
        headers.stamps["order"] = json!("7");
        assert!(revoked.has(&headers, at(1)));
        headers.stamps["order"] = json!("9");
        assert!(!revoked.has(&headers, at(1)));
    }

    #[test]
    fn stamps_are_bounded_by_bytes_and_taken_all_or_none() {
        let revoked = Revoked::default();
        let add = |header: &str, values: &[Value]| {
            revoked.add_stamps(&[(header.to_owned(), values.to_vec())])
        };
        let text = |n: usize, bytes: usize| json!(format!("{n:0bytes$}"));
        let error = add("order", &[json!("7"), text(0, MAX_STAMP)]).unwrap_err();
        assert!(error.contains("at most 4096 bytes"), "{error}");
        assert_eq!(revoked.set().n_stamps, 0);
        let large: Vec<Value> = (0..262).map(|n| text(n, 3_990)).collect();
        add("order", &large).unwrap();
        add("order", &large).unwrap();
        let held = revoked.set().stamp_bytes;
        assert!(held <= MAX_STAMP_BYTES, "{held}");
        assert!(add("order", &[text(300, 3_990)]).unwrap_err().contains("these were not taken"));
        assert_eq!(revoked.set().n_stamps, 262);
        assert_eq!(revoked.set().stamp_bytes, held);
        assert!(add(&"h".repeat(MAX_STAMP + 1), &[json!(1)]).is_err());
    }
}
