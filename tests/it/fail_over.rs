//! Fail-overs that leave the old primary alive, with our connections to it open: everybody goes to
//! the new one.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use redis::AsyncCommands;
use rhubarb_connection::{Connections, Error, Options, Push, Redis, Role};
use rhubarb_e2e::{
    eventually::eventually, installation::Installation, proxy::Proxy, redis_server::RedisServer,
};
use rhubarb_queue::{Client, Config, Publish};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};

use crate::{BINARIES, OWN_WORKER, shop::SOON};

const EVERY_SECOND: &str = r#"
[schedules.second]
task = "e2e.sleep"
args = [0.0]
every = 1
"#;

fn config(url: &str) -> Config {
    let mut config = Config::default();
    config.redis.url = url.parse().unwrap();
    config
}

/// Returns how many of our processes' connections a server has.
async fn of_ours(server: &RedisServer) -> usize {
    let mut watch = server.connect(0).await;
    let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut watch).await.unwrap();
    clients.lines().filter(|line| line.contains("name=rhubarb-")).count()
}

async fn processed(server: &RedisServer) -> usize {
    let mut queue = server.connect(0).await;
    let keys: Vec<String> = queue.keys("celery-task-meta-*").await.unwrap();
    keys.len()
}

/// A real `FAILOVER` behind a name that leads new connections to the new primary, as managed
/// servers have it.
#[tokio::test]
async fn after_a_fail_over_worker_and_beat_and_clients_leave_the_old_primary_that_lives_on() {
    let mut old = RedisServer::start().await;
    let mut new = old.start_replica().await;
    let proxy = Proxy::start(old.port()).await;
    let mut installation = Installation::new(BINARIES, RedisServer::start().await, EVERY_SECOND);
    installation.set("REDIS_URL", &proxy.url(0));
    let mut worker = installation.start("own-worker", OWN_WORKER, &[]);
    let mut beat = installation.beat(&[]);
    let config = config(&proxy.url(0));
    let client = Client::new(&Connections::new(&config.redis, "rhubarb-client").unwrap(), &config);
    let sleep = Publish::new("e2e.sleep").arg(0.0);
    let runs = async |when: &str| {
        let id = client.publish(&sleep).await.unwrap().id;
        assert!(client.wait(&id, SOON, |_| {}).await.unwrap().is_some(), "{when}");
    };
    runs("before").await;
    beat.line("this beat leads", SOON).await;
    old.fail_over_to(&mut new).await;
    proxy.redirect(new.port());
    // The client's first word to the old primary is refused, and said again to the new one.
    runs("after").await;
    let before = processed(&new).await;
    eventually(SOON, "ticks are published and run", async || {
        (processed(&new).await >= before + 3).then_some(())
    })
    .await;
    eventually(SOON, "nobody asks the old one", async || (of_ours(&old).await == 0).then_some(()))
        .await;
    assert!(worker.is_running() && beat.is_running());
    assert!(worker.lines_with("redis is unreachable").is_empty(), "{}", worker.stdout());
    assert_eq!(worker.lines_with("redis refuses commands").len(), 1, "{}", worker.stdout());
    beat.line("redis takes commands again", SOON).await;
}

/// What is subscribed to is heard from the new one, and a link that only reads goes along.
#[tokio::test]
async fn a_link_that_is_told_of_a_replica_leaves_with_all_others_to_that_server() {
    let mut old = RedisServer::start().await;
    let mut new = old.start_replica().await;
    let proxy = Proxy::start(old.port()).await;
    let connections = Connections::new(&config(&proxy.url(0)).redis, "rhubarb-test").unwrap();
    let (queue, cache) = (connections.role(Role::Queue), connections.role(Role::Cache));
    let mut pushes = queue.pushes();
    queue.subscribe("news").await.unwrap();
    cache.query::<Option<String>>(redis::cmd("GET").arg("k")).await.unwrap();
    old.fail_over_to(&mut new).await;
    proxy.redirect(new.port());
    let set = async || queue.query::<redis::Value>(redis::cmd("SET").arg("k").arg("v")).await;
    let error = set().await.unwrap_err();
    assert!(error.is_elsewhere(), "{error}");
    set().await.unwrap();
    let mut other = new.connect(0).await;
    let _: u8 = other.publish("news", "from the new one").await.unwrap();
    let message =
        Push::Message { channel: "news".to_owned(), payload: b"from the new one".to_vec() };
    let heard = async { while pushes.recv().await.unwrap() != message {} };
    tokio::time::timeout(SOON, heard).await.expect("the subscription was made again");
    cache.query::<Option<String>>(redis::cmd("GET").arg("k")).await.unwrap();
    eventually(SOON, "both are gone from the old one", async || {
        (of_ours(&old).await == 0).then_some(())
    })
    .await;
}

