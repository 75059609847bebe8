//! What a Django application with `django.tasks` gets: Django 6's own tasks, and the backport on
//! the Django before it, each with the backend of `deploy/django` and a worker of ours.

use std::path::PathBuf;

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use redis::AsyncCommands;
use rhubarb_e2e::{file, process::Process, python::Python};
use serde_json::{Value, json};

use crate::{OWN_WORKER, shop::Shop};

/// The Pythons of both frameworks, those that were prepared.
fn frameworks(shop: &Shop) -> Vec<Python> {
    let newest = Python::with_newest_django(&shop.installation.redis.url(0));
    let mut pythons: Vec<Python> = shop.python().into_iter().chain(newest).collect();
    for python in &mut pythons {
        python.set("DJANGO_SETTINGS_MODULE", "background.settings");
        python.set("PYTHONPATH", backend().to_str().unwrap());
    }
    pythons
}

/// The folder that a project installs with `pip install`.
fn backend() -> PathBuf {
    file("../deploy/django").canonicalize().unwrap()
}

/// Has the project do these steps (`interop/background/steps.py`), and returns what came of each.
async fn steps(python: &Python, steps: &Value) -> Vec<Value> {
    let told = python.run(&["-m", "background.steps", &steps.to_string()]).await;
    told.as_array().unwrap().clone()
}

fn own_worker(shop: &Shop, args: &[&str]) -> Process {
    shop.installation.start("own-worker", OWN_WORKER, args)
}

fn time(outcome: &Value, name: &str) -> Timestamp {
    outcome[name].as_str().unwrap_or_else(|| panic!("no {name}: {outcome:#}")).parse().unwrap()
}

#[tokio::test]
async fn a_django_task_runs_in_our_worker_and_its_result_is_read() {
    let shop = Shop::open().await;
    let _worker = shop.worker(&[]).await;
    for python in frameworks(&shop) {
        let keyword = json!({"keyword": "data scientist", "force": true});
        let told = steps(
            &python,
            &json!([
                {"enqueue": "scrape", "args": ["software engineer"], "kwargs": {"location": "Berlin"}},
                {"result": 0, "of": "scrape", "wait": true},
                {"enqueue": "scrape", "kwargs": keyword, "async": true},
                {"result": 2, "of": "scrape", "wait": true, "async": true},
                {"enqueue": "status"},
                {"result": 4, "wait": true},
            ]),
        )
        .await;

        let (enqueued, ended) = (&told[0], &told[1]);
        assert_eq!(enqueued["status"], "READY", "{enqueued:#}");
        assert_eq!(ended["status"], "SUCCESSFUL", "{ended:#}");
        assert_eq!(ended["return_value"]["keyword"], "software engineer");
        assert_eq!(ended["return_value"]["location"], "Berlin");
        // What another process learns by the id alone is what the one that enqueued was told.
        for name in ["id", "task", "queue_name", "priority", "args", "kwargs", "enqueued_at"] {
            assert_eq!(ended[name], enqueued[name], "{name}: {ended:#}");
        }
        assert!(time(ended, "enqueued_at") <= time(ended, "finished_at"), "{ended:#}");
        assert_eq!((&ended["errors"], &ended["started_at"]), (&json!([]), &Value::Null));

        assert_eq!(told[3]["kwargs"], keyword);
        assert_eq!(told[3]["return_value"]["keyword"], "data scientist", "{:#}", told[3]);
        assert_eq!(told[5]["return_value"]["keyword"], "data scientist", "{:#}", told[5]);
    }
}

#[tokio::test]
async fn a_task_that_reports_progress_is_running() {
    let shop = Shop::open().await;
    let _worker = shop.worker(&[]).await;
    shop.board.delay(std::time::Duration::from_millis(200));
    for python in frameworks(&shop) {
        let told = steps(
            &python,
            &json!([
                {"enqueue": "scrape", "args": ["software engineer"], "kwargs": {"force": true}},
                {"result": 0, "until": "RUNNING"},
                {"result": 0, "wait": true},
            ]),
        )
        .await;
        assert_eq!(
            (&told[1]["status"], &told[1]["finished_at"]),
            (&json!("RUNNING"), &Value::Null)
        );
        assert_eq!(told[2]["status"], "SUCCESSFUL", "{:#}", told[2]);
    }
}

