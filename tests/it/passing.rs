//! Values that only pass through a worker, and messages that cost more memory than they have bytes.

use std::{fs, io::Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, write::ZlibEncoder};
use redis::AsyncCommands;
use rhubarb_e2e::{
    eventually::eventually,
    process::{Process, Signal},
    python::Python,
    redis_server::RedisServer,
};
use rhubarb_queue::Publish;
use rhubarb_wire::{
    Signature,
    canvas::{chain, chord, group},
    exact,
};
use serde_json::{Value, json};

use crate::{
    OWN_WORKER,
    shop::{SOON, Shop},
};

/// What `serde_json` alone would lose, as Python writes it.
const ODD: &str = r#"[NaN, -Infinity, 1180591620717411303424, "\ud800x", 1e+300, 0.1, -0.0]"#;

fn own_worker(shop: &Shop) -> Process {
    shop.installation.start("own-worker", OWN_WORKER, &["--concurrency", "8"])
}

/// Starts a worker of Python's on the queue `python`.
fn pythons_worker(shop: &Shop, python: &Python) -> Process {
    let line =
        ["-m", "celery", "-A", "fleet", "worker", "-l", "info", "-P", "solo", "-Q", "python"];
    Process::start("celery", shop.installation.folder(), python.command(&line))
}

fn odd() -> Value {
    exact(ODD).unwrap()
}

/// The stored result of a task, as its bytes.
async fn raw_result(shop: &Shop, id: &str) -> String {
    let (key, mut redis) = (format!("celery-task-meta-{id}"), shop.queue().await);
    eventually(SOON, "the last task has ended", async || {
        let found: Option<String> = redis.get(&key).await.unwrap();
        found.filter(|text| text.contains("SUCCESS") || text.contains("FAILURE"))
    })
    .await
}

#[tokio::test]
async fn values_that_only_pass_through_reach_python_as_they_were() {
    let shop = Shop::open_on(RedisServer::start().await, "").await;
    let Some(python) = shop.python() else { return };
    let _celery = pythons_worker(&shop, &python);
    let _own = own_worker(&shop);
    let client = shop.client();
    let echo = || {
        let echo = Signature::new("python.echo").queue("python").arg(odd()).kwarg("k", odd());
        echo.immutable()
    };
    let add = || Signature::new("e2e.add").arg(1).arg(2);
    let cases = [
        ("a chain", chain(vec![add(), echo()])),
        ("a chain of three", chain(vec![add(), add().immutable(), echo()])),
        ("a group after a step", chain(vec![add(), group(vec![echo(), echo()])])),
    ];
    for (name, canvas) in cases {
        let tree = client.apply(canvas).await.unwrap();
        let ids: Vec<String> = match &tree.children {
            Some(members) => members.iter().map(|member| member.id.clone()).collect(),
            None => vec![tree.id.clone()],
        };
        for id in ids {
            let result = raw_result(&shop, &id).await;
            assert!(result.contains(&format!("\"args\": [{ODD}]")), "{name}: {result}");
            assert!(result.contains(&format!("\"k\": {ODD}")), "{name}: {result}");
        }
    }
    let linked =
        Signature::new("e2e.add").arg(1).arg(2).link(echo().set_option("task_id", "linked"));
    client.apply(linked).await.unwrap();
    let result = raw_result(&shop, "linked").await;
    assert!(result.contains(&format!("\"args\": [{ODD}]")), "a link: {result}");
}

#[tokio::test]
async fn a_handler_that_asks_for_raw_arguments_has_them_without_loss() {
    let shop = Shop::open_on(RedisServer::start().await, "").await;
    let _own = own_worker(&shop);
    let raw = Signature::new("e2e.raw").arg(odd()).kwarg("k", odd());
    let tree = shop.client().apply(raw).await.unwrap();
    let result = shop.client().wait(&tree.id, SOON, |_| {}).await.unwrap().unwrap();
    assert_eq!(result.result, json!([format!("[{ODD}]"), format!("{{\"k\": {ODD}}}")]));
}

