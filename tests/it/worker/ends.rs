//! How a task's end is told: stored states, what they tell besides, retries that differ, and hooks.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use redis::AsyncCommands;
use rhubarb::{Args, FailedTask, Retry, RetryPolicy, State, TaskContext, TaskError};
use rhubarb_e2e::eventually::eventually;
use rhubarb_queue::Publish;
use rhubarb_wire::{Envelope, Exception, Signature, State as TaskState, Time, canvas};
use serde_json::{Value, json};

use super::{Bench, Gate, WAIT, raised};

async fn fails() -> Result<(), TaskError> {
    Err(TaskError::failed("ValueError", "boom"))
}

/// The states of a task as somebody who looks on sees them.
async fn states(bench: &Bench, id: &str) -> Vec<(String, Value)> {
    let mut seen = Vec::new();
    let wait = bench.client.wait(id, WAIT, |state| {
        seen.push((state.status.to_string(), state.result.clone()));
    });
    wait.await.unwrap().unwrap();
    seen
}

fn envelope_of(bench: &Bench, publish: Publish) -> Envelope {
    Envelope::decode(&bench.client.message(publish).unwrap().message).unwrap()
}

#[tokio::test]
async fn started_is_stored_where_the_registration_or_the_setting_says_so() {
    let pid = json!({"pid": std::process::id(), "hostname": "rhubarb@here"});
    for (setting, task, expected) in
        [(false, "t.tracked", true), (false, "t.plain", false), (true, "t.plain", true)]
    {
        let bench = Bench::with(|config| {
            config.celery.task_track_started = setting;
            config.worker.hostname = "rhubarb@here".to_owned();
        })
        .await;
        let (begun, gate) = (Gate::new(), Gate::new());
        let worker = bench.worker(|app| {
            app.state((begun.clone(), gate.clone()));
            let slow = async |State((begun, gate)): State<(Gate, Gate)>| {
                begun.open();
                gate.wait().await;
            };
            app.task("t.tracked", slow).track_started(true);
            app.task("t.plain", slow);
        });
        let id = bench.publish(&Publish::new(task)).await;
        let open = async {
            begun.wait().await;
            if expected {
                eventually(WAIT, "STARTED is stored", async || {
                    let stored = bench.client.result(&id).await.unwrap()?;
                    (stored.status == TaskState::Started).then_some(())
                })
                .await;
            }
            gate.open();
        };
        let (seen, ()) = tokio::join!(states(&bench, &id), open);
        let started = seen.iter().find(|(state, _)| state == "STARTED");
        assert_eq!(started.map(|(_, told)| told), expected.then_some(&pid), "{setting} {task}");
        worker.stop().await;
    }
}

#[tokio::test]
async fn ignored_results_are_not_stored_unless_the_call_or_their_failure_asks_for_it() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.ignored", async || 1).ignore_result(true).track_started(true);
        app.task("t.fails", fails).ignore_result(true);
        app.task("t.fails_loudly", fails).ignore_result(true).store_errors_even_if_ignored(true);
        app.task("t.last", async || 2);
    });
    let ignored = bench.publish(&Publish::new("t.ignored")).await;
    let fails = bench.publish(&Publish::new("t.fails")).await;
    let loudly = bench.publish(&Publish::new("t.fails_loudly")).await;
    // As a Python client calls a task that it knows to have results.
    let mut asked = envelope_of(&bench, Publish::new("t.ignored"));
    asked.headers.ignore_result = Some(false);
    let _: u64 = bench.redis().await.lpush("celery", asked.encode()).await.unwrap();
    assert_eq!(bench.result(&asked.headers.id).await.result, 1);
    assert_eq!(raised(&bench.result(&loudly).await).0, "ValueError");
    bench.call(&Publish::new("t.last")).await;
    bench.waiting(0).await;
    worker.stop().await;
    assert_eq!(bench.client.result(&ignored).await.unwrap(), None);
    assert_eq!(bench.client.result(&fails).await.unwrap(), None);
}

