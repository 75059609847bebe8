//! Own tasks: what handlers may ask for, what they may return, and what becomes of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::AsyncCommands;
use rhubarb::{Args, Passing, RetryPolicy, State, TaskContext, TaskError};
use rhubarb_e2e::eventually::eventually;
use rhubarb_queue::Publish;
use rhubarb_wire::State as TaskState;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{Bench, Gate, WAIT, raised};

#[derive(Deserialize)]
struct Greet {
    name: String,
    #[serde(default)]
    times: usize,
}

async fn greet(Args(Greet { name, times }): Args<Greet>) -> String {
    vec![format!("hello {name}"); times.max(1)].join(", ")
}

async fn divide(Args((x, y)): Args<(i64, i64)>) -> Result<i64, TaskError> {
    x.checked_div(y).ok_or_else(|| TaskError::failed("ZeroDivisionError", "division by zero"))
}

#[derive(Clone, Default)]
struct Attempts(Arc<AtomicUsize>);

/// A policy whose waits a test can wait for.
const SOON: RetryPolicy =
    RetryPolicy { max_retries: 2, base: Duration::from_millis(5), cap: Duration::from_millis(5) };

#[tokio::test]
async fn a_handler_gets_its_arguments_and_returns_its_result() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.greet", greet);
        app.task("t.divide", divide);
        app.task("t.nothing", async || ());
    });
    let result = bench.call(&Publish::new("t.greet").arg("Ann").kwarg("times", 2)).await;
    assert_eq!((result.status, result.result), (TaskState::Success, json!("hello Ann, hello Ann")));
    let result = bench.call(&Publish::new("t.divide").arg(7).arg(2)).await;
    assert_eq!(result.result, json!(3));
    let result = bench.call(&Publish::new("t.nothing")).await;
    assert_eq!((result.status, result.result), (TaskState::Success, Value::Null));
    worker.stop().await;
}

#[tokio::test]
async fn a_failure_is_stored_as_the_exception_that_python_raises() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.divide", divide);
        app.task("t.parse", async || -> Result<i64, TaskError> { Ok("x".parse::<i64>()?) });
    });
    let result = bench.call(&Publish::new("t.divide").arg(1).arg(0)).await;
    assert_eq!(raised(&result), ("ZeroDivisionError".to_owned(), json!("division by zero")));
    let result = bench.call(&Publish::new("t.parse")).await;
    let exception = result.exception().unwrap();
    assert_eq!(exception.exc_type, "ParseIntError");
    assert_eq!(exception.exc_module.as_deref(), Some("core.num.error"));
    assert_eq!(exception.exc_message, [json!("invalid digit found in string")]);
    worker.stop().await;
}

#[derive(Debug, thiserror::Error)]
enum Shop {
    #[error("the shop is closed")]
    Closed(#[source] std::num::ParseIntError),
}

#[derive(serde::Serialize)]
struct Code {
    code: u16,
}

/// What no type shows: its `Err` is found when it is written.
#[derive(serde::Serialize)]
struct Held {
    price: Result<i64, String>,
}

async fn closed() -> Result<i64, Shop> {
    "x".parse().map_err(Shop::Closed)
}

fn closed_for_long() -> Result<i64, Shop> {
    "x".parse().map_err(Shop::Closed)
}

#[tokio::test]
async fn an_err_of_whatever_type_fails_its_task_and_is_never_a_success() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.string", async || Err::<i64, _>("boom".to_owned()));
        app.task("t.str", async || Err::<i64, _>("boom"));
        app.task("t.anyhow", async || Err::<i64, _>(anyhow::anyhow!("boom").context("the lid")));
        app.task("t.enum", closed);
        app.blocking_task("t.blocking", closed_for_long);
        app.task("t.boxed", async || {
            Err::<i64, Box<dyn std::error::Error + Send + Sync>>("boom".into())
        });
        app.task("t.code", async || Err::<i64, _>(Code { code: 7 }));
        app.task("t.fine", async || Ok::<_, String>(3));
        app.task("t.held", async || Held { price: Err("boom".to_owned()) });
        app.task("t.io", async || {
            Err::<i64, _>(anyhow::Error::new(std::io::Error::other("disk is full")))
        });
    });
    let check = async |task: &str, name: &str, text: &str| {
        let result = bench.call(&Publish::new(task)).await;
        let (exc_type, message) = raised(&result);
        assert_eq!((exc_type.as_str(), message), (name, json!(text)), "{task}");
        result.traceback.unwrap_or_default()
    };
    check("t.string", "String", "boom").await;
    check("t.str", "str", "boom").await;
    check("t.anyhow", "Error", "the lid: boom").await;
    let chain = "the shop is closed: invalid digit found in string";
    let traceback = check("t.enum", "Shop", chain).await;
    assert!(traceback.starts_with("invalid digit found in string\n"), "{traceback}");
    check("t.blocking", "Shop", chain).await;
    check("t.boxed", "Error", "boom").await;
    check("t.code", "Code", "{\"code\":7}").await;
    check("t.held", "Error", "the result holds an Err: boom").await;
    let traceback = check("t.io", "Error", "disk is full").await;
    assert!(traceback.ends_with("std.io.error.Error: disk is full\n"), "{traceback}");
    let fine = bench.call(&Publish::new("t.fine")).await;
    assert_eq!((fine.status, fine.result), (TaskState::Success, json!(3)));
    worker.stop().await;
}

