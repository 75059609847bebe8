//! Each kind of source end to end over HTTP, and what a bad answer does.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use rhubarb_core::redact::Address;
use rhubarb_scrape::{
    Ending, Query, SourceState,
    config::{ScrapeConfig, Selectors, SourceConfig, SourceKind},
    run::{ScrapeReport, Scraper, SourceReport},
};
use rhubarb_testbed::site::{Fault, Site};

const GREENHOUSE: &str = include_str!("../fixtures/greenhouse_jobs.json");
const LEVER: &str = include_str!("../fixtures/lever_postings.json");
const ASHBY: &str = include_str!("../fixtures/ashby_board.json");
const REMOTEOK: &str = include_str!("../fixtures/remoteok.json");
const WWR: &str = include_str!("../fixtures/wwr.rss");
const ARBEITNOW: &str = include_str!("../fixtures/arbeitnow_p1.json");
const JSONLD: &str = include_str!("../fixtures/jsonld.html");
const LIST: &str = include_str!("../fixtures/list_p1.html");
const LIST_LAST: &str = include_str!("../fixtures/list_p2.html");
const DETAIL: &str = include_str!("../fixtures/detail.html");

/// What a path answers.
#[derive(Clone, Copy)]
enum Answer {
    Json(&'static str),
    Xml(&'static str),
    Html(&'static str),
    Bad(Fault),
}

/// A site of the test: answers by path and query.
struct Server(Site);

impl Server {
    async fn start(answers: &[(&'static str, Answer)]) -> Self {
        let answers: BTreeMap<&'static str, Answer> = answers.iter().copied().collect();
        let answer = middleware::from_fn_with_state(Arc::new(answers), answer);
        let missing = Router::new().fallback(|| async { StatusCode::NOT_FOUND });
        Self(Site::start(missing.layer(answer)).await)
    }

    fn asked(&self) -> Vec<String> {
        let asked = self.0.all_hits().into_iter().map(|hit| hit.uri.to_string());
        asked.filter(|path| path != "/robots.txt").collect()
    }

    fn source(&self, name: &str, kind: SourceKind) -> SourceConfig {
        SourceConfig {
            name: name.into(),
            base_url: Some(self.0.url("").as_str().into()),
            max_pages: 3,
            ..SourceConfig::new(kind)
        }
    }

    fn board(&self, name: &str, kind: SourceKind) -> SourceConfig {
        SourceConfig { board: Some(name.into()), ..self.source(name, kind) }
    }
}

async fn answer(
    State(answers): State<Arc<BTreeMap<&'static str, Answer>>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path_and_query().expect("an origin-form target").as_str();
    let typed = |kind: &'static str, body: &'static str| {
        ([(header::CONTENT_TYPE, kind)], body).into_response()
    };
    match answers.get(path) {
        Some(Answer::Json(body)) => typed("application/json", body),
        Some(Answer::Xml(body)) => typed("application/rss+xml", body),
        Some(Answer::Html(body)) => typed("text/html; charset=utf-8", body),
        Some(Answer::Bad(fault)) => fault.answer(request, next).await,
        None => next.run(request).await,
    }
}

fn config() -> ScrapeConfig {
    ScrapeConfig {
        min_interval: Duration::ZERO,
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(1),
        source_timeout: Duration::from_secs(3),
        max_body_bytes: 500_000,
        allow_private: vec!["127.0.0.1".into()],
        concurrent_sources: 8,
        ..ScrapeConfig::default()
    }
}

async fn scrape(sources: &[SourceConfig], keyword: &str) -> ScrapeReport {
    let scraper = Scraper::new(&config(), sources).expect("the sources are valid");
    let now = "2026-11-23T12:00:00Z".parse().expect("a fixed time");
    let query = Query::new(keyword, now);
    scraper.scrape(&query, &|_| {}).await
}

fn titles(report: &ScrapeReport) -> Vec<(&str, &str)> {
    report.listings.iter().map(|l| (l.source.as_str(), l.title.as_str())).collect()
}

const GREENHOUSE_PATH: &str = "/v1/boards/acme/jobs?content=true";
const LEVER_PATH: &str = "/v0/postings/example?mode=json";
const ASHBY_PATH: &str = "/posting-api/job-board/exampleco?includeCompensation=true";

#[tokio::test]
async fn every_kind_of_api_is_asked_at_its_path_and_read() {
    let server = Server::start(&[
        (GREENHOUSE_PATH, Answer::Json(GREENHOUSE)),
        (LEVER_PATH, Answer::Json(LEVER)),
        (ASHBY_PATH, Answer::Json(ASHBY)),
        ("/api", Answer::Json(REMOTEOK)),
        ("/remote-jobs.rss", Answer::Xml(WWR)),
        ("/api/job-board-api?page=1", Answer::Json(ARBEITNOW)),
        ("/api/job-board-api?page=2", Answer::Json("{\"data\":[],\"links\":{\"next\":null}}")),
        ("/jobs/pe-77", Answer::Html(JSONLD)),
    ])
    .await;
    let mut page = server.source("jsonld", SourceKind::JsonLd);
    page.urls = vec![Address::new(server.0.url("/jobs/pe-77"))];
    let sources = [
        server.board("acme", SourceKind::Greenhouse),
        server.board("example", SourceKind::Lever),
        server.board("exampleco", SourceKind::Ashby),
        server.source("remoteok", SourceKind::RemoteOk),
        server.source("weworkremotely", SourceKind::WeWorkRemotely),
        server.source("arbeitnow", SourceKind::Arbeitnow),
        page,
    ];
    let report = scrape(&sources, "").await;
    let ends: Vec<_> = report.sources.iter().map(|source| (source.ending, source.total)).collect();
    assert_eq!(ends, [2, 1, 1, 2, 2, 1, 1].map(|total| (Ending::Found, total)), "{report:#?}");
    assert_eq!(report.listings.len(), 10);
    let engineers = scrape(&sources, "Engineer RUST").await;
    let expect = [
        ("remoteok", "Rust Engineer"),
        ("jsonld", "Platform Engineer"),
        ("acme", "Rust Backend Engineer"),
    ];
    assert_eq!(titles(&engineers), expect);
}

fn html_source(server: &Server) -> SourceConfig {
    let some = |text: &str| Some(text.to_owned());
    let mut source = server.source("site", SourceKind::Html);
    source.urls = vec![Address::new(server.0.url("/search?q={keyword}"))];
    source.selectors = Selectors {
        item: ".job".into(),
        title: some(".title"),
        link: some("a"),
        company: some(".company"),
        location: some(".place"),
        next_page: some("a[rel=next]"),
        detail: BTreeMap::from([
            ("description".into(), ".text".into()),
            ("salary".into(), ".pay".into()),
        ]),
        ..Selectors::default()
    };
    source
}

#[tokio::test]
async fn an_html_site_is_read_page_by_page_with_details_of_what_matches() {
    let server = Server::start(&[
        ("/search?q=rust%20engineer", Answer::Html(LIST)),
        ("/search?page=2", Answer::Html(LIST_LAST)),
        ("/jobs/1", Answer::Html(DETAIL)),
        ("/jobs/3", Answer::Bad(Fault::Status(500))),
    ])
    .await;
    let report = scrape(&[html_source(&server)], "rust engineer").await;
    assert_eq!(titles(&report), [("site", "Rust Engineer"), ("site", "Embedded Rust Engineer")]);
    let first = &report.listings[0];
    assert_eq!(first.description, "Write queues.\n- Rust");
    assert_eq!(first.salary_min, Some(60e3));
    assert_eq!(first.posted_at.as_deref(), Some("2026-11-20T00:00:00+00:00"));
    assert_eq!(first.url, server.0.url("/jobs/1"));
    assert_eq!(report.listings[1].description, "", "its detail page fails");
    assert!(
        !server.asked().iter().any(|path| path == "/jobs/2"),
        "what cannot match is not fetched"
    );
}

#[tokio::test]
async fn a_posting_whose_page_is_gone_is_gone() {
    let server = Server::start(&[
        ("/search?q=rust", Answer::Html(LIST)),
        ("/search?page=2", Answer::Html("<p>That was all")),
    ])
    .await;
    let mut source = html_source(&server);
    source.selectors.empty = Some("That was all".into());
    let report = scrape(&[source], "rust").await;
    assert_eq!(titles(&report), []);
    let SourceReport { ending, total, gone, .. } = &report.sources[0];
    assert_eq!((*ending, *total), (Ending::Found, 1));
    assert!(gone.contains(&server.0.url("/jobs/1")), "{gone:?}");
}

#[tokio::test]
async fn a_bad_answer_fails_its_source_with_a_reason_and_the_others_are_there() {
    let check = async |answer: Answer, reason: &str| {
        let server =
            Server::start(&[(GREENHOUSE_PATH, answer), (LEVER_PATH, Answer::Json(LEVER))]).await;
        let sources = [
            server.board("acme", SourceKind::Greenhouse),
            server.board("example", SourceKind::Lever),
        ];
        let report = scrape(&sources, "engineer").await;
        assert_eq!(titles(&report), [("example", "Data Platform Engineer")]);
        let SourceReport { ending, reason: got, .. } = &report.sources[0];
        assert_eq!(ending.state(), SourceState::Failed, "{got:?}");
        let got = got.as_deref().unwrap_or_default();
        assert!(got.contains(reason), "{got:?} does not say {reason:?}");
    };
    check(Answer::Bad(Fault::Status(500)), "500").await;
    check(Answer::Bad(Fault::Status(403)), "403").await;
    check(
        Answer::Html("<html><body>Sorry, we are down</body></html>"),
        "text/html in place of JSON",
    )
    .await;
    check(Answer::Json("<html><body>Sorry</body></html>"), "HTML where JSON is expected").await;
    check(Answer::Json("{\"jobs\":[{\"id\":1,"), "cut off").await;
    check(Answer::Json(""), "empty").await;
    check(Answer::Json("{\"jobs\":[{\"name\":\"another shape\"}]}"), "none of 1 records").await;
    check(Answer::Bad(Fault::Endless), "longer than").await;
    check(Answer::Bad(Fault::Silent), "").await;
}

#[tokio::test]
async fn a_board_that_does_not_exist_is_not_found() {
    let server =
        Server::start(&[(ASHBY_PATH, Answer::Json("{\"jobs\":[],\"apiVersion\":\"1\"}"))]).await;
    let sources = [
        server.board("acme", SourceKind::Greenhouse),
        server.board("example", SourceKind::Lever),
        server.board("exampleco", SourceKind::Ashby),
    ];
    let report = scrape(&sources, "engineer").await;
    for source in &report.sources {
        assert_eq!(source.ending, Ending::NotFound, "{source:?}");
    }
}

#[tokio::test]
async fn paging_ends_at_the_configured_number_of_pages_and_that_is_said() {
    const MORE: &str = r#"{"data":[],"links":{"next":"https://elsewhere.test/?page=9"}}"#;
    let server = Server::start(&[
        ("/api/job-board-api?page=1", Answer::Json(ARBEITNOW)),
        ("/api/job-board-api?page=2", Answer::Json(MORE)),
        ("/api/job-board-api?page=9", Answer::Json(MORE)),
    ])
    .await;
    let mut source = server.source("arbeitnow", SourceKind::Arbeitnow);
    source.max_pages = 2;
    let report = scrape(&[source], "rust").await;
    let SourceReport { ending, total, reason, cut, .. } = &report.sources[0];
    assert_eq!((*ending, *total, *cut), (Ending::Partial, 1, true));
    assert!(reason.as_deref().unwrap_or_default().contains("`max_pages`"), "{reason:?}");
    assert_eq!(server.asked().len(), 2);
}
