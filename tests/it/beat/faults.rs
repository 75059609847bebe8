//! Five beats, and everything that can happen to them and to Redis: each tick exactly one message,
//! none missed.
//!
//! `RHUBARB_BEAT_FAULT_SECONDS` makes it longer (the promise is about 300),
//! `RHUBARB_BEAT_FAULT_SEED` does a run again.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use fastrand::Rng;
use jiff::Timestamp;
use redis::AsyncCommands;
use rhubarb_beat::entry;
use rhubarb_e2e::{
    eventually::eventually,
    faketime::Clock,
    installation::Installation,
    process::{Process, Signal},
    proxy::{Act, Proxy, Rule, Way},
    redis_server::RedisServer,
};
use rhubarb_queue::tick::Record;
use rhubarb_schedule::Schedule;
use tokio::time::{Instant, sleep};

use super::{id, messages};
use crate::BINARIES;

const BEATS: usize = 5;
/// How long the faults of one run take where the environment says nothing.
const SECONDS: u64 = 40;
/// How long the field may take, once all is healed, until nothing is overdue.
const QUIET: Duration = Duration::from_secs(45);
/// How late a tick's script reaches Redis, and how long its beat is stopped meanwhile: another has
/// led and published by then, and the first still believes that it leads.
const LATE: Duration = Duration::from_millis(4_500);
const STOPPED: Duration = Duration::from_secs(5);

/// The lease is that of the promise only in long runs: in short ones the lead is to change often.
const CONFIGURATION: &str = r#"
[redis]
command_timeout = "1s"
[beat]
lease = "2s"
[schedules.second]
task = "counted"
queue = "seconds"
every = 1
catch_up = { max = 10000, window = "1h" }
[schedules.two]
task = "counted"
queue = "twos"
cron = "*/2 * * * * *"
catch_up = { max = 10000, window = "1h" }
"#;
const SCHEDULES: [(&str, &str); 2] = [("second", "seconds"), ("two", "twos")];

#[expect(clippy::disallowed_methods, reason = "they are no settings of Rhubarb's but the test's")]
fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

struct Field {
    redis: RedisServer,
    installation: Installation,
    beats: Vec<(Proxy, Option<Process>)>,
    /// None where clocks cannot be turned.
    clocks: Vec<Option<Clock>>,
    logs: Vec<String>,
    done: BTreeMap<&'static str, usize>,
}

impl Field {
    async fn new() -> Self {
        let redis = RedisServer::start_durable().await;
        // The beats reach Redis through proxies only; this one is not used.
        let unused = RedisServer::start().await;
        let installation = Installation::new(BINARIES, unused, CONFIGURATION);
        let (mut beats, mut clocks) = (Vec::new(), Vec::new());
        for n in 0..BEATS {
            beats.push((Proxy::start(redis.port()).await, None));
            clocks.push(Clock::new(installation.folder(), &format!("clock-{n}")));
        }
        let (logs, done) = (Vec::new(), BTreeMap::new());
        let mut field = Self { redis, installation, beats, clocks, logs, done };
        (0..BEATS).for_each(|n| field.start(n));
        field
    }

    /// A field whose first ticks are published.
    async fn begun() -> Self {
        let field = Self::new().await;
        eventually(QUIET, "the first ticks are published", async || {
            let mut redis = field.redis.connect(0).await;
            let n: usize = redis.llen("seconds").await.unwrap();
            (n > 1).then_some(())
        })
        .await;
        field
    }

    fn start(&mut self, n: usize) {
        let url = self.beats[n].0.url(0);
        for (name, value) in self.clocks[n].iter().flat_map(Clock::environment) {
            self.installation.set(name, &value);
        }
        self.beats[n].1 = Some(self.installation.beat(&["--redis-url", &url]));
    }

    fn running(&self, n: usize) -> &Process {
        self.beats[n].1.as_ref().expect("each is started again")
    }

    /// The beat that leads, found by the process id in the lease; any where none does.
    async fn leader(&self, rng: &mut Rng) -> usize {
        let mut redis = self.redis.connect(0).await;
        let lease: Option<String> = redis.get("rhubarb:beat:lease").await.unwrap();
        let of = |n: &usize| {
            let pid = self.running(*n).id().to_string();
            lease.as_ref().is_some_and(|lease| lease.split(':').any(|part| part == pid))
        };
        (0..BEATS).find(of).unwrap_or_else(|| rng.usize(..BEATS))
    }

