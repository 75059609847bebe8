#![expect(
    clippy::needless_pass_by_value,
    reason = "`json!` takes values, which reads best in the calls"
)]

use std::{
    cell::Cell,
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::json;

use super::*;
use crate::Config;

fn unroll_with(value: Value, call: Call) -> Result<Unrolled, CanvasError> {
    let next = Cell::new(0_u32);
    let fresh_id = || {
        next.set(next.get() + 1);
        format!("fresh-{}", next.get())
    };
    let celery = Config::default().celery;
    let publisher = Publisher {
        celery: &celery,
        now: "2026-11-24T00:00:00Z".parse().unwrap(),
        reply_to: "client",
        origin: "gen1@here",
        fresh_id: &fresh_id,
        max_bytes: max_bytes_in_worker(0),
    };
    unroll(Signature::from_value(value).unwrap(), call, publisher)
}

fn sent(value: Value) -> Unrolled {
    unroll_with(value, Call::default()).unwrap()
}

fn task(name: &str, args: Value) -> Value {
    json!({"task": name, "args": args, "kwargs": {}, "options": {}, "subtask_type": null, "immutable": false})
}

fn add(args: Value) -> Value {
    task("job_scraper.tasks.add", args)
}

fn xsum() -> Value {
    task("job_scraper.tasks.xsum", json!([]))
}

fn chain(steps: Value) -> Value {
    json!({"task": "celery.chain", "kwargs": {"tasks": steps}, "subtask_type": "chain"})
}

fn group(members: Value) -> Value {
    json!({"task": "celery.group", "kwargs": {"tasks": members}, "subtask_type": "group"})
}

fn chord(header: Value, body: Value) -> Value {
    json!({"task": "celery.chord", "kwargs": {"header": header, "body": body, "kwargs": {}}, "subtask_type": "chord"})
}

fn with(mut signature: Value, options: Value) -> Value {
    signature["options"] = options;
    signature
}

/// A message as values: headers, and the body's three parts.
fn shown(envelope: &Envelope) -> Value {
    let body = envelope.body(1 << 24).unwrap();
    let written: Value = serde_json::from_slice(&envelope.encode()).unwrap();
    let mut headers = written["headers"].clone();
    // Celery writes false where it knows the task, and null, as we do, where a task is sent by its
    // name.
    headers["ignore_result"] = json!(envelope.headers.ignore_result.unwrap_or_default());
    let signatures = |list: &[Signature]| list.iter().map(Signature::to_value).collect::<Value>();
    json!({
        "headers": headers,
        "properties": written["properties"],
        "body": [body.args, body.kwargs, {
            "callbacks": signatures(&body.embed.callbacks),
            "errbacks": signatures(&body.embed.errbacks),
            "chain": signatures(&body.embed.chain),
            "chord": body.embed.chord.as_ref().map(Signature::to_value),
        }],
    })
}

fn body(envelope: &Envelope) -> Value {
    shown(envelope)["body"].clone()
}

/// Replaces every id, tag and process by its place of first appearance.
fn normalised(value: &Value, seen: &mut HashMap<String, usize>) -> Value {
    match value {
        Value::String(text) if text.len() == 36 || text.starts_with("fresh-") => {
            let next = seen.len();
            json!(format!("id {}", seen.entry(text.clone()).or_insert(next)))
        }
        Value::String(text) if text.starts_with("gen") => json!("gen"),
        Value::Array(items) => items.iter().map(|item| normalised(item, seen)).collect(),
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), normalised(value, seen))).collect()
        }
        scalar => scalar.clone(),
    }
}

/// The messages of a golden capture, in the order in which they were sent.
fn golden(name: &str) -> Vec<Envelope> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../wire/tests/golden/broker")
        .join(format!("{name}.json"));
    let value: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let items = value["keys"]["celery"]["items"].as_array().unwrap().clone();
    items
        .iter()
        .rev()
        .map(|item| Envelope::decode(item["raw"].as_str().unwrap().as_bytes()).unwrap())
        .collect()
}

