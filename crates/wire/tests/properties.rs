//! Promises that hold for any input: what is written is read again, and nothing panics.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its support functions too")]

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use rhubarb_wire::control::{Command, Reply, ReplyTo, reply};
use rhubarb_wire::{
    Body, ChordPart, Embed, Envelope, NewTask, ResultTree, Signature, State, TaskResult, Time,
    canvas, plain, repr,
};
use serde_json::{Map, Value, json};

const MAX: usize = 1 << 20;

/// How a body of each format begins.
const BEGINNINGS: [(&[u8], Option<&str>); 5] = [
    (b"\x28\xb5\x2f\xfd", Some("zstd")),
    (b"BZh91AY&SY", Some("bzip2")),
    (b"", Some("brotli")),
    (b"\x78\x9c", Some("zlib")),
    (b"\x93\x90\x80", None),
];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((any::<String>(), inner), 0..6).prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
}

fn map() -> impl Strategy<Value = Map<String, Value>> {
    vec((any::<String>(), value()), 0..4).prop_map(|pairs| pairs.into_iter().collect())
}

fn signature() -> impl Strategy<Value = Signature> {
    (any::<String>(), vec(value(), 0..3), map(), option::of("[a-z]+"), any::<bool>()).prop_map(
        |(task, args, kwargs, subtask_type, immutable)| Signature {
            task,
            args,
            kwargs,
            subtask_type,
            immutable,
            ..Signature::default()
        },
    )
}

fn tree() -> impl Strategy<Value = ResultTree> {
    let task = any::<String>().prop_map(|id| ResultTree::task(&id));
    task.prop_recursive(4, 16, 4, |inner| {
        let children = option::of(vec(inner.clone(), 0..4));
        (any::<String>(), option::of(inner.prop_map(Box::new)), children)
            .prop_map(|(id, parent, children)| ResultTree { id, parent, children })
    })
}

fn instant() -> impl Strategy<Value = Timestamp> {
    // Years 1970 to 9000, in the microseconds that Python knows.
    (0..221_845_392_000_000_000_i64).prop_map(|micros| Timestamp::from_microsecond(micros).unwrap())
}

prop_compose! {
    fn task()(
        (name, id, args, kwargs) in ("[a-z.]{1,20}", "[0-9a-f-]{1,36}", vec(value(), 0..4), map()),
        (eta, expires) in (option::of(instant()), option::of(instant())),
        (priority, retries, ignore_result) in any::<(u8, u32, Option<bool>)>(),
        (hard, soft) in (option::of(0.0..1e6_f64), option::of(0..1000_u32)),
        (callbacks, chain, chord) in (vec(signature(), 0..2), vec(signature(), 0..3), option::of(signature())),
        (shadow, group, group_index) in (option::of("[ -~]{1,9}"), option::of("[a-f]{1,9}"), option::of(0..99_u64)),
    ) -> NewTask {
        let mut task = NewTask::new(&name, "celery");
        (task.args, task.kwargs, task.priority) = (args, kwargs, priority);
        task.embed = Embed { callbacks, chain, chord, ..Embed::default() };
        task.headers.id = id;
        (task.headers.eta, task.headers.expires) = (eta.map(Time::at), expires.map(Time::at));
        (task.headers.retries, task.headers.ignore_result) = (retries, ignore_result);
        task.headers.timelimit = (hard, soft.map(f64::from));
        (task.headers.shadow, task.headers.group) = (shadow, group);
        task.headers.group_index = group_index;
        task
    }
}

