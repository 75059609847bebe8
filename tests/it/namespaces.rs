//! Two installations on one Redis, told apart by the broker's `global_keyprefix` alone.

use std::{collections::BTreeSet, time::Duration};

use redis::{AsyncCommands, aio::MultiplexedConnection};
use rhubarb_connection::Connections;
use rhubarb_e2e::{
    eventually::eventually,
    file,
    installation::{Installation, Ran},
    process::{Process, Signal},
    python::Python,
    redis_server::RedisServer,
};
use rhubarb_queue::{Client, Config, Publish};
use serde_json::{Value, json};

use crate::{BINARIES, OWN_WORKER, shop::SOON};

/// One of the installations. All names but the prefix are the other's, too.
struct Side {
    prefix: &'static str,
    installation: Installation,
    client: Client,
}

impl Side {
    async fn new(prefix: &'static str, redis: &RedisServer) -> Self {
        let configuration = format!(
            "[celery]\nglobal_keyprefix = \"{prefix}\"\n\
             result_global_keyprefix = \"{prefix}\"\n\
             [worker]\nlease = 3\n\
             [schedules.nightly]\ntask = \"e2e.ticked\"\nevery = 1\nqueue = \"ticks\"\n"
        );
        // The server of its own stays unused.
        let own = RedisServer::start().await;
        let mut installation = Installation::new(BINARIES, own, &configuration);
        installation.set("REDIS_URL", &redis.url(0));
        let mut config = Config::default();
        config.redis.url = redis.url(0).parse().unwrap();
        prefix.clone_into(&mut config.celery.global_keyprefix);
        prefix.clone_into(&mut config.celery.result_global_keyprefix);
        let client = Client::new(&Connections::new(&config.redis, "e2e").unwrap(), &config);
        Self { prefix, installation, client }
    }

    fn worker(&self) -> Process {
        self.installation.start("own-worker", OWN_WORKER, &["-n", "same@it", "-c", "8"])
    }

    async fn run(&self, args: &[&str]) -> Ran {
        self.installation.rhubarb(args).await
    }

    async fn json(&self, args: &[&str]) -> Value {
        self.run(&[args, &["--json"]].concat()).await.json()
    }

    async fn publish(&self, publish: Publish) -> String {
        self.client.publish(&publish).await.unwrap().id
    }

