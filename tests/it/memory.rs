//! Sizes that are too much, floods, a Redis that is full, a worker that grows.

use redis::AsyncCommands;
use rhubarb_e2e::{eventually::eventually, process::Signal};
use rhubarb_queue::Publish;
use rhubarb_wire::control::{Command, ReplyTo};
use serde_json::json;

use crate::{
    OWN_WORKER,
    shop::{SOON, Shop},
};

/// From now on the server refuses whatever takes memory.
async fn fill(shop: &Shop) {
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("maxmemory").arg(1);
    let _: () = set.query_async(&mut shop.queue().await).await.unwrap();
}

#[tokio::test]
async fn a_worker_over_its_memory_finishes_what_it_runs_and_exits_with_0() {
    let mut shop = Shop::open().await;
    // Less than any worker takes.
    shop.installation.set("RHUBARB_WORKER_MAX_MEMORY", "16 MiB");
    shop.installation.set("RHUBARB_WORKER_LEASE", "6");
    let client = shop.client();
    let running = client.publish(&Publish::new("e2e.who").arg(1.5)).await.unwrap().id;
    let mut worker = shop.installation.start("grown", OWN_WORKER, &["--concurrency", "1"]);
    let pid = worker.id();
    worker.line("over worker.max_memory", SOON).await;
    let waiting = client.publish(&Publish::new("e2e.who").arg(0.0)).await.unwrap().id;
    let status = worker.ended(SOON).await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(worker.lines_with("over worker.max_memory").len(), 1);
    // Either it had begun and was finished, or it was left for the next one.
    if let Some(result) = client.result(&running).await.unwrap() {
        assert_eq!(result.result, pid);
    }
    assert_eq!(client.result(&waiting).await.unwrap(), None);
    shop.installation.set("RHUBARB_WORKER_MAX_MEMORY", "0");
    let _next = shop.installation.start("next", OWN_WORKER, &["--concurrency", "1"]);
    for id in [&running, &waiting] {
        assert!(client.wait(id, SOON, |_| {}).await.unwrap().is_some());
    }
    assert_eq!(shop.json(&["dead", "list"]).await, json!([]));
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_on_the_command_line_in_one_sentence() {
    let mut shop = Shop::open().await;
    shop.installation.set("RHUBARB_CELERY_MAX_PUBLISH_BYTES", "2000");
    let large = json!(["x".repeat(2_000)]).to_string();
    let ran = shop.rhubarb(&["enqueue", "shop.mail", "--args", &large]).await;
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("more than celery.max_publish_bytes = 2000"), "{}", ran.stderr);
    assert_eq!(ran.stderr.trim().lines().count(), 1, "{}", ran.stderr);
    let keys: Vec<String> = shop.queue().await.keys("*").await.unwrap();
    assert_eq!(keys, [""; 0]);
}

#[tokio::test]
async fn a_publisher_says_once_that_redis_is_full_and_goes_on_when_it_is_not() {
    let mut shop = Shop::open().await;
    shop.installation.set("RHUBARB_CELERY_PUBLISH_PATIENCE", "60");
    fill(&shop).await;
    let mut publisher = shop.installation.rhubarb_started(&["enqueue", "shop.mail"]);
    publisher.line("redis is out of memory: publishing waits", SOON).await;
    let mut redis = shop.queue().await;
    eventually(SOON, "it was refused five times", async || {
        let stats: String =
            redis::cmd("INFO").arg("errorstats").query_async(&mut redis).await.unwrap();
        let oom = stats.split("errorstat_OOM:count=").nth(1)?.split_whitespace().next()?;
        oom.parse::<u64>().ok().filter(|n| *n >= 5)
    })
    .await;
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("maxmemory").arg(0);
    let _: () = set.query_async(&mut redis).await.unwrap();
    assert_eq!(publisher.ended(SOON).await.code(), Some(0));
    assert_eq!(publisher.lines_with("out of memory").len(), 1, "{}", publisher.stderr());
    assert_eq!(redis.llen::<_, u64>("celery").await.unwrap(), 1);
}

#[tokio::test]
async fn a_scrape_on_a_full_redis_succeeds_and_leaves_the_caches_as_they_are() {
    let shop = Shop::open().await;
    let mut worker = shop.worker(&[]).await;
    let client = shop.client();
    let scrape = Publish::new("job_scraper.tasks.scrape_specific_keyword").arg("software engineer");
    let paused = shop.rhubarb(&["pause", "celery"]).await;
    assert_eq!(paused.code, 0);
    let id = client.publish(&scrape).await.unwrap().id;
    fill(&shop).await;
    let resumed = shop.rhubarb(&["resume", "celery"]).await;
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    let result = client.wait(&id, SOON, |_| {}).await.unwrap().expect("it ends");
    assert_eq!(result.status.as_str(), "SUCCESS", "{result:?}");
    assert!(result.result.to_string().contains("software engineer"), "{}", result.result);
    let mut listings = shop.installation.redis.connect(3).await;
    assert_eq!(listings.keys::<_, Vec<String>>("*").await.unwrap(), [""; 0]);
    assert_eq!(worker.lines_with("values are not cached").len(), 2, "one line an alias");
    assert!(worker.is_running());
}

