//! A value that is not there is computed once, whoever asks, and a stale one while it is given out.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use redis::cmd;
use rhubarb_cache::{AliasConfig, Cache, Counts, Error, Fetch, PyValue, Timeout};
use rhubarb_connection::{Redis, Role};
use rhubarb_e2e::{
    eventually::eventually,
    process::{Process, Signal, clean_command},
    redis_server::RedisServer,
};
use tempfile::TempDir;
use tokio::sync::Notify;

use super::{cache, connection};
use crate::{CACHE_MISSES, shop::SOON};

const MINUTE: Timeout = Timeout::After(Duration::from_secs(60));

/// Two processes that miss one key a hundred times each.
struct Misses {
    redis: Redis,
    processes: Vec<Process>,
    folder: TempDir,
    _server: RedisServer,
}

impl Misses {
    /// Starts them and waits until each has asked and one computes.
    async fn start() -> Self {
        let server = RedisServer::start().await;
        let redis = connection(&server);
        let folder = tempfile::tempdir().unwrap();
        let start = |n: u32| {
            let mut command = clean_command(CACHE_MISSES);
            command.args([&server.url(0), "100"]);
            Process::start(&format!("misses-{n}"), folder.path(), command)
        };
        let processes = [1, 2].map(start).into();
        let misses = Self { redis, processes, folder, _server: server };
        misses.counts("ready", 2).await;
        misses.set("go").await;
        misses.counts("asked", 200).await;
        misses.counts("computed", 1).await;
        misses
    }

    async fn counts(&self, key: &str, n: u64) {
        eventually(SOON, &format!("{key} is {n}"), async || {
            (self.get(key).await == Some(n)).then_some(())
        })
        .await;
    }

    async fn get(&self, key: &str) -> Option<u64> {
        self.redis.query(cmd("GET").arg(key)).await.unwrap()
    }

    async fn set(&self, key: &str) {
        let _: () = self.redis.query(cmd("SET").arg(key).arg(1)).await.unwrap();
    }

    fn printed(&self, n: u32) -> String {
        fs::read_to_string(self.folder.path().join(format!("misses-{n}.stdout"))).unwrap()
    }
}

#[tokio::test]
async fn a_hundred_misses_in_each_of_two_processes_compute_once() {
    let mut misses = Misses::start().await;
    misses.set("finish").await;
    for process in &mut misses.processes {
        assert!(process.ended(SOON).await.success());
    }
    assert_eq!(misses.get("computed").await, Some(1));
    let who = misses.get("computing").await.unwrap();
    let expected = format!("{{\"Int({who})\"}}\n");
    assert_eq!((misses.printed(1), misses.printed(2)), (expected.clone(), expected));
    // Plain for Python, and no lock left.
    let keys: Vec<String> = misses.redis.query(cmd("KEYS").arg("misses:*")).await.unwrap();
    let mut keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["misses:0:rhubarb.counters", "misses:1:key"]);
    let stored: String = misses.redis.query(cmd("GET").arg("misses:1:key")).await.unwrap();
    assert_eq!(stored, who.to_string());
}

#[tokio::test]
async fn another_process_takes_over_when_the_one_that_computes_dies() {
    let mut misses = Misses::start().await;
    let dead = misses.get("computing").await.unwrap();
    let is_dead = |process: &Process| u64::from(process.id()) == dead;
    let place = misses.processes.iter().position(is_dead).unwrap();
    misses.processes[place].signal(Signal::KILL);
    misses.counts("computed", 2).await;
    misses.set("finish").await;
    assert!(misses.processes[1 - place].ended(SOON).await.success());
    let alive = misses.processes[1 - place].id();
    assert_eq!(misses.printed(2 - place as u32), format!("{{\"Int({alive})\"}}\n"));
}

/// Counts its calls and waits until it is told to go on.
#[derive(Clone, Default)]
struct Source {
    calls: Arc<AtomicU32>,
    go: Arc<Notify>,
}

impl Source {
    async fn next(self) -> Result<PyValue, Error> {
        let n = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        self.go.notified().await;
        Ok(PyValue::Int(n.into()))
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }
}

async fn pttl(cache: &Cache, key: &str) -> i64 {
    cache.redis().query(cmd("PTTL").arg(cache.raw_key(key))).await.unwrap()
}

