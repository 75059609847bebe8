//! A worker and a producer on stock apalis-redis, tuned: no locks, no events, batches of 100,
//! concurrency 100, polling every 50 ms. `bench-apalis push QUEUE COUNT MILLISECONDS TEXT` or
//! `bench-apalis work QUEUE`, with REDIS_URL and BENCH_LOG.

use std::{
    error::Error,
    fs::{File, OpenOptions},
    io::Write,
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use apalis::prelude::*;
use apalis_redis::{Config, RedisStorage};
use serde::{Deserialize, Serialize};

/// Larger batches are slower here, and much smaller ones too.
const BATCH: usize = 100;
const CONCURRENCY: usize = 100;
const POLL: Duration = Duration::from_millis(50);

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Debug, Serialize, Deserialize)]
struct Job {
    /// Absent for a task that does nothing and notes nothing.
    milliseconds: Option<u64>,
    text: String,
}

async fn run(job: Job, id: TaskId) -> Result<(), Failure> {
    let Some(milliseconds) = job.milliseconds else { return Ok(()) };
    let begun = SystemTime::now().duration_since(UNIX_EPOCH)?;
    if milliseconds > 0 {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
    log().write_all(format!("{id} {}\n", begun.as_nanos()).as_bytes())?;
    Ok(())
}

fn log() -> &'static File {
    static LOG: OnceLock<File> = OnceLock::new();
    LOG.get_or_init(|| {
        let path = std::env::var_os("BENCH_LOG").expect("BENCH_LOG is set");
        OpenOptions::new().create(true).append(true).open(path).expect("the log can be written")
    })
}

async fn storage(queue: &str) -> Result<RedisStorage<Job>, Failure> {
    let connection = apalis_redis::connect(std::env::var("REDIS_URL")?).await?;
    let config =
        Config::default().queue(queue).batch_size(BATCH).lock_tasks(false).emit_events(false);
    Ok(RedisStorage::new(connection).with_config(config))
}

async fn push(queue: &str, count: usize, milliseconds: &str, text: &str) -> Result<(), Failure> {
    let mut storage = storage(queue).await?;
    let milliseconds = milliseconds.parse().ok();
    let mut left = count;
    while left > 0 {
        let n = left.min(BATCH);
        let jobs = (0..n).map(|_| Job { milliseconds, text: text.to_owned() }).collect();
        storage.push_bulk(jobs).await?;
        left -= n;
    }
    Ok(())
}

async fn work(queue: &str) -> Result<(), Failure> {
    // A name that was used before is refused for a while.
    let name = format!("bench-{}", std::process::id());
    let worker = WorkerBuilder::new(name)
        .backend(storage(queue).await?.poll_with_interval(POLL))
        .concurrency(CONCURRENCY)
        .build(run);
    worker.run().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["push", queue, count, milliseconds, text] => {
            push(queue, count.parse()?, milliseconds, text).await
        }
        ["work", queue] => work(queue).await,
        _ => Err("usage: bench-apalis push QUEUE COUNT MILLISECONDS TEXT | work QUEUE".into()),
    }
}
