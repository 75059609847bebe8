//! Answers that break the letter of HTTP and that browsers read all the same.

use std::{io::Write, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::Request as Asked,
    http::{HeaderValue, StatusCode, header},
    response::IntoResponse,
    routing::get as route,
};
use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use rhubarb_scrape::{
    config::ScrapeConfig,
    error::FetchError,
    fetch::Fetcher,
    page::{Content, Page, Request},
};

use crate::server::{Site, config, fetcher, get, raw, url};

const TEXT: &[u8] = b"some text that is long enough to be worth its compression, worth it";

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

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Fetches a body with this `Content-Encoding`.
async fn encoded(encoding: &'static str, body: Vec<u8>) -> Result<Page, FetchError> {
    let body = Bytes::from(body);
    let handler = move || async move { ([(header::CONTENT_ENCODING, encoding)], body) };
    get(&Site::start(Router::new().route("/", route(handler))).await, "/").await
}

/// Fetches a whole answer as it stands on the wire.
async fn answered(answer: &'static [u8]) -> Result<Page, FetchError> {
    let fetcher = Fetcher::new(&ScrapeConfig { obey_robots: false, ..config() }).unwrap();
    fetcher.get(&Request::get(format!("http://{}/", raw(answer).await).parse().unwrap())).await
}

#[tokio::test]
async fn every_way_to_name_and_to_nest_compressions_is_undone() {
    for (encoding, body) in [
        ("deflate", deflate(TEXT)),
        ("deflate", zlib(TEXT)),
        ("x-gzip", gzip(TEXT)),
        ("GZIP", gzip(TEXT)),
        ("gzip, gzip", gzip(&gzip(TEXT))),
        ("deflate , x-gzip", gzip(&deflate(TEXT))),
        ("identity, gzip", gzip(TEXT)),
        ("gzip;q=1.0", gzip(TEXT)),
        ("", TEXT.to_vec()),
        ("none", TEXT.to_vec()),
        ("utf-8", TEXT.to_vec()),
        // Plain, though it says otherwise: a proxy undid it and kept the header.
        ("gzip", TEXT.to_vec()),
        ("deflate", b"{\"jobs\":[]}".to_vec()),
        ("br", b"<html>not in brotli at all</html>".to_vec()),
        ("zstd", TEXT.to_vec()),
        // Many parts, one behind the other, are one body (RFC 1952, 2.2).
        ("gzip", [gzip(&TEXT[..20]), gzip(&TEXT[20..])].concat()),
        // Zero bytes and junk behind the end are passed over.
        ("gzip", [gzip(TEXT), vec![0; 7]].concat()),
    ] {
        let plain = body.starts_with(b"{") || body.starts_with(b"<");
        let page = encoded(encoding, body.clone()).await;
        let page = page.unwrap_or_else(|error| panic!("{encoding}: {error}"));
        assert_eq!(page.bytes, if plain { &body } else { TEXT }, "{encoding}");
    }
}

#[tokio::test]
async fn a_compression_that_is_nested_without_end_or_unknown_is_refused() {
    for (encoding, body) in [
        ("gzip, gzip, gzip, gzip, gzip, gzip", gzip(TEXT)),
        ("compress", b"\x1f\x9d\x90".to_vec()),
        ("gzip", gzip(TEXT)[..40].to_vec()),
        ("aes128gcm", b"\x00\x01".to_vec()),
    ] {
        let error = encoded(encoding, body).await.unwrap_err();
        assert!(matches!(error, FetchError::Decode { .. }), "{encoding}: {error:?}");
    }
}

#[tokio::test]
async fn odd_lines_of_a_head_do_not_cost_the_answer() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nX Powered By: y\r\nContent-Length: 5\r\n\r\nhello"[..],
        b"HTTP/1.1 200 OK\r\nX-Powered-By : y\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nno colon at all\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\n: no name\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX-B(ad)[name]: y\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX-Caf\xe9: y\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX-Name: caf\xe9\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX-Name: one\r\n two\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 Tr\xe8s bien\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ] {
        let shown = String::from_utf8_lossy(answer);
        let page = answered(answer).await.unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!(page.bytes, "hello", "{shown}");
    }
}

#[tokio::test]
async fn a_part_that_nobody_asked_for_is_no_page() {
    let part = || async {
        (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, "bytes 0-4/500")], "hello")
    };
    let site = Site::start(Router::new().route("/", route(part))).await;
    let error = get(&site, "/").await.unwrap_err();
    assert_eq!(error, FetchError::Part { host: site.host() });
    assert_eq!(site.hits("/").len(), 1);
}

#[tokio::test]
async fn a_redirect_is_followed_wherever_a_browser_would_go() {
    let site = Site::start(Router::new().fallback(async |asked: Asked| {
        let path = asked.uri().path().to_owned();
        let location: &[u8] = match path.as_str() {
            "/blank" => b" /new place ",
            "/utf8" => "/größe".as_bytes(),
            "/latin1" => b"/gr\xf6\xdfe",
            "/relative" => b"new%20place",
            "/fragment" => b"/new%20place#top",
            _ => return path.into_response(),
        };
        let mut answer = StatusCode::FOUND.into_response();
        let location = HeaderValue::from_bytes(location).unwrap();
        answer.headers_mut().insert(header::LOCATION, location);
        answer
    }))
    .await;
    for (path, expect) in [
        ("/blank", "/new%20place"),
        ("/utf8", "/gr%C3%B6%C3%9Fe"),
        ("/latin1", "/gr%F6%DFe"),
        ("/relative", "/new%20place"),
        ("/fragment", "/new%20place"),
    ] {
        let page = get(&site, path).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(page.bytes, expect, "{path}");
    }
}

