//! What `INFO` says, in fields. Field names as of Redis 7.0 and Valkey 8; an absent one is unknown.

use std::{collections::HashMap, str::FromStr};

use serde::Serialize;

use crate::number::float;

/// A server, by its own account.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ServerInfo {
    /// `redis` or `valkey`.
    pub software: &'static str,
    /// Its version.
    pub version: Option<String>,
    /// `standalone`, `cluster` or `sentinel`.
    pub mode: Option<String>,
    /// `master` or `slave`.
    pub role: Option<String>,
    /// Replicas connected to it.
    pub replicas: Option<u64>,
    /// Since when it runs, seconds.
    pub uptime_s: Option<u64>,
    /// Connections.
    pub clients: Clients,
    /// Memory, bytes.
    pub memory: Memory,
    /// What it keeps on disk.
    pub persistence: Persistence,
    /// Counted since it started.
    pub stats: Stats,
    /// Its databases by number.
    #[serde(skip)]
    pub databases: HashMap<u32, Keyspace>,
}

/// Connections.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Clients {
    /// Now.
    pub connected: Option<u64>,
    /// At the most.
    pub max: Option<u64>,
    /// Waiting in a blocking command.
    pub blocked: Option<u64>,
    /// Refused for the limit.
    pub rejected: Option<u64>,
}

/// Memory, bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Memory {
    /// Used by the data and what manages it.
    pub used: Option<u64>,
    /// The most that it was.
    pub peak: Option<u64>,
    /// `maxmemory`; zero means no limit.
    pub max: Option<u64>,
    /// What happens at the limit.
    pub policy: Option<String>,
    /// As the system sees it.
    pub resident: Option<u64>,
    /// Resident by used.
    pub fragmentation: Option<f64>,
}

/// What is kept on disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Persistence {
    /// Whether it loads its data now.
    pub loading: Option<bool>,
    /// Whether each write is logged.
    pub appendonly: Option<bool>,
    /// `ok` or `err`.
    pub last_append: Option<String>,
    /// When it was last saved whole, Unix seconds.
    pub last_save: Option<u64>,
    /// `ok` or `err`.
    pub last_save_status: Option<String>,
    /// Changes since.
    pub unsaved_changes: Option<u64>,
}

/// Counted since the server started.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Lookups that found a key.
    pub hits: Option<u64>,
    /// Lookups that found none.
    pub misses: Option<u64>,
    /// Hits by lookups; absent without any.
    pub hit_rate: Option<f64>,
    /// Keys that gave way to others.
    pub evicted: Option<u64>,
    /// Keys whose time was over.
    pub expired: Option<u64>,
    /// Commands.
    pub commands: Option<u64>,
    /// Commands a second, by the server's own last reckoning.
    pub commands_per_s: Option<u64>,
}

/// One database by `INFO keyspace`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyspace {
    /// Keys.
    pub keys: u64,
    /// Keys with a time to live.
    pub expires: u64,
}

struct Fields<'a>(HashMap<&'a str, &'a str>);

impl Fields<'_> {
    fn get<T: FromStr>(&self, name: &str) -> Option<T> {
        self.0.get(name)?.parse().ok()
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.get::<u8>(name).map(|n| n != 0)
    }
}

impl ServerInfo {
    /// Reads an answer to `INFO`; lines that are not understood are passed over.
    pub fn parse(text: &str) -> Self {
        let fields =
            Fields(text.lines().filter_map(|line| line.trim_end().split_once(':')).collect());
        let valkey: Option<String> = fields.get("valkey_version");
        Self {
            software: if valkey.is_some() { "valkey" } else { "redis" },
            version: valkey.or_else(|| fields.get("redis_version")),
            mode: fields.get("redis_mode"),
            role: fields.get("role"),
            replicas: fields.get("connected_slaves"),
            uptime_s: fields.get("uptime_in_seconds"),
            clients: Clients::of(&fields),
            memory: Memory::of(&fields),
            persistence: Persistence::of(&fields),
            stats: Stats::of(&fields),
            databases: fields.0.iter().filter_map(|(name, value)| keyspace(name, value)).collect(),
        }
    }

