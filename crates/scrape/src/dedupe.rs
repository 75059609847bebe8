//! Makes one listing of those that mean the same posting.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{
    identity::{self, normal},
    link::Tracking,
    listing::Listing,
};

/// A listing, and whether its source gathers postings that companies publish elsewhere.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// The listing.
    pub listing: Listing,
    /// Whether its source is an aggregator.
    pub aggregated: bool,
}

/// As many listings of one title and company are looked through for each that may give way.
const MAX_ALIKE: usize = 50;
/// As many addresses of copies are kept.
const MAX_ALSO: usize = 10;

/// Returns each posting once, newest first; those without a date come last.
///
/// Within a source the rule of [`identity`] decides, with `tracking` added; across sources
/// [`give_way`] does. Equal dates keep the given order.
pub fn dedupe(mut gathered: Vec<Gathered>, tracking: &Tracking) -> Vec<Listing> {
    let mut sources: BTreeMap<String, Vec<&mut Listing>> = BTreeMap::new();
    for Gathered { listing, .. } in &mut gathered {
        sources.entry(listing.source.clone()).or_default().push(listing);
    }
    sources.into_values().for_each(|of_one| identity::settle(of_one, tracking, false));
    let mut identifiers = HashSet::new();
    gathered.retain(|one| {
        identifiers.insert((one.listing.source.clone(), one.listing.external_id.clone()))
    });
    let mut listings = give_way(gathered);
    // ISO texts in UTC sort by time, save that "+" sorts before "." in times with fractions.
    listings.sort_by(|a, b| sortable(b).cmp(&sortable(a)));
    listings
}

/// Leaves of the listings that different sources have of one posting the company's own, or else the
/// first, in their order. It keeps the others' addresses as [`Listing::also`].
///
/// The same posting have listings with one title, company and place; of an aggregator also one
/// whose place says less or more, and one that leads to the company's own. Postings of one source
/// are never merged: a board may have the same opening twice. Without a company only links tell.
pub fn give_way(gathered: Vec<Gathered>) -> Vec<Listing> {
    let owners: Vec<Option<usize>> = {
        let others = Others::new(&gathered);
        (0..gathered.len()).map(|at| others.owner(at)).collect()
    };
    let mut listings: Vec<Option<Listing>> =
        gathered.into_iter().map(|one| Some(one.listing)).collect();
    for at in 0..owners.len() {
        let Some(mut owner) = owners[at] else { continue };
        // Each owner is better than what gives way to it, so that this ends.
        while let Some(better) = owners[owner] {
            owner = better;
        }
        let Some(copy) = listings[at].take() else { continue };
        if let Some(listing) = &mut listings[owner] {
            add_also(listing, copy);
        }
    }
    listings.into_iter().flatten().collect()
}

fn add_also(listing: &mut Listing, copy: Listing) {
    for address in [copy.url].into_iter().chain(copy.also) {
        let is_known = address == listing.url || listing.also.contains(&address);
        if !is_known && !address.is_empty() && listing.also.len() < MAX_ALSO {
            listing.also.push(address);
        }
    }
}

/// What tells of each listing which other one it gives way to.
struct Others<'a> {
    gathered: &'a [Gathered],
    /// By title and company, the best first.
    alike: HashMap<Key, Vec<usize>>,
    /// The company's own listing at an address; nothing where several are.
    own: HashMap<String, Option<usize>>,
    /// How many listings of a source lead to an address.
    leading: HashMap<(&'a str, String), usize>,
}

type Key = (String, String);

impl<'a> Others<'a> {
    fn new(gathered: &'a [Gathered]) -> Self {
        let (mut alike, mut own): (HashMap<_, Vec<_>>, HashMap<_, _>) = Default::default();
        let mut leading = HashMap::new();
        let mut best_first: Vec<usize> = (0..gathered.len()).collect();
        best_first.sort_by_key(|at| gathered[*at].aggregated);
        for at in best_first {
            let Gathered { listing, aggregated } = &gathered[at];
            if let Some(key) = key(listing) {
                alike.entry(key).or_default().push(at);
            }
            for address in links(listing) {
                if *aggregated {
                    *leading.entry((listing.source.as_str(), address)).or_default() += 1;
                } else {
                    own.entry(address).and_modify(|own| *own = None).or_insert(Some(at));
                }
            }
        }
        Self { gathered, alike, own, leading }
    }

    /// Returns the better listing of the same posting.
    fn owner(&self, at: usize) -> Option<usize> {
        let by_link = self.gathered[at].aggregated.then(|| self.by_link(at)).flatten();
        by_link.or_else(|| self.by_content(at))
    }

