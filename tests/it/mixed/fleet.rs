//! One Python and one Rust worker on one queue: each task ends where it is known.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use redis::aio::MultiplexedConnection;
use rhubarb_e2e::{
    eventually::eventually,
    process::{Process, Signal},
};
use rhubarb_queue::{Client, Publish};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::Instant,
};

use super::{celery_command, celery_worker, int, own_worker, shop_with_lease};
use crate::shop::{SOON, Shop};

const PARKED: &str = "rhubarb:parked";

/// Every command that the server carries out from now on, as `MONITOR` shows it.
struct Monitor {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Monitor {
    async fn start(shop: &Shop) -> Self {
        let port = shop.installation.redis.port();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(b"MONITOR\r\n").await.unwrap();
        let mut reader = BufReader::new(stream).lines();
        assert_eq!(reader.next_line().await.unwrap().unwrap(), "+OK");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let seen = lines.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = reader.next_line().await {
                seen.lock().unwrap().push(line);
            }
        });
        Self { lines }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The commands that were sent from these addresses.
    fn sent_from(&self, addresses: &[String]) -> Vec<String> {
        let is_from = |line: &String| addresses.iter().any(|a| line.contains(&format!(" {a}]")));
        self.lines().into_iter().filter(is_from).collect()
    }
}

/// The addresses from which our workers are connected.
async fn our_addresses(queue: &mut MultiplexedConnection) -> Vec<String> {
    let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(queue).await.unwrap();
    let field = |line: &str, name: &str| {
        line.split(' ').find_map(|field| field.strip_prefix(name)).unwrap_or_default().to_owned()
    };
    clients
        .lines()
        .filter(|line| field(line, "name=").starts_with("rhubarb-worker"))
        .map(|line| field(line, "addr="))
        .collect()
}

async fn publish(client: &Client, task: Publish) -> String {
    client.publish(&task).await.unwrap().id
}

/// Waits for each result and checks who gave it.
async fn ended_by(client: &Client, ids: &[String], is_by: impl Fn(&serde_json::Value) -> bool) {
    for id in ids {
        let result = client.wait(id, SOON, |_| {}).await.unwrap();
        let result = result.unwrap_or_else(|| panic!("{id} has not ended"));
        assert!(is_by(&result.result), "{result:?}");
    }
}

fn by_python(result: &serde_json::Value) -> bool {
    result["by"] == "python" || result == "python"
}

/// 200 tasks of Python's, of ours and of both, interleaved: all end on a side that knows them, each
/// once, and `unacked` stays Python's. The Celery worker leaves what it does not know; an ordinary
/// one would fail it.
#[tokio::test]
async fn each_task_of_a_mixed_fleet_ends_once_where_it_is_known() {
    const N: usize = 200;
    let shop = shop_with_lease(5).await;
    let Some(python) = shop.python() else { return };
    let mut command = celery_command(&python, &["-P", "threads", "-c", "2"]);
    command.env("CONSIDERATE", "1");
    let celery = ready(Process::start("celery", shop.installation.folder(), command)).await;
    let worker = own_worker(&shop, &["--concurrency", "4"]);
    shop.registered_workers(1).await;
    let (client, mut queue) = (shop.client(), shop.queue().await);
    let monitor = Monitor::start(&shop).await;
    let (mut theirs, mut ours, mut shared) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..N {
        let priority = if n % 10 == 0 { 3 } else { 0 };
        let with = |task: &str| Publish::new(task).arg(0.001).priority(priority);
        theirs.push(publish(&client, with("python.echo")).await);
        ours.push(publish(&client, with("e2e.ours")).await);
        shared.push(publish(&client, with("e2e.sleep")).await);
    }

    ended_by(&client, &theirs, by_python).await;
    ended_by(&client, &ours, |result| *result == worker.id()).await;
    ended_by(&client, &shared, |result| by_python(result) || *result == 0.001).await;

    let runs = |process: &Process, text: &str, task: &str| {
        process.lines_with(text).iter().filter(|line| line.contains(task)).count()
    };
    let by_celery = |task: &str| runs(&celery, "succeeded in", task);
    let by_us = |task: &str| runs(&worker, "outcome=success", task);
    eventually(SOON, "both have told of all that they ran", async || {
        let told = by_celery("e2e.sleep[") + by_us("e2e.sleep ");
        (told >= N && by_celery("python.echo[") >= N).then_some(())
    })
    .await;
    assert_eq!(by_celery("python.echo["), N, "each once");
    assert_eq!(by_us("e2e.ours "), N, "each once");
    assert_eq!(by_celery("e2e.sleep[") + by_us("e2e.sleep "), N, "each once");
    assert_eq!(int(&mut queue, "ZCARD", PARKED).await, 0);
    assert_eq!(int(&mut queue, "LLEN", "celery").await, 0);
    let addresses = our_addresses(&mut queue).await;
    let sent = monitor.sent_from(&addresses);
    assert!(sent.len() > 10, "we see what our worker sends: {sent:#?}");
    let touched = sent.iter().find(|line| line.contains("unacked"));
    assert_eq!(touched, None, "Python's own keys");
}

