//! `rhubarb cache`: the application's caches from the shell.

use redis::{AsyncCommands, cmd};
use rhubarb_e2e::{installation::Installation, process::Signal, redis_server::RedisServer};
use serde_json::{Value, json};

use crate::{BINARIES, shop::SOON};

/// An installation whose caches hold what Django put there.
async fn installation() -> Installation {
    let installation = Installation::new(BINARIES, RedisServer::start().await, "");
    let mut cache = installation.redis.connect(1).await;
    let mut jobs = installation.redis.connect(3).await;
    // Pickles of {"name": "Ada"} and ["http://u:hunter2@10.0.0.1:8080"].
    let user = b"\x80\x04}\x94\x8c\x04name\x94\x8c\x03Ada\x94s.".as_slice();
    let proxies = b"\x80\x04]\x94\x8c\x1ehttp://u:hunter2@10.0.0.1:8080\x94a.".as_slice();
    let listings = b"\x80\x04]\x94.".as_slice();
    for n in 1..=3 {
        let _: () = cache.set_ex(format!("hire_voo_ai:1:user:{n}"), user, 300).await.unwrap();
    }
    let _: () = cache.set("hire_voo_ai:1:proxy_list", proxies).await.unwrap();
    let _: () = jobs.set_ex("jobs:1:jobs:data_scientist", listings, 600).await.unwrap();
    let session = "session:1:django.contrib.sessions.cacheabc";
    let _: () = installation.redis.connect(2).await.set(session, user).await.unwrap();
    installation
}

async fn json(installation: &Installation, args: &[&str]) -> Value {
    installation.rhubarb(&[&["cache"], args, &["--json"]].concat()).await.json()
}

#[tokio::test]
async fn the_table_of_caches_is_listed_with_place_time_and_cap() {
    let installation = installation().await;
    let listed = json(&installation, &["list"]).await;
    let names: Vec<&str> =
        listed.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["listings", "details", "status", "proxies", "responses", "users"]);
    assert_eq!(listed[0]["key"], "jobs:1:jobs:{keyword_slug}");
    assert_eq!((&listed[0]["db"], &listed[0]["timeout_s"]), (&json!(3), &json!(1800.0)));
    assert_eq!(listed[5]["max_bytes"], 262_144);
    let table = installation.rhubarb(&["cache", "list"]).await;
    assert_eq!(table.code, 0, "{}", table.stderr);
    assert!(table.stdout.contains("hire_voo_ai:1:user:{id}"), "{}", table.stdout);
}

#[tokio::test]
async fn values_with_keys_that_are_no_text_are_counted_and_cleared() {
    let installation = installation().await;
    let mut cache = installation.redis.connect(1).await;
    for end in [b"\xff", b"\xfe"] {
        let key = [b"hire_voo_ai:1:user:".as_slice(), end].concat();
        let _: () = cache.set_ex(key, 1, 300).await.unwrap();
    }
    let shown = installation.rhubarb(&["cache", "show", "users"]).await;
    assert!(shown.code == 0 && shown.stdout.contains("user:3"), "{}", shown.stdout);
    assert!(shown.stderr.contains("2 more with keys that are not UTF-8"), "{}", shown.stderr);
    let cleared = json(&installation, &["clear", "users", "--yes"]).await;
    assert_eq!(cleared["deleted"], 5);
    let empty = installation.rhubarb(&["cache", "show", "users", ""]).await;
    assert!(empty.code == 2 && empty.stderr.contains("it is empty"), "{}", empty.stderr);
}

#[tokio::test]
async fn a_class_that_is_not_read_is_named() {
    let installation = installation().await;
    // A pickle of fractions.Fraction(1, 2).
    let half = b"\x80\x04cfractions\nFraction\n\x8c\x031/2\x85R.".as_slice();
    let mut cache = installation.redis.connect(1).await;
    let _: () = cache.set_ex("hire_voo_ai:1:user:t", half, 300).await.unwrap();
    let shown = installation.rhubarb(&["cache", "show", "users", "t"]).await;
    assert!(
        shown.code == 1 && shown.stderr.contains("holds `fractions.Fraction`"),
        "{}",
        shown.stderr
    );
    let left: Vec<u8> = cache.get("hire_voo_ai:1:user:t").await.unwrap();
    assert_eq!(left, half);
}