proptest! {
    #[test]
    fn a_task_survives_the_way_through_a_queue(task in task()) {
        let sent = task.clone().into_envelope("tag");
        let read = Envelope::decode(&sent.encode()).unwrap();
        prop_assert_eq!(&read, &sent);
        let expected = Body { args: task.args, kwargs: task.kwargs, embed: task.embed };
        prop_assert_eq!(read.body(MAX).unwrap(), expected);
        prop_assert_eq!(read.headers.eta, task.headers.eta);
    }

    #[test]
    fn a_result_survives_the_way_through_the_store(
        (status, task_id, result) in ("[A-Z]{1,9}", "[0-9a-f-]{1,36}", value()),
        (traceback, parent_id) in any::<(Option<String>, Option<String>)>(),
    ) {
        let mut stored = TaskResult::new(&task_id, State::from(status.as_str()), result);
        (stored.traceback, stored.parent_id) = (traceback, parent_id);
        stored.other.insert("worker".to_owned(), json!("w"));
        prop_assert_eq!(TaskResult::decode(&stored.encode()).unwrap(), stored);
    }

    #[test]
    fn results_of_groups_survive_the_way_through_the_store(
        (tree, state) in (tree(), "[A-Z]{1,9}"), (task_id, result) in (any::<String>(), value()),
    ) {
        prop_assert_eq!(&ResultTree::from_value(&tree.to_value()).unwrap(), &tree);
        let group = ResultTree::group("g", vec![tree]);
        prop_assert_eq!(ResultTree::decode(&group.encode()).unwrap(), group);
        let part = ChordPart { task_id, state: State::from(state.as_str()), result };
        prop_assert_eq!(ChordPart::decode(&part.encode()).unwrap(), part);
    }

    #[test]
    fn a_canvas_survives_being_taken_apart(
        (tasks, body) in (vec(signature(), 0..4), signature()),
        (items, size) in (vec(value(), 0..4), 0..9_u32),
    ) {
        prop_assert_eq!(&canvas::group(tasks.clone()).tasks().unwrap(), &tasks);
        let chord = canvas::chord(tasks.clone(), body.clone());
        let chord = Signature::from_value(chord.to_value()).unwrap();
        prop_assert_eq!(&chord.tasks().unwrap(), &tasks);
        prop_assert_eq!(chord.body().unwrap().unwrap(), body.clone());
        let chunks = canvas::chunks(&body, items.clone(), size);
        prop_assert_eq!((chunks.mapped().unwrap(), chunks.items()), (body, &items[..]));
    }

    #[test]
    fn any_value_in_place_of_a_canvas_never_panics(
        (name, kind) in ("celery[.](chain|group|chord|map)", option::of("chain|group|chord")),
        (tasks, header, body) in (value(), value(), value()),
    ) {
        let kwargs = json!({"tasks": tasks, "header": header, "body": body, "task": body, "it": tasks});
        let value = json!({"task": name, "subtask_type": kind, "kwargs": kwargs, "options": {"link": body}});
        let odd = Signature::from_value(value).unwrap();
        let _ = (odd.tasks(), odd.header(), odd.body(), odd.mapped(), odd.items(), odd.chunk_size());
        let other = odd.clone().link(Signature::new("t")).link_error(Signature::new("t")).immutable();
        let _ = canvas::chain(vec![odd.clone(), other.clone(), odd.clone()]).then(other).then(odd);
        let _ = (ResultTree::from_value(&tasks), ResultTree::list(&header));
    }

    #[test]
    fn a_command_and_its_reply_survive_the_wire(
        (method, arguments, clock, value) in ("[a-z_]{1,9}", map(), any::<u64>(), value()),
        (destination, pattern) in (option::of(vec("[a-z@]{1,9}", 0..3)), option::of(".{1,9}")),
        (ticket, oid, expires) in (option::of("[a-f]{1,9}"), "[0-9a-f]{1,9}", option::of(1.0..1e10_f64)),
    ) {
        let command = Command {
            method, arguments, destination, pattern, matcher: Some("glob".to_owned()),
            ticket: ticket.clone(), reply_to: Some(ReplyTo::client(&oid)), clock, expires,
        };
        prop_assert_eq!(&Command::decode(&command.encode("d"), MAX).unwrap(), &command);
        let bytes = reply("w1@vm", value.clone(), &command, clock, "d").unwrap();
        let read = Reply::decode(&bytes, MAX).unwrap();
        prop_assert_eq!((read.ticket, read.clock, &read.nodes["w1@vm"]), (ticket, clock, &value));
    }

    #[test]
    fn arbitrary_commands_never_panic(
        (body, destination) in (value(), value()),
        (node, pattern, matcher) in (any::<String>(), r"([\[\]*?!a(|)\\+-]|.){0,40}", "glob|pcre|[a-z]"),
    ) {
        let message = |body: &Value| json!({"body": body.to_string()}).to_string();
        read_control(message(&body).as_bytes(), &node);
        let body = json!({"method": "m", "destination": destination});
        read_control(message(&body).as_bytes(), &node);
        let body = json!({"method": "m", "pattern": pattern, "matcher": matcher});
        Command::decode(message(&body).as_bytes(), MAX).unwrap().is_for(&node);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..400)) {
        read_all(&bytes);
    }

    #[test]
    fn arbitrary_bodies_never_panic(
        (body, compression) in (any::<String>(), option::of("zlib|application/x-gzip|zstd|bzip2|brotli|[a-z]{1,4}")),
        (encoding, eta) in (option::of("base64|[a-z]{1,4}"), option::of(any::<String>())),
        content_type in option::of("application/json|application/x-msgpack"),
    ) {
        let message = json!({
            "body": body, "content-type": content_type, "headers": {"task": "t", "id": "1", "compression": compression, "eta": eta},
            "properties": {"body_encoding": encoding},
        });
        read_all(message.to_string().as_bytes());
    }

    #[test]
    fn arbitrary_binary_bodies_never_panic(
        (head, tail) in (vec(any::<u8>(), 0..60), vec(any::<u8>(), 0..60)),
        (magic, compression) in prop::sample::select(&BEGINNINGS[..]),
    ) {
        let bytes = [magic, &head, &tail].concat();
        let mut envelope = NewTask::new("t", "q").into_envelope("d");
        envelope.content_type = "application/x-msgpack".to_owned();
        envelope.headers.compression = compression.map(str::to_owned);
        envelope.body = base64::engine::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes);
        if let Ok(body) = envelope.body(MAX) {
            plain(json!(body.args));
        }
    }

    #[test]
    fn damaged_messages_never_panic(
        pick in any::<prop::sample::Index>(),
        edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in option::of(any::<prop::sample::Index>()),
    ) {
        let golden = golden();
        let mut bytes = pick.get(&golden).clone();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_all(&bytes);
    }

    #[test]
    fn any_value_is_printed_and_made_plain(value in value()) {
        prop_assert!(!repr(&value).is_empty());
        plain(value);
    }
}

