//! What is left of a worker that has stopped, and of one that was killed.

use std::{sync::Arc, time::Duration};

use rhubarb_e2e::eventually::eventually;
use rhubarb_queue::{
    Error, Outcome, Publish,
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

/// Has the leases' last look stand hours ago, as after an outage, once the first scheduled message is back.
async fn fall_silent(bench: &Bench) {
    let mut redis = bench.redis().await;
    let mut redis = async |command: &str, args: &[&str]| {
        redis::cmd(command).arg(args).query_async::<i64>(&mut redis).await.unwrap()
    };
    while redis("LLEN", &["celery"]).await == 0 {}
    redis("HSET", &["rhubarb:{celery}:looks", "at", "1"]).await;
    assert_ne!(redis("EXISTS", &["rhubarb:{celery}:claims:w1"]).await, 0, "it was too late");
}

/// Where moving what is scheduled took longer than half a lease, the claims were left, and nobody was told.
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
