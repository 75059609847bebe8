//! What an operator's Celery tools do with a worker of ours: `celery inspect`, `celery control`,
//! `celery events`, Flower.

use std::time::Duration;

use rhubarb_e2e::{eventually::eventually, process::Process, python::Python};
use rhubarb_queue::Publish;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    OWN_WORKER,
    shop::{SOON, Shop},
};

const NODE: &str = "rhubarb@it";

/// Starts the worker with tasks of a known length.
async fn own_worker(shop: &Shop, args: &[&str]) -> Process {
    let args = [&["-n", NODE, "-c", "1"], args].concat();
    let mut worker = shop.installation.start("own-worker", OWN_WORKER, &args);
    worker.line("worker ready", SOON).await;
    worker
}

/// Waits until a worker runs the task.
async fn runs(shop: &Shop, id: &str) {
    eventually(SOON, "it runs", async || {
        let ran = shop.rhubarb(&["task", id, "--json"]).await;
        (ran.code == 0 && ran.json()["place"] == "running").then_some(())
    })
    .await;
}

/// Runs the `celery` program to its end, or returns what it said when it failed.
async fn celery(python: &Python, args: &[&str]) -> Result<String, String> {
    let args = [&["-m", "celery", "-A", "hire_voo_ai"], args].concat();
    let mut command = tokio::process::Command::from(python.command(&args));
    let output = tokio::time::timeout(SOON, command.kill_on_drop(true).output());
    let output = output.await.expect("celery ends in time").expect("celery is there");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(said(&output.stdout))
    } else {
        Err(said(&output.stdout) + &said(&output.stderr))
    }
}

#[tokio::test]
async fn celerys_remote_control_inspects_and_controls_a_worker_whose_only_slot_is_taken() {
    let shop = Shop::open().await;
    let Some(python) = shop.python() else { return };
    let _worker = own_worker(&shop, &[]).await;
    let client = shop.client();
    let waiting = Publish::new("e2e.sleep").countdown(Duration::from_secs(900));
    let waiting = client.publish(&waiting.arg(1)).await.unwrap().id;
    let mut redis = shop.queue().await;
    eventually(SOON, "it is scheduled", async || {
        let n: usize =
            redis::AsyncCommands::zcard(&mut redis, "rhubarb:{celery}:scheduled").await.unwrap();
        (n == 1).then_some(())
    })
    .await;
    let running = client.publish(&Publish::new("e2e.sleep").arg(600)).await.unwrap().id;
    runs(&shop, &running).await;

    let told = python.run(&["remote.py", NODE, &waiting, &running]).await;

    assert_eq!(told["ping"], json!({"ok": "pong"}), "{told:#}");
    assert_eq!(told["active"][0]["id"], json!(running), "{told:#}");
    assert_eq!(told["active"][0]["args"], json!([600]));
    assert_eq!(told["scheduled"][0]["request"]["id"], json!(waiting), "{told:#}");
    assert_eq!(told["query_task"][&running][0], json!("active"));
    assert_eq!(told["query_task"][&waiting][0], json!("scheduled"));
    assert_eq!(told["reserved"], json!([]));
    assert!(told["registered"].as_array().unwrap().contains(&json!("e2e.sleep")), "{told:#}");
    assert_eq!(told["stats"]["total"], json!({"e2e.sleep": 1}), "{told:#}");
    assert_eq!(told["active_queues"][0]["name"], json!("celery"));
    assert_eq!(told["conf"]["worker_concurrency"], json!(1));
    assert!(told["report"]["ok"].as_str().unwrap().contains("rhubarb"), "{told:#}");
    assert!(told["clock"]["clock"].as_u64().unwrap() > 0);
    let ok = |text: &str| json!({ "ok": text });
    assert_eq!(told["rate_limit"], ok("new rate limit set successfully"));
    assert_eq!(told["time_limit"], ok("time limits set successfully"));
    assert_eq!(told["add_consumer"], ok("add consumer extra"));
    assert_eq!(told["queues"], json!(["celery", "extra"]));
    assert_eq!(told["cancel_consumer"], ok("no longer consuming from extra"));
    assert_eq!(
        (&told["pool_grow"], &told["pool_shrink"]),
        (&ok("pool will grow"), &ok("pool will shrink"))
    );
    assert_eq!(told["enable_events"], ok("task events enabled"));
    assert_eq!(told["autoscale"], json!({"error": "ValueError('Autoscale not enabled')"}));
    assert_eq!(told["pool_restart"], json!({"error": "ValueError('Pool restarts not enabled')"}));
    assert_eq!(told["nobody"], json!([]));
    assert_eq!(told["pattern"][0][NODE], json!({"ok": "pong"}));
    assert_eq!(told["terminate"], ok(&format!("terminate: {running}")));
    assert_eq!(told["terminated"], json!("terminated"));
    assert_eq!(told["revoked_result"], json!("revoked"));
    assert_eq!(told["revoked"].as_array().unwrap().len(), 2, "{told:#}");
}

#[tokio::test]
async fn the_celery_program_shows_the_worker_and_stops_it() {
    let shop = Shop::open().await;
    let Some(python) = shop.python() else { return };
    let mut worker = own_worker(&shop, &[]).await;

    let status = celery(&python, &["status", "--timeout", "3"]).await.unwrap();
    assert!(status.contains(NODE) && status.contains("1 node online"), "{status}");
    let registered = celery(&python, &["inspect", "registered", "--timeout", "3"]).await.unwrap();
    assert!(
        registered.contains("* e2e.sleep") && !registered.contains("celery.chord"),
        "{registered}"
    );
    let limited = celery(&python, &["control", "rate_limit", "e2e.who", "10/s"]).await.unwrap();
    assert!(limited.contains("new rate limit set successfully"), "{limited}");

    // It does not wait for a reply, which a worker that stops does not give.
    let _ = celery(&python, &["control", "shutdown", "--timeout", "1"]).await;
    let ended = worker.ended(SOON).await;
    assert_eq!(ended.code(), Some(0));
    assert_eq!(shop.json(&["workers"]).await, json!([]));
}

