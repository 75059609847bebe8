//! Messages and results written by real Celery (`golden/versions.txt`), and what we make of them.
//!
//! In `golden/broker`, `X.raw.json` is one element of a queue's list as it was in Redis, and
//! `X.json` all keys of that run, with each message also decoded by Python. In `golden/results`,
//! values of result keys stand beside what was published.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its support functions too")]

use std::fs;
use std::path::{Path, PathBuf};

use rhubarb_wire::{
    Body, ChordPart, DecodeError, Embed, Envelope, Exception, GROUP_PREFIX, NewTask, ResultTree,
    SEPARATOR, STEPS, Signature, State, TaskResult, Time, brief_args, brief_kwargs, chord_keys,
    group_key, open, plain, queue_list,
};
use serde_json::{Value, json};

const MAX: usize = 1 << 20;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn files(name: &str, ending: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(ending))
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Every message of a `X.json`: the name of the list, and the item with `raw`, `envelope`, `body`.
fn messages() -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (file, bytes) in files("broker", ".json") {
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        let Some(keys) = value["keys"].as_object() else { continue };
        for (list, key) in keys.iter().filter(|(_, key)| key["type"] == "list") {
            for item in key["items"].as_array().unwrap() {
                found.push((file.clone(), list.clone(), item.clone()));
            }
        }
    }
    found
}

fn raw(name: &str) -> Envelope {
    let bytes = fs::read(folder("broker").join(format!("{name}.raw.json"))).unwrap();
    Envelope::decode(&bytes).unwrap()
}

fn body(name: &str) -> Body {
    raw(name).body(MAX).unwrap()
}

#[test]
fn every_message_is_read_as_python_reads_it() {
    let messages = messages();
    assert!(messages.len() >= 39, "{} messages", messages.len());
    for (file, list, item) in messages {
        let envelope = Envelope::decode(item["raw"].as_str().unwrap().as_bytes()).unwrap();
        let (headers, expected) = (&envelope.headers, &item["envelope"]["headers"]);
        assert_eq!(json!(headers.task), expected["task"], "{file}");
        assert_eq!(json!(headers.id), expected["id"], "{file}");
        assert_eq!(json!(headers.eta.as_ref().map(Time::as_str)), expected["eta"], "{file}");
        assert_eq!(
            json!(headers.expires.as_ref().map(Time::as_str)),
            expected["expires"],
            "{file}"
        );
        assert_eq!(json!(headers.group), expected["group"], "{file}");
        assert_eq!(json!(headers.group_index), expected["group_index"], "{file}");
        assert_eq!(json!(headers.retries), expected["retries"], "{file}");
        assert_eq!(json!(headers.shadow), expected["shadow"], "{file}");
        assert_eq!(json!(headers.root_id), expected["root_id"], "{file}");
        assert_eq!(json!(headers.parent_id), expected["parent_id"], "{file}");
        assert_eq!(json!(headers.origin), expected["origin"], "{file}");
        assert_eq!(json!(headers.argsrepr), expected["argsrepr"], "{file}");
        assert_eq!(json!(headers.ignore_result), expected["ignore_result"], "{file}");
        assert_eq!(json!(headers.stamped_headers), expected["stamped_headers"], "{file}");
        assert_eq!(json!(headers.stamps), expected["stamps"], "{file}");
        let limits = expected["timelimit"].as_array().unwrap();
        assert_eq!(headers.timelimit, (limits[0].as_f64(), limits[1].as_f64()), "{file}");

        let expected = &item["envelope"]["properties"];
        assert_eq!(json!(envelope.properties.priority), expected["priority"], "{file}");
        assert_eq!(json!(envelope.properties.delivery_tag), expected["delivery_tag"], "{file}");
        let queue = &envelope.properties.delivery_info.routing_key;
        assert_eq!(json!(queue), expected["delivery_info"]["routing_key"], "{file}");
        assert_eq!(
            queue_list(queue, envelope.properties.priority, &STEPS, SEPARATOR),
            list,
            "{file}"
        );

        let (body, expected) = (envelope.body(MAX).unwrap(), &item["body"]);
        assert_eq!(json!(body.args), expected[0], "{file}");
        assert_eq!(json!(body.kwargs), expected[1], "{file}");
        let many = |list: &[Signature]| match list {
            [] => Value::Null,
            list => list.iter().map(Signature::to_value).collect(),
        };
        assert_eq!(many(&body.embed.callbacks), expected[2]["callbacks"], "{file}");
        assert_eq!(many(&body.embed.errbacks), expected[2]["errbacks"], "{file}");
        assert_eq!(many(&body.embed.chain), expected[2]["chain"], "{file}");
        assert_eq!(
            json!(body.embed.chord.map(|chord| chord.to_value())),
            expected[2]["chord"],
            "{file}"
        );
    }
}

