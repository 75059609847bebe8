//! A Redis server of one test's own: on loopback, in a folder of its own, ended with the test.

use std::path::PathBuf;

use redis::{
    AsyncConnectionConfig, Client,
    aio::{MultiplexedConnection, PubSub},
};
use rhubarb_demo::{
    process::{Process, Signal},
    redis::{self as spawner, Redis, START},
};
use tempfile::TempDir;

use crate::{eventually::eventually, process::chosen_redis};

/// What makes a server lose nothing it has answered for.
const DURABLE: [&str; 6] = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];

/// A Redis, reached at `127.0.0.1` on a port of its own, and at a Unix socket.
#[derive(Debug)]
pub struct RedisServer {
    process: Option<Process>,
    redis: Redis,
    /// The port of the server that it copies, if it is a replica.
    primary: Option<u16>,
    _dir: TempDir,
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
        Self::new(&DURABLE)
    }

    /// Starts a server with options as on its command line.
    ///
    /// # Panics
    /// When no server program is installed, or none of several ports could be had.
    pub async fn start_with(options: &[&str]) -> Self {
        Self::new(options).started().await
    }

    fn new(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("there is a folder for temporary files");
        let redis = Redis::new(program(), dir.path(), options).expect("a port is free");
        Self { process: None, redis, primary: None, _dir: dir }
    }

    async fn started(mut self) -> Self {
        let mut started = self.redis.start(Process::start).await;
        // A chosen server that was built without TLS gives way to the installed one.
        if started.is_err() && self.redis.options.iter().any(|option| option == "--tls-port") {
            self.redis.program = installed().unwrap_or_else(program);
            started = self.redis.start(Process::start).await;
        }
        self.process = Some(started.unwrap_or_else(|e| panic!("{e}")));
        self
    }

    /// Lets it be the replica of the server on this port from its next start on, or nobody's.
    fn copies(&mut self, primary: Option<u16>) {
        self.primary = primary;
        let options = &mut self.redis.options;
        if let Some(at) = options.iter().position(|option| option == "--replicaof") {
            options.drain(at..at + 3);
        }
        if let Some(port) = primary {
            options.extend(["--replicaof", "127.0.0.1", &port.to_string()].map(str::to_owned));
        }
    }

    /// Starts a replica of this server, with the same options, and waits until it has all that is
    /// there.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn start_replica(&self) -> Self {
        self.command("CONFIG SET repl-diskless-sync-delay 0").await;
        let options: Vec<&str> = self.redis.options.iter().map(String::as_str).collect();
        let mut replica = Self::new(&options);
        replica.copies(Some(self.port()));
        let replica = replica.started().await;
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
        assert_eq!(replica.primary, Some(self.port()), "a replica of this server");
        self.command(&format!("FAILOVER TO 127.0.0.1 {}", replica.port())).await;
        self.copies(Some(replica.port()));
        replica.copies(None);
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
        self.redis.url(db)
    }

    /// Returns the URL of its Unix socket, without a database.
    pub fn socket_url(&self) -> String {
        format!("unix://{}", self.redis.socket().display())
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.redis.port
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
        let process = self.redis.begin(Process::start);
        self.process = Some(process.expect("redis-server can be started"));
    }

    /// Adds options for the next start.
    pub fn add_options(&mut self, options: &[&str]) {
        self.redis.options.extend(options.iter().map(|&option| option.to_owned()));
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
        self.process.as_ref().expect("the server runs").signal(signal).expect("it takes signals");
    }

    /// Starts it again on the same port with what is on disk; kills it before if it runs.
    ///
    /// # Panics
    /// When it does not answer in time.
    pub async fn restart(&mut self) {
        self.restart_unready();
        let process = self.process.as_mut().expect("it was started");
        self.redis.answered(process).await.unwrap_or_else(|e| panic!("{e}"));
    }
}

/// Returns a port of loopback that was free a moment ago.
///
/// # Panics
/// When the machine has none left.
pub fn free_port() -> u16 {
    spawner::free_port().expect("loopback has a free port")
}

/// Returns the program of a test's server, for what else it can be (a sentinel).
///
/// # Panics
/// When none is installed.
pub fn program() -> PathBuf {
    chosen_redis().map(PathBuf::from).or_else(installed).expect(
        "no redis-server or valkey-server on PATH; tests/run.sh installs one, or set \
         RHUBARB_TEST_REDIS",
    )
}

fn installed() -> Option<PathBuf> {
    spawner::find(std::env::var_os("PATH").as_deref())
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
