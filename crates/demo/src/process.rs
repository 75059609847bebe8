//! A program that runs beside us: watched, signalled by its process id, gone when it is dropped.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use crate::eventually::eventually;

/// How much of a log is read for its last lines, at the most.
const TAIL_BYTES: u64 = 16_384;
/// How many lines of it a person is shown.
const TAIL_LINES: usize = 15;

/// A program whose output goes to files; killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    /// Its end was noticed: its id may be another's.
    gone: bool,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts a command; its output goes to `NAME.stdout` and `NAME.stderr` in the folder.
    ///
    /// # Errors
    /// When the system cannot start it, or the folder is not writable.
    pub fn start(name: &str, command: Command, dir: &Path) -> io::Result<Self> {
        let log = |stream: &str| dir.join(format!("{name}.{stream}"));
        Self::with_logs(name, command, log("stdout"), log("stderr"))
    }

    /// Starts a command in a folder, apart from all around us; its output goes to `NAME.log` there.
    ///
    /// It has an empty environment: a person's `REDIS_URL` would win over a configuration file. It
    /// leads a group of its own: a terminal's Ctrl-C reaches us alone, and we stop it in order.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_apart(name: &str, mut command: Command, dir: &Path) -> io::Result<Self> {
        command.current_dir(dir).env_clear().process_group(0);
        let log = dir.join(format!("{name}.log"));
        Self::with_logs(name, command, log.clone(), log)
    }

    fn with_logs(
        name: &str,
        mut command: Command,
        stdout: PathBuf,
        stderr: PathBuf,
    ) -> io::Result<Self> {
        for log in [&stdout, &stderr] {
            File::create(log)?;
        }
        let append = |log: &Path| File::options().append(true).open(log);
        command.stdin(Stdio::null()).stdout(append(&stdout)?).stderr(append(&stderr)?);
        let child = command.spawn()?;
        Ok(Self { name: name.to_owned(), child, gone: false, stdout, stderr })
    }

    /// Returns what it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns how it ended, if it has.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn exit(&mut self) -> io::Result<Option<ExitStatus>> {
        let exit = self.child.try_wait()?;
        self.gone |= exit.is_some();
        Ok(exit)
    }

    /// Waits until it has ended and returns how; `None` when it is still there after that time.
    ///
    /// # Errors
    /// When the system does not tell.
    pub async fn ended(&mut self, within: Duration) -> io::Result<Option<ExitStatus>> {
        eventually(within, async || self.exit().transpose()).await.transpose()
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it is gone, or the system refuses.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.gone {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Asks it to end, and kills it when it has not after `grace`; `None` when it had to be killed.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn stop(&mut self, grace: Duration) -> io::Result<Option<ExitStatus>> {
        if let Some(exit) = self.exit()? {
            return Ok(Some(exit));
        }
        self.signal(Signal::TERM)?;
        let ended = self.ended(grace).await?;
        if ended.is_none() {
            self.kill();
        }
        Ok(ended)
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) {
        // It may have ended by itself; then there is nothing to kill, which is what was wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.gone = true;
    }

    /// Returns what it has written to its standard output so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// Returns what it has written to its standard error so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Returns the last lines that it has written to its standard output, or why not.
    pub fn tail(&self) -> String {
        tail(&self.stdout, TAIL_LINES).unwrap_or_else(|error| format!("(no log: {error})"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

fn tail(path: &Path, n_lines: usize) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(n_lines)..].join("\n"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Starts a shell script apart, and waits until it has written `up`.
    pub(crate) async fn script(name: &str, script: &str, dir: &Path) -> Process {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script]);
        let process = Process::start_apart(name, shell, dir).unwrap();
        let up = async || process.tail().contains("up").then_some(());
        eventually(Duration::from_secs(10), up).await.expect("it comes up");
        process
    }

    #[tokio::test]
    async fn a_process_is_asked_to_end_and_its_log_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let asked = "trap 'kill $!; echo bye; exit 3' TERM; sleep 600 & echo up; wait";
        let mut process = script("asked", asked, dir.path()).await;
        let status = process.stop(Duration::from_secs(10)).await.unwrap();
        assert_eq!(status.and_then(|status| status.code()), Some(3));
        assert_eq!(process.tail(), "up\nbye");
        assert!(process.stop(Duration::ZERO).await.unwrap().is_some(), "stopping twice is fine");
    }

    #[tokio::test]
    async fn a_process_that_ignores_the_request_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let deaf = "trap '' TERM; echo up; exec sleep 600";
        let mut process = script("deaf", deaf, dir.path()).await;
        assert_eq!(process.stop(Duration::from_millis(100)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_process_apart_sees_nothing_of_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let process = script("alone", "echo \"home=$HOME up\"", dir.path()).await;
        assert_eq!(process.tail(), "home= up");
    }
}