#[track_caller]
fn check_golden(name: &str, signature: Value) {
    let listed = |envelopes: Vec<&Envelope>| {
        // The client's own id is the same in all messages and first in neither.
        let mut seen = HashMap::from([("client".to_owned(), 0)]);
        let shown: Value = envelopes.into_iter().map(shown).collect();
        let text =
            shown.to_string().replace("\"client\"", "\"3a726484-f0a8-3039-8171-f653326b9fb8\"");
        seen.insert("3a726484-f0a8-3039-8171-f653326b9fb8".to_owned(), 0);
        normalised(&serde_json::from_str(&text).unwrap(), &mut seen)
    };
    let expected = golden(name);
    let found = sent(signature);
    assert_eq!(
        listed(found.messages.iter().map(|one| &one.envelope).collect()),
        listed(expected.iter().collect()),
    );
}

#[test]
fn messages_have_the_shape_of_celerys() {
    check_golden(
        "group3",
        group(json!([add(json!([0, 0])), add(json!([1, 1])), add(json!([2, 2]))])),
    );
    check_golden("chain3", chain(json!([add(json!([1, 2])), add(json!([3])), add(json!([4]))])));
    let header = json!([add(json!([0, 0])), add(json!([1, 1])), add(json!([2, 2]))]);
    check_golden("chord3", chord(header, xsum()));
    let inner = group(json!([add(json!([2])), add(json!([3]))]));
    check_golden("chain_then_chord", chain(json!([add(json!([1, 1])), chord(inner, xsum())])));
    let links = json!({"task_id": "11111111-2222-4333-8444-555555555555", "link": add(json!([10])),
        "link_error": [task("job_scraper.tasks.on_error", json!([]))]});
    check_golden("link_and_link_error", with(add(json!([1, 2])), links));
    let stamps = json!({"stamped_headers": ["mtask_id"], "mtask_id": "stamp-1"});
    check_golden("stamped", with(add(json!([1, 2])), stamps));
}

#[test]
fn a_chords_chain_is_its_body() {
    let header = group(json!([add(json!([1, 1])), add(json!([2, 2]))]));
    let body = chain(json!([xsum(), add(json!([100]))]));
    check_golden("chain_group_upgraded_chord", chord(header, body));
}

#[test]
fn a_group_before_a_step_becomes_a_chord() {
    let members = group(json!([add(json!([1, 1])), add(json!([2, 2]))]));
    let found = sent(chain(json!([members, xsum(), add(json!([100]))])));
    let [(group_id, 2)] = found.chord_sizes.as_slice() else { panic!("{:?}", found.chord_sizes) };
    assert_eq!(found.messages.len(), 2);
    assert_eq!(found.messages[0].envelope.headers.group.as_ref(), Some(group_id));
    let first = body(&found.messages[0].envelope);
    assert_eq!(first[2]["chord"]["task"], "job_scraper.tasks.xsum");
    // The step after travels with the body, once it is published.
    let chain = &first[2]["chord"]["options"]["chain"];
    assert_eq!((&chain[0]["args"], chain.as_array().unwrap().len()), (&json!([100]), 1));
    let result = found.result.unwrap();
    assert_eq!(json!(result.id), chain[0]["options"]["task_id"]);
    let sum = result.parent.unwrap();
    assert_eq!(json!(sum.id), first[2]["chord"]["options"]["task_id"]);
    let header = sum.parent.unwrap();
    assert_eq!((&header.id, header.children.unwrap().len()), (group_id, 2));
}

#[test]
fn arguments_go_before_a_signatures_own_unless_it_is_immutable() {
    let args = |signature: Value| {
        let call = Call { args: vec![json!(7)], ..Call::default() };
        let found = unroll_with(signature, call).unwrap();
        found.messages.iter().map(|one| body(&one.envelope)[0].clone()).collect::<Vec<_>>()
    };
    let mut fixed = add(json!([1]));
    fixed["immutable"] = json!(true);
    assert_eq!(args(add(json!([1]))), [json!([7, 1])]);
    assert_eq!(args(fixed.clone()), [json!([1])]);
    assert_eq!(args(group(json!([fixed, add(json!([2]))]))), [json!([1]), json!([7, 2])]);
    assert_eq!(args(chain(json!([add(json!([1])), xsum()]))), [json!([7, 1])]);
    assert_eq!(args(chord(json!([add(json!([1]))]), xsum())), [json!([7, 1])]);
    let members = group(json!([add(json!([1])), add(json!([2]))]));
    assert_eq!(args(chain(json!([members.clone()]))), [json!([7, 1]), json!([7, 2])]);
    assert_eq!(args(chain(json!([members, xsum()]))), [json!([7, 1]), json!([7, 2])]);
}

