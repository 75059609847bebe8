//! What holds when a worker or its connection dies.

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
use rhubarb_queue::{
    Publish, inspect,
    letter::{self, LetterKind},
};
use serde_json::{Value, json};

use super::{Bench, WAIT, echo};

async fn never(_: rhubarb_consumer::Delivery) -> Outcome {
    std::future::pending().await
}

#[tokio::test]
async fn a_dead_workers_tasks_run_elsewhere() {
    let bench = Bench::new().await;
    let doomed = bench.worker(never);
    let mut ids = Vec::new();
    for i in 0..4 {
        ids.push(bench.publish(&Publish::new("t").arg(i)).await);
    }
    eventually(WAIT, "all are claimed", async || {
        let queues = inspect::queues(&bench.client, &[]).await.unwrap();
        (queues[0].claimed == 4).then_some(())
    })
    .await;
    doomed.kill();
    let heir = bench.worker(echo);
    for (i, id) in ids.iter().enumerate() {
        assert_eq!(bench.result(id).await.result, i);
    }
    assert!(heir.stop().await);
}

#[tokio::test]
async fn a_message_that_kills_its_workers_goes_to_the_dead_letters() {
    let bench = Bench::with(|config| config.worker.max_deliveries = 2).await;
    let id = bench.publish(&Publish::new("t")).await;
    for _ in 0..2 {
        let doomed = bench.worker(never);
        eventually(WAIT, "it runs", async || (doomed.consumer().held() == 1).then_some(())).await;
        doomed.kill();
    }
    let last = bench.worker(never);
    let letter = eventually(WAIT, "it is a dead letter", async || {
        letter::find(&bench.client, LetterKind::Dead, &id).await.unwrap()
    })
    .await;
    assert!(letter.reason.contains("workers died"), "{}", letter.reason);
    assert_eq!(bench.result(&id).await.result["exc_type"], "WorkerLostError");
    assert!(last.stop().await);
}

