//! All that the demo starts, so that all of it is stopped.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rhubarb_core::clock;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::{
    board, configuration,
    error::Error,
    eventually::INTERVAL,
    process::Process,
    redis::{self, Redis},
    site::Site,
};

/// Longer than the worker's own time to drain, so that it is killed only when it hangs.
const GRACE: Duration = Duration::from_secs(30);

/// The programs that the demo starts.
#[derive(Debug)]
pub struct Programs {
    redis: PathBuf,
    worker: PathBuf,
    beat: PathBuf,
}

impl Programs {
    /// Finds Redis where `path` (as in the environment) or the packages have it, and the others
    /// beside the running program.
    ///
    /// # Errors
    /// When one is not there.
    pub fn find(path: Option<&OsStr>) -> Result<Self, Error> {
        let redis = redis::find(path).ok_or(Error::NoRedis)?;
        let own =
            std::env::current_exe().map_err(|source| Error::Start { what: "the demo", source })?;
        let sibling = |name| {
            let path = own.with_file_name(name);
            if path.is_file() { Ok(path) } else { Err(Error::NoSibling { name, path }) }
        };
        Ok(Self { redis, worker: sibling("worker")?, beat: sibling("beat")? })
    }
}

/// What was started, and where.
#[derive(Debug)]
pub struct Started {
    /// The configuration file of the worker and the beat.
    pub toml: String,
    /// The URL of Redis.
    pub redis: String,
    /// The URL of the job board.
    pub board: String,
}

/// The demo's processes and its board, in a temporary folder of its own.
///
/// Dropping it kills them; [`stop`](Self::stop) is the friendly way.
#[derive(Debug)]
pub struct Demo {
    children: Vec<Process>,
    board: Option<Site>,
    dir: TempDir,
}

impl Demo {
    /// Makes the folder; nothing runs yet.
    ///
    /// # Errors
    /// When there is no place for it.
    pub fn new() -> Result<Self, Error> {
        let dir = tempfile::Builder::new().prefix("rhubarb-demo-").tempdir();
        Ok(Self { children: Vec::new(), board: None, dir: dir.map_err(Error::Folder)? })
    }

    /// Returns the folder, which has the logs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts Redis, the board, the worker and the beat.
    ///
    /// # Errors
    /// Says which of them did not start, and why.
    ///
    /// # Cancel safety
    /// What was started until then is stopped by [`stop`](Self::stop), or killed.
    pub async fn start(&mut self, programs: &Programs) -> Result<Started, Error> {
        let failed = |what| move |source| Error::Start { what, source };
        let options = ["--save", "", "--appendonly", "no"];
        let redis = Redis::new(programs.redis.clone(), self.dir(), &options);
        let mut redis = redis.map_err(failed("redis-server"))?;
        self.children.push(redis.start(Process::start_apart).await?);
        let site = board::start(clock::now()).await.map_err(failed("the job board"))?;
        let (redis, board) = (redis.url(0), site.url());
        let text = configuration(&redis, &site.host());
        self.board = Some(site);
        std::fs::write(self.dir().join("rhubarb.toml"), &text).map_err(Error::Folder)?;
        for (name, program) in [("worker", &programs.worker), ("beat", &programs.beat)] {
            let mut command = Command::new(program);
            command.args(["--config", "rhubarb.toml"]);
            let child = Process::start_apart(name, command, self.dir()).map_err(failed(name))?;
            self.children.push(child);
        }
        Ok(Started { toml: text, redis, board })
    }

    /// Waits until a process ends by itself.
    pub async fn one_ended(&mut self) -> Error {
        loop {
            for child in &mut self.children {
                match child.exit() {
                    Ok(None) => {}
                    Ok(Some(status)) => return Error::ended(child, status),
                    Err(source) => return Error::Start { what: "the demo", source },
                }
            }
            sleep(INTERVAL).await;
        }
    }

    /// Returns the error for a process that did not come up, with the end of its log.
    pub fn not_up(&self, name: &'static str) -> Error {
        match self.children.iter().find(|child| child.name() == name) {
            Some(child) => Error::slow(child, "come up"),
            None => Error::NotUp { name },
        }
    }

    /// Stops the processes, the last one first, and the board; removes the folder.
    ///
    /// # Errors
    /// The first trouble; it goes on with the others when one makes trouble.
    pub async fn stop(mut self) -> Result<(), Error> {
        let mut trouble = None;
        while let Some(mut child) = self.children.pop() {
            let error = match child.stop(GRACE).await {
                Ok(Some(_)) => continue,
                Ok(None) => Error::slow(&child, "stop"),
                Err(source) => Error::Stop { name: child.name().to_owned(), source },
            };
            trouble.get_or_insert(error);
        }
        self.dir.close().map_err(Error::Folder)?;
        trouble.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::tests::script;

    #[tokio::test]
    async fn a_process_that_dies_is_named_with_the_end_of_its_log() {
        let mut demo = Demo::new().unwrap();
        for (name, text) in
            [("steady", "echo up; exec sleep 600"), ("frail", "echo up, and out of luck; exit 7")]
        {
            let child = script(name, text, demo.dir()).await;
            demo.children.push(child);
        }
        let told = demo.one_ended().await.to_string();
        assert!(told.starts_with("frail ended by itself (exit status: 7)"), "{told}");
        assert!(told.ends_with("out of luck"), "{told}");
        demo.stop().await.unwrap();
    }

    #[tokio::test]
    async fn processes_are_stopped_in_reverse_order_and_the_folder_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let order = dir.path().join("order");
        let mut demo = Demo::new().unwrap();
        for name in ["first", "second"] {
            let text = format!(
                "trap 'kill $!; echo {name} >>{}; exit 0' TERM; sleep 600 & echo up; wait",
                order.display()
            );
            let child = script(name, &text, demo.dir()).await;
            demo.children.push(child);
        }
        let folder = demo.dir().to_owned();
        demo.stop().await.unwrap();
        assert_eq!(std::fs::read_to_string(order).unwrap(), "second\nfirst\n");
        assert!(!folder.exists());
    }
}
