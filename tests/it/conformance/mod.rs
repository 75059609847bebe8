//! Whether Celery's clients and tools can tell our worker from Celery's: the suite of
//! `interop/conformance`, and the tools against our worker alone and in a fleet with a Celery
//! worker.

/// The suite itself.
mod differential;
/// What becomes of the flags of Celery's processes.
mod flags;
/// A page or an answer of a web server.
mod http;
/// What a worker that starts learns of revoked tasks.
mod mingle;
/// `celery status`, `inspect`, `control` and `events`; Flower.
mod tools;

use std::{process::Command, time::Duration};

use rhubarb_e2e::{
    eventually::eventually,
    installation::{Installation, Ran, run},
    process::Process,
    python::Python,
    redis_server::RedisServer,
};
use serde_json::Value;

use crate::BINARIES;

/// The worker with the suite's tasks (`tests/conformance_worker`).
const WORKER: &str = env!("CARGO_BIN_EXE_e2e-conformance-worker");

/// How long anything may take that is not itself a matter of time.
const SOON: Duration = Duration::from_secs(40);

/// Our worker, `ours@host`, and in a mixed fleet a Celery worker, `celery@host`, on the same queue.
#[derive(Debug)]
struct Fleet {
    python: Python,
    installation: Installation,
    ours: Process,
    celery: Option<Process>,
}

impl Fleet {
    /// Starts a fleet and waits until all of it answers; `None` where no Python was prepared.
    async fn start(is_mixed: bool) -> Option<Self> {
        let redis = RedisServer::start().await;
        let python = Python::for_redis(&redis.url(0))?;
        let installation = Installation::new(BINARIES, redis, "");
        let ours = installation.start("ours", WORKER, &["-n", "ours@host", "-c", "4"]);
        let mut fleet = Self { python, installation, ours, celery: None };
        if is_mixed {
            let args = ["worker", "-P", "prefork", "-c", "2", "-n", "celery@host", "-l", "info"];
            let logs = fleet.installation.folder();
            fleet.celery = Some(Process::start("celery", logs, fleet.celery_command(&args)));
        }
        let names = fleet.names();
        eventually(SOON, "the fleet answers", async || {
            let answers = fleet.ask(&["inspect", "ping", "--json"]).await;
            let answers: Value = serde_json::from_str(&answers.stdout).ok()?;
            (answers.as_object()?.len() == names.len()).then_some(())
        })
        .await;
        Some(fleet)
    }

    /// The node names.
    fn names(&self) -> Vec<&'static str> {
        let celery = self.celery.as_ref().map(|_| "celery@host");
        ["ours@host"].into_iter().chain(celery).collect()
    }

    fn celery_command(&self, args: &[&str]) -> Command {
        let args = [&["-m", "celery", "-A", "conformance.app"], args].concat();
        self.with_redis(self.python.command(&args))
    }

    fn with_redis(&self, mut command: Command) -> Command {
        command.env("CONFORMANCE_REDIS", self.installation.redis.url(0));
        command
    }

    /// Runs a command of Celery's command line to its end.
    async fn celery(&self, args: &[&str]) -> Ran {
        run(self.celery_command(args)).await
    }

    /// Runs a command of Celery's command line that asks every node by its name: it ends with the
    /// last answer.
    async fn ask(&self, args: &[&str]) -> Ran {
        let names = self.names().join(",");
        self.celery(&[args, &["--timeout", "20", "--destination", &names]].concat()).await
    }

    /// Runs `celery inspect …` and returns what our worker answers; every node of the fleet has to
    /// answer.
    async fn inspect(&self, args: &[&str]) -> Value {
        let ran = self.ask(&[&["inspect"], args, &["--json"]].concat()).await;
        let mut answers = ran.json();
        let mut names: Vec<&String> = answers.as_object().unwrap().keys().collect();
        names.sort_unstable_by(|one, other| other.cmp(one));
        assert_eq!(names, self.names(), "{answers:#}");
        answers["ours@host"].take()
    }

    /// Publishes a task by Celery's client and returns its id.
    async fn publish(&self, task: &str, args: &Value, options: &Value) -> String {
        let program = format!(
            "from conformance.app import app; import json; \
             print(app.send_task('conformance.{task}', json.loads('{args}'), **json.loads('{options}')).id)"
        );
        let ran = run(self.with_redis(self.python.command(&["-c", &program]))).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout.trim().to_owned()
    }

    /// Waits until a task has this state, as Celery's client sees it.
    async fn state(&self, id: &str, state: &str) {
        let what = format!("task {id} is {state}");
        eventually(SOON, &what, async || {
            let ran = self.celery(&["result", id]).await;
            // `celery result` waits for the end and raises what the task raised.
            let seen = if ran.code == 0 { "SUCCESS" } else { ran.stderr.lines().last()? };
            seen.contains(state).then_some(())
        })
        .await;
    }
}
