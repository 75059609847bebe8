//! The scraping tasks: what they fetch, cache and tell.

use std::{collections::BTreeMap, time::Duration};

use rhubarb_connection::Connections;
use rhubarb_core::{clock, redact::Address};
use rhubarb_demo::board::{GREENHOUSE as GREENHOUSE_OPENINGS, LEVER as LEVER_OPENINGS, openings};
use rhubarb_e2e::{
    board::{Board, Fault, GREENHOUSE, LEVER},
    eventually::eventually,
};
use rhubarb_jobs::{CacheConfig, Caches, ScrapeState, Status, tasks};
use rhubarb_queue::Publish;
use rhubarb_scrape::{
    Listing,
    config::{ProxyUse, ScrapeConfig, ScrapeSettings, SourceConfig, SourceKind},
};
use rhubarb_wire::{State, TaskResult};
use serde_json::{Value, json};

use super::{Bench, WAIT, Worker, raised};

const HOURLY: &str = "job_scraper.tasks.scrape_jobs_hourly";
const KEYWORD: &str = "job_scraper.tasks.scrape_specific_keyword";
const STATUS: &str = "job_scraper.tasks.get_scraping_status";
const CLEAR: &str = "job_scraper.tasks.clear_cache_task";
const PROXIES: &str = "job_scraper.tasks.refresh_proxies";

/// A Redis, a job board with a Greenhouse and a Lever site, and the caches.
struct Scene {
    bench: Bench,
    scraping: ScrapeSettings,
    board: Board,
    caches: Caches,
}

impl Scene {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut ScrapeConfig)) -> Self {
        let board = Board::start().await;
        let source = |kind: SourceKind, board_name: &str| SourceConfig {
            board: Some(board_name.into()),
            base_url: Some(Address::new(board.url(&format!("/{}", kind.name())))),
            ..SourceConfig::new(kind)
        };
        let sources = vec![
            source(SourceKind::Greenhouse, "kettleandkernel"),
            source(SourceKind::Lever, "pocketlighthouse"),
        ];
        let mut scrape = ScrapeConfig {
            allow_private: vec![board.host()],
            min_interval: Duration::ZERO,
            source_timeout: Duration::from_secs(5),
            ..ScrapeConfig::default()
        };
        change(&mut scrape);
        let bench = Bench::new().await;
        let connections = Connections::new(&bench.config.redis, "test-caches").unwrap();
        let caches = Caches::new(&CacheConfig::default(), &connections).unwrap();
        Self { bench, scraping: ScrapeSettings { scrape, sources }, board, caches }
    }

    fn worker(&self) -> Worker {
        let caches = CacheConfig::default();
        self.bench.worker(|app| tasks::register(app, &self.scraping, &caches).unwrap())
    }

    async fn scrape(&self, keyword: &str, force: bool) -> TaskResult {
        self.bench.call(&Publish::new(KEYWORD).arg(keyword).kwarg("force", force)).await
    }

    async fn cached(&self, keyword: &str) -> Option<Vec<Listing>> {
        self.caches.listings().read(keyword).await.unwrap().map(|cached| cached.listings)
    }

    async fn status(&self) -> Status {
        self.caches.status().read().await.unwrap().unwrap()
    }

    fn times_asked(&self) -> usize {
        self.board.asked(GREENHOUSE).len()
    }
}

fn success(result: &TaskResult) -> &Value {
    assert_eq!(result.status, State::Success, "{result:?}");
    &result.result
}

fn titles(listings: &[Listing]) -> Vec<&str> {
    let mut titles: Vec<&str> = listings.iter().map(|listing| listing.title.as_str()).collect();
    titles.sort_unstable();
    titles
}

/// How many openings for software engineers are on both boards, and on Lever's alone.
const BOTH: usize = 6;
const AT_LEVER: usize = 3;

/// Returns the titles of the openings for software engineers on both boards.
fn engineers() -> Vec<String> {
    let all = [GREENHOUSE_OPENINGS, LEVER_OPENINGS].map(|part| openings(part, clock::now()));
    let titles = all.into_iter().flatten().map(|opening| opening.title);
    let mut titles: Vec<String> = titles.filter(|t| t.contains("Software Engineer")).collect();
    titles.sort_unstable();
    titles
}

