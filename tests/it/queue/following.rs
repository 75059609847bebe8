//! What follows a task: callbacks, chains and chords, through deaths, other databases and sizes
//! that are too large.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use redis::{AsyncCommands, aio::MultiplexedConnection};
use rhubarb_connection::ResultsUrl;
use rhubarb_consumer::{Delivery, Outcome};
use rhubarb_e2e::{eventually::eventually, redis_server::RedisServer};
use rhubarb_queue::{Publish, letter::LetterKind, replay::replay};
use rhubarb_wire::{
    Envelope, Exception, Signature,
    canvas::{chain, chord, group},
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{Bench, WAIT};

/// A handler that does what the keyword argument `do` says, and else returns its first argument.
async fn act(delivery: Delivery) -> Outcome {
    let body = delivery.received.body().unwrap();
    let first = body.args.first().cloned().unwrap_or_default();
    let numbers = || first.as_array().into_iter().flatten().filter_map(Value::as_i64);
    match body.kwargs.get("do").and_then(Value::as_str) {
        Some("sum") => Outcome::Success(json!(numbers().sum::<i64>())),
        Some("grow") => Outcome::Success(json!("x".repeat(15_000))),
        Some("fail") => Outcome::Failure {
            exception: Exception::builtin("ValueError", vec!["boom".into()]),
            traceback: None,
        },
        Some("dead") => Outcome::Dead {
            reason: "it cannot be".to_owned(),
            exception: Exception::decode_error("it cannot be"),
        },
        _ => Outcome::Success(first),
    }
}

fn t() -> Signature {
    Signature::new("t")
}

fn does(what: &str) -> Signature {
    t().kwarg("do", what)
}

fn sum() -> Signature {
    does("sum")
}

/// The ids of a signature's tasks, so that a test can look at each.
fn named(signature: Signature, id: &str) -> Signature {
    signature.set_option("task_id", id)
}

async fn messages(redis: &mut MultiplexedConnection, queue: &str) -> Vec<Envelope> {
    let list: Vec<Vec<u8>> = redis.lrange(queue, 0, -1).await.unwrap();
    list.iter().map(|bytes| Envelope::decode(bytes).unwrap()).collect()
}

async fn state(bench: &Bench, id: &str) -> (String, Value) {
    let result = bench.result(id).await;
    let told = result.exception().map_or(result.result, |exception| json!(exception.to_string()));
    (result.status.to_string(), told)
}

#[tokio::test]
async fn callbacks_and_the_next_step_are_published_in_the_step_that_ends_the_task() {
    let bench = Bench::new().await;
    let worker = bench.worker(act);
    let next = named(t().queue("elsewhere"), "next");
    let callback = named(t().arg("more"), "callback");
    let first = named(t().arg(7), "first").link(callback);
    let result = bench.client.apply(chain(vec![first, next])).await.unwrap();
    assert_eq!(result.id, "next");
    assert_eq!(state(&bench, "callback").await, ("SUCCESS".into(), json!(7)));
    let first = bench.result("first").await;
    assert_eq!(first.children, json!([[["callback", null], null], [["next", null], null]]));
    let mut redis = bench.redis().await;
    let waiting = messages(&mut redis, "elsewhere").await;
    let headers = &waiting[0].headers;
    assert_eq!((waiting.len(), headers.id.as_str()), (1, "next"));
    assert_eq!(headers.parent_id.as_deref(), Some("first"));
    assert_eq!(headers.root_id.as_deref(), Some("first"));
    assert_eq!(waiting[0].body(10_000).unwrap().args, [json!(7)]);
    assert!(worker.stop().await);
}

#[tokio::test]
async fn results_on_another_database_end_chords_too() {
    let bench = Bench::with(|config| {
        config.redis.results_db = Some(5);
    })
    .await;
    let worker = bench.worker(act);
    let inner = chord(vec![t().arg(1), t().arg(2)], sum());
    let failing = chord(vec![t().arg(1), does("fail")], sum());
    let result = bench.client.apply(chord(vec![inner, t().arg(4)], sum())).await.unwrap();
    assert_eq!(bench.result(&result.id).await.result, 7);
    let result = bench.client.apply(failing).await.unwrap();
    let (status, told) = state(&bench, &result.id).await;
    assert_eq!(status, "FAILURE");
    assert!(told.as_str().unwrap().contains("raised ValueError('boom')"), "{told}");
    assert!(worker.stop().await);
}

#[tokio::test]
async fn whatever_ends_a_member_ends_its_chord() {
    let bench = Bench::new().await;
    let worker = bench.worker(act);
    for member in [does("fail"), does("dead"), t().expires(-5.0)] {
        let member = chain(vec![member, t(), t()]);
        let inner = chord(vec![t().arg(1), member], sum());
        let errback = named(t().queue("errbacks"), "errback");
        let outer = chord(vec![inner, t().arg(2)], sum()).link_error(errback);
        let result = bench.client.apply(outer).await.unwrap();
        let (status, told) = state(&bench, &result.id).await;
        assert_eq!(status, "FAILURE");
        assert!(told.as_str().unwrap().starts_with("ChordError("), "{told}");
    }
    let mut redis = bench.redis().await;
    // Of each canvas the inner body and the outer one: Celery 5.7 links the errbacks of a chord to
    // both.
    eventually(WAIT, "each body's errback is published", async || {
        (messages(&mut redis, "errbacks").await.len() == 6).then_some(())
    })
    .await;
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_dead_letter_fails_its_chain_and_a_replay_runs_it_all() {
    let bench = Bench::new().await;
    let worker = bench.worker(act);
    let steps = vec![named(does("dead"), "one"), named(t(), "two"), named(t(), "three")];
    bench.client.apply(chain(steps)).await.unwrap();
    for id in ["one", "two", "three"] {
        assert_eq!(
            state(&bench, id).await,
            ("FAILURE".into(), json!("DecodeError('it cannot be')")),
            "{id}"
        );
    }
    assert!(worker.stop().await);
    let worker = bench.worker(super::echo);
    assert!(replay(&bench.client, LetterKind::Dead, "one").await.unwrap());
    eventually(WAIT, "the chain has run after all", async || {
        let result = bench.client.result("three").await.unwrap();
        result.filter(|result| result.status.to_string() == "SUCCESS")
    })
    .await;
    assert!(worker.stop().await);
}

/// Queue and results on two servers, so that the queue's can die between the two steps: the part is
/// counted, and the worker dies before it could end its claim.
#[tokio::test]
async fn a_part_counts_once_though_its_worker_dies_before_it_could_end_its_claim() {
    let results = RedisServer::start().await;
    let mut bench = Bench::on(RedisServer::start_durable().await, |config| {
        config.redis.results_url = Some(ResultsUrl::At(results.url(0).parse().unwrap()));
    });
    let gates: Arc<BTreeMap<i64, Semaphore>> =
        Arc::new((0..2).map(|n| (n, Semaphore::new(0))).collect());
    let gated = {
        let gates = gates.clone();
        move |delivery: Delivery| {
            let gates = gates.clone();
            async move {
                let nth = delivery.received.body().unwrap().args[0].as_i64().unwrap();
                gates[&nth].acquire().await.unwrap().forget();
                Outcome::Success(json!(nth + 10))
            }
        }
    };
    let first = bench.worker_named("w1", gated.clone());
    let header = vec![named(t().arg(0), "zero"), named(t().arg(1), "one")];
    let body = named(sum().queue("elsewhere"), "body");
    let result = bench.client.apply(chord(header, body)).await.unwrap();
    let group = result.parent.map(|parent| parent.id).unwrap();
    let mut redis = bench.redis().await;
    eventually(WAIT, "both are claimed", async || {
        let n: u64 = redis.hlen("rhubarb:{celery}:claims:w1").await.unwrap();
        (n == 2).then_some(())
    })
    .await;
    bench.server.kill();
    gates[&1].add_permits(1);
    let mut counts = results.connect(0).await;
    let key = |kind: &str| format!("celery-taskset-meta-{group}.{kind}");
    eventually(WAIT, "one part is counted", async || {
        let n: u64 = counts.scard(key("d")).await.unwrap();
        (n == 1).then_some(())
    })
    .await;
    first.kill();
    bench.server.restart().await;

    let second = bench.worker_named("w2", gated);
    gates[&1].add_permits(1);
    let mut redis = bench.redis().await;
    eventually(WAIT, "it has run again and its claim has ended", async || {
        let n: u64 = redis.hlen("rhubarb:{celery}:claims:w2").await.unwrap();
        (n == 1 && gates[&1].available_permits() == 0).then_some(())
    })
    .await;
    assert_eq!(counts.zcard::<_, u64>(key("j")).await.unwrap(), 1, "counted once");
    // One for the handler that outlived the first worker in this process, one for the second
    // worker.
    gates[&0].add_permits(2);
    eventually(WAIT, "the body is published", async || {
        (!messages(&mut redis, "elsewhere").await.is_empty()).then_some(())
    })
    .await;
    let bodies = messages(&mut redis, "elsewhere").await;
    assert_eq!(bodies.len(), 1);
    assert_eq!(bodies[0].body(10_000).unwrap().args, [json!([10, 11])]);
    assert_eq!(bodies[0].headers.parent_id.as_deref(), Some("zero"));
    assert!(second.stop().await);
}

/// As above, but the part that completes the chord: its body must be published neither twice nor
/// never.
#[tokio::test]
async fn a_body_is_published_once_wherever_its_publisher_dies() {
    for stands in ["counted", "published"] {
        let bench = Bench::new().await;
        let worker = bench.worker(act);
        let header = vec![named(t().arg(1), "zero"), named(t().arg(2), "one")];
        let body = named(sum().queue("elsewhere"), "body");
        let result = bench.client.apply(chord(header, body)).await.unwrap();
        let group = result.parent.map(|parent| parent.id).unwrap();
        let mut redis = bench.redis().await;
        // What a redelivery finds: the message as it was.
        let copy = eventually(WAIT, "the body is published", async || {
            messages(&mut redis, "elsewhere").await.pop()
        })
        .await;
        let done: String = redis.get(format!("celery-taskset-meta-{group}.c")).await.unwrap();
        assert_eq!(done, "done");
        let parent = copy.headers.parent_id.clone().unwrap();
        assert!(worker.stop().await);
        if stands == "counted" {
            // As after a death between the count and the publishing.
            let key = |kind: &str| format!("celery-taskset-meta-{group}.{kind}");
            for (nth, id) in ["zero", "one"].into_iter().enumerate() {
                let part = json!([1, id, "SUCCESS", nth + 1]).to_string();
                let _: u64 = redis.zadd(key("j"), part, nth).await.unwrap();
                let _: u64 = redis.sadd(key("d"), format!("{id}:{nth}")).await.unwrap();
            }
            let _: () = redis.set(key("s"), 2).await.unwrap();
            let place = if parent == "zero" { 0 } else { 1 };
            let right = format!("rhubarb:{parent}:{place}");
            let _: () = redis.set_ex(key("c"), right, 6).await.unwrap();
            let _: u64 = redis.del("elsewhere").await.unwrap();
        }
        let again = redelivered(&bench, &parent, &group).await;
        let _: u64 = redis.rpush("celery", again.encode()).await.unwrap();
        let worker = bench.worker(act);
        eventually(WAIT, "the redelivery has ended", async || {
            (worker.consumer().counters().processed.load(std::sync::atomic::Ordering::SeqCst) == 1)
                .then_some(())
        })
        .await;
        let bodies = messages(&mut redis, "elsewhere").await;
        assert_eq!(bodies.len(), 1, "{stands}");
        assert_eq!(bodies[0].body(10_000).unwrap().args, [json!([1, 2])], "{stands}");
        assert!(worker.stop().await);
    }
}

/// A header task's message, made anew.
async fn redelivered(bench: &Bench, id: &str, group: &str) -> Envelope {
    let place = if id == "zero" { 0 } else { 1 };
    let publish = Publish::new("t").arg(place + 1).id(id);
    let message = bench.client.message(publish).unwrap().message;
    let mut envelope = Envelope::decode(&message).unwrap();
    envelope.headers.group = Some(group.to_owned());
    envelope.headers.group_index = Some(place);
    let mut body = envelope.body(10_000).unwrap();
    body.embed.chord = Some(named(sum().queue("elsewhere"), "body"));
    envelope.set_body(&body);
    envelope
}

#[tokio::test]
async fn a_next_step_that_is_too_large_is_refused_and_its_own_task_succeeds_all_the_same() {
    let bench = Bench::with(|config| config.worker.max_message_bytes = 20_000).await;
    let worker = bench.worker(act);
    let last = named(t(), "last");
    let steps = vec![named(does("grow"), "grow"), named(t(), "next"), last];
    let result = bench.client.apply(chain(steps)).await.unwrap();
    let (status, told) = state(&bench, &result.id).await;
    assert_eq!(status, "FAILURE");
    assert!(told.as_str().unwrap().contains("worker.max_message_bytes = 20000"), "{told}");
    assert_eq!(state(&bench, "next").await.0, "FAILURE");
    assert_eq!(state(&bench, "grow").await.0, "SUCCESS");
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_chord_whose_results_are_too_large_together_fails_and_says_so() {
    let bench = Bench::with(|config| config.worker.max_message_bytes = 40_000).await;
    let worker = bench.worker(act);
    let header = vec![does("grow"), does("grow"), does("grow")];
    let result = bench.client.apply(chord(header, sum())).await.unwrap();
    let (status, told) = state(&bench, &result.id).await;
    assert_eq!(status, "FAILURE");
    assert!(told.as_str().unwrap().contains("max_message_bytes"), "{told}");
    assert!(worker.stop().await);
}

#[tokio::test]
async fn a_chord_of_10000_members_and_a_group_of_1000_end() {
    let bench = Bench::with(|config| config.worker.concurrency = 100).await;
    let worker = bench.worker(act);
    let header = (0..10_000).map(|n| t().arg(n)).collect();
    let result = bench.client.apply(chord(header, sum())).await.unwrap();
    let sum = bench.client.wait(&result.id, Duration::from_secs(50), |_| {}).await.unwrap();
    assert_eq!(sum.unwrap().result, 49_995_000);
    let members = (0..1_000).map(|_| t()).collect();
    let result = bench.client.apply(chain(vec![t().arg(3), group(members)])).await.unwrap();
    for member in result.children.unwrap() {
        assert_eq!(bench.result(&member.id).await.result, 3);
    }
    assert!(worker.stop().await);
}

/// Each message of a chain carries the rest of it: every step is as large as what is left.
#[tokio::test]
async fn a_chain_of_10000_steps_goes_on_step_by_step() {
    let bench = Bench::new().await;
    let worker = bench.worker(act);
    let mut steps = vec![named(t().arg(1), "first"), named(t(), "second")];
    steps.push(named(does("fail"), "third"));
    steps.extend((0..9_997).map(|_| t()));
    let result = bench.client.apply(chain(steps)).await.unwrap();
    assert_eq!(state(&bench, "second").await, ("SUCCESS".into(), json!(1)));
    // The failure is told to all of the 9,997 that will never run.
    let told = bench.client.wait(&result.id, Duration::from_secs(50), |_| {}).await.unwrap();
    assert_eq!(told.unwrap().status.to_string(), "FAILURE");
    assert!(worker.stop().await);
}

#[tokio::test]
async fn an_argument_of_5_mb_comes_through_a_chain() {
    let bench = Bench::with(|config| config.worker.max_message_bytes = 16 << 20).await;
    let worker = bench.worker(act);
    let text = "x".repeat(5_000_000);
    let result =
        bench.client.apply(chain(vec![t().arg(text.clone()), named(t(), "last")])).await.unwrap();
    assert_eq!(result.id, "last");
    let told = bench.client.wait("last", WAIT, |_| {}).await.unwrap().unwrap();
    assert!(told.result == text, "{} {:.200}", told.status, told.result.to_string());
    assert!(worker.stop().await);
}

#[tokio::test]
async fn what_follows_inherits_the_priority_where_that_is_set() {
    for inherits in [true, false] {
        let bench =
            Bench::with(|config| config.celery.task_inherit_parent_priority = inherits).await;
        let worker = bench.worker(act);
        let next = named(t().queue("elsewhere"), "next");
        let first = t().arg(1).priority(6);
        bench.client.apply(chain(vec![first, next])).await.unwrap();
        let list = if inherits { "elsewhere\u{6}\u{16}6" } else { "elsewhere" };
        let mut redis = bench.redis().await;
        let found = eventually(WAIT, "the next step is published", async || {
            messages(&mut redis, list).await.pop()
        })
        .await;
        assert_eq!(found.properties.priority, if inherits { 6 } else { 0 });
        assert!(worker.stop().await);
    }
}

/// Signatures name any queue, and other people's keys may be of any type: a task's own end waits
/// for neither.
#[tokio::test]
async fn a_queue_that_is_no_list_and_a_chord_of_another_kind_hold_up_nobody() {
    let bench = Bench::new().await;
    let lost = named(t().queue("rhubarb:workers"), "lost");
    let linked = bench.client.apply(named(t().arg(1), "linked").link(lost)).await.unwrap();
    let header = vec![named(t().arg(2), "part"), t()];
    let body = bench.client.apply(chord(header, sum())).await.unwrap();
    let group = body.parent.map(|parent| parent.id).unwrap();
    let mut redis = bench.redis().await;
    let _: u64 = redis.rpush(format!("celery-taskset-meta-{group}.j"), "a part").await.unwrap();
    let worker = bench.worker(act);
    assert_eq!(state(&bench, &linked.id).await, ("SUCCESS".into(), json!(1)));
    assert_eq!(state(&bench, "part").await, ("SUCCESS".into(), json!(2)));
    assert!(worker.stop().await);
}