#[tokio::test]
async fn what_a_chord_joins_is_what_its_parts_from_python_were() {
    let shop = Shop::open_on(RedisServer::start().await, "").await;
    let Some(python) = shop.python() else { return };
    let _celery = pythons_worker(&shop, &python);
    let _own = own_worker(&shop);
    let part = Signature::new("python.echo").queue("python").arg(odd());
    // The last part to end is ours, so that we join.
    let ours = Signature::new("e2e.add").arg(1).arg(2).countdown(3.0);
    let body = Signature::new("python.echo").queue("python");
    let tree = shop.client().apply(chord(vec![part, ours], body)).await.unwrap();
    let result = raw_result(&shop, &tree.id).await;
    assert!(result.contains(ODD), "{result}");
}

#[tokio::test]
async fn a_chord_whose_parts_are_too_large_together_fails_and_cuts_no_connection() {
    let shop = Shop::open_on(RedisServer::start().await, "").await;
    let mut config = redis::cmd("CONFIG");
    config.arg("SET").arg("client-output-buffer-limit").arg("normal 8mb 0 0 pubsub 8mb 2mb 60");
    let _: () = config.query_async(&mut shop.queue().await).await.unwrap();
    let _own = own_worker(&shop);
    let large = || Signature::new("e2e.large").arg(2_000_000);
    let body = Signature::new("e2e.sum");
    let tree = shop.client().apply(chord((0..20).map(|_| large()).collect(), body)).await.unwrap();
    let result = raw_result(&shop, &tree.id).await;
    assert!(result.contains("worker.max_message_bytes"), "{result}");
    let info: String =
        redis::cmd("INFO").arg("stats").query_async(&mut shop.queue().await).await.unwrap();
    let cut = info.lines().find_map(|line| {
        line.strip_prefix("client_output_buffer_limit_disconnections:").map(str::to_owned)
    });
    assert_eq!(cut.as_deref().unwrap_or("0").trim(), "0");
}

/// A body of a task, and how it is compressed.
struct Hostile {
    name: &'static str,
    body: String,
    compression: &'static str,
    /// How many small objects stand in its headers.
    headers: usize,
}

