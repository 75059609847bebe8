//! Keeps the lease and the registry entry, and gives back what dead workers held.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rhubarb_connection::Push;
use rhubarb_core::clock;
use rhubarb_queue::{
    Error,
    error::redis,
    inspect::Running,
    inspect::WorkerRecord,
    letter::Kind,
    orphans::Walk,
    reap::{self, Look},
};
use tokio::{sync::broadcast, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    Counters, Shared,
    events::{HEARTBEAT, Publication, Sign},
    memory::Memory,
    script,
};

/// How many running tasks the registry shows of a worker.
const SHOWN: usize = 50;
/// How long a lost worker's record stays readable.
const RECORD_TTL: Duration = Duration::from_secs(3600);
/// How often kept messages are looked at for their age.
const TIDY: Duration = Duration::from_secs(3600);

/// How long the last task events may hold up the worker's leaving.
const LAST_EVENTS: Duration = Duration::from_secs(1);

/// Renews the lease three times a lease and the registry entry with each heartbeat until `stop`
/// fires, then leaves.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let heartbeats = shared.events.heartbeats;
    let mut pace = Pace::new(shared.config.lease, heartbeats, Instant::now());
    let mut sign = Sign::Online;
    let mut memory = Memory::new(shared.config.max_memory);
    let mut tidy_at = Instant::now();
    let mut walk = Walk::new(shared.config.lease);
    let mut pushes = shared.queue.pushes();
    loop {
        let mut wanted = false;
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = shared.beat_wanted.notified() => wanted = true,
            () = connected(&mut pushes) => pace.connected(Instant::now()),
            () = tokio::time::sleep_until(pace.next()) => {}
        }
        // The lease first: it decides whether our tasks run twice.
        if Instant::now() >= pace.reap_at {
            let reaped = reap(&shared).await;
            if let Err(error) = &reaped {
                tracing::debug!(%error, "looking at the leases failed, trying again");
            }
            pace.reaped(Instant::now(), reaped.is_ok());
            shared.room.watch(shared.client.results()).await;
            if let Err(error) = walk.go_on(&shared.client).await {
                tracing::debug!(%error, "looking for claims without a lease failed, trying again later");
            }
        }
        memory.check(&shared);
        shared.floods.ebb();
        if Instant::now() >= tidy_at {
            tidy_at = Instant::now() + TIDY;
            tidy(&shared).await;
        }
        let due = wanted || Instant::now() >= pace.beat_at;
        if !due {
            continue;
        }
        match beat(&shared, heartbeats.then_some(sign)).await {
            Ok(()) => sign = Sign::Heartbeat,
            Err(error) => tracing::debug!(%error, "the heartbeat failed, trying again"),
        }
        pace.beaten(Instant::now());
    }
    // A worker is offline after its last task's end, not before.
    let _ = tokio::time::timeout(LAST_EVENTS, shared.events.flushed.cancelled()).await;
    shared.floods.finish();
    // A record that could not be removed shows the worker as lost until it ends by itself.
    let _ = leave(&shared).await;
}

/// Has kept messages that are too old give way, also where no other is kept.
async fn tidy(shared: &Shared) {
    for kind in [Kind::Dead, Kind::Parked] {
        if let Err(error) = shared.letters().tidy(kind).await {
            tracing::debug!(%error, ?kind, "tidying the letters failed, trying again in an hour");
        }
    }
}

/// When what is due next.
#[derive(Debug)]
struct Pace {
    lease: Duration,
    beat_period: Duration,
    reap_at: Instant,
    /// No look comes before it, whatever happens.
    rest_until: Instant,
    beat_at: Instant,
}

impl Pace {
    fn new(lease: Duration, heartbeats: bool, now: Instant) -> Self {
        let beat_period = if heartbeats { HEARTBEAT.min(lease / 3) } else { lease / 3 };
        Self { lease, beat_period, reap_at: now, rest_until: now, beat_at: now }
    }

    fn next(&self) -> Instant {
        self.reap_at.min(self.beat_at)
    }

    /// After a failed look the next one comes soon: while Redis is away, a lease ends for want of a
    /// few seconds.
    fn reaped(&mut self, now: Instant, well: bool) {
        self.rest_until = now + self.lease / 15;
        self.reap_at = if well { now + self.lease / 3 } else { self.rest_until };
    }

    /// A new connection brings the next look forward, not more: a look that is cut makes one
    /// itself.
    fn connected(&mut self, now: Instant) {
        self.reap_at = self.reap_at.min(self.rest_until.max(now));
    }

    fn beaten(&mut self, now: Instant) {
        self.beat_at = now + self.beat_period;
    }
}

/// Returns when a new connection was made: the lease may be near its end, and the next look far.
async fn connected(pushes: &mut broadcast::Receiver<Push>) {
    loop {
        match pushes.recv().await {
            Ok(Push::Connected) | Err(broadcast::error::RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
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
    Counters::add(&shared.counters.worked);
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
        // Each call is bounded, so that a thousand dead workers take many: they follow each other
        // for as long as one finds something, or tasks would wait for more leases than the two that
        // are promised.
        while reap_queue(shared, idx).await? && Instant::now() < until {}
    }
    Ok(())
}

/// Tells whether anything was given back, so that there may be more.
async fn reap_queue(shared: &Shared, idx: usize) -> Result<bool, Error> {
    let (queue, config) = (&shared.queues[idx], &shared.config);
    let holds = shared.held.queues().contains(&idx);
    let look = Look { worker: &shared.id, lease: config.lease, holds, most: reap::MOST };
    let reaped = reap::look(&shared.queue, queue, look).await?;
    if reaped.granted > 0 {
        tracing::info!(
            queue = queue.name,
            workers = reaped.granted,
            "no lease could be renewed for a while: each is granted one more period"
        );
    }
    for (worker, n) in &reaped.given {
        tracing::warn!(
            queue = queue.name,
            worker,
            n,
            "gave back the tasks of a worker whose lease ended"
        );
    }
    Ok(!reaped.given.is_empty())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_connection_brings_the_next_look_forward_and_looks_that_are_cut_follow_no_faster() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let mut pace = Pace::new(Duration::from_secs(15), true, begun);
        assert_eq!(pace.reap_at, begun);
        pace.reaped(begun, true);
        assert_eq!(pace.reap_at, after(5));
        pace.connected(after(3));
        assert_eq!(pace.reap_at, after(3));
        pace.reaped(after(3), false);
        pace.connected(after(3));
        assert_eq!(pace.reap_at, after(4), "a fifteenth of the lease later, as after each failure");
        pace.connected(after(6));
        assert_eq!(pace.reap_at, after(4), "never later than it would be");
    }
}