    fn by_link(&self, at: usize) -> Option<usize> {
        let listing = &self.gathered[at].listing;
        links(listing).find_map(|address| {
            let own = (*self.own.get(&address)?)?;
            let is_titled = || normal(&self.gathered[own].listing.title) == normal(&listing.title);
            let is_alone = self.leading.get(&(listing.source.as_str(), address)) == Some(&1);
            (is_alone || is_titled()).then_some(own)
        })
    }

    fn by_content(&self, at: usize) -> Option<usize> {
        let Gathered { listing, aggregated } = &self.gathered[at];
        let alike = self.alike.get(&key(listing)?)?;
        let rank = |at: usize| (self.gathered[at].aggregated, at);
        let mut better = alike.iter().take(MAX_ALIKE).copied().filter(|other| {
            let other_source = &self.gathered[*other].listing.source;
            rank(*other) < rank(at) && *other_source != listing.source
        });
        better.find(|other| {
            let other = &self.gathered[*other];
            let may_differ = *aggregated && !other.aggregated;
            same_place(listing, &other.listing, may_differ)
        })
    }
}

/// Returns what a posting is known by across sources; nothing when it names no company.
fn key(listing: &Listing) -> Option<Key> {
    let key = (normal(&listing.title), company(&listing.company));
    (!key.0.is_empty() && !key.1.is_empty()).then_some(key)
}

/// The addresses that a listing leads to, as the rule of [`identity`] compares them.
fn links(listing: &Listing) -> impl Iterator<Item = String> {
    let url = Some(&listing.url).filter(|url| !url.is_empty());
    let mut links: Vec<String> =
        url.into_iter().chain(&listing.apply_url).map(|url| identity::address(url)).collect();
    links.dedup();
    links.into_iter()
}

/// Tells whether two places are one. Where they may differ, the words of one may be in the other,
/// and one that names several has each of them.
fn same_place(one: &Listing, other: &Listing, may_differ: bool) -> bool {
    let place = |listing: &Listing| {
        normal(listing.city.as_deref().or(listing.location.as_deref()).unwrap_or_default())
    };
    if place(one) == place(other) {
        return true;
    }
    let all = |listing: &Listing| -> Vec<String> {
        let places = listing.city.iter().chain(&listing.location).chain(&listing.locations);
        places.map(|place| normal(place)).filter(|place| !place.is_empty()).collect()
    };
    let is_in = |a: &str, b: &str| a.split(' ').all(|word| b.split(' ').any(|other| word == other));
    let (ones, others) = (all(one), all(other));
    may_differ && ones.iter().any(|a| others.iter().any(|b| is_in(a, b) || is_in(b, a)))
}

/// A company's name without its legal form, which some sources leave out.
fn company(name: &str) -> String {
    const FORMS: [&str; 14] = [
        "inc",
        "llc",
        "ltd",
        "limited",
        "gmbh",
        "ag",
        "se",
        "sa",
        "bv",
        "corp",
        "corporation",
        "co",
        "plc",
        "kg",
    ];
    let name = normal(name);
    let mut words: Vec<&str> = name.split(' ').collect();
    while words.len() > 1 && words.last().is_some_and(|word| FORMS.contains(word)) {
        words.pop();
    }
    words.join(" ")
}

