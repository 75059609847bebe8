//! What a scrape means for the cached listings. No I/O.

use std::collections::{BTreeMap, HashMap};

use jiff::{Timestamp, ToSpan};
use rhubarb_scrape::{Ending, Listing, identity::KnownListings, run::SourceReport};

use super::judge::{Earlier, RUNS_BELIEVED, Verdict, judge};
use crate::{
    ScrapeState, SourceMemory, SourceState, SourceStatus,
    life::{End, Why},
};

/// After so many days a listing goes that no run has seen, though each was cut short.
const UNSEEN_DAYS: i64 = 14;

/// As many sources are named in the sentence about a scrape.
const MAX_NAMED: usize = 20;

/// What to do with the cache after a scrape, and what to tell about it.
#[derive(Debug, PartialEq)]
pub struct Merged {
    /// The listings to be cached; `None` leaves the key and its TTL alone.
    pub listings: Option<Vec<Listing>>,
    /// The scrape's state.
    pub state: ScrapeState,
    /// What went wrong, source by source.
    pub error: Option<String>,
    /// Earlier listings that are gone.
    pub closed: u64,
    /// Each source by its name.
    pub sources: BTreeMap<String, SourceStatus>,
    /// What is to be remembered of the sources that were asked.
    pub memory: SourceMemory,
    /// What each source says of its postings that did not come.
    pub ends: BTreeMap<String, End>,
}

/// What is known before a scrape.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    /// The listings that are cached of the sources that are asked.
    pub listings: &'a [Listing],
    /// What is remembered of the sources.
    pub memory: &'a SourceMemory,
    /// When the scrape began.
    pub now: Timestamp,
}

/// Merges what the sources found with what is cached.
///
/// Only a source that was read whole, or is known to be gone, lets its earlier listings go; what
/// any other had stays, but for postings that are said to be gone. When no source answered and none
/// is closed nothing is written: what is there is better than nothing.
pub fn merge(before: Before<'_>, found: Vec<Listing>, reports: &[SourceReport]) -> Merged {
    let had = crate::fit::counts(before.listings);
    let mut verdicts: BTreeMap<&str, Verdict> = BTreeMap::new();
    for report in reports {
        let last = before.memory.get(&report.name).copied().unwrap_or_default();
        let had = had.get(&report.name).copied().unwrap_or_default();
        verdicts.insert(&report.name, judge(report, last, had));
    }
    let is_closed = |verdict: &Verdict| verdict.earlier == Earlier::Closed;
    let is_told = |verdict: &Verdict| verdict.status.outcome.is_some_and(|e| !e.is_silent());
    let answers = verdicts.values().any(|verdict| is_told(verdict) || is_closed(verdict));
    let memory = verdicts.iter().map(|(name, v)| ((*name).to_owned(), v.remembered)).collect();
    let listings = answers.then(|| joined(before, found, &mut verdicts));
    let closed = listings.as_ref().map_or(0, |listings| {
        let (earlier, after) = (KnownListings::new(before.listings), KnownListings::new(listings));
        before.listings.iter().filter(|listing| !after.has(listing, &earlier)).count() as u64
    });
    if !answers {
        for (name, verdict) in &mut verdicts {
            verdict.status.kept = had.get(*name).copied().unwrap_or_default() as u64;
        }
    }
    let ends = verdicts.iter_mut().map(|(name, v)| ((*name).to_owned(), v.end())).collect();
    let sources: BTreeMap<String, SourceStatus> =
        verdicts.into_iter().map(|(name, verdict)| (name.to_owned(), verdict.status)).collect();
    let state = match answers {
        false => ScrapeState::Error,
        true if sources.values().all(|s| s.status == SourceState::Ok) => ScrapeState::Success,
        true => ScrapeState::Partial,
    };
    let mut error = reasons(&sources);
    if sources.is_empty() {
        error = Some("no source is enabled".to_owned());
    }
    Merged { listings, state, error, closed, sources, memory, ends }
}

