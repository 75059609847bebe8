use std::{collections::HashSet, time::Duration};

use jiff::{SignedDuration, Timestamp};
use redis::cmd;
use rhubarb_beat::entry;
use rhubarb_queue::tick::{Lead, Record, Tick, Ticked, Ticks};
use rhubarb_schedule::{CatchUp, ScheduleConfig};
use rhubarb_testbed::eventually::eventually;
use serde_json::{Value, json};

use crate::harness::{Beat, HOUR, SOON, Server, every, id, seen, ticks_of};

#[tokio::test]
async fn two_beats_publish_each_tick_once() {
    let server = Server::started().await;
    let config =
        server.config(Duration::from_secs(5), [("a", every(1, "one")), ("b", every(2, "two"))]);
    let _beats = [Beat::start(&config), Beat::start(&config)];
    server.ticks(6, &config, "one").await;
    server.ticks(3, &config, "two").await;
    let fence: u64 = server.ask(cmd("GET").arg("rhubarb:beat:fence")).await;
    assert_eq!(fence, 1, "the lead changed although the leader lives");
}

#[tokio::test]
async fn a_leader_that_dies_is_followed_when_its_lease_ends() {
    let server = Server::started().await;
    let lease = Duration::from_secs(2);
    let config = server.config(lease, [("a", every(1, "one"))]);
    let leader = Beat::start(&config);
    let first = server.leader_after(None, SOON).await;
    let _standby = Beat::start(&config);
    let n = server.ticks(2, &config, "one").await;

    drop(leader);

    server.leader_after(Some(&first), lease + Duration::from_secs(5)).await;
    server.ticks(n + 3, &config, "one").await;
}

#[tokio::test]
async fn a_leader_that_stops_is_followed_at_once() {
    let server = Server::started().await;
    let config = server.config(Duration::from_secs(600), [("a", every(1, "one"))]);
    let mut leader = Beat::start(&config);
    let first = server.leader_after(None, SOON).await;
    let _standby = Beat::start(&config);
    let n = server.ticks(2, &config, "one").await;

    leader.stop().await;

    server.leader_after(Some(&first), Duration::from_secs(5)).await;
    server.ticks(n + 3, &config, "one").await;
}

#[tokio::test]
async fn one_that_stands_by_knows_who_leads_and_for_how_long() {
    let server = Server::started().await;
    let config = server.config(Duration::from_secs(60), []);
    let lease = |holder: &str| {
        let redis = server.client().queue().clone();
        Ticks::new(redis, &config.celery, holder, config.beat.lease)
    };
    let first = lease("first");
    assert!(matches!(first.hold(0).await.unwrap(), Lead::Ours { fence: 1, .. }));
    let second = lease("second");
    eventually(SOON, "it has been leading for a moment", async || {
        match second.hold(0).await.unwrap() {
            Lead::Theirs { holder, leading, rest } => {
                assert_eq!(holder, "first");
                assert!(rest > Duration::from_secs(30));
                (leading > Duration::from_millis(50)).then_some(())
            }
            Lead::Ours { .. } => panic!("the second leads"),
        }
    })
    .await;
    // Renewing it does not begin it anew.
    first.hold(0).await.unwrap();
    let known = rhubarb_queue::inspect::leader(&server.client()).await.unwrap().unwrap();
    assert_eq!(known.0, "first");
    assert!(known.1 > Duration::from_millis(50));
    first.release().await.unwrap();
    assert_eq!(rhubarb_queue::inspect::leader(&server.client()).await.unwrap(), None);
    assert!(matches!(second.hold(0).await.unwrap(), Lead::Ours { fence: 2, .. }));
}

