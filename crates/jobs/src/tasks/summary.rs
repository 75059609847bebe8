//! The short dict that a scrape returns. No I/O.

use std::{collections::BTreeMap, time::Duration};

use rhubarb_scrape::Listing;
use serde::{Deserialize, Serialize};

use crate::{ScrapeState, SourceStatus, Status};

/// What a scrape's caller is told; the listings themselves are in the cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The keyword as the caller wrote it.
    pub keyword: String,
    /// The location as the caller wrote it.
    pub location: Option<String>,
    /// How many cached listings match the location; all of them without one.
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
        location: Option<&str>,
        elapsed: Duration,
    ) -> Self {
        Self {
            keyword: status.keyword.clone(),
            location: location.map(str::to_owned),
            count: count(listings, location),
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
        location: Option<&str>,
        status: Option<&Status>,
    ) -> Self {
        let status = status.filter(|status| {
            rhubarb_scrape::keyword::slug(&status.keyword) == rhubarb_scrape::keyword::slug(keyword)
                && status.status != ScrapeState::Running
        });
        Self {
            keyword: keyword.to_owned(),
            location: location.map(str::to_owned),
            count: count(listings, location),
            status: status.map_or(ScrapeState::Success, |status| status.status),
            cached: true,
            sources: status.map(|status| status.sources.clone()).unwrap_or_default(),
            new: 0,
            closed: 0,
            elapsed_s: 0,
        }
    }
}

fn count(listings: &[Listing], location: Option<&str>) -> u64 {
    let wanted = location.map(str::trim).filter(|location| !location.is_empty());
    listings.iter().filter(|listing| wanted.is_none_or(|place| is_in(listing, place))).count()
        as u64
}

/// Tells whether every word of the place stands in the listing's location, case-folded.
///
/// `remote` also finds what can be done remotely.
pub fn is_in(listing: &Listing, place: &str) -> bool {
    let parts = [&listing.location, &listing.city, &listing.state, &listing.country];
    let mut text = parts.into_iter().flatten().fold(String::new(), |text, part| text + " " + part);
    if listing.is_remote == Some(true) {
        text.push_str(" remote");
    }
    let known: Vec<String> = words(&text).collect();
    words(place).all(|word| known.contains(&word))
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(location: &str, city: Option<&str>, is_remote: Option<bool>) -> Listing {
        Listing {
            location: Some(location.into()),
            city: city.map(Into::into),
            is_remote,
            ..Listing::default()
        }
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
    fn a_location_matches_by_whole_words_in_any_case() {
        let check =
            |listing: &Listing, place, expect| assert_eq!(is_in(listing, place), expect, "{place}");
        let berlin = listing("Berlin, Germany", Some("Berlin"), None);
        check(&berlin, "berlin", true);
        check(&berlin, "Germany Berlin", true);
        check(&berlin, "Ber", false);
        check(&berlin, "remote", false);
        let anywhere = listing("Worldwide", None, Some(true));
        check(&anywhere, "Remote", true);
        check(&anywhere, "Remote, Germany", false);
        check(&listing("São Paulo", None, None), "SÃO paulo", true);
    }

    #[test]
    fn a_location_filters_the_count_only() {
        let listings = [
            listing("Berlin", None, None),
            listing("Paris", None, None),
            listing("Berlin", None, None),
        ];
        let status = status("rust", ScrapeState::Partial);
        let count = |location| Summary::scraped(&status, &listings, location, Duration::ZERO).count;
        assert_eq!(count(None), 3);
        assert_eq!(count(Some(" ")), 3);
        assert_eq!(count(Some("Berlin")), 2);
        assert_eq!(count(Some("Rome")), 0);
    }

    #[test]
    fn a_cached_summary_takes_the_state_of_its_own_keyword_only() {
        let check = |status: Option<&Status>, expect| {
            assert_eq!(Summary::cached("Rust", &[], None, status).status, expect);
        };
        check(None, ScrapeState::Success);
        check(Some(&status("rust ", ScrapeState::Partial)), ScrapeState::Partial);
        check(Some(&status("python", ScrapeState::Error)), ScrapeState::Success);
        check(Some(&status("rust", ScrapeState::Running)), ScrapeState::Success);
    }
}