/// Returns what came and what stays.
fn joined(
    before: Before<'_>,
    found: Vec<Listing>,
    verdicts: &mut BTreeMap<&str, Verdict>,
) -> Vec<Listing> {
    let unseen = before.now.checked_sub((24 * UNSEEN_DAYS).hours()).unwrap_or(before.now);
    let (earlier, fresh) = (KnownListings::new(before.listings), KnownListings::new(&found));
    let mut stays = Vec::new();
    for listing in before.listings {
        let Some(verdict) = verdicts.get(listing.source.as_str()) else { continue };
        let came = fresh.has(listing, &earlier);
        let stay = match verdict.earlier {
            Earlier::Closed => false,
            Earlier::Kept => !came && !verdict.lets_go(listing, unseen),
            Earlier::Preferred => true,
        };
        if stay {
            stays.push((listing.clone(), came));
        }
    }
    note_unchanged(before.listings, &found, verdicts);
    for (listing, came) in &stays {
        if let Some(verdict) = verdicts.get_mut(listing.source.as_str()) {
            verdict.status.kept += u64::from(!came);
        }
    }
    let stays: Vec<Listing> = stays.into_iter().map(|(listing, _)| listing).collect();
    let preferred = KnownListings::new(&stays);
    let is_doubted = |listing: &Listing| {
        let verdict = verdicts.get(listing.source.as_str());
        verdict.is_some_and(|verdict| verdict.earlier == Earlier::Preferred)
    };
    let comes = |listing: &Listing| !(is_doubted(listing) && preferred.has(listing, &fresh));
    let comes: Vec<bool> = found.iter().map(comes).collect();
    let mut comes = comes.into_iter();
    found.into_iter().filter(|_| comes.next().unwrap_or_default()).chain(stays).collect()
}

impl Verdict {
    /// Returns what is said of the source's postings that did not come, taking it out.
    fn end(&mut self) -> End {
        let outcome = self.status.outcome;
        let why = match outcome {
            Some(Ending::Gone) if self.remembered.missing < RUNS_BELIEVED => Why::Gone,
            Some(Ending::NotFound | Ending::Gone) => Why::BoardGone,
            _ => Why::NotListed,
        };
        End {
            closed: (self.earlier == Earlier::Closed).then_some(why),
            gone: std::mem::take(&mut self.gone),
            is_partial: outcome == Some(Ending::Partial),
        }
    }

    /// Tells whether an earlier listing goes that is kept otherwise.
    fn lets_go(&self, listing: &Listing, unseen: Timestamp) -> bool {
        let is_gone = |key: &String| *key == listing.url || *key == listing.external_id;
        let is_old = || {
            let seen = listing.scraped_at.parse::<Timestamp>();
            self.status.outcome == Some(Ending::Partial) && seen.is_ok_and(|seen| seen < unseen)
        };
        self.gone.iter().any(is_gone) || is_old()
    }
}

/// Says of a source whose listings are as they were that it is unchanged.
fn note_unchanged(earlier: &[Listing], found: &[Listing], verdicts: &mut BTreeMap<&str, Verdict>) {
    let by_source = |listings: &'_ [Listing]| -> HashMap<String, Vec<usize>> {
        let mut by_source: HashMap<String, Vec<usize>> = HashMap::new();
        for (idx, listing) in listings.iter().enumerate() {
            by_source.entry(listing.source.clone()).or_default().push(idx);
        }
        by_source
    };
    let (before, after) = (by_source(earlier), by_source(found));
    for (name, verdict) in verdicts {
        let (Some(before), Some(after)) = (before.get(*name), after.get(*name)) else { continue };
        if verdict.status.outcome != Some(Ending::Found) || before.len() != after.len() {
            continue;
        }
        let known: HashMap<&str, &Listing> =
            before.iter().map(|idx| (earlier[*idx].external_id.as_str(), &earlier[*idx])).collect();
        let is_same = |idx: &usize| {
            let now = &found[*idx];
            known.get(now.external_id.as_str()).is_some_and(|before| is_same(before, now))
        };
        if after.iter().all(is_same) {
            verdict.status.turn(Ending::Unchanged, None);
        }
    }
}

/// Tells whether a listing says the same, whenever it was fetched.
fn is_same(before: &Listing, now: &Listing) -> bool {
    let then = Listing { scraped_at: before.scraped_at.clone(), ..now.clone() };
    then == *before
}

