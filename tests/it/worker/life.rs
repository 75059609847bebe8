//! What an application puts around its tasks, and the ends that Celery has beside success and
//! failure.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rhubarb::{
    Call, CallError, FromCall, Retry, State, TaskContext, TaskError, TaskService,
    canvas::{Signature, chain, chord, group},
    task,
};
use rhubarb_e2e::eventually::eventually;
use rhubarb_queue::{
    Publish,
    client::Joined,
    letter::{self, LetterKind},
};
use rhubarb_wire::State as TaskState;
use serde_json::{Value, json};
use tower::{BoxError, ServiceExt, layer::layer_fn};

use super::{Bench, Gate, WAIT, raised};

#[task(name = "t.add")]
async fn add(x: i64, y: i64) -> i64 {
    x + y
}

#[task(name = "t.sum")]
async fn sum(numbers: Vec<i64>) -> i64 {
    numbers.iter().sum()
}

/// What was called, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn what_is_to_be_done_at_the_start_is_done_before_the_first_task() {
    let bench = Bench::new().await;
    let log = Log::default();
    let (begun, gate) = (Gate::new(), Gate::new());
    bench.publish(&Publish::new("t.log")).await;
    let worker = bench.worker(|app| {
        let first = (log.clone(), begun.clone(), gate.clone());
        app.on_start(async move || -> anyhow::Result<()> {
            let (log, begun, gate) = first;
            begun.open();
            gate.wait().await;
            log.add("first");
            Ok(())
        });
        let second = log.clone();
        app.on_start(async move || second.add("second"));
        let last = log.clone();
        app.on_stop(async move || {
            last.add("stop");
            Err::<(), _>(anyhow::anyhow!("this is logged"))
        });
        app.state(log.clone());
        app.task("t.log", async |State(log): State<Log>| log.add("task"));
    });
    tokio::time::timeout(WAIT, begun.wait()).await.unwrap();
    bench.waiting(1).await;
    gate.open();
    eventually(WAIT, "the task ran", async || (log.lines().len() == 3).then_some(())).await;
    worker.stop().await;
    assert_eq!(log.lines(), ["first", "second", "task", "stop"]);
}

#[tokio::test]
async fn a_worker_whose_start_fails_or_panics_claims_nothing() {
    let bench = Bench::new().await;
    let id = bench.publish(&add::call(1, 2).publish().unwrap()).await;
    for (panics, text) in [(false, "the shop is closed"), (true, "it has panicked")] {
        let worker = bench.worker(|app| {
            app.add(add::task());
            app.on_start(async move || -> anyhow::Result<()> {
                assert!(!panics, "on purpose");
                anyhow::bail!("the shop is closed")
            });
        });
        let error = worker.serving.await.unwrap().unwrap_err().to_string();
        assert_eq!(error, format!("a hook on the start failed: {text}"));
    }
    assert_eq!(bench.client.result(&id).await.unwrap(), None);
    bench.waiting(1).await;
}

#[tokio::test]
async fn layers_of_tower_see_each_call_and_what_it_came_to() {
    let bench = Bench::new().await;
    let (log, calls) = (Log::default(), Arc::new(AtomicUsize::new(0)));
    let worker = bench.worker(|app| {
        app.add(add::task());
        app.blocking_task("t.blocking", || 1);
        app.task("t.retries", async |context: TaskContext| match context.info().retries {
            0 => Err(Retry::after(Duration::ZERO).into()),
            retries => Ok::<_, TaskError>(retries),
        });
        app.task("t.slow", std::future::pending::<()>);
        let inner = log.clone();
        app.layer(layer_fn(move |tasks: TaskService| {
            let log = inner.clone();
            tasks.map_request(move |call: Call| {
                log.add(&format!("inner {}", call.context().info().name));
                call
            })
        }));
        // An error of another kind, around ours.
        app.layer(layer_fn(|tasks: TaskService| {
            tasks.map_future(|ended| async {
                let limit = Duration::from_millis(300);
                Ok::<_, BoxError>(tokio::time::timeout(limit, ended).await??)
            })
        }));
        let (outer, counted) = (log.clone(), calls.clone());
        app.layer(layer_fn(move |tasks: TaskService| {
            let (log, counted) = (outer.clone(), counted.clone());
            tasks.map_result(move |ended: Result<Value, CallError>| {
                counted.fetch_add(1, Ordering::SeqCst);
                log.add(&match &ended {
                    Ok(value) => format!("outer {value}"),
                    Err(error) => format!("outer {error}"),
                });
                ended
            })
        }));
    });
    assert_eq!(bench.call(&add::call(1, 2).publish().unwrap()).await.result, 3);
    assert_eq!(log.lines(), ["inner t.add", "outer 3"]);
    assert_eq!(bench.call(&Publish::new("t.blocking")).await.result, 1);
    assert_eq!(bench.call(&Publish::new("t.retries")).await.result, 1);
    let again = "outer the task asks for another attempt".to_owned();
    assert!(log.lines().contains(&again), "{:?}", log.lines());
    let (exc_type, text) = raised(&bench.call(&Publish::new("t.slow")).await);
    assert_eq!((exc_type.as_str(), text), ("Elapsed", json!("deadline has elapsed")));
    assert_eq!(calls.load(Ordering::SeqCst), 5);
    worker.stop().await;
}