/// `redis.results_url = "disabled://"`, as Celery has it.
#[tokio::test]
async fn where_results_are_disabled_nothing_is_stored_and_waiting_says_so() {
    let bench = Bench::with(|config| {
        config.celery.results_disabled = true;
        config.celery.task_track_started = true;
        config.celery.task_store_errors_even_if_ignored = true;
    })
    .await;
    let worker = bench.worker(|app| {
        app.task("t.fails", fails);
        app.task("t.reports", async |context: TaskContext| context.progress(1, 2, "half").await);
        let again = async || -> Result<(), TaskError> { Err(Retry::after(Duration::ZERO).into()) };
        app.task("t.again", again).retry(RetryPolicy { max_retries: 1, ..RetryPolicy::default() });
    });
    for task in ["t.fails", "t.reports", "t.again", "t.nobody_knows"] {
        bench.publish(&Publish::new(task)).await;
    }
    // What its call asks for is not there either.
    let mut asked = envelope_of(&bench, Publish::new("t.reports"));
    asked.headers.ignore_result = Some(false);
    let mut redis = bench.redis().await;
    let _: u64 = redis.lpush("celery", asked.encode()).await.unwrap();
    let dead = Publish::new("t.fails")
        .with(|options| options.expires = Time::parse("2020-01-01T00:00:00Z"));
    bench.publish(&dead).await;
    bench.waiting(0).await;
    worker.stop().await;
    let stored: Vec<String> = redis.keys("*celery-task-meta*").await.unwrap();
    assert_eq!(stored, [""; 0]);
    let waited = bench.client.wait(&asked.headers.id, WAIT, |_| {}).await.unwrap_err().to_string();
    assert!(waited.contains("disabled://"), "{waited}");
}

#[tokio::test]
async fn an_extended_result_tells_what_was_called_in_celerys_order() {
    let bench = Bench::with(|config| {
        config.celery.result_extended = true;
        config.worker.hostname = "ext@vm".to_owned();
    })
    .await;
    let worker = bench.worker(|app| {
        app.task("t.echo", async |Args(args): Args<Vec<Value>>| args);
    });
    let id = bench.publish(&Publish::new("t.echo").arg("rust")).await;
    bench.result(&id).await;
    let text: String = bench.redis().await.get(format!("celery-task-meta-{id}")).await.unwrap();
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what} in {text}"));
    let fields = [
        "\"date_done\": \"",
        "\"name\": \"t.echo\", \"args\": [\"rust\"], \"kwargs\": {}, \"worker\": \"ext@vm\", \"retries\": 0, \"queue\": \"celery\"",
        "\"task_id\"",
    ];
    assert!(fields.map(at).is_sorted(), "{text}");
    worker.stop().await;
}

#[tokio::test]
async fn what_a_task_publishes_is_its_child_and_listed_so() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.child", async |context: TaskContext| {
            json!([context.info().parent_id, context.info().root_id])
        });
        app.task("t.parent", async |context: TaskContext| -> Result<Value, TaskError> {
            let one = context.publish(&Publish::new("t.child")).await?;
            let child = || Signature::new("t.child").immutable();
            let group = context.apply(canvas::group(vec![child(), child()])).await?;
            context.progress(1, 2, "published").await;
            Ok(json!([one, group.id]))
        });
        app.task("t.fails", async |context: TaskContext| -> Result<(), TaskError> {
            context.publish(&Publish::new("t.child")).await?;
            Err(TaskError::failed("ValueError", "after all"))
        });
    });
    let result = bench.call(&Publish::new("t.parent")).await;
    let ids = result.result.as_array().unwrap().clone();
    let children = result.children.as_array().unwrap();
    assert_eq!(children[0], json!([[ids[0], null], null]));
    assert_eq!(children[1][0], json!([ids[1], null]));
    assert_eq!(children[1][1].as_array().unwrap().len(), 2);
    let child = bench.result(ids[0].as_str().unwrap()).await;
    assert_eq!(child.result, json!([result.task_id, result.task_id]));
    let failed = bench.call(&Publish::new("t.fails")).await;
    assert_eq!(failed.children.as_array().unwrap().len(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_task_cannot_store_its_own_end() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.cheats", async |context: TaskContext| {
            let told = context.update_state("SUCCESS", json!(1)).await;
            told.unwrap_err().to_string()
        });
    });
    let result = bench.call(&Publish::new("t.cheats")).await;
    assert_eq!(result.result, "SUCCESS is for the worker to store");
    worker.stop().await;
}

