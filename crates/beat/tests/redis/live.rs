use std::time::Duration;

use redis::cmd;
use rhubarb_queue::schedules::Edited;
use rhubarb_schedule::ScheduleConfig;
use rhubarb_testbed::eventually::eventually;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::harness::{Beat, HOUR, Server, every, seen, ticks_of};

const LEASE: Duration = Duration::from_secs(10);
/// Within a second of an edit a beat obeys; the rest is a busy machine's.
const OBEYED: Duration = Duration::from_secs(8);

#[tokio::test]
async fn live_schedules_are_added_changed_paused_and_removed_while_a_beat_runs() {
    let server = Server::started().await;
    let config = server.config(LEASE, [("s", every(1, "s"))]);
    let _beat = Beat::start(&config);
    server.ticks(1, &config, "s").await;
    let live = server.schedules();
    let n = async |queue: &str| server.messages(queue).await.len();

    assert_eq!(live.add("a", &every(1, "one")).await.unwrap(), Edited::Done);
    assert_eq!(live.add("a", &every(1, "one")).await.unwrap(), Edited::Nothing);
    eventually(OBEYED, "the new schedule runs", async || (n("one").await >= 2).then_some(())).await;

    live.set("a", &every(1, "two")).await.unwrap();
    eventually(OBEYED, "the changed one runs", async || (n("two").await >= 2).then_some(())).await;
    let record = server.records("two").await.remove("a").unwrap();
    assert!(record.runs >= 3, "its history stays: {record:?}");
    assert_eq!(server.records("one").await.len(), 0);

    live.pause("a", "a deploy\nof ours").await.unwrap();
    let paused = settled(&server, "two").await;
    assert_eq!(live.resume("a").await.unwrap(), Edited::Done);
    assert_eq!(live.resume("a").await.unwrap(), Edited::Nothing);
    eventually(OBEYED, "it goes on", async || (n("two").await > paused + 1).then_some(())).await;
    let record = server.records("two").await.remove("a").unwrap();
    assert!(record.late_ms < 10_000, "what passed during the pause is not run: {record:?}");

    assert_eq!(live.remove("a").await.unwrap(), Edited::Done);
    assert_eq!(live.remove("a").await.unwrap(), Edited::Nothing);
    settled(&server, "two").await;
    eventually(OBEYED, "it is forgotten", async || {
        server.records("two").await.is_empty().then_some(())
    })
    .await;
    assert!(n("s").await > 3, "the file's goes on");
}

/// Waits until three ticks of a second have passed without a message, and returns how many there
/// are.
async fn settled(server: &Server, queue: &str) -> usize {
    let mut last = (usize::MAX, Instant::now());
    eventually(Duration::from_secs(30), "it publishes no more", async || {
        let n = server.messages(queue).await.len();
        if n != last.0 {
            last = (n, Instant::now());
        }
        (last.1.elapsed() > Duration::from_secs(3)).then_some(n)
    })
    .await
}

#[tokio::test]
async fn a_pause_holds_for_the_files_schedules_and_across_beats() {
    let server = Server::started().await;
    let config = server.config(LEASE, [("a", every(1, "one")), ("s", every(1, "s"))]);
    server.schedules().pause("a", "").await.unwrap();
    let mut beat = Beat::start(&config);
    server.ticks(3, &config, "s").await;
    beat.stop().await;
    assert_eq!(server.messages("one").await, Vec::<Value>::new());
    server.schedules().resume("a").await.unwrap();
    let _beat = Beat::start(&config);
    server.ticks(1, &config, "one").await;
}

