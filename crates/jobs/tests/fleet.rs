//! Two workers' fetchers over one Redis ask a site that counts.
//!
//! `RHUBARB_TEST_FLEET_SECONDS` makes the random load last longer than a few seconds.

#![cfg(feature = "tasks")]
#![expect(clippy::unwrap_used, reason = "a broken fixture or server is to fail the test")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use redis::AsyncCommands;
use rhubarb_cache::{AliasConfig, Cache};
use rhubarb_connection::{Options, Redis, RedisConfig, Role};
use rhubarb_jobs::tasks::{Pages, SharedHosts, Ways};
use rhubarb_queue::{config::CeleryConfig, keys::Keys, limiter::Limiter};
use rhubarb_scrape::{
    config::ScrapeConfig,
    error::FetchError,
    fetch::Fetcher,
    page::{Fetched, Request},
    proxies::{Fleet, Proxy},
};
use rhubarb_testbed::{eventually::eventually, redis_server::RedisServer, site::Site};

const INTERVAL: Duration = Duration::from_millis(40);
const IN_FLIGHT: usize = 2;

fn redis(url: &str, db: u32) -> Redis {
    let config = RedisConfig { url: url.parse().unwrap(), ..RedisConfig::default() };
    Redis::new(&config.url, db, &config, Options::default()).unwrap()
}

/// A fetcher as a worker has it.
fn fetcher(server: &RedisServer) -> Fetcher {
    fetcher_on(&server.socket_url())
}

fn fetcher_on(redis_url: &str) -> Fetcher {
    let config = ScrapeConfig {
        min_interval: INTERVAL,
        request_timeout: Duration::from_secs(1),
        connect_timeout: Duration::from_secs(1),
        source_timeout: Duration::from_secs(60),
        concurrent_per_host: u32::try_from(IN_FLIGHT).unwrap(),
        allow_private: vec!["*".to_owned()],
        obey_robots: false,
        ..ScrapeConfig::default()
    };
    let limiter = Limiter::new(redis(redis_url, 0), Keys::new(&CeleryConfig::default()));
    Fetcher::new(&config).unwrap().with_hosts(Arc::new(SharedHosts::new(limiter)))
}

fn cache(server: &RedisServer) -> Cache {
    Cache::new(AliasConfig::new(Role::Jobs, "jobs"), redis(&server.socket_url(), 3))
}

fn pages(server: &RedisServer, max_bytes: usize) -> Pages {
    Pages::new(&cache(server), max_bytes)
}

fn ways(server: &RedisServer) -> Arc<Ways> {
    Arc::new(Ways::new(&cache(server)))
}

fn request(site: &Site, path: &str) -> Request {
    Request::get(site.url(path).parse().unwrap())
}

