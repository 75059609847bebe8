//! Who is taken for dead: the script itself, on a model of clocks.
//!
//! Workers look as they do in life, each at its own times, and die, and are stopped; Redis goes
//! away and comes back, and its clock is set. Only the time is not real. `RHUBARB_LEASE_CASES`
//! makes it more, `RHUBARB_LEASE_SEED` does one again.

use fastrand::Rng;
use redis::{AsyncCommands, aio::MultiplexedConnection};
use rhubarb_e2e::redis_server::RedisServer;

const SCRIPT: &str = concat!(
    include_str!("../../../crates/queue/src/scripts/takes.lua"),
    include_str!("../../../crates/queue/src/scripts/reap.lua"),
);
const CASES: u64 = 60;
/// How long a case goes on, ms.
const LENGTH: u64 = 600_000;
const LEASE: u64 = 15_000;

#[derive(Clone, Debug)]
struct Worker {
    lease: u64,
    next_look: u64,
    renewed: u64,
    dies: Option<u64>,
    /// It is stopped from, to.
    stall: Option<(u64, u64)>,
    holds: bool,
}

/// Redis is away from, to, or its clock is set; how it comes back to the workers.
#[derive(Clone, Debug)]
struct Outage {
    from: u64,
    to: u64,
    /// Commands that were on their way are carried out at its end (`SIGSTOP`, `CLIENT PAUSE`); else
    /// they failed.
    holds_commands: bool,
    /// By how much Redis's clock is off from then on, ms.
    step: i64,
}

struct Model {
    rng: Rng,
    redis: MultiplexedConnection,
    workers: Vec<Worker>,
    outages: Vec<Outage>,
    /// What happened, for whoever reads of a failure.
    story: Vec<String>,
}

