//! Records of postings' lives and the feed of changes, on a Redis of their own.

#![expect(clippy::unwrap_used, reason = "a broken fixture or server is to fail the test")]

use std::collections::BTreeMap;

use redis::{FromRedisValue, cmd};
use rhubarb_connection::{Options, Redis, RedisConfig};
use rhubarb_jobs::{
    CacheConfig, Caches,
    life::{End, Event, Record, Run, Why, tally},
};
use rhubarb_scrape::Listing;
use rhubarb_testbed::redis_server::RedisServer;

struct Server {
    _server: RedisServer,
    redis: Redis,
    caches: Caches,
}

impl Server {
    async fn start() -> Self {
        let server = RedisServer::start().await;
        let url = server.socket_url().parse().unwrap();
        let config = RedisConfig { url, ..RedisConfig::default() };
        let redis = Redis::new(&config.url, 3, &config, Options::default()).unwrap();
        let caches = Caches::on(&CacheConfig::default(), |_| redis.clone()).unwrap();
        Self { _server: server, redis, caches }
    }

    async fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        self.redis.query(cmd(command[0]).arg(&command[1..])).await.unwrap()
    }

    async fn record(&self) -> Option<Record> {
        self.caches.listings().life().unwrap().read("Night porter").await.unwrap()
    }

    /// A scrape of a whole source that found these; returns how many changes it made.
    async fn scrape(&self, found: &[Listing]) -> usize {
        let life = self.caches.listings().life().unwrap();
        let (record, events) = ran(self.record().await.unwrap_or_default(), found);
        life.write("Night porter", &record, &events, &[], 30).await.unwrap();
        events.len()
    }
}

fn ran(record: Record, found: &[Listing]) -> (Record, Vec<Event>) {
    let whole = End { closed: Some(Why::NotListed), ..End::default() };
    let ends = BTreeMap::from([("a".to_owned(), whole)]);
    let now = rhubarb_core::clock::now();
    tally(record, &Run { now, listings: found, ends: &ends, kept_days: 30 })
}

fn listings(ids: std::ops::Range<usize>) -> Vec<Listing> {
    let listing = |id: usize| Listing {
        title: format!("Porter {id}"),
        company: "Harbour".into(),
        source: "a".into(),
        external_id: id.to_string(),
        url: format!("https://a.test/{id}"),
        ..Listing::default()
    };
    ids.map(listing).collect()
}

const RECORD: &str = "jobs:0:rhubarb.life:jobs:night_porter";
const FEED: &str = "jobs:0:rhubarb.changes:jobs:night_porter";

#[tokio::test]
async fn each_change_is_told_in_the_feed_as_django_reads_it() {
    let server = Server::start().await;
    assert_eq!(server.scrape(&listings(1..3)).await, 2);
    let mut second = listings(2..4);
    second[0].title = "Head porter".into();
    assert_eq!(server.scrape(&second).await, 3);
    assert_eq!(server.scrape(&second).await, 0);

    let entries: Vec<(String, BTreeMap<String, String>)> =
        server.ask(&["XRANGE", FEED, "-", "+"]).await;
    let told: Vec<String> = entries
        .iter()
        .map(|(_, fields)| format!("{} {}", fields["change"], fields["external_id"]))
        .collect();
    assert_eq!(told, ["new 1", "new 2", "closed 1", "changed 2", "new 3"]);
    let names: Vec<&String> = entries[3].1.keys().collect();
    let expect =
        ["at", "change", "company", "detail", "external_id", "keyword", "source", "title", "url"];
    assert_eq!(names, expect);
    let changed = &entries[3].1;
    assert_eq!(
        [&changed["keyword"], &changed["title"], &changed["company"], &changed["url"]],
        ["Night porter", "Head porter", "Harbour", "https://a.test/2"]
    );
    let detail = r#"{"fields":[{"field":"title","old":"Porter 2","new":"Head porter"}]}"#;
    assert_eq!(changed["detail"], detail);
    assert_eq!(entries[2].1["detail"], r#"{"why":"not_listed"}"#);
    for key in [RECORD, FEED] {
        let left: i64 = server.ask(&["TTL", key]).await;
        assert!((30 * 86_400..=31 * 86_400).contains(&left), "{key}: {left}");
    }
}

#[tokio::test]
async fn a_feed_and_the_changes_of_one_scrape_are_bounded() {
    let server = Server::start().await;
    assert_eq!(server.scrape(&listings(0..3_000)).await, 3_000);
    assert_eq!(server.ask::<usize>(&["XLEN", FEED]).await, 1_000);
    for more in 1..4 {
        server.scrape(&listings(0..3_000 + more * 700)).await;
    }
    let length: usize = server.ask(&["XLEN", FEED]).await;
    assert!(length <= 1_200, "{length}");
    let bytes: usize = server.ask(&["STRLEN", RECORD]).await;
    assert!(bytes < 500_000, "{bytes}");
}

#[tokio::test]
async fn what_is_no_record_of_ours_counts_as_nothing_and_is_written_anew() {
    let server = Server::start().await;
    let later = "RLIFE\u{7f}from a later version";
    for (command, key) in [("SET", RECORD), ("LPUSH", RECORD), ("SET", FEED)] {
        let _: u64 = server.ask(&["DEL", RECORD, FEED]).await;
        let _: redis::Value = server.ask(&[command, key, later]).await;
        assert_eq!(server.record().await, None, "{command} {key}");
        assert_eq!(server.scrape(&listings(0..2)).await, 2, "{command} {key}");
        assert_eq!(server.record().await.unwrap().postings.len(), 2);
        assert_eq!(server.ask::<usize>(&["XLEN", FEED]).await, 2);
    }
}

#[tokio::test]
async fn clearing_the_listings_makes_nothing_new() {
    let server = Server::start().await;
    server.scrape(&listings(0..2)).await;
    server.caches.listings().write("Night porter", &listings(0..2)).await.unwrap();
    server.caches.clear().await.unwrap();
    assert_eq!(server.scrape(&listings(0..2)).await, 0);
}

#[tokio::test]
async fn a_redis_without_memory_refuses_record_and_feed_together() {
    let server = Server::start().await;
    server.scrape(&listings(0..2)).await;
    let _: String = server.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let life = server.caches.listings().life().unwrap();
    let before = server.record().await.unwrap();
    let (record, events) = ran(before.clone(), &listings(0..3));
    life.write("Night porter", &record, &events, &[], 30).await.unwrap_err();
    let _: String = server.ask(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(server.record().await, Some(before));
    assert_eq!(server.ask::<usize>(&["XLEN", FEED]).await, 2);
    // The next one finds the same again.
    assert_eq!(server.scrape(&listings(0..3)).await, 1);
}
