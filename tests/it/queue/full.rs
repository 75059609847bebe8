//! A Redis at its memory limit: what frees goes on, what takes waits, nothing is lost.

use std::time::Duration;

use redis::{AsyncCommands, aio::MultiplexedConnection};
use rhubarb_consumer::{Delivery, Outcome};
use rhubarb_core::class::Class;
use rhubarb_e2e::eventually::eventually;
use rhubarb_queue::{
    Publish, inspect,
    letter::{self, LetterFilter, LetterKind},
    replay::replay,
};
use rhubarb_wire::{Exception, Signature, canvas};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Bench, WAIT, echo};

async fn set_limit(redis: &mut MultiplexedConnection, bytes: u64) {
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("maxmemory").arg(bytes);
    let _: () = set.query_async(redis).await.unwrap();
}

/// From now on the server refuses whatever takes memory.
async fn fill(redis: &mut MultiplexedConnection) {
    set_limit(redis, 1).await;
    let refused = redis.set::<_, _, ()>("probe", 1).await.unwrap_err();
    assert_eq!(refused.code(), Some("OOM"));
}

async fn never(_: Delivery) -> Outcome {
    std::future::pending().await
}

async fn again(delivery: Delivery) -> Outcome {
    match delivery.envelope().headers.retries {
        0 => {
            let exception = Exception::builtin("OSError", vec!["once".into()]);
            Outcome::Retry {
                exception,
                traceback: None,
                after: Duration::from_millis(10),
                again: Box::default(),
            }
        }
        n => Outcome::Success(json!(n)),
    }
}

#[tokio::test]
async fn a_worker_that_starts_on_a_full_redis_claims_runs_retries_and_acknowledges() {
    let bench = Bench::new().await;
    let mut redis = bench.redis().await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(bench.publish(&Publish::new("t")).await);
    }
    fill(&mut redis).await;
    let worker = bench.worker(again);
    for id in &ids {
        assert_eq!(bench.result(id).await.result, 1);
    }
    assert!(worker.stop().await);
    let (waiting, claims): (u64, Vec<String>) =
        (redis.llen("celery").await.unwrap(), redis.keys("rhubarb:*claims*").await.unwrap());
    assert_eq!((waiting, claims.len()), (0, 0));
}

