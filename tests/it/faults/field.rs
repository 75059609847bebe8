//! Where the random faults happen: a durable Redis, workers and a producer each behind a bad
//! network, and a ledger.

use std::{
    collections::BTreeSet, fs, os::unix::process::ExitStatusExt, path::PathBuf, time::Duration,
};

use rhubarb_e2e::{
    faketime::Clock,
    ledger::{self, Ledger},
    process::{Process, Signal, clean_command},
    proxy::{Act, At, Proxy, Rule},
    redis_server::RedisServer,
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::{
    load::Load,
    oracle::{Disruption, End, Expect, Facts, LEASE_MS},
    schedule::{Fault, Outage, Step, Victim, WORKERS},
};
use crate::OWN_WORKER;

/// How long a worker may take, once a fault is over, until it ends a task again.
const RECOVERY: Duration = Duration::from_secs(20);
/// How often workers are looked at.
const TICK: Duration = Duration::from_millis(50);
/// A look that took this long says that the machine was busy with something else.
const SLOW: Duration = Duration::from_millis(900);
/// The signal of `abort`.
const ABORTED: i32 = 6;
/// SIGTERM.
const TERMINATED: i32 = 15;
/// All of it.
pub(super) struct Field {
    pub(super) redis: RedisServer,
    /// What was the primary until a fail-over, while some may still talk to it.
    old: Option<RedisServer>,
    pub(super) ledger: Ledger,
    pub(super) load: Load,
    pub(super) workers: Vec<Worker>,
    publisher: Proxy,
    dir: TempDir,
    /// What happened, for the oracle.
    pub(super) facts: Facts,
    /// What ought never to happen and did, apart from what the oracle finds.
    pub(super) violations: Vec<String>,
    started: usize,
    deadly: usize,
    ledger_server: RedisServer,
}

/// A worker's place: its network, its clock, and the process that is there now.
pub(super) struct Worker {
    pub(super) proxy: Proxy,
    process: Process,
    clock: Option<Clock>,
}

impl Field {
    /// Sets it up, with the workers running.
    pub(super) async fn new() -> Self {
        let redis = RedisServer::start_durable().await;
        let ledger_server = RedisServer::start().await;
        let ledger = Ledger::open(&ledger_server.url(0)).await;
        let publisher = Proxy::start(redis.port()).await;
        let load = Load::new(&publisher.url(0));
        let dir = tempfile::tempdir().unwrap();
        let mut field = Self {
            ledger,
            load,
            workers: Vec::new(),
            publisher,
            dir,
            facts: Facts::default(),
            violations: Vec::new(),
            started: 0,
            deadly: 0,
            redis,
            old: None,
            ledger_server,
        };
        for n in 0..WORKERS {
            let proxy = Proxy::start(field.redis.port()).await;
            let clock = Clock::new(field.dir.path(), &format!("clock-{n}"));
            let process = field.start(&proxy.url(0), clock.as_ref());
            field.workers.push(Worker { proxy, process, clock });
        }
        field
    }

    /// Tells whether clocks can be turned here.
    pub(super) fn turns_clocks(&self) -> bool {
        self.workers.iter().all(|worker| worker.clock.is_some())
    }

    fn start(&mut self, url: &str, clock: Option<&Clock>) -> Process {
        let mut command = clean_command(OWN_WORKER);
        command.current_dir(self.dir.path()).env("REDIS_URL", url);
        command.env(ledger::URL, self.ledger_server.url(0));
        for (name, value) in [
            ("RHUBARB_WORKER_LEASE", (LEASE_MS / 1000).to_string()),
            ("RHUBARB_WORKER_CONCURRENCY", "8".to_owned()),
            ("RHUBARB_WORKER_MAX_DELIVERIES", "3".to_owned()),
            ("RHUBARB_WORKER_DRAIN", "1".to_owned()),
            ("RHUBARB_REDIS_COMMAND_TIMEOUT", "2".to_owned()),
            ("RHUBARB_REDIS_CONNECT_TIMEOUT", "2".to_owned()),
        ] {
            command.env(name, value);
        }
        command.envs(clock.iter().flat_map(|clock| clock.environment()));
        self.started += 1;
        Process::start(&format!("{}-worker", self.started), self.dir.path(), command)
    }

    /// The time on the ledger's clock, ms.
    pub(super) async fn now(&self) -> u64 {
        self.ledger.write(&[("what", "now")]).await
    }

    /// Does a step from its beginning to its end, and sees that every worker works again.
    pub(super) async fn step(&mut self, step: &Step) {
        let from = self.now().await;
        let before = self.pids();
        self.begin(&step.fault, step.lasts).await;
        self.rest(step.lasts).await;
        self.end(&step.fault).await;
        // A connection that is half open is noticed when its command is overdue.
        let to = match step.fault {
            Fault::Swallow(_) | Fault::HalfClose(..) | Fault::Trickle(..) => {
                self.now().await + 2000
            }
            _ => self.now().await,
        };
        let pids = match hits(&step.fault) {
            Hit::Nobody => None,
            Hit::Worker(n) => Some(vec![before[n], self.pids()[n]]),
            Hit::Redis => Some(Vec::new()),
        };
        if let Some(pids) = pids {
            let what = step.fault.kind().to_owned();
            self.facts.disruptions.push(Disruption { what, from, to, pids });
        }
        self.everyone_works(&step.fault).await;
        self.rest(step.quiet).await;
    }

    async fn begin(&mut self, fault: &Fault, lasts: Duration) {
        let redis = &mut self.redis;
        match fault {
            Fault::RedisKilled => redis.kill(),
            // It ends by itself: a paused server hears nobody who could end it.
            Fault::RedisPaused => {
                drop(redis.command(&format!("CLIENT PAUSE {}", lasts.as_millis())).await);
            }
            Fault::Outage(outage, dies) => self.outage(*outage, *dies, lasts).await,
            Fault::FailOver => self.fail_over().await,
            Fault::RedisReadOnly => drop(redis.command("REPLICAOF 127.0.0.1 1").await),
            Fault::RedisFull => drop(redis.command("CONFIG SET maxmemory 1").await),
            Fault::ScriptsFlushed => drop(redis.command("SCRIPT FLUSH").await),
            Fault::ClientsKilled => drop(redis.command("CLIENT KILL TYPE normal").await),
            Fault::WorkerKilled(n) => self.kill(*n).await,
            Fault::WorkerStopped(n) => self.workers[*n].process.signal(Signal::STOP),
            Fault::WorkerTerminated(n) => self.terminate(*n).await,
            Fault::ClockStep(n, seconds) => self.turn(*n, *seconds),
            Fault::DeadlyTask => self.deadly_task("death", Expect::Dead).await,
            Fault::OnceDeadlyTask => self.deadly_task("onedeath", Expect::Success).await,
            network => self.network(network),
        }
    }

    /// Begins one, in which a worker may die too.
    async fn outage(&mut self, outage: Outage, dies: Option<usize>, lasts: Duration) {
        match outage {
            Outage::Gone => self.redis.kill(),
            Outage::Stopped => self.redis.signal(Signal::STOP),
            Outage::Paused => {
                drop(self.redis.command(&format!("CLIENT PAUSE {}", lasts.as_millis())).await);
            }
        }
        if let Some(n) = dies {
            self.rest(Duration::from_secs(1)).await;
            self.kill(n).await;
        }
    }

    /// Makes a replica the primary. New connections reach it; those that stand stay with the old
    /// one.
    async fn fail_over(&mut self) {
        let mut new = self.redis.start_replica().await;
        self.redis.fail_over_to(&mut new).await;
        for proxy in self.workers.iter().map(|worker| &worker.proxy).chain([&self.publisher]) {
            proxy.redirect(new.port());
        }
        self.old = Some(std::mem::replace(&mut self.redis, new));
    }

    fn network(&self, fault: &Fault) {
        let (victim, at, way, act) = match fault {
            Fault::Cut(victim) => return self.proxy(*victim).cut(),
            Fault::Refuse(victim) => {
                self.proxy(*victim).refuse();
                return self.proxy(*victim).cut();
            }
            Fault::CutAtCommand(victim, way, name) => {
                let (name, holding, offset) = ((*name).to_owned(), String::new(), 0);
                (victim, At::Command { name, holding, offset }, Some(*way), Act::Cut)
            }
            Fault::CutAtByte(victim, way, n) => (victim, At::Bytes(*n), Some(*way), Act::Cut),
            Fault::Delay(victim, pause) => (victim, At::Next, None, Act::Delay(*pause)),
            Fault::Swallow(victim) => (victim, At::Next, None, Act::Swallow),
            Fault::Trickle(victim, pause) => (victim, At::Next, None, Act::Trickle(*pause)),
            Fault::HalfClose(victim, way) => (victim, At::Next, Some(*way), Act::HalfClose),
            other => unreachable!("{other:?} is no fault of the network"),
        };
        if matches!(at, At::Bytes(_)) {
            // Counted from a connection's beginning.
            self.proxy(*victim).cut();
        }
        self.proxy(*victim).add(Rule { way, at, act, times: Rule::ALWAYS });
    }

    fn proxy(&self, victim: Victim) -> &Proxy {
        match victim {
            Victim::Worker(n) => &self.workers[n].proxy,
            Victim::Publisher => &self.publisher,
        }
    }

    async fn end(&mut self, fault: &Fault) {
        match fault {
            Fault::RedisKilled | Fault::Outage(Outage::Gone, _) => self.redis.restart().await,
            Fault::Outage(Outage::Stopped, _) => self.redis.signal(Signal::CONT),
            Fault::FailOver => self.old = None,
            Fault::RedisReadOnly => drop(self.redis.command("REPLICAOF NO ONE").await),
            Fault::RedisFull => drop(self.redis.command("CONFIG SET maxmemory 0").await),
            Fault::WorkerStopped(n) => self.workers[*n].process.signal(Signal::CONT),
            Fault::ClockStep(n, _) => self.turn(*n, 0),
            _ => self.heal(),
        }
    }

    fn turn(&self, n: usize, seconds: i64) {
        if let Some(clock) = &self.workers[n].clock {
            clock.turn(seconds);
        }
    }

    /// Takes away all faults of the network.
    pub(super) fn heal(&self) {
        self.publisher.heal();
        self.workers.iter().for_each(|worker| worker.proxy.heal());
    }

    async fn kill(&mut self, n: usize) {
        self.workers[n].process.kill();
        let at = self.now().await;
        self.facts.ends.insert(self.workers[n].process.id(), End::Died(at, "worker killed"));
        self.restart(n);
    }

    /// Ends a worker in order while its successor begins, as a deployment does.
    async fn terminate(&mut self, n: usize) {
        let from = self.now().await;
        let worker = &mut self.workers[n];
        worker.process.signal(Signal::TERM);
        let ended = worker.process.ended(Duration::from_secs(15)).await;
        let pid = worker.process.id();
        // A process that is told before it listens for it ends like any other, and has begun
        // nothing.
        let is_young = worker.process.lines_with("worker ready").is_empty();
        if ended.code() != Some(0) && !(is_young && ended.signal() == Some(TERMINATED)) {
            self.violations.push(format!("worker {pid} ended with {ended} on SIGTERM"));
        }
        let at = self.now().await;
        self.facts.ends.insert(pid, End::Stopped(from, at));
        self.restart(n);
    }

    async fn deadly_task(&mut self, end: &str, expect: Expect) {
        self.deadly += 1;
        self.load.send_ending(&format!("deadly-{}", self.deadly), end, expect).await;
    }

    fn restart(&mut self, n: usize) {
        let (url, clock) = (self.workers[n].proxy.url(0), self.workers[n].clock.clone());
        let process = self.start(&url, clock.as_ref());
        self.workers[n].process = process;
    }

    fn pids(&self) -> Vec<u32> {
        self.workers.iter().map(|worker| worker.process.id()).collect()
    }

    /// Lets time pass, putting a new worker where one has died, and noting when the machine itself
    /// was too slow.
    pub(super) async fn rest(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            let begun = Instant::now();
            self.revive().await;
            sleep(TICK.min(until.saturating_duration_since(begun))).await;
            if begun.elapsed() > SLOW {
                let to = self.now().await;
                let from = to.saturating_sub(u64::try_from(begun.elapsed().as_millis()).unwrap());
                let what = "the machine was too slow".to_owned();
                let pids = self.pids();
                self.facts.disruptions.push(Disruption { what, from, to, pids });
            }
            if Instant::now() >= until {
                return;
            }
        }
    }

    async fn revive(&mut self) {
        for n in 0..WORKERS {
            if self.workers[n].process.is_running() {
                continue;
            }
            let status = self.workers[n].process.ended(Duration::from_secs(1)).await;
            let pid = self.workers[n].process.id();
            // Only a task of its own may end a worker (`abort` in a handler).
            if status.signal() != Some(ABORTED) {
                let log = self.workers[n].process.stderr();
                let end = log.len().saturating_sub(2000);
                let end = log.get(end..).unwrap_or_default();
                self.violations.push(format!("worker {pid} ended by itself with {status}: {end}"));
            }
            let at = self.now().await;
            self.facts.ends.insert(pid, End::Died(at, "worker died of a task"));
            self.restart(n);
        }
    }

    /// Waits until each worker has ended a task after now.
    async fn everyone_works(&mut self, after: &Fault) {
        let mut last = format!("{}-0", self.now().await);
        let deadline = Instant::now() + RECOVERY;
        let mut working = BTreeSet::new();
        while !self.pids().iter().all(|pid| working.contains(pid)) {
            if Instant::now() > deadline {
                let idle: Vec<u32> =
                    self.pids().into_iter().filter(|pid| !working.contains(pid)).collect();
                self.violations.push(format!(
                    "workers {idle:?} ended no task within {RECOVERY:?} after: {}",
                    after.kind()
                ));
                return;
            }
            self.rest(TICK).await;
            let (entries, id) = self.ledger.read(&last).await;
            last = id;
            let ends = entries.iter().filter(|entry| entry.get("what") == "end");
            working.extend(ends.filter_map(|entry| entry.get("pid").parse::<u32>().ok()));
        }
    }

    /// Waits until nothing is waiting, scheduled or claimed, with the workers running and
    /// everything healed.
    pub(super) async fn quiet(&mut self, within: Duration) {
        let deadline = Instant::now() + within;
        loop {
            let left = self.left().await;
            if left == 0 {
                return;
            }
            if Instant::now() > deadline {
                self.violations.push(format!("{left} messages were left after {within:?}"));
                return;
            }
            self.rest(Duration::from_millis(200)).await;
        }
    }

    /// How many messages are in any place that is not a final one.
    async fn left(&self) -> u64 {
        let mut redis = self.redis.connect(0).await;
        let lists = ["celery", "celery\u{6}\u{16}3", "celery\u{6}\u{16}6", "celery\u{6}\u{16}9"];
        let mut count = redis::pipe();
        for list in lists {
            count.cmd("LLEN").arg(list);
        }
        count.cmd("ZCARD").arg("rhubarb:{celery}:scheduled");
        let counts: Vec<u64> = count.query_async(&mut redis).await.unwrap();
        let claims: Vec<String> = redis::cmd("KEYS")
            .arg("rhubarb:{celery}:claims:*")
            .query_async(&mut redis)
            .await
            .unwrap();
        counts.iter().sum::<u64>() + claims.len() as u64
    }

    /// Returns the lines of all workers, past ones too, that contain this text.
    pub(super) fn lines_with(&self, text: &str) -> usize {
        let files = fs::read_dir(self.dir.path()).unwrap();
        let texts = files.filter_map(|file| fs::read_to_string(file.unwrap().path()).ok());
        texts.map(|log| log.lines().filter(|line| line.contains(text)).count()).sum()
    }

    /// Keeps the workers' logs, and returns where.
    pub(super) fn keep(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.dir.path().to_owned()
    }
}

