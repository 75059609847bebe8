//! What a worker with nothing to do sends, as Redis itself tells it (`MONITOR`).
//!
//! `RHUBARB_IDLE_SECONDS` makes it longer; the promise is at most 60 commands in 60 seconds.

use std::{collections::BTreeSet, time::Duration};

use rhubarb_e2e::redis_server::RedisServer;
use rhubarb_queue::{Client, Publish};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::{Instant, timeout_at},
};

use crate::shop::{SOON, Shop};

/// How long it is watched where the environment says nothing.
const SECONDS: u64 = 16;
/// Two commands come every 3 s and four every 15 s (with the lease and the look of the defaults),
/// 56 in 60 s. A shorter window may have each once more than its share.
const EDGES: u64 = 6;

#[expect(clippy::disallowed_methods, reason = "it is no setting of Rhubarb's but the test's")]
fn seconds() -> u64 {
    std::env::var("RHUBARB_IDLE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS)
}

/// One command that a client sent; those inside of a script are not among them.
struct Sent {
    address: String,
    command: String,
}

impl Sent {
    /// Reads a line such as `+1700000000.000000 [0 127.0.0.1:40000] "GET" "key"`.
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.split_once(" [")?;
        let (from, words) = rest.split_once("] ")?;
        let (_, address) = from.split_once(' ')?;
        let command = words.split('"').nth(1)?.to_uppercase();
        (address != "lua").then(|| Self { address: address.to_owned(), command })
    }
}

/// Returns what all clients send from now on.
async fn monitor(server: &RedisServer, time: Duration) -> Vec<Sent> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    stream.write_all(b"MONITOR\r\n").await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let until = Instant::now() + time;
    let mut sent = Vec::new();
    while let Ok(line) = timeout_at(until, lines.next_line()).await {
        sent.extend(Sent::parse(&line.unwrap().expect("the server stays")));
    }
    sent
}

/// The addresses of the worker's connections.
async fn addresses(shop: &Shop) -> BTreeSet<String> {
    let mut redis = shop.queue().await;
    let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut redis).await.unwrap();
    let ours = clients.lines().filter(|line| line.contains("name=rhubarb-worker"));
    let address = |line: &str| line.split(" addr=").nth(1)?.split(' ').next().map(str::to_owned);
    ours.filter_map(address).collect()
}

/// Runs the cheapest task there is, and returns how long it took until its result was there.
async fn status(client: &Client) -> Duration {
    let begun = Instant::now();
    let publish = Publish::new("job_scraper.tasks.get_scraping_status");
    let id = client.publish(&publish).await.unwrap().id;
    client.wait(&id, SOON, |_| {}).await.unwrap().expect("it ends");
    begun.elapsed()
}

#[tokio::test]
async fn an_idle_worker_has_3_connections_sends_at_most_a_command_a_second_and_starts_a_task_at_once()
 {
    let shop = Shop::open_on(RedisServer::start_durable().await, "").await;
    let mut worker = shop.worker(&["--concurrency", "200"]).await;
    let client = shop.client();
    let scraped = shop.rhubarb(&["scrape", "engineer", "--wait", "60"]).await;
    assert_eq!(scraped.code, 0, "{}", scraped.stderr);
    status(&client).await;
    let ours = addresses(&shop).await;
    assert_eq!(ours.len(), 3, "queue and results, status, listings: {ours:?}");
    // What it asks other workers when it starts it reads within a second.
    monitor(&shop.installation.redis, Duration::from_secs(2)).await;
    let seconds = seconds();
    let sent = monitor(&shop.installation.redis, Duration::from_secs(seconds)).await;
    let sent: Vec<&str> = sent
        .iter()
        .filter(|sent| ours.contains(&sent.address))
        .map(|sent| sent.command.as_str())
        .collect();
    println!("{} commands in {seconds} s: {sent:?}", sent.len());
    assert!(sent.contains(&"EVALSHA"), "it keeps its lease");
    let allowed = seconds + if seconds < 60 { EDGES } else { 0 };
    assert!(sent.len() as u64 <= allowed, "{} commands in {seconds} s: {sent:?}", sent.len());
    for polling in ["BRPOP", "BLPOP", "RPOP", "LLEN", "LRANGE", "BLMOVE", "SCAN", "KEYS"] {
        assert!(!sent.contains(&polling), "{polling} in {sent:?}");
    }
    // It is woken: the next look of its own would come after up to 15 s.
    for _ in 0..5 {
        let took = status(&client).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    assert_eq!(addresses(&shop).await, ours, "and it has the connections it had");
    assert!(worker.is_running());
}