#[tokio::test]
async fn a_failure_has_its_class_and_its_message_and_a_retried_task_ends_well() {
    let shop = Shop::open().await;
    let _worker = own_worker(&shop, &[]);
    for python in frameworks(&shop) {
        let told = steps(
            &python,
            &json!([
                {"enqueue": "panic"}, {"result": 0, "of": "panic", "wait": true},
                {"enqueue": "nap", "args": ["long"]}, {"result": 2, "wait": true},
                {"enqueue": "third_time"}, {"result": 4, "wait": true},
            ]),
        )
        .await;

        let check = |outcome: &Value, path: &str, class: &str, message: &str| {
            assert_eq!(outcome["status"], "FAILED", "{outcome:#}");
            assert_eq!(outcome["errors"].as_array().unwrap().len(), 1, "{outcome:#}");
            let error = &outcome["errors"][0];
            assert_eq!((&error[0], &error[1]), (&json!(path), &json!(class)));
            assert!(error[2].as_str().unwrap().contains(message), "{outcome:#}");
            assert!(time(outcome, "enqueued_at") <= time(outcome, "finished_at"));
        };
        check(&told[1], "builtins.RuntimeError", "RuntimeError", "the task panicked: on purpose");
        check(&told[3], "builtins.TypeError", "TypeError", "e2e.sleep() argument 'seconds'");
        assert_eq!(
            (&told[5]["status"], &told[5]["return_value"]),
            (&json!("SUCCESSFUL"), &json!(3))
        );
    }
}

#[tokio::test]
async fn a_deferred_task_waits_until_it_may_run() {
    let shop = Shop::open().await;
    let _worker = own_worker(&shop, &[]);
    shop.registered_workers(1).await;
    for python in frameworks(&shop) {
        let told = steps(
            &python,
            &json!([
                {"enqueue": "nap", "args": [0.0], "in": 2},
                {"enqueue": "nap", "args": [0.25]},
                {"result": 1, "wait": true},
                {"result": 0, "wait": true},
            ]),
        )
        .await;
        let (at_once, deferred) = (&told[2], &told[3]);
        assert_eq!(deferred["status"], "SUCCESSFUL", "{deferred:#}");
        assert_eq!(deferred["run_after"], told[0]["run_after"]);
        assert!(time(deferred, "run_after") <= time(deferred, "finished_at"), "{deferred:#}");
        assert!(time(at_once, "finished_at") < time(deferred, "finished_at"), "{told:#?}");
    }
}

#[tokio::test]
async fn a_task_with_a_higher_priority_runs_first() {
    let shop = Shop::open().await;
    let priorities = [-100, -50, 0, 50, 100];
    for python in frameworks(&shop) {
        let enqueue =
            priorities.map(|n| json!({"enqueue": "nap", "args": [0.01], "using": {"priority": n}}));
        let enqueued = steps(&python, &json!(enqueue)).await;
        let mut queue = shop.queue().await;
        for (list, n) in
            [("celery", 2), ("celery\x06\x163", 1), ("celery\x06\x166", 1), ("celery\x06\x169", 1)]
        {
            assert_eq!(queue.llen::<_, usize>(list).await.unwrap(), n, "{list:?}");
        }

        let worker = own_worker(&shop, &["-c", "1"]);
        let look: Vec<Value> =
            enqueued.iter().map(|one| json!({"result": one["id"], "wait": true})).collect();
        let ended = steps(&python, &json!(look)).await;
        drop(worker);
        let priority_at = |i: usize| ended[i]["priority"].as_i64().unwrap();
        assert_eq!((0..5).map(priority_at).collect::<Vec<_>>(), priorities);
        // The two most urgent share a list, and there the first to come is the first served.
        let mut order: Vec<usize> = (0..5).collect();
        order.sort_by_key(|&i| time(&ended[i], "finished_at"));
        assert_eq!(order, [3, 4, 2, 1, 0], "{ended:#?}");
    }
}

