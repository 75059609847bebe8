//! Keeps the lease and the registry entry, and gives back what dead workers held.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use rhubarb_connection::Push;
use rhubarb_core::clock;
use rhubarb_queue::{
    Error,
    config::WorkerConfig,
    error::redis,
    inspect::{Running, WorkerRecord},
    letter::LetterKind,
    orphans::Walk,
    reap::{self, Reaper},
    shares, statistics,
};
use tokio::{sync::broadcast, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    Counters, Tasks,
    broker::Broker,
    chronicle::Chronicle,
    events::{Events, HEARTBEAT, Publication, Sign},
    floods::Floods,
    held::Held,
    letters,
    memory::MemoryWatch,
    room::Room,
    script,
    shares::Shares,
    signals::Signals,
    slots::Slots,
};

/// How many running tasks the registry shows of a worker.
const SHOWN: usize = 50;
/// How long a lost worker's record stays readable.
const RECORD_TTL: Duration = Duration::from_secs(3600);
/// How often kept messages are looked at for their age.
const TIDY: Duration = Duration::from_secs(3600);

/// How long the last task events may hold up the worker's leaving.
const LAST_EVENTS: Duration = Duration::from_secs(1);

/// What keeps the lease, and tells that the worker is alive.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) broker: Arc<Broker>,
    pub(super) config: Arc<WorkerConfig>,
    pub(super) tasks: Tasks,
    pub(super) held: Arc<Held>,
    pub(super) slots: Arc<Slots>,
    pub(super) counters: Arc<Counters>,
    pub(super) events: Arc<Events>,
    pub(super) chronicle: Arc<Chronicle>,
    pub(super) floods: Arc<Floods>,
    pub(super) room: Arc<Room>,
    pub(super) shares: Arc<Shares>,
    pub(super) signals: Arc<Signals>,
    pub(super) started_at: Timestamp,
}

/// Renews the lease three times a lease and the registry entry with each heartbeat until `stop`
/// fires, then leaves.
pub(super) async fn run(keeper: Keeper, stop: CancellationToken) {
    let heartbeats = keeper.events.heartbeats;
    let mut pace = Pace::new(keeper.config.lease, heartbeats, Instant::now());
    let mut sign = Sign::Online;
    let mut memory = MemoryWatch::new(keeper.config.max_memory);
    let mut tidy_at = Instant::now();
    let mut walk = Walk::new(keeper.config.lease);
    let mut pushes = keeper.broker.queue.pushes();
    loop {
        let mut wanted = false;
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = keeper.signals.beat_wanted.notified() => wanted = true,
            () = connected(&mut pushes) => pace.connected(Instant::now()),
            () = tokio::time::sleep_until(pace.next()) => {}
        }
        // The lease first: it decides whether our tasks run twice.
        if Instant::now() >= pace.reap_at {
            let reaped = reap(&keeper).await;
            if let Err(error) = &reaped {
                tracing::debug!(%error, "looking at the leases failed, trying again");
            }
            pace.reaped(Instant::now(), reaped.is_ok());
            keeper.room.watch(keeper.broker.client.results()).await;
            if let Err(error) = walk.go_on(&keeper.broker.client).await {
                tracing::debug!(%error, "looking for claims without a lease failed, trying again later");
            }
        }
        memory.check(&keeper.signals.stop_asked);
        keeper.floods.ebb();
        if Instant::now() >= tidy_at {
            tidy_at = Instant::now() + TIDY;
            tidy(&keeper).await;
        }
        let due = wanted || Instant::now() >= pace.beat_at;
        if !due {
            continue;
        }
        match beat(&keeper, heartbeats.then_some(sign)).await {
            Ok(()) => sign = Sign::Heartbeat,
            Err(error) => tracing::debug!(%error, "the heartbeat failed, trying again"),
        }
        pace.beaten(Instant::now());
    }
    // A worker is offline after its last task's end, not before.
    let _ = tokio::time::timeout(LAST_EVENTS, keeper.events.flushed.cancelled()).await;
    keeper.floods.finish();
    add_up(&keeper).await;
    // A record that could not be removed shows the worker as lost until it ends by itself.
    let _ = leave(&keeper).await;
}

