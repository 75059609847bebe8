//! What no queue can be named, whoever names it, and names that look alike.

use std::time::Duration;

use redis::AsyncCommands;
use rhubarb_e2e::{eventually::eventually, installation::Installation, redis_server::RedisServer};
use rhubarb_queue::{
    Publish,
    wire::{Signature, State},
};
use serde_json::{Value, json};

use crate::{
    BINARIES, OWN_WORKER,
    shop::{SOON, Shop},
};

/// The key whose being there pauses the default queue for the whole fleet.
const PAUSE: &str = "rhubarb:{celery}:paused";

/// Names of each kind of other keys.
const NAMES: [&str; 6] = [
    PAUSE,
    "rhubarb:queues",
    "_kombu.binding.celery",
    "unacked",
    "celery-task-meta-1",
    "1.reply.celery.pidbox",
];

#[tokio::test]
async fn every_command_and_setting_refuses_a_queue_named_as_another_key() {
    let installation = Installation::new(BINARIES, RedisServer::start().await, "");
    for name in NAMES {
        for args in [
            &["enqueue", "t", "--queue", name][..],
            &["pause", name],
            &["resume", name],
            &["purge", name, "--yes"],
            &["hand-back", "--queue", name],
            &["schedules", "add", "s", "--task", "t", "--every", "5", "--queue", name],
        ] {
            let ran = installation.rhubarb(args).await;
            assert!(matches!(ran.code, 1 | 2), "{args:?} {}: {}", ran.code, ran.stderr);
            assert!(ran.stderr.contains("no queue can be named"), "{args:?}: {}", ran.stderr);
        }
        for settings in [
            format!("[celery]\ntask_default_queue = \"{name}\"\n"),
            format!("[celery.task_routes]\n\"t.*\" = \"{name}\"\n"),
            format!("[worker]\nqueues = [\"celery\", \"{name}\"]\n"),
            format!("[worker]\nunknown_tasks = \"forward:{name}\"\n"),
            format!("[schedules.s]\ntask = \"t\"\nevery = 5\nqueue = \"{name}\"\n"),
        ] {
            std::fs::write(installation.configuration(), &settings).unwrap();
            let ran = installation.rhubarb(&["queues"]).await;
            assert_eq!(ran.code, 3, "{settings}{}", ran.stderr);
            assert!(ran.stderr.contains("no queue can be named"), "{settings}{}", ran.stderr);
        }
        std::fs::write(installation.configuration(), "").unwrap();
    }
    let mut queue = installation.redis.connect(0).await;
    assert_eq!(queue.keys::<_, Vec<String>>("*").await.unwrap(), [""; 0]);
}

/// A signature whose options name a queue, with an id to look for.
fn to(queue: &str, id: &str) -> Signature {
    let options = json!({"queue": queue, "task_id": id});
    let signature = json!({"task": "e2e.echo", "args": [], "kwargs": {}, "options": options});
    Signature::from_value(signature).unwrap()
}

#[tokio::test]
async fn what_a_message_sends_to_such_a_queue_fails_alone_and_every_queue_goes_on() {
    let shop = Shop::open().await;
    let mut worker = shop.installation.start("own-worker", OWN_WORKER, &["-c", "2"]);
    worker.line("worker ready", SOON).await;
    let client = shop.client();
    for (n, name) in NAMES.into_iter().enumerate() {
        let (link, errback) = (format!("link-{n}"), format!("errback-{n}"));
        let linked = Publish::new("e2e.add").arg(1).arg(2).link(to(name, &link));
        let failing = Publish::new("e2e.fail").arg("on purpose").link_error(to(name, &errback));
        let (linked, failing) =
            (client.publish(&linked).await.unwrap(), client.publish(&failing).await.unwrap());
        let ended = client.wait(&linked.id, SOON, |_| {}).await.unwrap().unwrap();
        assert_eq!((ended.status, ended.result), (State::Success, json!(3)));
        assert_eq!(
            client.wait(&failing.id, SOON, |_| {}).await.unwrap().unwrap().status,
            State::Failure
        );
        let refused = client.wait(&link, SOON, |_| {}).await.unwrap().unwrap();
        assert_eq!(refused.status, State::Failure, "{name}");
        assert!(refused.result.to_string().contains("no queue can be named"), "{refused:?}");
    }
    let after = client.publish(&Publish::new("e2e.add").arg(2).arg(2)).await.unwrap();
    assert_eq!(client.wait(&after.id, SOON, |_| {}).await.unwrap().unwrap().result, json!(4));
    let mut queue = shop.queue().await;
    for (name, there) in [(PAUSE, "none"), ("rhubarb:queues", "set"), ("unacked", "none")] {
        let kind: String = redis::cmd("TYPE").arg(name).query_async(&mut queue).await.unwrap();
        assert_eq!(kind, there, "{name}");
    }
}