async fn ready(mut celery: Process) -> Process {
    celery.line("ready.", SOON).await;
    celery
}

/// While the Python worker is away its tasks are parked; when it comes back they run, by
/// themselves.
#[tokio::test]
async fn tasks_parked_while_the_python_worker_is_away_run_when_it_is_back() {
    let shop = shop_with_lease(2).await;
    let Some(python) = shop.python() else { return };
    let _worker = own_worker(&shop, &["--concurrency", "2"]);
    shop.registered_workers(1).await;
    let (client, mut queue) = (shop.client(), shop.queue().await);
    let mut celery = ready(celery_worker(&shop, &python, &["-P", "solo"])).await;
    let first = publish(&client, Publish::new("python.echo").arg(0)).await;
    ended_by(&client, &[first], by_python).await;
    celery.signal(Signal::TERM);
    celery.ended(SOON).await;

    let mut away = Vec::new();
    for n in 0..10 {
        away.push(publish(&client, Publish::new("python.echo").arg(n)).await);
    }
    let ours = publish(&client, Publish::new("e2e.ours").arg(0)).await;
    ended_by(&client, &[ours], |result| result.is_number()).await;
    // What was said of it is believed for half a minute at the most.
    eventually(Duration::from_secs(40), "they are parked", async || {
        (int(&mut queue, "ZCARD", PARKED).await == 10).then_some(())
    })
    .await;

    let _celery = ready(celery_worker(&shop, &python, &["-P", "solo"])).await;
    ended_by(&client, &away, by_python).await;
    assert_eq!(int(&mut queue, "ZCARD", PARKED).await, 0);
}

/// A Celery worker that registers a task and does not serve the queue would never take it.
#[tokio::test]
async fn a_python_worker_of_another_queue_does_not_count() {
    let shop = shop_with_lease(5).await;
    let Some(python) = shop.python() else { return };
    let _celery = ready(celery_worker(&shop, &python, &["-P", "solo", "-Q", "mail"])).await;
    let _worker = own_worker(&shop, &["--concurrency", "2"]);
    let (client, mut queue) = (shop.client(), shop.queue().await);
    publish(&client, Publish::new("python.echo")).await;
    eventually(SOON, "it is parked", async || {
        (int(&mut queue, "ZCARD", PARKED).await == 1).then_some(())
    })
    .await;
    assert_eq!(int(&mut queue, "EXISTS", "unacked").await, 0);
    // A starting worker says hello too, and waits a second for the answers.
    eventually(SOON, "no list of replies is left behind", async || {
        let left = int(&mut queue, "EXISTS", "_kombu.binding.reply.celery.pidbox").await;
        (left == 0).then_some(())
    })
    .await;
}

