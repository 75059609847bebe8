//! Remote control, as Celery's clients broadcast it.

use std::{sync::Arc, time::Duration};

use redis::AsyncCommands;
use rhubarb_connection::Connections;
use rhubarb_consumer::Outcome;
use rhubarb_e2e::{eventually::eventually, file, redis_server::RedisServer};
use rhubarb_queue::{Client, Publish};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{Bench, WAIT, echo};

/// A request with a Celery worker's reply to it, as captured.
fn golden(name: &str) -> (String, Value, Value) {
    let path = file(&format!("../crates/wire/tests/golden/control/control_{name}.json"));
    let capture: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let request = &capture["request"]["body"];
    let reply = &capture["replies"][0]["body"]["w1@vm"];
    (request["method"].as_str().unwrap().to_owned(), request["arguments"].clone(), reply.clone())
}

#[tokio::test]
async fn replies_are_those_of_a_celery_worker_word_for_word() {
    let bench = Bench::with(|config| config.worker.send_task_events = true).await;
    let tasks = vec!["job_scraper.tasks.add".to_owned()].into();
    let worker = bench.worker_of("w", tasks, echo);
    let names = [
        "ping",
        "revoked",
        "rate_limit",
        "rate_limit_2",
        "rate_limit_3",
        "rate_limit_4",
        "time_limit",
        "active_queues",
        "add_consumer",
        "active_queues_2",
        "cancel_consumer",
        "disable_events",
        "enable_events",
        "pool_grow",
        "pool_shrink",
        "no_such_command",
        "revoke",
        "revoked_2",
    ];
    for name in names {
        let (method, arguments, expect) = golden(name);
        assert_eq!(bench.ask(&method, &arguments).await, expect, "{name}");
    }
    assert_eq!(bench.ask("active_queues", &json!({})).await, golden("active_queues").2);
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_running_and_a_scheduled_task_are_shown_as_celery_shows_them() {
    let bench = Bench::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let open = gate.clone();
    let worker = bench.worker(move |_| {
        let gate = gate.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            Outcome::Success(Value::Null)
        }
    });
    let running = bench.publish(&Publish::new("t").arg("ü").kwarg("n", 1)).await;
    let later = Publish::new("t").arg(2).countdown(Duration::from_secs(600));
    let later = bench.publish(&later).await;
    let mut redis = bench.redis().await;
    eventually(WAIT, "one runs and one is scheduled", async || {
        let n: usize = redis.zcard("rhubarb:{celery}:scheduled").await.unwrap();
        (n == 1 && worker.consumer().held() == 1).then_some(())
    })
    .await;

    let active = bench.ask("active", &json!({"safe": null})).await;
    let shape = golden("active").2;
    assert_eq!(keys(&active[0]), keys(&shape[0]));
    assert_eq!(keys(&active[0]["delivery_info"]), keys(&shape[0]["delivery_info"]));
    assert_eq!((&active[0]["id"], &active[0]["type"]), (&json!(running), &json!("t")));
    assert_eq!((&active[0]["args"], &active[0]["kwargs"]), (&json!(["ü"]), &json!({"n": 1})));
    assert!(active[0]["time_start"].as_f64().unwrap() > 1e9, "{active}");

    let scheduled = bench.ask("scheduled", &json!({})).await;
    assert_eq!(keys(&scheduled[0]), keys(&golden("scheduled").2[0]));
    assert_eq!(scheduled[0]["request"]["id"], json!(later));
    assert_eq!(scheduled[0]["request"]["time_start"], Value::Null);

    let asked = json!({"ids": [running, later, "unknown"]});
    let found = bench.ask("query_task", &asked).await;
    assert_eq!((&found[&running][0], &found[&later][0]), (&json!("active"), &json!("scheduled")));
    assert_eq!(found.as_object().unwrap().len(), 2);
    assert_eq!(bench.ask("reserved", &json!({})).await, json!([]));
    open.add_permits(1);
    bench.result(&running).await;
    let stats = bench.ask("stats", &json!({})).await;
    assert_eq!(stats["total"], json!({"t": 1}));
    let expect = golden("stats").2;
    for key in keys(&expect) {
        assert!(stats.get(&key).is_some(), "stats has no {key}: {stats}");
    }
    assert!(worker.stop().await);
}

