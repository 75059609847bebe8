//! A Redis server of one test's own: on loopback, in a folder of its own, ended with the test.

use std::{
    ffi::OsString,
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client,
    aio::{MultiplexedConnection, PubSub},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use crate::{
    eventually::eventually,
    process::{Process, Signal, chosen_redis, clean_command},
};

/// How long a server may take until it answers; its loading of a large file included.
const START: Duration = Duration::from_secs(20);

/// What makes a server lose nothing it has answered for.
const DURABLE: [&str; 6] = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];

/// A Redis, reached at `127.0.0.1` on a port of its own, and at a Unix socket.
#[derive(Debug)]
pub struct RedisServer {
    process: Option<Process>,
    program: OsString,
    dir: TempDir,
    port: u16,
    options: Vec<String>,
    /// The port of the server that it copies, if it is a replica.
    primary: Option<u16>,
}

impl RedisServer {
    /// Starts a server that keeps nothing on disk.
    pub async fn start() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "no"]).await
    }

    /// Starts a server that loses nothing it has answered for (`appendfsync always`), for tests
    /// that restart it.
    pub async fn start_durable() -> Self {
        Self::start_with(&DURABLE).await
    }

    /// Returns a server as [`start_durable`](Self::start_durable) does, which
    /// [`restart`](Self::restart) starts.
    pub fn not_started() -> Self {
        Self::new(DURABLE.map(str::to_owned).into(), None)
    }

    /// Starts a server with options as on its command line.
    ///
    /// # Panics
    /// When no server program is installed, or none of several ports could be had.
    pub async fn start_with(options: &[&str]) -> Self {
        Self::start_as(options.iter().map(|&o| o.to_owned()).collect(), None).await
    }

    fn new(options: Vec<String>, primary: Option<u16>) -> Self {
        let dir = tempfile::tempdir().expect("there is a folder for temporary files");
        Self { process: None, program: program(), dir, port: free_port(), options, primary }
    }

    async fn start_as(options: Vec<String>, primary: Option<u16>) -> Self {
        let mut server = Self::new(options, primary);
        // Between asking for a free port and the server's taking it another test may be faster.
        for _ in 0..10 {
            if server.spawn().await {
                return server;
            }
            server.port = free_port();
            server.find_tls();
        }
        panic!("redis-server did not start on any of ten free ports");
    }

    /// A chosen server that was built without TLS does not start with it, and gives way to the
    /// installed one.
    fn find_tls(&mut self) {
        if self.options.iter().any(|option| option == "--tls-port") {
            self.program = installed().unwrap_or_else(program);
        }
    }

    /// Starts a replica of this server, with the same options, and waits until it has all that is
    /// there.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn start_replica(&self) -> Self {
        self.command("CONFIG SET repl-diskless-sync-delay 0").await;
        let replica = Self::start_as(self.options.clone(), Some(self.port)).await;
        self.copied_by(&replica).await;
        replica
    }

    /// Makes its replica the primary and itself the replica of that, by a real `FAILOVER`: nothing
    /// is lost.
    ///
    /// Connections to this server stay open, as in many a managed Redis. Both keep their parts when
    /// they are restarted.
    ///
    /// # Panics
    /// When it does not happen in time.
    pub async fn fail_over_to(&mut self, replica: &mut Self) {
        assert_eq!(replica.primary, Some(self.port), "a replica of this server");
        self.command(&format!("FAILOVER TO 127.0.0.1 {}", replica.port)).await;
        (self.primary, replica.primary) = (Some(replica.port), None);
        replica.copied_by(self).await;
    }

    /// Waits until the other server is a replica of this one and up to date.
    async fn copied_by(&self, replica: &Self) {
        eventually(START, "the replica is up to date", async || {
            let (primary, copy) =
                (self.info("replication").await, replica.info("replication").await);
            let both = primary.contains("role:master\r\n") && copy.contains("role:slave\r\n");
            let online = primary.contains("state=online");
            (both && online && copy.contains("master_link_status:up")).then_some(())
        })
        .await;
        replica.has_written().await;
    }

    /// Waits until what it has copied is in its file, if it has one: a kill before would lose it.
    async fn has_written(&self) {
        eventually(START, "the append-only file is whole", async || {
            let info = self.info("persistence").await;
            let busy = ["aof_rewrite_in_progress:1", "aof_rewrite_scheduled:1"];
            (!busy.iter().any(|what| info.contains(what))).then_some(())
        })
        .await;
    }

    async fn info(&self, section: &str) -> String {
        let info = self.command(&format!("INFO {section}")).await;
        redis::from_redis_value(info).expect("INFO is a text")
    }

    /// Returns the URL of a database.
    pub fn url(&self, db: u32) -> String {
        format!("redis://127.0.0.1:{}/{db}", self.port)
    }

    /// Returns the URL of its Unix socket, without a database.
    pub fn socket_url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Opens a connection to a database, for looking at what the binaries did.
    pub async fn connect(&self, db: u32) -> MultiplexedConnection {
        let client = self.client(db);
        // The default of half a second is short for a machine on which many tests run at once.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(START))
            .set_response_timeout(Some(START));
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .expect("our own server answers")
    }

    /// Opens a connection that listens to what matches a pattern of channels.
    pub async fn listen(&self, pattern: &str) -> PubSub {
        let mut channels = self.client(0).get_async_pubsub().await.expect("our own server answers");
        channels.psubscribe(pattern).await.expect("our own server has channels");
        channels
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the tests look from outside, not through our own connection"
    )]
    fn client(&self, db: u32) -> Client {
        Client::open(self.url(db)).expect("our own URL is well formed")
    }

    /// Starts it again without waiting until it answers; kills it before if it runs.
    pub fn restart_unready(&mut self) {
        self.kill();
        self.process = Some(self.begin());
    }

    /// Adds options for the next start.
    pub fn add_options(&mut self, options: &[&str]) {
        self.options.extend(options.iter().map(|&option| option.to_owned()));
    }

    /// Lets the server run one command, by a connection of its own, such as `CONFIG SET maxmemory
    /// 1`.
    ///
    /// # Panics
    /// When the server does not take it.
    pub async fn command(&self, words: &str) -> redis::Value {
        let mut words = words.split_whitespace();
        let mut cmd = redis::cmd(words.next().expect("a command has a name"));
        cmd.arg(words.collect::<Vec<_>>());
        let mut connection = self.connect(0).await;
        cmd.query_async(&mut connection).await.unwrap_or_else(|e| panic!("{cmd:?}: {e}"))
    }

    /// Leaves a user no channels but some, and ends its connections that hear others, as later
    /// servers do by themselves (6.2 does not where the user had all channels).
    pub async fn forbid_channels(&self, user: &str, but: &str) {
        self.command(&format!("ACL SETUSER {user} resetchannels {but}")).await;
        self.command(&format!("CLIENT KILL USER {user} TYPE pubsub")).await;
    }

    /// Kills the server with SIGKILL; what it had not written to disk is lost.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Sends the server's process a signal, such as the one that stops it where it is.
    ///
    /// # Panics
    /// When it does not run.
    pub fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("the server runs").signal(signal);
    }

    /// Starts it again on the same port with what is on disk; kills it before if it runs.
    ///
    /// # Panics
    /// When it does not answer in time.
    pub async fn restart(&mut self) {
        self.kill();
        assert!(self.spawn().await, "redis-server did not come back on port {}", self.port);
    }

    /// Starts the program; false when it ended at once, as it does when the port is taken.
    async fn spawn(&mut self) -> bool {
        let mut process = self.begin();
        let socket = self.socket();
        let up = eventually(START, "redis-server answers a ping", async || {
            if !process.is_running() {
                return Some(false);
            }
            answers(&socket).await.then_some(true)
        })
        .await;
        self.process = up.then_some(process);
        up
    }

    fn begin(&self) -> Process {
        let mut command = clean_command(&self.program);
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"]);
        command.arg("--unixsocket").arg(self.socket());
        command.args(["--daemonize", "no", "--dir"]).arg(self.dir.path()).args(&self.options);
        if let Some(primary) = self.primary {
            command.args(["--replicaof", "127.0.0.1", &primary.to_string()]);
        }
        Process::start("redis-server", self.dir.path(), command)
    }
}

