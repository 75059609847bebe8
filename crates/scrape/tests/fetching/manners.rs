//! robots.txt is obeyed and hosts are asked at their pace.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect},
    routing::get as route,
};
use futures_util::future::join_all;
use rhubarb_scrape::{config::ScrapeConfig, error::FetchError, fetch::Fetcher, page::Request};
use tokio::sync::Barrier;

use crate::server::{Site, config, fetcher, get, url};

/// Serves `/jobs`, `/old` that redirects to it, and this robots.txt.
async fn site_with_robots(robots: impl IntoResponse + Clone + Send + Sync + 'static) -> Site {
    let routes = Router::new()
        .route("/robots.txt", route(move || async move { robots }))
        .route("/jobs", route(|| async { "jobs" }))
        .route("/old", route(|| async { Redirect::to("/jobs") }));
    Site::start(routes).await
}

#[tokio::test]
async fn a_page_that_robots_txt_forbids_is_not_asked_for() {
    let site = site_with_robots("User-agent: rhubarb-test\nDisallow: /jobs\n").await;
    for path in ["/jobs", "/old"] {
        let error = get(&site, path).await.unwrap_err();
        assert_eq!(error, FetchError::RobotsDisallow { host: site.host() });
    }
    assert!(site.hits("/jobs").is_empty());
    assert_eq!(site.hits("/old").len(), 1);
}

#[tokio::test]
async fn robots_txt_is_fetched_once_for_many_pages() {
    let site = site_with_robots("User-agent: *\nDisallow: /private\n").await;
    let (fetcher, request) = (fetcher(), Request::get(url(&site, "/jobs")));
    let pages = join_all((0..5).map(|_| fetcher.get(&request))).await;
    assert!(pages.iter().all(Result::is_ok), "{pages:?}");
    assert_eq!(site.hits("/robots.txt").len(), 1);
}

#[tokio::test]
async fn an_unreadable_robots_txt_forbids_everything_and_a_missing_one_nothing() {
    let broken = site_with_robots(StatusCode::INTERNAL_SERVER_ERROR).await;
    let error = get(&broken, "/jobs").await.unwrap_err();
    assert!(matches!(error, FetchError::RobotsUnreachable { .. }), "{error:?}");
    assert!(broken.hits("/jobs").is_empty());
    assert_eq!(broken.hits("/robots.txt").len(), 3, "tried again twice");

    for status in [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN, StatusCode::GONE] {
        let site = site_with_robots(status).await;
        assert_eq!(get(&site, "/jobs").await.unwrap().bytes, "jobs", "{status}");
    }
}

#[tokio::test]
async fn a_robots_txt_that_heals_lets_the_page_through() {
    let well = Arc::new(AtomicBool::new(false));
    let robots = move || {
        let status = if well.swap(true, Ordering::SeqCst) { 200 } else { 503 };
        async move { StatusCode::from_u16(status).unwrap() }
    };
    let routes = Router::new()
        .route("/robots.txt", route(robots))
        .route("/jobs", route(|| async { "jobs" }));
    let site = Site::start(routes).await;
    assert_eq!(get(&site, "/jobs").await.unwrap().bytes, "jobs");
}

#[tokio::test]
async fn a_redirected_robots_txt_is_followed_and_an_endless_redirect_counts_as_none() {
    let rules = site_with_robots("User-agent: *\nDisallow: /jobs\n").await;
    let site = site_with_robots(Redirect::to(url(&rules, "/robots.txt").as_str())).await;
    assert!(matches!(get(&site, "/jobs").await, Err(FetchError::RobotsDisallow { .. })));
    let site = site_with_robots(Redirect::to("/robots.txt")).await;
    assert_eq!(get(&site, "/jobs").await.unwrap().bytes, "jobs");
    assert_eq!(site.hits("/robots.txt").len(), 6);
}

#[tokio::test]
async fn a_robots_txt_longer_than_any_body_is_read_as_far_as_the_limit() {
    let long = format!("User-agent: *\nDisallow: /jobs\n{}", "# filler\n".repeat(100_000));
    let site = site_with_robots(long).await;
    assert!(matches!(get(&site, "/jobs").await, Err(FetchError::RobotsDisallow { .. })));
}

