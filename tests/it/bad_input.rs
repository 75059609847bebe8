//! Input that is broken, foreign, or too much: it is data, kept with its reason, and the worker
//! goes on.

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

fn id(n: u32) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

/// A message that is broken in one place, and its id.
fn changed(n: u32, task: &str, change: &dyn Fn(&mut Value)) -> (String, Value) {
    let mut message = message(&id(n), task, &body(&json!([]), &json!({})));
    change(&mut message);
    (id(n), message)
}

fn those_that_run(task: &str) -> [(String, Value); 8] {
    let plain = json!([[], {}, {}]).to_string();
    let changed = |n, change: &dyn Fn(&mut Value)| changed(n, task, change);
    [
        // Taken for a lost connection; the message is lost.
        changed(1, &|m| drop(m["properties"].as_object_mut().unwrap().remove("delivery_info"))),
        changed(2, &|m| drop(m["properties"].as_object_mut().unwrap().remove("delivery_tag"))),
        // These run there too.
        changed(3, &|m| m["headers"]["eta"] = "2020-01-01T00:00:00Z".into()),
        changed(4, &|m| m["headers"]["timelimit"] = Value::Null),
        changed(5, &|m| {
            m["body"] = plain.clone().into();
            drop(m["properties"].as_object_mut().unwrap().remove("body_encoding"));
        }),
        changed(6, &|m| m["body"] = STANDARD.encode("[[], {}, null]").into()),
        changed(7, &|m| {
            *m = json!({"headers": {"task": task, "id": id(7)}, "body": plain});
        }),
        changed(8, &|m| m["headers"]["x"] = json!({"unknown": [1]})),
    ]
}

fn those_that_fail(task: &str) -> [((String, Value), &'static str); 8] {
    let changed = |n, change: &dyn Fn(&mut Value)| changed(n, task, change);
    [
        // The worker dies, and so does the next one: the message is put back.
        (changed(11, &|m| m["body"] = STANDARD.encode("[[], {}]").into()), "DecodeError"),
        // No result is ever stored for any of these.
        (changed(12, &|m| m["body"] = body(&json!([]), &json!([])).into()), "DecodeError"),
        (changed(13, &|m| m["body"] = STANDARD.encode("{broken").into()), "DecodeError"),
        (changed(14, &|m| m["headers"]["eta"] = "tomorrow".into()), "DecodeError"),
        (changed(15, &|m| m["content-type"] = "application/x-yaml".into()), "ContentDisallowed"),
        (
            changed(16, &|m| m["content-type"] = "application/x-python-serialize".into()),
            "ContentDisallowed",
        ),
        (changed(17, &|m| m["headers"]["retries"] = "many".into()), "DecodeError"),
        (
            changed(18, &|m| m["headers"]["compression"] = "application/x-gzip".into()),
            "DecodeError",
        ),
    ]
}

/// What a real Celery worker makes of each of these is in the comment: most end it, or leave
/// `get()` waiting for ever.
#[tokio::test]
async fn messages_that_celerys_worker_dies_of_or_loses_run_or_fail_and_say_why() {
    let shop = Shop::open().await;
    let mut worker = shop.worker(&[]).await;
    let task = "job_scraper.tasks.get_scraping_status";
    let (runs, fails) = (those_that_run(task), those_that_fail(task));
    for (_, message) in runs.iter().chain(fails.iter().map(|(message, _)| message)) {
        push(&shop, message.to_string()).await;
    }
    // The worker dies; the element is gone. Nobody can be told, so that only the letters do.
    push(&shop, "not json").await;
    push(&shop, json!({"body": "[[], {}, {}]", "properties": {}}).to_string()).await;

    let client = shop.client();
    for (id, _) in &runs {
        let told = client.wait(id, SOON, |_| {}).await.unwrap().expect(id);
        assert_eq!(told.status.to_string(), "SUCCESS", "{id}: {told:?}");
    }
    for ((id, _), kind) in &fails {
        let told = client.wait(id, SOON, |_| {}).await.unwrap().expect(id);
        assert_eq!(told.exception().expect(id).exc_type, *kind, "{id}: {told:?}");
    }
    assert_eq!(dead_letters(&shop, fails.len() + 2).await.len(), fails.len() + 2);
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
