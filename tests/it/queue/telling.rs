//! Events, as Flower and `celery events` read them.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::StreamExt;
use redis::aio::PubSub;
use rhubarb_consumer::Outcome;
use rhubarb_e2e::file;
use rhubarb_queue::Publish;
use rhubarb_wire::Exception;
use serde_json::{Value, json};

use super::{Bench, WAIT};

/// One event as it was published.
#[derive(Debug)]
struct Told {
    topic: String,
    headers: Value,
    event: Value,
}

impl Told {
    fn kind(&self) -> &str {
        self.event["type"].as_str().unwrap()
    }
}

/// Reads events until `done` has seen enough.
async fn read(events: &mut PubSub, mut done: impl FnMut(&Told) -> bool) -> Vec<Told> {
    let mut stream = events.on_message();
    let mut all = Vec::new();
    loop {
        let message = tokio::time::timeout(WAIT, stream.next());
        let message = message.await.unwrap_or_else(|_| panic!("only these: {all:#?}")).unwrap();
        let topic = message.get_channel_name().strip_prefix("/0.celeryev/").unwrap().to_owned();
        let envelope: Value = serde_json::from_slice(message.get_payload_bytes()).unwrap();
        let body = STANDARD.decode(envelope["body"].as_str().unwrap()).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let batch =
            if topic == "task.multi" { body.as_array().unwrap().clone() } else { vec![body] };
        let mut enough = false;
        for event in batch {
            let told = Told { topic: topic.clone(), headers: envelope["headers"].clone(), event };
            enough |= done(&told);
            all.push(told);
        }
        if enough {
            return all;
        }
    }
}

fn keys(event: &Value) -> Vec<&String> {
    event.as_object().unwrap().keys().collect()
}

fn golden(kind: &str) -> Value {
    let path = file(&format!("../crates/wire/tests/golden/control/event_{kind}.json"));
    let capture: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    capture["event"].clone()
}

/// Ends as the task's first argument says.
async fn ends(delivery: rhubarb_consumer::Delivery) -> Outcome {
    let how = delivery.received.body().unwrap().args[0].clone();
    let exception = Exception::builtin("ValueError", vec!["boom".into()]);
    match how.as_str() {
        Some("fail") => Outcome::Failure { exception, traceback: Some("Traceback".into()) },
        Some("retry") if delivery.envelope().headers.retries == 0 => Outcome::Retry {
            exception,
            traceback: None,
            after: Duration::from_millis(1),
            again: Box::default(),
        },
        Some("pend") => std::future::pending().await,
        _ => Outcome::Success(how),
    }
}

#[tokio::test]
async fn each_event_has_celerys_fields_in_celerys_order() {
    let bench = Bench::with(|config| config.worker.send_task_events = true).await;
    let mut events = bench.server.listen("/0.celeryev/*").await;
    let worker = bench.worker(ends);
    for how in ["ok", "fail", "retry"] {
        let id = bench.publish(&Publish::new("t").arg(how)).await;
        bench.result(&id).await;
    }
    let pending = bench.publish(&Publish::new("t").arg("pend")).await;
    let mut told = read(&mut events, |told| {
        told.kind() == "task-started" && told.event["uuid"] == json!(pending)
    })
    .await;
    bench.ask("revoke", &json!({"task_id": pending, "terminate": true})).await;
    told.extend(read(&mut events, |told| told.kind() == "task-revoked").await);
    bench.ask("heartbeat", &json!({})).await;
    told.extend(read(&mut events, |told| told.kind() == "worker-heartbeat").await);
    assert!(worker.stop().await);
    told.extend(read(&mut events, |told| told.kind() == "worker-offline").await);

    let first: BTreeMap<&str, &Told> = told.iter().rev().map(|told| (told.kind(), told)).collect();
    let kinds = [
        "task-failed",
        "task-received",
        "task-retried",
        "task-revoked",
        "task-started",
        "task-succeeded",
        "worker-heartbeat",
        "worker-offline",
        "worker-online",
    ];
    assert_eq!(first.keys().copied().collect::<Vec<_>>(), kinds);
    for (kind, told) in first {
        let expect = golden(kind);
        assert_eq!(keys(&told.event), keys(&expect), "{kind}");
        let topic =
            if kind.starts_with("task") { "task.multi".into() } else { kind.replace('-', ".") };
        assert_eq!(told.topic, topic);
        assert_eq!(told.headers, json!({"hostname": "rhubarb@test"}));
    }
    let clocks: Vec<u64> = told.iter().map(|told| told.event["clock"].as_u64().unwrap()).collect();
    let tasks: Vec<&Told> = told.iter().filter(|told| told.topic == "task.multi").collect();
    assert!(clocks.iter().all(|clock| *clock > 0));
    let clock = |told: &&&Told| told.event["clock"].as_u64().unwrap();
    assert!(tasks.is_sorted_by_key(|told| clock(&told)), "the clock orders them: {tasks:#?}");
    let of = |kind: &str| &tasks.iter().find(|told| told.kind() == kind).unwrap().event;
    assert_eq!(of("task-succeeded")["result"], json!("'ok'"));
    assert_eq!(of("task-failed")["exception"], json!("ValueError('boom')"));
    assert_eq!(of("task-failed")["traceback"], json!("Traceback"));
    assert_eq!(
        (&of("task-revoked")["terminated"], &of("task-revoked")["signum"]),
        (&json!(true), &json!(15))
    );
    assert_eq!(of("task-received")["args"], json!("('ok',)"));
}

