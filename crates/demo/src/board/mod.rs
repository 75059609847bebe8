//! The job board: one local web server that answers as eight kinds of sources do.
//!
//! Each kind lives under a path of its own, with its real API's paths below, so that a source is
//! pointed at it by its base URL alone. The pages are ours; nothing in them was copied from a real
//! board.

mod openings;
mod pages;

use std::{collections::HashMap, io, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use jiff::Timestamp;
use serde_json::{Value, json};

pub use self::openings::{
    ARBEITNOW, ASHBY, CAREERS, CLASSIFIEDS, GREENHOUSE, KEYWORDS, LEVER, Office, Opening, Openings,
    REMOTEOK, WEWORKREMOTELY, openings,
};
use crate::site::Site;

/// The token, site or board under which the applicant-tracking systems know their one employer.
pub const GREENHOUSE_BOARD: &str = "kettleandkernel";
/// Lever's site.
pub const LEVER_BOARD: &str = "pocketlighthouse";
/// Ashby's board.
pub const ASHBY_BOARD: &str = "sundial";

const ARBEITNOW_PAGE: usize = 8;
const CLASSIFIEDS_PAGE: usize = 3;

struct Pages {
    /// `http://host:port`, for the absolute links in the pages.
    url: String,
    now: Timestamp,
}

/// Serves the board; `now` dates the openings.
///
/// # Errors
/// When loopback has no free port.
pub async fn start(now: Timestamp) -> io::Result<Site> {
    Site::start(|url| routes(url, now)).await
}

/// Returns the board's pages as they are served at `url`; `now` dates the openings.
pub fn routes(url: &str, now: Timestamp) -> Router {
    let site = Pages { url: url.to_owned(), now };
    Router::new()
        .route("/", get(home))
        .route("/robots.txt", get(robots))
        .route("/greenhouse/v1/boards/{board}/jobs", get(greenhouse))
        .route("/lever/v0/postings/{site}", get(lever))
        .route("/ashby/posting-api/job-board/{board}", get(ashby))
        .route("/remoteok/api", get(remoteok))
        .route("/weworkremotely/remote-jobs.rss", get(weworkremotely))
        .route("/arbeitnow/api/job-board-api", get(arbeitnow))
        .route("/careers/{page}", get(careers))
        .route("/classifieds", get(classifieds))
        .route("/classifieds/{slug}", get(classified))
        .with_state(Arc::new(site))
}

async fn home(State(site): State<Arc<Pages>>) -> Html<String> {
    Html(pages::home(&site.url))
}

async fn robots() -> &'static str {
    "User-agent: *\nDisallow: /private/\n"
}

async fn greenhouse(State(site): State<Arc<Pages>>, Path(board): Path<String>) -> Response {
    if board != GREENHOUSE_BOARD {
        return not_found();
    }
    let jobs: Vec<Value> = openings(GREENHOUSE, site.now)
        .iter()
        .map(|o| {
            json!({
                "id": o.id,
                "internal_job_id": o.id + 1_000_000,
                "title": o.title,
                "company_name": o.company,
                "updated_at": o.posted.to_string(),
                "first_published": o.posted.to_string(),
                "location": {"name": o.location()},
                "absolute_url": format!("{}/classifieds/{}", site.url, o.slug()),
                "language": "en",
                "metadata": null,
                // The real API escapes the HTML once more.
                "content": pages::escape(&paragraph(o)),
                "departments": [{"id": 1, "name": "Product", "parent_id": null, "child_ids": []}],
                "offices": [{"id": 2, "name": o.office.city, "location": o.location()}],
            })
        })
        .collect();
    let total = jobs.len();
    Json(json!({"jobs": jobs, "meta": {"total": total}})).into_response()
}

async fn lever(State(site): State<Arc<Pages>>, Path(name): Path<String>) -> Response {
    if name != LEVER_BOARD {
        return not_found();
    }
    let postings: Vec<Value> = openings(LEVER, site.now)
        .iter()
        .map(|o| {
            let url = format!("{}/classifieds/{}", site.url, o.slug());
            json!({
                "id": uuid(o),
                "text": o.title,
                "createdAt": o.posted.as_millisecond(),
                "categories": {
                    "commitment": "Full-time",
                    "department": "Product",
                    "team": o.tags[0],
                    "location": o.location(),
                    "allLocations": [o.location()],
                },
                "country": o.office.code,
                "workplaceType": o.workplace,
                "description": paragraph(o),
                "descriptionPlain": o.description,
                "lists": [{
                    "text": "You know",
                    "content": format!("<li>{}</li>", o.tags.join("</li><li>")),
                }],
                "additional": "",
                "additionalPlain": "",
                "hostedUrl": url,
                "applyUrl": format!("{url}/apply"),
                "salaryRange": {
                    "currency": o.office.currency,
                    "interval": "per-year-salary",
                    "min": o.salary.0,
                    "max": o.salary.1,
                },
            })
        })
        .collect();
    Json(postings).into_response()
}

async fn ashby(State(site): State<Arc<Pages>>, Path(board): Path<String>) -> Response {
    if board != ASHBY_BOARD {
        return not_found();
    }
    let jobs: Vec<Value> = openings(ASHBY, site.now).iter().map(|o| ashby_job(&site, o)).collect();
    Json(json!({"apiVersion": "1", "jobs": jobs})).into_response()
}