#[tokio::test]
async fn an_earlier_leader_is_shut_out_before_the_later_one_reads() {
    let server = Server::started().await;
    let config = server.config(Duration::from_secs(60), []);
    let ticks = Ticks::new(server.client().queue().clone(), &config.celery, "b", SOON);
    let record = |s| Record { runs: 1, ..Record::new(Timestamp::from_second(s).unwrap()) };
    let publish = async |fence, record: &Record| {
        let message = Some((b"m".as_slice(), 0));
        ticks.publish(fence, Tick { schedule: "s", queue: "q", message, record }).await.unwrap()
    };
    assert!(matches!(publish(3, &record(10)).await, Ticked::Done { .. }));
    assert_eq!(publish(3, &record(10)).await, Ticked::Before);
    assert_eq!(publish(3, &record(9)).await, Ticked::Before);
    assert_eq!(ticks.assume("q", 2).await.unwrap(), Some(3));
    assert_eq!(ticks.assume("q", 4).await.unwrap(), None);
    assert_eq!(publish(3, &record(20)).await, Ticked::NotLeading);
    assert_eq!(ticks.note("q", 3, &[("s", &record(30))]).await.unwrap(), Some(4));
    assert_eq!(ticks.records("q").await.unwrap()["s"].tick, record(10).tick);
    assert_eq!(server.ask::<u64>(cmd("LLEN").arg("q")).await, 1);
}

#[tokio::test]
async fn a_lost_counter_of_leaders_shuts_nobody_out() {
    let server = Server::started().await;
    let _: () = server.ask(cmd("SET").arg("rhubarb:{one}:fence").arg(70)).await;
    let _: u64 = server.ask(cmd("SADD").arg("rhubarb:queues").arg("one")).await;
    let config = server.config(Duration::from_secs(5), [("a", every(1, "one"))]);
    let _beat = Beat::start(&config);
    server.ticks(2, &config, "one").await;
    assert_eq!(server.ask::<u64>(cmd("GET").arg("rhubarb:beat:fence")).await, 71);
}

#[tokio::test]
async fn after_a_downtime_the_last_missed_tick_is_published_once() {
    let server = Server::started().await;
    let config = server
        .config(Duration::from_secs(10), [("d", every(HOUR, "celery")), ("s", every(1, "s"))]);
    let last_week = seen(7 * 86_400 + 1_800);
    server.keep("celery", "d", &last_week).await;
    let _beat = Beat::start(&config);
    server.ticks(3, &config, "s").await;
    let messages = server.messages("celery").await;
    let last = last_week.anchor + SignedDuration::from_hours(7 * 24);
    assert_eq!(messages.iter().map(id).collect::<Vec<_>>(), [entry::id("", "d", last)]);
    let record = server.records("celery").await.remove("d").unwrap();
    assert_eq!((record.runs, record.missed), (1, 7 * 24 - 1));
    let late = record.late_ms / 1_000;
    assert!((1_800..1_900).contains(&late), "{record:?}");
    assert_eq!(record.next, Some(record.tick + SignedDuration::from_secs(3_600)));
}

/// As a version before 0.2 has left it: the tick alone.
#[tokio::test]
async fn an_old_mark_is_gone_on_from() {
    let server = Server::started().await;
    let config = server.config(
        Duration::from_secs(10),
        [("d", ScheduleConfig { catch_up: CatchUp::ALL, ..every(HOUR, "celery") })],
    );
    let anchor = Timestamp::from_second(Timestamp::now().as_second() - 9_000).unwrap();
    let key = "rhubarb:{celery}:ticks";
    let _: u64 = server.ask(cmd("HSET").arg(key).arg("d").arg(anchor.as_millisecond())).await;
    let _beat = Beat::start(&config);
    server.ticks(2, &config, "celery").await;
    assert_eq!(ticks_of(&server.messages("celery").await, "d", anchor), [3_600, 7_200]);
}

#[tokio::test]
async fn a_new_schedule_starts_from_now_a_disabled_one_never_and_a_gone_one_is_forgotten() {
    let server = Server::started().await;
    let off = ScheduleConfig { enabled: false, ..every(1, "celery") };
    let kept = ScheduleConfig { enabled: false, ..every(1, "celery") };
    let schedules =
        [("new", every(HOUR, "celery")), ("off", off), ("kept", kept), ("s", every(1, "s"))];
    let config = server.config(Duration::from_secs(10), schedules);
    server.keep("celery", "gone", &seen(8 * 86_400)).await;
    server.keep("celery", "gone lately", &seen(86_400)).await;
    server.keep("celery", "kept", &seen(86_400)).await;
    let since = Timestamp::now();
    let _beat = Beat::start(&config);
    server.ticks(3, &config, "s").await;
    assert_eq!(server.messages("celery").await, Vec::<Value>::new());
    let records = server.records("celery").await;
    assert_eq!(records.keys().collect::<Vec<_>>(), ["gone lately", "kept", "new"]);
    assert!(records["new"].tick.duration_since(since).abs().as_secs() < 20, "{records:?}");
}

