//! Revocations: obeyed by who hears them, and by who comes later.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::AsyncCommands;
use rhubarb_consumer::Outcome;
use rhubarb_e2e::{eventually::eventually, redis_server::RedisServer};
use rhubarb_queue::Publish;
use rhubarb_wire::{
    NewTask, State,
    control::{Command, ReplyTo},
};
use serde_json::{Value, json};

use super::{Bench, WAIT, echo};

const KEEP: Duration = Duration::from_secs(600);

fn with_id(id: &str) -> Publish {
    Publish::new("t").id(id)
}

fn reason(result: &rhubarb_wire::TaskResult) -> Value {
    assert_eq!(result.status, State::Revoked, "{result:?}");
    let exception = result.exception().unwrap();
    assert_eq!(exception.exc_type, "TaskRevokedError");
    exception.exc_message[0].clone()
}

#[tokio::test]
async fn a_worker_that_was_down_obeys() {
    let bench = Bench::new().await;
    bench.publish(&with_id("no")).await;
    let heard = bench.client.revoke("no", false, KEEP).await.unwrap();
    assert_eq!(heard, 0);
    assert_eq!(
        reason(&bench.result("no").await),
        json!("revoked"),
        "told at once, without a worker"
    );
    let ran = Arc::new(AtomicUsize::new(0));
    let runs = ran.clone();
    let worker = bench.worker(move |delivery| {
        runs.fetch_add(1, Ordering::SeqCst);
        echo(delivery)
    });
    let yes = bench.publish(&Publish::new("t").arg(1)).await;
    assert_eq!(bench.result(&yes).await.result, json!(1));
    assert_eq!(ran.load(Ordering::SeqCst), 1);
    let mut redis = bench.redis().await;
    assert_eq!(redis.llen::<_, u64>("celery").await.unwrap(), 0);
    let ttl: i64 = redis.ttl("rhubarb:revoked").await.unwrap();
    assert!((1..=600).contains(&ttl), "it ends by itself: {ttl}");
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_task_that_waits_for_its_time_obeys_when_it_comes_up() {
    let bench = Bench::new().await;
    let ran = Arc::new(AtomicUsize::new(0));
    let runs = ran.clone();
    let worker = bench.worker(move |delivery| {
        runs.fetch_add(1, Ordering::SeqCst);
        echo(delivery)
    });
    bench.publish(&with_id("eta").countdown(Duration::from_secs(1))).await;
    let mut redis = bench.redis().await;
    eventually(WAIT, "it is scheduled", async || {
        (redis.zcard::<_, u64>("rhubarb:{celery}:scheduled").await.unwrap() == 1).then_some(())
    })
    .await;
    let reply = bench.ask("revoke", &json!({"task_id": ["eta"]})).await;
    assert_eq!(reply, json!({"ok": "tasks {'eta'} flagged as revoked"}));
    assert_eq!(reason(&bench.result("eta").await), json!("revoked"), "told at once");
    let at_once = bench.client.result("eta").await.unwrap().unwrap();
    assert_eq!(at_once.children, Value::Null, "as Celery 5.7 has it");
    eventually(WAIT, "it came up", async || {
        let left: u64 = redis.zcard("rhubarb:{celery}:scheduled").await.unwrap();
        (left == 0 && worker.consumer().held() == 0).then_some(())
    })
    .await;
    assert_eq!(ran.load(Ordering::SeqCst), 0);
    assert!(worker.stop().await);
}

/// Tells when the handler's future is dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_running_task_is_ended_only_when_that_is_asked_for() {
    let bench = Bench::new().await;
    let dropped = Arc::new(AtomicUsize::new(0));
    let counter = dropped.clone();
    let worker = bench.worker(move |_| {
        let guard = Dropped(counter.clone());
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Outcome::Success(Value::Null)
        }
    });
    bench.publish(&with_id("long")).await;
    eventually(WAIT, "it runs", async || (worker.consumer().held() == 1).then_some(())).await;
    bench.ask("revoke", &json!({"task_id": "long"})).await;
    assert_eq!(bench.client.result("long").await.unwrap(), None, "it runs on");
    assert_eq!(worker.consumer().held(), 1);

    let order = json!({"task_id": "long", "terminate": true, "signal": "SIGKILL"});
    assert_eq!(bench.ask("revoke", &order).await, json!({"ok": "terminate: long"}));
    assert_eq!(reason(&bench.result("long").await), json!("terminated"));
    let unknown = json!({"task_id": "other", "terminate": true, "signal": null});
    assert_eq!(bench.ask("revoke", &unknown).await, json!({"ok": "terminate: tasks unknown"}));
    assert!(worker.stop().await);
}

