//! Two workers as processes over one Redis ask a site that counts, while one of them is killed
//! again and again.
//!
//! `RHUBARB_TEST_FLEET_SECONDS` makes the load last longer than a few seconds.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use redis::{AsyncCommands, aio::MultiplexedConnection};
use rhubarb_connection::Connections;
use rhubarb_e2e::{
    eventually::eventually, installation::Installation, process::Signal, redis_server::RedisServer,
};
use rhubarb_queue::{Client, Config, Publish};
use rhubarb_testbed::site::Site;

use crate::BINARIES;

/// How long the load lasts where nothing else is set.
const SECONDS: u64 = 14;
const SCRAPE: &str = "job_scraper.tasks.scrape_specific_keyword";
const INTERVAL: Duration = Duration::from_millis(30);
/// At once, by both workers together: more than one death takes away, until its lease ends.
const IN_FLIGHT: usize = 4;
/// A worker dies this often, and another one takes its place.
const DEATH_EVERY: Duration = Duration::from_secs(4);
/// The site asks for time after this, and then this often.
const FIRST_HOLD: Duration = Duration::from_secs(3);
const HOLD_EVERY: Duration = Duration::from_secs(15);
const HOLD: Duration = Duration::from_secs(5);
/// Others have taken their turns when the site asks for time; after this their requests have come.
const UNDER_WAY: Duration = Duration::from_secs(2);
/// How long anything may take that is not itself a matter of time.
const SOON: Duration = Duration::from_secs(60);

/// What the site has seen.
#[derive(Debug, Default)]
struct Seen {
    now: usize,
    most: usize,
    starts: Vec<Instant>,
    /// When it asked for time.
    holds: Vec<Instant>,
}

type Shared = Arc<Mutex<Seen>>;

/// A request that the site answers; over when it has, or when whoever asked has hung up.
struct Asked(Shared);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.lock().unwrap().now -= 1;
    }
}

impl Seen {
    /// Notes a request; tells whether it is to be answered by a wish for time.
    fn begin(&mut self) -> bool {
        let now = Instant::now();
        self.starts.push(now);
        self.now += 1;
        self.most = self.most.max(self.now);
        let since = self.holds.last().or(self.starts.first()).map(|last| now - *last);
        let due = if self.holds.is_empty() { FIRST_HOLD } else { HOLD_EVERY };
        let asks = since.is_some_and(|since| since > due);
        if asks {
            self.holds.push(now);
        }
        asks
    }
}

async fn page(State(seen): State<Shared>) -> Response {
    let asks = seen.lock().unwrap().begin();
    let _asked = Asked(Arc::clone(&seen));
    if asks {
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "5")]).into_response();
    }
    tokio::time::sleep(Duration::from_millis(fastrand::u64(1..150))).await;
    let posting = r#"{"@context":"https://schema.org","@type":"JobPosting","title":"Cook"}"#;
    let page = format!("<script type='application/ld+json'>{posting}</script>");
    ([(header::CONTENT_TYPE, "text/html")], page).into_response()
}

fn seconds() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "how long to try is the test's own setting")]
    let set = std::env::var("RHUBARB_TEST_FLEET_SECONDS").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(SECONDS)
}

/// Two dozen pages for each keyword: searches are asked anew for each.
fn configuration(site: &Site) -> String {
    let source = |n: usize| {
        let page = |page: usize| format!("\"{}\"", site.url(&format!("/{n}/{page}/{{keyword}}")));
        let urls: Vec<String> = (0..4).map(page).collect();
        format!("[[sources]]\ntype = \"jsonld\"\nname = \"s{n}\"\nurls = [{}]\n", urls.join(", "))
    };
    let sources: String = (0..6).map(source).collect();
    let (host, interval) = (site.host(), INTERVAL.as_secs_f64());
    format!(
        "[scrape]\nallow_private = [\"{host}\"]\nmin_interval = {interval}\n\
         concurrent_per_host = {IN_FLIGHT}\nrequest_timeout = 2\nconnect_timeout = 2\n{sources}"
    )
}

