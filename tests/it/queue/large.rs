//! Large numbers: however much waits, each script touches a bounded number of elements.

use std::{collections::BTreeMap, time::Duration};

use redis::{AsyncCommands, aio::MultiplexedConnection};
use rhubarb_consumer::{Delivery, Outcome};
use rhubarb_e2e::eventually::eventually;
use rhubarb_queue::{Publish, inspect, pauses};

use super::{Bench, WAIT, echo};

/// The most elements that a script may touch.
const ELEMENTS: u64 = 1000;
/// No script may hold Redis up for so long, on a busy machine. One that touches all of these
/// numbers takes longer.
const SCRIPT: Duration = Duration::from_millis(250);

/// What is counted as touching an element, when scripts do it.
const TOUCHES: [&str; 13] = [
    "zadd", "zrem", "rpush", "lpush", "rpop", "hset", "hget", "hdel", "hincrby", "exists", "set",
    "setex", "publish",
];

/// Fills Redis by a script of ours, a bounded number at a time; `N` in it is the number,
/// `message()` a message of it.
async fn fill(bench: &Bench, redis: &mut MultiplexedConnection, n: u64, each: &str) {
    let id = Some("NUMBER".to_owned());
    bench.publish(&Publish::new("t").arg(1).with(|options| options.id = id)).await;
    let message: Vec<u8> = redis.rpop("celery", None).await.unwrap();
    let script = format!(
        "for N = tonumber(ARGV[1]), tonumber(ARGV[2]) do
           local function message() return (string.gsub(ARGV[3], 'NUMBER', N)) end
           {each}
         end"
    );
    for from in (1..=n).step_by(20_000) {
        let mut eval = redis::cmd("EVAL");
        let to = (from + 19_999).min(n);
        eval.arg(&script).arg(0).arg(from).arg(to).arg(&message);
        let _: () = eval.query_async(redis).await.unwrap();
    }
    for words in ["CONFIG RESETSTAT", "SLOWLOG RESET"] {
        bench.server.command(words).await;
    }
    let slower = format!("CONFIG SET slowlog-log-slower-than {}", SCRIPT.as_micros());
    bench.server.command(&slower).await;
}

/// How often each command was called since [`fill`].
async fn calls(redis: &mut MultiplexedConnection) -> BTreeMap<String, u64> {
    let info: String = redis::cmd("INFO").arg("commandstats").query_async(redis).await.unwrap();
    let count = |line: &str| {
        let (name, stats) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), stats.split(',').next()?.parse().ok()?))
    };
    info.lines().filter_map(count).collect()
}

async fn scripts_are_bounded(redis: &mut MultiplexedConnection) {
    let calls = calls(redis).await;
    let count = |name: &str| calls.get(name).copied().unwrap_or_default();
    let scripts = count("evalsha") + count("eval");
    let touched: u64 = TOUCHES.iter().map(|name| count(name)).sum();
    assert!(scripts > 0 && touched / scripts <= ELEMENTS, "{touched} by {scripts}: {calls:?}");
    let slow: u64 = redis::cmd("SLOWLOG").arg("LEN").query_async(redis).await.unwrap();
    let log: redis::Value = redis::cmd("SLOWLOG").arg("GET").query_async(redis).await.unwrap();
    assert_eq!(slow, 0, "slower than {SCRIPT:?}: {log:?}");
}

async fn processed(worker: &super::TestWorker, n: u64) {
    let counter = &worker.consumer().counters().processed;
    eventually(WAIT, "tasks run", async || {
        (counter.load(std::sync::atomic::Ordering::Relaxed) >= n).then_some(())
    })
    .await;
}

