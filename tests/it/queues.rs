//! What the command line tells of queues and of a task in them, whoever filled them.

use redis::{AsyncCommands, cmd};
use rhubarb_connection::Connections;
use rhubarb_e2e::{installation::Installation, redis_server::RedisServer};
use rhubarb_queue::{Client, Config, Publish};
use serde_json::Value;

use crate::{BINARIES, shop::SOON};

async fn installation() -> Installation {
    Installation::new(BINARIES, RedisServer::start().await, "")
}

fn client(installation: &Installation) -> Client {
    let mut config = Config::default();
    config.redis.url = installation.redis.url(0).parse().unwrap();
    Client::new(&Connections::new(&config.redis, "e2e").unwrap(), &config)
}

/// Publishes as Celery's programs do, who know nothing of our set of queues.
async fn published_by_celery(installation: &Installation, queue: &str) -> String {
    let task = Publish::new("shop.mail").queue(queue);
    let id = client(installation).publish(&task).await.unwrap().id;
    let _: () = installation.redis.connect(0).await.del("rhubarb:queues").await.unwrap();
    id
}

fn named<'a>(queues: &'a Value, name: &str) -> &'a Value {
    let mut queues = queues.as_array().unwrap().iter();
    queues.find(|queue| queue["name"] == name).unwrap_or(&Value::Null)
}

#[tokio::test]
async fn queues_that_only_celery_uses_are_shown_and_known() {
    let installation = installation().await;
    let id = published_by_celery(&installation, "mail").await;
    let mut redis = installation.redis.connect(0).await;
    // An exchange with two queues, one of a client that waits for replies, and a key that is no
    // set.
    for member in ["a\u{6}\u{16}\u{6}\u{16}news a", "b.#\u{6}\u{16}b.*\u{6}\u{16}news b"] {
        let _: () = redis.sadd("_kombu.binding.news", member).await.unwrap();
    }
    let reply = "1\u{6}\u{16}\u{6}\u{16}1.reply.celery.pidbox";
    let _: () = redis.sadd("_kombu.binding.reply.celery.pidbox", reply).await.unwrap();
    let _: () = redis.set("_kombu.binding.odd", "x").await.unwrap();

    let ran = installation.rhubarb(&["queues", "--json"]).await;
    let queues = ran.json();
    let names: Vec<&str> =
        queues.as_array().unwrap().iter().filter_map(|queue| queue["name"].as_str()).collect();
    assert_eq!(names, ["celery", "mail", "news a", "news b"]);
    assert_eq!((&named(&queues, "mail")["waiting"], ran.stderr.as_str()), (&Value::from(1), ""));
    let task = installation.rhubarb(&["task", &id, "--json"]).await.json();
    assert_eq!((&task["place"], &task["queue"]), (&"waiting".into(), &"mail".into()));

    let report = installation.rhubarb(&["monitor", "--info", "--json"]).await.json();
    assert_eq!(named(&report["queues"], "mail")["waiting"], 1, "{report:#}");
    let namespaces = report["databases"][0]["namespaces"].as_array().unwrap();
    let others = namespaces.iter().filter(|one| one["name"] == "other");
    assert_eq!(others.count(), 0, "{namespaces:#?}");

    let paused = installation.rhubarb(&["pause", "mail"]).await;
    assert_eq!((paused.code, paused.stderr.as_str()), (0, ""));
    let purged = installation.rhubarb(&["purge", "mail", "--yes"]).await;
    assert_eq!((purged.stdout.trim(), purged.stderr.as_str()), ("thrown away: 1 waiting", ""));
}

#[tokio::test]
async fn the_default_queue_and_those_of_routes_are_looked_at_on_a_redis_that_knows_no_queue() {
    let installation = installation().await;
    let routes = "[celery.task_routes]\n\"shop.*\" = \"slow\"\n";
    std::fs::write(installation.configuration(), routes).unwrap();
    let mut redis = installation.redis.connect(0).await;
    for queue in ["celery", "slow"] {
        let id = published_by_celery(&installation, queue).await;
        let _: () = redis.del(format!("_kombu.binding.{queue}")).await.unwrap();
        let _: () = redis.del(format!("_kombu.binding_permanent.{queue}")).await.unwrap();
        let task = installation.rhubarb(&["task", &id, "--json"]).await.json();
        assert_eq!(task["queue"], queue, "{task}");
    }
}