fn read_control(bytes: &[u8], node: &str) {
    if let Ok(command) = Command::decode(bytes, MAX) {
        command.is_for(node);
        reply(node, Value::Null, &command, command.clock, "d");
        assert_eq!(Command::decode(&command.encode("d"), MAX), Ok(command));
    }
    if let Err(error) = Reply::decode(bytes, MAX) {
        assert!(!error.to_string().is_empty());
    }
}

fn read_all(bytes: &[u8]) {
    read_control(bytes, "w1@vm");
    if let Ok(tree) = ResultTree::decode(bytes) {
        assert_eq!(ResultTree::decode(&tree.encode()), Ok(tree));
    }
    if let Ok(part) = ChordPart::decode(bytes) {
        part.failure();
    }
    if let Ok(result) = TaskResult::decode(bytes) {
        result.exception();
        result.encode();
    }
    match Envelope::decode(bytes) {
        Ok(envelope) => {
            let again = Envelope::decode(&envelope.encode()).unwrap();
            assert_eq!(again.headers.id, envelope.headers.id);
            if let Ok(body) = envelope.body(MAX) {
                plain(json!(body.args));
                body.encode();
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn golden() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let paths = fs::read_dir(folder.join("broker")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.to_string_lossy().ends_with(".raw.json")).collect();
    paths.sort();
    let mut golden: Vec<_> = paths.into_iter().map(|path| fs::read(path).unwrap()).collect();
    let command = fs::read(folder.join("control/control_ping.json")).unwrap();
    let command: Value = serde_json::from_slice(&command).unwrap();
    for raw in [&command["request"]["raw"], &command["replies"][0]["raw"]] {
        golden.push(raw.as_str().unwrap().as_bytes().to_vec());
    }
    golden
}