fn keys(value: &Value) -> Vec<String> {
    let keys = value.as_object().unwrap_or_else(|| panic!("not an object: {value}")).keys();
    keys.cloned().collect()
}

#[tokio::test]
async fn a_worker_whose_slots_are_all_taken_answers() {
    let bench = Bench::with(|config| config.worker.concurrency = 1).await;
    let worker = bench.worker(|_| std::future::pending());
    bench.publish(&Publish::new("t")).await;
    bench.publish(&Publish::new("t")).await;
    eventually(WAIT, "it runs", async || (worker.consumer().held() == 1).then_some(())).await;
    assert_eq!(bench.ask("ping", &json!({})).await, json!({"ok": "pong"}));
    worker.kill();
}

#[tokio::test]
async fn queues_come_and_go_while_the_worker_runs() {
    let bench = Bench::new().await;
    let worker = bench.worker(echo);
    bench.ask("add_consumer", &json!({"queue": "extra"})).await;
    let id = bench.publish(&Publish::new("t").queue("extra").arg(7)).await;
    assert_eq!(bench.result(&id).await.result, json!(7));

    bench.ask("cancel_consumer", &json!({"queue": "extra"})).await;
    let left = bench.publish(&Publish::new("t").queue("extra")).await;
    // Whatever is claimed after this was claimed after the cancellation.
    let id = bench.publish(&Publish::new("t").arg(8)).await;
    assert_eq!(bench.result(&id).await.result, json!(8));
    let mut redis = bench.redis().await;
    assert_eq!(redis.llen::<_, u64>("extra").await.unwrap(), 1);

    bench.ask("add_consumer", &json!({"queue": "extra"})).await;
    bench.result(&left).await;
    assert!(worker.stop().await);
}

/// The claim of a queue that was cancelled meanwhile still has its lease and its end.
#[tokio::test]
async fn what_runs_of_a_cancelled_queue_ends_once() {
    let bench = Bench::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let open = gate.clone();
    let worker = bench.worker(move |_| {
        let gate = gate.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            Outcome::Success(json!("done"))
        }
    });
    let id = bench.publish(&Publish::new("t")).await;
    eventually(WAIT, "it runs", async || (worker.consumer().held() == 1).then_some(())).await;
    bench.ask("cancel_consumer", &json!({"queue": "celery"})).await;
    // Two leases later it is still ours.
    let mut redis = bench.redis().await;
    let since = lease(&mut redis).await;
    eventually(WAIT, "the lease is renewed for two leases", async || {
        (lease(&mut redis).await - since > 2000.0).then_some(())
    })
    .await;
    open.add_permits(1);
    assert_eq!(bench.result(&id).await.result, json!("done"));
    assert_eq!(worker.consumer().counters().late.load(std::sync::atomic::Ordering::Relaxed), 0);
    assert!(worker.stop().await);
}

async fn lease(redis: &mut redis::aio::MultiplexedConnection) -> f64 {
    let leases: Vec<(String, f64)> =
        redis.zrange_withscores("rhubarb:{celery}:leases", 0, -1).await.unwrap();
    leases[0].1
}

#[tokio::test]
async fn the_pool_grows_at_once_and_shrinks_when_tasks_have_ended() {
    let bench = Bench::with(|config| config.worker.concurrency = 1).await;
    let gate = Arc::new(Semaphore::new(0));
    let open = gate.clone();
    let worker = bench.worker(move |_| {
        let gate = gate.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            Outcome::Success(Value::Null)
        }
    });
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(bench.publish(&Publish::new("t")).await);
    }
    let running = async |n: usize| {
        let what = format!("{n} run");
        eventually(WAIT, &what, async || (worker.consumer().held() == n).then_some(())).await;
    };
    running(1).await;
    bench.ask("pool_grow", &json!({"n": 2})).await;
    running(3).await;
    bench.ask("pool_shrink", &json!({"n": 2})).await;
    let stats = bench.ask("stats", &json!({})).await;
    assert_eq!(stats["pool"]["max-concurrency"], json!(1));
    open.add_permits(2);
    running(1).await;
    let refused = bench.ask("pool_shrink", &json!({"n": 1})).await;
    assert!(refused["error"].as_str().unwrap().starts_with("ValueError"), "{refused}");
    // The slots that went are not used again: the last two run one after the other.
    open.add_permits(1);
    running(1).await;
    open.add_permits(1);
    for id in &ids {
        bench.result(id).await;
    }
    assert!(worker.stop().await);
}

