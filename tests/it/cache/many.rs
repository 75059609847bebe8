//! Many keys, no Redis, a full Redis.

use std::time::Duration;

use redis::cmd;
use rhubarb_cache::{AliasConfig, Cache, Compressor, Error, PyValue, Serializer, Timeout, Ttl};
use rhubarb_connection::{Redis, Role};
use rhubarb_e2e::redis_server::RedisServer;

use super::cache;

const MINUTE: Timeout = Timeout::After(Duration::from_secs(60));

async fn fill(redis: &Redis, prefix: &str, n: usize) {
    for first in (0..n).step_by(10_000) {
        let mut set = cmd("MSET");
        for n in first..n.min(first + 10_000) {
            set.arg(format!("{prefix}{n}")).arg(1);
        }
        let _: () = redis.query(&set).await.unwrap();
    }
}

/// How often the server has been sent a command.
async fn calls(redis: &Redis, command: &str) -> u64 {
    let info: String = redis.query(cmd("INFO").arg("commandstats")).await.unwrap();
    let start = format!("cmdstat_{command}:calls=");
    let line = info.lines().find_map(|line| line.strip_prefix(&start));
    line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_pattern_that_a_million_keys_match_is_deleted_bit_by_bit() {
    let server = RedisServer::start().await;
    let cache = cache(&server, AliasConfig::new(Role::Cache, "p"));
    let redis = cache.redis();
    fill(redis, "p:1:x:", 1_000_000).await;
    fill(redis, "p:1:y:", 10).await;
    let error = cache.keys("x:*").await.unwrap_err();
    assert!(matches!(error, Error::TooMany { limit: 100_000, .. }), "{error:?}");
    assert_eq!(cache.delete_pattern("x:*").await.unwrap(), 1_000_000);
    assert_eq!(redis.query::<u64>(&cmd("DBSIZE")).await.unwrap(), 10);
    for command in ["keys", "flushdb", "del"] {
        assert_eq!(calls(redis, command).await, 0, "{command}");
    }
    // None of them looked at or freed more than about a thousand.
    let (scans, unlinks) = (calls(redis, "scan").await, calls(redis, "unlink").await);
    assert!(scans >= 1000 && unlinks >= 1000, "{scans} scans, {unlinks} unlinks");
}

#[tokio::test]
async fn clearing_takes_every_version_of_a_prefix_and_nothing_else() {
    let server = RedisServer::start().await;
    let cache = cache(&server, AliasConfig::new(Role::Cache, "p"));
    let redis = cache.redis();
    for key in ["p:1:a", "p:2:b", "p:0:rhubarb.counters"] {
        let _: () = redis.query(cmd("SET").arg(key).arg(1)).await.unwrap();
    }
    let others = ["p2:1:a", "p:a:1", "pp:1:a", "p", "p:1", "session:1:x"];
    for key in others {
        let _: () = redis.query(cmd("SET").arg(key).arg(1)).await.unwrap();
    }
    assert_eq!(cache.clear().await.unwrap(), 3);
    let mut left: Vec<String> = redis.query(cmd("KEYS").arg("*")).await.unwrap();
    left.sort();
    let mut others = others.map(str::to_owned);
    others.sort();
    assert_eq!(left, others);
}

#[tokio::test]
async fn a_huge_value_of_somebodys_costs_no_more_than_the_cap_and_is_refused() {
    let server = RedisServer::start().await;
    let cache = cache(&server, AliasConfig::new(Role::Cache, "p"));
    let huge = 100 << 20;
    let _: u64 =
        cache.redis().query(cmd("SETRANGE").arg("p:1:a").arg(huge - 1).arg("x")).await.unwrap();
    for error in [
        cache.get("a").await.unwrap_err(),
        cache.get_with_ttl("a").await.unwrap_err(),
        cache.get_many(&["a"]).await.unwrap_err(),
        cache
            .get_or_set("a", || async { Ok::<_, Error>(PyValue::None) }, MINUTE)
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(error, Error::Read { .. }), "{error:?}");
    }
    let info: String = cache.redis().query(cmd("INFO").arg("stats")).await.unwrap();
    let sent = info.lines().find_map(|line| line.strip_prefix("total_net_output_bytes:")).unwrap();
    assert!(sent.parse::<u64>().unwrap() < 5 * (17 << 20), "{sent} bytes");
}

#[tokio::test]
async fn values_of_any_configuration_are_read_by_their_magic() {
    let server = RedisServer::start().await;
    let value = PyValue::Str("the same text again and again. ".repeat(50));
    let alias = |compressor| AliasConfig {
        compressor,
        serializer: Serializer::Json,
        ..AliasConfig::new(Role::Cache, "p")
    };
    let plain = cache(&server, alias(Compressor::None));
    plain.set("a", &value, MINUTE).await.unwrap();
    let whole: usize = plain.redis().query(cmd("STRLEN").arg("p:1:a")).await.unwrap();
    for compressor in
        [Compressor::Zlib, Compressor::Gzip, Compressor::Lzma, Compressor::Lz4, Compressor::Zstd]
    {
        let compressed = cache(&server, alias(compressor));
        assert_eq!(compressed.get("a").await.unwrap().as_ref(), Some(&value), "{compressor:?}");
        compressed.set("b", &value, MINUTE).await.unwrap();
        assert_eq!(plain.get("b").await.unwrap().as_ref(), Some(&value), "{compressor:?}");
        let stored: usize = plain.redis().query(cmd("STRLEN").arg("p:1:b")).await.unwrap();
        assert!(stored < whole / 2, "{compressor:?}: {stored} of {whole}");
        compressed.set("n", &PyValue::Int(7), MINUTE).await.unwrap();
        assert_eq!(plain.redis().query::<String>(cmd("GET").arg("p:1:n")).await.unwrap(), "7");
    }
}

