//! What is done to whom and for how long: made from a seed, so that the same seed does the same
//! again.

use std::time::Duration;

use fastrand::Rng;
use rhubarb_e2e::proxy::Way;

use super::oracle::LEASE_MS;

/// How many workers the field has.
pub(super) const WORKERS: usize = 2;

/// Whose network is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Victim {
    Worker(usize),
    Publisher,
}

/// One thing done on purpose.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    Cut(Victim),
    CutAtCommand(Victim, Way, &'static str),
    CutAtByte(Victim, Way, u64),
    Delay(Victim, Duration),
    Swallow(Victim),
    Trickle(Victim, Duration),
    HalfClose(Victim, Way),
    Refuse(Victim),
    RedisKilled,
    RedisPaused,
    /// For longer than a lease, and a worker that dies meanwhile.
    Outage(Outage, Option<usize>),
    /// The old primary lives on as a replica, with its connections open.
    FailOver,
    RedisReadOnly,
    RedisFull,
    ScriptsFlushed,
    ClientsKilled,
    WorkerKilled(usize),
    WorkerStopped(usize),
    WorkerTerminated(usize),
    ClockStep(usize, i64),
    DeadlyTask,
    OnceDeadlyTask,
}

/// How Redis can be away from everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outage {
    Gone,
    Stopped,
    Paused,
}

/// A fault, how long it lasts, and the quiet after it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) fault: Fault,
    pub(super) lasts: Duration,
    pub(super) quiet: Duration,
}

/// What kinds there are; each deck is all of them, shuffled.
const KINDS: usize = 26;

impl Fault {
    /// Its kind, for the report.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Cut(_) => "connections cut",
            Self::CutAtCommand(_, Way::ToServer, _) => "cut before a command",
            Self::CutAtCommand(_, Way::ToClient, _) => "cut before an answer",
            Self::CutAtByte(..) => "cut in the middle",
            Self::Delay(..) => "delay",
            Self::Swallow(_) => "half-open connection",
            Self::Trickle(..) => "trickle",
            Self::HalfClose(..) => "half-closed",
            Self::Refuse(_) => "connections refused",
            Self::RedisKilled => "redis killed",
            Self::RedisPaused => "redis paused",
            Self::Outage(Outage::Gone, _) => "redis gone for longer than a lease",
            Self::Outage(Outage::Stopped, _) => "redis stopped for longer than a lease",
            Self::Outage(Outage::Paused, _) => "clients paused for longer than a lease",
            Self::FailOver => "fail-over",
            Self::RedisReadOnly => "redis read-only",
            Self::RedisFull => "redis full",
            Self::ScriptsFlushed => "scripts flushed",
            Self::ClientsKilled => "clients killed",
            Self::WorkerKilled(_) => "worker SIGKILL",
            Self::WorkerStopped(_) => "worker SIGSTOP",
            Self::WorkerTerminated(_) => "worker SIGTERM",
            Self::ClockStep(..) => "clock step",
            Self::DeadlyTask => "deadly task",
            Self::OnceDeadlyTask => "once deadly task",
        }
    }
}

/// Makes the schedule of a seed for about this long.
pub(super) fn schedule(seed: u64, total: Duration) -> Vec<Step> {
    let mut rng = Rng::with_seed(seed);
    let (mut steps, mut planned) = (Vec::new(), Duration::ZERO);
    loop {
        let mut deck: Vec<usize> = (0..KINDS).collect();
        rng.shuffle(&mut deck);
        for kind in deck {
            let step = step(kind, &mut rng);
            planned += step.lasts + step.quiet;
            if planned > total {
                return steps;
            }
            steps.push(step);
        }
    }
}

fn step(kind: usize, rng: &mut Rng) -> Step {
    let worker = rng.usize(..WORKERS);
    let victim = if rng.u8(..4) == 0 { Victim::Publisher } else { Victim::Worker(worker) };
    let way = if rng.bool() { Way::ToServer } else { Way::ToClient };
    let command = if victim == Victim::Publisher { "LPUSH" } else { "EVALSHA" };
    let ms = |rng: &mut Rng, from, to| Duration::from_millis(rng.u64(from..to));
    let (fault, lasts) = match kind {
        0 => (Fault::Cut(victim), ms(rng, 0, 200)),
        1 => (Fault::CutAtCommand(victim, Way::ToServer, command), ms(rng, 300, 900)),
        2 => (Fault::CutAtCommand(victim, Way::ToClient, command), ms(rng, 300, 900)),
        3 => (Fault::CutAtCommand(Victim::Publisher, way, "LPUSH"), ms(rng, 300, 900)),
        4 => (Fault::CutAtByte(victim, way, rng.u64(100..20_000)), ms(rng, 500, 1500)),
        5 => (Fault::Delay(victim, ms(rng, 20, 400)), ms(rng, 500, 2500)),
        6 => (Fault::Swallow(victim), ms(rng, 200, 4500)),
        7 => (Fault::Trickle(victim, ms(rng, 1, 3)), ms(rng, 300, 1000)),
        8 => (Fault::HalfClose(victim, way), ms(rng, 200, 1500)),
        9 => (Fault::Refuse(victim), ms(rng, 300, 4000)),
        10 | 11 => (Fault::RedisKilled, ms(rng, 0, 2500)),
        12 => (Fault::RedisPaused, ms(rng, 300, 2500)),
        13 => (Fault::RedisReadOnly, ms(rng, 500, 2500)),
        14 => (Fault::RedisFull, ms(rng, 500, 2500)),
        15 => (Fault::ScriptsFlushed, Duration::ZERO),
        16 => (Fault::ClientsKilled, Duration::ZERO),
        17 => (Fault::WorkerKilled(worker), ms(rng, 0, 1500)),
        18 => (Fault::WorkerStopped(worker), ms(rng, 3500, 5500)),
        19 => (Fault::WorkerTerminated(worker), ms(rng, 0, 500)),
        20 => (Fault::ClockStep(worker, rng.i64(-90_000..90_000)), ms(rng, 1500, 2500)),
        21 => (Fault::FailOver, ms(rng, 1000, 3000)),
        22..25 => {
            let outage = [Outage::Gone, Outage::Stopped, Outage::Paused][kind - 22];
            let dies = rng.bool().then_some(worker);
            (Fault::Outage(outage, dies), ms(rng, LEASE_MS + 500, 3 * LEASE_MS))
        }
        _ if rng.bool() => (Fault::DeadlyTask, ms(rng, 500, 1000)),
        _ => (Fault::OnceDeadlyTask, ms(rng, 500, 1000)),
    };
    Step { fault, lasts, quiet: ms(rng, 100, 1000) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_gives_one_schedule_and_another_gives_another() {
        let minute = Duration::from_secs(60);
        assert_eq!(schedule(1, minute), schedule(1, minute));
        assert_ne!(schedule(1, minute), schedule(2, minute));
        let planned: Duration = schedule(1, minute).iter().map(|s| s.lasts + s.quiet).sum();
        assert!(planned <= minute && planned > minute / 2, "{planned:?}");
    }

    #[test]
    fn ten_minutes_hold_every_kind() {
        let steps = schedule(3, Duration::from_secs(600));
        let kinds: BTreeSet<_> = steps.iter().map(|step| step.fault.kind()).collect();
        assert_eq!(kinds.len(), 25, "{kinds:?}");
    }
}