#[tokio::test]
async fn a_scrape_caches_the_matching_listings_and_tells_about_them() {
    let scene = Scene::new().await;
    let worker = scene.worker();
    let result = scene.scrape("Software Engineer", false).await;
    let summary = success(&result);
    assert_eq!(summary["keyword"], "Software Engineer");
    assert_eq!((&summary["count"], &summary["status"]), (&json!(BOTH), &json!("success")));
    assert_eq!((&summary["new"], &summary["closed"]), (&json!(BOTH), &json!(0)));
    assert_eq!(summary["sources"]["lever"]["count"], json!(AT_LEVER));
    assert_eq!(titles(&scene.cached("software engineer").await.unwrap()), engineers());
    let status = scene.status().await;
    assert_eq!((status.status, status.jobs_count), (ScrapeState::Success, BOTH as u64));
    assert_eq!(status.keyword, "Software Engineer");
    worker.stop().await;
}

#[tokio::test]
async fn fresh_listings_are_not_fetched_again_unless_forced() {
    let scene = Scene::new().await;
    let worker = scene.worker();
    scene.scrape("software engineer", false).await;
    let result = scene.scrape(" Software ENGINEER", false).await;
    assert_eq!(success(&result)["cached"], json!(true));
    assert_eq!(success(&result)["count"], json!(BOTH));
    assert_eq!(scene.times_asked(), 1);
    let result = scene.scrape("software engineer", true).await;
    assert_eq!(success(&result)["cached"], json!(false));
    assert_eq!((&success(&result)["new"], scene.times_asked()), (&json!(0), 2));
    worker.stop().await;
}

#[tokio::test]
async fn a_location_filters_the_summary_and_not_the_cache() {
    let scene = Scene::new().await;
    let worker = scene.worker();
    let nowhere = Publish::new(KEYWORD).arg("software engineer").arg("Atlantis");
    let result = scene.bench.call(&nowhere).await;
    assert_eq!(success(&result)["count"], json!(0));
    assert_eq!(scene.cached("software engineer").await.unwrap().len(), BOTH);
    worker.stop().await;
}