/// Compressed by us, read by Celery 5.7 without a setting of its own; and the other way round.
#[tokio::test]
async fn a_compressed_result_is_read_by_celery_and_a_success_is_not_overwritten() {
    for method in ["zlib", "bzip2", "zstd"] {
        let mut shop = Shop::open().await;
        let Some(python) = shop.python() else { return };
        shop.installation.set("RHUBARB_CELERY_RESULT_COMPRESSION", method);
        shop.installation.set("RHUBARB_CELERY_RESULT_COMPRESSION_MIN_BYTES", "0");
        shop.installation.set("RHUBARB_CELERY_RESULT_EXTENDED", "true");
        let _worker = shop.installation.start("own-worker", OWN_WORKER, &[]);
        // `e2e.sleep` returns its argument; the extended record makes it long enough to be worth
        // it.
        let pad = "x".repeat(500);
        let call = json!([{ "task": "e2e.sleep", "kwargs": { "seconds": 0.25 },
            "options": { "headers": { "stamped_headers": ["pad"], "stamps": { "pad": pad } } } }]);
        let told = python.run(&["send.py", &call.to_string()]).await;
        assert_eq!((&told[0]["state"], &told[0]["result"]), (&json!("SUCCESS"), &json!(0.25)));
        let id = told[0]["id"].as_str().unwrap();
        let key = format!("celery-task-meta-{id}");
        let stored: Vec<u8> = shop.queue().await.get(&key).await.unwrap();
        assert!(stored.starts_with(b"\0celery-compressed\0"), "{method}: {stored:?}");
        let client = shop.client();
        assert_eq!(client.result(id).await.unwrap().unwrap().result, 0.25);
        let started = rhubarb_wire::State::Started;
        client.set_state(id, started, json!({})).await.unwrap();
        let kept: Vec<u8> = shop.queue().await.get(&key).await.unwrap();
        assert_eq!(kept, stored, "{method}");
    }
}

#[tokio::test]
async fn a_flood_of_unknown_tasks_is_told_once_for_each_name_with_a_count() {
    let shop = Shop::open().await;
    let client = shop.client();
    let tasks = (0..1_000).map(|n| Publish::new(["shop.a", "shop.b"][n % 2]));
    client.publish_all(tasks).await.unwrap();
    let mut worker = shop.worker(&[]).await;
    let mut redis = shop.queue().await;
    eventually(SOON, "all are parked", async || {
        let n: u64 = redis.zcard("rhubarb:parked").await.unwrap();
        (n == 1_000).then_some(())
    })
    .await;
    assert_eq!(worker.lines_with("message kept apart").len(), 2, "{}", worker.stdout());
    worker.signal(Signal::TERM);
    assert_eq!(worker.ended(SOON).await.code(), Some(0));
    let sums = worker.lines_with("over: messages of a task that nobody knows are parked");
    assert_eq!(sums.len(), 2, "{}", worker.stdout());
    assert!(sums.iter().all(|line| line.contains("n=500")), "{sums:?}");
    assert!(worker.stdout().len() < 10_000, "{}", worker.stdout());
}

/// The most memory that a process has had, MiB.
fn peak_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn a_flood_of_revocations_takes_little_memory_and_tells_what_it_forgets() {
    let shop = Shop::open().await;
    let mut worker = shop.worker(&[]).await;
    shop.registered_workers(1).await;
    let mut redis = shop.queue().await;
    eventually(SOON, "the worker hears", async || {
        let heard: u64 = redis.publish("/0.celery.pidbox", "x").await.unwrap();
        (heard > 0).then_some(())
    })
    .await;
    let before = peak_mib(worker.id());
    let revoke = |first: usize| {
        let ids: Vec<String> =
            (first..first + 10_000).map(|n| format!("00000000-0000-4000-8000-{n:012}")).collect();
        let arguments = json!({ "task_id": ids });
        let command = Command {
            ticket: Some("t".to_owned()),
            reply_to: Some(ReplyTo::client("gone")),
            ..Command::new("revoke", arguments.as_object().unwrap().clone())
        };
        command.encode("tag")
    };
    for first in (0..360_000).step_by(10_000) {
        let _: u64 = redis.publish("/0.celery.pidbox", revoke(first)).await.unwrap();
    }
    eventually(SOON, "the last stands in Redis", async || {
        let last = "00000000-0000-4000-8000-000000359999";
        redis.zscore::<_, _, Option<f64>>("rhubarb:revoked", last).await.unwrap()
    })
    .await;
    assert_eq!(redis.zcard::<_, u64>("rhubarb:revoked").await.unwrap(), 50_000);
    let peak = peak_mib(worker.id());
    eprintln!("peak {peak} MiB, {before} before");
    assert!(peak < before + 100, "{peak} MiB, {before} before");
    assert_eq!(worker.lines_with("the oldest revocations are forgotten").len(), 1);
    assert!(worker.lines_with("revoked").len() < 30, "{}", worker.stdout());
    worker.signal(Signal::TERM);
    assert_eq!(worker.ended(SOON).await.code(), Some(0));
    let sums = worker.lines_with("over: the oldest revocations give way");
    assert!(sums.len() == 1 && sums[0].contains("n=310000"), "{}", worker.stdout());
}
