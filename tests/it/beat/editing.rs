//! `rhubarb schedules`: looking and editing while a beat runs.

use std::time::Duration;

use redis::AsyncCommands;
use rhubarb_e2e::{eventually::eventually, installation::Installation, redis_server::RedisServer};
use serde_json::{Value, json};

use super::{id, messages};
use crate::BINARIES;

const SOON: Duration = Duration::from_secs(30);
const FILE: &str =
    "[schedules.of_file]\ntask = \"t\"\ncron = \"0 9 * * mon-fri\"\ntimezone = \"Europe/Berlin\"\n";

async fn list(installation: &Installation) -> Vec<Value> {
    let list = installation.rhubarb(&["schedules", "list", "--json"]).await.json();
    list.as_array().unwrap().clone()
}

#[tokio::test]
async fn schedules_are_edited_from_the_command_line_while_a_beat_runs() {
    let installation = Installation::new(BINARIES, RedisServer::start().await, FILE);
    let mut beat = installation.beat(&[]);
    beat.line("this beat leads", SOON).await;
    let run = async |args: &[&str]| installation.rhubarb(&[&["schedules"], args].concat()).await;
    let n =
        async |queue: &str| messages(&mut installation.redis.connect(0).await, queue).await.len();

    let added = run(&[
        "add",
        "live",
        "--task",
        "counted",
        "--every",
        "1",
        "--queue",
        "one",
        "--args",
        "[1, null]",
    ])
    .await;
    assert_eq!((added.code, added.stdout.as_str()), (0, "schedule live is added: every second\n"));
    eventually(SOON, "it runs", async || (n("one").await > 0).then_some(())).await;
    assert_eq!(run(&["add", "live", "--task", "t", "--every", "1"]).await.code, 1);

    assert_eq!(run(&["set", "live", "--queue", "two"]).await.code, 0);
    eventually(SOON, "the changed one runs", async || (n("two").await > 0).then_some(())).await;
    let entries = list(&installation).await;
    assert_eq!((&entries[0]["name"], &entries[0]["owner"]), (&json!("live"), &json!("live")));
    assert_eq!((&entries[1]["name"], &entries[1]["owner"]), (&json!("of_file"), &json!("file")));
    assert_eq!(entries[0]["entry"]["args"], json!([1, null]));
    assert!(entries[0]["runs"].as_u64().unwrap() >= 2, "{entries:?}");
    let shown = run(&["list"]).await;
    assert!(shown.stderr.contains(" leads, for "), "{}", shown.stderr);
    assert!(
        shown.stdout.contains("at 09:00 on Monday to Friday (Europe/Berlin)"),
        "{}",
        shown.stdout
    );

    assert_eq!(run(&["pause", "live", "--note", "a deploy"]).await.code, 0);
    let state = list(&installation).await[0]["state"].clone();
    assert!(state.as_str().unwrap().ends_with(": a deploy"), "{state}");
    let again = run(&["pause", "live", "--note", "another"]).await;
    assert!(again.stdout.ends_with("was paused already; its note is the new one\n"));
    for told in ["schedule live goes on\n", "schedule live was not paused\n"] {
        let resumed = run(&["resume", "live"]).await;
        assert_eq!((resumed.code, resumed.stdout.as_str()), (0, told));
    }

    let ran = run(&["run", "of_file"]).await;
    let messages = messages(&mut installation.redis.connect(0).await, "celery").await;
    assert_eq!(messages.iter().map(id).collect::<Vec<_>>(), [ran.stdout.trim()]);

    for refused in [
        &["set", "of_file", "--every", "5"][..],
        &["remove", "of_file"],
        &["remove", "gone"],
        &["pause", "gone"],
        &["resume", "gone"],
    ] {
        let refused = run(refused).await;
        assert_eq!(refused.code, 1, "{}{}", refused.stdout, refused.stderr);
    }
    assert_eq!(run(&["remove", "live"]).await.code, 0);
    assert_eq!(list(&installation).await.len(), 1);
}

