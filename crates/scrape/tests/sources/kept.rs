//! What is kept of pages for the next time: never one that is not what was asked for.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{Router, http::header, response::IntoResponse, routing::get};
use rhubarb_core::clock;
use rhubarb_scrape::{
    Conclusion, Ending, Gathering, Query,
    config::{ScrapeConfig, Selectors, SourceConfig, SourceKind},
    fetch::{Fetcher, ResponseStore, Storing},
    sources,
};
use rhubarb_testbed::site::Site;

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

const CHALLENGE: &str = "<title>Just a moment...</title><form action=/login method=post>\
    <input name=user><input type=password name=password><button>Sign in</button></form>";

const POSTING: &str = r#"<script type="application/ld+json">{"@type":"JobPosting",
    "title":"Cook","url":"/jobs/1","datePosted":"2026-11-02"}</script><h1>Cook</h1>"#;

const LIST: &str = "<ul><li class=job><a href=/jobs/1>Cook</a></li></ul>";

/// Serves these under `/`, `/jobs/1` and `/sitemap.xml`, fresh for an hour; a challenge in place of
/// `broken` while it stands.
async fn site(broken: &'static str, stands: &Arc<AtomicBool>, body: &'static str) -> Site {
    let mut router = Router::new();
    let sitemap = "<urlset><url><loc>BASE/jobs/1</loc></url></urlset>";
    for (path, page) in [("/", body), ("/jobs/1", POSTING), ("/sitemap.xml", sitemap)] {
        let stands = Arc::clone(stands);
        let handler = move |headers: axum::http::HeaderMap| async move {
            let host = headers[header::HOST].to_str().unwrap().to_owned();
            let challenged = path == broken && stands.load(Ordering::SeqCst);
            let page = if challenged { CHALLENGE } else { page };
            let page = page.replace("BASE", &format!("http://{host}"));
            let kind = if path.ends_with("xml") && !challenged { "text/xml" } else { "text/html" };
            let fresh = (header::CACHE_CONTROL, "max-age=3600".to_owned());
            ([fresh, (header::CONTENT_TYPE, kind.to_owned())], page).into_response()
        };
        router = router.route(path, get(handler));
    }
    Site::start(router).await
}

async fn run(config: &SourceConfig, store: &Arc<Memory>) -> Conclusion {
    let fetcher = Fetcher::new(&ScrapeConfig {
        min_interval: std::time::Duration::ZERO,
        allow_private: vec!["*".to_owned()],
        ..ScrapeConfig::default()
    });
    let query = Query::new("cook", clock::now());
    let (source, all) = (sources::build(config).unwrap(), Gathering::new(query.now));
    source.run(&fetcher.unwrap().with_store(store.clone()), &query, &all).await;
    all.conclude(source.name(), source.limits())
}

#[tokio::test]
async fn a_challenge_that_says_it_is_fresh_is_not_read_again() {
    let html = |list: &str| {
        let mut config = SourceConfig::new(SourceKind::Html);
        config.selectors = Selectors {
            item: ".job".into(),
            title: Some("a".into()),
            link: Some("a".into()),
            ..Selectors::default()
        };
        (config, list.to_owned())
    };
    let mut with_details = html("/");
    with_details.0.selectors.detail.insert("description".into(), "h1".into());
    let kinds = [
        ("/", html("/"), LIST),
        ("/jobs/1", with_details, LIST),
        ("/", (SourceConfig::new(SourceKind::JsonLd), "/".to_owned()), POSTING),
        ("/jobs/1", (SourceConfig::new(SourceKind::Sitemap), "/sitemap.xml".to_owned()), LIST),
        ("/sitemap.xml", (SourceConfig::new(SourceKind::Sitemap), "/sitemap.xml".to_owned()), LIST),
        (
            "/",
            (SourceConfig::new(SourceKind::Rss), "/".to_owned()),
            "<rss><channel><item><title>Cook</title><link>http://h.test/1</link></item></channel></rss>",
        ),
    ];
    for (broken, (mut config, url), body) in kinds {
        let (stands, store) = (Arc::new(AtomicBool::new(true)), Arc::new(Memory::default()));
        let site = site(broken, &stands, body).await;
        config.urls = vec![site.url(&url).as_str().into()];
        let first = run(&config, &store).await;
        let is_said = first.ending == Ending::Blocked
            || first.reason.as_ref().is_some_and(|reason| reason.contains("a login"));
        assert!(is_said, "{broken} of {config:?}: {first:?}");
        stands.store(false, Ordering::SeqCst);
        let second = run(&config, &store).await;
        assert_eq!(second.ending, Ending::Found, "{broken} of {config:?}: {second:?}");
    }
}

#[tokio::test]
async fn dates_and_pay_are_read_in_the_language_of_the_answer() {
    let list = "<ul><li class=job><a href=/jobs/1>Cook</a><time>11/05/2026</time>\
                <b>1,500 $</b></li></ul>";
    for (language, html, posted, said) in [
        ("en-US", "<html>", "2026-11-05", Some("en-US")),
        ("de", "<html>", "2026-05-11", Some("de")),
        ("de, en", "<html>", "", None),
        ("de", "<html lang=en-US>", "2026-11-05", Some("en-US")),
        ("en-US", "<html lang=fr>", "2026-05-11", Some("fr")),
    ] {
        let router = Router::new().route(
            "/",
            get(async move || {
                let headers =
                    [(header::CONTENT_TYPE, "text/html"), (header::CONTENT_LANGUAGE, language)];
                (headers, format!("{html}{list}")).into_response()
            }),
        );
        let site = Site::start(router).await;
        let mut config = SourceConfig::new(SourceKind::Html);
        config.urls = vec![site.url("/").as_str().into()];
        config.selectors = Selectors {
            item: ".job".into(),
            title: Some("a".into()),
            link: Some("a".into()),
            date: Some("time".into()),
            ..Selectors::default()
        };
        let found = run(&config, &Arc::new(Memory::default())).await;
        let listing = &found.listings[0];
        let date = listing.posted_at.as_deref().unwrap_or_default();
        assert!(date.starts_with(posted), "{language} {html}: {date}");
        assert_eq!(listing.language.as_deref(), said, "{language} {html}");
    }
}
