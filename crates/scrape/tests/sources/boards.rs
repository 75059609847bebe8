//! Boards of companies over a socket: how they are asked, page after page, posting after posting.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use rhubarb_core::clock;
use rhubarb_scrape::{
    Conclusion, Ending, Gathering, Listing, Query,
    config::{ScrapeConfig, SourceConfig, SourceKind},
    fetch::Fetcher,
    sources,
};
use rhubarb_testbed::site::Site;
use serde_json::{Value, json};

fn settings(site: &Site, kind: SourceKind) -> SourceConfig {
    SourceConfig {
        base_url: Some(site.url("").as_str().into()),
        board: Some("acme".into()),
        site: Some("External".into()),
        max_pages: 20,
        ..SourceConfig::new(kind)
    }
}

async fn run(config: &SourceConfig, keyword: &str) -> Conclusion {
    let fetcher = Fetcher::new(&ScrapeConfig {
        min_interval: std::time::Duration::ZERO,
        allow_private: vec!["*".to_owned()],
        ..ScrapeConfig::default()
    });
    let query = Query::new(keyword, clock::now());
    let (source, all) = (sources::build(config).unwrap(), Gathering::new(query.now));
    source.run(&fetcher.unwrap(), &query, &all).await;
    all.conclude(source.name(), source.limits())
}

fn found(outcome: Conclusion) -> Vec<Listing> {
    assert!(!outcome.ending.is_silent(), "{outcome:?}");
    outcome.listings
}

/// Answers a search of Workday as its servers do, with `n` postings of which it gives the first
/// `cap`, saying `total` at the first page only.
async fn workday(n: u64, cap: u64, total: u64) -> (Site, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let list = move |Json(body): Json<Value>| async move {
        count.fetch_add(1, Ordering::SeqCst);
        let needed = ["appliedFacets", "limit", "offset", "searchText"];
        if needed.iter().any(|name| body.get(name).is_none()) {
            return StatusCode::UNPROCESSABLE_ENTITY.into_response();
        }
        let offset = body["offset"].as_u64().unwrap();
        let from = if offset >= cap { 0 } else { offset };
        let row = |idx: u64| {
            json!({"title": format!("Engineer {idx}"), "externalPath": format!("/job/X/E_R-{idx}"),
                "locationsText": "2 Locations", "bulletFields": [format!("R-{idx}")]})
        };
        let rows: Vec<Value> = (from..n.min(from + 20)).map(row).collect();
        let total = if offset == 0 { total } else { 0 };
        Json(json!({"total": total, "jobPostings": rows})).into_response()
    };
    let detail = |path: axum::extract::Path<String>| async move {
        if path.0 == "E_R-1" {
            return Response::builder().status(404).body("{}".into()).unwrap();
        }
        Json(json!({"jobPostingInfo": {"location": "Graz", "startDate": "2026-11-02"}}))
            .into_response()
    };
    let base = "/wday/cxs/acme/External";
    let router = Router::new()
        .route(&format!("{base}/jobs"), post(list))
        .route(&format!("{base}/job/X/{{id}}"), get(detail));
    (Site::start(router).await, asked)
}

#[tokio::test]
async fn a_workday_site_is_asked_by_post_for_each_page_and_each_posting_that_matches() {
    let (site, asked) = workday(50, 50, 50).await;
    let config = settings(&site, SourceKind::Workday);
    let listings = found(run(&config, "engineer").await);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    // One of the first 20 is gone; the others have what their own answers say.
    assert_eq!(listings.len(), 49);
    let detailed = listings.iter().filter(|l| l.location.as_deref() == Some("Graz"));
    assert_eq!(detailed.count(), 19);
    assert_eq!(listings[0].posted_at.as_deref(), Some("2026-11-02T00:00:00+00:00"));
    assert!(found(run(&config, "gardener").await).is_empty());
}