#[test]
fn every_message_is_written_again_as_the_same_bytes() {
    let files = files("broker", ".raw.json");
    assert!(files.len() >= 35, "{} files", files.len());
    for (file, bytes) in files {
        let written = Envelope::decode(&bytes).unwrap().encode();
        let (written, original) =
            (String::from_utf8(written).unwrap(), String::from_utf8(bytes).unwrap());
        assert_eq!(written, original.trim_end(), "{file}");
    }
}

#[test]
fn every_body_is_written_again_as_the_same_text() {
    for (file, _, item) in messages() {
        let envelope = Envelope::decode(item["raw"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(envelope.body(MAX).unwrap().encode(), envelope.body, "{file}");
    }
}

#[test]
fn a_new_task_is_the_message_celery_would_send() {
    for (file, _, item) in messages() {
        let envelope = Envelope::decode(item["raw"].as_str().unwrap().as_bytes()).unwrap();
        // Markers of Python's types, stamps, naive and foreign offsets cannot be asked for.
        if ["special_types", "stamped", "eta_naive", "eta_offset", "send_task"]
            .iter()
            .any(|name| file.starts_with(name))
        {
            continue;
        }
        let body = envelope.body(MAX).unwrap();
        let instant =
            |time: &Option<Time>| time.as_ref().map(|time| time.resolve(&jiff::tz::TimeZone::UTC));
        let (headers, properties) = (&envelope.headers, &envelope.properties);
        let mut task = NewTask::new("t", "celery");
        task.headers = headers.clone();
        task.headers.eta = instant(&headers.eta).map(Time::at);
        task.headers.expires = instant(&headers.expires).map(Time::at);
        // The task's own, where nothing else is said.
        (task.headers.root_id, task.headers.argsrepr, task.headers.kwargsrepr) = Default::default();
        (task.args, task.kwargs, task.embed) = (body.args, body.kwargs, body.embed);
        task.queue.clone_from(&properties.delivery_info.routing_key);
        task.priority = properties.priority;
        task.reply_to = properties.reply_to.clone().unwrap_or_default();
        let mut expected = envelope.clone();
        // Made of the client's clock; Redis does not use it.
        expected.properties.expiration = None;
        let made = task.into_envelope(properties.delivery_tag.as_deref().unwrap());
        assert_eq!(made, expected, "{file}");
    }
}

#[test]
fn arguments_are_shown_as_celery_shows_them() {
    for name in ["delay", "unicode_kwargs", "chord3", "timelimit_shadow_headers"] {
        let (headers, body) = (raw(name).headers, body(name));
        assert_eq!(headers.argsrepr, Some(brief_args(&body.args)), "{name}");
        assert_eq!(headers.kwargsrepr, Some(brief_kwargs(&body.kwargs)), "{name}");
    }
}

#[test]
fn times_mean_what_the_caller_meant() {
    let berlin = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    for (name, naive) in
        [("eta_utc", false), ("eta_offset", false), ("countdown", false), ("eta_naive", true)]
    {
        let eta = raw(name).headers.eta.unwrap();
        let utc = eta.resolve(&jiff::tz::TimeZone::UTC);
        assert_eq!(eta.resolve(&berlin) != utc, naive, "{name}: {}", eta.as_str());
    }
    for name in ["expires_seconds", "expires_datetime"] {
        assert!(raw(name).headers.expires.is_some(), "{name}");
    }
}

#[test]
fn what_follows_a_task_is_seen() {
    let names = |list: &[Signature]| list.iter().map(|step| step.task.clone()).collect::<Vec<_>>();
    let chain = body("chain3").embed.chain;
    assert_eq!(names(&chain), ["job_scraper.tasks.add"; 2]);
    assert!(chain[0].options["task_id"].is_string());
    assert_eq!(body("chord3").embed.chord.unwrap().task, "job_scraper.tasks.xsum");
    assert_eq!(body("chain_then_chord").embed.chain[0].subtask_type.as_deref(), Some("chord"));
    let links = body("link_and_link_error").embed;
    assert_eq!(names(&links.callbacks), ["job_scraper.tasks.add"]);
    assert_eq!(names(&links.errbacks), ["job_scraper.tasks.on_error"]);
    assert_eq!(body("link_two").embed.callbacks.len(), 2);
}

#[test]
fn python_types_become_text() {
    let body = body("special_types");
    assert_eq!(plain(json!(body.args)), json!(["2026-01-02T03:04:05+00:00", "2026-01-02"]));
    let expected = json!({"d": "1.10", "u": "00000000-0000-0000-0000-000000000005", "by": "AP8=", "tm": "01:02:03"});
    assert_eq!(plain(json!(body.kwargs)), expected);
}

#[test]
fn bodies_of_every_serializer_and_compression_are_read() {
    let args =
        json!(["python developer ".repeat(40), 1.5, -7, 1_u64 << 63, null, true, [1, {"a": []}]]);
    let kwargs = json!({"location": "Zürich", "n": 12_345_678_901_u64});
    for (name, method) in [
        ("compressed_gzip", Some("application/x-gzip")),
        ("compressed_bzip2", Some("application/x-bz2")),
        ("compressed_brotli", Some("application/x-brotli")),
        ("compressed_zstd", Some("application/zstd")),
        ("msgpack", None),
        ("msgpack_zstd", Some("application/zstd")),
    ] {
        assert_eq!(raw(name).headers.compression.as_deref(), method, "{name}");
        let body = body(name);
        assert_eq!(
            (json!(body.args), json!(body.kwargs)),
            (args.clone(), kwargs.clone()),
            "{name}"
        );
        assert_eq!(body.embed, Embed::default(), "{name}");
    }
    let error = raw("compressed_lzma").body(MAX).unwrap_err();
    assert!(error.to_string().contains("`application/x-lzma` is not supported"), "{error}");
}

#[test]
fn every_type_of_messagepack_is_read() {
    let body = body("msgpack_types");
    let numbers =
        json!([-1, -33, -129, -40000, -3_000_000_000_i64, 127, 200, 70000, 5_000_000_000_u64, 1.0]);
    assert_eq!(json!(body.args[2..12]), numbers);
    assert_eq!(json!(plain(json!(body.args[..2]))), json!(["plain", "AP8="]));
    let (range, map) = (0..20, (0..20).map(|n| (n.to_string(), json!(n))));
    let rest = json!([
        "x".repeat(40),
        "y".repeat(300),
        range.collect::<Vec<_>>(),
        map.collect::<Value>(),
        "Infinity"
    ]);
    assert_eq!(open(json!(body.args[12..])), rest);
    let (after, failed) = (&body.embed.callbacks[0], &body.embed.errbacks[0]);
    assert_eq!((after.task.as_str(), after.immutable), ("job_scraper.tasks.scrape_jobs", false));
    assert_eq!((&failed.args, failed.immutable), (&vec![json!(1)], true));
}

#[test]
fn compressed_bodies_are_read_and_pickles_refused() {
    assert_eq!(body("compressed_zlib").args, [json!("x".repeat(20))]);
    let error = raw("serializer_pickle").body(MAX).unwrap_err();
    assert!(
        matches!(&error, DecodeError::Refused { content_type, .. } if content_type == "application/x-python-serialize")
    );
    assert_eq!(error.task_id(), Some("11111111-2222-4333-8444-555555555555"));
    assert_eq!(error.task_name(), Some("job_scraper.tasks.scrape_jobs"));
}

/// Every result of the captures: its value as Python reads it and, of stored ones, the bytes.
fn results() -> Vec<(String, Value, Option<String>)> {
    let mut found = Vec::new();
    for (file, bytes) in files("results", ".json") {
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        for name in ["success", "failure"] {
            if let Some(raw) = value[format!("{name}_raw")].as_str() {
                found.push((file.clone(), value[name].clone(), Some(raw.to_owned())));
            }
        }
        for task in value["tasks"].as_object().into_iter().flat_map(|tasks| tasks.values()) {
            if let Some(raw) = task["final_raw"].as_str() {
                found.push((file.clone(), task["final"].clone(), Some(raw.to_owned())));
            }
            let published = task["published"].as_array().into_iter().flatten();
            found.extend(published.map(|value| (file.clone(), value.clone(), None)));
        }
    }
    found
}

#[test]
fn every_result_is_read_and_written_as_celery_does() {
    let results = results();
    let stored = results.iter().filter(|(_, _, raw)| raw.is_some()).count();
    assert!(stored >= 30 && results.len() > 2 * stored, "{stored} of {}", results.len());
    for (file, value, raw) in results {
        let text = raw.clone().unwrap_or_else(|| value.to_string());
        let result = TaskResult::decode(text.as_bytes()).unwrap();
        assert_eq!(json!(result.status.as_str()), value["status"], "{file}");
        assert_eq!(result.result, value["result"], "{file}");
        assert_eq!(json!(result.task_id), value["task_id"], "{file}");
        assert_eq!(json!(result.date_done), value["date_done"], "{file}");
        assert_eq!(result.children, value["children"], "{file}");
        assert_eq!(json!(result.traceback), value["traceback"], "{file}");
        assert_eq!(json!(result.parent_id), value["parent_id"], "{file}");
        assert_eq!(json!(result.group_id), value["group_id"], "{file}");
        assert_eq!(result.status.is_final(), !value["date_done"].is_null(), "{file}");
        let written = String::from_utf8(result.encode()).unwrap();
        match raw {
            Some(raw) => assert_eq!(written, raw, "{file}"),
            None => assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value, "{file}"),
        }
    }
}

#[test]
fn every_exception_is_read_and_written_as_celery_does() {
    let mut count = 0;
    for (file, value, _) in results() {
        let failed = ["FAILURE", "RETRY", "REVOKED"].iter().any(|state| value["status"] == *state);
        let result = TaskResult::decode(value.to_string().as_bytes()).unwrap();
        assert_eq!(result.exception().is_some(), failed, "{file}");
        if let Some(exception) = result.exception() {
            assert_eq!(exception.to_value(), value["result"], "{file}");
            count += 1;
        }
    }
    assert!(count >= 20, "{count}");
}

/// Keys of a capture whose name ends so, with their values.
fn keys(capture: &str, ending: &str) -> Vec<(String, Value)> {
    let bytes = fs::read(folder(capture)).unwrap();
    let found: Value = serde_json::from_slice(&bytes).unwrap();
    let found = found.get("keys").unwrap_or(&found).as_object().unwrap().clone();
    found.into_iter().filter(|(name, _)| name.ends_with(ending)).collect()
}

#[test]
fn saved_groups_are_read_and_written_as_celery_does() {
    let tasks = |ids: &[&str]| ids.iter().map(|id| ResultTree::task(id)).collect::<Vec<_>>();
    let below = |tree: ResultTree, parent: ResultTree| ResultTree {
        parent: Some(Box::new(parent)),
        ..tree
    };
    let inner = ResultTree::group("h", tasks(&["a", "b"]));
    let parent = below(ResultTree::task("p"), ResultTree::task("q"));
    let after = below(ResultTree::task("a"), ResultTree::group("h", tasks(&["x", "y"])));
    let expected = [
        ("flat", ResultTree::group("g", tasks(&["a", "b"]))),
        ("empty", ResultTree::group("g", Vec::new())),
        ("nested", ResultTree::group("g", vec![inner, ResultTree::task("c")])),
        ("with_parent", below(ResultTree::group("g", tasks(&["a"])), parent)),
        ("child_with_parent", ResultTree::group("g", vec![after])),
    ];
    let golden: Value =
        serde_json::from_slice(&fs::read(folder("groups/saved.json")).unwrap()).unwrap();
    for (name, tree) in expected {
        let raw = golden["saved"][name].as_str().unwrap();
        assert_eq!(ResultTree::decode(raw.as_bytes()).unwrap(), tree, "{name}");
        assert_eq!(String::from_utf8(tree.encode()).unwrap(), raw, "{name}");
    }
    let (name, saved) = keys("broker/group3_saved.json", "")
        .into_iter()
        .find(|(name, _)| name.starts_with(GROUP_PREFIX))
        .unwrap();
    let raw = saved["value"].as_str().unwrap();
    let tree = ResultTree::decode(raw.as_bytes()).unwrap();
    assert_eq!(
        (group_key(GROUP_PREFIX, &tree.id), tree.children.as_ref().unwrap().len()),
        (name, 3)
    );
    assert_eq!(String::from_utf8(tree.encode()).unwrap(), raw);
}

#[test]
fn children_of_every_result_are_trees() {
    let mut count = 0;
    for (file, value, _) in results() {
        let trees = ResultTree::list(&value["children"]).unwrap();
        let written: Value = trees.iter().map(ResultTree::to_value).collect();
        assert!(written == value["children"] || value["children"].is_null(), "{file}");
        count += trees.len();
    }
    assert!(count > 3, "{count}");
}

#[test]
fn parts_of_a_chord_are_read_and_written_as_celery_does() {
    let mut count = 0;
    for (capture, failed) in [("chord_half_way_keys", 0), ("chord_header_failed_keys", 1)] {
        let capture = format!("results/{capture}.json");
        let (name, parts) = keys(&capture, ".j").remove(0);
        let id = name.strip_prefix(GROUP_PREFIX).unwrap().strip_suffix(".j").unwrap();
        let names = chord_keys(GROUP_PREFIX, id);
        assert_eq!(name, names.parts);
        assert_eq!(keys(&capture, ".d")[0].0, names.counted);
        let mut failures = 0;
        for member in parts["value"].as_array().unwrap() {
            let raw = member[0].as_str().unwrap();
            let part = ChordPart::decode(raw.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(part.encode()).unwrap(), raw);
            failures += usize::from(part.failure().is_some());
            count += 1;
        }
        assert_eq!(failures, failed, "{capture}");
    }
    assert!(count >= 4, "{count}");
}

#[test]
fn known_exceptions_are_those_of_celery() {
    let check = |file: &str, expected: &Exception| {
        let found = results().into_iter().any(|(name, value, raw)| {
            name == format!("{file}.json")
                && raw.is_some()
                && value["result"] == expected.to_value()
        });
        assert!(found, "{file}: {expected}");
    };
    check("failure_value_error", &Exception::builtin("ValueError", vec![json!("boom ü")]));
    check("hard_time_limit", &Exception::time_limit_exceeded(1.0));
    check("soft_time_limit", &Exception::soft_time_limit_exceeded());
    check("expired", &Exception::task_revoked("expired"));
    check("revoked", &Exception::task_revoked("revoked"));
    check("revoked_terminated", &Exception::task_revoked("terminated"));
    check("not_registered", &Exception::not_registered("no.such.task"));
    let unknown = TaskResult::new("1", State::Failure, json!("text"));
    assert_eq!(unknown.exception(), None);
}