/// Publishes keywords of which each is scraped, a few more than the workers have begun.
async fn load(client: Client, mut redis: MultiplexedConnection, until: Instant) {
    let mut n = 0;
    while Instant::now() < until {
        let waiting: usize = redis.llen("celery").await.unwrap();
        if waiting < 4 {
            n += 1;
            let keyword = format!("cook {n}");
            // It may be that it was published: another one is as good.
            let _published = client.publish(&Publish::new(SCRAPE).arg(keyword)).await;
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(50..200))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_of_which_one_is_killed_again_and_again_never_exceed_a_hosts_limits() {
    let seen = Shared::default();
    let routes = Router::new().fallback(page).with_state(Arc::clone(&seen));
    let site = Site::start(routes).await;
    let redis = RedisServer::start().await;
    let installation = Installation::new(BINARIES, redis, &configuration(&site));
    let mut config = Config::default();
    config.redis.url = installation.redis.url(0).parse().unwrap();
    let client = Client::new(&Connections::new(&config.redis, "e2e").unwrap(), &config);

    let start = || installation.worker(&["-l", "error", "--concurrency", "4"]);
    let mut workers = [start(), start()];
    client.publish(&Publish::new(SCRAPE).arg("cook")).await.unwrap();
    eventually(SOON, "the site is asked", async || {
        (!seen.lock().unwrap().starts.is_empty()).then_some(())
    })
    .await;
    let begun = Instant::now();
    let until = begun + Duration::from_secs(seconds());
    let loading = tokio::spawn(load(client.clone(), installation.redis.connect(0).await, until));
    let mut deaths = Vec::new();
    while Instant::now() + DEATH_EVERY < until {
        tokio::time::sleep(DEATH_EVERY.mul_f64(0.5 + fastrand::f64())).await;
        let at = deaths.len() % 2;
        workers[at].signal(Signal::KILL);
        workers[at].ended(SOON).await;
        deaths.push(Instant::now());
        workers[at] = start();
    }
    loading.await.unwrap();
    for worker in &mut workers {
        worker.signal(Signal::TERM);
        worker.ended(SOON).await;
    }
    judge(&seen, begun, &deaths);
    no_place_is_left(&installation, &site).await;
}

fn judge(seen: &Shared, begun: Instant, deaths: &[Instant]) {
    let seen = seen.lock().unwrap();
    let (n, took) = (seen.starts.len(), seen.starts.last().unwrap().duration_since(seen.starts[0]));
    let mut heeded = 0;
    for hold in &seen.holds {
        let since = |at: &Instant| at.saturating_duration_since(*hold);
        // Whoever was told may have died before it told the others.
        if deaths.iter().any(|death| *death >= *hold && since(death) < UNDER_WAY) {
            continue;
        }
        let early = seen.starts.iter().filter(|at| (UNDER_WAY..HOLD).contains(&since(at)));
        assert_eq!(early.count(), 0, "requests {:?} after the first", *hold - seen.starts[0]);
        heeded += 1;
    }
    println!(
        "{n} requests in {took:?}, {} deaths, {} at once, {heeded} of {} wishes for time judged",
        deaths.len(),
        seen.most,
        seen.holds.len()
    );
    assert!(seen.most <= IN_FLIGHT, "{} at once", seen.most);
    assert!(n as u128 <= took.as_millis() / INTERVAL.as_millis() + 1, "{n} in {took:?}");
    assert!(n > 20, "{n} in {took:?}, {:?} in all", begun.elapsed());
    assert!(!seen.holds.is_empty());
}

/// Those who died keep their places as long as their leases.
async fn no_place_is_left(installation: &Installation, site: &Site) {
    let mut redis = installation.redis.connect(0).await;
    let places = format!("rhubarb:{{limits}}:host:{}:places", site.host());
    eventually(SOON, "no place is left over", async || {
        let held: usize = redis.zcard(&places).await.unwrap();
        (held == 0).then_some(())
    })
    .await;
}
