//! Limits that all workers keep together, against a Redis of their own.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use redis::AsyncCommands;
use rhubarb_connection::{Options, Redis, RedisConfig};
use rhubarb_queue::{
    config::CeleryConfig,
    keys::Keys,
    limiter::{Breaker, Limit, Limiter, PlaceUse, Turn, Why},
};
use rhubarb_testbed::{eventually::eventually, redis_server::RedisServer};

const SECOND: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_secs(60);

async fn bench() -> (RedisServer, Limiter) {
    let server = RedisServer::start().await;
    let config =
        RedisConfig { url: server.socket_url().parse().unwrap(), ..RedisConfig::default() };
    let redis = Redis::new(&config.url, 0, &config, Options::default()).unwrap();
    (server, Limiter::new(redis, Keys::new(&CeleryConfig::default())))
}

fn limit(name: &str) -> Limit {
    let (interval, burst, places) = (Duration::ZERO, 1, 0);
    Limit { name: name.to_owned(), interval, burst, places, breaker: None }
}

fn wait(turn: Turn) -> (Duration, Why) {
    match turn {
        Turn::Wait { after, why } => (after, why),
        Turn::Taken => panic!("taken"),
    }
}

#[tokio::test]
async fn starts_come_at_even_distances_after_a_burst() {
    let (_server, limiter) = bench().await;
    let limits = [Limit { interval: 100 * SECOND, burst: 3, ..limit("a") }];
    let take = async || limiter.take(&limits, "t", LEASE).await.unwrap();
    for _ in 0..3 {
        assert_eq!(take().await, Turn::Taken);
    }
    let (after, why) = wait(take().await);
    assert!(why == Why::Rate && after > 90 * SECOND && after <= 100 * SECOND, "{after:?}");
    // Asking takes nothing.
    assert!(wait(take().await).0 <= after);
}

#[tokio::test]
async fn places_are_given_back_by_their_holder_or_by_their_lease() {
    let (_server, limiter) = bench().await;
    let limits = [Limit { places: 2, ..limit("a") }];
    let take = async |token: &str, lease| limiter.take(&limits, token, lease).await.unwrap();
    assert_eq!(take("one", LEASE).await, Turn::Taken);
    assert_eq!(take("one", LEASE).await, Turn::Taken, "the same holder asks again");
    assert_eq!(take("two", SECOND).await, Turn::Taken);
    let (after, why) = wait(take("three", LEASE).await);
    assert!(why == Why::Busy && after <= SECOND, "{why:?} {after:?}");
    limiter.release(&limits, "one", PlaceUse::default()).await.unwrap();
    assert_eq!(take("three", LEASE).await, Turn::Taken);
    assert!(limiter.renew(&limits, "three", LEASE).await.unwrap());
    // The second one has died.
    let freed = async || (take("four", LEASE).await == Turn::Taken).then_some(());
    eventually(20 * SECOND, "its lease ends", freed).await;
    assert!(!limiter.renew(&limits, "two", LEASE).await.unwrap(), "it is another's now");
    // A late end of what is another's takes nothing away.
    limiter.release(&limits, "two", PlaceUse::default()).await.unwrap();
    assert_eq!(wait(take("five", LEASE).await).1, Why::Busy);
}

#[tokio::test]
async fn several_limits_are_taken_in_one_step_or_not_at_all() {
    let (_server, limiter) = bench().await;
    let narrow = Limit { places: 1, ..limit("narrow") };
    let paced = Limit { interval: 100 * SECOND, ..limit("paced") };
    let both = [paced, narrow.clone()];
    let narrow = [narrow];
    let take = async || limiter.take(&both, "t", LEASE).await.unwrap();
    assert_eq!(limiter.take(&narrow, "other", LEASE).await.unwrap(), Turn::Taken);
    assert_eq!(wait(take().await).1, Why::Busy);
    limiter.release(&narrow, "other", PlaceUse::default()).await.unwrap();
    assert_eq!(take().await, Turn::Taken, "the pace was not used");
    limiter.release(&both, "t", PlaceUse::default()).await.unwrap();
    assert_eq!(wait(take().await).1, Why::Rate);
}

