//! Follows the demo's scrapes through the caches, as any other reader would.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use rhubarb_connection::Connections;
use rhubarb_core::clock;
use rhubarb_demo::eventually;
use rhubarb_jobs::{Caches, ScrapeState, Status};
use rhubarb_queue::{Client, inspect, tick::Record};
use rhubarb_scrape::Listing;
use rhubarb_settings::Settings;
use tokio::time::{Instant, sleep_until, timeout};

use super::report;
use crate::{error::Error, output};

/// How often the status is looked at; a scrape of the demo takes longer.
const LOOK: Duration = Duration::from_millis(100);
/// How long the worker and the beat may take to show themselves in Redis.
const UP: Duration = Duration::from_secs(30);

/// What the demo has seen so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    config: Option<Settings>,
    status: Option<Status>,
    listings: BTreeMap<String, Vec<Listing>>,
    /// What is kept of the schedules: intervals are counted from when the beat first saw them.
    records: HashMap<String, Record>,
    told: bool,
}

impl Seen {
    /// Returns from how many kinds of sources listings were seen.
    pub(crate) fn kinds(&self) -> usize {
        self.config.as_ref().map_or(0, |config| report::kinds(config, &self.all()).len())
    }

    /// Tells what was found, unless that was told before or there is nothing to tell.
    pub(crate) fn close(&mut self) -> Result<(), Error> {
        match (&self.config, &self.status) {
            (Some(config), Some(status)) if !self.told => {
                output::print(&report::sections(
                    config,
                    &self.all(),
                    status,
                    &self.records,
                    clock::now(),
                ))?;
                self.told = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn all(&self) -> Vec<Listing> {
        self.listings.values().flatten().cloned().collect()
    }
}

/// Waits until all is up, then tells each scrape that ends and, once every scheduled keyword was
/// scraped, what was found. Ends when `limit` is over, or never.
pub(crate) async fn follow(
    config: &Settings,
    limit: Option<Duration>,
    seen: &mut Seen,
) -> Result<(), Error> {
    let connections = Connections::new(&config.redis, "rhubarb-demo")?;
    let caches = Caches::new(&config.cache, &connections)?;
    seen.config = Some(config.clone());
    seen.records = up(&Client::new(&connections, config), config).await?;
    output::print("Scrapes as they end")?;
    let followed = scrapes(config, &caches, seen);
    match limit {
        None => followed.await,
        Some(limit) => timeout(limit, followed).await.unwrap_or(Ok(())),
    }
}

/// Waits until the worker is registered and the beat has published its first tick.
async fn up(client: &Client, config: &Settings) -> Result<HashMap<String, Record>, Error> {
    let not_up = |name| rhubarb_demo::Error::NotUp { name };
    let queue = config.celery.task_default_queue.as_str();
    let worker = eventually(UP, async || match inspect::workers(client).await {
        Ok(workers) => workers.iter().any(|worker| worker.alive).then_some(Ok(())),
        Err(error) => Some(Err(error)),
    });
    worker.await.ok_or(not_up("worker"))??;
    let ticks = eventually(UP, async || {
        let records = inspect::schedule_records(client, queue).await;
        Some(records).filter(|records| records.as_ref().map_or(true, |known| !known.is_empty()))
    });
    Ok(ticks.await.ok_or(not_up("beat"))??)
}

async fn scrapes(config: &Settings, caches: &Caches, seen: &mut Seen) -> Result<(), Error> {
    let scheduled = report::scheduled_keywords(config);
    let mut next = Instant::now();
    loop {
        next += LOOK;
        sleep_until(next).await;
        let Some(status) = caches.status().at_hand().await? else { continue };
        if status.status == ScrapeState::Running || seen.status.as_ref() == Some(&status) {
            continue;
        }
        output::print(&report::scrape(&status))?;
        let listings = caches.listings().read(&status.keyword).await?;
        let listings = listings.map(|cached| cached.listings).unwrap_or_default();
        seen.listings.insert(status.keyword.clone(), listings);
        seen.status = Some(status);
        let scraped: BTreeSet<&str> = seen.listings.keys().map(String::as_str).collect();
        if scheduled.iter().all(|keyword| scraped.contains(keyword.as_str())) {
            seen.close()?;
        }
    }
}
