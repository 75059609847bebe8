//! What happens to tasks when a worker or Redis dies, and when a worker is told to stop.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use rhubarb_e2e::{
    eventually::eventually,
    process::{Process, Signal},
    redis_server::RedisServer,
};
use rhubarb_queue::{Client, Publish};
use rhubarb_wire::TaskResult;
use serde_json::json;
use tokio::time::Instant;

use crate::{
    OWN_WORKER,
    shop::{SOON, Shop},
};

/// Short, so that a test may wait for two of them; the default is 15 s.
const LEASE: Duration = Duration::from_secs(5);

/// A shop whose workers are `own_worker`, with its tasks `e2e.sleep` and `e2e.wait`.
async fn shop_with_lease() -> Shop {
    let mut shop = Shop::open_on(RedisServer::start_durable().await, "").await;
    shop.installation.set("RHUBARB_WORKER_LEASE", &LEASE.as_secs().to_string());
    shop
}

fn own_worker(shop: &Shop, args: &[&str]) -> Process {
    shop.installation.start("own-worker", OWN_WORKER, args)
}

async fn publish_sleeps(client: &Client, n: usize, seconds: f64) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..n {
        ids.push(client.publish(&Publish::new("e2e.sleep").arg(seconds)).await.unwrap().id);
    }
    ids
}

/// How many messages of the default queue are claimed by any worker.
async fn claimed(queue: &mut MultiplexedConnection) -> usize {
    let keys: Vec<String> =
        redis::cmd("KEYS").arg("rhubarb:{celery}:claims:*").query_async(queue).await.unwrap();
    let mut n = 0;
    for key in keys {
        n += redis::cmd("HLEN").arg(&key).query_async::<usize>(queue).await.unwrap();
    }
    n
}

async fn claims_reach(shop: &Shop, n: usize) {
    let mut queue = shop.queue().await;
    let what = format!("{n} tasks are claimed");
    eventually(SOON, &what, async || (claimed(&mut queue).await == n).then_some(())).await;
}

/// The ids that wait in the default queue, the next to be taken first.
async fn waiting(shop: &Shop) -> Vec<String> {
    let mut queue = shop.queue().await;
    let list: Vec<String> =
        redis::cmd("LRANGE").arg("celery").arg(0).arg(-1).query_async(&mut queue).await.unwrap();
    let id = |message: &String| {
        let message: serde_json::Value = serde_json::from_str(message).unwrap();
        assert_eq!(message["headers"]["retries"], 0, "handing back burns no attempt");
        message["headers"]["id"].as_str().unwrap().to_owned()
    };
    list.iter().rev().map(id).collect()
}

#[tokio::test]
async fn all_200_tasks_of_a_killed_worker_are_done_by_another_within_two_leases() {
    let shop = shop_with_lease().await;
    let client = shop.client();
    let work = Duration::from_secs(4);
    let ids = publish_sleeps(&client, 200, work.as_secs_f64()).await;
    let mut first = own_worker(&shop, &["--concurrency", "200"]);
    claims_reach(&shop, 200).await;

    first.signal(Signal::KILL);
    first.ended(SOON).await;
    let killed = Instant::now();
    let _second = own_worker(&shop, &["--concurrency", "200"]);

    let deadline = killed + 2 * LEASE + work + Duration::from_secs(2);
    for id in &ids {
        let left = deadline.saturating_duration_since(Instant::now());
        let result = client.wait(id, left, |_| {}).await.unwrap();
        let result = result
            .unwrap_or_else(|| panic!("no result of {id} {:?} after the kill", killed.elapsed()));
        assert_eq!(result.result, json!(work.as_secs_f64()));
    }
    let mut queue = shop.queue().await;
    assert_eq!(claimed(&mut queue).await, 0, "nothing stays claimed");
    assert!(waiting(&shop).await.is_empty());
}

#[tokio::test]
async fn sigterm_finishes_what_runs_hands_back_the_rest_and_ends_with_0_however_often_it_comes() {
    let mut shop = shop_with_lease().await;
    shop.installation.set("RHUBARB_WORKER_DRAIN", "3");
    let client = shop.client();
    let short = client.publish(&Publish::new("e2e.sleep").arg(1.5)).await.unwrap().id;
    let mut rest = publish_sleeps(&client, 1, 60.0).await;
    let mut worker = own_worker(&shop, &["--concurrency", "2"]);
    claims_reach(&shop, 2).await;
    rest.extend(publish_sleeps(&client, 3, 60.0).await);

    worker.signal(Signal::TERM);
    worker.line("stop", SOON).await;
    worker.signal(Signal::TERM);
    worker.signal(Signal::TERM);
    let status = worker.ended(Duration::from_secs(15)).await;

    assert_eq!(status.code(), Some(0));
    let result = client.result(&short).await.unwrap().expect("what ran was finished");
    assert_eq!(result.result, json!(1.5));
    assert_eq!(waiting(&shop).await, rest, "handed back to the consumer's end");
    assert_eq!(shop.json(&["workers"]).await, json!([]), "deregistered");
    let mut queue = shop.queue().await;
    assert_eq!(claimed(&mut queue).await, 0);
}

