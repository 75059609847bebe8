//! `rhubarb hand-back`.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use rhubarb_e2e::{eventually::eventually, process::Signal};
use rhubarb_queue::Publish;
use serde_json::{Value, json};

use super::{celery_worker, int, own_worker, shop_with_lease, waiting_ids};
use crate::shop::{SOON, Shop};

const SCHEDULED: &str = "rhubarb:{celery}:scheduled";
const PARKED: &str = "rhubarb:parked";

async fn holds(queue: &mut MultiplexedConnection, command: &str, key: &str, n: usize) {
    let what = format!("{command} {key} is {n}");
    eventually(SOON, &what, async || (int(queue, command, key).await == n).then_some(())).await;
}

/// Our worker is killed with tasks in its hands, others waiting for their time, and some parked:
/// after `hand-back` a real Celery worker finishes all of it.
#[tokio::test]
async fn everything_of_a_killed_worker_is_finished_by_celery() {
    let shop = shop_with_lease(2).await;
    let Some(python) = shop.python() else { return };
    let (client, mut queue) = (shop.client(), shop.queue().await);
    let mut worker = own_worker(&shop, &["--concurrency", "4"]);
    let publish = async |publish: Publish| client.publish(&publish).await.unwrap().id;
    for n in 0..3 {
        publish(Publish::new("python.echo").arg(n)).await;
    }
    holds(&mut queue, "ZCARD", PARKED, 3).await;
    // Claimed together, they were parked in no order of ours.
    let parked: Vec<String> =
        redis::cmd("ZRANGE").arg(PARKED).arg(0).arg(-1).query_async(&mut queue).await.unwrap();
    let eta = Publish::new("e2e.sleep").arg(0).countdown(Duration::from_secs(15));
    let mut scheduled = vec![publish(Publish::new("e2e.later").arg(12)).await];
    scheduled.push(publish(eta).await);
    holds(&mut queue, "ZCARD", SCHEDULED, 2).await;
    let mut claimed = Vec::new();
    for _ in 0..3 {
        claimed.push(publish(Publish::new("e2e.sleep").arg(600)).await);
    }
    let claims = eventually(SOON, "they are claimed", async || {
        let keys: Vec<String> = redis::cmd("KEYS")
            .arg("rhubarb:{celery}:claims:*")
            .query_async(&mut queue)
            .await
            .unwrap();
        keys.into_iter().next()
    })
    .await;
    holds(&mut queue, "HLEN", &claims, 3).await;

    let ran = shop.rhubarb(&["hand-back"]).await;
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    let sentence = format!("(process {})", worker.id());
    assert!(ran.stderr.contains(&sentence), "it names the live worker: {}", ran.stderr);
    worker.signal(Signal::KILL);
    worker.ended(SOON).await;

    let told = eventually(SOON, "its lease has ended", async || {
        let ran = shop.rhubarb(&["hand-back", "--json"]).await;
        (ran.code == 0).then(|| ran.json())
    })
    .await;

    let expect = json!({"claimed": 3, "scheduled": 2, "parked": 3});
    assert_eq!(told["queues"]["celery"], expect, "{told:#}");
    let all = [claimed, parked, scheduled].concat();
    assert_eq!(waiting_ids(&mut queue).await, all, "the oldest is next");
    let mut left: Vec<String> =
        redis::cmd("KEYS").arg("rhubarb:{celery}:*").query_async(&mut queue).await.unwrap();
    left.sort();
    let kept = ["rhubarb:{celery}:deliveries", "rhubarb:{celery}:looks"];
    assert_eq!(left, kept, "only the count of deaths stays, and when leases were last looked at");

    let _celery = celery_worker(&shop, &python, &["-P", "solo"]);
    for id in &all {
        let result = client.wait(id, SOON, |_| {}).await.unwrap();
        let result = result.unwrap_or_else(|| panic!("{id} was not finished"));
        let by = result.result.get("by").unwrap_or(&result.result);
        assert_eq!(*by, "python", "{result:?}");
    }
}