#[tokio::test]
async fn letters_are_kept_replayed_and_dropped_on_a_full_redis() {
    let mut bench = Bench::new().await;
    let mut redis = bench.redis().await;
    let id = bench.publish(&Publish::new("unknown")).await;
    let _: u64 = redis.lpush("celery", "rubbish").await.unwrap();
    fill(&mut redis).await;
    let worker = bench.worker(echo);
    let dead = eventually(WAIT, "one is dead, one is parked", async || {
        let dead = inspect::letters(&bench.client, LetterKind::Dead, &LetterFilter::default(), 9)
            .await
            .unwrap();
        letter::find(&bench.client, LetterKind::Parked, &id).await.unwrap()?;
        dead.into_iter().next()
    })
    .await;
    assert!(worker.stop().await);
    assert!(letter::drop_letter(&bench.client, LetterKind::Dead, &dead.id).await.unwrap());
    assert!(replay(&bench.client, LetterKind::Parked, &id).await.unwrap());
    bench.tasks.push("unknown".to_owned());
    let worker = bench.worker(echo);
    assert_eq!(bench.result(&id).await.status.as_str(), "SUCCESS");
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_dead_workers_claims_and_a_stopping_ones_go_back_on_a_full_redis() {
    let bench = Bench::new().await;
    let mut redis = bench.redis().await;
    let id = bench.publish(&Publish::new("t").arg("found")).await;
    let doomed = bench.worker(never);
    eventually(WAIT, "it runs", async || (doomed.consumer().held() == 1).then_some(())).await;
    fill(&mut redis).await;
    doomed.kill();
    let stopping = bench.worker(|delivery: Delivery| async move {
        drop(delivery);
        std::future::pending().await
    });
    eventually(WAIT, "the stopping one has it", async || {
        (stopping.consumer().held() == 1).then_some(())
    })
    .await;
    stopping.kill();
    let heir = bench.worker(echo);
    assert_eq!(bench.result(&id).await.result, "found");
    assert!(heir.stop().await);
}

#[tokio::test]
async fn handing_back_works_on_a_full_redis() {
    let bench = Bench::new().await;
    let mut redis = bench.redis().await;
    let id = bench.publish(&Publish::new("t")).await;
    let until_full = CancellationToken::new();
    let full = until_full.clone();
    let worker = bench.worker(move |_| {
        let full = full.clone();
        async move {
            full.cancelled().await;
            Outcome::HandBack
        }
    });
    eventually(WAIT, "it runs", async || (worker.consumer().held() == 1).then_some(())).await;
    fill(&mut redis).await;
    until_full.cancel();
    assert!(worker.stop().await);
    let waiting: Vec<String> = redis.lrange("celery", 0, -1).await.unwrap();
    assert!(waiting.len() == 1 && waiting[0].contains(&id));
}

/// A chord's parts are counted and its body is published: both are ends of tasks.
#[tokio::test]
async fn a_chord_ends_on_a_full_redis() {
    let bench = Bench::new().await;
    let mut redis = bench.redis().await;
    let part = |n: i32| Signature::from(Publish::new("t").arg(n));
    let chord = canvas::chord(vec![part(1), part(2)], Publish::new("t").into());
    let sent = bench.client.apply(chord).await.unwrap();
    fill(&mut redis).await;
    let worker = bench.worker(echo);
    assert_eq!(bench.result(&sent.id).await.result, json!([1, 2]));
    assert!(worker.stop().await);
}

#[tokio::test]
async fn publishing_waits_for_a_full_redis_and_sends_each_message_once() {
    let bench = Bench::new().await;
    let mut redis = bench.redis().await;
    fill(&mut redis).await;
    let one = tokio::spawn({
        let client = bench.client.clone();
        async move { client.publish(&Publish::new("t").arg(0)).await.unwrap().id }
    });
    let group = tokio::spawn({
        let client = bench.client.clone();
        let parts: Vec<Signature> = (1..=5).map(|n| Publish::new("t").arg(n).into()).collect();
        async move { client.apply(canvas::group(parts)).await.unwrap().id }
    });
    // Each is refused a few times.
    let refused = eventually(WAIT, "both were refused", async || {
        let stats: String =
            redis::cmd("INFO").arg("errorstats").query_async(&mut redis).await.unwrap();
        let oom = stats.split("errorstat_OOM:count=").nth(1)?.split_whitespace().next()?;
        oom.parse::<u64>().ok().filter(|n| *n > 8)
    })
    .await;
    assert!(refused > 8 && !one.is_finished() && !group.is_finished());
    let sent: u64 = redis.llen("celery").await.unwrap();
    assert_eq!(sent, 0);
    set_limit(&mut redis, 0).await;
    one.await.unwrap();
    group.await.unwrap();
    let sent: u64 = redis.llen("celery").await.unwrap();
    assert_eq!(sent, 6);
}

#[tokio::test]
async fn publishing_without_patience_fails_at_once_and_may_be_tried_again() {
    let bench = Bench::with(|config| config.celery.publish_patience = Duration::ZERO).await;
    let mut redis = bench.redis().await;
    fill(&mut redis).await;
    let refused = bench.client.publish(&Publish::new("t")).await.unwrap_err();
    assert_eq!(refused.class(), Class::Transient);
    let parts: Vec<Signature> = (1..=5).map(|n| Publish::new("t").arg(n).into()).collect();
    let refused = bench.client.apply(canvas::group(parts)).await.unwrap_err();
    assert_eq!(refused.class(), Class::Transient);
    assert_eq!(redis.llen::<_, u64>("celery").await.unwrap(), 0);
}

/// Not a limit of one byte, but a server that has filled up by itself, with work on it.
#[tokio::test]
async fn nothing_is_lost_on_a_redis_that_really_is_full() {
    let bench = Bench::with(|config| config.celery.publish_patience = Duration::ZERO).await;
    let mut redis = bench.redis().await;
    // From 7.0 on the server keeps a histogram of 17 kB for each command that it was ever sent: no
    // room that comes back.
    let mut histograms = redis::cmd("CONFIG");
    histograms.arg("SET").arg("latency-tracking").arg("no");
    let _ = histograms.query_async::<()>(&mut redis).await;
    let limit = used(&mut redis).await + (1 << 20);
    set_limit(&mut redis, limit).await;
    let mut ids = Vec::new();
    let full = loop {
        match bench.client.publish(&Publish::new("t").arg("x".repeat(2_000))).await {
            Ok(published) => ids.push(published.id),
            Err(error) => break error,
        }
    };
    assert_eq!(full.class(), Class::Transient);
    assert!(ids.len() > 100, "{}", ids.len());
    let worker = bench.worker(|_| async { Outcome::Success(Value::Null) });
    for id in &ids {
        assert_eq!(bench.result(id).await.status.as_str(), "SUCCESS");
    }
    let id = eventually(WAIT, "what was run has made room", async || {
        bench.client.publish(&Publish::new("t")).await.ok().map(|published| published.id)
    })
    .await;
    bench.result(&id).await;
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_nothing_of_its_group_is_sent() {
    let bench = Bench::with(|config| config.celery.max_publish_bytes = 10_000).await;
    let mut redis = bench.redis().await;
    let large = Publish::new("t").arg("x".repeat(10_000));
    let refused = bench.client.publish(&large).await.unwrap_err();
    assert_eq!(refused.class(), Class::Permanent);
    let text = refused.to_string();
    assert!(text.contains("more than celery.max_publish_bytes = 10000"), "{text}");
    let parts = vec![Publish::new("t").into(), Signature::from(large.clone())];
    assert!(bench.client.apply(canvas::group(parts)).await.is_err());
    assert!(bench.client.message(large).is_err(), "beat asks for one message");
    let keys: Vec<String> = redis.keys("*").await.unwrap();
    assert_eq!(keys, [""; 0]);
}

/// Each end is taken, however full Redis is: 100 results of 1 MB went as far beyond its limit as
/// they liked.
#[tokio::test]
async fn results_go_beyond_maxmemory_as_far_as_the_setting_allows() {
    const MB: u64 = 1 << 20;
    let bench = Bench::with(|config| {
        config.worker.concurrency = 8;
        config.worker.results_beyond_maxmemory = 4 << 20;
    })
    .await;
    let mut redis = bench.redis().await;
    let (mut large, mut small) = (Vec::new(), Vec::new());
    for n in 0..60 {
        let (ids, n) = if n % 2 == 0 { (&mut large, 1_000_000) } else { (&mut small, 10) };
        ids.push(bench.publish(&Publish::new("t").arg(n)).await);
    }
    let before = used(&mut redis).await;
    let limit = before + 10 * MB;
    set_limit(&mut redis, limit).await;
    let worker = bench.worker(|delivery: Delivery| async move {
        let n = delivery.received.body().unwrap().args[0].as_u64().unwrap();
        Outcome::Success("x".repeat(usize::try_from(n).unwrap()).into())
    });
    for id in &small {
        assert_eq!(bench.result(id).await.status.as_str(), "SUCCESS");
    }
    let mut stored = 0;
    for id in &large {
        let result = bench.result(id).await;
        if result.status.as_str() == "SUCCESS" {
            stored += 1;
        } else {
            let said = result.result["exc_message"][0].as_str().unwrap().to_owned();
            assert!(said.contains("worker.results_beyond_maxmemory"), "{said}");
            assert_eq!(result.result["exc_type"], "MemoryError");
        }
    }
    assert!((8..16).contains(&stored), "{stored}");
    let most = limit + 6 * MB;
    assert!(used(&mut redis).await < most, "with what connections take");
    set_limit(&mut redis, 0).await;
    eventually(WAIT, "there is room again", async || {
        let id = bench.publish(&Publish::new("t").arg(1_000_000)).await;
        (bench.result(&id).await.status.as_str() == "SUCCESS").then_some(())
    })
    .await;
    assert!(worker.stop().await);
}

async fn used(redis: &mut MultiplexedConnection) -> u64 {
    let info: String = redis::cmd("INFO").arg("memory").query_async(redis).await.unwrap();
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    used.parse().unwrap()
}
