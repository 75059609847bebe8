//! What an operator may do to a whole queue.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use redis::AsyncCommands;
use rhubarb_consumer::Outcome;
use rhubarb_e2e::eventually::eventually;
use rhubarb_queue::{Publish, inspect, pauses};

use super::{Bench, WAIT, echo};

#[tokio::test]
async fn a_paused_queue_is_not_claimed_from_until_it_is_resumed() {
    let bench = Bench::with(|config| {
        config.worker.queues = vec!["celery".to_owned(), "other".to_owned()];
    })
    .await;
    let worker = bench.worker(echo);
    let first = bench.publish(&Publish::new("t").arg(1)).await;
    bench.result(&first).await;

    assert!(pauses::pause(&bench.client, "celery", Some("a deploy")).await.unwrap());
    assert!(!pauses::pause(&bench.client, "celery", Some("a long deploy")).await.unwrap());
    let mut waiting = Vec::new();
    for n in 0..10 {
        waiting.push(bench.publish(&Publish::new("t").arg(n)).await);
    }
    // The worker is awake and has looked at both queues when a later task of the other one has run.
    let id = bench.publish(&Publish::new("t").queue("other").arg(1)).await;
    bench.result(&id).await;
    let len: u64 = bench.redis().await.llen("celery").await.unwrap();
    assert_eq!(len, 10, "a paused queue was claimed from");
    let queues = inspect::queues(&bench.client, &[]).await.unwrap();
    let celery = queues.iter().find(|queue| queue.name == "celery").unwrap();
    assert_eq!(celery.pause.as_ref().unwrap().note.as_deref(), Some("a long deploy"));

    assert!(pauses::resume(&bench.client, "celery").await.unwrap());
    assert!(!pauses::resume(&bench.client, "celery").await.unwrap());
    for id in &waiting {
        // The slow poll is 300 s here: only the wake-up by the resume lets them run in time.
        bench.result(id).await;
    }
    assert!(worker.stop().await);
}

/// Three busy workers, and a backlog that would keep them busy for long.
#[tokio::test]
async fn every_worker_obeys_a_pause_and_its_end_within_a_second() {
    let bench = Bench::new().await;
    for _ in 0..1500 {
        bench.publish(&Publish::new("t")).await;
    }
    let begun = Arc::new(Mutex::new(Vec::new()));
    let workers = [(); 3].map(|()| {
        let begun = begun.clone();
        bench.worker(move |_| {
            begun.lock().unwrap().push(Instant::now());
            async {
                tokio::time::sleep(Duration::from_millis(30)).await;
                Outcome::Success(serde_json::Value::Null)
            }
        })
    });
    let runs = async |after: Instant, what: &str| {
        eventually(WAIT, what, async || {
            let last = begun.lock().unwrap().last().copied();
            last.filter(|last| *last > after)
        })
        .await
    };
    runs(Instant::now(), "they work").await;
    pauses::pause(&bench.client, "celery", None).await.unwrap();
    let paused = Instant::now();
    eventually(WAIT, "what ran has ended, and nothing else was taken", async || {
        workers.iter().all(|worker| worker.consumer().held() == 0).then_some(())
    })
    .await;
    let after = |at: Instant| begun.lock().unwrap().iter().filter(|begun| **begun > at).count();
    assert_eq!(after(paused + Duration::from_secs(1)), 0, "one went on for more than a second");
    let left: u64 = bench.redis().await.llen("celery").await.unwrap();
    assert!(left > 0, "there was something to go on with");
    let resumed = Instant::now();
    pauses::resume(&bench.client, "celery").await.unwrap();
    let first = runs(resumed, "they work again").await;
    assert!(first - resumed < Duration::from_secs(1), "{:?}", first - resumed);
    for worker in workers {
        assert!(worker.stop().await);
    }
}

#[tokio::test]
async fn a_pause_outlives_the_workers_that_obey_it() {
    let bench = Bench::new().await;
    pauses::pause(&bench.client, "celery", None).await.unwrap();
    let id = bench.publish(&Publish::new("t").arg(7)).await;
    assert!(bench.worker(echo).stop().await);

    let worker = bench.worker(echo);
    assert_eq!(bench.redis().await.llen::<_, u64>("celery").await.unwrap(), 1);
    pauses::resume(&bench.client, "celery").await.unwrap();
    assert_eq!(bench.result(&id).await.result, 7);
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_purge_throws_away_what_waits_and_only_that() {
    let bench = Bench::new().await;
    for priority in [0, 3, 9] {
        bench.publish(&Publish::new("t").priority(priority)).await;
    }
    let other = bench.publish(&Publish::new("t").queue("other").arg(1)).await;
    let mut redis = bench.redis().await;
    let _: () = redis.zadd("rhubarb:{celery}:scheduled", "1|later", 9e15).await.unwrap();

    let gone = pauses::purge(&bench.client, "celery", false).await.unwrap();
    assert_eq!((gone.waiting, gone.scheduled), (3, 0));
    let gone = pauses::purge(&bench.client, "celery", true).await.unwrap();
    assert_eq!((gone.waiting, gone.scheduled), (0, 1));
    assert_eq!(redis.llen::<_, u64>("other").await.unwrap(), 1, "{other}");
}

#[tokio::test]
async fn a_name_that_cannot_be_a_queues_is_refused() {
    let bench = Bench::new().await;
    for name in ["", "a\nb", "a\u{6}\u{16}3"] {
        assert!(pauses::pause(&bench.client, name, None).await.is_err(), "{name:?}");
        assert!(pauses::purge(&bench.client, name, false).await.is_err(), "{name:?}");
    }
}
