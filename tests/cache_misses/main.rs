//! A process that misses one key many times at once: `e2e-cache-misses URL N`. Steered by the test
//! through Redis.
//!
//! It adds to `ready`, waits for `go`, and asks N times, adding to `asked` before each. Whoever
//! computes adds to `computed`, sets `computing` to the process's id and waits for `finish`. It
//! prints the distinct values that were got.

#![expect(clippy::unwrap_used, reason = "a test's own program")]

use std::{collections::BTreeSet, time::Duration};

use redis::cmd;
use rhubarb_cache::{AliasConfig, Cache, Error, Fetch, PyValue, Timeout};
use rhubarb_connection::{Connections, Redis, Role};
use rhubarb_queue::Config;
use tokio::{task::JoinSet, time::sleep};

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let mut config = Config::default();
    config.redis.url = args.next().unwrap().parse().unwrap();
    let n: usize = args.next().unwrap().parse().unwrap();
    let redis = Connections::new(&config.redis, "misses").unwrap().role(Role::Cache);
    let cache = Cache::new(AliasConfig::new(Role::Cache, "misses"), redis.clone());
    add(&redis, "ready").await;
    until(&redis, "go").await;
    let mut asking = JoinSet::new();
    for _ in 0..n {
        asking.spawn(ask(cache.clone(), redis.clone()));
    }
    let values: BTreeSet<String> = asking.join_all().await.into_iter().collect();
    println!("{values:?}");
    cache.close().await.unwrap();
}

async fn ask(cache: Cache, redis: Redis) -> String {
    add(&redis, "asked").await;
    let how = Fetch {
        lease: Duration::from_secs(1),
        ..Fetch::new(Timeout::After(Duration::from_secs(60)))
    };
    let value = cache.fetch("key", how, move || compute(redis)).await.unwrap();
    format!("{value:?}")
}

async fn compute(redis: Redis) -> Result<PyValue, Error> {
    add(&redis, "computed").await;
    let _: () = redis.query(cmd("SET").arg("computing").arg(std::process::id())).await.unwrap();
    until(&redis, "finish").await;
    Ok(PyValue::Int(std::process::id().into()))
}

async fn add(redis: &Redis, key: &str) {
    let _: u64 = redis.query(cmd("INCR").arg(key)).await.unwrap();
}

async fn until(redis: &Redis, key: &str) {
    while !redis.query::<bool>(cmd("EXISTS").arg(key)).await.unwrap() {
        sleep(Duration::from_millis(10)).await;
    }
}
