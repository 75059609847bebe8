//! Unmodified Python tasks, run by a worker of ours in Python processes: what Celery's worker gives
//! them they have here too, and what kills a process costs its own task only.

mod calls;
mod deaths;

use std::{path::PathBuf, time::Duration};

use rhubarb_connection::Connections;
use rhubarb_e2e::{
    eventually::eventually, file, installation::Installation, process::Process, python::Python,
    redis_server::RedisServer,
};
use rhubarb_queue::{Client, Config};
use rhubarb_wire::TaskResult;
use serde_json::{Value, json};

use crate::BINARIES;

/// How long anything may take that is not itself a matter of time; it only delays failures.
const SOON: Duration = Duration::from_secs(60);

/// An installation whose worker runs the tasks of `interop/pool`.
struct Pool {
    installation: Installation,
    python: Python,
}

impl Pool {
    /// Sets one up with more lines in `[python]`; `None` where no Python was prepared.
    async fn new(python: fn(&str) -> Option<Python>, more: &str) -> Option<Self> {
        let redis = RedisServer::start().await;
        let mut python = python(&redis.url(0))?;
        let program = python.program().display().to_string();
        let section = format!("[python]\ninterpreter = \"{program}\"\nprocesses = 4\n{more}\n");
        let mut installation = Installation::new(BINARIES, redis, &section);
        let notes = installation.folder().join("notes").display().to_string();
        std::fs::write(&notes, "").expect("the folder is writable");
        python.set("NOTES", &notes);
        let url = installation.redis.url(0);
        installation.set("NOTES", &notes);
        installation.set("REDIS", url.trim_end_matches("/0"));
        installation.set("PYTHONPATH", &file("interop").display().to_string());
        installation.set("PYTHONDONTWRITEBYTECODE", "1");
        Some(Self { installation, python })
    }

    /// Starts a worker, and waits until it works.
    async fn worker(&self) -> Process {
        self.worker_with(&[]).await
    }

    async fn worker_with(&self, args: &[&str]) -> Process {
        let args = [&["--python", "pool.app:app"][..], args].concat();
        let mut worker = self.installation.worker(&args);
        worker.line("worker ready", SOON).await;
        worker
    }

    /// Calls tasks, each a name, arguments and options, and returns how they ended.
    async fn calls(&self, calls: Value) -> Vec<Value> {
        let calls = calls.to_string();
        let ends = self.python.run(&["-m", "pool.call", &calls]).await;
        ends.as_array().expect("a list of ends").clone()
    }

    /// Calls one task and returns how it ended.
    async fn call(&self, name: &str, args: Value) -> Value {
        self.call_with(name, args, json!({})).await
    }

    async fn call_with(&self, name: &str, args: Value, options: Value) -> Value {
        self.calls(json!([[name, args, options]])).await.remove(0)
    }

    /// Publishes a task and waits for nothing.
    async fn publish(&self, name: &str, args: Value) -> String {
        let args = args.to_string();
        let ran = self.installation.rhubarb(&["enqueue", name, "--args", &args, "--json"]).await;
        ran.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until a task is in a state, and returns what is stored of it.
    async fn result(&self, id: &str, state: &str) -> TaskResult {
        let mut config = Config::default();
        config.redis.url = self.installation.redis.url(0).parse().expect("our own URL");
        let connections = Connections::new(&config.redis, "e2e").expect("our own URL is fit");
        let client = Client::new(&connections, &config);
        let what = format!("{id} is {state}");
        eventually(SOON, &what, async || {
            let result = client.result(id).await.expect("Redis answers")?;
            (result.status.as_str() == state).then_some(result)
        })
        .await
    }

    /// A path in the installation's folder.
    fn path(&self, name: &str) -> PathBuf {
        self.installation.folder().join(name)
    }

    fn text_of(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// What tasks and signals have noted.
    fn notes(&self) -> Vec<String> {
        lines(&self.path("notes"))
    }

    async fn noted(&self, line: &str) {
        let what = format!("`{line}` is noted");
        eventually(SOON, &what, async || self.notes().iter().any(|it| it == line).then_some(()))
            .await;
    }
}

fn lines(path: &std::path::Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}
