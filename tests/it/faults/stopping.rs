//! Many running tasks, one orderly stop, and names as people give them.

use std::{collections::BTreeMap, time::Duration};

use redis::AsyncCommands;
use rhubarb_e2e::{
    eventually::{eventually, paced},
    ledger::{self, Ledger},
    process::Signal,
    redis_server::RedisServer,
};
use rhubarb_queue::{Client, Publish, inspect};
use tokio::time::Instant;

use crate::{
    OWN_WORKER,
    shop::{SOON, Shop},
};

async fn shop() -> Shop {
    Shop::open_on(RedisServer::start_durable().await, "").await
}

fn recorded(seconds: f64) -> Publish {
    Publish::new("e2e.record").arg(seconds).arg("success")
}

async fn claimed(shop: &Shop, n: u64) {
    let client = shop.client();
    let what = format!("{n} tasks are claimed");
    eventually(SOON, &what, async || {
        let queues = inspect::queues(&client, &[]).await.unwrap();
        (queues.iter().map(|queue| queue.claimed).sum::<u64>() == n).then_some(())
    })
    .await;
}

/// A deployment under load: the old worker stops while the new one is there. What could not end in
/// time is handed back, in order and without a burnt attempt, and nothing else runs twice.
#[tokio::test]
async fn sigterm_with_50_running_tasks_ends_or_hands_back_each_and_nothing_else_runs_twice() {
    let mut shop = shop().await;
    let ledger_server = RedisServer::start().await;
    let ledger = Ledger::open(&ledger_server.url(0)).await;
    shop.installation.set(ledger::URL, &ledger_server.url(0));
    shop.installation.set("RHUBARB_WORKER_DRAIN", "2");
    let client = shop.client();
    let (mut short, mut long) = (Vec::new(), Vec::new());
    for n in 0..50 {
        let (ids, seconds) = if n % 2 == 0 { (&mut short, 1.0) } else { (&mut long, 8.0) };
        ids.push(client.publish(&recorded(seconds)).await.unwrap().id);
    }
    let mut old = shop.installation.start("old", OWN_WORKER, &["--concurrency", "50"]);
    claimed(&shop, 50).await;
    let _new = shop.installation.start("new", OWN_WORKER, &["--concurrency", "50"]);
    shop.registered_workers(2).await;
    let begun = Instant::now();
    old.signal(Signal::TERM);
    for _ in 0..50 {
        short.push(client.publish(&recorded(0.05)).await.unwrap().id);
    }
    assert_eq!(old.ended(SOON).await.code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    for id in short.iter().chain(&long) {
        let result = client.wait(id, SOON, |_| {}).await.unwrap();
        assert_eq!(result.expect("it ends").status.to_string(), "SUCCESS");
    }
    let (entries, _) = ledger.read("-").await;
    let mut runs: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for entry in &entries {
        let (begins, ends) = runs.entry(entry.get("id")).or_default();
        assert_eq!(entry.get("attempt"), "0", "no attempt is burnt");
        if entry.get("what") == "begin" { *begins += 1 } else { *ends += 1 }
    }
    for id in &short {
        assert_eq!(runs[id.as_str()], (1, 1), "{id} could end and ran once");
    }
    for id in &long {
        assert_eq!(runs[id.as_str()], (2, 1), "{id} was handed back");
    }
    let mut queue = shop.queue().await;
    let deaths: bool = queue.exists("rhubarb:{celery}:deliveries").await.unwrap();
    assert!(!deaths, "a hand-back is no death");
}

/// How long two workers overlap where `RHUBARB_OVERLAP_SECONDS` says nothing; a deployment's is
/// about 30 s.
const OVERLAP: u64 = 10;

#[expect(clippy::disallowed_methods, reason = "it is no setting of Rhubarb's but the test's")]
fn overlap() -> Duration {
    let seconds = std::env::var("RHUBARB_OVERLAP_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(OVERLAP))
}

/// Publishes short tasks, about forty a second.
async fn load(client: &Client, time: Duration) -> Vec<String> {
    let (until, mut ids) = (Instant::now() + time, Vec::new());
    let mut pace = paced(Duration::from_millis(20));
    while Instant::now() < until {
        pace.tick().await;
        ids.push(client.publish(&recorded(0.1)).await.unwrap().id);
    }
    ids
}

/// A deployment: the new worker is there for a while before the old one is told to stop, and tasks
/// come all the while.
#[tokio::test]
async fn of_two_workers_that_overlap_under_load_nothing_runs_twice_but_what_was_handed_back() {
    let mut shop = shop().await;
    let ledger_server = RedisServer::start().await;
    let ledger = Ledger::open(&ledger_server.url(0)).await;
    shop.installation.set(ledger::URL, &ledger_server.url(0));
    shop.installation.set("RHUBARB_WORKER_DRAIN", "2");
    let client = shop.client();
    let mut old = shop.installation.start("old", OWN_WORKER, &["--concurrency", "8"]);
    let mut long = Vec::new();
    for _ in 0..4 {
        long.push(client.publish(&recorded(overlap().as_secs_f64() + 15.0)).await.unwrap().id);
    }
    claimed(&shop, 4).await;
    let new = shop.installation.start("new", OWN_WORKER, &["--concurrency", "8"]);
    shop.registered_workers(2).await;
    let mut short = load(&client, overlap()).await;
    old.signal(Signal::TERM);
    short.extend(load(&client, Duration::from_secs(3)).await);
    assert_eq!(old.ended(SOON).await.code(), Some(0));
    for id in short.iter().chain(&long) {
        let result = client.wait(id, overlap() + SOON, |_| {}).await.unwrap();
        assert_eq!(result.expect("it ends").status.to_string(), "SUCCESS");
    }
    let (entries, _) = ledger.read("-").await;
    let mut runs: BTreeMap<&str, Vec<(&str, u32)>> = BTreeMap::new();
    for entry in &entries {
        assert_eq!(entry.get("attempt"), "0", "no attempt is burnt");
        let who = entry.get("pid").parse().unwrap();
        runs.entry(entry.get("id")).or_default().push((entry.get("what"), who));
    }
    let (old, new) = (old.id(), new.id());
    for id in &long {
        let expect = [("begin", old), ("begin", new), ("end", new)];
        assert_eq!(runs[id.as_str()], expect, "{id} was handed back");
    }
    let mut by = BTreeMap::from([(old, 0), (new, 0)]);
    for id in &short {
        let [("begin", began), ("end", ended)] = runs[id.as_str()][..] else {
            panic!("{id}: {:?}", runs[id.as_str()])
        };
        assert_eq!(began, ended);
        *by.get_mut(&began).unwrap() += 1;
    }
    println!("{} short tasks, by worker: {by:?}", short.len());
    assert!(by.values().all(|n| *n > 20), "both took part: {by:?}");
    let mut queue = shop.queue().await;
    let deaths: bool = queue.exists("rhubarb:{celery}:deliveries").await.unwrap();
    assert!(!deaths, "a hand-back is no death");
}

#[tokio::test]
async fn a_worker_with_200_running_tasks_has_one_connection_for_each_database_in_use() {
    let shop = shop().await;
    let client = shop.client();
    for _ in 0..200 {
        client.publish(&Publish::new("e2e.sleep").arg(60.0)).await.unwrap();
    }
    let mut worker = shop.installation.start("own-worker", OWN_WORKER, &["--concurrency", "200"]);
    claimed(&shop, 200).await;
    let mut queue = shop.queue().await;
    let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut queue).await.unwrap();
    let ours = clients.lines().filter(|line| line.contains("name=rhubarb-worker")).count();
    // These tasks need that of the queue and the results only; `idle` has all three.
    assert_eq!(ours, 1, "{clients}");
    assert!(worker.is_running());
}

#[tokio::test]
async fn a_queue_may_have_any_name() {
    let mut shop = shop().await;
    let names = ["with space", "{tag} and more", "a{b}c", "{}", "grüße-日本", "quote'\"\\*?[x]"];
    let list = names.map(|name| serde_json::Value::from(name).to_string()).join(", ");
    let configuration = std::fs::read_to_string(shop.installation.configuration()).unwrap();
    let configuration = format!("[worker]\nqueues = [{list}]\n{configuration}");
    std::fs::write(shop.installation.configuration(), configuration).unwrap();
    shop.installation.set("RHUBARB_WORKER_LEASE", "2");
    let mut worker = shop.installation.start("own-worker", OWN_WORKER, &[]);
    shop.registered_workers(1).await;
    let client = shop.client();
    for name in names {
        let publish = Publish::new("e2e.third_time").queue(name);
        let id = client.publish(&publish).await.unwrap().id;
        let result = client.wait(&id, SOON, |_| {}).await.unwrap().expect(name);
        assert_eq!(result.result, 3, "{name}: claimed, scheduled and claimed again");
    }
    let queues = shop.json(&["queues"]).await;
    let shown: Vec<&str> =
        queues.as_array().unwrap().iter().filter_map(|queue| queue["name"].as_str()).collect();
    assert!(names.iter().all(|name| shown.contains(name)), "{queues}");
    assert!(worker.is_running());
}

/// A copied configuration: the name is the same, and the process's own id tells them apart.
#[tokio::test]
async fn two_workers_of_the_same_name_are_two_and_one_gives_back_what_the_other_held() {
    let mut shop = shop().await;
    shop.installation.set("RHUBARB_WORKER_LEASE", "2");
    let client = shop.client();
    let start = |shop: &Shop| {
        let args = ["--hostname", "same@host", "--concurrency", "4"];
        shop.installation.start("own-worker", OWN_WORKER, &args)
    };
    let mut first = start(&shop);
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(client.publish(&Publish::new("e2e.who").arg(1.5)).await.unwrap().id);
    }
    claimed(&shop, 4).await;
    let second = start(&shop);
    shop.registered_workers(2).await;
    first.kill();
    for id in ids {
        let result = client.wait(&id, SOON, |_| {}).await.unwrap().expect("it runs elsewhere");
        assert_eq!(result.result, second.id());
    }
}