    async fn result(&self, id: &str) -> Value {
        self.client.wait(id, SOON, |_| {}).await.unwrap().expect("it ends").result
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// A task that tells which process ran it.
fn who() -> Publish {
    Publish::new("e2e.who").arg(0.0)
}

async fn sides(redis: &RedisServer) -> [Side; 2] {
    [Side::new("a:", redis).await, Side::new("b:", redis).await]
}

/// Keys that do not belong to one of the prefixes.
async fn strays(redis: &RedisServer, prefixes: &[&str]) -> BTreeSet<String> {
    let mut queue = redis.connect(0).await;
    let keys: BTreeSet<String> = queue.keys("*").await.unwrap();
    keys.into_iter().filter(|key| !prefixes.iter().any(|prefix| key.starts_with(prefix))).collect()
}

#[tokio::test]
async fn two_installations_on_one_redis_see_nothing_of_each_other() {
    let redis = RedisServer::start().await;
    let [a, b] = sides(&redis).await;
    let (mut worker_a, mut worker_b) = (a.worker(), b.worker());
    for worker in [&mut worker_a, &mut worker_b] {
        worker.line("worker ready", SOON).await;
    }
    each_runs_what_was_sent_to_it([(&a, &worker_a), (&b, &worker_b)]).await;
    a_revocation_holds_in_one(&a, &b).await;
    a_lock_of_a_unique_task_holds_in_one(&a, &b).await;
    each_shows_its_own_workers_and_letters(&a, &b, &mut redis.connect(0).await).await;
    a_pause_holds_in_one(&a, &b).await;
    each_beat_leads_and_publishes(&a, &b, &mut redis.connect(0).await).await;
    for worker in [&mut worker_a, &mut worker_b] {
        worker.signal(Signal::TERM);
        worker.ended(SOON).await;
    }
    assert_eq!(strays(&redis, &["a:", "b:"]).await, BTreeSet::new());
}

async fn each_runs_what_was_sent_to_it(sides: [(&Side, &Process); 2]) {
    let mut sent = Vec::new();
    for _ in 0..20 {
        for (side, worker) in sides {
            let task = who().countdown(Duration::from_secs(3));
            sent.push((side, side.publish(task).await, worker.id()));
        }
    }
    for (side, id, pid) in sent {
        assert_eq!(side.result(&id).await, json!(pid), "{}{id}", side.prefix);
    }
}

async fn a_revocation_holds_in_one(a: &Side, b: &Side) {
    let id = uuid::Uuid::new_v4().to_string();
    let later = || Publish::new("e2e.who").arg(0.0).id(&id).countdown(Duration::from_secs(3));
    a.publish(later()).await;
    b.publish(later()).await;
    assert_eq!(a.run(&["revoke", &id]).await.code, 0);
    let state = async |side: &Side| {
        side.client.wait(&id, SOON, |_| {}).await.unwrap().expect("it ends").status
    };
    assert_eq!(state(a).await.to_string(), "REVOKED");
    assert_eq!(state(b).await.to_string(), "SUCCESS");
}

async fn a_lock_of_a_unique_task_holds_in_one(a: &Side, b: &Side) {
    let once = || who().unique_for(Duration::from_secs(60));
    for (side, duplicate) in [(a, false), (a, true), (b, false), (b, true)] {
        assert_eq!(side.client.publish(&once()).await.unwrap().duplicate, duplicate);
    }
}

async fn each_shows_its_own_workers_and_letters(
    a: &Side,
    b: &Side,
    queue: &mut MultiplexedConnection,
) {
    let unknown = a.publish(Publish::new("nobody.knows")).await;
    let _: u64 = queue.lpush(a.key("celery"), "no message").await.unwrap();
    for what in ["parked", "dead"] {
        eventually(SOON, what, async || {
            (a.json(&[what, "list"]).await.as_array().unwrap().len() == 1).then_some(())
        })
        .await;
        assert_eq!(b.json(&[what, "list"]).await, json!([]), "{what}");
    }
    assert_eq!(b.run(&["parked", "replay", &unknown]).await.code, 1);
    assert_eq!(b.run(&["parked", "drop", "--all", "--yes"]).await.code, 0);
    assert_eq!(a.json(&["parked", "list"]).await[0]["id"], json!(unknown));
    for side in [a, b] {
        assert_eq!(side.json(&["workers"]).await.as_array().unwrap().len(), 1);
    }
    let alone = a.publish(Publish::new("e2e.who").arg(0.0).queue("of a alone")).await;
    let queues = |told: Value| told.to_string().contains("of a alone");
    assert!(queues(a.json(&["queues"]).await) && !queues(b.json(&["queues"]).await));
    assert_eq!(b.run(&["task", &alone]).await.code, 1);
    b.run(&["purge", "of a alone", "--yes"]).await;
    assert_eq!(queue.llen::<_, u64>(a.key("of a alone")).await.unwrap(), 1);
}

async fn a_pause_holds_in_one(a: &Side, b: &Side) {
    assert_eq!(a.run(&["pause", "celery"]).await.code, 0);
    let (paused, going) = (a.publish(who()).await, b.publish(who()).await);
    b.result(&going).await;
    let waiting = a.client.result(&paused).await.unwrap();
    assert!(waiting.is_none(), "{waiting:?}");
    assert_eq!(a.run(&["resume", "celery"]).await.code, 0);
    a.result(&paused).await;
}

async fn each_beat_leads_and_publishes(a: &Side, b: &Side, queue: &mut MultiplexedConnection) {
    let live = ["schedules", "add", "live", "--task", "t", "--every", "1", "--queue", "of live"];
    assert_eq!(a.run(&live).await.code, 0);
    assert_eq!(b.run(&["schedules", "pause", "nightly"]).await.code, 0);
    let (mut beat_a, mut beat_b) = (a.installation.beat(&[]), b.installation.beat(&[]));
    for beat in [&mut beat_a, &mut beat_b] {
        beat.line("this beat leads", SOON).await;
    }
    for name in ["ticks", "of live"] {
        eventually(SOON, name, async || {
            (queue.llen::<_, u64>(a.key(name)).await.unwrap() >= 2).then_some(())
        })
        .await;
        assert_eq!(queue.llen::<_, u64>(b.key(name)).await.unwrap(), 0, "{name}");
    }
    let told = b.json(&["schedules", "list"]).await;
    assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
    assert_eq!(b.run(&["schedules", "resume", "nightly"]).await.code, 0);
    eventually(SOON, "the other's ticks", async || {
        (queue.llen::<_, u64>(b.key("ticks")).await.unwrap() >= 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_django_backends_of_two_installations_see_nothing_of_each_other() {
    let redis = RedisServer::start().await;
    let pythons = [Python::for_redis(&redis.url(0)), Python::with_newest_django(&redis.url(0))];
    for python in pythons.into_iter().flatten() {
        let [a, b] = sides(&redis).await;
        let (_worker_a, _worker_b) = (a.worker(), b.worker());
        let [in_a, in_b] = [&a, &b].map(|side| {
            let mut python = python.clone();
            let backend = file("../deploy/django").canonicalize().unwrap();
            python.set("DJANGO_SETTINGS_MODULE", "background.settings");
            python.set("PYTHONPATH", backend.to_str().unwrap());
            let options = json!({
                "TASK_NAMES": {"background.tasks.nap": "e2e.sleep"},
                "GLOBAL_KEYPREFIX": side.prefix, "RESULT_GLOBAL_KEYPREFIX": side.prefix,
            });
            python.set("TASKS_OPTIONS", &options.to_string());
            python
        });
        let steps = async |python: &Python, steps: Value| {
            python.run(&["-m", "background.steps", &steps.to_string()]).await
        };
        let enqueue = json!([{"enqueue": "nap", "args": [0.0]}, {"result": 0, "wait": true}]);
        let told = steps(&in_a, enqueue).await;
        assert_eq!(told[1]["status"], "SUCCESSFUL", "{told:#}");
        let told = steps(&in_b, json!([{"result": told[0]["id"]}])).await;
        assert_eq!(told[0]["raised"], "TaskResultDoesNotExist", "{told:#}");
        assert_eq!(strays(&redis, &["a:", "b:"]).await, BTreeSet::new());
    }
}

/// Listens to events, asks who is there, and revokes, as a client of Celery's with a prefix.
const CLIENT: &str = r#"
import json, sys
from celery import Celery

url, prefix, waiting = sys.argv[1:]
options = {"global_keyprefix": prefix}
app = Celery("shop", broker=url, backend=url, broker_transport_options=options)
told = {"pids": set(), "seen": []}

def note(event):
    told["pids"].add(event["pid"])
    receiver.should_stop = event["type"] == "worker-heartbeat"
    told["seen"].append(event["type"])

with app.connection() as connection:
    receiver = app.events.Receiver(connection, handlers={"*": note})
    receiver.capture(limit=None, timeout=30)
told["pids"] = sorted(told["pids"])
told["ping"] = app.control.ping(timeout=2)
told["stats"] = {node: stats["pid"] for node, stats in (app.control.inspect(timeout=2).stats() or {}).items()}
app.control.revoke(waiting)
told["revoked"] = (app.control.inspect(timeout=2).revoked() or {}).get("same@it")
print(json.dumps(told))
"#;

#[tokio::test]
async fn celerys_control_and_events_reach_the_workers_of_their_prefix_alone() {
    let redis = RedisServer::start().await;
    let pythons = [Python::for_redis(&redis.url(0)), Python::with_oldest_celery(&redis.url(0))];
    for python in pythons.into_iter().flatten() {
        let [a, b] = sides(&redis).await;
        let (mut worker_a, mut worker_b) = (a.worker(), b.worker());
        for worker in [&mut worker_a, &mut worker_b] {
            worker.line("worker ready", SOON).await;
        }
        let id = uuid::Uuid::new_v4().to_string();
        let told = python.run(&["-c", CLIENT, &redis.url(0), "a:", &id]).await;
        let pid = worker_a.id();
        assert_eq!(told["pids"], json!([pid]), "{told:#}");
        assert_eq!(told["ping"], json!([{"same@it": {"ok": "pong"}}]), "{told:#}");
        assert_eq!(told["stats"], json!({"same@it": pid}), "{told:#}");
        // What the client before revoked stands there too.
        let revoked = told["revoked"].as_array().expect("the worker tells them");
        assert!(revoked.contains(&json!(id)), "{told:#}");
        let mut queue = redis.connect(0).await;
        let revoked = async |queue: &mut MultiplexedConnection, side: &Side| {
            queue.zscore::<_, _, Option<f64>>(side.key("rhubarb:revoked"), &id).await.unwrap()
        };
        assert!(revoked(&mut queue, &a).await.is_some() && revoked(&mut queue, &b).await.is_none());
        drop((worker_a, worker_b));
    }
}

/// Gets results, of a group and a chord too, as a client of Celery's with these two prefixes.
const RESULTS: &str = r#"
import json, sys
from celery import Celery, chord, group

url, broker_prefix, prefix = sys.argv[1:]
app = Celery("shop", broker=url, backend=url)
app.conf.broker_transport_options = {"global_keyprefix": broker_prefix}
app.conf.result_backend_transport_options = {"global_keyprefix": prefix}
add = lambda x, y: app.signature("e2e.add", (x, y))
told = {"prefix": app.backend.task_keyprefix.decode()}
told["get"] = add(1, 2).delay().get(timeout=30)
told["group"] = group(add(1, 1), add(2, 2))().get(timeout=30)
told["chord"] = chord([add(1, 1), add(2, 2)])(app.signature("e2e.sum")).get(timeout=30)
nested = chord([group(add(1, 1), add(2, 2)), add(3, 3)])(app.signature("e2e.sum"))
told["nested"] = nested.get(timeout=30)
told["ping"] = app.control.ping(timeout=20, limit=1)
print(json.dumps(told))
"#;

#[tokio::test]
async fn results_stand_where_each_celery_looks_under_all_four_pairs_of_prefixes() {
    let redis = RedisServer::start().await;
    let url = redis.url(0);
    let pythons = [("5.7", Python::for_redis(&url)), ("5.4", Python::with_oldest_celery(&url))];
    for (form, python) in pythons {
        let Some(python) = python else { continue };
        for (broker, results) in [("", ""), ("a:", ""), ("", "shop:"), ("a:", "shop"), ("a:", "a:")]
        {
            let told = get_results(&redis, &python, (form, broker, results)).await;
            let case = format!("{form} {broker:?} {results:?}: {told:#}");
            assert_eq!((&told["get"], &told["group"]), (&json!(3), &json!([2, 4])), "{case}");
            assert_eq!((&told["chord"], &told["nested"]), (&json!(6), &json!(12)), "{case}");
            assert_eq!(told["ping"], json!([{"same@it": {"ok": "pong"}}]), "{case}");
            let prefix = told["prefix"].as_str().unwrap();
            let keys: Vec<String> = redis.connect(0).await.keys("*celery-task*").await.unwrap();
            let stem = prefix.strip_suffix("celery-task-meta-").unwrap();
            let group = format!("{stem}celery-taskset-meta-");
            let celerys = |key: &&String| key.starts_with(prefix) || key.starts_with(&group);
            assert_eq!(keys.iter().find(|key| !celerys(key)), None, "{case}");
            let _: () =
                redis::cmd("FLUSHALL").query_async(&mut redis.connect(0).await).await.unwrap();
        }
    }
}

async fn get_results(
    redis: &RedisServer,
    python: &Python,
    (form, broker, results): (&str, &str, &str),
) -> Value {
    let configuration = format!(
        "[celery]\nglobal_keyprefix = \"{broker}\"\nresult_global_keyprefix = \"{results}\"\n\
         result_keyprefix_form = \"{form}\"\n"
    );
    let mut installation = Installation::new(BINARIES, RedisServer::start().await, &configuration);
    installation.set("REDIS_URL", &redis.url(0));
    let mut worker = installation.start("own-worker", OWN_WORKER, &["-n", "same@it"]);
    worker.line("worker ready", SOON).await;
    python.run(&["-c", RESULTS, &redis.url(0), broker, results]).await
}
