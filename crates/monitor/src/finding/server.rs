//! Findings on a server: memory, persistence, connections, slow commands.

use super::{
    super::{
        info::{Memory, ServerInfo},
        number::{bytes, float, grouped, percent},
        report::ServerReport,
        slow::Slow,
    },
    Finding, Level,
};

/// The oldest Redis whose commands are used.
const OLDEST: (u32, u32) = (6, 2);
/// A resident size beyond this by the used one is worth a word, if it is more than [`WASTE`] bytes.
const FRAGMENTED: f64 = 1.5;
/// Below this the system has likely moved memory to disk.
const SWAPPED: f64 = 0.9;
/// Small servers are always fragmented.
const WASTE: u64 = 100 << 20;
/// Fewer lookups say nothing of a hit rate.
const LOOKUPS: u64 = 1_000;
/// A hit rate below this is low.
const LOW_HIT_RATE: f64 = 0.5;
/// A command that blocks the server for so long is slow, microseconds.
const SLOW_US: u64 = 10_000;

/// Collects the findings on one server.
struct Findings<'a> {
    server: &'a ServerReport,
    found: Vec<Finding>,
}

impl Findings<'_> {
    fn add(&mut self, level: Level, code: &'static str, found: String, advice: &'static str) {
        let place = self.server.server.clone();
        self.found.push(Finding { level, code, place, found, advice: advice.into() });
    }

    fn serves(&self, role: &str) -> bool {
        self.server.roles.contains(&role)
    }
}

/// Returns the findings on a server.
pub(crate) fn of(server: &ServerReport) -> Vec<Finding> {
    let mut findings = Findings { server, found: Vec::new() };
    if let Some(why) = &server.unreachable {
        let found = format!("it cannot be reached: {why}");
        findings.add(Level::Error, "unreachable", found, reaching(why, server.misconfigured));
    }
    if let Some(info) = &server.info {
        software(&mut findings, info);
        limit(&mut findings, &info.memory);
        fragmentation(&mut findings, &info.memory);
        persistence(&mut findings, info);
        evictions(&mut findings, info);
        lookups(&mut findings, info);
        connections(&mut findings, info);
    }
    slow_commands(&mut findings, server.slow_log.as_deref().unwrap_or_default());
    findings.found
}

/// Says what to do about a server that cannot be reached.
pub(super) fn reaching(why: &str, misconfigured: bool) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    if says(&["has no database"]) {
        "Set redis.layout = \"two\" (RHUBARB_REDIS_LAYOUT=two), which needs databases 0 and 1 only."
    } else if says(&["wants a password"]) {
        "Put the password into its URL: redis://:PASSWORD@HOST or redis://USER:PASSWORD@HOST."
    } else if misconfigured {
        "Mend the user, password or database number of its URL in the configuration."
    } else if says(&["ssl_cert_reqs", "ca_file", "ssl_certfile", "ssl_check_hostname"]) {
        "Set what it names, in [redis] or as a variable: RHUBARB_REDIS_CA_FILE, \
         RHUBARB_REDIS_SSL_CERT_REQS=none, RHUBARB_REDIS_SSL_CHECK_HOSTNAME=false."
    } else if says(&["maxclients", "max number of clients"]) {
        "Close connections that others hold, or get a plan with more of them."
    } else if says(&["lookup", "resolve", "not known"]) {
        "Mend the host's name in its URL: nobody knows an address of it."
    } else {
        "Start it, or mend its URL in the configuration."
    }
}

