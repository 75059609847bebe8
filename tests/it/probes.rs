//! What a platform and a script ask: health of each process, bounds by exit code, and the dashboard
//! as a process of its own.

use rhubarb_e2e::{
    eventually::eventually,
    installation::Installation,
    process::{Process, Signal},
    redis_server::RedisServer,
};
use rhubarb_queue::Publish;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    BINARIES, OWN_WORKER,
    shop::{SOON, Shop},
};

/// What a server answers to a path: the status, and all of it.
pub(crate) async fn get(address: &str, path: &str) -> (u16, String) {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        std::io::Result::Ok(text)
    };
    let text = asked.await.unwrap_or_default();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, text)
}

/// Waits until a process has said where it listens: in the line with `said`, behind `before`.
pub(crate) async fn address_in(process: &mut Process, said: &str, before: &str) -> String {
    let line = process.line(said, SOON).await;
    let rest = line.split_once(before).map(|(_, rest)| rest).unwrap_or_default();
    let mut parts = rest.split(|c: char| c.is_whitespace() || "\"/".contains(c));
    parts.find(|part| !part.is_empty()).unwrap_or_default().to_owned()
}

pub(crate) async fn until(address: &str, path: &str, status: u16) -> String {
    eventually(SOON, &format!("{path} answers {status}"), async || {
        let (found, text) = get(address, path).await;
        (found == status).then_some(text)
    })
    .await
}

#[tokio::test]
async fn a_workers_health_tells_the_truth_about_redis_and_its_stop() {
    let mut shop = Shop::open_with("[worker]\nhttp = \"127.0.0.1:0\"\n").await;
    let mut worker = shop.installation.start("own", OWN_WORKER, &["--hostname", "own@host"]);
    let address = address_in(&mut worker, "health and metrics ready", "address=").await;
    until(&address, "/health/ready", 200).await;
    let client = shop.client();
    let id = client.publish(&Publish::new("e2e.sleep").arg(0.0)).await.unwrap().id;
    client.wait(&id, SOON, |_| {}).await.unwrap();
    let line =
        "rhubarb_worker_tasks_total{queue=\"celery\",task=\"e2e.sleep\",state=\"SUCCESS\"} 1";
    eventually(SOON, "the end is counted", async || {
        get(&address, "/metrics").await.1.contains(line).then_some(())
    })
    .await;

    shop.installation.redis.kill();
    let text = until(&address, "/health/ready", 503).await;
    assert!(text.contains("Redis"), "{text}");
    assert_eq!(get(&address, "/health/live").await.0, 200, "an outage is no fault of the worker");
    shop.installation.redis.restart().await;
    until(&address, "/health/ready", 200).await;

    shop.client().publish(&Publish::new("e2e.sleep").arg(6.0)).await.unwrap();
    eventually(SOON, "it runs", async || {
        get(&address, "/metrics").await.1.contains("rhubarb_worker_claims 1\n").then_some(())
    })
    .await;
    worker.signal(Signal::TERM);
    let text = until(&address, "/health/ready", 503).await;
    assert!(text.contains("stopping"), "{text}");
    assert_eq!(worker.ended(SOON).await.code(), Some(0));
}

#[tokio::test]
async fn a_beat_is_ready_when_it_leads_or_stands_by() {
    let installation =
        Installation::new(BINARIES, RedisServer::start().await, "[beat]\nhttp = \"127.0.0.1:0\"\n");
    let mut beats = [installation.beat(&[]), installation.beat(&[])];
    let mut leading = 0;
    for beat in &mut beats {
        let address = address_in(beat, "health and metrics ready", "address=").await;
        until(&address, "/health/ready", 200).await;
        assert_eq!(get(&address, "/health/live").await.0, 200);
        let metrics = get(&address, "/metrics").await.1;
        leading += usize::from(metrics.contains("rhubarb_beat_leading 1\n"));
    }
    assert_eq!(leading, 1);
}

#[tokio::test]
async fn a_bound_that_does_not_hold_is_a_sentence_and_exit_code_1() {
    let shop = Shop::open_with("").await;
    let check = async |args: &[&str]| {
        let ran = shop.installation.rhubarb(&[&["check"][..], args].concat()).await;
        (ran.code, ran.stdout + &ran.stderr)
    };
    assert_eq!(check(&[]).await, (0, "all bounds hold\n".to_owned()));
    let (code, said) = check(&["--workers", "1", "--max-late", "60"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("error: 0 workers are live, not 1\n"), "{said}");
    assert!(said.contains("no beat leads"), "{said}");
    shop.client().publish(&Publish::new("e2e.sleep").arg(0.0)).await.unwrap();
    let (code, said) = check(&["--max-waiting", "0", "--max-age", "0"]).await;
    assert_eq!((code, said.matches("error: ").count()), (1, 2), "{said}");
    let json = shop.installation.rhubarb(&["check", "--max-waiting", "0", "--json"]).await;
    let said: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.code, &said["holds"]), (1, &false.into()));

    let _worker = shop.installation.start("own", OWN_WORKER, &["--hostname", "own@host"]);
    eventually(SOON, "the bounds hold", async || {
        let bounds = ["--workers", "1", "--max-waiting", "0", "--max-age", "60"];
        (check(&bounds).await.0 == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_dashboard_is_a_process_that_starts_and_stops_as_the_others() {
    let installation = Installation::new(BINARIES, RedisServer::start().await, "");
    let refused = installation.rhubarb(&["web", "--bind", "0.0.0.0", "--port", "0"]).await;
    assert_eq!(refused.code, 3);
    assert!(refused.stderr.contains("web.write_tokens"), "{}", refused.stderr);
    let made = installation.rhubarb(&["web", "--new-token", "ops"]).await;
    assert!(made.code == 0 && made.stdout.contains("configuration: ops:"), "{}", made.stdout);

    let mut web = installation.rhubarb_started(&["web", "--port", "0"]);
    let address = address_in(&mut web, "dashboard ready", "http://").await;
    until(&address, "/health/ready", 200).await;
    let (status, page) = get(&address, "/").await;
    assert!(status == 200 && page.contains("<h1>Overview</h1>"), "{page}");
    web.signal(Signal::TERM);
    assert_eq!(web.ended(SOON).await.code(), Some(0));
}
