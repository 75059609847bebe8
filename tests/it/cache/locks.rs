//! A lock holds for Python and Rust alike.

use std::time::Duration;

use redis::cmd;
use rhubarb_cache::{AliasConfig, Error};
use rhubarb_connection::Role;
use rhubarb_e2e::{python::Python, redis_server::RedisServer};

use super::cache;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn python_and_we_keep_each_other_out() {
    let server = RedisServer::start().await;
    let Some(python) = Python::for_redis(&server.url(0)) else { return };
    let cache = cache(&server, AliasConfig::new(Role::Cache, "p"));
    let lock = cache.lock("import").timeout(MINUTE);
    let held = lock.try_acquire().await.unwrap().expect("nobody has it");
    assert_eq!(python.run(&["cache_lock.py", "p", "import"]).await, false);
    assert!(held.owned().await.unwrap());
    held.release().await.unwrap();
    assert_eq!(python.run(&["cache_lock.py", "p", "import", "--keep"]).await, true);
    assert!(lock.locked().await.unwrap());
    let impatient = lock.clone().sleep(Duration::from_millis(1)).blocking_timeout(Duration::ZERO);
    assert!(impatient.acquire().await.unwrap().is_none());
}

#[tokio::test]
async fn a_lock_is_released_and_extended_by_its_holder_only() {
    let server = RedisServer::start().await;
    let cache = cache(&server, AliasConfig::new(Role::Cache, "p"));
    let lock = cache.lock("import").timeout(MINUTE).sleep(Duration::from_millis(5));
    let held = lock.acquire().await.unwrap().unwrap();
    let pttl =
        async || -> i64 { cache.redis().query(cmd("PTTL").arg("p:1:import")).await.unwrap() };
    held.extend(MINUTE).await.unwrap();
    assert!((110_000..=120_000).contains(&pttl().await), "{}", pttl().await);
    held.reacquire().await.unwrap();
    assert!(pttl().await <= 60_000);

    // It ended, and another has it.
    let _: u32 = cache.redis().query(cmd("DEL").arg("p:1:import")).await.unwrap();
    let other = lock.try_acquire().await.unwrap().unwrap();
    assert!(!held.owned().await.unwrap());
    assert!(matches!(held.extend(MINUTE).await, Err(Error::LockLost { .. })));
    assert!(matches!(held.release().await, Err(Error::LockLost { .. })));
    assert!(other.owned().await.unwrap());

    // Who waits gets it when it is given back.
    let waiting = tokio::spawn(async move { lock.acquire().await });
    other.release().await.unwrap();
    let held = waiting.await.unwrap().unwrap().unwrap();
    held.release().await.unwrap();
    let endless = cache.lock("import").try_acquire().await.unwrap().unwrap();
    assert_eq!(pttl().await, -1);
    assert!(matches!(endless.extend(MINUTE).await, Err(Error::LockLost { .. })));
    endless.release().await.unwrap();
}
