//! `rhubarb adopt-unacked`.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use rhubarb_e2e::{eventually::eventually, process::Process};
use serde_json::{Value, json};

use super::{celery_worker, int, own_worker, shop_with_lease, waiting, waiting_ids};
use crate::shop::{SOON, Shop};

/// Puts entries into kombu's keys as its workers do; the first is the oldest, delivered so long
/// ago.
async fn deliver(queue: &mut MultiplexedConnection, entries: &[(String, String)], ago: Duration) {
    let (now, _): (u64, u64) = redis::cmd("TIME").query_async(queue).await.unwrap();
    for (chunk, entries) in entries.chunks(1_000).enumerate() {
        let mut pipeline = redis::pipe();
        for (idx, (tag, entry)) in entries.iter().enumerate() {
            let nth = u64::try_from(chunk * 1_000 + idx).unwrap();
            let at = format!("{}.{nth:06}", now - ago.as_secs());
            pipeline.cmd("ZADD").arg("unacked_index").arg(at).arg(tag).ignore();
            pipeline.cmd("HSET").arg("unacked").arg(tag).arg(entry).ignore();
        }
        pipeline.query_async::<()>(queue).await.unwrap();
    }
}

fn entry(n: usize, queue: &str) -> (String, String) {
    let message = json!({
        "body": "W10=", "headers": {"id": format!("id{n}"), "task": "t"},
        "properties": {"delivery_info": {"exchange": "", "routing_key": queue}, "delivery_tag": n.to_string()},
    });
    (n.to_string(), json!([message, "", queue]).to_string())
}

/// A Celery worker is killed while it runs one task, acknowledged late, and holds three more. They
/// go back exactly as kombu itself would put them, and our worker runs them: Python's `get()`
/// returns.
#[tokio::test]
async fn what_a_killed_celery_worker_held_is_run_by_ours() {
    let shop = shop_with_lease(15).await;
    let Some(python) = shop.python() else { return };
    // Threads: nothing of it outlives the kill.
    let mut celery = celery_worker(&shop, &python, &["-P", "threads", "-c", "1"]);
    celery.line("ready.", SOON).await;
    let call = |n: u8| json!({"task": "e2e.who", "args": [0.1], "options": {"priority": n}});
    let calls = json!([call(0), call(0), call(3), call(9)]).to_string();
    let mut client = python.command(&["send.py", &calls]);
    client.env("CELERY_APP", "fleet");
    let mut client = Process::start("send", shop.installation.folder(), client);
    let mut queue = shop.queue().await;
    eventually(SOON, "the Celery worker holds all of them", async || {
        (int(&mut queue, "HLEN", "unacked").await == 4).then_some(())
    })
    .await;
    celery.kill();
    let entries: Vec<(Vec<u8>, Vec<u8>)> = all(&mut queue, "HGETALL", &["unacked"]).await;
    let index: Vec<(Vec<u8>, f64)> =
        all(&mut queue, "ZRANGE", &["unacked_index", "0", "-1", "WITHSCORES"]).await;

    let told = shop.json(&["adopt-unacked", "--older-than", "0"]).await;

    assert_eq!(told["moved"]["celery"], 4, "{told:#}");
    assert_eq!(told["n_left"], 0);
    assert_eq!(int(&mut queue, "EXISTS", "unacked").await, 0);
    assert_eq!(int(&mut queue, "EXISTS", "unacked_mutex").await, 0, "released");
    let ours = waiting(&mut queue).await;
    let by_list: Vec<usize> = ours.iter().map(Vec::len).collect();
    assert_eq!(by_list, [2, 1, 0, 1]);

    // The same once more by kombu.
    put_back(&mut queue, &entries, &index).await;
    python.run(&["restore.py"]).await;
    assert_eq!(waiting(&mut queue).await, ours, "byte for byte and in the same order");

    let worker = own_worker(&shop, &["--concurrency", "1"]);
    client.ended(SOON).await;
    let told: Value = serde_json::from_str(client.stdout().lines().last().unwrap()).unwrap();
    for one in told.as_array().unwrap() {
        assert_eq!(one["result"], worker.id(), "{told:#}");
    }
}

