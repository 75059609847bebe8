//! What `rhubarb monitor` shows. How it clears, what it may be refused and its live view are in
//! modules of their own.

mod clear;
mod permissions;
mod watch;

use std::{collections::BTreeSet, io::Write, process::Stdio};

use redis::{AsyncCommands, Value, cmd};
use rhubarb_e2e::{
    installation::Installation,
    python::Python,
    redis_server::{RedisServer, free_port},
};

use crate::{BINARIES, shop::SOON};

/// The databases that the layouts use.
const DATABASES: [u32; 4] = [0, 1, 2, 3];

/// Fills a server as a shop's would be: 3 of the queue's keys, 5 of caches, 2 sessions, 4 of jobs.
async fn filled(redis: &RedisServer, layout: &str) {
    let [cache, sessions, jobs] = match layout {
        "four" => [1, 2, 3],
        "two" => [1, 1, 1],
        _ => [0, 0, 0],
    };
    let put = async |db: u32, keys: &[&str]| {
        let mut connection = redis.connect(db).await;
        for key in keys {
            let _: () = connection.set_ex(key, "x", 3_000).await.unwrap();
        }
    };
    let mut queue = redis.connect(0).await;
    let _: () = queue.lpush("celery", "{}").await.unwrap();
    put(0, &["celery-task-meta-1", "rhubarb:unique:1"]).await;
    put(cache, &["hire_voo_ai:1:scraping_status", "hire_voo_ai:1:proxy_list"]).await;
    put(cache, &["hire_voo_ai:1:page", "hire_voo_ai:1:api:7", "foreign"]).await;
    put(sessions, &["session:1:django.contrib.sessions.cachea"]).await;
    put(sessions, &["session:1:django.contrib.sessions.cached_dbb"]).await;
    put(jobs, &["jobs:1:jobs:rust", "jobs:1:jobs:data_scientist", "jobs:1:jobs:qa"]).await;
    put(jobs, &["jobs:1:listing:7"]).await;
}

/// Returns each key with its database.
async fn every_key(redis: &RedisServer) -> BTreeSet<(u32, String)> {
    let mut found = BTreeSet::new();
    for db in DATABASES {
        let keys: Vec<String> = redis.connect(db).await.keys("*").await.unwrap();
        found.extend(keys.into_iter().map(|key| (db, key)));
    }
    found
}

/// Returns what the server says of the commands that it was sent since it started; the fillings'
/// own are among them.
async fn command_stats(redis: &RedisServer) -> String {
    cmd("INFO").arg("commandstats").query_async(&mut redis.connect(0).await).await.unwrap()
}

#[tokio::test]
async fn the_basic_numbers_are_those_of_the_databases_in_either_layout() {
    for (layout, databases) in [("four", 4), ("two", 2)] {
        let redis = RedisServer::start().await;
        filled(&redis, layout).await;
        let configuration = format!("[redis]\nlayout = \"{layout}\"\n");
        let installation = Installation::new(BINARIES, redis, &configuration);
        let report = installation.rhubarb(&["monitor", "--json"]).await.json();
        let exact = |n: u64| serde_json::json!({"n": n, "how": "exact"});
        let totals = &report["totals"];
        assert_eq!(totals["keys"], exact(14), "{layout}: {report}");
        assert_eq!(totals["job_cache_keys"], exact(6), "{layout}");
        assert_eq!(totals["listing_keys"], exact(3), "{layout}");
        assert_eq!(totals["session_keys"], exact(2), "{layout}");
        assert_eq!(report["databases"].as_array().unwrap().len(), databases);
        assert!(report["servers"][0]["memory"]["used"].as_u64().unwrap() > 0);
        // One connection to each database, of which the first also asks the server.
        let clients = report["servers"][0]["clients"]["connected"].as_u64().unwrap();
        assert!(clients <= u64::try_from(databases).unwrap() + 1, "{clients} for {databases}");
        let ran = installation.rhubarb(&["monitor"]).await;
        for expect in
            ["total keys      14", "job cache keys  6", "listing keys    3", "session keys    2"]
        {
            assert!(ran.stdout.contains(expect), "no `{expect}` in\n{}", ran.stdout);
        }
    }
}