#[tokio::test]
async fn a_nan_is_stored_as_python_writes_it_and_is_never_null() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.mean", async || [f64::NAN, f64::NEG_INFINITY, 1.5]);
    });
    let result = bench.call(&Publish::new("t.mean")).await;
    assert_eq!(result.result, json!(["NaN", "-Infinity", 1.5]));
    let key = bench.client.result_key(&result.task_id);
    let stored: String = bench.redis().await.get(key).await.unwrap();
    assert!(stored.contains("[NaN, -Infinity, 1.5]"), "{stored}");
    worker.stop().await;
}

#[tokio::test]
async fn what_would_hide_an_err_and_limits_that_cannot_hold_are_registration_errors() {
    let bench = Bench::with(|config| config.worker.task_time_limit = Duration::from_secs(9)).await;
    let worker = bench.worker(|app| {
        app.task("t.option", async || Some(Err::<i64, _>("boom".to_owned())));
        app.task("t.list", async || Ok::<_, TaskError>(vec![Err::<i64, _>("boom".to_owned())]));
        app.blocking_task("t.pair", || (1, Err::<i64, _>("boom".to_owned())));
        app.task("t.none", greet).max_concurrency(0);
        let two = Duration::from_secs(2);
        app.task("t.soft", greet).soft_time_limit(two).time_limit(two / 2);
        app.task("t.settings", greet).soft_time_limit(10 * two);
        app.task("t.unlimited", greet).soft_time_limit(10 * two).time_limit(Duration::ZERO);
        app.task("", greet);
    });
    let error = worker.serving.await.unwrap().unwrap_err().to_string();
    for problem in [
        "task `t.option` returns `core::option::Option<core::result::Result<i64, ",
        "task `t.list` returns `alloc::vec::Vec<core::result::Result<i64, ",
        "task `t.pair` returns `(i32, core::result::Result<i64, ",
        "an `Err` in it would be stored as a SUCCESS",
        "task `t.none` has max_concurrency(0) and would never run",
        "task `t.soft` has a soft time limit of 2s, above its hard one of 1s",
        "task `t.settings` has a soft time limit of 20s, above its hard one of 9s",
        "task `` needs a name",
    ] {
        assert!(error.contains(problem), "{problem} in {error}");
    }
    assert!(!error.contains("t.unlimited"), "{error}");
}

#[tokio::test]
async fn a_time_limit_of_zero_is_none_whatever_the_settings_say() {
    let bench = Bench::with(|config| config.worker.task_time_limit = Duration::from_secs(1)).await;
    let gate = Gate::new();
    let worker = bench.worker(|app| {
        app.state(gate.clone());
        let longer = async |State(gate): State<Gate>| gate.wait().await;
        app.task("t.longer", longer).time_limit(Duration::ZERO);
        app.task("t.limited", longer);
    });
    let longer = bench.publish(&Publish::new("t.longer")).await;
    let limited = bench.call(&Publish::new("t.limited")).await;
    assert_eq!(raised(&limited).0, "TimeLimitExceeded");
    gate.open();
    assert_eq!(bench.result(&longer).await.status, TaskState::Success);
    worker.stop().await;
}