/// A thousand tasks of a Python worker that is busy: ours start within about a second all the same,
/// and waiting for the others costs few commands.
#[tokio::test]
async fn behind_a_foreign_backlog_our_tasks_start_soon_and_little_is_sent() {
    const BACKLOG: usize = 1_000;
    let shop = shop_with_lease(15).await;
    let Some(python) = shop.python() else { return };
    let _celery = ready(celery_worker(&shop, &python, &["-P", "threads", "-c", "1"])).await;
    let (client, mut queue) = (shop.client(), shop.queue().await);
    for _ in 0..BACKLOG {
        publish(&client, Publish::new("python.sleep").arg(0.1)).await;
    }
    let before: Vec<String> =
        redis::cmd("LRANGE").arg("celery").arg(0).arg(-1).query_async(&mut queue).await.unwrap();
    let _worker = own_worker(&shop, &["--concurrency", "8"]);
    shop.registered_workers(1).await;
    let mut slowest = Duration::ZERO;
    for n in 0..6 {
        let published = Instant::now();
        let id = publish(&client, Publish::new("e2e.ours").arg(0)).await;
        ended_by(&client, &[id], |result| result.is_number()).await;
        slowest = slowest.max(published.elapsed());
        // Each at another moment of the pause between two looks; the last ones when it is longest.
        tokio::time::sleep(Duration::from_millis(300 + 250 * n)).await;
    }
    assert!(slowest < Duration::from_millis(1_500), "our task took {slowest:?}");

    let addresses = our_addresses(&mut queue).await;
    let monitor = Monitor::start(&shop).await;
    let window = Duration::from_secs(5);
    tokio::time::sleep(window).await;
    let sent = monitor.sent_from(&addresses);
    let left = int(&mut queue, "LLEN", "celery").await;
    assert!(left > BACKLOG / 2, "the backlog has to be there meanwhile: {left}");
    println!("slowest of ours {slowest:?}; {} commands in {window:?}", sent.len());
    assert!(sent.len() < 60, "{} commands in {window:?}: {sent:#?}", sent.len());
    assert_eq!(int(&mut queue, "ZCARD", PARKED).await, 0);
    let after: Vec<String> =
        redis::cmd("LRANGE").arg("celery").arg(0).arg(-1).query_async(&mut queue).await.unwrap();
    assert_eq!(after, before[..after.len()], "nobody's order has changed");
}

/// A message whose task cannot be read without decoding it cannot be passed over: it goes round,
/// and Python gets it.
#[tokio::test]
async fn a_foreign_message_that_cannot_be_passed_over_goes_round() {
    let shop = shop_with_lease(15).await;
    let Some(python) = shop.python() else { return };
    let _celery = ready(celery_worker(&shop, &python, &["-P", "threads", "-c", "1"])).await;
    let (client, mut queue) = (shop.client(), shop.queue().await);
    // More than it prefetches: for seconds to come it takes no other message.
    for _ in 0..8 {
        publish(&client, Publish::new("python.sleep").arg(1)).await;
    }
    eventually(SOON, "the Celery worker is full", async || {
        (int(&mut queue, "LLEN", "celery").await < 8 - 4).then_some(())
    })
    .await;
    let properties = json!({"delivery_info": {"exchange": "", "routing_key": "celery"}, "delivery_tag": "t",
                            "body_encoding": "base64", "correlation_id": "odd"});
    let odd = format!(
        r#"{{"body": "W1tdLCB7fSwge31d", "content-type": "application/json", "content-encoding": "utf-8",
            "headers": {{"task" : "python.echo", "id": "odd"}}, "properties": {properties}}}"#
    );
    redis::cmd("LPUSH").arg("celery").arg(odd).query_async::<()>(&mut queue).await.unwrap();
    let monitor = Monitor::start(&shop).await;
    let _worker = own_worker(&shop, &["--concurrency", "2"]);
    eventually(SOON, "it has gone round", async || {
        let to_the_other_end = |line: &String| line.contains(r#" lua] "LPUSH" "celery" "#);
        monitor.lines().iter().any(to_the_other_end).then_some(())
    })
    .await;
    let ours = publish(&client, Publish::new("e2e.ours").arg(0)).await;
    ended_by(&client, &[ours], |result| result.is_number()).await;
    ended_by(&client, &["odd".to_owned()], by_python).await;
}