#[tokio::test]
async fn rhubarb_revokes_for_rust_and_python_workers() {
    let shop = Shop::open().await;
    let _worker = own_worker(&shop, &[]).await;
    let client = shop.client();
    let running = client.publish(&Publish::new("e2e.sleep").arg(600)).await.unwrap().id;
    runs(&shop, &running).await;
    let ran = shop.rhubarb(&["revoke", &running, "--terminate"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("one worker heard"), "{}", ran.stdout);
    let result = client.wait(&running, SOON, |_| {}).await.unwrap().unwrap();
    assert_eq!(result.status.to_string(), "REVOKED");

    let Some(python) = shop.python() else { return };
    let args = [
        "-m",
        "celery",
        "-A",
        "hire_voo_ai",
        "worker",
        "-P",
        "solo",
        "-Q",
        "python",
        "-n",
        "py@it",
    ];
    let _celery = Process::start("celery", shop.installation.folder(), python.command(&args));
    eventually(SOON, "both hear", async || {
        let ran = shop.rhubarb(&["revoke", "some-id"]).await;
        ran.stdout.contains("2 workers heard").then_some(())
    })
    .await;
    let known = python.run(&["revoked.py", "py@it"]).await;
    assert!(known.as_array().unwrap().contains(&json!("some-id")), "{known}");
}

#[tokio::test]
async fn celery_events_shows_the_worker_and_its_tasks() {
    let shop = Shop::open().await;
    let Some(python) = shop.python() else { return };
    let args = ["-m", "celery", "-A", "hire_voo_ai", "events", "--dump"];
    let mut dump = Process::start("events", shop.installation.folder(), python.command(&args));
    dump.line("starting capture", SOON).await;
    let mut worker = own_worker(&shop, &["-E"]).await;
    dump.line("heartbeat", SOON).await;
    let client = shop.client();
    for task in [Publish::new("e2e.sleep").arg(0.01), Publish::new("e2e.panic")] {
        let id = client.publish(&task).await.unwrap().id;
        client.wait(&id, SOON, |_| {}).await.unwrap().unwrap();
    }
    for text in [
        "task received: e2e.sleep(",
        "task started: e2e.sleep(",
        "task succeeded: e2e.sleep(",
        "task failed: e2e.panic(",
    ] {
        let line = dump.line(text, SOON).await;
        assert!(line.starts_with(NODE), "{line}");
    }
    worker.signal(rhubarb_e2e::process::Signal::TERM);
    worker.ended(SOON).await;
    dump.line("shutdown", SOON).await;
}

/// Flower needs a second to hear of a worker, and more to ask it for its settings.
#[tokio::test]
async fn flower_shows_the_worker_its_tasks_and_revokes_one() {
    let shop = Shop::open().await;
    let Some(python) = shop.python() else { return };
    let _worker = own_worker(&shop, &["-E"]).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let args = [
        "-m",
        "celery",
        "-A",
        "hire_voo_ai",
        "flower",
        "--address=127.0.0.1",
        &format!("--port={port}"),
    ];
    let mut command = python.command(&args);
    command.env("FLOWER_UNAUTHENTICATED_API", "true");
    let mut flower = Process::start("flower", shop.installation.folder(), command);
    flower.line("Connected to", SOON).await;
    let fetch = async |path: &str| http(port, "GET", path).await;

    let workers = eventually(SOON, "Flower knows the worker", async || {
        let workers = fetch("/api/workers?refresh=1").await?;
        workers.get(NODE).filter(|about| about.get("stats").is_some()).cloned()
    })
    .await;
    assert_eq!(workers["stats"]["pool"]["max-concurrency"], json!(1), "{workers:#}");
    assert_eq!(workers["active_queues"][0]["name"], json!("celery"), "{workers:#}");
    assert!(workers["registered"].as_array().unwrap().contains(&json!("e2e.sleep")));
    assert_eq!(workers["conf"]["task_default_queue"], json!("celery"));

    let client = shop.client();
    let id = client.publish(&Publish::new("e2e.sleep").arg(600)).await.unwrap().id;
    let state = async |wanted: &str| {
        eventually(SOON, &format!("Flower shows {wanted}"), async || {
            let task = fetch(&format!("/api/task/info/{id}")).await?;
            (task["state"] == *wanted).then_some(task)
        })
        .await
    };
    let task = state("STARTED").await;
    assert_eq!((&task["name"], &task["args"]), (&json!("e2e.sleep"), &json!("(600,)")), "{task:#}");
    http(port, "POST", &format!("/api/task/revoke/{id}?terminate=true")).await;
    state("REVOKED").await;
    let result = client.wait(&id, SOON, |_| {}).await.unwrap().unwrap();
    assert_eq!(result.status.to_string(), "REVOKED");
}

/// Asks Flower's API; none for an answer that is no JSON, and while it does not answer.
async fn http(port: u16, method: &str, path: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let request = format!("{method} {path} HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await;
    read.expect("Flower answers in time").ok()?;
    let answer = String::from_utf8(answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}
