//! A server that speaks cluster, all keys in one slot by a hash tag in each prefix.

use rhubarb_e2e::{
    eventually::eventually, process::Process, python::Python, redis_server::RedisServer,
};
use serde_json::json;

use crate::{
    OWN_WORKER,
    shop::{SOON, Shop},
};

const CONFIGURATION: &str = r#"
[redis]
layout = "one"

[celery]
global_keyprefix = "{shop}"
result_global_keyprefix = "{shop}"

[cache.aliases.default]
prefix = "{shop}cache"

[cache.aliases.sessions]
role = "sessions"
prefix = "{shop}session"

[cache.aliases.jobs]
role = "jobs"
prefix = "{shop}jobs"

[schedules.often]
task = "job_scraper.tasks.get_scraping_status"
every = 1
"#;

/// Publishes, waits, joins, and asks the workers, as a client of Celery's does.
const CLIENT: &str = r#"
import json, sys
from celery import Celery, chain, chord, group

url, prefix = sys.argv[1:]
app = Celery("shop", broker=url, backend=url)
app.conf.broker_transport_options = {"global_keyprefix": prefix}
app.conf.result_backend_transport_options = {"global_keyprefix": prefix}
add = lambda *args: app.signature("e2e.add", args)
told = {}
told["get"] = add(1, 2).delay().get(timeout=30)
told["chain"] = chain(add(1, 2), add(3), add(4))().get(timeout=30)
told["group"] = group(add(1, 1), add(2, 2))().get(timeout=30)
told["chord"] = chord([add(1, 1), add(2, 2)])(app.signature("e2e.sum")).get(timeout=30)
told["later"] = add(5, 5).apply_async(countdown=1).get(timeout=30)
told["priority"] = add(6, 6).apply_async(priority=9).get(timeout=30)
told["ping"] = app.control.ping(timeout=20, limit=1)
print(json.dumps(told))
"#;

/// Starts a node of a cluster that has all slots; `None` where the server is too old to take them
/// in one command.
async fn cluster() -> Option<RedisServer> {
    let options = ["--cluster-enabled", "yes", "--appendonly", "yes", "--maxmemory", "200mb"];
    let redis = RedisServer::start_with(&options).await;
    let mut queue = redis.connect(0).await;
    let mut slots = redis::cmd("CLUSTER");
    slots.arg("ADDSLOTSRANGE").arg(0).arg(16_383);
    slots.query_async::<()>(&mut queue).await.ok()?;
    eventually(SOON, "the cluster is up", async || {
        let mut info = redis::cmd("CLUSTER");
        let info: String = info.arg("INFO").query_async(&mut queue).await.ok()?;
        info.contains("cluster_state:ok").then_some(())
    })
    .await;
    Some(redis)
}

/// No command of a process lay in two slots, and nothing else was refused.
fn nothing_was_refused(process: &Process) {
    for wrong in ["CROSSSLOT", "MOVED", "level=warn", "level=error"] {
        assert_eq!(process.lines_with(wrong), Vec::<String>::new());
    }
}

async fn shop() -> Option<Shop> {
    let mut shop = Shop::open_on(cluster().await?, CONFIGURATION).await;
    shop.installation.set("RHUBARB_WEB_PORT", "0");
    Some(shop)
}

#[tokio::test]
async fn a_clusters_one_slot_serves_worker_beat_caches_and_dashboard() {
    let Some(shop) = shop().await else { return };
    let worker = shop.worker(&[]).await;
    let mut beat = shop.installation.beat(&[]);
    beat.line("this beat leads", SOON).await;
    let mut web = shop.installation.rhubarb_started(&["web"]);
    web.line("dashboard ready", SOON).await;

    for _ in 0..2 {
        let ran = shop.rhubarb(&["scrape", "software engineer", "--force", "--wait", "60"]).await;
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    }
    assert!(!shop.json(&["listings", "software engineer"]).await.as_array().unwrap().is_empty());
    assert_eq!(shop.json(&["status"]).await["status"], "success");
    eventually(SOON, "the schedule's tasks have run", async || {
        let ended = shop.json(&["tasks", "--task", "get_scraping_status"]).await;
        ended.as_array().is_some_and(|ended| ended.len() > 2).then_some(())
    })
    .await;
    for command in ["queues", "workers", "dead list", "parked list", "monitor", "cache list"] {
        let ran = shop.rhubarb(&command.split(' ').collect::<Vec<_>>()).await;
        assert_eq!(ran.code, 0, "{command}: {}{}", ran.stdout, ran.stderr);
    }
    let ran = shop.rhubarb(&["doctor"]).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("Never call cache.clear() there"), "{}", ran.stdout);

    // What clears a cache goes by prefix: the queue and the other caches stay.
    let ran = shop.rhubarb(&["monitor", "--clear", "--yes"]).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(!shop.json(&["tasks"]).await.as_array().unwrap().is_empty());
    assert_eq!(shop.json(&["workers"]).await.as_array().unwrap().len(), 1);
    for process in [&worker, &beat, &web] {
        nothing_was_refused(process);
    }
}

#[tokio::test]
async fn celerys_clients_use_a_clusters_one_slot_with_our_worker() {
    let Some(shop) = shop().await else { return };
    let Some(python) = Python::for_redis(&shop.installation.redis.url(0)) else { return };
    let mut worker = shop.installation.start("own-worker", OWN_WORKER, &["-n", "own@it"]);
    worker.line("worker ready", SOON).await;
    let told = python.run(&["-c", CLIENT, &shop.installation.redis.url(0), "{shop}"]).await;
    let expect = json!({"get": 3, "chain": 10, "group": [2, 4], "chord": 6, "later": 10,
        "priority": 12, "ping": [{"own@it": {"ok": "pong"}}]});
    assert_eq!(told, expect);
    nothing_was_refused(&worker);
}

#[tokio::test]
async fn what_keeps_keys_out_of_the_one_slot_is_told() {
    let Some(redis) = cluster().await else { return };
    let shop = Shop::open_on(redis, "[redis]\nlayout = \"one\"\n").await;
    let ran = shop.rhubarb(&["doctor"]).await;
    assert!(ran.stdout.contains("it is a node of a cluster"), "{}", ran.stdout);
    assert_eq!(ran.code, 7);
    let half = "[redis]\nlayout = \"one\"\n[celery]\nglobal_keyprefix = \"{shop}\"\n";
    let shop = Shop::open_on(cluster().await.unwrap(), half).await;
    let ran = shop.rhubarb(&["doctor"]).await;
    assert!(ran.stdout.contains("keys of these caches lie apart"), "{}", ran.stdout);
    assert!(ran.stdout.contains("celery.result_global_keyprefix has not"), "{}", ran.stdout);
}
