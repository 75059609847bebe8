//! Which listings are kept where not all of them fit. Pure.

use std::{collections::BTreeMap, mem};

use rhubarb_scrape::Listing;

/// Keeps the newest listings that fit into so many bytes, in their order.
///
/// Each source has an equal share, and what one does not need goes to the others: a source with
/// many postings takes no room from one with few.
pub(crate) fn newest(listings: Vec<Listing>, bytes: usize) -> Vec<Listing> {
    let mut by_source: BTreeMap<&str, Vec<(usize, usize)>> = BTreeMap::new();
    for (idx, listing) in listings.iter().enumerate() {
        by_source.entry(&listing.source).or_default().push((idx, size(listing)));
    }
    let mut sources: Vec<Vec<(usize, usize)>> = by_source.into_values().collect();
    // The smallest first: what it leaves of its share goes to those behind it.
    sources.sort_by_key(|source| total(source));
    let (mut left, mut n_sources) = (bytes, sources.len());
    let mut kept = vec![false; listings.len()];
    for mut source in sources {
        // A stable order: of equal dates the first stays first, and no date is older than any.
        source.sort_by(|a, b| listings[b.0].posted_at.cmp(&listings[a.0].posted_at));
        let share = left / n_sources;
        let mut used = 0;
        for (idx, size) in source {
            if used + size > share {
                break;
            }
            used += size;
            kept[idx] = true;
        }
        left -= used;
        n_sources -= 1;
    }
    let mut kept = kept.into_iter();
    listings.into_iter().filter(|_| kept.next().unwrap_or_default()).collect()
}

fn total(source: &[(usize, usize)]) -> usize {
    source.iter().map(|(_, size)| size).sum()
}

/// Returns about how many bytes a listing takes in a cache.
pub(crate) fn size(listing: &Listing) -> usize {
    /// The keys, and what stands around each value.
    const AROUND: usize = 700;
    let texts = [
        &listing.title,
        &listing.company,
        &listing.url,
        &listing.source,
        &listing.external_id,
        &listing.description,
        &listing.scraped_at,
    ];
    let optional = [
        &listing.location,
        &listing.city,
        &listing.state,
        &listing.country,
        &listing.apply_url,
        &listing.salary_display,
        &listing.industries,
        &listing.job_function,
    ];
    let texts = texts.into_iter().chain(optional.into_iter().flatten());
    let lists = listing.tags.iter().chain(&listing.locations).chain(&listing.also);
    AROUND + texts.map(String::len).sum::<usize>() + lists.map(|text| 8 + text.len()).sum::<usize>()
}

/// Returns how many listings each source has.
#[cfg(feature = "tasks")]
pub(crate) fn counts(listings: &[Listing]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for listing in listings {
        *counts.entry(listing.source.clone()).or_default() += 1;
    }
    counts
}

/// Sizes to try one after the other, in percent of the cap: how a value is written decides how much
/// of it fits.
pub(crate) const TRIES: [usize; 8] = [97, 90, 80, 70, 60, 45, 30, 15];

/// Cuts listings down until they fit, as far as `try_percent` says.
pub(crate) fn next(listings: &mut Vec<Listing>, cap: usize, try_percent: usize) {
    *listings = newest(mem::take(listings), cap / 100 * try_percent);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(source: &str, id: usize, day: Option<usize>) -> Listing {
        Listing {
            source: source.into(),
            external_id: id.to_string(),
            posted_at: day.map(|day| format!("2026-11-{day:02}T00:00:00+00:00")),
            description: "x".repeat(1_000),
            ..Listing::default()
        }
    }

    fn ids(listings: &[Listing]) -> Vec<String> {
        listings.iter().map(|one| format!("{}{}", one.source, one.external_id)).collect()
    }

    #[test]
    fn the_newest_of_each_source_that_fit_are_kept_and_a_small_one_is_kept_whole() {
        let dated = |(id, day)| listing("b", id, day);
        let big = [(0, Some(3)), (1, None), (2, Some(9)), (3, Some(5))].map(dated);
        let all: Vec<Listing> = [listing("a", 0, None)].into_iter().chain(big).collect();
        let each = size(&all[0]);
        let check = |n: usize, expect: &[&str]| {
            assert_eq!(ids(&newest(all.clone(), n * each + 50)), expect, "{n}");
        };
        check(5, &["a0", "b0", "b1", "b2", "b3"]);
        check(4, &["a0", "b0", "b2", "b3"]);
        check(3, &["a0", "b2", "b3"]);
        check(2, &["a0", "b2"]);
        check(0, &[]);
    }

    #[test]
    fn without_dates_the_first_are_kept() {
        let all: Vec<Listing> = (0..9).map(|id| listing("a", id, None)).collect();
        let each = size(&all[0]);
        assert_eq!(ids(&newest(all, 2 * each)), ["a0", "a1"]);
    }
}