#[tokio::test]
async fn without_redis_a_beat_waits_and_goes_on_when_it_comes_and_comes_back() {
    let mut server = Server::not_started();
    let config = server.config(Duration::from_secs(3), [("a", every(1, "one"))]);
    let mut beat = Beat::start(&config);
    server.start().await;
    let n = server.ticks(2, &config, "one").await;
    server.stop();
    server.start().await;
    server.ticks(n + 2, &config, "one").await;
    beat.stop().await;
    assert_eq!(server.leader().await, None);

    let nowhere = Server::not_started();
    let config = nowhere.config(Duration::from_secs(3), [("a", every(1, "one"))]);
    Beat::start(&config).stop().await;
}

#[tokio::test]
async fn one_schedule_that_cannot_be_published_does_not_hold_up_the_others() {
    let server = Server::started().await;
    let _: String = server.ask(cmd("SET").arg("broken").arg("no list")).await;
    let config =
        server.config(Duration::from_secs(10), [("a", every(1, "broken")), ("b", every(1, "s"))]);
    let _beat = Beat::start(&config);
    server.ticks(3, &config, "s").await;
    assert_eq!(server.records("broken").await["a"].runs, 0);
    // Once it can be, it is.
    let _: u64 = server.ask(cmd("DEL").arg("broken")).await;
    server.ticks(1, &config, "broken").await;
}

#[tokio::test]
async fn a_message_carries_what_the_schedule_says() {
    let server = Server::started().await;
    let schedule = ScheduleConfig {
        args: vec![json!("python developer")],
        kwargs: [("pages".to_owned(), json!(2))].into_iter().collect(),
        priority: Some(6),
        expires: Some(Duration::from_secs(600)),
        ..every(1, "one")
    };
    let config = server.config(Duration::from_secs(10), [("a", schedule)]);
    let _beat = Beat::start(&config);
    let message = eventually(SOON, "a tick is published", async || {
        server.messages("one\u{6}\u{16}6").await.pop()
    })
    .await;
    let headers = &message["headers"];
    assert_eq!(headers["task"], "t");
    assert_eq!(headers["celery_beat_task"], true);
    assert_eq!(headers["argsrepr"], "('python developer',)");
    assert_eq!(headers["kwargsrepr"], "{'pages': 2}");
    assert_eq!(message["properties"]["priority"], 6);
    assert_eq!(message["properties"]["delivery_info"]["routing_key"], "one");
    let expires: Timestamp = headers["expires"].as_str().unwrap().parse().unwrap();
    let rest = expires.duration_since(Timestamp::now()).as_secs();
    assert!((500..=600).contains(&rest), "{rest}");
}

/// Redis's clock going back, as seen from the records: the last tick lies ahead.
#[tokio::test]
async fn a_clock_that_went_back_an_hour_publishes_no_tick_twice() {
    let server = Server::started().await;
    let ahead = Record { runs: 5, ..seen(-3_600) };
    server.keep("one", "a", &ahead).await;
    let config =
        server.config(Duration::from_secs(10), [("a", every(1, "one")), ("b", every(1, "s"))]);
    let _beat = Beat::start(&config);
    server.ticks(3, &config, "s").await;
    assert_eq!(server.messages("one").await, Vec::<Value>::new());
    assert_eq!(server.records("one").await["a"].runs, 5);
}

#[tokio::test]
async fn a_schedule_that_moves_to_another_queue_takes_its_history_along() {
    let server = Server::started().await;
    let before = Record { runs: 9, ..seen(5_400) };
    server.keep("old", "a", &before).await;
    let _: u64 = server.ask(cmd("SADD").arg("rhubarb:queues").arg("old")).await;
    let config = server.config(Duration::from_secs(10), [("a", every(HOUR, "new"))]);
    let _beat = Beat::start(&config);
    let record = server.record_when("new", "a", "it has run", |record| record.runs == 10).await;
    assert_eq!(record.anchor, before.anchor);
    assert_eq!(ticks_of(&server.messages("new").await, "a", before.anchor), [3_600]);
    eventually(SOON, "the old one is forgotten", async || {
        server.records("old").await.is_empty().then_some(())
    })
    .await;
    let ids: HashSet<String> = server.messages("new").await.iter().map(id).collect();
    assert_eq!(ids.len(), 1);
}
