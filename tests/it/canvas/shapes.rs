//! The same canvases published by Celery's client and by ours: the same messages, chord sizes,
//! saved groups, results.

use std::collections::BTreeMap;

use rhubarb_e2e::{python::Python, redis_server::RedisServer};
use rhubarb_queue::{
    Config,
    canvas::{Call, MAX_BYTES, Publisher, unroll},
    wire::Signature,
};
use serde_json::{Map, Value, json};

use super::{chain, chord, group, task, with};

/// How many canvases are compared.
const CASES: usize = 400;

#[tokio::test]
async fn canvases_are_published_as_celery_publishes_them() {
    let redis = RedisServer::start().await;
    let Some(python) = Python::for_redis(&redis.url(0)) else { return };
    let mut random = Random(2026);
    let cases: Vec<Value> = (0..CASES).map(|_| random.case()).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), serde_json::to_vec(&cases).unwrap()).unwrap();

    let celerys = python.run(&["canvases.py", file.path().to_str().unwrap()]).await;

    let version = celerys["version"].as_str().unwrap();
    // Older ones send the same tasks with less in their chords' bodies, and more of a chain in
    // them.
    let normal = if version.starts_with("5.7.") { normal } else { sent_alone };
    let celerys = celerys["published"].as_array().unwrap();
    assert_eq!(celerys.len(), CASES);
    let mut compared = 0;
    let mut different = Vec::new();
    for (case, celerys) in cases.iter().zip(celerys) {
        if celerys.get("error").is_some() {
            // What Celery cannot publish is ours to do as we like, but not to break on.
            let _ = ours(case);
            continue;
        }
        compared += 1;
        let ours = ours(case).unwrap_or_else(|error| panic!("{case}: {error}"));
        let (ours, celerys) = (normal(&ours), normal(celerys));
        if ours != celerys {
            different.push(format!("{case}\nours {ours:#}\ncelery's {celerys:#}"));
        }
    }
    different.sort_by_key(String::len);
    let n = different.len();
    assert!(n == 0, "{n} of {compared} canvases differ; the smallest: {}", different[0]);
    println!("{compared} of {CASES} canvases compared with Celery {version}");
    assert!(compared > CASES * 9 / 10, "only {compared} of {CASES} compared");
}

/// What we publish for a case, in the form of `interop/canvases.py`.
fn ours(case: &Value) -> Result<Value, String> {
    let celery = Config::default().celery;
    let fresh_id = || uuid::Uuid::new_v4().to_string();
    let publisher = Publisher {
        celery: &celery,
        now: jiff::Timestamp::now(),
        reply_to: "client",
        origin: "gen1@here",
        fresh_id: &fresh_id,
        max_bytes: MAX_BYTES,
    };
    let signature = Signature::from_value(case["signature"].clone())?;
    let call = Call { args: case["args"].as_array().unwrap().clone(), ..Call::default() };
    let unrolled = unroll(signature, call, publisher).map_err(|error| error.to_string())?;
    let mut queues = BTreeMap::<_, Vec<Value>>::new();
    for one in &unrolled.messages {
        let step = one.envelope.properties.priority / 3;
        let body = one.envelope.body(1 << 24).unwrap();
        let written: Value = serde_json::from_slice(&one.envelope.encode()).unwrap();
        let body = serde_json::from_slice::<Value>(&base64(&body.encode())).unwrap();
        queues.entry((one.queue.clone(), step)).or_default().push(
            json!({"headers": written["headers"], "properties": written["properties"], "body": body}),
        );
    }
    let sizes: Map<String, Value> =
        unrolled.chord_sizes.iter().map(|(id, size)| (id.clone(), json!(size))).collect();
    let saved: Map<String, Value> =
        unrolled.saved.iter().map(|group| (group.id.clone(), group.to_value())).collect();
    Ok(json!({
        "messages": queues.into_values().flatten().collect::<Vec<_>>(),
        "sizes": sizes,
        "saved": saved,
        "result": unrolled.result.map(|result| result.to_value()),
    }))
}

