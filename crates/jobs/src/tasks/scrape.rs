//! One scrape: fetch, merge, write listings and status, summarise.

use std::{collections::HashSet, future::ready, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use rhubarb::{TaskContext, TaskError};
use rhubarb_cache::Error;
use rhubarb_core::clock;
use rhubarb_scrape::{
    Ending, Listing, Query,
    boards::Asked,
    config::ScrapeConfig,
    dedupe::{self, Gathered},
    keyword,
    run::{Progress, ScrapeReport, Scraper},
};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::Instant};

use super::{
    ScrapeKeyword, Scraping,
    crawl::{Heads, Need, OneScrape},
    exclusive,
    lives::Lives,
    merge::{self, Merged},
    notice,
    pages::before_pages,
    proxies, quiet,
    summary::Summary,
    unfinished::Unfinished,
};
use crate::{
    Cached, Caches, ScrapeState, SourceMemory, SourceState, SourceStatus, Status, fit, life::Kind,
};

/// How much of the boards one run crawls, those first that were read the longest ago; without it a
/// scrape crawls all that do not serve it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// As many boards.
    pub(super) boards: usize,
    /// For so long.
    pub(super) time: Duration,
}

/// Scrapes a keyword unless its listings are fresh or another task has just done it.
pub(super) async fn scrape(
    scraping: &Scraping,
    context: &TaskContext,
    wanted: ScrapeKeyword,
    budget: Option<Budget>,
) -> Result<Value, TaskError> {
    let began = clock::now();
    let by_another = exclusive::is_done_by_another(context).await?;
    if let Some(summary) = at_hand(scraping, &wanted, by_another).await? {
        return Ok(serde_json::to_value(summary)?);
    }
    let slug = keyword::slug(&wanted.keyword);
    // Boxed: what it holds across its awaits would make every caller's future as large.
    let work = Box::pin(run(scraping, context, &wanted, (began, budget)));
    let summary = exclusive::alone(context, &slug, work).await?;
    Ok(serde_json::to_value(summary)?)
}

/// Returns the summary of what is cached, if that is what is wanted.
async fn at_hand(
    scraping: &Scraping,
    wanted: &ScrapeKeyword,
    by_another: bool,
) -> Result<Option<Summary>, TaskError> {
    let caches = &scraping.0.caches;
    if wanted.force && !by_another {
        return Ok(None);
    }
    let Some(cached) = cached(caches, &wanted.keyword).await? else { return Ok(None) };
    let fresh = cached.age.is_some_and(|age| age < scraping.0.config.fresh_for);
    if !fresh && !by_another {
        return Ok(None);
    }
    let status = caches.status().at_hand().await?;
    let filter = wanted.filter()?;
    Ok(Some(Summary::cached(&wanted.keyword, &cached.listings, &filter, status.as_ref())))
}

/// Reads what is cached for a keyword; something else there is never overwritten, and said with
/// what to do about it.
pub(super) async fn cached(caches: &Caches, keyword: &str) -> Result<Option<Cached>, TaskError> {
    caches.listings().read(keyword).await.map_err(|error| {
        let Some(key) = error.foreign() else { return error.into() };
        let why =
            std::error::Error::source(&error).map_or_else(String::new, |why| format!(" ({why})"));
        let told = format!("what is cached as `{key}` is no list of listings{why}");
        let clear = format!("`rhubarb cache clear listings \"{keyword}\"` deletes it");
        TaskError::failed("ValueError", format!("{told}; {clear}"))
    })
}

