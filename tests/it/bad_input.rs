//! Input that is broken, foreign, or too much: it is data, kept with its reason, and the worker goes on.

use base64::{Engine, engine::general_purpose::STANDARD};
use rhubarb_e2e::eventually::eventually;
use serde_json::{Value, json};

use crate::shop::{SOON, Shop};

/// Puts raw bytes on the default queue, as anything that can reach Redis may.
async fn push(shop: &Shop, message: impl AsRef<[u8]>) {
    let mut queue = shop.queue().await;
    let _: () = redis::cmd("LPUSH")
        .arg("celery")
        .arg(message.as_ref())
        .query_async(&mut queue)
        .await
        .unwrap();
}

/// A message as Celery publishes it, to be broken by the test.
fn message(id: &str, task: &str, body: &str) -> Value {
    json!({
        "body": body,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": task, "id": id, "retries": 0, "eta": null, "expires": null},
        "properties": {
            "correlation_id": id, "reply_to": "", "delivery_mode": 2, "priority": 0, "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": "celery"}, "delivery_tag": id,
        },
    })
}

fn body(args: &Value, kwargs: &Value) -> String {
    STANDARD.encode(json!([args, kwargs, {}]).to_string())
}

/// A task that any worker runs at once, and so tells that the worker still does.
async fn still_works(shop: &Shop) {
    let ran =
        shop.rhubarb(&["enqueue", "job_scraper.tasks.get_scraping_status", "--wait", "30"]).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

async fn dead_letters(shop: &Shop, n: usize) -> Vec<Value> {
    let what = format!("{n} dead letters");
    eventually(SOON, &what, async || {
        let letters = shop.json(&["dead", "list"]).await;
        letters.as_array().filter(|letters| letters.len() == n).cloned()
    })
    .await
}

#[tokio::test]
async fn what_cannot_be_read_becomes_a_dead_letter_with_its_reason_and_the_worker_goes_on() {
    let shop = Shop::open().await;
    let mut worker = shop.worker(&[]).await;
    let task = "job_scraper.tasks.get_scraping_status";
    let id = |n: u32| format!("00000000-0000-4000-8000-{n:012}");
    let mut pickle = message(&id(3), task, &body(&json!([]), &json!({})));
    pickle["content-type"] = "application/x-python-serialize".into();
    let huge = STANDARD.encode(vec![b'x'; 15_000_000]);

    push(&shop, "this is not JSON").await;
    push(&shop, message(&id(2), task, "%%% not base64 %%%").to_string()).await;
    push(&shop, pickle.to_string()).await;
    push(&shop, message(&id(4), task, &huge).to_string()).await;
    push(&shop, message(&id(5), task, &STANDARD.encode("[1, 2]")).to_string()).await;
    push(&shop, [0xff, 0xfe, 0x00]).await;

    let letters = dead_letters(&shop, 6).await;
    let reasons: Vec<String> = letters
        .iter()
        .map(|letter| letter["reason"].as_str().unwrap_or_default().to_lowercase())
        .collect();
    for word in ["json", "base64", "x-python-serialize", "bytes", "three"] {
        assert!(
            reasons.iter().any(|reason| reason.contains(word)),
            "no reason names {word}: {reasons:#?}"
        );
    }
    // Who waits for one of them is told, instead of waiting for ever.
    for n in 2..=5 {
        let shown = shop.json(&["task", &id(n)]).await;
        assert_eq!(shown["result"]["status"], "FAILURE", "{n}: {shown:#}");
    }
    still_works(&shop).await;
    assert!(worker.is_running());
}

#[tokio::test]
async fn an_unknown_task_is_parked_and_listed_and_has_no_result() {
    let shop = Shop::open().await;
    let _worker = shop.worker(&[]).await;
    let id = "00000000-0000-4000-8000-00000000000a";
    push(
        &shop,
        message(id, "shop.tasks.of_another_time", &body(&json!([1]), &json!({}))).to_string(),
    )
    .await;

    let parked = eventually(SOON, "the task is parked", async || {
        let parked = shop.json(&["parked", "list"]).await;
        parked.as_array().filter(|parked| !parked.is_empty()).cloned()
    })
    .await;
    assert_eq!(parked.len(), 1, "{parked:#?}");
    assert_eq!(parked[0]["task"], "shop.tasks.of_another_time", "{parked:#?}");
    assert_eq!(parked[0]["id"], id);

    let result: Option<String> = redis::cmd("GET")
        .arg(format!("celery-task-meta-{id}"))
        .query_async(&mut shop.queue().await)
        .await
        .unwrap();
    assert_eq!(result, None, "whoever replays it later has nothing to overwrite");
    assert_eq!(shop.json(&["dead", "list"]).await, json!([]));
    still_works(&shop).await;
}

#[tokio::test]
async fn wrong_arguments_are_a_failure_that_names_the_argument() {
    let shop = Shop::open().await;
    let Some(python) = shop.python() else { return };
    let _worker = shop.worker(&[]).await;
    let task = "job_scraper.tasks.scrape_specific_keyword";
    let calls = [
        (json!({"task": task}), "keyword"),
        (json!({"task": task, "args": [["a", "list"]]}), "keyword"),
        (json!({"task": task, "args": ["a"], "kwargs": {"locaton": "Berlin"}}), "locaton"),
        (json!({"task": task, "args": ["a"], "kwargs": {"keyword": "b"}}), "keyword"),
        (json!({"task": task, "args": ["a"], "kwargs": {"force": "maybe"}}), "force"),
    ];
    let sent: Vec<&Value> = calls.iter().map(|(call, _)| call).collect();
    let told = python.run(&["send.py", &json!(sent).to_string()]).await;
    for ((call, argument), told) in calls.iter().zip(told.as_array().unwrap()) {
        assert_eq!(told["state"], "FAILURE", "{call}: {told:#}");
        assert_eq!(told["error"][0], "TypeError", "{call}: {told:#}");
        let message = told["error"][2][0].as_str().unwrap();
        assert!(message.contains(argument), "{call}: {message}");
    }
}
