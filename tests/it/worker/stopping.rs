//! How a worker stops: what runs ends or goes back, and nothing stays behind.

use std::{sync::Arc, time::Duration};

use redis::AsyncCommands;
use rhubarb::{App, State, Stopped, TaskContext, TaskError};
use rhubarb_core::shutdown::StopSignal;
use rhubarb_e2e::eventually::eventually;
use rhubarb_queue::Publish;
use rhubarb_wire::State as TaskState;
use tokio::sync::Semaphore;

use super::{Bench, WAIT};

/// Tells when a task runs, and lets it end.
#[derive(Clone)]
struct Gate {
    runs: Arc<Semaphore>,
    may_end: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self { runs: Arc::new(Semaphore::new(0)), may_end: Arc::new(Semaphore::new(0)) }
    }

    fn register(&self, app: &mut App) {
        app.state(self.clone());
        app.task("t.waits", async |State(gate): State<Self>| {
            gate.runs.add_permits(1);
            gate.may_end.acquire().await.unwrap().forget();
        });
    }

    async fn is_running(&self) {
        self.runs.acquire().await.unwrap().forget();
    }
}

#[tokio::test]
async fn what_runs_may_end_within_the_drain() {
    let bench = Bench::new().await;
    let gate = Gate::new();
    let worker = bench.worker(|app| gate.register(app));
    let id = bench.publish(&Publish::new("t.waits")).await;
    gate.is_running().await;
    worker.shutdown.request(StopSignal::Terminate);
    // What comes now is for another worker.
    bench.publish(&Publish::new("t.waits")).await;
    gate.may_end.add_permits(1);
    assert_eq!(worker.stop().await, Stopped::Clean);
    assert_eq!(bench.result(&id).await.status, TaskState::Success);
    bench.waiting(1).await;
}

#[tokio::test]
async fn what_outlasts_the_drain_goes_back_without_a_burnt_attempt() {
    let bench = Bench::with(|config| config.worker.drain = Duration::from_millis(50)).await;
    let gate = Gate::new();
    let worker = bench.worker(|app| gate.register(app));
    let id = bench.publish(&Publish::new("t.waits")).await;
    gate.is_running().await;
    assert_eq!(worker.stop().await, Stopped::Clean);
    let mut redis = bench.redis().await;
    let left: Vec<Vec<u8>> = redis.lrange("celery", 0, -1).await.unwrap();
    let back = rhubarb_wire::Envelope::decode(&left[0]).unwrap();
    assert_eq!((left.len(), back.headers.id, back.headers.retries), (1, id.clone(), 0));
    let next = Gate::new();
    next.may_end.add_permits(1);
    let worker = bench.worker(|app| next.register(app));
    assert_eq!(bench.result(&id).await.status, TaskState::Success);
    worker.stop().await;
}

#[tokio::test]
async fn a_second_sigint_hands_back_at_once() {
    let bench = Bench::with(|config| config.worker.drain = Duration::from_secs(600)).await;
    let gate = Gate::new();
    let worker = bench.worker(|app| gate.register(app));
    bench.publish(&Publish::new("t.waits")).await;
    gate.is_running().await;
    worker.shutdown.request(StopSignal::Interrupt);
    worker.shutdown.request(StopSignal::Interrupt);
    assert_eq!(worker.stop().await, Stopped::Clean);
    bench.waiting(1).await;
}

#[tokio::test]
async fn a_task_may_end_early_when_the_worker_stops() {
    let bench = Bench::new().await;
    let gate = Gate::new();
    let worker = bench.worker(|app| {
        app.state(gate.clone());
        app.task("t.early", async |State(gate): State<Gate>, context: TaskContext| {
            gate.runs.add_permits(1);
            context.stopping().await;
            Err::<(), _>(TaskError::Cancelled)
        });
    });
    bench.publish(&Publish::new("t.early")).await;
    gate.is_running().await;
    assert_eq!(worker.stop().await, Stopped::Clean);
    bench.waiting(1).await;
}

#[tokio::test]
async fn a_stopped_worker_leaves_no_claim_and_no_registry_entry() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.nothing", async || ());
    });
    bench.call(&Publish::new("t.nothing")).await;
    let mut redis = bench.redis().await;
    eventually(WAIT, "the worker is registered", async || {
        (redis.zcard::<_, u64>("rhubarb:workers").await.unwrap() == 1).then_some(())
    })
    .await;
    worker.stop().await;
    assert_eq!(redis.zcard::<_, u64>("rhubarb:workers").await.unwrap(), 0);
    let claims: Vec<String> = redis.keys("rhubarb:{celery}:claims:*").await.unwrap();
    assert_eq!(claims, Vec::<String>::new());
}

#[tokio::test]
async fn a_hook_on_the_stop_that_panics_hangs_or_blocks_keeps_neither_the_others_nor_the_worker() {
    let bench = Bench::new().await;
    let done = Arc::new(Semaphore::new(0));
    let (blocks, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = std::sync::Mutex::new(blocked);
    let ran = done.clone();
    let worker = bench.worker(move |app| {
        app.on_stop(async || -> () { panic!("a defect of the hook") });
        app.on_stop(std::future::pending::<()>);
        app.on_stop(move || async move {
            // As a hook does that computes, or asks a server by blocking I/O.
            let _ = blocked.into_inner().unwrap().recv();
        });
        app.on_stop(move || async move { ran.add_permits(1) });
        app.task("t.at_work", async || {});
    });
    bench.call(&Publish::new("t.at_work")).await;
    let begun = tokio::time::Instant::now();
    assert_eq!(worker.stop().await, Stopped::Clean);
    assert_eq!(done.available_permits(), 1, "the hook that works was run");
    assert!(begun.elapsed() < WAIT, "{:?}", begun.elapsed());
    drop(blocks);
}