#[tokio::test]
async fn remote_control_adds_no_queue_named_as_another_key() {
    let shop = Shop::open().await;
    let Some(python) = shop.python() else { return };
    let _worker = shop.worker(&["-n", "rhubarb@it"]).await;
    let ask = format!(
        "import json; from hire_voo_ai import celery_app as app; \
         print(json.dumps(app.control.add_consumer({PAUSE:?}, reply=True, timeout=5, limit=1)))"
    );
    let told: Value = python.run(&["-c", &ask]).await;
    let text = told.to_string();
    assert!(text.contains("error") && text.contains("no queue can be named"), "{told:#}");
}

#[tokio::test]
async fn a_queue_and_its_namesake_in_braces_share_nothing() {
    let shop = Shop::open().await;
    let mut worker = shop.installation.start("own-worker", OWN_WORKER, &["-Q", "x,{x}"]);
    worker.line("worker ready", SOON).await;
    let (client, mut queue) = (shop.client(), shop.queue().await);
    let add = |queue: &str| Publish::new("e2e.add").arg(1).arg(2).queue(queue);
    assert_eq!(shop.rhubarb(&["pause", "x"]).await.code, 0);
    let (held, ran) =
        (client.publish(&add("x")).await.unwrap(), client.publish(&add("{x}")).await.unwrap());
    assert_eq!(client.wait(&ran.id, SOON, |_| {}).await.unwrap().unwrap().status, State::Success);
    assert!(client.result(&held.id).await.unwrap().is_none(), "x is paused");
    let later = add("{x}").countdown(Duration::from_secs(600));
    client.publish(&later).await.unwrap();
    eventually(SOON, "it waits in the schedule of its own queue", async || {
        let n: u64 = queue.zcard("rhubarb:rhubarb:{x}:scheduled").await.unwrap();
        (n == 1).then_some(())
    })
    .await;
    let told = shop.json(&["queues"]).await;
    let of = |name: &str| told.as_array().unwrap().iter().find(|q| q["name"] == name).cloned();
    let (x, braced) = (of("x").unwrap(), of("{x}").unwrap());
    assert_eq!((&x["scheduled"], &x["paused"]), (&json!(0), &json!(true)), "{told:#}");
    assert_eq!((&braced["scheduled"], &braced["paused"]), (&json!(1), &json!(false)), "{told:#}");
    assert_eq!(shop.rhubarb(&["resume", "x"]).await.code, 0);
    assert_eq!(client.wait(&held.id, SOON, |_| {}).await.unwrap().unwrap().status, State::Success);
}

/// Somebody's list stands where the pause is looked up.
#[tokio::test]
async fn a_key_of_another_type_that_stops_a_queue_is_named_once_and_when_it_is_gone() {
    let shop = Shop::open().await;
    let mut redis = shop.queue().await;
    let _: u64 = redis.lpush(PAUSE, "x").await.unwrap();
    let mut worker = shop.installation.start("own-worker", OWN_WORKER, &[]);
    let told = worker.line("not claimed from until that key is gone", SOON).await;
    let names = format!("key {PAUSE} is a list, not a string");
    assert!(told.contains(&names), "{told}");
    let id = shop.client().publish(&Publish::new("e2e.add").arg(1).arg(2)).await.unwrap().id;
    let _: u64 = redis.del(PAUSE).await.unwrap();
    worker.line("the queue is claimed from again", SOON).await;
    let result = shop.client().wait(&id, SOON, |_| {}).await.unwrap().unwrap();
    assert_eq!(result.result, json!(3));
    let log = worker.stdout();
    assert_eq!(log.matches("not claimed from until").count(), 1, "{log}");
    assert!(!log.contains("claiming failed"), "{log}");
}