#[tokio::test]
async fn garbage_on_the_channel_is_counted_and_harms_nobody() {
    let bench = Bench::new().await;
    let worker = bench.worker(echo);
    let deep = "[".repeat(100_000);
    let large = vec![b'x'; 9 << 20];
    let garbage: [&[u8]; 6] = [
        b"",
        b"\xff\xfe",
        br#"{"body": 7}"#,
        br#"{"body": "eyJtZXRob2QiOiA3fQ==", "properties": {"body_encoding": "base64"}}"#,
        deep.as_bytes(),
        &large,
    ];
    for bytes in garbage {
        bench.broadcast(bytes).await;
    }
    let odd = [
        ("revoke", json!({"task_id": {"a": 1}})),
        ("rate_limit", json!({})),
        ("time_limit", json!({"task_name": "t", "hard": "x"})),
        ("pool_grow", json!({"n": -1})),
        ("pool_grow", json!({"n": 1_000_000})),
        ("add_consumer", json!({"queue": "\n"})),
        ("query_task", json!({"ids": 5})),
        ("revoke_by_stamped_headers", json!({"headers": 5})),
        ("revoke", json!({"task_id": "a", "terminate": true, "signal": "SIGNONE"})),
    ];
    for (method, arguments) in odd {
        let reply = bench.ask(method, &arguments).await;
        assert!(reply["error"].is_string(), "{method} {arguments}: {reply}");
    }
    let stats = bench.ask("stats", &json!({})).await;
    assert_eq!(stats["rhubarb"]["garbage_commands"], json!(garbage.len()));
    let id = bench.publish(&Publish::new("t").arg(1)).await;
    assert_eq!(bench.result(&id).await.result, json!(1));
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_reply_to_a_client_that_has_gone_is_dropped() {
    use rhubarb_wire::control::{Command, ReplyTo};
    let bench = Bench::new().await;
    let worker = bench.worker(echo);
    let command = Command {
        ticket: Some("t".to_owned()),
        reply_to: Some(ReplyTo::client("gone")),
        ..Command::new("ping", serde_json::Map::new())
    };
    bench.broadcast(&command.encode("tag")).await;
    // Answered in order of arrival, so that the first reply is through when the second is here.
    bench.ask("ping", &json!({})).await;
    let mut redis = bench.redis().await;
    assert!(!redis.exists::<_, bool>("gone.reply.celery.pidbox").await.unwrap());
    assert!(worker.stop().await);
}

/// A Python worker that knows of revocations tells a worker that starts.
#[tokio::test]
async fn a_starting_worker_learns_what_others_know_as_revoked() {
    use futures_util::StreamExt;
    use rhubarb_wire::control::{Command, reply};
    let bench = Bench::new().await;
    let mut other = bench.server.listen("/0.celery.pidbox").await;
    let worker = bench.worker(echo);
    let hello = tokio::time::timeout(WAIT, other.on_message().next()).await.unwrap().unwrap();
    let hello = Command::decode(hello.get_payload_bytes(), 1 << 20).unwrap();
    assert_eq!(
        (hello.method.as_str(), &hello.arguments["from_node"]),
        ("hello", &json!("rhubarb@test"))
    );
    let told = json!({"revoked": ["from-python"], "clock": 4711});
    let bytes = reply("celery@py", told, &hello, 4712, "tag").unwrap();
    let to = hello.reply_to.unwrap().routing_key;
    let mut redis = bench.redis().await;
    let _: u64 = redis.lpush(rhubarb_wire::reply_queue(&to), bytes).await.unwrap();
    eventually(WAIT, "it stands in Redis", async || {
        let score: Option<f64> = redis.zscore("rhubarb:revoked", "from-python").await.unwrap();
        score.map(drop)
    })
    .await;
    assert_eq!(bench.ask("revoked", &json!({})).await, json!(["from-python"]));
    let clock = bench.ask("clock", &json!({})).await;
    assert!(clock["clock"].as_u64().unwrap() > 4712, "{clock}");
    let id = Publish::new("t").id("from-python");
    let id = bench.publish(&id).await;
    assert_eq!(bench.result(&id).await.status.to_string(), "REVOKED");
    // Nothing of the question is left.
    assert!(!redis.exists::<_, bool>(rhubarb_wire::reply_queue(&to)).await.unwrap());
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_worker_without_remote_control_still_obeys_what_stands_in_redis() {
    let bench = Bench::with(|config| config.worker.enable_remote_control = false).await;
    let worker = bench.worker(echo);
    let first = bench.publish(&Publish::new("t")).await;
    bench.result(&first).await;
    let mut redis = bench.redis().await;
    let heard: u64 = redis.publish("/0.celery.pidbox", "x").await.unwrap();
    assert_eq!(heard, 0, "nobody listens");
    let keep = Duration::from_secs(60);
    bench.client.revoke("later", false, keep).await.unwrap();
    let later = Publish::new("t").id("later").countdown(Duration::from_secs(2));
    bench.publish(&later).await;
    eventually(WAIT, "it has ended unrun", async || {
        let left: usize = redis.zcard("rhubarb:{celery}:scheduled").await.unwrap();
        (left == 0 && worker.consumer().held() == 0).then_some(())
    })
    .await;
    assert_eq!(bench.result("later").await.status.to_string(), "REVOKED");
    assert!(worker.stop().await);
}

/// A bench whose worker is another user than whoever looks on.
async fn with_a_user(rules: &str) -> Bench {
    let server = RedisServer::start().await;
    server.command(&format!("ACL SETUSER app on >secret ~* +@all {rules}")).await;
    let url = format!("redis://app:secret@127.0.0.1:{}/0", server.port());
    Bench::on(server, |config| config.redis.url = url.parse().unwrap())
}

/// Nobody starts the worker again for an access list that was mended.
#[tokio::test]
async fn remote_control_comes_back_when_the_access_list_allows_it_again() {
    let bench = with_a_user("resetchannels").await;
    let worker = bench.worker(echo);
    let works = async || {
        let id = bench.publish(&Publish::new("t").arg(1)).await;
        assert_eq!(bench.result(&id).await.result, json!(1));
    };
    works().await;
    let mut redis = bench.redis().await;
    let heard: u64 = redis.publish("/0.celery.pidbox", "{}").await.unwrap();
    assert_eq!(heard, 0, "the subscription was refused");
    // The second time it is taken away while the worker hears: its connection then ends.
    for _ in 0..2 {
        bench.server.command("ACL SETUSER app allchannels").await;
        assert_eq!(bench.ask("ping", &json!({})).await, json!({"ok": "pong"}));
        bench.server.forbid_channels("app", "").await;
        eventually(WAIT, "nobody hears", async || {
            let heard: u64 = redis.publish("/0.celery.pidbox", "{}").await.unwrap();
            (heard == 0).then_some(())
        })
        .await;
        // All but the subscription goes on, on a new connection too.
        works().await;
    }
    assert!(worker.stop().await);
}

/// While nothing is heard, a revocation is read from Redis; and nobody asks more than every few
/// seconds.
#[tokio::test]
async fn a_worker_that_may_not_hear_obeys_revocations_and_asks_seldom() {
    let bench = with_a_user("resetchannels").await;
    let worker = bench.worker(echo);
    let later = Publish::new("t").arg(1).countdown(Duration::from_secs(2));
    let id = bench.publish(&later).await;
    let mut admin = bench.config.clone();
    admin.redis.url = bench.server.url(0).parse().unwrap();
    let admin = Client::new(&Connections::new(&admin.redis, "admin").unwrap(), &admin);
    admin.revoke(&id, false, Duration::from_secs(600)).await.unwrap();
    assert_eq!(bench.result(&id).await.status, rhubarb_wire::State::Revoked);
    let mut redis = bench.redis().await;
    let asked = async |redis: &mut _| {
        let stats: String =
            redis::cmd("INFO").arg("commandstats").query_async(redis).await.unwrap();
        let line = stats.lines().find(|line| line.starts_with("cmdstat_subscribe:"));
        let refused = line.and_then(|line| line.split("rejected_calls=").nth(1)).unwrap();
        refused.split(',').next().unwrap().parse::<u32>().unwrap()
    };
    let before = asked(&mut redis).await;
    assert!(before > 1, "it tries again");
    let window = Duration::from_secs(3);
    tokio::time::sleep(window).await;
    // Half of 50 ms at the least, doubling: the eighth try would come after 3.2 s.
    let more = asked(&mut redis).await - before;
    assert!(more <= 7, "{more} in {window:?}");
    assert!(worker.stop().await);
}
