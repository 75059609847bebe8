//! Canvases of our client, finished by Celery's workers, by ours, and by both on one queue.

use std::time::Duration;

use redis::{AsyncCommands, aio::MultiplexedConnection};
use rhubarb_connection::Connections;
use rhubarb_e2e::{process::Process, python::Python, redis_server::RedisServer};
use rhubarb_queue::{
    Client, Config, Publish,
    client::Joined,
    wire::{
        Envelope, Signature,
        canvas::{chain, chord, chunks, group, map, starmap},
    },
};
use serde_json::{Value, json};

use crate::{
    OWN_WORKER,
    shop::{SOON, Shop},
};

fn add(args: &[i64]) -> Signature {
    args.iter().fold(Signature::new("e2e.add"), |add, arg| add.arg(*arg))
}

fn sum() -> Signature {
    Signature::new("e2e.sum")
}

fn echo(text: &str) -> Signature {
    Signature::new("e2e.echo").arg(text)
}

/// Canvases, and what each comes to.
fn canvases() -> Vec<(Signature, Value)> {
    let sums = || vec![add(&[1, 2]), add(&[3, 4]), add(&[5, 6])];
    vec![
        (add(&[1, 2]), json!(3)),
        (chain(vec![add(&[1, 2]), add(&[3]), add(&[4])]), json!(10)),
        (
            chain((0..30).map(|n| if n == 0 { add(&[0, 0]) } else { add(&[1]) }).collect()),
            json!(29),
        ),
        (group(sums()), json!([3, 7, 11])),
        (chord(sums(), sum()), json!(21)),
        (chord(vec![], sum()), json!(0)),
        (chord(vec![add(&[1, 2])], sum()), json!(3)),
        (chain(vec![add(&[1, 1]), group(vec![add(&[1]), add(&[2])])]), json!([3, 4])),
        (chain(vec![add(&[1, 1]), group(vec![add(&[1]), add(&[2])]), sum()]), json!(7)),
        (chain(vec![group(sums()), sum(), add(&[100])]), json!(121)),
        (chain(vec![group(sums()), group(vec![sum(), sum()]), sum(), add(&[1])]), json!(43)),
        (
            chord(vec![chord(sums(), sum()), add(&[1, 1]), chain(sums_chain())], sum()),
            json!(21 + 2 + 10),
        ),
        (
            chord(sums(), chain(vec![sum(), add(&[1]), group(vec![add(&[1]), add(&[2])])])),
            json!([23, 24]),
        ),
        (
            chord(sums(), group(vec![echo("a"), echo("b")])),
            json!([[[3, 7, 11], "a"], [[3, 7, 11], "b"]]),
        ),
        (group(vec![chain(sums_chain()), chord(sums(), sum()), add(&[0, 1])]), json!([10, 21, 1])),
        (
            chord(
                vec![chain(vec![add(&[1, 1]), group(vec![add(&[1]), add(&[2])])]), add(&[1, 1])],
                echo("x"),
            ),
            json!([[[3, 4], 2], "x"]),
        ),
        (map(&sum(), vec![json!([1, 2]), json!([])]), json!([3, 0])),
        (starmap(&add(&[]), vec![json!([1, 2]), json!([3, 4])]), json!([3, 7])),
        (
            chunks(&add(&[]), (0..5).map(|n| json!([n, n])).collect(), 2),
            json!([[0, 2], [4, 6], [8]]),
        ),
        (chain(vec![add(&[1, 2]), add(&[5, 6]).immutable()]), json!(11)),
    ]
}

fn sums_chain() -> Vec<Signature> {
    vec![add(&[1, 2]), add(&[3]), add(&[4])]
}

/// Canvases in which something fails, and how the first failure that is told reads.
fn failing() -> Vec<(Signature, &'static str)> {
    let fail = || Signature::new("e2e.fail").arg("boom").immutable();
    vec![
        (fail(), "ValueError('boom')"),
        (chain(vec![add(&[1, 2]), fail(), add(&[3]), add(&[4])]), "ValueError('boom')"),
        (group(vec![add(&[1, 2]), fail(), add(&[3, 4])]), "ValueError('boom')"),
        (chord(vec![add(&[1, 2]), fail()], sum()), "raised ValueError('boom')"),
        (
            chain(vec![group(vec![add(&[1, 2]), fail()]), sum(), add(&[3])]),
            "raised ValueError('boom')",
        ),
    ]
}

fn celery(shop: &Shop, python: &Python) -> Process {
    let args =
        ["-m", "celery", "-A", "canvas_app", "worker", "-P", "threads", "-c", "4", "-l", "info"];
    Process::start("celery", shop.installation.folder(), python.command(&args))
}

fn own(shop: &Shop) -> Process {
    shop.installation.start("own-worker", OWN_WORKER, &["--concurrency", "8"])
}

