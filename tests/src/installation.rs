//! An installation as an operator has it: a Redis, a configuration file, and the three binaries.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::{
    process::{Process, clean_command},
    redis_server::RedisServer,
};

/// Where our binaries are; a test binary learns it from Cargo (`env!("CARGO_BIN_EXE_…")`).
#[derive(Clone, Copy, Debug)]
pub struct Binaries {
    /// The worker.
    pub worker: &'static str,
    /// The beat.
    pub beat: &'static str,
    /// The command line.
    pub rhubarb: &'static str,
}

/// What a command that ran to its end left.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Ran {
    /// Returns the JSON that a `--json` command printed.
    ///
    /// # Panics
    /// When it failed or printed something else.
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.stdout))
    }
}

/// A Redis, a configuration and our binaries; all of it is gone when this is dropped.
///
/// A failed test keeps the folder with the configuration and everybody's output, and says where it
/// is.
#[derive(Debug)]
pub struct Installation {
    /// The Redis that all of it uses.
    pub redis: RedisServer,
    binaries: Binaries,
    dir: TempDir,
    environment: Vec<(String, String)>,
    started: AtomicU32,
}

impl Installation {
    /// Sets one up with this configuration file, and starts nothing but Redis.
    ///
    /// # Panics
    /// When there is no place for temporary files.
    pub fn new(binaries: Binaries, redis: RedisServer, configuration: &str) -> Self {
        let dir = tempfile::tempdir().expect("there is a folder for temporary files");
        fs::write(dir.path().join("rhubarb.toml"), configuration).expect("it is writable");
        Self { redis, binaries, dir, environment: Vec::new(), started: AtomicU32::new(1) }
    }

    /// Returns the folder of the configuration file and the logs.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the configuration file's path.
    pub fn configuration(&self) -> PathBuf {
        self.folder().join("rhubarb.toml")
    }

    /// Sets an environment variable for all programs started from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Starts a worker.
    pub fn worker(&self, args: &[&str]) -> Process {
        self.start("worker", self.binaries.worker, args)
    }

    /// Starts a beat.
    pub fn beat(&self, args: &[&str]) -> Process {
        self.start("beat", self.binaries.beat, args)
    }

    /// Starts the command line, for commands that go on or are stopped.
    pub fn rhubarb_started(&self, args: &[&str]) -> Process {
        self.start("rhubarb", self.binaries.rhubarb, args)
    }

    /// Runs a command of the command line to its end.
    pub async fn rhubarb(&self, args: &[&str]) -> Ran {
        run(self.command(self.binaries.rhubarb, args)).await
    }

    /// Starts another program with this installation's configuration (an own worker, say).
    pub fn start(&self, name: &str, program: &str, args: &[&str]) -> Process {
        let n = self.started.fetch_add(1, Ordering::Relaxed);
        Process::start(&format!("{n}-{name}"), self.folder(), self.command(program, args))
    }

    /// Returns the command that starts a program with this installation's configuration.
    pub fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = clean_command(program);
        command.current_dir(self.folder()).args(args);
        command.env("RHUBARB_CONFIG", self.configuration()).env("REDIS_URL", self.redis.url(0));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// How long a command that ends by itself may take; the longest of them wait for a task.
const COMMAND: Duration = Duration::from_secs(70);

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started, or goes on for longer than any command should.
pub async fn run(command: Command) -> Ran {
    let shown = format!("{command:?}");
    let mut command = tokio::process::Command::from(command);
    command.stdin(std::process::Stdio::null()).kill_on_drop(true);
    let output = timeout(COMMAND, command.output())
        .await
        .unwrap_or_else(|_| panic!("still running after {COMMAND:?}: {shown}"))
        .unwrap_or_else(|e| panic!("cannot run {shown}: {e}"));
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.dir.disable_cleanup(true);
            eprintln!("kept for a look: {}", self.dir.path().display());
        }
    }
}