#[tokio::test]
async fn a_failure_tells_where_it_was_raised() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.fails", fails);
        app.task("t.io", async || -> Result<String, TaskError> {
            Ok(std::fs::read_to_string("/no/such/file")?)
        });
        app.task("t.panics", async || -> () { panic!("on purpose") });
    });
    for (task, last) in [
        ("t.fails", "ValueError: boom\n"),
        ("t.io", "No such file or directory (os error 2)\n"),
        ("t.panics", "RuntimeError: the task panicked: on purpose\n"),
    ] {
        let traceback = bench.call(&Publish::new(task)).await.traceback.unwrap();
        assert!(traceback.contains("Traceback (most recent call last):\n"), "{traceback}");
        assert!(traceback.contains("it/worker/ends.rs\", line "), "{traceback}");
        assert!(traceback.contains(&format!(", in {task}\n")), "{traceback}");
        assert!(traceback.ends_with(last), "{traceback}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_retry_may_change_arguments_and_queue_and_keeps_what_follows() {
    let bench = Bench::with(|config| {
        config.worker.queues = vec!["celery".to_owned(), "slow".to_owned()];
    })
    .await;
    let worker = bench.worker(|app| {
        let again = async |Args((text,)): Args<(String,)>,
                           context: TaskContext|
               -> Result<Value, TaskError> {
            let info = context.info();
            if info.retries == 0 {
                let retry = Retry::after(Duration::from_millis(10)).queue("slow").priority(3);
                return Err(retry.args(vec![json!(text + "!")]).into());
            }
            Ok(json!([text, info.queue, info.priority, info.retries, info.group_index]))
        };
        app.task("t.again", again);
        app.task("t.all", async |Args(all): Args<(Vec<Value>,)>| all.0);
    });
    let header = vec![Signature::new("t.again").arg("a"), Signature::new("t.again").arg("b")];
    let result = bench.client.apply(canvas::chord(header, Signature::new("t.all"))).await.unwrap();
    assert_eq!(
        bench.result(&result.id).await.result,
        json!([["a!", "slow", 3, 1, 0], ["b!", "slow", 3, 1, 1]])
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_retry_without_a_reason_ends_in_max_retries_exceeded() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.again", async |Args(_): Args<(i64,)>| -> Result<(), TaskError> {
            Err(Retry::after(Duration::ZERO).into())
        });
    });
    let id = bench.publish(&Publish::new("t.again").arg(1)).await;
    let seen = states(&bench, &id).await;
    let (_, last) = seen.last().unwrap();
    let exception = Exception::from_value(last).unwrap();
    assert_eq!(exception.exc_type, "MaxRetriesExceededError");
    let told = exception.exc_message[0].as_str().unwrap();
    assert!(told.starts_with("Can't retry t.again["), "{told}");
    assert!(told.ends_with("] args:(1,) kwargs:{}"), "{told}");
    worker.stop().await;
}

/// Attempts without a wait, a thousand each: each is one message, and nothing is left of it.
#[tokio::test]
async fn a_storm_of_retries_leaves_nothing_behind() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.storm", async |context: TaskContext| -> Result<u32, TaskError> {
            match context.info().retries {
                1_000 => Ok(1_000),
                _ => Err(Retry::after(Duration::ZERO).max_retries(5_000).into()),
            }
        });
    });
    let ids = [
        bench.publish(&Publish::new("t.storm")).await,
        bench.publish(&Publish::new("t.storm")).await,
    ];
    for id in ids {
        assert_eq!(bench.result(&id).await.result, 1_000);
    }
    worker.stop().await;
    let mut redis = bench.redis().await;
    let left: u64 = redis.zcard("rhubarb:{celery}:scheduled").await.unwrap();
    let waiting: u64 = redis.llen("celery").await.unwrap();
    assert_eq!((left, waiting), (0, 0));
}

