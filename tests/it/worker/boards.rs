//! Boards are read once for all keywords, by one of all workers, and kept.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use redis::AsyncCommands;
use rhubarb_connection::Connections;
use rhubarb_jobs::{CacheConfig, Caches, tasks};
use rhubarb_queue::{OwnedLock, Publish};
use rhubarb_scrape::{
    Listing,
    boards::fingerprint,
    config::{PathSettings, ScrapeConfig, ScrapeSettings, Selectors, SourceConfig, SourceKind},
};
use rhubarb_testbed::site::{Hit, Site};
use rhubarb_wire::{State, TaskResult};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Bench, Worker};

const HOURLY: &str = "job_scraper.tasks.scrape_jobs_hourly";
const KEYWORD: &str = "job_scraper.tasks.scrape_specific_keyword";

/// An answer of the site: status, entity tag, body.
type Answers = Arc<Mutex<HashMap<String, (u16, Option<String>, String)>>>;

/// A site with boards, and an installation that scrapes it.
struct Scene {
    bench: Bench,
    scraping: ScrapeSettings,
    site: Site,
    answers: Answers,
    caches: Caches,
}

/// Returns a board with postings of these titles.
fn board(titles: &[&str]) -> String {
    let posting = |(idx, title): (usize, &&str)| {
        let link = format!("https://acme.test/{idx}");
        json!({"id": idx, "title": title, "link": link})
    };
    json!({"jobs": titles.iter().enumerate().map(posting).collect::<Vec<Value>>()}).to_string()
}

fn source(name: &str, url: &str) -> SourceConfig {
    let field = |name: &str| Some(name.to_owned());
    SourceConfig {
        name: name.to_owned(),
        company: Some(format!("Company {name}")),
        urls: vec![url.into()],
        paths: PathSettings {
            items: "jobs".to_owned(),
            id: field("id"),
            title: field("title"),
            link: field("link"),
            ..PathSettings::default()
        },
        ..SourceConfig::new(SourceKind::Json)
    }
}

impl Scene {
    /// Opens it with boards at `/a`, `/b` and so on, each at a source of its path's name.
    async fn open(boards: &[&str]) -> Self {
        Self::with(boards, |_, _| {}).await
    }

    async fn with(boards: &[&str], change: impl FnOnce(&mut ScrapeSettings, &Site)) -> Self {
        let answers = Answers::default();
        let played = Arc::clone(&answers);
        let answer = move |request: Request| {
            let answer = played.lock().unwrap().get(request.uri().path()).cloned();
            let asked = request.headers().get(header::IF_NONE_MATCH).cloned();
            async move {
                // Long enough for others to come while it is on its way.
                sleep(Duration::from_millis(20)).await;
                let Some((status, tag, body)) = answer else {
                    return StatusCode::NOT_FOUND.into_response();
                };
                if tag.is_some() && asked.and_then(|a| Some(a.to_str().ok()?.to_owned())) == tag {
                    return StatusCode::NOT_MODIFIED.into_response();
                }
                let kind = if body.starts_with('<') { "text/html" } else { "application/json" };
                let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
                tag_and_type(&mut response, tag, kind);
                response
            }
        };
        let site = Site::start(Router::new().fallback(answer)).await;
        let sources = boards.iter().map(|name| source(name, &site.url(&format!("/{name}"))));
        let scrape = ScrapeConfig {
            allow_private: vec!["*".to_owned()],
            obey_robots: false,
            min_interval: Duration::ZERO,
            ..ScrapeConfig::default()
        };
        let mut scraping = ScrapeSettings { scrape, sources: sources.collect() };
        change(&mut scraping, &site);
        let bench = Bench::new().await;
        let connections = Connections::new(&bench.config.redis, "test-caches").unwrap();
        let caches = Caches::new(&CacheConfig::default(), &connections).unwrap();
        let scene = Self { bench, scraping, site, answers, caches };
        for name in boards {
            scene.put(name, None, &board(&["Baker", "Cook", "Night cook"]));
        }
        scene
    }

    fn put(&self, name: &str, tag: Option<&str>, body: &str) {
        self.fail(name, 200, tag, body);
    }

    fn fail(&self, name: &str, status: u16, tag: Option<&str>, body: &str) {
        let answer = (status, tag.map(str::to_owned), body.to_owned());
        self.answers.lock().unwrap().insert(format!("/{name}"), answer);
    }

    fn worker(&self) -> Worker {
        let caches = CacheConfig::default();
        self.bench.worker(|app| tasks::register(app, &self.scraping, &caches).unwrap())
    }