#[tokio::test]
async fn wrong_arguments_fail_at_once_and_are_named() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.greet", greet);
        app.task("t.nothing", async || ());
    });
    let check = async |publish: &Publish, expect: &str| {
        let result = bench.call(publish).await;
        assert_eq!(raised(&result), ("TypeError".to_owned(), json!(expect)));
    };
    check(&Publish::new("t.greet"), "t.greet() missing required argument 'name'").await;
    let odd = Publish::new("t.greet").arg("Ann").kwarg("nmae", 1);
    check(&odd, "t.greet() got an unexpected keyword argument 'nmae'").await;
    let wrong = "t.greet() argument 'times': invalid type: string \"two\", expected usize";
    check(&Publish::new("t.greet").arg("Ann").arg("two"), wrong).await;
    let many = "t.nothing() takes at most 0 positional arguments but 1 was given";
    check(&Publish::new("t.nothing").arg(1), many).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_panic_fails_its_own_task_only() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.panic", async || -> () { panic!("on purpose") });
        app.task("t.greet", greet);
    });
    let result = bench.call(&Publish::new("t.panic")).await;
    let expect = ("RuntimeError".to_owned(), json!("the task panicked: on purpose"));
    assert_eq!(raised(&result), expect);
    assert_eq!(bench.call(&Publish::new("t.greet").arg("Ann")).await.result, json!("hello Ann"));
    worker.stop().await;
}

#[tokio::test]
async fn a_task_over_its_time_limit_fails_as_celerys_does() {
    let bench = Bench::new().await;
    let dropped = Attempts::default();
    let worker = bench.worker(|app| {
        app.state(dropped.clone());
        app.task("t.slow", async |State(dropped): State<Attempts>| {
            let _counts = OnDrop(dropped);
            std::future::pending::<()>().await;
        })
        .time_limit(Duration::from_millis(50));
    });
    let result = bench.call(&Publish::new("t.slow")).await;
    assert_eq!(raised(&result), ("TimeLimitExceeded".to_owned(), json!(0.05)));
    eventually(WAIT, "the handler is dropped", async || {
        (dropped.0.load(Ordering::SeqCst) == 1).then_some(())
    })
    .await;
    worker.stop().await;
}

/// Counts when it is dropped.
struct OnDrop(Attempts);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_passing_error_is_retried_until_it_passes() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.flaky", async |context: TaskContext| -> Result<u32, TaskError> {
            let retries = context.info().retries;
            if retries < 2 {
                std::fs::read("/no/such/file").passing()?;
            }
            Ok(retries)
        })
        .retry(SOON);
    });
    let result = bench.call(&Publish::new("t.flaky")).await;
    assert_eq!((result.status, result.result), (TaskState::Success, json!(2)));
    worker.stop().await;
}

#[tokio::test]
async fn exhausted_retries_store_the_original_exception() {
    let bench = Bench::new().await;
    let attempts = Attempts::default();
    let worker = bench.worker(|app| {
        app.state(attempts.clone());
        app.task("t.down", async |State(attempts): State<Attempts>| -> Result<(), TaskError> {
            attempts.0.fetch_add(1, Ordering::SeqCst);
            Err(TaskError::transient("ConnectionError", "the board is down"))
        })
        .retry(SOON);
    });
    let result = bench.call(&Publish::new("t.down")).await;
    assert_eq!(raised(&result), ("ConnectionError".to_owned(), json!("the board is down")));
    assert_eq!(attempts.0.load(Ordering::SeqCst), 3);
    worker.stop().await;
}

