//! Keeps the lease and the registry entry, and gives back what dead workers held.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rhubarb_core::clock;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Running, Shared,
    events::{HEARTBEAT, Publication, Sign},
    memory::Memory,
};
use crate::{
    Error,
    error::redis,
    inspect::WorkerRecord,
    letter::{self, Kind},
    script,
};

/// How many running tasks the registry shows of a worker.
const SHOWN: usize = 50;
/// How long a lost worker's record stays readable.
const RECORD_TTL: Duration = Duration::from_secs(3600);
/// How long the count of a message's deaths is kept without a change.
const DELIVERIES_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

/// How often kept messages are looked at for their age.
const TIDY: Duration = Duration::from_secs(3600);

/// How long the last task events may hold up the worker's leaving.
const LAST_EVENTS: Duration = Duration::from_secs(1);

/// Renews the lease two or three times a lease and the registry entry with each heartbeat until `stop` fires, then
/// leaves.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let reap_period = shared.config.lease / 3;
    let heartbeats = shared.events.heartbeats;
    let period = if heartbeats { reap_period.min(HEARTBEAT) } else { reap_period };
    let mut ticker = tokio::time::interval(period);
    ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut reap_at = Instant::now();
    let mut sign_at = heartbeats.then(Instant::now);
    let mut sign = Sign::Online;
    let mut memory = Memory::new(shared.config.max_memory);
    let mut tidy_at = Instant::now();
    loop {
        let wanted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = shared.beat_wanted.notified() => true,
            _ = ticker.tick() => false,
        };
        // The lease first: it decides whether our tasks run twice.
        if Instant::now() >= reap_at {
            reap_at = next(reap_period, period);
            if let Err(error) = reap(&shared).await {
                tracing::debug!(%error, "reaping failed, trying again");
            }
        }
        memory.check(&shared);
        if Instant::now() >= tidy_at {
            tidy_at = Instant::now() + TIDY;
            tidy(&shared).await;
        }
        let due = sign_at.is_some_and(|at| wanted || Instant::now() >= at);
        match beat(&shared, due.then_some(sign)).await {
            Ok(()) if due => {
                sign = Sign::Heartbeat;
                sign_at = Some(next(HEARTBEAT, period));
            }
            Ok(()) => {}
            Err(error) => tracing::debug!(%error, "the heartbeat failed, trying again"),
        }
    }
    // A worker is offline after its last task's end, not before.
    let _ = tokio::time::timeout(LAST_EVENTS, shared.events.flushed.cancelled()).await;
    // A record that could not be removed shows the worker as lost until it ends by itself.
    let _ = leave(&shared).await;
}

/// Has kept messages that are too old give way, also where no other is kept.
async fn tidy(shared: &Shared) {
    for kind in [Kind::Dead, Kind::Parked] {
        if let Err(error) = letter::tidy(&shared.client, kind, kind.caps(&shared.config)).await {
            tracing::debug!(%error, ?kind, "tidying the letters failed, trying again in an hour");
        }
    }
}

/// When something that is done at ticks is next due; a little early, because ticks come a little late.
fn next(every: Duration, tick: Duration) -> Instant {
    Instant::now() + every.saturating_sub(tick / 4)
}

/// Keeps our registry entry, and sends a sign of life with it.
async fn beat(shared: &Shared, sign: Option<Sign>) -> Result<(), Error> {
    let record = serde_json::to_vec(&record(shared)).unwrap_or_default();
    let keys = shared.client.keys();
    let keys = [keys.workers(), keys.worker(&shared.id)];
    let (channel, message) = match sign {
        Some(sign) => {
            let Publication { channel, message } = publication(shared, sign);
            (channel.into_bytes(), message)
        }
        None => Default::default(),
    };
    let args = [
        shared.id.clone().into_bytes(),
        record,
        shared.config.lease.as_millis().to_string().into_bytes(),
        RECORD_TTL.as_secs().to_string().into_bytes(),
        channel,
        message,
    ];
    let _: u64 = shared
        .queue
        .eval(&script::HEARTBEAT, &keys, &args, &[])
        .await
        .map_err(redis("renew the registry entry"))?;
    Ok(())
}

fn publication(shared: &Shared, sign: Sign) -> Publication {
    let started = shared.counters.started.load(Ordering::Relaxed);
    shared.events.sign(sign, shared.held.n_active(), started)
}

fn record(shared: &Shared) -> WorkerRecord {
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let running: Vec<Running> = shared.held.running(&shared.queues, SHOWN);
    WorkerRecord {
        id: shared.id.clone(),
        node: shared.node.clone(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: clock::iso(shared.started_at),
        concurrency: shared.slots.size(),
        queues: shared.queues.names(),
        tasks: shared.tasks.names().map(str::to_owned).collect(),
        n_running: shared.held.len(),
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
    let until = Instant::now() + shared.config.lease / 3;
    for idx in shared.queues.watched() {
        // Each call is bounded, so that a thousand dead workers take many: they follow each other for as long as one
        // finds something, or tasks would wait for more leases than the two that are promised.
        while reap_queue(shared, idx).await? && Instant::now() < until {}
    }
    Ok(())
}

/// Tells whether anything was given back, so that there may be more.
async fn reap_queue(shared: &Shared, idx: usize) -> Result<bool, Error> {
    let held = shared.held.queues();
    let lease_ms = shared.config.lease.as_millis();
    let queue = &shared.queues[idx];
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
    Ok(!given.is_empty())
}

async fn leave(shared: &Shared) -> Result<(), Error> {
    let (keys, mut pipeline) = (shared.client.keys(), ::redis::pipe());
    pipeline.cmd("ZREM").arg(keys.workers()).arg(&shared.id).ignore();
    pipeline.cmd("DEL").arg(keys.worker(&shared.id)).ignore();
    if shared.events.heartbeats {
        let Publication { channel, message } = publication(shared, Sign::Offline);
        pipeline.cmd("PUBLISH").arg(channel).arg(message).ignore();
    }
    let _: ::redis::Value =
        shared.queue.pipe(&pipeline).await.map_err(redis("leave the registry"))?;
    Ok(())
}
