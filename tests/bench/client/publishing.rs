//! Publishing with our own client, as a Rust service does.

use std::time::Instant;

use anyhow::Context;
use rhubarb_connection::Connections;
use rhubarb_queue::{Client, Config, Publish};
use serde_json::{Value, json};
use tokio::runtime;

/// How many tasks are published in one call: what the client sends in one go.
const BATCH: usize = 1_000;
/// What is published before the clock runs, so that the connection is there and the queue declared.
const WARM: usize = 100;

/// Publishes one after the other, each waited for.
pub(crate) fn single(url: &str, count: usize, text: &str) -> anyhow::Result<Value> {
    let (client, task) = (client(url)?, noop(text));
    run(async move {
        for _ in 0..WARM {
            client.publish(&task).await?;
        }
        let begun = Instant::now();
        for _ in 0..count {
            client.publish(&task).await?;
        }
        Ok(figures(&client, &task, count, begun))
    })
}

/// Publishes batches, one after the other.
pub(crate) fn bulk(url: &str, count: usize, text: &str) -> anyhow::Result<Value> {
    let (client, task) = (client(url)?, noop(text));
    run(async move {
        client.publish_all(vec![task.clone(); WARM]).await?;
        let begun = Instant::now();
        let mut left = count;
        while left > 0 {
            let n = left.min(BATCH);
            client.publish_all(vec![task.clone(); n]).await?;
            left -= n;
        }
        Ok(figures(&client, &task, count, begun))
    })
}

fn client(url: &str) -> anyhow::Result<Client> {
    let mut config = Config::default();
    config.redis.url = url.parse().with_context(|| format!("`{url}` is no URL of a server"))?;
    Ok(Client::new(&Connections::new(&config.redis, "bench")?, &config))
}

/// Runs it in a task, as what handles requests is, on one thread, as redis-benchmark is, beside
/// which it stands.
fn run(
    work: impl Future<Output = anyhow::Result<Value>> + Send + 'static,
) -> anyhow::Result<Value> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(runtime.spawn(work))?
}

fn noop(text: &str) -> Publish {
    Publish::new("bench.noop").arg(text)
}

fn figures(client: &Client, task: &Publish, count: usize, begun: Instant) -> Value {
    let seconds = begun.elapsed().as_secs_f64();
    let message = client.message(task.clone()).map_or(0, |one| one.message.len());
    json!({"count": count, "seconds": seconds, "message_bytes": message})
}
