//! What is left of a worker that has stopped, and of one that was killed.

use std::{sync::Arc, time::Duration};

use rhubarb_consumer::Outcome;
use rhubarb_e2e::eventually::eventually;
use rhubarb_queue::{
    Error, Publish,
    hand_back::{HandBack, HandedBack, hand_back},
    inspect,
};
use tokio::sync::Notify;

use super::{Bench, WAIT, echo};

async fn back(bench: &Bench, dry_run: bool) -> Result<HandedBack, Error> {
    hand_back(&bench.client, &HandBack { queues: Vec::new(), dry_run }).await
}

/// Starts a worker that holds one task until it is killed or told to go on.
async fn holding(bench: &Bench, id: &str, go_on: Arc<Notify>) -> super::TestWorker {
    let worker = bench.worker_named(id, move |_| {
        let go_on = go_on.clone();
        async move {
            go_on.notified().await;
            Outcome::Success(1.into())
        }
    });
    bench.publish(&Publish::new("t")).await;
    eventually(WAIT, "the registry shows what it runs", async || {
        let workers = inspect::workers(&bench.client).await.unwrap();
        workers.iter().any(|w| w.record.id == id && w.record.n_running == 1).then_some(())
    })
    .await;
    worker
}

#[tokio::test]
async fn a_clean_stop_lets_hand_back_begin_at_once() {
    let bench = Bench::with(|config| config.worker.lease = Duration::from_secs(600)).await;
    let worker = bench.worker(echo);
    let id = bench.publish(&Publish::new("t").arg(1)).await;
    bench.result(&id).await;
    let refused = back(&bench, false).await.unwrap_err().to_string();
    assert!(refused.contains("rhubarb@test"), "{refused}");
    assert!(worker.stop().await);
    assert_eq!(back(&bench, false).await.unwrap().refused, None);
}

#[tokio::test]
async fn a_look_at_hand_back_tells_that_it_would_be_refused() {
    let bench = Bench::new().await;
    let worker = holding(&bench, "w1", Arc::default()).await;
    let refused = back(&bench, true).await.unwrap().refused.unwrap();
    assert!(refused.contains("rhubarb@test") && refused.contains("SIGTERM"), "{refused}");
    worker.kill();
}

#[tokio::test]
async fn hand_back_waits_for_the_lease_of_a_killed_worker_and_says_for_how_long() {
    let bench = Bench::with(|config| config.worker.lease = Duration::from_secs(3)).await;
    holding(&bench, "w1", Arc::default()).await.kill();
    // The registry forgets it first, as when its record could not be renewed any more.
    let mut redis = bench.redis().await;
    redis::cmd("ZREM")
        .arg("rhubarb:workers")
        .arg("w1")
        .query_async::<()>(&mut redis)
        .await
        .unwrap();
    let refused = back(&bench, true).await.unwrap().refused.unwrap();
    assert!(refused.contains("w1; their lease ends in"), "{refused}");
    let back = eventually(WAIT, "its lease has ended", async || back(&bench, false).await.ok());
    assert_eq!(back.await.queues["celery"].claimed, 1);
}

/// Has the leases' last look stand hours ago, as after an outage, once the first scheduled message
/// is back.
async fn fall_silent(bench: &Bench) {
    let mut redis = bench.redis().await;
    let mut redis = async |command: &str, args: &[&str]| {
        redis::cmd(command).arg(args).query_async::<i64>(&mut redis).await.unwrap()
    };
    while redis("LLEN", &["celery"]).await == 0 {}
    redis("HSET", &["rhubarb:{celery}:looks", "at", "1"]).await;
    assert_ne!(redis("EXISTS", &["rhubarb:{celery}:claims:w1"]).await, 0, "it was too late");
}