/// Whom a header names; it is looked up.
struct Customer(String);

impl FromCall for Customer {
    async fn from_call(call: &mut Call) -> Result<Self, TaskError> {
        tokio::task::yield_now().await;
        let name = call.context().info().headers.get("customer").and_then(Value::as_str);
        let name = name.ok_or_else(|| TaskError::failed("KeyError", "no customer"))?;
        let greeting = call.state::<&'static str>().unwrap_or_default();
        Ok(Self(format!("{greeting} {name}")))
    }
}

#[tokio::test]
async fn a_parameter_of_ones_own_may_await_and_see_the_call() {
    #[task(name = "t.greet")]
    async fn greet(#[from_call] customer: Customer, #[default(1)] times: usize) -> String {
        customer.0.repeat(times)
    }
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.state("hello");
        app.add(greet::task());
        app.blocking_task("t.greet_slowly", |Customer(name): Customer| name);
    });
    let named = greet::call().header("customer", "Ann").publish().unwrap();
    assert_eq!(bench.call(&named).await.result, "hello Ann");
    let blocking = Publish { task: "t.greet_slowly".to_owned(), ..named };
    assert_eq!(bench.call(&blocking).await.result, "hello Ann");
    let nobody = bench.call(&greet::call().publish().unwrap()).await;
    assert_eq!(raised(&nobody), ("KeyError".to_owned(), json!("no customer")));
    worker.stop().await;
}

#[tokio::test]
async fn a_task_that_asks_for_it_is_cancelled_at_its_soft_limit() {
    let (bench, gate) = (Bench::new().await, Gate::new());
    let worker = bench.worker(|app| {
        app.state(gate.clone());
        app.task("t.sleep", async |context: TaskContext| {
            context.cancel_at_soft_limit();
            std::future::pending::<()>().await;
        })
        .soft_time_limit(Duration::from_millis(50));
        app.task("t.unlimited", async |context: TaskContext, State(gate): State<Gate>| {
            context.cancel_at_soft_limit();
            gate.wait().await;
        });
    });
    let unlimited = bench.publish(&Publish::new("t.unlimited")).await;
    assert_eq!(raised(&bench.call(&Publish::new("t.sleep")).await).0, "SoftTimeLimitExceeded");
    gate.open();
    assert_eq!(bench.result(&unlimited).await.status, TaskState::Success);
    worker.stop().await;
}

#[tokio::test]
async fn a_call_with_a_time_limit_of_zero_has_none() {
    let bench = Bench::with(|config| config.worker.task_time_limit = Duration::from_secs(1)).await;
    #[task(name = "t.longer", time_limit = 1)]
    async fn longer(State(gate): State<Gate>) {
        gate.wait().await;
    }
    let gate = Gate::new();
    let worker = bench.worker(|app| {
        app.state(gate.clone());
        app.add(longer::task());
    });
    let free = longer::call().time_limit(Duration::ZERO).publish().unwrap();
    let free = bench.publish(&free).await;
    // It begins later: when its limit ends it, the other one has run for longer than the limit.
    let limited = bench.call(&longer::call().publish().unwrap()).await;
    assert_eq!(raised(&limited).0, "TimeLimitExceeded");
    gate.open();
    assert_eq!(bench.result(&free).await.status, TaskState::Success);
    worker.stop().await;
}

#[tokio::test]
async fn a_task_that_ignores_its_end_stores_nothing_and_nothing_follows() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.add(add::task());
        app.task("t.ignore", async || Err::<i64, _>(TaskError::Ignore));
        app.task("t.own", async |context: TaskContext| {
            context.update_state("CHECKED", json!(7)).await?;
            Err::<i64, _>(TaskError::Ignore)
        });
    });
    let steps = chain(vec![Signature::new("t.ignore"), add::partial().signature().unwrap()]);
    let last = bench.client.apply(steps).await.unwrap();
    let own = bench.publish(&Publish::new("t.own")).await;
    let own =
        eventually(WAIT, "a state of its own", async || bench.client.result(&own).await.unwrap())
            .await;
    assert_eq!((own.status, own.result), (TaskState::from("CHECKED"), json!(7)));
    bench.call(&add::call(1, 2).publish().unwrap()).await;
    assert_eq!(bench.client.result(&last.id).await.unwrap(), None);
    bench.waiting(0).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_message_that_its_task_rejects_is_a_dead_letter_without_a_result() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.reject", async || Err::<i64, _>(TaskError::reject("no such shop")));
    });
    let id = bench.publish(&Publish::new("t.reject")).await;
    let letter = eventually(WAIT, "a dead letter", async || {
        letter::find(&bench.client, LetterKind::Dead, &id).await.unwrap()
    })
    .await;
    assert_eq!((letter.task.as_deref(), &*letter.reason), (Some("t.reject"), "no such shop"));
    assert_eq!(bench.client.result(&id).await.unwrap(), None);
    worker.stop().await;
}