/// Fetches and writes; the caller holds the keyword's lock.
///
/// After the task's soft time limit the sources that have not ended count as failed; where none
/// has, the task has exceeded it.
async fn run(
    scraping: &Scraping,
    context: &TaskContext,
    wanted: &ScrapeKeyword,
    (began, budget): (Timestamp, Option<Budget>),
) -> Result<Summary, TaskError> {
    let caches = &scraping.0.caches;
    let started = Instant::now();
    let cached = cached(caches, &wanted.keyword).await?;
    let all_earlier = cached.map(|cached| cached.listings).unwrap_or_default();
    let scraper = narrowed(scraping.0.scraper.clone(), wanted)?;
    let n_earlier = all_earlier.len();
    let (earlier, untouched) = asked(all_earlier, &scraper, wanted);
    let proxies = tokio::select! {
        proxies = proxies::at_hand(scraping) => proxies?,
        () = context.soft_limit() => return Err(TaskError::Cancelled),
    };
    let fetcher = scraper.fetcher.through(proxies);
    let scraper = Scraper { fetcher, ..scraper };
    let status = running(&wanted.keyword, n_earlier);
    let mut unfinished = Unfinished::begin(caches, status.clone()).await?;
    let work = Work {
        scraping,
        context,
        keyword: &wanted.keyword,
        scraper,
        earlier: Arc::new(earlier),
        untouched,
        need: Need {
            began,
            fresh_for: (!wanted.force).then(|| board_fresh_for(&scraping.0.config)),
            only_kept: false,
        },
        heads: None,
        budget,
        told: true,
    };
    let done = work.finish(status).await;
    let done = match done {
        Ok(done) => done,
        Err(error) => {
            unfinished.fail(&error.to_string()).await;
            return Err(error.into());
        }
    };
    caches.status().write(&done.status).await?;
    unfinished.end();
    if done.status.status == ScrapeState::Error {
        let reason = format!("all sources failed: {}", done.status.error.unwrap_or_default());
        return Err(match (done.limited, done.permanent) {
            (true, _) => TaskError::Cancelled,
            (_, true) => TaskError::failed("RuntimeError", reason),
            _ => TaskError::transient("ConnectionError", reason),
        });
    }
    Ok(Summary::scraped(&done.status, &done.listings, &wanted.filter()?, started.elapsed()))
}

/// What a scrape has come to.
pub(super) struct Done {
    status: Status,
    listings: Vec<Listing>,
    /// Whether a time limit has ended a source.
    limited: bool,
    /// Whether trying again soon changes nothing.
    permanent: bool,
}

/// What a scrape of a keyword has before it asks.
pub(super) struct Work<'a> {
    pub(super) scraping: &'a Scraping,
    pub(super) context: &'a TaskContext,
    pub(super) keyword: &'a str,
    pub(super) scraper: Scraper,
    /// The listings of the sources that are asked, and of the others.
    pub(super) earlier: Arc<Vec<Listing>>,
    pub(super) untouched: Vec<Listing>,
    pub(super) need: Need,
    /// What is kept of the boards, where it was read already.
    pub(super) heads: Option<Heads>,
    pub(super) budget: Option<Budget>,
    /// Whether the task's readers are told of each source.
    pub(super) told: bool,
}

impl<'a> Work<'a> {
    /// Asks the sources, merges and writes the listings.
    pub(super) async fn finish(mut self, status: Status) -> Result<Done, Error> {
        let Self { scraping, context, keyword, .. } = self;
        let cache = scraping.0.caches.listings();
        let query = Query::configured(keyword, &scraping.0.config, clock::now());
        let mut memory = cache.remembered(keyword).await?;
        let boards = self.boards(&query, &memory).await;
        let report = ask(&self.scraper, &query, context, self.told).await;
        let held = boards.held_against(&memory);
        let before = merge::Before { listings: &self.earlier, memory: &held, now: query.now };
        let mut merged = merge::merge(before, report.listings, &report.sources);
        boards.note(&mut merged.memory, &report.sources);
        // They hold the earlier listings, which are let go of before the new ones are written.
        self.scraper.boards = None;
        drop(boards);
        let limited = report.sources.iter().any(|source| source.limited);
        let permanent = report.sources.iter().all(|source| {
            let ending = merged.sources.get(&source.name).and_then(|status| status.outcome);
            source.permanent || ending == Some(Ending::Suspicious)
        });
        log(&merged);
        notice::of_sources(context, &scraping.0.notify, keyword, &merged.sources).await;
        memory.retain(|name, _| scraping.0.scraper.sources.iter().any(|s| s.name() == name));
        memory.append(&mut merged.memory);
        let (listings, lives) = self.written(query.now, &mut merged).await?;
        let is_told = match &lives {
            Some(lives) => lives.write(&scraping.0.pages, context.client()).await,
            None => false,
        };
        if is_told {
            quiet::rest(&mut memory, merged.sources.keys(), &listings, query.now);
        }
        if let Err(error) = cache.remember(keyword, &memory).await {
            tracing::warn!(%error, "what is remembered of sources was not written");
        }
        let new = match &lives {
            Some(lives) => lives.count(&[Kind::New, Kind::Reopened]),
            None => self.n_new(&merged, &listings),
        };
        if let Some(lives) = &lives {
            merged.closed = lives.count(&[Kind::Closed]);
        }
        let status = ended(status, merged, new, listings.len());
        Ok(Done { status, listings, limited, permanent })
    }