#[tokio::test]
async fn a_queue_of_django_is_a_queue_of_the_worker() {
    let shop = Shop::open().await;
    let _worker = own_worker(&shop, &["-Q", "scrapes"]);
    for python in frameworks(&shop) {
        let told = steps(
            &python,
            &json!([
                {"enqueue": "nap", "args": [0.0]},
                {"enqueue": "nap", "args": [0.0], "using": {"queue_name": "scrapes"}},
                {"result": 1, "wait": true},
                {"result": 0},
                {"enqueue": "nap", "args": [0.0], "using": {"queue_name": "unheard of"}},
            ]),
        )
        .await;
        assert_eq!(told[2]["status"], "SUCCESSFUL", "{:#}", told[2]);
        assert_eq!(told[2]["queue_name"], "scrapes");
        assert_eq!(told[3]["status"], "READY", "nobody serves the default queue: {:#}", told[3]);
        let refused = told[4]["text"].as_str().unwrap();
        assert!(refused.contains("'unheard of' is not valid"), "{refused}");
    }
}

#[tokio::test]
async fn an_unknown_result_and_another_tasks_are_refused() {
    let shop = Shop::open().await;
    let mut queue = shop.queue().await;
    for python in frameworks(&shop) {
        let stored = r#"{"status": "SUCCESS", "result": 1, "task_id": "celerys"}"#;
        let _: () = queue.set("celery-task-meta-celerys", stored).await.unwrap();
        let _: () = queue.set("rhubarb:django:odd", "no record").await.unwrap();
        let told = steps(
            &python,
            &json!([
                {"result": "unknown"},
                {"result": "celerys"},
                {"result": "odd"},
                {"enqueue": "status"},
                {"result": 3, "of": "nap"},
            ]),
        )
        .await;
        let raised: Vec<&Value> =
            [0, 1, 2, 4].iter().map(|&i: &usize| &told[i]["raised"]).collect();
        let (absent, mismatch) = ("TaskResultDoesNotExist", "TaskResultMismatch");
        assert_eq!(raised, [absent, absent, mismatch, mismatch], "{told:#?}");
    }
}

#[tokio::test]
async fn arguments_that_are_no_json_are_refused_before_anything_is_sent() {
    let shop = Shop::open().await;
    let mut queue = shop.queue().await;
    for python in frameworks(&shop) {
        let odd = [
            ("time", "TypeError"),
            ("set", "TypeError"),
            ("nan", "ValueError"),
            ("surrogate", "ValueError"),
            ("bytes", "ValueError"),
        ];
        let enqueue = odd.map(
            |(name, _)| json!({"enqueue": "nowhere", "args": [1], "odd": name, "kwargs": {"k": 2}}),
        );
        let told = steps(&python, &json!(enqueue)).await;
        for ((name, raised), outcome) in odd.iter().zip(&told) {
            assert_eq!(outcome["raised"], *raised, "{name}: {outcome:#}");
            let said = outcome["text"].as_str().unwrap();
            let expected = "positional argument 2 of background.tasks.nowhere is not JSON: ";
            assert!(said.starts_with(expected), "{name}: {said}");
        }
        assert_eq!(redis::cmd("DBSIZE").query_async::<usize>(&mut queue).await.unwrap(), 0);
    }
}