impl Hostile {
    fn message(&self, id: &str) -> Vec<u8> {
        let objects = vec![json!({"a": 1}); self.headers];
        let message = json!({
            "body": self.body, "content-encoding": "utf-8", "content-type": "application/json",
            "headers": {"task": "e2e.echo", "id": id, "lang": "py", "compression": self.compression,
                "x": objects},
            "properties": {"delivery_info": {"exchange": "", "routing_key": "celery"},
                "body_encoding": "base64", "delivery_tag": id},
        });
        message.to_string().into_bytes()
    }
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Messages that would cost hundreds of megabytes or more.
fn hostile() -> Vec<Hostile> {
    let body =
        |args: &str, kwargs: &str, embed: &str| format!("[{args},{kwargs},{embed}]").into_bytes();
    let many = |one: &str, n: usize| format!("[{}]", vec![one; n].join(","));
    let task = r#"{"task":"t"}"#;
    let grouped = |n: usize, headers: usize| {
        let tasks = many(task, n);
        format!(
            r#"{{"callbacks":[{{"task":"celery.group","subtask_type":"group","args":[],"kwargs":{{"tasks":{tasks}}},"options":{{"headers":{{"x":"{}"}},"task_id":"g"}}}}]}}"#,
            "x".repeat(headers)
        )
    };
    let keys: Vec<String> = (0..700_000).map(|n| format!("\"k{n}\":0")).collect();
    let plain = |name, body: Vec<u8>| Hostile {
        name,
        body: STANDARD.encode(body),
        compression: "",
        headers: 0,
    };
    let packed = |name, body: Vec<u8>| Hostile {
        name,
        body: STANDARD.encode(zlib(&body)),
        compression: "zlib",
        headers: 0,
    };
    let chorded = format!(
        r#"{{"chain":[{{"task":"celery.chord","subtask_type":"chord","kwargs":{{"header":{},"body":{{"task":"b","args":["{}"],"kwargs":{{}}}},"kwargs":{{}}}}}}]}}"#,
        many(task, 10_000),
        "x".repeat(1_000_000)
    );
    vec![
        plain("group", body("[1]", "{}", &grouped(100_000, 2_000_000))),
        plain("smaller", body("[1]", "{}", &grouped(2_000, 300_000))),
        packed("objects", body(&many(r#"{"a":1}"#, 1_000_000), "{}", "{}")),
        packed("keys", body("[]", &format!("{{{}}}", keys.join(",")), "{}")),
        packed("bomb", vec![b' '; 400_000_000]),
        plain("chord", body("[1]", "{}", &chorded)),
        Hostile { headers: 180_000, ..plain("headers", body("[1]", "{}", "{}")) },
        plain("errbacks", body("[1]", "{}", &format!("{{\"callbacks\":{}}}", many(task, 300_000)))),
    ]
}

fn memory(pid: u32, field: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// In 5 rounds of 8 at once: all are refused with a reason, and the memory that they take stays
/// bounded and is given back.
#[tokio::test]
async fn forty_hostile_messages_are_refused_within_512_megabytes_and_all_but_50_come_back() {
    let shop = Shop::open_on(RedisServer::start().await, "").await;
    let mut own = own_worker(&shop);
    let client = shop.client();
    let first = client.publish(&Publish::new("e2e.add").arg(1).arg(2)).await.unwrap().id;
    raw_result(&shop, &first).await;
    let pid = own.id();
    let before = memory(pid, "VmRSS:");
    let hostile = hostile();
    for round in 0..5 {
        let id = |one: &Hostile| format!("{}-{round}", one.name);
        for one in &hostile {
            let _: () = shop.queue().await.lpush("celery", one.message(&id(one))).await.unwrap();
        }
        for one in &hostile {
            let result = raw_result(&shop, &id(one)).await;
            // What can be read runs; then it is what follows that is refused.
            let runs = ["group", "smaller", "chord"].contains(&one.name);
            assert_eq!(result.contains("FAILURE"), !runs, "{}: {result:.300}", one.name);
        }
        let now = ["VmRSS:", "VmHWM:"].map(|field| memory(pid, field) >> 10);
        println!("round {round}: {now:?} MB of memory, at most");
    }
    let peak = memory(pid, "VmHWM:");
    assert!(peak < 320 * 1024, "{} MB", peak / 1024);
    let kept = || memory(pid, "VmRSS:").saturating_sub(before) / 1024;
    // Elsewhere the allocator is the platform's.
    if cfg!(all(target_os = "linux", target_env = "gnu")) {
        eventually(SOON, "the memory was given back", async || (kept() < 50).then_some(())).await;
    }
    println!("{} MB before, {} MB at most, {} MB kept", before >> 10, peak >> 10, kept());
    own.signal(Signal::TERM);
    assert_eq!(own.ended(SOON).await.code(), Some(0));
}

/// What Celery's workers run: a hundred callbacks one inside the other, arguments nested 300 deep.
#[tokio::test]
async fn what_is_nested_as_deep_as_celery_takes_it_runs() {
    let shop = Shop::open_on(RedisServer::start().await, "").await;
    let _own = own_worker(&shop);
    let client = shop.client();
    let link = |inner: Option<Signature>, n: usize| {
        let one = Signature::new("e2e.echo").arg(n).set_option("task_id", format!("link-{n}"));
        inner.into_iter().fold(one.immutable(), Signature::link)
    };
    let linked = (0..100).rev().fold(None, |inner, n| Some(link(inner, n))).unwrap();
    client.apply(linked).await.unwrap();
    let last = raw_result(&shop, "link-99").await;
    assert!(last.contains("SUCCESS"), "{last}");

    let deep = "[".repeat(300) + &"]".repeat(300);
    let publish = Publish::new("e2e.echo").arg(exact(&deep).unwrap());
    let id = client.publish(&publish).await.unwrap().id;
    let result = raw_result(&shop, &id).await;
    assert!(result.contains("SUCCESS") && result.contains(&deep), "{result}");
}
