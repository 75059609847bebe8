//! Celery's command line and Flower, against our worker alone and in a fleet with a Celery worker.

use std::time::Duration;

use rhubarb_e2e::{
    eventually::eventually,
    process::{Process, Signal},
    redis_server::free_port,
};
use serde_json::{Value, json};

use super::{Fleet, SOON, http};

#[tokio::test]
async fn celery_status_and_inspect_show_our_worker() {
    status_and_inspect(false).await;
}

#[tokio::test]
async fn celery_status_and_inspect_show_a_mixed_fleet() {
    status_and_inspect(true).await;
}

async fn status_and_inspect(is_mixed: bool) {
    let Some(fleet) = Fleet::start(is_mixed).await else { return };

    let status = fleet.ask(&["status"]).await;
    assert_eq!(status.code, 0, "{}{}", status.stdout, status.stderr);
    let online = if is_mixed { "2 nodes online." } else { "1 node online." };
    assert!(
        status.stdout.contains("ours@host: OK") && status.stdout.contains(online),
        "{}",
        status.stdout
    );

    assert_eq!(fleet.inspect(&["ping"]).await, json!({"ok": "pong"}));
    let registered = fleet.inspect(&["registered"]).await;
    assert!(registered.as_array().unwrap().contains(&json!("conformance.add")), "{registered:#}");
    let queues = fleet.inspect(&["active_queues"]).await;
    assert_eq!((&queues[0]["name"], queues.as_array().unwrap().len()), (&json!("celery"), 1));
    let stats = fleet.inspect(&["stats"]).await;
    assert_eq!(stats["pool"]["max-concurrency"], 4, "{stats:#}");

    let running: Vec<String> = [fleet.publish("sleep", &json!([20]), &json!({})).await].into();
    let later = fleet.publish("add", &json!([1, 2]), &json!({"countdown": 60})).await;
    seen_by_somebody(&fleet, "active", &running[0]).await;
    seen_by_somebody(&fleet, "scheduled", &later).await;
    assert_eq!(fleet.inspect(&["reserved"]).await, json!([]));
}