    /// Writes what came, and returns what is there now with what it means for the postings' lives.
    async fn written(
        &mut self,
        now: Timestamp,
        merged: &mut Merged,
    ) -> Result<(Vec<Listing>, Option<Lives<'a>>), Error> {
        let Self { scraping, keyword, .. } = *self;
        let untouched = std::mem::take(&mut self.untouched);
        let Some(listings) = merged.listings.take() else {
            return Ok((self.earlier.iter().cloned().chain(untouched).collect(), None));
        };
        let all = give_way(listings.into_iter().chain(untouched), &scraping.0.scraper);
        let place = (scraping.0.caches.listings(), &scraping.0.config);
        let lives = Lives::after(place, keyword, now, &all, &merged.ends).await;
        if lives.is_some() {
            self.earlier = Arc::default();
        }
        Ok((write(scraping, keyword, all, merged).await?, lives))
    }

    /// Counts what was not there before; the postings' lives tell it where they are kept.
    fn n_new(&self, merged: &Merged, listings: &[Listing]) -> u64 {
        let is_asked = |listing: &&Listing| merged.sources.contains_key(&listing.source);
        let of_asked: Vec<Listing> = listings.iter().filter(is_asked).cloned().collect();
        merge::n_new(&self.earlier, &of_asked)
    }

    /// Lets the boards answer from what is kept; with a budget, after some of them were crawled.
    async fn boards(&mut self, query: &Query, memory: &SourceMemory) -> Arc<OneScrape> {
        let boards = self.one_scrape(memory, self.need).await;
        let Some(budget) = self.budget else {
            self.scraper.boards = Some(Arc::clone(&boards) as _);
            return boards;
        };
        refresh(&self.scraper, query, &boards, budget, self.context).await;
        let kept = self.one_scrape(memory, Need { only_kept: true, ..self.need }).await;
        self.scraper.boards = Some(Arc::clone(&kept) as _);
        kept
    }

    async fn one_scrape(&self, memory: &SourceMemory, need: Need) -> Arc<OneScrape> {
        let task = (self.context.client(), self.context.id());
        let shared = &self.scraping.0.boards;
        let earlier = Arc::clone(&self.earlier);
        let boards = OneScrape::new(shared, task, need, earlier, memory.clone());
        let names = self.scraper.sources.iter().map(|source| source.name());
        let heads = match &self.heads {
            Some(heads) => Ok(Arc::clone(heads)),
            None => shared.heads(names).await,
        };
        match heads {
            Ok(heads) => boards.look_at(&heads),
            Err(error) => tracing::debug!(%error, "what is kept of boards was not read"),
        }
        Arc::new(boards)
    }
}

/// Crawls boards within a budget, those first that were checked the longest ago.
async fn refresh(
    scraper: &Scraper,
    query: &Query,
    boards: &OneScrape,
    budget: Budget,
    context: &TaskContext,
) {
    let mut sources: Vec<_> = scraper.sources.iter().filter(|source| source.gives_all()).collect();
    sources.sort_by_key(|source| boards.checked(source.name()));
    let until = Instant::now() + budget.time;
    let crawls: Vec<_> = sources
        .into_iter()
        .take(budget.boards)
        .map(|source| {
            let (fetcher, limit) = (&scraper.fetcher, scraper.source_timeout);
            let asked = Asked { source: &**source, query, fetcher, limit };
            async move {
                if Instant::now() < until {
                    boards.refresh(asked).await;
                }
            }
            .boxed()
        })
        .collect();
    let crawled =
        stream::iter(crawls).buffer_unordered(scraper.concurrent).for_each(|()| ready(()));
    tokio::select! {
        () = crawled => {}
        () = context.soft_limit() => {}
    }
}

/// Returns for how long what was read of a board serves all keywords.
fn board_fresh_for(config: &ScrapeConfig) -> Duration {
    config.board_fresh_for.unwrap_or(config.fresh_for)
}

/// Lets copies of aggregators give way, among what came, what was kept and what was not asked for.
fn give_way(listings: impl Iterator<Item = Listing>, scraper: &Scraper) -> Vec<Listing> {
    let aggregators = scraper.sources.iter().filter(|source| source.aggregates());
    let aggregators: HashSet<&str> = aggregators.map(|source| source.name()).collect();
    let gather = |listing: Listing| {
        let aggregated = aggregators.contains(listing.source.as_str());
        Gathered { listing, aggregated }
    };
    dedupe::give_way(listings.map(gather).collect())
}