/// A cache whose server is gone by now.
async fn gone(ignore_exceptions: bool) -> Cache {
    let mut server = RedisServer::start().await;
    let alias = AliasConfig { ignore_exceptions, ..AliasConfig::new(Role::Cache, "p") };
    let cache = cache(&server, alias);
    cache.set("a", &PyValue::Int(1), MINUTE).await.unwrap();
    server.kill();
    cache
}

#[tokio::test]
async fn without_redis_an_alias_that_says_so_goes_on_and_counts() {
    let cache = gone(true).await;
    let value = PyValue::Int(2);
    assert_eq!(cache.get("a").await.unwrap(), None);
    assert_eq!(cache.get_with_ttl("a").await.unwrap(), None);
    assert!(cache.get_many(&["a"]).await.unwrap().is_empty());
    cache.set("a", &value, MINUTE).await.unwrap();
    cache.set_many(&[("a", value.clone())], MINUTE).await.unwrap();
    assert!(!cache.add("a", &value, MINUTE).await.unwrap());
    assert!(!cache.delete("a").await.unwrap());
    assert!(!cache.touch("a", MINUTE).await.unwrap());
    assert!(!cache.has_key("a").await.unwrap());
    assert_eq!(cache.ttl("a").await.unwrap(), Ttl::Missing);
    assert!(cache.keys("*").await.unwrap().is_empty());
    assert_eq!((cache.delete_pattern("*").await.unwrap(), cache.clear().await.unwrap()), (0, 0));
    assert_eq!(cache.ignored(), 13);
    let computed =
        cache.get_or_set("a", || async { Ok::<_, Error>(PyValue::Int(3)) }, MINUTE).await;
    assert_eq!(computed.unwrap(), PyValue::Int(3));
    // What has no answer to give in its place fails.
    assert!(matches!(cache.incr("a", 1).await, Err(Error::Redis { .. })));
    assert!(matches!(cache.lock("a").try_acquire().await, Err(Error::Redis { .. })));
    assert!(matches!(cache.iter_keys("*").next().await, Err(Error::Redis { .. })));
    // So does what is not Redis's fault.
    let odd = PyValue::Dict(vec![(PyValue::List(vec![]), PyValue::None)]);
    assert!(matches!(cache.set("a", &odd, MINUTE).await, Err(Error::Write { .. })));
}

#[tokio::test]
async fn without_redis_another_alias_fails() {
    let cache = gone(false).await;
    assert!(matches!(cache.get("a").await, Err(Error::Redis { .. })));
    assert!(matches!(cache.set("a", &PyValue::None, MINUTE).await, Err(Error::Redis { .. })));
    let computed = cache.get_or_set("a", || async { Ok::<_, Error>(PyValue::None) }, MINUTE).await;
    assert!(matches!(computed, Err(Error::Redis { .. })), "{computed:?}");
    assert_eq!(cache.ignored(), 0);
}

#[tokio::test]
async fn on_a_full_redis_values_are_had_and_not_stored() {
    let server = RedisServer::start().await;
    let cache = cache(&server, AliasConfig::new(Role::Cache, "p"));
    cache.set("there", &PyValue::Int(1), MINUTE).await.unwrap();
    server.command("CONFIG SET maxmemory 1").await;
    let computed =
        cache.get_or_set("a", || async { Ok::<_, Error>(PyValue::Int(3)) }, MINUTE).await;
    assert_eq!(computed.unwrap(), PyValue::Int(3));
    cache.set_many(&[("a", PyValue::Int(3))], MINUTE).await.unwrap();
    assert_eq!(cache.get("a").await.unwrap(), None);
    assert_eq!(cache.get("there").await.unwrap(), Some(PyValue::Int(1)));
}

#[tokio::test]
async fn counts_of_all_processes_add_up_within_a_bound() {
    let server = RedisServer::start().await;
    let alias = || AliasConfig::new(Role::Cache, "p");
    let (one, other) = (cache(&server, alias()), cache(&server, alias()));
    one.set("jobs:1", &PyValue::None, MINUTE).await.unwrap();
    for cache in [&one, &other] {
        cache.get("jobs:1").await.unwrap();
        cache.get_many(&["jobs:1", "jobs:2", "django.contrib.sessions.cachesecret"]).await.unwrap();
        cache.close().await.unwrap();
    }
    let counters = one.counters().await.unwrap();
    assert_eq!((counters["jobs"].hits, counters["jobs"].misses), (4, 2));
    assert_eq!(counters["django.contrib.sessions"].misses, 2);
    let key = "p:0:rhubarb.counters";
    let pttl: i64 = one.redis().query(cmd("PTTL").arg(key)).await.unwrap();
    assert!(pttl > 6 * 24 * 3_600_000);

    // Whatever names they use: one process after the other, each with sixty of its own.
    for process in 0..30 {
        let cache = cache(&server, alias());
        for n in 0..60 {
            cache.get(&format!("{process}-{n}:1")).await.unwrap();
        }
        cache.close().await.unwrap();
    }
    let fields: u64 = one.redis().query(cmd("HLEN").arg(key)).await.unwrap();
    assert!(fields <= 644, "{fields}");
    let misses: u64 = one.counters().await.unwrap().values().map(|counts| counts.misses).sum();
    assert_eq!(misses, 4 + 30 * 60);
}
