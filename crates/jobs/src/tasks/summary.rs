//! The short dict that a scrape returns. No I/O.

use std::{collections::BTreeMap, time::Duration};

use rhubarb_core::clock;
use rhubarb_scrape::{Listing, filter::ListingFilter};
use serde::{Deserialize, Serialize};

use crate::{ScrapeState, SourceStatus, Status};

/// What a scrape's caller is told; the listings themselves are in the cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The keyword as the caller wrote it.
    pub keyword: String,
    /// The location as the caller wrote it.
    pub location: Option<String>,
    /// How many cached listings the filters admit; all of them without any.
    pub count: u64,
    /// How the scrape ended.
    pub status: ScrapeState,
    /// Whether the listings were in the cache already, so that nothing was fetched.
    pub cached: bool,
    /// Each source by its name.
    pub sources: BTreeMap<String, SourceStatus>,
    /// Listings that the earlier run did not have.
    pub new: u64,
    /// Listings of the earlier run that are gone.
    pub closed: u64,
    /// How long it took, in seconds.
    pub elapsed_s: u64,
}

impl Summary {
    /// Summarises a scrape that has ended.
    pub fn scraped(
        status: &Status,
        listings: &[Listing],
        filter: &ListingFilter,
        elapsed: Duration,
    ) -> Self {
        Self {
            keyword: status.keyword.clone(),
            location: filter.location.clone(),
            count: count(listings, filter),
            status: status.status,
            cached: false,
            sources: status.sources.clone(),
            new: status.new,
            closed: status.closed,
            elapsed_s: elapsed.as_secs(),
        }
    }

    /// Summarises listings that were in the cache; `status` where it is of the same keyword.
    pub fn cached(
        keyword: &str,
        listings: &[Listing],
        filter: &ListingFilter,
        status: Option<&Status>,
    ) -> Self {
        let status = status.filter(|status| {
            rhubarb_scrape::keyword::slug(&status.keyword) == rhubarb_scrape::keyword::slug(keyword)
                && status.status != ScrapeState::Running
        });
        Self {
            keyword: keyword.to_owned(),
            location: filter.location.clone(),
            count: count(listings, filter),
            status: status.map_or(ScrapeState::Success, |status| status.status),
            cached: true,
            sources: status.map(|status| status.sources.clone()).unwrap_or_default(),
            new: 0,
            closed: 0,
            elapsed_s: 0,
        }
    }
}

fn count(listings: &[Listing], filter: &ListingFilter) -> u64 {
    let now = clock::now();
    listings.iter().filter(|listing| filter.admits(listing, now)).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(location: &str) -> Listing {
        Listing { location: Some(location.into()), ..Listing::default() }
    }

    fn status(keyword: &str, state: ScrapeState) -> Status {
        Status {
            last_scraped: String::new(),
            keyword: keyword.into(),
            jobs_count: 0,
            status: state,
            error: None,
            sources: BTreeMap::new(),
            new: 4,
            closed: 2,
        }
    }

    #[test]
    fn a_location_filters_the_count_only() {
        let listings = [listing("Berlin"), listing("Paris"), listing("Berlin")];
        let status = status("rust", ScrapeState::Partial);
        let count = |location: Option<&str>| {
            let filter =
                ListingFilter { location: location.map(str::to_owned), ..ListingFilter::default() };
            Summary::scraped(&status, &listings, &filter, Duration::ZERO).count
        };
        assert_eq!(count(None), 3);
        assert_eq!(count(Some(" ")), 3);
        assert_eq!(count(Some("Berlin")), 2);
        assert_eq!(count(Some("Rome")), 0);
    }

    #[test]
    fn a_cached_summary_takes_the_state_of_its_own_keyword_only() {
        let check = |status: Option<&Status>, expect| {
            assert_eq!(
                Summary::cached("Rust", &[], &ListingFilter::default(), status).status,
                expect
            );
        };
        check(None, ScrapeState::Success);
        check(Some(&status("rust ", ScrapeState::Partial)), ScrapeState::Partial);
        check(Some(&status("python", ScrapeState::Error)), ScrapeState::Success);
        check(Some(&status("rust", ScrapeState::Running)), ScrapeState::Success);
    }
}
