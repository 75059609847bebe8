//! The suite of `interop/conformance`: the same cases run by a Celery worker and by ours, compared.

use std::path::{Path, PathBuf};

use rhubarb_e2e::{file, python::Python};

use super::WORKER;
use crate::BINARIES;

/// How many random canvases; more are drawn with `RHUBARB_TEST_CANVASES`.
const CANVASES: &str = "40";
const SEED: &str = "1";
/// Fewer of them where the tasks are in Python: the canvas code is Celery's own there.
const PYTHON_CANVASES: &str = "10";

#[test]
fn the_conformance_suite_sees_no_difference_that_is_not_meant() {
    let Some(python) = Python::for_redis("") else { return };
    let worker = format!("{WORKER} -Q {{queues}} -n {{node}} -c {{concurrency}}");
    let tracking = format!("env RHUBARB_CELERY_TASK_TRACK_STARTED=true {worker}");
    let extended = format!("env RHUBARB_CELERY_RESULT_EXTENDED=true {tracking}");
    let (canvases, seed) = (setting("RHUBARB_TEST_CANVASES"), setting("RHUBARB_TEST_SEED"));
    let page = file("../docs/celery.md").display().to_string();
    let mut args = vec!["-m", "conformance", "run", "--worker", &tracking, "--extended", &extended];
    args.extend(["--random", canvases.as_deref().unwrap_or(CANVASES)]);
    args.extend(["--seed", seed.as_deref().unwrap_or(SEED)]);
    let older = setting("RHUBARB_TEST_PYTHON_OLD");
    match &older {
        Some(older) => args.extend(["--older", older]),
        None => {
            eprintln!("LEFT OUT: RHUBARB_TEST_PYTHON_OLD is not set: no older Celery, no table")
        }
    }
    // Other canvases may need other notes.
    if older.is_some() && canvases.is_none() && seed.is_none() {
        args.extend(["--table", &page]);
    }
    let logs = logs();
    let shown = logs.display().to_string();
    args.extend(["--logs", &shown]);

    run(&python, &args, &logs);
}

/// The same cases with their tasks as they are in Python, run by our worker's processes.
#[test]
fn unmodified_python_tasks_see_no_difference_between_celerys_worker_and_ours() {
    let Some(python) = Python::for_redis("") else { return };
    let interpreter = python.program().display();
    let worker = format!(
        "env PYTHONDONTWRITEBYTECODE=1 RHUBARB_PYTHON_INTERPRETER={interpreter} \
         RHUBARB_CELERY_TASK_TRACK_STARTED=true {} --python conformance.app:app \
         -Q {{queues}} -n {{node}} -c {{concurrency}}",
        BINARIES.worker
    );
    let extended = format!("env CONFORMANCE_EXTENDED=1 {worker}");
    let seed = setting("RHUBARB_TEST_SEED");
    let mut args = vec!["-m", "conformance", "run", "--python-tasks", "--worker", &worker];
    args.extend(["--extended", &extended, "--random", PYTHON_CANVASES]);
    args.extend(["--seed", seed.as_deref().unwrap_or(SEED)]);
    let logs = logs();
    let shown = logs.display().to_string();
    args.extend(["--logs", &shown]);

    run(&python, &args, &logs);
}

/// Runs the suite; what it left stays where it fails.
fn run(python: &Python, args: &[&str], logs: &Path) {
    let output = python.command(args).output().expect("Python runs");
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{stdout}");
    let shown = logs.display();
    assert!(output.status.success(), "{stdout}{stderr}\nrecordings and logs: {shown}");
    std::fs::remove_dir_all(logs).expect("our own folder");
}

#[test]
fn the_judgement_of_the_conformance_suite_holds() {
    let Some(python) = Python::for_redis("") else { return };
    let output = python.command(&["-m", "conformance.selftest"]).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn setting(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a setting of the harness, not of the product")]
    std::env::var(name).ok()
}

/// A folder that stays where the test fails.
fn logs() -> PathBuf {
    tempfile::Builder::new()
        .prefix("conformance-")
        .tempdir()
        .expect("there is a folder for temporary files")
        .keep()
}
