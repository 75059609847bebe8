//! From a schedule to the cache that Django reads, with one beat and with two.

use std::time::Duration;

use redis::AsyncCommands;
use rhubarb_e2e::{
    eventually::eventually,
    process::{Process, Signal},
    redis_server::RedisServer,
};
use rhubarb_queue::{Publish, schedules::unfinished};
use serde_json::Value;

use crate::shop::{SOON, Shop};

const EVERY_TWO_SECONDS: &str = r#"
[schedules.python]
task = "job_scraper.tasks.scrape_specific_keyword"
kwargs = { keyword = "python developer" }
every = 2
"#;

/// The same, onto a queue that nobody serves, so that the ticks can be counted there.
const UNSERVED: &str = r#"
[schedules.counted]
task = "counted"
queue = "unserved"
every = 1
"#;

#[tokio::test]
async fn a_schedule_fills_the_cache_that_django_reads() {
    let shop = Shop::open_with(EVERY_TWO_SECONDS).await;
    let _worker = shop.worker(&[]).await;
    let mut beat = shop.installation.beat(&[]);

    let listings = eventually(SOON, "the listings are cached", async || {
        let ran = shop.rhubarb(&["listings", "python developer", "--json"]).await;
        (ran.code == 0).then(|| ran.json())
    })
    .await;

    if let Some(python) = shop.python() {
        let cached = python.run(&["cache.py", "jobs", "jobs:python_developer"]).await;
        assert_eq!(cached["value"], listings);
    }
    beat.signal(Signal::TERM);
    assert_eq!(beat.ended(Duration::from_secs(10)).await.code(), Some(0));
}

async fn ticks(shop: &Shop) -> Vec<Value> {
    let mut queue = shop.queue().await;
    let messages: Vec<String> = queue.lrange("unserved", 0, -1).await.unwrap();
    messages.iter().map(|message| serde_json::from_str(message).unwrap()).collect()
}

async fn ticks_reach(shop: &Shop, n: usize) {
    let what = format!("{n} ticks are published");
    eventually(SOON, &what, async || (ticks(shop).await.len() >= n).then_some(())).await;
}

/// Published means: as many messages as seconds have passed, each of another tick.
fn assert_once_each(ticks: &[Value], seconds: f64) {
    let mut ids: Vec<&str> =
        ticks.iter().map(|tick| tick["headers"]["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), ticks.len(), "a tick was published twice");
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let n = ticks.len() as f64;
    assert!(n <= seconds + 1.5, "{n} ticks of one second in {seconds} s");
}

#[tokio::test]
async fn two_beats_publish_each_tick_once_and_the_second_takes_over() {
    let shop = Shop::open_with(UNSERVED).await;
    let begun = tokio::time::Instant::now();
    let mut beats: [Process; 2] = [shop.installation.beat(&[]), shop.installation.beat(&[])];
    ticks_reach(&shop, 4).await;
    assert_once_each(&ticks(&shop).await, begun.elapsed().as_secs_f64());

    // Whichever leads: the one that is left goes on after the other's death.
    for (one, other) in [(0, 1), (1, 0)] {
        beats[one].kill();
        let before = ticks(&shop).await.len();
        ticks_reach(&shop, before + 3).await;
        assert_once_each(&ticks(&shop).await, begun.elapsed().as_secs_f64());
        assert!(beats[other].is_running());
        beats[one] = shop.installation.beat(&[]);
    }
}

#[tokio::test]
async fn what_beat_publishes_says_so_and_no_beat_runs_a_task() {
    let shop = Shop::open_with(UNSERVED).await;
    let mut beat = shop.installation.beat(&[]);
    ticks_reach(&shop, 2).await;
    for tick in ticks(&shop).await {
        assert_eq!(tick["headers"]["celery_beat_task"], true, "{tick:#}");
        assert_eq!(tick["headers"]["task"], "counted");
    }
    beat.signal(Signal::TERM);
    assert_eq!(beat.ended(Duration::from_secs(10)).await.code(), Some(0));
}

/// Where an answer of all that waits would be cut by Redis for its size.
#[tokio::test]
async fn a_last_run_is_found_behind_messages_that_are_too_large_together() {
    let shop = Shop::open_on(RedisServer::start().await, "").await;
    let (client, mut redis) = (shop.client(), shop.queue().await);
    let mut limit = redis::cmd("CONFIG");
    limit.arg("SET").arg("client-output-buffer-limit").arg("normal 4mb 0 0");
    let _: () = limit.query_async(&mut redis).await.unwrap();
    for _ in 0..20 {
        let _: () = redis.lpush("celery", "x".repeat(1 << 20)).await.unwrap();
    }
    let id = client.publish(&Publish::new("t")).await.unwrap().id;
    assert!(unfinished(&client, "celery", &id).await.unwrap());
    assert!(!unfinished(&client, "celery", "another").await.unwrap());
}
