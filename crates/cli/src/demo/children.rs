//! The demo's processes: started apart from the terminal, stopped by their process ids.

use std::{
    io::{self, SeekFrom},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
    process::{Child as Process, Command},
    time::timeout,
};

/// How much of a log is shown when its process went wrong.
const TAIL_BYTES: u64 = 4_096;
const TAIL_LINES: usize = 15;

/// A process of the demo, whose output goes to a file.
///
/// Dropping it kills the process; [`Child::stop`] is the friendly way.
#[derive(Debug)]
pub(crate) struct Child {
    name: &'static str,
    process: Process,
    log: PathBuf,
}

impl Child {
    /// Starts `program` with an empty environment in `dir`, its output in `dir/NAME.log`.
    ///
    /// The environment is empty because the person's `REDIS_URL` would win over the demo's configuration.
    /// The process leads a group of its own, so that the terminal's Ctrl-C reaches the demo alone, which
    /// then stops its children in order.
    pub(crate) fn start(
        name: &'static str,
        program: &Path,
        args: &[&str],
        dir: &Path,
    ) -> io::Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let out = std::fs::File::create(&log)?;
        let process = Command::new(program)
            .args(args)
            .current_dir(dir)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { name, process, log })
    }

    /// Returns what the process is called in messages.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Waits until the process ends by itself.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.process.wait().await
    }

    /// Asks the process to end, and kills it when it has not ended after `grace`.
    ///
    /// Returns the exit status, or nothing when it had to be killed.
    pub(crate) async fn stop(&mut self, grace: Duration) -> io::Result<Option<ExitStatus>> {
        // The id is gone once the process was waited for, so the signal cannot hit a stranger.
        let pid = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM)?;
        }
        if let Ok(ended) = timeout(grace, self.process.wait()).await {
            return ended.map(Some);
        }
        self.process.kill().await?;
        Ok(None)
    }

    /// Returns the last lines of the process's log.
    pub(crate) async fn tail(&self) -> io::Result<String> {
        let mut file = File::open(&self.log).await?;
        let length = file.metadata().await?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES))).await?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes).await?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, dir: &Path) -> Child {
        Child::start("shell", Path::new("/bin/sh"), &["-c", script], dir).unwrap()
    }

    async fn logged(child: &Child, wanted: &str) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while !child.tail().await.unwrap().contains(wanted) {
            assert!(tokio::time::Instant::now() < deadline, "`{wanted}` was never logged");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_child_is_asked_to_end_and_its_log_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let script = "trap 'kill $!; echo bye; exit 3' TERM; sleep 600 & echo up; wait";
        let mut child = shell(script, dir.path());
        logged(&child, "up").await;
        let status = child.stop(Duration::from_secs(10)).await.unwrap();
        assert_eq!(status.and_then(|status| status.code()), Some(3));
        assert_eq!(child.tail().await.unwrap(), "up\nbye");
        assert!(child.stop(Duration::ZERO).await.unwrap().is_some(), "stopping twice is fine");
    }

    #[tokio::test]
    async fn a_child_that_ignores_the_request_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = shell("trap '' TERM; echo up; exec sleep 600", dir.path());
        logged(&child, "up").await;
        assert_eq!(child.stop(Duration::from_millis(100)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_child_sees_nothing_of_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = shell("echo \"home=$HOME\"", dir.path());
        assert!(child.ended().await.unwrap().success());
        assert_eq!(child.tail().await.unwrap(), "home=");
    }
}
