//! What a task costs while no spans are sent: at most 3 us, by contract.
//!
//! `sh tests/bench/run.sh pure` runs it with the other crates' benchmarks.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rhubarb_trace::{Attempt, Publishing, Running, publish};
use serde_json::{Map, Value, json};

/// What a worker does for a task that publishes another one.
fn task(headers: &mut Map<String, Value>) {
    let running = Running::new(headers);
    let what = Publishing { task: "t", id: "1", queue: "q", retries: 0, bytes: 1 };
    drop(publish(running.carrier().as_deref(), what, headers));
    let attempt = Attempt {
        task: "t",
        id: "1",
        queue: "q",
        retries: 0,
        reply_to: "",
        origin: None,
        node: "n",
        priority: 0,
        redelivered: false,
        times: (None, None),
    };
    black_box(running.begin(attempt));
    running.end(|| None);
}

fn off(criterion: &mut Criterion) {
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let carried = json!({ "traceparent": traceparent }).as_object().cloned().unwrap_or_default();
    let mut group = criterion.benchmark_group("traces off");
    for (name, headers) in [("no context", Map::new()), ("a context that came", carried)] {
        group.bench_function(name, |b| b.iter(|| task(black_box(&mut headers.clone()))));
    }
    group.finish();
}

criterion_group!(benches, off);
criterion_main!(benches);