/// Writes the listings, the newest that fit; says of each source that lost some that it is partial.
async fn write(
    scraping: &Scraping,
    keyword: &str,
    listings: Vec<Listing>,
    merged: &mut Merged,
) -> Result<Vec<Listing>, Error> {
    let before = fit::counts(&listings);
    let cache = scraping.0.caches.listings();
    let write = || cache.write_fitting(keyword, &listings);
    let Some(written) = before_pages(&scraping.0.pages, write).await? else { return Ok(listings) };
    let after = fit::counts(&written);
    for (name, source) in &mut merged.sources {
        let before = before.get(name).copied().unwrap_or_default();
        let after = after.get(name).copied().unwrap_or_default();
        if after == before {
            continue;
        }
        let told = source.error.as_ref().map(|told| format!("; {told}")).unwrap_or_default();
        let reason = format!(
            "the newest {after} of its {before} listings are cached: a cached value holds no more; \
             a narrower keyword has fewer{told}"
        );
        tracing::warn!(source = %name, reason, "listings are left out");
        let ending = source.outcome.filter(|ending| ending.is_silent());
        source.turn(ending.unwrap_or(Ending::Partial), reason);
        if merged.state == ScrapeState::Success {
            merged.state = ScrapeState::Partial;
        }
    }
    merged.error = merge::reasons(&merged.sources);
    Ok(written)
}

/// Says of each source that it did not end well.
fn log(merged: &Merged) {
    for (name, source) in &merged.sources {
        let SourceStatus { outcome, error, kept, .. } = source;
        let Some(outcome) = outcome.filter(|outcome| outcome.state() != SourceState::Ok) else {
            continue;
        };
        let reason = error.as_deref().unwrap_or_default();
        tracing::warn!(source = %name, outcome = %outcome, reason, kept, "a source did not end well");
    }
}

/// Leaves only the sources that are wanted.
fn narrowed(mut scraper: Scraper, wanted: &ScrapeKeyword) -> Result<Scraper, TaskError> {
    let names = wanted.sources.as_deref().unwrap_or_default();
    if let Some(name) = names.iter().find(|name| scraper.sources.iter().all(|s| s.name() != **name))
    {
        let known: Vec<&str> = scraper.sources.iter().map(|source| source.name()).collect();
        let text = format!("argument 'sources': no source `{name}`; known: {}", known.join(", "));
        return Err(TaskError::failed("ValueError", text));
    }
    if !names.is_empty() {
        scraper.sources.retain(|source| names.iter().any(|name| name == source.name()));
    }
    Ok(scraper)
}

/// Parts the earlier listings into those of the sources that are asked, and those to be left as
/// they are.
fn asked(
    earlier: Vec<Listing>,
    scraper: &Scraper,
    wanted: &ScrapeKeyword,
) -> (Vec<Listing>, Vec<Listing>) {
    if wanted.sources.as_ref().is_none_or(Vec::is_empty) {
        return (earlier, Vec::new());
    }
    earlier.into_iter().partition(|l| scraper.sources.iter().any(|s| s.name() == l.source))
}

/// Asks the sources and reports each one's end to the task's readers.
async fn ask(scraper: &Scraper, query: &Query, context: &TaskContext, told: bool) -> ScrapeReport {
    if !told {
        return scraper.scrape_until(query, &|_| {}, context.soft_limit()).await;
    }
    let total = scraper.sources.len();
    let (ended, mut reports) = mpsc::unbounded_channel::<(String, SourceStatus)>();
    let tell = async {
        let mut done = 0;
        while let Some((source, status)) = reports.recv().await {
            done += 1;
            context.report(progress(&source, &status, done, total)).await;
        }
    };
    let asked = async {
        let on_progress = |progress: Progress<'_>| {
            if let Progress::Ended(source) = progress {
                // The reader lives as long as this future does.
                let _ = ended.send((source.name.clone(), source.status()));
            }
        };
        let limit = context.soft_limit();
        let report = scraper.scrape_until(query, &on_progress, limit).await;
        drop(ended);
        report
    };
    tokio::join!(asked, tell).0
}

fn progress(source: &str, status: &SourceStatus, done: usize, total: usize) -> Value {
    json!({
        "source": source, "status": status.status, "outcome": status.outcome,
        "count": status.count, "error": status.error,
        "done": done, "total": total,
    })
}

pub(super) fn running(keyword: &str, n_listings: usize) -> Status {
    Status {
        last_scraped: clock::iso(clock::now()),
        keyword: keyword.to_owned(),
        jobs_count: n_listings as u64,
        status: ScrapeState::Running,
        error: None,
        sources: Default::default(),
        new: 0,
        closed: 0,
    }
}

fn ended(status: Status, merged: Merged, new: u64, n_listings: usize) -> Status {
    Status {
        last_scraped: clock::iso(clock::now()),
        jobs_count: n_listings as u64,
        status: merged.state,
        error: merged.error,
        sources: merged.sources,
        new,
        closed: merged.closed,
        ..status
    }
}
