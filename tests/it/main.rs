//! The end-to-end tests: one binary, a module for each topic.

#![expect(
    clippy::unwrap_used,
    reason = "all of this is test code; clippy sees only what is marked #[test]"
)]

/// What the workspace's crates may know of each other, and what must be in the lock.
mod all;
mod architecture;
/// Broken, foreign and oversized messages.
mod bad_input;
/// What the beat promises.
mod beat;
/// What Django and our cache library are to each other.
mod cache;
/// Canvases, between our clients and Celery.
mod canvas;
/// Canvases of a Celery client, run by our worker.
mod canvas_run;
/// What becomes of postings from scrape to scrape.
mod changes;
/// Help, versions, wrong configuration, no Redis.
mod cli;
/// What Celery's clients and tools see of our worker.
mod conformance;
/// Connections as people have them, and as they break.
mod connections;
/// What Celery's tools for operators do with our workers.
mod control;
/// Deaths of workers and of Redis, and orderly stops.
mod crash;
/// The dashboard in a real browser.
mod dashboard;
/// Dead letters and parked tasks, as an operator has them.
mod dead;
/// What a Django application with Celery and django-redis gets. The first test to read.
mod django;
/// What a Django application with `django.tasks` gets.
mod django_tasks;
/// Broken set-ups, each told by the right sentence first.
mod doctor;
mod documented;
/// A Redis that is broken or hostile.
mod endless;
/// The guide for Django, step by step.
mod example_django;
/// Fail-overs that leave the old primary alive.
mod fail_over;
/// A bad network, a bad server, workers that die: nothing is lost, nobody stops.
mod faults;
/// Workers as processes that ask one host together, while some are killed.
mod fleet;
/// A small plan on Heroku, by the real `Procfile`.
mod heroku;
/// What became of tasks, as `rhubarb tasks` shows it.
mod history;
/// Sizes that are too much, a full Redis, a worker that grows.
mod memory;
/// Python and Rust workers on one queue, and the ways from one kind to the other.
mod mixed;
/// What `rhubarb monitor` shows, clears and never does.
mod monitor;
/// Several installations on one Redis.
mod namespaces;
/// Tables on a narrow terminal.
mod narrow;
/// Who is told of what goes wrong.
mod notices;
/// `examples/shop`, a project of its own.
mod one_slot;
mod own_shop;
/// Values that only pass through, and messages that cost more than they say.
mod passing;
/// Files that platforms read.
mod platforms;
/// What a platform and a script ask of processes.
mod probes;
/// Who enqueues, besides.
mod producers;
/// Unmodified Python tasks in our worker.
mod python;
/// What the queue promises.
mod queue;
/// What no queue can be named, and names that look alike.
mod queue_names;
/// What the command line tells of queues and tasks, whoever filled them.
mod queues;
/// From a schedule to the cache.
mod schedule;
/// Boards that misbehave, keywords asked for twice, listings of earlier runs.
mod scraping;
/// What the scripts that run inside Redis say about themselves.
mod scripts;
/// Redis Sentinel, and fail-overs of each kind.
mod sentinel;
/// Django's sessions, and logins shared with Django.
mod sessions;
/// What would run here of what Celery's workers serve.
mod shadow;
/// The set-up that most of these tests share.
mod shop;
/// `rhubarb sources` on one of each kind, sound and broken.
mod sources;
/// Certificates: of servers, of authorities, of our own.
mod tls;
/// Traces, from a Python producer through workers of both kinds.
mod traces;
/// What a scrape says of pages that are not the list, and of what it lost.
mod truth;
/// What the worker promises to authors of tasks.
mod worker;

use rhubarb_e2e::installation::Binaries;

/// The twins of our binaries that Cargo built for this test.
const BINARIES: Binaries = Binaries {
    worker: env!("CARGO_BIN_EXE_e2e-worker"),
    beat: env!("CARGO_BIN_EXE_e2e-beat"),
    rhubarb: env!("CARGO_BIN_EXE_e2e-rhubarb"),
};

/// The worker with tasks made for these tests (`tests/own_worker`).
const OWN_WORKER: &str = env!("CARGO_BIN_EXE_e2e-own-worker");

/// Misses a key of a cache many times at once (`tests/cache_misses`).
const CACHE_MISSES: &str = env!("CARGO_BIN_EXE_e2e-cache-misses");
