//! What a worker takes, when, and how much of it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::AsyncCommands;
use rhubarb_consumer::{Delivery, Outcome};
use rhubarb_e2e::eventually::eventually;
use rhubarb_queue::{Publish, inspect, pauses};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{Bench, TestWorker, WAIT, echo};

#[tokio::test]
async fn claims_never_exceed_the_free_slots() {
    let bench = Bench::new().await;
    for _ in 0..20 {
        bench.publish(&Publish::new("t")).await;
    }
    let gate = Arc::new(Semaphore::new(0));
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let worker = bench.worker({
        let (gate, running, most) = (gate.clone(), running.clone(), most.clone());
        move |_| {
            let (gate, running, most) = (gate.clone(), running.clone(), most.clone());
            async move {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                running.fetch_sub(1, Ordering::SeqCst);
                Outcome::Success(Value::Null)
            }
        }
    });
    eventually(WAIT, "four tasks run", async || {
        (running.load(Ordering::SeqCst) == 4).then_some(())
    })
    .await;
    let waiting: u64 = bench.redis().await.llen("celery").await.unwrap();
    assert_eq!(waiting, 16, "what does not run stays in the queue");
    gate.add_permits(20);
    eventually(WAIT, "all have run", async || {
        (worker.consumer().counters().processed.load(Ordering::SeqCst) == 20).then_some(())
    })
    .await;
    assert_eq!(most.load(Ordering::SeqCst), 4);
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_task_is_found_from_its_publishing_to_its_end() {
    let bench = Bench::new().await;
    let id = bench.publish(&Publish::new("t")).await;
    let place = async || inspect::task(&bench.client, &id).await.unwrap();
    assert_eq!(place().await.place, "waiting");
    let (gate, started) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let worker = bench.worker({
        let (gate, started) = (gate.clone(), started.clone());
        move |_| {
            let (gate, started) = (gate.clone(), started.clone());
            async move {
                started.add_permits(1);
                gate.acquire().await.unwrap().forget();
                Outcome::Success(Value::Null)
            }
        }
    });
    started.acquire().await.unwrap().forget();
    // Its worker's record, which is some seconds old, has no word of it: the claim has.
    let found = place().await;
    assert_eq!((&*found.place, found.queue.as_deref()), ("running", Some("celery")));
    assert_eq!(found.task.as_deref(), Some("t"));
    eventually(WAIT, "its worker is known by name", async || {
        (place().await.worker.as_deref() == Some("rhubarb@test")).then_some(())
    })
    .await;
    gate.add_permits(1);
    assert_eq!(bench.result(&id).await.status.as_str(), "SUCCESS");
    assert_eq!((&*place().await.place, &*place().await.state), ("done", "SUCCESS"));
    assert!(worker.stop().await);
}

#[tokio::test]
async fn one_claim_takes_no_more_bytes_than_the_greatest_message_may_have() {
    let bench = Bench::with(|config| {
        config.worker.max_message_bytes = 100_000;
        config.worker.concurrency = 50;
    })
    .await;
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(bench.publish(&Publish::new("t").arg("x".repeat(30_000))).await);
    }
    let mut redis = bench.redis().await;
    let before = claims(&mut redis).await;
    let worker = bench.worker(echo);
    for id in &ids {
        assert_eq!(bench.result(id).await.status.as_str(), "SUCCESS");
    }
    // A message is about 40 kB with its base64: three fill a claim, so that twelve need four and a
    // look that finds nothing.
    let claims = claims(&mut redis).await - before;
    assert!(claims >= 4, "{claims} claims took everything");
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_publish_wakes_an_idle_worker() {
    let bench = Bench::new().await;
    let worker = bench.worker(echo);
    for i in 0..3 {
        let id = bench.publish(&Publish::new("t").arg(i)).await;
        assert_eq!(bench.result(&id).await.result, i);
    }
    assert!(worker.stop().await);
}

/// Returns how many claims the server was sent. Before Redis 7.0 all of `CLIENT` is counted as one.
async fn claims(redis: &mut redis::aio::MultiplexedConnection) -> u64 {
    match calls(redis, "client|caching").await {
        0 => calls(redis, "client").await,
        claims => claims,
    }
}

/// Returns how often the server was sent a command, from within scripts too.
async fn calls(redis: &mut redis::aio::MultiplexedConnection, command: &str) -> u64 {
    let info: String = redis::cmd("INFO").arg("commandstats").query_async(redis).await.unwrap();
    let line = info.lines().find(|line| line.starts_with(&format!("cmdstat_{command}:")));
    line.and_then(|l| l.split(['=', ',']).nth(1)?.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn a_lone_task_costs_one_claim() {
    let bench = Bench::with(|config| config.worker.lease = Duration::from_secs(15)).await;
    let worker = bench.worker(echo);
    bench.result(&bench.publish(&Publish::new("t").arg(0)).await).await;
    let mut redis = bench.redis().await;
    let before = claims(&mut redis).await;
    for i in 1..=20 {
        let id = bench.publish(&Publish::new("t").arg(i)).await;
        assert_eq!(bench.result(&id).await.result, i);
    }
    let claims = claims(&mut redis).await - before;
    // Neither the claim's own pop nor the end of its task wakes the worker; a lease's end or a lost
    // answer may.
    assert!((20..=23).contains(&claims), "{claims} claims for 20 tasks");
    assert!(worker.stop().await);
}

/// A worker of one slot that notes the first argument of each task, in the order in which they run.
fn noting(bench: &Bench) -> (TestWorker, Arc<Mutex<Vec<Value>>>) {
    let order = Arc::new(Mutex::new(Vec::new()));
    let worker = bench.worker({
        let order = order.clone();
        move |delivery| {
            let order = order.clone();
            async move {
                let body = delivery.received.body().unwrap();
                order.lock().unwrap().push(body.args[0].clone());
                Outcome::Success(Value::Null)
            }
        }
    });
    (worker, order)
}

async fn all_have_run(order: &Mutex<Vec<Value>>, expected: Value) {
    let expected = expected.as_array().unwrap();
    eventually(WAIT, "all have run", async || {
        (order.lock().unwrap().len() == expected.len()).then_some(())
    })
    .await;
    assert_eq!(&*order.lock().unwrap(), expected);
}

/// Moves the one waiting message to those that wait for their time, which has come; for the list of
/// this number.
async fn make_due(bench: &Bench, list: usize) {
    let mut redis = bench.redis().await;
    let message: String = redis.rpop("celery", None).await.unwrap();
    let member = format!("{list}|{message}");
    let _: u64 = redis.zadd("rhubarb:{celery}:scheduled", member, 1).await.unwrap();
}

#[tokio::test]
async fn a_due_task_waits_for_one_claim_and_not_for_the_queues_end() {
    let bench = Bench::with(|config| config.worker.concurrency = 1).await;
    bench.publish(&Publish::new("t").arg("due")).await;
    make_due(&bench, 1).await;
    for i in 0..4 {
        bench.publish(&Publish::new("t").arg(i)).await;
    }
    let (worker, order) = noting(&bench);
    all_have_run(&order, json!([0, "due", 1, 2, 3])).await;
    assert!(worker.stop().await);
}

/// Somebody's key stands where the queue's list for another priority, or its deaths, would be.
#[tokio::test]
async fn a_key_of_another_type_costs_no_message_of_the_other_lists() {
    for key in ["celery\u{6}\u{16}3", "rhubarb:{celery}:deliveries"] {
        let bench = Bench::new().await;
        let _: () = bench.redis().await.set(key, "somebody's").await.unwrap();
        let mut ids = Vec::new();
        for i in 0..10 {
            ids.push(bench.publish(&Publish::new("t").arg(i)).await);
        }
        let worker = bench.worker(echo);
        for (i, id) in ids.iter().enumerate() {
            assert_eq!(bench.result(id).await.result, i, "{key:?}");
        }
        assert!(worker.stop().await);
    }
}

#[tokio::test]
async fn a_due_task_whose_list_is_a_key_of_another_type_waits_until_it_is_gone() {
    let bench = Bench::new().await;
    let id = bench.publish(&Publish::new("t").arg("due")).await;
    make_due(&bench, 2).await;
    let mut redis = bench.redis().await;
    let _: () = redis.set("celery\u{6}\u{16}3", "somebody's").await.unwrap();
    let worker = bench.worker(echo);
    let other = bench.publish(&Publish::new("t").arg(1)).await;
    assert_eq!(bench.result(&other).await.result, 1);
    let waits = inspect::task(&bench.client, &id).await.unwrap();
    assert_eq!(waits.place, "scheduled", "{waits:?}");
    let _: u64 = redis.del("celery\u{6}\u{16}3").await.unwrap();
    // It is tried again in a minute; here that minute has passed.
    let scheduled = "rhubarb:{celery}:scheduled";
    let members: Vec<String> = redis.zrange(scheduled, 0, -1).await.unwrap();
    let _: u64 = redis.zadd(scheduled, &members[0], 1).await.unwrap();
    assert_eq!(bench.result(&id).await.result, "due");
    assert!(worker.stop().await);
}

/// Somebody's key has taken the place of the queue's own, while its last task runs.
#[tokio::test]
async fn what_has_no_list_to_go_back_to_stays_claimed_until_there_is_one() {
    for is_killed in [false, true] {
        let bench = Bench::new().await;
        let mut redis = bench.redis().await;
        let id = bench.publish(&Publish::new("t").arg("kept")).await;
        let (begun, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let worker = bench.worker({
            let (begun, gate) = (begun.clone(), gate.clone());
            move |_| {
                let (begun, gate) = (begun.clone(), gate.clone());
                async move {
                    begun.add_permits(1);
                    gate.acquire().await.unwrap().forget();
                    Outcome::HandBack
                }
            }
        });
        begun.acquire().await.unwrap().forget();
        let _: () = redis.set("celery", "somebody's").await.unwrap();
        if is_killed {
            worker.kill();
        } else {
            gate.add_permits(1);
            worker.stop().await;
        }
        let survivor = bench.worker(echo);
        let found = inspect::task(&bench.client, &id).await.unwrap();
        assert_eq!(found.place, "running", "{found:?}");
        let _: u64 = redis.del("celery").await.unwrap();
        assert_eq!(bench.result(&id).await.result, "kept");
        assert!(survivor.stop().await);
    }
}

#[tokio::test]
async fn the_most_urgent_runs_first_and_the_oldest_of_those() {
    let bench = Bench::with(|config| config.worker.concurrency = 1).await;
    for priority in [9, 6, 3, 0, 5, 1, 4, 2] {
        bench.publish(&Publish::new("t").arg(priority).priority(priority)).await;
    }
    let (worker, order) = noting(&bench);
    all_have_run(&order, json!([0, 1, 2, 3, 5, 4, 6, 9])).await;
    assert!(worker.stop().await);
}

#[tokio::test]
async fn an_eta_waits_in_redis_and_runs_when_due() {
    let bench = Bench::new().await;
    let worker = bench.worker(echo);
    let countdown = Some(Duration::from_secs(2));
    let begun = std::time::Instant::now();
    let id = bench
        .publish(&Publish::new("t").arg("later").with(|options| options.countdown = countdown))
        .await;
    eventually(WAIT, "it waits in the schedule", async || {
        let queues = inspect::queues(&bench.client, &[]).await.unwrap();
        (queues[0].scheduled == 1 && queues[0].claimed == 0).then_some(())
    })
    .await;
    assert_eq!(bench.result(&id).await.result, "later");
    assert!(begun.elapsed() >= Duration::from_millis(1900), "{:?}", begun.elapsed());
    assert!(worker.stop().await);
}

#[tokio::test]
async fn an_expired_task_is_revoked_and_not_run() {
    let bench = Bench::new().await;
    let expires_in = Some(Duration::from_millis(1));
    let id =
        bench.publish(&Publish::new("t").with(|options| options.expires_in = expires_in)).await;
    let sent = jiff::Timestamp::now();
    eventually(WAIT, "it has expired", async || {
        let now: (i64, i32) =
            redis::cmd("TIME").query_async(&mut bench.redis().await).await.unwrap();
        let now = jiff::Timestamp::new(now.0, now.1 * 1000).unwrap();
        (now > sent + Duration::from_millis(2)).then_some(())
    })
    .await;
    let worker = bench.worker(|_| async { panic!("an expired task ran") });
    let result = bench.result(&id).await;
    assert_eq!(result.status.as_str(), "REVOKED");
    assert_eq!(result.result["exc_type"], "TaskRevokedError");
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_paused_queue_is_left_alone_until_it_is_resumed() {
    let bench = Bench::new().await;
    let mut redis = bench.redis().await;
    let _: () = redis.set("rhubarb:{celery}:paused", "1").await.unwrap();
    let worker = bench.worker(echo);
    let id = bench.publish(&Publish::new("t").arg(1)).await;
    // The worker declares its queues before its first look, and registers beside it.
    eventually(WAIT, "the worker is there", async || {
        let workers = inspect::workers(&bench.client).await.unwrap();
        workers.first().filter(|w| w.alive).map(|_| ())
    })
    .await;
    assert!(bench.client.result(&id).await.unwrap().is_none());
    let _: () = redis.del("rhubarb:{celery}:paused").await.unwrap();
    assert_eq!(bench.result(&id).await.result, 1);
    assert!(worker.stop().await);
}

#[tokio::test]
async fn several_queues_are_all_served_by_one_worker() {
    let queues: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
    let bench = Bench::with(|config| config.worker.queues = queues.clone()).await;
    let worker = bench.worker(echo);
    for queue in ["c", "a", "b", "a", "c"] {
        let id = bench.publish(&Publish::new("t").arg(queue).queue(queue)).await;
        assert_eq!(bench.result(&id).await.result, queue);
    }
    assert!(worker.stop().await);
}

#[tokio::test]
async fn an_idle_worker_sends_at_most_one_command_a_second() {
    let bench = Bench::with(|config| {
        config.worker.lease = Duration::from_secs(15);
        config.worker.poll_interval = Duration::from_secs(15);
    })
    .await;
    let worker = bench.worker(echo);
    let id = bench.publish(&Publish::new("t")).await;
    bench.result(&id).await;
    let mut redis = bench.redis().await;
    // Commands inside of scripts are not sent; what is sent is what is not called from a script.
    let sent = async |redis: &mut redis::aio::MultiplexedConnection| {
        let info: String = redis::cmd("INFO").arg("commandstats").query_async(redis).await.unwrap();
        let calls = |name: &str| {
            let line = info.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:")));
            line.and_then(|l| l.split(['=', ',']).nth(1)?.parse::<u64>().ok()).unwrap_or(0)
        };
        ["evalsha", "eval", "client|caching", "hkeys"].iter().map(|name| calls(name)).sum::<u64>()
    };
    let time = async |redis: &mut redis::aio::MultiplexedConnection| {
        let (s, _): (u64, u64) = redis::cmd("TIME").query_async(redis).await.unwrap();
        s
    };
    let (before, from) = (sent(&mut redis).await, time(&mut redis).await);
    let seconds = 12;
    let mut probe = redis.clone();
    eventually(WAIT + WAIT, "Redis's clock goes on", async || {
        (time(&mut probe).await >= from + seconds).then_some(())
    })
    .await;
    let n = sent(&mut redis).await - before;
    assert!(n <= seconds, "{n} commands in {seconds} s");
    assert!(worker.stop().await);
}

/// It stood in no list: kombu publishes to a `Broadcast` queue's workers, and those of ours heard
/// nothing.
#[tokio::test]
async fn what_is_published_to_all_workers_is_run_by_each_when_a_slot_is_free() {
    let bench = Bench::with(|config| config.worker.concurrency = 1).await;
    let ran = Arc::new(Mutex::new(Vec::new()));
    let note = |worker: &'static str| {
        let ran = ran.clone();
        move |delivery: Delivery| {
            let n = delivery.received.body().unwrap().args[0].clone();
            ran.lock().unwrap().push((n.as_u64().unwrap(), worker));
            async { Outcome::Success(1.into()) }
        }
    };
    let (one, two) = (bench.worker_named("1", note("one")), bench.worker_named("2", note("two")));
    pauses::pause(&bench.client, "celery", None).await.unwrap();
    let mut redis = bench.redis().await;
    for n in 0..20 {
        bench.publish(&Publish::new(if n % 4 == 3 { "other" } else { "t" }).arg(n)).await;
        let message: Vec<u8> = redis.rpop("celery", None).await.unwrap();
        // With the routing key that kombu binds such a queue with, and without any.
        let channel = if n % 2 == 0 { "/0.celery/celery" } else { "/0.celery" };
        eventually(WAIT, "both listen", async || {
            let (_, n): (String, u64) = redis::cmd("PUBSUB")
                .arg("NUMSUB")
                .arg(channel)
                .query_async(&mut redis)
                .await
                .unwrap();
            (n == 2).then_some(())
        })
        .await;
        let _: u64 = redis.publish(channel, message).await.unwrap();
    }
    assert_eq!(*ran.lock().unwrap(), [], "the queue is paused");
    pauses::resume(&bench.client, "celery").await.unwrap();
    let expect = |worker| (0..20).filter(|n| n % 4 != 3).map(|n| (n, worker)).collect::<Vec<_>>();
    for worker in ["one", "two"] {
        eventually(WAIT, "each has run all", async || {
            let ran = ran.lock().unwrap().clone();
            let mut ran: Vec<_> = ran.into_iter().filter(|(_, by)| *by == worker).collect();
            ran.sort_unstable();
            (ran == expect(worker)).then_some(())
        })
        .await;
    }
    assert!(one.stop().await && two.stop().await);
    let left: Vec<String> = redis.keys("rhubarb:{celery}:*").await.unwrap();
    assert!(left.iter().all(|key| !key.contains("claims")), "{left:?}");
}
