//! A worker whose host's clock steps by an hour, beside one whose clock is right: Redis's clock
//! rules.

use std::{collections::BTreeMap, time::Duration};

use redis::{AsyncCommands, aio::MultiplexedConnection};
use rhubarb_e2e::{
    eventually::{eventually, paced},
    faketime::Clock,
    ledger::{self, Entry, Ledger},
    process::Process,
    redis_server::RedisServer,
};
use rhubarb_queue::{Client, Publish};
use tokio::time::Instant;

use crate::{
    OWN_WORKER,
    shop::{SOON, Shop},
};

const HOUR: i64 = 3600;
const LEASE_MS: u64 = 2000;
const COUNTDOWN_MS: u64 = 2000;
/// A queue that only the worker with the odd clock serves.
const TURNED: &str = "turned";
/// How late a busy machine may be.
const BUSY_MS: u64 = 5000;

struct Scene {
    shop: Shop,
    client: Client,
    ledger: Ledger,
    clock: Clock,
    workers: [Process; 2],
    /// When each task was sent, on the ledger's clock.
    sent: BTreeMap<String, u64>,
    _ledger_server: RedisServer,
}

impl Scene {
    /// None where clocks cannot be turned.
    async fn new() -> Option<Self> {
        let mut shop = Shop::open_on(RedisServer::start_durable().await, "").await;
        let clock = Clock::new(shop.installation.folder(), "clock")?;
        let ledger_server = RedisServer::start().await;
        shop.installation.set(ledger::URL, &ledger_server.url(0));
        shop.installation.set("RHUBARB_WORKER_LEASE", &(LEASE_MS / 1000).to_string());
        let right = shop.installation.start("right", OWN_WORKER, &["--concurrency", "4"]);
        for (name, value) in clock.environment() {
            shop.installation.set(name, &value);
        }
        let queues = format!("celery,{TURNED}");
        let args = ["--concurrency", "8", "--queues", &queues];
        let turned = shop.installation.start("turned", OWN_WORKER, &args);
        shop.registered_workers(2).await;
        let ledger = Ledger::open(&ledger_server.url(0)).await;
        let (client, workers) = (shop.client(), [right, turned]);
        let sent = BTreeMap::new();
        Some(Self { shop, client, ledger, clock, workers, sent, _ledger_server: ledger_server })
    }

    async fn send(&mut self, publish: &Publish) -> String {
        let at = self.ledger.write(&[("what", "sent")]).await;
        let id = self.client.publish(publish).await.unwrap().id;
        self.sent.insert(id.clone(), at);
        id
    }

    /// Turns the clock, and waits until the worker tells that time.
    async fn turn(&self, seconds: i64) {
        self.clock.turn(seconds);
        eventually(SOON, "the worker's clock is turned", async || {
            let now = Publish::new("e2e.now").arg(0.0).queue(TURNED);
            let id = self.client.publish(&now).await.unwrap().id;
            let told = self.client.wait(&id, SOON, |_| {}).await.unwrap().unwrap();
            let off = told.result.as_f64().unwrap() - jiff::Timestamp::now().as_second() as f64;
            ((off - seconds as f64).abs() < 60.0).then_some(())
        })
        .await;
    }

    /// Publishes countdown tasks for a while, and looks at every lease all the time.
    async fn load(&mut self, time: Duration) {
        let mut redis = self.shop.queue().await;
        let until = Instant::now() + time;
        let mut pace = paced(Duration::from_millis(100));
        while Instant::now() < until {
            pace.tick().await;
            let countdown = Some(Duration::from_millis(COUNTDOWN_MS));
            let queue = if self.sent.len().is_multiple_of(2) { TURNED } else { "celery" };
            self.send(
                &recorded(0.05, "success")
                    .queue(queue)
                    .with(|options| options.countdown = countdown),
            )
            .await;
            leases_are_of_redis(&mut redis).await;
        }
    }

    async fn runs(&self) -> BTreeMap<String, Vec<Entry>> {
        let mut runs: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        for entry in self.ledger.read("-").await.0 {
            runs.entry(entry.get("id").to_owned()).or_default().push(entry);
        }
        runs
    }
}

fn recorded(seconds: f64, end: &str) -> Publish {
    Publish::new("e2e.record").arg(seconds).arg(end)
}

/// Each lease ends within its length from now, whoever renewed it last; none is an hour off either
/// way.
async fn leases_are_of_redis(redis: &mut MultiplexedConnection) {
    for queue in ["celery", TURNED] {
        let leases: Vec<(String, f64)> =
            redis.zrange_withscores(format!("rhubarb:{{{queue}}}:leases"), 0, -1).await.unwrap();
        let (s, us): (u64, u64) = redis::cmd("TIME").query_async(redis).await.unwrap();
        let now = (s * 1000 + us / 1000) as f64;
        for (worker, end) in leases {
            // The fraction counts how often the lease was granted one more period.
            let left = end.floor() - now;
            let fits = left <= LEASE_MS as f64 && left > -(BUSY_MS as f64);
            assert!(fits, "the lease of {worker} on {queue} ends in {left} ms");
        }
    }
}

/// Forward, and back to where it was, and an hour behind, and right again, while tasks of either
/// worker run, wait for their time, are tried again and could expire.
#[tokio::test]
async fn a_worker_whose_clock_steps_an_hour_keeps_leases_countdowns_retries_and_expiries() {
    let Some(mut scene) = Scene::new().await else {
        println!("LEFT OUT: clock steps; libfaketime is not installed");
        return;
    };
    let mut long = Vec::new();
    for _ in 0..4 {
        long.push(scene.send(&recorded(12.0, "success")).await);
    }
    let (mut retried, mut expiring) = (Vec::new(), Vec::new());
    for step in [HOUR, 0, -HOUR, 0] {
        scene.turn(step).await;
        retried.push(scene.send(&recorded(0.05, "retry").queue(TURNED)).await);
        let expires = recorded(0.05, "success").expires_in(Duration::from_secs(600));
        expiring.push(scene.send(&expires.queue(TURNED)).await);
        scene.load(Duration::from_secs(2)).await;
    }
    for id in scene.sent.keys() {
        let result = scene.client.wait(id, SOON, |_| {}).await.unwrap().expect("it ends");
        assert_eq!(result.status.to_string(), "SUCCESS", "{result:?}");
    }
    let runs = scene.runs().await;
    for (id, sent) in &scene.sent {
        let at: Vec<(&str, u64)> = runs[id].iter().map(|e| (e.get("what"), e.at - sent)).collect();
        let whats: Vec<&str> = at.iter().map(|(what, _)| *what).collect();
        if retried.contains(id) {
            assert_eq!(whats, ["begin", "end", "begin", "end"], "{id}: {at:?}");
            let pause = at[2].1 - at[1].1;
            assert!((250..BUSY_MS).contains(&pause), "tried again after {pause} ms");
            continue;
        }
        // What runs is given back to nobody, and nothing runs twice.
        assert_eq!(whats, ["begin", "end"], "{id}: {at:?}");
        if !long.contains(id) && !expiring.contains(id) {
            let due = COUNTDOWN_MS - 50..COUNTDOWN_MS + BUSY_MS;
            assert!(due.contains(&at[0].1), "{id} began after {} ms", at[0].1);
        }
    }
    for worker in &mut scene.workers {
        assert!(worker.is_running());
        assert!(worker.lines_with("whose lease ended").is_empty(), "{}", worker.stdout());
    }
}
