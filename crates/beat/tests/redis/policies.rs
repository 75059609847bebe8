use std::time::Duration;

use jiff::Timestamp;
use redis::cmd;
use rhubarb_beat::entry;
use rhubarb_queue::{tick::Record, wire::State};
use rhubarb_schedule::{CatchUp, Moment, Overlap, ScheduleConfig, When};
use rhubarb_testbed::eventually::eventually;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::harness::{Beat, HOUR, SOON, Server, every, id, seen, ticks_of};

const LEASE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn all_missed_ticks_are_published_in_order_within_the_bounds() {
    let server = Server::started().await;
    let all = |max, hours| CatchUp::All { max, window: Duration::from_secs(hours * HOUR) };
    let with = |catch_up, queue| ScheduleConfig { catch_up, ..every(HOUR, queue) };
    let config = server.config(
        LEASE,
        [
            ("many", with(all(100, 24), "many")),
            ("few", with(all(2, 24), "few")),
            ("late", with(all(100, 3), "late")),
            ("none", with(CatchUp::None, "none")),
        ],
    );
    let before = seen(10 * 3_600 + 1_800);
    for name in ["many", "few", "late", "none"] {
        server.keep(name, name, &before).await;
    }
    let _beat = Beat::start(&config);
    let hours = |from: i64| (from..=10).map(|n| n * 3_600).collect::<Vec<_>>();
    for (name, from, runs, missed) in
        [("many", 1, 10, 0), ("few", 9, 2, 8), ("late", 8, 3, 7), ("none", 11, 0, 10)]
    {
        let done = |record: &Record| record.runs + record.missed == 10;
        let record = server.record_when(name, name, "all ticks are accounted for", done).await;
        assert_eq!((record.runs, record.missed), (runs, missed), "{name}");
        assert_eq!(ticks_of(&server.messages(name).await, name, before.anchor), hours(from));
    }
}

