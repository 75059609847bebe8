//! A scrape never takes a page that is not the list for an empty list, and says what it lost.

use std::{
    collections::HashMap,
    fs,
    net::TcpListener,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header},
    response::IntoResponse,
};
use rhubarb_e2e::{
    eventually::eventually,
    installation::{Installation, Ran},
    process::Process,
    redis_server::RedisServer,
};
use rhubarb_testbed::site::Site;
use serde_json::{Value, json};

use crate::{BINARIES, shop::SOON};

type Answers = Arc<Mutex<HashMap<String, (u16, &'static str, Vec<u8>)>>>;

pub(crate) const HTML: &str = "text/html; charset=utf-8";
pub(crate) const JSON: &str = "application/json";

/// A site whose answers change, and an installation that scrapes it.
pub(crate) struct Changing {
    _site: Site,
    answers: Answers,
    pub(crate) installation: Installation,
    _worker: Process,
}

impl Changing {
    /// Opens it with these sources; `{base}` in them stands for the site.
    pub(crate) async fn open(sources: &str) -> Self {
        let answers = Answers::default();
        let played = Arc::clone(&answers);
        let answer = move |request: Request| {
            let found = played.lock().unwrap().get(request.uri().path()).cloned();
            let (status, kind, body) = found.unwrap_or((404, "text/plain", Vec::new()));
            let status = StatusCode::from_u16(status).unwrap();
            async move { (status, [(header::CONTENT_TYPE, kind)], body).into_response() }
        };
        let site = Site::start(Router::new().fallback(answer)).await;
        let scrape = "[scrape]\nmin_interval = 0\nobey_robots = false\nallow_private = [\"*\"]\n";
        let sources = sources.replace("{base}", &site.url(""));
        let redis = RedisServer::start().await;
        let installation = Installation::new(BINARIES, redis, &format!("{scrape}{sources}"));
        let worker = installation.worker(&[]);
        eventually(SOON, "a worker is registered", async || {
            let workers = installation.rhubarb(&["workers", "--json"]).await;
            (workers.code == 0 && workers.json().as_array().is_some_and(|all| !all.is_empty()))
                .then_some(())
        })
        .await;
        Self { _site: site, answers, installation, _worker: worker }
    }

    pub(crate) fn put(
        &self,
        path: &str,
        status: u16,
        kind: &'static str,
        body: impl Into<Vec<u8>>,
    ) {
        self.answers.lock().unwrap().insert(path.to_owned(), (status, kind, body.into()));
    }

    pub(crate) async fn scrape(&self, keyword: &str) -> Ran {
        self.installation.rhubarb(&["scrape", keyword, "--force", "--wait", "120"]).await
    }

    pub(crate) async fn json(&self, args: &[&str]) -> Value {
        self.installation.rhubarb(&[args, &["--json"]].concat()).await.json()
    }

    pub(crate) async fn status(&self) -> Value {
        self.json(&["status"]).await
    }

    /// Returns the titles of a keyword's listings, in order.
    pub(crate) async fn titles(&self, keyword: &str) -> Vec<String> {
        let listings = self.json(&["listings", keyword]).await;
        let listings = listings.as_array().unwrap();
        let mut titles: Vec<String> =
            listings.iter().map(|one| one["title"].as_str().unwrap().to_owned()).collect();
        titles.sort();
        titles
    }
}

/// A list of postings, each in an element of this class.
fn list(class: &str, titles: &[&str], more: &str) -> String {
    let items = titles.iter().map(|title| {
        let page = title.replace(' ', "-");
        format!("<li class={class}><h3>{title}</h3><a href=/porters/{page}>open</a></li>")
    });
    format!("<!doctype html><title>Work</title><ol>{}</ol>{more}", items.collect::<String>())
}

const LIST: &str = r#"
[[sources]]
type = "html"
name = "harbour"
urls = ["{base}/porters"]
[sources.selectors]
item = "li.opening"
title = "h3"
link = "a@href"
next_page = "a[rel=next]@href"
empty = ".no-openings"
"#;

const PORTERS: [&str; 3] = ["Night porter", "Porter", "Hall porter"];

#[tokio::test]
async fn a_page_that_is_not_the_list_closes_nothing_and_evidence_of_emptiness_does() {
    let site = Changing::open(LIST).await;
    site.put("/porters", 200, HTML, list("opening", &PORTERS, ""));
    let first = site.scrape("porter").await;
    assert_eq!(first.code, 0, "{}", first.stderr);
    let challenge = "<title>One moment</title><script>window._cf_chl_opt={}</script>";
    let login = "<form method=post><input name=who><input type=password name=word></form>";
    let redesign = list("Card_7", &PORTERS, "");
    let elsewhere = "<meta http-equiv=refresh content='0; url=/welcome'>";
    for (status, page, outcome) in [
        (200, challenge, "blocked"),
        (200, login, "blocked"),
        (202, "", "blocked"),
        (403, "no", "blocked"),
        (200, elsewhere, "blocked"),
        (200, &redesign, "suspicious"),
    ] {
        site.put("/porters", status, HTML, page);
        let ran = site.scrape("porter").await;
        assert_eq!(ran.code, 6, "{page}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("harbour: "), "{page}: {}", ran.stderr);
        let told = site.status().await;
        let source = &told["sources"]["harbour"];
        assert_eq!((&told["status"], &told["closed"]), (&json!("error"), &json!(0)), "{page}");
        assert_eq!((&source["status"], &source["outcome"]), (&json!("failed"), &json!(outcome)));
        assert_eq!(source["kept"], 3, "{page}: {source}");
        assert_eq!(site.titles("porter").await.len(), 3, "{page}");
    }
    site.put("/porters", 200, HTML, "<p class=no-openings>Nothing at the moment");
    let ran = site.scrape("porter").await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let told = site.status().await;
    assert_eq!((&told["status"], &told["closed"]), (&json!("success"), &json!(3)));
    assert_eq!(told["sources"]["harbour"]["outcome"], "nothing");
    assert!(site.titles("porter").await.is_empty());
}

#[tokio::test]
async fn a_later_page_that_fails_leaves_the_first_and_closes_nothing() {
    let site = Changing::open(LIST).await;
    let next = "<a rel=next href=/porters/more>next</a>";
    site.put("/porters", 200, HTML, list("opening", &["Porter one"], next));
    site.put("/porters/more", 200, HTML, list("opening", &["Porter two"], ""));
    site.scrape("porter").await;
    site.put("/porters/more", 404, HTML, "");
    let ran = site.scrape("porter").await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("harbour (partial): not all was read"), "{}", ran.stderr);
    assert!(ran.stderr.contains("1 earlier listing is kept"), "{}", ran.stderr);
    let told = site.status().await;
    assert_eq!((&told["status"], &told["closed"]), (&json!("partial"), &json!(0)), "{told:#}");
    assert_eq!(site.titles("porter").await, ["Porter one", "Porter two"]);
}

const BOARDS: &str = r#"
[[sources]]
type = "jsonld"
name = "page"
urls = ["{base}/one"]
[[sources]]
type = "greenhouse"
name = "closing"
board = "b"
base_url = "{base}/closing"
[[sources]]
type = "greenhouse"
name = "emptied"
board = "b"
base_url = "{base}/emptied"
[[sources]]
type = "greenhouse"
name = "lasting"
board = "b"
base_url = "{base}/lasting"
"#;

fn board(site: &str) -> String {
    format!("/{site}/v1/boards/b/jobs")
}

#[tokio::test]
async fn what_is_gone_goes_at_once_or_after_three_runs_and_an_empty_board_at_once() {
    let site = Changing::open(BOARDS).await;
    let posting = r#"<script type="application/ld+json">{"@type": "JobPosting",
        "title": "Porter of the page", "hiringOrganization": "Harbour"}</script>"#;
    let jobs = |name: &str| {
        let url = format!("https://boards.greenhouse.io/b/{name}");
        json!({"jobs": [{"id": name, "title": format!("Porter {name}"), "absolute_url": url}]})
            .to_string()
    };
    site.put("/one", 200, HTML, posting);
    for name in ["closing", "emptied", "lasting"] {
        site.put(&board(name), 200, JSON, jobs(name));
    }
    site.scrape("porter").await;
    assert_eq!(site.titles("porter").await.len(), 4);

    site.put("/one", 410, HTML, "");
    site.put(&board("closing"), 404, JSON, "{}");
    site.put(&board("emptied"), 200, JSON, r#"{"jobs": []}"#);
    for run in 1..=3 {
        let ran = site.scrape("porter").await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let told = site.status().await;
        let outcome = |name: &str| told["sources"][name]["outcome"].clone();
        assert_eq!(outcome("page"), "gone", "{told:#}");
        assert_eq!(told["sources"]["closing"]["status"], "not_found", "{told:#}");
        assert_eq!(outcome("emptied"), "nothing", "{told:#}");
        let expect: &[&str] = match run {
            3 => &["Porter lasting"],
            _ => &["Porter closing", "Porter lasting"],
        };
        assert_eq!(site.titles("porter").await, expect, "after run {run}");
    }
}

/// A board with this many postings, each with a long text; the later ones are the newer.
fn long_board(what: &str, n: usize) -> String {
    let text = "The hall of the harbour has to be kept by night. ".repeat(100);
    let job = |id: usize| {
        json!({
            "id": id,
            "title": format!("{what} {id:04}"),
            "absolute_url": format!("https://boards.greenhouse.io/b/jobs/{id}"),
            "content": text,
            "first_published": format!("2026-{:02}-{:02}T00:00:00Z", 1 + id / 200, 1 + id / 10 % 20),
        })
    };
    json!({ "jobs": (0..n).map(job).collect::<Vec<_>>() }).to_string()
}

#[tokio::test]
async fn of_more_matches_than_a_cached_value_holds_the_newest_are_cached_and_that_is_said() {
    let site = Changing::open(BOARDS).await;
    site.put(&board("closing"), 200, JSON, long_board("Porter", 2_000));
    site.put(&board("emptied"), 200, JSON, long_board("Head porter", 3));
    site.put(&board("lasting"), 200, JSON, r#"{"jobs": []}"#);
    site.put("/one", 410, HTML, "");
    let ran = site.scrape("porter").await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("closing (partial): the newest"), "{}", ran.stderr);
    let told = site.status().await;
    assert_eq!(told["status"], "partial", "{told:#}");
    let listings = site.json(&["listings", "porter"]).await;
    let listings = listings.as_array().unwrap();
    let of = |source: &str| listings.iter().filter(|one| one["source"] == source).count();
    assert_eq!(of("emptied"), 3);
    assert!((1_000..2_000).contains(&of("closing")), "{}", of("closing"));
    let titles = site.titles("porter").await;
    assert_eq!(titles.last().map(String::as_str), Some("Porter 1999"), "the newest is there");
}

#[tokio::test]
async fn a_status_does_not_stay_at_running_when_the_scrape_is_cut_off() {
    // It takes the connection and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let site = Changing::open(&LIST.replace("{base}", &address)).await;
    let task = "job_scraper.tasks.scrape_specific_keyword";
    let args = ["enqueue", task, "--args", "[\"porter\"]", "--time-limit", "2"];
    let ran = site.installation.rhubarb(&args).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let told = eventually(SOON, "the status is `error`", async || {
        let ran = site.installation.rhubarb(&["status", "--json"]).await;
        (ran.code == 0).then(|| ran.json()).filter(|told| told["status"] == "error")
    })
    .await;
    assert_eq!(told["error"], "the scrape was ended before its end", "{told:#}");
}

/// The inputs of the cases of job sites, where they stand beside the workspace.
pub(crate) fn cases() -> Option<PathBuf> {
    let folder =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/cases/scrape/inputs"));
    folder.is_dir().then_some(folder)
}

#[tokio::test]
async fn the_sequences_of_the_scrape_cases_end_as_a_person_needs_it() {
    let Some(folder) = cases() else {
        println!("LEFT OUT: sequences: no ../shared/cases/scrape beside the workspace");
        return;
    };
    let read = |file: &str| fs::read(folder.join(file)).unwrap();
    let list = LIST.replace("/porters", "/w/list").replace("li.opening", "li.job");
    let list = list.replace("\"h3\"", "\"h2\"").replace("empty = \".no-openings\"\n", "");
    let site = Changing::open(&list).await;
    site.put("/w/list", 200, HTML, read("w-list.html"));
    site.scrape("cook").await;
    for file in ["w-cf.html", "w-login.html", "w-redesign.html"] {
        site.put("/w/list", 200, HTML, read(file));
        let ran = site.scrape("cook").await;
        assert_eq!(ran.code, 6, "{file}: {}", ran.stderr);
        let told = site.status().await;
        assert_eq!(told["sources"]["harbour"]["status"], "failed", "{file}");
        assert_eq!((&told["closed"], site.titles("cook").await.len()), (&json!(0), 3), "{file}");
    }
    let site = Changing::open(BOARDS).await;
    let small = read("f-too-much-small.json");
    let job = |id: usize| {
        let url = format!("https://boards.greenhouse.io/b/jobs/{id}");
        json!({"id": id, "title": format!("Nurse {id}"), "absolute_url": url, "content": "a".repeat(5_040)})
    };
    let big = json!({ "jobs": (0..1_900).map(job).collect::<Vec<_>>() }).to_string();
    site.put(&board("emptied"), 200, JSON, small);
    site.put(&board("closing"), 200, JSON, big);
    let ran = site.scrape("nurse").await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let told = site.status().await;
    assert_eq!(told["sources"]["closing"]["status"], "partial", "{told:#}");
    let titles = site.titles("nurse").await;
    assert_eq!(titles.iter().filter(|title| title.contains("small")).count(), 3);
    assert!(titles.len() > 1_000, "{}", titles.len());
}
