//! The dashboard over its router, without a port: who may what, what a browser is told, and what is
//! said when Redis is gone.

#![expect(clippy::unwrap_used, reason = "a broken fixture or server is to fail the test")]

#[path = "web/api.rs"]
mod api;
#[path = "web/caches.rs"]
mod caches;
#[path = "web/django.rs"]
mod django;
#[path = "web/large.rs"]
mod large;
#[path = "web/pages.rs"]
mod pages;
#[path = "web/schedules.rs"]
mod schedules;

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr},
    process::{Command, Stdio},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use rhubarb_connection::Connections;
use rhubarb_core::shutdown::Shutdown;
use rhubarb_queue::{Client, Publish};
use rhubarb_settings::Settings;
use rhubarb_testbed::{eventually::eventually, redis_server::RedisServer};
use rhubarb_web::{Site, access, door, router};
use tower::ServiceExt;

/// A dashboard under test, and the tokens that it knows.
struct Web {
    router: Router,
    shutdown: Shutdown,
    reader: String,
    operator: String,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Web {
    /// One that knows tokens, of a Redis at this address.
    fn new(redis: &str) -> Self {
        Self::of(redis, true)
    }

    fn of(redis: &str, has_tokens: bool) -> Self {
        Self::configured(redis, has_tokens, |_| {})
    }

    fn configured(redis: &str, has_tokens: bool, set: impl FnOnce(&mut Settings)) -> Self {
        let mut config = Settings::default();
        config.redis.url = redis.parse().unwrap();
        let ((reader, read), (operator, write)) =
            (door::new_token("reader"), door::new_token("operator"));
        if has_tokens {
            config.web.read_tokens = vec![read];
            config.web.write_tokens = vec![write];
        }
        set(&mut config);
        let shutdown = Shutdown::new();
        let connections = Connections::new(&config.redis, "rhubarb-web").unwrap();
        let router = router::new(Site::new(config, connections, shutdown.clone()).unwrap());
        Self { router, shutdown, reader, operator }
    }

    async fn ask(&self, request: Request<Body>) -> Answer {
        let mut request = request;
        request.extensions_mut().insert(access::Peer(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask(request(Method::GET, path, headers, "")).await
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
        let mut request = request(Method::POST, path, headers, form);
        let kind = "application/x-www-form-urlencoded".parse().unwrap();
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        self.ask(request).await
    }

    /// What a reader's header says.
    fn bearer(&self) -> String {
        format!("Bearer {}", self.reader)
    }
}

fn request(method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

/// Where no Redis is.
const NOWHERE: &str = "redis://127.0.0.1:1/0";
const PERSON: (&str, &str) = ("accept", "text/html,application/xhtml+xml");

#[tokio::test]
async fn without_a_token_a_program_is_refused_and_a_person_led_to_the_login() {
    let web = Web::new(NOWHERE);
    for path in ["/", "/metrics"] {
        let refused = web.get(path, &[]).await;
        assert_eq!(refused.status, 401, "{path}");
        assert_eq!(refused.header("content-type"), "application/problem+json");
        assert_eq!(refused.header("www-authenticate"), "Bearer");
        let wrong = web.get(path, &[("authorization", "Bearer x")]).await;
        assert_eq!(wrong.status, 401, "{path}");
    }
    let led = web.get("/?a=b", &[PERSON]).await;
    assert_eq!((led.status.as_u16(), led.header("location")), (303, "/login?next=/%3Fa%3Db"));
}

#[tokio::test]
async fn a_person_logs_in_with_a_token_and_out_again() {
    let web = Web::new(NOWHERE);
    let form = web.get("/login?next=/metrics", &[PERSON]).await;
    assert_eq!(form.status, 200);
    assert!(form.text.contains(r#"name="next" value="/metrics""#), "{}", form.text);
    let wrong = web.post("/login", &[PERSON], "token=wrong&next=/metrics").await;
    assert_eq!((wrong.status.as_u16(), wrong.header("set-cookie")), (401, ""));
    assert!(wrong.text.contains("no such token"), "{}", wrong.text);
    assert!(wrong.text.contains(r#"name="token""#), "the form comes again: {}", wrong.text);
    let entry = format!("token={}&next=//evil.example", web.operator);
    let entered = web.post("/login", &[("x-forwarded-proto", "https")], &entry).await;
    assert_eq!((entered.status.as_u16(), entered.header("location")), (303, "/"));
    let cookie = entered.header("set-cookie");
    for part in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    // The browser keeps a login, and not the token.
    assert!(!cookie.contains(&web.operator), "{cookie}");
    let login = cookie.split(';').next().unwrap().to_owned();
    let changed = format!("{login}0");
    for (cookie, status) in [(&login, 503), (&changed, 401)] {
        let answer = web.get("/api/v1/workers", &[("cookie", cookie)]).await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    let left = web.post("/logout", &[], "").await;
    assert!(left.header("set-cookie").contains("Max-Age=0"));
}

#[tokio::test]
async fn another_site_changes_nothing_and_reaches_nothing_without_tokens() {
    let web = Web::of(NOWHERE, false);
    let rebound = web.get("/health/live", &[("host", "evil.example")]).await;
    assert_eq!(rebound.status, 421);
    let own = web.get("/health/live", &[("host", "127.0.0.1:8080")]).await;
    assert_eq!(own.status, 200);
    let cross = [("host", "localhost"), ("sec-fetch-site", "cross-site")];
    assert_eq!(web.post("/logout", &cross, "").await.status, 403);
}

#[tokio::test]
async fn every_answer_keeps_a_browser_safe() {
    let web = Web::new(NOWHERE);
    for path in ["/", "/login", "/no/such/page", "/assets/x", "/health/live"] {
        for accept in ["text/html", "*/*"] {
            let answer = web.get(path, &[("accept", accept)]).await;
            let policy = answer.header("content-security-policy");
            assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_and_what_is_too_long_is_a_problem_in_words() {
    let web = Web::of(NOWHERE, false);
    let missing = web.get("/no/such", &[]).await;
    assert_eq!(missing.status, 404);
    assert!(missing.text.contains(r#""status":404"#), "{}", missing.text);
    let page = web.get("/no/such", &[PERSON]).await;
    assert_eq!(
        (page.status.as_u16(), page.header("content-type")),
        (404, "text/html; charset=utf-8")
    );
    let method = web.post("/metrics", &[], "").await;
    assert_eq!(method.status, 405);
    assert!(method.header("allow").contains("GET"));
    assert_eq!(method.header("content-type"), "application/problem+json");
    let long = format!("token={}", "x".repeat(2 << 20));
    let refused = web.post("/login", &[], &long).await;
    assert_eq!(refused.status, 413, "{}", refused.text);
    assert_eq!(refused.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn assets_are_compressed_and_kept_for_ever() {
    let web = Web::new(NOWHERE);
    let login = web.get("/login", &[PERSON]).await;
    let mut parts = login.text.split('"').filter(|part| part.starts_with("/assets/"));
    let path = parts.next().unwrap();
    let asset = web.get(path, &[("accept-encoding", "gzip, br")]).await;
    assert_eq!((asset.status.as_u16(), asset.header("content-encoding")), (200, "gzip"));
    assert!(asset.header("cache-control").contains("immutable"));
    assert_eq!(web.get(path, &[]).await.header("content-encoding"), "");
}

#[tokio::test]
async fn with_redis_gone_it_is_alive_and_not_ready_and_the_page_says_why() {
    let web = Web::of(NOWHERE, false);
    assert_eq!(web.get("/health/live", &[]).await.status, 200);
    let ready = web.get("/health/ready", &[]).await;
    assert_eq!(ready.status, 503);
    assert!(!ready.text.contains("127.0.0.1"), "anybody may ask: {}", ready.text);
    let page = web.get("/", &[PERSON]).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("127.0.0.1:1"), "{}", page.text);
    let metrics = web.get("/metrics", &[]).await;
    assert!(
        metrics.text.contains("rhubarb_redis_up{server=\"127.0.0.1:1\"} 0"),
        "{}",
        metrics.text
    );
}

#[tokio::test]
async fn it_is_ready_until_it_stops_and_shows_what_is_there() {
    let redis = RedisServer::start().await;
    let web = Web::new(&redis.socket_url());
    assert_eq!(web.get("/health/ready", &[]).await.status, 200);
    let bearer = web.bearer();
    let known = [("authorization", bearer.as_str())];
    let page = web.get("/", &known).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("<h1>Overview</h1>"), "{}", page.text);
    let metrics = web.get("/metrics", &known).await;
    assert!(metrics.text.contains("rhubarb_redis_up{server="), "{}", metrics.text);
    web.shutdown.request(rhubarb_core::shutdown::StopSignal::Terminate);
    assert_eq!(web.get("/health/ready", &[]).await.status, 503);
}

/// What is waited for comes within this.
const SOON: Duration = Duration::from_secs(30);
/// A message as Python's kombu writes it: its delivery tag says nothing of time.
const FROM_PYTHON: &str = r#"{"body": "W1tdLCB7fSwge31d", "content-encoding": "utf-8", "content-type": "application/json", "headers": {"lang": "py", "task": "t", "id": "1"}, "properties": {"correlation_id": "1", "delivery_info": {"exchange": "", "routing_key": "python"}, "priority": 0, "body_encoding": "base64", "delivery_tag": "5a4ce6c5-4f0b-4d6b-a9d5-6ffb0d1a7ac1"}}"#;

/// Returns the value of a sample.
fn sample(metrics: &str, of: &str) -> Option<f64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(of)?.strip_prefix(' '))?;
    line.parse().ok()
}

#[tokio::test]
async fn the_age_of_what_waits_is_exact_for_ours_and_at_least_that_for_pythons() {
    let redis = RedisServer::start().await;
    let mut config = Settings::default();
    config.redis.url = redis.socket_url().parse().unwrap();
    let connections = Connections::new(&config.redis, "test").unwrap();
    let client = Client::new(&connections, &config);
    client.publish(&Publish::new("t").queue("ours")).await.unwrap();
    let ages = || async {
        // Each with a site of its own: what was seen first is known to all.
        let web = Web::of(&redis.socket_url(), false);
        let text = web.get("/metrics", &[]).await.text;
        let age = |queue: &str| {
            sample(&text, &format!("rhubarb_queue_oldest_waiting_seconds{{queue=\"{queue}\"}}"))
        };
        (age("ours"), age("python"), text)
    };
    eventually(SOON, "a second has passed", async || ages().await.0.filter(|age| *age > 1.0)).await;
    let mut push = redis::cmd("LPUSH");
    let _: u64 = client.queue().query(push.arg("python").arg(FROM_PYTHON)).await.unwrap();
    let mut known = redis::cmd("SADD");
    let known = known.arg("rhubarb:queues").arg("python");
    let _: u64 = client.queue().query(known).await.unwrap();
    let (ours, python, text) = ages().await;
    assert!(python < ours, "nobody has seen it before: {text}");
    assert_eq!(sample(&text, "rhubarb_load_ratio"), Some(2.0));
    assert_eq!(sample(&text, "rhubarb_slots"), Some(0.0));
    eventually(SOON, "it grows older", async || ages().await.1.filter(|age| *age >= 0.3)).await;
    let _: u64 = client.queue().query(redis::cmd("DEL").arg("python")).await.unwrap();
    let (_, gone, text) = ages().await;
    assert_eq!(gone, Some(0.0), "{text}");
    promtool(&text);
}

/// Has Prometheus' own tool look at metrics, where it is installed.
fn promtool(metrics: &str) {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        println!("LEFT OUT: promtool is not installed: the metrics were not checked by it");
        return;
    };
    child.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let said = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&said.stderr) + String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success() && words.trim().is_empty(), "{words}");
}
