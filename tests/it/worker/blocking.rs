//! Blocking handlers: off the async threads, only so many, limited in time as far as a thread can
//! be.
//!
//! The runtime of these tests has one thread: a handler that blocked it would stop worker and test
//! alike.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::AsyncCommands;
use rhubarb::{App, Args, State, Stopped, TaskContext, TaskError};
use rhubarb_core::shutdown::StopSignal;
use rhubarb_e2e::eventually::eventually;
use rhubarb_queue::Publish;
use rhubarb_wire::{Signature, State as TaskState, canvas::map};
use serde_json::json;

use super::{Bench, WAIT, raised};

/// Where handlers wait on their threads, and are counted.
#[derive(Clone, Default)]
struct Gate(Arc<Inside>);

#[derive(Default)]
struct Inside {
    open: Mutex<bool>,
    opened: Condvar,
    now: AtomicUsize,
    most: AtomicUsize,
    begun: AtomicUsize,
}

impl Gate {
    /// Blocks the thread until the gate is open.
    fn pass(&self) {
        let now = self.0.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most.fetch_max(now, Ordering::SeqCst);
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        let shut = self.0.open.lock().unwrap();
        drop(self.0.opened.wait_while(shut, |open| !*open).unwrap());
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }

    fn open(&self) {
        *self.0.open.lock().unwrap() = true;
        self.0.opened.notify_all();
    }

    fn inside(&self) -> usize {
        self.0.now.load(Ordering::SeqCst)
    }

    async fn has_inside(&self, n: usize) {
        eventually(WAIT, &format!("{n} handlers run"), async || (self.inside() == n).then_some(()))
            .await;
    }
}

/// A test that fails has to end its threads too, or its runtime waits for them.
struct Opens(Gate);

impl Drop for Opens {
    fn drop(&mut self) {
        self.0.open();
    }
}

fn blocked(State(gate): State<Gate>) -> &'static str {
    gate.pass();
    "passed"
}

fn register(app: &mut App, gate: &Gate) {
    app.state(gate.clone());
    app.blocking_task("t.blocked", blocked);
    app.task("t.async", async || "ran");
}

async fn with_threads(threads: usize) -> Bench {
    Bench::with(|config| config.worker.blocking_threads = threads).await
}

#[tokio::test]
async fn blocking_handlers_run_off_the_async_threads_and_only_so_many_at_once() {
    let bench = with_threads(2).await;
    let gate = Gate::default();
    let _opens = Opens(gate.clone());
    let worker = bench.worker(|app| register(app, &gate));
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(bench.publish(&Publish::new("t.blocked")).await);
    }
    gate.has_inside(2).await;
    // What has no thread gives its slot up in the meantime.
    assert_eq!(bench.call(&Publish::new("t.async")).await.result, json!("ran"));
    assert_eq!(gate.inside(), 2);
    gate.open();
    for id in ids {
        assert_eq!(bench.result(&id).await.result, json!("passed"));
    }
    assert_eq!(gate.0.most.load(Ordering::SeqCst), 2);
    worker.stop().await;
}

#[tokio::test]
async fn a_soft_limit_tells_a_blocking_handler() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        let patient = |context: TaskContext| -> Result<(), TaskError> {
            while !context.is_cancelled() {
                std::thread::yield_now();
            }
            assert!(context.is_past_soft_limit() && !context.is_stopping());
            Err(TaskError::Cancelled)
        };
        app.blocking_task("t.patient", patient).soft_time_limit(Duration::from_millis(50));
        let thrifty = |context: TaskContext| {
            context.block_on(context.soft_limit());
            "saved"
        };
        app.blocking_task("t.thrifty", thrifty).soft_time_limit(Duration::from_millis(50));
    });
    let result = bench.call(&Publish::new("t.patient")).await;
    assert_eq!(raised(&result).0, "SoftTimeLimitExceeded");
    assert_eq!(bench.call(&Publish::new("t.thrifty")).await.result, json!("saved"));
    worker.stop().await;
}

/// Handlers that hang take the threads there are and no more, and the rest of the worker goes on.
#[tokio::test]
async fn a_handler_past_its_hard_limit_keeps_its_thread_until_it_returns() {
    let bench = with_threads(2).await;
    let gate = Gate::default();
    let _opens = Opens(gate.clone());
    let worker = bench.worker(|app| {
        register(app, &gate);
        app.blocking_task("t.hangs", blocked).time_limit(Duration::from_millis(100));
    });
    for _ in 0..2 {
        let result = bench.call(&Publish::new("t.hangs")).await;
        assert_eq!(raised(&result), ("TimeLimitExceeded".to_owned(), json!(0.1)));
    }
    assert_eq!(gate.inside(), 2, "both still block their threads");
    let next = bench.publish(&Publish::new("t.blocked")).await;
    let mut redis = bench.redis().await;
    eventually(WAIT, "the third is put off", async || {
        let n: usize = redis.zcard("rhubarb:{celery}:scheduled").await.unwrap();
        (n == 1).then_some(())
    })
    .await;
    assert_eq!(bench.call(&Publish::new("t.async")).await.result, json!("ran"));
    assert_eq!(gate.inside(), 2, "no third thread");
    gate.open();
    let result = bench.result(&next).await;
    assert_eq!((result.status, result.result), (TaskState::Success, json!("passed")));
    assert_eq!(gate.0.most.load(Ordering::SeqCst), 2);
    worker.stop().await;
}

