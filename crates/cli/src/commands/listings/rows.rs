//! Listings beside what became of them.

use jiff::Timestamp;
use rhubarb_jobs::life::{Kind, Posting, Record};
use rhubarb_scrape::Listing;
use serde_json::{Value, json};

use crate::cli::ChangesArgs;

/// How far back is looked without `--since`.
const DAY: i64 = 24;

/// A listing as it is shown.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// As it is cached, or as far as its life tells.
    pub(super) value: Value,
    /// The same, read.
    pub(super) listing: Listing,
    /// What became of it, where that is known.
    pub(super) posting: Option<Posting>,
}

/// Which changes are meant.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    kinds: Vec<Kind>,
    since: Timestamp,
}

impl Wanted {
    /// Returns what the flags ask for; nothing without any.
    pub(super) fn of(args: ChangesArgs, now: Timestamp) -> Option<Self> {
        if args.kinds().is_empty() && args.since.is_none() {
            return None;
        }
        let kinds = match args.kinds() {
            none if none.is_empty() => {
                vec![Kind::New, Kind::Reopened, Kind::Changed, Kind::Closed]
            }
            kinds => kinds,
        };
        let day_ago = now.checked_sub(jiff::SignedDuration::from_hours(DAY)).unwrap_or(now);
        Some(Self { kinds, since: args.since.unwrap_or(day_ago) })
    }

    fn takes(&self, posting: &Posting) -> bool {
        self.kinds.iter().any(|kind| posting.has(*kind, self.since))
    }

    /// Returns the latest of what is meant that happened to a posting, and when.
    pub(super) fn latest(&self, posting: &Posting) -> Option<(Kind, Timestamp)> {
        let times = self.kinds.iter().filter_map(|kind| Some((*kind, posting.when(*kind)?)));
        times.filter(|(_, at)| *at >= self.since).max_by_key(|(_, at)| *at)
    }
}

impl ChangesArgs {
    /// Returns the kinds of changes that are asked for; none stands for all.
    pub(super) fn kinds(self) -> Vec<Kind> {
        let new: &[Kind] = if self.new { &[Kind::New, Kind::Reopened] } else { &[] };
        let changed: &[Kind] = if self.changed { &[Kind::Changed] } else { &[] };
        let closed: &[Kind] = if self.closed { &[Kind::Closed] } else { &[] };
        [new, changed, closed].concat()
    }
}

impl Row {
    /// Returns it with its life, null where nothing is known of that.
    pub(super) fn with_life(&self) -> Value {
        let mut value = self.value.clone();
        let life = self.posting.as_ref().map_or(Value::Null, Posting::shown);
        match &mut value {
            Value::Object(fields) => drop(fields.insert("life".to_owned(), life)),
            other => *other = json!({ "value": other.take(), "life": life }),
        }
        value
    }
}

/// Puts cached listings and a record together. With changes asked for: the postings to which they
/// happened, latest first; else the cached listings in their order.
pub(super) fn join(
    cached: Vec<(Value, Listing)>,
    record: &Record,
    wanted: Option<&Wanted>,
) -> Vec<Row> {
    let (values, listings): (Vec<Value>, Vec<Listing>) = cached.into_iter().unzip();
    let found = record.find(&listings);
    let Some(wanted) = wanted else {
        let rows = values.into_iter().zip(listings).zip(found);
        return rows
            .map(|((value, listing), at)| {
                let posting = at.map(|at| record.postings[at].clone());
                Row { value, listing, posting }
            })
            .collect();
    };
    let mut cached: Vec<Option<usize>> = vec![None; record.postings.len()];
    for (idx, at) in found.iter().enumerate() {
        if let Some(at) = at {
            cached[*at] = Some(idx);
        }
    }
    let postings = record.postings.iter().zip(cached);
    let mut rows: Vec<Row> = postings
        .filter(|(posting, _)| wanted.takes(posting))
        .map(|(posting, cached)| {
            let (value, listing) = match cached {
                Some(idx) => (values[idx].clone(), listings[idx].clone()),
                None => (
                    serde_json::to_value(&posting.listing).unwrap_or_default(),
                    posting.listing.clone(),
                ),
            };
            Row { value, listing, posting: Some(posting.clone()) }
        })
        .collect();
    rows.sort_by_key(|row| {
        let latest = row.posting.as_ref().and_then(|posting| wanted.latest(posting));
        std::cmp::Reverse(latest.map(|(_, at)| at))
    });
    rows
}
