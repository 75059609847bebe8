//! Remote control and events of real Celery (`golden/control`, versions in `golden/versions.txt`).
//!
//! `control_X.json` holds a command and its replies, `event_X.json` an event, each as it was on the
//! wire (`raw`) and as Python reads it. Of task events `raw` holds a whole batch, and so does
//! `batch`. `task-sent` and `task-rejected` were taken from the dispatcher of Celery 5.7.0 before
//! encoding and have none; paths inside the two tracebacks were replaced.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its support functions too")]

use std::fs;
use std::path::Path;

use rhubarb_wire::control::{Command, Reply, ReplyTo, reply};
use rhubarb_wire::event::{self, Origin, Revoked, Task, Worker};
use rhubarb_wire::{Exception, event_channel, pidbox_channel, reply_queue};
use serde_json::{Value, json};

const MAX: usize = 1 << 20;

fn golden(start: &str) -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/control");
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(start))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The delivery tag of a message, which is random.
fn tag(raw: &str) -> String {
    let envelope: Value = serde_json::from_str(raw).unwrap();
    text(&envelope["properties"]["delivery_tag"]).to_owned()
}

#[test]
fn every_command_is_read_and_written_as_celery_does() {
    let commands = golden("control_");
    assert!(commands.len() >= 30, "{}", commands.len());
    for (name, golden) in commands {
        let (request, body) = (&golden["request"], &golden["request"]["body"]);
        assert_eq!(request["channel"], pidbox_channel("", 0), "{name}");
        let raw = text(&request["raw"]);
        let command = Command::decode(raw.as_bytes(), MAX).unwrap();
        assert_eq!(json!(command.method), body["method"], "{name}");
        assert_eq!(json!(command.arguments), body["arguments"], "{name}");
        assert_eq!(json!(command.destination), body["destination"], "{name}");
        assert_eq!(json!(command.ticket), body["ticket"], "{name}");
        let oid = body["reply_to"]["routing_key"].as_str();
        assert_eq!(command.reply_to, oid.map(ReplyTo::client), "{name}");
        assert!(command.clock > 0, "{name}");
        assert_eq!(String::from_utf8(command.encode(&tag(raw))).unwrap(), raw, "{name}");
    }
}

#[test]
fn a_command_reaches_the_nodes_that_it_reached_in_celery() {
    for (name, golden) in golden("control_ping") {
        let command = Command::decode(text(&golden["request"]["raw"]).as_bytes(), MAX).unwrap();
        let replied = !golden["replies"].as_array().unwrap().is_empty();
        assert_eq!(command.is_for("w1@vm"), replied, "{name}");
    }
}

#[test]
fn every_reply_is_read_and_written_as_celery_does() {
    let mut count = 0;
    for (name, golden) in golden("control_") {
        let command = Command::decode(text(&golden["request"]["raw"]).as_bytes(), MAX).unwrap();
        for given in golden["replies"].as_array().unwrap() {
            let raw = text(&given["raw"]);
            let read = Reply::decode(raw.as_bytes(), MAX).unwrap();
            assert_eq!(json!(read.nodes), given["body"], "{name}");
            assert_eq!(read.ticket, command.ticket, "{name}");
            assert_eq!(given["key"], reply_queue(&command.reply_to.as_ref().unwrap().routing_key));
            let value = given["body"]["w1@vm"].clone();
            let written = reply("w1@vm", value, &command, read.clock, &tag(raw)).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), raw, "{name}");
            count += 1;
        }
    }
    assert!(count >= 25, "{count}");
}

#[test]
fn a_command_that_asks_for_nothing_gets_nothing() {
    let (_, shutdown) = golden("control_shutdown").remove(0);
    let command = Command::decode(text(&shutdown["request"]["raw"]).as_bytes(), MAX).unwrap();
    assert_eq!(reply("w1@vm", json!({}), &command, 1, "d"), None);
}

