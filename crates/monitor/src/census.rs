//! Counting keys by namespace from what a bounded scan saw. Pure.

use std::{collections::HashMap, iter::Sum, ops::Add};

use serde::Serialize;

use crate::{
    namespace::{self, KeyKind, Namespace},
    number::{bytes, float, grouped, rounded, whole},
};

/// Of each namespace so many keys are measured, those that come first; `SCAN` goes by hash, so that
/// it is a fair choice.
const MEASURED: u64 = 1000;
/// So many groups of keys that belong to no namespace are told apart by what stands before their
/// first `:`.
const GROUPS: usize = 50;
/// A longer name in front of the first `:` is no group's.
const GROUP_NAME: usize = 40;

/// A number and how well it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The number.
    pub n: u64,
    /// How well.
    pub how: How,
}

/// How well a number is known; the order is from well to badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Counted.
    Exact,
    /// Reckoned from a part.
    Estimated,
    /// So many were seen, and not all was looked at.
    AtLeast,
}

impl Count {
    /// Returns a counted number.
    pub fn exact(n: u64) -> Self {
        Self { n, how: How::Exact }
    }

    /// Returns it as a person reads it: `~` in front of an estimate, `>` of what is at least so
    /// much.
    pub fn shown(self) -> String {
        self.written(grouped)
    }

    /// Returns it as a size.
    pub fn shown_bytes(self) -> String {
        self.written(bytes)
    }

    fn written(self, write: impl Fn(u64) -> String) -> String {
        match self.how {
            How::Exact => write(self.n),
            How::Estimated => format!("~{}", write(rounded(self.n))),
            How::AtLeast => format!(">{}", write(self.n)),
        }
    }
}

impl Add for Count {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { n: self.n.saturating_add(other.n), how: self.how.max(other.how) }
    }
}

impl Sum for Count {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::exact(0), Add::add)
    }
}

/// What was seen of one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tally {
    keys: u64,
    picked: u64,
    sized: u64,
    bytes: u64,
    timed: u64,
    without_ttl: u64,
    greatest: Option<(u64, Vec<u8>)>,
}

/// What a measured key said; absent is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// Its memory.
    pub bytes: Option<u64>,
    /// Whether it has a time to live.
    pub expires: Option<bool>,
}

/// The count of one database.
#[derive(Debug)]
pub struct Census {
    namespaces: Vec<Namespace>,
    /// One for each namespace, then one for each group, the first of which is for what has none.
    tallies: Vec<Tally>,
    groups: HashMap<Vec<u8>, usize>,
    /// The keys of namespaces that were counted one by one.
    counted: HashMap<usize, u64>,
    seen: u64,
    whole: bool,
}

/// What a census says of one namespace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NamespaceReport {
    /// What a person calls it.
    pub name: String,
    /// Its keys' pattern.
    pub pattern: String,
    /// What it is for.
    #[serde(skip)]
    pub kind: KeyKind,
    /// Whether its keys should have a time to live.
    #[serde(skip)]
    pub expires: bool,
    /// Its keys.
    pub keys: Count,
    /// Their memory, `MEMORY USAGE` of each; absent when nothing was measured.
    pub bytes: Option<Count>,
    /// Those that stay for ever.
    pub without_ttl: Option<Count>,
    /// The greatest key that was measured.
    pub greatest: Option<Greatest>,
}

/// A key and its size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Greatest {
    /// The key, a session's without its secret.
    pub key: String,
    /// Its memory.
    pub bytes: u64,
}

impl Census {
    /// Returns one that has seen nothing.
    pub fn new(namespaces: Vec<Namespace>) -> Self {
        let tallies = vec![Tally::default(); namespaces.len() + 1];
        Self {
            namespaces,
            tallies,
            groups: HashMap::new(),
            counted: HashMap::new(),
            seen: 0,
            whole: false,
        }
    }

    /// Counts a key; returns its namespace's number when it is to be measured.
    pub fn see(&mut self, key: &[u8], measure: bool) -> Option<usize> {
        let at = self.at(key);
        let tally = &mut self.tallies[at];
        self.seen += 1;
        tally.keys += 1;
        // What was counted one by one was measured then.
        if !measure || tally.picked >= MEASURED || self.counted.contains_key(&at) {
            return None;
        }
        tally.picked += 1;
        Some(at)
    }