/// Where moving what is scheduled took longer than half a lease, the claims were left, and nobody
/// was told.
#[tokio::test]
async fn hand_back_leaves_no_claim_however_long_the_rest_of_it_takes() {
    let bench = Bench::with(|config| config.worker.lease = Duration::from_secs(3)).await;
    holding(&bench, "w1", Arc::default()).await.kill();
    let mut redis = bench.redis().await;
    let mut scheduled = redis::cmd("ZADD");
    scheduled.arg("rhubarb:{celery}:scheduled");
    for n in 0..20_000_u64 {
        scheduled.arg(4_000_000_000_000 + n).arg(format!("1|{n}"));
    }
    scheduled.query_async::<()>(&mut redis).await.unwrap();
    eventually(WAIT, "its lease has ended", async || {
        back(&bench, true).await.unwrap().refused.is_none().then_some(())
    })
    .await;
    let (back, ()) = tokio::join!(back(&bench, false), fall_silent(&bench));
    let back = back.unwrap().queues["celery"];
    assert_eq!((back.claimed, back.scheduled), (1, 20_000));
}

/// Takes away the leases of all workers, as an eviction or a hand does.
async fn forget_leases(bench: &Bench) {
    let mut redis = bench.redis().await;
    let gone: u64 =
        redis::cmd("DEL").arg("rhubarb:{celery}:leases").query_async(&mut redis).await.unwrap();
    assert_eq!(gone, 1);
}

