//! Redis Sentinel: three sentinels, a primary and its replica, and fail-overs of each kind.

use std::{fs, time::Duration};

use redis::AsyncConnectionConfig;
use rhubarb_connection::Connections;
use rhubarb_e2e::{
    eventually::eventually,
    installation::Installation,
    process::{Process, Signal, clean_command},
    python::Python,
    redis_server::{RedisServer, free_port, program},
};
use rhubarb_queue::{Client, Config, Publish};
use serde_json::json;
use tempfile::TempDir;

use crate::{BINARIES, OWN_WORKER, shop::SOON};

const PASSWORD: &str = "of-the-sentinels";
const EVERY_SECOND: &str = "[schedules.second]\ntask = \"e2e.sleep\"\nargs = [0.0]\nevery = 1\n";

struct Scene {
    primary: RedisServer,
    replica: RedisServer,
    sentinels: Vec<u16>,
    _processes: Vec<(Process, TempDir)>,
}

impl Scene {
    async fn new() -> Self {
        let primary = RedisServer::start_durable().await;
        let replica = primary.start_replica().await;
        let started: Vec<_> = (0..3).map(|_| sentinel(primary.port())).collect();
        let sentinels = started.iter().map(|(port, ..)| *port).collect();
        let processes = started.into_iter().map(|(_, process, dir)| (process, dir)).collect();
        let scene = Self { primary, replica, sentinels, _processes: processes };
        eventually(SOON, "the sentinels know each other and the replica", async || {
            for port in &scene.sentinels {
                ask(*port, "CKQUORUM mymaster").await?;
                let known = ask(*port, "REPLICAS mymaster").await?;
                known.as_sequence().filter(|replicas| replicas.len() == 1)?;
                let others = ask(*port, "SENTINELS mymaster").await?;
                others.as_sequence().filter(|others| others.len() == 2)?;
            }
            Some(())
        })
        .await;
        scene
    }

    fn addresses(&self) -> Vec<String> {
        self.sentinels.iter().map(|port| format!("127.0.0.1:{port}")).collect()
    }

    /// All in one URL.
    fn url(&self) -> String {
        let addresses = self.addresses().join(",");
        format!("redis+sentinel://{addresses}/mymaster/0?sentinel_password={PASSWORD}")
    }

    fn installation(&self, url: &str) -> Installation {
        let mut installation =
            Installation::new(BINARIES, RedisServer::not_started(), EVERY_SECOND);
        installation.set("REDIS_URL", url);
        installation.set("RHUBARB_REDIS_COMMAND_TIMEOUT", "2");
        installation
    }

    fn client(&self) -> Client {
        let mut config = Config::default();
        // As the configuration reads the URL of all three.
        let [first, second, third] = self.sentinels[..] else { panic!("three sentinels") };
        let url = format!(
            "redis+sentinel://127.0.0.1:{first}/0?master=mymaster&sentinel=127.0.0.1:{second}\
             &sentinel=127.0.0.1:{third}&sentinel_password={PASSWORD}"
        );
        config.redis.url = url.parse().unwrap();
        config.redis.command_timeout = Duration::from_secs(2);
        Client::new(&Connections::new(&config.redis, "rhubarb-test").unwrap(), &config)
    }

    /// Waits until all sentinels name the replica as the primary.
    async fn failed_over(&self) {
        eventually(2 * SOON, "the replica is the primary", async || {
            for port in &self.sentinels {
                let told = ask(*port, "GET-MASTER-ADDR-BY-NAME mymaster").await?;
                let (_, at): (String, u16) = redis::from_redis_value(told).ok()?;
                (at == self.replica.port()).then_some(())?;
            }
            Some(())
        })
        .await;
    }

    /// Waits until the replica has all that the primary has answered for.
    async fn copied(&self) {
        let offset = async |server: &RedisServer, name: &str| {
            let info = server.command("INFO replication").await;
            let info: String = redis::from_redis_value(info).unwrap();
            let line = info.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
            line.and_then(|line| line.trim().parse::<u64>().ok())
        };
        let sent = offset(&self.primary, "master_repl_offset:").await.unwrap();
        eventually(SOON, "the replica has it all", async || {
            (offset(&self.replica, "slave_repl_offset:").await? >= sent).then_some(())
        })
        .await;
    }
}

fn sentinel(primary: u16) -> (u16, Process, TempDir) {
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    let file = dir.path().join("sentinel.conf");
    let text = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\nrequirepass {PASSWORD}\n\
         sentinel sentinel-pass {PASSWORD}\n\
         sentinel monitor mymaster 127.0.0.1 {primary} 2\n\
         sentinel down-after-milliseconds mymaster 2000\n\
         sentinel failover-timeout mymaster 6000\n",
        dir.path().display()
    );
    fs::write(&file, text).unwrap();
    let mut command = clean_command(program());
    command.arg(&file).arg("--sentinel");
    let process = Process::start("sentinel", dir.path(), command);
    (port, process, dir)
}

