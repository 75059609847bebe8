//! What becomes of postings from scrape to scrape, as people read it.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    http::{HeaderMap, StatusCode},
};
use redis::AsyncCommands;
use rhubarb_e2e::{eventually::eventually, process::Signal};
use rhubarb_testbed::site::Site;
use serde_json::{Value, json};

use crate::{
    shop::SOON,
    truth::{Changing, HTML, JSON, cases},
};

const BOARD: &str = r#"
[[sources]]
type = "greenhouse"
name = "harbour"
board = "b"
base_url = "{base}/harbour"
"#;

const PATH: &str = "/harbour/v1/boards/b/jobs";
const LISTINGS: &str = "jobs:1:jobs:porter";
const FEED: &str = "jobs:0:rhubarb.changes:jobs:porter";

fn board(jobs: &[(u32, &str)]) -> String {
    let job = |(id, title): &(u32, &str)| {
        let url = format!("https://boards.greenhouse.io/b/jobs/{id}");
        json!({"id": id, "title": title, "absolute_url": url})
    };
    json!({ "jobs": jobs.iter().map(job).collect::<Vec<_>>() }).to_string()
}

impl Changing {
    /// Scrapes `porter` and returns how many are new and closed.
    async fn counts(&self) -> (Value, Value) {
        self.scrape("porter").await;
        let status = self.status().await;
        (status["new"].clone(), status["closed"].clone())
    }

    async fn forget_listings(&self, keys: &[&str]) {
        let mut jobs = self.installation.redis.connect(3).await;
        let _: u64 = jobs.del(keys).await.unwrap();
    }

    /// The feed's changes, each with its posting.
    async fn told(&self, key: &str) -> Vec<String> {
        let mut jobs = self.installation.redis.connect(3).await;
        let entries: Vec<(String, BTreeMap<String, String>)> =
            redis::cmd("XRANGE").arg(&[key, "-", "+"]).query_async(&mut jobs).await.unwrap();
        let told = |(_, of): &(String, BTreeMap<String, String>)| {
            let why: Value = serde_json::from_str(&of["detail"]).unwrap();
            let why = why["why"].as_str().map(|why| format!(" {why}")).unwrap_or_default();
            format!("{} {}{why}", of["change"], of["title"])
        };
        entries.iter().map(told).collect()
    }
}

#[tokio::test]
async fn what_is_new_and_closed_is_right_also_when_the_listings_have_expired() {
    let site = Changing::open(BOARD).await;
    site.put(PATH, 200, JSON, board(&[(1, "Porter"), (2, "Night porter")]));
    assert_eq!(site.counts().await, (json!(2), json!(0)));
    site.forget_listings(&[LISTINGS]).await;
    assert_eq!(site.counts().await, (json!(0), json!(0)));
    site.forget_listings(&[LISTINGS]).await;
    site.put(PATH, 403, JSON, "");
    assert_eq!(site.counts().await, (json!(0), json!(0)));
    site.put(PATH, 200, JSON, board(&[(2, "Night porter, part time"), (3, "Hall porter")]));
    assert_eq!(site.counts().await, (json!(1), json!(1)));
    site.put(PATH, 200, JSON, board(&[(1, "Porter"), (3, "Hall porter")]));
    assert_eq!(site.counts().await, (json!(1), json!(1)));
    let told = site.told(FEED).await;
    let first = ["new Porter", "new Night porter", "closed Porter not_listed"];
    assert_eq!(told[..3], first);
    let mut rest = told[3..].to_vec();
    rest.sort();
    let expect = [
        "changed Night porter, part time",
        "closed Night porter, part time not_listed",
        "new Hall porter",
        "reopened Porter",
    ];
    assert_eq!(rest, expect);
}

