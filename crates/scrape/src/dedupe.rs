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

/// Returns each posting once, newest first; those without a date come last.
///
/// Within a source the rule of [`identity`] decides, with `tracking` added. Across sources the same title, company and
/// country (or place) is; then a company's own board wins over an aggregator, and otherwise the
/// first. Postings of one source are never merged across identifiers: a board may have the same
/// opening twice. Without a company nothing is merged. Equal dates keep the given order.
pub fn dedupe(mut gathered: Vec<Gathered>, tracking: &Tracking) -> Vec<Listing> {
    let mut sources: BTreeMap<String, Vec<&mut Listing>> = BTreeMap::new();
    for Gathered { listing, .. } in &mut gathered {
        sources.entry(listing.source.clone()).or_default().push(listing);
    }
    sources.into_values().for_each(|of_one| identity::settle(of_one, tracking, false));
    let mut identifiers = HashSet::new();
    let mut gathered: Vec<Gathered> = gathered
        .into_iter()
        .filter(|one| {
            identifiers.insert((one.listing.source.clone(), one.listing.external_id.clone()))
        })
        .collect();
    let mut owners: HashMap<Key, String> = HashMap::new();
    for board in [false, true] {
        for one in gathered.iter().filter(|one| one.aggregated == board) {
            if let Some(key) = key(&one.listing) {
                owners.entry(key).or_insert_with(|| one.listing.source.clone());
            }
        }
    }
    gathered.retain(|one| {
        let owner = key(&one.listing).and_then(|key| owners.get(&key));
        owner.is_none_or(|owner| *owner == one.listing.source)
    });
    let mut listings: Vec<Listing> = gathered.into_iter().map(|one| one.listing).collect();
    // ISO texts in UTC sort by time, save that "+" sorts before "." in times with fractions.
    listings.sort_by(|a, b| sortable(b).cmp(&sortable(a)));
    listings
}

type Key = (String, String, String);

/// Returns what a posting is known by across sources; nothing when it names no company.
fn key(listing: &Listing) -> Option<Key> {
    let (title, company) = (normal(&listing.title), company(&listing.company));
    if title.is_empty() || company.is_empty() {
        return None;
    }
    let place = listing.city.as_deref().or(listing.location.as_deref());
    Some((title, company, normal(place.unwrap_or_default())))
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