fn software(findings: &mut Findings<'_>, info: &ServerInfo) {
    let version = info.version.as_deref().unwrap_or_default();
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let numbers = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if !version.is_empty() && numbers < OLDEST {
        let found = format!("Redis {version} lacks commands that Rhubarb needs");
        let advice = "Upgrade to Redis 6.2 or later, or to Valkey.";
        findings.add(Level::Error, "old_version", found, advice);
    }
    if info.role.as_deref() == Some("slave") {
        let found = "it is a replica, which takes no writes".to_owned();
        findings.add(Level::Error, "replica", found, "Use the primary's URL.");
    }
    if info.persistence.loading == Some(true) {
        let found = "it is loading its data and answers little until that is done".to_owned();
        let advice = "Wait; workers do, and go on by themselves.";
        findings.add(Level::Warning, "loading", found, advice);
    }
}

fn limit(findings: &mut Findings<'_>, memory: &Memory) {
    let Some(max) = memory.max else { return };
    if max == 0 && !findings.server.managed {
        let found = "maxmemory is not set: it grows until the system kills it".to_owned();
        let advice = "Set maxmemory to about three quarters of the machine's memory, so that Redis refuses writes in time.";
        findings.add(Level::Warning, "no_maxmemory", found, advice);
    } else if let Some(used) = memory.used.filter(|_| max > 0) {
        let share = float(used) / float(max);
        if share > 0.75 {
            let level = if share > 0.9 { Level::Error } else { Level::Warning };
            let found = format!("{} of its memory is in use ({})", percent(share), bytes(max));
            let advice = "Get a larger plan, or let less in: shorter timeouts, a shorter celery.result_expires, fewer queued tasks.";
            findings.add(level, "memory_short", found, advice);
        }
    }
    let policy = memory.policy.as_deref().unwrap_or("noeviction");
    if findings.serves("queue") && policy != "noeviction" {
        // Without a limit nothing is evicted yet; a limit may be set at any time.
        let level = if max == 0 { Level::Warning } else { Level::Error };
        let found =
            format!("maxmemory-policy is {policy} on the queue's server: it may evict tasks");
        let advice = "Set maxmemory-policy noeviction there, and give caches that shall be evicted a server of their own.";
        findings.add(level, "eviction_policy", found, advice);
    }
}

fn fragmentation(findings: &mut Findings<'_>, memory: &Memory) {
    let Memory { used: Some(used), resident: Some(resident), fragmentation: Some(ratio), .. } =
        *memory
    else {
        return;
    };
    if ratio > FRAGMENTED && resident.saturating_sub(used) > WASTE {
        let found =
            format!("its memory is fragmented: {} used, {} held", bytes(used), bytes(resident));
        let advice = "Set activedefrag yes, or restart it when that suits.";
        findings.add(Level::Warning, "fragmentation", found, advice);
    } else if ratio < SWAPPED && used.saturating_sub(resident) > WASTE {
        let found = format!(
            "part of its memory is on disk: {} used, {} held",
            bytes(used),
            bytes(resident)
        );
        let advice = "Give the machine more memory or Redis less: a swapped Redis answers slowly.";
        findings.add(Level::Error, "swapped", found, advice);
    }
}

fn persistence(findings: &mut Findings<'_>, info: &ServerInfo) {
    let persistence = &info.persistence;
    let failed = |status: &Option<String>| status.as_deref() == Some("err");
    if failed(&persistence.last_save_status) || failed(&persistence.last_append) {
        let found = "its last write to disk failed".to_owned();
        let advice =
            "Look into its log and at the disk's space: it refuses writes until one succeeds.";
        findings.add(Level::Error, "disk", found, advice);
    }
    if findings.serves("queue") && persistence.appendonly == Some(false) {
        unlogged(findings);
    }
}

/// Tells that writes are not logged to disk. Where a platform hides the settings nobody can turn
/// the log on, so that no release may depend on it.
fn unlogged(findings: &mut Findings<'_>) {
    if findings.server.managed {
        let found = "writes are not logged to disk: a crash of the server loses tasks".to_owned();
        let advice = "Choose a plan with persistence if its tasks must not be lost.";
        return findings.add(Level::Info, "no_appendonly", found, advice);
    }
    let save = findings.server.settings.as_ref().and_then(|all| all.get("save"));
    let found = match save.map(String::as_str) {
        Some("") => "nothing is kept on disk: a restart loses every task",
        _ => "appendonly is off: a crash loses what was queued since the last save",
    };
    let advice =
        "Set appendonly yes on the queue's server; appendfsync everysec loses about a second.";
    findings.add(Level::Warning, "no_appendonly", found.to_owned(), advice);
}

