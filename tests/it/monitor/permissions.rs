//! A server whose ACL forbids what hosted servers forbid: what is missing is said, the rest is
//! shown.

use rhubarb_e2e::{installation::Installation, redis_server::RedisServer};

use super::filled;
use crate::BINARIES;

/// Returns an installation whose user may do everything but these.
async fn forbidden(rules: &str) -> Installation {
    let redis = RedisServer::start().await;
    filled(&redis, "four").await;
    redis.command(&format!("ACL SETUSER shop on >hunter2 ~* &* +@all {rules}")).await;
    let url = format!("redis://shop:hunter2@127.0.0.1:{}/0", redis.port());
    let mut installation = Installation::new(BINARIES, redis, "");
    installation.set("REDIS_URL", &url);
    installation
}

#[tokio::test]
async fn each_forbidden_command_leaves_out_its_part_only() {
    for (rules, command, what, still) in [
        ("-info", "INFO", "server, memory and clients", "listings"),
        ("-config", "CONFIG", "settings", "fragmentation"),
        ("-slowlog", "SLOWLOG", "slow log", "listings"),
        ("-client", "CLIENT", "clients by name", "listings"),
        ("-memory", "MEMORY", "memory by namespace", "listings"),
        ("-pttl", "PTTL", "keys without TTL", "listings"),
        ("-dbsize", "DBSIZE", "keys", "listings"),
        ("-scan", "SCAN", "keys by namespace", "fragmentation"),
        ("-llen", "LLEN", "queues", "listings"),
    ] {
        let installation = forbidden(rules).await;
        let ran = installation.rhubarb(&["monitor", "--info"]).await;
        assert_eq!(ran.code, 0, "{rules}: {}{}", ran.stdout, ran.stderr);
        let line = format!("not permitted: {what} ({command})");
        assert!(ran.stdout.contains(&line), "{rules}: no `{line}` in\n{}", ran.stdout);
        assert!(ran.stdout.contains(still), "{rules}: no `{still}` in\n{}", ran.stdout);
        assert_eq!(ran.stderr, "", "{rules}");
        let json = installation.rhubarb(&["monitor", "--info", "--json"]).await.json();
        let missing = json["missing"].as_array().unwrap();
        assert!(missing.iter().any(|one| one["what"] == what), "{rules}: {missing:?}");
        let metrics = installation.rhubarb(&["monitor", "--prometheus"]).await;
        assert!(metrics.stdout.contains("rhubarb_redis_up{"), "{rules}: {}", metrics.stdout);
    }
}

#[tokio::test]
async fn a_user_who_may_do_next_to_nothing_still_sees_what_there_is() {
    let redis = RedisServer::start().await;
    filled(&redis, "four").await;
    redis.command("ACL SETUSER shop on >hunter2 ~* +dbsize +select +scan").await;
    let url = format!("redis://shop:hunter2@127.0.0.1:{}/0", redis.port());
    let mut installation = Installation::new(BINARIES, redis, "");
    installation.set("REDIS_URL", &url);
    let ran = installation.rhubarb(&["monitor"]).await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for expect in ["listing keys    3", "session keys    2", "memory          not permitted (INFO)"]
    {
        assert!(ran.stdout.contains(expect), "no `{expect}` in\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains("hunter2"));
}

#[tokio::test]
async fn dangerous_commands_are_neither_needed_nor_sent() {
    let installation = forbidden("-@dangerous +info").await;
    let ran = installation.rhubarb(&["monitor"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.stdout.contains("not permitted"), "{}", ran.stdout);
    let stats = super::command_stats(&installation.redis).await;
    for command in ["keys", "monitor", "flushdb", "sort", "debug"] {
        assert!(!stats.contains(&format!("cmdstat_{command}:")), "{stats}");
    }
}