#[test]
fn what_follows_a_step_goes_on_after_it() {
    let after = Signature::from_value(add(json!([9]))).unwrap();
    let call = Call {
        chain: vec![after],
        root_id: Some("r".into()),
        parent_id: Some("p".into()),
        ..Call::default()
    };
    let found =
        unroll_with(chain(json!([add(json!([1])), add(json!([2]))])), call.clone()).unwrap();
    let first = &found.messages[0].envelope;
    let rest: Vec<Value> = body(first)[2]["chain"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["args"].clone())
        .collect();
    assert_eq!(rest, [json!([9]), json!([2])]);
    let headers = &first.headers;
    assert_eq!((headers.root_id.as_deref(), headers.parent_id.as_deref()), (Some("r"), Some("p")));
    // A chord's body takes it along, and the header does not.
    let found =
        unroll_with(chord(json!([add(json!([1])), add(json!([2]))]), xsum()), call).unwrap();
    let first = body(&found.messages[0].envelope);
    assert_eq!(first[2]["chain"], json!([]));
    assert_eq!(first[2]["chord"]["options"]["chain"][0]["args"], json!([9]));
    assert_eq!(first[2]["chord"]["options"]["root_id"], "r");
}

#[test]
fn chord_sizes_count_what_reports() {
    let inner = chord(json!([add(json!([1])), add(json!([2]))]), xsum());
    let ends_in_group =
        chain(json!([add(json!([1])), group(json!([add(json!([2])), add(json!([3]))]))]));
    let header = json!([
        add(json!([0])),
        inner,
        ends_in_group,
        group(json!([add(json!([4])), add(json!([5]))]))
    ]);
    let found = sent(chord(header, xsum()));
    let sizes: Vec<u64> = found.chord_sizes.iter().map(|(_, size)| *size).collect();
    // One, the inner chord's body, the two of the group that the chain ends in, and two; then the
    // inner header.
    assert_eq!(sizes, [6, 2]);
    // The body is to be given the list of the group inside as a list: the header is saved.
    assert_eq!(found.saved.len(), 1);
    assert_eq!(found.saved[0].id, found.chord_sizes[0].0);
    assert_eq!(found.saved[0].children.as_ref().unwrap()[2].children.as_ref().unwrap().len(), 2);
}

#[test]
fn nothing_to_do_is_done_at_once() {
    let found = sent(chord(json!([]), xsum()));
    assert_eq!(found.messages.len(), 1);
    assert_eq!(body(&found.messages[0].envelope)[0], json!([[]]));
    assert_eq!(found.chord_sizes, []);
    let found = sent(group(json!([])));
    assert_eq!((found.messages.len(), found.result.unwrap().children), (0, Some(Vec::new())));
    assert_eq!(sent(chain(json!([]))), Unrolled::default());
    let error = unroll_with(chord(json!([add(json!([1]))]), chain(json!([]))), Call::default());
    assert_eq!(error, Err(CanvasError::EmptyChain));
    let found = sent(chain(json!([group(json!([])), add(json!([1, 2])), group(json!([]))])));
    assert_eq!(
        (found.messages.len(), body(&found.messages[0].envelope)[0].clone()),
        (1, json!([1, 2]))
    );
}

#[test]
fn maps_are_tasks_and_chunks_a_group_of_them() {
    let add = json!({"task": "job_scraper.tasks.add"});
    let chunks = |options: Value| {
        json!({"task": "celery.chunks", "immutable": true, "options": options,
            "kwargs": {"task": add, "it": [[1, 1], [2, 2], [3, 3]], "n": 2}})
    };
    let found = sent(chunks(json!({})));
    let parts: Vec<Value> =
        found.messages.iter().map(|one| body(&one.envelope)[1]["it"].clone()).collect();
    assert_eq!(parts, [json!([[1, 1], [2, 2]]), json!([[3, 3]])]);
    assert_eq!(found.messages[0].envelope.headers.task, "celery.starmap");
    let found = sent(chunks(json!({"task_id": "awaited"})));
    assert_eq!((found.messages.len(), found.result.unwrap().id.as_str()), (1, "awaited"));
    let broken = json!({"task": "celery.chunks", "kwargs": {"task": add, "it": [], "n": 0}});
    assert!(unroll_with(broken, Call::default()).is_err());
}

