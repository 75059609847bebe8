//! The scraping tasks, under the names that the Django application calls.
//!
//! They are registered as anyone's own tasks are; [`judge`], [`merge`] and [`summary`] hold what
//! they decide, without I/O, [`scrape`] and [`proxies`] do what takes I/O, [`exclusive`] sees to one
//! scrape of a keyword at a time, [`SharedHosts`] and [`Pages`] share hosts' pace and their pages
//! among workers.

mod board;
mod boards;
mod crawl;
mod exclusive;
mod hosts;
pub mod judge;
mod lives;
pub mod merge;
mod notice;
mod notify;
mod others;
mod pages;
mod proxies;
mod quiet;
mod room;
mod scrape;
pub mod summary;
mod unfinished;
mod ways;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use rhubarb::{App, Args, State, TaskContext, TaskError};
use rhubarb_connection::Role;
use rhubarb_core::clock;
use rhubarb_queue::{config::NotifyConfig, keys::Keys, limiter::Limiter, notice::TASK};
use rhubarb_scrape::{
    boards::fingerprint,
    config::{ScrapeConfig, ScrapeSettings, SourceConfig},
    filter::{self, ListingFilter},
    run::Scraper,
};
use serde::Deserialize;
use serde_json::{Value, json};

pub use self::{hosts::SharedHosts, pages::Pages, ways::Ways};

use self::{boards::Boards, scrape::Budget};
use crate::{CacheConfig, Caches};

/// The longest keyword, characters: it stands in the sources' addresses and in the cache's keys.
const MAX_KEYWORD: usize = 200;
/// A day: no budget is longer.
const MAX_SECONDS: u64 = 24 * 3_600;

/// What the scraping tasks share.
#[derive(Clone, Debug)]
pub struct Scraping(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    caches: Caches,
    pages: Pages,
    boards: crawl::Shared,
    scraper: Scraper,
    config: ScrapeConfig,
    notify: NotifyConfig,
}

/// The arguments of `scrape_specific_keyword`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct ScrapeKeyword {
    /// What to look for.
    pub keyword: String,
    /// Filters the returned summary and count, not what is cached.
    pub location: Option<String>,
    /// Fetches even when the cached listings are fresh.
    #[serde(default)]
    pub force: bool,
    /// Asks only these sources, by name; the others' cached listings stay. Absent or empty asks
    /// all.
    #[serde(default)]
    pub sources: Option<Vec<String>>,
    /// Counts only what can, or cannot, be done remotely. This and what follows filter the returned
    /// count, not what is cached.
    #[serde(default)]
    pub remote: Option<bool>,
    /// Counts only what was published within so many seconds, or `7d`, `12h`.
    #[serde(default)]
    pub posted_within: Option<Age>,
    /// Counts only listings of this employment type.
    #[serde(default)]
    pub employment_type: Option<String>,
    /// Counts only listings that pay so much a year, in their own currency.
    #[serde(default)]
    pub min_salary: Option<f64>,
    /// Counts only listings of this company.
    #[serde(default)]
    pub company: Option<String>,
    /// Counts only listings of this source.
    #[serde(default)]
    pub source: Option<String>,
}

/// An age in seconds, or with its unit (`7d`).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Age {
    /// Seconds.
    Seconds(u64),
    /// A number with `s`, `m`, `h`, `d` or `w`.
    Text(String),
}

impl ScrapeKeyword {
    /// Returns the filter of what is counted.
    ///
    /// # Errors
    /// Names the argument that is no age.
    fn filter(&self) -> Result<ListingFilter, TaskError> {
        let age = self.posted_within.as_ref().map(|age| match age {
            Age::Seconds(seconds) => Ok(Duration::from_secs(*seconds)),
            Age::Text(text) => filter::age(text),
        });
        let wrong =
            |why| TaskError::failed("ValueError", format!("argument 'posted_within': {why}"));
        Ok(ListingFilter {
            location: self.location.clone(),
            remote: self.remote,
            posted_within: age.transpose().map_err(wrong)?,
            employment_type: self.employment_type.clone(),
            min_salary: self.min_salary,
            company: self.company.clone(),
            source: self.source.clone(),
        })
    }
}

/// Registers the five scraping tasks.
///
/// # Errors
///
/// Sources or fetching are configured wrongly.
pub fn register(
    app: &mut App,
    scraping: &ScrapeSettings,
    caches: &CacheConfig,
) -> anyhow::Result<()> {
    let ScrapeSettings { scrape: config, sources } = scraping;
    let scraper = Scraper::new(config, sources).context("failed to set up scraping")?;
    let caches = Caches::new(caches, app.connections())?;
    let keys = Keys::new(&app.config().celery);
    let limiter = Limiter::new(app.connections().role(Role::Queue), keys);
    let pages = Pages::new(caches.listings().cache()?, config.page_cache_bytes);
    let boards = Boards::new(caches.listings().cache()?, config.board_cache_bytes);
    let boards = shared_boards(boards, scraping);
    let fetcher = scraper.fetcher.with_hosts(Arc::new(SharedHosts::new(limiter)));
    let fetcher = fetcher.with_store(Arc::new(pages.clone()));
    let fetcher = fetcher.with_fleet(Arc::new(Ways::new(caches.listings().cache()?)));
    let scraper = Scraper { fetcher, ..scraper };
    let config = config.clone();
    let at_stop = caches.clone();
    app.on_stop(async move || {
        if let Err(error) = at_stop.close().await {
            tracing::debug!(%error, "the caches' last counts were not written");
        }
    });
    let notify = app.config().notify.clone();
    app.state(Scraping(Arc::new(Inner { caches, pages, boards, scraper, config, notify })));
    app.task("job_scraper.tasks.scrape_jobs_hourly", scrape_jobs_hourly);
    app.task("job_scraper.tasks.scrape_specific_keyword", scrape_specific_keyword);
    app.task("job_scraper.tasks.get_scraping_status", get_scraping_status);
    app.task("job_scraper.tasks.clear_cache_task", clear_cache_task);
    app.task("job_scraper.tasks.refresh_proxies", refresh_proxies);
    app.task(notify::TASK, tell_webhook).retry(notify::RETRY);
    app.task(TASK, tell_of).retry(notice::RETRY);
    Ok(())
}

