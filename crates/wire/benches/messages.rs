//! What a message costs: read and written, its body read, its result written.
//!
//! `sh tests/bench/run.sh pure` runs these with the other crates' benchmarks.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rhubarb_wire::{Envelope, NewTask, State, TaskResult};
use serde_json::Value;
use uuid::Uuid;

/// The arguments of the task that tests/bench drains, in bytes.
const TEXT: usize = 200;
/// Far above any body here.
const MAX_BODY: usize = 8 << 20;

fn envelope() -> Envelope {
    let mut task = NewTask::new("bench.noop", "celery");
    task.args = vec![Value::from("x".repeat(TEXT))];
    task.into_envelope(Uuid::new_v4().to_string())
}

fn envelopes(criterion: &mut Criterion) {
    let envelope = envelope();
    let bytes = envelope.encode();
    let mut group = criterion.benchmark_group("envelope");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("decode", |b| b.iter(|| Envelope::decode(black_box(&bytes))));
    group.bench_function("decode the body", |b| b.iter(|| black_box(&envelope).body(MAX_BODY)));
    group.bench_function("encode", |b| b.iter(|| black_box(&envelope).encode()));
    group.finish();
}

fn results(criterion: &mut Criterion) {
    let mut result = TaskResult::new(&Uuid::new_v4().to_string(), State::Success, Value::Null);
    result.date_done = Some("2026-11-24T22:15:00.123456+00:00".to_owned());
    let bytes = result.encode();
    let mut group = criterion.benchmark_group("result");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode", |b| b.iter(|| black_box(&result).encode()));
    group.bench_function("decode", |b| b.iter(|| TaskResult::decode(black_box(&bytes))));
    group.finish();
}

criterion_group!(messages, envelopes, results);
criterion_main!(messages);