/// A task with `enqueue_on_commit`, or in a project with ENQUEUE_ON_COMMIT, is sent by the commit.
#[tokio::test]
async fn a_transaction_sends_at_its_commit_and_nothing_when_it_rolls_back() {
    let shop = Shop::open().await;
    let mut queue = shop.queue().await;
    for mut python in frameworks(&shop) {
        let both = json!([
            {"enqueue": "nowhere", "args": ["kept"], "atomic": "commit"},
            {"enqueue": "nowhere", "args": ["dropped"], "atomic": "rollback"},
            {"result": 0}, {"result": 1},
        ]);
        let told = steps(&python, &both).await;
        assert!(told[0]["enqueued_at_inside"].is_string(), "sent at once by default: {told:#?}");
        assert_eq!(queue.llen::<_, usize>("celery\x06\x163").await.unwrap(), 2);
        let _: () = redis::cmd("FLUSHDB").query_async(&mut queue).await.unwrap();

        python.set("TASKS_OPTIONS", r#"{"ENQUEUE_ON_COMMIT": true}"#);
        let told = steps(&python, &both).await;
        assert_eq!(told[0]["enqueued_at_inside"], Value::Null);
        assert!(told[0]["enqueued_at"].is_string(), "{told:#?}");
        assert_eq!((&told[1]["enqueued_at"], &told[1]["status"]), (&Value::Null, &json!("READY")));
        assert_eq!(
            (&told[2]["status"], &told[3]["raised"]),
            (&json!("READY"), &json!("TaskResultDoesNotExist"))
        );
        assert_eq!(queue.llen::<_, usize>("celery\x06\x163").await.unwrap(), 1);
        let _: () = redis::cmd("FLUSHDB").query_async(&mut queue).await.unwrap();
    }
}

#[tokio::test]
async fn redis_away_is_an_error_of_redis() {
    let shop = Shop::open().await;
    for mut python in frameworks(&shop) {
        // Nothing listens on port 1.
        python.set("REDIS", "redis://127.0.0.1:1");
        let told = steps(&python, &json!([{"enqueue": "status"}, {"result": "any"}])).await;
        assert_eq!([&told[0]["raised"], &told[1]["raised"]], ["ConnectionError"; 2], "{told:#?}");
    }
}

#[tokio::test]
async fn what_is_kept_expires_and_without_results_nothing_is_kept() {
    let shop = Shop::open().await;
    let mut queue = shop.queue().await;
    for mut python in frameworks(&shop) {
        python.set("TASKS_OPTIONS", r#"{"RESULT_EXPIRES": 100}"#);
        let told =
            steps(&python, &json!([{"enqueue": "nowhere"}, {"enqueue": "nowhere", "in": 1000}]))
                .await;
        for (outcome, seconds) in [(&told[0], 100), (&told[1], 1_100)] {
            let key = format!("rhubarb:django:{}", outcome["id"].as_str().unwrap());
            let ttl: i64 = queue.ttl(&key).await.unwrap();
            assert!((seconds - 60..=seconds).contains(&ttl), "{ttl} s of {seconds} s");
        }
        let _: () = redis::cmd("FLUSHDB").query_async(&mut queue).await.unwrap();

        python.set("TASKS_OPTIONS", r#"{"RESULTS": false}"#);
        let told = steps(&python, &json!([{"enqueue": "nowhere"}, {"result": 0}])).await;
        assert_eq!(
            (&told[0]["status"], &told[1]["raised"]),
            (&json!("READY"), &json!("NotImplementedError"))
        );
        let keys: Vec<String> = queue.keys("*").await.unwrap();
        assert_eq!(keys, ["celery\x06\x163"]);
        assert_eq!(take(&shop, "celery\x06\x163").await["headers"]["ignore_result"], true);
    }
}

/// The same settings on both sides; results on a database of their own.
#[tokio::test]
async fn a_prefix_other_steps_and_another_results_database_are_the_workers() {
    let celery = "[celery]\nglobal_keyprefix = \"shop:\"\npriority_steps = [0, 5]\nsep = \":\"\n";
    let mut shop = Shop::open_with(celery).await;
    let results = shop.installation.redis.url(1);
    shop.installation.set("CELERY_RESULT_BACKEND", &results);
    for mut python in frameworks(&shop) {
        let options = json!({
            "TASK_NAMES": {"background.tasks.nap": "e2e.sleep"},
            "GLOBAL_KEYPREFIX": "shop:", "PRIORITY_STEPS": [0, 5], "SEP": ":", "RESULT_URL": results,
        });
        python.set("TASKS_OPTIONS", &options.to_string());
        let enqueue = json!([{"enqueue": "nap", "args": [0.0], "using": {"priority": -100}}]);
        let enqueued = steps(&python, &enqueue).await;
        assert_eq!(shop.queue().await.llen::<_, usize>("shop:celery:5").await.unwrap(), 1);

        let worker = own_worker(&shop, &[]);
        let told = steps(&python, &json!([{"result": enqueued[0]["id"], "wait": true}])).await;
        assert_eq!(told[0]["status"], "SUCCESSFUL", "{:#}", told[0]);
        drop(worker);
    }
}

/// Publishes by Celery itself what `background.steps` publishes by the backend.
const CELERY: &str = r#"
import hire_voo_ai
from job_scraper.tasks import echo
echo.apply_async(("ä", [1, None]), {"k": {"a": 1.5}}, queue="elsewhere", priority=4, countdown=60)
print("{}")
"#;

#[tokio::test]
async fn the_message_is_the_one_that_celery_sends() {
    let shop = Shop::open().await;
    let Some(with_celery) = shop.python() else { return };
    with_celery.run(&["-c", CELERY]).await;
    let celerys = take(&shop, "elsewhere\x06\x163").await;
    for mut python in frameworks(&shop) {
        let names = json!({
            "TASK_NAMES": {"background.tasks.nowhere": "python.echo"},
            "QUEUE_NAMES": {"scrapes": "elsewhere"},
        });
        python.set("TASKS_OPTIONS", &names.to_string());
        let enqueue = json!([{
            "enqueue": "nowhere", "args": ["ä", [1, null]], "kwargs": {"k": {"a": 1.5}},
            "using": {"queue_name": "scrapes"}, "in": 60,
        }]);
        let id = steps(&python, &enqueue).await[0]["id"].clone();
        let ours = take(&shop, "elsewhere\x06\x163").await;
        for named in [
            &ours["headers"]["id"],
            &ours["headers"]["root_id"],
            &ours["properties"]["correlation_id"],
        ] {
            assert_eq!(*named, id);
        }
        assert_eq!(without_identity(&ours), without_identity(&celerys));
    }
}

/// Takes the only message of a list, with its body decoded.
async fn take(shop: &Shop, list: &str) -> Value {
    let mut queue = shop.queue().await;
    let message: String = queue.rpop(list, None).await.unwrap();
    assert_eq!(queue.llen::<_, usize>(list).await.unwrap(), 0, "{list:?} had more than one");
    let mut message: Value = serde_json::from_str(&message).unwrap();
    let body = BASE64_STANDARD.decode(message["body"].as_str().unwrap()).unwrap();
    message["body"] = serde_json::from_slice(&body).unwrap();
    message
}

/// A message with only the kind of what differs between any two: its ids, its sender and its time.
fn without_identity(message: &Value) -> Value {
    let mut message = message.clone();
    let uuid =
        |value: &Value| json!(value.as_str().map(|text| uuid::Uuid::parse_str(text).is_ok()));
    for (part, name) in [
        ("headers", "id"),
        ("headers", "root_id"),
        ("properties", "correlation_id"),
        ("properties", "delivery_tag"),
    ] {
        message[part][name] = uuid(&message[part][name]);
    }
    let eta: Timestamp = message["headers"]["eta"].as_str().unwrap().parse().unwrap();
    message["headers"]["eta"] =
        json!((-30..=60).contains(&eta.duration_since(Timestamp::now()).as_secs()));
    let origin = message["headers"]["origin"].as_str().unwrap();
    message["headers"]["origin"] = json!(origin.starts_with("gen") && origin.contains('@'));
    // A client of Celery's names its own reply queue; nothing replies there (results go by their
    // keys).
    message["properties"]["reply_to"] = json!(message["properties"]["reply_to"].is_string());
    message
}

/// The Python code's own tests, on the Python and the framework of each environment.
#[tokio::test]
async fn the_backend_passes_its_own_tests() {
    let shop = Shop::open().await;
    for python in frameworks(&shop) {
        let mut command = python.command(&["-m", "unittest", "discover", "-t", ".", "-s", "tests"]);
        command.current_dir(backend()).env_remove("DJANGO_SETTINGS_MODULE");
        let ran = rhubarb_e2e::installation::run(command).await;
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("Ran ") && !ran.stderr.contains("Ran 0 "), "{}", ran.stderr);
    }
}

/// The Python blocks of the backend's README, in its order.
fn samples() -> Vec<String> {
    let readme = std::fs::read_to_string(backend().join("README.md")).unwrap();
    let blocks = readme.split("```python\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

/// A project that is the README's samples, as one would copy them, on this framework.
fn project(shop: &Shop, python: &mut Python, is_backport: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let text =
            if is_backport { text.replace("django.tasks", "django_tasks") } else { text.into() };
        std::fs::write(folder.path().join(name), text).unwrap();
    };
    let sample = |head: &str| {
        let found = samples().into_iter().find(|block| block.starts_with(head));
        found.unwrap_or_else(|| panic!("no sample begins with {head}"))
    };
    std::fs::create_dir(folder.path().join("shop")).unwrap();
    let settings = sample("# settings.py")
        .replace("redis://127.0.0.1:6379", shop.installation.redis.url(0).trim_end_matches("/0"));
    let settings = match is_backport {
        true => settings.replace("[\"rhubarb_tasks\"]", "[\"django_tasks\", \"rhubarb_tasks\"]"),
        false => settings,
    };
    let more = "\nimport json, os\nTASKS[\"default\"][\"OPTIONS\"].update(json.loads(os.environ.get(\"MORE\", \"{}\")))\n";
    write("settings.py", &format!("SECRET_KEY = \"x\"\nINSTALLED_APPS = []\n{settings}{more}"));
    write("shop/__init__.py", "");
    write("shop/tasks.py", &sample("# shop/tasks.py"));
    write("shop/tests.py", &sample("# shop/tests.py"));
    let used = sample("from shop.tasks import scrape")
        .replace("result.refresh()", "while not result.is_finished: result.refresh()");
    let shown =
        "import json\nprint(json.dumps([result.status, result.return_value, result.attempts]))";
    write("used.py", &format!("import django\ndjango.setup()\n{used}\n{shown}\n"));
    python.set("PYTHONPATH", &format!("{}:{}", backend().display(), folder.path().display()));
    python.set("DJANGO_SETTINGS_MODULE", "settings");
    folder
}

#[tokio::test]
async fn the_readmes_samples_work_as_they_stand_on_django_6_and_on_the_backport() {
    let shop = Shop::open().await;
    let _worker = shop.worker(&[]).await;
    for (idx, mut python) in frameworks(&shop).into_iter().enumerate() {
        let is_backport = idx == 0 && shop.python().is_some();
        let folder = project(&shop, &mut python, is_backport);
        let used = python.run(&["-m", "used"]).await;
        assert_eq!(
            (&used[0], &used[1]["keyword"]),
            (&json!("SUCCESSFUL"), &json!("python developer"))
        );
        assert_eq!(used[2], 0, "attempts: no result tells them");
        let told = async |python: &Python, args: &[&str]| {
            let mut command = python.command(&[&["-m", "django"], args].concat());
            command.current_dir(folder.path());
            rhubarb_e2e::installation::run(command).await
        };
        let tested = told(&python, &["test", "shop"]).await;
        assert!(tested.stderr.contains("Ran 2 tests"), "{}{}", tested.stdout, tested.stderr);
        assert_eq!(tested.code, 0, "{}", tested.stderr);

        let checked = told(&python, &["check"]).await;
        assert!(checked.stdout.contains("no issues"), "{}{}", checked.stdout, checked.stderr);
        python.set("MORE", r#"{"TASK_NAMES": {"shop.tasks.scarpe": "x"}}"#);
        let checked = told(&python, &["check"]).await;
        assert!(
            checked.stderr.contains("rhubarb_tasks.W002"),
            "{}{}",
            checked.stdout,
            checked.stderr
        );
        python.set("MORE", r#"{"TASK_NAME": {}, "RESULT_EXPIRES": "soon"}"#);
        let checked = told(&python, &["check"]).await;
        let wanted = ["rhubarb_tasks.E001", "TASK_NAME is no option", "RESULT_EXPIRES is 'soon'"];
        let all = wanted.iter().all(|text| checked.stderr.contains(text));
        assert!(checked.code == 1 && all, "{}{}", checked.stdout, checked.stderr);
        assert!(!checked.stderr.contains("Traceback"), "{}", checked.stderr);
    }
}
