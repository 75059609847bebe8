//! A program that runs while a test does: started, watched, signalled, and gone when the test is over.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use crate::eventually::eventually;

/// A running program whose output goes to two files; killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// Returns a command with nothing of our own environment but what programs need to be found at all.
///
/// Tests have to run alike wherever they run: a `REDIS_URL` or `RUST_LOG` of the person who runs them must not count.
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
    pub fn start(name: &str, logs: &Path, mut command: Command) -> Self {
        let stdout = logs.join(format!("{name}.stdout"));
        let stderr = logs.join(format!("{name}.stderr"));
        let create = |path: &Path| File::create(path).expect("the test's own folder is writable");
        command.stdin(Stdio::null()).stdout(create(&stdout)).stderr(create(&stderr));
        let child =
            command.spawn().unwrap_or_else(|e| panic!("cannot start {name}: {e}: {command:?}"));
        Self { name: name.to_owned(), child, stdout, stderr }
    }

    /// Returns its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When there is no such process any more.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap_or_else(|e| panic!("cannot signal {}: {e}", self.name));
    }

    /// Waits until it has ended by itself (or by a signal) and returns how.
    ///
    /// # Panics
    /// When it is still there at the deadline.
    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        let (what, child) = (format!("{} ends", self.name), &mut self.child);
        eventually(within, &what, async || child.try_wait().expect("a child can be waited for"))
            .await
    }

    /// Tells whether it is still running.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) {
        // It may have ended by itself; then there is nothing to kill, which is what was wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Returns what it has written to its standard output so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// Returns what it has written to its standard error so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Waits for a whole line that contains `text`, on either stream, and returns it.
    ///
    /// # Panics
    /// When none has come by the deadline, or the process ended without writing it.
    pub async fn line(&mut self, text: &str, within: Duration) -> String {
        let what = format!("{} writes a line with `{text}`", self.name);
        eventually(within, &what, async || {
            let ended = !self.is_running();
            let found = self.lines_with(text).into_iter().next();
            assert!(found.is_some() || !ended, "{} ended without a line with `{text}`", self.name);
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

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            for (stream, text) in [("stdout", self.stdout()), ("stderr", self.stderr())] {
                eprintln!("--- {} of {}, its end:\n{}", stream, self.name, end(&text, 60));
            }
        }
    }
}

fn end(text: &str, n_lines: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(n_lines)..].join("\n")
}