/// SIGKILL in the middle: what was moved is back, the rest is where it was, and a second run does
/// it.
#[tokio::test]
async fn a_death_half_way_loses_nothing_and_doubles_nothing() {
    const N: usize = 20_000;
    let shop = Shop::open().await;
    let mut queue = shop.queue().await;
    fill(&mut queue, N).await;

    let mut handing = shop.installation.rhubarb_started(&["hand-back"]);
    eventually(SOON, "some are back", async || {
        (int(&mut queue, "LLEN", "celery").await > 0).then_some(())
    })
    .await;
    handing.kill();

    let moved = int(&mut queue, "LLEN", "celery").await;
    let there = int(&mut queue, "ZCARD", SCHEDULED).await + int(&mut queue, "ZCARD", PARKED).await;
    assert_eq!(moved + there, 2 * N);
    assert!(there > 0, "it was done before it was killed");
    assert_eq!(
        int(&mut queue, "ZCARD", PARKED).await,
        int(&mut queue, "HLEN", "rhubarb:parked:letters").await
    );
    shop.json(&["hand-back"]).await;
    let ids = waiting_ids(&mut queue).await;
    let order = |from: usize| (from..from + N).map(|n| format!("id{n}"));
    let expect: Vec<String> = order(N).chain(order(0)).collect();
    assert_eq!(ids, expect, "the parked, then the scheduled, each the oldest first");
}

/// `n` scheduled messages, due in order, and then `n` parked ones.
async fn fill(queue: &mut MultiplexedConnection, n: usize) {
    let message = |n: usize| {
        json!({"headers": {"id": format!("id{n}"), "task": "t"}, "body": "W10="}).to_string()
    };
    let letter = |n: usize| {
        json!({"id": format!("id{n}"), "kind": "parked", "reason": "r", "queue": "celery", "task": "t",
               "at": "2026-11-24T00:00:00+00:00", "size": 1, "sha256": "", "message": message(n), "deliveries": 0})
        .to_string()
    };
    redis::cmd("SADD").arg("rhubarb:queues").arg("celery").query_async::<()>(queue).await.unwrap();
    for chunk in (0..n).collect::<Vec<_>>().chunks(1_000) {
        let mut pipeline = redis::pipe();
        for &one in chunk {
            let due = 4_000_000_000_000_usize + one;
            pipeline
                .cmd("ZADD")
                .arg(SCHEDULED)
                .arg(due)
                .arg(format!("1|{}", message(one)))
                .ignore();
            let parked = n + one;
            pipeline.cmd("ZADD").arg(PARKED).arg(parked).arg(format!("id{parked}")).ignore();
            pipeline
                .cmd("HSET")
                .arg("rhubarb:parked:letters")
                .arg(format!("id{parked}"))
                .arg(letter(parked))
                .ignore();
        }
        pipeline.query_async::<()>(queue).await.unwrap();
    }
}

#[tokio::test]
async fn a_look_changes_nothing_other_queues_are_left_and_the_dead_stay() {
    let shop = Shop::open().await;
    let mut queue = shop.queue().await;
    fill(&mut queue, 30).await;
    let dead = json!({"id": "d", "kind": "dead", "reason": "r", "queue": "celery", "task": "t", "at": "",
                      "size": 1, "sha256": "", "message": "{}", "deliveries": 0});
    let mut pipeline = redis::pipe();
    pipeline.cmd("ZADD").arg("rhubarb:dead").arg(1).arg("d").ignore();
    pipeline.cmd("HSET").arg("rhubarb:dead:letters").arg("d").arg(dead.to_string()).ignore();
    pipeline.query_async::<()>(&mut queue).await.unwrap();
    let counts = |told: &Value| told["queues"]["celery"].clone();
    let expect = json!({"claimed": 0, "scheduled": 30, "parked": 30});

    let look = shop.json(&["hand-back", "--dry-run"]).await;
    assert_eq!(counts(&look), expect);
    let other = shop.json(&["hand-back", "--queue", "mail"]).await;
    assert_eq!(other["queues"], json!({"mail": {"claimed": 0, "scheduled": 0, "parked": 0}}));
    assert_eq!(int(&mut queue, "LLEN", "celery").await, 0);

    let told = shop.json(&["hand-back"]).await;
    assert_eq!(counts(&told), expect);
    assert_eq!(told["dead"], 1);
    assert_eq!(int(&mut queue, "ZCARD", "rhubarb:dead").await, 1);
}