#[tokio::test]
async fn of_100_000_messages_due_in_the_same_second_a_script_moves_a_bounded_number() {
    let bench = Bench::with(|config| config.worker.concurrency = 100).await;
    let mut redis = bench.redis().await;
    let due = "redis.call('ZADD', 'rhubarb:{celery}:scheduled', 1000, '1|' .. message())";
    fill(&bench, &mut redis, 100_000, due).await;
    let worker = bench.worker(echo);
    processed(&worker, 500).await;
    scripts_are_bounded(&mut redis).await;
    let left: u64 = redis.zcard("rhubarb:{celery}:scheduled").await.unwrap();
    assert!(left > 1000, "moved as slots are free, and not all at once: {left}");
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_million_scheduled_and_a_million_waiting_messages_hold_no_script_up() {
    let bench = Bench::with(|config| config.worker.concurrency = 100).await;
    let mut redis = bench.redis().await;
    let later = "redis.call('ZADD', 'rhubarb:{celery}:scheduled', 9e15 + N, '1|' .. N)";
    fill(&bench, &mut redis, 1_000_000, later).await;
    // The first are whole; those behind them are short, for the machine's sake.
    let waiting = "redis.call('LPUSH', 'celery', N <= 20000 and message() or N)";
    fill(&bench, &mut redis, 1_000_000, waiting).await;
    let worker = bench.worker(echo);
    processed(&worker, 500).await;
    scripts_are_bounded(&mut redis).await;
    // Looking at it, holding it and throwing it away are not slower for its length.
    pauses::pause(&bench.client, "celery", None).await.unwrap();
    let shown = inspect::queues(&bench.client, &[]).await.unwrap();
    let shown = shown.iter().find(|queue| queue.name == "celery").unwrap();
    assert!(shown.waiting > 900_000 && shown.scheduled == 1_000_000, "{shown:?}");
    assert!(worker.stop().await);
    let purged = pauses::purge(&bench.client, "celery", true).await.unwrap();
    assert!(purged.waiting > 900_000 && purged.scheduled == 1_000_000, "{purged:?}");
    scripts_are_bounded(&mut redis).await;
}

#[tokio::test]
async fn what_10_000_dead_workers_held_is_given_back_soon_by_bounded_scripts() {
    let bench = Bench::new().await;
    let mut redis = bench.redis().await;
    let dead = "redis.call('ZADD', 'rhubarb:{celery}:leases', 1000, 'w' .. N)
                redis.call('ZADD', 'rhubarb:workers', 1000, 'w' .. N)
                redis.call('HSET', 'rhubarb:{celery}:claims:w' .. N, 1, '1:0:0:' .. message())";
    fill(&bench, &mut redis, 10_000, dead).await;
    let worker = bench.worker_named("live", echo);
    eventually(WAIT, "nobody dead holds anything", async || {
        let workers: Vec<String> = redis.zrange("rhubarb:{celery}:leases", 0, 1).await.unwrap();
        workers.iter().all(|worker| worker == "live").then_some(())
    })
    .await;
    scripts_are_bounded(&mut redis).await;
    assert!(worker.stop().await);
}

/// A handler that returns how long the first argument is.
async fn len(delivery: Delivery) -> Outcome {
    let body = delivery.received.body().unwrap();
    Outcome::Success(body.args[0].as_str().map_or(0, str::len).into())
}

/// A bench whose Redis holds so much back for a connection with subscriptions, and workers with
/// room for a lot.
async fn tight(limits: &str) -> Bench {
    let bench = Bench::with(|config| {
        config.worker.concurrency = 32;
        config.worker.max_message_bytes = 64 << 20;
        config.celery.max_publish_bytes = 64 << 20;
    })
    .await;
    set(&bench, &["CONFIG", "SET", "client-output-buffer-limit", &format!("pubsub {limits}")])
        .await;
    bench
}

async fn set(bench: &Bench, words: &[&str]) {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]).query_async::<()>(&mut bench.redis().await).await.unwrap();
}

/// Publishes `n` messages with an argument of so many bytes; whoever publishes has no
/// subscriptions.
async fn publish_of(bench: &Bench, n: usize, bytes: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..n {
        ids.push(bench.publish(&Publish::new("t").arg("x".repeat(bytes))).await);
    }
    ids
}

async fn ended_with(bench: &Bench, ids: &[String], bytes: usize) {
    for id in ids {
        assert_eq!(bench.result(id).await.result, bytes);
    }
}

/// How often Redis has ended a connection for what waited for it; 6.2 does not count.
async fn ended_for_their_buffers(bench: &Bench) -> u64 {
    let stats: String =
        redis::cmd("INFO").arg("stats").query_async(&mut bench.redis().await).await.unwrap();
    let count = stats
        .lines()
        .find_map(|line| line.strip_prefix("client_output_buffer_limit_disconnections:"));
    count.map_or(0, |count| count.parse().unwrap())
}

/// Together they were more than the buffer holds: the connection was ended, and each time the same
/// was asked for.
#[tokio::test]
async fn messages_that_no_output_buffer_holds_together_are_all_run() {
    for (limits, n, bytes) in
        [("32mb 8mb 60", 4, 12 << 20), ("8mb 2mb 60", 20, 900_000), ("8mb 2mb 60", 1, 10 << 20)]
    {
        let bench = tight(limits).await;
        let ids = publish_of(&bench, n, bytes).await;
        let worker = bench.worker(len);
        ended_with(&bench, &ids, bytes).await;
        assert!(worker.stop().await);
        assert_eq!(ended_for_their_buffers(&bench).await, 0, "{limits}");
    }
}

#[tokio::test]
async fn where_redis_does_not_tell_its_limit_less_is_asked_for_until_it_comes() {
    let bench = tight("2mb 1mb 60").await;
    set(&bench, &["ACL", "SETUSER", "default", "-config"]).await;
    let ids = publish_of(&bench, 8, 900_000).await;
    let large = publish_of(&bench, 1, 6 << 20).await;
    let worker = bench.worker(len);
    ended_with(&bench, &ids, 900_000).await;
    ended_with(&bench, &large, 6 << 20).await;
    assert!(worker.stop().await);
    let ended = ended_for_their_buffers(&bench).await;
    assert!(ended < 20, "{ended}");
}

/// They are taken by another script, one by one.
#[tokio::test]
async fn large_messages_among_those_that_others_run_are_all_run() {
    let bench = tight("8mb 2mb 60").await;
    let busy = bench.worker_of("busy", vec!["other".to_owned()].into(), |_| std::future::pending());
    for _ in 0..40 {
        bench.publish(&Publish::new("other")).await;
    }
    eventually(WAIT, "no slot is free", async || (busy.consumer().held() == 32).then_some(()))
        .await;
    let ids = publish_of(&bench, 20, 900_000).await;
    let worker = bench.worker(len);
    ended_with(&bench, &ids, 900_000).await;
    let large = publish_of(&bench, 1, 10 << 20).await;
    ended_with(&bench, &large, 10 << 20).await;
    assert!(worker.stop().await);
    assert_eq!(ended_for_their_buffers(&bench).await, 0);
    busy.kill();
}
