//! Hits and misses, counted here and added to Redis in batches.
//!
//! They stand in one hash for each prefix, `PREFIX:0:rhubarb.counters`, which ends a week after its
//! last count: version 0, so that Django's `keys("*")` does not find it. A namespace is what stands
//! before the first `:` of a logical key; a key without one is its own when it is a plain word. A
//! process keeps at most 64 of them and the hash 640 numbers; what is beyond is counted under
//! `(other)`. A process that ends without [`Cache::close`] loses what it has not written: what
//! happened in the last ten seconds in which anything did, or less than a thousand counts.

use std::{
    collections::BTreeMap,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use redis::cmd;
use rhubarb_connection::Script;

use super::{Cache, failed};
use crate::{
    error::{Error, SESSIONS},
    key,
};

static COUNT: LazyLock<Script> =
    LazyLock::new(|| Script::new("count", include_str!("../scripts/count.lua")));

const OTHER: &str = "(other)";
/// How many namespaces one process tells apart.
const MAX_NAMESPACES: usize = 64;
/// How many numbers the hash holds: some for each of 128 namespaces.
const MAX_FIELDS: usize = 640;
/// How many bytes of a namespace's name are kept.
const MAX_NAME: usize = 64;
/// How long the hash stays without a count.
const LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// After so many counts, or so long, they are written.
const BATCH: u64 = 1000;
const INTERVAL: Duration = Duration::from_secs(10);

/// What happened in a namespace, by every process that used it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Reads that found a value, stale ones among them.
    pub hits: u64,
    /// Reads that found none.
    pub misses: u64,
    /// Values that were given out stale while somebody computed them anew.
    pub stale: u64,
    /// Values that were computed.
    pub computed: u64,
}

/// One thing that is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Hit,
    Miss,
    Stale,
    Computed,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pending: Mutex<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    by_namespace: BTreeMap<String, Counts>,
    events: u64,
    /// When the oldest of them was counted.
    since: Option<Instant>,
}

impl Counts {
    fn named(&mut self) -> [(&'static str, &mut u64); 4] {
        [
            ("hits", &mut self.hits),
            ("misses", &mut self.misses),
            ("stale", &mut self.stale),
            ("computed", &mut self.computed),
        ]
    }

    fn add(&mut self, other: &mut Self) {
        for ((_, sum), (_, more)) in self.named().into_iter().zip(other.named()) {
            *sum = sum.saturating_add(*more);
        }
    }
}

impl Pending {
    fn namespace(&mut self, name: String) -> &mut Counts {
        let is_new = !self.by_namespace.contains_key(&name);
        let name =
            if is_new && self.by_namespace.len() >= MAX_NAMESPACES { OTHER.into() } else { name };
        self.by_namespace.entry(name).or_default()
    }

    fn is_due(&self) -> bool {
        self.events >= BATCH || self.since.is_some_and(|since| since.elapsed() >= INTERVAL)
    }
}

impl Counters {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts, and returns all that is to be written by now.
    fn count(&self, namespace: String, event: Event) -> Option<BTreeMap<String, Counts>> {
        let mut pending = self.pending();
        let counts = pending.namespace(namespace);
        match event {
            Event::Hit => counts.hits += 1,
            Event::Miss => counts.misses += 1,
            Event::Stale => counts.stale += 1,
            Event::Computed => counts.computed += 1,
        }
        pending.events += 1;
        pending.since.get_or_insert_with(Instant::now);
        pending.is_due().then(|| std::mem::take(&mut *pending).by_namespace)
    }

    fn take(&self) -> BTreeMap<String, Counts> {
        std::mem::take(&mut *self.pending()).by_namespace
    }

    /// Takes back what could not be written, to be tried when the next batch is due.
    fn put_back(&self, counts: BTreeMap<String, Counts>) {
        let mut pending = self.pending();
        for (name, mut counts) in counts {
            pending.namespace(name).add(&mut counts);
        }
        pending.since.get_or_insert_with(Instant::now);
    }
}

impl Cache {
    /// Counts; when a batch is whole it is written in the background.
    pub(crate) fn count(&self, key: &str, event: Event) {
        let Some(due) = self.shared.counters.count(namespace(key), event) else { return };
        let cache = self.clone();
        self.shared.tasks.spawn(async move {
            if let Err(error) = cache.add_counts(due).await {
                tracing::debug!(%error, "counters are kept for later");
            }
        });
    }