#[tokio::test]
async fn a_message_that_its_task_requeues_comes_back_as_delivered_before() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.twice", async |context: TaskContext| match context.info().redelivered {
            false => Err(TaskError::requeue("not the first time")),
            true => Ok(context.info().retries),
        });
    });
    let result = bench.call(&Publish::new("t.twice")).await;
    assert_eq!((result.status, result.result), (TaskState::Success, json!(0)));
    worker.stop().await;
}

/// Is replaced by one task, by a chain, or by a group.
#[task(name = "t.replaced")]
async fn replaced(how: String) -> Result<i64, TaskError> {
    let add = |x, y| add::call(x, y).signature();
    Err(TaskError::replace(match how.as_str() {
        "task" => add(1, 2)?,
        "chain" => chain(vec![add(1, 2)?, Signature::new("t.add").arg(4)]),
        "chord" => chord(vec![add(1, 2)?, add(3, 4)?], sum::partial().signature()?),
        _ => group(vec![add(1, 2)?, add(3, 4)?]),
    }))
}

#[tokio::test]
async fn what_replaces_a_task_has_its_id_and_all_that_waits_for_it() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.add(add::task());
        app.add(sum::task());
        app.add(replaced::task());
    });
    let joined = async |canvas: Signature| {
        let tree = bench.client.apply(canvas).await.unwrap();
        match bench.client.join(&tree, WAIT).await.unwrap() {
            Some(Joined::Success(value)) => value,
            other => panic!("{other:?}"),
        }
    };
    let by = |how: &str| replaced::call(how).signature().unwrap();
    let plus = |n: i64| Signature::new("t.add").arg(n);
    for (how, expect) in
        [("task", json!(3)), ("chain", json!(7)), ("chord", json!(10)), ("group", json!([3, 7]))]
    {
        assert_eq!(joined(by(how)).await, expect, "{how}");
        let total = sum::partial().signature().unwrap();
        let sums = vec![by(how), by(how)];
        let pair = json!([expect, expect]);
        if expect.is_i64() {
            let n = expect.as_i64().unwrap();
            assert_eq!(
                joined(by(how).then(plus(5)).then(plus(6))).await,
                n + 11,
                "{how} in a chain"
            );
            assert_eq!(joined(chord(sums, total)).await, 2 * n, "{how} in a chord");
        } else {
            assert_eq!(joined(group(sums)).await, pair, "{how} in a group");
            assert_eq!(joined(by(how).then(total)).await, 10, "{how} in a chain");
        }
    }
    worker.stop().await;
}

#[tokio::test]
async fn callbacks_and_errbacks_of_a_replaced_task_are_kept() {
    let bench = Bench::new().await;
    let log = Log::default();
    let worker = bench.worker(|app| {
        app.add(add::task());
        app.add(replaced::task());
        app.state(log.clone());
        app.task(
            "t.heard",
            async |State(log): State<Log>, rhubarb::Args((n,)): rhubarb::Args<(i64,)>| {
                log.add(&n.to_string());
            },
        );
        app.task("t.not_replaced", async || Err::<i64, _>(TaskError::replace(Signature::new(""))));
    });
    let call = replaced::call("chain").link(Signature::new("t.heard"));
    assert_eq!(bench.call(&call.publish().unwrap()).await.result, 7);
    eventually(WAIT, "the callback", async || (log.lines() == ["7"]).then_some(())).await;
    let refused = bench.call(&Publish::new("t.not_replaced")).await;
    assert_eq!(raised(&refused).0, "Error", "{refused:?}");
    worker.stop().await;
}

#[tokio::test]
async fn a_task_knows_its_run() {
    let bench = Bench::with(|config| {
        config.worker.hostname = "w1@here".into();
        config.worker.task_time_limit = Duration::from_secs(9);
    })
    .await;
    let worker = bench.worker(|app| {
        app.task("t.info", async |context: TaskContext, _: rhubarb::RawArgs| {
            let info = context.info();
            let limits = [info.soft_time_limit, info.time_limit];
            let raw = context.raw_args();
            json!({
                "node": info.node, "limits": limits.map(|limit| limit.map(|limit| limit.as_secs())),
                "redelivered": info.redelivered, "origin": info.origin.is_some(),
                "correlation_id": info.correlation_id, "reply_to": info.reply_to.is_some(),
                "args": raw.args, "kwargs": raw.kwargs,
            })
        })
        .soft_time_limit(Duration::from_secs(3));
    });
    let nan = rhubarb_wire::exact("NaN").unwrap();
    let call = Publish::new("t.info").arg(nan).id("i");
    let expect = json!({
        "node": "w1@here", "limits": [3, 9], "redelivered": false, "origin": true,
        "correlation_id": "i", "reply_to": true, "args": "[NaN]", "kwargs": "{}",
    });
    assert_eq!(bench.call(&call).await.result, expect);
    worker.stop().await;
}