/// Says of each source why it did not end well, in one sentence.
pub fn reasons(sources: &BTreeMap<String, SourceStatus>) -> Option<String> {
    let unwell: Vec<_> = sources.iter().filter(|(_, s)| s.status != SourceState::Ok).collect();
    let mut reasons: Vec<String> = unwell
        .iter()
        .take(MAX_NAMED)
        .map(|(name, s)| format!("{name}: {}", s.error.as_deref().unwrap_or("board not found")))
        .collect();
    if unwell.len() > MAX_NAMED {
        reasons.push(format!("and {} more sources", unwell.len() - MAX_NAMED));
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// Counts the listings that were not there before.
pub fn n_new(earlier: &[Listing], listings: &[Listing]) -> u64 {
    let (before, after) = (KnownListings::new(earlier), KnownListings::new(listings));
    listings.iter().filter(|listing| !before.has(listing, &after)).count() as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rhubarb_scrape::Coverage;

    use super::*;
    use crate::Remembered;

    fn listing(source: &str, id: &str) -> Listing {
        Listing {
            source: source.into(),
            external_id: id.into(),
            url: format!("https://{source}.test/{id}"),
            ..Listing::default()
        }
    }

    fn listings(ids: &[&str]) -> Vec<Listing> {
        let split = |id: &&str| id.split_once('/').map(|(source, id)| listing(source, id));
        ids.iter().filter_map(split).collect()
    }

    fn report(name: &str, ending: Ending) -> SourceReport {
        SourceReport {
            name: name.to_owned(),
            ending,
            reason: (ending.state() != SourceState::Ok).then(|| format!("it is {ending}")),
            matched: 0,
            total: 0,
            permanent: false,
            limited: false,
            cut: !matches!(ending, Ending::Found | Ending::Nothing),
            gone: Vec::new(),
            look: Coverage::default(),
            elapsed: Duration::ZERO,
        }
    }

    fn merged(earlier: &[Listing], found: &[&str], ended: &[(&str, Ending)]) -> Merged {
        let reports: Vec<_> = ended.iter().map(|(name, ending)| report(name, *ending)).collect();
        let before = Before { listings: earlier, memory: &SourceMemory::new(), now: now() };
        merge(before, listings(found), &reports)
    }

    fn now() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    #[derive(Clone, Copy)]
    struct Expect<'a> {
        listings: Option<&'a [&'a str]>,
        state: ScrapeState,
        error: Option<&'a str>,
        new: u64,
        closed: u64,
    }

    fn check(earlier: &[&str], found: &[&str], ended: &[(&str, Ending)], expect: Expect<'_>) {
        let earlier = listings(earlier);
        let got = merged(&earlier, found, ended);
        let new = got.listings.as_ref().map_or(0, |after| n_new(&earlier, after));
        let told = (got.listings, got.state, got.error.as_deref(), new, got.closed);
        let Expect { listings: after, state, error, new, closed } = expect;
        assert_eq!(told, (after.map(listings), state, error, new, closed), "{found:?} {ended:?}");
    }

    #[test]
    fn when_all_answer_their_listings_take_the_earlier_ones_place() {
        let ended = [("a", Ending::Found), ("b", Ending::Found)];
        let expect = |listings, new, closed| Expect {
            listings: Some(listings),
            state: ScrapeState::Success,
            error: None,
            new,
            closed,
        };
        check(&[], &["a/1", "b/1"], &ended, expect(&["a/1", "b/1"], 2, 0));
        check(&["a/1", "a/2"], &["a/2", "b/1"], &ended, expect(&["a/2", "b/1"], 1, 1));
    }

    #[test]
    fn an_honest_zero_from_all_empties_the_list() {
        let expect = Expect {
            listings: Some(&[]),
            state: ScrapeState::Success,
            error: None,
            new: 0,
            closed: 2,
        };
        check(&["a/1", "a/2"], &[], &[("a", Ending::Nothing)], expect);
    }

    #[test]
    fn the_earlier_listings_of_a_source_that_was_not_read_whole_stay() {
        let earlier = ["a/1", "b/1", "b/2"];
        for ending in [
            Ending::Failed,
            Ending::Blocked,
            Ending::Throttled,
            Ending::Suspicious,
            Ending::NotFound,
            Ending::Gone,
            Ending::Partial,
        ] {
            let error = format!("b: it is {ending}");
            let expect = Expect {
                listings: Some(&["a/2", "b/1", "b/2"]),
                state: ScrapeState::Partial,
                error: Some(&error),
                new: 1,
                closed: 1,
            };
            check(&earlier, &["a/2"], &[("a", Ending::Found), ("b", ending)], expect);
        }
    }

    #[test]
    fn what_came_of_a_run_that_was_cut_short_takes_its_own_place_only() {
        let expect = Expect {
            listings: Some(&["a/1", "a/3", "a/2"]),
            state: ScrapeState::Partial,
            error: Some("a: it is partial"),
            new: 1,
            closed: 0,
        };
        check(&["a/1", "a/2"], &["a/1", "a/3"], &[("a", Ending::Partial)], expect);
        let got = merged(&listings(&["a/1", "a/2"]), &["a/1"], &[("a", Ending::Partial)]);
        assert_eq!(got.sources["a"].kept, 1);
    }

    #[test]
    fn a_posting_that_is_said_to_be_gone_goes_whatever_became_of_the_others() {
        let earlier = listings(&["a/1", "a/2"]);
        let gone = vec!["https://a.test/2".to_owned()];
        let reports = [SourceReport { gone, ..report("a", Ending::Partial) }];
        let before = Before { listings: &earlier, memory: &SourceMemory::new(), now: now() };
        let got = merge(before, Vec::new(), &reports);
        assert_eq!((got.listings, got.closed), (Some(listings(&["a/1"])), 1));
    }

    #[test]
    fn what_no_run_has_seen_for_two_weeks_goes_although_each_was_cut_short() {
        let mut earlier = listings(&["a/1", "a/2"]);
        earlier[0].scraped_at = "2026-11-01T00:00:00+00:00".into();
        earlier[1].scraped_at = "2026-11-20T00:00:00+00:00".into();
        let cut = merged(&earlier, &[], &[("a", Ending::Partial)]);
        assert_eq!(cut.listings.unwrap(), earlier[1..]);
        let failed = merged(&earlier, &["b/1"], &[("a", Ending::Failed), ("b", Ending::Found)]);
        assert_eq!(failed.closed, 0);
    }

    #[test]
    fn a_source_whose_listings_say_the_same_is_unchanged() {
        let mut earlier = listings(&["a/1", "a/2"]);
        earlier[0].scraped_at = "2026-11-20T00:00:00+00:00".into();
        let ended = |found: &[&str]| merged(&earlier, found, &[("a", Ending::Found)]).sources;
        assert_eq!(ended(&["a/2", "a/1"])["a"].outcome, Some(Ending::Unchanged));
        assert_eq!(ended(&["a/1", "a/3"])["a"].outcome, Some(Ending::Found));
        assert_eq!(ended(&["a/1"])["a"].outcome, Some(Ending::Found));
    }

    #[test]
    fn a_run_that_is_not_believed_changes_no_earlier_listing() {
        let mut earlier = listings(&["a/1", "a/2", "a/3", "a/4", "a/5"]);
        earlier.iter_mut().for_each(|listing| listing.company = "Acme".into());
        let look = Coverage { records: 5, company: 5, ..Coverage::default() };
        let known = Remembered { look, ..Remembered::default() };
        let memory = SourceMemory::from([("a".to_owned(), known)]);
        let now_without = Coverage { company: 0, ..look };
        let reports = [SourceReport { look: now_without, ..report("a", Ending::Found) }];
        let before = Before { listings: &earlier, memory: &memory, now: now() };
        let found = listings(&["a/1", "a/2", "a/3", "a/4", "a/5"]);
        let got = merge(before, found, &reports);
        assert_eq!(got.sources["a"].outcome, Some(Ending::Suspicious));
        assert_eq!((got.listings, got.state), (None, ScrapeState::Error));
        let reports = [reports[0].clone(), report("b", Ending::Found)];
        let found = listings(&["a/1", "a/6", "b/1"]);
        let got = merge(before, found, &reports).listings.unwrap();
        assert_eq!(got[..2], listings(&["a/6", "b/1"]));
        assert_eq!(got[2..], earlier);
    }

    #[test]
    fn a_kept_listing_that_was_found_elsewhere_stands_once() {
        let mut earlier = listings(&["b/1"]);
        earlier[0].url = "https://a.test/1".into();
        let got = merged(&earlier, &["a/1"], &[("a", Ending::Found), ("b", Ending::Failed)]);
        assert_eq!((got.listings, got.closed), (Some(listings(&["a/1"])), 0));
    }

    #[test]
    fn when_all_fail_the_cache_is_left_alone() {
        let expect = |error| Expect {
            listings: None,
            state: ScrapeState::Error,
            error: Some(error),
            new: 0,
            closed: 0,
        };
        let ended = [("a", Ending::Failed), ("b", Ending::NotFound)];
        check(&["a/1"], &[], &ended, expect("a: it is failed; b: it is not_found"));
        check(&["a/1"], &[], &[], expect("no source is enabled"));
    }

    #[test]
    fn a_board_that_is_gone_for_good_empties_its_own_even_alone() {
        let earlier = listings(&["a/1"]);
        let known = Remembered { missing: 2, ..Remembered::default() };
        let memory = SourceMemory::from([("a".to_owned(), known)]);
        let before = Before { listings: &earlier, memory: &memory, now: now() };
        let got = merge(before, Vec::new(), &[report("a", Ending::NotFound)]);
        assert_eq!((got.listings, got.closed), (Some(Vec::new()), 1));
        assert_eq!(got.state, ScrapeState::Partial);
    }

    #[test]
    fn of_very_many_sources_that_fail_the_first_are_named() {
        let names: Vec<String> = (0..50).map(|n| format!("s{n:02}")).collect();
        let ended: Vec<_> = names.iter().map(|name| (name.as_str(), Ending::Failed)).collect();
        let error = merged(&[], &[], &ended).error.unwrap();
        assert!(error.starts_with("s00: ") && error.ends_with("and 30 more sources"), "{error}");
    }
}