fn evictions(findings: &mut Findings<'_>, info: &ServerInfo) {
    let Some(evicted) = info.stats.evicted.filter(|evicted| *evicted > 0) else { return };
    let queue = findings.serves("queue");
    let level = if queue { Level::Error } else { Level::Warning };
    let found = format!("keys evicted since it started: {}", grouped(evicted));
    let advice = if queue {
        "Set maxmemory-policy noeviction: tasks, results and locks may be among what was evicted."
    } else {
        "Get a larger plan or shorten the timeouts; listings and logins go early."
    };
    findings.add(level, "evictions", found, advice);
}

fn lookups(findings: &mut Findings<'_>, info: &ServerInfo) {
    // Without caches there is nothing to be done about it.
    if !["cache", "sessions", "jobs"].iter().any(|role| findings.serves(role)) {
        return;
    }
    let (Some(hits), Some(misses)) = (info.stats.hits, info.stats.misses) else { return };
    let Some(rate) = info.stats.hit_rate else { return };
    if hits.saturating_add(misses) >= LOOKUPS && rate < LOW_HIT_RATE {
        let found = format!("{} of the lookups find a key", percent(rate));
        // A worker that asks for a pause or a revocation finds nothing as a rule.
        let advice = if findings.serves("queue") {
            "Look at the caches' timeouts, unless the queue's own lookups, which mostly find nothing, are most of them."
        } else {
            "Look at the caches' timeouts: values may expire before they are asked for again."
        };
        findings.add(Level::Info, "hit_rate", found, advice);
    }
}

fn connections(findings: &mut Findings<'_>, info: &ServerInfo) {
    let clients = &info.clients;
    if let (Some(connected), Some(max)) = (clients.connected, clients.max)
        && max > 0
        && float(connected) / float(max) > 0.8
    {
        let found = format!("{connected} of {max} connections are taken");
        let advice = "Find out who holds them under clients by name, or get a plan with more.";
        findings.add(Level::Warning, "connections", found, advice);
    }
    if let Some(rejected) = clients.rejected.filter(|rejected| *rejected > 0) {
        let found = format!("connections refused since it started: {}", grouped(rejected));
        let advice = "Get a plan with more connections, or open fewer.";
        findings.add(Level::Warning, "rejected_connections", found, advice);
    }
    if let Some(blocked) = clients.blocked.filter(|blocked| *blocked > 0) {
        let found = format!("connections that wait in a blocking command: {blocked}");
        let advice =
            "Nothing to do where Python workers run: they wait in BRPOP; Rhubarb never does.";
        findings.add(Level::Info, "blocked_clients", found, advice);
    }
}

fn slow_commands(findings: &mut Findings<'_>, log: &[Slow]) {
    let slow: Vec<&Slow> = log.iter().filter(|entry| entry.us >= SLOW_US).collect();
    let Some(worst) = slow.iter().max_by_key(|entry| entry.us) else { return };
    let found = format!(
        "{} of the {} newest entries of the slow log held up everybody for 10 ms or more, the worst `{}` for {} ms",
        slow.len(),
        log.len(),
        worst.command,
        worst.us / 1000,
    );
    let advice = if worst.command.starts_with("KEYS") {
        "Replace KEYS by SCAN in whatever sends it (django-redis: iter_keys, delete_pattern)."
    } else {
        "Have whatever sends it ask for less at once; UNLINK in place of DEL, SCAN in place of SMEMBERS or HGETALL."
    };
    findings.add(Level::Warning, "slow_commands", found, advice);
}
