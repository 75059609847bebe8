//! Benchmarks of what is computed without Redis: envelopes, results, crontabs, pickled listings.
//!
//! `cargo bench --bench pure`, or `sh tests/bench/run.sh pure`. The scripts are measured against a real server by
//! tests/bench.

#![expect(clippy::unwrap_used, reason = "what is made here is made right, or nothing is measured")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jiff::{Timestamp, tz::TimeZone};
use rhubarb_cache::{PyValue, codec};
use rhubarb_core::{
    config::{CrontabText, Dst, Serializer},
    crontab::Crontab,
    listing::Listing,
};
use rhubarb_wire::{Envelope, NewTask, State, TaskResult};
use serde_json::Value;
use uuid::Uuid;

/// The arguments of the task that tests/bench drains, in bytes.
const TEXT: usize = 200;
/// Far above any body here.
const MAX_BODY: usize = 8 << 20;
/// How many listings a keyword has.
const LISTINGS: usize = 100;

fn envelope() -> Envelope {
    let mut task = NewTask::new("bench.noop", "celery");
    task.args = vec![Value::from("x".repeat(TEXT))];
    task.into_envelope(&Uuid::new_v4().to_string())
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

fn crontabs(criterion: &mut Criterion) {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let after: Timestamp = "2026-03-28T23:15:00Z".parse().unwrap();
    let mut group = criterion.benchmark_group("crontab next");
    for line in ["* * * * *", "*/15 9-17 * * mon-fri", "30 2 * * *", "0 0 29 2 mon"] {
        let crontab = Crontab::parse(&CrontabText::from_line(line).unwrap()).unwrap();
        group.bench_function(line, |b| {
            b.iter(|| crontab.next_after(black_box(after), &zone, Dst::Celery));
        });
    }
    group.finish();
}

fn listings() -> PyValue {
    let listing = |n: usize| Listing {
        title: format!("Senior Rust Engineer {n}"),
        company: "Acme Widgets".to_owned(),
        location: Some("Lisbon or Remote (EU)".to_owned()),
        url: format!("https://jobs.example/acme/{n}"),
        source: "greenhouse:acme".to_owned(),
        external_id: n.to_string(),
        is_remote: Some(true),
        salary_min: Some(90_000.0),
        description: "Build queues & caches. ".repeat(60),
        tags: ["rust", "redis", "tokio"].map(str::to_owned).to_vec(),
        posted_at: Some("2026-11-20T08:00:00+00:00".to_owned()),
        scraped_at: "2026-11-24T22:15:00+00:00".to_owned(),
        ..Listing::default()
    };
    PyValue::from_serialize(&(0..LISTINGS).map(listing).collect::<Vec<_>>()).unwrap()
}

fn pickles(criterion: &mut Criterion) {
    let listings = listings();
    let bytes = codec::encode(&listings, Serializer::Pickle).unwrap();
    let mut group = criterion.benchmark_group("pickle of 100 listings");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("write", |b| {
        b.iter(|| codec::encode(black_box(&listings), Serializer::Pickle));
    });
    // What was read is dropped outside: it is the reader's to keep.
    group.bench_function("read", |b| {
        b.iter_batched(
            || (),
            |()| codec::decode(black_box(&bytes), Serializer::Pickle),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(pure, envelopes, results, crontabs, pickles);
criterion_main!(pure);
