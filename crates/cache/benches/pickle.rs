//! What a keyword's listings cost as Django reads them: written to and read from pickle.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rhubarb_cache::{PyValue, Serializer, codec};
use serde_json::json;

/// How many listings a keyword has.
const LISTINGS: usize = 100;

fn listings() -> PyValue {
    let listing = |n: usize| {
        json!({
            "title": format!("Senior Rust Engineer {n}"),
            "company": "Acme Widgets",
            "location": "Lisbon or Remote (EU)",
            "url": format!("https://jobs.example/acme/{n}"),
            "source": "greenhouse:acme",
            "external_id": n.to_string(),
            "is_remote": true,
            "salary_min": 90_000.0,
            "salary_max": null,
            "description": "Build queues & caches. ".repeat(60),
            "tags": ["rust", "redis", "tokio"],
            "posted_at": "2026-11-20T08:00:00+00:00",
            "scraped_at": "2026-11-24T22:15:00+00:00",
        })
    };
    PyValue::from_serialize(&(0..LISTINGS).map(listing).collect::<Vec<_>>())
        .expect("listings are plain data")
}

fn pickles(criterion: &mut Criterion) {
    let listings = listings();
    let bytes = codec::encode(&listings, Serializer::Pickle).expect("listings can be pickled");
    let mut group = criterion.benchmark_group("pickle of 100 listings");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("write", |b| {
        b.iter(|| codec::encode(black_box(&listings), Serializer::Pickle));
    });
    group.bench_function("read", |b| {
        b.iter(|| codec::decode(black_box(&bytes), Serializer::Pickle));
    });
    group.finish();
}

criterion_group!(pickle, pickles);
criterion_main!(pickle);
