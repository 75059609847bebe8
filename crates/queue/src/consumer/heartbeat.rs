//! Keeps the lease and the registry entry, and gives back what dead workers held.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rhubarb_core::clock;
use tokio_util::sync::CancellationToken;

use super::{Running, Shared};
use crate::{Error, error::redis, inspect::WorkerRecord, keys, script};

/// How many running tasks the registry shows of a worker.
const SHOWN: usize = 50;
/// How long a lost worker's record stays readable.
const RECORD_TTL: Duration = Duration::from_secs(3600);
/// How long the count of a message's deaths is kept without a change.
const DELIVERIES_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

/// Beats three times a lease until `stop` fires, then leaves the registry.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let period = shared.config.lease / 3;
    let mut ticker = tokio::time::interval(period);
    ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = ticker.tick() => {}
        }
        // The lease first: it decides whether our tasks run twice.
        if let Err(error) = reap(&shared).await {
            tracing::debug!(%error, "reaping failed, trying again");
        }
        if let Err(error) = beat(&shared).await {
            tracing::debug!(%error, "the heartbeat failed, trying again");
        }
    }
    // A record that could not be removed shows the worker as lost until it ends by itself.
    let _ = leave(&shared).await;
}

/// Keeps our registry entry.
async fn beat(shared: &Shared) -> Result<(), Error> {
    let record = serde_json::to_vec(&record(shared)).unwrap_or_default();
    let keys = [keys::WORKERS.to_owned(), keys::worker(&shared.id)];
    let args = [
        shared.id.clone().into_bytes(),
        record,
        shared.config.lease.as_millis().to_string().into_bytes(),
        RECORD_TTL.as_secs().to_string().into_bytes(),
    ];
    let _: u64 = shared
        .queue
        .eval(&script::HEARTBEAT, &keys, &args, &[])
        .await
        .map_err(redis("renew the registry entry"))?;
    Ok(())
}

fn record(shared: &Shared) -> WorkerRecord {
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let running: Vec<Running> = shared.running(SHOWN);
    WorkerRecord {
        id: shared.id.clone(),
        node: shared.node.clone(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: clock::iso(shared.started_at),
        concurrency: shared.config.concurrency,
        queues: shared.queues.iter().map(|queue| queue.name.clone()).collect(),
        tasks: shared.tasks.clone(),
        n_running: shared.n_held(),
        running,
        processed: count(&shared.counters.processed),
        late: count(&shared.counters.late),
        dead: count(&shared.counters.dead),
        parked: count(&shared.counters.parked),
        draining: shared.draining.is_cancelled(),
    }
}

/// Renews our lease where we hold claims, and gives back what workers held whose lease has ended.
async fn reap(shared: &Shared) -> Result<(), Error> {
    let held = shared.queues_held();
    let lease_ms = shared.config.lease.as_millis();
    for (idx, queue) in shared.queues.iter().enumerate() {
        let mut keys = vec![queue.leases.clone(), queue.deliveries.clone()];
        keys.extend(queue.lists.iter().cloned());
        let renewal = if held.contains(&idx) { lease_ms } else { 0 };
        let args = [
            queue.claims_prefix.clone().into_bytes(),
            DELIVERIES_TTL.as_secs().to_string().into_bytes(),
            shared.id.clone().into_bytes(),
            renewal.to_string().into_bytes(),
        ];
        let given: Vec<::redis::Value> = shared
            .queue
            .eval(&script::REAP, &keys, &args, &[])
            .await
            .map_err(redis(format!("reap queue `{}`", queue.name)))?;
        for pair in given.chunks_exact(2) {
            let worker: String = ::redis::from_redis_value(pair[0].clone()).unwrap_or_default();
            let n: u64 = ::redis::from_redis_value(pair[1].clone()).unwrap_or_default();
            tracing::warn!(
                queue = queue.name,
                worker,
                n,
                "gave back the tasks of a worker whose lease ended"
            );
        }
    }
    Ok(())
}

async fn leave(shared: &Shared) -> Result<(), Error> {
    let mut pipeline = ::redis::pipe();
    pipeline.cmd("ZREM").arg(keys::WORKERS).arg(&shared.id).ignore();
    pipeline.cmd("DEL").arg(keys::worker(&shared.id)).ignore();
    let _: ::redis::Value =
        shared.queue.pipe(&pipeline).await.map_err(redis("leave the registry"))?;
    Ok(())
}
