//! Keywords of whose boards nothing has changed since their listings were written: neither these
//! nor what is known of them is read or written again. No I/O.

use std::collections::HashMap;

use jiff::Timestamp;
use rhubarb_scrape::{Ending, Listing, Query, Refines, Source};

use super::crawl::{Heads, Shared};
use crate::SourceMemory;

/// Listings are written anew at least so often, so that they say when they were last seen:
/// milliseconds.
const REST: i64 = 6 * 3_600 * 1_000;

/// Notes until when the listings of these sources, as they were written now, may stand: for a few
/// hours, and no longer than none of them expires. Those of which others have given way, or for
/// which there was no room, are looked at again.
pub(super) fn rest<'n>(
    memory: &mut SourceMemory,
    sources: impl Iterator<Item = &'n String>,
    listings: &[Listing],
    now: Timestamp,
) {
    let mut of_source: HashMap<&str, (u64, i64)> = HashMap::new();
    for listing in listings {
        let last = listing.valid_through.as_ref().and_then(|day| day.parse::<Timestamp>().ok());
        let last = last.map_or(i64::MAX, Timestamp::as_millisecond);
        let (count, first) = of_source.entry(&listing.source).or_insert((0, i64::MAX));
        *count += 1;
        *first = (*first).min(last);
    }
    for name in sources {
        let Some(known) = memory.get_mut(name) else { continue };
        let (count, first) = of_source.get(name.as_str()).copied().unwrap_or((0, i64::MAX));
        let is_all = known.board != 0 && known.matched == count;
        known.until = if is_all { first.min(now.as_millisecond() + REST) } else { 0 };
    }
}

/// Tells whether a keyword's listings of a source may stand as they were written.
pub(super) fn may_rest(
    source: &dyn Source,
    query: &Query,
    (shared, heads): (&Shared, &Heads),
    memory: &SourceMemory,
) -> bool {
    let Some(known) = memory.get(source.name()) else { return false };
    let content = shared.head(heads, source.name()).and_then(|head| head.seen());
    content.is_some_and(|content| {
        let ending = content.outcome.ending;
        // As for what is taken over of a board that has what it had.
        let is_good = ending == Ending::Found
            || ending == Ending::Nothing && source.refines(query) == Refines::None;
        let is_same = known.board != 0 && known.board == content.mark(shared.way);
        is_good && is_same && query.now.as_millisecond() < known.until
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Remembered;

    #[test]
    fn listings_stand_for_hours_until_the_first_expires_and_only_where_they_are_all() {
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        let listing = |source: &str, last: Option<&str>| Listing {
            source: source.to_owned(),
            valid_through: last.map(str::to_owned),
            ..Listing::default()
        };
        let known = |matched| Remembered { board: 7, matched, ..Remembered::default() };
        let mut memory = SourceMemory::from([
            ("whole".to_owned(), known(2)),
            ("expiring".to_owned(), known(1)),
            ("cut".to_owned(), known(2)),
            ("none".to_owned(), known(0)),
            ("unknown".to_owned(), Remembered::default()),
            ("not asked".to_owned(), Remembered { until: 5, ..known(1) }),
        ]);
        let listings = [
            listing("whole", None),
            listing("whole", Some("2027-01-01T00:00:00+00:00")),
            listing("expiring", Some("2026-11-29T13:00:00+00:00")),
            listing("cut", None),
        ];
        let asked = ["whole", "expiring", "cut", "none", "unknown"].map(str::to_owned);
        rest(&mut memory, asked.iter(), &listings, now);
        let hours = |name: &str| (memory[name].until - now.as_millisecond()) / 3_600_000;
        assert_eq!(["whole", "expiring", "none"].map(hours), [6, 1, 6]);
        let until = |name: &str| memory[name].until;
        assert_eq!(["cut", "unknown", "not asked"].map(until), [0, 0, 5]);
    }
}
