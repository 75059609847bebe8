//! An outage of Redis is nobody's death, however long; a death is found all the same.

use std::{collections::BTreeMap, time::Duration};

use redis::AsyncCommands;
use rhubarb_e2e::{
    eventually::eventually,
    ledger::{self, Ledger},
    process::{Process, Signal},
    proxy::{Act, At, Proxy, Rule, Way},
    redis_server::RedisServer,
};
use rhubarb_queue::{Publish, inspect};
use tokio::time::{Instant, sleep};

use crate::{
    OWN_WORKER,
    shop::{SOON, Shop},
};

/// A fifth of the default, and so are the outages below of those that people had (25 s, 40 s, 22
/// s).
const LEASE: Duration = Duration::from_secs(3);
/// How many tasks each of the two workers runs.
const EACH: usize = 16;

struct Scene {
    shop: Shop,
    ledger: Ledger,
    workers: Vec<Process>,
    ids: Vec<String>,
    _ledger_server: RedisServer,
}

impl Scene {
    /// Two workers, each with as many tasks as it can have, which take this long.
    async fn new(task: Duration) -> Self {
        let mut shop = Shop::open_on(RedisServer::start_durable().await, "").await;
        let ledger_server = RedisServer::start().await;
        let ledger = Ledger::open(&ledger_server.url(0)).await;
        shop.installation.set(ledger::URL, &ledger_server.url(0));
        shop.installation.set("RHUBARB_WORKER_LEASE", &LEASE.as_secs().to_string());
        // A third of the lease, as by default.
        shop.installation.set("RHUBARB_REDIS_COMMAND_TIMEOUT", "1");
        shop.installation.set("RHUBARB_REDIS_CONNECT_TIMEOUT", "1");
        let mut scene = Self {
            shop,
            ledger,
            workers: Vec::new(),
            ids: Vec::new(),
            _ledger_server: ledger_server,
        };
        for name in ["one", "two"] {
            let args = ["--hostname", name, "--concurrency", &EACH.to_string()];
            scene.workers.push(scene.shop.installation.start(name, OWN_WORKER, &args));
        }
        scene.shop.registered_workers(2).await;
        scene.publish(2 * EACH, task).await;
        scene.claimed(2 * EACH).await;
        scene
    }

    async fn publish(&mut self, n: usize, task: Duration) {
        let client = self.shop.client();
        for _ in 0..n {
            let publish = Publish::new("e2e.record").arg(task.as_secs_f64()).arg("success");
            self.ids.push(client.publish(&publish).await.unwrap().id);
        }
    }

    async fn claimed(&self, n: usize) {
        let client = self.shop.client();
        eventually(SOON, "all tasks are claimed", async || {
            let queues = inspect::queues(&client, &[]).await.unwrap();
            (queues.iter().map(|queue| queue.claimed).sum::<u64>() == n as u64).then_some(())
        })
        .await;
    }

    /// Each task ran once, and nobody was charged a death.
    async fn all_ran_once(&mut self) {
        let client = self.shop.client();
        for id in &self.ids {
            let result = client.wait(id, SOON, |_| {}).await.unwrap();
            assert_eq!(result.expect("it ends").status.to_string(), "SUCCESS");
        }
        let mut begun: BTreeMap<String, usize> = BTreeMap::new();
        for entry in self.ledger.read("-").await.0.iter().filter(|e| e.get("what") == "begin") {
            *begun.entry(entry.get("id").to_owned()).or_default() += 1;
        }
        let twice: Vec<_> = begun.iter().filter(|(_, n)| **n > 1).collect();
        assert!(twice.is_empty(), "{} of {} ran twice", twice.len(), self.ids.len());
        let mut queue = self.shop.queue().await;
        let deaths: bool = queue.exists("rhubarb:{celery}:deliveries").await.unwrap();
        assert!(!deaths, "an outage is nobody's death");
        for worker in &mut self.workers {
            assert!(worker.is_running());
            assert!(worker.lines_with("whose lease ended").is_empty(), "{}", worker.stderr());
        }
    }
}

