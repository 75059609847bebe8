//! Dead letters and parked tasks: what they tell, how many are kept, and the way back.

use std::time::Duration;

use futures_util::future::join_all;
use redis::{AsyncCommands, aio::MultiplexedConnection};
use rhubarb_consumer::{Delivery, Outcome};
use rhubarb_e2e::eventually::eventually;
use rhubarb_queue::{
    Config, Publish, inspect,
    letter::{self, Letter, LetterFilter, LetterKind},
    replay::{replay, replay_all},
};
use rhubarb_wire::Exception;
use serde_json::Value;

use super::{Bench, WAIT, echo};

async fn never(_: Delivery) -> Outcome {
    std::future::pending().await
}

/// Fails its first run with something that a retry cures, then never ends.
async fn once_then_never(delivery: Delivery) -> Outcome {
    if delivery.envelope().headers.retries > 0 {
        return std::future::pending().await;
    }
    let exception = Exception::builtin("ConnectionError", vec!["the board is away".into()]);
    Outcome::Retry { exception, traceback: None, after: Duration::ZERO, again: Box::default() }
}

async fn dead(bench: &Bench, filter: &LetterFilter) -> Vec<Letter> {
    inspect::letters(&bench.client, LetterKind::Dead, filter, 1_000).await.unwrap()
}

async fn dead_letter(bench: &Bench, id: &str) -> Letter {
    eventually(WAIT, "it is a dead letter", async || {
        letter::find(&bench.client, LetterKind::Dead, id).await.unwrap()
    })
    .await
}

/// Kills this many workers while they run the bench's only message.
async fn kill_workers(bench: &Bench, n: usize) {
    for nth in 0..n {
        let doomed = bench.worker_named(&format!("doomed-{nth}"), once_then_never);
        eventually(WAIT, "it runs again", async || {
            let mut redis = bench.redis().await;
            let claims: Vec<Vec<u8>> =
                redis.hvals(format!("rhubarb:{{celery}}:claims:doomed-{nth}")).await.unwrap();
            let retried = b"\"retries\": 1";
            claims
                .iter()
                .any(|claim| claim.windows(retried.len()).any(|w| w == retried))
                .then_some(())
        })
        .await;
        doomed.kill();
    }
}

/// Pushes messages that nobody can read, of so many bytes, and waits until each is a letter.
async fn push_rubbish(bench: &Bench, numbers: std::ops::Range<usize>, size: usize) {
    let mut redis = bench.redis().await;
    for n in numbers {
        let message = format!("{n}:{}", "x".repeat(size));
        let _: u64 = redis.lpush("celery", &message).await.unwrap();
        eventually(WAIT, "it is kept", async || {
            let newest =
                inspect::letters(&bench.client, LetterKind::Dead, &LetterFilter::default(), 2)
                    .await;
            // Of a large one the message is not read with the list.
            let is_it = |letter: &Letter| match &letter.message {
                Some(kept) => kept.starts_with(&format!("{n}:")),
                None => letter.size == message.len(),
            };
            newest.unwrap().iter().any(is_it).then_some(())
        })
        .await;
    }
}

/// The bytes that are counted, and those that there are.
async fn bytes(redis: &mut MultiplexedConnection, kind: &str) -> (usize, usize) {
    let counted: Option<usize> = redis.get(format!("rhubarb:{kind}:bytes")).await.unwrap();
    let records: Vec<Vec<u8>> = redis.hvals(format!("rhubarb:{kind}:letters")).await.unwrap();
    (counted.unwrap_or(0), records.iter().map(Vec::len).sum())
}

#[tokio::test]
async fn a_letter_tells_each_attempt_with_its_time_worker_and_error() {
    let bench = Bench::with(|config| config.worker.max_deliveries = 2).await;
    let id = bench.publish(&Publish::new("t")).await;
    kill_workers(&bench, 2).await;
    let last = bench.worker(never);
    let letter = dead_letter(&bench, &id).await;
    let told: Vec<(&str, &str)> =
        letter.history.iter().map(|one| (one.worker.as_str(), one.error.as_str())).collect();
    let died = "the worker died, or was silent for longer than its lease";
    let expected = [
        ("rhubarb@test", "ConnectionError('the board is away')"),
        ("doomed-0", died),
        ("doomed-1", died),
        ("rhubarb@test", letter.reason.as_str()),
    ];
    assert_eq!(told, expected);
    assert_eq!(letter.deliveries, 2);
    let times: Vec<&str> = letter.history.iter().map(|one| one.at.as_str()).collect();
    assert!(times.is_sorted() && times.iter().all(|at| at.starts_with("20")), "{times:?}");
    let mut redis = bench.redis().await;
    eventually(WAIT, "its claim has ended", async || (last.consumer().held() == 0).then_some(()))
        .await;
    let left: bool = redis.exists("rhubarb:{celery}:deliveries").await.unwrap();
    assert!(!left, "what was counted is forgotten with the message");
    assert!(last.stop().await);
}

