//! Which posting a listing is: the one rule, for duplicates, for `new` and `closed`, for
//! [`Listing::external_id`].
//!
//! 1. The source's own identifier, when it identifies: one that names the company, says nothing
//!    (`0`, `null`), or stands at different postings of the source is passed over. One that is an
//!    address counts as an address.
//! 2. The canonical address: without the parameters that follow a visitor, without a fragment that
//!    is no route. When different postings share it, the whole address.
//! 3. The content, when the addresses are shared too: title, company and places.
//!
//! Two records are one posting when these agree and neither their titles nor their places differ.

use std::collections::HashMap;

use rhubarb_core::hex::hex;
use sha2::{Digest, Sha256};
use url::Url;

use crate::{Listing, link::Tracking, parsed::Parsed};

/// What an identifier made of the content begins with.
const CONTENT: &str = "posting:";

/// Words that stand where an identifier is missing.
const NO_IDS: [&str; 8] = ["", "0", "null", "none", "nil", "undefined", "n a", "unknown"];

/// Gives each listing of one source its identifier.
///
/// `shorten` also takes from the address what follows a visitor.
pub(crate) fn settle(listings: Vec<&mut Listing>, tracking: &Tracking, shorten: bool) {
    let settled = Rule::new(&listings, tracking).settled();
    for (listing, (id, url)) in listings.into_iter().zip(settled) {
        listing.external_id = id;
        if shorten {
            listing.url = url;
        }
    }
}

/// A listing's address in the two forms of the rule.
struct Addresses {
    short: String,
    whole: String,
}

impl Addresses {
    fn of(url: &str, tracking: &Tracking) -> Self {
        let Ok(parsed) = Url::parse(url) else {
            return Self { short: url.to_owned(), whole: url.to_owned() };
        };
        let form = |whole| tracking.without(&parsed, whole).into();
        Self { short: form(false), whole: form(true) }
    }
}

/// The source's own identifier, unless it identifies nothing.
fn own_id(listing: &Listing, tracking: &Tracking) -> Option<String> {
    let id = listing.external_id.trim();
    let said = normal(id);
    if NO_IDS.contains(&said.as_str()) || said == normal(&listing.company) {
        return None;
    }
    match Url::parse(id) {
        Ok(url) if url.has_host() => Some(tracking.without(&url, true).into()),
        _ => Some(id.to_owned()),
    }
}

/// The rule, on listings whose own identifiers and addresses were read.
struct Rule<'a> {
    listings: &'a [&'a mut Listing],
    ids: Vec<Option<String>>,
    addresses: Vec<Addresses>,
}

impl<'a> Rule<'a> {
    fn new(listings: &'a [&'a mut Listing], tracking: &Tracking) -> Self {
        let ids = listings.iter().map(|listing| own_id(listing, tracking)).collect();
        let addresses = listings.iter().map(|l| Addresses::of(&l.url, tracking)).collect();
        Self { listings, ids, addresses }
    }

    /// Returns identifier and address of each.
    fn settled(&self) -> Vec<(String, String)> {
        let by_id = self.telling(|at| self.ids[at].as_deref());
        let own = |at: usize| self.ids[at].as_deref().filter(|id| by_id[*id]);
        // What has an identifier takes no address from the others.
        let others = |at: usize| own(at).is_none().then(|| &self.addresses[at]);
        let by_short = self.telling(|at| others(at).map(|address| address.short.as_str()));
        let by_whole = self.telling(|at| others(at).map(|address| address.whole.as_str()));
        let settle = |at: usize| {
            let Addresses { short, whole } = &self.addresses[at];
            let is_short = by_short.get(short.as_str()) != Some(&false);
            let address = if is_short { short } else { whole };
            let id = match own(at) {
                Some(own) => own.to_owned(),
                None if is_short || by_whole[whole.as_str()] => address.clone(),
                None => content_id(self.listings[at]),
            };
            (id, address.clone())
        };
        (0..self.listings.len()).map(settle).collect()
    }

    /// Tells of each key whether all listings that have it are one posting.
    fn telling<'k>(&self, key: impl Fn(usize) -> Option<&'k str>) -> HashMap<&'k str, bool> {
        let mut first: HashMap<&str, usize> = HashMap::new();
        let mut tells = HashMap::new();
        for at in 0..self.listings.len() {
            let Some(key) = key(at) else { continue };
            let other = *first.entry(key).or_insert(at);
            *tells.entry(key).or_insert(true) &= self.are_one(other, at);
        }
        tells
    }

    fn are_one(&self, one: usize, other: usize) -> bool {
        let (a, b) = (&self.listings[one], &self.listings[other]);
        let places = [a, b].map(|l| l.location.as_deref().map(normal).unwrap_or_default());
        one == other
            || self.addresses[one].short == self.addresses[other].short
                && normal(&a.title) == normal(&b.title)
                && (places[0] == places[1] || places.iter().any(String::is_empty))
    }
}