#[tokio::test]
async fn task_events_are_off_until_somebody_wants_them() {
    let bench = Bench::new().await;
    let mut events = bench.server.listen("/0.celeryev/*").await;
    let worker = bench.worker(ends);
    let silent = bench.publish(&Publish::new("t").arg("before")).await;
    bench.result(&silent).await;
    assert_eq!(bench.ask("enable_events", &json!({})).await, json!({"ok": "task events enabled"}));
    let id = bench.publish(&Publish::new("t").arg("during")).await;
    let ended = |told: &Told| told.kind() == "task-succeeded";
    let told = read(&mut events, ended).await;
    let uuids: Vec<&Value> = told
        .iter()
        .filter(|told| told.topic == "task.multi")
        .map(|told| &told.event["uuid"])
        .collect();
    assert_eq!(uuids, [&json!(id); 3]);

    let reply = bench.ask("disable_events", &json!({})).await;
    assert_eq!(reply, json!({"ok": "task events disabled"}));
    let silent = bench.publish(&Publish::new("t").arg("after")).await;
    bench.result(&silent).await;
    bench.ask("enable_events", &json!({})).await;
    let last = bench.publish(&Publish::new("t").arg("last")).await;
    let told = read(&mut events, ended).await;
    let of_tasks = told.iter().filter(|told| told.topic == "task.multi");
    assert!(of_tasks.map(|told| &told.event["uuid"]).all(|uuid| *uuid == json!(last)));
    assert!(worker.stop().await);
}

#[tokio::test]
async fn many_tasks_share_a_message_of_events() {
    let bench = Bench::with(|config| {
        config.worker.send_task_events = true;
        config.worker.concurrency = 50;
    })
    .await;
    let mut events = bench.server.listen("/0.celeryev/*").await;
    for n in 0..100 {
        bench.publish(&Publish::new("t").arg(n)).await;
    }
    let worker = bench.worker(ends);
    let (mut n, mut messages) = (0, std::collections::BTreeSet::new());
    let told = read(&mut events, |told| {
        n += usize::from(told.kind() == "task-succeeded");
        messages.insert(told.event["clock"].as_u64());
        n == 100
    })
    .await;
    assert_eq!(told.iter().filter(|told| told.topic == "task.multi").count(), 300);
    let mut redis = bench.redis().await;
    let info: String =
        redis::cmd("INFO").arg("commandstats").query_async(&mut redis).await.unwrap();
    let line = info.lines().find(|line| line.starts_with("cmdstat_publish:")).unwrap();
    let published: u64 = line.split(['=', ',']).nth(1).unwrap().parse().unwrap();
    // One for each result, and one for each dozen events.
    assert!(published < 100 + 60, "{published} messages for 100 results and 300 events");
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_worker_told_not_to_sends_no_sign_of_life() {
    let bench = Bench::with(|config| config.worker.send_heartbeats = false).await;
    let mut events = bench.server.listen("/0.celeryev/*").await;
    let worker = bench.worker(ends);
    bench.ask("enable_events", &json!({})).await;
    bench.ask("heartbeat", &json!({})).await;
    let id = bench.publish(&Publish::new("t").arg("x")).await;
    bench.result(&id).await;
    let told = read(&mut events, |told| told.kind() == "task-succeeded").await;
    assert!(told.iter().all(|told| told.topic == "task.multi"), "{told:#?}");
    assert!(worker.stop().await);
}
