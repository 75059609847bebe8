//! What a producer may rely on.

use std::time::Duration;

use redis::AsyncCommands;
use rhubarb_connection::Connections;
use rhubarb_e2e::proxy::{Act, Proxy, Rule, Way};
use rhubarb_queue::{Client, Publish};
use rhubarb_wire::Envelope;

use super::{Bench, WAIT, echo};

#[tokio::test]
async fn a_published_message_is_what_celerys_own_client_pushes() {
    let bench = Bench::new().await;
    let id = bench.publish(&Publish::new("t").arg(1).kwarg("b", "c")).await;
    let mut redis = bench.redis().await;
    let raw: Vec<u8> = redis.rpop("celery", None).await.unwrap();
    let envelope = Envelope::decode(&raw).unwrap();
    assert_eq!((envelope.headers.id.as_str(), envelope.headers.task.as_str()), (id.as_str(), "t"));
    let bindings: Vec<String> = redis.smembers("_kombu.binding.celery").await.unwrap();
    assert_eq!(bindings, ["celery\u{6}\u{16}\u{6}\u{16}celery"]);
}

#[tokio::test]
async fn a_priority_chooses_the_list() {
    let bench = Bench::new().await;
    bench.publish(&Publish::new("t").priority(7)).await;
    let n: u64 = bench.redis().await.llen("celery\u{6}\u{16}6").await.unwrap();
    assert_eq!(n, 1);
}

#[tokio::test]
async fn a_unique_task_is_published_once_within_its_time() {
    let bench = Bench::new().await;
    let unique = Publish::new("t").arg("x").unique_for(Duration::from_secs(60));
    let first = bench.client.publish(&unique).await.unwrap();
    let second = bench.client.publish(&unique).await.unwrap();
    assert!(!first.duplicate && second.duplicate);
    assert_eq!(first.id, second.id);
    let n: u64 = bench.redis().await.llen("celery").await.unwrap();
    assert_eq!(n, 1);
}

#[tokio::test]
async fn many_tasks_published_at_once_arrive_in_order_and_each_in_its_list() {
    let bench = Bench::new().await;
    let task = |n: u32| {
        Publish::new("t").arg(n).with(|options| options.priority = (n % 500 == 499).then_some(9))
    };
    let ids = bench.client.publish_all((0..2_500).map(task)).await.unwrap();
    assert_eq!(ids.len(), 2_500);
    let mut redis = bench.redis().await;
    let arrived = |raw: Vec<Vec<u8>>| -> Vec<String> {
        raw.iter().rev().map(|raw| Envelope::decode(raw).unwrap().headers.id).collect()
    };
    let urgent = |n: &usize| n % 500 != 499;
    let expected = |which: &dyn Fn(&usize) -> bool| -> Vec<String> {
        (0..2_500).filter(which).map(|n| ids[n].clone()).collect()
    };
    let first: Vec<Vec<u8>> = redis.lrange("celery", 0, -1).await.unwrap();
    assert_eq!(arrived(first), expected(&urgent));
    let last: Vec<Vec<u8>> = redis.lrange("celery\u{6}\u{16}9", 0, -1).await.unwrap();
    assert_eq!(arrived(last), expected(&|n| !urgent(n)));
}

#[tokio::test]
async fn of_many_tasks_none_is_published_where_one_is_refused() {
    let bench = Bench::new().await;
    let unique = Publish::new("t").unique_for(WAIT);
    let refused = bench.client.publish_all([Publish::new("t"), unique]).await.unwrap_err();
    assert!(refused.to_string().contains("unique_for"), "{refused}");
    let nameless = bench.client.publish_all([Publish::new("t"), Publish::new("")]).await;
    assert!(nameless.is_err());
    let n: u64 = bench.redis().await.llen("celery").await.unwrap();
    assert_eq!(n, 0);
}

/// Whichever of its two answers is lost, the caller's next try is no duplicate of a task that is
/// not there.
#[tokio::test]
async fn a_unique_task_whose_answer_was_lost_can_be_published_again() {
    let bench = Bench::new().await;
    let proxy = Proxy::start(bench.server.port()).await;
    let mut config = bench.config.clone();
    config.redis.url = proxy.url(0).parse().unwrap();
    let client = Client::new(&Connections::new(&config.redis, "cut").unwrap(), &config);
    for (command, holding) in [("SET", "rhubarb:unique"), ("LPUSH", "celery")] {
        let unique_for = Some(Duration::from_secs(60));
        let unique = Publish { unique_for, ..Publish::new("t").arg(command) };
        proxy.add(Rule::once(Way::ToClient, command, holding, Act::Cut));
        client.publish(&unique).await.unwrap_err();
        let again = client.publish(&unique).await.unwrap();
        assert!(!again.duplicate, "after a lost answer to {command}");
        let waiting: Vec<String> = bench.redis().await.lrange("celery", 0, -1).await.unwrap();
        assert!(waiting.iter().any(|message| message.contains(&again.id)), "{command}");
    }
    assert_eq!(proxy.hits()[&Act::Cut], 2);
}

#[tokio::test]
async fn waiting_tells_each_state_and_ends_with_the_final_one() {
    let bench = Bench::new().await;
    let client = bench.client.clone();
    let worker = bench.worker(move |delivery| {
        let client = client.clone();
        async move {
            let meta = serde_json::json!({"done": 1});
            let state = rhubarb_wire::State::Custom("PROGRESS".to_owned());
            client.set_state(&delivery.envelope().headers.id, state, meta).await.unwrap();
            echo(delivery).await
        }
    });
    let id = uuid::Uuid::new_v4().to_string();
    let (waiting, publishing) = (bench.client.clone(), bench.client.clone());
    let mut seen = Vec::new();
    let wait = waiting.wait(&id, WAIT, |state| seen.push(state.status.as_str().to_owned()));
    let publish = Publish::new("t").arg(5).id(id.clone());
    let (found, _) = tokio::join!(wait, publishing.publish(&publish));
    assert_eq!(found.unwrap().unwrap().result, 5);
    assert_eq!(seen, ["PROGRESS", "SUCCESS"]);
    assert!(worker.stop().await);
}