#[tokio::test]
async fn a_retried_letter_begins_with_no_deaths_and_no_result() {
    let bench = Bench::with(|config| config.worker.max_deliveries = 2).await;
    let id = bench.publish(&Publish::new("t").arg("again")).await;
    kill_workers(&bench, 2).await;
    let last = bench.worker(never);
    dead_letter(&bench, &id).await;
    assert_eq!(bench.result(&id).await.status.as_str(), "FAILURE");
    assert!(last.stop().await);

    assert!(replay(&bench.client, LetterKind::Dead, &id).await.unwrap());
    assert_eq!(bench.client.result(&id).await.unwrap(), None, "the old result is gone");
    kill_workers(&bench, 1).await;
    let worker = bench.worker(echo);
    assert_eq!(bench.result(&id).await.result, "again", "one more death is not the third");
    assert!(dead(&bench, &LetterFilter::default()).await.is_empty());
    assert!(worker.stop().await);
}

/// What a replay that was killed after its first step leaves: the letter, and no result.
#[tokio::test]
async fn a_replay_that_died_half_way_is_done_again_and_many_at_once_move_a_message_once() {
    let bench = Bench::new().await;
    let id = bench.publish(&Publish::new("unknown").arg(1)).await;
    let worker = bench.worker(echo);
    eventually(WAIT, "it is parked", async || {
        letter::find(&bench.client, LetterKind::Parked, &id).await.unwrap()
    })
    .await;
    assert!(worker.stop().await);
    let mut redis = bench.redis().await;
    let _: u64 = redis.del(bench.client.result_key(&id)).await.unwrap();

    let replays = (0..10).map(|_| replay(&bench.client, LetterKind::Parked, &id));
    let moved = join_all(replays).await.into_iter().filter(|moved| *moved.as_ref().unwrap());
    assert_eq!(moved.count(), 1);
    assert_eq!(redis.llen::<_, u64>("celery").await.unwrap(), 1);
    assert_eq!(redis.exists::<_, u64>("rhubarb:parked:letters").await.unwrap(), 0);
    assert_eq!(redis.exists::<_, u64>("rhubarb:parked:bytes").await.unwrap(), 0);
}

#[tokio::test]
async fn letters_give_way_by_count_the_oldest_first() {
    let bench = Bench::with(|config| config.worker.max_dead_letters = 3).await;
    let worker = bench.worker(echo);
    push_rubbish(&bench, 0..5, 10).await;
    let kept = dead(&bench, &LetterFilter::default()).await;
    let begins: Vec<String> =
        kept.iter().map(|letter| letter.message.clone().unwrap()[..1].to_owned()).collect();
    assert_eq!(begins, ["4", "3", "2"]);
    let (counted, there) = bytes(&mut bench.redis().await, "dead").await;
    assert_eq!(counted, there);
    assert!(worker.stop().await);
}

#[tokio::test]
async fn letters_give_way_by_bytes_and_the_count_of_bytes_stays_right() {
    let limit = 100_000;
    let bench = Bench::with(|config| config.worker.max_dead_letters_bytes = limit).await;
    let worker = bench.worker(echo);
    push_rubbish(&bench, 0..20, 1_000).await;
    let mut redis = bench.redis().await;
    assert_eq!(dead(&bench, &LetterFilter::default()).await.len(), 20);
    push_rubbish(&bench, 20..23, 45_000).await;
    let kept = dead(&bench, &LetterFilter::default()).await;
    let sizes: Vec<usize> = kept.iter().map(|letter| letter.size).collect();
    assert_eq!(sizes[..2], [45_003, 45_003], "the newest stay");
    let (counted, there) = bytes(&mut redis, "dead").await;
    assert!(counted == there && there <= limit, "{counted} {there}");

    letter::drop_letter(&bench.client, LetterKind::Dead, &kept[0].id).await.unwrap();
    replay(&bench.client, LetterKind::Dead, &kept[1].id).await.unwrap();
    eventually(WAIT, "the replayed one is a letter again", async || {
        letter::find(&bench.client, LetterKind::Dead, &kept[1].id).await.unwrap()
    })
    .await;
    let (counted, there) = bytes(&mut redis, "dead").await;
    assert_eq!(counted, there);

    // One that alone is too much: what is known of it is kept, and it takes no other's place.
    let before = dead(&bench, &LetterFilter::default()).await.len();
    push_rubbish(&bench, 99..100, 2 * limit).await;
    let kept = dead(&bench, &LetterFilter::default()).await;
    assert_eq!((kept.len(), kept[0].size, kept[0].bytes()), (before + 1, 2 * limit + 3, None));
    assert!(worker.stop().await);
}