/// Nobody looks at leases that are not there; the claims are found by themselves.
#[tokio::test]
async fn claims_whose_worker_has_lost_its_lease_run_elsewhere_and_count_as_a_death() {
    let bench = Bench::new().await;
    let doomed = bench.worker(|_| std::future::pending());
    let id = bench.publish(&Publish::new("t").arg(7)).await;
    eventually(WAIT, "it runs", async || (doomed.consumer().held() == 1).then_some(())).await;
    doomed.kill();
    forget_leases(&bench).await;
    let mut redis = bench.redis().await;
    let death = async |redis: &mut redis::aio::MultiplexedConnection| {
        redis::cmd("HLEN").arg("rhubarb:{celery}:deliveries").query_async::<u64>(redis).await
    };
    assert_eq!(death(&mut redis).await.unwrap(), 0);
    let found = inspect::task(&bench.client, &id).await.unwrap();
    assert_eq!(found.place, "running", "{found:?}");
    // Nor is their queue lost with the set of queues.
    redis::cmd("DEL").arg("rhubarb:queues").query_async::<()>(&mut redis).await.unwrap();
    let (queues, _) =
        inspect::all_queues(&bench.client, &[], Duration::from_secs(1)).await.unwrap();
    assert_eq!((queues[0].name.as_str(), queues[0].claimed), ("celery", 1));

    let (go_on, went_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let heir = bench.worker({
        let (go_on, went_on) = (go_on.clone(), went_on.clone());
        move |delivery| {
            let (go_on, went_on) = (go_on.clone(), went_on.clone());
            async move {
                went_on.notify_one();
                go_on.notified().await;
                echo(delivery).await
            }
        }
    });
    went_on.notified().await;
    assert_eq!(death(&mut redis).await.unwrap(), 2, "counted, with who died when");
    go_on.notify_one();
    assert_eq!(bench.result(&id).await.result, 7);

    // Once more, while a worker lives: it walks from time to time.
    let second = bench.publish(&Publish::new("t").arg(8)).await;
    went_on.notified().await;
    let claims = "rhubarb:{celery}:claims:gone";
    let raw: Vec<u8> = redis::cmd("HVALS")
        .arg(format!("rhubarb:{{celery}}:claims:{}", heirs_id(&bench).await))
        .query_async::<Vec<Vec<u8>>>(&mut redis)
        .await
        .unwrap()
        .remove(0);
    go_on.notify_one();
    assert_eq!(bench.result(&second).await.result, 8);
    redis::cmd("HSET").arg(claims).arg(1).arg(raw).query_async::<()>(&mut redis).await.unwrap();
    went_on.notified().await;
    go_on.notify_one();
    assert!(heir.stop().await);
}

async fn heirs_id(bench: &Bench) -> String {
    let workers = inspect::workers(&bench.client).await.unwrap();
    workers.into_iter().find(|worker| worker.alive).unwrap().record.id
}

/// A worker that lives and has lost its lease's entry renews it, and keeps its task.
#[tokio::test]
async fn a_living_worker_whose_lease_was_evicted_keeps_its_task() {
    let bench = Bench::new().await;
    let go_on = Arc::new(Notify::new());
    let worker = holding(&bench, "w1", go_on.clone()).await;
    let mut redis = bench.redis().await;
    let mut next = async || {
        redis::cmd("HGET").arg("rhubarb:walk").arg("next").query_async::<String>(&mut redis).await
    };
    let first = next().await.unwrap();
    forget_leases(&bench).await;
    let other = bench.worker_named("w2", echo);
    eventually(WAIT, "there was another walk", async || {
        (next().await.unwrap() != first).then_some(())
    })
    .await;
    let lease = async || {
        redis::cmd("ZSCORE")
            .arg("rhubarb:{celery}:leases")
            .arg("w1")
            .query_async::<Option<f64>>(&mut bench.redis().await)
            .await
            .unwrap()
    };
    let granted = lease().await;
    eventually(WAIT, "it renews its lease", async || (lease().await > granted).then_some(())).await;
    go_on.notify_one();
    assert!(worker.stop().await);
    assert!(other.stop().await);
    let deaths: bool = redis::cmd("EXISTS")
        .arg("rhubarb:{celery}:deliveries")
        .query_async(&mut redis)
        .await
        .unwrap();
    assert!(!deaths);
}

#[tokio::test]
async fn hand_back_returns_claims_whose_worker_has_lost_its_lease() {
    let bench = Bench::new().await;
    holding(&bench, "w1", Arc::default()).await.kill();
    eventually(WAIT, "it is lost", async || {
        let workers = inspect::workers(&bench.client).await.unwrap();
        workers.iter().all(|worker| !worker.alive).then_some(())
    })
    .await;
    forget_leases(&bench).await;
    let mut redis = bench.redis().await;
    redis::cmd("DEL").arg("rhubarb:queues").query_async::<()>(&mut redis).await.unwrap();
    assert_eq!(back(&bench, true).await.unwrap().queues["celery"].claimed, 1);
    assert_eq!(back(&bench, false).await.unwrap().queues["celery"].claimed, 1);
    let queues = inspect::queues(&bench.client, &["celery".to_owned()]).await.unwrap();
    assert_eq!((queues[0].waiting, queues[0].claimed), (1, 0));
}

/// It asked for ever, as fast as it could.
#[tokio::test]
async fn hand_back_says_what_keeps_a_claim_where_it_is() {
    let bench = Bench::new().await;
    holding(&bench, "w1", Arc::default()).await.kill();
    let mut redis = bench.redis().await;
    redis::cmd("SET").arg("celery").arg("no list").query_async::<()>(&mut redis).await.unwrap();
    eventually(WAIT, "its lease has ended", async || {
        let refused = back(&bench, false).await.unwrap_err().to_string();
        refused.contains("what dead workers hold of queue `celery` stays").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_lost_worker_shows_what_has_not_been_given_back() {
    let bench = Bench::new().await;
    holding(&bench, "w1", Arc::default()).await.kill();
    let shown = async |what: &str, n: usize| {
        eventually(WAIT, what, async || {
            let workers = inspect::workers(&bench.client).await.unwrap();
            let worker = workers.into_iter().find(|worker| worker.record.id == "w1").unwrap();
            (!worker.alive && worker.record.n_running == n).then_some(worker.record.running.len())
        })
        .await
    };
    assert_eq!(shown("it is lost and its task is not back", 1).await, 1);
    let other = bench.worker_named("w2", echo);
    assert_eq!(shown("its task was given back", 0).await, 0);
    assert!(other.stop().await);
}
