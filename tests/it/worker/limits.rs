//! Time limits, rate limits, and a stop that remote control asks for.

use std::time::Duration;

use redis::AsyncCommands;
use rhubarb::{App, Stopped, TaskContext, TaskError};
use rhubarb_e2e::eventually::eventually;
use rhubarb_queue::Publish;
use rhubarb_wire::{State, control::Command};
use serde_json::{Value, json};

use super::{Bench, WAIT, raised};

/// Goes on until it is asked to end.
async fn patient(context: TaskContext) -> Result<u8, TaskError> {
    context.soft_limit().await;
    Err(TaskError::Cancelled)
}

/// Saves what it has when it is asked to end.
async fn thrifty(context: TaskContext) -> &'static str {
    context.soft_limit().await;
    "saved"
}

async fn endless() {
    std::future::pending::<()>().await;
}

fn register(app: &mut App) {
    app.task("t.patient", patient).soft_time_limit(Duration::from_millis(50));
    app.task("t.thrifty", thrifty).soft_time_limit(Duration::from_millis(50));
    app.task("t.endless", endless).time_limit(Duration::from_millis(50));
    app.task("t.unlimited", endless);
}

/// Broadcasts a command as soon as a worker listens.
async fn order(bench: &Bench, method: &str, arguments: Value) {
    let command = Command::new(method, arguments.as_object().unwrap().clone());
    let mut redis = bench.redis().await;
    eventually(WAIT, "the worker hears", async || {
        let heard: u64 = redis.publish("/0.celery.pidbox", command.encode("tag")).await.unwrap();
        (heard > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_soft_limit_asks_and_a_hard_limit_ends() {
    let bench = Bench::new().await;
    let worker = bench.worker(register);
    let result = bench.call(&Publish::new("t.patient")).await;
    assert_eq!(raised(&result), ("SoftTimeLimitExceeded".to_owned(), Value::Null));
    assert_eq!(result.exception().unwrap().exc_module, Some("billiard.exceptions".to_owned()));
    let result = bench.call(&Publish::new("t.thrifty")).await;
    assert_eq!((result.status, result.result), (State::Success, json!("saved")));
    let result = bench.call(&Publish::new("t.endless")).await;
    assert_eq!(raised(&result), ("TimeLimitExceeded".to_owned(), json!(0.05)));
    worker.stop().await;
}

#[tokio::test]
async fn a_calls_own_limits_win() {
    let bench = Bench::new().await;
    let worker = bench.worker(register);
    let hard = Some(Duration::from_millis(300));
    let call = Publish::new("t.endless").with(|options| options.time_limit = hard);
    let result = bench.call(&call).await;
    assert_eq!(raised(&result), ("TimeLimitExceeded".to_owned(), json!(0.3)));
    let call = Publish::new("t.unlimited").with(|options| options.time_limit = hard);
    let result = bench.call(&call).await;
    assert_eq!(raised(&result), ("TimeLimitExceeded".to_owned(), json!(0.3)));
    let soft = Some(Duration::from_millis(30));
    let call = Publish::new("t.thrifty").with(|options| options.soft_time_limit = soft);
    assert_eq!(bench.call(&call).await.result, json!("saved"));
    worker.stop().await;
}

#[tokio::test]
async fn limits_of_the_settings_hold_where_a_task_has_none() {
    let bench = Bench::with(|config| {
        config.worker.task_time_limit = Duration::from_millis(200);
        config.worker.task_soft_time_limit = Duration::from_millis(20);
    })
    .await;
    let worker = bench.worker(|app| {
        app.task("t.thrifty", thrifty);
        app.task("t.endless", endless);
    });
    assert_eq!(bench.call(&Publish::new("t.thrifty")).await.result, json!("saved"));
    let result = bench.call(&Publish::new("t.endless")).await;
    assert_eq!(raised(&result), ("TimeLimitExceeded".to_owned(), json!(0.2)));
    worker.stop().await;
}

#[tokio::test]
async fn remote_control_sets_a_time_limit() {
    let bench = Bench::new().await;
    let worker = bench.worker(register);
    let limits = json!({"task_name": "t.unlimited", "soft": null, "hard": 0.03});
    order(&bench, "time_limit", limits).await;
    // Commands are obeyed in their order: what comes after this one finds the limit.
    let result = bench.call(&Publish::new("t.unlimited")).await;
    assert_eq!(raised(&result), ("TimeLimitExceeded".to_owned(), json!(0.03)));
    worker.stop().await;
}

#[tokio::test]
async fn remote_control_stops_the_worker_as_sigterm_does() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.slow", async |context: TaskContext| {
            context.stopping().await;
            "done"
        });
    });
    let id = bench.publish(&Publish::new("t.slow")).await;
    bench.waiting(0).await;
    order(&bench, "shutdown", json!({})).await;
    let stopped = tokio::time::timeout(WAIT, worker.serving).await.unwrap().unwrap().unwrap();
    assert_eq!(stopped, Stopped::Clean);
    assert_eq!(bench.result(&id).await.result, json!("done"), "what ran has ended");
}

#[tokio::test]
async fn a_rate_that_is_none_keeps_the_worker_from_starting() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.odd", endless).rate_limit("often");
    });
    let refused = worker.serving.await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("`t.odd`"), "{refused}");
}

#[tokio::test]
async fn a_registered_rate_holds() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.rare", async || "ran").rate_limit("1/h");
    });
    assert_eq!(bench.call(&Publish::new("t.rare")).await.result, json!("ran"));
    bench.publish(&Publish::new("t.rare")).await;
    let mut redis = bench.redis().await;
    eventually(WAIT, "the second waits", async || {
        let n: usize = redis.zcard("rhubarb:{celery}:scheduled").await.unwrap();
        (n == 1).then_some(())
    })
    .await;
    worker.stop().await;
}
