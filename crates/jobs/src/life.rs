//! What became of each posting of a keyword: first seen, last seen, changed, closed, reopened.
//!
//! The listings of a keyword end with their timeout, half an hour by default; this lasts for weeks.
//! So the next scrape is held against this, whatever has expired since. It stands beside the
//! listings, in version 0, where Django looks for nothing.
//!
//! [`Record`] is what is kept of a keyword, [`tally`] what a scrape makes of it (pure), [`bytes`]
//! how it is written, [`LifeCache`] where it stands.

mod bytes;
mod feed;
mod record;
mod store;
mod tally;

pub use self::{
    bytes::{decode, encode},
    feed::{Feed, Told},
    record::{Change, Closed, Event, Field, Kind, Notice, Posting, Record, Why},
    store::LifeCache,
    tally::{End, Run, tally},
};
