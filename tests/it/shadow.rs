//! `rhubarb shadow`: what it tells of a queue that Celery's workers serve, and that it changes
//! nothing.

use std::collections::BTreeMap;

use redis::{AsyncCommands, aio::MultiplexedConnection};
use rhubarb_e2e::{
    eventually::eventually, process::Process, python::Python, redis_server::RedisServer,
};
use rhubarb_queue::Publish;
use serde_json::{Value, json};

use crate::{
    BINARIES, OWN_WORKER,
    shop::{SOON, Shop},
};

async fn shop() -> Shop {
    let mut shop = Shop::open_on(RedisServer::start().await, "").await;
    shop.installation.set("RHUBARB_WORKER_MAX_MESSAGE_BYTES", "65536");
    shop
}

fn message(id: &str, task: &str) -> Value {
    json!({
        "body": "W1tdLCB7fSwge31d", "content-encoding": "utf-8", "content-type": "application/json",
        "headers": {"lang": "py", "task": task, "id": id},
        "properties": {"body_encoding": "base64", "delivery_tag": format!("tag-{id}"),
            "delivery_info": {"exchange": "", "routing_key": "celery"}},
    })
}

/// One of each kind of message that no worker here can read, by the name of its kind.
fn unreadable() -> BTreeMap<&'static str, String> {
    let with = |id: &str, pointer: &str, value: Value| {
        let mut one = message(id, "t.odd");
        *one.pointer_mut(pointer).unwrap() = value;
        one.to_string()
    };
    let mut compressed = message("u1", "t.odd");
    compressed["headers"]["compression"] = json!("application/x-lzma");
    BTreeMap::from([
        ("not a message", "rubbish".to_owned()),
        ("not a task", json!({"body": "[1]"}).to_string()),
        ("unsupported compression", compressed.to_string()),
        (
            "refused content type",
            with("u2", "/content-type", json!("application/x-python-serialize")),
        ),
        ("malformed body", with("u3", "/body", json!("%%%"))),
        ("too large", with("u4", "/body", json!("x".repeat(100_000)))),
    ])
}

/// All keys of the queue's database with what they hold.
async fn dump(queue: &mut MultiplexedConnection) -> BTreeMap<String, Vec<u8>> {
    let keys: Vec<String> = queue.keys("*").await.unwrap();
    let mut all = BTreeMap::new();
    for key in keys {
        let held = redis::cmd("DUMP").arg(&key).query_async(queue).await.unwrap();
        all.insert(key, held);
    }
    all
}

#[tokio::test]
async fn a_queue_at_rest_is_told_message_by_message_and_stays_byte_for_byte() {
    let shop = shop().await;
    let mut queue = shop.queue().await;
    for n in 0..450 {
        let task = if n % 3 == 0 { "t.known" } else { "t.unknown" };
        let () = queue.lpush("celery", message(&n.to_string(), task).to_string()).await.unwrap();
    }
    let urgent = "celery\u{6}\u{16}9";
    let () = queue.lpush(urgent, message("urgent", "t.known").to_string()).await.unwrap();
    for bytes in unreadable().values() {
        let () = queue.lpush("celery", bytes).await.unwrap();
    }
    let held = json!([message("held", "t.known"), "", "celery"]).to_string();
    let () = queue.hset("unacked", "tag", held).await.unwrap();
    let () = queue.zadd("unacked_index", "tag", 1_700_000_000.5).await.unwrap();
    let elsewhere = json!([message("elsewhere", "t.known"), "", "other"]).to_string();
    let () = queue.hset("unacked", "tag2", elsewhere).await.unwrap();
    let () = queue.zadd("unacked_index", "tag2", 1_700_000_001.5).await.unwrap();
    let before = dump(&mut queue).await;

    let line = ["shadow", "--for", "3s", "--queue", "celery", "--task", "t.known"];
    let told = shop.json(&line).await;
    let text = shop.rhubarb(&line).await;
    let all = shop.rhubarb(&["shadow", "--for", "1s"]).await;

    assert_eq!(dump(&mut queue).await, before, "nothing has changed");
    assert_eq!(told["tasks"]["t.known"]["waited"], 152, "{told:#}");
    assert_eq!(told["tasks"]["t.known"]["verdict"], "runs");
    assert_eq!(told["tasks"]["t.unknown"]["waited"], 300);
    assert_eq!(told["tasks"]["t.unknown"]["verdict"], "unknown");
    for kind in unreadable().keys() {
        assert_eq!(told["unreadable"][kind]["n"], 1, "{kind}: {told:#}");
    }
    let sum = json!({"seen": 458, "would_run": 152, "unknown": 300, "unknown_tasks": 1,
        "misfits": 0, "unreadable": 6});
    assert_eq!(told["sum"], sum);
    assert_eq!(told["queues"][0]["not_reached"], 0);
    assert_eq!(told["queues"][0]["looks_without_gap"], told["looks"], "all of it stayed");
    assert_eq!(told["unacked"]["most"], 2);
    let last = text.stdout.lines().last().unwrap();
    assert!(last.starts_with("152 of the 458 messages that were seen would run here"), "{text:?}");
    assert!(
        text.stdout.contains("unreadable, refused content type: 1 (the first: u2)"),
        "{text:?}"
    );
    let last = all.stdout.lines().last().unwrap();
    assert!(last.contains("name its tasks by --task"), "no worker is alive: {all:?}");
}