#[tokio::test]
async fn hooks_are_told_each_end_and_change_none() {
    let bench = Bench::new().await;
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let worker = bench.worker(|app| {
        let note = |told: &Arc<Mutex<Vec<String>>>, text: String| told.lock().unwrap().push(text);
        let log = told.clone();
        app.on_success(move |one| {
            note(&log, format!("{} {}", one.task.name, one.value));
            async move { panic!("in the hook of {}", one.task.id) }
        });
        let log = told.clone();
        app.on_success(move |one| {
            note(&log, format!("{} again", one.task.name));
            std::future::pending()
        });
        let log = told.clone();
        app.on_failure(move |one| {
            let place = one.traceback.is_some();
            note(&log, format!("{} {} {place}", one.task.name, one.exception));
            std::future::ready(())
        });
        let log = told.clone();
        app.on_retry(move |one| {
            note(&log, format!("{} {}", one.task.name, one.exception));
            std::future::ready(())
        });
        let log = told.clone();
        app.on_revoked(move |one| {
            note(&log, format!("{} {:?}", one.task.name, one.reason));
            std::future::ready(())
        });
        app.task("t.fine", async || 1);
        app.task("t.fails", fails);
        app.task("t.again", async || -> Result<(), TaskError> {
            Err(TaskError::transient("OSError", "gone"))
        })
        .retry(RetryPolicy { max_retries: 1, base: Duration::ZERO, cap: Duration::ZERO });
    });
    assert_eq!(bench.call(&Publish::new("t.fine")).await.status, TaskState::Success);
    bench.call(&Publish::new("t.fails")).await;
    bench.call(&Publish::new("t.again")).await;
    let expired = Publish::new("t.fine").expires_in(Duration::ZERO);
    assert_eq!(bench.call(&expired).await.status, TaskState::Revoked);
    let mut expected = vec![
        "t.again OSError('gone')".to_owned(),
        "t.again OSError('gone') true".to_owned(),
        "t.fails ValueError('boom') true".to_owned(),
        "t.fine 1".to_owned(),
        "t.fine Expired".to_owned(),
        "t.fine again".to_owned(),
    ];
    expected.sort();
    eventually(WAIT, "all hooks were called", async || {
        let mut told = told.lock().unwrap().clone();
        told.sort();
        (told == expected).then_some(())
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_map_of_a_task_that_nobody_here_knows_is_parked() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.double", async |Args((n,)): Args<(i64,)>| 2 * n);
    });
    let map = |task: &str| canvas::map(&Signature::new(task), vec![json!(1), json!(2)]);
    let result = bench.client.apply(map("t.double")).await.unwrap();
    assert_eq!(bench.result(&result.id).await.result, json!([2, 4]));
    let unknown = bench.client.apply(map("python.only")).await.unwrap();
    let mut redis = bench.redis().await;
    eventually(WAIT, "the map is parked", async || {
        redis.zscore::<_, _, Option<f64>>("rhubarb:parked", &unknown.id).await.unwrap()
    })
    .await;
    worker.stop().await;
}

/// A message that a retry or a chain made is still one that Celery reads.
#[tokio::test]
async fn stamps_and_headers_of_the_application_stay_through_a_retry() {
    let bench = Bench::new().await;
    let worker = bench.worker(|app| {
        app.task("t.again", async |context: TaskContext| {
            if context.info().retries == 0 {
                return Err(TaskError::from(Retry::after(Duration::ZERO)));
            }
            let info = context.info();
            Ok(json!([info.stamps, info.stamped_headers, info.headers.get("x-trace")]))
        });
    });
    let mut envelope: Envelope = envelope_of(&bench, Publish::new("t.again"));
    envelope.headers.stamped_headers = Some(vec!["tenant".to_owned()]);
    envelope.headers.stamps.insert("tenant".to_owned(), json!(["a"]));
    envelope.headers.other.insert("x-trace".to_owned(), json!("7"));
    let _: u64 = bench.redis().await.lpush("celery", envelope.encode()).await.unwrap();
    assert_eq!(
        bench.result(&envelope.headers.id).await.result,
        json!([{"tenant": ["a"]}, ["tenant"], "7"])
    );
    worker.stop().await;
}

/// What errbacks were told, with their own arguments.
type Told = Arc<Mutex<Vec<(FailedTask, String)>>>;

fn notes(
    told: &Told,
) -> impl Fn(FailedTask, Args<(String,)>) -> std::future::Ready<Result<(), TaskError>> + Clone + use<>
{
    let told = told.clone();
    move |failed, Args((note,))| {
        told.lock().unwrap().push((failed, note.clone()));
        std::future::ready(match note.as_str() {
            "fails" => Err(TaskError::failed("ValueError", "an errback's own")),
            _ => Ok(()),
        })
    }
}

async fn told_of(told: &Told, n: usize) -> Vec<(FailedTask, String)> {
    eventually(WAIT, "the errbacks are told", async || {
        let told = told.lock().unwrap().clone();
        (told.len() == n).then_some(told)
    })
    .await
}