/// The broadcast is lost on who is reconnecting; the order stands in Redis.
#[tokio::test]
async fn a_worker_that_was_cut_off_ends_what_it_was_ordered_to_end() {
    let bench = Bench::new().await;
    let worker = bench.worker(|_| std::future::pending());
    bench.publish(&with_id("long")).await;
    eventually(WAIT, "it runs", async || (worker.consumer().held() == 1).then_some(())).await;
    bench.ask("ping", &json!({})).await;
    let mut redis = bench.redis().await;
    let (s, _): (f64, f64) = redis::cmd("TIME").query_async(&mut redis).await.unwrap();
    for key in ["rhubarb:revoked", "rhubarb:revoked:terminate"] {
        let _: u64 = redis.zadd(key, "long", s * 1000.0 + 60_000.0).await.unwrap();
    }
    let kill = async |redis: &mut redis::aio::MultiplexedConnection| {
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL").arg("TYPE").arg("pubsub").arg("SKIPME").arg("yes");
        kill.query_async::<u64>(redis).await.unwrap()
    };
    assert!(kill(&mut redis).await > 0, "the worker's connection is one with subscriptions");
    assert_eq!(reason(&bench.result("long").await), json!("terminated"));
    assert!(worker.stop().await);
}

/// As above, for a message that comes while the worker is not back yet.
#[tokio::test]
async fn a_worker_that_was_cut_off_does_not_begin_what_was_revoked_meanwhile() {
    let bench = Bench::new().await;
    let ran = Arc::new(AtomicUsize::new(0));
    let runs = ran.clone();
    let worker = bench.worker(move |delivery| {
        runs.fetch_add(1, Ordering::SeqCst);
        echo(delivery)
    });
    bench.ask("ping", &json!({})).await;
    let mut redis = bench.redis().await;
    for n in 0..20 {
        let id = format!("cut-{n}");
        let mut task = NewTask::new("t", "celery");
        task.headers.id.clone_from(&id);
        let mut at_once = redis::pipe();
        at_once.atomic().zadd("rhubarb:revoked", &id, 1e15).ignore();
        at_once.cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").ignore();
        at_once.lpush("celery", task.into_envelope("tag").encode()).ignore();
        at_once.exec_async(&mut redis).await.unwrap();
        assert_eq!(reason(&bench.result(&id).await), json!("revoked"));
    }
    assert_eq!(ran.load(Ordering::SeqCst), 0);
    assert!(worker.stop().await);
}