#[tokio::test]
async fn redis_that_was_gone_for_longer_than_a_lease_makes_nobodys_task_run_twice() {
    let mut scene = Scene::new(Duration::from_secs(9)).await;
    scene.shop.installation.redis.kill();
    sleep(Duration::from_secs(5)).await;
    scene.shop.installation.redis.restart().await;
    scene.all_ran_once().await;
}

#[tokio::test]
async fn redis_that_was_stopped_for_longer_than_a_lease_makes_nobodys_task_run_twice() {
    let mut scene = Scene::new(Duration::from_secs(12)).await;
    scene.shop.installation.redis.signal(Signal::STOP);
    sleep(Duration::from_secs(8)).await;
    scene.shop.installation.redis.signal(Signal::CONT);
    scene.all_ran_once().await;
}

#[tokio::test]
async fn redis_whose_clients_were_paused_for_longer_than_a_lease_makes_nobodys_task_run_twice() {
    let mut scene = Scene::new(Duration::from_secs(9)).await;
    scene.shop.installation.redis.command("CLIENT PAUSE 4400").await;
    sleep(Duration::from_secs(5)).await;
    scene.all_ran_once().await;
}

/// Two outages with little in between, and the second begins while the first is still being made
/// good.
#[tokio::test]
async fn two_outages_on_end_make_nobodys_task_run_twice() {
    let mut scene = Scene::new(Duration::from_secs(14)).await;
    for _ in 0..2 {
        scene.shop.installation.redis.kill();
        sleep(Duration::from_secs(4)).await;
        scene.shop.installation.redis.restart().await;
        sleep(Duration::from_secs(2)).await;
    }
    scene.all_ran_once().await;
}

/// Whoever cuts each script, such as a proxy that is broken, is not asked in a hurry, and a healthy
/// one at once.
#[tokio::test]
async fn a_connection_that_each_script_loses_is_made_again_with_rests() {
    let mut shop = Shop::open().await;
    let proxy = Proxy::start(shop.installation.redis.port()).await;
    shop.installation.set("REDIS_URL", &proxy.url(0));
    let mut worker = shop.installation.start("worker", OWN_WORKER, &[]);
    worker.line("worker ready", SOON).await;
    let (way, name) = (Some(Way::ToClient), "EVALSHA".to_owned());
    let at = At::Command { name, holding: String::new(), offset: 0 };
    proxy.add(Rule { way, at, act: Act::Cut, times: Rule::ALWAYS });
    proxy.cut();
    let before = proxy.connections();
    sleep(Duration::from_secs(3)).await;
    let made = proxy.connections() - before;
    assert!((2..40).contains(&made), "{made} connections in 3 s");
    proxy.heal();
    let client = shop.client();
    let id = client.publish(&Publish::new("e2e.sleep").arg(0.0)).await.unwrap().id;
    assert!(client.wait(&id, SOON, |_| {}).await.unwrap().is_some());
}

/// A worker dies while Redis is away: its tasks run elsewhere within three leases of Redis's
/// return, those of the other run once.
#[tokio::test]
async fn a_death_during_an_outage_is_found_within_three_leases_after_it() {
    let mut scene = Scene::new(Duration::from_secs(8)).await;
    scene.shop.installation.redis.kill();
    sleep(Duration::from_secs(1)).await;
    scene.workers[0].kill();
    sleep(Duration::from_secs(3)).await;
    scene.shop.installation.redis.restart().await;
    let back = Instant::now();
    let mut queue = scene.shop.queue().await;
    eventually(SOON, "the death is noted", async || {
        let deaths: usize = queue.hlen("rhubarb:{celery}:deliveries").await.unwrap();
        (deaths == 2 * EACH).then_some(())
    })
    .await;
    let took = back.elapsed();
    assert!(took < 3 * LEASE + Duration::from_secs(1), "{took:?}");
    // The log follows what is done in Redis.
    scene.workers[1].line("whose lease ended", SOON).await;
    let gave = scene.workers[1].lines_with("whose lease ended");
    assert_eq!(gave.len(), 1, "{gave:?}");
}
