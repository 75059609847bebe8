//! A local site that remembers what it was asked, and a fetcher that may ask it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{Request as HttpRequest, State},
    http::HeaderMap,
    middleware::{self, Next},
    response::Response,
};
use rhubarb_core::config::ScrapeConfig;
use rhubarb_scrape::{
    error::FetchError,
    fetch::Fetcher,
    page::{Page, Request},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};
use url::Url;

/// A request as the site saw it.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) at: Instant,
}

type Hits = Arc<Mutex<Vec<Hit>>>;

/// A running site; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    hits: Hits,
    _serving: JoinSet<()>,
}

impl Site {
    /// Serves these routes; whatever else is asked for, robots.txt too, is 404.
    pub(crate) async fn start(routes: Router) -> Self {
        let hits = Hits::default();
        let app = routes.layer(middleware::from_fn_with_state(Arc::clone(&hits), record));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, hits, _serving: serving }
    }

    /// Answers each connection with these bytes and closes it.
    pub(crate) async fn start_raw(answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 4096];
                if stream.read(&mut head).await.is_ok() {
                    stream.write_all(answer).await.ok();
                    stream.shutdown().await.ok();
                }
            }
        });
        Self { address, hits: Hits::default(), _serving: serving }
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }

    /// Returns the requests for this path, in order.
    pub(crate) fn hits(&self, path: &str) -> Vec<Hit> {
        let hits = self.hits.lock().unwrap();
        hits.iter().filter(|hit| hit.path == path).cloned().collect()
    }
}

async fn record(State(hits): State<Hits>, request: HttpRequest, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let headers = request.headers().clone();
    hits.lock().unwrap().push(Hit { path, headers, at: Instant::now() });
    next.run(request).await
}

/// Returns settings that let a test be quick and fetch from this machine.
pub(crate) fn config() -> ScrapeConfig {
    ScrapeConfig {
        keywords: Vec::new(),
        timezone: "UTC".to_owned(),
        fresh_for: Duration::from_secs(600),
        user_agent: "rhubarb-test/0.1 (+https://example.com/bot)".to_owned(),
        min_interval: Duration::from_millis(1),
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(30),
        source_timeout: Duration::from_secs(60),
        max_body_bytes: 64 * 1024,
        max_redirects: 5,
        allow_downgrade: false,
        obey_robots: true,
        allow_private: vec!["127.0.0.1".to_owned()],
        allow_private_proxies: vec!["127.0.0.1".to_owned()],
        match_description: false,
        proxy_lists: Vec::new(),
        proxies_required: false,
        concurrent_sources: 1,
    }
}

/// Returns a fetcher with [`config`]'s settings.
pub(crate) fn fetcher() -> Fetcher {
    Fetcher::new(&config()).unwrap()
}

/// Fetches a path of a site once, with a fetcher of its own.
pub(crate) async fn get(site: &Site, path: &str) -> Result<Page, FetchError> {
    fetcher().get(&Request::get(site.url(path))).await
}