    /// Returns what it says of a database; an empty one has no line.
    pub fn database(&self, db: u32) -> Keyspace {
        self.databases.get(&db).copied().unwrap_or(Keyspace { keys: 0, expires: 0 })
    }
}

impl Clients {
    fn of(fields: &Fields<'_>) -> Self {
        Self {
            connected: fields.get("connected_clients"),
            max: fields.get("maxclients"),
            blocked: fields.get("blocked_clients"),
            rejected: fields.get("rejected_connections"),
        }
    }
}

impl Memory {
    fn of(fields: &Fields<'_>) -> Self {
        Self {
            used: fields.get("used_memory"),
            peak: fields.get("used_memory_peak"),
            max: fields.get("maxmemory"),
            policy: fields.get("maxmemory_policy"),
            resident: fields.get("used_memory_rss"),
            fragmentation: fields.get("mem_fragmentation_ratio"),
        }
    }
}

impl Persistence {
    fn of(fields: &Fields<'_>) -> Self {
        Self {
            loading: fields.flag("loading"),
            appendonly: fields.flag("aof_enabled"),
            last_append: fields.get("aof_last_write_status"),
            last_save: fields.get("rdb_last_save_time"),
            last_save_status: fields.get("rdb_last_bgsave_status"),
            unsaved_changes: fields.get("rdb_changes_since_last_save"),
        }
    }
}

impl Stats {
    fn of(fields: &Fields<'_>) -> Self {
        let (hits, misses) = (fields.get("keyspace_hits"), fields.get("keyspace_misses"));
        Self {
            hits,
            misses,
            hit_rate: hits.zip(misses).and_then(|(hits, misses)| rate(hits, misses)),
            evicted: fields.get("evicted_keys"),
            expired: fields.get("expired_keys"),
            commands: fields.get("total_commands_processed"),
            commands_per_s: fields.get("instantaneous_ops_per_sec"),
        }
    }
}

/// Returns hits by lookups; none without lookups.
pub fn rate(hits: u64, misses: u64) -> Option<f64> {
    let lookups = hits.saturating_add(misses);
    (lookups > 0).then(|| float(hits) / float(lookups))
}

/// Reads `db0:keys=5,expires=2,avg_ttl=0`.
fn keyspace(name: &str, value: &str) -> Option<(u32, Keyspace)> {
    let db = name.strip_prefix("db")?.parse().ok()?;
    let field = |name: &str| {
        let part = value.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        part?.parse().ok()
    };
    Some((db, Keyspace { keys: field("keys")?, expires: field("expires")? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_info_says_is_read_and_what_it_leaves_out_is_unknown() {
        let info = ServerInfo::parse(
            "# Server\r\nredis_version:7.0.15\r\nuptime_in_seconds:61\r\n\r\n# Memory\r\nused_memory:1000\r\n\
             maxmemory:0\r\nmem_fragmentation_ratio:1.25\r\naof_enabled:1\r\nkeyspace_hits:3\r\nkeyspace_misses:1\r\n\
             # Keyspace\r\ndb0:keys=5,expires=2,avg_ttl=0\r\ndb10:keys=1,expires=0,avg_ttl=0,subexpiry=0\r\nodd\r\ndbx:1\r\n",
        );
        assert_eq!((info.software, info.version.as_deref()), ("redis", Some("7.0.15")));
        assert_eq!((info.memory.used, info.memory.max), (Some(1000), Some(0)));
        assert_eq!((info.memory.peak, info.role), (None, None));
        assert_eq!(info.memory.fragmentation, Some(1.25));
        assert_eq!(info.persistence.appendonly, Some(true));
        assert_eq!(info.stats.hit_rate, Some(0.75));
        assert_eq!(info.databases[&0], Keyspace { keys: 5, expires: 2 });
        assert_eq!(info.databases.len(), 2);
        assert_eq!(ServerInfo::parse("").stats.hit_rate, None);
    }

    #[test]
    fn valkey_goes_by_its_own_version() {
        let info = ServerInfo::parse("redis_version:7.2.4\r\nvalkey_version:8.1.0\r\n");
        assert_eq!((info.software, info.version.as_deref()), ("valkey", Some("8.1.0")));
    }
}