fn content_id(listing: &Listing) -> String {
    let place = listing.location.as_deref().unwrap_or_default();
    let parts = [&listing.title, &listing.company, place].map(normal);
    format!("{CONTENT}{}", digest(parts))
}

/// Returns what some texts are known again by: 20 hexadecimal digits.
pub fn digest(texts: impl IntoIterator<Item: AsRef<[u8]>>) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text);
        hash.update([0]);
    }
    hex(&hash.finalize()[..10])
}

/// Lower-case words without punctuation.
pub(crate) fn normal(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '+' && c != '#');
    let words: Vec<String> = words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    words.join(" ")
}

/// Listings by what tells that another listing is the same posting, from whichever source or run.
#[derive(Debug)]
pub struct KnownListings<'a> {
    ids: HashMap<(&'a str, &'a str), usize>,
    addresses: HashMap<String, Seen>,
    contents: HashMap<(&'a str, String), Seen>,
}

/// The listings with one address, or those of a source with one content.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// The first of them.
    first: usize,
    count: usize,
    /// Whether one of them is known by its content.
    is_id: bool,
}

impl Seen {
    fn add(seen: &mut Self, is_id: bool) {
        seen.count += 1;
        seen.is_id |= is_id;
    }
}

impl<'a> KnownListings<'a> {
    /// Returns what is known of these listings.
    pub fn new(listings: impl IntoIterator<Item = &'a Listing>) -> Self {
        let listings = listings.into_iter();
        let n = listings.size_hint().0;
        let mut known = Self {
            ids: HashMap::with_capacity(n),
            addresses: HashMap::with_capacity(n),
            contents: HashMap::with_capacity(n),
        };
        for (at, listing) in listings.enumerate() {
            if !listing.external_id.is_empty() {
                known.ids.entry(id_of(listing)).or_insert(at);
            }
            let is_id = is_content(listing);
            let seen = || Seen { first: at, count: 0, is_id: false };
            Seen::add(known.addresses.entry(address_of(listing)).or_insert_with(seen), is_id);
            Seen::add(known.contents.entry(content_of(listing)).or_insert_with(seen), is_id);
        }
        known
    }

    /// Tells whether the posting of a listing, one of `others`, is one of these too; see
    /// [`KnownListings::find`].
    pub fn has(&self, listing: &Listing, others: &KnownListings<'_>) -> bool {
        self.find(listing, others).is_some()
    }

    /// Returns which of these is the posting of a listing, one of `others`.
    ///
    /// Where identifiers differ the address decides, if one listing only has it on either side; and
    /// the content, if nothing else told one of the two from others.
    pub fn find(&self, listing: &Listing, others: &KnownListings<'_>) -> Option<usize> {
        let by_id = self.ids.get(&id_of(listing)).copied();
        let by_id = by_id.or_else(|| self.by_address(listing, others));
        by_id.or_else(|| self.by_content(listing, others))
    }

    fn by_address(&self, listing: &Listing, others: &KnownListings<'_>) -> Option<usize> {
        let address = address_of(listing);
        let alone = |known: &KnownListings<'_>| {
            known.addresses.get(&address).filter(|s| s.count == 1).copied()
        };
        let (here, _) = alone(self).zip(alone(others)).filter(|_| !address.is_empty())?;
        Some(here.first)
    }

    fn by_content(&self, listing: &Listing, others: &KnownListings<'_>) -> Option<usize> {
        let (source, content) = content_of(listing);
        let key = (source, content);
        let (here, there) = (self.contents.get(&key)?, others.contents.get(&key)?);
        let is_told = here.count == 1 && there.count == 1 && (here.is_id || there.is_id);
        is_told.then_some(here.first)
    }
}

/// Returns an address as the rule compares it: without what follows a visitor.
pub fn address(url: &str) -> String {
    Addresses::of(url, &Tracking::default()).short
}

fn id_of(listing: &Listing) -> (&str, &str) {
    (&listing.source, &listing.external_id)
}

fn address_of(listing: &Listing) -> String {
    address(&listing.url)
}

fn content_of(listing: &Listing) -> (&str, String) {
    (&listing.source, content_id(listing))
}

fn is_content(listing: &Listing) -> bool {
    listing.external_id.starts_with(CONTENT)
}

impl Parsed {
    /// Gives the listings of a page their identifiers.
    pub(crate) fn settled(mut self) -> Self {
        settle(self.listings.iter_mut().collect(), &Tracking::default(), false);
        self
    }

