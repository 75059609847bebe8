//! What a scrape makes of a keyword's record. No I/O.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{Timestamp, ToSpan};
use rhubarb_scrape::{
    Listing,
    identity::{self, KnownListings},
};
use serde_json::{Map, Value, json};

use super::record::{Closed, Event, Field, Kind, Posting, Record, Why, seen, thin};

/// As many postings are kept of a keyword.
const MAX_POSTINGS: usize = 10_000;
/// As many bytes, before they are compressed.
const MAX_BYTES: usize = 8 << 20;
/// After so many days a posting is closed that no scrape has seen, though each was cut short.
const UNSEEN_DAYS: i64 = 14;
/// As many characters of a field are kept beside what it is now.
const MAX_TEXT: usize = 200;
/// What is no change of a posting: when and where it was read, and dates that sources word as ages.
const PASSED_OVER: [&str; 6] =
    ["external_id", "description", "posted_at", "scraped_at", "language", "also"];
/// What is compared without the parameters that follow a visitor.
const ADDRESSES: [&str; 2] = ["url", "apply_url"];

/// What a scrape says of a source's postings that did not come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct End {
    /// Why they are closed; nothing when they are not.
    pub closed: Option<Why>,
    /// Addresses and identifiers of those that are gone or expired, whatever became of the others.
    pub gone: Vec<String>,
    /// Whether it was read in part: what did not come may be there, field by field too.
    pub is_partial: bool,
}

/// A scrape of a keyword.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// When it began.
    pub now: Timestamp,
    /// What is there now, of all sources: what came and what was kept.
    pub listings: &'a [Listing],
    /// What each source that was asked says, by name. The postings of any other stay as they are.
    pub ends: &'a BTreeMap<String, End>,
    /// How long a posting is kept after it was last seen, or closed.
    pub kept_days: i64,
}

/// Returns the record after a scrape, and what has changed: first what is closed, then what is
/// there, in the listings' order.
///
/// A posting is matched by the rule of [`identity`]. Nothing is said of a new one for which there
/// is no room, because the next scrape would say it again.
pub fn tally(mut record: Record, run: &Run<'_>) -> (Record, Vec<Event>) {
    let matched = matches(&record.postings, run.listings);
    let mut events = close(&mut record.postings, &matched, run);
    let mut room = Room::of(&record.postings);
    record.left_out = 0;
    for (listing, posting) in run.listings.iter().zip(&matched) {
        let event = match posting {
            Some(at) => renew(&mut record.postings[*at], listing, run),
            None => {
                let posting = Posting::new(listing, fingerprint(listing), run.now);
                if !room.takes(&posting) {
                    record.left_out += 1;
                    continue;
                }
                record.postings.push(posting);
                record.postings.last().map(|new| Event::new(Kind::New, run.now, new, json!({})))
            }
        };
        events.extend(event);
    }
    bound(&mut record.postings, run);
    (record, events)
}

impl Record {
    /// Returns which posting each of these listings is, by the rule of [`identity`].
    pub fn find(&self, listings: &[Listing]) -> Vec<Option<usize>> {
        matches(&self.postings, listings)
    }
}

/// Returns which posting each listing is: of the open ones if it can be, else of the closed ones.
fn matches(postings: &[Posting], listings: &[Listing]) -> Vec<Option<usize>> {
    let (open, closed): (Vec<usize>, Vec<usize>) =
        (0..postings.len()).partition(|at| postings[*at].closed.is_none());
    let mut matched = vec![None; listings.len()];
    for among in [open, closed] {
        by_identifier(postings, &among, listings, &mut matched);
        by_rule(postings, &among, listings, &mut matched);
        by_copies(postings, &among, listings, &mut matched);
    }
    matched
}

/// A posting goes on where an aggregator's copy has given way to the company's own, or came back in
/// its place.
fn by_copies(
    postings: &[Posting],
    among: &[usize],
    listings: &[Listing],
    matched: &mut [Option<usize>],
) {
    let taken: HashSet<usize> = matched.iter().flatten().copied().collect();
    let mut by_url: HashMap<String, usize> = HashMap::new();
    let mut by_copy: HashMap<String, usize> = HashMap::new();
    for at in among.iter().filter(|at| !taken.contains(at)) {
        let listing = &postings[*at].listing;
        by_url.entry(identity::address(&listing.url)).or_insert(*at);
        for copy in &listing.also {
            by_copy.entry(identity::address(copy)).or_insert(*at);
        }
    }
    if by_url.is_empty() {
        return;
    }
    let mut taken = HashSet::new();
    for (listing, matched) in listings.iter().zip(matched) {
        if matched.is_some() {
            continue;
        }
        let mut copies = listing.also.iter().map(|copy| identity::address(copy));
        let found = copies.find_map(|copy| by_url.get(&copy).copied());
        let found = found.or_else(|| by_copy.get(&identity::address(&listing.url)).copied());
        *matched = found.filter(|at| taken.insert(*at));
    }
}