    fn hits(&self, name: &str) -> Vec<Hit> {
        self.site.hits(&format!("/{name}"))
    }

    async fn scrape(&self, keyword: &str, force: bool) -> Value {
        let result = self.bench.call(&publish(keyword, force)).await;
        success(&result)
    }

    async fn cached(&self, keyword: &str) -> Vec<Listing> {
        self.caches.listings().read(keyword).await.unwrap().unwrap().listings
    }

    async fn titles(&self, keyword: &str) -> Vec<String> {
        let mut titles: Vec<String> =
            self.cached(keyword).await.into_iter().map(|one| one.title).collect();
        titles.sort();
        titles
    }
}

fn tag_and_type(response: &mut Response, tag: Option<String>, kind: &str) {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
    if let Some(tag) = tag {
        headers.insert(header::ETAG, tag.parse().unwrap());
    }
}

fn publish(keyword: &str, force: bool) -> Publish {
    Publish::new(KEYWORD).arg(keyword).kwarg("force", force)
}

fn success(result: &TaskResult) -> Value {
    assert_eq!(result.status, State::Success, "{result:?}");
    result.result.clone()
}

fn outcome(summary: &Value, source: &str) -> String {
    summary["sources"][source]["outcome"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn twenty_keywords_ask_each_board_once_and_a_search_for_each() {
    let searched = |config: &mut ScrapeSettings, site: &Site| {
        config.sources.push(source("search", &site.url("/search?q={keyword}")));
    };
    let scene = Scene::with(&["a", "b", "c"], searched).await;
    scene.put("search", None, &board(&["Cook 1"]));
    let worker = scene.worker();
    for n in 0..20 {
        let summary = scene.scrape(&format!("cook {n}"), false).await;
        assert_eq!(summary["status"], "success", "{summary}");
    }
    scene.scrape("cook", false).await;
    assert_eq!(["a", "b", "c"].map(|name| scene.hits(name).len()), [1, 1, 1]);
    assert_eq!(scene.hits("search").len(), 21);
    assert_eq!(scene.cached("cook").await.len(), 2 * 3 + 1);
    worker.stop().await;
}

/// A sitemap and a list with pages of their own: the lists are read once, and of the postings those
/// that a keyword looks for.
#[tokio::test]
async fn lists_whose_postings_have_pages_are_read_once_for_all_keywords() {
    let own_pages = |config: &mut ScrapeSettings, site: &Site| {
        let named = |kind, name: &str| SourceConfig {
            name: name.to_owned(),
            company: Some(format!("Company {name}")),
            urls: vec![site.url(&format!("/{name}")).as_str().into()],
            ..SourceConfig::new(kind)
        };
        config.sources.push(named(SourceKind::Sitemap, "map"));
        let mut html = named(SourceKind::Html, "list");
        html.selectors = Selectors {
            item: "li".to_owned(),
            link: Some("a".to_owned()),
            title: Some("a".to_owned()),
            detail: BTreeMap::from([("description".to_owned(), "article".to_owned())]),
            ..Selectors::default()
        };
        config.sources.push(html);
    };
    let scene = Scene::with(&[], own_pages).await;
    let slugs = ["night-baker", "pastry-cook", "line-cook", "4711"];
    let entry =
        |slug: &&str| format!("<url><loc>{}</loc></url>", scene.site.url(&format!("/{slug}")));
    let map: String = slugs.iter().map(entry).collect();
    scene.put("map", None, &format!("<urlset>{map}</urlset>"));
    let row =
        |slug: &&str| format!("<li><a href='/own-{slug}'>{}</a></li>", slug.replace('-', " "));
    let rows: String = slugs[..3].iter().map(row).collect();
    // A link to the list itself leads to no posting's page.
    let rows = format!("{rows}<li><a href='#here'>Sous cook</a></li>");
    scene.put("list", None, &format!("<html><ul>{rows}</ul></html>"));
    for slug in slugs {
        let title = if slug == "4711" { "Ship's cook".to_owned() } else { slug.replace('-', " ") };
        let posting = json!({"@type": "JobPosting", "title": title, "description": "Come."});
        let ld = format!("<script type='application/ld+json'>{posting}</script>");
        scene.put(slug, None, &format!("<html>{ld}</html>"));
        scene.put(&format!("own-{slug}"), None, "<html><article>Stay.</article></html>");
    }
    let worker = scene.worker();
    for keyword in ["cook", "baker", "surgeon"] {
        let summary = scene.scrape(keyword, false).await;
        assert_eq!(summary["status"], "success", "{summary:#}");
    }
    assert_eq!(["map", "list"].map(|name| scene.hits(name).len()), [1, 1]);
    let of = |listings: Vec<Listing>, source: &str| {
        let mine = listings.into_iter().filter(|listing| listing.source == source);
        let mut mine: Vec<_> = mine.map(|one| (one.title, one.description)).collect();
        mine.sort();
        mine
    };
    let pair = |title: &str, text: &str| (title.to_owned(), text.to_owned());
    let cooks = scene.cached("cook").await;
    let expect = ["Ship's cook", "line cook", "pastry cook"].map(|title| pair(title, "Come."));
    assert_eq!(of(cooks.clone(), "map"), expect);
    let expect = [pair("Sous cook", ""), pair("line cook", "Stay."), pair("pastry cook", "Stay.")];
    assert_eq!(of(cooks, "list"), expect);
    assert_eq!(of(scene.cached("baker").await, "map"), [pair("night baker", "Come.")]);
    assert_eq!(scene.cached("surgeon").await, []);
    assert_eq!((scene.hits("night-baker").len(), scene.hits("own-night-baker").len()), (1, 1));
    worker.stop().await;
}

#[tokio::test]
async fn of_two_workers_that_need_a_board_at_once_one_asks() {
    let scene = Scene::open(&["a", "b"]).await;
    let workers = [scene.worker(), scene.worker()];
    let mut ids = Vec::new();
    for keyword in ["cook", "baker", "night", "night cook", "c", "d", "e", "f"] {
        ids.push(scene.bench.publish(&publish(keyword, false)).await);
    }
    for id in ids {
        success(&scene.bench.result(&id).await);
    }
    assert_eq!(["a", "b"].map(|name| scene.hits(name).len()), [1, 1]);
    assert_eq!(scene.titles("baker").await, ["Baker", "Baker"]);
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_worker_that_dies_while_it_asks_a_board_holds_nobody_up_for_long() {
    let scene = Scene::open(&["a"]).await;
    let id = fingerprint(&scene.scraping.sources[0]);
    let client = &scene.bench.client;
    let lease = Duration::from_secs(2);
    let dead = OwnedLock::new(client, &format!("board:{id}"), "a dead task", lease);
    assert!(dead.acquire().await.unwrap());
    let (worker, began) = (scene.worker(), Instant::now());
    assert_eq!(scene.scrape("cook", false).await["count"], 2);
    assert!(began.elapsed() > Duration::from_secs(1), "the lock counted");
    assert_eq!(scene.hits("a").len(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn what_is_kept_and_cannot_be_read_is_not_there() {
    let scene = Scene::open(&["a"]).await;
    let worker = scene.worker();
    scene.scrape("cook", false).await;
    let id = fingerprint(&scene.scraping.sources[0]);
    let mut redis = scene.bench.server.connect(3).await;
    let keys: Vec<String> = redis.keys("*rhubarb.boards").await.unwrap();
    let key = &keys[0];
    let head: Vec<u8> = redis.hget(key, &id).await.unwrap();
    let newer = String::from_utf8(head).unwrap().replacen("\"format\":1", "\"format\":2", 1);
    let fields = [
        (id.clone(), b"\xffnonsense".to_vec()),
        (id.clone(), newer.into_bytes()),
        (format!("{id}/1"), b"another's".to_vec()),
        (format!("{id}/2"), Vec::new()),
    ];
    for (n, (field, value)) in fields.into_iter().enumerate() {
        let () = redis.hset(key, &field, value).await.unwrap();
        let keyword = format!("cook{}", " night".repeat(n % 2));
        let () = redis.del(format!("jobs:1:jobs:{}", keyword.replace(' ', "_"))).await.unwrap();
        let summary = scene.scrape(&keyword, false).await;
        assert_eq!(summary["count"], json!(2 - n % 2), "{field}: {summary}");
        assert_eq!(scene.hits("a").len(), n + 2, "{field}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_board_for_which_there_is_no_room_is_asked_for_each_keyword() {
    let scene = Scene::with(&["a"], |scraping, _| scraping.scrape.board_cache_bytes = 500).await;
    let worker = scene.worker();
    for (n, (keyword, count)) in [("cook", 2), ("baker", 1)].into_iter().enumerate() {
        assert_eq!(scene.scrape(keyword, false).await["count"], count);
        assert_eq!(scene.hits("a").len(), n + 1);
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_board_that_has_what_it_had_is_unchanged_and_its_listings_are_seen_again() {
    let scene = Scene::open(&["tagged", "plain"]).await;
    scene.put("tagged", Some("\"one\""), &board(&["Cook", "Baker"]));
    let worker = scene.worker();
    let first = scene.scrape("cook", true).await;
    assert_eq!(["tagged", "plain"].map(|name| outcome(&first, name)), ["found", "found"]);
    let before = scene.cached("cook").await;
    let again = scene.scrape("cook", true).await;
    assert_eq!(["tagged", "plain"].map(|name| outcome(&again, name)), ["unchanged", "unchanged"]);
    assert_eq!(
        (&again["count"], &again["new"], &again["closed"]),
        (&json!(3), &json!(0), &json!(0))
    );
    assert!(scene.hits("tagged")[1].headers.contains_key("if-none-match"));
    let after = scene.cached("cook").await;
    assert_eq!(after.len(), before.len());
    assert!(after.iter().all(|one| one.scraped_at > before[0].scraped_at), "{after:?}");
    // Another keyword finds in it what there is.
    assert_eq!(outcome(&scene.scrape("baker", true).await, "tagged"), "found");
    assert_eq!(scene.titles("baker").await, ["Baker", "Baker"]);
    scene.put("tagged", Some("\"two\""), &board(&["Cook", "Pastry cook"]));
    let changed = scene.scrape("cook", true).await;
    assert_eq!(outcome(&changed, "tagged"), "found");
    assert_eq!(changed["new"], 1);
    worker.stop().await;
}

#[tokio::test]
async fn what_a_boards_last_run_said_is_what_each_keyword_says() {
    let scene = Scene::open(&["a", "b"]).await;
    let worker = scene.worker();
    scene.scrape("cook", true).await;
    scene.fail("a", 403, None, "no");
    let summary = scene.scrape("cook", true).await;
    assert_eq!((outcome(&summary, "a"), &summary["count"]), ("blocked".into(), &json!(4)));
    let other = scene.scrape("baker", true).await;
    assert_eq!((outcome(&other, "a"), &other["count"]), ("blocked".into(), &json!(1)));
    scene.fail("a", 410, None, "");
    assert_eq!(outcome(&scene.scrape("cook", true).await, "a"), "gone");
    assert_eq!(scene.titles("cook").await.len(), 4, "one run closes no board");
    scene.put("a", None, &board(&["Cook", "Night cook", "Baker"]));
    assert_eq!(scene.scrape("cook", true).await["status"], "success");
    scene.put("a", None, &board(&[]));
    let empty = scene.scrape("cook", true).await;
    assert_eq!((outcome(&empty, "a"), &empty["closed"]), ("nothing".into(), &json!(2)));
    worker.stop().await;
}

#[tokio::test]
async fn one_crawl_that_is_not_believed_is_one_run_however_often_it_is_looked_through() {
    let scene = Scene::with(&["a", "b"], |config, _| {
        config.scrape.fresh_for = Duration::ZERO;
        config.scrape.board_fresh_for = Some(Duration::from_secs(600));
    })
    .await;
    let many: Vec<String> = (0..20).map(|n| format!("Cook {n}")).collect();
    scene.put("a", None, &board(&many.iter().map(String::as_str).collect::<Vec<_>>()));
    let worker = scene.worker();
    scene.scrape("cook", true).await;
    scene.put("a", None, &board(&["Cook 1"]));
    scene.scrape("cook", true).await;
    for _ in 0..4 {
        let again = scene.scrape("cook", false).await;
        assert_eq!((outcome(&again, "a"), &again["count"]), ("suspicious".into(), &json!(22)));
    }
    assert_eq!(scene.hits("a").len(), 2);
    worker.stop().await;
}

#[tokio::test]
async fn the_hourly_scrape_crawls_as_many_boards_as_it_is_told_the_oldest_first() {
    let keyword =
        |config: &mut ScrapeSettings, _: &Site| config.scrape.keywords = vec!["cook".to_owned()];
    let scene = Scene::with(&["a", "b", "c"], keyword).await;
    let worker = scene.worker();
    let hits = || ["a", "b", "c"].map(|name| scene.hits(name).len());
    let mut seen = Vec::new();
    for _ in 0..4 {
        let result = scene.bench.call(&Publish::new(HOURLY).kwarg("boards", 1)).await;
        success(&result);
        seen.push(hits().iter().sum::<usize>());
    }
    assert_eq!(seen, [1, 2, 3, 4]);
    assert_eq!(hits().iter().max(), Some(&2), "{:?}", hits());
    assert_eq!(scene.titles("cook").await.len(), 6);
    success(&scene.bench.call(&Publish::new(HOURLY)).await);
    assert_eq!(hits().iter().sum::<usize>(), 7, "without a budget all are asked");
    worker.stop().await;
}

#[tokio::test]
async fn the_hourly_scrape_finds_all_keywords_in_one_pass_over_the_boards() {
    let keywords = |config: &mut ScrapeSettings, site: &Site| {
        config.scrape.keywords = ["cook", "baker", "night cook"].map(str::to_owned).to_vec();
        config.sources.push(source("search", &site.url("/search?q={keyword}")));
    };
    let scene = Scene::with(&["a", "b"], keywords).await;
    scene.put("search", None, &board(&["Cook and baker"]));
    let worker = scene.worker();
    let summary = success(&scene.bench.call(&Publish::new(HOURLY)).await);
    let counts = [("cook", 4), ("baker", 2), ("night cook", 2)];
    for (keyword, count) in counts {
        let of_boards =
            scene.cached(keyword).await.into_iter().filter(|one| one.source != "search");
        assert_eq!(of_boards.count(), count, "{keyword}");
    }
    assert_eq!(["a", "b", "search"].map(|name| scene.hits(name).len()), [1, 1, 1]);
    let status = scene.caches.status().read().await.unwrap().unwrap();
    assert_eq!(summary["keyword"], status.keyword.as_str(), "the status is the hour's keyword's");
    success(&scene.bench.call(&Publish::new(HOURLY)).await);
    assert_eq!(scene.hits("a").len(), 2);
    assert_eq!(scene.titles("baker").await.len(), 2 + usize::from(summary["keyword"] == "baker"));
    worker.stop().await;
}

/// Of boards that have what they had, a keyword's listings live on as they were written.
#[tokio::test]
async fn nothing_is_written_again_of_keywords_whose_boards_have_what_they_had() {
    let keywords = |config: &mut ScrapeSettings, _: &Site| {
        config.scrape.keywords = ["cook", "baker"].map(str::to_owned).to_vec();
    };
    let scene = Scene::with(&["a", "b"], keywords).await;
    for name in ["a", "b"] {
        scene.put(name, Some("\"1\""), &board(&["Baker", "Cook"]));
    }
    let worker = scene.worker();
    let hourly = async || success(&scene.bench.call(&Publish::new(HOURLY)).await);
    let hours = hourly().await["keyword"].clone();
    let other = if hours == "cook" { "baker" } else { "cook" };
    let mut redis = scene.bench.server.connect(3).await;
    let (key, life) = (format!("jobs:1:jobs:{other}"), format!("jobs:0:rhubarb.life:jobs:{other}"));
    let read = async |redis: &mut redis::aio::MultiplexedConnection| -> [Vec<u8>; 2] {
        [redis.get(&key).await.unwrap(), redis.get(&life).await.unwrap()]
    };
    let before = read(&mut redis).await;
    assert!(before.iter().all(|value| !value.is_empty()), "{key} {life}");
    let () = redis.expire(&key, 100).await.unwrap();
    hourly().await;
    assert!(before == read(&mut redis).await, "written again");
    let ttl: i64 = redis.ttl(&key).await.unwrap();
    assert!(ttl > 100, "{ttl}");
    // A board that has something else, and listings that are gone.
    scene.put("a", Some("\"2\""), &board(&["Baker", "Cook", "Night baker", "Night cook"]));
    hourly().await;
    assert_eq!(scene.cached(other).await.len(), 3);
    let () = redis.del(&key).await.unwrap();
    hourly().await;
    assert_eq!(scene.cached(other).await.len(), 3);
    worker.stop().await;
}

#[tokio::test]
async fn what_is_kept_of_boards_goes_with_the_cleared_listings() {
    let scene = Scene::open(&["a"]).await;
    let worker = scene.worker();
    scene.scrape("cook", false).await;
    success(&scene.bench.call(&Publish::new("job_scraper.tasks.clear_cache_task")).await);
    let mut redis = scene.bench.server.connect(3).await;
    let left: Vec<String> = redis.keys("*").await.unwrap();
    assert_eq!(left.iter().filter(|key| key.contains("boards")).count(), 0, "{left:?}");
    scene.scrape("cook", false).await;
    assert_eq!(scene.hits("a").len(), 2);
    worker.stop().await;
}
