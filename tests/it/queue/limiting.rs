//! Rate limits.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use redis::AsyncCommands;
use rhubarb_consumer::{Outcome, Rate, ResultPolicy, TaskLimits, Tasks};
use rhubarb_e2e::eventually::eventually;
use rhubarb_queue::Publish;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Bench, WAIT};

fn limited(name: &str, rate: &str) -> Tasks {
    let limits = TaskLimits { rate: Rate::parse(rate).unwrap(), ..TaskLimits::default() };
    let free = (vec!["free".to_owned()], TaskLimits::default(), ResultPolicy::default());
    Tasks::new([(vec![name.to_owned()], limits, ResultPolicy::default()), free])
}

#[tokio::test]
async fn tasks_over_their_rate_wait_in_redis_and_start_at_even_distances() {
    let bench = Bench::with(|config| config.worker.concurrency = 2).await;
    let starts: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let seen = starts.clone();
    let worker = bench.worker_of("w", limited("slow", "10/s"), move |delivery| {
        if delivery.envelope().headers.task == "slow" {
            seen.lock().unwrap().push(Instant::now());
        }
        async { Outcome::Success(Value::Null) }
    });
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(bench.publish(&Publish::new("slow")).await);
    }
    // They hold no slot: another task passes them.
    let free = bench.publish(&Publish::new("free")).await;
    bench.result(&free).await;
    assert!(starts.lock().unwrap().len() < 20, "the free one passed");
    for id in &ids {
        bench.result(id).await;
    }
    let starts = starts.lock().unwrap().clone();
    assert_eq!(starts.len(), 20);
    let took = starts[19] - starts[0];
    assert!(took >= Duration::from_millis(1850), "20 in {took:?} at 10 a second");
    for pair in starts.windows(11) {
        let took = pair[10] - pair[0];
        assert!(took >= Duration::from_millis(900), "10 in {took:?}");
    }
    // Each was claimed when it came and when it was its turn.
    let mut redis = bench.redis().await;
    let info: String =
        redis::cmd("INFO").arg("commandstats").query_async(&mut redis).await.unwrap();
    let claims = calls(&info, "hdel");
    assert!((40..=46).contains(&claims), "{claims} claims for 21 messages");
    assert!(worker.stop().await);
}

fn calls(info: &str, name: &str) -> u64 {
    let line = info.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:")));
    let count = line.and_then(|line| line.split(['=', ',']).nth(1)).unwrap_or("0");
    count.parse().unwrap()
}

#[tokio::test]
async fn a_rate_is_changed_and_lifted_while_the_worker_runs() {
    let bench = Bench::new().await;
    let worker = bench.worker_of("w", limited("t", "1/h"), super::echo);
    let registered = bench.ask("registered", &json!({"taskinfoitems": []})).await;
    assert_eq!(registered, json!(["free", "t [rate_limit=1/h]"]));
    let first = bench.publish(&Publish::new("t").arg(1)).await;
    bench.result(&first).await;
    let second = bench.publish(&Publish::new("t").arg(2)).await;
    let mut redis = bench.redis().await;
    eventually(WAIT, "the second waits", async || {
        let all: Vec<(Vec<u8>, f64)> =
            redis.zrange_withscores("rhubarb:{celery}:scheduled", 0, -1).await.unwrap();
        (all.len() == 1).then_some(())
    })
    .await;
    assert_eq!(bench.client.result(&second).await.unwrap(), None);
    let lifted = bench.ask("rate_limit", &json!({"task_name": "t", "rate_limit": 0})).await;
    assert_eq!(lifted, json!({"ok": "rate limit disabled successfully"}));
    let third = bench.publish(&Publish::new("t").arg(3)).await;
    assert_eq!(bench.result(&third).await.result, json!(3), "the new rate holds at once");
    assert!(worker.stop().await);
}
