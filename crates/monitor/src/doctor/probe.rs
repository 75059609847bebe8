//! What a server can do for us, tried by commands that change nothing.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use redis::cmd;
use rhubarb_connection::{Error, Redis, Role};
use rhubarb_core::clock;
use rhubarb_queue::slot::hash_tag;
use rhubarb_settings::Settings;

use crate::{
    ask::{Asked, Missing, reason},
    finding::{Finding, Level},
    servers::Server,
};

/// How often the round trip is measured; the middle one counts.
const PINGS: usize = 5;
/// A round trip longer than this is told.
const FAR: Duration = Duration::from_millis(20);
/// A clock that differs by more is told.
const SKEW: Duration = Duration::from_secs(5);
/// A worker says something at least so often on each of its connections.
const TALKS: u64 = 30;
/// What a queue's user has to be allowed: every command of ours is in one of these categories.
const ACL: &str = "Allow it what a queue needs: ACL SETUSER NAME on >PASSWORD ~* &* +@read +@write \
    +@scripting +@pubsub +@transaction +@connection +info +time.";

/// What was tried on one server.
#[derive(Clone, Debug, Default)]
pub struct Probe {
    /// The server.
    pub server: String,
    /// Whether the queue is on it.
    pub is_queue: bool,
    /// The middle round trip.
    pub round_trip: Duration,
    /// By how much its clock differs from ours.
    pub skew: Option<Duration>,
    /// Whether it is a node of a cluster.
    pub cluster: bool,
    /// After how many seconds it ends a silent connection; 0 for never.
    pub timeout: Option<u64>,
    /// Commands that it refuses and a worker needs, each with why.
    pub forbidden: Vec<(&'static str, String)>,
}

impl Probe {
    /// Tries a server; none when none of its databases answers.
    pub(super) async fn of(server: &Server, missing: &mut Vec<Missing>) -> Option<Self> {
        let is_queue = server.serves(Role::Queue);
        let wanted =
            server.databases.iter().find(|database| !is_queue || database.serves(Role::Queue))?;
        let redis = &wanted.redis;
        redis.ready().await.ok()?;
        let mut asked = Asked::new(redis, server.name.clone());
        let skew = asked.ask::<(i64, i64)>("clock", &cmd("TIME")).await.map(skew);
        let config: Option<HashMap<String, String>> =
            asked.ask("idle timeout", cmd("CONFIG").arg("GET").arg("timeout")).await;
        let info: Option<String> = asked.ask("cluster", cmd("INFO").arg("cluster")).await;
        missing.extend(asked.into_missing().into_iter().filter(|one| one.what != "cluster"));
        Some(Self {
            server: server.name.clone(),
            is_queue,
            round_trip: round_trip(redis).await,
            skew,
            cluster: info.is_some_and(|info| info.contains("cluster_enabled:1")),
            timeout: config.and_then(|all| all.get("timeout")?.parse().ok()),
            forbidden: if is_queue { forbidden(redis).await } else { Vec::new() },
        })
    }

    /// Returns what is not as it should be.
    pub fn findings(&self, config: &Settings) -> Vec<Finding> {
        let found =
            [self.refuses(), self.clustered(config), self.ends_early(), self.far(), self.skewed()];
        found.into_iter().flatten().collect()
    }

    fn finding(
        &self,
        level: Level,
        code: &'static str,
        found: String,
        advice: &'static str,
    ) -> Finding {
        Finding::new(level, code, self.server.clone(), found, advice)
    }

    fn refuses(&self) -> Option<Finding> {
        let (first, why) = self.forbidden.first()?;
        let names: Vec<&str> = self.forbidden.iter().map(|(name, _)| *name).collect();
        let found = match names.len() {
            1 => format!("it refuses {first}, which a worker needs: {why}"),
            _ => format!("it refuses {}, which a worker needs: {why}", names.join(", ")),
        };
        Some(self.finding(Level::Error, "forbidden_commands", found, ACL))
    }