async fn all<T: redis::FromRedisValue>(
    queue: &mut MultiplexedConnection,
    command: &str,
    args: &[&str],
) -> T {
    redis::cmd(command).arg(args).query_async(queue).await.unwrap()
}

/// Empties the lists and makes the entries unacknowledged again.
async fn put_back(
    queue: &mut MultiplexedConnection,
    entries: &[(Vec<u8>, Vec<u8>)],
    index: &[(Vec<u8>, f64)],
) {
    let mut pipeline = redis::pipe();
    pipeline.cmd("DEL").arg(&super::LISTS).ignore();
    for (tag, entry) in entries {
        pipeline.cmd("HSET").arg("unacked").arg(tag).arg(entry).ignore();
    }
    for (tag, at) in index {
        pipeline.cmd("ZADD").arg("unacked_index").arg(*at).arg(tag).ignore();
    }
    pipeline.query_async::<()>(queue).await.unwrap();
}

#[tokio::test]
async fn only_what_is_old_enough_is_adopted_the_oldest_next_and_a_look_changes_nothing() {
    let shop = Shop::open().await;
    let mut queue = shop.queue().await;
    let old: Vec<_> = (0..250).map(|n| entry(n, "celery")).collect();
    deliver(&mut queue, &old, Duration::from_secs(100)).await;
    deliver(&mut queue, &[entry(900, "celery")], Duration::from_secs(10)).await;

    let look = shop.json(&["adopt-unacked", "--older-than", "60", "--dry-run"]).await;
    assert_eq!(look["moved"]["celery"], 250);
    assert_eq!(int(&mut queue, "HLEN", "unacked").await, 251);
    assert_eq!(int(&mut queue, "LLEN", "celery").await, 0);

    let some = shop.json(&["adopt-unacked", "--older-than", "60", "--limit", "120"]).await;
    assert_eq!(some["moved"]["celery"], 120);
    let expect = |n: usize| (0..n).map(|n| format!("id{n}")).collect::<Vec<_>>();
    assert_eq!(waiting_ids(&mut queue).await, expect(120), "the oldest, in their order");
    assert_eq!(int(&mut queue, "DEL", "celery").await, 1);

    let rest = shop.json(&["adopt-unacked", "--older-than", "60"]).await;
    assert_eq!(rest["moved"]["celery"], 130);
    assert_eq!(waiting_ids(&mut queue).await, expect(250)[120..]);
    assert_eq!(int(&mut queue, "ZCARD", "unacked_index").await, 1, "too young");
}

