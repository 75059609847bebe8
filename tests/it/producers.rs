//! Who else enqueues: Celery with all that it can ask for, Rust by our client and by stock
//! apalis-redis, a shell; and a real Celery worker that takes what we publish.

use std::time::Duration;

use apalis_core::backend::TaskSink;
use apalis_redis::RedisStorage;
use redis::AsyncCommands;
use rhubarb_e2e::{eventually::eventually, process::Process};
use rhubarb_queue::Publish;
use serde_json::{Value, json};

use crate::shop::{SOON, Shop};

const SCRAPE: &str = "job_scraper.tasks.scrape_specific_keyword";
const STATUS: &str = "job_scraper.tasks.get_scraping_status";

#[tokio::test]
async fn a_rust_service_enqueues_with_our_client() {
    let shop = Shop::open().await;
    let _worker = shop.worker(&[]).await;
    let client = shop.client();

    let task = Publish::new(SCRAPE).kwarg("keyword", "product manager");
    let published = client.publish(&task).await.unwrap();
    let result =
        client.wait(&published.id, SOON, |_| {}).await.unwrap().expect("the worker runs it");

    assert_eq!(result.status.to_string(), "SUCCESS", "{result:?}");
    let listings = shop.json(&["listings", "product manager"]).await;
    assert_eq!(
        result.result["count"].as_u64(),
        listings.as_array().map(|l| l.len() as u64),
        "{result:?}"
    );
}

/// What a Rust service of somebody else's has: apalis-redis and a type of its own, nothing of ours.
#[tokio::test]
async fn a_rust_service_enqueues_with_stock_apalis_redis() {
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    struct Scrape {
        keyword: String,
        force: bool,
    }
    let intake = format!("[[intake.apalis]]\nqueue = \"scrapes\"\ntask = \"{SCRAPE}\"\n");
    let shop = Shop::open_with(&intake).await;
    let _worker = shop.worker(&[]).await;

    let connection = apalis_redis::connect(shop.installation.redis.url(0)).await.unwrap();
    let config = apalis_redis::Config::default().queue("scrapes");
    let mut storage = RedisStorage::<Scrape>::new(connection).with_config(config);
    storage.push(Scrape { keyword: "data scientist".into(), force: true }).await.unwrap();

    let listings = eventually(SOON, "the listings are cached", async || {
        let ran = shop.rhubarb(&["listings", "data scientist", "--json"]).await;
        (ran.code == 0).then(|| ran.json())
    })
    .await;
    assert!(!listings.as_array().unwrap().is_empty());
    // Nothing of it is left behind: neither in their keys nor as a second run.
    let config = storage.get_config();
    let mut queue = shop.queue().await;
    for key in [config.scheduled_jobs_set(), config.active_jobs_list(), config.job_data_hash()] {
        assert!(!queue.exists::<_, bool>(&key).await.unwrap(), "{key} is still there");
    }
}

#[tokio::test]
async fn a_shell_enqueues_and_waits() {
    let shop = Shop::open().await;
    let _worker = shop.worker(&[]).await;

    let ran = shop
        .rhubarb(&["enqueue", SCRAPE, "--args", r#"["product manager"]"#, "--wait", "60"])
        .await;
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("product manager"), "{}", ran.stdout);

    let ran = shop.rhubarb(&["enqueue", SCRAPE, "--wait", "60"]).await;
    assert_eq!(ran.code, 6, "a failed task: {}{}", ran.stdout, ran.stderr);

    let id = "3e9c2b4e-6f4f-4a57-9f0e-0c8f4d8c1a11";
    let ran = shop.rhubarb(&["enqueue", STATUS, "--id", id]).await;
    assert_eq!((ran.code, ran.stdout.trim()), (0, id), "{}", ran.stderr);
    let shown = eventually(SOON, "the task is done", async || {
        let shown = shop.json(&["task", id]).await;
        (shown["result"]["status"] == "SUCCESS").then_some(shown)
    })
    .await;
    assert_eq!(shown["id"], id);
}

#[tokio::test]
async fn countdown_eta_and_expires_of_celery_hold() {
    let shop = Shop::open().await;
    let Some(python) = shop.python() else { return };
    let _worker = shop.worker(&[]).await;
    let past = "2020-01-01T00:00:00+00:00";
    let calls = json!([
        {"task": STATUS, "options": {"countdown": 3}},
        {"task": STATUS, "options": {"eta": past}},
        {"task": STATUS, "options": {"expires": past}},
        {"task": STATUS, "options": {"countdown": 1, "expires": 60}},
        {"task": STATUS, "options": {"priority": 9}},
        {"task": STATUS, "options": {"compression": "zlib"}},
        {"task": STATUS, "options": {"ignore_result": false, "headers": {"x-trace": "1"}}},
    ]);

    let told = python.run(&["send.py", &calls.to_string()]).await;

    let states: Vec<&Value> = told.as_array().unwrap().iter().map(|one| &one["state"]).collect();
    assert_eq!(
        states,
        ["SUCCESS", "SUCCESS", "REVOKED", "SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS"],
        "{told:#}"
    );
    assert!(told[0]["seconds"].as_f64().unwrap() >= 3.0, "run before its time: {told:#}");
    assert_eq!(told[2]["error"][0], "TaskRevokedError", "{told:#}");
}

/// A countdown waits in Redis, so that a worker's death in the meantime costs nothing.
#[tokio::test]
async fn a_countdown_outlives_the_worker_that_saw_it() {
    let shop = Shop::open().await;
    let client = shop.client();
    let mut first = shop.worker(&[]).await;
    let task = Publish::new(STATUS).countdown(Duration::from_secs(4));
    let id = client.publish(&task).await.unwrap().id;
    let mut queue = shop.queue().await;
    eventually(SOON, "the task is scheduled", async || {
        let n: usize = queue.zcard("rhubarb:{celery}:scheduled").await.unwrap();
        (n == 1).then_some(())
    })
    .await;

    first.kill();
    let _second = shop.installation.worker(&[]);

    let result = client.wait(&id, SOON, |_| {}).await.unwrap().expect("the second worker runs it");
    assert_eq!(result.status.to_string(), "SUCCESS");
}

#[tokio::test]
async fn a_real_celery_worker_runs_what_we_publish_and_we_read_its_result() {
    let shop = Shop::open().await;
    let Some(python) = shop.python() else { return };
    let args =
        ["-m", "celery", "-A", "hire_voo_ai", "worker", "-P", "solo", "-Q", "python", "-l", "info"];
    let _celery = Process::start("celery", shop.installation.folder(), python.command(&args));

    let kwargs = r#"{"text": "grüße", "n": 12345678901234567890}"#;
    let line =
        ["enqueue", "python.echo", "--queue", "python", "--args", "[1, null]", "--kwargs", kwargs];
    let ran = shop.rhubarb(&[&line[..], &["--wait", "60"]].concat()).await;

    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let told: Value = serde_json::from_str(ran.stdout.lines().last().unwrap_or_default())
        .or_else(|_| serde_json::from_str(&ran.stdout))
        .unwrap_or_else(|e| panic!("not JSON ({e}): {}", ran.stdout));
    assert_eq!(told["by"], "python", "{told:#}");
    assert_eq!(told["args"], json!([1, null]));
    assert_eq!(told["kwargs"]["text"], "grüße");
}