    /// Does one thing to one beat, the leader more often than not, or to Redis; and undoes it.
    async fn fault(&mut self, rng: &mut Rng) {
        let victim = if rng.u8(..3) > 0 { self.leader(rng).await } else { rng.usize(..BEATS) };
        let lasts = Duration::from_millis(rng.u64(200..3_500));
        let kind = match rng.u8(..11) {
            0 => {
                self.kill(victim);
                sleep(lasts).await;
                self.start(victim);
                "killed"
            }
            1 => {
                self.running(victim).signal(Signal::STOP);
                sleep(lasts).await;
                self.running(victim).signal(Signal::CONT);
                "stopped for a while"
            }
            2 => {
                self.running(victim).signal(Signal::TERM);
                let process = self.beats[victim].1.as_mut().expect("it runs");
                process.ended(Duration::from_secs(20)).await;
                self.kill(victim);
                self.start(victim);
                "told to stop"
            }
            3 => {
                self.redis.restart().await;
                "Redis killed and restarted"
            }
            4 => self.write_late(victim).await,
            5 => self.turn_clock(victim, if rng.bool() { 3600 } else { -3600 }, lasts).await,
            other => self.network(other, victim, lasts, rng).await,
        };
        println!("  beat {victim}: {kind} ({lasts:?})");
        *self.done.entry(kind).or_default() += 1;
    }

    async fn network(
        &mut self,
        which: u8,
        victim: usize,
        lasts: Duration,
        rng: &mut Rng,
    ) -> &'static str {
        let proxy = &self.beats[victim].0;
        let kind = match which {
            6 => {
                proxy.add(Rule::always(Act::Swallow));
                "partitioned, without being told"
            }
            7 => {
                proxy.refuse();
                proxy.cut();
                "cut off"
            }
            // The tick was published, and its answer is lost.
            8 => {
                proxy.add(Rule::once(Way::ToClient, "EVALSHA", "ticks", Act::Cut));
                "cut before a tick's answer"
            }
            9 => {
                proxy.add(Rule::once(Way::ToServer, "EVALSHA", "ticks", Act::Cut));
                "cut before a tick"
            }
            // It reaches Redis when another leads.
            _ => {
                proxy.add(Rule::once(
                    Way::ToServer,
                    "EVALSHA",
                    "ticks",
                    Act::Delay(Duration::from_millis(rng.u64(500..4_000))),
                ));
                "a tick delayed on its way"
            }
        };
        sleep(lasts).await;
        proxy.heal();
        if which <= 7 {
            proxy.cut();
        }
        kind
    }

    /// A tick's script is on its way for so long that another beat has led and published when it
    /// reaches Redis.
    async fn write_late(&mut self, victim: usize) -> &'static str {
        let (proxy, process) = (&self.beats[victim].0, self.running(victim));
        let late = Act::Delay(LATE);
        let hits = || proxy.hits().get(&late).copied().unwrap_or(0);
        let before = hits();
        proxy.add(Rule::once(Way::ToServer, "EVALSHA", "counted", late));
        let until = Instant::now() + Duration::from_secs(4);
        while hits() == before && Instant::now() < until {
            sleep(Duration::from_millis(5)).await;
        }
        if hits() == before {
            proxy.heal();
            return "no tick on its way, to be written late";
        }
        process.signal(Signal::STOP);
        sleep(STOPPED).await;
        process.signal(Signal::CONT);
        proxy.heal();
        WRITTEN_LATE
    }

    /// The clock of its host is set by an hour, and set right again.
    async fn turn_clock(&self, victim: usize, seconds: i64, lasts: Duration) -> &'static str {
        let Some(clock) = &self.clocks[victim] else {
            println!("LEFT OUT: clock steps; libfaketime is not installed");
            return "clocks not turned";
        };
        clock.turn(seconds);
        // It looks at it every second.
        sleep(Duration::from_secs(1) + lasts).await;
        clock.turn(0);
        if seconds > 0 { "its clock an hour ahead" } else { "its clock an hour behind" }
    }

    fn kill(&mut self, n: usize) {
        if let Some(mut process) = self.beats[n].1.take() {
            process.kill();
            self.logs.push(process.stdout());
        }
    }

    fn lines_with(&self, text: &str) -> usize {
        self.logs.iter().flat_map(|log| log.lines()).filter(|line| line.contains(text)).count()
    }
}

const WRITTEN_LATE: &str = "a tick written after another beat led";

/// What a schedule's ticks and messages are, by its record.
struct Counted {
    ticks: usize,
    messages: usize,
    missed: Vec<Timestamp>,
    doubled: Vec<String>,
    strange: Vec<String>,
}