/// Asks a sentinel; none where it does not answer yet.
#[expect(clippy::disallowed_methods, reason = "the tests look from outside")]
async fn ask(port: u16, words: &str) -> Option<redis::Value> {
    let client = redis::Client::open(format!("redis://:{PASSWORD}@127.0.0.1:{port}")).unwrap();
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(SOON));
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    let mut connection = connecting.await.ok()?;
    let mut command = redis::cmd("SENTINEL");
    command.arg(words.split(' ').collect::<Vec<_>>());
    command.query_async(&mut connection).await.ok()
}

async fn publish(client: &Client, seconds: f64, n: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..n {
        let task = Publish::new("e2e.sleep").arg(seconds);
        ids.push(client.publish(&task).await.unwrap().id);
    }
    ids
}

async fn all_end(client: &Client, ids: &[String]) {
    for id in ids {
        // Where the connection is lost meanwhile, it is asked again.
        eventually(3 * SOON, &format!("{id} ends"), async || {
            client.wait(id, SOON, |_| {}).await.ok().flatten()
        })
        .await;
    }
}

/// What waits and what runs while the primary is killed ends on the one that takes its place.
#[tokio::test]
async fn a_killed_primarys_tasks_run_on_by_the_one_that_takes_its_place() {
    let mut scene = Scene::new().await;
    let installation = scene.installation(&scene.url());
    let mut worker = installation.start("own-worker", OWN_WORKER, &["--concurrency", "4"]);
    let mut beat = installation.beat(&[]);
    let client = scene.client();
    worker.line("worker ready", SOON).await;
    beat.line("this beat leads", SOON).await;
    let ids = publish(&client, 1.0, 12).await;
    scene.copied().await;
    scene.primary.kill();
    scene.failed_over().await;
    all_end(&client, &ids).await;
    let later = eventually(SOON, "publishing works", async || publishes(&client).await).await;
    all_end(&client, &[later]).await;
    assert!(worker.is_running() && beat.is_running(), "{}", worker.stdout());
    worker.line("redis is back", SOON).await;
}

/// By Celery's own spelling, and with Celery's own client as producer.
#[tokio::test]
async fn a_demoted_primary_is_left_by_all_and_celery_goes_along() {
    let scene = Scene::new().await;
    let urls: Vec<String> = scene.addresses().iter().map(|at| format!("sentinel://{at}")).collect();
    let celerys = urls.join(";");
    let ours = format!("{}?sentinel_password={PASSWORD};{}", urls[0], urls[1..].join(";"));
    let mut installation = scene.installation(&ours);
    installation.set("RHUBARB_REDIS_SENTINEL_MASTER", "mymaster");
    let mut worker = installation.start("own-worker", OWN_WORKER, &[]);
    worker.line("worker ready", SOON).await;
    let python = Python::for_redis(&scene.primary.url(0));
    let by_celery = async |x: u8| {
        let Some(python) = &python else { return };
        let args = json!([x, 1]).to_string();
        let sum = python.run(&["sentinels.py", &celerys, PASSWORD, "e2e.add", &args]).await;
        assert_eq!(sum, json!(x + 1));
    };
    by_celery(1).await;
    assert!(ask(scene.sentinels[0], "FAILOVER mymaster").await.is_some());
    scene.failed_over().await;
    let client = scene.client();
    let ids = publish(&client, 0.0, 3).await;
    all_end(&client, &ids).await;
    by_celery(2).await;
    eventually(SOON, "nobody of ours asks the old one", async || {
        let mut old = scene.primary.connect(0).await;
        let list: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut old).await.unwrap();
        (!list.contains("name=rhubarb-")).then_some(())
    })
    .await;
    assert!(worker.is_running());
}

/// The primary is held still, comes back as one that does not know, and is demoted; django-redis's
/// spelling.
#[tokio::test]
async fn a_primary_that_is_held_still_is_left_and_brings_nothing_back() {
    let scene = Scene::new().await;
    let mut installation = scene.installation("redis://mymaster/0");
    let sentinels: Vec<String> =
        scene.addresses().iter().map(|at| format!("redis://:{PASSWORD}@{at}")).collect();
    installation.set("RHUBARB_REDIS_SENTINELS", &sentinels.join(","));
    let mut worker = installation.start("own-worker", OWN_WORKER, &["--concurrency", "4"]);
    worker.line("worker ready", SOON).await;
    let client = scene.client();
    let ids = publish(&client, 0.5, 8).await;
    scene.copied().await;
    scene.primary.signal(Signal::STOP);
    scene.failed_over().await;
    all_end(&client, &ids).await;
    scene.primary.signal(Signal::CONT);
    let later = eventually(SOON, "publishing works", async || publishes(&client).await).await;
    all_end(&client, &[later]).await;
    eventually(2 * SOON, "the old one is a replica", async || {
        let info: String =
            redis::from_redis_value(scene.primary.command("INFO replication").await).unwrap();
        info.contains("role:slave").then_some(())
    })
    .await;
    assert!(worker.is_running());
}

async fn publishes(client: &Client) -> Option<String> {
    Some(client.publish(&Publish::new("e2e.sleep").arg(0.0)).await.ok()?.id)
}
