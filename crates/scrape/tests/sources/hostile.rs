//! Pages made to burn time or to fill memory: each is read or refused within bounds, in a process
//! of its own.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    collections::BTreeMap,
    env, fs,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use rhubarb_scrape::{
    Query,
    config::{ScrapeConfig, Selectors, SourceConfig, SourceKind},
    run::Scraper,
};
use rhubarb_testbed::site::Site;
use rustix::time::{ClockId, clock_gettime};

/// The size of each page.
const SIZE: usize = 8 << 20;
/// A page has 2 s of CPU time; the rest is fetching and starting, in a build that is not optimised.
const MAX_CPU: Duration = Duration::from_secs(5);
/// What a scrape of one page may take beside the process.
const MAX_MEMORY_KB: u64 = 64 << 10;
/// Set for the process that reads one page: its address and the kind of source.
const READS: &str = "RHUBARB_TEST_READS_HOSTILE_PAGE";

type Pages = Vec<(&'static str, SourceKind, String)>;

fn repeated(piece: &str) -> String {
    piece.repeat(SIZE / piece.len())
}

fn counted(piece: impl Fn(usize) -> String) -> String {
    let mut text = String::with_capacity(SIZE + 100);
    let mut n = 0;
    while text.len() < SIZE {
        text.push_str(&piece(n));
        n += 1;
    }
    text
}

fn attributes(count: usize) -> String {
    (0..count).map(|n| format!(" a{n}")).collect()
}

fn trees() -> Pages {
    let html = SourceKind::Html;
    let title = |text: &str| format!("<li><b>x {text}</b><a href=/1></a></li>");
    vec![
        ("nested li and br", html, repeated("<li><br>")),
        ("nested lists", html, repeated("<ul><li>")),
        ("nested divs in items", html, repeated("<li><div><div><div><b>")),
        ("nested divs", html, repeated("<div>")),
        ("nested tables", html, repeated("<table><tr><td>")),
        ("a giant table", html, format!("<table>{}", repeated("<tr><td>x<td><b>x</b>"))),
        ("a million attributes", html, format!("<p{}>", counted(|n| format!(" a{n}")))),
        ("formats left open", html, counted(|n| format!("<p><b x={n}></p>"))),
        (
            "formats with attributes left open",
            html,
            counted(|n| format!("<p><b x={n}{}></p>", attributes(90))),
        ),
        ("links around blocks", html, repeated("<a><div>")),
        ("formats closed across blocks", html, repeated("<b><p></b>")),
        ("flat items without fields", html, repeated("<li>")),
        ("items in an endless first one", html, format!("<li>{}", repeated("<br><li></li>"))),
        ("comments", html, format!("<li>{}", repeated("<!--x-->"))),
        ("an open comment", html, repeated("<!--")),
        ("a title of 5 MB", html, title(&"x ".repeat(5 << 19))),
        ("a title of entities", html, title(&repeated("&amp;"))),
        ("a title of broken entities", html, title(&repeated("&NotEqualTild"))),
        ("a title of white space", html, title(&repeated(" "))),
        (
            "a salary without end",
            html,
            format!("<li><b>x</b><a href=/1></a><s>{}", repeated("$1-")),
        ),
        ("a number without end", html, format!("<li><b>x</b><a href=/1></a><s>{}", repeated("1,"))),
        (
            "a date without end",
            html,
            format!("<li><b>x</b><a href=/1></a><time>{}", repeated("1/")),
        ),
    ]
}

fn blocks() -> Pages {
    let jsonld = SourceKind::JsonLd;
    let page = |json: &str| format!("<script type=application/ld+json>{json}</script>");
    let posting = |description: &str| {
        let description = serde_json::Value::from(description);
        format!(r#"{{"@type":"JobPosting","title":"x","description":{description}}}"#)
    };
    let postings =
        |description: String| page(&format!("[{}]", [&*posting(&description); 32].join(",")));
    let names = format!(r#"{{"@id":"o","name":[{}""]}}"#, r#""","#.repeat(SIZE / 40));
    let refers =
        r#",{"@type":"JobPosting","title":"x","hiringOrganization":[{"@id":"o"},{"@id":"o"}]}"#;
    vec![
        ("32 descriptions of formats", jsonld, postings("<b><i>".repeat(66_000))),
        ("32 descriptions of attributes", jsonld, postings(format!("<p{}>", attributes(60_000)))),
        ("32 descriptions of tables", jsonld, postings("<table><td>".repeat(36_000))),
        ("32 descriptions of items", jsonld, postings("<li>".repeat(100_000))),
        ("an array of objects", jsonld, page(&format!("[{}{{}}]", repeated("{},")))),
        ("an array of small objects", jsonld, page(&format!("[{}{{}}]", repeated(r#"{"a":1},"#)))),
        ("an array of numbers", jsonld, page(&format!("[{}1]", repeated("1,")))),
        ("an array of arrays", jsonld, page(&format!("[{}1]", repeated("[[[]]],")))),
        ("nesting", jsonld, page(&repeated("["))),
        ("control characters", jsonld, page(&format!("\"{}\"", repeated("\u{1}")))),
        ("one company of many names", jsonld, page(&format!("[{names}{}]", refers.repeat(1_000)))),
        ("blocks", jsonld, repeated("<script type=ld+json>{}</script>")),
        ("marks around a block", jsonld, page(&repeated("/*"))),
    ]
}

fn payloads() -> Pages {
    let (json, rss) = (SourceKind::RemoteOk, SourceKind::WeWorkRemotely);
    let feed = |items: &str| format!("<rss><channel>{items}</channel></rss>");
    vec![
        ("records of nothing", json, format!("[{}{{}}]", repeated("{},"))),
        (
            "records of little",
            json,
            format!("[{}{{}}]", repeated(r#"{"position":"x","url":"http://a/"},"#)),
        ),
        ("numbers", json, format!("[{}1]", repeated("1,"))),
        (
            "an object of many fields",
            json,
            format!("[{{{}\"\":1}}]", counted(|n| format!("\"{n}\":1,"))),
        ),
        (
            "a record of many tags",
            json,
            format!(r#"[{{"position":"x","url":"http://a/","tags":[{}""]}}]"#, repeated("\"x\",")),
        ),
        ("items of nothing", rss, feed(&repeated("<item><a></a></item>"))),
        (
            "items of little",
            rss,
            feed(&repeated("<item><title>x</title><link>http://a/</link></item>")),
        ),
        ("items in items", rss, feed(&repeated("<item>"))),
        (
            "an item of entities",
            rss,
            feed(&format!("<item><title>{}</title></item>", repeated("&amp;"))),
        ),
        ("a name without end", rss, format!("<rss><{}", repeated("a"))),
    ]
}

#[tokio::test]
async fn a_hostile_page_ends_within_its_time_and_memory() {
    check(trees()).await;
}

#[tokio::test]
async fn hostile_json_ld_ends_within_its_time_and_memory() {
    check(blocks()).await;
}

#[tokio::test]
async fn a_hostile_payload_ends_within_its_time_and_memory() {
    check(payloads()).await;
}

/// Serves the pages and has each read by a process of its own.
async fn check(pages: Pages) {
    let (mut bodies, mut asked) = (BTreeMap::new(), Vec::new());
    for (number, (what, kind, body)) in pages.into_iter().enumerate() {
        bodies.insert(format!("/{number}"), (kind, Bytes::from(body)));
        asked.push((what, kind, number));
    }
    let app = Router::new().fallback(answer).with_state(Arc::new(bodies));
    let site = Site::start(app).await;
    let reads = asked.into_iter().map(|(what, kind, number)| {
        let reads = format!("{} {}", kind.name(), site.url(&format!("/{number}")));
        async move { (what, tokio::task::spawn_blocking(move || read_apart(&reads)).await.unwrap()) }
    });
    let told: Vec<(&str, Told)> = stream::iter(reads).buffered(2).collect().await;
    println!("{told:#?}");
    let within = |told: &Told| told.cpu <= MAX_CPU && told.memory_kb <= MAX_MEMORY_KB;
    let wrong: Vec<_> = told.iter().filter(|(_, told)| !within(told)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

type Bodies = Arc<BTreeMap<String, (SourceKind, Bytes)>>;

async fn answer(State(bodies): State<Bodies>, request: Request) -> Response {
    let path = request.uri().path();
    let path = path.strip_suffix("/api").or(path.strip_suffix("/remote-jobs.rss")).unwrap_or(path);
    let Some((kind, body)) = bodies.get(path) else {
        return axum::http::StatusCode::NOT_FOUND.into_response();
    };
    let content_type = match kind {
        SourceKind::RemoteOk => "application/json",
        SourceKind::WeWorkRemotely => "application/rss+xml",
        _ => "text/html; charset=utf-8",
    };
    ([(header::CONTENT_TYPE, content_type)], body.clone()).into_response()
}

/// What reading one page took.
#[derive(Debug)]
struct Told {
    cpu: Duration,
    memory_kb: u64,
    #[expect(dead_code, reason = "it is shown")]
    end: String,
}

fn read_apart(reads: &str) -> Told {
    let child = Command::new(env::current_exe().unwrap())
        .args(["hostile::one_page_is_read", "--exact", "--nocapture"])
        .env(READS, reads)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    let line = output.lines().find_map(|line| line.split_once("told "));
    let line = line.unwrap_or_else(|| panic!("{reads}: {output}")).1;
    let mut fields = line.splitn(3, ' ');
    let mut number = || fields.next().unwrap().parse().unwrap();
    let (cpu, memory_kb) = (Duration::from_millis(number()), number());
    Told { cpu, memory_kb, end: fields.next().unwrap().to_owned() }
}

/// The other process: reads the page that it is told to, and tells what that took.
#[expect(clippy::disallowed_methods, reason = "a word from the test to itself, no setting")]
#[tokio::test]
async fn one_page_is_read() {
    let Ok(reads) = env::var(READS) else { return };
    let (kind, url) = reads.split_once(' ').unwrap();
    let config = ScrapeConfig {
        allow_private: vec!["127.0.0.1".into()],
        obey_robots: false,
        min_interval: Duration::from_millis(1),
        ..ScrapeConfig::default()
    };
    let scraper = Scraper::new(&config, &[source(kind, url)]).unwrap();
    let query = Query::new("x", rhubarb_core::clock::now());
    let before = peak_kb();
    let report = scraper.scrape(&query, &|_| {}).await;
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let cpu_ms = cpu.tv_sec * 1_000 + cpu.tv_nsec / 1_000_000;
    let source = &report.sources[0];
    let end = format!("{} {:?}", source.ending, source.reason);
    println!("told {cpu_ms} {} {end}", peak_kb() - before);
}

fn source(kind: &str, url: &str) -> SourceConfig {
    let kind =
        [SourceKind::Html, SourceKind::JsonLd, SourceKind::RemoteOk, SourceKind::WeWorkRemotely]
            .into_iter()
            .find(|known| known.name() == kind)
            .unwrap();
    let some = |css: &str| Some(css.to_owned());
    let selectors = Selectors {
        item: "li".into(),
        title: some("b"),
        link: some("a"),
        company: some("i"),
        location: some("div div u"),
        salary: some("s"),
        date: some("time"),
        tags: some("em"),
        next_page: some("a[rel=next]"),
        empty: None,
        detail: BTreeMap::new(),
    };
    let (base_url, urls) = (Some(url.into()), vec![url.into()]);
    SourceConfig { base_url, max_pages: 1, urls, selectors, ..SourceConfig::new(kind) }
}

/// The most memory that this process ever had resident.
fn peak_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or_default()
}