/// Publishes all canvases at once, and waits for each.
async fn check_all(client: &Client) {
    let mut asked = Vec::new();
    for (signature, expected) in canvases() {
        asked.push((client.apply(signature.clone()).await.unwrap(), signature, expected));
    }
    let mut failing_asked = Vec::new();
    for (signature, expected) in failing() {
        failing_asked.push((client.apply(signature.clone()).await.unwrap(), signature, expected));
    }
    for (result, signature, expected) in asked {
        let joined = client.join(&result, SOON).await.unwrap();
        assert_eq!(joined, Some(Joined::Success(expected)), "{:#}", signature.to_value());
        assert!(client.ready(&result).await.unwrap());
    }
    for (result, signature, expected) in failing_asked {
        let joined = client.join(&result, SOON).await.unwrap();
        let Some(Joined::Failed(failed)) = joined else {
            panic!("{joined:?} of {:#}", signature.to_value());
        };
        let told = failed.exception().unwrap().to_string();
        assert!(
            told.contains(expected),
            "{told} instead of {expected}: {:#}",
            signature.to_value()
        );
    }
}

#[tokio::test]
async fn celerys_workers_finish_our_canvases() {
    let shop = Shop::open_on(RedisServer::start().await, "").await;
    let Some(python) = shop.python() else { return };
    let _celery = celery(&shop, &python);
    check_all(&shop.client()).await;
}

#[tokio::test]
async fn our_workers_finish_our_canvases() {
    let shop = Shop::open_on(RedisServer::start().await, "").await;
    let _own = own(&shop);
    check_all(&shop.client()).await;
}

#[tokio::test]
async fn both_kinds_of_workers_finish_each_others_canvases() {
    let shop = Shop::open_on(RedisServer::start().await, "").await;
    let Some(python) = shop.python() else { return };
    let client = shop.client();
    // The slower to start comes first, so that both are there when it begins.
    let _celery = celery(&shop, &python);
    let first = client.apply(add(&[1, 2])).await.unwrap();
    assert_eq!(client.join(&first, SOON).await.unwrap(), Some(Joined::Success(json!(3))));
    let _own = own(&shop);
    shop.registered_workers(1).await;
    check_all(&client).await;
}

#[tokio::test]
async fn callbacks_are_called_with_the_result_or_the_id_of_the_failure() {
    let shop = Shop::open_on(RedisServer::start().await, "").await;
    let _own = own(&shop);
    let client = shop.client();
    let named = |id: &str, task: &str| Publish::new(task).id(id);

    let linked = Publish::new("e2e.add").arg(1).arg(2).link(named("linked", "e2e.add").arg(10));
    client.publish(&linked).await.unwrap();
    let failing = named("failing", "e2e.fail").arg("boom");
    client.publish(&failing.link_error(named("told", "e2e.echo"))).await.unwrap();

    let value = async |id: &str| client.wait(id, SOON, |_| {}).await.unwrap().unwrap().result;
    assert_eq!(value("linked").await, json!(13));
    assert_eq!(value("told").await, json!(["failing"]));
}

#[tokio::test]
async fn a_group_is_kept_under_its_id_as_celery_keeps_it() {
    let shop = Shop::open_on(RedisServer::start().await, "").await;
    let _own = own(&shop);
    let client = shop.client();
    let fail = Signature::new("e2e.fail").arg("boom");
    let result = client.apply(group(vec![add(&[1, 2]), fail, add(&[3, 4])])).await.unwrap();
    client.save_group(&result).await.unwrap();
    assert_eq!(client.restore_group(&result.id).await.unwrap(), Some(result.clone()));
    let joined = client.join(&result, SOON).await.unwrap();
    assert!(matches!(joined, Some(Joined::Failed(_))), "{joined:?}");
    let last = result.children.as_ref().unwrap().last().unwrap();
    client.wait(&last.id, SOON, |_| {}).await.unwrap().unwrap();
    assert_eq!(client.completed_count(&result).await.unwrap(), 2);

    if let Some(python) = shop.python() {
        let program = "import json, sys; from canvas_app import app; from celery.result import GroupResult; \
            print(json.dumps(GroupResult.restore(sys.argv[1], app=app).as_tuple()))";
        assert_eq!(python.run(&["-c", program, &result.id]).await, result.to_value());
    }
    client.delete_group(&result.id).await.unwrap();
    assert_eq!(client.restore_group(&result.id).await.unwrap(), None);
    let mut redis = shop.queue().await;
    let _: () = redis.set(format!("celery-taskset-meta-{}", result.id), "garbage").await.unwrap();
    assert!(client.restore_group(&result.id).await.is_err());
}

/// A client with settings of its own.
fn client(shop: &Shop, settings: &str) -> Client {
    let mut config = Config::from_toml(settings).unwrap();
    config.redis.url = shop.installation.redis.url(0).parse().unwrap();
    Client::new(&Connections::new(&config.redis, "test").unwrap(), &config)
}

/// How many messages lie in a list.
async fn waiting(redis: &mut MultiplexedConnection, list: &str) -> usize {
    redis.llen(list).await.unwrap()
}