fn ashby_job(site: &Pages, o: &Opening) -> Value {
    let url = format!("{}/classifieds/{}", site.url, o.slug());
    let workplace = match o.workplace {
        "remote" => "Remote",
        "hybrid" => "Hybrid",
        _ => "OnSite",
    };
    let salary = json!({
        "compensationType": "Salary",
        "interval": "1 YEAR",
        "currencyCode": o.office.currency,
        "minValue": o.salary.0,
        "maxValue": o.salary.1,
    });
    json!({
        "id": uuid(o),
        "title": o.title,
        "department": "Product",
        "team": o.tags[0],
        "employmentType": "FullTime",
        "location": o.location(),
        "secondaryLocations": [],
        "publishedAt": o.posted.to_string(),
        "isListed": true,
        "isRemote": o.workplace == "remote",
        "workplaceType": workplace,
        "address": {"postalAddress": {
            "addressLocality": o.office.city,
            "addressCountry": o.office.country,
        }},
        "jobUrl": url,
        "applyUrl": format!("{url}/application"),
        "descriptionHtml": paragraph(o),
        "descriptionPlain": o.description,
        "compensation": {
            "compensationTierSummary":
                format!("{} {} – {}", o.office.currency, o.salary.0, o.salary.1),
            "compensationTiers": [],
            "summaryComponents": [salary],
        },
    })
}

async fn remoteok(State(site): State<Arc<Pages>>) -> Json<Vec<Value>> {
    let legal = json!({
        "last_updated": site.now.as_second(),
        "legal": "Invented openings of a demonstration.",
    });
    let jobs = openings(REMOTEOK, site.now).into_iter().map(|o| {
        let url = format!("{}/classifieds/{}", site.url, o.slug());
        // The real API counts salaries in dollars a year; zero stands for none.
        let paid = o.office.currency == "USD";
        json!({
            "slug": o.slug(),
            "id": o.id.to_string(),
            "epoch": o.posted.as_second(),
            "date": rhubarb_core::clock::iso(o.posted),
            "company": o.company,
            "position": o.title,
            "tags": o.tags.map(str::to_lowercase),
            "description": paragraph(&o),
            "location": o.office.country,
            "salary_min": if paid { o.salary.0 } else { 0 },
            "salary_max": if paid { o.salary.1 } else { 0 },
            "apply_url": url,
            "url": url,
        })
    });
    Json(std::iter::once(legal).chain(jobs).collect())
}

async fn weworkremotely(State(site): State<Arc<Pages>>) -> Response {
    let feed = pages::rss(&site.url, &openings(WEWORKREMOTELY, site.now));
    ([(header::CONTENT_TYPE, "application/rss+xml; charset=utf-8")], feed).into_response()
}

async fn arbeitnow(
    State(site): State<Arc<Pages>>,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Value> {
    let all = openings(ARBEITNOW, site.now);
    let page = page_number(&query);
    let data: Vec<Value> = all
        .iter()
        .skip((page - 1) * ARBEITNOW_PAGE)
        .take(ARBEITNOW_PAGE)
        .map(|o| {
            json!({
                "slug": o.slug(),
                "company_name": o.company,
                "title": o.title,
                "description": paragraph(o),
                "remote": o.workplace == "remote",
                "url": format!("{}/classifieds/{}", site.url, o.slug()),
                "tags": o.tags,
                "job_types": ["Full Time"],
                "location": o.office.city,
                "created_at": o.posted.as_second(),
            })
        })
        .collect();
    let path = format!("{}/arbeitnow/api/job-board-api", site.url);
    let next = (page * ARBEITNOW_PAGE < all.len()).then(|| format!("{path}?page={}", page + 1));
    Json(json!({
        "data": data,
        "links": {"first": format!("{path}?page=1"), "last": null, "prev": null, "next": next},
        "meta": {"current_page": page, "path": path, "per_page": ARBEITNOW_PAGE},
    }))
}

/// Half of the postings stand on `/careers/1`, half on `/careers/2`.
async fn careers(State(site): State<Arc<Pages>>, Path(page): Path<String>) -> Response {
    let all = openings(CAREERS, site.now);
    let (first, second) = all.split_at(all.len() / 2);
    match page.as_str() {
        "1" => Html(pages::careers(&site.url, first)).into_response(),
        "2" => Html(pages::careers(&site.url, second)).into_response(),
        _ => not_found(),
    }
}

async fn classifieds(
    State(site): State<Arc<Pages>>,
    Query(query): Query<HashMap<String, String>>,
) -> Html<String> {
    let wanted = query.get("q").map_or("", String::as_str);
    let page = page_number(&query);
    let found: Vec<Opening> =
        openings(CLASSIFIEDS, site.now).into_iter().filter(|o| matches(o, wanted)).collect();
    let more = page * CLASSIFIEDS_PAGE < found.len();
    let shown: Vec<Opening> =
        found.into_iter().skip((page - 1) * CLASSIFIEDS_PAGE).take(CLASSIFIEDS_PAGE).collect();
    Html(pages::classifieds(wanted, &shown, more.then_some(page + 1)))
}

async fn classified(State(site): State<Arc<Pages>>, Path(slug): Path<String>) -> Response {
    match openings(CLASSIFIEDS, site.now).iter().find(|o| o.slug() == slug) {
        Some(found) => Html(pages::classified(found)).into_response(),
        None => not_found(),
    }
}

fn page_number(query: &HashMap<String, String>) -> usize {
    query.get("page").and_then(|page| page.parse().ok()).unwrap_or(1).clamp(1, 1_000)
}

/// As a real site's search does: each word has to stand in the title.
fn matches(opening: &Opening, wanted: &str) -> bool {
    let title = opening.title.to_lowercase();
    wanted.to_lowercase().split_whitespace().all(|word| title.contains(word))
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"error": "not found"}))).into_response()
}

fn paragraph(opening: &Opening) -> String {
    format!("<p>{}</p>", pages::escape(&opening.description))
}

fn uuid(opening: &Opening) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, opening.slug().as_bytes()).to_string()
}