/// Has kept messages that are too old give way, also where no other is kept.
async fn tidy(keeper: &Keeper) {
    let (client, config, floods) = (&keeper.broker.client, &*keeper.config, &*keeper.floods);
    let letters = letters::Writer { client, config, floods };
    for kind in [LetterKind::Dead, LetterKind::Parked] {
        if let Err(error) = letters.tidy(kind).await {
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

/// Keeps our registry entry, sends a sign of life with it, and hears which shares of tasks are
/// ours.
async fn beat(keeper: &Keeper, sign: Option<Sign>) -> Result<(), Error> {
    let record = serde_json::to_vec(&record(keeper)).unwrap_or_default();
    let keys = keeper.broker.client.keys();
    let keys = [keys.workers(), keys.worker(&keeper.broker.id), keys.shares()];
    let (channel, message) = match sign {
        Some(sign) => {
            let Publication { channel, message } = publication(keeper, sign);
            (channel.into_bytes(), message)
        }
        None => Default::default(),
    };
    let args = [
        keeper.broker.id.clone().into_bytes(),
        record,
        keeper.config.lease.as_millis().to_string().into_bytes(),
        RECORD_TTL.as_secs().to_string().into_bytes(),
        channel,
        message,
        shares::MAX.to_string().into_bytes(),
    ];
    let found = keeper
        .broker
        .queue
        .eval(&script::HEARTBEAT, &keys, &args, &[])
        .await
        .map_err(redis("renew the registry entry"))?;
    // What lies passed over is looked at anew.
    if keeper.shares.hold(shares::read(found)) {
        keeper.signals.changed.notify_one();
    }
    Counters::add(&keeper.counters.worked);
    add_up(keeper).await;
    Ok(())
}

/// Adds what was counted since the last heartbeat to the fleet's statistics.
async fn add_up(keeper: &Keeper) {
    let name = |queue: usize| keeper.broker.queues[queue].name.clone();
    let counted = keeper.chronicle.take(name);
    if counted.is_empty() {
        return;
    }
    let minute = statistics::minute_of(clock::now().as_millisecond());
    match statistics::write(&keeper.broker.client, minute, &counted).await {
        Ok(()) => keeper.chronicle.note_written(&counted),
        Err(error) => {
            tracing::debug!(%error, "the statistics could not be written, trying again");
            keeper.chronicle.put_back(&counted);
        }
    }
}

fn publication(keeper: &Keeper, sign: Sign) -> Publication {
    let started = keeper.counters.started.load(Ordering::Relaxed);
    keeper.events.sign(sign, keeper.held.n_active(), started)
}

fn record(keeper: &Keeper) -> WorkerRecord {
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let running: Vec<Running> = keeper.held.running(&keeper.broker.queues, SHOWN);
    WorkerRecord {
        id: keeper.broker.id.clone(),
        node: keeper.broker.node.clone(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: clock::iso(keeper.started_at),
        concurrency: keeper.slots.size(),
        queues: keeper.broker.queues.names(),
        tasks: keeper.tasks.names().map(str::to_owned).collect(),
        parameters: keeper.tasks.parameters(),
        n_running: keeper.held.len(),
        running,
        processed: count(&keeper.counters.processed),
        late: count(&keeper.counters.late),
        dead: count(&keeper.counters.dead),
        parked: count(&keeper.counters.parked),
        draining: keeper.signals.draining.is_cancelled(),
    }
}

/// Renews our lease where we hold claims, and gives back what workers held whose lease has ended.
async fn reap(keeper: &Keeper) -> Result<(), Error> {
    let until = Instant::now() + keeper.config.lease / 3;
    for idx in keeper.broker.queues.watched() {
        // Each call is bounded, so that a thousand dead workers take many: they follow each other
        // for as long as one finds something, or tasks would wait for more leases than the two that
        // are promised.
        while reap_queue(keeper, idx).await? && Instant::now() < until {}
    }
    Ok(())
}

/// Tells whether anything was given back, so that there may be more.
async fn reap_queue(keeper: &Keeper, idx: usize) -> Result<bool, Error> {
    let (queue, config) = (&keeper.broker.queues[idx], &keeper.config);
    let holds = keeper.held.queues().contains(&idx);
    let look = Reaper { worker: &keeper.broker.id, lease: config.lease, holds, most: reap::MOST };
    let reaped = reap::look(&keeper.broker.queue, queue, look).await?;
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

async fn leave(keeper: &Keeper) -> Result<(), Error> {
    let (keys, mut pipeline) = (keeper.broker.client.keys(), ::redis::pipe());
    pipeline.cmd("ZREM").arg(keys.workers()).arg(&keeper.broker.id).ignore();
    pipeline.cmd("DEL").arg(keys.worker(&keeper.broker.id)).ignore();
    if keeper.events.heartbeats {
        let Publication { channel, message } = publication(keeper, Sign::Offline);
        pipeline.cmd("PUBLISH").arg(channel).arg(message).ignore();
    }
    let _: ::redis::Value =
        keeper.broker.queue.pipe(&pipeline).await.map_err(redis("leave the registry"))?;
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