#[tokio::test]
async fn what_cannot_run_is_refused_with_the_place_and_an_example() {
    let installation = Installation::new(BINARIES, RedisServer::start().await, FILE);
    for (args, expect) in [
        (
            &["--task", "t", "--cron", "5/20 * * * *"][..],
            "error: --cron: minute `5/20`: a step needs `*`",
        ),
        (&["--task", "t", "--cron", "0 0 * * 7"], "for example \"mon-fri\""),
        (&["--task", "t", "--cron", "0 0 31 4 *"], "day_of_month `31` never occurs"),
        (&["--task", "t", "--every", "0"], "error: --every: 1 s or more"),
        (&["--task", "t", "--every", "5", "--timezone", "Mars/Base"], "--timezone Europe/Berlin"),
        (&["--task", "a\nb", "--every", "5"], "--task shop.tasks.report"),
        (&["--every", "5"], "error: --task: it is missing"),
        (&["--task", "t"], "error: one of --cron '30 1 * * mon-fri', --every 30 and --at 2"),
        (&["--task", "t", "--every", "5", "--priority", "12"], "--priority 3"),
        (&["--task", "t", "--every", "5", "--overlap", "maybe"], "--overlap skip"),
        (&["--task", "t", "--every", "0", "--priority", "12"], "\nerror: --"),
        (&["--task", "t", "--at", "2020-01-01T00:00:00"], "--at: the schedule would never run"),
        (&["--json", r#"{"task": "t", "every": 5, "argz": 1}"#], "known here: alert_after, args,"),
        (&["--json", r#"{"task": "t", "every": 0}"#], "error: --json: every: 1 s or more"),
        (&["--task", "t", "--every", "5", "--kwargs", "[1]"], "--kwargs"),
        (&["--task", "t", "--every", "5", "--args", "no json"], "--args"),
    ] {
        let ran = installation.rhubarb(&[&["schedules", "add", "s"], args].concat()).await;
        assert!(ran.code == 2 && ran.stderr.contains(expect), "{args:?}: {}", ran.stderr);
    }
    let steering = ["schedules", "add", "a\u{1b}[31m\nb", "--task", "t", "--every", "5"];
    let ran = installation.rhubarb(&steering).await;
    assert!(ran.code != 0 && !ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert_eq!(list(&installation).await.len(), 1);
}

#[tokio::test]
async fn previews_need_no_beat_and_not_even_redis() {
    let mut installation = Installation::new(BINARIES, RedisServer::start().await, FILE);
    let args = [
        "schedules",
        "next",
        "--n",
        "2",
        "--from",
        "2027-03-26T12:00:00",
        "--tz",
        "Asia/Tokyo",
        "--json",
    ];
    let runs = json!(["2027-03-26T17:00:00+09:00", "2027-03-29T16:00:00+09:00"]);
    let next = installation.rhubarb(&args).await.json();
    assert_eq!(next[0]["runs"], runs);
    assert_eq!(next[0]["words"], "at 09:00 on Monday to Friday (Europe/Berlin)");
    let paused = installation.rhubarb(&["schedules", "pause", "of_file"]).await;
    assert_eq!(paused.code, 0, "{}", paused.stderr);
    let next = installation.rhubarb(&["schedules", "next", "of_file"]).await.stdout;
    assert!(next.contains("of_file   paused ") && !next.contains("never"), "{next}");
    installation.redis.kill();
    let alone = installation.rhubarb(&args).await;
    assert!(alone.stderr.contains("only the file's schedules"), "{}", alone.stderr);
    let shown: serde_json::Value = serde_json::from_str(&alone.stdout).unwrap();
    assert_eq!((&shown[0]["runs"], alone.code), (&runs, 4), "{}", alone.stderr);
    let wrong = installation.rhubarb(&["schedules", "next", "--tz", "Mars/Base"]).await;
    assert_eq!(wrong.code, 2);
    // The list is of what is in Redis too: a part of it is shown, and is no success.
    let part = installation.rhubarb(&["schedules", "list"]).await;
    assert!(part.stdout.contains("of_file"), "{}", part.stdout);
    assert!(part.stderr.contains("error: cannot reach Redis"), "{}", part.stderr);
    assert_eq!(part.code, 4);
}

#[tokio::test]
async fn keys_of_another_kind_are_told_by_name_and_an_edit_beside_them_changes_nothing() {
    let installation = Installation::new(BINARIES, RedisServer::start().await, FILE);
    let mut redis = installation.redis.connect(0).await;
    for (key, value) in [("redbeat:wrong", "foo"), ("rhubarb:schedules:version", "many")] {
        let () = redis.set(key, value).await.unwrap();
    }
    let _: u64 = redis.zadd("redbeat::schedule", "redbeat:wrong", 0).await.unwrap();
    let add = ["schedules", "add", "live", "--task", "t", "--every", "5"];
    let refused = installation.rhubarb(&add).await;
    assert_eq!(refused.code, 1, "{}", refused.stdout);
    assert!(
        refused.stderr.contains("redis-cli DEL rhubarb:schedules:version"),
        "{}",
        refused.stderr
    );
    assert!(!redis.exists::<_, bool>("rhubarb:schedules").await.unwrap(), "half of it was done");

    let shown = installation.rhubarb(&["schedules", "list"]).await;
    assert!(shown.code == 0 && shown.stdout.contains("of_file"), "{}", shown.stderr);
    for key in ["redbeat:wrong", "rhubarb:schedules:version"] {
        assert!(
            shown.stderr.contains(&format!("the key `{key}`"))
                || shown.stderr.contains(&format!("key `{key}`")),
            "{key}: {}",
            shown.stderr
        );
    }
    let _: u64 = redis.del("rhubarb:schedules:version").await.unwrap();
    let () = redis.set("rhubarb:schedules:pauses", "foo").await.unwrap();
    let refused = installation.rhubarb(&add).await;
    assert!(refused.code == 1 && refused.stderr.contains("RENAME"), "{}", refused.stderr);
    let _: u64 = redis.del("rhubarb:schedules:pauses").await.unwrap();
    assert_eq!(installation.rhubarb(&add).await.code, 0);
}

#[tokio::test]
async fn an_import_with_a_name_twice_changes_nothing() {
    let installation = Installation::new(BINARIES, RedisServer::start().await, FILE);
    let path = installation.folder().join("s.json");
    let import = async |text: &str, more: &[&str]| {
        std::fs::write(&path, text).unwrap();
        let path = path.display().to_string();
        installation.rhubarb(&[&["schedules", "import", &path], more].concat()).await
    };
    let twice = r#"{"a": {"task": "t", "every": 5}, "a": {"task": "u", "every": 5}}"#;
    let refused = import(twice, &[]).await;
    assert!(
        refused.code == 1 && refused.stderr.contains("`a` is there twice"),
        "{}",
        refused.stderr
    );
    assert_eq!(list(&installation).await.len(), 1);
    let once = r#"{"a": {"task": "t", "every": 5}}"#;
    let told = import(once, &["--dry-run"]).await;
    let expect = "schedule a would be set: every 5 seconds\n1 would be imported, 0 refused\n";
    assert_eq!((told.code, told.stdout.as_str()), (0, expect), "{}", told.stderr);
    assert_eq!(list(&installation).await.len(), 1);
}
