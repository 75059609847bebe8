//! What tasks have of Celery while they run, and what becomes of their ends.

use rhubarb_e2e::{eventually::eventually, python::Python};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Pool, SOON, lines};

fn value(end: &Value) -> &Value {
    assert_eq!(end["state"], "SUCCESS", "{end:#}");
    &end["value"]
}

async fn a_task_has_what_celerys_worker_gives_it(python: fn(&str) -> Option<Python>) {
    let Some(pool) = Pool::new(python, "").await else { return };
    let mut worker = pool.worker().await;
    let tries = pool.text_of("tries");
    let ends = pool
        .calls(json!([
            ["pool.add", [2, 3], {}],
            ["pool.request", [1], {"kwargs": {}, "task_id": "r1", "headers": {"mine": 1}}],
            ["pool.again", [2], {}],
            ["pool.again", [9], {}],
            ["pool.automatic", [tries], {}],
            ["pool.replaced", [4], {}],
            ["pool.publishes", [5], {}],
            ["pool.waits", [6], {}],
            ["pool.ignored", [], {}],
            ["pool.echo", [{"day": "ü"}], {"serializer": "pickle"}],
            ["pool.kind", [[1]], {"serializer": "pickle"}],
            ["pool.echo", [7], {"serializer": "msgpack", "compression": "zlib"}],
            ["pool.chords", [], {}],
            ["pool.untidy", [], {}],
            ["pool.forks", [], {}],
            ["pool.exits", [], {}],
            ["pool.softly", [], {}],
            ["pool.too_long", [], {}],
            ["celery.map", [{"task": "pool.echo", "args": [], "kwargs": {}}, [1, 2]], {}],
        ]))
        .await;
    assert_eq!(value(&ends[0]), 5);
    // `pool.request` takes no argument: what is wrong with a call is told as Celery tells it.
    assert_eq!(ends[1]["value"][0], "TypeError", "{:#}", ends[1]);
    assert_eq!(value(&ends[2]), 2);
    assert_eq!(ends[3]["value"], json!(["OSError", "attempt 3"]), "{:#}", ends[3]);
    assert_eq!(ends[4]["value"], json!(["OSError", "never"]), "{:#}", ends[4]);
    assert_eq!(lines(&pool.path("tries")), ["xxx"]);
    assert_eq!(value(&ends[5]), 5);
    assert_eq!(ends[6]["children"], json!([value(&ends[6])]));
    assert_eq!(value(&ends[7]), 7);
    assert_eq!(ends[8]["value"][1], "own", "{:#}", ends[8]);
    assert_eq!(value(&ends[9]), &json!({"day": "ü"}));
    assert_eq!(value(&ends[10]), "list");
    assert_eq!(value(&ends[11]), 7);
    assert_eq!(value(&ends[12]), 25, "the part that was added counts");
    assert_eq!(value(&ends[13]), "still here");
    assert_eq!(value(&ends[14]), 0);
    assert_eq!(ends[15]["value"][0], "WorkerLostError", "{:#}", ends[15]);
    assert_eq!(value(&ends[16]), "tidied up");
    assert_eq!(ends[17]["value"][0], "TimeLimitExceeded", "{:#}", ends[17]);
    assert_eq!(value(&ends[18]), &json!([1, 2]));
    worker.signal(Signal::TERM);
    assert_eq!(worker.ended(SOON).await.code(), Some(0), "{}", worker.stdout());
    pool.noted("signal worker_shutdown").await;
}

#[tokio::test]
async fn a_task_has_what_the_newest_celerys_worker_gives_it() {
    a_task_has_what_celerys_worker_gives_it(Python::for_redis).await;
}

#[tokio::test]
async fn a_task_has_what_the_oldest_celerys_worker_gives_it() {
    a_task_has_what_celerys_worker_gives_it(Python::with_oldest_celery).await;
}