    /// Adds what a key said that [`Census::see`] chose.
    pub fn measured(&mut self, at: usize, key: &[u8], measure: Measure) {
        let tally = &mut self.tallies[at];
        if let Some(expires) = measure.expires {
            tally.timed += 1;
            tally.without_ttl += u64::from(!expires);
        }
        let Some(bytes) = measure.bytes else { return };
        tally.sized += 1;
        tally.bytes += bytes;
        if tally.greatest.as_ref().is_none_or(|(most, _)| bytes > *most) {
            tally.greatest = Some((bytes, key.to_vec()));
        }
    }

    /// Returns the keys of each namespace that is nothing but a few known keys, by its number.
    pub fn known_keys(&self) -> Vec<(usize, Vec<Vec<u8>>)> {
        let all = self.namespaces.iter().enumerate();
        all.filter_map(|(at, namespace)| {
            let keys: Option<Vec<Vec<u8>>> =
                namespace.globs.iter().map(|glob| glob.key().map(<[u8]>::to_vec)).collect();
            keys.filter(|keys| !keys.is_empty()).map(|keys| (at, keys))
        })
        .collect()
    }

    /// Notes how many of these there are.
    pub fn counted(&mut self, at: usize, n: u64) {
        self.counted.insert(at, n);
    }

    /// Notes that every key was seen.
    pub fn complete(&mut self) {
        self.whole = true;
    }

    /// Returns how many keys were seen.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Tells whether every key was seen.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Returns what it says, given the number of all keys where that is known; the configured
    /// namespaces first.
    pub fn report(&self, all: Option<u64>) -> Vec<NamespaceReport> {
        let tallied = self.namespaces.iter().zip(&self.tallies).enumerate();
        let named = tallied.map(|(at, (namespace, tally))| {
            let patterns: Vec<String> =
                namespace.globs.iter().map(namespace::Glob::shown).collect();
            let counted = self.counted.get(&at).filter(|_| !self.whole).copied();
            let keys = counted.map_or_else(|| self.extrapolated(tally.keys, all), Count::exact);
            let report = one(&namespace.name, patterns.join(" "), tally, keys);
            NamespaceReport { kind: namespace.kind, expires: namespace.expires, ..report }
        });
        let mut groups: Vec<(String, &Tally)> = self
            .groups
            .iter()
            .map(|(name, at)| (format!("{}:*", namespace::shown(name)), &self.tallies[*at]))
            .chain([("other names".to_owned(), &self.tallies[self.namespaces.len()])])
            .filter(|(_, tally)| tally.keys > 0)
            .collect();
        groups.sort_by(|one, other| other.1.keys.cmp(&one.1.keys).then(one.0.cmp(&other.0)));
        let groups = groups
            .into_iter()
            .map(|(name, tally)| one("other", name, tally, self.extrapolated(tally.keys, all)));
        named.chain(groups).collect()
    }

    /// Reckons from the keys seen to all of them.
    fn extrapolated(&self, n: u64, all: Option<u64>) -> Count {
        match all {
            _ if self.whole => Count::exact(n),
            Some(all) if self.seen > 0 => {
                let reckoned = float(n) / float(self.seen) * float(all);
                Count { n: whole(reckoned).max(n), how: How::Estimated }
            }
            _ => Count { n, how: How::AtLeast },
        }
    }

    fn at(&mut self, key: &[u8]) -> usize {
        let n = self.namespaces.len();
        let matches = |namespace: &Namespace| namespace.globs.iter().any(|glob| glob.matches(key));
        if let Some(at) = self.namespaces.iter().position(matches) {
            return at;
        }
        let colon = key.iter().take(GROUP_NAME).position(|byte| *byte == b':');
        let Some(group) = colon.map(|at| &key[..at]) else { return n };
        if let Some(at) = self.groups.get(group) {
            return *at;
        }
        if self.groups.len() == GROUPS {
            return n;
        }
        self.groups.insert(group.to_vec(), self.tallies.len());
        self.tallies.push(Tally::default());
        self.tallies.len() - 1
    }
}

fn one(name: &str, pattern: String, tally: &Tally, keys: Count) -> NamespaceReport {
    let greatest = tally.greatest.as_ref();
    NamespaceReport {
        name: name.to_owned(),
        pattern,
        kind: KeyKind::Other,
        expires: false,
        keys,
        bytes: share(keys, tally.bytes, tally.sized),
        without_ttl: share(keys, tally.without_ttl, tally.timed),
        greatest: greatest
            .map(|(bytes, key)| Greatest { key: namespace::shown(key), bytes: *bytes }),
    }
}