async fn count(field: &Field, name: &str, queue: &str) -> Counted {
    let mut redis = field.redis.connect(0).await;
    let record = record(field, name, queue).await;
    let config = rhubarb_settings::Settings::from_toml(CONFIGURATION).unwrap();
    let schedule = Schedule::compile(name, config.schedules[name].clone(), "UTC").unwrap();
    // It was seen within the second that the anchor names, and its ticks are on whole seconds after
    // it.
    let ticks = std::iter::successors(Some(record.anchor), |tick| {
        schedule.next_after(*tick, record.anchor)
    });
    let ticks: Vec<Timestamp> = ticks.skip(1).take_while(|tick| *tick <= record.tick).collect();
    let messages = messages(&mut redis, queue).await;
    let mut times: HashMap<String, usize> = HashMap::new();
    for message in &messages {
        *times.entry(id(message)).or_default() += 1;
    }
    let doubled = times.iter().filter(|(_, n)| **n > 1).map(|(id, _)| id.clone()).collect();
    let mut was_published = |tick: &Timestamp| times.remove(&entry::id("", name, *tick)).is_some();
    let missed = ticks.iter().copied().filter(|tick| !was_published(tick)).collect();
    let strange = times.into_keys().collect();
    Counted { ticks: ticks.len(), messages: messages.len(), missed, doubled, strange }
}

async fn record(field: &Field, name: &str, queue: &str) -> Record {
    let mut redis = field.redis.connect(0).await;
    let text: String = redis.hget(format!("rhubarb:{{{queue}}}:ticks"), name).await.unwrap();
    Record::decode(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_beats_under_faults_publish_each_tick_once_and_miss_none() {
    let seed =
        from_environment("RHUBARB_BEAT_FAULT_SEED").unwrap_or_else(|| fastrand::u64(..100_000));
    let seconds = from_environment("RHUBARB_BEAT_FAULT_SECONDS").unwrap_or(SECONDS);
    println!("five beats: RHUBARB_BEAT_FAULT_SEED={seed} RHUBARB_BEAT_FAULT_SECONDS={seconds}");
    let mut rng = Rng::with_seed(seed);
    let mut field = Field::begun().await;
    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until {
        field.fault(&mut rng).await;
        sleep(Duration::from_millis(rng.u64(..1_500))).await;
    }
    end(&mut field, seed).await;
}

/// The tick that the earlier leader believes to publish is shut out by its fencing number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tick_that_reaches_redis_after_another_beat_led_is_published_once() {
    let mut field = Field::begun().await;
    let mut rng = Rng::new();
    let leader = field.leader(&mut rng).await;
    assert_eq!(field.write_late(leader).await, WRITTEN_LATE);
    assert_ne!(field.leader(&mut rng).await, leader, "another has taken over");
    end(&mut field, 0).await;
}

/// What is due is decided on Redis's clock: an hour forward publishes nothing early, an hour back
/// nothing twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_clock_steps_an_hour_forward_and_back_publishes_each_tick_once() {
    let mut field = Field::begun().await;
    let mut rng = Rng::new();
    for seconds in [3600, -3600, 7200] {
        let leader = field.leader(&mut rng).await;
        field.turn_clock(leader, seconds, Duration::from_secs(3)).await;
    }
    end(&mut field, 0).await;
}

/// Once all is healed, what is overdue is published; then all is counted.
async fn end(field: &mut Field, seed: u64) {
    let healed = Timestamp::now();
    for (name, queue) in SCHEDULES {
        eventually(QUIET, "nothing is overdue", async || {
            (record(field, name, queue).await.tick > healed).then_some(())
        })
        .await;
    }
    (0..BEATS).for_each(|n| field.kill(n));
    judge(field, seed).await;
}

async fn judge(field: &Field, seed: u64) {
    println!("faults:");
    for (kind, n) in &field.done {
        println!("  {n:>5}  {kind}");
    }
    println!("beats' logs:");
    for (what, line) in [
        ("times that a beat began to lead", "this beat leads"),
        ("outages begun", "redis is unreachable"),
        ("leaders that were shut out", "the lead was lost"),
        ("ticks published", "tick published"),
    ] {
        println!("  {:>5}  {what}", field.lines_with(line));
    }
    let mut wrong = 0;
    for (name, queue) in SCHEDULES {
        let counted = count(field, name, queue).await;
        println!(
            "{name}: {} ticks, {} messages, {} missed, {} doubled, {} that are no tick",
            counted.ticks,
            counted.messages,
            counted.missed.len(),
            counted.doubled.len(),
            counted.strange.len()
        );
        println!(
            "  missed {:?}\n  doubled {:?}\n  strange {:?}",
            counted.missed, counted.doubled, counted.strange
        );
        wrong += counted.missed.len() + counted.doubled.len() + counted.strange.len();
        assert!(counted.ticks > 3 && counted.messages > 3, "hardly anything was published");
    }
    assert_eq!(wrong, 0, "seed {seed}");
}
