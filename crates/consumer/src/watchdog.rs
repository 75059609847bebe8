//! Ends a process that lives and works no more, so that its platform starts another.
//!
//! It has a thread and a runtime of its own, because what no longer moves may be the runtime:
//! handlers that compute without awaiting hold up the lease and the claims as well.

use std::{
    fmt, io,
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use rhubarb_core::exit;
use rhubarb_queue::config::WorkerConfig;
use tokio::{runtime, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    Counters,
    broker::Broker,
    claim::{arguments, keys},
    held::Held,
    script,
    signals::Signals,
    slots::Slots,
};

/// What is watched.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) broker: Arc<Broker>,
    pub(super) config: Arc<WorkerConfig>,
    pub(super) held: Arc<Held>,
    pub(super) slots: Arc<Slots>,
    pub(super) counters: Arc<Counters>,
    pub(super) signals: Arc<Signals>,
}

/// How often it looks within its limit.
const LOOKS: u32 = 12;

/// What is known at one look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// For how long Redis has carried out nothing of what keeps a worker: claims, ends, heartbeats.
    pub(super) silent: Duration,
    /// For how long no claim has worked although a slot was free.
    pub(super) idle: Duration,
    /// Whether claiming has ended on purpose.
    pub(super) draining: bool,
    /// Whether a claim works on a connection made for asking; none when it was not asked yet.
    pub(super) redis_answers: Option<bool>,
}

/// How long is too long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// For [`Facts::silent`]; the heartbeat alone succeeds three times a lease.
    pub(super) silent: Duration,
    /// For [`Facts::idle`]; an idle worker claims once a poll interval.
    pub(super) idle: Duration,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Fine,
    /// Something may be wrong; whether with Redis or with us has to be asked.
    Ask,
    /// It is Redis: an outage is waited out, however long, and what passed in it is no fault of
    /// ours.
    Forgive,
    /// It is us.
    End(Reason),
}

/// Why the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Silent(Duration),
    Idle(Duration),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, time) = match self {
            Self::Silent(time) => ("nothing has succeeded on the queue's connection", time),
            Self::Idle(time) => ("no claim has worked although a slot was free", time),
        };
        write!(f, "{what} for {} s, while claims work on a fresh connection", time.as_secs())
    }
}

/// Decides.
pub(super) fn verdict(facts: Facts, limits: Deadlines) -> Verdict {
    // Asked long before the limit, so that a Redis that has just come back is not held against us.
    let early = |time: Duration, limit: Duration| time >= limit / 3;
    let idle = if facts.draining { Duration::ZERO } else { facts.idle };
    if !early(facts.silent, limits.silent) && !early(idle, limits.idle) {
        return Verdict::Fine;
    }
    match facts.redis_answers {
        None => Verdict::Ask,
        Some(false) => Verdict::Forgive,
        Some(true) if facts.silent >= limits.silent => Verdict::End(Reason::Silent(facts.silent)),
        Some(true) if idle >= limits.idle => Verdict::End(Reason::Idle(idle)),
        Some(true) => Verdict::Fine,
    }
}

/// Watches until `stop` fires. Does nothing when it is switched off.
///
/// # Errors
///
/// The system gives no thread.
pub(super) fn start(watched: Watched, stop: CancellationToken) -> io::Result<()> {
    let config = &watched.config;
    if config.watchdog.is_zero() {
        return Ok(());
    }
    let silent = config.watchdog.max(config.lease);
    let limits = Deadlines { silent, idle: silent + config.poll_interval };
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let watch = move || runtime.block_on(watch(&watched, limits, &stop));
    thread::Builder::new().name("watchdog".to_owned()).spawn(watch).map(drop)
}

/// How far the worker's side has come, and for how long it has come no further.
#[derive(Debug, Default)]
struct Progress {
    worked: u64,
    silent: Duration,
    rounds: u64,
    idle: Duration,
}

impl Progress {
    /// Takes a look's numbers in, this long after the last look.
    fn note(&mut self, passed: Duration, worked: u64, rounds: u64, slot_is_free: bool) {
        let silent = worked == self.worked;
        self.silent = if silent { self.silent + passed } else { Duration::ZERO };
        let idle = rounds == self.rounds && slot_is_free;
        self.idle = if idle { self.idle + passed } else { Duration::ZERO };
        (self.worked, self.rounds) = (worked, rounds);
    }
}

