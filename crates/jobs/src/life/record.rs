//! What is kept of a keyword's postings, and what is told of a change.

use std::fmt;

use jiff::Timestamp;
use rhubarb_core::clock;
use rhubarb_scrape::Listing;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// As many of a posting's changes are kept, the latest.
const MAX_CHANGES: usize = 5;
/// As many texts of a list are kept.
const MAX_TEXTS: usize = 20;

/// The postings of a keyword, those that are closed among them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Each posting once.
    pub postings: Vec<Posting>,
    /// How many open postings there was no room for at the last scrape: nothing is known of their
    /// life.
    pub left_out: u64,
}

/// A posting and its life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Posting {
    /// What was last read of it, without its description.
    pub listing: Listing,
    /// What its description is known again by; empty without one.
    #[serde(default)]
    pub text: String,
    /// When a scrape first saw it.
    pub first_seen: Timestamp,
    /// When a scrape last saw it.
    pub last_seen: Timestamp,
    /// What has changed, the latest last.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// That it is closed.
    #[serde(default)]
    pub closed: Option<Closed>,
    /// When it was last seen again after it had been closed.
    #[serde(default)]
    pub reopened: Option<Timestamp>,
}

/// What changed at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// When the scrape saw it.
    pub at: Timestamp,
    /// The fields.
    pub fields: Vec<Field>,
}

/// A field that changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Its name in a listing.
    pub field: String,
    /// What it was, cut to 200 characters; null for nothing, and for a description.
    pub old: Value,
    /// What it is.
    pub new: Value,
}

/// That a posting is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// When a scrape saw it.
    pub at: Timestamp,
    /// Why.
    pub why: Why,
}

/// Why a posting is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Why {
    /// Its source was read whole and has it no more, or no more for this keyword.
    NotListed,
    /// Its last day (`valid_through`) is over.
    Expired,
    /// Its own page is gone (404, 410), or the source says so of it.
    Gone,
    /// Its board was not there in three scrapes in a row.
    BoardGone,
    /// No scrape has seen it for two weeks, though each was cut short.
    Unseen,
}

/// What happened to a posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It was seen for the first time.
    New,
    /// Something that it says has changed.
    Changed,
    /// It is closed.
    Closed,
    /// It was closed and is there again.
    Reopened,
}

/// One change of a posting, as the feed tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What happened.
    pub kind: Kind,
    /// When the scrape saw it.
    pub at: Timestamp,
    /// The posting, without its description.
    pub listing: Listing,
    /// The changed fields, or why it is closed; otherwise an empty object.
    pub detail: Value,
}

/// What a webhook is told of a scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What it is known by, beginning with its time.
    pub id: String,
    /// The webhook's name.
    pub webhook: String,
    /// The message: JSON.
    pub body: String,
}

impl Posting {
    /// Returns a posting that is seen for the first time.
    pub fn new(listing: &Listing, text: String, now: Timestamp) -> Self {
        let seen = seen(listing, now);
        Self {
            listing: thin(listing),
            text,
            first_seen: seen,
            last_seen: seen,
            changes: Vec::new(),
            closed: None,
            reopened: None,
        }
    }

    /// Notes what changed.
    pub(super) fn changed(&mut self, at: Timestamp, fields: Vec<Field>) {
        self.changes.push(Change { at, fields });
        let extra = self.changes.len().saturating_sub(MAX_CHANGES);
        self.changes.drain(..extra);
    }

    /// Tells whether this happened to it at or after a time.
    pub fn has(&self, kind: Kind, since: Timestamp) -> bool {
        self.when(kind).is_some_and(|at| at >= since)
    }

    /// Returns when this last happened to it.
    pub fn when(&self, kind: Kind) -> Option<Timestamp> {
        match kind {
            Kind::New => Some(self.first_seen),
            Kind::Changed => self.changes.last().map(|change| change.at),
            Kind::Closed => self.closed.map(|closed| closed.at),
            Kind::Reopened => self.reopened,
        }
    }

    /// Returns its life as readers see it: times are ISO 8601 texts in UTC, null for never.
    pub fn shown(&self) -> Value {
        let iso = |at: Option<Timestamp>| at.map(clock::iso);
        let changes = self.changes.iter();
        let changes = changes.map(|c| json!({ "at": clock::iso(c.at), "fields": c.fields }));
        json!({
            "state": if self.closed.is_some() { "closed" } else { "open" },
            "first_seen": clock::iso(self.first_seen),
            "last_seen": clock::iso(self.last_seen),
            "changed_at": iso(self.changes.last().map(|change| change.at)),
            "changes": changes.collect::<Vec<_>>(),
            "closed_at": iso(self.closed.map(|closed| closed.at)),
            "closed_why": self.closed.map(|closed| closed.why),
            "reopened_at": iso(self.reopened),
        })
    }

    /// Returns about how many bytes it takes before it is compressed.
    pub(super) fn size(&self) -> usize {
        let of = |value: &Value| value.as_str().map_or(16, str::len);
        let field = |field: &Field| 40 + field.field.len() + of(&field.old) + of(&field.new);
        let changes = self.changes.iter().flat_map(|change| &change.fields);
        crate::fit::size(&self.listing) + 200 + changes.map(field).sum::<usize>()
    }
}

impl Event {
    pub(super) fn new(kind: Kind, at: Timestamp, posting: &Posting, detail: Value) -> Self {
        Self { kind, at, listing: posting.listing.clone(), detail }
    }
}

/// Returns when a scrape has seen a listing: one that was kept says when it was read.
pub(super) fn seen(listing: &Listing, now: Timestamp) -> Timestamp {
    listing.scraped_at.parse().map_or(now, |at: Timestamp| at.min(now))
}

/// Returns what is kept of a listing.
pub(super) fn thin(listing: &Listing) -> Listing {
    let few = |texts: &[String]| texts.iter().take(MAX_TEXTS).cloned().collect();
    Listing {
        description: String::new(),
        tags: few(&listing.tags),
        locations: few(&listing.locations),
        also: few(&listing.also),
        ..listing.clone()
    }
}

impl Why {
    /// Returns its word in the feed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotListed => "not_listed",
            Self::Expired => "expired",
            Self::Gone => "gone",
            Self::BoardGone => "board_gone",
            Self::Unseen => "unseen",
        }
    }
}

impl Kind {
    /// Returns its word in the feed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Closed => "closed",
            Self::Reopened => "reopened",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