#[tokio::test]
async fn a_server_that_begins_again_at_its_limit_is_asked_no_further() {
    let (site, asked) = workday(100, 60, 2000).await;
    let config = SourceConfig { max_details: Some(0), ..settings(&site, SourceKind::Workday) };
    assert_eq!(found(run(&config, "engineer").await).len(), 60);
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_list_by_offset_is_read_to_its_total() {
    let page = |query: axum::extract::Query<std::collections::HashMap<String, String>>| async move {
        let offset: u64 = query["offset"].parse().unwrap();
        let row = |idx: u64| {
            json!({"id": idx.to_string(), "name": format!("Clerk {idx}"),
                "company": {"identifier": "acme", "name": "Acme"}})
        };
        let rows: Vec<Value> = (offset..150.min(offset + 100)).map(row).collect();
        Json(json!({"totalFound": 150, "content": rows}))
    };
    let site = Site::start(Router::new().route("/v1/companies/acme/postings", get(page))).await;
    let config =
        SourceConfig { max_details: Some(0), ..settings(&site, SourceKind::SmartRecruiters) };
    assert_eq!(found(run(&config, "clerk").await).len(), 150);
    assert_eq!(site.hits("/v1/companies/acme/postings").len(), 2);
}

#[tokio::test]
async fn json_is_posted_with_keyword_and_cursor_until_none_comes() {
    let answer = |Json(body): Json<Value>| async move {
        assert_eq!(body["q"], "say \"hi\"");
        let (n, next) = match body["after"].as_str().unwrap() {
            "" => (1, json!("b")),
            "b" => (2, json!(null)),
            other => panic!("{other}"),
        };
        Json(json!({"hits": [{"n": n, "t": format!("Say \"hi\" {n}")}], "next": next}))
    };
    let site = Site::start(Router::new().route("/search", post(answer))).await;
    let mut config = settings(&site, SourceKind::Json);
    config.urls = vec![site.url("/search").as_str().into()];
    config.body = Some(r#"{"q": "{keyword}", "after": "{cursor}"}"#.to_owned());
    config.paths.items = "hits".to_owned();
    config.paths.id = Some("n".to_owned());
    config.paths.title = Some("t".to_owned());
    config.paths.link = Some("https://acme.test/{n}".to_owned());
    config.paths.cursor = Some("next".to_owned());
    let listings = found(run(&config, "say \"hi\"").await);
    assert_eq!(
        listings.iter().map(|l| l.url.as_str()).collect::<Vec<_>>(),
        ["https://acme.test/1", "https://acme.test/2"]
    );
}

#[tokio::test]
async fn the_newest_hiring_thread_is_searched_for_and_read() {
    let search = || async {
        Json(json!({"hits": [{"objectID": "25", "created_at_i": 25,
            "title": "Ask HN: Who is hiring? (November 2026)"}]}))
    };
    let thread = || async {
        Json(json!({"id": 25, "children": [{"id": 1, "created_at": "2026-11-02T15:03:07.000Z",
            "text": "Acme | Rust Engineer | Graz | REMOTE<p>Queues."}]}))
    };
    let router = Router::new()
        .route("/api/v1/search_by_date", get(search))
        .route("/api/v1/items/25", get(thread));
    let site = Site::start(router).await;
    let listings = found(run(&settings(&site, SourceKind::HackerNews), "rust").await);
    assert_eq!((listings.len(), listings[0].company.as_str()), (1, "Acme"));
}

#[tokio::test]
async fn of_lists_that_stand_for_each_other_the_first_that_is_there_is_read() {
    let feed = || async {
        "<?xml version=\"1.0\"?><rss><channel><title>Acme</title><item><title>Smith (Lyon, FR)</title>\
         <link>https://jobs.acme.test/job/Smith/14/</link></item></channel></rss>"
    };
    let moved = || async { axum::response::Html("<html><p>Jobs at Acme") };
    let router =
        Router::new().route("/googlefeed.xml", get(feed)).route("/sitemal.xml", get(moved));
    let site = Site::start(router).await;
    let config =
        SourceConfig { max_details: Some(0), ..settings(&site, SourceKind::SuccessFactors) };
    let listings = found(run(&config, "smith").await);
    assert_eq!((listings.len(), listings[0].location.as_deref()), (1, Some("Lyon, FR")));
    assert!(site.hits("/search/").is_empty());
    let nothing = Site::start(Router::new()).await;
    let outcome = run(&settings(&nothing, SourceKind::SuccessFactors), "smith").await;
    assert_eq!(outcome.ending, Ending::NotFound, "{outcome:?}");
}

#[tokio::test]
async fn a_sitemap_leads_to_the_pages_of_postings_that_may_match() {
    use std::io::Write as _;
    let site = Site::start_with(|base| {
        let base = base.to_owned();
        let index = format!(
            "<sitemapindex><sitemap><loc>{base}/jobs.xml.gz</loc></sitemap></sitemapindex>"
        );
        let address = |path: &str| format!("<url><loc>{base}{path}</loc></url>");
        let map = format!(
            "<urlset>{}{}{}</urlset>",
            address("/job/glass-cutter/1"),
            address("/job/night-nurse/2"),
            address("/about")
        );
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(map.as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        let posting = || async {
            axum::response::Html(
                r#"<script type="application/ld+json">{"@type":"JobPosting","title":"Glass Cutter",
                "hiringOrganization":"Acme","identifier":"1"}</script>"#,
            )
        };
        Router::new()
            .route("/sitemap.xml", get(|| async { index }))
            .route("/jobs.xml.gz", get(|| async { packed }))
            .route("/job/glass-cutter/1", get(posting))
    })
    .await;
    let mut config = settings(&site, SourceKind::Sitemap);
    config.urls = vec![site.url("/sitemap.xml").as_str().into()];
    config.pattern = Some("/job/".to_owned());
    let listings = found(run(&config, "glass cutter").await);
    assert_eq!((listings.len(), listings[0].title.as_str()), (1, "Glass Cutter"));
    assert!(site.hits("/job/night-nurse/2").is_empty() && site.hits("/about").is_empty());
    config.pattern = Some("/vacancy/".to_owned());
    let outcome = run(&config, "glass cutter").await;
    assert!(
        outcome.reason.as_ref().is_some_and(|reason| reason.contains("`pattern`")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn an_empty_answer_that_any_name_gets_proves_nothing_and_a_total_not_reached_is_said() {
    let empty = || async { Json(json!({"totalFound": 0, "content": []})) };
    let site = Site::start(Router::new().route("/v1/companies/acme/postings", get(empty))).await;
    let outcome = run(&settings(&site, SourceKind::SmartRecruiters), "clerk").await;
    assert_eq!(outcome.ending, Ending::Suspicious, "{outcome:?}");

    let (site, _) = workday(100, 60, 2000).await;
    let config = SourceConfig { max_details: Some(0), ..settings(&site, SourceKind::Workday) };
    let outcome = run(&config, "engineer").await;
    assert_eq!((outcome.ending, outcome.listings.len()), (Ending::Partial, 60), "{outcome:?}");
    assert!(outcome.reason.unwrap().contains("2000 postings, and gave 60"));
}