fn sortable(listing: &Listing) -> Option<&str> {
    listing.posted_at.as_deref().map(|at| at.get(..19).unwrap_or(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(source: &str, id: &str, title: &str, company: &str, place: &str) -> Gathered {
        let aggregated = matches!(source, "remoteok" | "arbeitnow");
        let listing = Listing {
            source: source.into(),
            external_id: id.into(),
            title: title.into(),
            company: company.into(),
            location: Some(place.into()),
            ..Listing::default()
        };
        Gathered { listing, aggregated }
    }

    fn kept(gathered: Vec<Gathered>) -> Vec<String> {
        let id = |listing: Listing| format!("{}/{}", listing.source, listing.external_id);
        dedupe(gathered, &Tracking::default()).into_iter().map(id).collect()
    }

    #[test]
    fn one_identifier_of_one_source_is_one_listing() {
        let twice = vec![
            one("a", "1", "Cook", "", ""),
            one("a", "1", "Cook!", "", ""),
            one("b", "1", "Cook", "", ""),
        ];
        assert_eq!(kept(twice), ["a/1", "b/1"]);
    }

    #[test]
    fn a_companys_board_wins_over_an_aggregator() {
        let both = vec![
            one("remoteok", "9", "Rust  Engineer", "ACME Inc.", "Lisbon"),
            one("greenhouse:acme", "1", "Rust Engineer", "Acme", "lisbon"),
            one("arbeitnow", "3", "Rust Engineer", "Acme", "Berlin"),
        ];
        assert_eq!(kept(both), ["greenhouse:acme/1", "arbeitnow/3"]);
    }

    #[test]
    fn an_aggregators_copy_gives_way_where_its_place_says_more_or_less() {
        let check = |place: &str, own: &str, expect: &[&str]| {
            let both = vec![
                one("remoteok", "9", "Cook", "Acme", place),
                one("acme", "1", "Cook", "Acme GmbH", own),
            ];
            assert_eq!(kept(both), expect, "{place} {own}");
        };
        check("Lisbon, Portugal", "Lisbon", &["acme/1"]);
        check("Lisbon", "Lisbon, Portugal", &["acme/1"]);
        check("Porto", "Lisbon, Portugal", &["remoteok/9", "acme/1"]);
        check("", "Lisbon", &["remoteok/9", "acme/1"]);
        let boards = vec![
            one("a", "1", "Cook", "Acme", "Lisbon"),
            one("b", "1", "Cook", "Acme", "Lisbon, Portugal"),
        ];
        assert_eq!(kept(boards), ["a/1", "b/1"]);
    }

    #[test]
    fn an_aggregators_copy_gives_way_to_what_it_leads_to() {
        let at = |mut one: Gathered, url: &str, apply: Option<&str>| {
            one.listing.url = url.into();
            one.listing.apply_url = apply.map(str::to_owned);
            one
        };
        let own =
            || at(one("acme", "1", "Cook (all genders)", "", ""), "https://acme.test/1", None);
        let copy = |id: &str, apply: &str| {
            let url = format!("https://agg.test/{id}");
            at(one("remoteok", id, "Cook", "Acme", "Lisbon"), &url, Some(apply))
        };
        let led = vec![copy("9", "https://acme.test/1?utm_source=agg"), own()];
        let got = dedupe(led, &Tracking::default());
        assert_eq!((got.len(), &got[0].also[..]), (1, &["https://agg.test/9".to_owned()][..]));
        assert_eq!(kept(vec![copy("9", "https://acme.test/2"), own()]).len(), 2);
        // A page that two of its postings lead to is none of either's own.
        let careers = ["8", "9"].map(|id| copy(id, "https://acme.test/1"));
        assert_eq!(kept(careers.into_iter().chain([own()]).collect()).len(), 3);
    }

    #[test]
    fn copies_of_copies_are_known_by_the_one_that_stays_and_it_goes_on_knowing_them() {
        let url = |mut one: Gathered, url: &str| {
            one.listing.url = url.into();
            one
        };
        let first = url(one("remoteok", "1", "Cook", "Acme", "X"), "https://a.test/1");
        let second = url(one("arbeitnow", "2", "Cook", "Acme", "X"), "https://b.test/2");
        let own = url(one("acme", "3", "Cook", "Acme", "X"), "https://acme.test/3");
        let got = dedupe(vec![first.clone(), second, own], &Tracking::default());
        assert_eq!(got[0].also, ["https://a.test/1", "https://b.test/2"]);
        let kept = Gathered { listing: got[0].clone(), aggregated: false };
        let again = give_way(vec![first, kept]);
        assert_eq!(again, got);
    }

    #[test]
    fn very_many_copies_end_soon() {
        let many = (0..20_000).map(|id| {
            let source = format!("s{}", id % 100);
            let mut one = one(&source, &id.to_string(), "Cook", "Acme", &id.to_string());
            one.aggregated = id % 2 == 0;
            one
        });
        let begun = std::time::Instant::now();
        assert_eq!(give_way(many.collect()).len(), 20_000);
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }

    #[test]
    fn among_equals_the_first_stays() {
        let both = vec![
            one("remoteok", "1", "Cook", "Acme", "X"),
            one("arbeitnow", "2", "Cook", "Acme", "X"),
        ];
        assert_eq!(kept(both), ["remoteok/1"]);
    }

    #[test]
    fn openings_of_one_board_and_of_unnamed_companies_stay_apart() {
        let board = vec![one("a", "1", "Cook", "Acme", "X"), one("a", "2", "Cook", "Acme", "X")];
        assert_eq!(kept(board), ["a/1", "a/2"]);
        let unnamed = vec![one("a", "1", "Cook", "", "X"), one("b", "2", "Cook", "", "X")];
        assert_eq!(kept(unnamed), ["a/1", "b/2"]);
    }

    #[test]
    fn the_newest_is_first_and_equal_dates_keep_their_order() {
        let dated = |id: &str, at: Option<&str>| {
            let mut one = one("a", id, id, "", "");
            one.listing.posted_at = at.map(str::to_owned);
            one
        };
        let gathered = vec![
            dated("undated", None),
            dated("old", Some("2026-01-01T00:00:00+00:00")),
            dated("new", Some("2026-11-01T00:00:00.500000+00:00")),
            dated("same", Some("2026-01-01T00:00:00+00:00")),
        ];
        assert_eq!(kept(gathered), ["a/new", "a/old", "a/same", "a/undated"]);
    }
}
