//! What a Django application with Celery and django-redis, unchanged, gets from Rhubarb.

use std::collections::{BTreeMap, BTreeSet};

use rhubarb_core::clock;
use rhubarb_demo::board;
use serde_json::Value;

use crate::shop::Shop;

/// The test to read first: it is what Rhubarb is for.
#[tokio::test]
async fn a_django_shop_enqueues_with_celery_and_reads_its_caches() {
    let shop = Shop::open().await;
    let Some(python) = shop.python() else { return };
    let _worker = shop.worker(&[]).await;

    // In Django: `scrape_specific_keyword.delay(keyword)` for each, then `.get()` on each result.
    let keywords = ["software engineer", "data scientist", "product manager"];
    let summaries = python.run(&["delay.py", keywords[0], keywords[1], keywords[2]]).await;
    for keyword in keywords {
        assert_eq!(summaries[keyword]["keyword"], keyword, "{summaries:#}");
        assert_eq!(summaries[keyword]["status"], "success", "{summaries:#}");
    }

    // In Django: `caches["jobs"].get("jobs:software_engineer")`.
    let cached = python.run(&["cache.py", "jobs", "jobs:software_engineer"]).await;
    let listed = shop.json(&["listings", "software engineer"]).await;
    assert_eq!(cached["value"], listed);
    assert_eq!(cached["type"], "list");

    // Every kind of source has found something, which reads as it stands on the board.
    let mut titles: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for listing in listed.as_array().unwrap() {
        let (source, title) =
            (listing["source"].as_str().unwrap(), listing["title"].as_str().unwrap());
        titles.entry(source).or_default().insert(title);
    }
    let openings = BOARD.map(|(source, part)| (source, board::openings(part, clock::now())));
    let expected = openings.iter().map(|(source, openings)| {
        let titles = openings.iter().map(|opening| opening.title.as_str());
        (*source, titles.filter(|title| title.contains("Software Engineer")).collect())
    });
    assert_eq!(titles, expected.collect());
}

/// The sources of the shop, with what the board has for each.
const BOARD: [(&str, board::Openings); 8] = [
    ("greenhouse:kettleandkernel", board::GREENHOUSE),
    ("lever:pocketlighthouse", board::LEVER),
    ("ashby:sundial", board::ASHBY),
    ("remoteok", board::REMOTEOK),
    ("weworkremotely", board::WEWORKREMOTELY),
    ("arbeitnow", board::ARBEITNOW),
    ("careers-page", board::CAREERS),
    ("classifieds", board::CLASSIFIEDS),
];

#[tokio::test]
async fn listings_live_for_half_an_hour_and_the_status_for_five_minutes() {
    let shop = Shop::open().await;
    let Some(python) = shop.python() else { return };
    let _worker = shop.worker(&[]).await;
    python.run(&["delay.py", "data scientist"]).await;

    let listings = python.run(&["cache.py", "jobs", "jobs:data_scientist"]).await;
    let status = python.run(&["cache.py", "default", "scraping_status"]).await;
    let check = |ttl: &Value, seconds: i64| {
        let ttl = ttl.as_i64().unwrap();
        assert!((seconds - 60..=seconds).contains(&ttl), "{ttl} s left of {seconds} s");
    };
    check(&listings["ttl"], 1_800);
    check(&status["ttl"], 300);
}

#[tokio::test]
async fn the_status_is_the_dict_that_django_reads_and_celery_returns() {
    let shop = Shop::open().await;
    let Some(python) = shop.python() else { return };
    let _worker = shop.worker(&[]).await;
    python.run(&["delay.py", "software engineer"]).await;

    let cached = python.run(&["cache.py", "default", "scraping_status"]).await["value"].clone();
    assert_eq!(cached["keyword"], "software engineer");
    assert_eq!(cached["status"], "success");
    assert_eq!(cached["jobs_count"], 24);
    assert_eq!(cached["new"], 24);
    assert_eq!(cached["error"], Value::Null);
    assert_eq!(cached["sources"].as_object().unwrap().len(), 8);

    let told =
        python.run(&["send.py", r#"[{"task": "job_scraper.tasks.get_scraping_status"}]"#]).await;
    assert_eq!(told[0]["result"], cached);
    assert_eq!(shop.json(&["status"]).await, cached);
}

#[tokio::test]
async fn clearing_the_cache_leaves_queues_and_sessions_alone() {
    let shop = Shop::open().await;
    let Some(python) = shop.python() else { return };
    let _worker = shop.worker(&[]).await;
    python.run(&["delay.py", "software engineer"]).await;
    let mut sessions = shop.installation.redis.connect(2).await;
    let key = "session:1:django.contrib.sessions.cacheabc";
    let _: () = redis::cmd("SET").arg(key).arg("x").query_async(&mut sessions).await.unwrap();
    let elsewhere = r#"[{"task": "elsewhere", "options": {"queue": "elsewhere"}}]"#;
    python.run(&["send.py", "--no-wait", elsewhere]).await;

    let told =
        python.run(&["send.py", r#"[{"task": "job_scraper.tasks.clear_cache_task"}]"#]).await;
    assert_eq!(told[0]["state"], "SUCCESS", "{told:#}");

    let listings = python.run(&["cache.py", "jobs", "jobs:software_engineer"]).await;
    let status = python.run(&["cache.py", "default", "scraping_status"]).await;
    assert_eq!((&listings["value"], &status["value"]), (&Value::Null, &Value::Null));
    let kept: u32 = redis::cmd("EXISTS").arg(key).query_async(&mut sessions).await.unwrap();
    let waiting: u32 =
        redis::cmd("LLEN").arg("elsewhere").query_async(&mut shop.queue().await).await.unwrap();
    assert_eq!((kept, waiting), (1, 1));
}

#[tokio::test]
async fn progress_is_seen_while_a_scrape_runs() {
    let shop = Shop::open().await;
    let Some(python) = shop.python() else { return };
    let _worker = shop.worker(&[]).await;
    shop.board.delay(std::time::Duration::from_millis(200));

    let scrape =
        r#"[{"task": "job_scraper.tasks.scrape_specific_keyword", "args": ["software engineer"]}]"#;
    let told = python.run(&["send.py", scrape]).await;
    let states = told[0]["states"].as_array().unwrap();
    assert!(states.contains(&"PROGRESS".into()), "{told:#}");
    assert_eq!(told[0]["state"], "SUCCESS");
}
