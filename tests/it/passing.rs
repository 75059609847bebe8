//! Values that only pass through a worker.

use redis::AsyncCommands;
use rhubarb_e2e::{eventually::eventually, process::Process, redis_server::RedisServer};
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
    let line =
        ["-m", "celery", "-A", "fleet", "worker", "-l", "info", "-P", "solo", "-Q", "python"];
    let _celery = Process::start("celery", shop.installation.folder(), python.command(&line));
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
    let line =
        ["-m", "celery", "-A", "fleet", "worker", "-l", "info", "-P", "solo", "-Q", "python"];
    let _celery = Process::start("celery", shop.installation.folder(), python.command(&line));
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
