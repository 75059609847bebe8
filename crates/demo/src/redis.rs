//! A Redis server of one's own: on loopback and at a socket, in a folder that its owner removes.

use std::{
    ffi::OsStr,
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

use crate::{error::Error, eventually::eventually, process::Process};

/// How long a server may take until it answers; its loading of a large file included.
pub const START: Duration = Duration::from_secs(20);
/// Another process may take the free port between our looking and the server's binding.
const TRIES: usize = 10;
/// How long a connected server may take for one ping.
const PING: Duration = Duration::from_secs(1);

/// Where the system's packages put it, for a shell whose `PATH` leaves `sbin` out.
const PLACES: [&str; 5] =
    ["/usr/bin", "/usr/local/bin", "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"];

/// Finds `redis-server`, or else `valkey-server`, on `path` (as in the environment) or where
/// packages put it.
pub fn find(path: Option<&OsStr>) -> Option<PathBuf> {
    let on_path = path.map(std::env::split_paths).into_iter().flatten();
    let folders: Vec<PathBuf> = on_path.chain(PLACES.map(PathBuf::from)).collect();
    ["redis-server", "valkey-server"]
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|program| program.is_file())
}

/// Returns a port of loopback that was free a moment ago.
///
/// # Errors
/// When the machine has none left.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Redis {
    /// Its program.
    pub program: PathBuf,
    /// Its folder: its files, its socket, and what it writes.
    pub dir: PathBuf,
    /// Its port of `127.0.0.1`.
    pub port: u16,
    /// Options as on its command line.
    pub options: Vec<String>,
}

impl Redis {
    /// Chooses a port for a server in this folder.
    ///
    /// # Errors
    /// When the machine has no port left.
    pub fn new(program: PathBuf, dir: &Path, options: &[&str]) -> io::Result<Self> {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        Ok(Self { program, dir: dir.to_owned(), port: free_port()?, options })
    }

    /// Returns the URL of a database.
    pub fn url(&self, db: u32) -> String {
        format!("redis://127.0.0.1:{}/{db}", self.port)
    }

    /// Returns the path of its Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("redis.sock")
    }

    /// Starts it with `run` (name, command and folder) on a port that is free, and waits until it
    /// answers.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not answer in time.
    pub async fn start(
        &mut self,
        run: impl Fn(&str, Command, &Path) -> io::Result<Process>,
    ) -> Result<Process, Error> {
        let failed = |source| Error::Start { what: "redis-server", source };
        let mut left = TRIES;
        loop {
            left -= 1;
            let mut process = self.begin(&run).map_err(failed)?;
            match self.answered(&mut process).await {
                Err(Error::Ended { .. }) if left > 0 => self.port = free_port().map_err(failed)?,
                answered => return answered.map(|()| process),
            }
        }
    }

    /// Starts it with `run` on its port, without waiting until it answers.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn begin(
        &self,
        run: impl Fn(&str, Command, &Path) -> io::Result<Process>,
    ) -> io::Result<Process> {
        let mut command = Command::new(&self.program);
        command.env_clear();
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string()]);
        command.arg("--unixsocket").arg(self.socket());
        command.args(["--daemonize", "no", "--dir"]).arg(&self.dir).args(&self.options);
        run("redis-server", command, &self.dir)
    }

    /// Waits until the started server answers a ping.
    ///
    /// # Errors
    /// When it ends, as it does when its port is taken, or does not answer in time.
    pub async fn answered(&self, process: &mut Process) -> Result<(), Error> {
        let socket = self.socket();
        let end = eventually(START, async || match process.exit() {
            Ok(None) => answers(&socket).await.then_some(Ok(None)),
            ended => Some(ended),
        });
        match end.await {
            Some(Ok(None)) => Ok(()),
            Some(Ok(Some(status))) => Err(Error::ended(process, status)),
            Some(Err(source)) => Err(Error::Start { what: "redis-server", source }),
            None => Err(Error::slow(process, "answer")),
        }
    }
}

/// Asked through the socket, which is nobody else's, as the port may be until the server has it. A
/// server that wants a password answers too, with an error; one that still loads does not count.
async fn answers(socket: &Path) -> bool {
    let ask = async {
        let mut stream = UnixStream::connect(socket).await.ok()?;
        stream.write_all(b"PING\r\n").await.ok()?;
        let mut reply = [0; 64];
        let n = stream.read(&mut reply).await.ok()?;
        Some(reply[..n].starts_with(b"+PONG") || reply[..n].starts_with(b"-NOAUTH"))
    };
    matches!(timeout(PING, ask).await, Ok(Some(true)))
}
