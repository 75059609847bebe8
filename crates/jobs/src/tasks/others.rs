//! The other keywords, after the hour's: found in what is kept of the boards, without a request.

use std::sync::Arc;

use jiff::Timestamp;
use rhubarb::{TaskContext, TaskError};
use rhubarb_queue::OwnedLock;
use rhubarb_scrape::{keyword::slug, run::Scraper};

use super::{
    Scraping,
    crawl::Need,
    hold,
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
    for keyword in scraping.0.config.keywords.iter().filter(|other| slug(other) != slug(hours)) {
        let done = tokio::select! {
            done = Box::pin(alone(scraping, context, keyword, need)) => done,
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
    need: Need,
) -> Result<(), TaskError> {
    let lock = hold::lock(context, &slug(keyword));
    if !lock.acquire().await? {
        return Ok(());
    }
    let done = tokio::select! {
        done = one(scraping, context, keyword, need) => done,
        () = hold::lost(&lock) => Ok(()),
    };
    release(&lock).await;
    done
}

async fn one(
    scraping: &Scraping,
    context: &TaskContext,
    keyword: &str,
    need: Need,
) -> Result<(), TaskError> {
    let scraper = kept(scraping).await?;
    if scraper.sources.is_empty() {
        return Ok(());
    }
    let all = cached(&scraping.0.caches, keyword).await?;
    let all = all.map(|cached| cached.listings).unwrap_or_default();
    let n_earlier = all.len();
    let is_asked = |name: &str| scraper.sources.iter().any(|source| source.name() == name);
    let (earlier, untouched) = all.into_iter().partition(|listing| is_asked(&listing.source));
    let earlier = Arc::new(earlier);
    let (budget, told) = (None, false);
    let work = Work { scraping, context, keyword, scraper, earlier, untouched, need, budget, told };
    work.finish(running(keyword, n_earlier)).await?;
    Ok(())
}

/// Returns a scraper of the boards of which something is kept.
async fn kept(scraping: &Scraping) -> Result<Scraper, TaskError> {
    let mut scraper = scraping.0.scraper.clone();
    let boards = &scraping.0.boards;
    let names = scraper.sources.iter().filter(|source| source.gives_all());
    let kept = boards.kept(names.map(|source| source.name())).await?;
    scraper.sources.retain(|source| kept.contains(source.name()));
    Ok(scraper)
}

async fn release(lock: &OwnedLock) {
    if let Err(error) = lock.release().await {
        tracing::debug!(%error, "a scrape's lock ends by itself");
    }
}