/// A request that the site answers; over when it has, or when whoever asked has hung up.
struct Asked(Arc<AtomicUsize>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

fn seconds() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "how long to try is the test's own setting")]
    let set = std::env::var("RHUBARB_TEST_FLEET_SECONDS").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(5)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_never_exceed_a_hosts_limits_while_others_die() {
    let server = RedisServer::start().await;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = (Arc::clone(&now), Arc::clone(&most));
    let handler = move || {
        let (now, most) = counted.clone();
        async move {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            let _asked = Asked(now);
            tokio::time::sleep(Duration::from_millis(fastrand::u64(1..120))).await;
            "page"
        }
    };
    let site = Arc::new(Site::start(Router::new().route("/", get(handler))).await);
    let (begun, lasts) = (Instant::now(), Duration::from_secs(seconds()));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let fetcher = fetcher(&server);
        for _ in 0..4 {
            let (fetcher, site) = (fetcher.clone(), Arc::clone(&site));
            workers.spawn(async move {
                while begun.elapsed() < lasts {
                    let page = fetcher.get(&request(&site, "/")).await;
                    assert!(page.is_ok(), "{page:?}");
                }
            });
        }
    }
    // Others die in the middle of a request: nothing of theirs runs again, no place is given back.
    let (url, dying_site) = (server.socket_url(), Arc::clone(&site));
    let deaths = tokio::task::spawn_blocking(move || {
        let mut deaths = 0;
        while begun.elapsed() < lasts {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let (url, request) = (url.clone(), request(&dying_site, "/"));
            // A process has connections of its own.
            runtime.spawn(async move { fetcher_on(&url).get(&request).await.map(drop) });
            std::thread::park_timeout(Duration::from_millis(fastrand::u64(20..200)));
            runtime.shutdown_background();
            deaths += 1;
            std::thread::park_timeout((lasts / 10).max(Duration::from_millis(2_500)));
        }
        deaths
    });
    while let Some(done) = workers.join_next().await {
        done.unwrap();
    }
    let (deaths, took) = (deaths.await.unwrap(), begun.elapsed());
    let hits = site.hits("/").len();
    println!("{hits} requests in {took:?}, {deaths} deaths, {most:?} at once");
    assert!(hits as u128 <= took.as_millis() / INTERVAL.as_millis() + 1, "{hits} in {took:?}");
    assert!(hits > 10, "{hits} in {took:?}");
    assert!(most.load(SeqCst) <= IN_FLIGHT, "{most:?} at once");
    let mut redis = server.connect(0).await;
    let places = format!("rhubarb:{{limits}}:host:{}:places", site.host());
    eventually(Duration::from_secs(30), "no place is left behind", async || {
        let held: usize = redis.zcard(&places).await.unwrap();
        (held == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_host_that_asks_for_time_gets_it_from_all_workers() {
    let server = RedisServer::start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let handler = move || {
        let first = asked.fetch_add(1, SeqCst) == 0;
        async move {
            if first {
                (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "5")]).into_response()
            } else {
                "page".into_response()
            }
        }
    };
    let site = Site::start(Router::new().route("/", get(handler))).await;
    let workers = [fetcher(&server), fetcher(&server)];
    let request = request(&site, "/");
    let first = workers[0].get(&request);
    let second = async {
        // Not before the first one has its answer.
        eventually(Duration::from_secs(20), "the first asks", async || {
            (site.hits("/").len() == 1).then_some(())
        })
        .await;
        let mut redis = server.connect(0).await;
        let key = format!("rhubarb:{{limits}}:host:{}", site.host());
        eventually(Duration::from_secs(20), "the wish is known", async || {
            redis.hexists::<_, _, bool>(&key, "hold").await.unwrap().then_some(())
        })
        .await;
        workers[1].get(&request).await
    };
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    let hits = site.hits("/");
    assert_eq!(hits.len(), 3);
    for hit in &hits[1..] {
        assert!(hit.at - hits[0].at >= Duration::from_secs(5), "{:?}", hit.at - hits[0].at);
    }
}

#[tokio::test]
async fn a_host_that_fails_again_and_again_rests_for_all_workers() {
    let server = RedisServer::start().await;
    let broken = || async { StatusCode::INTERNAL_SERVER_ERROR };
    let site = Site::start(Router::new().route("/", get(broken))).await;
    let workers = [fetcher(&server), fetcher(&server)];
    let mut resting = None;
    for n in 0..6 {
        let error = workers[n % 2].get(&request(&site, "/")).await.unwrap_err();
        if matches!(error, FetchError::Resting { .. }) {
            resting = Some(n);
            break;
        }
    }
    assert_eq!(resting, Some(3), "at the tenth failure, of three a fetch");
    assert_eq!(site.hits("/").len(), 10);
}

#[tokio::test]
async fn without_redis_a_worker_keeps_its_own_pace() {
    let mut server = RedisServer::start().await;
    let fetcher = fetcher(&server).with_store(Arc::new(pages(&server, 1 << 20)));
    let site = Site::start(Router::new().route("/", get(|| async { "page" }))).await;
    // Not from the first hit on: its turn came before it did, by what Redis and connecting took.
    let begun = Instant::now();
    fetcher.get(&request(&site, "/")).await.unwrap();
    server.kill();
    fetcher.get(&request(&site, "/")).await.unwrap();
    fetcher.get(&request(&site, "/")).await.unwrap();
    let hits = site.hits("/");
    assert!(hits[2].at - begun >= 2 * INTERVAL);
}

#[tokio::test]
async fn what_one_worker_has_fetched_is_not_sent_to_the_other() {
    let server = RedisServer::start().await;
    let fresh = || async { ([(header::CACHE_CONTROL, "max-age=600")], "page") };
    let site = Site::start(Router::new().route("/", get(fresh))).await;
    for expect in [Fetched::Full, Fetched::Fresh, Fetched::Fresh] {
        let fetcher = fetcher(&server).with_store(Arc::new(pages(&server, 1 << 20)));
        let page = fetcher.get(&request(&site, "/")).await.unwrap();
        assert_eq!((page.fetched, page.bytes.as_ref()), (expect, &b"page"[..]));
    }
    assert_eq!(site.hits("/").len(), 1);
}

#[tokio::test]
async fn kept_pages_stay_within_their_cap_and_the_oldest_go_first() {
    let server = RedisServer::start().await;
    let pages = pages(&server, 10_000);
    for n in 0..20 {
        pages.put(&format!("p{n}"), vec![b'x'; 1_000]).await.unwrap();
        assert!(pages.get("p0").await.unwrap().is_some(), "used all the time: {n}");
    }
    let mut redis = server.connect(3).await;
    let fields: Vec<String> = redis.hkeys("jobs:0:rhubarb.pages").await.unwrap();
    assert_eq!(fields.len(), 11, "ten pages, and their sum: {fields:?}");
    let sum: usize = redis.hget("jobs:0:rhubarb.pages", "").await.unwrap();
    assert_eq!(sum, 10_000);
    assert!(pages.get("p1").await.unwrap().is_none() && pages.get("p19").await.unwrap().is_some());
    pages.put("p19", vec![b'y'; 10]).await.unwrap();
    let sum: usize = redis.hget("jobs:0:rhubarb.pages", "").await.unwrap();
    assert_eq!(sum, 9_010);
    pages.put("huge", vec![b'y'; 20_000]).await.unwrap();
    assert!(pages.get("huge").await.unwrap().is_none());
    let ttl: i64 = redis.ttl("jobs:0:rhubarb.pages").await.unwrap();
    assert!(ttl > 0);
}

#[tokio::test]
async fn kept_pages_go_when_redis_has_no_memory_left() {
    let server = RedisServer::start().await;
    let pages = pages(&server, 100 << 20);
    pages.put("old", vec![b'x'; 3 << 20]).await.unwrap();
    server.command("CONFIG SET maxmemory 1mb").await;
    assert!(pages.put("new", vec![b'x'; 1_000]).await.is_err());
    let mut redis = server.connect(3).await;
    let keys: Vec<String> = redis.keys("*").await.unwrap();
    assert_eq!(keys, Vec::<String>::new());
}

/// A proxy that hangs up at once, and how often it was connected to.
async fn broken_proxy() -> (Proxy, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, SeqCst);
            drop(stream);
        }
    });
    (proxy, connections)
}

