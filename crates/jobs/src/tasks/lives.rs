//! What a scrape makes of its postings' lives: worked out before the listings are written, written
//! right behind them.
//!
//! A process that dies in between has changed the listings only. The next scrape is held against
//! the old record, so that it finds the same changes and tells them then.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rhubarb_cache::Error;
use rhubarb_scrape::Listing;

use rhubarb_queue::Client;
use rhubarb_scrape::config::ScrapeConfig;

use super::{
    notify,
    pages::{Pages, before_pages},
};
use crate::{
    Listings,
    life::{End, Event, Kind, LifeCache, Record, Run, tally},
};

/// The lives of a keyword's postings after a scrape, not written yet.
#[derive(Debug)]
pub(super) struct Lives<'a> {
    cache: &'a LifeCache,
    config: &'a ScrapeConfig,
    keyword: &'a str,
    record: Record,
    events: Vec<Event>,
}

impl<'a> Lives<'a> {
    /// Holds what is there now against the keyword's record. Nothing where there is no place for
    /// one, or it cannot be asked for: that fails no scrape.
    pub(super) async fn after(
        (cache, config): (&'a Listings, &'a ScrapeConfig),
        keyword: &'a str,
        now: Timestamp,
        listings: &[Listing],
        ends: &BTreeMap<String, End>,
    ) -> Option<Self> {
        let cache = cache.life()?;
        let record = match cache.read(keyword).await {
            Ok(record) => record.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(%error, "what changed in this scrape is found by the next one");
                return None;
            }
        };
        let run = Run { now, listings, ends, kept_days: config.life_days.into() };
        let (record, events) = tally(record, &run);
        Some(Self { cache, config, keyword, record, events })
    }

    /// Returns how many postings this happened to.
    pub(super) fn count(&self, kinds: &[Kind]) -> u64 {
        self.events.iter().filter(|event| kinds.contains(&event.kind)).count() as u64
    }

    /// Writes the record and tells feed and webhooks; that it could not be is no failure of the
    /// scrape. Where a webhook's task cannot be published, nothing is written, and the next scrape
    /// tells it. Returns whether all was written.
    pub(super) async fn write(&self, pages: &Pages, client: &Client) -> bool {
        let Self { keyword, record, events, config, .. } = self;
        let notices = notify::notices(&config.webhooks, keyword, events);
        if !notify::publish(client, keyword, &notices).await {
            return false;
        }
        let days = config.life_days.into();
        let write = || self.cache.write(keyword, record, events, &notices, days);
        let written: Result<(), Error> = before_pages(pages, write).await;
        if let Err(error) = &written {
            tracing::warn!(%error, "what changed in this scrape is found by the next one");
        }
        written.is_ok()
    }
}
