//! Every kind of answer, good and bad, ends as a page or as the error that says what it was.

use std::{
    convert::Infallible,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{StatusCode, header},
    response::{IntoResponse, Redirect},
    routing::get as route,
};
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use futures_util::stream;
use rhubarb_scrape::{
    config::ScrapeConfig,
    error::{FetchError, Phase},
    fetch::Fetcher,
    page::{Content, Request},
};
use tokio::time::Instant;

use crate::server::{Site, config, fetcher, get, raw, url};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Serves one body at `/` with this `Content-Encoding`.
async fn encoded(encoding: &'static str, body: Vec<u8>) -> Site {
    let body = Bytes::from(body);
    let handler = move || async move { ([(header::CONTENT_ENCODING, encoding)], body) };
    Site::start(Router::new().route("/", route(handler))).await
}

/// Serves these statuses at `/` one after the other, the last one for ever.
async fn statuses(of: &'static [u16]) -> Site {
    let turn = Arc::new(AtomicUsize::new(0));
    let handler = move || {
        let n = turn.fetch_add(1, Ordering::SeqCst).min(of.len() - 1);
        async move { StatusCode::from_u16(of[n]).unwrap() }
    };
    Site::start(Router::new().route("/", route(handler))).await
}

#[tokio::test]
async fn a_page_comes_with_where_it_came_from_and_what_it_is() {
    let page =
        || async { ([(header::CONTENT_TYPE, "text/plain; charset=koi8-r")], &b"\xED\xC9\xD2"[..]) };
    let routes = Router::new()
        .route("/old", route(|| async { Redirect::permanent("new?q=1") }))
        .route("/new", route(page));
    let site = Site::start(routes).await;
    let page = get(&site, "/old").await.unwrap();
    assert_eq!(page.url, url(&site, "/new?q=1"));
    assert_eq!((page.status, page.text().as_str()), (200, "Мир"));
    let hit = &site.hits("/new")[0];
    assert_eq!(hit.headers["user-agent"], "rhubarb-test/0.1 (+https://example.com/bot)");
    assert!(!hit.headers.contains_key("referer"));
}

#[tokio::test]
async fn every_compression_is_undone() {
    // Brotli and zstd by hand, as stored blocks: no encoder for five letters.
    let brotli = b"\x0b\x02\x80hello\x03".to_vec();
    let zstd = b"\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello".to_vec();
    for (encoding, body) in
        [("gzip", gzip(b"hello")), ("deflate", zlib(b"hello")), ("br", brotli), ("zstd", zstd)]
    {
        let site = encoded(encoding, body).await;
        assert_eq!(get(&site, "/").await.unwrap().bytes, "hello", "{encoding}");
        let accepted = site.hits("/")[0].headers["accept-encoding"].to_str().unwrap().to_owned();
        assert!(accepted.contains(encoding), "{accepted}");
    }
}

#[tokio::test]
async fn an_endless_body_is_too_large() {
    let endless = || async {
        let chunks = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 1024])));
        Body::from_stream(chunks)
    };
    let site = Site::start(Router::new().route("/", route(endless))).await;
    let error = get(&site, "/").await.unwrap_err();
    let host = site.host();
    assert_eq!(error, FetchError::TooLarge { host, limit: 64 * 1024 });
    assert_eq!(site.hits("/").len(), 1);
}

#[tokio::test]
async fn the_limit_counts_after_decompression_and_is_itself_allowed() {
    let limit = config().max_body_bytes;
    let bomb = encoded("gzip", gzip(&vec![0; 10_000_000])).await;
    assert!(matches!(get(&bomb, "/").await, Err(FetchError::TooLarge { .. })));
    let full = encoded("gzip", gzip(&vec![0; limit])).await;
    assert_eq!(get(&full, "/").await.unwrap().bytes.len(), limit);
    let over = encoded("gzip", gzip(&vec![0; limit + 1])).await;
    assert!(matches!(get(&over, "/").await, Err(FetchError::TooLarge { .. })));
}

#[tokio::test]
async fn a_broken_or_incomplete_compression_is_told_from_a_cut_connection() {
    let whole = gzip(b"some text that is long enough to be cut in the middle");
    let cut = encoded("gzip", whole[..whole.len() / 2].to_vec()).await;
    let error = get(&cut, "/").await.unwrap_err();
    assert!(matches!(error, FetchError::Decode { .. }), "{error:?}");
    let junk = encoded("gzip", b"\x00\x01neither gzip nor text".to_vec()).await;
    let error = get(&junk, "/").await.unwrap_err();
    assert!(matches!(error, FetchError::Decode { .. }), "{error:?}");

    let config = ScrapeConfig { obey_robots: false, ..config() };
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
        b"HTTP/1.1 200 OK\r\nConte",
    ] {
        let page = format!("http://{}/", raw(answer).await).parse().unwrap();
        let fetcher = Fetcher::new(&config).unwrap();
        let error = fetcher.get(&Request::get(page)).await.unwrap_err();
        assert!(matches!(error, FetchError::CutOff { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_body_that_trickles_and_a_head_that_never_comes_run_out_of_time() {
    let trickle = || async {
        let chunks = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Some((Ok::<_, Infallible>("x"), ()))
        });
        Body::from_stream(chunks)
    };
    let routes = Router::new()
        .route("/trickle", route(trickle))
        .route("/silent", route(|| async { std::future::pending::<()>().await }));
    let site = Site::start(routes).await;
    let fetcher = Fetcher::new(&ScrapeConfig {
        request_timeout: Duration::from_millis(300),
        obey_robots: false,
        ..config()
    })
    .unwrap();
    for (path, expect) in [("/trickle", Phase::Body), ("/silent", Phase::Head)] {
        let error = fetcher.get(&Request::get(url(&site, path))).await.unwrap_err();
        assert!(matches!(error, FetchError::Timeout { phase, .. } if phase == expect), "{error:?}");
        assert_eq!(site.hits(path).len(), 3, "tried again twice");
    }
}

#[tokio::test]
async fn no_try_begins_after_the_deadline() {
    let site = statuses(&[500]).await;
    let request = Request::get(url(&site, "/")).deadline(Instant::now());
    assert!(fetcher().get(&request).await.is_err());
    assert!(site.hits("/").len() <= 1);
}

#[tokio::test]
async fn what_passes_is_tried_again_twice() {
    let healed = statuses(&[500, 502, 200]).await;
    assert_eq!(get(&healed, "/").await.unwrap().status, 200);
    let broken = statuses(&[500]).await;
    let error = get(&broken, "/").await.unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 500, .. }), "{error:?}");
    assert_eq!(broken.hits("/").len(), 3);
}