/// Waits until some node of the fleet lists this task.
async fn seen_by_somebody(fleet: &Fleet, question: &str, id: &str) {
    let what = format!("`inspect {question}` shows task {id}");
    eventually(SOON, &what, async || {
        let ran = fleet.ask(&["inspect", question, "--json"]).await;
        (ran.code == 0 && ran.stdout.contains(id)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn celery_control_revokes_limits_and_shuts_down_our_worker() {
    control(false).await;
}

#[tokio::test]
async fn celery_control_revokes_limits_and_shuts_down_a_mixed_fleet() {
    control(true).await;
}

async fn control(is_mixed: bool) {
    let Some(mut fleet) = Fleet::start(is_mixed).await else { return };

    let limited = fleet.ask(&["control", "rate_limit", "conformance.mul", "10/m"]).await;
    assert!(
        limited.stdout.contains("new rate limit set successfully"),
        "{}{}",
        limited.stdout,
        limited.stderr
    );
    let registered = fleet.inspect(&["registered"]).await;
    let expected = json!("conformance.mul [rate_limit=10/m]");
    assert!(registered.as_array().unwrap().contains(&expected), "{registered:#}");

    let later = fleet.publish("add", &json!([1, 2]), &json!({"countdown": 60})).await;
    seen_by_somebody(&fleet, "scheduled", &later).await;
    let revoked = fleet.ask(&["control", "revoke", &later]).await;
    assert!(revoked.stdout.contains("flagged as revoked"), "{}{}", revoked.stdout, revoked.stderr);
    fleet.state(&later, "TaskRevokedError").await;
    let ids = fleet.inspect(&["revoked"]).await;
    assert!(ids.as_array().unwrap().contains(&json!(later)), "{ids:#}");

    // It answers nothing, so that the command says that nobody did.
    fleet.celery(&["control", "shutdown"]).await;
    assert!(fleet.ours.ended(SOON).await.success());
    if let Some(celery) = &mut fleet.celery {
        celery.ended(SOON).await;
    }
}

#[tokio::test]
async fn celery_events_dumps_what_our_worker_does() {
    events(false).await;
}

#[tokio::test]
async fn celery_events_dumps_what_a_mixed_fleet_does() {
    events(true).await;
}

async fn events(is_mixed: bool) {
    let Some(fleet) = Fleet::start(is_mixed).await else { return };
    let logs = fleet.installation.folder();
    let mut dump = Process::start("events", logs, fleet.celery_command(&["events", "--dump"]));
    // Heartbeats come every two seconds: from the first on, nothing is missed.
    dump.line("ours@host", SOON).await;
    let enabled = fleet.ask(&["control", "enable_events"]).await;
    assert!(enabled.stdout.contains("task events enabled"), "{}", enabled.stdout);

    let id = fleet.publish("add", &json!([1, 2]), &json!({})).await;

    for kind in ["task received", "task started", "task succeeded"] {
        eventually(SOON, kind, async || {
            let lines = dump.lines_with(&id);
            lines.iter().any(|line| line.contains(kind)).then_some(())
        })
        .await;
    }
    dump.signal(Signal::TERM);
}

#[tokio::test]
async fn flower_shows_and_revokes_tasks_of_our_worker() {
    flower(false).await;
}

#[tokio::test]
async fn flower_shows_and_revokes_tasks_of_a_mixed_fleet() {
    flower(true).await;
}

async fn flower(is_mixed: bool) {
    let Some(fleet) = Fleet::start(is_mixed).await else { return };
    let flower = Flower::start(&fleet).await;
    let workers = flower.json("/api/workers?refresh=1").await;
    for name in fleet.names() {
        let registered = workers[name]["registered"].as_array();
        assert!(registered.is_some_and(|all| all.len() >= 20), "{name}: {workers:#}");
        assert!(workers[name]["stats"]["pool"]["max-concurrency"].as_u64().unwrap() >= 2);
        assert_eq!(workers[name]["active_queues"][0]["name"], "celery");
    }
    eventually(SOON, "Flower has heard our worker's heart", async || {
        let online = flower.json("/api/workers?status=1").await;
        (online["ours@host"] == true).then_some(())
    })
    .await;
    fleet.ask(&["control", "enable_events"]).await;

    let done = fleet.publish("add", &json!([1, 2]), &json!({})).await;
    let later = fleet.publish("add", &json!([1, 2]), &json!({"countdown": 60})).await;

    let info = flower.task(&done, "SUCCESS").await;
    assert_eq!((&info["name"], &info["result"]), (&json!("conformance.add"), &json!("3")));
    let worker = info["worker"].as_str().unwrap();
    assert!(fleet.names().contains(&worker), "{info:#}");
    flower.task(&later, "RECEIVED").await;
    for (page, text) in [
        ("/workers".to_owned(), "ours@host"),
        ("/worker/ours@host".to_owned(), "conformance.add"),
        ("/tasks".to_owned(), "Task"),
        (format!("/task/{done}"), "SUCCESS"),
    ] {
        let (status, body) = flower.ask("GET", &page).await;
        assert!(status == 200 && body.contains(text), "{page}: {status}\n{body}");
    }

    // What the page's button does.
    let (status, body) = flower.ask("POST", &format!("/api/task/revoke/{later}")).await;
    assert_eq!(status, 200, "{body}");
    fleet.state(&later, "TaskRevokedError").await;

    let running = fleet.publish("sleep", &json!([300]), &json!({})).await;
    flower.task(&running, "STARTED").await;
    flower.ask("POST", &format!("/api/task/revoke/{running}?terminate=true")).await;
    fleet.state(&running, "TaskRevokedError").await;
    flower.task(&running, "REVOKED").await;
}

/// A running Flower.
#[derive(Debug)]
struct Flower {
    _process: Process,
    port: u16,
}

impl Flower {
    /// Starts it and waits until it knows every worker of the fleet.
    async fn start(fleet: &Fleet) -> Self {
        let port = free_port();
        let listen = format!("--port={port}");
        let mut command = fleet.celery_command(&["flower", "--address=127.0.0.1", &listen]);
        command.env("FLOWER_UNAUTHENTICATED_API", "true");
        let process = Process::start("flower", fleet.installation.folder(), command);
        let flower = Self { _process: process, port };
        eventually(SOON, "Flower knows the workers", async || {
            let (status, body) = http::ask(port, "GET", "/api/workers?refresh=1").await?;
            let known = fleet.names().iter().all(|name| body.contains(name));
            (status == 200 && known).then_some(())
        })
        .await;
        flower
    }

    async fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let asked =
            tokio::time::timeout(Duration::from_secs(30), http::ask(self.port, method, path));
        asked.await.expect("Flower answers").expect("Flower listens")
    }

    async fn json(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap_or_else(|e| panic!("not JSON ({e}): {body}"))
    }

    /// Waits until Flower shows a task in this state, and returns what it tells of it.
    async fn task(&self, id: &str, state: &str) -> Value {
        let what = format!("Flower shows task {id} as {state}");
        eventually(SOON, &what, async || {
            let (status, body) = self.ask("GET", &format!("/api/task/info/{id}")).await;
            let info: Value = (status == 200).then(|| serde_json::from_str(&body).ok())??;
            (info["state"] == state).then_some(info)
        })
        .await
    }
}