#[tokio::test]
async fn a_handler_past_its_hard_limit_keeps_its_place_among_those_of_its_name() {
    let bench = with_threads(4).await;
    let gate = Gate::default();
    let _opens = Opens(gate.clone());
    let worker = bench.worker(|app| {
        app.state(gate.clone());
        app.blocking_task("t.alone", blocked)
            .time_limit(Duration::from_millis(100))
            .max_concurrency(1);
    });
    let result = bench.call(&Publish::new("t.alone")).await;
    assert_eq!(raised(&result).0, "TimeLimitExceeded");
    let next = bench.publish(&Publish::new("t.alone")).await;
    let mut redis = bench.redis().await;
    eventually(WAIT, "the next is put off", async || {
        let n: usize = redis.zcard("rhubarb:{celery}:scheduled").await.unwrap();
        (n == 1).then_some(())
    })
    .await;
    gate.open();
    assert_eq!(bench.result(&next).await.result, json!("passed"));
    assert_eq!(gate.0.most.load(Ordering::SeqCst), 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_blocking_handler_has_arguments_progress_and_a_traceback() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.blocking_task("t.add", |Args((x, y)): Args<(i64, i64)>| x + y);
        app.blocking_task("t.fails", || -> Result<(), TaskError> {
            Err(TaskError::failed("ValueError", "on purpose"))
        });
        app.blocking_task("t.panics", || -> u8 { panic!("in a thread") });
        app.blocking_task("t.tells", |context: TaskContext| -> Result<String, TaskError> {
            Ok(context.block_on(context.publish(&Publish::new("t.add").arg(1).arg(2)))?)
        });
    });
    assert_eq!(bench.call(&Publish::new("t.add").arg(20).arg(22)).await.result, json!(42));
    assert_eq!(raised(&bench.call(&Publish::new("t.fails")).await).0, "ValueError");
    let panicked = bench.call(&Publish::new("t.panics")).await;
    assert_eq!(raised(&panicked).1, json!("the task panicked: in a thread"));
    let traceback = panicked.traceback.unwrap();
    assert!(traceback.contains("worker/blocking.rs"), "{traceback}");
    let told = bench.call(&Publish::new("t.tells")).await;
    assert_eq!(bench.result(told.result.as_str().unwrap()).await.result, json!(3));
    worker.stop().await;
}

/// `celery.map` calls the handler inside itself, and has to find a thread for it.
#[tokio::test]
async fn a_map_runs_a_blocking_handler() {
    let bench = with_threads(1).await;
    let worker = bench.worker(|app| {
        app.blocking_task("t.double", |Args((x,)): Args<(i64,)>| 2 * x);
    });
    let items = vec![1.into(), 2.into(), 3.into()];
    let called = bench.client.apply(map(&Signature::new("t.double"), items)).await.unwrap();
    assert_eq!(bench.result(&called.id).await.result, json!([2, 4, 6]));
    worker.stop().await;
}

#[tokio::test]
async fn a_blocking_handler_that_outlasts_the_drain_is_told_and_its_task_goes_back() {
    let bench = Bench::with(|config| config.worker.drain = Duration::from_millis(50)).await;
    let gate = Gate::default();
    let worker = bench.worker(|app| {
        app.state(gate.clone());
        app.blocking_task("t.deaf", |State(gate): State<Gate>, context: TaskContext| {
            gate.0.begun.fetch_add(1, Ordering::SeqCst);
            while !context.is_given_up() {
                std::thread::yield_now();
            }
            assert!(context.is_stopping() && context.is_cancelled());
            gate.0.now.fetch_add(1, Ordering::SeqCst);
        });
    });
    bench.publish(&Publish::new("t.deaf")).await;
    eventually(WAIT, "it runs", async || (gate.0.begun.load(Ordering::SeqCst) == 1).then_some(()))
        .await;
    assert_eq!(worker.stop().await, Stopped::Clean);
    bench.waiting(1).await;
    gate.has_inside(1).await;
}

#[tokio::test]
async fn a_terminated_blocking_task_is_revoked_at_once_and_its_handler_is_told() {
    let bench = with_threads(1).await;
    let gate = Gate::default();
    let worker = bench.worker(|app| {
        app.state(gate.clone());
        app.blocking_task("t.deaf", |State(gate): State<Gate>, context: TaskContext| {
            gate.0.begun.fetch_add(1, Ordering::SeqCst);
            while !context.is_given_up() {
                std::thread::yield_now();
            }
        });
    });
    for n in 1..=2 {
        let id = bench.publish(&Publish::new("t.deaf")).await;
        eventually(WAIT, "it runs", async || {
            (gate.0.begun.load(Ordering::SeqCst) == n).then_some(())
        })
        .await;
        bench.client.revoke(&id, true, Duration::from_secs(600)).await.unwrap();
        assert_eq!(bench.result(&id).await.status, TaskState::Revoked);
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_blocking_task_that_waits_for_a_thread_goes_back_when_the_worker_stops() {
    let bench = with_threads(1).await;
    let gate = Gate::default();
    let _opens = Opens(gate.clone());
    let worker = bench.worker(|app| register(app, &gate));
    let first = bench.publish(&Publish::new("t.blocked")).await;
    gate.has_inside(1).await;
    bench.publish(&Publish::new("t.blocked")).await;
    bench.waiting(0).await;
    worker.shutdown.request(StopSignal::Terminate);
    bench.waiting(1).await;
    gate.open();
    assert_eq!(worker.stop().await, Stopped::Clean);
    assert_eq!(bench.result(&first).await.result, json!("passed"));
    assert_eq!(gate.0.begun.load(Ordering::SeqCst), 1, "the second never began");
}