#[tokio::test]
async fn robots_txt_is_not_asked_for_when_the_owner_says_so() {
    let site = site_with_robots("User-agent: *\nDisallow: /\n").await;
    let fetcher = Fetcher::new(&ScrapeConfig { obey_robots: false, ..config() }).unwrap();
    assert_eq!(fetcher.get(&Request::get(url(&site, "/jobs"))).await.unwrap().bytes, "jobs");
    assert!(site.hits("/robots.txt").is_empty());
}

#[tokio::test]
async fn crawl_delay_slows_the_host_and_a_long_one_leaves_it_out() {
    let site = site_with_robots("User-agent: *\nCrawl-delay: 0.3\n").await;
    let (fetcher, request) = (fetcher(), Request::get(url(&site, "/jobs")));
    let begin = Instant::now();
    join_all((0..3).map(|_| fetcher.get(&request))).await;
    for (n, hit) in (0..).zip(site.hits("/jobs")) {
        assert!(hit.at - begin >= n * Duration::from_millis(300), "request {n}");
    }
    assert_eq!(site.hits("/jobs").len(), 3);

    let site = site_with_robots("User-agent: *\nCrawl-delay: 61\n").await;
    let error = get(&site, "/jobs").await.unwrap_err();
    let (host, delay) = (site.host(), Duration::from_secs(61));
    assert_eq!(error, FetchError::CrawlDelay { host, delay });
    assert!(site.hits("/jobs").is_empty());
}

#[tokio::test]
async fn a_host_is_asked_no_faster_than_its_interval() {
    let site = site_with_robots("").await;
    let interval = Duration::from_millis(100);
    let fetcher = Fetcher::new(&ScrapeConfig { min_interval: interval, ..config() }).unwrap();
    let request = Request::get(url(&site, "/jobs"));
    let begin = Instant::now();
    join_all((0..5).map(|_| fetcher.get(&request))).await;
    let hits = site.hits("/jobs");
    assert_eq!(hits.len(), 5);
    // robots.txt took the first turn. Measured from the start: a late arrival cannot shorten it.
    for (n, hit) in (1..).zip(hits) {
        assert!(hit.at - begin >= n * interval, "request {n}");
    }
}

#[tokio::test]
async fn hosts_are_asked_in_parallel() {
    // Neither site answers before both were asked, and no host would get a second turn.
    let both = Arc::new(Barrier::new(2));
    let routes = || {
        let both = Arc::clone(&both);
        Router::new()
            .route("/", route(move || async move { both.wait().await.is_leader().to_string() }))
    };
    let (a, b) = (Site::start(routes()).await, Site::start(routes()).await);
    let slow = Duration::from_secs(3_600);
    let config = ScrapeConfig { min_interval: slow, obey_robots: false, ..config() };
    let fetcher = Fetcher::new(&config).unwrap();
    let (a, b) = (Request::get(url(&a, "/")), Request::get(url(&b, "/")));
    let (a, b) = tokio::join!(fetcher.get(&a), fetcher.get(&b));
    assert!(a.is_ok() && b.is_ok(), "{a:?} {b:?}");
}

/// Serves `/` with this status and `Retry-After` once, then 200.
async fn busy_once(status: u16, retry_after: &'static str) -> Site {
    let asked = Arc::new(AtomicBool::new(false));
    let handler = move || {
        let first = !asked.swap(true, Ordering::SeqCst);
        let status = StatusCode::from_u16(if first { status } else { 200 }).unwrap();
        async move { (status, [(header::RETRY_AFTER, retry_after)]) }
    };
    Site::start(Router::new().route("/", route(handler))).await
}

#[tokio::test]
async fn a_host_that_asks_for_time_gets_it() {
    for status in [429, 503] {
        let site = busy_once(status, "1").await;
        let begin = Instant::now();
        assert_eq!(get(&site, "/").await.unwrap().status, 200);
        let hits = site.hits("/");
        assert_eq!(hits.len(), 2);
        assert!(hits[1].at - begin >= Duration::from_secs(1), "{status}");
    }
}

#[tokio::test]
async fn a_host_that_asks_for_more_time_than_there_is_ends_the_fetch_at_once() {
    let site = busy_once(429, "7200").await;
    let (fetcher, request) = (fetcher(), Request::get(url(&site, "/")));
    for _ in 0..2 {
        let error = fetcher.get(&request).await.unwrap_err();
        let FetchError::RateLimited { retry_after, .. } = error else { panic!("{error:?}") };
        assert!(
            retry_after <= Duration::from_secs(3_600) && retry_after > Duration::from_secs(3_500)
        );
    }
    assert_eq!(site.hits("/").len(), 1, "a held host is not asked again");
}