#[tokio::test]
async fn an_errback_is_called_where_its_task_fails_with_request_exception_and_traceback() {
    let (bench, told) = (Bench::new().await, Told::default());
    let worker = bench.worker(|app| {
        app.task("t.fails", fails).ignore_result(true);
        app.task("t.panics", async || -> () { panic!("boom") });
        app.task("t.on_error", notes(&told));
    });
    let on_error = |note: &str| Publish::new("t.on_error").arg(note).queue("elsewhere");
    let fails = Publish::new("t.fails").link_error(on_error("fails")).link_error(on_error("two"));
    let id = bench.publish(&fails).await;
    let seen = told_of(&told, 2).await;
    for (failed, note) in &seen {
        let task = failed.task.as_ref().unwrap();
        assert_eq!((&failed.id, &task.id, task.name.as_str()), (&id, &id, "t.fails"), "{note}");
        let exception = failed.exception.as_ref().unwrap();
        assert_eq!(exception, &Exception::builtin("ValueError", vec!["boom".into()]));
        assert!(failed.traceback.as_ref().unwrap().contains("ends.rs"), "{failed:?}");
    }
    assert_eq!((seen[0].1.as_str(), seen[1].1.as_str()), ("fails", "two"));
    let panics = Publish::new("t.panics").link_error(on_error("panic"));
    let failure = bench.call(&panics).await;
    assert_eq!(failure.status, TaskState::Failure);
    let (failed, _) = &told_of(&told, 3).await[2];
    assert_eq!(failed.traceback, failure.traceback);
    worker.stop().await;
    let mut redis = bench.redis().await;
    let keys: Vec<String> = redis.keys("*elsewhere*").await.unwrap();
    assert!(keys.is_empty(), "nothing is published: {keys:?}");
}

#[tokio::test]
async fn an_errback_that_somebody_else_publishes_reads_what_is_stored() {
    let (bench, told) = (Bench::new().await, Told::default());
    let worker = bench.worker(|app| {
        app.task("t.fails", fails);
        app.task("t.on_error", notes(&told));
    });
    let failure = bench.call(&Publish::new("t.fails")).await;
    // As Celery publishes an errback that it has not registered.
    let published = Publish::new("t.on_error").arg(failure.task_id.as_str()).arg("its own");
    assert_eq!(bench.call(&published).await.status, TaskState::Success);
    let (failed, note) = told_of(&told, 1).await.remove(0);
    assert_eq!((failed.id.as_str(), note.as_str()), (failure.task_id.as_str(), "its own"));
    assert_eq!(failed.exception, Exception::from_value(&failure.result));
    assert_eq!((failed.traceback, failed.task), (failure.traceback, None));
    let nobody = Publish::new("t.on_error").arg("no such task").arg("its own");
    assert_eq!(bench.call(&nobody).await.status, TaskState::Success);
    assert_eq!(told_of(&told, 2).await[1].0.exception, None);
    let without = bench.call(&Publish::new("t.on_error")).await;
    assert_eq!(raised(&without).0, "TypeError");
    worker.stop().await;
}

#[tokio::test]
async fn errbacks_that_are_not_told_of_failures_or_not_registered_are_published_with_the_id() {
    let (bench, told) = (Bench::new().await, Told::default());
    let worker = bench.worker(|app| {
        app.task("t.fails", fails);
        app.task("t.old", async |Args((id,)): Args<(String,)>| id);
        app.task("t.on_error", notes(&told));
    });
    let elsewhere = |name: &str| Publish::new(name).queue("elsewhere");
    let fails = Publish::new("t.fails")
        .link_error(elsewhere("t.old"))
        .link_error(Publish::new("t.on_error").arg("here"))
        .link_error(elsewhere("python.on_error"));
    let id = bench.publish(&fails).await;
    assert_eq!(told_of(&told, 1).await[0].0.id, id);
    let mut redis = bench.redis().await;
    let published = eventually(WAIT, "both are published", async || {
        let waiting: Vec<Vec<u8>> = redis.lrange("elsewhere", 0, -1).await.unwrap();
        (waiting.len() == 2).then_some(waiting)
    })
    .await;
    let mut names = Vec::new();
    for message in published {
        let envelope = Envelope::decode(&message).unwrap();
        assert_eq!(envelope.body(1 << 20).unwrap().args, [json!(id)]);
        names.push(envelope.headers.task);
    }
    names.sort();
    assert_eq!(names, ["python.on_error", "t.old"]);
    worker.stop().await;
}
