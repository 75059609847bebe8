//! A web site of one test's own, which remembers what it was asked.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Instant,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
};
use futures_util::stream;
use rhubarb_demo::site;

/// A request as the site saw it.
#[derive(Clone, Debug)]
pub struct Hit {
    /// What was asked for: the path with its query, or the whole URL where the site is a proxy.
    pub uri: Uri,
    /// The request's headers.
    pub headers: HeaderMap,
    /// When it came.
    pub at: Instant,
}

type Hits = Arc<Mutex<Vec<Hit>>>;

/// A running site; it ends when it is dropped.
#[derive(Debug)]
pub struct Site {
    site: site::Site,
    hits: Hits,
}

impl Site {
    /// Serves these routes; whatever else is asked for, robots.txt too, is 404.
    pub async fn start(routes: Router) -> Self {
        Self::start_with(|_| routes).await
    }

    /// Serves what `routes` makes of the site's own URL.
    ///
    /// # Panics
    /// When loopback has no free port.
    pub async fn start_with(routes: impl FnOnce(&str) -> Router) -> Self {
        let hits = Hits::default();
        let record = middleware::from_fn_with_state(Arc::clone(&hits), record);
        let site = site::Site::start(|url| routes(url).layer(record)).await;
        Self { site: site.expect("loopback has a free port"), hits }
    }

    /// Returns its address.
    pub fn address(&self) -> SocketAddr {
        self.site.address()
    }

    /// Returns its address as `host:port`.
    pub fn host(&self) -> String {
        self.site.host()
    }

    /// Returns the address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.site.url())
    }

    /// Returns the requests for a path, in order, whatever their query.
    pub fn hits(&self, path: &str) -> Vec<Hit> {
        self.all_hits().into_iter().filter(|hit| hit.uri.path() == path).collect()
    }

    /// Returns all requests, in order.
    ///
    /// # Panics
    /// Never: no holder of the lock can panic.
    pub fn all_hits(&self) -> Vec<Hit> {
        self.hits.lock().expect("no holder of this lock can panic").clone()
    }
}

async fn record(State(hits): State<Hits>, request: Request, next: Next) -> Response {
    let (uri, headers) = (request.uri().clone(), request.headers().clone());
    let hit = Hit { uri, headers, at: Instant::now() };
    hits.lock().expect("no holder of this lock can panic").push(hit);
    next.run(request).await
}

/// How a path answers badly.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// This status, with a short text.
    Status(u16),
    /// 200 and a web page, whatever was asked for.
    WebPage,
    /// The first half of the good answer, as if that were all.
    Truncated,
    /// A body of JSON that never ends, as fast as it is read.
    Endless,
    /// No answer at all on an open connection.
    Silent,
}

impl Fault {
    /// Answers badly in place of `next`.
    ///
    /// # Panics
    /// When the status is none, or the good answer is longer than a megabyte.
    pub async fn answer(self, request: Request, next: Next) -> Response {
        match self {
            Self::Status(code) => {
                let code = StatusCode::from_u16(code).expect("tests ask for real status codes");
                (code, "out of order").into_response()
            }
            Self::WebPage => Html("<!doctype html><h1>We'll be back soon</h1>").into_response(),
            Self::Truncated => {
                let (mut head, body) = next.run(request).await.into_parts();
                head.headers.remove(header::CONTENT_LENGTH);
                let body = to_bytes(body, 1 << 20).await.expect("our own pages are short");
                Response::from_parts(head, body.slice(..body.len() / 2).into())
            }
            Self::Endless => {
                let spaces = Bytes::from(vec![b' '; 64 * 1024]);
                let endless = stream::repeat_with(move || Ok::<_, Infallible>(spaces.clone()));
                let json = [(header::CONTENT_TYPE, "application/json")];
                (json, Body::from_stream(endless)).into_response()
            }
            Self::Silent => std::future::pending().await,
        }
    }
}
