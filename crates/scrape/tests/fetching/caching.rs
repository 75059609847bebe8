//! Pages are not sent for twice: HTTP's caching, over a store that all processes share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::Request as Asked,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::IntoResponse,
    routing::get as route,
};
use rhubarb_scrape::{
    config::ScrapeConfig,
    fetch::{Fetcher, ResponseStore, Storing},
    page::{Content, Fetched, Request},
};

use crate::server::{Site, config, url};

/// A store in memory, for two fetchers as for two processes.
#[derive(Debug, Default)]
struct Memory(Mutex<HashMap<String, Vec<u8>>>);

impl ResponseStore for Memory {
    fn load<'a>(&'a self, key: &'a str) -> Storing<'a, Option<Vec<u8>>> {
        Box::pin(async move { self.0.lock().unwrap().get(key).cloned() })
    }

    fn save<'a>(&'a self, key: &'a str, value: Vec<u8>) -> Storing<'a, ()> {
        Box::pin(async move { drop(self.0.lock().unwrap().insert(key.to_owned(), value)) })
    }
}

fn fetcher(store: &Arc<Memory>) -> Fetcher {
    let config = ScrapeConfig { obey_robots: false, ..config() };
    Fetcher::new(&config).unwrap().with_store(store.clone())
}

/// Serves `/` with these headers; 304 where the request has the answer's own validator.
async fn site(headers: &'static [(&'static str, &'static str)]) -> Site {
    let handler = move |asked: Asked| async move {
        let mut answer = HeaderMap::new();
        for (name, value) in headers {
            answer.append(*name, HeaderValue::from_static(value));
        }
        let has = |validator: header::HeaderName, asks: header::HeaderName| {
            answer.get(&validator).is_some_and(|own| asked.headers().get(asks) == Some(own))
        };
        let is_known = has(header::ETAG, header::IF_NONE_MATCH)
            || has(header::LAST_MODIFIED, header::IF_MODIFIED_SINCE);
        if is_known {
            return (StatusCode::NOT_MODIFIED, answer).into_response();
        }
        answer.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("text/html"));
        (answer, "<p>Gr\u{f6}\u{df}e</p>").into_response()
    };
    Site::start(Router::new().route("/", route(handler))).await
}

/// Fetches twice, as two processes, and tells how the second came.
async fn twice(headers: &'static [(&'static str, &'static str)]) -> (Fetched, usize) {
    let (site, store) = (site(headers).await, Arc::new(Memory::default()));
    let request = Request::get(url(&site, "/")).kind(Content::Html);
    let first = fetcher(&store).get(&request).await.unwrap();
    assert_eq!(first.fetched, Fetched::Full);
    let second = fetcher(&store).get(&request).await.unwrap();
    assert_eq!((&first.bytes, &first.content_type), (&second.bytes, &second.content_type));
    assert_eq!(second.status, 200);
    (second.fetched, site.hits("/").len())
}

#[tokio::test]
async fn a_page_is_not_asked_for_while_it_is_fresh() {
    for headers in [
        &[("cache-control", "max-age=600")][..],
        &[("cache-control", "public, s-maxage=600")],
        &[("cache-control", "private, max-age=600")],
        &[("expires", "Fri, 31 Dec 2027 23:59:59 GMT")],
        &[("cache-control", "max-age=600"), ("vary", "Accept, Accept-Encoding")],
        // A tenth of its age is guessed.
        &[("last-modified", "Wed, 21 Oct 2015 07:28:00 GMT")],
    ] {
        assert_eq!(twice(headers).await, (Fetched::Fresh, 1), "{headers:?}");
    }
}

#[tokio::test]
async fn a_page_that_may_have_changed_is_asked_for_by_its_validator() {
    for headers in [
        &[("etag", "\"a\"")][..],
        &[("etag", "W/\"a\"")],
        &[("etag", "\"a\""), ("cache-control", "no-cache")],
        &[("etag", "\"a\""), ("cache-control", "max-age=0, must-revalidate")],
        &[("etag", "\"a\""), ("cache-control", "max-age=600"), ("age", "700")],
        &[("last-modified", "Wed, 21 Oct 2015 07:28:00 GMT"), ("cache-control", "no-cache")],
    ] {
        assert_eq!(twice(headers).await, (Fetched::NotModified, 2), "{headers:?}");
    }
}

#[tokio::test]
async fn what_is_not_to_be_kept_is_fetched_whole() {
    for headers in [
        &[("etag", "\"a\""), ("cache-control", "no-store")][..],
        &[("cache-control", "max-age=600"), ("vary", "*")],
        &[("content-language", "de")],
    ] {
        assert_eq!(twice(headers).await, (Fetched::Full, 2), "{headers:?}");
    }
}

