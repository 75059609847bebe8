//! A Django shop that scrapes with Rhubarb: a job board for every kind of source, and an
//! installation that reads them.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use rhubarb_connection::Connections;
use rhubarb_e2e::{
    board::Board,
    eventually::eventually,
    installation::{Installation, Ran},
    process::Process,
    python::Python,
    redis_server::RedisServer,
};
use rhubarb_queue::{Client, Config};
use serde_json::Value;

use crate::BINARIES;

/// How long anything may take that is not itself a matter of time. Generous: it only delays
/// failures.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The shop's board and installation. The worker is started by the test.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) board: Board,
    pub(crate) installation: Installation,
}

impl Shop {
    /// Opens a shop whose eight sources are all on one board.
    pub(crate) async fn open() -> Self {
        Self::open_with("").await
    }

    /// Opens a shop with more lines at the head of its configuration file (whole tables).
    pub(crate) async fn open_with(more: &str) -> Self {
        Self::open_on(RedisServer::start().await, more).await
    }

    /// Opens a shop on this Redis.
    pub(crate) async fn open_on(redis: RedisServer, more: &str) -> Self {
        let board = Board::start().await;
        let host = board.host();
        let scrape = format!("[scrape]\nmin_interval = 0\nallow_private = [\"{host}\"]\n");
        let configuration = format!("{more}\n{scrape}{}", rhubarb_demo::sources(&host));
        let installation = Installation::new(BINARIES, redis, &configuration);
        Self { board, installation }
    }

    /// Starts a worker and waits until it serves its queues.
    pub(crate) async fn worker(&self, args: &[&str]) -> Process {
        let worker = self.installation.worker(args);
        self.registered_workers(1).await;
        worker
    }

    /// Waits until this many workers are registered.
    pub(crate) async fn registered_workers(&self, n: usize) {
        let what = format!("{n} workers are registered");
        eventually(SOON, &what, async || {
            let workers = self.installation.rhubarb(&["workers", "--json"]).await;
            (workers.code == 0 && workers.json().as_array().map_or(0, Vec::len) == n).then_some(())
        })
        .await;
    }

    /// Runs a command of `rhubarb` to its end.
    pub(crate) async fn rhubarb(&self, args: &[&str]) -> Ran {
        self.installation.rhubarb(args).await
    }

    /// Runs a `--json` command of `rhubarb` that succeeds, and returns what it printed.
    pub(crate) async fn json(&self, args: &[&str]) -> Value {
        self.rhubarb(&[args, &["--json"]].concat()).await.json()
    }

    /// Returns the shop's Python; `None` where none was prepared.
    pub(crate) fn python(&self) -> Option<Python> {
        Python::for_redis(&self.installation.redis.url(0))
    }

    /// Returns a client as another Rust service has it.
    pub(crate) fn client(&self) -> Client {
        let config = self.configuration();
        Client::new(&Connections::new(&config.redis, "e2e").expect("our own URL is fit"), &config)
    }

    fn configuration(&self) -> Config {
        let mut config = Config::default();
        config.redis.url =
            self.installation.redis.url(0).parse().expect("our own URL is well formed");
        config
    }

    /// Opens a connection to the queue's database.
    pub(crate) async fn queue(&self) -> MultiplexedConnection {
        self.installation.redis.connect(0).await
    }
}