/// The rule's first part alone, which nearly always decides and costs little.
fn by_identifier(
    postings: &[Posting],
    among: &[usize],
    listings: &[Listing],
    matched: &mut [Option<usize>],
) {
    let id = |listing: &Listing| (listing.source.clone(), listing.external_id.clone());
    let mut known: HashMap<_, usize> =
        among.iter().map(|at| (id(&postings[*at].listing), *at)).collect();
    for (listing, matched) in listings.iter().zip(matched) {
        if matched.is_none() && !listing.external_id.is_empty() {
            *matched = known.remove(&id(listing));
        }
    }
}

fn by_rule(
    postings: &[Posting],
    among: &[usize],
    listings: &[Listing],
    matched: &mut [Option<usize>],
) {
    let mut is_taken = vec![false; postings.len()];
    matched.iter().flatten().for_each(|at| is_taken[*at] = true);
    let is_over = among.iter().all(|at| is_taken[*at]) || matched.iter().all(Option::is_some);
    if is_over {
        return;
    }
    let earlier = KnownListings::new(among.iter().map(|at| &postings[*at].listing));
    let now = KnownListings::new(listings);
    for (listing, matched) in listings.iter().zip(matched) {
        if matched.is_some() {
            continue;
        }
        let found = earlier.find(listing, &now).map(|idx| among[idx]);
        if let Some(at) = found.filter(|at| !is_taken[*at]) {
            is_taken[at] = true;
            *matched = Some(at);
        }
    }
}

/// Closes the open postings that are not there, where the scrape says that they are gone.
fn close(postings: &mut [Posting], matched: &[Option<usize>], run: &Run<'_>) -> Vec<Event> {
    let mut is_there = vec![false; postings.len()];
    matched.iter().flatten().for_each(|at| is_there[*at] = true);
    let mut events = Vec::new();
    for (posting, is_there) in postings.iter_mut().zip(is_there) {
        if is_there || posting.closed.is_some() {
            continue;
        }
        let Some(why) = why_closed(posting, run) else { continue };
        posting.closed = Some(Closed { at: run.now, why });
        events.push(Event::new(Kind::Closed, run.now, posting, json!({ "why": why })));
    }
    events
}

/// Returns why a posting that is not there is closed; nothing when that is not known.
fn why_closed(posting: &Posting, run: &Run<'_>) -> Option<Why> {
    let listing = &posting.listing;
    let last_day = listing.valid_through.as_ref().and_then(|at| at.parse::<Timestamp>().ok());
    if last_day.is_some_and(|at| at < run.now) {
        return Some(Why::Expired);
    }
    let end = run.ends.get(&listing.source)?;
    let is_gone = |key: &String| *key == listing.url || *key == listing.external_id;
    if end.gone.iter().any(is_gone) {
        return Some(Why::Gone);
    }
    let is_unseen = end.is_partial && posting.last_seen < days_before(run.now, UNSEEN_DAYS);
    end.closed.or(is_unseen.then_some(Why::Unseen))
}

/// Notes that a posting is there, and what it says now.
fn renew(posting: &mut Posting, listing: &Listing, run: &Run<'_>) -> Option<Event> {
    let at = run.now;
    let was_closed = posting.closed.take().is_some();
    posting.last_seen = posting.last_seen.max(seen(listing, at));
    let is_partial = run.ends.get(&listing.source).is_some_and(|end| end.is_partial);
    let fields = update(posting, listing, is_partial);
    let detail = json!({ "fields": fields });
    let has_changed = !fields.is_empty();
    if has_changed {
        posting.changed(at, fields);
    }
    if was_closed {
        posting.reopened = Some(at);
        return Some(Event::new(Kind::Reopened, at, posting, detail));
    }
    has_changed.then(|| Event::new(Kind::Changed, at, posting, detail))
}

