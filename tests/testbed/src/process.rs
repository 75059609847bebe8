//! A program that runs while a test does: as `rhubarb_demo` runs it, with a panic for what goes
//! wrong.

use std::{
    ffi::{OsStr, OsString},
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use rhubarb_demo::process;
pub use rhubarb_demo::process::Signal;

use crate::eventually::eventually;

/// A running program whose output goes to two files; killed when it is dropped.
#[derive(Debug)]
pub struct Process(process::Process);

impl Deref for Process {
    type Target = process::Process;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Process {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// Returns a command with nothing of our own environment but what programs need to be found at all.
///
/// Tests have to run alike wherever they run: a `REDIS_URL` or `RUST_LOG` of the person who runs
/// them must not count.
pub fn clean_command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for name in ["HOME", "TMPDIR", "LANG", "LC_ALL", CHOSEN_REDIS] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("PATH", path());
    command
}

/// The variable that chooses the Redis server of all tests.
const CHOSEN_REDIS: &str = "RHUBARB_TEST_REDIS";

/// Returns the Redis server that was chosen, if one was.
pub(crate) fn chosen_redis() -> Option<OsString> {
    std::env::var_os(CHOSEN_REDIS).filter(|program| !program.is_empty())
}

/// The chosen server's folder comes first, for programs that look for `redis-server` themselves.
fn path() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let chosen = chosen_redis().map(PathBuf::from);
    let folder = chosen.as_deref().and_then(Path::parent).map(Path::to_owned);
    let folders = folder.into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(folders).unwrap_or(path)
}

impl Process {
    /// Starts the command; its output goes to files named after `name` in the folder `logs`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(name: &str, logs: &Path, command: Command) -> Self {
        let process = process::Process::start(name, command, logs);
        Self(process.unwrap_or_else(|e| panic!("cannot start {name}: {e}")))
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When there is no such process any more.
    pub fn signal(&self, signal: Signal) {
        let sent = self.0.signal(signal);
        sent.unwrap_or_else(|e| panic!("cannot signal {}: {e}", self.name()));
    }

    /// Waits until it has ended by itself (or by a signal) and returns how.
    ///
    /// # Panics
    /// When it is still there at the deadline.
    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        let ended = self.0.ended(within).await.expect("a child can be waited for");
        ended.unwrap_or_else(|| panic!("not within {within:?}: {} ends", self.name()))
    }

    /// Tells whether it is still running.
    pub fn is_running(&mut self) -> bool {
        self.exit().expect("a child can be waited for").is_none()
    }

    /// Waits for a whole line that contains `text`, on either stream, and returns it.
    ///
    /// # Panics
    /// When none has come by the deadline, or the process ended without writing it.
    pub async fn line(&mut self, text: &str, within: Duration) -> String {
        let what = format!("{} writes a line with `{text}`", self.name());
        eventually(within, &what, async || {
            let ended = !self.is_running();
            let found = self.lines_with(text).into_iter().next();
            assert!(
                found.is_some() || !ended,
                "{} ended without a line with `{text}`",
                self.name()
            );
            found
        })
        .await
    }

    /// Returns all whole lines so far, of both streams, that contain `text`.
    pub fn lines_with(&self, text: &str) -> Vec<String> {
        [self.stderr(), self.stdout()]
            .iter()
            .flat_map(|output| output.split_inclusive('\n'))
            .filter(|line| line.ends_with('\n') && line.contains(text))
            .map(|line| line.trim_end().to_owned())
            .collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            for (stream, text) in [("stdout", self.stdout()), ("stderr", self.stderr())] {
                let lines: Vec<&str> = text.lines().collect();
                let end = lines[lines.len().saturating_sub(60)..].join("\n");
                eprintln!("--- {stream} of {}, its end:\n{end}", self.name());
            }
        }
    }
}