/// Reckons from the keys measured to all of a namespace.
fn share(keys: Count, sum: u64, measured: u64) -> Option<Count> {
    if keys.n == 0 {
        return Some(Count { n: 0, how: keys.how });
    }
    if measured == 0 {
        return None;
    }
    if measured == keys.n {
        return Some(Count { n: sum, how: keys.how });
    }
    let n = whole(float(sum) / float(measured) * float(keys.n));
    Some(Count { n, how: keys.how.max(How::Estimated) })
}

#[cfg(test)]
mod tests {
    use rhubarb_connection::Role;
    use rhubarb_settings::Settings;

    use super::*;

    fn census() -> Census {
        Census::new(namespace::of(&Settings::default(), &Role::ALL, &[]))
    }

    fn find(report: &[NamespaceReport], name: &str) -> NamespaceReport {
        report.iter().find(|one| one.name == name || one.pattern == name).unwrap().clone()
    }

    #[test]
    fn a_whole_scan_counts_and_a_part_of_one_estimates() {
        let mut census = census();
        for n in 0..300 {
            assert!(census.see(format!("jobs:1:jobs:{n}").as_bytes(), false).is_none());
        }
        for n in 0..100 {
            census.see(format!("x:{n}").as_bytes(), false);
        }
        let part = census.report(Some(4_000));
        assert_eq!(find(&part, "listings").keys, Count { n: 3_000, how: How::Estimated });
        assert_eq!(find(&part, "x:*").keys, Count { n: 1_000, how: How::Estimated });
        let blind = census.report(None);
        assert_eq!(find(&blind, "listings").keys, Count { n: 300, how: How::AtLeast });
        census.complete();
        assert_eq!(find(&census.report(Some(400)), "listings").keys, Count::exact(300));
    }

    #[test]
    fn of_a_known_key_there_is_one_or_none_however_small_the_part_that_was_seen() {
        let mut census = census();
        census.see(b"hire_voo_ai:1:scraping_status", false);
        let known: Vec<usize> = census.known_keys().into_iter().map(|(at, _)| at).collect();
        census.counted(known[0], 1);
        census.counted(known[1], 0);
        let report = census.report(Some(1_000_000));
        assert_eq!(find(&report, "scraping status").keys, Count::exact(1));
        assert_eq!(find(&report, "proxy list").keys, Count::exact(0));
    }

    #[test]
    fn sizes_and_lives_are_reckoned_from_the_first_thousand_of_a_namespace() {
        let mut census = census();
        let mut chosen = 0;
        for n in 0..2_000_u64 {
            let key = format!("jobs:1:jobs:{n}");
            if let Some(at) = census.see(key.as_bytes(), true) {
                let measure = Measure { bytes: Some(100 + n % 2), expires: Some(n % 10 != 0) };
                census.measured(at, key.as_bytes(), measure);
                chosen += 1;
            }
        }
        census.complete();
        let listings = find(&census.report(Some(2_000)), "listings");
        assert_eq!((chosen, listings.keys), (1_000, Count::exact(2_000)));
        assert_eq!(listings.bytes, Some(Count { n: 201_000, how: How::Estimated }));
        assert_eq!(listings.without_ttl, Some(Count { n: 200, how: How::Estimated }));
        assert_eq!(listings.greatest.unwrap().bytes, 101);
        let none = find(&census.report(Some(2_000)), "sessions");
        assert_eq!((none.keys, none.bytes), (Count::exact(0), Some(Count::exact(0))));
    }

    #[test]
    fn keys_of_nobody_are_grouped_within_bounds() {
        let mut census = census();
        for n in 0..10_000 {
            census.see(format!("{n}:x").as_bytes(), true);
            census.see(format!("plain{n}").as_bytes(), true);
        }
        assert_eq!(census.groups.len(), GROUPS);
        let report = census.report(Some(20_000));
        let others: Vec<&NamespaceReport> =
            report.iter().filter(|one| one.kind == KeyKind::Other && one.name == "other").collect();
        assert_eq!(others.len(), GROUPS + 1);
        assert_eq!(others[0].pattern, "other names", "the greatest first");
    }

    #[test]
    fn a_count_says_how_well_it_is_known() {
        let estimate = Count { n: 333_333, how: How::Estimated };
        assert_eq!(estimate.shown(), "~333,000");
        assert_eq!(Count::exact(1_234).shown(), "1,234");
        assert_eq!(Count { n: 7, how: How::AtLeast }.shown(), ">7");
        assert_eq!((Count::exact(1) + estimate).how, How::Estimated);
        assert_eq!(Count { n: 1 << 20, how: How::Estimated }.shown_bytes(), "~1.0 MiB");
    }
}
