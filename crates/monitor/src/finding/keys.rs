//! Findings on databases: who shares one, keys that stay for ever, keys that are too large.

use super::{
    super::{
        census::Count,
        number::{bytes, grouped},
        report::{DatabaseReport, Report},
    },
    Finding, Level,
    server::reaching,
};

/// A cached value of this size takes milliseconds to move.
const LARGE: u64 = 1 << 20;
/// The roles whose databases django-redis empties with one call.
const CACHES: [&str; 2] = ["cache", "jobs"];

/// Returns the findings on the databases.
pub(crate) fn of(report: &Report) -> Vec<Finding> {
    let databases = report.databases.iter();
    let findings = |one| [unreachable(report, one), shared(one), for_ever(one), large(one)];
    databases.flat_map(findings).flatten().collect()
}

fn finding(
    database: &DatabaseReport,
    level: Level,
    code: &'static str,
    found: String,
    advice: &'static str,
) -> Option<Finding> {
    Some(Finding { level, code, place: database.name(), found, advice: advice.into() })
}

/// Tells of a database of a server that can be reached otherwise.
fn unreachable(report: &Report, database: &DatabaseReport) -> Option<Finding> {
    let why = database.unreachable.as_ref()?;
    let server = report.servers.iter().find(|server| server.server == database.server);
    if server.is_none_or(|server| server.unreachable.is_some()) {
        return None;
    }
    let found = format!("it cannot be reached: {why}");
    finding(database, Level::Error, "unreachable", found, reaching(why, database.misconfigured))
}

fn shared(database: &DatabaseReport) -> Option<Finding> {
    let serves = |roles: &[&str]| roles.iter().any(|role| database.roles.contains(role));
    if !serves(&CACHES) && !serves(&["sessions"]) {
        return None;
    }
    if serves(&["queue", "results"]) {
        let found = "the queue shares its database with caches: cache.clear() of django-redis (FLUSHDB) deletes every task";
        let advice =
            "Give the caches another database number (redis.cache_db, jobs_db, sessions_db).";
        return finding(database, Level::Error, "shared_with_queue", found.to_owned(), advice);
    }
    if serves(&["sessions"]) && serves(&CACHES) {
        let found = "sessions share their database with caches: cache.clear() of django-redis (FLUSHDB) logs everybody out";
        let advice = "Give the sessions a database of their own where there is one, and clear with `rhubarb monitor --clear`.";
        return finding(database, Level::Info, "shared_with_sessions", found.to_owned(), advice);
    }
    None
}

fn for_ever(database: &DatabaseReport) -> Option<Finding> {
    let caches = database.namespaces.iter().filter(|one| one.expires);
    let lasting: Vec<(&str, Count)> = caches
        .filter_map(|one| Some((one.name.as_str(), one.without_ttl?)))
        .filter(|(_, count)| count.n > 0)
        .collect();
    let found = if lasting.is_empty() {
        unseen(database)?
    } else {
        let n: Count = lasting.iter().map(|(_, count)| *count).sum();
        let names: Vec<&str> = lasting.iter().map(|(name, _)| *name).collect();
        let all = database.without_ttl.filter(|all| !is_queues(database) && *all > n.n);
        let all = all.map(|all| format!("; of all keys there: {}", grouped(all)));
        format!(
            "cached keys without a time to live: {} ({}){}",
            n.shown(),
            names.join(", "),
            all.unwrap_or_default()
        )
    };
    let advice = "Give them a timeout where they are written (timeout=None keeps a value for ever), or delete them.";
    finding(database, Level::Warning, "no_ttl", found, advice)
}

/// Says what the server counts and no look has found; a queue's keys have no time to live as a
/// rule.
fn unseen(database: &DatabaseReport) -> Option<String> {
    let n = database.without_ttl.filter(|n| *n > 0 && !is_queues(database))?;
    Some(format!("keys without a time to live: {}, none of them seen in a cache", grouped(n)))
}

fn is_queues(database: &DatabaseReport) -> bool {
    database.roles.iter().any(|role| ["queue", "results"].contains(role))
}

fn large(database: &DatabaseReport) -> Option<Finding> {
    let cached = database.namespaces.iter().filter(|one| one.kind.is_cache() || one.expires);
    let greatest = cached.filter_map(|one| one.greatest.as_ref()).max_by_key(|one| one.bytes)?;
    if greatest.bytes < LARGE {
        return None;
    }
    let found = format!(
        "`{}` takes {}, the most of the keys that were measured",
        greatest.key,
        bytes(greatest.bytes)
    );
    let advice =
        "Store less in one value, or let the cache compress it (COMPRESSOR of django-redis).";
    finding(database, Level::Warning, "large_key", found, advice)
}
