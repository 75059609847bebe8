//! What the scrapes brought.

use axum::{
    Json,
    extract::{Query, State},
};
use rhubarb_core::clock;
use rhubarb_jobs::{Status, life};
use rhubarb_scrape::{Listing, filter::ListingFilter};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{instant, limit, seconds};
use crate::{access::Reader, problem::Problem, site::Site};

/// The longest keyword that is looked up, bytes.
const LONGEST: usize = 1000;

/// Which listings are meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Meant {
    /// The keyword that was scraped.
    keyword: String,
    /// Only of this source.
    source: Option<String>,
    /// Only of this company.
    company: Option<String>,
    /// Only at this place.
    location: Option<String>,
    /// Only remote ones, or only others.
    remote: Option<bool>,
    /// Only of this kind of employment.
    employment_type: Option<String>,
    /// Only with at least this yearly salary.
    min_salary: Option<f64>,
    /// Only posted within so many seconds.
    posted_within: Option<f64>,
    /// At most so many, 1 to 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Leave so many out at the beginning.
    #[serde(default)]
    offset: usize,
}

/// Listings of a keyword.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Found {
    /// In the order in which they are cached.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Listing>,
    /// How many are meant.
    total: usize,
    /// How many seconds ago they were cached.
    age_s: Option<u64>,
}

/// The cached listings of a keyword
#[utoipa::path(get, path = "/listings", tag = "scraping", params(Meant),
    responses((status = 200, description = "The listings.", body = Found)))]
pub(super) async fn listings(
    _: Reader,
    State(site): State<Site>,
    Query(meant): Query<Meant>,
) -> Result<Json<Found>, Problem> {
    let limit = limit(meant.limit)?;
    check(&meant.keyword)?;
    let filter = ListingFilter {
        location: meant.location,
        remote: meant.remote,
        posted_within: meant.posted_within.map(|s| seconds("posted_within", s)).transpose()?,
        employment_type: meant.employment_type,
        min_salary: meant.min_salary,
        company: meant.company,
        source: meant.source,
    };
    let cached = site.caches().listings().read(&meant.keyword).await?;
    let cached = cached.ok_or_else(|| Problem::not_found("no listings are cached for it"))?;
    let now = clock::now();
    let mut all = cached.listings;
    all.retain(|listing| filter.admits(listing, now));
    let total = all.len();
    let items = all.into_iter().skip(meant.offset).take(limit).collect();
    Ok(Json(Found { items, total, age_s: cached.age.map(|age| age.as_secs()) }))
}

fn check(keyword: &str) -> Result<(), Problem> {
    if keyword.trim().is_empty() || keyword.len() > LONGEST {
        return Err(Problem::bad(&format!("keyword: 1 to {LONGEST} bytes are expected")));
    }
    Ok(())
}

/// Which changes are meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Since {
    /// The keyword that was scraped.
    keyword: String,
    /// Only postings that something happened to at this time or later (ISO 8601 with an offset).
    since: Option<String>,
    /// Only of this kind.
    #[param(inline)]
    kind: Option<ChangeKind>,
    /// At most so many, 1 to 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// What happened to a posting.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ChangeKind {
    /// It was seen for the first time.
    New,
    /// Something that it says has changed.
    Changed,
    /// It is closed.
    Closed,
    /// It was closed and is there again.
    Reopened,
}

impl From<ChangeKind> for life::Kind {
    fn from(kind: ChangeKind) -> Self {
        match kind {
            ChangeKind::New => Self::New,
            ChangeKind::Changed => Self::Changed,
            ChangeKind::Closed => Self::Closed,
            ChangeKind::Reopened => Self::Reopened,
        }
    }
}

/// Postings and their lives.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Lives {
    /// The listing, and under `life` what happened to it.
    items: Vec<Life>,
    /// Whether there are more.
    more: bool,
}

#[derive(Debug, Serialize, ToSchema)]
struct Life {
    #[serde(flatten)]
    #[schema(value_type = Object)]
    listing: Listing,
    #[schema(value_type = Object)]
    life: Value,
}

/// What became of the postings of a keyword
#[utoipa::path(get, path = "/listings/changes", tag = "scraping", params(Since),
    responses((status = 200, description = "The postings.", body = Lives)))]
pub(super) async fn changes(
    _: Reader,
    State(site): State<Site>,
    Query(wanted): Query<Since>,
) -> Result<Json<Lives>, Problem> {
    let limit = limit(wanted.limit)?;
    check(&wanted.keyword)?;
    let since = wanted.since.map(|since| instant("since", &since)).transpose()?;
    let since = since.unwrap_or(jiff::Timestamp::MIN);
    let kinds = match wanted.kind {
        Some(kind) => vec![kind.into()],
        None => [ChangeKind::New, ChangeKind::Changed, ChangeKind::Closed, ChangeKind::Reopened]
            .map(Into::into)
            .to_vec(),
    };
    let record = match site.caches().listings().life() {
        Some(life) => life.read(&wanted.keyword).await?,
        None => None,
    };
    let record = record.ok_or_else(|| Problem::not_found("nothing is known of this keyword"))?;
    let has = |one: &life::Posting| kinds.iter().any(|kind| one.has(*kind, since));
    let mut meant = record.postings.into_iter().filter(has);
    let items = meant.by_ref().take(limit);
    let items = items.map(|one| Life { life: one.shown(), listing: one.listing }).collect();
    Ok(Json(Lives { items, more: meant.next().is_some() }))
}

/// How the last scrape went, source by source
#[utoipa::path(get, path = "/status", tag = "scraping",
    responses((status = 200, description = "The status.", body = Object)))]
pub(super) async fn status(_: Reader, State(site): State<Site>) -> Result<Json<Status>, Problem> {
    let status = site.caches().status().read().await?;
    let none = "no scrape has left a status, or it has expired";
    status.map(Json).ok_or_else(|| Problem::not_found(none))
}
