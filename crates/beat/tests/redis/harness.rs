//! A Redis of a test's own, and beats in its process.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use jiff::Timestamp;
use redis::{FromRedisValue, cmd};
use rhubarb_beat::{Error, entry};
use rhubarb_connection::{Connections, Options, Redis};
use rhubarb_core::shutdown::{Shutdown, StopSignal};
use rhubarb_queue::{Client, schedules::Schedules, tick::Record};
use rhubarb_schedule::{Schedule, ScheduleConfig, When};
use rhubarb_settings::Settings;
use rhubarb_testbed::{eventually::eventually, redis_server::RedisServer};
use serde_json::Value;
use tokio::task::JoinHandle;

/// Longer than anything that is awaited takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// An hour's worth of seconds: long enough that nothing is due during a test.
pub(crate) const HOUR: u64 = 3_600;

/// A server of one test.
pub(crate) struct Server(RedisServer);

impl Server {
    pub(crate) fn not_started() -> Self {
        Self(RedisServer::not_started())
    }

    pub(crate) async fn started() -> Self {
        Self(RedisServer::start_durable().await)
    }

    pub(crate) async fn start(&mut self) {
        self.0.restart().await;
    }

    pub(crate) fn stop(&mut self) {
        self.0.kill();
    }

    pub(crate) fn config<'a>(
        &self,
        lease: Duration,
        schedules: impl IntoIterator<Item = (&'a str, ScheduleConfig)>,
    ) -> Settings {
        let mut config = Settings::default();
        config.redis.url = self.0.socket_url().parse().unwrap();
        config.beat.lease = lease;
        config.schedules =
            schedules.into_iter().map(|(name, s)| (name.to_owned(), s.into())).collect();
        config
    }

    pub(crate) fn client(&self) -> Client {
        let config = self.config(SOON, []);
        Client::new(&Connections::new(&config.redis, "test").unwrap(), &config)
    }

    /// The live schedules, as the command line edits them.
    pub(crate) fn schedules(&self) -> Schedules {
        Schedules::new(&self.client())
    }

    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &redis::Cmd) -> T {
        let config = self.config(SOON, []);
        let redis = Redis::new(&config.redis.url, 0, &config.redis, Options::default()).unwrap();
        redis.query(command).await.unwrap()
    }

    /// The messages on a list, the first published first.
    pub(crate) async fn messages(&self, list: &str) -> Vec<Value> {
        let messages: Vec<String> = self.ask(cmd("LRANGE").arg(list).arg(0).arg(-1)).await;
        messages.iter().rev().map(|message| serde_json::from_str(message).unwrap()).collect()
    }

    /// What is kept of the schedules of a queue.
    pub(crate) async fn records(&self, queue: &str) -> BTreeMap<String, Record> {
        let texts: BTreeMap<String, String> =
            self.ask(cmd("HGETALL").arg(format!("rhubarb:{{{queue}}}:ticks"))).await;
        let read = |(name, text): (String, String)| (name, Record::decode(&text).unwrap());
        texts.into_iter().map(read).collect()
    }

    /// Writes what would be kept of a schedule whose last tick was then.
    pub(crate) async fn keep(&self, queue: &str, schedule: &str, record: &Record) {
        let key = format!("rhubarb:{{{queue}}}:ticks");
        let _: u64 = self.ask(cmd("HSET").arg(key).arg(schedule).arg(record.encode())).await;
    }

    /// Waits until the schedule's record is as the test wants it.
    pub(crate) async fn record_when(
        &self,
        queue: &str,
        schedule: &str,
        what: &str,
        wanted: impl Fn(&Record) -> bool,
    ) -> Record {
        eventually(SOON, what, async || {
            self.records(queue).await.remove(schedule).filter(|record| wanted(record))
        })
        .await
    }

    pub(crate) async fn leader(&self) -> Option<String> {
        let lease: Option<String> = self.ask(cmd("GET").arg("rhubarb:beat:lease")).await;
        lease.map(|lease| lease.splitn(3, ' ').last().unwrap().to_owned())
    }

    /// Waits until another than `before` leads.
    pub(crate) async fn leader_after(&self, before: Option<&str>, within: Duration) -> String {
        eventually(within, "another beat leads", async || {
            self.leader().await.filter(|leader| Some(leader.as_str()) != before)
        })
        .await
    }

    /// Waits for `n` ticks of the queue's one schedule and checks that each is a tick of it and was
    /// published once.
    pub(crate) async fn ticks(&self, n: usize, config: &Settings, queue: &str) -> usize {
        let messages = eventually(SOON, "ticks are published", async || {
            Some(self.messages(queue).await).filter(|messages| messages.len() >= n)
        })
        .await;
        let ids: HashSet<String> = messages.iter().map(id).collect();
        assert_eq!(ids.len(), messages.len(), "a tick was published twice");
        let records = self.records(queue).await;
        let (name, record) = records.iter().next().unwrap();
        let schedule = Schedule::compile(name, config.schedules[name].clone(), "UTC").unwrap();
        let ticks = std::iter::successors(Some(record.anchor), |tick| {
            schedule.next_after(*tick, record.anchor)
        });
        let ticks = ticks.skip(1).take_while(|tick| *tick <= Timestamp::now());
        let possible: HashSet<String> = ticks.map(|tick| entry::id("", name, tick)).collect();
        assert!(ids.is_subset(&possible), "{ids:?} are not ticks among {possible:?}");
        messages.len()
    }
}

/// A beat in this process. Dropped or aborted, it has no last word, as if it were killed.
pub(crate) struct Beat {
    shutdown: Shutdown,
    running: JoinHandle<Result<(), Error>>,
}

impl Beat {
    pub(crate) fn start(config: &Settings) -> Self {
        let (config, shutdown) = (config.clone(), Shutdown::new());
        let stop = shutdown.clone();
        let running = tokio::spawn(async move { rhubarb_beat::run(&config, &stop).await });
        Self { shutdown, running }
    }

    pub(crate) async fn stop(&mut self) {
        self.shutdown.request(StopSignal::Terminate);
        tokio::time::timeout(SOON, &mut self.running).await.unwrap().unwrap().unwrap();
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.running.abort();
    }
}

pub(crate) fn every(seconds: u64, queue: &str) -> ScheduleConfig {
    ScheduleConfig {
        task: "t".to_owned(),
        when: When::Every { every: Duration::from_secs(seconds), relative: false },
        queue: Some(queue.to_owned()),
        ..ScheduleConfig::default()
    }
}

pub(crate) fn id(message: &Value) -> String {
    message["headers"]["id"].as_str().unwrap().to_owned()
}

/// A record of a schedule that was first seen this long ago and has done nothing since.
pub(crate) fn seen(seconds_ago: i64) -> Record {
    Record::new(Timestamp::now() - jiff::SignedDuration::from_secs(seconds_ago))
}

/// The ticks that messages stand for, as the seconds that they lie after the anchor.
pub(crate) fn ticks_of(messages: &[Value], schedule: &str, anchor: Timestamp) -> Vec<i64> {
    let after = |s: i64| anchor + jiff::SignedDuration::from_secs(s);
    let of = |message: &Value| {
        (0..100_000).find(|s| entry::id("", schedule, after(*s)) == id(message)).unwrap()
    };
    messages.iter().map(of).collect()
}