#[tokio::test]
async fn where_broadcasts_are_refused_revocations_are_obeyed_all_the_same() {
    let server = RedisServer::start_with(&["--save", "", "--rename-command", "HELLO", ""]).await;
    let bench = Bench::on(server, |_| {});
    let worker = bench.worker(echo);
    let first = bench.publish(&Publish::new("t").arg(1)).await;
    assert_eq!(bench.result(&first).await.result, json!(1));
    assert_eq!(bench.client.revoke("later", false, KEEP).await.unwrap(), 0, "nobody hears");
    bench.publish(&with_id("later").countdown(Duration::from_secs(2))).await;
    let mut redis = bench.redis().await;
    eventually(WAIT, "it came up", async || {
        let left: u64 = redis.zcard("rhubarb:{celery}:scheduled").await.unwrap();
        let waiting: u64 = redis.llen("celery").await.unwrap();
        (left + waiting == 0 && worker.consumer().held() == 0).then_some(())
    })
    .await;
    assert_eq!(reason(&bench.result("later").await), json!("revoked"));
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_final_state_stands_whatever_is_revoked() {
    let bench = Bench::new().await;
    let worker = bench.worker(echo);
    let id = bench.publish(&Publish::new("t").arg(1)).await;
    bench.result(&id).await;
    bench.ask("revoke", &json!({"task_id": [id]})).await;
    assert_eq!(bench.result(&id).await.status, State::Success);
    assert!(worker.stop().await);
}

#[tokio::test]
async fn tasks_are_revoked_by_their_stamps() {
    let bench = Bench::new().await;
    let worker = bench.worker(echo);
    let reply = bench.ask("revoke_by_stamped_headers", &json!({"headers": {"order": ["7"]}})).await;
    let text = "headers {'order': ['7']} flagged as revoked, but not terminated";
    assert_eq!(reply, json!({ "ok": text }));
    let mut task = NewTask::new("t", "celery");
    task.headers.id = "stamped".into();
    let mut envelope = task.into_envelope("tag");
    envelope.headers.stamped_headers = Some(vec!["order".to_owned()]);
    envelope.headers.stamps.insert("order".to_owned(), json!(["7"]));
    let mut redis = bench.redis().await;
    let _: u64 = redis.lpush("celery", envelope.encode()).await.unwrap();
    assert_eq!(reason(&bench.result("stamped").await), json!("revoked"));
    assert!(worker.stop().await);
}

#[tokio::test]
async fn revocations_are_bounded_and_expire() {
    let bench = Bench::new().await;
    let mut redis = bench.redis().await;
    let keep = Duration::from_millis(300);
    bench.client.revoke("short", false, keep).await.unwrap();
    eventually(WAIT, "it has expired", async || {
        (!redis.exists::<_, bool>("rhubarb:revoked").await.unwrap()).then_some(())
    })
    .await;
    let mut fill = redis::pipe();
    for n in 0..50_010 {
        fill.zadd("rhubarb:revoked", format!("old-{n}"), 1e15 + f64::from(n)).ignore();
    }
    fill.exec_async(&mut redis).await.unwrap();
    bench.client.revoke("new", false, Duration::from_secs(1_000_000_000)).await.unwrap();
    assert_eq!(redis.zcard::<_, u64>("rhubarb:revoked").await.unwrap(), 50_000);
    let oldest: Option<f64> = redis.zscore("rhubarb:revoked", "old-50009").await.unwrap();
    assert!(oldest.is_some(), "those that end first have given way");
}

/// A command as a client sends it that reads no replies.
fn command(method: &str, arguments: &Value) -> Vec<u8> {
    let command = Command {
        ticket: Some("t".to_owned()),
        reply_to: Some(ReplyTo::client("gone")),
        ..Command::new(method, arguments.as_object().unwrap().clone())
    };
    command.encode("tag")
}

#[tokio::test]
async fn a_flood_of_revocations_loses_none() {
    let bench = Bench::new().await;
    let worker = bench.worker(echo);
    bench.ask("ping", &json!({})).await;
    let mut redis = bench.redis().await;
    let mut flood = redis::pipe();
    for n in 0..3_000 {
        let revoke = command("revoke", &json!({"task_id": n.to_string()}));
        flood.publish("/0.celery.pidbox", revoke).ignore();
        flood.publish("/0.celery.pidbox", command("inspect", &json!({}))).ignore();
    }
    let _: () = flood.query_async(&mut redis).await.unwrap();
    eventually(WAIT, "all stand in Redis", async || {
        let n: u64 = redis.zcard("rhubarb:revoked").await.unwrap();
        (n == 3_000).then_some(())
    })
    .await;
    let result = bench.result("2999").await;
    assert_eq!(result.status, State::Revoked);
    let known = eventually(WAIT, "questions are answered again", async || {
        // One that came while too many were being answered is dropped.
        tokio::time::timeout(Duration::from_secs(2), bench.ask("revoked", &json!({}))).await.ok()
    })
    .await;
    assert_eq!(known.as_array().unwrap().len(), 3_000);
    assert!(worker.stop().await);
}

#[tokio::test]
async fn stamps_that_are_too_large_or_too_many_are_refused_with_a_reply() {
    let bench = Bench::new().await;
    let worker = bench.worker(echo);
    let revoke = async |values: &Value| {
        bench.ask("revoke_by_stamped_headers", &json!({"headers": {"order": values}})).await
    };
    let large = "x".repeat(2_900_000);
    let refused = revoke(&json!([large])).await;
    assert!(refused["error"].as_str().unwrap().contains("at most 4096 bytes"), "{refused}");
    let many: Vec<String> = (0..300).map(|n| format!("{n}{}", "x".repeat(4_000))).collect();
    let refused = revoke(&json!(many)).await;
    assert!(refused["error"].as_str().unwrap().contains("were not taken"), "{refused}");
    let taken = revoke(&json!("7")).await;
    assert!(taken["ok"].as_str().unwrap().contains("flagged as revoked"), "{taken}");
    assert!(worker.stop().await);
}
