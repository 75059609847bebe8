//! A worker that lives and works no more ends itself, so that its platform starts another.

use std::time::Duration;

use rhubarb_e2e::{
    proxy::{Act, Proxy, Rule, Way},
    redis_server::RedisServer,
};
use rhubarb_queue::Publish;

use crate::{
    OWN_WORKER,
    shop::{SOON, Shop},
};

/// A shop whose workers have a watchdog of three seconds.
async fn watched() -> Shop {
    let mut shop = Shop::open_on(RedisServer::start_durable().await, "").await;
    for (name, value) in [
        ("RHUBARB_WORKER_WATCHDOG", "3"),
        ("RHUBARB_WORKER_LEASE", "2"),
        ("RHUBARB_REDIS_COMMAND_TIMEOUT", "1"),
        ("RHUBARB_REDIS_CONNECT_TIMEOUT", "1"),
    ] {
        shop.installation.set(name, value);
    }
    shop
}

/// The network lets a bare connection through and swallows each that a worker sets up: Redis is
/// there, and not for it.
#[tokio::test]
async fn a_worker_that_cannot_work_while_redis_answers_others_ends_with_1() {
    let mut shop = watched().await;
    let proxy = Proxy::start(shop.installation.redis.port()).await;
    shop.installation.set("REDIS_URL", &proxy.url(0));
    let mut worker = shop.installation.start("own-worker", OWN_WORKER, &[]);
    shop.registered_workers(1).await;
    let swallow = Rule::once(Way::ToServer, "CLIENT", "TRACKING", Act::Swallow);
    proxy.add(Rule { times: Rule::ALWAYS, ..swallow });
    proxy.cut();
    let ended = worker.ended(SOON).await;
    assert_eq!(ended.code(), Some(1));
    let said = worker.lines_with("level=error");
    assert_eq!(said.len(), 1, "one clear line: {said:#?}");
    assert!(said[0].contains("watchdog: nothing has succeeded"), "{said:#?}");
}

/// Handlers that compute without awaiting hold up the lease and the claims.
#[tokio::test]
async fn a_worker_whose_handlers_hold_up_everything_ends_with_1() {
    let shop = watched().await;
    let client = shop.client();
    let mut worker = shop.installation.start("own-worker", OWN_WORKER, &["--concurrency", "100"]);
    shop.registered_workers(1).await;
    let threads = std::thread::available_parallelism().unwrap().get() + 1;
    let block = Publish::new("e2e.block").arg(60.0);
    for _ in 0..threads {
        client.publish(&block).await.unwrap();
    }
    let ended = worker.ended(SOON).await;
    assert_eq!(ended.code(), Some(1));
    worker.line("watchdog", SOON).await;
}

#[tokio::test]
async fn an_outage_is_waited_out_for_longer_than_the_watchdogs_limit() {
    let mut shop = watched().await;
    let mut worker = shop.installation.start("own-worker", OWN_WORKER, &[]);
    shop.registered_workers(1).await;
    shop.installation.redis.kill();
    // No event to wait for: that none comes is what is tested.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(worker.is_running());
    shop.installation.redis.restart().await;
    let client = shop.client();
    let id = client.publish(&Publish::new("e2e.sleep").arg(0.0)).await.unwrap().id;
    assert!(client.wait(&id, SOON, |_| {}).await.unwrap().is_some());
    assert!(worker.is_running());
}

/// A replica answers, on a fresh connection too, and no claim works on it: an outage, and none of
/// the worker's faults.
#[tokio::test]
async fn a_redis_that_stays_a_replica_is_waited_out_for_longer_than_the_watchdogs_limit() {
    let shop = watched().await;
    let mut worker = shop.installation.start("own-worker", OWN_WORKER, &[]);
    shop.registered_workers(1).await;
    shop.installation.redis.command("REPLICAOF 127.0.0.1 1").await;
    worker.line("code=READONLY", SOON).await;
    // No event to wait for: that none comes is what is tested.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(worker.is_running());
    shop.installation.redis.command("REPLICAOF NO ONE").await;
    let client = shop.client();
    let id = client.publish(&Publish::new("e2e.sleep").arg(0.0)).await.unwrap().id;
    assert!(client.wait(&id, SOON, |_| {}).await.unwrap().is_some());
    assert!(worker.is_running());
}