#[tokio::test]
async fn tasks_go_where_their_route_says_unless_their_call_does() {
    let routes = "[celery]\ntask_default_priority = 6\n[celery.task_routes]\n\"shop.*\" = { queue = \"shop\", priority = 3 }\n";
    let shop = Shop::open_on(RedisServer::start().await, routes).await;
    let client = client(&shop, routes);
    let mut redis = shop.queue().await;
    client.publish(&Publish::new("shop.ship")).await.unwrap();
    client.publish(&Publish::new("shop.ship").queue("other")).await.unwrap();
    let urgent = Publish::new("shop.ship").priority(0);
    client.publish(&urgent).await.unwrap();
    client.apply(group(vec![Signature::new("shop.a"), Signature::new("mail")])).await.unwrap();
    let ran = shop.rhubarb(&["enqueue", "shop.cli"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for (list, n) in [
        ("shop\u{6}\u{16}3", 3),
        ("shop", 1),
        ("other\u{6}\u{16}3", 1),
        ("celery\u{6}\u{16}6", 1),
        ("celery", 0),
    ] {
        assert_eq!(waiting(&mut redis, list).await, n, "{list:?}");
    }
}

#[tokio::test]
async fn publishing_is_told_where_it_is_asked_for() {
    let shop = Shop::open_on(RedisServer::start().await, "").await;
    let client = client(&shop, "[celery]\ntask_send_sent_event = true\n");
    #[expect(clippy::disallowed_methods, reason = "the tests look from outside")]
    let redis = redis::Client::open(shop.installation.redis.url(0)).unwrap();
    let mut events = redis.get_async_pubsub().await.unwrap();
    events.psubscribe("/0.celeryev/*").await.unwrap();

    let published = client.publish(&Publish::new("t").arg(1).queue("q")).await.unwrap();

    use futures_util::StreamExt;
    let message = tokio::time::timeout(SOON, events.on_message().next()).await.unwrap().unwrap();
    assert_eq!(message.get_channel_name(), "/0.celeryev/task.sent");
    let envelope: Value = serde_json::from_slice(message.get_payload_bytes()).unwrap();
    let body = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        envelope["body"].as_str().unwrap(),
    );
    let event: Value = serde_json::from_slice(&body.unwrap()).unwrap();
    let expected = json!(["task-sent", published.id, "t", "(1,)", "q", 1]);
    let told = ["type", "uuid", "name", "args", "queue", "clock"].map(|key| event[key].clone());
    assert_eq!(json!(told), expected);
}

#[tokio::test]
async fn a_wait_that_ends_in_time_tells_nothing() {
    let shop = Shop::open_on(RedisServer::start().await, "").await;
    let client = shop.client();
    let result = client.apply(group(vec![add(&[1, 2])])).await.unwrap();
    assert_eq!(client.join(&result, Duration::from_millis(50)).await.unwrap(), None);
    assert!(!client.ready(&result).await.unwrap());
    assert!(client.apply(chain(vec![])).await.is_err());
}

#[tokio::test]
async fn a_shell_publishes_canvases_and_every_calling_option() {
    let shop = Shop::open_on(RedisServer::start().await, "").await;
    let _own = own(&shop);
    let file = shop.installation.folder().join("canvas.json");
    let header = chord(vec![add(&[1, 2]), add(&[3, 4])], sum());
    std::fs::write(&file, header.to_value().to_string()).unwrap();
    let line = ["enqueue", "--signature", file.to_str().unwrap(), "--wait", "30"];
    let ran = shop.rhubarb(&line).await;
    assert_eq!((ran.code, ran.stdout.trim()), (0, "10"), "{}", ran.stderr);

    std::fs::write(&file, chain(vec![add(&[1]), add(&[3])]).to_value().to_string()).unwrap();
    let ran = shop.rhubarb(&[&line[..], &["--args", "[10]"]].concat()).await;
    assert_eq!((ran.code, ran.stdout.trim()), (0, "14"), "{}", ran.stderr);

    let fail = Signature::new("e2e.fail").arg("boom");
    std::fs::write(&file, group(vec![add(&[1, 2]), fail]).to_value().to_string()).unwrap();
    let ran = shop.rhubarb(&line).await;
    assert_eq!(ran.code, 6, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("boom"), "{}", ran.stderr);

    std::fs::write(&file, "{\"args\": []}").unwrap();
    let ran = shop.rhubarb(&line).await;
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("signature names no task"), "{}", ran.stderr);

    let options =
        ["--shadow", "shown", "--header", "x-trace=1", "--time-limit", "9", "--link", "e2e.echo"];
    let away = ["enqueue", "t", "--queue", "nobody", "--ignore-result"];
    let ran = shop.rhubarb(&[&away[..], &options].concat()).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let bytes: Vec<u8> = shop.queue().await.rpop("nobody", None).await.unwrap();
    let envelope = Envelope::decode(&bytes).unwrap();
    let headers = &envelope.headers;
    assert_eq!((headers.shadow.as_deref(), headers.timelimit), (Some("shown"), (Some(9.0), None)));
    assert_eq!((headers.ignore_result, &headers.other["x-trace"]), (Some(true), &json!("1")));
    assert_eq!(envelope.body(1 << 20).unwrap().embed.callbacks[0].task, "e2e.echo");
}