    /// As [`Parsed::settled`]; the addresses lose what follows a visitor.
    pub(crate) fn settled_short(mut self) -> Self {
        settle(self.listings.iter_mut().collect(), &Tracking::default(), true);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(id: &str, title: &str, place: &str, url: &str) -> Listing {
        Listing {
            source: "s".into(),
            external_id: id.into(),
            title: title.into(),
            company: "Acme".into(),
            location: Some(place.into()).filter(|place: &String| !place.is_empty()),
            url: url.into(),
            ..Listing::default()
        }
    }

    /// The identifiers of a source's listings, each given by id, title, place and address.
    fn ids(of: &[[&str; 4]]) -> Vec<String> {
        let mut listings: Vec<Listing> =
            of.iter().map(|[id, title, place, url]| listing(id, title, place, url)).collect();
        settle(listings.iter_mut().collect(), &Tracking::default(), false);
        let first: Vec<String> = listings.iter().map(|l| l.external_id.clone()).collect();
        settle(listings.iter_mut().collect(), &Tracking::default(), false);
        let again: Vec<String> = listings.iter().map(|l| l.external_id.clone()).collect();
        assert_eq!(first, again, "settled is settled");
        first
    }

    const A: &str = "https://e.test/a";
    const B: &str = "https://e.test/b";

    #[test]
    fn the_sources_own_identifier_is_first() {
        assert_eq!(ids(&[["7", "Cook", "", A], ["8", "Cook", "", A]]), ["7", "8"]);
        assert_eq!(ids(&[["7", "Cook", "", A], ["7", "Cook!", "Rome", A]]), ["7", "7"]);
    }

    #[test]
    fn an_identifier_that_identifies_nothing_is_passed_over() {
        for id in ["0", "null", "N/A", "acme", "-", " "] {
            assert_eq!(ids(&[[id, "Cook", "", A]]), [A], "{id}");
        }
        assert_eq!(
            ids(&[["7", "Cook", "", A], ["7", "Cook", "", B], ["8", "C", "", B]])[..2],
            [A, B]
        );
        let shared = ids(&[["7", "Cook", "", A], ["7", "Baker", "", A]]);
        assert!(shared[0].starts_with(CONTENT) && shared[0] != shared[1], "{shared:?}");
    }

    #[test]
    fn an_identifier_that_is_an_address_counts_as_one() {
        let guid = "https://e.test/?p=4&utm_source=feed";
        assert_eq!(ids(&[[guid, "Cook", "", A]]), ["https://e.test/?p=4"]);
    }

    #[test]
    fn without_an_identifier_the_canonical_address_is() {
        let tracked = "https://e.test/a?utm_source=x&gclid=1#apply";
        assert_eq!(ids(&[["", "Cook", "", tracked], ["", "Cook", "", A]]), [A, A]);
        let routes = ["https://e.test/#/1", "https://e.test/#/2"];
        assert_eq!(ids(&[["", "C", "", routes[0]], ["", "C", "", routes[1]]]), routes);
    }

    #[test]
    fn different_postings_at_one_address_stay_apart() {
        let anchors = ["https://e.test/#one", "https://e.test/#two"];
        assert_eq!(ids(&[["", "A", "", anchors[0]], ["", "B", "", anchors[1]]]), anchors);
        let places = ids(&[["", "Nurse", "Leeds", A], ["", "Nurse", "York", A]]);
        assert!(places[0].starts_with(CONTENT) && places[0] != places[1], "{places:?}");
        let same = ids(&[["", "Nurse", "Leeds", A], ["", "Nurse", "Leeds", A]]);
        assert_eq!(same, [A, A]);
    }

    #[test]
    fn an_address_may_be_shortened_where_that_loses_nothing() {
        let shortened = |urls: &[&str]| {
            let mut listings: Vec<Listing> =
                urls.iter().map(|url| listing("", url, "", url)).collect();
            settle(listings.iter_mut().collect(), &Tracking::default(), true);
            listings.into_iter().map(|listing| listing.url).collect::<Vec<_>>()
        };
        let one = "https://e.test/view/cook-1?pos=1&utm_term=a#top";
        let two = "https://e.test/view/cook-1?pos=2&utm_term=b";
        assert_eq!(shortened(&[one]), ["https://e.test/view/cook-1"]);
        let both = ["https://e.test/view/cook-1?pos=1#top", "https://e.test/view/cook-1?pos=2"];
        assert_eq!(shortened(&[one, two]), both);
    }

    #[test]
    fn a_posting_is_known_again_by_each_part_of_the_rule() {
        let check = |before: &[[&str; 4]], after: &[[&str; 4]], expect: &[bool]| {
            let of = |list: &[[&str; 4]]| -> Vec<Listing> {
                list.iter().map(|[id, title, place, url]| listing(id, title, place, url)).collect()
            };
            let (before, after) = (of(before), of(after));
            let (known, now) = (KnownListings::new(&after), KnownListings::new(&before));
            let got: Vec<bool> = before.iter().map(|l| known.has(l, &now)).collect();
            assert_eq!(got, expect, "{before:?} {after:?}");
        };
        check(&[["7", "A", "", A]], &[["7", "B", "", B]], &[true]);
        check(&[["7", "A", "", A]], &[["8", "B", "", "https://e.test/a?gclid=1"]], &[true]);
        check(&[["7", "A", "", A]], &[["8", "A", "", B]], &[false]);
        let (one, two) = (["posting:1", "A", "", A], ["posting:2", "B", "", A]);
        check(&[one, two], &[one], &[true, false]);
        check(&[one, two], &[["", "A", "", A]], &[true, false]);
    }
}
