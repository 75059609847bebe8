//! Python's schedules: the real RedBeat beside a beat of ours, and a Django project's schedules
//! exported and imported.

use std::time::Duration;

use redis::AsyncCommands;
use rhubarb_e2e::{
    eventually::eventually, file, installation::Installation, python::Python,
    redis_server::RedisServer,
};
use serde_json::json;
use tokio::time::Instant;

use super::messages;
use crate::BINARIES;

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_real_redbeat_adds_changes_and_deletes_an_entry_while_our_beat_runs() {
    let installation = Installation::new(BINARIES, RedisServer::start().await, "[schedules]");
    let Some(python) = Python::for_redis(&installation.redis.url(0)) else { return };
    let mut beat = installation.beat(&[]);
    beat.line("this beat leads", SOON).await;
    let mut redis = installation.redis.connect(0).await;
    let mut n = async |queue: &str| messages(&mut redis, queue).await.len();

    let saved = python.run(&["redbeat_entries.py", "save", "counting", "1", "first"]).await;
    assert_eq!(
        saved,
        json!({"task": "counted", "every": 1.0, "queue": "first", "enabled": true, "runs": 0})
    );
    let begun = Instant::now();
    eventually(SOON, "the saved entry runs", async || (n("first").await > 0).then_some(())).await;
    // Obeyed within a second; its first tick is a second after that.
    println!("RedBeat's save() was obeyed: first tick {:?} after it", begun.elapsed());

    python.run(&["redbeat_entries.py", "save", "counting", "1", "second"]).await;
    eventually(SOON, "the changed entry runs", async || (n("second").await > 0).then_some(()))
        .await;
    let first = n("first").await;

    // Our running it left RedBeat's own record alone.
    let deleted = python.run(&["redbeat_entries.py", "delete", "counting"]).await;
    assert_eq!(deleted, json!(null));
    let mut last = (n("second").await, Instant::now());
    eventually(SOON, "the deleted entry runs no more", async || {
        let now = n("second").await;
        if now != last.0 {
            last = (now, Instant::now());
        }
        (last.1.elapsed() > Duration::from_secs(4)).then_some(())
    })
    .await;
    assert_eq!(n("first").await, first);
    let message = messages(&mut installation.redis.connect(0).await, "second").await.remove(0);
    assert_eq!(message["headers"]["argsrepr"], "('counting',)");
}

#[tokio::test]
async fn a_django_projects_schedules_are_exported_and_imported() {
    let installation = Installation::new(BINARIES, RedisServer::start().await, "[schedules]");
    let Some(mut python) = Python::for_redis(&installation.redis.url(0)) else { return };
    let database = installation.folder().join("db.sqlite3");
    python.set("DATABASE", &database.display().to_string());
    python.set("DJANGO_SETTINGS_MODULE", "scheduled_settings");
    let package = file("../deploy/django").canonicalize().unwrap();
    python.set("PYTHONPATH", &format!(".:{}", package.display()));
    assert_eq!(python.run(&["scheduled_tables.py"]).await, json!(2));
    let exported =
        python.command(&["-m", "rhubarb_tasks.schedules"]).output().expect("Python runs");
    let told = String::from_utf8_lossy(&exported.stderr);
    assert!(exported.status.success() && told.contains("linked: the option link"), "{told}");
    let path = installation.folder().join("schedules.json");
    std::fs::write(&path, &exported.stdout).unwrap();
    let path = path.display().to_string();

    let imported = installation.rhubarb(&["schedules", "import", &path]).await;
    assert_eq!(imported.code, 1, "{}{}", imported.stdout, imported.stderr);
    assert!(imported.stdout.ends_with("5 imported, 1 refused\n"), "{}", imported.stdout);
    assert!(imported.stderr.contains("refused: linked: the option link"), "{}", imported.stderr);

    let list = installation.rhubarb(&["schedules", "list", "--json"]).await.json();
    let told: Vec<String> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            format!("{} {} {}: {}", text("owner"), text("name"), text("task"), text("words"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "live at four shop.table: every day at 04:00 (America/New_York)",
            "live hourly shop.ping: every hour, on the hour (Europe/Berlin)",
            "live in both shop.table: every 10 minutes",
            "live nightly shop.report: at 01:30 and 02:30 on Monday to Friday (Europe/Berlin)",
            "live often shop.ping: every 30 seconds",
        ]
    );
    let nightly = &list[3]["entry"];
    assert_eq!(nightly["args"], json!(["all", null]));
    assert_eq!(nightly["expires"], 3_600);
    assert_eq!((&list[0]["state"], &list[0]["enabled"]), (&json!("off"), &json!(false)));
    let version: u64 =
        installation.redis.connect(0).await.get("rhubarb:schedules:version").await.unwrap();
    assert_eq!(version, 5);
}