/// Returns a port of loopback that was free a moment ago.
///
/// # Panics
/// When the machine has none left.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Asked through the socket, which is nobody else's, as the port may be until the server has it. A
/// server that wants a password answers too, with an error; one that still loads does not count.
async fn answers(socket: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(socket).await else { return false };
    let mut reply = [0; 64];
    match (stream.write_all(b"PING\r\n").await, stream.read(&mut reply).await) {
        (Ok(()), Ok(n)) => reply[..n].starts_with(b"+PONG") || reply[..n].starts_with(b"-NOAUTH"),
        _ => false,
    }
}

fn program() -> OsString {
    chosen_redis().or_else(installed).expect(
        "no redis-server or valkey-server on PATH; tests/run.sh installs one, or set RHUBARB_TEST_REDIS",
    )
}

fn installed() -> Option<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = ["redis-server", "valkey-server"]
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)))
        .find(|candidate| candidate.is_file());
    program.map(PathBuf::into_os_string)
}

#[cfg(test)]
mod tests {
    use redis::AsyncCommands;

    use super::*;

    #[tokio::test]
    async fn a_durable_server_keeps_what_it_answered_for_through_a_kill() {
        let mut server = RedisServer::start_durable().await;
        let _: () = server.connect(0).await.set("k", "v").await.unwrap();
        server.restart().await;
        let kept: String = server.connect(0).await.get("k").await.unwrap();
        assert_eq!(kept, "v");
    }
}
