//! The caches against a Redis of their own: keys, values and lifetimes as Django sees them.

#![expect(clippy::unwrap_used, reason = "a broken fixture or server is to fail the test")]

use std::time::Duration;

use redis::{Cmd, FromRedisValue, cmd};
use rhubarb_cache::{AliasConfig, Error, FormatError, PyValue, Serializer, Timeout, Ttl};
use rhubarb_connection::{Layout, Options, Redis, RedisConfig, Role};
use rhubarb_core::class::Class;
use rhubarb_jobs::{CacheConfig, CacheTarget, Caches, Cleared, ProxyList, ScrapeState, Status};
use rhubarb_scrape::Listing;
use rhubarb_testbed::redis_server::RedisServer;

struct Server {
    _redis: RedisServer,
    config: RedisConfig,
}

impl Server {
    async fn start() -> Self {
        let redis = RedisServer::start().await;
        let config = RedisConfig {
            url: redis.socket_url().parse().unwrap(),
            layout: Layout::Four,
            connect_timeout: Duration::from_secs(5),
            command_timeout: Duration::from_secs(5),
            ..RedisConfig::default()
        };
        Self { _redis: redis, config }
    }

    fn db(&self, db: u32) -> Redis {
        Redis::new(&self.config.url, db, &self.config, Options::default()).unwrap()
    }

    fn caches(&self) -> Caches {
        self.caches_of(&config())
    }

    fn caches_of(&self, config: &CacheConfig) -> Caches {
        let db = |role| match role {
            Role::Queue | Role::Results => 0,
            Role::Cache => 1,
            Role::Sessions => 2,
            Role::Jobs => 3,
        };
        Caches::on(config, |role| self.db(db(role))).unwrap()
    }

    async fn ask<T: FromRedisValue>(&self, db: u32, command: &Cmd) -> T {
        self.db(db).query(command).await.unwrap()
    }

    async fn keys(&self, db: u32) -> Vec<String> {
        let mut keys: Vec<String> = self.ask(db, cmd("KEYS").arg("*")).await;
        keys.sort();
        keys
    }
}

/// The aliases and targets of the Django application.
fn config() -> CacheConfig {
    let alias = |role, prefix: &str, seconds| AliasConfig {
        timeout: Some(Duration::from_secs(seconds)),
        ..AliasConfig::new(role, prefix)
    };
    let target = |alias: &str, key: &str, seconds| CacheTarget {
        alias: alias.to_owned(),
        key: key.to_owned(),
        timeout: Some(Duration::from_secs(seconds)),
    };
    CacheConfig {
        aliases: [
            ("default".to_owned(), alias(Role::Cache, "hire_voo_ai", 300)),
            ("sessions".to_owned(), alias(Role::Sessions, "session", 1_209_600)),
            ("jobs".to_owned(), alias(Role::Jobs, "jobs", 3600)),
        ]
        .into(),
        listings: vec![
            target("jobs", "jobs:{keyword_slug}", 1800),
            target("default", "job_listings:{keyword_slug}", 600),
        ],
        status: target("default", "scraping_status", 300),
        proxies: target("default", "proxy_list", 600),
        ..CacheConfig::default()
    }
}

fn listing(id: usize) -> Listing {
    Listing {
        title: format!("Engineer {id}"),
        location: Some("Lisbon, Portugal".to_owned()),
        salary_min: Some(50_000.5),
        is_remote: Some(true),
        tags: vec!["rust".to_owned(), "日本語".to_owned()],
        ..Listing::default()
    }
}

fn status() -> Status {
    Status {
        last_scraped: "2026-01-02T03:04:05+00:00".to_owned(),
        keyword: "rust".to_owned(),
        jobs_count: 2,
        status: ScrapeState::Partial,
        error: None,
        sources: [].into(),
        new: 1,
        closed: 0,
    }
}

/// A lifetime just set lies at most a few seconds below what was asked for.
fn assert_about(left: Duration, asked: u64) {
    let asked = Duration::from_secs(asked);
    assert!(left <= asked && left + Duration::from_secs(30) > asked, "{left:?} of {asked:?}");
}

#[tokio::test]
async fn listings_stand_under_djangos_keys_in_every_target() {
    let server = Server::start().await;
    let caches = server.caches();
    let listings = [listing(1), listing(2)];
    caches.listings().write(" Software Engineer ", &listings).await.unwrap();
    assert_eq!(server.keys(3).await, ["jobs:1:jobs:software_engineer"]);
    assert_eq!(server.keys(1).await, ["hire_voo_ai:1:job_listings:software_engineer"]);
    let pttl: u64 = server.ask(3, cmd("PTTL").arg("jobs:1:jobs:software_engineer")).await;
    assert_about(Duration::from_millis(pttl), 1800);

    let cached = caches.listings().read("software engineer").await.unwrap().unwrap();
    assert_eq!(cached.listings, listings);
    assert_about(cached.ttl.unwrap(), 1800);
    assert_eq!(cached.age.unwrap() + cached.ttl.unwrap(), Duration::from_secs(1800));
    assert_eq!(caches.listings().read("other").await.unwrap(), None);
    caches.listings().write("none", &[]).await.unwrap();
    assert_eq!(caches.listings().read("none").await.unwrap().unwrap().listings, []);
}

