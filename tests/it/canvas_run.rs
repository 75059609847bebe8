//! Canvases that a real Celery client applies and our worker runs: what the client gets, and what
//! is left behind.

use std::time::Duration;

use rhubarb_e2e::{
    eventually::eventually,
    process::{Process, Signal},
    redis_server::RedisServer,
};
use rhubarb_wire::{
    Signature,
    canvas::{chain, chord},
};
use serde_json::{Value, json};

use crate::{OWN_WORKER, shop::Shop};

/// A shop with a worker of one's own; `None` without Python.
async fn run(cases: &[&str]) -> Option<Value> {
    let shop = Shop::open_on(RedisServer::start().await, "").await;
    let python = shop.python()?;
    let _worker = worker(&shop);
    Some(python.run(&[&["run_canvas.py"], cases].concat()).await)
}

fn worker(shop: &Shop) -> Process {
    shop.installation.start("own-worker", OWN_WORKER, &["--concurrency", "8"])
}

fn error(kind: &str, message: &str) -> Value {
    json!({"error": [kind, "builtins", [message]]})
}

#[tokio::test]
async fn chains_and_groups_and_what_they_leave_are_celerys() {
    let Some(told) = run(&["chains", "groups", "group_in_a_chain", "saved_groups"]).await else {
        return;
    };
    assert_eq!(
        told["chains"],
        json!({"value": 10, "steps": [3, 6], "parent_ids": [true, true, true], "children": [true, true]})
    );
    assert_eq!(told["groups"]["value"], json!([0, 2, 4, 6, 8]));
    assert_eq!(told["group_in_a_chain"]["value"], json!([3, 4]));
    assert_eq!(told["saved_groups"]["value"], json!([2, 4]));
}

#[tokio::test]
async fn chords_of_every_shape_call_their_body_with_the_results_in_order() {
    let cases = [
        "chords",
        "chord_of_chords",
        "chord_with_nested_groups",
        "chord_in_a_chain",
        "chord_with_a_chain_as_body",
        "chord_of_chains",
        "chord_with_a_group_as_body",
        "chord_of_one_and_of_none",
        "ignored_header",
    ];
    let Some(told) = run(&cases).await else { return };
    let header: Vec<i64> = (0..10).map(|i| 2 * i).collect();
    assert_eq!(told["chords"], json!({"value": 90, "left": [".c"], "header": header}));
    assert_eq!(told["chord_of_chords"]["value"], 15);
    assert_eq!(told["chord_with_nested_groups"], json!({"value": [[2, [4, 5]]]}));
    assert_eq!(told["chord_in_a_chain"]["value"], 107);
    assert_eq!(told["chord_with_a_chain_as_body"]["value"], 36);
    assert_eq!(told["chord_of_chains"]["value"], 18);
    assert_eq!(told["chord_with_a_group_as_body"]["value"], json!([[[2, 4], "a"], [[2, 4], "b"]]));
    assert_eq!(told["chord_of_one_and_of_none"], json!([{"value": 2}, {"value": 0}]));
    assert_eq!(told["ignored_header"]["value"], 6);
}

#[tokio::test]
async fn callbacks_get_the_result_and_immutable_ones_do_not() {
    let Some(told) = run(&["links", "two_links"]).await else { return };
    assert_eq!(
        told["links"],
        json!({"value": 4, "linked": 4, "children": [[["linked-1", null], null]]})
    );
    assert_eq!(
        told["two_links"],
        json!({"value": 4, "a": [4, "a"], "b": ["b"], "members": ["two-a", "two-b"]})
    );
}

#[tokio::test]
async fn failures_reach_everything_that_waits() {
    let cases = [
        "link_errors",
        "failing_chain",
        "failing_chord",
        "failing_chord_of_chords",
        "failing_chain_in_a_chord",
        "expired_header",
    ];
    let Some(told) = run(&cases).await else { return };
    assert_eq!(told["link_errors"]["error"], error("ValueError", "boom")["error"]);
    assert_eq!(told["link_errors"]["told"], json!([true, true, true]));
    assert_eq!(
        told["failing_chain"],
        json!({"error": ["ValueError", "builtins", ["in the middle"]], "states": ["FAILURE", "FAILURE", "FAILURE"], "same": true})
    );
    let chord = &told["failing_chord"];
    assert_eq!(
        (&chord["state"], &chord["text"], &chord["told"]),
        (&json!("FAILURE"), &json!(true), &json!(true)),
        "{chord}"
    );
    assert_eq!(told["failing_chord_of_chords"], json!({"state": "FAILURE", "type": "ChordError"}));
    assert_eq!(
        told["failing_chain_in_a_chord"],
        json!({"state": "FAILURE", "text": "ValueError('first')"})
    );
    assert_eq!(
        told["expired_header"],
        json!({"state": "FAILURE", "text": "TaskRevokedError('expired')"})
    );
}