#[tokio::test]
async fn a_second_sigint_hands_back_at_once() {
    let shop = shop_with_lease().await;
    let client = shop.client();
    let ids = publish_sleeps(&client, 2, 60.0).await;
    let mut worker = own_worker(&shop, &["--concurrency", "2"]);
    claims_reach(&shop, 2).await;

    worker.signal(Signal::INT);
    worker.line("stop", SOON).await;
    assert!(worker.is_running(), "the first one waits for what runs");
    worker.signal(Signal::INT);
    // Far below the drain of 25 s.
    worker.ended(Duration::from_secs(8)).await;

    assert_eq!(waiting(&shop).await, ids, "in their order");
}

#[tokio::test]
async fn a_worker_lives_through_a_restart_of_redis_and_no_task_is_lost() {
    let mut shop = shop_with_lease().await;
    let client = shop.client();
    let ids = publish_sleeps(&client, 40, 1.0).await;
    let mut worker = own_worker(&shop, &["--concurrency", "10"]);
    claims_reach(&shop, 10).await;

    shop.installation.redis.restart().await;

    for id in &ids {
        let result = client.wait(id, 2 * LEASE + SOON, |_| {}).await.unwrap();
        assert_eq!(result.expect("every task is done").result, json!(1.0));
    }
    assert!(worker.is_running());
}

/// A worker that was silent for longer than its lease has lost its tasks; what it says later
/// changes nothing.
#[tokio::test]
async fn a_paused_workers_late_end_changes_nothing() {
    let shop = shop_with_lease().await;
    let client = shop.client();
    let id = client.publish(&Publish::new("e2e.who").arg(1.0)).await.unwrap().id;
    let mut paused = own_worker(&shop, &["--hostname", "rhubarb@paused"]);
    claims_reach(&shop, 1).await;
    paused.signal(Signal::STOP);
    let _other = own_worker(&shop, &["--hostname", "rhubarb@other"]);

    let result =
        client.wait(&id, 2 * LEASE + SOON, |_| {}).await.unwrap().expect("the other runs it");
    let by_other = result.result.clone();
    paused.signal(Signal::CONT);
    paused.line("late", SOON).await;

    assert_eq!(client.result(&id).await.unwrap().unwrap().result, by_other);
    assert!(paused.is_running());
}

#[tokio::test]
async fn a_panic_is_a_failure_and_the_worker_goes_on() {
    let shop = shop_with_lease().await;
    let client = shop.client();
    let mut worker = own_worker(&shop, &["--concurrency", "2"]);
    let id = client.publish(&Publish::new("e2e.panic")).await.unwrap().id;
    let result = client.wait(&id, SOON, |_| {}).await.unwrap().expect("it ends");
    assert_eq!(result.status.to_string(), "FAILURE");
    assert!(result.result.to_string().contains("on purpose"), "{}", result.result);

    let id = publish_sleeps(&client, 1, 0.0).await.remove(0);
    assert!(client.wait(&id, SOON, |_| {}).await.unwrap().is_some());
    assert!(worker.is_running());
}

#[tokio::test]
async fn a_retry_keeps_its_id_and_waits_in_redis() {
    let shop = shop_with_lease().await;
    let client = shop.client();
    let _worker = own_worker(&shop, &["--concurrency", "1"]);
    let id = client.publish(&Publish::new("e2e.third_time")).await.unwrap().id;
    let mut states = Vec::new();
    let note = |state: &TaskResult| states.push(state.status.to_string());
    let result = client.wait(&id, SOON, note).await.unwrap().expect("it ends");
    assert_eq!(result.result, json!(3), "{result:?}");
    assert!(states.contains(&"RETRY".to_owned()), "{states:?}");
}

/// Three workers die with it, one after the other; then it is kept apart, and whoever waits for it
/// is told.
#[tokio::test]
async fn a_task_that_kills_its_workers_ends_in_the_dead_letters() {
    let mut shop = shop_with_lease().await;
    shop.installation.set("RHUBARB_WORKER_LEASE", "2");
    shop.installation.set("RHUBARB_WORKER_MAX_DELIVERIES", "3");
    let client = shop.client();
    let id = client.publish(&Publish::new("e2e.kill")).await.unwrap().id;
    for _ in 0..3 {
        own_worker(&shop, &["--concurrency", "4"]).ended(SOON).await;
    }
    let mut last = own_worker(&shop, &["--concurrency", "4"]);
    let result = client.wait(&id, SOON, |_| {}).await.unwrap().expect("whoever waits is told");
    assert_eq!(result.status.to_string(), "FAILURE", "{result:?}");
    let letters = shop.json(&["dead", "list"]).await;
    assert_eq!(letters[0]["id"], id, "{letters:#}");
    assert!(last.is_running());
}