/// Each of them waits for all slots: one that held its own meanwhile would be waited for in vain.
#[tokio::test]
async fn several_messages_that_workers_died_with_run_one_after_the_other() {
    let bench = Bench::new().await;
    let mut ids = Vec::new();
    for i in 0..3 {
        ids.push(bench.publish(&Publish::new("t").arg(i)).await);
    }
    for _ in 0..2 {
        let doomed = bench.worker(never);
        eventually(WAIT, "all run", async || (doomed.consumer().held() == 3).then_some(())).await;
        doomed.kill();
    }
    let running = Arc::new(AtomicUsize::new(0));
    let heir = bench.worker(move |delivery| {
        let running = running.clone();
        async move {
            let alone = running.fetch_add(1, Ordering::SeqCst) == 0;
            tokio::time::sleep(Duration::from_millis(20)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            if alone { echo(delivery).await } else { Outcome::Success(json!("not alone")) }
        }
    });
    for (i, id) in ids.iter().enumerate() {
        assert_eq!(bench.result(id).await.result, i);
    }
    assert!(heir.stop().await);
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_goes_back() {
    let bench = Bench::new().await;
    let id = bench.publish(&Publish::new("t").arg("found")).await;
    let mut redis = bench.redis().await;
    let raw: Vec<u8> = redis.rpop("celery", None).await.unwrap();
    // As the claim script leaves it when its answer is cut.
    let record = [b"1:0:0:".as_slice(), &raw].concat();
    let _: u64 = redis.hset("rhubarb:{celery}:claims:w1", 9999, record).await.unwrap();
    let worker = bench.worker_named("w1", echo);
    assert_eq!(bench.result(&id).await.result, "found");
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_stopping_worker_hands_back_what_it_did_not_finish() {
    let bench = Bench::new().await;
    let first = bench.worker(|delivery| async move {
        // As a handler that is cancelled by the drain's end.
        let held = delivery;
        tokio::time::timeout(Duration::from_millis(50), std::future::pending::<()>())
            .await
            .unwrap_err();
        drop(held);
        Outcome::HandBack
    });
    let id = bench.publish(&Publish::new("t").arg(1)).await;
    eventually(WAIT, "it came back at least once", async || {
        (first.consumer().held() > 0).then_some(())
    })
    .await;
    assert!(first.stop().await);
    let mut redis = bench.redis().await;
    let (waiting, counted): (u64, bool) = (
        redis.llen("celery").await.unwrap(),
        redis.exists("rhubarb:{celery}:deliveries").await.unwrap(),
    );
    assert_eq!((waiting, counted), (1, false), "back in the queue, and no attempt burnt");
    let second = bench.worker(echo);
    assert_eq!(bench.result(&id).await.result, 1);
    assert!(second.stop().await);
}

#[tokio::test]
async fn a_worker_goes_on_by_itself_after_redis_was_restarted() {
    let mut bench = Bench::on(RedisServer::start_durable().await, |_| {});
    let worker = bench.worker(echo);
    let id = bench.publish(&Publish::new("t").arg("before")).await;
    assert_eq!(bench.result(&id).await.result, "before");
    bench.server.restart().await;
    let publish = Publish::new("t").arg("after");
    let id = eventually(WAIT, "publishing works again", async || {
        bench.client.publish(&publish).await.ok().map(|published| published.id)
    })
    .await;
    assert_eq!(bench.result(&id).await.result, "after");
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_worker_goes_on_after_its_connection_was_killed_and_its_scripts_flushed() {
    let bench = Bench::new().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let worker = bench.worker({
        let runs = runs.clone();
        move |_| {
            runs.fetch_add(1, Ordering::SeqCst);
            async { Outcome::Success(Value::Null) }
        }
    });
    let mut redis = bench.redis().await;
    for i in 0..5 {
        let id = bench.publish(&Publish::new("t").arg(json!(i))).await;
        bench.result(&id).await;
        let _: redis::Value =
            redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut redis).await.unwrap();
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes");
        let _: u64 = kill.query_async(&mut redis).await.unwrap();
        eventually(WAIT, "our own client is back", async || {
            bench.client.queue().ready().await.ok()?;
            bench.client.result("none").await.ok().map(|_| ())
        })
        .await;
    }
    assert!(runs.load(Ordering::SeqCst) >= 5);
    assert!(worker.stop().await);
}

#[tokio::test]
async fn acknowledging_works_while_redis_is_out_of_memory() {
    let bench = Bench::new().await;
    let gate = Arc::new(tokio::sync::Notify::new());
    let worker = bench.worker({
        let gate = gate.clone();
        move |_| {
            let gate = gate.clone();
            async move {
                gate.notified().await;
                Outcome::Success(json!("stored"))
            }
        }
    });
    let running = bench.publish(&Publish::new("t")).await;
    eventually(WAIT, "it runs", async || (worker.consumer().held() == 1).then_some(())).await;
    let mut redis = bench.redis().await;
    let waiting = bench.publish(&Publish::new("t")).await;
    eventually(WAIT, "both run", async || (worker.consumer().held() == 2).then_some(())).await;
    let mut limit = redis::cmd("CONFIG");
    limit.arg("SET").arg("maxmemory").arg("1");
    let _: () = limit.query_async(&mut redis).await.unwrap();
    let refused = bench.client.publish(&Publish::new("t")).await.unwrap_err();
    assert_eq!(refused.class(), rhubarb_core::class::Class::Transient);
    gate.notify_one();
    gate.notify_one();
    eventually(WAIT, "one has ended", async || (worker.consumer().held() < 2).then_some(())).await;
    gate.notify_one();
    for id in [running, waiting] {
        assert_eq!(bench.result(&id).await.result, "stored");
    }
    assert!(worker.stop().await);
}

/// What was scheduled or claimed from a list that the settings no longer have would be taken out
/// and be gone.
#[tokio::test]
async fn with_fewer_priority_steps_than_before_nothing_is_lost() {
    let bench = Bench::with(|config| config.celery.priority_steps = vec![0]).await;
    let mut redis = bench.redis().await;
    let mut messages = Vec::new();
    for n in 0..2 {
        let id = bench.publish(&Publish::new("t").arg(n)).await;
        let message: Vec<u8> = redis.rpop("celery", None).await.unwrap();
        messages.push((id, message));
    }
    let member = [b"4|", &messages[0].1[..]].concat();
    let _: () = redis.zadd("rhubarb:{celery}:scheduled", member, 1).await.unwrap();
    let claim = [b"3:0:1:", &messages[1].1[..]].concat();
    let _: () = redis.hset("rhubarb:{celery}:claims:gone", 1, claim).await.unwrap();
    let _: () = redis.zadd("rhubarb:{celery}:leases", "gone", 1).await.unwrap();
    let worker = bench.worker(echo);
    assert_eq!(bench.result(&messages[0].0).await.result, 0);
    assert_eq!(bench.result(&messages[1].0).await.result, 1);
    assert!(worker.stop().await);
}