#[tokio::test]
async fn a_bad_entry_in_redis_stops_no_other() {
    let server = Server::started().await;
    for (name, text) in [
        ("no json", "5 nonsense"),
        ("bad", r#"5 {"task": "t", "cron": "5/20 * * * *"}"#),
        ("line\nbreak", r#"5 {"task": "t", "every": 1}"#),
        ("no list", r#"5 {"task": "t", "every": 1, "args": "x"}"#),
        ("zone", r#"5 {"task": "t", "every": 1, "timezone": "Mars/Base"}"#),
        ("good", r#"5 {"task": "t", "every": 1, "queue": "one"}"#),
    ] {
        let _: u64 = server.ask(cmd("HSET").arg("rhubarb:schedules").arg(name).arg(text)).await;
    }
    let _: u64 =
        server.ask(cmd("HSET").arg("rhubarb:{one}:ticks").arg("good").arg("nonsense")).await;
    let config = server.config(LEASE, [("s", every(1, "s"))]);
    let _beat = Beat::start(&config);
    eventually(OBEYED, "the good one runs", async || {
        (server.messages("one").await.len() >= 2).then_some(())
    })
    .await;
    server.ticks(2, &config, "s").await;
}

#[tokio::test]
async fn a_key_of_another_type_stops_only_its_own_queues_schedules_and_only_until_it_is_gone() {
    let server = Server::started().await;
    let keys = ["rhubarb:{one}:ticks", "rhubarb:{two}:fence"];
    let _: String = server.ask(cmd("SET").arg(keys[0]).arg("somebody's")).await;
    let _: u64 = server.ask(cmd("LPUSH").arg(keys[1]).arg("somebody's")).await;
    let schedules = [("a", every(1, "one")), ("b", every(1, "two")), ("s", every(1, "s"))];
    let config = server.config(Duration::from_secs(3), schedules);
    let _beat = Beat::start(&config);
    server.ticks(5, &config, "s").await;
    for (key, queue) in keys.into_iter().zip(["one", "two"]) {
        assert_eq!(server.messages(queue).await, Vec::<Value>::new());
        let _: String = server.ask(cmd("RENAME").arg(key).arg(format!("{queue}:old"))).await;
    }
    let n = server.messages("s").await.len();
    server.ticks(2, &config, "one").await;
    server.ticks(2, &config, "two").await;
    server.ticks(n + 2, &config, "s").await;
}

#[tokio::test]
async fn an_entry_changed_at_a_deploy_keeps_its_history_and_starts_its_new_timetable_from_now() {
    let server = Server::started().await;
    let config = server.config(LEASE, [("a", every(HOUR, "one")), ("s", every(1, "s"))]);
    server.keep("one", "a", &seen(7_300)).await;
    let mut beat = Beat::start(&config);
    server.record_when("one", "a", "it has run", |record| record.runs == 1).await;
    beat.stop().await;
    let after = server.records("one").await.remove("a").unwrap();
    assert_eq!(ticks_of(&server.messages("one").await, "a", after.anchor), [7_200]);

    // Every 600 s would be due by the old grid.
    let args = vec![json!(1)];
    let changed = ScheduleConfig { args, ..every(600, "one") };
    let config = server.config(LEASE, [("a", changed), ("s", every(1, "s"))]);
    let n = server.messages("s").await.len();
    let _beat = Beat::start(&config);
    server.ticks(n + 2, &config, "s").await;
    let record = server.records("one").await.remove("a").unwrap();
    assert_eq!((record.runs, record.missed), (1, 1));
    assert!(record.anchor > after.anchor, "{record:?}");
    assert_eq!(server.messages("one").await.len(), 1);
}

fn redbeat(every: u32, queue: &str) -> String {
    json!({
        "name": "r", "task": "t", "args": [1], "kwargs": {}, "options": {"queue": queue},
        "schedule": {"__type__": "interval", "every": f64::from(every), "relative": false}, "enabled": true,
    })
    .to_string()
}

#[tokio::test]
async fn redbeats_entries_are_obeyed_unless_a_beat_of_pythons_leads() {
    let server = Server::started().await;
    let save = async |definition: &str| {
        let _: u64 =
            server.ask(cmd("HSET").arg("redbeat:r").arg("definition").arg(definition)).await;
        let _: u64 = server.ask(cmd("ZADD").arg("redbeat::schedule").arg(1).arg("redbeat:r")).await;
    };
    let _: () = server.ask(cmd("SET").arg("redbeat::lock").arg("token")).await;
    save(&redbeat(1, "one")).await;
    let config = server.config(LEASE, [("s", every(1, "s"))]);
    let _beat = Beat::start(&config);
    server.ticks(3, &config, "s").await;
    assert_eq!(server.messages("one").await, Vec::<Value>::new());

    let _: u64 = server.ask(cmd("DEL").arg("redbeat::lock")).await;
    let n = async |queue: &str| server.messages(queue).await.len();
    eventually(OBEYED, "the entry runs", async || (n("one").await >= 2).then_some(())).await;
    // Without another score: the definition alone tells.
    save(&redbeat(1, "two")).await;
    eventually(OBEYED, "the changed one runs", async || (n("two").await >= 1).then_some(())).await;
    let _: u64 = server.ask(cmd("ZREM").arg("redbeat::schedule").arg("redbeat:r")).await;
    settled(&server, "two").await;
    let meta: Option<String> = server.ask(cmd("HGET").arg("redbeat:r").arg("meta")).await;
    assert_eq!(meta, None, "RedBeat's keys are Python's");
}

#[tokio::test]
async fn a_redbeat_entry_that_was_away_repeats_no_tick() {
    let server = Server::started().await;
    let last_run = (jiff::Timestamp::now() - jiff::SignedDuration::from_mins(90))
        .to_zoned_datetime(jiff::tz::TimeZone::UTC);
    let meta = json!({"last_run_at": {
        "__type__": "datetime", "year": last_run.year(), "month": last_run.month(), "day": last_run.day(),
        "hour": last_run.hour(), "minute": last_run.minute(), "second": last_run.second(), "microsecond": 0,
        "timezone": "UTC",
    }});
    let define = async |definition: &str| {
        let mut save = cmd("HSET");
        save.arg("redbeat:r").arg("definition").arg(definition).arg("meta").arg(meta.to_string());
        let _: u64 = server.ask(&save).await;
        let _: u64 = server.ask(cmd("ZADD").arg("redbeat::schedule").arg(1).arg("redbeat:r")).await;
    };
    let hourly = redbeat(3_600, "one");
    define(&hourly).await;
    let config = server.config(LEASE, [("s", every(1, "s"))]);
    let _beat = Beat::start(&config);
    let record = server.record_when("one", "r", "the missed tick is run", |r| r.runs == 1).await;
    // Two ticks later it has looked at what is there.
    let seen = async || {
        let n = server.messages("s").await.len();
        server.ticks(n + 2, &config, "s").await;
    };
    let _: () = server.ask(cmd("SET").arg("redbeat::lock").arg("token")).await;
    seen().await;
    let _: u64 = server.ask(cmd("DEL").arg("redbeat::lock")).await;
    seen().await;
    define("{").await;
    seen().await;
    define(&hourly).await;
    seen().await;
    let _: u64 = server.ask(cmd("DEL").arg("redbeat:r").arg("redbeat::schedule")).await;
    seen().await;
    define(&hourly).await;
    seen().await;
    assert_eq!(server.messages("one").await.len(), 1, "a tick was published twice");
    assert_eq!(server.records("one").await["r"], record);
}

#[tokio::test]
async fn keys_of_another_kind_stop_no_schedule_and_no_taking_over() {
    let server = Server::started().await;
    let spoil = async |key: &str| {
        let _: () = server.ask(cmd("SET").arg(key).arg("foo")).await;
    };
    for key in ["redbeat:wrong", "rhubarb:schedules", "rhubarb:schedules:version"] {
        spoil(key).await;
    }
    let definition = redbeat(1, "one");
    let _: u64 = server.ask(cmd("HSET").arg("redbeat:r").arg("definition").arg(definition)).await;
    for key in ["redbeat:wrong", "redbeat:r"] {
        let _: u64 = server.ask(cmd("ZADD").arg("redbeat::schedule").arg(0).arg(key)).await;
    }
    let config = server.config(LEASE, [("s", every(1, "s"))]);
    let mut beat = Beat::start(&config);
    server.ticks(2, &config, "s").await;
    eventually(OBEYED, "the good entry runs", async || {
        (server.messages("one").await.len() >= 2).then_some(())
    })
    .await;
    beat.stop().await;
    let n = server.ticks(2, &config, "s").await;
    spoil("redbeat::schedule").await;
    let _beat = Beat::start(&config);
    server.ticks(n + 2, &config, "s").await;
}