#[tokio::test]
async fn letters_that_are_too_old_give_way_when_a_worker_starts() {
    let bench = Bench::new().await;
    let worker = bench.worker(echo);
    push_rubbish(&bench, 0..2, 10).await;
    assert!(worker.stop().await);
    let old = dead(&bench, &LetterFilter::default()).await.pop().unwrap();
    let mut redis = bench.redis().await;
    let age: f64 = 31.0 * 86_400_000.0;
    let _: f64 = redis.zincr("rhubarb:dead", &old.id, -age).await.unwrap();
    let worker = bench.worker(echo);
    eventually(WAIT, "the old one is gone", async || {
        let kept = dead(&bench, &LetterFilter::default()).await;
        (kept.len() == 1 && kept[0].id != old.id).then_some(())
    })
    .await;
    let (counted, there) = bytes(&mut redis, "dead").await;
    assert_eq!(counted, there);
    assert!(worker.stop().await);
}

#[tokio::test]
async fn letters_are_found_by_task_queue_reason_and_age() {
    let two = |config: &mut Config| {
        config.worker.queues = vec!["celery".into(), "mail".into()];
        config.worker.max_message_bytes = 2_000;
        config.celery.max_publish_bytes = 1 << 20;
    };
    let bench = Bench::with(two).await;
    let worker = bench.worker(echo);
    let large = "x".repeat(3_000);
    for (task, queue) in [("a", "celery"), ("a", "mail"), ("b", "mail")] {
        let id = bench.publish(&Publish::new(task).arg(large.as_str()).queue(queue)).await;
        dead_letter(&bench, &id).await;
    }
    push_rubbish(&bench, 0..1, 10).await;
    let mut redis = bench.redis().await;
    let oldest = dead(&bench, &LetterFilter::default()).await.pop().unwrap();
    let _: f64 = redis.zincr("rhubarb:dead", &oldest.id, -3_600_000).await.unwrap();

    let some = |text: &str| Some(text.to_owned());
    let all = LetterFilter::default;
    for (filter, n) in [
        (all(), 4),
        (LetterFilter { task: some("a"), ..all() }, 2),
        (LetterFilter { queue: some("mail"), ..all() }, 2),
        (LetterFilter { task: some("a"), queue: some("mail"), ..all() }, 1),
        (LetterFilter { reason: some("MAX_MESSAGE_BYTES"), ..all() }, 3),
        (LetterFilter { older_than: Some(Duration::from_secs(1800)), ..all() }, 1),
        (LetterFilter { older_than: Some(Duration::from_secs(7200)), ..all() }, 0),
        (LetterFilter { task: some("none"), ..all() }, 0),
    ] {
        assert_eq!(dead(&bench, &filter).await.len(), n, "{filter:?}");
    }
    let limited = inspect::letters(&bench.client, LetterKind::Dead, &all(), 3).await.unwrap();
    assert_eq!(limited.len(), 3);

    let replayed = replay_all(&bench.client, LetterKind::Dead, &all()).await.unwrap();
    assert_eq!((replayed.moved, replayed.n_refused, replayed.refused.len()), (1, 3, 3));
    let mail = LetterFilter { queue: some("mail"), ..all() };
    let mails = letter::ids(&bench.client, LetterKind::Dead, &mail).await.unwrap();
    let dropped = letter::drop_letters(&bench.client, LetterKind::Dead, &mails).await.unwrap();
    assert_eq!(dropped, 2);
    assert!(worker.stop().await);
}

/// A worker whose configuration has fewer priority steps gives back, and takes, what one with more
/// has left.
#[tokio::test]
async fn a_list_that_is_no_more_loses_no_message() {
    let mut bench = Bench::new().await;
    let urgent = |priority| Publish::new("t").arg(priority).priority(priority);
    let (claimed, scheduled) = (bench.publish(&urgent(9)).await, urgent(6));
    let doomed = bench.worker(|delivery: Delivery| async move {
        let body = delivery.received.body().unwrap().args[0].clone();
        if body == 9 { std::future::pending().await } else { Outcome::PutOff { after: WAIT / 20 } }
    });
    let scheduled = bench.publish(&scheduled).await;
    eventually(WAIT, "one is claimed and one is scheduled", async || {
        let queues = inspect::queues(&bench.client, &[]).await.unwrap();
        (queues[0].claimed == 1 && queues[0].scheduled == 1).then_some(())
    })
    .await;
    doomed.kill();
    bench.config.celery.priority_steps = vec![0];
    let heir = bench.worker(echo);
    assert_eq!(bench.result(&claimed).await.result, 9);
    assert_eq!(bench.result(&scheduled).await.result, 6);
    assert!(heir.stop().await);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_hides_no_other() {
    let bench = Bench::new().await;
    let worker = bench.worker(echo);
    push_rubbish(&bench, 0..2, 10).await;
    let mut redis = bench.redis().await;
    let ids: Vec<String> = redis.zrange("rhubarb:dead", 0, 0).await.unwrap();
    let _: u64 = redis.hset("rhubarb:dead:letters", &ids[0], "{").await.unwrap();
    assert_eq!(dead(&bench, &LetterFilter::default()).await.len(), 1);
    let shown: Value = serde_json::to_value(dead(&bench, &LetterFilter::default()).await).unwrap();
    assert_eq!(shown[0]["kind"], "dead");
    assert!(worker.stop().await);
}
