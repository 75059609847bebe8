//! What a scrape does with boards that misbehave, with keywords asked for twice, and with what it
//! found before.

use std::time::Duration;

use rhubarb_e2e::{
    board::{
        ARBEITNOW, ASHBY, Fault, GREENHOUSE, HTML, JSON_LD, LEVER, REMOTEOK, WE_WORK_REMOTELY,
    },
    eventually::eventually,
};
use serde_json::Value;

use crate::shop::{SOON, Shop};

/// Scrapes a keyword to its end and returns the status.
async fn scrape(shop: &Shop, keyword: &str) -> Value {
    let ran = shop.rhubarb(&["scrape", keyword, "--force", "--wait", "60"]).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    shop.json(&["status"]).await
}

fn sources_of(listings: &Value) -> Vec<&str> {
    let mut sources: Vec<&str> = listings
        .as_array()
        .unwrap()
        .iter()
        .map(|listing| listing["source"].as_str().unwrap())
        .collect();
    sources.sort_unstable();
    sources.dedup();
    sources
}

#[tokio::test]
async fn failing_sources_say_why_and_the_others_listings_are_cached() {
    let mut shop = Shop::open().await;
    // For the boards that never answer or never end.
    shop.installation.set("RHUBARB_SCRAPE_CONNECT_TIMEOUT", "1");
    shop.installation.set("RHUBARB_SCRAPE_REQUEST_TIMEOUT", "2");
    shop.installation.set("RHUBARB_SCRAPE_SOURCE_TIMEOUT", "3");
    shop.installation.set("RHUBARB_SCRAPE_MAX_BODY_BYTES", "1000000");
    let _worker = shop.worker(&[]).await;
    let faults = [
        (GREENHOUSE, "greenhouse:kettleandkernel", Fault::Status(500), "failed"),
        (LEVER, "lever:pocketlighthouse", Fault::Status(404), "not_found"),
        (ASHBY, "ashby:sundial", Fault::WebPage, "failed"),
        (REMOTEOK, "remoteok", Fault::Truncated, "failed"),
        (ARBEITNOW, "arbeitnow", Fault::Endless, "failed"),
        (JSON_LD, "careers-page", Fault::Silent, "failed"),
    ];
    for (path, _, fault, _) in faults {
        shop.board.fault(path, fault);
    }

    let status = scrape(&shop, "software engineer").await;

    assert_eq!(status["status"], "partial", "{status:#}");
    for (_, source, fault, expected) in faults {
        let told = &status["sources"][source];
        assert_eq!(told["status"], expected, "{fault:?}: {status:#}");
        let reason = told["error"].as_str().unwrap_or_default();
        assert!(
            expected == "not_found" || !reason.is_empty(),
            "{fault:?} has no reason: {status:#}"
        );
    }
    let listings = shop.json(&["listings", "software engineer"]).await;
    assert_eq!(sources_of(&listings), ["classifieds", "weworkremotely"]);
}

