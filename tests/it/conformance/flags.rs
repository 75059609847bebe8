//! The flags of Celery's own worker and beat, as the real package lists them.

use rhubarb_e2e::{
    eventually::eventually,
    installation::{Installation, run},
    python::Python,
    redis_server::RedisServer,
};
use serde_json::Value;

use super::SOON;
use crate::BINARIES;

/// Prints the name of every flag and a value that Celery takes for it, `null` for a flag without
/// one.
const LIST: &str = r#"
import json
from celery.bin import beat, worker

VALUES = {"--autoscale": "4,2", "--scheduler": "celery.beat:PersistentScheduler", "--pool": "gevent"}

def value(param):
    if getattr(param, "is_flag", False):
        return None
    if param.opts[-1] in VALUES or param.opts[0] in VALUES:
        return VALUES.get(param.opts[-1]) or VALUES[param.opts[0]]
    if hasattr(param.type, "choices"):
        return "info" if "loglevel" in param.name else list(param.type.choices)[-1]
    return "3"

print(json.dumps({
    name: [[flag, value(param)] for param in command.params for flag in param.opts + param.secondary_opts]
    for name, command in (("worker", worker.worker), ("beat", beat.beat))
}))
"#;

async fn each_flag_is_taken_or_refused_with_a_reason(python: Option<Python>) {
    let Some(python) = python else { return };
    let flags = python.run(&["-c", LIST]).await;
    let installation = Installation::new(BINARIES, RedisServer::start().await, "");
    for (name, program) in [("worker", BINARIES.worker), ("beat", BINARIES.beat)] {
        let flags = flags[name].as_array().unwrap();
        assert!(flags.len() >= 15, "{name}: {flags:?}");
        for pair in flags {
            let flag = pair[0].as_str().unwrap();
            let args: Vec<&str> = [Some(flag), pair[1].as_str()].into_iter().flatten().collect();
            let ran =
                run(installation.command(program, &[&args, &["--print-config"][..]].concat()));
            let ran = ran.await;
            let is_refused = ran.code == 2 && ran.stderr.contains(" is refused: ");
            assert!(ran.code == 0 || is_refused, "{name} {args:?}: {}", ran.stderr);
        }
    }
}

#[tokio::test]
async fn every_flag_of_celerys_worker_and_beat_is_taken_or_refused_with_a_reason() {
    let redis = "redis://localhost";
    each_flag_is_taken_or_refused_with_a_reason(Python::for_redis(redis)).await;
    each_flag_is_taken_or_refused_with_a_reason(Python::with_oldest_celery(redis)).await;
}

#[tokio::test]
async fn a_flag_of_celerys_that_changes_nothing_is_one_warning_and_the_worker_works() {
    let installation = Installation::new(BINARIES, RedisServer::start().await, "");
    let flags = "--without-gossip --without-mingle -O fair -P gevent -c 2 -Q a,b -X b -n %n-1@%h";
    let mut worker = installation.worker(&flags.split(' ').collect::<Vec<_>>());
    let ready = worker.line("worker ready", SOON).await;
    assert!(ready.contains("queues=a "), "{ready}");
    let workers: Value = eventually(SOON, "the worker is registered", async || {
        let ran = installation.rhubarb(&["workers", "--json"]).await;
        Some(ran.json()).filter(|workers| workers.as_array().is_some_and(|all| !all.is_empty()))
    })
    .await;
    let node = workers[0]["node"].as_str().unwrap();
    let (name, host) = node.split_once('@').unwrap();
    assert_eq!(name, format!("{}-1", host.split('.').next().unwrap()));
    for flag in ["--without-gossip changes", "--optimization changes", "--pool changes"] {
        assert_eq!(worker.lines_with(flag).len(), 1, "{}", worker.stdout());
    }
}
