//! The beat against a Redis of its own: each tick once, whoever leads, whatever was missed.

#![expect(clippy::unwrap_used, reason = "a broken fixture or server is to fail the test")]

use std::{
    collections::{BTreeMap, HashSet},
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use jiff::Timestamp;
use redis::{FromRedisValue, cmd};
use rhubarb_beat::{Error, entry::Entry};
use rhubarb_connection::{Options, Redis};
use rhubarb_core::{
    config::{Config, ScheduleConfig, When},
    shutdown::{Shutdown, StopSignal},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::Instant};

/// Longer than anything that is awaited takes on a busy machine.
const SOON: Duration = Duration::from_secs(20);
const DAY: u64 = 86_400;

struct Server {
    process: Option<Child>,
    folder: TempDir,
}

impl Server {
    /// A server that is not started yet.
    fn new() -> Self {
        Self { process: None, folder: TempDir::new().unwrap() }
    }

    fn started() -> Self {
        let mut server = Self::new();
        server.start();
        server
    }

    fn start(&mut self) {
        let mut process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "yes", "--unixsocket"])
            .arg(self.folder.path().join("redis.sock"))
            .current_dir(self.folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is on the PATH");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("ready to accept connections")));
        self.process = Some(process);
        // Its log is read on, or the server would block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    fn config<'a>(
        &self,
        lease: Duration,
        schedules: impl IntoIterator<Item = (&'a str, ScheduleConfig)>,
    ) -> Config {
        let mut config = Config::default();
        let socket = self.folder.path().join("redis.sock");
        config.redis.url = format!("unix://{}", socket.display()).parse().unwrap();
        config.beat.lease = lease;
        config.schedules = schedules.into_iter().map(|(name, s)| (name.to_owned(), s)).collect();
        config
    }

    async fn ask<T: FromRedisValue>(&self, command: &redis::Cmd) -> T {
        let config = self.config(SOON, []);
        let redis = Redis::new(&config.redis.url, 0, &config.redis, Options::default()).unwrap();
        redis.query(command).await.unwrap()
    }

    /// The messages on a list, the first published first.
    async fn messages(&self, list: &str) -> Vec<Value> {
        let messages: Vec<String> = self.ask(cmd("LRANGE").arg(list).arg(0).arg(-1)).await;
        messages.iter().rev().map(|message| serde_json::from_str(message).unwrap()).collect()
    }

    async fn marks(&self) -> BTreeMap<String, i64> {
        self.ask(cmd("HGETALL").arg("rhubarb:{celery}:ticks")).await
    }

    async fn mark(&self, schedule: &str, at: Timestamp) {
        let at = at.as_millisecond();
        let _: u64 =
            self.ask(cmd("HSET").arg("rhubarb:{celery}:ticks").arg(schedule).arg(at)).await;
    }

    async fn leader(&self) -> Option<String> {
        let lease: Option<String> = self.ask(cmd("GET").arg("rhubarb:beat:lease")).await;
        lease.map(|lease| lease.split_once(' ').unwrap().1.to_owned())
    }

    /// Waits until another than `before` leads.
    async fn leader_after(&self, before: Option<&str>, within: Duration) -> String {
        eventually(within, "another beat leads", async || {
            self.leader().await.filter(|leader| Some(leader.as_str()) != before)
        })
        .await
    }

    /// Waits for `n` ticks of the list and checks that each was published once.
    async fn ticks(&self, n: usize, entry: &Entry, since: Timestamp) -> usize {
        let list = &entry.queue;
        let messages = eventually(SOON, "ticks are published", async || {
            Some(self.messages(list).await).filter(|messages| messages.len() >= n)
        })
        .await;
        let ids: HashSet<String> = messages.iter().map(id).collect();
        assert_eq!(ids.len(), messages.len(), "a tick was published twice");
        let mut tick = since;
        let mut possible = HashSet::new();
        while let Some(next) = entry.schedule.next_after(tick).filter(|t| *t <= Timestamp::now()) {
            possible.insert(entry.id(next));
            tick = next;
        }
        assert!(ids.is_subset(&possible), "{ids:?} are not ticks among {possible:?}");
        messages.len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A beat in this process. Dropped or aborted, it has no last word, as if it were killed.
struct Beat {
    shutdown: Shutdown,
    running: JoinHandle<Result<(), Error>>,
}

impl Beat {
    fn start(config: &Config) -> Self {
        let (config, shutdown) = (config.clone(), Shutdown::new());
        let stop = shutdown.clone();
        let running = tokio::spawn(async move { rhubarb_beat::run(&config, &stop).await });
        Self { shutdown, running }
    }

    async fn stop(&mut self) {
        self.shutdown.request(StopSignal::Terminate);
        tokio::time::timeout(SOON, &mut self.running).await.unwrap().unwrap().unwrap();
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn eventually<T>(
    within: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn every(seconds: u64, queue: &str) -> ScheduleConfig {
    ScheduleConfig {
        task: "t".to_owned(),
        when: When::Every(Duration::from_secs(seconds)),
        queue: Some(queue.to_owned()),
        ..ScheduleConfig::default()
    }
}

fn id(message: &Value) -> String {
    message["headers"]["id"].as_str().unwrap().to_owned()
}

/// The one schedule of a queue.
fn entry(config: &Config, queue: &str) -> Entry {
    Entry::by_queue(config).unwrap()[queue][0].clone()
}

#[tokio::test]
async fn two_beats_publish_each_tick_once() {
    let server = Server::started();
    let config =
        server.config(Duration::from_secs(3), [("a", every(1, "one")), ("b", every(2, "two"))]);
    let since = Timestamp::now();
    let _beats = [Beat::start(&config), Beat::start(&config)];
    server.ticks(6, &entry(&config, "one"), since).await;
    server.ticks(3, &entry(&config, "two"), since).await;
    let fence: u64 = server.ask(cmd("GET").arg("rhubarb:beat:fence")).await;
    assert_eq!(fence, 1, "the lead changed although the leader lives");
}

#[tokio::test]
async fn a_leader_that_dies_is_followed_when_its_lease_ends() {
    let server = Server::started();
    let lease = Duration::from_secs(2);
    let config = server.config(lease, [("a", every(1, "one"))]);
    let since = Timestamp::now();
    let leader = Beat::start(&config);
    let first = server.leader_after(None, SOON).await;
    let _standby = Beat::start(&config);
    let n = server.ticks(2, &entry(&config, "one"), since).await;

    drop(leader);

    server.leader_after(Some(&first), lease + Duration::from_secs(3)).await;
    server.ticks(n + 3, &entry(&config, "one"), since).await;
}

#[tokio::test]
async fn a_leader_that_stops_is_followed_at_once() {
    let server = Server::started();
    let config = server.config(Duration::from_secs(600), [("a", every(1, "one"))]);
    let since = Timestamp::now();
    let mut leader = Beat::start(&config);
    let first = server.leader_after(None, SOON).await;
    let _standby = Beat::start(&config);
    let n = server.ticks(2, &entry(&config, "one"), since).await;

    leader.stop().await;

    server.leader_after(Some(&first), Duration::from_secs(5)).await;
    server.ticks(n + 3, &entry(&config, "one"), since).await;
}

#[tokio::test]
async fn after_a_downtime_the_last_missed_tick_is_published_once() {
    let server = Server::started();
    let config =
        server.config(Duration::from_secs(10), [("d", every(DAY, "celery")), ("s", every(1, "s"))]);
    let last_week = Timestamp::now() - jiff::SignedDuration::from_hours(24 * 7);
    server.mark("d", last_week).await;
    let since = Timestamp::now();
    let _beat = Beat::start(&config);
    server.ticks(3, &entry(&config, "s"), since).await;
    assert_eq!(server.ticks(1, &entry(&config, "celery"), last_week).await, 1);
    let entry = entry(&config, "celery");
    let midnight = since.as_second() - since.as_second().rem_euclid(i64::try_from(DAY).unwrap());
    let due = entry.id(Timestamp::from_second(midnight).unwrap());
    assert_eq!(server.messages("celery").await.iter().map(id).collect::<Vec<_>>(), [due]);
}

#[tokio::test]
async fn a_new_schedule_starts_from_now_a_disabled_one_never_and_a_gone_one_is_forgotten() {
    let server = Server::started();
    let off = ScheduleConfig { enabled: false, ..every(1, "celery") };
    let kept = ScheduleConfig { enabled: false, ..every(1, "celery") };
    let schedules =
        [("new", every(DAY, "celery")), ("off", off), ("kept", kept), ("s", every(1, "s"))];
    let config = server.config(Duration::from_secs(10), schedules);
    server.mark("gone", Timestamp::UNIX_EPOCH).await;
    server.mark("kept", Timestamp::UNIX_EPOCH).await;
    let since = Timestamp::now();
    let _beat = Beat::start(&config);
    server.ticks(3, &entry(&config, "s"), since).await;
    assert_eq!(server.messages("celery").await, Vec::<Value>::new());
    let marks = server.marks().await;
    assert_eq!(marks.keys().collect::<Vec<_>>(), ["kept", "new"]);
    assert!((marks["new"] - since.as_millisecond()).abs() < 20_000, "{marks:?}");
}

#[tokio::test]
async fn without_redis_a_beat_waits_and_goes_on_when_it_comes_and_comes_back() {
    let mut server = Server::new();
    let config = server.config(Duration::from_secs(3), [("a", every(1, "one"))]);
    let since = Timestamp::now();
    let mut beat = Beat::start(&config);
    server.start();
    let n = server.ticks(2, &entry(&config, "one"), since).await;
    server.stop();
    server.start();
    server.ticks(n + 2, &entry(&config, "one"), since).await;
    beat.stop().await;
    assert_eq!(server.leader().await, None);

    let nowhere = Server::new();
    let config = nowhere.config(Duration::from_secs(3), [("a", every(1, "one"))]);
    Beat::start(&config).stop().await;
}

#[tokio::test]
async fn one_schedule_that_cannot_be_published_does_not_hold_up_the_others() {
    let server = Server::started();
    let _: String = server.ask(cmd("SET").arg("broken").arg("no list")).await;
    let config =
        server.config(Duration::from_secs(10), [("a", every(1, "broken")), ("b", every(1, "s"))]);
    let since = Timestamp::now();
    let _beat = Beat::start(&config);
    server.ticks(3, &entry(&config, "s"), since).await;
}

#[tokio::test]
async fn a_message_carries_what_the_schedule_says() {
    let server = Server::started();
    let schedule = ScheduleConfig {
        args: vec![json!("python developer")],
        kwargs: [("pages".to_owned(), json!(2))].into_iter().collect(),
        priority: Some(6),
        expires: Some(Duration::from_secs(600)),
        ..every(1, "one")
    };
    let config = server.config(Duration::from_secs(10), [("a", schedule)]);
    let _beat = Beat::start(&config);
    let message = eventually(SOON, "a tick is published", async || {
        server.messages("one\u{6}\u{16}6").await.pop()
    })
    .await;
    let headers = &message["headers"];
    assert_eq!(headers["task"], "t");
    assert_eq!(headers["celery_beat_task"], true);
    assert_eq!(headers["argsrepr"], "('python developer',)");
    assert_eq!(headers["kwargsrepr"], "{'pages': 2}");
    assert_eq!(message["properties"]["priority"], 6);
    assert_eq!(message["properties"]["delivery_info"]["routing_key"], "one");
    let expires: Timestamp = headers["expires"].as_str().unwrap().parse().unwrap();
    let rest = expires.duration_since(Timestamp::now()).as_secs();
    assert!((500..=600).contains(&rest), "{rest}");
}