#[tokio::test]
async fn only_a_redirects_location_is_followed() {
    for status in [200, 201, 304, 300] {
        let handler = move || async move {
            (StatusCode::from_u16(status).unwrap(), [(header::LOCATION, "/other")])
        };
        let site = Site::start(Router::new().route("/", route(handler))).await;
        let answer = get(&site, "/").await;
        assert_eq!(answer.is_ok(), status < 300, "{status}: {answer:?}");
        assert!(site.hits("/other").is_empty(), "{status}");
    }
    let empty = || async { (StatusCode::FOUND, [(header::LOCATION, "")]) };
    let site = Site::start(Router::new().route("/", route(empty))).await;
    let error = get(&site, "/").await.unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 302, .. }), "{error:?}");
}

/// Serves `/`, which wants the cookies of a dance over `/set`, and answers with what it got.
async fn dancing(set: &'static [&'static str]) -> Site {
    let start = async |asked: Asked| match asked.headers().get(header::COOKIE) {
        Some(cookies) => String::from_utf8_lossy(cookies.as_bytes()).into_owned().into_response(),
        None => (StatusCode::FOUND, [(header::LOCATION, "/set")]).into_response(),
    };
    let handler = move || async move {
        let mut answer = (StatusCode::FOUND, [(header::LOCATION, "/")]).into_response();
        for cookie in set {
            answer.headers_mut().append(header::SET_COOKIE, HeaderValue::from_static(cookie));
        }
        answer
    };
    Site::start(Router::new().route("/", route(start)).route("/set", route(handler))).await
}

#[tokio::test]
async fn a_redirect_that_waits_for_its_cookie_gets_it() {
    let site = dancing(&["seen=1; Path=/", "lang=en; HttpOnly; SameSite=None"]).await;
    let page = get(&site, "/").await.unwrap();
    let mut cookies: Vec<&str> = std::str::from_utf8(&page.bytes).unwrap().split("; ").collect();
    cookies.sort_unstable();
    assert_eq!(cookies, ["lang=en", "seen=1"]);
}

#[tokio::test]
async fn cookies_that_are_not_for_this_host_are_not_kept() {
    for cookie in [
        &["a=1; Domain=example.com"][..],
        &["a=1; Domain=com"],
        &["a=1; Max-Age=0"],
        &["a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
        &["a=1; Path=/elsewhere"],
        &["=; ;;"],
    ] {
        let error = get(&dancing(cookie).await, "/").await.unwrap_err();
        assert!(matches!(error, FetchError::TooManyRedirects { .. }), "{cookie:?}: {error:?}");
    }
}

#[tokio::test]
async fn cookies_last_for_one_run_of_a_source() {
    let site = dancing(&["seen=1; Path=/"]).await;
    let (fetcher, request) = (fetcher(), Request::get(url(&site, "/")));
    let run = fetcher.for_source();
    for _ in 0..2 {
        run.get(&request).await.unwrap();
    }
    assert_eq!(site.hits("/set").len(), 1, "one dance for two pages of a run");
    fetcher.for_source().get(&request).await.unwrap();
    fetcher.get(&request).await.unwrap();
    assert_eq!(site.hits("/set").len(), 3, "and another one for each other run");
}

#[tokio::test]
async fn json_is_posted_where_a_source_asks_so() {
    let site = Site::start(Router::new().fallback(async |asked: Asked| {
        let method = asked.method().to_string();
        let kind = asked.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let body = axum::body::to_bytes(asked.into_body(), 1 << 10).await.unwrap();
        format!("{method} {kind} {}", String::from_utf8_lossy(&body))
    }))
    .await;
    let body = serde_json::json!({ "offset": 20 });
    let request = Request::post_json(url(&site, "/jobs"), &body).kind(Content::Any);
    let config = ScrapeConfig { obey_robots: false, ..config() };
    let page = Fetcher::new(&config).unwrap().get(&request).await.unwrap();
    assert_eq!(page.bytes, "POST application/json {\"offset\":20}");
    assert!(site.hits("/jobs")[0].headers["accept"].to_str().unwrap().contains("*/*"));
}

#[tokio::test]
async fn a_post_is_not_turned_into_a_get_by_a_redirect() {
    for (status, follows) in [(301, false), (302, false), (303, false), (307, true), (308, true)] {
        let methods = Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = Arc::clone(&methods);
        let site = Site::start(Router::new().fallback(move |asked: Asked| {
            seen.lock().unwrap().push(format!("{} {}", asked.method(), asked.uri().path()));
            let is_target = asked.uri().path() == "/new";
            let status = StatusCode::from_u16(if is_target { 200 } else { status }).unwrap();
            async move { (status, [(header::LOCATION, "/new")]) }
        }))
        .await;
        let request = Request::post_json(url(&site, "/jobs"), &serde_json::json!({}));
        let config = ScrapeConfig { obey_robots: false, ..config() };
        let answer = Fetcher::new(&config).unwrap().get(&request).await;
        let expect: &[&str] = if follows { &["POST /jobs", "POST /new"] } else { &["POST /jobs"] };
        assert_eq!(*methods.lock().unwrap(), expect, "{status}");
        assert_eq!(answer.is_ok(), follows, "{status}: {answer:?}");
    }
}