/// What stands between a worker and the end of its tasks in a fault.
enum Hit {
    Nobody,
    Worker(usize),
    Redis,
}

fn hits(fault: &Fault) -> Hit {
    match fault {
        Fault::Cut(victim)
        | Fault::CutAtCommand(victim, ..)
        | Fault::CutAtByte(victim, ..)
        | Fault::Delay(victim, _)
        | Fault::Swallow(victim)
        | Fault::Trickle(victim, _)
        | Fault::HalfClose(victim, _)
        | Fault::Refuse(victim) => match victim {
            Victim::Worker(n) => Hit::Worker(*n),
            Victim::Publisher => Hit::Nobody,
        },
        Fault::WorkerKilled(n) | Fault::WorkerStopped(n) | Fault::WorkerTerminated(n) => {
            Hit::Worker(*n)
        }
        // A turned clock is no reason to lose a lease: Redis's clock rules.
        Fault::ClockStep(..) | Fault::DeadlyTask | Fault::OnceDeadlyTask => Hit::Nobody,
        Fault::RedisKilled
        | Fault::RedisPaused
        | Fault::Outage(..)
        | Fault::FailOver
        | Fault::RedisReadOnly
        | Fault::RedisFull
        | Fault::ScriptsFlushed
        | Fault::ClientsKilled => Hit::Redis,
    }
}
