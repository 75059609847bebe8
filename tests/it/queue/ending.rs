//! How claims end: results, retries, letters, late acknowledgements.

use std::{sync::atomic::Ordering, time::Duration};

use redis::AsyncCommands;
use rhubarb_consumer::Outcome;
use rhubarb_e2e::eventually::eventually;
use rhubarb_queue::{
    Publish, inspect,
    letter::{self, LetterFilter, LetterKind},
    replay::replay,
};
use rhubarb_wire::Exception;
use serde_json::{Value, json};

use super::{Bench, WAIT, echo};

#[tokio::test]
async fn a_success_is_stored_and_nothing_of_the_claim_is_left() {
    let bench = Bench::new().await;
    let worker = bench.worker(echo);
    let id = bench.publish(&Publish::new("t").arg(json!({"a": [1, null]}))).await;
    let result = bench.result(&id).await;
    assert_eq!(result.status.as_str(), "SUCCESS");
    assert_eq!(result.result, json!({"a": [1, null]}));
    assert!(result.date_done.is_some());
    assert!(worker.stop().await);
    let mut redis = bench.redis().await;
    let ttl: i64 = redis.ttl(format!("celery-task-meta-{id}")).await.unwrap();
    assert!(ttl > 86_000, "{ttl}");
    let mut left: Vec<String> = redis.keys("rhubarb:{celery}*").await.unwrap();
    left.retain(|key| !key.ends_with(":leases") && !key.ends_with(":looks"));
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_stored_success_is_never_overwritten() {
    let bench = Bench::new().await;
    let id = "11111111-1111-4111-8111-111111111111";
    let stored = format!(
        r#"{{"status": "SUCCESS", "result": 1, "traceback": null, "children": [], "date_done": null, "task_id": "{id}"}}"#
    );
    let mut redis = bench.redis().await;
    let _: () = redis.set(format!("celery-task-meta-{id}"), &stored).await.unwrap();
    let worker = bench.worker(|_| async {
        Outcome::Failure {
            exception: Exception::builtin("ValueError", vec!["x".into()]),
            traceback: None,
        }
    });
    bench.publish(&Publish::new("t").id(id)).await;
    eventually(WAIT, "it has run", async || {
        (worker.consumer().counters().processed.load(Ordering::SeqCst) == 1).then_some(())
    })
    .await;
    let now: String = redis.get(format!("celery-task-meta-{id}")).await.unwrap();
    assert_eq!(now, stored);
    assert!(worker.stop().await);
}

#[tokio::test]
async fn nothing_is_stored_where_the_result_is_ignored() {
    let bench = Bench::new().await;
    let worker = bench.worker(echo);
    let id =
        bench.publish(&Publish::new("t").with(|options| options.ignore_result = Some(true))).await;
    eventually(WAIT, "it has run", async || {
        (worker.consumer().counters().processed.load(Ordering::SeqCst) == 1).then_some(())
    })
    .await;
    assert!(bench.client.result(&id).await.unwrap().is_none());
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_retry_keeps_the_id_counts_and_waits_in_redis() {
    let bench = Bench::new().await;
    let worker = bench.worker(|delivery| async move {
        let headers = &delivery.envelope().headers;
        if headers.retries < 2 {
            let exception = Exception::builtin("OSError", vec!["again".into()]);
            return Outcome::Retry {
                exception,
                traceback: None,
                after: Duration::from_millis(300),
                again: Box::default(),
            };
        }
        Outcome::Success(json!([headers.retries, headers.parent_id == Some(headers.id.clone())]))
    });
    let id = bench.publish(&Publish::new("t")).await;
    let mut states = Vec::new();
    let found = bench.client.wait(&id, WAIT, |s| states.push(s.status.as_str().to_owned())).await;
    assert_eq!(found.unwrap().unwrap().result, json!([2, true]));
    assert!(states.contains(&"RETRY".to_owned()), "{states:?}");
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_task_that_is_put_off_runs_later_and_counts_nothing() {
    let bench = Bench::new().await;
    let first = std::sync::atomic::AtomicBool::new(true);
    let worker = bench.worker(move |delivery| {
        let first = first.swap(false, Ordering::SeqCst);
        async move {
            if first {
                return Outcome::PutOff { after: Duration::from_millis(200) };
            }
            Outcome::Success(json!(delivery.envelope().headers.retries))
        }
    });
    let id = bench.publish(&Publish::new("t")).await;
    assert_eq!(bench.result(&id).await.result, 0);
    assert!(worker.stop().await);
}

#[tokio::test]
async fn what_cannot_be_read_is_a_dead_letter_with_the_reason_and_the_worker_goes_on() {
    let bench = Bench::with(|config| config.worker.max_message_bytes = 200_000).await;
    let mut redis = bench.redis().await;
    let headers = r#""headers": {"task": "t", "id": "big"}, "properties": {"delivery_tag": "x"}"#;
    let big = format!(
        r#"{{"body": "{}", "content-type": "application/json", "content-encoding": "utf-8", {headers}}}"#,
        "A".repeat(300_000)
    );
    for message in ["not json", "[]", "\u{0}", r#"{"headers": {"task": "t"}}"#, &big] {
        let _: u64 = redis.lpush("celery", message).await.unwrap();
    }
    let worker = bench.worker(echo);
    let id = bench.publish(&Publish::new("t").arg("fine")).await;
    assert_eq!(bench.result(&id).await.result, "fine");
    let dead = eventually(WAIT, "five dead letters", async || {
        let dead = inspect::letters(&bench.client, LetterKind::Dead, &LetterFilter::default(), 10)
            .await
            .unwrap();
        (dead.len() == 5).then_some(dead)
    })
    .await;
    assert!(dead.iter().all(|letter| !letter.reason.is_empty() && letter.sha256.len() == 64));
    let big_one = dead.iter().find(|letter| letter.id == "big").expect("its id was found");
    assert_eq!(big_one.size, big.len());
    assert!(big_one.message.is_none() && big_one.headers.as_ref().unwrap().contains("\"big\""));
    assert_eq!(bench.result("big").await.status.as_str(), "FAILURE");
    assert!(
        replay(&bench.client, LetterKind::Dead, "big").await.is_err(),
        "its message was not kept"
    );
    assert!(worker.stop().await);
}

#[tokio::test]
async fn an_unknown_task_is_parked_and_runs_after_a_replay() {
    let mut bench = Bench::new().await;
    let worker = bench.worker(echo);
    let id = bench.publish(&Publish::new("other").arg(1)).await;
    eventually(WAIT, "it is parked", async || {
        letter::find(&bench.client, LetterKind::Parked, &id).await.unwrap()
    })
    .await;
    assert!(bench.client.result(&id).await.unwrap().is_none(), "a parked task has no result");
    assert_eq!(inspect::task(&bench.client, &id).await.unwrap().place, "parked");
    assert!(worker.stop().await);
    assert!(replay(&bench.client, LetterKind::Parked, &id).await.unwrap());
    bench.tasks.push("other".to_owned());
    let worker = bench.worker(echo);
    assert_eq!(bench.result(&id).await.result, 1);
    assert!(letter::find(&bench.client, LetterKind::Parked, &id).await.unwrap().is_none());
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_parked_task_runs_by_itself_once_a_worker_knows_it() {
    let mut bench = Bench::new().await;
    let worker = bench.worker(echo);
    let id = bench.publish(&Publish::new("other").arg(1)).await;
    eventually(WAIT, "it is parked", async || {
        letter::find(&bench.client, LetterKind::Parked, &id).await.unwrap()
    })
    .await;
    bench.tasks.push("other".to_owned());
    let newer = bench.worker(echo);
    assert_eq!(bench.result(&id).await.result, 1);
    assert!(worker.stop().await && newer.stop().await);
}

#[tokio::test]
async fn a_task_that_another_worker_of_ours_knows_is_left_for_it() {
    let mut bench = Bench::new().await;
    let worker = bench.worker(|_| async { Outcome::Success("wrong".into()) });
    bench.tasks = vec!["other".to_owned()];
    let other = bench.worker(echo);
    eventually(WAIT, "both are registered", async || {
        let workers = inspect::workers(&bench.client).await.unwrap();
        (workers.len() == 2).then_some(())
    })
    .await;
    let mut ids = Vec::new();
    for n in 0..50 {
        ids.push((n, bench.publish(&Publish::new("other").arg(n)).await));
    }
    for (n, id) in ids {
        assert_eq!(bench.result(&id).await.result, n);
    }
    assert_eq!(worker.consumer().counters().parked.load(Ordering::Relaxed), 0);
    assert!(worker.stop().await && other.stop().await);
}

#[tokio::test]
async fn an_unknown_task_is_forwarded_by_setting() {
    let bench = Bench::with(|config| {
        config.worker.unknown_tasks =
            rhubarb_queue::config::UnknownTasks::Forward("python".to_owned());
    })
    .await;
    let worker = bench.worker(|_| async { Outcome::Unknown });
    bench.publish(&Publish::new("other")).await;
    let mut redis = bench.redis().await;
    eventually(WAIT, "it is on the other queue", async || {
        let n: u64 = redis.llen("python").await.unwrap();
        (n == 1).then_some(())
    })
    .await;
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_result_that_is_too_large_is_a_failure_that_says_so() {
    let bench = Bench::with(|config| config.worker.max_result_bytes = 1000).await;
    let worker = bench.worker(|_| async { Outcome::Success(Value::String("x".repeat(2000))) });
    let id = bench.publish(&Publish::new("t")).await;
    let result = bench.result(&id).await;
    assert_eq!(result.status.as_str(), "FAILURE");
    assert!(result.result["exc_message"][0].as_str().unwrap().contains("max_result_bytes"));
    assert!(worker.stop().await);
}

#[tokio::test]
async fn results_on_another_database_are_written_before_the_claim_ends() {
    let bench = Bench::with(|config| {
        config.redis.results_db = Some(5);
    })
    .await;
    let worker = bench.worker(echo);
    let id = bench.publish(&Publish::new("t").arg(7)).await;
    assert_eq!(bench.result(&id).await.result, 7);
    let there: bool =
        bench.server.connect(5).await.exists(format!("celery-task-meta-{id}")).await.unwrap();
    assert!(there);
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_late_acknowledgement_changes_nothing_and_is_counted() {
    let bench = Bench::new().await;
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let worker = bench.worker_named("w1", {
        let gate = gate.clone();
        move |_| {
            let gate = gate.clone();
            async move {
                gate.notified().await;
                Outcome::Success(json!("late"))
            }
        }
    });
    let id = bench.publish(&Publish::new("t")).await;
    let mut redis = bench.redis().await;
    let claims = "rhubarb:{celery}:claims:w1";
    // As if the lease had ended and another worker had taken the message back.
    eventually(WAIT, "it is claimed", async || {
        let n: u64 = redis.del(claims).await.unwrap();
        (n == 1).then_some(())
    })
    .await;
    gate.notify_one();
    eventually(WAIT, "the late acknowledgement is counted", async || {
        (worker.consumer().counters().late.load(Ordering::SeqCst) == 1).then_some(())
    })
    .await;
    assert!(bench.client.result(&id).await.unwrap().is_none());
    assert!(worker.stop().await);
}
