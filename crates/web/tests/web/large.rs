//! A large installation: 100,000 ends, 500 queues, 1,000 schedules, 200 workers. Every page stays
//! small, and Redis is asked once for all who look.

use std::collections::BTreeMap;

use rhubarb_connection::Connections;
use rhubarb_queue::{
    Client,
    inspect::{Running, WorkerRecord},
    schedules::Schedules,
};
use rhubarb_settings::Settings;
use rhubarb_testbed::redis_server::RedisServer;
use serde_json::{Value, json};

use super::Web;

const PAGES: [&str; 13] = [
    "/",
    "/?span=days",
    "/queues",
    "/queues?from=480",
    "/tasks",
    "/tasks?q=order+99999",
    "/letters",
    "/schedules",
    "/workers",
    "/scraping",
    "/caches",
    "/sessions",
    "/redis",
];
/// A page may be so long, bytes.
const LONGEST: usize = 100_000;

fn client(redis: &RedisServer) -> Client {
    let mut config = Settings::default();
    config.redis.url = redis.socket_url().parse().unwrap();
    Client::new(&Connections::new(&config.redis, "test").unwrap(), &config)
}

/// A name as they are in large installations.
fn name(kind: &str, n: usize) -> String {
    format!("{kind}-of-a-tenant-with-a-long-name-{n:05}.eu-central-1.production")
}

fn worker(n: usize) -> WorkerRecord {
    let running = |one: usize| Running {
        id: format!("6f1c1f5e-0000-4000-8000-{:012}", n * 100 + one),
        task: "shop.tasks.send_the_monthly_report_to_everybody".into(),
        queue: name("queue", n),
        since: "2026-11-30T01:02:03+00:00".into(),
    };
    WorkerRecord {
        id: n.to_string(),
        node: name("celery@worker", n),
        pid: 1,
        version: "0.1.0".into(),
        started_at: "2026-11-30T01:02:03+00:00".into(),
        concurrency: 16,
        queues: (0..8).map(|of| name("queue", (n + of) % 500)).collect(),
        tasks: vec!["shop.mail".into()],
        parameters: BTreeMap::new(),
        n_running: 16,
        running: (0..16).map(running).collect(),
        processed: 1_000_000,
        late: 3,
        dead: 0,
        parked: 0,
        draining: false,
    }
}

async fn fill(redis: &RedisServer) {
    let client = client(redis);
    let keys = client.keys();
    let mut connection = redis.connect(0).await;
    let mut pipeline = redis::pipe();
    for n in 0..500 {
        pipeline.sadd(keys.queues(), name("queue", n)).ignore();
        pipeline.lpush(name("queue", n), "{}").ignore();
    }
    for n in 0..200 {
        let record = serde_json::to_string(&worker(n)).unwrap();
        pipeline.zadd(keys.workers(), n, 4_000_000_000_000_u64).ignore();
        pipeline.set(keys.worker(&n.to_string()), record).ignore();
    }
    let _: () = pipeline.query_async(&mut connection).await.unwrap();
    for batch in 0..1000 {
        let ends: Vec<Value> = (0..100)
            .map(|n| {
                json!({
                    "i": format!("6f1c1f5e-0000-4000-8000-{:012}", batch * 100 + n),
                    "t": "shop.mail", "q": "mail", "s": "SUCCESS", "a": 1_790_000_000_000_u64,
                    "g": format!("('order {}',)", batch * 100 + n), "v": "'sent'",
                })
            })
            .collect();
        let mut add = redis::cmd("XADD");
        add.arg(keys.history()).arg("*").arg("w").arg("worker").arg("d");
        let _: String =
            add.arg(json!(ends).to_string()).query_async(&mut connection).await.unwrap();
    }
    let schedules = Schedules::new(&client);
    let entry = rhubarb_schedule::ScheduleConfig::from_json("s", r#"{"task": "t", "every": 60}"#);
    let entry = entry.unwrap();
    for n in 0..1000 {
        schedules.add(&name("schedule", n), &entry).await.unwrap();
    }
}

async fn commands(redis: &RedisServer) -> u64 {
    let info: String = redis::from_redis_value(redis.command("INFO stats").await).unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
    line.unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn every_page_of_a_large_installation_is_small_and_asks_redis_once_for_all() {
    let redis = RedisServer::start().await;
    fill(&redis).await;
    let web = Web::new(&redis.socket_url());
    for path in PAGES {
        let before = commands(&redis).await;
        let page = web.page(path, &web.operator).await;
        let asked = commands(&redis).await - before;
        println!("{path}: {} bytes, {asked} commands", page.text.len());
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert!(page.text.len() < LONGEST, "{path}: {} bytes", page.text.len());
        assert!(asked < 30_000, "{path}: {asked} commands");
    }
    let found = web.page("/tasks?q=order+99999", &web.operator).await;
    assert!(found.text.contains("8000-000000099999"), "{}", found.text);
    let last = web.page("/queues?from=480", &web.operator).await;
    assert!(last.text.contains(&name("queue", 499)), "{}", last.text);
    let found = web.page("/schedules?q=name-00777", &web.operator).await;
    assert!(found.text.contains("1 to 1 of 1"), "{}", found.text);
}