#[tokio::test]
async fn what_became_of_postings_is_listed_also_when_the_listings_have_expired() {
    let site = Changing::open(BOARD).await;
    site.put(PATH, 200, JSON, board(&[(1, "Porter"), (2, "=Night porter"), (3, "Hall porter")]));
    site.scrape("porter").await;
    site.put(PATH, 200, JSON, board(&[(2, "=Night porter, part time"), (3, "Hall porter")]));
    site.scrape("porter").await;
    let run = async |args: &[&str]| {
        site.installation.rhubarb(&[&["listings", "porter"], args].concat()).await
    };
    let all = run(&["--jsonl"]).await;
    assert_eq!((all.code, all.stdout.lines().count()), (0, 2), "{}", all.stderr);
    for line in all.stdout.lines() {
        let listing: Value = serde_json::from_str(line).unwrap();
        assert_eq!(listing["life"]["state"], "open", "{line}");
        assert!(listing["life"]["first_seen"].as_str() <= listing["life"]["last_seen"].as_str());
    }
    let plain = run(&["--json"]).await.json();
    assert!(plain[0].get("life").is_none(), "as Django reads them: {plain}");

    for expired in [false, true] {
        if expired {
            site.forget_listings(&[LISTINGS]).await;
            assert_eq!(run(&[]).await.code, 1);
        }
        let closed = run(&["--closed", "--json"]).await.json();
        assert_eq!((closed.as_array().unwrap().len(), &closed[0]["title"]), (1, &json!("Porter")));
        assert_eq!(closed[0]["life"]["closed_why"], "not_listed");
        let changed = run(&["--changed", "--since", "1h", "--jsonl"]).await;
        let changed: Value = serde_json::from_str(changed.stdout.trim()).unwrap();
        let fields = &changed["life"]["changes"][0]["fields"];
        let expect = json!([
            {"field": "title", "old": "=Night porter", "new": "=Night porter, part time"},
        ]);
        assert_eq!(fields, &expect, "{changed:#}");
        assert_eq!(run(&["--new", "--json"]).await.json().as_array().unwrap().len(), 3);
        let both = run(&["--closed", "--changed"]).await.stdout;
        assert!(both.contains("closed (not_listed)") && both.contains("changed (title)"), "{both}");
        assert!(
            run(&["--new", "--since", "2099-01-01T00:00:00Z"]).await.stdout.contains("no such")
        );
        assert_eq!(run(&["--since", "1d", "--company", "nobody", "--jsonl"]).await.stdout, "");
        let table = run(&["--changed", "--csv"]).await.stdout;
        let (head, line) = table.split_once('\n').unwrap();
        assert!(head.starts_with("title,company,") && head.contains(",changed_at,changed,"));
        assert!(line.starts_with("\"'=Night porter, part time\",") && line.contains(",title,"));
    }
    for wrong in [["--csv", "--json"], ["--csv", "--jsonl"], ["--json", "--jsonl"]] {
        assert_eq!(run(&wrong).await.code, 2, "{wrong:?}");
    }
    assert_eq!(site.installation.rhubarb(&["listings", "driver", "--new"]).await.code, 1);
}

#[tokio::test]
async fn changes_are_followed_as_they_come() {
    let site = Changing::open(BOARD).await;
    site.put(PATH, 200, JSON, board(&[(1, "Porter"), (2, "Night porter")]));
    site.scrape("porter").await;
    let follow = |args: &[&str]| {
        let args = [&["listings", "porter", "--follow"], args].concat();
        site.installation.rhubarb_started(&args)
    };
    let mut jsonl = follow(&["--jsonl", "--since", "1h"]);
    let mut closed = follow(&["--closed"]);
    let filtered = follow(&["--since", "1h", "--company", "nobody"]);
    eventually(SOON, "what came since is printed", async || {
        let note = closed.stderr().contains("changes of \"porter\"");
        (jsonl.stdout().lines().count() == 2 && note).then_some(())
    })
    .await;
    site.put(PATH, 200, JSON, board(&[(2, "Night porter")]));
    site.scrape("porter").await;
    eventually(SOON, "the change is printed", async || {
        (jsonl.stdout().lines().count() == 3 && !closed.stdout().is_empty()).then_some(())
    })
    .await;
    let last: Value = serde_json::from_str(jsonl.stdout().lines().nth(2).unwrap()).unwrap();
    assert_eq!((&last["change"], &last["detail"]["why"]), (&json!("closed"), &json!("not_listed")));
    assert!(closed.stdout().contains("closed (not_listed)  Porter  "), "{}", closed.stdout());
    assert_eq!(filtered.stdout(), "");
    for process in [&mut jsonl, &mut closed] {
        process.signal(Signal::INT);
        assert_eq!(process.ended(SOON).await.code(), Some(0));
    }
}

/// A receiver of webhooks: what it was sent, and what it answers next.
#[derive(Clone, Default)]
pub(crate) struct Receiver(Arc<Mutex<Vec<(HeaderMap, String)>>>, Arc<Mutex<Vec<u16>>>);

impl Receiver {
    pub(crate) async fn open() -> (Site, Self) {
        let receiver = Self::default();
        let Self(sent, answers) = receiver.clone();
        let answer = move |headers: HeaderMap, body: String| {
            sent.lock().unwrap().push((headers, body));
            let status = answers.lock().unwrap().pop().unwrap_or(204);
            async move { StatusCode::from_u16(status).unwrap() }
        };
        (Site::start(Router::new().fallback(answer)).await, receiver)
    }

    /// What came so far.
    pub(crate) fn all(&self) -> Vec<(HeaderMap, Value)> {
        let sent = self.0.lock().unwrap();
        let read = |(headers, body): &(HeaderMap, String)| {
            (headers.clone(), serde_json::from_str(body).unwrap())
        };
        sent.iter().map(read).collect()
    }

    /// Answers the next one so.
    pub(crate) fn refuse(&self, status: u16) {
        self.1.lock().unwrap().push(status);
    }

    /// Refuses nothing more.
    pub(crate) fn take_all(&self) {
        self.1.lock().unwrap().clear();
    }

    async fn after(&self, n: usize) -> (HeaderMap, Value) {
        eventually(3 * SOON, "the webhook was told", async || {
            let sent = self.0.lock().unwrap();
            let (headers, body) = sent.get(n - 1)?.clone();
            Some((headers, serde_json::from_str(&body).unwrap()))
        })
        .await
    }
}

