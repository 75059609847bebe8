//! The worker's promises, each against a real Redis, with the library as an author of tasks uses
//! it.
#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

mod blocking;
mod boards;
mod ends;
mod intake;
mod life;
mod limits;
mod registering;
mod scraping;
mod stopping;

use std::{sync::Arc, time::Duration};

use redis::{AsyncCommands, aio::MultiplexedConnection};
use rhubarb::{App, ServeError, Stopped, serve};
use rhubarb_connection::Connections;
use rhubarb_core::shutdown::{Shutdown, StopSignal};
use rhubarb_e2e::{eventually::eventually, redis_server::RedisServer};
use rhubarb_queue::{Client, Config, Publish};
use rhubarb_wire::{State, TaskResult};
use serde_json::Value;
use tokio::{sync::Semaphore, task::JoinHandle};

/// How long any wait of these tests may take.
const WAIT: Duration = Duration::from_secs(20);

/// A Redis of the test's own, a configuration for it, and a client.
struct Bench {
    server: RedisServer,
    config: Config,
    client: Client,
}

impl Bench {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let server = RedisServer::start().await;
        let mut config = Config::default();
        config.redis.url = server.url(0).parse().unwrap();
        config.worker.lease = Duration::from_secs(1);
        config.worker.concurrency = 4;
        change(&mut config);
        let client = Client::new(&Connections::new(&config.redis, "test").unwrap(), &config);
        Self { server, config, client }
    }

    /// Starts a worker with these tasks.
    fn worker(&self, register: impl FnOnce(&mut App)) -> Worker {
        let mut app = App::new(self.config.clone()).unwrap();
        register(&mut app);
        let shutdown = Shutdown::new();
        let until = shutdown.clone();
        Worker { shutdown, serving: tokio::spawn(async move { serve(app, &until).await }) }
    }

    async fn publish(&self, publish: &Publish) -> String {
        self.client.publish(publish).await.unwrap().id
    }

    /// Publishes a task and waits for its end.
    async fn call(&self, publish: &Publish) -> TaskResult {
        let id = self.publish(publish).await;
        self.result(&id).await
    }

    async fn result(&self, id: &str) -> TaskResult {
        let found = self.client.wait(id, WAIT, |_| {}).await.unwrap();
        found.unwrap_or_else(|| panic!("task {id} has no final state"))
    }

    async fn redis(&self) -> MultiplexedConnection {
        self.server.connect(0).await
    }

    /// Waits until so many messages wait in the default queue.
    async fn waiting(&self, n: u64) {
        let mut redis = self.redis().await;
        eventually(WAIT, &format!("{n} messages wait"), async || {
            (redis.llen::<_, u64>("celery").await.unwrap() == n).then_some(())
        })
        .await;
    }
}

/// A worker in this process.
struct Worker {
    shutdown: Shutdown,
    serving: JoinHandle<Result<Stopped, ServeError>>,
}

impl Worker {
    /// Ends it as SIGTERM does.
    async fn stop(self) -> Stopped {
        self.shutdown.request(StopSignal::Terminate);
        tokio::time::timeout(WAIT, self.serving).await.unwrap().unwrap().unwrap()
    }
}

/// Where tasks of a test wait until it lets them through.
#[derive(Clone)]
struct Gate(Arc<Semaphore>);

impl Gate {
    fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    fn open(&self) {
        self.0.close();
    }

    async fn wait(&self) {
        // It gives no permits: what ends the wait is that it is closed.
        self.0.acquire().await.unwrap_err();
    }
}

/// Returns a failure's exception as `(type, first argument)`.
fn raised(result: &TaskResult) -> (String, Value) {
    assert_eq!(result.status, State::Failure, "{result:?}");
    let exception = result.exception().unwrap();
    (exception.exc_type, exception.exc_message.first().cloned().unwrap_or_default())
}