#[tokio::test]
async fn a_task_put_off_comes_back_without_a_counted_retry() {
    let bench = Bench::new().await;
    let attempts = Attempts::default();
    let worker = bench.worker(|app| {
        app.state(attempts.clone());
        let later = async |State(attempts): State<Attempts>, context: TaskContext| {
            if attempts.0.fetch_add(1, Ordering::SeqCst) < 3 {
                return Err(TaskError::put_off(Duration::from_millis(5)));
            }
            Ok(context.info().retries)
        };
        app.task("t.later", later).retry(RetryPolicy::NEVER);
    });
    let result = bench.call(&Publish::new("t.later")).await;
    assert_eq!((result.status, result.result), (TaskState::Success, json!(0)));
    assert_eq!(attempts.0.load(Ordering::SeqCst), 4);
    worker.stop().await;
}

#[tokio::test]
async fn progress_is_read_while_the_task_runs() {
    let bench = Bench::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let worker = bench.worker(|app| {
        app.state(gate.clone());
        app.task("t.long", async |State(gate): State<Arc<Semaphore>>, context: TaskContext| {
            context.progress(1, 2, "half").await;
            drop(gate.acquire().await);
        });
    });
    let id = bench.publish(&Publish::new("t.long")).await;
    let state =
        eventually(WAIT, "progress is reported", async || bench.client.result(&id).await.unwrap())
            .await;
    assert_eq!(state.status, TaskState::from("PROGRESS"));
    assert_eq!(state.result, json!({"current": 1, "total": 2, "message": "half"}));
    gate.add_permits(1);
    assert_eq!(bench.result(&id).await.status, TaskState::Success);
    worker.stop().await;
}

#[tokio::test]
async fn a_task_over_its_own_concurrency_lets_others_pass() {
    let bench = Bench::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let worker = bench.worker(|app| {
        app.state(gate.clone());
        app.task("t.one", async |State(gate): State<Arc<Semaphore>>| drop(gate.acquire().await))
            .max_concurrency(1);
        app.task("t.greet", greet);
    });
    let ids =
        [bench.publish(&Publish::new("t.one")).await, bench.publish(&Publish::new("t.one")).await];
    // Four slots, one of them taken: with the second `t.one` in another, this still runs.
    assert_eq!(bench.call(&Publish::new("t.greet").arg("Ann")).await.result, json!("hello Ann"));
    let mut redis = bench.redis().await;
    eventually(WAIT, "the second task waits in Redis", async || {
        let n: u64 = redis.zcard("rhubarb:{celery}:scheduled").await.unwrap();
        (n == 1).then_some(())
    })
    .await;
    gate.add_permits(2);
    for id in ids {
        assert_eq!(bench.result(&id).await.status, TaskState::Success);
    }
    worker.stop().await;
}

#[tokio::test]
async fn an_alias_runs_its_task_and_an_unknown_task_is_parked() {
    let alias = ("old.greet".to_owned(), "t.greet".to_owned());
    let bench = Bench::with(|config| config.tasks.aliases.extend([alias])).await;
    let worker = bench.worker(|app| {
        app.task("t.greet", greet);
    });
    let unknown = bench.publish(&Publish::new("t.unknown")).await;
    assert_eq!(bench.call(&Publish::new("old.greet").arg("Ann")).await.result, json!("hello Ann"));
    let mut redis = bench.redis().await;
    eventually(WAIT, "the unknown task is parked", async || {
        redis.zscore::<_, _, Option<f64>>("rhubarb:parked", &unknown).await.unwrap()
    })
    .await;
    assert_eq!(bench.client.result(&unknown).await.unwrap(), None);
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_whose_tasks_do_not_fit_does_not_start() {
    let alias = ("old.name".to_owned(), "t.gone".to_owned());
    let bench = Bench::with(|config| config.tasks.aliases.extend([alias])).await;
    let worker = bench.worker(|app| {
        app.task("t.stateful", async |State(_): State<Attempts>| ());
        app.task("t.greet", greet);
        app.task("t.greet", greet);
    });
    let error = worker.serving.await.unwrap().unwrap_err().to_string();
    for problem in [
        "task `t.greet` is registered twice",
        "task `t.stateful` wants a state of type",
        "alias `old.name` of [tasks.aliases] stands for `t.gone`, which this worker does not register",
    ] {
        assert!(error.contains(problem), "{error}");
    }
}