#[tokio::test]
async fn the_tasks_that_celery_ships_run_here_too() {
    let Some(told) = run(&["maps", "builtins", "children_of_a_task", "retries_in_canvases"]).await
    else {
        return;
    };
    let maps = &told["maps"];
    assert_eq!(maps[0]["value"], json!([3, 3, 0]));
    assert_eq!(maps[1]["value"], json!([3, 7]));
    assert_eq!(maps[2]["value"], json!([[0, 2, 4], [6, 8, 10], [12]]));
    assert_eq!(maps[3]["value"], json!([3]));
    assert_eq!(maps[4], error("ValueError", "no"));
    let builtins = &told["builtins"];
    assert_eq!(builtins[0]["value"], json!([3]));
    assert_eq!(builtins[1]["value"], json!([1, 2]));
    assert_eq!(builtins[2], error("NotImplementedError", "chain is not a real task"));
    assert_eq!(builtins[3]["value"], Value::Null);
    assert_eq!(
        told["children_of_a_task"],
        json!({"same": true, "got": [{"value": 3}, {"value": "child"}], "parents": [true, true]})
    );
    assert_eq!(told["retries_in_canvases"]["value"], 15);
}

#[tokio::test]
async fn python_and_rust_workers_finish_each_others_canvases() {
    let shop = Shop::open_on(RedisServer::start().await, "").await;
    let Some(python) = shop.python() else { return };
    let _worker = worker(&shop);
    let command =
        python.command(&["-m", "celery", "-A", "run_canvas", "worker", "-c", "2", "-Q", "python"]);
    let _celery = Process::start("celery", shop.installation.folder(), command);
    let cases = ["run_canvas.py", "chords_of_a_mixed_fleet", "chains_of_a_mixed_fleet"];
    let told = python.run(&cases).await;
    let chords = told["chords_of_a_mixed_fleet"].as_array().unwrap();
    for (n, told) in chords.iter().enumerate() {
        let expected = if n % 4 == 3 { json!("FAILURE") } else { json!(21) };
        assert_eq!(*told, expected, "chord {n} of {chords:?}");
    }
    assert_eq!(told["chains_of_a_mixed_fleet"]["value"], 144);
}

#[tokio::test]
async fn large_canvases_end() {
    let Some(told) = run(&["2000", "large_chord"]).await else { return };
    assert_eq!(told["large_chord"]["value"], 1_999_000);
    let Some(told) = run(&["300", "long_chain"]).await else { return };
    assert_eq!(told["long_chain"]["value"], 299);
}

/// Wherever a worker dies (before a part is counted, after it, while the body is published, before
/// the claim has ended), every chord ends, with each part counted once: a part that was lost or
/// doubled would show in the sum.
#[tokio::test]
async fn chords_of_killed_workers_end_with_every_part_counted_once() {
    let mut shop = Shop::open_on(RedisServer::start_durable().await, "").await;
    shop.installation.set("RHUBARB_WORKER_LEASE", "2");
    let client = shop.client();
    let add = |x: i64| Signature::new("e2e.add").arg(x);
    let mut bodies = Vec::new();
    for n in 0..60 {
        let header = (0..5).map(|i| chain(vec![add(n).arg(i), add(1)])).collect();
        let body = chain(vec![Signature::new("e2e.sum"), add(1000)]);
        bodies.push((5 * n + 15 + 1000, client.apply(chord(header, body)).await.unwrap().id));
    }
    let mut redis = shop.queue().await;
    let ended = async |redis: &mut redis::aio::MultiplexedConnection| -> usize {
        let keys: Vec<String> = bodies.iter().map(|(_, id)| client.result_key(id)).collect();
        redis::cmd("EXISTS").arg(keys).query_async(redis).await.unwrap()
    };
    for kill_at in [5, 20, 40] {
        let mut doomed = worker(&shop);
        eventually(Duration::from_secs(50), "some chords have ended", async || {
            (ended(&mut redis).await >= kill_at).then_some(())
        })
        .await;
        doomed.signal(Signal::KILL);
        doomed.ended(Duration::from_secs(5)).await;
    }
    let _last = worker(&shop);
    for (sum, id) in &bodies {
        let result = client.wait(id, Duration::from_secs(50), |_| {}).await.unwrap().expect(id);
        assert_eq!((result.status.to_string().as_str(), &result.result), ("SUCCESS", &json!(sum)));
    }
}