fn base64(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

/// What both sides say, without what may differ: each id becomes the place of its first appearance.
fn normal(value: &Value) -> Value {
    let mut seen = BTreeMap::new();
    // The order in which ids are met has to be the same on both sides.
    let sizes: Vec<Value> = value["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| place(message, &mut seen))
        .collect();
    let by_id = |part: &Value, seen: &mut BTreeMap<String, usize>| {
        let pairs = part.as_object().unwrap().iter();
        let mut pairs: Vec<(String, Value)> =
            pairs.map(|(id, value)| (place(&json!(id), seen).to_string(), value.clone())).collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.iter().map(|(id, value)| json!([id, place(value, seen)])).collect::<Value>()
    };
    let sizes_by_id = by_id(&value["sizes"], &mut seen);
    let saved = value["saved"].as_object().unwrap().iter();
    let saved: Map<String, Value> =
        saved.map(|(id, group)| (id.clone(), without_inner_groups(group, true))).collect();
    let saved = by_id(&Value::Object(saved), &mut seen);
    let result = without_inner_groups(&value["result"], true);
    json!({"messages": sizes, "sizes": sizes_by_id, "saved": saved, "result": place(&result, &mut seen)})
}

/// What is sent at once, without what follows: names and arguments of the tasks, and the sizes of
/// chords.
fn sent_alone(value: &Value) -> Value {
    let sent = value["messages"].as_array().unwrap().iter();
    let sent: Vec<Value> =
        sent.map(|one| json!([one["headers"]["task"], one["body"][0]])).collect();
    let mut sizes: Vec<i64> =
        value["sizes"].as_object().unwrap().values().map(|size| size.as_i64().unwrap()).collect();
    sizes.sort_unstable();
    json!([sent, sizes])
}

/// Celery freezes a chain that is a member of a group twice, and tells the ids of the first time's
/// headers, which are never used: the ids of groups inside a result say nothing.
fn without_inner_groups(result: &Value, outermost: bool) -> Value {
    let Some([own, members]) = result.as_array().map(Vec::as_slice) else { return Value::Null };
    let parent = without_inner_groups(&own[1], false);
    let inner = |members: &Vec<Value>| {
        members.iter().map(|member| without_inner_groups(member, false)).collect::<Value>()
    };
    let members = members.as_array().map(inner);
    let id = if members.is_some() && !outermost { json!("a group") } else { own[0].clone() };
    json!([[id, parent], members])
}

fn place(value: &Value, seen: &mut BTreeMap<String, usize>) -> Value {
    match value {
        Value::String(text) if uuid::Uuid::try_parse(text).is_ok() => {
            let next = seen.len();
            json!(format!("id {}", seen.entry(text.clone()).or_insert(next)))
        }
        Value::Array(items) => items.iter().map(|item| place(item, seen)).collect(),
        Value::Object(map) => {
            let map: BTreeMap<&String, &Value> = map.iter().collect();
            let spliced = spliced(value);
            if let Some(spliced) = &spliced {
                return place(spliced, seen);
            }
            let kept = map.into_iter().filter(|(key, value)| !may_differ(key, value));
            kept.map(|(key, value)| (key.clone(), place(value, seen))).collect()
        }
        scalar => scalar.clone(),
    }
}

/// A chain that waits inside a canvas has its steps spliced by us when it is published, by Celery
/// when it is run.
fn spliced(value: &Value) -> Option<Value> {
    let is_chain = |value: &Value| value["subtask_type"] == "chain";
    let steps = value["kwargs"]["tasks"].as_array().filter(|_| is_chain(value))?;
    if !steps.iter().any(is_chain) {
        return None;
    }
    let splice = |step: &Value| match step["kwargs"]["tasks"].as_array().filter(|_| is_chain(step))
    {
        Some(inner) => inner.clone(),
        None => vec![step.clone()],
    };
    let mut value = value.clone();
    value["kwargs"]["tasks"] = steps.iter().flat_map(splice).collect();
    Some(value)
}

/// What differs between clients or versions and says nothing: nulls and empty lists, `false` for
/// null, the client, and how arguments that came as a list are shown.
fn may_differ(key: &str, value: &Value) -> bool {
    let nothing = value.is_null() || *value == json!([]) || *value == json!(false);
    nothing || matches!(key, "reply_to" | "origin" | "delivery_tag" | "argsrepr")
}

/// Makes canvases, the same ones from the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        // Knuth's constants for a linear congruential generator; the high bits are the random ones.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    fn case(&mut self) -> Value {
        let signature = match self.below(6) {
            0 => self.leaf(),
            1 => group(self.several(0, 3, false)),
            2 | 3 => chain(self.several(1, 3, true)),
            _ => self.chord(3),
        };
        let led_by_group = signature["kwargs"]["tasks"][0]["subtask_type"] == "group";
        // Celery loses the arguments of a group that begins a chain which came as JSON.
        let args = if led_by_group || self.below(3) > 0 { json!([]) } else { json!([7]) };
        json!({"signature": signature, "args": args})
    }

    fn any(&mut self, depth: usize, groups: bool) -> Value {
        match if depth == 0 { 0 } else { self.below(8) } {
            5 => self.inner_chain(depth - 1),
            6 => self.chord(depth - 1),
            7 if groups => group(self.several(1, depth - 1, false)),
            _ => self.leaf(),
        }
    }

    /// As Celery's constructor makes them: a group is at the end, or a chord already.
    fn inner_chain(&mut self, depth: usize) -> Value {
        let mut steps: Vec<Value> = (0..1 + self.below(3))
            .map(|_| if depth > 0 && self.below(4) == 0 { self.chord(depth) } else { self.leaf() })
            .collect();
        if depth > 0 && self.below(3) == 0 {
            steps.push(group(self.several(2, depth - 1, false)));
        }
        chain(steps)
    }

    fn several(&mut self, least: usize, depth: usize, groups: bool) -> Vec<Value> {
        (0..least + self.below(3)).map(|_| self.any(depth, groups)).collect()
    }

    fn chord(&mut self, depth: usize) -> Value {
        let header = self.several(0, depth, false);
        let body = self.any(depth, true);
        chord(header, body)
    }

    fn leaf(&mut self) -> Value {
        let mut leaf =
            task(["c.add", "c.collect", "c.total"][self.below(3)], json!([self.below(100)]));
        leaf["immutable"] = json!(self.below(6) == 0);
        let options = match self.below(12) {
            0 => json!({"queue": "other"}),
            1 => json!({"priority": 3 * self.below(4)}),
            2 => json!({"link": [task("c.note", json!([]))]}),
            3 => json!({"link_error": [task("c.note", json!([]))], "shadow": "shown"}),
            4 => json!({"time_limit": 30, "soft_time_limit": 20, "ignore_result": true}),
            5 => json!({"stamped_headers": ["stamp"], "stamp": "s"}),
            6 => json!({"headers": {"x-trace": "1"}}),
            _ => json!({}),
        };
        with(leaf, options)
    }
}