impl Model {
    fn new(seed: u64, redis: MultiplexedConnection) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mixed = rng.u8(..4) == 0;
        let mut outages = Vec::new();
        let mut at = rng.u64(LEASE..6 * LEASE);
        while at < LENGTH / 2 {
            let is_step = rng.u8(..4) == 0;
            let lasts = if is_step { 0 } else { rng.u64(..4 * LEASE) };
            let far = i64::try_from(6 * LEASE).unwrap();
            let step = if is_step { rng.i64(-far..far) } else { 0 };
            outages.push(Outage { from: at, to: at + lasts, holds_commands: rng.bool(), step });
            at += lasts + rng.u64(LEASE / 2..8 * LEASE);
        }
        let mut workers = Vec::new();
        for n in 0..rng.usize(2..6) {
            let lease = if mixed && rng.bool() { LEASE / 3 } else { LEASE };
            let mut worker = Worker {
                lease,
                next_look: rng.u64(..lease / 3),
                renewed: 0,
                dies: None,
                stall: None,
                holds: rng.u8(..4) > 0,
            };
            // The first is always there to look.
            let at = rng.u64(LEASE..LENGTH / 2);
            match rng.u8(..3) {
                0 if n > 0 => worker.dies = Some(at),
                1 if n > 0 => worker.stall = Some((at, at + rng.u64(..4 * LEASE))),
                _ => {}
            }
            workers.push(worker);
        }
        Self { rng, redis, workers, outages, story: Vec::new() }
    }

    fn clock(&self, at: u64) -> u64 {
        let steps = self.outages.iter().filter(|o| o.to <= at).map(|o| o.step).sum::<i64>();
        (1_795_000_000_000 + at).saturating_add_signed(steps)
    }

    async fn run(&mut self) -> Result<(), String> {
        while let Some((n, at)) = self.next() {
            if at > LENGTH {
                break;
            }
            self.workers[n].next_look = at;
            self.step(n, at).await?;
        }
        let all = self.workers.iter().enumerate();
        let unfound = |(n, w): (usize, &Worker)| (w.dies.is_some() && w.holds).then_some(n);
        match all.filter_map(unfound).next() {
            Some(n) => Err(format!("the death of {n} was never found")),
            None => Ok(()),
        }
    }

    /// Who looks next, and when.
    fn next(&self) -> Option<(usize, u64)> {
        let looks = self.workers.iter().enumerate().filter_map(|(n, worker)| {
            let mut at = worker.next_look;
            if let Some((from, to)) = worker.stall
                && (from..to).contains(&at)
            {
                at = to;
            }
            worker.dies.is_none_or(|dies| at < dies).then_some((n, at))
        });
        looks.min_by_key(|(_, at)| *at)
    }

    async fn step(&mut self, n: usize, at: u64) -> Result<(), String> {
        let lease = self.workers[n].lease;
        if let Some(outage) = self.outages.iter().find(|o| (o.from..o.to).contains(&at)) {
            let wait = if outage.holds_commands { outage.to - at } else { lease / 15 };
            // Dialling takes its time.
            self.workers[n].next_look = at + wait + self.rng.u64(..lease / 30);
            return Ok(());
        }
        let reaped = self.look(n, at).await;
        self.workers[n].renewed = at;
        self.workers[n].next_look = at + lease / 3 + self.rng.u64(..lease / 30);
        if self.workers[n].holds {
            // What it claimed since, if the others took what it had.
            let (claims, now) = (format!("claims:{n}"), self.clock(at));
            let claimed: bool = self.redis.hset_nx(&claims, 1, "{}").await.unwrap();
            if claimed {
                let _: () = self.redis.zadd("leases", n.to_string(), now + lease).await.unwrap();
            }
        }
        reaped.into_iter().try_for_each(|dead| self.judge(dead, at))
    }

    async fn look(&mut self, n: usize, at: u64) -> Vec<usize> {
        let worker = &self.workers[n];
        let now = self.clock(at);
        let time = format!("{{{}, {}}}", now / 1000, now % 1000 * 1000);
        let script = SCRIPT.replace("redis.call('TIME')", &time);
        let holds: bool = self.redis.exists(format!("claims:{n}")).await.unwrap();
        let answer: Vec<redis::Value> = redis::cmd("EVAL")
            .arg(script)
            .arg(4)
            .arg(&["leases", "deliveries", "looks", "list"])
            .arg("claims:")
            .arg(3600)
            .arg(n)
            .arg(worker.lease)
            .arg(u8::from(holds))
            .arg(500)
            .query_async(&mut self.redis)
            .await
            .unwrap();
        let granted: u64 = redis::from_redis_value(answer[0].clone()).unwrap();
        let dead: Vec<usize> = answer[1..]
            .chunks_exact(2)
            .map(|pair| redis::from_redis_value::<String>(pair[0].clone()).unwrap())
            .map(|id| id.parse().unwrap())
            .collect();
        if granted > 0 || !dead.is_empty() {
            self.story.push(format!("{at}: {n} grants {granted}, reaps {dead:?}"));
        }
        dead
    }

    /// Whether somebody was rightly taken for dead, and in time.
    fn judge(&mut self, n: usize, at: u64) -> Result<(), String> {
        let worker = &mut self.workers[n];
        let Some(dies) = worker.dies.filter(|dies| *dies <= at) else {
            let own = worker.stall.is_some_and(|(from, to)| {
                from <= at && worker.renewed <= to && to - from > worker.lease / 3
            });
            return own.then_some(()).ok_or_else(|| format!("{n} lives and was reaped at {at}"));
        };
        worker.holds = false;
        let disturbed = self.outages.iter().filter(|o| o.from < at && o.to + 3 * LEASE > dies);
        let back = disturbed.map(|o| o.to.min(at)).max();
        let limit = back.map_or(dies + 2 * LEASE, |back| back.max(dies) + 3 * LEASE);
        (at <= limit).then_some(()).ok_or_else(|| format!("{n} died at {dies}, found at {at}"))
    }
}

#[expect(clippy::disallowed_methods, reason = "they are no settings of Rhubarb's but the test's")]
fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test]
async fn an_outage_is_nobodys_death_and_a_death_is_found_within_two_leases_or_three_after_one() {
    let server = RedisServer::start().await;
    let mut redis = server.connect(0).await;
    let first = from_environment("RHUBARB_LEASE_SEED");
    let cases = from_environment("RHUBARB_LEASE_CASES").unwrap_or(CASES);
    let seeds = first.map_or(0..cases, |seed| seed..seed + 1);
    for seed in seeds {
        redis::cmd("FLUSHALL").query_async::<()>(&mut redis).await.unwrap();
        let mut model = Model::new(seed, redis.clone());
        if let Err(wrong) = model.run().await {
            let Model { workers, outages, story, .. } = model;
            panic!("RHUBARB_LEASE_SEED={seed}: {wrong}\n{workers:#?}\n{outages:#?}\n{story:#?}");
        }
    }
}