#[tokio::test]
async fn a_tick_that_is_too_late_is_passed_over_and_counted() {
    let server = Server::started().await;
    let misfire_grace = Some(Duration::from_secs(60));
    let config =
        server.config(LEASE, [("a", ScheduleConfig { misfire_grace, ..every(HOUR, "one") })]);
    server.keep("one", "a", &seen(5_400)).await;
    let _beat = Beat::start(&config);
    let record = server.record_when("one", "a", "it is passed over", |r| r.missed == 1).await;
    assert_eq!((record.runs, record.at), (0, None));
    assert_eq!(server.messages("one").await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_one_off_time_a_start_an_end_and_a_number_of_runs_are_kept() {
    let server = Server::started().await;
    let moment = |s: i64| Moment::Instant(Timestamp::now() + jiff::SignedDuration::from_secs(s));
    let at = ScheduleConfig { when: When::At(moment(2)), ..every(1, "at") };
    let thrice = ScheduleConfig { max_runs: Some(3), ..every(1, "thrice") };
    let later = ScheduleConfig { start_at: Some(moment(3_600)), ..every(1, "later") };
    let over = ScheduleConfig { end_at: Some(moment(-1)), ..every(1, "over") };
    let config = server.config(
        LEASE,
        [("at", at), ("thrice", thrice), ("later", later), ("over", over), ("s", every(1, "s"))],
    );
    let _beat = Beat::start(&config);
    server.ticks(6, &config, "s").await;
    let n = async |queue: &str| server.messages(queue).await.len();
    let counts = [n("at").await, n("thrice").await, n("later").await, n("over").await];
    assert_eq!(counts, [1, 3, 0, 0]);
    assert_eq!(server.records("thrice").await["thrice"].next, None);
}

/// A schedule whose last task is not done, and what becomes of it.
async fn overlapping(server: &Server, overlap: Overlap) -> (Beat, String) {
    let config = server.config(
        LEASE,
        [("a", ScheduleConfig { overlap, ..every(1, "one") }), ("s", every(1, "s"))],
    );
    let beat = Beat::start(&config);
    let first = eventually(SOON, "the first tick is published", async || {
        server.messages("one").await.first().map(id)
    })
    .await;
    server.ticks(4, &config, "s").await;
    (beat, first)
}

async fn end(server: &Server, id: &str) {
    let result = rhubarb_queue::wire::TaskResult::new(id, State::Success, json!(null));
    let key = server.client().result_key(id);
    let _: () = server.ask(cmd("SET").arg(key).arg(result.encode())).await;
    // As a worker does: from its queue into its claims, and out of these.
    let _: Option<String> = server.ask(cmd("RPOP").arg("one")).await;
}

#[tokio::test]
async fn overlap_skip_leaves_ticks_out_while_the_last_task_is_not_done() {
    let server = Server::started().await;
    let (_beat, first) = overlapping(&server, Overlap::Skip).await;
    assert_eq!(server.messages("one").await.len(), 1);
    let missed = server.record_when("one", "a", "ticks were left out", |r| r.missed >= 2).await;
    assert_eq!(missed.runs, 1);
    end(&server, &first).await;
    let record = server.record_when("one", "a", "it goes on", |record| record.runs == 2).await;
    // Those that passed meanwhile are gone.
    assert!(record.late_ms < 5_000, "{record:?}");
    let anchor = record.anchor;
    let ticks = ticks_of(&server.messages("one").await, "a", anchor);
    assert_eq!(record.runs + record.missed, u64::try_from(ticks[0]).unwrap());
}

#[tokio::test]
async fn overlap_queue_one_waits_for_the_last_task_and_publishes_one() {
    let server = Server::started().await;
    let (_beat, first) = overlapping(&server, Overlap::QueueOne).await;
    assert_eq!(server.messages("one").await.len(), 1);
    assert_eq!(server.records("one").await["a"].missed, 0, "it waits");
    end(&server, &first).await;
    let record = server.record_when("one", "a", "one is published", |r| r.runs == 2).await;
    assert!(record.missed >= 2, "{record:?}");
    // The second waits in turn for a task that nobody runs.
    let messages = server.messages("one").await;
    assert_eq!(messages.len(), 1);
    assert_ne!(id(&messages[0]), first);
}

#[tokio::test]
async fn overlap_cancel_running_revokes_the_last_task_and_publishes() {
    let server = Server::started().await;
    let (_beat, first) = overlapping(&server, Overlap::CancelRunning).await;
    let state = server.client().result(&first).await.unwrap().unwrap();
    assert_eq!(state.status, State::Revoked);
    let revoked: Option<f64> = server.ask(cmd("ZSCORE").arg("rhubarb:revoked").arg(&first)).await;
    assert!(revoked.is_some());
    assert!(server.messages("one").await.len() >= 3);
}

/// One that is claimed by a worker lies in no list.
#[tokio::test]
async fn a_task_in_a_workers_claims_is_not_done() {
    let server = Server::started().await;
    let config =
        server.config(LEASE, [("a", ScheduleConfig { overlap: Overlap::Skip, ..every(1, "one") })]);
    let mut beat = Beat::start(&config);
    server.ticks(1, &config, "one").await;
    beat.stop().await;
    let record = server.records("one").await.remove("a").unwrap();
    let last = entry::id("", "a", record.ran.unwrap());
    let unfinished = async || {
        rhubarb_queue::schedules::unfinished(&server.client(), "one", &last).await.unwrap()
    };
    assert!(unfinished().await, "it waits");
    let message: String = server.ask(cmd("RPOP").arg("one")).await;
    assert!(!unfinished().await, "it is gone");
    let claim = format!("1:0:5:{message}");
    let _: u64 = server.ask(cmd("HSET").arg("rhubarb:{one}:claims:w").arg(1).arg(&claim)).await;
    let _: u64 = server.ask(cmd("ZADD").arg("rhubarb:{one}:leases").arg(5).arg("w")).await;
    assert!(unfinished().await, "it is claimed");
    let _: u64 = server.ask(cmd("DEL").arg("rhubarb:{one}:leases")).await;
    let put_off = format!("1|{message}");
    let _: u64 = server.ask(cmd("ZADD").arg("rhubarb:{one}:scheduled").arg(5).arg(&put_off)).await;
    assert!(unfinished().await, "it waits for a retry");
    // A child of it is another task.
    let other = message
        .replace(&format!("\"id\": \"{last}\""), "\"id\": \"x\"")
        .replace(&format!("\"id\":\"{last}\""), "\"id\":\"x\"");
    assert_ne!(other, message);
    let _: u64 = server.ask(cmd("DEL").arg("rhubarb:{one}:scheduled")).await;
    let _: u64 = server.ask(cmd("LPUSH").arg("one").arg(&other)).await;
    assert!(!unfinished().await);
}

/// Answers one request after the other and returns their bodies.
async fn webhook() -> (String, tokio::sync::mpsc::UnboundedReceiver<Value>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/secret", listener.local_addr().unwrap());
    let (told, heard) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let told = told.clone();
            tokio::spawn(async move {
                let mut request = String::new();
                let mut bytes = [0; 4_096];
                while !request.ends_with('}') {
                    let n = stream.read(&mut bytes).await.unwrap();
                    assert!(n > 0, "a request without an end: {request}");
                    request.push_str(std::str::from_utf8(&bytes[..n]).unwrap());
                }
                let body = request.split_once("\r\n\r\n").unwrap().1;
                let _ = told.send(serde_json::from_str(body).unwrap());
                let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                stream.write_all(answer).await.unwrap();
            });
        }
    });
    (url, heard)
}

#[tokio::test]
async fn a_late_schedule_calls_the_webhook_and_so_does_its_recovery() {
    let server = Server::started().await;
    let (url, mut heard) = webhook().await;
    let (ping, mut alive) = webhook().await;
    let overlap = Overlap::QueueOne;
    let alert_after = Some(Duration::from_secs(2));
    let schedule = ScheduleConfig { overlap, alert_after, ..every(1, "one") };
    let mut config = server.config(LEASE, [("a", schedule)]);
    let text = format!("[beat]\nalert_url = \"{url}\"\nping_url = \"{ping}\"");
    let urls = rhubarb_settings::Settings::from_toml(&text).unwrap().beat;
    assert!(!format!("{urls:?}").contains("secret"));
    config.beat.alert_url = urls.alert_url;
    config.beat.ping_url = urls.ping_url;
    let _beat = Beat::start(&config);
    let mut next = async || tokio::time::timeout(SOON, heard.recv()).await.unwrap().unwrap();

    let late = next().await;
    assert_eq!((&late["event"], &late["schedule"]), (&json!("late"), &json!("a")));
    assert!(late["late_s"].as_f64().unwrap() > 2.0, "{late}");
    let first = id(&server.messages("one").await[0]);
    end(&server, &first).await;
    // The one that waited is late too; the first that is not, is told.
    let second = eventually(SOON, "the one that waited is published", async || {
        server.messages("one").await.first().map(id).filter(|id| *id != first)
    })
    .await;
    end(&server, &second).await;
    assert_eq!(next().await["event"], "on_time");
    let told = tokio::time::timeout(SOON, alive.recv()).await.unwrap().unwrap();
    assert_eq!((&told["event"], &told["schedules"]), (&json!("alive"), &json!(1)));
}