#[tokio::test]
async fn a_failed_sources_earlier_listings_stay() {
    let scene = Scene::new().await;
    let worker = scene.worker();
    scene.scrape("software engineer", true).await;
    for fault in [Fault::Status(500), Fault::Status(404), Fault::WebPage, Fault::Truncated] {
        scene.board.fault(LEVER, fault);
        let result = scene.scrape("software engineer", true).await;
        assert_eq!(success(&result)["status"], "partial", "{fault:?}");
        assert_eq!(
            titles(&scene.cached("software engineer").await.unwrap()),
            engineers(),
            "{fault:?}"
        );
        let status = scene.status().await;
        assert!(status.error.unwrap().starts_with("lever: "), "{fault:?}");
        assert_eq!((status.new, status.closed), (0, 0), "{fault:?}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn when_all_sources_fail_the_cache_is_left_alone_and_the_task_is_retried() {
    let scene = Scene::new().await;
    let worker = scene.worker();
    scene.scrape("software engineer", true).await;
    scene.board.fault(LEVER, Fault::Status(503));
    scene.board.fault(GREENHOUSE, Fault::Status(503));
    let id = scene
        .bench
        .publish(&Publish::new(KEYWORD).arg("software engineer").kwarg("force", true))
        .await;
    let retry = eventually(WAIT, "the task is to be retried", async || {
        let state = scene.bench.client.result(&id).await.unwrap();
        state.filter(|state| state.status == State::Retry)
    })
    .await;
    assert_eq!(retry.exception().unwrap().exc_type, "ConnectionError");
    assert_eq!(titles(&scene.cached("software engineer").await.unwrap()), engineers());
    let status = scene.status().await;
    assert_eq!((status.status, status.jobs_count), (ScrapeState::Error, BOTH as u64));
    worker.stop().await;
}

#[tokio::test]
async fn an_honest_zero_is_cached_as_an_empty_list() {
    let scene = Scene::new().await;
    let worker = scene.worker();
    let result = scene.scrape("zookeeper", false).await;
    assert_eq!(
        (&success(&result)["count"], &success(&result)["status"]),
        (&json!(0), &json!("success"))
    );
    assert_eq!(scene.cached("zookeeper").await, Some(Vec::new()));
    worker.stop().await;
}

#[tokio::test]
async fn one_scrape_of_a_keyword_runs_at_a_time_and_the_second_returns_its_result() {
    let scene = Scene::new().await;
    scene.board.delay(Duration::from_millis(300));
    let worker = scene.worker();
    let publish = Publish::new(KEYWORD).arg("software engineer").kwarg("force", true);
    let first = scene.bench.publish(&publish).await;
    eventually(WAIT, "the first one fetches", async || (scene.times_asked() == 1).then_some(()))
        .await;
    let second = scene.bench.publish(&publish).await;
    assert_eq!(success(&scene.bench.result(&first).await)["cached"], json!(false));
    let result = scene.bench.result(&second).await;
    assert_eq!(success(&result)["cached"], json!(true));
    assert_eq!((&success(&result)["count"], scene.times_asked()), (&json!(BOTH), 1));
    worker.stop().await;
}

#[tokio::test]
async fn progress_names_each_source_as_it_ends() {
    let scene = Scene::new().await;
    scene.board.fault(LEVER, Fault::Status(404));
    let worker = scene.worker();
    let id = scene.bench.publish(&Publish::new(KEYWORD).arg("software engineer")).await;
    let mut seen = BTreeMap::new();
    let note = |state: &TaskResult| {
        if state.status == State::from("PROGRESS") {
            let source = state.result["source"].as_str().unwrap_or_default().to_owned();
            seen.insert(source, (state.result["done"].clone(), state.result["total"].clone()));
        }
    };
    scene.bench.client.wait(&id, WAIT, note).await.unwrap().unwrap();
    let total: Vec<&Value> = seen.values().map(|(_, total)| total).collect();
    assert!(!seen.is_empty() && total.iter().all(|total| **total == json!(2)), "{seen:?}");
    assert!(
        seen.keys().all(|source| ["greenhouse", "lever"].contains(&source.as_str())),
        "{seen:?}"
    );
    worker.stop().await;
}

#[tokio::test]
async fn the_hourly_scrape_takes_its_keyword_and_always_fetches() {
    let scene = Scene::with(|scrape| scrape.keywords = vec!["data scientist".into()]).await;
    let worker = scene.worker();
    for asked in 1..=2 {
        let result = scene.bench.call(&Publish::new(HOURLY)).await;
        assert_eq!(success(&result)["keyword"], "data scientist");
        assert_eq!((&success(&result)["count"], scene.times_asked()), (&json!(5), asked));
    }
    worker.stop().await;
}

#[tokio::test]
async fn the_status_is_told_and_the_caches_are_cleared() {
    let scene = Scene::new().await;
    let worker = scene.worker();
    let none = scene.bench.call(&Publish::new(STATUS)).await;
    assert_eq!(success(&none), &Value::Null);
    scene.scrape("software engineer", false).await;
    let status = scene.bench.call(&Publish::new(STATUS)).await;
    assert_eq!(success(&status)["status"], "success");
    let cleared = scene.bench.call(&Publish::new(CLEAR)).await;
    assert_eq!(success(&cleared), &json!({"listings": 1, "status": 1, "proxies": 0}));
    assert_eq!(scene.cached("software engineer").await, None);
    assert_eq!(scene.caches.status().read().await.unwrap(), None);
    worker.stop().await;
}

#[tokio::test]
async fn an_empty_keyword_is_refused() {
    let scene = Scene::new().await;
    let worker = scene.worker();
    let result = scene.scrape(" ", false).await;
    assert_eq!(raised(&result), ("ValueError".to_owned(), json!("argument 'keyword' is empty")));
    worker.stop().await;
}

#[tokio::test]
async fn a_keyword_that_is_too_long_fails_at_once() {
    let scene = Scene::new().await;
    let worker = scene.worker();
    let result = scene.scrape(&"k".repeat(100_000), false).await;
    let text = "argument 'keyword' has 100000 characters; at most 200 are taken";
    assert_eq!(raised(&result), ("ValueError".to_owned(), json!(text)));
    assert_eq!(scene.times_asked(), 0);
    worker.stop().await;
}

#[tokio::test]
async fn what_asking_again_cannot_change_fails_at_once() {
    let scene = Scene::new().await;
    let worker = scene.worker();
    scene.board.fault(LEVER, Fault::Status(403));
    scene.board.fault(GREENHOUSE, Fault::Status(403));
    let result = scene.scrape("software engineer", false).await;
    let (kind, text) = raised(&result);
    assert_eq!(kind, "RuntimeError", "{text}");
    assert!(text.as_str().unwrap().contains("refuses access"), "{text}");
    worker.stop().await;
}

fn within_a_second(keyword: &str) -> Publish {
    Publish::new(KEYWORD)
        .arg(keyword)
        .kwarg("force", true)
        .with(|options| options.soft_time_limit = Some(Duration::from_secs(1)))
}

#[tokio::test]
async fn a_soft_time_limit_ends_a_scrape_with_what_was_found() {
    let scene = Scene::with(|scrape| scrape.source_timeout = Duration::from_secs(600)).await;
    let worker = scene.worker();
    scene.board.fault(LEVER, Fault::Silent);
    let result = scene.bench.call(&within_a_second("software engineer")).await;
    let summary = success(&result);
    assert_eq!(
        (&summary["status"], &summary["count"]),
        (&json!("partial"), &json!(BOTH - AT_LEVER))
    );
    assert_eq!(summary["sources"]["lever"]["error"], "time limit");
    assert_eq!(scene.status().await.status, ScrapeState::Partial);
    worker.stop().await;
}

#[tokio::test]
async fn a_soft_time_limit_without_any_answer_is_exceeded() {
    let scene = Scene::with(|scrape| scrape.source_timeout = Duration::from_secs(600)).await;
    let worker = scene.worker();
    scene.board.fault(LEVER, Fault::Silent);
    scene.board.fault(GREENHOUSE, Fault::Silent);
    let result = scene.bench.call(&within_a_second("software engineer")).await;
    assert_eq!(raised(&result), ("SoftTimeLimitExceeded".to_owned(), Value::Null));
    assert_eq!(scene.status().await.status, ScrapeState::Error);
    worker.stop().await;
}

#[tokio::test]
async fn without_required_proxies_a_scrape_is_retried_later() {
    let scene = Scene::with(|scrape| scrape.proxies = ProxyUse::Required).await;
    let worker = scene.worker();
    let id = scene.bench.publish(&Publish::new(KEYWORD).arg("software engineer")).await;
    let retry = eventually(WAIT, "the task is to be retried", async || {
        let state = scene.bench.client.result(&id).await.unwrap();
        state.filter(|state| state.status == State::Retry)
    })
    .await;
    let exception = retry.exception().unwrap();
    assert_eq!(exception.exc_message, [json!("proxies are required and none answers")]);
    assert_eq!((scene.times_asked(), scene.cached("software engineer").await), (0, None));
    worker.stop().await;
}

#[tokio::test]
async fn the_proxy_list_is_fetched_checked_and_stored() {
    let mut scene = Scene::new().await;
    let closed = rhubarb_e2e::redis_server::free_port();
    let list = format!("{}\n127.0.0.1:{closed}\nnot a proxy\n", scene.board.host());
    scene.board.put("/proxies.txt", "text/plain", list);
    scene.scraping.scrape.proxy_lists = vec![Address::new(scene.board.url("/proxies.txt"))];
    scene.scraping.scrape.allow_private_proxies = vec!["127.0.0.1".into()];
    let worker = scene.worker();
    let result = scene.bench.call(&Publish::new(PROXIES)).await;
    assert_eq!(success(&result), &json!({"count": 1, "listed": 2, "checked": 2}));
    let stored = scene.caches.proxies().read().await.unwrap().unwrap();
    assert_eq!(stored.0, [format!("http://{}/", scene.board.host())]);
    worker.stop().await;
}

#[tokio::test]
async fn a_scrape_goes_through_the_cached_proxies() {
    let scene = Scene::with(|scrape| {
        scrape.proxies = ProxyUse::Required;
        scrape.allow_private_proxies = vec!["127.0.0.1".into()];
    })
    .await;
    let proxy = Board::start().await;
    let list = rhubarb_jobs::ProxyList(vec![proxy.url("")]);
    scene.caches.proxies().write(&list).await.unwrap();
    let worker = scene.worker();
    let result = scene.scrape("software engineer", false).await;
    assert_eq!(success(&result)["count"], json!(BOTH));
    assert_eq!((proxy.asked(GREENHOUSE).len(), scene.times_asked()), (1, 0));
    worker.stop().await;
}

/// A list's owner, and whoever can write into the cache, choose none of our own hosts.
#[tokio::test]
async fn a_page_in_a_private_network_may_be_allowed_and_a_proxy_there_is_not() {
    let mut scene = Scene::with(|scrape| {
        scrape.proxies = ProxyUse::Required;
        scrape.allow_private = vec!["*".into()];
    })
    .await;
    let inside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    inside.set_nonblocking(true).unwrap();
    let address = inside.local_addr().unwrap();
    let cached = ["http", "socks5", "socks5h"].map(|scheme| format!("{scheme}://{address}/"));
    let list = rhubarb_jobs::ProxyList(cached.to_vec());
    scene.caches.proxies().write(&list).await.unwrap();
    scene.board.put("/proxies.txt", "text/plain", format!("{address}\n"));
    scene.scraping.scrape.proxy_lists = vec![Address::new(scene.board.url("/proxies.txt"))];
    let worker = scene.worker();
    let id = scene.bench.publish(&Publish::new(KEYWORD).arg("software engineer")).await;
    eventually(WAIT, "the task is to be retried", async || {
        let state = scene.bench.client.result(&id).await.unwrap();
        state.filter(|state| state.status == State::Retry)
    })
    .await;
    let result = scene.bench.call(&Publish::new(PROXIES)).await;
    assert_eq!(success(&result), &json!({"count": 0, "listed": 0, "checked": 0}));
    assert!(inside.accept().is_err(), "nobody connects to it");
    worker.stop().await;
}