#[tokio::test]
async fn a_wish_to_be_left_alone_holds_for_all_and_is_not_shortened() {
    let (_server, limiter) = bench().await;
    let limits = [limit("a")];
    for hold in [100 * SECOND, SECOND] {
        let report = PlaceUse { hold, most_delay: 60 * SECOND, ..PlaceUse::default() };
        limiter.release(&limits, "t", report).await.unwrap();
    }
    let (after, why) = wait(limiter.take(&limits, "other", LEASE).await.unwrap());
    assert!(why == Why::Held && after > 90 * SECOND, "{why:?} {after:?}");
}

#[tokio::test]
async fn the_pace_follows_how_long_things_take_and_recovers() {
    let (server, limiter) = bench().await;
    let limits = [Limit { interval: Duration::from_millis(1), ..limit("a") }];
    let report = async |took, success| {
        let most_delay = 60 * SECOND;
        let report = PlaceUse { took: Some(took), success, most_delay, ..PlaceUse::default() };
        limiter.release(&limits, "t", report).await.unwrap();
    };
    let mut redis = server.connect(0).await;
    let mut delay = async || {
        let text: String = redis.hget("rhubarb:{limits}:a", "delay").await.unwrap();
        Duration::from_micros(text.parse().unwrap())
    };
    report(8 * SECOND, Some(true)).await;
    let slow = delay().await;
    assert!(slow > 3 * SECOND && slow < 5 * SECOND, "{slow:?}");
    report(Duration::ZERO, Some(false)).await;
    assert_eq!(delay().await, slow, "a quick failure makes nothing faster");
    report(1_000 * SECOND, Some(true)).await;
    assert_eq!(delay().await, 60 * SECOND);
    for _ in 0..30 {
        report(Duration::ZERO, Some(true)).await;
    }
    assert!(delay().await <= Duration::from_millis(2));
}

#[tokio::test]
async fn failures_in_a_row_open_it_and_one_tries_before_the_others_may() {
    let (_server, limiter) = bench().await;
    let rest = Duration::from_millis(300);
    let limits = [Limit { places: 5, breaker: Some(Breaker { failures: 3, rest }), ..limit("a") }];
    let take = async |token: &str| limiter.take(&limits, token, LEASE).await.unwrap();
    let end = async |token: &str, success| {
        let report = PlaceUse { success: Some(success), ..PlaceUse::default() };
        limiter.release(&limits, token, report).await.unwrap();
    };
    let probed = async || (take("probe").await == Turn::Taken).then_some(());
    for success in [false, false, true, false, false] {
        end("t", success).await;
    }
    assert_eq!(take("t").await, Turn::Taken, "never three in a row");
    end("t", false).await;
    let (after, why) = wait(take("t").await);
    assert!(why == Why::Open && after <= rest, "{why:?} {after:?}");
    eventually(20 * SECOND, "one may try", probed).await;
    assert_eq!(wait(take("second").await).1, Why::Busy, "one tries");
    end("probe", false).await;
    let (after, why) = wait(take("t").await);
    assert!(why == Why::Open && after > rest, "twice as long: {after:?}");
    eventually(20 * SECOND, "one may try again", probed).await;
    end("probe", true).await;
    for token in ["one", "two", "three"] {
        assert_eq!(take(token).await, Turn::Taken);
    }
}

#[tokio::test]
async fn thousands_of_limits_cost_what_is_in_use_and_end_by_themselves() {
    let (server, limiter) = bench().await;
    for n in 0..2_000 {
        let limits = [Limit { interval: SECOND, places: 1, ..limit(&format!("host:{n}")) }];
        assert_eq!(limiter.take(&limits, "t", LEASE).await.unwrap(), Turn::Taken);
        limiter.release(&limits, "t", PlaceUse::default()).await.unwrap();
    }
    let mut redis = server.connect(0).await;
    let keys: Vec<String> = redis.keys("*").await.unwrap();
    assert_eq!(keys.len(), 2_000, "a hash for each, and no place");
    for key in keys.iter().step_by(100) {
        let ttl: i64 = redis.ttl(key).await.unwrap();
        assert!((1..=700).contains(&ttl), "{key}: {ttl}");
    }
}
