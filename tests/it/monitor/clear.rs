//! `monitor --clear`: the job caches, and nothing else.

use std::collections::BTreeSet;

use redis::AsyncCommands;
use rhubarb_e2e::{
    installation::{Installation, run},
    process::clean_command,
    redis_server::RedisServer,
    terminal::Terminal,
};

use super::{every_key, filled};
use crate::{BINARIES, shop::SOON};

/// What `clear_cache_task` clears of the keys that [`filled`] writes.
const CLEARED: [&str; 5] = [
    "hire_voo_ai:1:proxy_list",
    "hire_voo_ai:1:scraping_status",
    "jobs:1:jobs:data_scientist",
    "jobs:1:jobs:qa",
    "jobs:1:jobs:rust",
];

#[tokio::test]
async fn clearing_takes_the_job_caches_and_leaves_queue_sessions_and_other_caches() {
    for layout in ["four", "two"] {
        let redis = RedisServer::start().await;
        filled(&redis, layout).await;
        let installation =
            Installation::new(BINARIES, redis, &format!("[redis]\nlayout = \"{layout}\"\n"));
        let before = every_key(&installation.redis).await;
        let ran = installation.rhubarb(&["monitor", "--clear", "--yes"]).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let expect = "deleted: 5 keys (3 listings, 1 scraping status, 1 proxy list)";
        assert_eq!(ran.stdout.trim(), expect);
        assert!(ran.stderr.contains("deleting 5 keys"), "{}", ran.stderr);
        let after = every_key(&installation.redis).await;
        let gone: BTreeSet<&str> = before.difference(&after).map(|(_, key)| key.as_str()).collect();
        assert_eq!(gone, BTreeSet::from(CLEARED), "layout {layout}");
        let again = installation.rhubarb(&["monitor", "--clear", "--yes", "--json"]).await.json();
        assert_eq!(again["keys"], 0);
    }
}

#[tokio::test]
async fn everything_in_one_database_changes_nothing_about_what_is_cleared() {
    let redis = RedisServer::start().await;
    filled(&redis, "one").await;
    let dbs: String = ["cache", "sessions", "jobs"].map(|role| format!("{role}_db = 0\n")).concat();
    let installation = Installation::new(BINARIES, redis, &format!("[redis]\n{dbs}"));
    let before = every_key(&installation.redis).await;
    let ran = installation.rhubarb(&["monitor", "--clear", "--yes"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let after = every_key(&installation.redis).await;
    let gone: BTreeSet<&str> = before.difference(&after).map(|(_, key)| key.as_str()).collect();
    assert_eq!(gone, BTreeSet::from(CLEARED));
}

#[tokio::test]
async fn what_is_announced_is_what_is_deleted_where_sessions_match_too() {
    let redis = RedisServer::start().await;
    filled(&redis, "four").await;
    for n in 0..2 {
        let session = format!("jobs:1:jobs:django.contrib.sessions.cache{n}");
        let _: () = redis.connect(3).await.set_ex(session, "x", 3_000).await.unwrap();
    }
    let installation = Installation::new(BINARIES, redis, "");
    let ran = installation.rhubarb(&["monitor", "--clear", "--yes"]).await;
    assert!(ran.stderr.contains("deleting 5 keys"), "{}", ran.stderr);
    assert!(ran.stdout.contains("deleted: 5 keys"), "{}", ran.stdout);
}

#[tokio::test]
async fn where_keys_cannot_be_counted_no_number_is_announced() {
    let redis = RedisServer::start().await;
    filled(&redis, "four").await;
    redis.command("ACL SETUSER shop on >hunter2 ~* &* +@all -scan").await;
    let url = format!("redis://shop:hunter2@127.0.0.1:{}/0", redis.port());
    let mut installation = Installation::new(BINARIES, redis, "");
    installation.set("REDIS_URL", &url);
    let ran = installation.rhubarb(&["monitor", "--clear", "--yes"]).await;
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("deleting all keys of listings"), "{}", ran.stderr);
}

#[tokio::test]
async fn without_a_terminal_and_without_yes_nothing_is_cleared() {
    let redis = RedisServer::start().await;
    filled(&redis, "four").await;
    let installation = Installation::new(BINARIES, redis, "");
    let before = every_key(&installation.redis).await;
    let ran = installation.rhubarb(&["monitor", "--clear"]).await;
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("--yes"), "{}", ran.stderr);
    assert_eq!(every_key(&installation.redis).await, before);
}

#[tokio::test]
async fn at_a_terminal_the_question_says_how_many_keys_and_obeys_the_answer() {
    let redis = RedisServer::start().await;
    filled(&redis, "four").await;
    let installation = Installation::new(BINARIES, redis, "");
    let before = every_key(&installation.redis).await;
    for (answer, code, left) in [("\n", 1, before.len()), ("y\n", 0, before.len() - 5)] {
        let command = installation.command(BINARIES.rhubarb, &["monitor", "--clear"]);
        let mut terminal = Terminal::start(&command, 100, 30);
        let question = "Delete 5 keys of listings, scraping status and proxy list?";
        terminal.shows(question, SOON).await;
        terminal.press(answer);
        let ended = terminal.ended(SOON).await;
        assert_eq!(ended.code(), Some(code), "{}", terminal.written());
        assert_eq!(every_key(&installation.redis).await.len(), left);
    }
}

#[tokio::test]
async fn clearing_goes_on_through_more_keys_than_one_command_may_touch_and_never_blocks() {
    let redis = RedisServer::start().await;
    let load = "for i=1,30000 do redis.call('SET', 'jobs:1:jobs:'..i, 'x') end \
                for i=1,30000 do redis.call('SET', 'session:1:django.contrib.sessions.cache'..i, 'x') end";
    redis::cmd("EVAL").arg(load).arg(0).exec_async(&mut redis.connect(1).await).await.unwrap();
    let installation = Installation::new(BINARIES, redis, "[redis]\nlayout = \"two\"\n");
    let ran = installation.rhubarb(&["monitor", "--clear", "--yes", "--json"]).await;
    assert_eq!(ran.json()["listings"], 30_000);
    let left: u64 =
        redis::cmd("DBSIZE").query_async(&mut installation.redis.connect(1).await).await.unwrap();
    assert_eq!(left, 30_000);
    let stats = super::command_stats(&installation.redis).await;
    assert!(!stats.contains("cmdstat_del:") && !stats.contains("cmdstat_keys:"), "{stats}");
}

#[tokio::test]
async fn a_redis_that_cannot_be_reached_clears_nothing_and_says_so() {
    let mut installation = Installation::new(BINARIES, RedisServer::start().await, "");
    installation.redis.kill();
    let ran = installation.rhubarb(&["monitor", "--clear", "--yes"]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (4, ""), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("error: nothing was deleted: cannot reach"), "{}", ran.stderr);
    let mut bare = clean_command(BINARIES.rhubarb);
    bare.args(["monitor", "--clear", "--info"]);
    assert_eq!(run(bare).await.code, 2);
}