    fn clustered(&self, config: &Settings) -> Option<Finding> {
        if !self.is_queue || !self.cluster {
            return None;
        }
        if hash_tag(&config.celery.global_keyprefix).is_some() {
            return self.caches_apart(config);
        }
        let found =
            "it is a node of a cluster, where a task's keys lie in different slots".to_owned();
        let advice = "Put all keys into one slot by prefixes with a hash tag: docs/cluster.md. Or \
                      use a server that is no cluster.";
        Some(self.finding(Level::Error, "cluster", found, advice))
    }

    /// Tells of caches whose keys lie in different slots of the queue's own server.
    fn caches_apart(&self, config: &Settings) -> Option<Finding> {
        let aliases = config.cache.aliases.iter();
        let here = aliases.filter(|(_, alias)| config.share_database(Role::Queue, alias.role));
        let apart: Vec<&str> = here
            .filter(|(_, alias)| hash_tag(&alias.prefix).is_none())
            .map(|(name, _)| name.as_str())
            .collect();
        if apart.is_empty() {
            return None;
        }
        let names = apart.join(", ");
        let found =
            format!("it is a node of a cluster, where keys of these caches lie apart: {names}");
        let advice = "Give each a prefix with a hash tag, here and as Django's KEY_PREFIX: \
                      docs/cluster.md.";
        Some(self.finding(Level::Error, "cluster_caches", found, advice))
    }

    fn ends_early(&self) -> Option<Finding> {
        let timeout = self.timeout.filter(|seconds| (1..TALKS).contains(seconds))?;
        let found = format!("it ends connections that are silent for {timeout} s");
        let advice = "Set its timeout to 0 or to 60 at least: workers reconnect again and again.";
        Some(self.finding(Level::Warning, "idle_timeout", found, advice))
    }

    fn far(&self) -> Option<Finding> {
        if self.round_trip <= FAR {
            return None;
        }
        let found = format!("a round trip to it takes {} ms", self.round_trip.as_millis());
        let advice = "Run the workers in its region; a task costs a tenth of a round trip under load, \
                      and three when it comes alone.";
        Some(self.finding(Level::Info, "far_away", found, advice))
    }

    fn skewed(&self) -> Option<Finding> {
        let skew = self.skew.filter(|skew| *skew > SKEW)?;
        let found = format!("its clock and this machine's differ by {} s", skew.as_secs());
        let advice = "Set both by NTP: producers' ETAs and expiries are by their own clocks, Rhubarb's \
                      leases and ticks by the server's.";
        Some(self.finding(Level::Warning, "clock_skew", found, advice))
    }
}

fn skew((seconds, _): (i64, i64)) -> Duration {
    Duration::from_secs(clock::now().as_second().abs_diff(seconds))
}

async fn round_trip(redis: &Redis) -> Duration {
    let mut times = Vec::new();
    for _ in 0..PINGS {
        let start = Instant::now();
        if redis.query::<redis::Value>(&cmd("PING")).await.is_ok() {
            times.push(start.elapsed());
        }
    }
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Tries what a worker cannot do without. The script is not there, and the channel has no
/// subscriber.
async fn forbidden(redis: &Redis) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let tries = [
        ("EVALSHA", cmd("EVALSHA").arg("0".repeat(40)).arg(0).to_owned()),
        ("EVAL", cmd("EVAL").arg("return 1").arg(0).to_owned()),
        ("PUBLISH", cmd("PUBLISH").arg("rhubarb:doctor").arg("").to_owned()),
        ("GETEX", cmd("GETEX").arg("rhubarb:doctor").to_owned()),
        ("LLEN", cmd("LLEN").arg("rhubarb:doctor").to_owned()),
        ("ZCARD", cmd("ZCARD").arg("rhubarb:doctor").to_owned()),
        ("HLEN", cmd("HLEN").arg("rhubarb:doctor").to_owned()),
    ];
    for (name, command) in tries {
        let Err(error) = redis.query::<redis::Value>(&command).await else { continue };
        if let Some(why) = refusal(&error) {
            found.push((name, why));
        }
    }
    found
}

/// Returns why a command is forbidden; none when it failed by anything else.
fn refusal(error: &Error) -> Option<String> {
    let Error::Refused { code, reason: text, .. } = error else { return None };
    let is_forbidden =
        code.as_deref() == Some("NOPERM") || text.to_lowercase().contains("unknown command");
    is_forbidden.then(|| reason(error))
}
