//! What a worker that starts learns from the others: a task that they know as revoked does not run,
//! whichever of the two kinds starts beside the other, with the newest and the oldest Celery.

use rhubarb_e2e::{
    eventually::eventually,
    installation::{Installation, run},
    process::Process,
    python::Python,
    redis_server::RedisServer,
};
use serde_json::Value;

use super::{SOON, WORKER};
use crate::BINARIES;

struct Pair {
    installation: Installation,
    python: Python,
}

impl Pair {
    async fn new(python: impl FnOnce(&str) -> Option<Python>) -> Option<Self> {
        let redis = RedisServer::start().await;
        let mut python = python(&redis.url(0))?;
        python.set("CONFORMANCE_REDIS", &redis.url(0));
        Some(Self { installation: Installation::new(BINARIES, redis, ""), python })
    }

    async fn celery(&self) -> Process {
        let line = ["-m", "celery", "-A", "conformance.app", "worker", "-P", "solo", "-l", "info"];
        let command =
            self.python.command(&[&line[..], &["-Q", "theirs", "-n", "w@celery"]].concat());
        let mut celery = Process::start("celery", self.installation.folder(), command);
        celery.line("ready.", SOON).await;
        celery
    }

    fn ours(&self) -> Process {
        self.installation.start("ours", WORKER, &["-Q", "ours", "-n", "w@ours", "-c", "1"])
    }

    /// Waits until a worker hears what is broadcast: before that, a command is lost to it.
    async fn heard(&self) {
        let mut redis = self.installation.redis.connect(0).await;
        eventually(SOON, "the worker hears commands", async || {
            let mut ask = redis::cmd("PUBSUB");
            ask.arg("CHANNELS").arg("*celery.pidbox");
            let heard: Vec<String> = ask.query_async(&mut redis).await.unwrap();
            (!heard.is_empty()).then_some(())
        })
        .await;
    }

    async fn run(&self, program: &str) {
        let program = format!("from conformance.app import app\n{program}");
        let ran = run(self.python.command(&["-c", &program])).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }

    /// Revokes a task by Celery's client, and waits until the one worker there is knows it.
    async fn revoke(&self) {
        let revoke = "assert app.control.revoke('revoked', reply=True, limit=1, timeout=30)";
        self.run(revoke).await;
    }

    /// Lets the revoked task and one after it wait for a worker that is still to start.
    async fn publish(&self, queue: &str) {
        self.run(&format!(
            "for task_id in ('revoked', 'after'):\n    \
             app.send_task('conformance.add', (1, 2), task_id=task_id, queue='{queue}')"
        ))
        .await;
    }

    async fn state(&self, id: &str) -> Option<Value> {
        let mut redis = self.installation.redis.connect(0).await;
        let key = format!("celery-task-meta-{id}");
        let stored: Option<Vec<u8>> =
            redis::cmd("GET").arg(key).query_async(&mut redis).await.unwrap();
        Some(serde_json::from_slice::<Value>(&stored?).unwrap()["status"].take())
    }

    async fn only_the_other_ran(&self) {
        eventually(SOON, "the task after it has run", async || {
            (self.state("after").await? == "SUCCESS").then_some(())
        })
        .await;
        assert_eq!(self.state("revoked").await.unwrap(), "REVOKED");
    }
}

async fn our_worker_learns(python: impl FnOnce(&str) -> Option<Python>) {
    let Some(pair) = Pair::new(python).await else { return };
    let _celery = pair.celery().await;
    pair.revoke().await;
    pair.publish("ours").await;
    let ours = pair.ours();
    pair.only_the_other_ran().await;
    assert_eq!(ours.lines_with("outcome=success").len(), 1);
}

async fn a_celery_worker_learns(python: impl FnOnce(&str) -> Option<Python>) {
    let Some(pair) = Pair::new(python).await else { return };
    let _ours = pair.ours();
    pair.heard().await;
    pair.revoke().await;
    pair.publish("theirs").await;
    let celery = pair.celery().await;
    pair.only_the_other_ran().await;
    assert!(celery.lines_with("conformance.add[revoked] succeeded").is_empty());
}

#[tokio::test]
async fn our_worker_started_beside_celery_runs_nothing_that_it_knows_as_revoked() {
    our_worker_learns(Python::for_redis).await;
}

#[tokio::test]
async fn our_worker_started_beside_the_oldest_celery_runs_nothing_that_it_knows_as_revoked() {
    our_worker_learns(Python::with_oldest_celery).await;
}

#[tokio::test]
async fn celery_started_beside_our_worker_runs_nothing_that_it_knows_as_revoked() {
    a_celery_worker_learns(Python::for_redis).await;
}

#[tokio::test]
async fn the_oldest_celery_started_beside_our_worker_runs_nothing_that_it_knows_as_revoked() {
    a_celery_worker_learns(Python::with_oldest_celery).await;
}
