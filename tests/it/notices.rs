//! Notices: one address is told of what went wrong, by whoever saw it.

use axum::http::HeaderMap;
use rhubarb_connection::Connections;
use rhubarb_e2e::{eventually::eventually, installation::Installation, redis_server::RedisServer};
use rhubarb_queue::{
    Client, Config, Publish,
    notice::{Notice, NoticeKind},
};
use serde_json::{Value, json};

use crate::{BINARIES, OWN_WORKER, changes::Receiver, shop::SOON};

fn installation(redis: RedisServer, url: &str, more: &str) -> Installation {
    let notify = format!(
        "[scrape]\nallow_private = [\"*\"]\n[notify]\nurl = \"{url}\"\n{more}\n\
         secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n"
    );
    Installation::new(BINARIES, redis, &notify)
}

fn client(installation: &Installation) -> Client {
    let mut config = Config::default();
    config.redis.url = installation.redis.url(0).parse().unwrap();
    Client::new(&Connections::new(&config.redis, "e2e").unwrap(), &config)
}

/// Waits for notices of a kind.
async fn told(receiver: &Receiver, kind: &str, n: usize) -> Vec<(HeaderMap, Value)> {
    eventually(3 * SOON, &format!("{n} notices of {kind} have come"), async || {
        let all = receiver.all().into_iter();
        let told: Vec<_> = all.filter(|(_, body)| body["type"] == kind).collect();
        (told.len() >= n).then_some(told)
    })
    .await
}

/// The worker that fails carries no notice itself; the product's worker beside it does, and tries
/// again where the address refuses.
#[tokio::test]
async fn failures_are_told_once_a_minute_signed_and_until_the_address_takes_it() {
    let (hooks, receiver) = Receiver::open().await;
    receiver.refuse(503);
    let installation = installation(RedisServer::start().await, &hooks.url("/hidden/path"), "");
    let client = client(&installation);
    let _own = installation.start("own", OWN_WORKER, &["--hostname", "own@host"]);
    let tasks = (0..200).map(|_| Publish::new("e2e.fail").kwarg("text", "no, password=hunter2"));
    let ids = client.publish_all(tasks).await.unwrap();
    for id in &ids {
        client.wait(id, SOON, |_| {}).await.unwrap().expect("it ends");
    }
    let _worker = installation.worker(&["--hostname", "product@host"]);

    let all = told(&receiver, "task.failed", 2).await;
    let (refused, _) = &all[0];
    let (headers, body) = all
        .iter()
        .skip(1)
        .find(|(h, _)| h["webhook-id"] == refused["webhook-id"])
        .expect("what was refused comes again under its id");
    assert!(headers["webhook-signature"].to_str().unwrap().starts_with("v1,"));
    let data = &body["data"];
    assert_eq!((&data["task"], &data["queue"]), (&json!("e2e.fail"), &json!("celery")));
    assert_eq!(data["worker"], "own@host");
    let text = data["text"].as_str().unwrap();
    assert!(text.starts_with("Task e2e.fail failed: ") && !text.contains("hunter2"), "{text}");
    // They may have failed in two minutes.
    assert!(receiver.all().len() <= 4, "{:#?}", receiver.all());
}

/// The address refuses for a while: what was left out meanwhile is told by the try that it takes.
#[tokio::test]
async fn what_was_left_out_is_told_until_the_address_has_taken_it() {
    let (hooks, receiver) = Receiver::open().await;
    (0..20).for_each(|_| receiver.refuse(503));
    let installation = installation(RedisServer::start().await, &hooks.url("/"), "");
    let client = client(&installation);
    let _worker = installation.worker(&[]);
    let notice = || {
        let at = "2026-11-30T00:00:00Z".parse().unwrap();
        Notice::new(NoticeKind::TaskFailed, "shop.mail", at, "It failed").task()
    };
    let told_with = async |left_out: u64| {
        eventually(3 * SOON, &format!("{left_out} left out are told"), async || {
            let mut bodies = receiver.all().into_iter().map(|(_, body)| body);
            bodies.any(|body| body["data"]["left_out"] == left_out).then_some(())
        })
        .await;
    };
    client.publish(&notice()).await.unwrap();
    told_with(0).await;
    client.publish(&notice()).await.unwrap();
    told_with(1).await;
    // That try was refused as well.
    let refused = receiver.all().len();
    receiver.take_all();
    let last = eventually(3 * SOON, "the address has taken it", async || {
        receiver.all().get(refused).cloned()
    })
    .await;
    assert_eq!(last.1["data"]["left_out"], 1, "{last:?}");
}

#[tokio::test]
async fn a_queue_that_nobody_serves_is_told_of_by_the_beat_in_slacks_form() {
    let (hooks, receiver) = Receiver::open().await;
    let more = "queue_age = 10\nform = \"slack\"";
    let installation = installation(RedisServer::start().await, &hooks.url("/"), more);
    let _beat = installation.beat(&[]);
    client(&installation).publish(&Publish::new("t").queue("unserved")).await.unwrap();
    let text = eventually(3 * SOON, "it is told", async || {
        let (_, body) = receiver.all().into_iter().next()?;
        body["text"].as_str().map(str::to_owned)
    })
    .await;
    assert!(text.starts_with("The next task of queue unserved has waited for 1"), "{text}");
}