#[tokio::test]
async fn what_lasts_is_not_tried_again() {
    for status in [400, 401, 403, 404, 410, 304] {
        let site = statuses(Box::leak(Box::new([status, 200]))).await;
        let error = get(&site, "/").await.unwrap_err();
        let fits = match status {
            404 | 410 => matches!(error, FetchError::NotFound { status: s, .. } if s == status),
            401 | 403 => matches!(error, FetchError::Blocked { status: s, .. } if s == status),
            _ => matches!(error, FetchError::Status { status: s, .. } if s == status),
        };
        assert!(fits, "{status}: {error:?}");
        assert_eq!(site.hits("/").len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    // A port that was free a moment ago, and is nobody's now.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/?key=hunter2", listener.local_addr().unwrap());
    drop(listener);
    let error = fetcher().get(&Request::get(url.parse().unwrap())).await.unwrap_err();
    assert!(matches!(error, FetchError::Connect { .. }), "{error:?}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn redirects_end_after_the_limit() {
    let site = Site::start(Router::new().route("/", route(|| async { Redirect::to("/") }))).await;
    let error = get(&site, "/").await.unwrap_err();
    assert!(matches!(error, FetchError::TooManyRedirects { limit: 5, .. }), "{error:?}");
    assert_eq!(site.hits("/").len(), 6);
}

#[tokio::test]
async fn a_redirect_leads_neither_into_a_private_network_nor_out_of_http() {
    let secret = Site::start(Router::new().route("/", route(|| async { "secret" }))).await;
    let port = secret.address().port();
    let targets = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
    ];
    for target in targets {
        let to = target.clone();
        let site =
            Site::start(Router::new().route("/", route(move || async move { Redirect::to(&to) })))
                .await;
        let allow = vec![site.host()];
        let fetcher = Fetcher::new(&ScrapeConfig { allow_private: allow, ..config() }).unwrap();
        let error = fetcher.get(&Request::get(url(&site, "/"))).await.unwrap_err();
        assert!(matches!(error, FetchError::PrivateAddress { .. }), "{target}: {error:?}");
    }
    assert!(secret.hits("/").is_empty());

    let site = Site::start(
        Router::new().route("/", route(|| async { Redirect::to("file:///etc/passwd") })),
    )
    .await;
    let error = get(&site, "/").await.unwrap_err();
    assert!(matches!(error, FetchError::BadUrl { .. }), "{error:?}");
}

#[tokio::test]
async fn a_private_address_is_refused_unless_allowed() {
    let site = Site::start(Router::new().route("/", route(|| async { "hello" }))).await;
    let with = |allow: &[String]| {
        Fetcher::new(&ScrapeConfig { allow_private: allow.to_vec(), ..config() }).unwrap()
    };
    let request = Request::get(url(&site, "/"));
    let error = with(&[]).get(&request).await.unwrap_err();
    assert_eq!(error, FetchError::PrivateAddress { host: site.host() });
    assert!(site.hits("/").is_empty() && site.hits("/robots.txt").is_empty());
    for allow in ["*".to_owned(), "127.0.0.1".to_owned(), site.host()] {
        assert_eq!(with(&[allow]).get(&request).await.unwrap().bytes, "hello");
    }
}

#[tokio::test]
async fn another_kind_than_asked_for_is_an_error() {
    let html = || async {
        ([(header::CONTENT_TYPE, "text/html")], "<!doctype html><p>Sorry").into_response()
    };
    let site = Site::start(Router::new().route("/", route(html))).await;
    let request = Request::get(url(&site, "/")).kind(Content::Json);
    let error = fetcher().get(&request).await.unwrap_err();
    let host = site.host();
    let found = "text/html".to_owned();
    assert_eq!(error, FetchError::UnexpectedType { host, expected: "JSON", found });
    assert!(site.hits("/")[0].headers["accept"].to_str().unwrap().starts_with("application/json"));
}

#[tokio::test]
async fn what_is_no_web_address_is_refused() {
    for url in ["ftp://example.com/", "file:///etc/passwd", "data:text/plain,x"] {
        let error = fetcher().get(&Request::get(url.parse().unwrap())).await.unwrap_err();
        assert!(matches!(error, FetchError::BadUrl { .. }), "{url}: {error:?}");
    }
}