#[tokio::test]
async fn pickled_values_go_through_chains_and_chords() {
    let Some(mut pool) = Pool::new(Python::for_redis, "").await else { return };
    pool.python.set("PICKLE", "1");
    pool.installation.set("PICKLE", "1");
    let _worker = pool.worker().await;
    let calls = json!([
        ["pool.chords", [], {}],
        ["pool.prices", [], {}],
        ["pool.again", [1], {}],
        ["pool.custom", ["fail"], {}],
    ]);
    let ends = pool.calls(calls).await;
    assert_eq!(value(&ends[0]), 25);
    assert_eq!(value(&ends[1]), "price 3");
    assert_eq!(value(&ends[2]), 1);
    assert_eq!(ends[3]["value"], json!(["ValueError", "no"]), "{:#}", ends[3]);
}

#[tokio::test]
async fn a_task_knows_its_request() {
    let Some(pool) = Pool::new(Python::for_redis, "").await else { return };
    let _worker = pool.worker_with(&["-n", "w@h"]).await;
    let end = pool.call_with("pool.request", json!([]), json!({"task_id": "r1"})).await;
    let request = value(&end);
    for (field, expect) in [
        ("id", json!("r1")),
        ("root", json!("r1")),
        ("parent", Value::Null),
        ("retries", json!(0)),
        ("eager", json!(false)),
        ("args", json!([])),
        ("kwargs", json!({})),
        ("hostname", json!("w@h")),
        ("queue", json!("celery")),
        ("redelivered", json!(false)),
        ("direct", json!(false)),
        ("reply_to", json!(true)),
        ("correlation", json!("r1")),
    ] {
        assert_eq!(request[field], expect, "{field} of {request:#}");
    }
}

#[tokio::test]
async fn a_task_class_of_its_own_and_signals_are_told_in_celerys_order() {
    let Some(pool) = Pool::new(Python::for_redis, "").await else { return };
    let worker = pool.worker().await;
    for (id, how) in [("s", "well"), ("f", "fail"), ("r", "retry")] {
        pool.call_with("pool.custom", json!([how]), json!({"task_id": id})).await;
    }
    pool.noted("postrun r FAILURE").await;
    let of = |id: &str| {
        let about = |line: &String| line.split(' ').nth(1) == Some(id);
        pool.notes().into_iter().filter(about).collect::<Vec<_>>()
    };
    let well = [
        "prerun s",
        "before_start s",
        "on_success s well",
        "after_return s SUCCESS",
        "postrun s SUCCESS",
    ];
    assert_eq!(of("s"), well);
    let failed = [
        "prerun f",
        "before_start f",
        "on_failure f ValueError",
        "after_return f FAILURE",
        "postrun f FAILURE",
    ];
    assert_eq!(of("f"), failed);
    assert!(of("r").contains(&"on_retry r".to_owned()), "{:?}", of("r"));
    let count = |line: &str| pool.notes().iter().filter(|it| *it == line).count();
    assert_eq!(count("signal worker_init"), 1);
    assert!(count("signal worker_process_init") >= 1);
    drop(worker);
}

#[tokio::test]
async fn progress_is_seen_while_the_task_runs_and_an_ignored_result_never() {
    let Some(pool) = Pool::new(Python::for_redis, "").await else { return };
    let _worker = pool.worker().await;
    let go = pool.text_of("go");
    let id = pool.publish("pool.progress", json!([go])).await;
    assert_eq!(pool.result(&id, "PROGRESS").await.result, json!({"done": 1}));
    std::fs::write(pool.path("go"), "").unwrap();
    let quiet = pool.publish("pool.quiet", json!([])).await;
    assert_eq!(pool.result(&id, "SUCCESS").await.result, "done");
    assert_eq!(pool.call("pool.add", json!([1, 2])).await["value"], 3);
    let mut redis = pool.installation.redis.connect(0).await;
    let key = format!("celery-task-meta-{quiet}");
    let stored: bool = redis::cmd("EXISTS").arg(key).query_async(&mut redis).await.unwrap();
    assert!(!stored);
}