#[test]
fn every_calling_option_reaches_the_message() {
    let options = json!({
        "task_id": "own", "queue": "q", "priority": 6, "countdown": 1.5, "expires": 60, "time_limit": 9,
        "soft_time_limit": 8, "shadow": "shown", "headers": {"x": "y"}, "ignore_result": true, "retries": 2,
        "reply_to": "other", "origin": "o", "root_id": "r", "parent_id": "p", "argsrepr": "(secret)",
        "group_id": "g", "group_index": 3, "serializer": "msgpack", "compression": "zlib",
    });
    let found = sent(with(add(json!([1])), options));
    let one = &found.messages[0];
    let shown = shown(&one.envelope);
    assert_eq!(one.queue, "q");
    let expected = json!({
        "lang": "py", "task": "job_scraper.tasks.add", "id": "own", "shadow": "shown",
        "eta": "2026-11-24T00:00:01.500000+00:00", "expires": "2026-11-24T00:01:00+00:00", "group": "g",
        "group_index": 3, "retries": 2, "timelimit": [9, 8], "root_id": "r", "parent_id": "p",
        "argsrepr": "(secret)", "kwargsrepr": "{}", "origin": "o", "ignore_result": true,
        "replaced_task_nesting": 0, "stamped_headers": null, "stamps": {}, "x": "y",
    });
    assert_eq!(shown["headers"], expected);
    let properties = &shown["properties"];
    assert_eq!((&properties["priority"], &properties["expiration"]), (&json!(6), &json!("60000")));
    assert_eq!(
        (&properties["reply_to"], &properties["correlation_id"]),
        (&json!("other"), &json!("own"))
    );
    let eta = json!({"eta": {"__type__": "datetime", "__value__": "2026-11-24T01:00:00+02:00"}});
    let found = sent(with(add(json!([1])), eta));
    assert_eq!(
        found.messages[0].envelope.headers.eta.as_ref().unwrap().as_str(),
        "2026-11-24T01:00:00+02:00"
    );
}

