//! What a scrape means for the cached listings. No I/O.

use std::collections::{BTreeMap, HashSet};

use rhubarb_scrape::{Listing, identity::Known};

use crate::{ScrapeState, SourceState, SourceStatus};

/// What to do with the cache after a scrape, and what to tell about it.
#[derive(Debug, PartialEq)]
pub struct Merged {
    /// The listings to be cached; `None` leaves the key and its TTL alone.
    pub listings: Option<Vec<Listing>>,
    /// The scrape's state.
    pub state: ScrapeState,
    /// What went wrong, source by source.
    pub error: Option<String>,
    /// Listings that were not there before.
    pub new: u64,
    /// Earlier listings that are gone.
    pub closed: u64,
}

/// Merges what the sources found with what is cached.
///
/// A source that did not answer (failed, or its board was not found) keeps its earlier listings.
/// When none answered nothing is written: what is there is better than nothing. An honest zero from
/// all sources empties the list.
pub fn merge(
    earlier: &[Listing],
    found: Vec<Listing>,
    sources: &BTreeMap<String, SourceStatus>,
) -> Merged {
    let silent: HashSet<&str> = sources
        .iter()
        .filter(|(_, s)| s.status != SourceState::Ok)
        .map(|(name, _)| name.as_str())
        .collect();
    let error = reasons(sources);
    if silent.len() == sources.len() {
        let error = error.or_else(|| Some("no source is enabled".to_owned()));
        return Merged { listings: None, state: ScrapeState::Error, error, new: 0, closed: 0 };
    }
    let (before, fresh) = (Known::new(earlier), Known::new(&found));
    let is_found = |l: &Listing| fresh.has(l, &before);
    let kept = earlier.iter().filter(|l| silent.contains(l.source.as_str()) && !is_found(l));
    let kept: Vec<Listing> = kept.cloned().collect();
    let listings: Vec<Listing> = found.into_iter().chain(kept).collect();
    let after = Known::new(&listings);
    let new = listings.iter().filter(|l| !before.has(l, &after)).count() as u64;
    let closed = earlier.iter().filter(|l| !after.has(l, &before)).count() as u64;
    let state = if silent.is_empty() { ScrapeState::Success } else { ScrapeState::Partial };
    Merged { listings: Some(listings), state, error, new, closed }
}

fn reasons(sources: &BTreeMap<String, SourceStatus>) -> Option<String> {
    let silent = sources.iter().filter(|(_, s)| s.status != SourceState::Ok);
    let reasons: Vec<String> = silent
        .map(|(name, s)| format!("{name}: {}", s.error.as_deref().unwrap_or("board not found")))
        .collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn sources(statuses: &[(&str, SourceState)]) -> BTreeMap<String, SourceStatus> {
        let status = |status: SourceState| SourceStatus {
            status,
            count: 0,
            error: (status == SourceState::Failed).then(|| "HTTP 500".into()),
            elapsed_ms: 1,
        };
        statuses.iter().map(|(name, s)| ((*name).to_owned(), status(*s))).collect()
    }

    #[derive(Clone, Copy)]
    struct Expect<'a> {
        listings: Option<&'a [&'a str]>,
        state: ScrapeState,
        error: Option<&'a str>,
        new: u64,
        closed: u64,
    }

    fn check(earlier: &[&str], found: &[&str], ended: &[(&str, SourceState)], expect: Expect<'_>) {
        let merged = merge(&listings(earlier), listings(found), &sources(ended));
        let expect = Merged {
            listings: expect.listings.map(listings),
            state: expect.state,
            error: expect.error.map(Into::into),
            new: expect.new,
            closed: expect.closed,
        };
        assert_eq!(merged, expect, "{earlier:?} + {found:?} with {ended:?}");
    }

    #[test]
    fn when_all_answer_their_listings_take_the_earlier_ones_place() {
        let ended = [("a", SourceState::Ok), ("b", SourceState::Ok)];
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
        check(&["a/1", "a/2"], &[], &[("a", SourceState::Ok)], expect);
    }

    #[test]
    fn a_failed_sources_earlier_listings_stay() {
        let expect = |listings, error| Expect {
            listings: Some(listings),
            state: ScrapeState::Partial,
            error: Some(error),
            new: 1,
            closed: 1,
        };
        let earlier = ["a/1", "b/1", "b/2"];
        let failed = [("a", SourceState::Ok), ("b", SourceState::Failed)];
        check(&earlier, &["a/2"], &failed, expect(&["a/2", "b/1", "b/2"], "b: HTTP 500"));
        let gone = [("a", SourceState::Ok), ("b", SourceState::NotFound)];
        check(&earlier, &["a/2"], &gone, expect(&["a/2", "b/1", "b/2"], "b: board not found"));
    }

    #[test]
    fn a_kept_listing_that_was_found_elsewhere_stands_once() {
        let mut earlier = listings(&["b/1"]);
        earlier[0].url = "https://a.test/1".into();
        let ended = sources(&[("a", SourceState::Ok), ("b", SourceState::Failed)]);
        let merged = merge(&earlier, listings(&["a/1"]), &ended);
        assert_eq!(merged.listings, Some(listings(&["a/1"])));
        assert_eq!((merged.new, merged.closed), (0, 0));
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
        let ended = [("a", SourceState::Failed), ("b", SourceState::NotFound)];
        check(&["a/1"], &[], &ended, expect("a: HTTP 500; b: board not found"));
        check(&["a/1"], &[], &[], expect("no source is enabled"));
    }
}
