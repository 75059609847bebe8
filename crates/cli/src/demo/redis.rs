//! The demo's private Redis.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};

use super::{children::Child, error::DemoError};

/// How long Redis may take to answer; it does within a few milliseconds.
const START: Duration = Duration::from_secs(10);
/// Another process may take the free port between our looking and Redis's binding.
const TRIES: usize = 3;

/// Where the system's packages put it, for a shell whose `PATH` leaves `sbin` out.
const PLACES: [&str; 5] =
    ["/usr/bin", "/usr/local/bin", "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"];

/// Finds `redis-server` on `path` (as in the environment) or where packages put it.
pub(crate) fn find(path: Option<&std::ffi::OsStr>) -> Option<PathBuf> {
    let on_path = path.map(std::env::split_paths).into_iter().flatten();
    on_path
        .chain(PLACES.map(PathBuf::from))
        .map(|dir| dir.join("redis-server"))
        .find(|p| p.is_file())
}

/// Starts a Redis that keeps nothing on a free port of the loopback address; returns it with its URL.
pub(crate) async fn start(program: &Path, dir: &Path) -> Result<(Child, String), DemoError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match try_start(program, dir).await {
            Err(DemoError::Ended { .. }) if tries < TRIES => {}
            outcome => return outcome,
        }
    }
}

async fn try_start(program: &Path, dir: &Path) -> Result<(Child, String), DemoError> {
    let failed = |source| DemoError::Start { what: "redis-server", source };
    let port = free_port().await.map_err(failed)?.to_string();
    let args = ["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"];
    let mut child = Child::start("redis-server", program, &args, dir).map_err(failed)?;
    let url = format!("redis://127.0.0.1:{port}/0");
    let deadline = Instant::now() + START;
    while !answers(&port).await {
        if let Ok(ended) = timeout(Duration::from_millis(20), child.ended()).await {
            let status = ended.map_err(failed)?;
            return Err(DemoError::ended(&child, status).await);
        }
        if Instant::now() > deadline {
            return Err(DemoError::slow(&child, "answer").await);
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok((child, url))
}

async fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port())
}

async fn answers(port: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).await.ok()?;
        stream.write_all(b"PING\r\n").await.ok()?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.ok()?;
        (answer == *b"+PONG").then_some(())
    };
    matches!(timeout(Duration::from_secs(1), ask).await, Ok(Some(())))
}