#[test]
fn options_that_mean_nothing_are_refused_by_name() {
    for (options, expected) in [
        (
            json!({"eta": "tomorrow"}),
            "option `eta` of task `job_scraper.tasks.add` must be an ISO 8601 time",
        ),
        (
            json!({"countdown": "soon"}),
            "`countdown` of task `job_scraper.tasks.add` must be a number of seconds",
        ),
        (json!({"countdown": 1e300}), "is beyond the calendar"),
        (json!({"countdown": -186_714_183_631.5}), "is beyond the calendar"),
        (
            json!({"priority": 256}),
            "`priority` of task `job_scraper.tasks.add` must be a whole number from 0 to 255",
        ),
        (
            json!({"serializer": "pickle"}),
            "`serializer` of task `job_scraper.tasks.add` must be json or msgpack",
        ),
        (json!({"queue": "a\nb"}), "`queue` of task"),
        (json!({"link": [1]}), "signature is a number"),
    ] {
        let error =
            unroll_with(with(add(json!([])), options), Call::default()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let linked =
        Call { options: json!({"link": xsum()}).as_object().unwrap().clone(), ..Call::default() };
    let error = unroll_with(group(json!([add(json!([]))])), linked).unwrap_err();
    assert_eq!(error, CanvasError::LinkedGroup { name: "link" });
}

#[test]
fn hostile_canvases_are_refused() {
    let mut deep = add(json!([]));
    for _ in 0..100 {
        deep = group(json!([deep]));
    }
    assert_eq!(unroll_with(deep, Call::default()), Err(CanvasError::TooDeep));
    // Each of a thousand groups would be nested in the one before it.
    let groups: Vec<Value> =
        (0..1_000).map(|_| group(json!([add(json!([])), add(json!([]))]))).collect();
    assert_eq!(unroll_with(chain(json!(groups)), Call::default()), Err(CanvasError::TooDeep));
    // Enough messages that each carry a megabyte.
    let members: Vec<Value> = (0..150).map(|_| add(json!([]))).collect();
    let heavy = task("t", json!(["x".repeat(1 << 20)]));
    let error = unroll_with(chord(json!(members.clone()), heavy.clone()), Call::default());
    assert!(matches!(error, Err(CanvasError::TooLarge { .. })));
    let errbacks = with(chain(json!(members)), json!({"link_error": heavy}));
    let error = unroll_with(errbacks, Call::default());
    assert!(matches!(error, Err(CanvasError::TooLarge { .. })));
    let chunks = json!({"task": "celery.chunks", "kwargs":
        {"task": task("t", json!(["x".repeat(1 << 20)])), "it": vec![json!([]); 150], "n": 1}});
    let error = unroll_with(chunks, Call::default());
    assert!(matches!(error, Err(CanvasError::TooLarge { .. })));
}

/// A step fetches a list, and a thousand tasks are given it; Celery runs these.
#[test]
fn a_large_result_reaches_each_member_of_a_large_group() {
    for (members, bytes) in [(1_000, 50_000), (20_000, 1_000), (100, 800_000)] {
        let all: Vec<Value> = (0..members).map(|n| add(json!([n]))).collect();
        let result = json!("x".repeat(bytes));
        let call = Call { args: vec![result], ..Call::default() };
        let sent = unroll_with(group(json!(all)), call).map(|unrolled| unrolled.messages.len());
        assert_eq!(sent, Ok(members), "{members} with {bytes} bytes each");
    }
    assert!(max_bytes_in_worker(64 << 20) > max_bytes_in_worker(8 << 20), "a setting raises it");
}

#[test]
fn a_long_chain_takes_time_in_proportion() {
    let steps: Vec<Value> = (0..10_000).map(|n| add(json!([n]))).collect();
    let begun = Instant::now();
    let found = sent(chain(json!(steps)));
    assert_eq!(found.messages.len(), 1);
    let rest = found.messages[0].envelope.body(1 << 24).unwrap().embed.chain;
    assert_eq!((rest.len(), &rest[9_998].args), (9_999, &vec![json!(1)]));
    // Quadratic copies would take minutes, unoptimised.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    // A caller is told a few of the ten thousand before the last.
    let mut told = 0;
    let mut node = found.result.as_ref();
    while let Some(result) = node {
        told += 1;
        node = result.parent.as_deref();
    }
    assert_eq!(told, 25);
}

mod arbitrary {
    use proptest::prelude::*;

    use super::*;

    const KEYS: [&str; 24] = [
        "task",
        "args",
        "kwargs",
        "options",
        "subtask_type",
        "immutable",
        "tasks",
        "header",
        "body",
        "it",
        "n",
        "task_id",
        "chain",
        "chord",
        "link",
        "link_error",
        "group_id",
        "group_index",
        "countdown",
        "eta",
        "expires",
        "priority",
        "queue",
        "stamped_headers",
    ];
    const TEXTS: [&str; 9] = [
        "",
        "t",
        "chain",
        "group",
        "chord",
        "celery.chain",
        "celery.chunks",
        "2026-11-24T00:00:00Z",
        "a\nb",
    ];

    fn json_value() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            prop::sample::select(&TEXTS[..]).prop_map(Value::from),
        ];
        scalar.prop_recursive(6, 60, 6, |inner| {
            let key = prop::sample::select(&KEYS[..]).prop_map(str::to_owned);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((key, inner), 0..8)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    fn signature() -> impl Strategy<Value = Value> {
        let leaf = (json_value(), json_value()).prop_map(|(args, options)| {
            json!({"task": "t", "args": [args], "options": if options.is_object() { options } else { json!({}) }})
        });
        leaf.prop_recursive(5, 40, 4, |inner| {
            let several = prop::collection::vec(inner.clone(), 0..4);
            prop_oneof![
                (several.clone(), json_value()).prop_map(|(tasks, options)| {
                    let options = if options.is_object() { options } else { json!({}) };
                    with(chain(json!(tasks)), options)
                }),
                several.clone().prop_map(|tasks| group(json!(tasks))),
                (several, inner).prop_map(|(header, body)| chord(json!(header), body)),
                json_value(),
            ]
        })
    }

    proptest! {
        /// Whatever a message holds, unrolling it ends, and what it gives can be read.
        #[test]
        fn signatures_of_any_shape_end_in_messages_or_an_error(value in signature(), args in json_value()) {
            let Ok(signature) = Signature::from_value(value) else { return Ok(()) };
            let call = Call { args: vec![args], ..Call::default() };
            if let Ok(found) = unroll_with(signature.to_value(), call) {
                for one in found.messages {
                    let read = Envelope::decode(&one.envelope.encode()).unwrap();
                    prop_assert!(read.body(1 << 24).is_ok());
                    prop_assert_eq!(&read.headers.id, &one.envelope.headers.id);
                }
            }
        }
    }
}
