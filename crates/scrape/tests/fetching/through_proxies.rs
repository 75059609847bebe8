//! Requests through proxies, and the lists that name them.

use axum::{Router, http::StatusCode, routing::get as route};
use rhubarb_core::class::Class;
use rhubarb_scrape::{
    config::{ProxyUse, ScrapeConfig},
    error::FetchError,
    fetch::Fetcher,
    page::Request,
    proxies::Proxy,
};
use url::Url;

use crate::server::{Site, config, fetcher, url};

/// A name that no resolver knows: only a proxy can answer for it.
fn page() -> Url {
    Url::parse("http://jobs.example.invalid/jobs").unwrap()
}

fn through(proxy: &str) -> Request {
    Request::get(page()).proxy(Some(proxy.parse().unwrap()))
}

#[tokio::test]
async fn a_request_goes_through_its_proxy_with_its_credentials() {
    let site = Site::start(Router::new().route("/jobs", route(|| async { "jobs" }))).await;
    let proxy = format!("{}:alice:hunter2", site.address());
    let answer = fetcher().get(&through(&proxy)).await.unwrap();
    assert_eq!((answer.bytes.as_ref(), answer.url), (&b"jobs"[..], page()));
    let hit = &site.hits("/jobs")[0];
    assert_eq!(hit.headers["host"], "jobs.example.invalid");
    // `alice:hunter2` in base64.
    assert_eq!(hit.headers["proxy-authorization"], "Basic YWxpY2U6aHVudGVyMg==");
    assert_eq!(site.hits("/robots.txt").len(), 1, "robots.txt comes the same way");
}

#[tokio::test]
async fn a_fetcher_sends_through_its_proxies_in_turn() {
    let site = || Site::start(Router::new().route("/jobs", route(|| async { "jobs" })));
    let sites = [site().await, site().await];
    let proxies = sites.iter().map(|site| site.host().parse().unwrap()).collect();
    let config = ScrapeConfig { obey_robots: false, ..config() };
    let fetcher = Fetcher::new(&config).unwrap().through(proxies);
    for _ in 0..4 {
        fetcher.get(&Request::get(page())).await.unwrap();
    }
    assert_eq!(sites.map(|site| site.hits("/jobs").len()), [2, 2]);
}

/// The address of nobody.
async fn dead() -> Proxy {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap()).parse().unwrap()
}

#[tokio::test]
async fn a_proxy_that_fails_is_passed_over_and_a_run_keeps_the_one_that_serves() {
    let site = || Site::start(Router::new().route("/jobs", route(|| async { "jobs" })));
    let sites = [site().await, site().await];
    let mut proxies = vec![dead().await];
    proxies.extend(sites.iter().map(|site| site.host().parse::<Proxy>().unwrap()));
    let config = ScrapeConfig { obey_robots: false, ..config() };
    let fetcher = Fetcher::new(&config).unwrap().through(proxies);
    let run = fetcher.for_source();
    for _ in 0..4 {
        run.get(&Request::get(page())).await.unwrap();
    }
    assert_eq!(sites.map(|site| site.hits("/jobs").len()), [4, 0]);
}

#[tokio::test]
async fn a_host_that_refuses_or_slows_us_is_not_asked_through_the_next_proxy() {
    for status in [401, 403, 429] {
        let answer = move || async move { StatusCode::from_u16(status).unwrap() };
        let sites = [
            Site::start(Router::new().route("/jobs", route(answer))).await,
            Site::start(Router::new().route("/jobs", route(|| async { "jobs" }))).await,
        ];
        let proxies = sites.iter().map(|site| site.host().parse().unwrap()).collect();
        let config = ScrapeConfig { obey_robots: false, ..config() };
        let fetcher = Fetcher::new(&config).unwrap().through(proxies);
        assert!(fetcher.get(&Request::get(page())).await.is_err(), "{status}");
        assert_eq!(sites.map(|site| site.hits("/jobs").len()), [1, 0], "{status}");
    }
}

#[tokio::test]
async fn without_a_proxy_that_serves_the_setting_decides() {
    let site = Site::start(Router::new().route("/jobs", route(|| async { "jobs" }))).await;
    for proxies in [ProxyUse::Preferred, ProxyUse::Required] {
        let config = ScrapeConfig { obey_robots: false, proxies, ..config() };
        let fetcher = Fetcher::new(&config).unwrap().through(vec![dead().await]);
        let answer = fetcher.get(&Request::get(url(&site, "/jobs"))).await;
        if proxies == ProxyUse::Required {
            assert_eq!(answer.unwrap_err(), FetchError::NoProxy { host: site.host() });
        } else {
            assert_eq!(answer.unwrap().bytes, "jobs");
        }
    }
    assert_eq!(site.hits("/jobs").len(), 1);
}