#[tokio::test]
async fn a_webhook_is_told_of_each_new_posting_once_and_again_until_it_answers() {
    let (hooks, receiver) = Receiver::open().await;
    let webhook = format!(
        "[[scrape.webhooks]]\nname = \"crm\"\nurl = \"{}\"\nkeywords = [\"Porter\"]\n\
         secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n",
        hooks.url("/hidden/path")
    );
    let site = Changing::open(&format!("{webhook}{BOARD}")).await;
    receiver.1.lock().unwrap().push(503);
    site.put(PATH, 200, JSON, board(&[(1, "Porter"), (2, "Night porter")]));
    site.scrape("porter").await;
    let (refused, _) = receiver.after(1).await;
    // A scrape that finds nothing new tells nothing, and the first message is tried again.
    site.scrape("porter").await;
    let (headers, message) = receiver.after(2).await;
    assert_eq!(headers["webhook-id"], refused["webhook-id"], "the receiver can tell a repetition");
    assert_eq!((&message["type"], &message["data"]["count"]), (&json!("listings.new"), &json!(2)));
    assert_eq!(message["data"]["keyword"], "porter");
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!((&text("webhook-signature")[..3], text("webhook-signature").len()), ("v1,", 47));
    assert!(text("webhook-timestamp").parse::<i64>().is_ok());

    site.put(PATH, 200, JSON, board(&[(2, "Night porter"), (3, "Hall porter")]));
    site.scrape("porter").await;
    let (other, message) = receiver.after(3).await;
    assert_ne!(other["webhook-id"], headers["webhook-id"]);
    assert_eq!(message["data"]["listings"].as_array().unwrap().len(), 1);
    assert_eq!(message["data"]["listings"][0]["title"], "Hall porter");
    // Another keyword has no webhook.
    site.scrape("night").await;
    let jobs = site.installation.redis.connect(3).await;
    eventually(SOON, "no notice waits", async || {
        let mut jobs = jobs.clone();
        let waiting: Vec<String> = jobs.keys("jobs:0:rhubarb.notices:*").await.unwrap();
        waiting.is_empty().then_some(())
    })
    .await;
    assert_eq!(receiver.0.lock().unwrap().len(), 3);
    let shown = site.installation.rhubarb(&["--print-config"]).await.stdout;
    assert!(shown.contains("crm") && !shown.contains("MfKQ9r8G") && !shown.contains("hidden"));
}

#[tokio::test]
async fn the_sequences_of_postings_and_boards_that_are_gone_end_as_a_person_needs_it() {
    let Some(folder) = cases() else {
        println!("LEFT OUT: sequences g-*: no ../shared/cases/scrape beside the workspace");
        return;
    };
    let read = |file: &str| fs::read(folder.join(file)).unwrap();
    // Boards of their own, because one company's posting of one title is one posting.
    let greenhouse = |name: &str| {
        format!(
            "[[sources]]\ntype = \"greenhouse\"\nname = \"{name}\"\nboard = \"{name}\"\n\
             base_url = \"{{base}}/{name}\"\n"
        )
    };
    let page = "[[sources]]\ntype = \"jsonld\"\nname = \"page\"\nurls = [\"{base}/one/p\"]\n";
    let names = ["gh", "empty", "ok"];
    let sources = names.map(greenhouse).concat() + page;
    let site = Changing::open(&sources).await;
    let path = |name: &str| format!("/{name}/v1/boards/{name}/jobs");
    site.put("/one/p", 200, HTML, read("g-page.html"));
    for name in ["gh", "empty"] {
        site.put(&path(name), 200, JSON, read("g-board.json"));
    }
    site.put(&path("ok"), 200, JSON, read("g-board-ok.json"));
    site.scrape("pilot").await;
    let sources = async || -> Vec<String> {
        let listings = site.json(&["listings", "pilot"]).await;
        let mut names: Vec<String> = listings
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["source"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(sources().await, ["empty", "gh", "ok", "page"]);

    site.put("/one/p", 410, HTML, "");
    site.put(&path("gh"), 404, JSON, read("g-board-404.json"));
    site.put(&path("empty"), 200, JSON, read("g-board-empty.json"));
    for scrape in 2..=4 {
        let ran = site.scrape("pilot").await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let told = site.status().await;
        assert_eq!(told["sources"]["gh"]["status"], "not_found", "{told:#}");
        assert_eq!(told["sources"]["empty"]["status"], "ok", "{told:#}");
        let left = sources().await;
        assert!(!left.contains(&"page".to_owned()) && !left.contains(&"empty".to_owned()));
        assert!(left.contains(&"ok".to_owned()), "{left:?} after scrape {scrape}");
        assert!(scrape < 4 || !left.contains(&"gh".to_owned()), "{left:?}");
    }
    let mut told = site.told("jobs:0:rhubarb.changes:jobs:pilot").await;
    told.retain(|told| told.starts_with("closed"));
    told.sort();
    let expect =
        ["closed Pilot board board_gone", "closed Pilot board not_listed", "closed Pilot one gone"];
    assert_eq!(told, expect);
}