/// The arguments of `scrape_jobs_hourly`: how much of the boards it crawls, those first that were
/// read the longest ago. Without them it crawls all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
struct ScrapeHourly {
    /// As many boards at the most.
    #[serde(default)]
    boards: Option<usize>,
    /// For so many seconds at the most.
    #[serde(default)]
    seconds: Option<u64>,
}

impl ScrapeHourly {
    fn budget(self) -> Option<Budget> {
        if self == Self::default() {
            return None;
        }
        let seconds = self.seconds.unwrap_or(MAX_SECONDS).min(MAX_SECONDS);
        let boards = self.boards.unwrap_or(usize::MAX);
        Some(Budget { boards, time: Duration::from_secs(seconds) })
    }
}

/// Fetches the keyword of the current hour, fresh or not; then all other keywords are looked for in
/// what the boards had.
async fn scrape_jobs_hourly(
    Args(hourly): Args<ScrapeHourly>,
    State(scraping): State<Scraping>,
    context: TaskContext,
) -> Result<Value, TaskError> {
    let config = &scraping.0.config;
    let hour = clock::now().in_tz(&config.timezone)?.hour();
    let Some(keyword) = of_hour(&config.keywords, hour) else {
        return Err(TaskError::failed("ValueError", "no keywords are configured"));
    };
    let keyword = keyword.to_owned();
    let wanted = ScrapeKeyword { keyword, force: true, ..ScrapeKeyword::default() };
    let began = clock::now();
    let hours = wanted.keyword.clone();
    let summary = scrape::scrape(&scraping, &context, wanted, hourly.budget()).await?;
    others::others(&scraping, &context, &hours, began).await;
    Ok(summary)
}

/// Scrapes one keyword now, unless its listings are fresh.
async fn scrape_specific_keyword(
    Args(wanted): Args<ScrapeKeyword>,
    State(scraping): State<Scraping>,
    context: TaskContext,
) -> Result<Value, TaskError> {
    if wanted.keyword.trim().is_empty() {
        return Err(TaskError::failed("ValueError", "argument 'keyword' is empty"));
    }
    let length = wanted.keyword.chars().count();
    if length > MAX_KEYWORD {
        let text =
            format!("argument 'keyword' has {length} characters; at most {MAX_KEYWORD} are taken");
        return Err(TaskError::failed("ValueError", text));
    }
    // Wrong ones are said before anything is fetched.
    wanted.filter()?;
    scrape::scrape(&scraping, &context, wanted, None).await
}

/// Returns the status of the last scrape, or null when none is known.
async fn get_scraping_status(State(scraping): State<Scraping>) -> Result<Value, TaskError> {
    Ok(serde_json::to_value(scraping.0.caches.status().at_hand().await?)?)
}

/// Clears listings, status and proxy list (never queues or sessions); returns how many keys of
/// each.
async fn clear_cache_task(State(scraping): State<Scraping>) -> Result<Value, TaskError> {
    Ok(serde_json::to_value(scraping.0.caches.clear().await?)?)
}

/// Fetches, checks and stores the proxy list.
async fn refresh_proxies(
    State(scraping): State<Scraping>,
    context: TaskContext,
) -> Result<Value, TaskError> {
    let refreshed = tokio::select! {
        refreshed = proxies::refresh(&scraping) => refreshed?,
        () = context.soft_limit() => return Err(TaskError::Cancelled),
    };
    let proxies::Refreshed { usable, listed, checked } = refreshed;
    Ok(json!({ "count": usable.len(), "listed": listed, "checked": checked }))
}

/// Returns what all scrapes share of the boards.
fn shared_boards(boards: Boards, config: &ScrapeSettings) -> crawl::Shared {
    let id = |source: &SourceConfig| (source.name.clone(), fingerprint(source));
    let ScrapeConfig { synonyms, match_accents, match_description, .. } = &config.scrape;
    let mut way = DefaultHasher::new();
    (synonyms, match_accents, match_description).hash(&mut way);
    let ids = config.sources.iter().map(id).collect();
    crawl::Shared { boards, ids: Arc::new(ids), way: way.finish() }
}

/// Tells a webhook of new postings.
async fn tell_of(
    State(scraping): State<Scraping>,
    context: TaskContext,
    Args(told): Args<notice::Told>,
) -> Result<Value, TaskError> {
    notice::tell(&scraping, &context, told).await
}

async fn tell_webhook(
    Args(wanted): Args<notify::Notify>,
    State(scraping): State<Scraping>,
    context: TaskContext,
) -> Result<Value, TaskError> {
    notify::notify(&scraping, &context, wanted).await
}

fn of_hour(keywords: &[String], hour: i8) -> Option<&str> {
    let hour = usize::try_from(hour).ok()?;
    Some(&keywords[hour.checked_rem(keywords.len())?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hour_has_its_keyword() {
        let keywords = ["a", "b", "c"].map(str::to_owned);
        let check = |hour, expect| assert_eq!(of_hour(&keywords, hour), Some(expect), "{hour}");
        check(0, "a");
        check(2, "c");
        check(3, "a");
        check(23, "c");
        assert_eq!(of_hour(&[], 5), None);
    }
}