#[tokio::test]
async fn a_proxy_that_fails_for_one_worker_is_passed_over_by_all() {
    let server = RedisServer::start().await;
    let site = Site::start(Router::new().route("/", get(|| async { "page" }))).await;
    let (broken, connections) = broken_proxy().await;
    let proxies = vec![broken, site.host().parse().unwrap()];
    for _ in 0..3 {
        let config = ScrapeConfig {
            allow_private: vec!["*".to_owned()],
            allow_private_proxies: vec!["*".to_owned()],
            obey_robots: false,
            min_interval: Duration::ZERO,
            ..ScrapeConfig::default()
        };
        let worker = Fetcher::new(&config).unwrap().with_fleet(ways(&server));
        let worker = worker.through(proxies.clone());
        let request = Request::get("http://jobs.example.invalid/".parse().unwrap());
        assert_eq!(worker.get(&request).await.unwrap().bytes, "page");
    }
    assert_eq!((connections.load(SeqCst), site.hits("/").len()), (1, 3));
}

#[tokio::test]
async fn a_way_that_failed_rests_is_tried_by_one_of_all_and_is_known_until_it_serves() {
    let server = RedisServer::start().await;
    let workers = [ways(&server), ways(&server), ways(&server)];
    workers[0].note("w", Some(Duration::from_secs(600))).await;
    let resting = workers[1].resting().await;
    assert!(matches!(&resting[..], [(way, left)] if way == "w" && left.as_secs() > 500));
    assert!(!workers[1].claim("w").await, "it rests");
    workers[0].note("w", Some(Duration::from_millis(1))).await;
    eventually(Duration::from_secs(20), "its rest is over", async || {
        workers[1].resting().await.is_empty().then_some(())
    })
    .await;
    let mut claims = Vec::new();
    for worker in &workers {
        claims.push(worker.claim("w").await);
    }
    assert_eq!(claims, [true, false, false]);
    workers[0].note("w", None).await;
    assert_eq!(workers[1].resting().await, []);
    for n in 0..1_100 {
        workers[0].note(&format!("w{n}"), Some(Duration::from_secs(600))).await;
    }
    assert_eq!(workers[1].resting().await.len(), 1_000, "what is known is bounded");
}

#[tokio::test]
async fn kept_pages_leave_a_small_server_to_the_queue() {
    let limit = 20 << 20;
    let server = RedisServer::start_with(&["--maxmemory", &limit.to_string()]).await;
    let pages = pages(&server, 1 << 30);
    for n in 0..100 {
        // Each a tenth of a megabyte: all of them would be half of the server.
        pages.put(&format!("page {n}"), vec![b'x'; 100_000]).await.unwrap();
    }
    let mut kept = 0;
    for n in 0..100 {
        kept += usize::from(pages.get(&format!("page {n}")).await.unwrap().is_some());
    }
    assert!((15..=20).contains(&kept), "{kept} pages of 100 kB are kept of {limit} bytes");
}
