//! What kills a process costs its own task only.

use rhubarb_e2e::{eventually::eventually, python::Python};
use rustix::process::Signal;
use serde_json::json;

use super::{Pool, SOON, lines};

#[tokio::test]
async fn a_task_whose_process_dies_runs_again_and_no_other_is_lost() {
    let Some(pool) = Pool::new(Python::for_redis, "").await else { return };
    let _worker = pool.worker().await;
    let ways = ["kill", "segfault", "exit", "rubbish", "zygote"];
    let mut calls = Vec::new();
    for how in ways {
        calls.push(json!(["pool.dies", [how, pool.text_of(how)], {}]));
        calls.extend((0..5).map(|n| json!(["pool.add", [n, 1], {}])));
    }
    let ends = pool.calls(json!(calls)).await;
    assert!(ends.iter().all(|end| end["state"] == "SUCCESS"), "{ends:#?}");
    let survived = ends.iter().filter(|end| end["value"] == "survived").count();
    assert_eq!(survived, ways.len(), "{ends:#?}");
}

#[tokio::test]
async fn processes_that_are_killed_at_random_lose_no_task() {
    let Some(pool) = Pool::new(Python::for_redis, "").await else { return };
    let _worker = pool.worker().await;
    let mut calls = Vec::new();
    for n in 0..10 {
        calls.extend((0..10).map(|m| json!(["pool.add", [n, m], {}])));
        calls.push(json!(["pool.kills_another", [], {}]));
    }
    let ends = pool.calls(json!(calls)).await;
    assert_eq!(ends.len(), 110);
    assert!(ends.iter().all(|end| end["state"] == "SUCCESS"), "{ends:#?}");
}

#[tokio::test]
async fn a_task_that_kills_every_process_is_a_dead_letter_in_the_end() {
    let Some(pool) = Pool::new(Python::for_redis, "").await else { return };
    let _worker = pool.worker().await;
    let end = pool.call("pool.dies_always", json!([pool.text_of("deaths")])).await;
    assert_eq!(end["state"], "FAILURE", "{end:#}");
    assert_eq!(lines(&pool.path("deaths")), ["xxxxx"], "as worker.max_deliveries says");
    let dead = pool.installation.rhubarb(&["dead", "list", "--json"]).await;
    assert!(dead.stdout.contains("pool.dies_always"), "{}", dead.stdout);
    // The queue goes on.
    assert_eq!(pool.call("pool.add", json!([1, 2])).await["value"], 3);
}

#[tokio::test]
async fn a_task_that_says_so_fails_when_its_process_dies() {
    let Some(pool) = Pool::new(Python::for_redis, "").await else { return };
    let _worker = pool.worker().await;
    let end = pool.call("pool.dies_and_fails", json!([])).await;
    assert_eq!(end["value"][0], "WorkerLostError", "{end:#}");
    assert!(end["value"][1].as_str().unwrap().contains("SIGKILL"), "{end:#}");
}

#[tokio::test]
async fn a_worker_that_is_killed_leaves_no_process_behind() {
    let Some(pool) = Pool::new(Python::for_redis, "").await else { return };
    let worker = pool.worker().await;
    pool.publish("pool.sleeps", json!([pool.text_of("pids")])).await;
    let pid = eventually(SOON, "it runs", async || lines(&pool.path("pids")).pop()).await;
    worker.signal(Signal::KILL);
    eventually(SOON, "its process is gone", async || is_gone(&pid).then_some(())).await;
}

#[tokio::test]
async fn a_task_that_is_terminated_ends_with_its_process() {
    let Some(pool) = Pool::new(Python::for_redis, "").await else { return };
    let _worker = pool.worker().await;
    let id = pool.publish("pool.sleeps", json!([pool.text_of("pids")])).await;
    let pid = eventually(SOON, "it runs", async || lines(&pool.path("pids")).pop()).await;
    let revoked = pool.installation.rhubarb(&["revoke", &id, "--terminate"]).await;
    assert_eq!(revoked.code, 0, "{}", revoked.stderr);
    eventually(SOON, "its process is gone", async || is_gone(&pid).then_some(())).await;
    assert_eq!(pool.call("pool.add", json!([1, 2])).await["value"], 3);
}

#[tokio::test]
async fn a_stop_lets_a_task_end_and_all_processes_with_the_worker() {
    let Some(pool) = Pool::new(Python::for_redis, "").await else { return };
    let mut worker = pool.worker().await;
    let (pids, go) = (pool.text_of("pids"), pool.text_of("go"));
    let id = pool.publish("pool.sleeps", json!([pids, go])).await;
    let pid = eventually(SOON, "it runs", async || lines(&pool.path("pids")).pop()).await;
    worker.signal(Signal::TERM);
    worker.line("waiting for what still runs", SOON).await;
    std::fs::write(pool.path("go"), "").unwrap();
    assert_eq!(worker.ended(SOON).await.code(), Some(0), "{}", worker.stdout());
    assert_eq!(pool.result(&id, "SUCCESS").await.result, "slept");
    eventually(SOON, "its process is gone", async || is_gone(&pid).then_some(())).await;
}

/// Tells whether there is no process of this id any more.
fn is_gone(pid: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = state.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
    matches!(state, None | Some("Z"))
}
