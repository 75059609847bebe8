//! `docs/django.md`, step by step: from the example project to a result and a page.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use rhubarb_e2e::{
    file,
    installation::run,
    process::{Process, clean_command},
    python::Python,
    redis_server::{RedisServer, free_port},
};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    BINARIES,
    probes::{address_in, until},
    shop::SOON,
};

/// Steps that the tests' own build and environment stand for.
const PREPARED: [&str; 6] =
    ["cargo build", "export PATH", "cd deploy", "python3 -m venv", ". .venv", "pip install"];
/// Steps that go on until they are stopped.
const SERVING: [&str; 4] = ["python manage.py runserver", "worker", "beat", "rhubarb web"];

/// A copy of the example, and what a person has in the terminals beside it.
struct Guide {
    redis: RedisServer,
    python: Python,
    folder: TempDir,
    port: u16,
}

impl Guide {
    /// `None` where no Python was prepared.
    async fn new() -> Option<Self> {
        let redis = RedisServer::start().await;
        let python = Python::for_redis(&redis.url(0))?;
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        copy(&file("../deploy/example-django"), &folder.path().join("project"));
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        for (name, program) in
            [("worker", BINARIES.worker), ("beat", BINARIES.beat), ("rhubarb", BINARIES.rhubarb)]
        {
            symlink(program, bin.join(name)).unwrap();
        }
        let guide = Self { redis, python, folder, port };
        // The port of a test's own.
        let settings = guide.project().join("rhubarb.toml");
        let text = fs::read_to_string(&settings).unwrap();
        fs::write(&settings, text.replace(":8000", &format!(":{port}"))).unwrap();
        Some(guide)
    }

    fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    fn site(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the command that types a step.
    fn typed(&self, step: &str) -> Command {
        let python = self.python.command(&[]);
        let python = Path::new(python.get_program()).parent().unwrap().display().to_string();
        let bin = self.folder.path().join("bin").display().to_string();
        let mut command = clean_command("sh");
        let line = format!("PATH={bin}:{python}:$PATH; {step}");
        command.args(["-c", &line]).current_dir(self.project());
        command.env("REDIS_URL", self.redis.url(0).trim_end_matches("/0"));
        command.env("PYTHONPATH", file("../deploy/django")).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("DJANGO_SUPERUSER_PASSWORD", "change-me").env("RHUBARB_WEB_PORT", "0");
        command
    }

    /// Starts what a step starts, and waits until it serves.
    async fn serve(&self, step: &str) -> Process {
        let exact = match step {
            "python manage.py runserver" => format!("exec {step} {} --noreload", self.site()),
            _ => format!("exec {step}"),
        };
        let name = step.replace([' ', '.'], "-");
        let mut process = Process::start(&name, self.folder.path(), self.typed(&exact));
        match step {
            "worker" => _ = process.line("worker ready", SOON).await,
            "beat" => _ = process.line("leads", SOON).await,
            "rhubarb web" => {
                let address = address_in(&mut process, "dashboard ready", "http://").await;
                until(&address, "/health/ready", 200).await;
            }
            _ => _ = until(&self.site(), "/board.json", 200).await,
        }
        process
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

/// Returns what the page says to type, in its order; a quoted text may go over several lines.
fn steps(page: &str) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    for block in page.split("```sh\n").skip(1) {
        let (block, _) = block.split_once("```").unwrap();
        let mut open = false;
        for line in block.lines() {
            match steps.last_mut() {
                Some(step) if open => *step = format!("{step}\n{line}"),
                _ => steps.push(line.to_owned()),
            }
            open ^= !line.matches('"').count().is_multiple_of(2);
        }
    }
    steps
}

#[tokio::test]
async fn the_guides_steps_lead_to_a_result_and_a_page() {
    let Some(guide) = Guide::new().await else { return };
    let page = fs::read_to_string(file("../docs/django.md")).unwrap();
    let (mut serving, mut said, mut prepared) = (Vec::new(), String::new(), 0);
    for step in steps(&page) {
        if PREPARED.iter().any(|one| step.starts_with(one)) {
            prepared += 1;
        } else if SERVING.contains(&&*step) {
            serving.push(guide.serve(&step).await);
        } else {
            let ran = run(guide.typed(&step)).await;
            assert_eq!(ran.code, 0, "{step}: {}{}", ran.stdout, ran.stderr);
            said = said + &step + "\n" + &ran.stdout;
        }
    }
    assert_eq!((prepared, serving.len()), (PREPARED.len(), SERVING.len()), "of {page}");
    for part in ["'status': 'success'", "Senior Python developer (remote)", "READY", "SUCCESS"] {
        assert!(said.contains(part), "no {part} in {said}");
    }

    let site = format!("http://{}", guide.site());
    let seen = guide.python.run(&["visit.py", &site, "rust engineer"]).await;
    assert_eq!(seen["task"]["state"], "SUCCESS", "{seen:#}");
    assert_eq!(seen["titles"], json!(["Rust engineer"]), "{seen:#}");
    // The first page, the one after the form, and the last one: its session is kept.
    assert_eq!(seen["visits"], 3, "{seen:#}");
    let sessions = run(guide.typed("rhubarb sessions count --json")).await;
    assert_eq!(sessions.code, 0, "{}", sessions.stderr);
    assert!(sessions.stdout.contains('1'), "{}", sessions.stdout);
    assert!(serving.iter_mut().all(Process::is_running));
}
