//! The queue's promises, each against a real Redis, with the library as a worker uses it.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod claiming;
mod controlling;
mod ending;
mod faults;
mod following;
mod full;
mod holding;
mod large;
mod leases;
mod leaving;
mod letters;
mod limiting;
mod publishing;
mod revoking;
mod telling;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use apalis_core::{task::Task, worker::builder::WorkerBuilder};
use redis::{AsyncCommands, aio::MultiplexedConnection};
use rhubarb_connection::Connections;
use rhubarb_consumer::{Consumer, Delivery, Outcome, Tasks};
use rhubarb_e2e::{eventually::eventually, redis_server::RedisServer};
use rhubarb_queue::{Client, Config, Publish};
use rhubarb_wire::{
    TaskResult,
    control::{Command, Reply, ReplyTo},
};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long any wait of these tests may take.
const WAIT: Duration = Duration::from_secs(20);

type Handler = Arc<dyn Fn(Delivery) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync>;

/// A Redis of the test's own, a configuration for it, and a client.
struct Bench {
    server: RedisServer,
    config: Config,
    client: Client,
    /// The names that its workers know.
    tasks: Vec<String>,
}

impl Bench {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::on(RedisServer::start().await, change)
    }

    fn on(server: RedisServer, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.redis.url = server.url(0).parse().unwrap();
        config.worker.lease = Duration::from_secs(1);
        config.worker.concurrency = 4;
        // Long, so that a test that needs a wake-up fails without one.
        config.worker.poll_interval = Duration::from_secs(300);
        change(&mut config);
        let client = Client::new(&Connections::new(&config.redis, "test").unwrap(), &config);
        Self { server, config, client, tasks: vec!["t".to_owned()] }
    }

    async fn publish(&self, publish: &Publish) -> String {
        self.client.publish(publish).await.unwrap().id
    }

    async fn redis(&self) -> MultiplexedConnection {
        self.server.connect(0).await
    }

    async fn result(&self, id: &str) -> TaskResult {
        let found = self.client.wait(id, WAIT, |_| {}).await.unwrap();
        found.unwrap_or_else(|| panic!("task {id} has no final state"))
    }

    /// Sends a remote control command as Celery's clients do and returns what the worker replies.
    async fn ask(&self, method: &str, arguments: &Value) -> Value {
        let oid = Uuid::new_v4().to_string();
        let mut redis = self.redis().await;
        let member = rhubarb_wire::reply_binding_member(&oid, rhubarb_wire::SEPARATOR);
        let _: u64 = redis.sadd(rhubarb_wire::reply_binding_key(), member).await.unwrap();
        let command = Command {
            ticket: Some(oid.clone()),
            reply_to: Some(ReplyTo::client(&oid)),
            ..Command::new(method, arguments.as_object().unwrap().clone())
        };
        self.broadcast(&command.encode(&oid)).await;
        let replied: Option<(String, Vec<u8>)> =
            redis.brpop(rhubarb_wire::reply_queue(&oid), 20.0).await.unwrap();
        let (_, reply) = replied.unwrap_or_else(|| panic!("no reply to {method}"));
        let mut reply = Reply::decode(&reply, 16 << 20).unwrap();
        assert_eq!(reply.ticket.as_ref(), Some(&oid));
        reply.nodes.remove("rhubarb@test").unwrap_or_else(|| panic!("another's: {reply:?}"))
    }

    /// Publishes on the channel of remote control as soon as somebody listens.
    async fn broadcast(&self, bytes: &[u8]) {
        let mut redis = self.redis().await;
        eventually(WAIT, "a worker hears", async || {
            let heard: u64 = redis.publish("/0.celery.pidbox", bytes).await.unwrap();
            (heard > 0).then_some(())
        })
        .await;
    }

    /// Starts a worker whose handler is a function of the delivery.
    fn worker<F, Fut>(&self, handler: F) -> TestWorker
    where
        F: Fn(Delivery) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        self.worker_named(&Uuid::new_v4().to_string(), handler)
    }

    fn worker_named<F, Fut>(&self, id: &str, handler: F) -> TestWorker
    where
        F: Fn(Delivery) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        self.worker_of(id, self.tasks.clone().into(), handler)
    }

    /// Starts a worker that knows these tasks.
    fn worker_of<F, Fut>(&self, id: &str, tasks: Tasks, handler: F) -> TestWorker
    where
        F: Fn(Delivery) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        let connections = Connections::new(&self.config.redis, "test-worker").unwrap();
        let draining = CancellationToken::new();
        let mut consumer =
            Consumer::new(&connections, &self.config, "rhubarb@test", id, tasks, draining.clone());
        let backend = consumer.backend().unwrap();
        let handler: Handler = Arc::new(move |delivery| Box::pin(handler(delivery)));
        let service = tower::service_fn(move |task: Task<Delivery>| {
            let running = tokio::spawn(handler(task.args));
            async move { running.await.map_err(std::io::Error::other) }
        });
        let worker = WorkerBuilder::new("test").backend(backend).build(service);
        let running: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(worker.run());
        let runtime = tokio::spawn(async move { running.await.unwrap() });
        TestWorker { consumer: Some(consumer), draining, runtime }
    }
}

/// A worker in this process.
struct TestWorker {
    consumer: Option<Consumer>,
    draining: CancellationToken,
    runtime: JoinHandle<()>,
}

impl TestWorker {
    /// Ends it as SIGTERM does: nothing new, what runs ends, the rest goes back.
    async fn stop(mut self) -> bool {
        self.draining.cancel();
        (&mut self.runtime).await.unwrap();
        self.consumer.take().unwrap().finish(WAIT).await
    }

    /// Ends it as SIGKILL does: no word to Redis.
    fn kill(mut self) {
        self.runtime.abort();
        drop(self.consumer.take());
    }

    fn consumer(&self) -> &Consumer {
        self.consumer.as_ref().unwrap()
    }
}

impl Drop for TestWorker {
    fn drop(&mut self) {
        self.runtime.abort();
    }
}

/// A handler that returns the first argument.
async fn echo(delivery: Delivery) -> Outcome {
    let body = delivery.received.body().unwrap();
    Outcome::Success(body.args.first().cloned().unwrap_or(Value::Null))
}
