use std::time::Duration;

use jiff::Timestamp;
use redis::AsyncCommands;
use rhubarb_e2e::{
    eventually::eventually,
    installation::Installation,
    process::{Process, Signal},
    redis_server::RedisServer,
};
use tokio::time::Instant;

use super::messages;
use crate::BINARIES;

/// The lease and all else as they are by default.
const EVERY_SECOND: &str = r#"
[schedules.second]
task = "counted"
queue = "seconds"
every = 1
"#;
/// Where Debian and its kin keep the library that turns one process's clock.
const FAKETIME: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];
/// What a busy machine adds.
const BUSY: Duration = Duration::from_secs(3);

/// Two beats, the first of which leads; returns when the last of its messages was published too.
async fn led(installation: &Installation) -> [Process; 2] {
    let mut leader = installation.beat(&[]);
    leader.line("this beat leads", Duration::from_secs(30)).await;
    let mut standby = installation.beat(&[]);
    let line = standby.line("standing by", Duration::from_secs(30)).await;
    assert!(line.contains("leading_s") && line.contains("leader"), "{line}");
    published_after(installation, 0, Duration::from_secs(30)).await;
    [leader, standby]
}

async fn n_messages(installation: &Installation) -> usize {
    messages(&mut installation.redis.connect(0).await, "seconds").await.len()
}

/// Waits for more than `n` messages, and returns how long it took.
async fn published_after(installation: &Installation, n: usize, within: Duration) -> Duration {
    let begun = Instant::now();
    eventually(within, "the next tick is published", async || {
        (n_messages(installation).await > n).then_some(())
    })
    .await;
    begun.elapsed()
}

#[tokio::test]
async fn after_sigkill_of_the_leader_the_next_tick_comes_within_twelve_seconds() {
    let installation = Installation::new(BINARIES, RedisServer::start().await, EVERY_SECOND);
    let [mut leader, _standby] = led(&installation).await;
    leader.kill();
    let n = n_messages(&installation).await;
    let took = published_after(&installation, n, Duration::from_secs(12) + BUSY).await;
    println!("SIGKILL of the leader: the next tick after {took:?}");
}

#[tokio::test]
async fn after_sigterm_of_the_leader_the_next_tick_comes_within_a_second() {
    let installation = Installation::new(BINARIES, RedisServer::start().await, EVERY_SECOND);
    let [mut leader, _standby] = led(&installation).await;
    leader.signal(Signal::TERM);
    assert_eq!(leader.ended(Duration::from_secs(10)).await.code(), Some(0));
    let n = n_messages(&installation).await;
    let took = published_after(&installation, n, Duration::from_secs(2) + BUSY).await;
    println!("SIGTERM of the leader: the next tick after {took:?}");
}

/// Suspended for two hours, as a laptop is: what has passed meanwhile is caught up on by the
/// policy, by whoever leads.
#[tokio::test]
async fn a_leader_that_was_suspended_changes_nothing_when_it_wakes() {
    let text = format!("[beat]\nlease = \"2s\"\n{EVERY_SECOND}");
    let installation = Installation::new(BINARIES, RedisServer::start().await, &text);
    let [leader, mut standby] = led(&installation).await;
    leader.signal(Signal::STOP);
    standby.line("taking over", Duration::from_secs(30)).await;
    let n = n_messages(&installation).await;
    published_after(&installation, n + 1, Duration::from_secs(30)).await;
    leader.signal(Signal::CONT);
    let n = n_messages(&installation).await;
    published_after(&installation, n + 2, Duration::from_secs(30)).await;
    let all = messages(&mut installation.redis.connect(0).await, "seconds").await;
    let ids: std::collections::HashSet<String> = all.iter().map(super::id).collect();
    assert_eq!(ids.len(), all.len(), "a tick was published twice");
    let lease: String =
        installation.redis.connect(0).await.get("rhubarb:beat:lease").await.unwrap();
    let since: i64 = lease.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(Timestamp::now().as_millisecond() - since < 120_000, "{lease}");
}

/// Redis's clock counts: the beat's own may be set at any time.
#[tokio::test]
async fn a_clock_that_is_set_by_an_hour_neither_doubles_nor_misses_a_tick() {
    let Some(library) = FAKETIME.into_iter().find(|path| std::path::Path::new(path).exists())
    else {
        println!("LEFT OUT: a beat whose clock is set; libfaketime is not installed");
        return;
    };
    let text = format!("{EVERY_SECOND}catch_up = \"all\"\n");
    let mut installation = Installation::new(BINARIES, RedisServer::start().await, &text);
    let clock = installation.folder().join("clock");
    std::fs::write(&clock, "+0").unwrap();
    for (name, value) in [
        ("LD_PRELOAD", library),
        ("FAKETIME_TIMESTAMP_FILE", &clock.display().to_string()),
        ("FAKETIME_CACHE_DURATION", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ] {
        installation.set(name, value);
    }
    let _beat = installation.beat(&[]);
    published_after(&installation, 1, Duration::from_secs(30)).await;
    for step in ["+3600", "-3600", "+0"] {
        std::fs::write(&clock, step).unwrap();
        let n = n_messages(&installation).await;
        let took = published_after(&installation, n + 5, Duration::from_secs(30)).await;
        println!("the clock set to {step}: six ticks in {took:?}");
    }
    let mut redis = installation.redis.connect(0).await;
    let record: String = redis.hget("rhubarb:{seconds}:ticks", "second").await.unwrap();
    let parts: Vec<i64> = record.split(' ').filter_map(|part| part.parse().ok()).collect();
    let (tick, runs, missed, anchor) = (parts[0], parts[1], parts[2], parts[6]);
    assert_eq!((missed, runs), (0, (tick - anchor) / 1_000), "{record}");
    let all = messages(&mut redis, "seconds").await;
    let ids: std::collections::HashSet<String> = all.iter().map(super::id).collect();
    assert_eq!(ids.len(), all.len(), "a tick was published twice");
    assert!(i64::try_from(ids.len()).unwrap() >= runs, "{record}");
}
