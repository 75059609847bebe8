//! Scraping: how the last scrape went, source by source, and the listings of a keyword.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Html,
};
use rhubarb_jobs::{ScrapeState, Status, life};
use serde::Deserialize;

use super::{Frame, html, text};
use crate::{access::Reader, looks, problem::Problem, site::Site};

/// So many sources and postings are shown.
const MOST: usize = 200;

/// Which keyword.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    /// It.
    #[serde(default)]
    keyword: String,
}

#[derive(Template)]
#[template(path = "scraping.html")]
struct ScrapingPage {
    frame: Frame,
    head: Option<Head>,
    /// Name, word, listings, milliseconds, what is wrong.
    sources: Vec<(String, String, u64, u64, String)>,
    keyword: String,
    postings: Option<Vec<Posting>>,
    n: usize,
}

struct Head {
    word: &'static str,
    keyword: String,
    at: String,
    jobs: u64,
    new: u64,
    closed: u64,
    error: String,
}

struct Posting {
    title: String,
    company: String,
    source: String,
    /// Only what a browser opens as a page.
    url: Option<String>,
    state: &'static str,
    seen: String,
}

fn head(status: &Status) -> Head {
    let word = match status.status {
        ScrapeState::Running => "running",
        ScrapeState::Success => "success",
        ScrapeState::Partial => "partial",
        ScrapeState::Error => "error",
    };
    Head {
        word,
        keyword: text(&status.keyword, 100),
        at: text(&status.last_scraped, 40),
        jobs: status.jobs_count,
        new: status.new,
        closed: status.closed,
        error: text(status.error.as_deref().unwrap_or_default(), 500),
    }
}

fn posting(posting: &life::Posting) -> Posting {
    let listing = &posting.listing;
    let is_web = listing.url.starts_with("https://") || listing.url.starts_with("http://");
    let state = match (&posting.closed, posting.changes.is_empty()) {
        (Some(_), _) => "closed",
        (None, false) => "changed",
        (None, true) => "open",
    };
    Posting {
        title: text(&listing.title, 150),
        company: text(&listing.company, 80),
        source: text(&listing.source, 60),
        url: Some(listing.url.clone()).filter(|url| is_web && url.len() < 2000),
        state,
        seen: posting.first_seen.strftime("%Y-%m-%d %H:%M").to_string(),
    }
}

/// Shows it.
///
/// # Errors
///
/// 503: nothing is known yet.
pub async fn show(
    Reader(visitor): Reader,
    State(site): State<Site>,
    Query(wanted): Query<Wanted>,
) -> Result<Html<String>, Problem> {
    let shown = looks::status(&site).await?;
    let status = shown.what.as_ref().as_ref();
    let keyword = match wanted.keyword.trim() {
        "" => status.map(|status| status.keyword.clone()).unwrap_or_default(),
        wanted => wanted.chars().take(200).collect(),
    };
    let record = match site.caches().listings().life() {
        Some(life) if !keyword.is_empty() => life.read(&keyword).await?,
        _ => None,
    };
    let n = record.as_ref().map_or(0, |record| record.postings.len());
    let postings = record.map(|mut record| {
        record.postings.sort_by_key(|posting| std::cmp::Reverse(posting.first_seen));
        record.postings.iter().take(MOST).map(posting).collect()
    });
    let sources = status.into_iter().flat_map(|status| &status.sources).take(MOST);
    let source = |(name, source): (&String, &rhubarb_jobs::SourceStatus)| {
        let error = text(source.error.as_deref().unwrap_or_default(), 300);
        (text(name, 60), source.word(), source.count, source.elapsed_ms, error)
    };
    html(&ScrapingPage {
        frame: Frame::new(&site, &visitor, "/scraping", "Scraping").aged(shown.age_s),
        head: status.map(head),
        sources: sources.map(source).collect(),
        keyword: text(&keyword, 200),
        postings,
        n,
    })
}