#[tokio::test]
async fn a_role_that_cannot_be_reached_is_said_and_the_others_are_shown() {
    let redis = RedisServer::start().await;
    filled(&redis, "four").await;
    let mut installation = Installation::new(BINARIES, redis, "");
    let nowhere = format!("redis://:hunter2@127.0.0.1:{}/5", free_port());
    installation.set("RHUBARB_REDIS_SESSIONS_URL", &nowhere);
    for form in [&["monitor"][..], &["monitor", "--info"]] {
        let ran = installation.rhubarb(form).await;
        assert_eq!(ran.code, 4, "{form:?}: {}", ran.stderr);
        for expect in ["listing keys    3", "session keys    unknown", "cannot be reached: "] {
            assert!(ran.stdout.contains(expect), "{form:?}: no `{expect}` in\n{}", ran.stdout);
        }
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        assert!(!(ran.stdout + &ran.stderr).contains("hunter2"));
    }
    let metrics = installation.rhubarb(&["monitor", "--prometheus"]).await.stdout;
    let up = |state: u8| {
        metrics
            .lines()
            .filter(|l| l.starts_with("rhubarb_redis_up{") && l.ends_with(&format!(" {state}")))
            .count()
    };
    assert_eq!((up(1), up(0)), (1, 1), "{metrics}");
}