#[tokio::test]
async fn what_was_not_looked_through_for_queues_is_said() {
    let installation = installation().await;
    let load = "for i=1,60000 do redis.call('SET', 'celery-task-meta-'..i, 'x') end";
    cmd("EVAL")
        .arg(load)
        .arg(0)
        .exec_async(&mut installation.redis.connect(0).await)
        .await
        .unwrap();
    let ran = installation.rhubarb(&["queues", "--effort", "0.1"]).await;
    let told = "queues that only Celery's programs use may be missing: ";
    assert!(ran.code == 0 && ran.stderr.contains(told), "{}{}", ran.stdout, ran.stderr);
    let how = " of 60000 keys were looked at; --effort S looks at more";
    assert!(ran.stderr.contains(how), "{}", ran.stderr);
    let all = installation.rhubarb(&["queues", "--effort", "60"]).await;
    assert_eq!((all.code, all.stderr.as_str()), (0, ""));
}

#[tokio::test]
async fn a_task_far_behind_in_its_queue_is_found_and_what_was_not_searched_is_said() {
    let installation = installation().await;
    let mut redis = installation.redis.connect(0).await;
    let client = client(&installation);
    let fill = async |n: u64, redis: &mut redis::aio::MultiplexedConnection| {
        let load = "for i=1,tonumber(ARGV[1]) do redis.call('LPUSH', 'celery', '{}') end";
        cmd("EVAL").arg(load).arg(0).arg(n).exec_async(redis).await.unwrap();
    };
    fill(1_500, &mut redis).await;
    let id = client.publish(&Publish::new("shop.mail")).await.unwrap().id;
    fill(1_500, &mut redis).await;
    let task = installation.rhubarb(&["task", &id, "--json"]).await.json();
    assert_eq!((&task["place"], &task["queue"]), (&"waiting".into(), &"celery".into()));
    let eta = Publish::new("shop.mail").queue("later");
    let id = client.publish(&eta.countdown(SOON * 100)).await.unwrap().id;
    let task = installation.rhubarb(&["task", &id, "--json"]).await.json();
    assert_eq!(task["queue"], "later", "{task}");

    let none = installation.rhubarb(&["task", "7c1e"]).await;
    let told = "nothing is known of task 7c1e; its result may have expired";
    assert!(none.code == 1 && none.stderr.contains(told), "{}", none.stderr);
    fill(100_000, &mut redis).await;
    let none = installation.rhubarb(&["task", "7c1e"]).await;
    assert_eq!(none.code, 1);
    let told = "it is not among the next ";
    assert!(none.stderr.contains(told) && !none.stderr.contains("expired"), "{}", none.stderr);
    assert!(none.stderr.contains("of queue celery, which holds 103001"), "{}", none.stderr);
}

#[tokio::test]
async fn a_key_of_another_type_spoils_its_own_queue_only() {
    let installation = installation().await;
    let mut redis = installation.redis.connect(0).await;
    let _: () = redis.set("celery", "x").await.unwrap();
    let id = published_by_celery(&installation, "mail").await;

    let ran = installation.rhubarb(&["queues"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let told = "queue celery cannot be read: key celery is a string, not a list";
    assert!(ran.stdout.contains(told), "{}", ran.stdout);
    let queues = installation.rhubarb(&["queues", "--json"]).await.json();
    assert_eq!(named(&queues, "mail")["waiting"], 1);
    assert_eq!(named(&queues, "celery")["problem"], "key celery is a string, not a list");
    let task = installation.rhubarb(&["task", &id, "--json"]).await.json();
    assert_eq!(task["queue"], "mail");

    let report = installation.rhubarb(&["monitor", "--info"]).await;
    assert!(report.stdout.contains(told), "{}", report.stdout);
    assert!(report.stdout.contains("mail    "), "{}", report.stdout);
    let metrics = installation.rhubarb(&["monitor", "--info", "--prometheus"]).await.stdout;
    assert!(metrics.contains("rhubarb_queue_waiting{queue=\"mail\"} 1"), "{metrics}");
    assert!(!metrics.contains("rhubarb_queue_waiting{queue=\"celery\"}"), "{metrics}");
}