    /// Writes what was counted in this process.
    ///
    /// # Errors
    /// [`Error::Redis`]; the counts are kept for the next time.
    pub async fn flush_counters(&self) -> Result<(), Error> {
        self.add_counts(self.shared.counters.take()).await
    }

    async fn add_counts(&self, mut counts: BTreeMap<String, Counts>) -> Result<(), Error> {
        let mut args =
            vec![MAX_FIELDS.to_string().into_bytes(), LIFE.as_millis().to_string().into_bytes()];
        for (name, counts) in &mut counts {
            for (what, n) in counts.named() {
                if *n > 0 {
                    args.extend([
                        what.into(),
                        name.clone().into_bytes(),
                        n.to_string().into_bytes(),
                    ]);
                }
            }
        }
        if args.len() == 2 {
            return Ok(());
        }
        let raw = key::own(&self.alias, "counters");
        let added = self.redis.eval::<u64>(&COUNT, std::slice::from_ref(&raw), &args, &[]).await;
        added.map(drop).map_err(|error| {
            // A lost answer may mean that they were counted: better too few than twice.
            if matches!(error, rhubarb_connection::Error::Lost { .. }) {
                return failed("count", &raw)(error);
            }
            self.shared.counters.put_back(counts);
            failed("count", &raw)(error)
        })
    }

    /// Returns what was counted by all processes, by namespace, as far as they have written it.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn counters(&self) -> Result<BTreeMap<String, Counts>, Error> {
        let raw = key::own(&self.alias, "counters");
        let fields: BTreeMap<String, u64> =
            self.run("look up", &raw, cmd("HGETALL").arg(&raw)).await?;
        let mut by_namespace: BTreeMap<String, Counts> = BTreeMap::new();
        for (field, n) in fields {
            let Some((what, name)) = field.split_once(':') else { continue };
            let counts = by_namespace.entry(name.to_owned()).or_default();
            if let Some((_, place)) = counts.named().into_iter().find(|(name, _)| *name == what) {
                *place = n;
            }
        }
        Ok(by_namespace)
    }
}

/// Returns the namespace of a logical key. A session's key is as good as a password and is never
/// part of it.
pub fn namespace(key: &str) -> String {
    let is_word = |key: &str| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let name = match (key.find(SESSIONS), key.split_once(':')) {
        (Some(_), _) => SESSIONS.trim_end_matches('.'),
        (None, Some((name, _))) => name,
        (None, None) if is_word(key) => key,
        // A whole key may be an address or a token, and there may be any number of them.
        (None, None) => OTHER,
    };
    let short =
        name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= MAX_NAME);
    name[..short.last().unwrap_or(0)].replace(char::is_control, "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_short_and_holds_no_sessions_key() {
        assert_eq!(namespace("jobs:rust"), "jobs");
        assert_eq!(namespace("scraping_status"), "scraping_status");
        assert_eq!(namespace("django.contrib.sessions.cacheabc"), "django.contrib.sessions");
        assert_eq!(namespace(&"ü:".repeat(100)), "ü");
        assert_eq!(namespace(&format!("{}:1", "ü".repeat(100))), "ü".repeat(32));
        assert_eq!(namespace("ada@example.com"), OTHER);
        assert_eq!(namespace("f81d4fae7dec"), OTHER);
        assert_eq!(namespace(""), "");
    }

    #[test]
    fn a_process_keeps_a_bounded_number_of_namespaces() {
        let counters = Counters::default();
        for n in 0..900 {
            assert_eq!(counters.count(n.to_string(), Event::Hit), None);
        }
        let counts = counters.take();
        assert_eq!(counts.len(), MAX_NAMESPACES + 1);
        assert_eq!(counts[OTHER].hits, 900 - MAX_NAMESPACES as u64);
    }

    #[test]
    fn a_thousand_counts_are_one_batch() {
        let counters = Counters::default();
        let due: Vec<_> =
            (0..2500).filter_map(|_| counters.count("a".to_owned(), Event::Miss)).collect();
        assert_eq!(due.iter().map(|batch| batch["a"].misses).collect::<Vec<_>>(), [1000, 1000]);
    }
}