#[tokio::test]
async fn proxies_that_are_off_are_gone_through_by_nobody() {
    let site = Site::start(Router::new().route("/jobs", route(|| async { "jobs" }))).await;
    let proxy = Site::start(Router::new().fallback(|| async { "the proxy's" })).await;
    let config = ScrapeConfig { obey_robots: false, proxies: ProxyUse::Off, ..config() };
    let list = vec![proxy.host().parse().unwrap()];
    let fetcher = Fetcher::new(&config).unwrap().through(list);
    let page = fetcher.get(&Request::get(url(&site, "/jobs"))).await.unwrap();
    assert_eq!((&*page.bytes, proxy.all_hits().len()), (&b"jobs"[..], 0));
}

#[tokio::test]
async fn a_proxy_that_does_not_serve_is_named_without_its_credentials() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = listener.local_addr().unwrap();
    drop(listener);
    let picky = Router::new().fallback(|| async { StatusCode::PROXY_AUTHENTICATION_REQUIRED });
    let picky = Site::start(picky).await;
    for address in [dead, picky.address()] {
        for scheme in ["http", "socks5"] {
            let request = through(&format!("{scheme}://alice:hunter2@{address}"));
            let error = fetcher().get(&request).await.unwrap_err();
            assert!(matches!(error, FetchError::Proxy { .. }), "{error:?}");
            assert_eq!(error.class(), Class::Transient);
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2") && !shown.contains("alice"), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_proxy_is_no_way_into_a_private_network() {
    let site = Site::start(Router::new()).await;
    let fetcher = Fetcher::new(&ScrapeConfig { allow_private: Vec::new(), ..config() }).unwrap();
    let proxy: Proxy = format!("http://{}", site.address()).parse().unwrap();
    let request = Request::get(Url::parse("http://10.0.0.1/").unwrap()).proxy(Some(proxy));
    let error = fetcher.get(&request).await.unwrap_err();
    assert_eq!(error, FetchError::PrivateAddress { host: "10.0.0.1".to_owned() });
}

#[tokio::test]
async fn a_list_is_fetched_without_the_private_addresses_in_it() {
    let list = "1.1.1.1:80\n10.0.0.1:80\n1.1.1.1:6379\nnot a proxy\n";
    let site = Site::start(Router::new().route("/list", route(move || async move { list }))).await;
    let found = fetcher().proxy_list(&url(&site, "/list")).await.unwrap();
    let urls: Vec<&str> = found.proxies.iter().map(|p| p.expose().as_str()).collect();
    assert_eq!((urls, found.refused), (vec!["http://1.1.1.1/"], 3));
}

#[tokio::test]
async fn a_proxy_is_well_when_it_fetches_the_page() {
    let site = Site::start(Router::new().route("/jobs", route(|| async { "jobs" }))).await;
    let proxy: Proxy = format!("http://{}", site.address()).parse().unwrap();
    assert!(fetcher().serves(&proxy, &page()).await);
    let missing = page().join("/missing").unwrap();
    assert!(!fetcher().serves(&proxy, &missing).await);
}

#[tokio::test]
async fn a_permission_for_pages_is_none_for_proxies() {
    let site = Site::start(Router::new().route("/jobs", route(|| async { "secret" }))).await;
    let closed = ScrapeConfig {
        allow_private: vec!["*".to_owned()],
        allow_private_proxies: Vec::new(),
        ..config()
    };
    let fetcher = Fetcher::new(&closed).unwrap();
    for scheme in ["http", "https", "socks4", "socks5", "socks5h"] {
        let request = through(&format!("{scheme}://{}", site.address()));
        let error = fetcher.get(&request).await.unwrap_err();
        assert!(error.to_string().contains("allow_private_proxies"), "{scheme}: {error}");
    }
    assert_eq!(site.hits("/jobs").len() + site.hits("/robots.txt").len(), 0);
}

#[tokio::test]
async fn a_private_proxy_is_sent_to_no_name_that_resolves_to_our_own_network() {
    let site = Site::start(Router::new().route("/jobs", route(|| async { "secret" }))).await;
    let fetcher = Fetcher::new(&ScrapeConfig { allow_private: Vec::new(), ..config() }).unwrap();
    let own = hostname();
    let private = |address: std::net::SocketAddr| rhubarb_scrape::address::is_private(address.ip());
    let Ok(found) = tokio::net::lookup_host((own.clone(), 80)).await else { return };
    if !found.into_iter().all(private) {
        return;
    }
    let page = Url::parse(&format!("http://{own}/jobs")).unwrap();
    let proxy = format!("http://{}", site.address()).parse().unwrap();
    let error = fetcher.get(&Request::get(page).proxy(Some(proxy))).await.unwrap_err();
    assert_eq!(error, FetchError::PrivateAddress { host: own });
}

/// A name of this machine that is not `localhost`.
fn hostname() -> String {
    std::fs::read_to_string("/etc/hostname").unwrap_or_default().trim().to_ascii_lowercase()
}