/// Takes over what a listing says and returns the fields that have changed. What a scrape that was
/// cut short does not say stays.
fn update(posting: &mut Posting, listing: &Listing, keep_empty: bool) -> Vec<Field> {
    let mut now = thin(listing);
    let same = Listing { scraped_at: now.scraped_at.clone(), ..posting.listing.clone() };
    let text = fingerprint(listing);
    if same == now && text == posting.text {
        posting.listing.scraped_at = now.scraped_at;
        return Vec::new();
    }
    let mut fields = Vec::new();
    let (before, mut after) = (object(&posting.listing), object(&now));
    for (name, value) in &mut after {
        let old = &before[name];
        if keep_empty && is_empty(value) {
            value.clone_from(old);
        }
        if !PASSED_OVER.contains(&name.as_str()) && differ(name, old, value) {
            fields.push(Field { field: name.clone(), old: cut(old), new: cut(value) });
        }
    }
    if keep_empty && let Ok(kept) = serde_json::from_value(Value::Object(after)) {
        now = kept;
    }
    posting.listing = now;
    if text != posting.text && !(keep_empty && text.is_empty()) {
        let (old, new) = (Value::Null, Value::Null);
        fields.push(Field { field: "description".to_owned(), old, new });
        posting.text = text;
    }
    fields
}

fn object(listing: &Listing) -> Map<String, Value> {
    match serde_json::to_value(listing) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

fn differ(name: &str, old: &Value, new: &Value) -> bool {
    match (old.as_str(), new.as_str()) {
        (Some(old), Some(new)) if ADDRESSES.contains(&name) => {
            identity::address(old) != identity::address(new)
        }
        _ => old != new && !(is_empty(old) && is_empty(new)),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Returns a value as it is kept: a text, a number, a flag or null.
fn cut(value: &Value) -> Value {
    let short = |text: &str| Value::String(text.chars().take(MAX_TEXT).collect());
    match value {
        Value::String(text) => short(text),
        Value::Array(items) => {
            let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            short(&texts.join(", "))
        }
        plain => plain.clone(),
    }
}

/// What a description is known again by: its letters and digits, not its spaces and signs.
fn fingerprint(listing: &Listing) -> String {
    let letters = listing.description.bytes();
    let letters: Vec<u8> =
        letters.filter(|byte| !byte.is_ascii() || byte.is_ascii_alphanumeric()).collect();
    if letters.is_empty() { String::new() } else { identity::digest([letters]) }
}

/// How much more may be kept.
struct Room {
    postings: usize,
    bytes: usize,
}

impl Room {
    /// Closed postings give way to open ones.
    fn of(postings: &[Posting]) -> Self {
        let open = || postings.iter().filter(|posting| posting.closed.is_none());
        Self {
            postings: MAX_POSTINGS.saturating_sub(open().count()),
            bytes: MAX_BYTES.saturating_sub(open().map(Posting::size).sum()),
        }
    }

    fn takes(&mut self, posting: &Posting) -> bool {
        let size = posting.size();
        let fits = self.postings > 0 && size <= self.bytes;
        if fits {
            self.postings -= 1;
            self.bytes -= size;
        }
        fits
    }
}

/// Lets go of what is too old, and of closed postings until the rest fits, the oldest first.
fn bound(postings: &mut Vec<Posting>, run: &Run<'_>) {
    let oldest = days_before(run.now, run.kept_days);
    postings.retain(|posting| posting.closed.map_or(posting.last_seen, |c| c.at) >= oldest);
    // The latest closed last, the open ones behind them.
    postings.sort_by_key(|posting| (posting.closed.is_none(), posting.closed.map(|c| c.at)));
    let mut bytes: usize = postings.iter().map(Posting::size).sum();
    let (mut gone, n_closed) = (0, postings.iter().filter(|p| p.closed.is_some()).count());
    while gone < n_closed && (bytes > MAX_BYTES || postings.len() - gone > MAX_POSTINGS) {
        bytes -= postings[gone].size();
        gone += 1;
    }
    postings.drain(..gone);
    if bytes > MAX_BYTES {
        postings.iter_mut().for_each(|posting| posting.changes.clear());
    }
}

fn days_before(now: Timestamp, days: i64) -> Timestamp {
    now.checked_sub((24 * days).hours()).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests;