#[tokio::test]
async fn a_stale_value_is_given_out_at_once_while_one_computes_another() {
    let server = RedisServer::start().await;
    let cache = cache(&server, AliasConfig::new(Role::Cache, "p"));
    let source = Source::default();
    let fetch = async || {
        let source = source.clone();
        let how = Fetch::new(MINUTE).stale(Duration::from_secs(600));
        cache.fetch("a:1", how, move || source.next()).await.unwrap()
    };
    source.go.notify_one();
    assert_eq!(fetch().await, PyValue::Int(1));
    assert!((655_000..=660_000).contains(&pttl(&cache, "a:1").await));
    assert_eq!((fetch().await, source.calls()), (PyValue::Int(1), 1));

    // Its minute is over, the ten others are not.
    cache.expire("a:1", Duration::from_secs(599)).await.unwrap();
    for _ in 0..20 {
        assert_eq!(fetch().await, PyValue::Int(1));
    }
    eventually(SOON, "it is computed anew", async || (source.calls() == 2).then_some(())).await;
    source.go.notify_one();
    cache.close().await.unwrap();
    assert_eq!((fetch().await, source.calls()), (PyValue::Int(2), 2));
    assert!(pttl(&cache, "a:1").await > 655_000);

    cache.close().await.unwrap();
    let counts = Counts { hits: 22, misses: 1, stale: 20, computed: 2 };
    assert_eq!(cache.counters().await.unwrap(), [("a".to_owned(), counts)].into());
}

#[tokio::test]
async fn a_failed_refresh_leaves_the_stale_value_and_is_not_tried_at_once_again() {
    let server = RedisServer::start().await;
    let cache = cache(&server, AliasConfig::new(Role::Cache, "p"));
    cache.set("a", &PyValue::Int(1), MINUTE).await.unwrap();
    let calls = Arc::new(AtomicU32::new(0));
    for _ in 0..4 {
        let calls = calls.clone();
        let fail = move || async move {
            calls.fetch_add(1, Ordering::Relaxed);
            Err::<PyValue, _>("the source is down")
        };
        let how = Fetch::new(MINUTE).stale(Duration::from_secs(600));
        assert_eq!(cache.fetch("a", how, fail).await.unwrap(), PyValue::Int(1));
        cache.close().await.unwrap();
    }
    // More often only if those rounds took a second.
    assert!((1..=2).contains(&calls.load(Ordering::Relaxed)), "{calls:?}");
}

#[tokio::test]
async fn a_computations_error_goes_to_all_who_wait_and_is_not_stored() {
    let server = RedisServer::start().await;
    let cache = cache(&server, AliasConfig::new(Role::Cache, "p"));
    let source = Source::default();
    let fetch = || {
        let (cache, source) = (cache.clone(), source.clone());
        tokio::spawn(async move {
            let fail = move || async move {
                source.next().await.ok();
                Err::<PyValue, _>("the source is down")
            };
            cache.get_or_set("a", fail, MINUTE).await.unwrap_err()
        })
    };
    let (first, second) = (fetch(), fetch());
    eventually(SOON, "both have missed", async || {
        let looks = cache.redis().successes();
        (looks >= 3 && source.calls() == 1).then_some(())
    })
    .await;
    source.go.notify_one();
    for error in [first.await.unwrap(), second.await.unwrap()] {
        let Error::Shared(error) = &error else { panic!("{error:?}") };
        let Error::Compute { key, source } = error.as_ref() else { panic!("{error:?}") };
        assert_eq!((key.as_str(), source.to_string()), ("p:1:a", "the source is down".to_owned()));
    }
    assert_eq!((source.calls(), cache.get("a").await.unwrap()), (1, None));
    source.go.notify_one();
    fetch().await.unwrap();
    assert_eq!(source.calls(), 2, "the lock was given back");
}

#[tokio::test]
async fn a_caller_that_goes_away_gives_the_right_to_compute_back() {
    let server = RedisServer::start().await;
    let cache = cache(&server, AliasConfig::new(Role::Cache, "p"));
    let source = Source::default();
    let (asked, stuck) = (cache.clone(), source.clone());
    let asking =
        tokio::spawn(
            async move { asked.get_or_set("a", move || stuck.next(), MINUTE).await.map(drop) },
        );
    eventually(SOON, "it computes", async || (source.calls() == 1).then_some(())).await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    let value = || async { Ok::<_, Error>(PyValue::Int(9)) };
    let got = tokio::time::timeout(Duration::from_secs(5), cache.get_or_set("a", value, MINUTE));
    assert_eq!(got.await.expect("not after the lease of ten seconds").unwrap(), PyValue::Int(9));
}

#[tokio::test]
async fn what_cannot_be_read_is_neither_computed_nor_replaced() {
    let server = RedisServer::start().await;
    let cache = cache(&server, AliasConfig::new(Role::Cache, "p"));
    let foreign = b"cos\nsystem\n(S'true'\ntR.".as_slice();
    let _: () = cache.redis().query(cmd("SET").arg("p:1:a").arg(foreign)).await.unwrap();
    let source = Source::default();
    let next = source.clone();
    let error = cache.get_or_set("a", move || next.next(), MINUTE).await.unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error:?}");
    let stored: Vec<u8> = cache.redis().query(cmd("GET").arg("p:1:a")).await.unwrap();
    assert_eq!((stored.as_slice(), source.calls()), (foreign, 0));
}
