//! `[share]` and `rhubarb share`: a task moves from Python's workers to ours step by step.

use std::time::Duration;

use rhubarb_e2e::{
    eventually::eventually,
    process::{Process, Signal},
    redis_server::RedisServer,
};
use rhubarb_queue::{Client, Publish, shares};
use serde_json::json;

use super::{celery_command, celery_worker, int, own_worker};
use crate::shop::{SOON, Shop};

const TASK: &str = "e2e.sleep";
/// How many tasks there are at each step.
const N: usize = 500;

async fn shop(share: u8) -> Shop {
    let configuration = format!("[share]\n\"{TASK}\" = {share}\n");
    let mut shop = Shop::open_on(RedisServer::start().await, &configuration).await;
    shop.installation.set("RHUBARB_WORKER_LEASE", "3");
    shop
}

async fn publish(client: &Client, ids: &[String]) {
    for id in ids {
        client.publish(&Publish::new(TASK).arg(0.001).id(id)).await.unwrap();
    }
}

/// Waits for all of them, and returns how many were ours.
async fn ours(client: &Client, ids: &[String], within: Duration) -> usize {
    let mut ours = 0;
    for id in ids {
        let result = client.wait(id, within, |_| {}).await.unwrap();
        let result = result.unwrap_or_else(|| panic!("{id} has not ended"));
        assert!(result.result.is_number() || result.result == "python", "{result:?}");
        ours += usize::from(result.result.is_number());
    }
    ours
}

fn ids(step: usize, n: usize) -> Vec<String> {
    (0..n).map(|n| format!("share-{step}-{n}")).collect()
}

/// Waits until our worker has read the share.
async fn obeyed(worker: &Process, percent: u8) {
    eventually(SOON, "our worker has read the share", async || {
        let told = worker.lines_with("our share of a task is set");
        told.last()?.contains(&format!("percent={percent}")).then_some(())
    })
    .await;
}

/// The Python worker looks at the shares with the first message that comes 2 s after its last look,
/// and tells nobody.
async fn until_python_has_read() {
    tokio::time::sleep(Duration::from_millis(2_100)).await;
}

fn ran(process: &Process, text: &str) -> usize {
    process.lines_with(text).iter().filter(|line| line.contains(TASK)).count()
}

/// Under load at each step: nothing is lost, nothing runs twice, and our share is what was asked.
#[tokio::test]
async fn a_task_moves_by_shares_and_back_and_none_is_lost() {
    let shop = shop(1).await;
    let Some(python) = shop.python() else { return };
    let mut command = celery_command(&python, &["-P", "threads", "-c", "4"]);
    command.env("SHARING", "1");
    let mut celery = Process::start("celery", shop.installation.folder(), command);
    celery.line("ready.", SOON).await;
    let worker = own_worker(&shop, &["--concurrency", "4"]);
    shop.registered_workers(1).await;
    let (client, mut queue) = (shop.client(), shop.queue().await);
    let mut all = 0;
    for (step, percent) in [1, 10, 50, 100, 10].into_iter().enumerate() {
        if step > 0 {
            shop.json(&["share", TASK, &percent.to_string()]).await;
            obeyed(&worker, percent).await;
            until_python_has_read().await;
        }
        let ids = ids(step, N);
        publish(&client, &ids).await;
        let ours = ours(&client, &ids, SOON).await;
        let expect = ids.iter().filter(|id| shares::holds(percent, id)).count();
        println!("asked {percent} %: {ours} of {N} were ours, {expect} by their ids");
        // Of the configuration of ours the Python worker knows nothing: it takes what it meets.
        assert!(ours == expect || (step == 0 && ours < expect), "the ids decide");
        let asked = N * usize::from(percent) / 100;
        assert!(asked < 50 || ours.abs_diff(asked) * 5 <= asked, "{ours} of {asked}");
        all += N;
    }
    let count = || ran(&celery, "succeeded in") + ran(&worker, "outcome=success");
    eventually(SOON, "both have told of all", async || (count() >= all).then_some(())).await;
    assert_eq!(count(), all, "each once");
    assert_eq!(int(&mut queue, "LLEN", "celery").await, 0);
    let told = shop.json(&["share", "list"]).await;
    assert_eq!(told, json!({TASK: {"percent": 10, "from": "redis"}}));
    let told = shop.json(&["share", TASK, "default"]).await;
    assert_eq!(told, json!({"percent": 1, "from": "configuration"}));
}

/// With no share of our own at all: what no Python worker takes is run by ours, before one comes
/// and when it has gone.
#[tokio::test]
async fn what_no_python_worker_takes_is_ours_whatever_the_share() {
    let shop = shop(0).await;
    let Some(python) = shop.python() else { return };
    // Two of ours answer the question who runs it, and neither is a Python worker.
    let _workers = [own_worker(&shop, &["--concurrency", "2"]), own_worker(&shop, &["-n", "b"])];
    shop.registered_workers(2).await;
    let client = shop.client();
    let before = ids(0, 20);
    publish(&client, &before).await;
    assert_eq!(ours(&client, &before, SOON).await, 20, "nobody else is there");

    let mut celery = celery_worker(&shop, &python, &["-P", "solo"]);
    celery.line("ready.", SOON).await;
    // It may take what it can get before ours have heard of it; what is left to it comes to an end.
    let beside = ids(1, 20);
    publish(&client, &beside).await;
    ours(&client, &beside, SOON).await;
    celery.signal(Signal::TERM);
    celery.ended(SOON).await;
    let after = ids(2, 20);
    publish(&client, &after).await;
    // What was said of it is believed for half a minute at the most.
    let within = Duration::from_secs(60);
    assert_eq!(ours(&client, &after, within).await, 20, "it has gone");
}