/// A server of answers: each connection but the last is refused every `GET` with its own; the last
/// one is served.
async fn refusing(refusals: &[&str]) -> (u16, Arc<Mutex<usize>>, JoinSet<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let made = Arc::new(Mutex::new(0));
    let mut refusals: VecDeque<String> = refusals.iter().map(|&text| text.to_owned()).collect();
    let (counted, mut serving) = (made.clone(), JoinSet::new());
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            *counted.lock().unwrap() += 1;
            let answer = refusals.pop_front().unwrap_or_else(|| "$2\r\nok".to_owned());
            connections.spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                    let asked = String::from_utf8_lossy(&buffer[..n]).into_owned();
                    let answers: String = asked
                        .split('*')
                        .skip(1)
                        .map(|command| match command.contains("GET") {
                            true => format!("{answer}\r\n"),
                            false => "+OK\r\n".to_owned(),
                        })
                        .collect();
                    if stream.write_all(answers.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, made, serving)
}

async fn get(redis: &Redis) -> Result<String, Error> {
    redis.query(redis::cmd("GET").arg("k")).await
}

#[tokio::test]
async fn an_answer_that_says_that_a_server_cannot_serve_us_ends_the_connection() {
    for code in [
        "READONLY You can't write against a read only replica.",
        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
        "CLUSTERDOWN The cluster is down",
        "MOVED 3999 127.0.0.1:6381",
        "NOAUTH Authentication required.",
    ] {
        let (port, made, _serving) = refusing(&[&format!("-{code}")]).await;
        let url = format!("redis://127.0.0.1:{port}/0").parse().unwrap();
        let redis = Redis::new(&url, 0, &Config::default().redis, Options::default()).unwrap();
        get(&redis).await.unwrap_err();
        assert_eq!(get(&redis).await.unwrap(), "ok", "{code}");
        assert_eq!(*made.lock().unwrap(), 2, "{code}");
    }
}

#[tokio::test]
async fn an_answer_that_another_server_would_give_too_leaves_the_connection_as_it_is() {
    for code in
        ["OOM command not allowed", "BUSY Redis is busy", "LOADING Redis is loading", "ERR no"]
    {
        let (port, made, _serving) = refusing(&[&format!("-{code}")]).await;
        let url = format!("redis://127.0.0.1:{port}/0").parse().unwrap();
        let redis = Redis::new(&url, 0, &Config::default().redis, Options::default()).unwrap();
        for _ in 0..3 {
            get(&redis).await.unwrap_err();
        }
        assert_eq!(*made.lock().unwrap(), 1, "{code}");
    }
}

/// The name still leads to the old one: it is left with ever longer waits, not with each command.
#[tokio::test]
async fn a_server_that_stays_a_replica_is_dialled_with_back_off() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await;
    let url = proxy.url(0).parse().unwrap();
    let redis = Redis::new(&url, 0, &Config::default().redis, Options::default()).unwrap();
    server.command("REPLICAOF 127.0.0.1 1").await;
    let until = tokio::time::Instant::now() + Duration::from_secs(3);
    let mut refused = 0;
    while tokio::time::Instant::now() < until {
        redis.query::<redis::Value>(redis::cmd("SET").arg("k").arg("v")).await.unwrap_err();
        refused += 1;
    }
    let dialled = proxy.connections();
    assert!((3..=12).contains(&dialled), "{dialled} connections for {refused} commands");
    server.command("REPLICAOF NO ONE").await;
    eventually(SOON, "it takes writes again", async || {
        redis.query::<redis::Value>(redis::cmd("SET").arg("k").arg("v")).await.ok()
    })
    .await;
}