#[tokio::test]
async fn a_listing_has_every_key_and_none_for_what_is_absent() {
    let server = Server::start().await;
    let caches = server.caches();
    caches.listings().write("rust", &[listing(1)]).await.unwrap();
    let value = caches.alias("jobs").unwrap().get("jobs:rust").await.unwrap().unwrap();
    let PyValue::List(listings) = value else { panic!("a list") };
    let PyValue::Dict(pairs) = &listings[0] else { panic!("a dict") };
    let keys = "title company location city state country url apply_url source external_id employment_type \
        seniority_level job_function industries workplace is_remote salary_display salary_min salary_max \
        salary_currency salary_period description tags posted_at scraped_at \
        valid_through language locations also";
    let keys: Vec<PyValue> = keys.split_whitespace().map(PyValue::from).collect();
    assert_eq!(pairs.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), keys);
    assert_eq!(listings[0].get("city"), Some(&PyValue::None));
    assert_eq!(listings[0].get("salary_min"), Some(&PyValue::Float(50_000.5)));
}

#[tokio::test]
async fn a_timeout_is_djangos() {
    let server = Server::start().await;
    let cache = server.caches().alias("default").unwrap().clone();
    let value = PyValue::from("v");
    cache.set("a", &value, Timeout::Default).await.unwrap();
    let Ttl::Left(left) = cache.ttl("a").await.unwrap() else { panic!("an expiry") };
    assert_about(left, 300);
    cache.set("a", &value, Timeout::Never).await.unwrap();
    assert_eq!(cache.ttl("a").await.unwrap(), Ttl::Never);
    assert!(cache.touch("a", Timeout::After(Duration::from_secs(60))).await.unwrap());
    let Ttl::Left(left) = cache.ttl("a").await.unwrap() else { panic!("an expiry") };
    assert_about(left, 60);
    cache.set("a", &value, Timeout::After(Duration::ZERO)).await.unwrap();
    assert_eq!(cache.ttl("a").await.unwrap(), Ttl::Missing);
    assert!(!cache.touch("a", Timeout::Default).await.unwrap());
}

#[tokio::test]
async fn get_add_and_delete_work_on_exactly_their_keys() {
    let server = Server::start().await;
    let cache = server.caches().alias("default").unwrap().clone();
    assert_eq!(cache.get("a").await.unwrap(), None);
    assert!(cache.add("a", &PyValue::None, Timeout::Default).await.unwrap());
    assert!(!cache.add("a", &PyValue::Int(2), Timeout::Default).await.unwrap());
    assert_eq!(cache.get("a").await.unwrap(), Some(PyValue::None));
    cache.set("b", &PyValue::Int(41), Timeout::Default).await.unwrap();
    let after: i64 = server.ask(1, cmd("INCR").arg("hire_voo_ai:1:b")).await;
    assert_eq!(after, 42);
    let many = cache.get_many(&["a", "b", "c"]).await.unwrap();
    assert_eq!(many, [("a".to_owned(), PyValue::None), ("b".to_owned(), PyValue::Int(42))].into());
    assert_eq!(cache.delete_many(&["a", "c"]).await.unwrap(), 1);
    assert_eq!(cache.delete_many(&[]).await.unwrap(), 0);
    assert_eq!(server.keys(1).await, ["hire_voo_ai:1:b"]);
}

#[tokio::test]
async fn clearing_leaves_queues_sessions_and_other_caches() {
    let server = Server::start().await;
    let caches = server.caches();
    for n in 0..1500 {
        let key = format!("jobs:1:jobs:keyword_{n}");
        let _: String = server.ask(3, cmd("SET").arg(key).arg("1")).await;
    }
    caches.listings().write("rust", &[listing(1)]).await.unwrap();
    caches.status().write(&status()).await.unwrap();
    caches.proxies().write(&ProxyList(vec!["http://u:p@h:1".to_owned()])).await.unwrap();
    let session = "session:1:django.contrib.sessions.cacheabc";
    let others = [
        (0, "celery"),
        (0, "jobs:1:jobs:in_the_queues_database"),
        (1, "hire_voo_ai:1:user:7"),
        (1, "hire_voo_ai:2:job_listings:rust"),
        (2, session),
        (3, "jobs:1:jobs:django.contrib.sessions.cacheabc"),
        (3, "jobs:1:search:rust:berlin"),
    ];
    for (db, key) in others {
        let _: String = server.ask(db, cmd("SET").arg(key).arg("1")).await;
    }
    let cleared = caches.clear().await.unwrap();
    assert_eq!(cleared, Cleared { listings: 1502, status: 1, proxies: 1 });
    for db in 0..4 {
        let kept: Vec<&str> =
            others.iter().filter(|(of, _)| *of == db).map(|(_, key)| *key).collect();
        assert_eq!(server.keys(db).await, kept, "database {db}");
    }
    assert_eq!(caches.clear().await.unwrap(), Cleared { listings: 0, status: 0, proxies: 0 });
}

