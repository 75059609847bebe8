//! The way in for services that enqueue with stock apalis-redis.

use std::time::{Duration, SystemTime};

use apalis_core::{backend::TaskSink, task::builder::TaskBuilder};
use apalis_redis::RedisStorage;
use redis::AsyncCommands;
use rhubarb::{
    Args,
    intake::{Intake, task_id},
};
use rhubarb_e2e::eventually::eventually;
use rhubarb_queue::config::IntakeConfig;
use rhubarb_wire::{Envelope, State};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Bench, WAIT};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Add {
    x: i64,
    y: i64,
}

fn entry() -> IntakeConfig {
    IntakeConfig { queue: "adders".into(), task: "t.add".into() }
}

impl Bench {
    async fn storage<T>(&self) -> RedisStorage<T> {
        let connection = apalis_redis::connect(self.server.url(0)).await.unwrap();
        let config = apalis_redis::Config::default().queue("adders");
        RedisStorage::new(connection).with_config(config)
    }

    fn intake(&self) -> Intake {
        Intake::new(&self.client, &entry())
    }

    /// Returns the ids under which apalis keeps payloads.
    async fn payloads(&self) -> Vec<String> {
        self.redis().await.hkeys("adders:data").await.unwrap()
    }

    /// Returns every key that belongs to the apalis queue.
    async fn left(&self) -> Vec<String> {
        self.redis().await.keys("adders:*").await.unwrap()
    }
}

#[tokio::test]
async fn a_task_pushed_by_stock_apalis_redis_runs_here() {
    let bench = Bench::with(|config| config.intake.apalis.push(entry())).await;
    let mut storage = bench.storage::<Add>().await;
    storage.push(Add { x: 2, y: 3 }).await.unwrap();
    let id = task_id("adders", &bench.payloads().await[0]);
    let worker = bench.worker(|app| {
        app.task("t.add", async |Args(Add { x, y }): Args<Add>| x + y);
    });
    let result = bench.result(&id).await;
    assert_eq!((result.status, result.result), (State::Success, json!(5)));
    assert_eq!(bench.left().await, Vec::<String>::new());
    worker.stop().await;
}

#[tokio::test]
async fn a_backlog_moves_in_bounded_batches_each_task_once() {
    let bench = Bench::new().await;
    let mut storage = bench.storage::<Add>().await;
    for x in 0..250 {
        storage.push(Add { x, y: 0 }).await.unwrap();
    }
    let (one, two) = (bench.intake(), bench.intake());
    let mut moved = 0;
    let mut batches = 0;
    while moved < 250 {
        // Two workers at once: what one has moved the other passes over.
        let (a, b) = tokio::join!(one.step(), two.step());
        let (a, b) = (a.unwrap(), b.unwrap());
        assert!(a <= 100 && b <= 100, "{a} {b}");
        moved += a + b;
        batches += 1;
        assert!(batches < 100, "{moved} moved");
    }
    assert_eq!(one.step().await.unwrap(), 0);
    let messages: Vec<Vec<u8>> = bench.redis().await.lrange("celery", 0, -1).await.unwrap();
    let ids: std::collections::HashSet<String> =
        messages.iter().map(|m| Envelope::decode(m).unwrap().headers.id).collect();
    assert_eq!((messages.len(), ids.len()), (250, 250));
    let xs = |m: &Vec<u8>| Envelope::decode(m).unwrap().body(1 << 20).unwrap().kwargs["x"].clone();
    let mut xs: Vec<i64> = messages.iter().map(|m| xs(m).as_i64().unwrap()).collect();
    xs.sort_unstable();
    assert_eq!(xs, (0..250).collect::<Vec<i64>>());
    assert_eq!(bench.left().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_task_that_is_not_due_stays_until_it_is() {
    let bench = Bench::new().await;
    let mut storage = bench.storage::<Add>().await;
    let later = SystemTime::now() + Duration::from_secs(3600);
    let later = later.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let task = TaskBuilder::new(Add { x: 1, y: 1 }).run_at_timestamp(later).build();
    storage.push_task(task).await.unwrap();
    assert_eq!(bench.intake().step().await.unwrap(), 0);
    let mut redis = bench.redis().await;
    let id: String = bench.payloads().await.remove(0);
    let _: () = redis.zadd("adders:scheduled", &id, 1).await.unwrap();
    assert_eq!(bench.intake().step().await.unwrap(), 1);
}

#[tokio::test]
async fn a_payload_that_is_no_json_becomes_a_dead_letter_and_the_next_one_runs() {
    let bench = Bench::with(|config| config.intake.apalis.push(entry())).await;
    let mut redis = bench.redis().await;
    for (id, payload) in [("bad", &b"\x82\xa1x\x01"[..]), ("good", br#"{"x": 1, "y": 1}"#)] {
        let _: () = redis.hset("adders:data", id, payload).await.unwrap();
        let _: () = redis.rpush("adders:active", id).await.unwrap();
    }
    let _: () = redis.rpush("adders:active", "without-payload").await.unwrap();
    let worker = bench.worker(|app| {
        app.task("t.add", async |Args(Add { x, y }): Args<Add>| x + y);
    });
    assert_eq!(bench.result(&task_id("adders", "good")).await.result, json!(2));
    eventually(WAIT, "the bad payload is a dead letter", async || {
        (redis.zcard::<_, u64>("rhubarb:dead").await.unwrap() == 1).then_some(())
    })
    .await;
    assert_eq!(bench.left().await, Vec::<String>::new());
    worker.stop().await;
}