async fn watch(watched: &Watched, limits: Deadlines, stop: &CancellationToken) {
    let period = limits.silent / LOOKS;
    let mut progress = Progress::default();
    loop {
        let asleep = Instant::now();
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(period) => {}
        }
        // A process that was stopped for an hour (SIGSTOP, a sleeping laptop) has not failed to
        // work in it.
        let passed = asleep.elapsed().min(2 * period);
        let worked = watched.counters.worked.load(Ordering::Relaxed);
        let rounds = watched.counters.rounds.load(Ordering::Relaxed);
        progress.note(passed, worked, rounds, watched.slots.any_free());
        match look(watched, &progress, limits).await {
            Verdict::Fine | Verdict::Ask => {}
            Verdict::Forgive => (progress.silent, progress.idle) = Default::default(),
            Verdict::End(reason) => end(watched, reason),
        }
    }
}

async fn look(watched: &Watched, progress: &Progress, limits: Deadlines) -> Verdict {
    let facts = Facts {
        silent: progress.silent,
        idle: progress.idle,
        draining: watched.signals.draining.is_cancelled(),
        redis_answers: None,
    };
    match verdict(facts, limits) {
        Verdict::Ask => {
            let redis_answers = Some(claims_work(&watched.broker, &watched.config).await);
            verdict(Facts { redis_answers, ..facts }, limits)
        }
        other => other,
    }
}

/// Tells whether Redis carries out a claim, of nothing, for a connection made for asking.
///
/// A sign of life would not do: a replica answers, and so does a server whose access list forbids
/// us to claim.
pub(super) async fn claims_work(broker: &Broker, config: &WorkerConfig) -> bool {
    let asked = match broker.queues.active().first() {
        Some(&idx) => {
            let keys = keys(broker, &broker.queues[idx]);
            let args = arguments(&broker.id, config, 0, 0, 0);
            broker.queue.probe_script(&script::CLAIM, &keys, &args).await
        }
        None => broker.queue.probe().await,
    };
    asked.is_ok()
}

#[expect(clippy::exit, reason = "a runtime that no longer moves cannot be asked to end")]
fn end(watched: &Watched, reason: Reason) {
    tracing::error!(
        node = watched.broker.node,
        held = watched.held.len(),
        "watchdog: {reason}: ending the process; what it holds runs elsewhere when its lease ends"
    );
    std::process::exit(exit::FAILED.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const LIMITS: Deadlines = Deadlines { silent: MINUTE, idle: Duration::from_secs(75) };
    const FINE: Facts = Facts {
        silent: Duration::ZERO,
        idle: Duration::ZERO,
        draining: false,
        redis_answers: None,
    };

    #[test]
    fn a_worker_that_has_stopped_working_ends_only_when_redis_answers_others() {
        let check = |facts, expect| assert_eq!(verdict(facts, LIMITS), expect, "{facts:?}");
        check(FINE, Verdict::Fine);
        check(Facts { silent: MINUTE / 4, ..FINE }, Verdict::Fine);
        check(Facts { silent: MINUTE / 2, ..FINE }, Verdict::Ask);
        let early = Facts { silent: MINUTE / 2, redis_answers: Some(true), ..FINE };
        check(early, Verdict::Fine);
        let silent = Facts { silent: MINUTE, ..FINE };
        check(silent, Verdict::Ask);
        check(Facts { redis_answers: Some(false), ..silent }, Verdict::Forgive);
        let reason = Reason::Silent(MINUTE);
        check(Facts { redis_answers: Some(true), ..silent }, Verdict::End(reason));
        let idle = Facts { idle: LIMITS.idle, redis_answers: Some(true), ..FINE };
        check(idle, Verdict::End(Reason::Idle(LIMITS.idle)));
        check(Facts { draining: true, ..idle }, Verdict::Fine);
    }

    #[test]
    fn any_progress_begins_the_count_anew_and_full_slots_are_no_idleness() {
        let mut progress = Progress::default();
        let tick = Duration::from_secs(5);
        progress.note(tick, 0, 0, true);
        progress.note(tick, 0, 0, true);
        assert_eq!((progress.silent, progress.idle), (2 * tick, 2 * tick));
        progress.note(tick, 1, 0, true);
        assert_eq!((progress.silent, progress.idle), (Duration::ZERO, 3 * tick));
        progress.note(tick, 1, 0, false);
        assert_eq!((progress.silent, progress.idle), (tick, Duration::ZERO));
        progress.note(tick, 1, 1, true);
        assert_eq!((progress.silent, progress.idle), (2 * tick, Duration::ZERO));
    }
}