#[tokio::test]
async fn a_rejected_message_is_a_dead_letter() {
    let Some(pool) = Pool::new(Python::for_redis, "").await else { return };
    let _worker = pool.worker().await;
    pool.publish("pool.rejected", json!([])).await;
    eventually(SOON, "it is a dead letter", async || {
        let dead = pool.installation.rhubarb(&["dead", "list", "--json"]).await;
        dead.stdout.contains("not this one").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_application_of_another_redis_is_warned_of() {
    let Some(mut pool) = Pool::new(Python::for_redis, "").await else { return };
    pool.installation.set("REDIS", "redis://127.0.0.1:1");
    let mut worker = pool.worker().await;
    let told = worker.line("names another Redis", SOON).await;
    assert!(told.contains("127.0.0.1:1/0"), "{told}");
}

#[tokio::test]
async fn an_application_that_cannot_be_imported_is_told_in_full() {
    let Some(pool) = Pool::new(Python::for_redis, "").await else { return };
    let mut worker = pool.installation.worker(&["--python", "pool.nowhere:app"]);
    let told = worker.line("cannot be imported", SOON).await;
    assert!(told.contains("nowhere"), "{told}");
    worker.line("worker ready", SOON).await;
    let strict = Pool::new(Python::for_redis, "strict = true").await.unwrap();
    let mut worker = strict.installation.worker(&["--python", "pool.nowhere:app"]);
    assert_eq!(worker.ended(SOON).await.code(), Some(3), "{}", worker.stdout());
}

/// A Django project's application, with `shared_task`s of which Rust has all but one.
#[tokio::test]
async fn a_django_projects_tasks_run_in_python_but_for_those_that_rust_has() {
    let Some(mut pool) = Pool::new(Python::for_redis, "").await else { return };
    pool.installation.set("DJANGO_SETTINGS_MODULE", "hire_voo_ai.settings");
    let mut worker = pool.installation.worker(&["--python", "hire_voo_ai.celery:app"]);
    let told = worker.line("which has them too", SOON).await;
    assert!(told.contains("job_scraper.tasks.get_scraping_status"), "{told}");
    let ends = pool
        .calls(json!([
            ["python.echo", [1], {"kwargs": {"two": 2}}],
            ["job_scraper.tasks.get_scraping_status", [], {}],
        ]))
        .await;
    assert_eq!(value(&ends[0]), &json!({"args": [1], "kwargs": {"two": 2}, "by": "python"}));
    assert_eq!(ends[1]["state"], "SUCCESS", "Python's own raises: {:#}", ends[1]);
}

#[tokio::test]
async fn remote_control_shows_each_process_and_what_it_runs() {
    let Some(pool) = Pool::new(Python::for_redis, "").await else { return };
    let _worker = pool.worker_with(&["-n", "w@h"]).await;
    let (pids, go) = (pool.text_of("pids"), pool.text_of("go"));
    let id = pool.publish("pool.sleeps", json!([pids, go])).await;
    let pid = eventually(SOON, "it runs", async || lines(&pool.path("pids")).pop()).await;
    let pid: u64 = pid.parse().unwrap();
    let inspect =
        async |what: &str| pool.python.run(&["-m", "pool.inspect", what]).await["w@h"].clone();
    let active = inspect("active").await;
    assert_eq!((&active[0]["id"], &active[0]["worker_pid"]), (&json!(id), &json!(pid)));
    let stats = inspect("stats").await;
    let processes = stats["pool"]["processes"].as_array().unwrap();
    assert!(processes.contains(&json!(pid)) && processes.len() > 1, "{processes:?}");
    let registered = inspect("registered").await;
    assert!(registered.as_array().unwrap().contains(&json!("pool.add")), "{registered}");
    std::fs::write(pool.path("go"), "").unwrap();
    pool.result(&id, "SUCCESS").await;
}

#[tokio::test]
async fn a_process_is_replaced_after_as_many_tasks_as_are_set() {
    let Some(pool) = Pool::new(Python::for_redis, "max_tasks_per_child = 2").await else { return };
    let _worker = pool.worker_with(&["-c", "1"]).await;
    let calls: Vec<Value> = (0..6).map(|_| json!(["pool.pid", [], {}])).collect();
    let ends = pool.calls(json!(calls)).await;
    let mut runs = std::collections::BTreeMap::new();
    for end in &ends {
        *runs.entry(value(end).as_u64().unwrap()).or_insert(0) += 1;
    }
    assert!(runs.values().all(|n| *n <= 2), "{runs:?}");
}