/// A worker on another queue tells which tasks would run, and what those take that are declared.
#[tokio::test]
async fn arguments_that_would_not_fit_are_told_by_what_a_live_worker_says() {
    let shop = shop().await;
    let line = ["-Q", "elsewhere"];
    let _worker = shop.installation.start("own-worker", OWN_WORKER, &line);
    shop.registered_workers(1).await;
    let client = shop.client();
    let call = |task: &str| Publish::new(task).queue("celery");
    for n in 0..3 {
        client.publish(&call("e2e.typed").arg(n).kwarg("y", 2)).await.unwrap();
    }
    client.publish(&call("e2e.typed").arg("two")).await.unwrap();
    client.publish(&call("e2e.typed").arg(1).arg(2).arg(3)).await.unwrap();
    client.publish(&call("e2e.sleep").arg("nobody can tell")).await.unwrap();
    client.publish(&call("python.echo")).await.unwrap();

    let told = shop.json(&["shadow", "--for", "1s"]).await;

    let add = &told["tasks"]["e2e.typed"];
    assert_eq!((&add["verdict"], &add["misfits"]), (&json!("runs"), &json!(2)), "{told:#}");
    let sum = json!({"seen": 7, "would_run": 4, "unknown": 1, "unknown_tasks": 1, "misfits": 2,
        "unreadable": 0});
    assert_eq!(told["sum"], sum);
    let text = shop.rhubarb(&["shadow", "--for", "1s"]).await.stdout;
    assert!(text.contains("arguments that do not fit `e2e.typed`: 2; "), "{text}");
}

fn celery_worker(shop: &Shop, python: &Python, more: &[&str]) -> Process {
    let line = ["-m", "celery", "-A", "fleet", "worker", "-l", "info", "-P", "threads", "-c", "4"];
    let command = python.command(&[&line[..], more].concat());
    Process::start("celery", shop.installation.folder(), command)
}

/// Looks on while a Celery client sends to a Celery worker; returns the report, and how many tasks
/// of each name the worker then ran.
async fn looked_on(shop: &Shop, python: &Python, n: usize) -> (Value, BTreeMap<String, u64>) {
    let line = ["shadow", "--for", "12s", "--task", "python.echo", "--json"];
    let mut shadow = shop.installation.start("shadow", BINARIES.rhubarb, &line);
    let mut queue = shop.queue().await;
    eventually(SOON, "the shadow listens", async || {
        let mut ask = redis::cmd("PUBSUB");
        ask.arg("NUMSUB").arg("/0.celeryev/task.sent");
        let (_, n): (String, u64) = ask.query_async(&mut queue).await.unwrap();
        (n > 0).then_some(())
    })
    .await;
    let calls: Vec<Value> = (0..n)
        .map(|n| match n % 3 {
            0 => json!({"task": "python.sleep", "args": [0.05]}),
            _ => json!({"task": "python.echo", "args": [n]}),
        })
        .collect();
    let mut client = python.command(&["send.py", "--no-wait", &json!(calls).to_string()]);
    client.env("CELERY_APP", "fleet");
    let mut client = Process::start("send", shop.installation.folder(), client);
    client.ended(SOON).await;
    let ran = eventually(SOON, "all have run", async || {
        let keys: Vec<String> = queue.keys("celery-task-meta-*").await.unwrap();
        (keys.len() == n).then_some(keys)
    })
    .await;
    let mut by_name = BTreeMap::new();
    for key in ran {
        let result: String = queue.get(key).await.unwrap();
        let name = if result.contains("args") { "python.echo" } else { "python.sleep" };
        *by_name.entry(name.to_owned()).or_default() += 1;
    }
    shadow.ended(SOON).await;
    (serde_json::from_str(&shadow.stdout()).unwrap(), by_name)
}

fn seen(told: &Value, task: &str) -> u64 {
    let count = |name: &str| told["tasks"][task][name].as_u64().unwrap_or_default();
    count("waited") + count("came") + count("told")
}

/// With events all of it is told; without them no more than what came, and that there was a gap.
#[tokio::test]
async fn a_live_queue_is_told_as_it_then_runs() {
    for (events, more) in [(true, &["-E"][..]), (false, &[][..])] {
        let shop = shop().await;
        let Some(python) = shop.python() else { return };
        let mut celery = celery_worker(&shop, &python, more);
        celery.line("ready.", SOON).await;

        let (told, ran) = looked_on(&shop, &python, 300).await;

        println!("events: {events}; ran {ran:?}; told {}", told["tasks"]);
        assert_eq!(
            ran,
            BTreeMap::from([("python.echo".into(), 200), ("python.sleep".into(), 100)])
        );
        for (task, n) in &ran {
            if events {
                assert_eq!(seen(&told, task), *n, "{told:#}");
            } else {
                assert!(seen(&told, task) <= *n, "never more than there was: {told:#}");
            }
        }
        let queue = told["queues"].as_array().unwrap().iter().find(|q| q["name"] == "celery");
        let has_gap = queue.unwrap()["looks_without_gap"].as_u64() < told["looks"].as_u64();
        let all = ran.keys().all(|task| seen(&told, task) == ran[task]);
        assert!(has_gap || all, "a gap is told: {told:#}");
        assert_eq!(told["tasks"]["python.sleep"]["verdict"], "unknown");
        assert_eq!(told["tasks"]["python.echo"]["verdict"], "runs");
    }
}