#[tokio::test]
async fn a_source_that_fails_keeps_its_earlier_listings_and_a_good_run_replaces_them() {
    let shop = Shop::open().await;
    let _worker = shop.worker(&[]).await;
    scrape(&shop, "software engineer").await;
    let before = shop.json(&["listings", "software engineer"]).await;

    shop.board.fault(GREENHOUSE, Fault::Status(500));
    shop.board.put(REMOTEOK, "application/json", r#"[{"last_updated": 1, "legal": "x"}]"#);
    let status = scrape(&shop, "software engineer").await;
    let after = shop.json(&["listings", "software engineer"]).await;

    assert_eq!(status["status"], "partial");
    let of = |listings: &Value, source: &str| -> Vec<Value> {
        let all = listings.as_array().unwrap().iter();
        all.filter(|listing| listing["source"] == source).cloned().collect()
    };
    assert_eq!(of(&after, "greenhouse:kettleandkernel"), of(&before, "greenhouse:kettleandkernel"));
    assert_eq!(of(&after, "remoteok"), Vec::<Value>::new(), "an honest zero closes what was there");
    assert_eq!(status["closed"], 3, "{status:#}");
    assert_eq!(status["new"], 0, "{status:#}");
}

#[tokio::test]
async fn when_all_sources_fail_the_listings_and_their_time_are_left_alone() {
    let shop = Shop::open().await;
    let _worker = shop.worker(&[]).await;
    scrape(&shop, "software engineer").await;
    let before = shop.json(&["listings", "software engineer"]).await;
    let mut jobs = shop.installation.redis.connect(3).await;
    let key = "jobs:1:jobs:software_engineer";
    let _: () = redis::cmd("EXPIRE").arg(key).arg(1000).query_async(&mut jobs).await.unwrap();

    // A source with one page of two is partial.
    let second = "/careers/2";
    for path in
        [GREENHOUSE, LEVER, ASHBY, REMOTEOK, WE_WORK_REMOTELY, ARBEITNOW, JSON_LD, second, HTML]
    {
        shop.board.fault(path, Fault::Status(500));
    }
    // The task is tried again in a minute or two; the status tells of the first attempt.
    let ran = shop.rhubarb(&["scrape", "software engineer", "--force"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let status = eventually(SOON, "the status is `error`", async || {
        let status = shop.json(&["status"]).await;
        (status["status"] == "error").then_some(status)
    })
    .await;

    assert!(status["error"].is_string(), "{status:#}");
    assert_eq!(shop.json(&["listings", "software engineer"]).await, before);
    let ttl: i64 = redis::cmd("TTL").arg(key).query_async(&mut jobs).await.unwrap();
    assert!(ttl <= 1000, "{ttl}");
}

#[tokio::test]
async fn an_honest_zero_from_all_sources_is_an_empty_list() {
    let shop = Shop::open().await;
    let _worker = shop.worker(&[]).await;
    let status = scrape(&shop, "submarine cook").await;
    assert_eq!((&status["status"], &status["jobs_count"]), (&"success".into(), &0.into()));
    assert_eq!(shop.json(&["listings", "submarine cook"]).await, Value::Array(Vec::new()));
}

#[tokio::test]
async fn a_narrowed_scrape_asks_only_its_sources_and_leaves_the_others_listings() {
    let shop = Shop::open().await;
    let _worker = shop.worker(&[]).await;
    scrape(&shop, "software engineer").await;
    let before = shop.json(&["listings", "software engineer"]).await;
    let asked = shop.board.asked(LEVER).len();
    let narrowed =
        ["scrape", "software engineer", "--source", "remoteok", "--force", "--wait", "60"];
    let ran = shop.rhubarb(&narrowed).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(shop.board.asked(LEVER).len(), asked, "no other source is asked");
    let after = shop.json(&["listings", "software engineer"]).await;
    assert_eq!(after.as_array().map(Vec::len), before.as_array().map(Vec::len));
    let unknown = [
        "enqueue",
        "job_scraper.tasks.scrape_specific_keyword",
        "--args",
        "[\"x\"]",
        "--kwargs",
        "{\"sources\": [\"nobody\"]}",
        "--wait",
        "60",
    ];
    let ran = shop.rhubarb(&unknown).await;
    assert_eq!(ran.code, 6, "{}{}", ran.stdout, ran.stderr);
}

#[tokio::test]
async fn filters_narrow_what_is_told_and_shown_and_all_stays_cached() {
    let shop = Shop::open().await;
    let _worker = shop.worker(&[]).await;
    scrape(&shop, "software engineer").await;
    let all = shop.json(&["listings", "software engineer"]).await;
    let all = all.as_array().unwrap();
    let is_remote = |listing: &&Value| listing["is_remote"] == Value::Bool(true);
    let n_remote = all.iter().filter(is_remote).count();
    assert!((1..all.len()).contains(&n_remote), "{n_remote} of {}", all.len());

    let shown = shop.json(&["listings", "software engineer", "--remote"]).await;
    assert_eq!(shown.as_array().unwrap().len(), n_remote);
    assert!(shown.as_array().unwrap().iter().all(|listing| is_remote(&listing)));
    let told = shop.json(&["scrape", "software engineer", "--remote", "--wait", "60"]).await;
    assert_eq!(told["count"], n_remote, "{told:#}");
    let none = shop.json(&["listings", "software engineer", "--company", "nobody at all"]).await;
    assert_eq!(none, Value::Array(Vec::new()));

    let after = shop.json(&["listings", "software engineer"]).await;
    assert_eq!(after.as_array().map(Vec::len), Some(all.len()));
    let wrong = shop.rhubarb(&["listings", "software engineer", "--posted-within", "soon"]).await;
    assert_eq!(wrong.code, 2, "{}{}", wrong.stdout, wrong.stderr);
}

#[tokio::test]
async fn compounds_and_plurals_of_the_keyword_are_found() {
    let shop = Shop::open().await;
    let _worker = shop.worker(&[]).await;
    for keyword in ["software engineer", "Software-Engineers"] {
        let args = ["scrape", keyword, "--source", "remoteok", "--force", "--wait", "60"];
        let ran = shop.rhubarb(&args).await;
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    }
    let titles = async |keyword: &str| -> std::collections::BTreeSet<String> {
        let listings = shop.json(&["listings", keyword]).await;
        let titles = listings.as_array().unwrap().iter().map(|l| l["title"].to_string());
        titles.collect()
    };
    assert_eq!(titles("Software-Engineers").await, titles("software engineer").await);
    assert!(!titles("software engineer").await.is_empty());
}

#[tokio::test]
async fn fresh_listings_are_not_fetched_again_unless_forced() {
    let shop = Shop::open().await;
    let _worker = shop.worker(&[]).await;
    let scraped = async |args: &[&str]| {
        let ran =
            shop.rhubarb(&[&["scrape", "data scientist", "--wait", "60"], args].concat()).await;
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        shop.board.asked(LEVER).len()
    };
    assert_eq!(scraped(&[]).await, 1);
    assert_eq!(scraped(&[]).await, 1);
    assert_eq!(scraped(&["--force"]).await, 2);
}

#[tokio::test]
async fn two_scrapes_of_a_keyword_fetch_once_and_tell_the_same() {
    let shop = Shop::open().await;
    let Some(python) = shop.python() else { return };
    let _worker = shop.worker(&[]).await;
    shop.board.delay(Duration::from_millis(300));

    let one = r#"{"task": "job_scraper.tasks.scrape_specific_keyword", "args": ["product manager"], "kwargs": {"force": true}}"#;
    let told = python.run(&["send.py", &format!("[{one}, {one}]")]).await;

    for field in ["keyword", "count", "status", "sources"] {
        assert_eq!(told[0]["result"][field], told[1]["result"][field], "{told:#}");
    }
    assert_eq!(told[0]["result"]["count"], 19);
    assert_eq!(shop.board.asked(LEVER).len(), 1);
}

#[tokio::test]
async fn boards_are_asked_politely() {
    let shop = Shop::open().await;
    let _worker = shop.worker(&[]).await;
    shop.board.put("/robots.txt", "text/plain", "User-agent: *\nDisallow: /lever/\n");
    let status = scrape(&shop, "software engineer").await;

    let told = &status["sources"]["lever:pocketlighthouse"];
    assert_eq!(told["status"], "failed", "{status:#}");
    assert!(told["error"].as_str().unwrap().contains("robots"), "{status:#}");
    assert!(shop.board.asked(LEVER).is_empty());
    let asked = shop.board.asked(GREENHOUSE);
    let agent = asked[0].headers["user-agent"].to_str().unwrap();
    assert!(agent.to_lowercase().contains("rhubarb"), "{agent}");
    assert_eq!(
        shop.board.asked("/robots.txt").len(),
        1,
        "robots.txt is asked for once a host, not once a page"
    );
}
