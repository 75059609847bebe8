//! What became of tasks, as `rhubarb tasks` shows it.

use rhubarb_e2e::{eventually::eventually, redis_server::RedisServer};
use rhubarb_queue::{Publish, statistics};
use serde_json::Value;

use crate::{
    OWN_WORKER,
    shop::{SOON, Shop},
};

async fn tasks(shop: &Shop, args: &[&str]) -> Vec<Value> {
    let found = shop.json(&[&["tasks"], args].concat()).await;
    found.as_array().expect("a list").clone()
}

/// Waits until the history has so many ends.
async fn ends(shop: &Shop, n: usize) -> Vec<Value> {
    eventually(SOON, &format!("{n} ends are told"), async || {
        let found = tasks(shop, &[]).await;
        (found.len() == n).then_some(found)
    })
    .await
}

#[tokio::test]
async fn each_end_and_retry_of_a_task_is_told_with_what_it_was_and_found_again() {
    let shop = Shop::open().await;
    let _worker = shop.installation.start("own", OWN_WORKER, &["--hostname", "own@host"]);
    let client = shop.client();
    let publish = async |task: Publish| client.publish(&task).await.unwrap().id;
    let secret = Publish::new("e2e.sleep").kwarg("seconds", 0.0).kwarg("password", "hunter2");
    let first = publish(Publish::new("e2e.sleep").arg(0.0)).await;
    client.wait(&first, SOON, |_| {}).await.unwrap();
    let panics = publish(Publish::new("e2e.panic")).await;
    let retried = publish(Publish::new("e2e.third_time")).await;
    let unknown = publish(Publish::new("nobody.knows")).await;
    publish(secret).await;

    // Of third_time two retries and its success.
    let all = ends(&shop, 7).await;
    let of = |id: &str| -> Vec<&Value> { all.iter().filter(|end| end["id"] == id).collect() };
    assert_eq!(of(&first)[0]["state"], "SUCCESS", "{all:#?}");
    assert_eq!(of(&first)[0]["worker"], "own@host");
    assert_eq!(of(&first)[0]["args"], "(0.0,)");
    assert!(of(&first)[0]["runtime_ms"].as_f64().is_some_and(|ms| ms < 5000.0));
    assert_eq!(of(&panics)[0]["state"], "FAILURE");
    assert_eq!(of(&unknown)[0]["state"], "PARKED");
    let states: Vec<&Value> = of(&retried).iter().map(|end| &end["state"]).collect();
    assert_eq!(states, ["SUCCESS", "RETRY", "RETRY"]);
    assert!(of(&retried)[1]["due"].is_string());
    assert!(!serde_json::to_string(&all).unwrap().contains("hunter2"));

    assert_eq!(tasks(&shop, &["--state", "retry"]).await.len(), 2);
    assert_eq!(tasks(&shop, &["--task", "third"]).await.len(), 3);
    assert_eq!(tasks(&shop, &["--search", &panics[..13]]).await.len(), 1);
    assert_eq!(tasks(&shop, &["--since", "1h", "--limit", "2"]).await.len(), 2);
    assert_eq!(tasks(&shop, &["--since", "2999-01-01T00:00:00Z"]).await.len(), 0);
    let shown = shop.rhubarb(&["tasks", "--state", "failure"]).await.stdout;
    assert!(shown.contains(&panics) && shown.contains("FAILURE"), "{shown}");

    let counted = eventually(SOON, "the heartbeat adds up", async || {
        let totals = statistics::totals(&client).await.unwrap();
        (totals.ends.values().sum::<u64>() == 7).then_some(totals)
    })
    .await;
    let key = ("celery".to_owned(), "e2e.third_time".to_owned(), "RETRY".to_owned());
    assert_eq!(counted.ends[&key], 2);
    assert_eq!(counted.run["e2e.third_time"].count(), 3);
    // Each attempt, from when it was published or due; what nobody ran says nothing.
    assert_eq!(counted.wait["e2e.third_time"].count(), 3);
    assert!(counted.wait["e2e.third_time"].percentile(1.0).is_some_and(|s| s <= 10.0));
}

#[tokio::test]
async fn a_history_is_bounded_and_can_be_left_out() {
    let shop =
        Shop::open_on(RedisServer::start().await, "[history]\nends = 30\nmax_bytes = 65536\n")
            .await;
    let worker = shop.installation.start("own", OWN_WORKER, &["--hostname", "own@host"]);
    let client = shop.client();
    for _ in 0..100 {
        client.publish(&Publish::new("e2e.sleep").arg(0.0)).await.unwrap();
    }
    eventually(SOON, "all have ended", async || {
        let totals = statistics::totals(&client).await.unwrap();
        (totals.ends.values().sum::<u64>() == 100).then_some(())
    })
    .await;
    assert_eq!(tasks(&shop, &["--limit", "1000"]).await.len(), 30);
    drop(worker);

    let shop = Shop::open_with("[history]\nends = 0\n").await;
    let _worker = shop.installation.start("own", OWN_WORKER, &["--hostname", "own@host"]);
    let client = shop.client();
    let id = client.publish(&Publish::new("e2e.sleep").arg(0.0)).await.unwrap().id;
    client.wait(&id, SOON, |_| {}).await.unwrap();
    assert_eq!(tasks(&shop, &[]).await.len(), 0);
}