#[tokio::test]
async fn a_server_that_answers_nothing_takes_one_deadline_for_all_its_databases() {
    let mut installation = Installation::new(BINARIES, RedisServer::start().await, "");
    let frozen = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("redis://{}/0", frozen.local_addr().unwrap());
    installation.set("REDIS_URL", &url);
    let begun = std::time::Instant::now();
    let ran = installation.rhubarb(&["monitor", "--info"]).await;
    let took = begun.elapsed();
    assert_eq!(ran.code, 4, "{}{}", ran.stdout, ran.stderr);
    // One deadline is 5 s, and there are four databases.
    assert!(took < std::time::Duration::from_secs(12), "{took:?}");
    assert!(!ran.stdout.contains("queues ()"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_unreachable_and_not_empty() {
    let redis = RedisServer::start_with(&["--save", "", "--databases", "2"]).await;
    let installation = Installation::new(BINARIES, redis, "");
    let ran = installation.rhubarb(&["monitor"]).await;
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("it has no database 2"), "{}", ran.stderr);
    let jobs = ran.stdout.lines().find(|line| line.contains("/3  jobs")).unwrap_or_default();
    assert!(jobs.contains("unreachable"), "{}", ran.stdout);
    let report = installation.rhubarb(&["monitor", "--json"]).await;
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(report["databases"][3]["keys"], serde_json::Value::Null);
}

#[tokio::test]
async fn info_tells_namespaces_slow_commands_and_what_to_do_about_each_fault() {
    let options = [
        "--maxmemory",
        "300mb",
        "--maxmemory-policy",
        "allkeys-lru",
        "--slowlog-log-slower-than",
        "0",
    ];
    let redis = RedisServer::start_with(&[&options[..], &["--save", ""]].concat()).await;
    filled(&redis, "four").await;
    let mut jobs = redis.connect(3).await;
    let _: () = jobs.set("jobs:1:jobs:forever", vec![7_u8; 2 << 20]).await.unwrap();
    let _: () = jobs.set("own", "x").await.unwrap();
    let secret = "session:1:django.contrib.sessions.cachesecret";
    let _: Value = redis.connect(2).await.get(secret).await.unwrap();
    let installation = Installation::new(BINARIES, redis, "");

    let report = installation.rhubarb(&["monitor", "--info", "--json"]).await.json();
    let namespaces = report["databases"][3]["namespaces"].as_array().unwrap();
    let listings = namespaces.iter().find(|one| one["name"] == "listings").unwrap();
    assert_eq!(listings["pattern"], "jobs:1:jobs:*");
    assert_eq!(listings["keys"]["n"], 4);
    assert_eq!(listings["without_ttl"]["n"], 1);
    assert!(listings["bytes"]["n"].as_u64().unwrap() > 2 << 20, "{listings}");
    let findings = report["findings"].as_array().unwrap();
    for code in ["eviction_policy", "no_appendonly", "no_ttl", "large_key"] {
        assert!(findings.iter().any(|one| one["code"] == code), "no {code} in {findings:?}");
    }
    // A key of the shop's own that stays for ever is no cache's, and is counted all the same.
    let told = findings.iter().find(|one| one["code"] == "no_ttl").unwrap()["found"].to_string();
    assert!(told.contains("1 (listings); of all keys there: 2"), "{told}");
    assert!(findings.iter().all(|one| one["advice"].as_str().unwrap().ends_with('.')));
    assert_eq!(report["queues"][0]["waiting"], 1);
    assert_eq!(report["servers"][0]["settings"]["save"], "");

    let ran = installation.rhubarb(&["monitor", "--info"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for expect in ["SLOW COMMAND", "maxmemory-policy is allkeys-lru", "hit rate", "appendonly off"]
    {
        assert!(ran.stdout.contains(expect), "no `{expect}` in\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains("cachesecret"), "{}", ran.stdout);
}

#[tokio::test]
async fn more_keys_than_the_effort_allows_are_estimated_and_marked() {
    let redis = RedisServer::start().await;
    let load = "for i=1,80000 do redis.call('SET', (i % 4 == 0 and 'jobs:1:other:' or 'jobs:1:jobs:')..i, 'x') end";
    cmd("EVAL").arg(load).arg(0).exec_async(&mut redis.connect(3).await).await.unwrap();
    let installation = Installation::new(BINARIES, redis, "");
    let few = ["monitor", "--effort", "0.2"];
    let report = installation.rhubarb(&[&few[..], &["--json"]].concat()).await.json();
    assert_eq!(report["databases"][3]["keys"], 80_000);
    let looked_at = report["databases"][3]["looked_at"].as_u64().unwrap();
    // 50,000 keys for a fifth of a second, or fewer on a busy machine; the last SCAN may bring some
    // more.
    assert!((1..52_000).contains(&looked_at), "{looked_at}");
    let listings = &report["totals"]["listing_keys"];
    assert_eq!(listings["how"], "estimated");
    // Even 500 keys are within a tenth but once in millions of times.
    let n = listings["n"].as_u64().unwrap();
    assert!((50_000..70_000).contains(&n), "{n}");
    let text = installation.rhubarb(&few).await.stdout;
    assert!(text.contains("listing keys    ~") && text.contains("an estimate"), "{text}");
    let all = installation.rhubarb(&["monitor", "--effort", "60", "--json"]).await.json();
    assert_eq!(all["totals"]["listing_keys"], serde_json::json!({"n": 60_000, "how": "exact"}));
}

#[tokio::test]
async fn an_interval_gives_one_document_a_line_until_stopped_and_outlives_an_outage() {
    let mut installation = Installation::new(BINARIES, RedisServer::start().await, "");
    let mut series = installation.rhubarb_started(&["monitor", "--json", "--interval", "0.2"]);
    series.line("\"unreachable\":null", SOON).await;
    installation.redis.kill();
    series.line("\"unreachable\":\"", SOON).await;
    assert!(series.is_running());
    for line in series.stdout().split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

/// Reads metrics as Prometheus does and prints how many samples there are.
const PARSE: &str = "import sys; from prometheus_client.parser import text_string_to_metric_families as parse; \
    families = list(parse(sys.stdin.read())); names = [f.name for f in families]; \
    assert len(set(names)) == len(names), names; assert all(f.documentation for f in families); \
    assert all(f.type in ('gauge', 'counter') for f in families), families; \
    print(sum(len(f.samples) for f in families))";

#[tokio::test]
async fn prometheus_own_parser_reads_the_metrics() {
    let redis = RedisServer::start().await;
    filled(&redis, "four").await;
    let _: () = redis.connect(0).await.sadd("rhubarb:queues", "odd\"\\\nname").await.unwrap();
    let installation = Installation::new(BINARIES, redis, "");
    let Some(python) = Python::for_redis(&installation.redis.url(0)) else { return };
    for (form, least) in
        [(&["monitor", "--prometheus"][..], 25), (&["monitor", "--prometheus", "--info"], 60)]
    {
        let ran = installation.rhubarb(form).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let mut parser = python.command(&["-c", PARSE]);
        let mut parser = parser.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        parser.stdin.take().unwrap().write_all(ran.stdout.as_bytes()).unwrap();
        let output = parser.wait_with_output().unwrap();
        let samples: usize = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
        assert!(samples >= least, "{form:?}: {samples} samples in\n{}", ran.stdout);
    }
}
