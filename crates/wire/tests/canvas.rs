//! Canvases that Celery 5.7.0 built (`golden/canvas`), and ours from the same calls.
//!
//! `signatures.json` holds signatures by name, as `kombu.utils.json.dumps` prints them; those of
//! Celery 5.4.0 are the same but for `group_link_error`. Each line of `random.jsonl` is a canvas of
//! random calls: the calls, and what Celery made of them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its support functions too")]

use rhubarb_wire::Signature;
use rhubarb_wire::canvas::{SignatureKind, chain, chord, chunks, group, map, starmap};
use serde_json::{Value, json};

fn golden(name: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("golden/canvas/signatures.json")).unwrap();
    all["signatures"][name].clone()
}

fn add() -> Signature {
    Signature::new("t.add")
}

fn sum() -> Signature {
    Signature::new("t.sum")
}

fn pair() -> Vec<Signature> {
    vec![add().arg(1).arg(1), add().arg(2).arg(2)]
}

#[test]
fn signatures_are_those_of_celery() {
    // Compared as text, so that the order of the members counts.
    let check = |name: &str, ours: Signature| {
        assert_eq!(ours.to_value().to_string(), golden(name).to_string(), "{name}");
    };
    let one_two = || add().arg(1).arg(2);
    check("task", one_two());
    check("kwargs", add().arg(1).kwarg("y", 2));
    check("immutable", one_two().immutable());
    check("options", one_two().queue("q").priority(3).countdown(10.0).expires(60.0));
    check("eta", one_two().set_option("eta", "2026-01-02T03:04:05+00:00"));
    let linked = one_two().link(add().arg(10)).link(add().arg(11)).link(add().arg(10));
    check("links", linked.link_error(Signature::new("t.err")));
    check("chain", chain(vec![one_two(), add().arg(3), add().arg(4)]));
    check("chain_of_two", one_two().then(add().arg(3)));
    check("chain_of_one", chain(vec![add().arg(1).arg(1)]));
    check("group", group(pair()));
    check("group_options", group(vec![add().arg(1).arg(1)]).queue("q"));
    check("group_immutable", group(pair()).immutable());
    check("chord", chord(pair(), sum()));
    check("chord_of_group", group(pair()).then(sum()));
    check("chord_options", chord(vec![add().arg(1).arg(1)], sum()).queue("q"));
    check("map", map(&sum(), vec![json!([1, 2]), json!([3])]));
    let items = vec![json!([1, 2]), json!([3, 4])];
    check("starmap", starmap(&add(), items.clone()));
    check("chunks", chunks(&add(), [items, vec![json!([5, 6])]].concat(), 2));
    check("group_then_task", chain(vec![group(pair()), sum()]));
    let two = || vec![add().arg(2), add().arg(3)];
    check("group_in_chain", chain(vec![add().arg(1).arg(1), group(two())]));
    check("chord_in_chain", chain(vec![add().arg(1).arg(1), chord(two(), sum())]));
    check("chord_link", chord(vec![add().arg(1).arg(1)], sum()).link(add().arg(7)));
    check("group_link", group(pair()).link(add().arg(7)));
    check("group_link_error", group(pair()).link_error(Signature::new("t.err")));
}

#[test]
fn times_are_marked_as_times() {
    let instant = "2026-01-02T03:04:05Z".parse().unwrap();
    let options = add().eta(instant).expires_at(instant).options;
    // Printed by kombu 5.7.0 for a `datetime`.
    let expected = json!({"__type__": "datetime", "__value__": "2026-01-02T03:04:05+00:00"});
    assert_eq!((&options["eta"], &options["expires"]), (&expected, &expected));
}

fn many(calls: &Value) -> Vec<Signature> {
    calls.as_array().unwrap().iter().map(build).collect()
}

fn build(call: &Value) -> Signature {
    let errback = || Signature::new("t.err").arg(call[2].clone());
    match call[0].as_str().unwrap() {
        "task" => add().arg(call[1].clone()),
        "chain" => chain(many(&call[1])),
        "group" => group(many(&call[1])),
        "chord" => chord(many(&call[1]), build(&call[2])),
        "or" => build(&call[1]).then(build(&call[2])),
        "link" => build(&call[1]).link(errback()),
        "link_error" => build(&call[1]).link_error(errback()),
        "immutable" => build(&call[1]).immutable(),
        other => panic!("{other}"),
    }
}

