//! The other keywords, after the hour's: found in what is kept of the boards, without a request.

use std::sync::Arc;

use jiff::Timestamp;
use rhubarb::{TaskContext, TaskError};
use rhubarb_core::clock;
use rhubarb_queue::OwnedLock;
use rhubarb_scrape::{Query, Source, keyword::slug, run::Scraper};

use super::{
    Scraping,
    crawl::{Heads, Need},
    exclusive, quiet,
    scrape::{Work, cached, running},
};

/// Scrapes each configured keyword but this one from the boards that are kept; their listings of
/// other sources stay. The status stays that of the hour's keyword. What fails here fails no task.
pub(super) async fn others(
    scraping: &Scraping,
    context: &TaskContext,
    hours: &str,
    began: Timestamp,
) {
    let need = Need { began, fresh_for: None, only_kept: true };
    let kept = match kept(scraping).await {
        Ok(kept) => kept,
        Err(error) => {
            tracing::warn!(%error, "no other keyword was looked for in what is kept");
            return;
        }
    };
    if kept.scraper.sources.is_empty() {
        return;
    }
    for keyword in scraping.0.config.keywords.iter().filter(|other| slug(other) != slug(hours)) {
        let done = tokio::select! {
            done = Box::pin(alone(scraping, context, keyword, (need, &kept))) => done,
            () = context.soft_limit() => return,
        };
        if let Err(error) = done {
            tracing::warn!(keyword, ?error, "a keyword was not looked for in what is kept");
        }
    }
}

/// Scrapes a keyword, unless another task does.
async fn alone(
    scraping: &Scraping,
    context: &TaskContext,
    keyword: &str,
    of: (Need, &Kept),
) -> Result<(), TaskError> {
    let lock = exclusive::lock(context, &slug(keyword));
    if !lock.acquire().await? {
        return Ok(());
    }
    let done = tokio::select! {
        done = one(scraping, context, keyword, of) => done,
        () = exclusive::lost(&lock) => Ok(()),
    };
    release(&lock).await;
    done
}

async fn one(
    scraping: &Scraping,
    context: &TaskContext,
    keyword: &str,
    (need, kept): (Need, &Kept),
) -> Result<(), TaskError> {
    if may_rest(scraping, keyword, kept).await? {
        return Ok(());
    }
    let scraper = kept.scraper.clone();
    let heads = Some(Arc::clone(&kept.heads));
    let all = cached(&scraping.0.caches, keyword).await?;
    let all = all.map(|cached| cached.listings).unwrap_or_default();
    let n_earlier = all.len();
    let is_asked = |name: &str| scraper.sources.iter().any(|source| source.name() == name);
    let (earlier, untouched) = all.into_iter().partition(|listing| is_asked(&listing.source));
    let earlier = Arc::new(earlier);
    let (budget, told) = (None, false);
    let work =
        Work { scraping, context, keyword, scraper, earlier, untouched, need, heads, budget, told };
    work.finish(running(keyword, n_earlier)).await?;
    Ok(())
}

/// The boards of which something is kept, as it was when the hour's keyword was done.
struct Kept {
    scraper: Scraper,
    heads: Heads,
}

async fn kept(scraping: &Scraping) -> Result<Kept, rhubarb_connection::Error> {
    let mut scraper = scraping.0.scraper.clone();
    let boards = &scraping.0.boards;
    let names = scraper.sources.iter().filter(|source| source.gives_all());
    let heads = boards.heads(names.map(|source| source.name())).await?;
    scraper.sources.retain(|source| boards.head(&heads, source.name()).is_some());
    Ok(Kept { scraper, heads })
}

/// Tells whether a keyword's listings may stand as they were written, and lets them live on.
async fn may_rest(scraping: &Scraping, keyword: &str, kept: &Kept) -> Result<bool, TaskError> {
    let cache = scraping.0.caches.listings();
    let memory = cache.remembered(keyword).await?;
    let query = Query::configured(keyword, &scraping.0.config, clock::now());
    let of = (&scraping.0.boards, &kept.heads);
    let rests = |source: &Arc<dyn Source>| quiet::may_rest(&**source, &query, of, &memory);
    Ok(kept.scraper.sources.iter().all(rests) && cache.touch(keyword).await?)
}

async fn release(lock: &OwnedLock) {
    if let Err(error) = lock.release().await {
        tracing::debug!(%error, "a scrape's lock ends by itself");
    }
}