#[tokio::test]
async fn where_there_is_no_session_to_end_it_is_said_once() {
    let installation = Installation::new(BINARIES, RedisServer::start().await, "");
    let ran = installation.rhubarb(&["sessions", "revoke", "--user", "7", "--yes"]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert_eq!(ran.stderr.matches("session").count(), 1, "{}", ran.stderr);
}

#[tokio::test]
async fn a_worker_that_stops_has_counted_all_that_it_read() {
    let installation = installation().await;
    let mut worker = installation.worker(&[]);
    worker.line("worker ready", SOON).await;
    for _ in 0..3 {
        let task = "job_scraper.tasks.get_scraping_status";
        let ran = installation.rhubarb(&["enqueue", task, "--wait", "30"]).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    worker.signal(Signal::TERM);
    assert!(worker.ended(SOON).await.success());
    let listed = json(&installation, &["list"]).await;
    let status = listed.as_array().unwrap().iter().find(|row| row["name"] == "status").unwrap();
    assert_eq!((&status["hits"], &status["misses"]), (&json!(0), &json!(3)));
}

#[tokio::test]
async fn a_cache_is_shown_by_value_and_by_keys_without_passwords() {
    let installation = installation().await;
    let user = json(&installation, &["show", "users", "2"]).await;
    assert_eq!(
        (&user["key"], &user["value"]),
        (&json!("hire_voo_ai:1:user:2"), &json!({"name": "Ada"}))
    );
    let listings = json(&installation, &["show", "listings", " Data Scientist"]).await;
    assert_eq!((&listings["value"], listings["ttl_s"].is_number()), (&json!([]), true));
    let keys = json(&installation, &["show", "users", "--limit", "2"]).await;
    assert_eq!(keys.as_array().unwrap().len(), 2);
    for args in [&["cache", "show", "proxies"][..], &["cache", "show", "proxies", "--json"]] {
        let ran = installation.rhubarb(args).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(
            ran.stdout.contains("10.0.0.1:8080") && !ran.stdout.contains("hunter2"),
            "{}",
            ran.stdout
        );
    }
    let check = async |args: &[&str], code: i32, words: &str| {
        let ran = installation.rhubarb(&[&["cache"], args].concat()).await;
        assert_eq!(
            (ran.code, ran.stderr.contains(words)),
            (code, true),
            "{args:?}: {}",
            ran.stderr
        );
    };
    check(&["show", "users", "9"], 1, "nothing is cached").await;
    check(&["show", "details"], 1, "nothing is cached").await;
    check(&["show", "sessions"], 2, "there are: listings").await;
    check(&["show", "status", "x"], 2, "takes no argument").await;
}

#[tokio::test]
async fn what_json_or_a_terminal_cannot_hold_is_shown_all_the_same() {
    let installation = installation().await;
    let mut cache = installation.redis.connect(1).await;
    // The pickle of {"b": b"\xff", 1: 2, "1": 2.0 ** 1023 * 2}.
    let odd = b"\x80\x04}(\x8c\x01bC\x01\xffK\x01K\x02\x8c\x011G\x7f\xf0\x00\x00\x00\x00\x00\x00u."
        .as_slice();
    let _: () = cache.set("hire_voo_ai:1:user:a\nb", odd).await.unwrap();
    let user = json(&installation, &["show", "users", "a\nb"]).await;
    let shown = json!({"$dict": [["b", {"$bytes": "\\xff"}], [1, 2], ["1", {"$float": "inf"}]]});
    assert_eq!((&user["key"], &user["value"]), (&json!("hire_voo_ai:1:user:a\nb"), &shown));
    for args in [&["cache", "show", "users"][..], &["cache", "show", "users", "a\nb"]] {
        let ran = installation.rhubarb(args).await;
        assert!(ran.stdout.contains(r"hire_voo_ai:1:user:a\nb"), "{}", ran.stdout);
    }
}

#[tokio::test]
async fn a_cut_list_and_sessions_in_another_alias_are_told() {
    let installation = installation().await;
    let cut = installation.rhubarb(&["cache", "show", "users", "--limit", "2", "--json"]).await;
    assert_eq!(cut.json().as_array().unwrap().len(), 2);
    assert!(cut.stderr.contains("and more; --limit shows them"), "{}", cut.stderr);
    let session = "session:1:django.contrib.sessions.cacheabcdefgh";
    let moved = "hire_voo_ai:1:django.contrib.sessions.cacheabcdefgh";
    let mut connection = installation.redis.connect(1).await;
    let _: () = connection.set(moved, "x").await.unwrap();
    let none = installation.rhubarb(&["sessions", "count"]).await;
    assert_eq!(none.code, 0, "{}", none.stderr);
    assert!(none.stderr.contains("1 session in alias default: --alias default"), "{}", none.stderr);
    let mut connection = installation.redis.connect(2).await;
    let _: () = connection.set(session, "x").await.unwrap();
    let one = installation.rhubarb(&["sessions", "count"]).await;
    assert!(one.stdout.starts_with("1 session\n") && one.stderr.is_empty(), "{}", one.stderr);
    let unknown = installation.rhubarb(&["sessions", "count", "--alias", "x"]).await;
    assert_eq!(unknown.code, 2, "{}", unknown.stderr);
    assert!(unknown.stderr.contains("there are: default, jobs, sessions"), "{}", unknown.stderr);
}

#[tokio::test]
async fn a_session_key_of_two_backends_is_shown_and_ended_in_both() {
    let installation = installation().await;
    let mut connection = installation.redis.connect(2).await;
    let key = "abcdefgh";
    for backend in ["cache", "cached_db"] {
        let raw = format!("session:1:django.contrib.sessions.{backend}{key}");
        let _: () = connection.set(raw, b"\x80\x04}\x8c\x01a\x8c\x01bs.").await.unwrap();
    }
    let shown = installation.rhubarb(&["sessions", "show", key, "--json"]).await.json();
    assert_eq!(shown.as_array().unwrap().len(), 2);
    let ended = installation.rhubarb(&["sessions", "revoke", key, "--yes"]).await;
    assert_eq!((ended.code, ended.stdout.trim()), (0, "2 sessions have ended"), "{}", ended.stderr);
}

#[tokio::test]
async fn clearing_a_cache_asks_and_takes_nothing_else() {
    let installation = installation().await;
    let refused = installation.rhubarb(&["cache", "clear", "users"]).await;
    assert_eq!(refused.code, 2, "without a terminal nobody can agree: {}", refused.stderr);
    let one = json(&installation, &["clear", "users", "2", "--yes"]).await;
    assert_eq!(one, json!({"cache": "users", "deleted": 1}));
    let rest = installation.rhubarb(&["cache", "clear", "users", "--yes"]).await;
    assert_eq!((rest.code, rest.stdout.trim()), (0, "deleted: 2"));
    for (db, left) in [
        (1, "hire_voo_ai:1:proxy_list"),
        (2, "session:1:django.contrib.sessions.cacheabc"),
        (3, "jobs:1:jobs:data_scientist"),
    ] {
        let mut connection = installation.redis.connect(db).await;
        let keys: Vec<String> = cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
        assert_eq!(keys, [left], "database {db}");
    }
}