#[tokio::test]
async fn another_kind_or_body_is_another_page() {
    let site = Site::start(Router::new().fallback(async |asked: Asked| {
        let body = axum::body::to_bytes(asked.into_body(), 1 << 10).await.unwrap();
        ([(header::CACHE_CONTROL, "max-age=600"), (header::CONTENT_TYPE, "application/json")], body)
    }))
    .await;
    let store = Arc::new(Memory::default());
    let post = |n: i32| Request::post_json(url(&site, "/"), &serde_json::json!({ "offset": n }));
    let ask = async |request: Request| {
        let page = fetcher(&store).get(&request).await.unwrap();
        (page.text(), page.fetched)
    };
    assert_eq!(ask(post(0)).await, ("{\"offset\":0}".to_owned(), Fetched::Full));
    assert_eq!(ask(post(20)).await, ("{\"offset\":20}".to_owned(), Fetched::Full));
    assert_eq!(ask(post(0)).await, ("{\"offset\":0}".to_owned(), Fetched::Fresh));
    assert_eq!(ask(Request::get(url(&site, "/"))).await, (String::new(), Fetched::Full));
}

#[tokio::test]
async fn a_304_without_a_validator_of_its_own_counts_too() {
    let handler = |asked: Asked| async move {
        let knows = asked.headers().contains_key(header::IF_NONE_MATCH);
        let status = if knows { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        (
            status,
            [(header::ETAG, if knows { "" } else { "\"a\"" })],
            if knows { "" } else { "page" },
        )
    };
    let site = Site::start(Router::new().route("/", route(handler))).await;
    let (store, request) = (Arc::new(Memory::default()), Request::get(url(&site, "/")));
    fetcher(&store).get(&request).await.unwrap();
    for _ in 0..2 {
        let page = fetcher(&store).get(&request).await.unwrap();
        assert_eq!((page.fetched, page.bytes.as_ref()), (Fetched::NotModified, &b"page"[..]));
    }
}

#[tokio::test]
async fn no_cookie_is_kept_and_what_it_chose_is_for_its_run_only() {
    let handler = |asked: Asked| async move {
        let mut answer = HeaderMap::new();
        answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=600"));
        if !asked.headers().contains_key(header::COOKIE) {
            answer.insert(header::LOCATION, HeaderValue::from_static("/?again"));
            answer.insert(header::SET_COOKIE, HeaderValue::from_static("session=hunter2"));
            return (StatusCode::FOUND, answer).into_response();
        }
        if asked.uri().query() == Some("own") {
            answer.insert(header::VARY, HeaderValue::from_static("Cookie"));
        }
        (answer, "page").into_response()
    };
    let site = Site::start(Router::new().route("/", route(handler))).await;
    let store = Arc::new(Memory::default());
    for path in ["/?first", "/?own"] {
        fetcher(&store).for_source().get(&Request::get(url(&site, path))).await.unwrap();
    }
    let run = fetcher(&store).for_source();
    run.get(&Request::get(url(&site, "/?first"))).await.unwrap();
    let own = Request::get(url(&site, "/?own"));
    assert_eq!(run.get(&own).await.unwrap().fetched, Fetched::Full);
    assert_eq!(run.get(&own).await.unwrap().fetched, Fetched::Full);
    let kept = store.0.lock().unwrap();
    let shown = kept.values().map(|value| String::from_utf8_lossy(value).into_owned());
    assert!(!shown.collect::<String>().contains("hunter2"));
    assert_eq!(kept.len(), 1, "the page behind the redirect");
}

#[tokio::test]
async fn robots_txt_is_shared_by_all_processes() {
    for (status, robots, allowed) in [
        (200, "User-agent: *\nDisallow: /private\n", true),
        (404, "", true),
        (200, "User-agent: *\nDisallow: /\n", false),
    ] {
        let answer = move || async move { (StatusCode::from_u16(status).unwrap(), robots) };
        let routes = Router::new()
            .route("/robots.txt", route(answer))
            .route("/", route(|| async { "page" }));
        let site = Site::start(routes).await;
        let store = Arc::new(Memory::default());
        for _ in 0..3 {
            let fetcher = Fetcher::new(&config()).unwrap().with_store(store.clone());
            let page = fetcher.get(&Request::get(url(&site, "/"))).await;
            assert_eq!(page.is_ok(), allowed, "{status} {robots}: {page:?}");
        }
        assert_eq!(site.hits("/robots.txt").len(), 1, "{status} {robots}");
    }
}

#[tokio::test]
async fn a_store_that_holds_something_else_is_passed_over() {
    let (site, store) =
        (site(&[("cache-control", "max-age=600")]).await, Arc::new(Memory::default()));
    let request = Request::get(url(&site, "/"));
    fetcher(&store).get(&request).await.unwrap();
    for value in store.0.lock().unwrap().values_mut() {
        *value = b"nonsense".to_vec();
    }
    assert_eq!(fetcher(&store).get(&request).await.unwrap().fetched, Fetched::Full);
    assert_eq!(fetcher(&store).get(&request).await.unwrap().fetched, Fetched::Fresh);
}