/// Takes the chains' own `immutable` out: Celery loses it in some copies, and always when reading.
fn comparable(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(comparable),
        Value::Object(map) => {
            if map.get("task").is_some_and(|task| task == "celery.chain") {
                map.shift_remove("immutable");
            }
            map.values_mut().for_each(comparable);
        }
        _ => {}
    }
}

#[test]
fn any_canvas_is_the_one_that_celery_builds() {
    let text = include_str!("golden/canvas/random.jsonl");
    assert!(text.lines().count() >= 250);
    for line in text.lines() {
        let golden: Value = serde_json::from_str(line).unwrap();
        let (mut ours, mut expected) = (build(&golden[0]).to_value(), golden[1].clone());
        comparable(&mut ours);
        comparable(&mut expected);
        assert_eq!(ours.to_string(), expected.to_string(), "{}", golden[0]);
    }
}

#[test]
fn canvases_are_taken_apart() {
    let read = |name: &str| Signature::from_value(golden(name)).unwrap();
    let kinds = [
        ("task", SignatureKind::Task),
        ("chain", SignatureKind::Chain),
        ("group", SignatureKind::Group),
        ("chord", SignatureKind::Chord),
        ("map", SignatureKind::Map),
        ("starmap", SignatureKind::Starmap),
        ("chunks", SignatureKind::Chunks),
    ];
    for (name, kind) in kinds {
        assert_eq!(read(name).kind(), kind, "{name}");
    }
    assert_eq!(read("group").tasks().unwrap(), pair());
    assert_eq!(read("chord").tasks().unwrap(), pair());
    assert_eq!(read("chord").header().unwrap(), group(pair()));
    assert_eq!(read("chord").body().unwrap(), Some(sum()));
    assert_eq!(read("chain").tasks().unwrap().len(), 3);
    let chunks = read("chunks");
    assert_eq!((chunks.mapped().unwrap(), chunks.items().len()), (add(), 3));
    assert_eq!(chunks.chunk_size(), Some(2));
    // As a message holds it, with the ids fixed.
    let frozen = json!({"task": "celery.chord", "subtask_type": "chord", "kwargs": {
        "header": group(pair()).set_option("task_id", "g").to_value(), "body": null,
    }});
    let frozen = Signature::from_value(frozen).unwrap();
    assert_eq!(frozen.header().unwrap().options["task_id"], "g");
    assert_eq!((frozen.tasks().unwrap(), frozen.body().unwrap()), (pair(), None));
}

#[test]
fn malformed_parts_are_named_and_kept() {
    let broken = |kwargs: Value| {
        let value = json!({"task": "celery.chord", "subtask_type": "chord", "kwargs": kwargs});
        Signature::from_value(value).unwrap()
    };
    let check = |found: Result<Vec<Signature>, String>, expected: &str| {
        assert_eq!(found.unwrap_err(), expected);
    };
    check(broken(json!({})).tasks(), "celery.chord: header is missing, must be a list");
    check(broken(json!({"header": 1})).tasks(), "celery.chord: header is a number, must be a list");
    check(broken(json!({"header": [7]})).tasks(), "celery.chord: signature is a number");
    let body = broken(json!({"header": [], "body": []})).body();
    assert_eq!(body.unwrap_err(), "celery.chord: body: signature is a list");
    assert_eq!(map(&add(), Vec::new()).items(), &[] as &[Value]);
    assert!(add().mapped().is_err() && add().tasks().is_err());
    // What cannot be understood is one step and stays as it was.
    let kept = chain(vec![add(), broken(json!({"header": 1})), add()]);
    assert_eq!(kept.tasks().unwrap()[1], broken(json!({"header": 1})));
}

#[test]
fn long_chains_take_linear_time() {
    let steps = || (0..20_000).map(|n| add().arg(n));
    assert_eq!(chain(steps().collect()).tasks().unwrap().len(), 20_000);
    let behind_a_chord = chain([chord(pair(), sum())].into_iter().chain(steps()).collect());
    let body = behind_a_chord.tasks().unwrap()[0].body().unwrap().unwrap();
    assert_eq!(body.tasks().unwrap().len(), 20_001);
}