#[tokio::test]
async fn what_makes_no_message_is_told_and_left_and_the_rest_goes_back() {
    let shop = Shop::open().await;
    let mut queue = shop.queue().await;
    let odd = |tag: &str, entry: &str| (tag.to_owned(), entry.to_owned());
    let routed = json!([{"headers": {}}, "shop", "mail.now"]).to_string();
    let entries = [
        odd("no-json", "\u{1}"),
        entry(1, "celery"),
        odd("no-message", r#"[7, "", "celery"]"#),
        odd("no-queue", r#"[{}, "", ""]"#),
        odd("nowhere", r#"[{}, "nobody", "x"]"#),
        odd("routed", &routed),
    ];
    deliver(&mut queue, &entries, Duration::from_secs(100)).await;
    let mut bind = redis::cmd("SADD");
    bind.arg("_kombu.binding.shop").arg("mail.*\u{6}\u{16}^mail\\..*?[^\\.]$\u{6}\u{16}mail");
    bind.query_async::<()>(&mut queue).await.unwrap();
    let mut index = redis::cmd("ZADD");
    index.arg("unacked_index").arg(1).arg("no-entry").query_async::<()>(&mut queue).await.unwrap();

    let ran = shop.rhubarb(&["adopt-unacked", "--older-than", "5", "--json"]).await;

    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("5 entries make no message"), "{}", ran.stderr);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(told["moved"], json!({"celery": 1, "mail": 1}), "{told:#}");
    let mut left: Vec<&str> =
        told["left"].as_array().unwrap().iter().map(|l| l["tag"].as_str().unwrap()).collect();
    left.sort_unstable();
    assert_eq!(left, ["no-entry", "no-json", "no-message", "no-queue", "nowhere"]);
    assert_eq!(int(&mut queue, "HLEN", "unacked").await, 4);
    assert_eq!(int(&mut queue, "LLEN", "mail").await, 1);
}

#[tokio::test]
async fn while_a_python_worker_restores_nothing_is_adopted() {
    let shop = Shop::open().await;
    let mut queue = shop.queue().await;
    deliver(&mut queue, &[entry(1, "celery")], Duration::from_secs(100)).await;
    let mut lock = redis::cmd("SET");
    lock.arg("unacked_mutex").arg("python's").arg("PX").arg(300_000);
    lock.query_async::<()>(&mut queue).await.unwrap();

    let ran = shop.rhubarb(&["adopt-unacked", "--older-than", "0"]).await;

    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("holds kombu's lock `unacked_mutex`"), "{}", ran.stderr);
    assert_eq!(int(&mut queue, "HLEN", "unacked").await, 1);
    let held: String = all(&mut queue, "GET", &["unacked_mutex"]).await;
    assert_eq!(held, "python's");
}

#[tokio::test]
async fn a_global_key_prefix_stands_before_every_key() {
    let mut shop = Shop::open().await;
    shop.installation.set("RHUBARB_CELERY_GLOBAL_KEYPREFIX", "shop:");
    let mut queue = shop.queue().await;
    let (tag, entry) = entry(1, "celery");
    let mut pipeline = redis::pipe();
    pipeline.cmd("ZADD").arg("shop:unacked_index").arg(1).arg(&tag).ignore();
    pipeline.cmd("HSET").arg("shop:unacked").arg(&tag).arg(&entry).ignore();
    pipeline.query_async::<()>(&mut queue).await.unwrap();

    let told = shop.json(&["adopt-unacked", "--older-than", "0"]).await;

    assert_eq!(told["moved"]["celery"], 1, "{told:#}");
    assert_eq!(int(&mut queue, "LLEN", "shop:celery").await, 1);
    assert_eq!(int(&mut queue, "EXISTS", "shop:unacked").await, 0);
}

/// SIGKILL in the middle: each message is in one place, kombu's sweeps wait for the lock's end, and
/// a second run does the rest.
#[tokio::test]
async fn a_death_half_way_loses_nothing_and_doubles_nothing() {
    const N: usize = 20_000;
    let shop = Shop::open().await;
    let mut queue = shop.queue().await;
    let entries: Vec<_> = (0..N).map(|n| entry(n, "celery")).collect();
    deliver(&mut queue, &entries, Duration::from_secs(100)).await;

    let mut adopting = shop.installation.rhubarb_started(&["adopt-unacked", "--older-than", "5"]);
    eventually(SOON, "some are adopted", async || {
        (int(&mut queue, "LLEN", "celery").await > 0).then_some(())
    })
    .await;
    adopting.kill();

    let moved = int(&mut queue, "LLEN", "celery").await;
    assert!(moved < N, "it was done before it was killed");
    assert_eq!(int(&mut queue, "HLEN", "unacked").await, N - moved);
    let ttl: i64 = all(&mut queue, "PTTL", &["unacked_mutex"]).await;
    assert!((1..=30_000).contains(&ttl), "the lock ends by itself: {ttl}");
    let ran = shop.rhubarb(&["adopt-unacked", "--older-than", "5"]).await;
    assert_eq!(ran.code, 1, "the lock is held: {}{}", ran.stdout, ran.stderr);

    let _: i64 = all(&mut queue, "PEXPIRE", &["unacked_mutex", "1"]).await;
    eventually(SOON, "the lock ends", async || {
        (int(&mut queue, "EXISTS", "unacked_mutex").await == 0).then_some(())
    })
    .await;
    let told = shop.json(&["adopt-unacked", "--older-than", "5"]).await;
    assert_eq!(told["moved"]["celery"], N - moved);
    let mut ids = waiting_ids(&mut queue).await;
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), N);
}
