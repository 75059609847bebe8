//! Everything at once on this machine: Redis, a job board, a worker and a beat.
//!
//! Whatever ends the demo (time, Ctrl-C, SIGTERM, a child that dies, an error), the children are stopped by
//! their process ids in reverse order and the temporary folder is removed. A panic drops them, which kills.

mod board;
mod children;
mod error;
mod family;
mod follow;
mod openings;
mod pages;
mod redis;
mod report;
mod setup;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rhubarb_core::config::Config;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) use error::DemoError;

use self::{board::Board, children::Child, family::Family, follow::Seen};
use crate::output;

/// The demo counts as shown when listings came from this many kinds of sources.
const WANTED_KINDS: usize = 4;

/// Runs the demo until it is told to stop, or until `seconds` after all is up.
///
/// # Errors
/// Says in one sentence why it could not be shown; nothing of it runs any more then.
pub(crate) async fn run(seconds: Option<u64>) -> Result<(), DemoError> {
    // Listened to before anything is started, so that no signal finds children that nobody stops.
    let mut stop = Stop::listen()?;
    let programs = Programs::find()?;
    let dir =
        tempfile::Builder::new().prefix("rhubarb-demo-").tempdir().map_err(DemoError::Folder)?;
    let mut family = Family::default();
    let mut seen = Seen::default();
    let shown = tokio::select! {
        shown = show(&programs, dir.path(), &mut family, &mut seen, seconds) => shown,
        () = stop.received() => Ok(()),
    };
    let shown = match shown {
        Ok(()) => seen.close(),
        Err(error) => Err(error),
    };
    let stopped = family.stop().await;
    dir.close().map_err(DemoError::Folder)?;
    shown?;
    stopped?;
    output::print("\nStopped; nothing is left running.")?;
    match seen.kinds() {
        kinds if kinds >= WANTED_KINDS => Ok(()),
        kinds => Err(DemoError::TooLittle { seen: kinds, wanted: WANTED_KINDS }),
    }
}

/// Starts everything and follows it.
async fn show(
    programs: &Programs,
    dir: &Path,
    family: &mut Family,
    seen: &mut Seen,
    seconds: Option<u64>,
) -> Result<(), DemoError> {
    let config = start(programs, dir, family).await?;
    let followed = tokio::select! {
        followed = follow::follow(&config, seconds.map(Duration::from_secs), seen) => followed,
        error = family.one_ended() => Err(error),
    };
    match followed {
        Err(DemoError::NotUp { name }) => Err(family.not_up(name).await),
        followed => followed,
    }
}

/// Starts Redis, the board, the worker and the beat; returns their configuration.
async fn start(programs: &Programs, dir: &Path, family: &mut Family) -> Result<Config, DemoError> {
    let (redis, redis_url) = redis::start(&programs.redis, dir).await?;
    family.adopt(redis);
    let failed = |what| move |source| DemoError::Start { what, source };
    let board = Board::bind(rhubarb_core::clock::now()).await.map_err(failed("the job board"))?;
    let text = setup::configuration(&redis_url, &board.host());
    let file = dir.join("rhubarb.toml");
    std::fs::write(&file, &text).map_err(DemoError::Folder)?;
    let config = setup::parse(&text)?;
    output::print(&report::heading(&redis_url, &board.url(), dir, &config))?;
    family.serve(board);
    let args = ["--config", "rhubarb.toml"];
    for (name, program) in [("worker", &programs.worker), ("beat", &programs.beat)] {
        family.adopt(Child::start(name, program, &args, dir).map_err(failed(name))?);
    }
    Ok(config)
}

/// The programs that the demo starts.
#[derive(Debug)]
struct Programs {
    redis: PathBuf,
    worker: PathBuf,
    beat: PathBuf,
}

impl Programs {
    fn find() -> Result<Self, DemoError> {
        let redis = redis::find(std::env::var_os("PATH").as_deref()).ok_or(DemoError::NoRedis)?;
        let own = std::env::current_exe()
            .map_err(|source| DemoError::Start { what: "the demo", source })?;
        let sibling = |name| {
            let path = own.with_file_name(name);
            if path.is_file() { Ok(path) } else { Err(DemoError::NoSibling { name, path }) }
        };
        Ok(Self { redis, worker: sibling("worker")?, beat: sibling("beat")? })
    }
}

/// What asks the demo to stop: Ctrl-C, SIGTERM, and the terminal's end.
#[derive(Debug)]
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Stop {
    fn listen() -> Result<Self, DemoError> {
        let on =
            |kind| signal(kind).map_err(|source| DemoError::Start { what: "the demo", source });
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