#[tokio::test]
async fn the_status_and_the_proxies_come_back() {
    let server = Server::start().await;
    let caches = server.caches();
    assert_eq!(caches.status().read().await.unwrap(), None);
    caches.status().write(&status()).await.unwrap();
    assert_eq!(caches.status().read().await.unwrap(), Some(status()));
    let proxies = ProxyList(vec!["http://user:hunter2@10.0.0.1:8080".to_owned()]);
    assert_eq!(caches.proxies().read().await.unwrap(), None);
    caches.proxies().write(&proxies).await.unwrap();
    assert_eq!(caches.proxies().read().await.unwrap(), Some(proxies.clone()));
    assert!(!format!("{proxies:?}").contains("hunter2"));
    assert_eq!(server.keys(1).await, ["hire_voo_ai:1:proxy_list", "hire_voo_ai:1:scraping_status"]);
}

#[tokio::test]
async fn a_value_that_is_not_data_is_an_error_and_stays() {
    let server = Server::start().await;
    let caches = server.caches();
    let foreign = b"cos\nsystem\n(S'true'\ntR.".as_slice();
    let key = "hire_voo_ai:1:scraping_status";
    let _: String = server.ask(1, cmd("SET").arg(key).arg(foreign)).await;
    let error = caches.status().read().await.unwrap_err();
    assert_eq!(error.class(), Class::Permanent);
    assert!(
        matches!(&error, Error::Read { source: FormatError::Unsupported { class }, .. } if class == "os.system")
    );
    assert_eq!(caches.status().at_hand().await.unwrap(), None, "a scrape goes on without it");
    let stored: Vec<u8> = server.ask(1, cmd("GET").arg(key)).await;
    assert_eq!(stored, foreign);
    let _: String = server.ask(1, cmd("SET").arg("hire_voo_ai:1:proxy_list").arg("7")).await;
    assert!(matches!(caches.proxies().read().await, Err(Error::Read { .. })));
}

#[tokio::test]
async fn a_value_over_the_cap_is_refused_and_nothing_is_written() {
    let server = Server::start().await;
    let cache = server.caches().alias("default").unwrap().clone();
    let huge = PyValue::Bytes(vec![0; rhubarb_cache::codec::MAX_VALUE + 1]);
    let error = cache.set("a", &huge, Timeout::Default).await.unwrap_err();
    assert!(matches!(error, Error::Write { source: FormatError::TooLarge { .. }, .. }), "{error}");
    assert_eq!(server.keys(1).await, Vec::<String>::new());
}

#[tokio::test]
async fn many_values_may_take_more_than_one_answer_does() {
    let server = Server::start().await;
    let cache = server.caches().alias("default").unwrap().clone();
    let keys: Vec<String> = (0..7).map(|n| n.to_string()).collect();
    let value = PyValue::Bytes(vec![7; 12 << 20]);
    for key in &keys {
        cache.set(key, &value, Timeout::Default).await.unwrap();
    }
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let found = cache.get_many(&keys).await.unwrap();
    assert_eq!(found.len(), 7);
    assert!(found.values().all(|found| *found == value));
}

#[tokio::test]
async fn every_serializer_carries_the_listings() {
    let server = Server::start().await;
    for serializer in [Serializer::Json, Serializer::MsgPack, Serializer::Pickle] {
        let mut config = config();
        config.aliases.values_mut().for_each(|alias| alias.serializer = serializer);
        let caches = server.caches_of(&config);
        caches.listings().write("rust", &[listing(1)]).await.unwrap();
        let cached = caches.listings().read("rust").await.unwrap().unwrap();
        assert_eq!(cached.listings, [listing(1)], "{serializer:?}");
    }
}

#[tokio::test]
async fn an_alias_that_is_not_there_is_named() {
    let server = Server::start().await;
    let mut config = config();
    config.status.alias = "elsewhere".to_owned();
    let error = Caches::on(&config, |_| server.db(1)).unwrap_err();
    assert!(error.to_string().contains("`elsewhere`"), "{error}");
    assert!(matches!(server.caches().alias("x"), Err(Error::UnknownAlias { .. })));
}