/// What Celery was told when it made the event, made into an event of ours.
fn remake(expected: &Value) -> Value {
    let origin = Origin {
        hostname: text(&expected["hostname"]),
        utcoffset: expected["utcoffset"].as_f64().unwrap(),
        pid: u32::try_from(expected["pid"].as_u64().unwrap()).unwrap(),
        clock: expected["clock"].as_u64().unwrap(),
        timestamp: expected["timestamp"].as_f64().unwrap(),
    };
    let uuid = expected["uuid"].as_str().unwrap_or_default();
    let traceback = expected["traceback"].as_str();
    match text(&expected["type"]) {
        "worker-online" => event::worker_online(&origin, &worker(expected)),
        "worker-heartbeat" => event::worker_heartbeat(&origin, &worker(expected)),
        "worker-offline" => event::worker_offline(&origin, &worker(expected)),
        "task-sent" => {
            let to = text(&expected["queue"]);
            event::task_sent(&origin, &task(expected), to, "", to)
        }
        "task-received" => event::task_received(&origin, &task(expected)),
        "task-started" => event::task_started(&origin, uuid),
        "task-succeeded" => {
            event::task_succeeded(&origin, uuid, &json!(4), expected["runtime"].as_f64())
        }
        "task-failed" => {
            let exception = Exception::builtin("ValueError", vec![json!("boom ü")]);
            event::task_failed(&origin, uuid, &exception, traceback)
        }
        "task-retried" => {
            let exception = Exception::builtin("RuntimeError", vec![json!("try 0")]);
            event::task_retried(&origin, uuid, &exception, traceback.unwrap())
        }
        "task-revoked" => event::task_revoked(&origin, uuid, Revoked::Terminated { signum: 15 }),
        "task-rejected" => event::task_rejected(&origin, uuid, true),
        other => panic!("{other}"),
    }
}

fn worker(expected: &Value) -> Worker<'_> {
    let load = expected["loadavg"].as_array().unwrap();
    Worker {
        freq: expected["freq"].as_f64().unwrap(),
        active: expected["active"].as_u64().unwrap(),
        processed: expected["processed"].as_u64().unwrap(),
        loadavg: [0, 1, 2].map(|i| load[i].as_f64().unwrap()),
        sw_ident: text(&expected["sw_ident"]),
        sw_ver: text(&expected["sw_ver"]),
        sw_sys: text(&expected["sw_sys"]),
    }
}

fn task(expected: &Value) -> Task<'_> {
    Task {
        uuid: text(&expected["uuid"]),
        name: text(&expected["name"]),
        args: expected["args"].as_str(),
        kwargs: expected["kwargs"].as_str(),
        root_id: expected["root_id"].as_str(),
        parent_id: expected["parent_id"].as_str(),
        retries: 0,
        eta: expected["eta"].as_str(),
        expires: expected["expires"].as_str(),
    }
}

#[test]
fn every_event_is_made_as_celery_makes_it() {
    let events = golden("event_");
    assert!(events.len() >= 12, "{}", events.len());
    for (name, golden) in events {
        let expected = &golden["event"];
        // Compared as text, so that the order of the fields counts.
        assert_eq!(remake(expected).to_string(), expected.to_string(), "{name}");
        let batched = golden["batched"] == true;
        let topic = event::topic(text(&expected["type"]));
        let topic = if batched { event::TASK_MULTI } else { &topic };
        assert_eq!(golden["channel"], event_channel("", 0, topic), "{name}");
    }
}

#[test]
fn events_are_published_in_the_bytes_of_celery() {
    let mut count = 0;
    for (name, golden) in golden("event_") {
        let Some(raw) = golden["raw"].as_str() else { continue };
        let hostname = text(&golden["event"]["hostname"]);
        let topic = text(&golden["channel"]).strip_prefix("/0.celeryev/").unwrap();
        let body = golden.get("batch").unwrap_or(&golden["event"]);
        let written = event::message(topic, hostname, body, &tag(raw));
        assert_eq!(String::from_utf8(written).unwrap(), raw, "{name}");
        count += 1;
    }
    assert!(count >= 9, "{count}");
}

#[test]
fn a_task_that_never_ran_is_told_as_celery_tells_it() {
    let origin = Origin { hostname: "w", utcoffset: 0.0, pid: 1, clock: 1, timestamp: 1.5 };
    let revoked = |why| {
        let event = event::task_revoked(&origin, "1", why);
        (event["terminated"].clone(), event["signum"].clone(), event["expired"].clone())
    };
    assert_eq!(revoked(Revoked::Revoked), (json!(false), json!(null), json!(false)));
    assert_eq!(revoked(Revoked::Expired), (json!(false), json!(null), json!(true)));
    let unknown = event::task_failed(&origin, "1", &Exception::not_registered("a.b"), None);
    assert_eq!(unknown["exception"], "NotRegistered('a.b')");
    assert_eq!(unknown.get("traceback"), None);
}
