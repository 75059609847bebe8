//! What `monitor` found out, as it is printed.

use std::collections::BTreeMap;

use rhubarb_queue::inspect::QueueInfo;
use serde::Serialize;

use crate::{
    ask::Missing,
    census::{Count, NamespaceReport},
    finding::Finding,
    info::ServerInfo,
    namespace::KeyKind,
    slow::Slow,
};

/// Everything that was found out at one time.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// When: ISO 8601 text in UTC.
    pub at: String,
    /// All databases together.
    pub totals: Totals,
    /// The servers, the queue's first.
    pub servers: Vec<ServerReport>,
    /// The databases, in the order of the roles.
    pub databases: Vec<DatabaseReport>,
    /// The queues; with `--info` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queues: Option<Vec<QueueInfo>>,
    /// What is not as it should be; with `--info` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Vec<Finding>>,
    /// What could not be found out.
    pub missing: Vec<Missing>,
}

/// Keys of all databases together; absent where a database could not be looked into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// All keys of the databases in use.
    pub keys: Option<Count>,
    /// Everything in the job caches, status and proxy list included.
    pub job_cache_keys: Option<Count>,
    /// The keywords' listings among them.
    pub listing_keys: Option<Count>,
    /// Django's sessions.
    pub session_keys: Option<Count>,
}

/// One server.
#[derive(Clone, Debug, Serialize)]
pub struct ServerReport {
    /// `host:port`, or its socket's path.
    pub server: String,
    /// The roles that it serves.
    pub roles: Vec<&'static str>,
    /// Why it cannot be reached, if it cannot.
    pub unreachable: Option<String>,
    /// Whether that is the configuration's fault: its user, password or database number.
    #[serde(skip)]
    pub misconfigured: bool,
    /// Its own account; absent when that is not permitted.
    #[serde(flatten)]
    pub info: Option<ServerInfo>,
    /// Whether `CONFIG` is refused: a platform runs it, and nobody here can change its settings.
    #[serde(skip)]
    pub managed: bool,
    /// Its settings; with `--info` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<BTreeMap<String, String>>,
    /// Connections by name, the most first; with `--info` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients_by_name: Option<Vec<(String, usize)>>,
    /// The newest slow commands; with `--info` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_log: Option<Vec<Slow>>,
}

/// One database.
#[derive(Clone, Debug, Serialize)]
pub struct DatabaseReport {
    /// Its server.
    pub server: String,
    /// Its number.
    pub db: u32,
    /// The roles that share it.
    pub roles: Vec<&'static str>,
    /// Why it cannot be reached, if it cannot.
    pub unreachable: Option<String>,
    /// Whether that is the configuration's fault: its user, password or database number.
    #[serde(skip)]
    pub misconfigured: bool,
    /// Its keys.
    pub keys: Option<u64>,
    /// Those with a time to live.
    pub expires: Option<u64>,
    /// Those that stay for ever, by the server's own count.
    pub without_ttl: Option<u64>,
    /// How many keys were looked at; absent when none had to be.
    pub looked_at: Option<u64>,
    /// Whether that was all of them.
    pub whole: bool,
    /// Its keys by namespace; empty when it was not looked through.
    pub namespaces: Vec<NamespaceReport>,
}

impl DatabaseReport {
    /// Returns its name: the server's with the number.
    pub fn name(&self) -> String {
        format!("{}/{}", self.server, self.db)
    }
}

impl Report {
    /// Adds up the totals: of a database that matters and could not be looked into, nothing is
    /// known.
    pub fn add_up(&mut self) {
        let keys = self.databases.iter().map(|one| one.keys.map(Count::exact));
        self.totals = Totals {
            keys: keys.sum(),
            job_cache_keys: self.count(&["cache", "jobs"], KeyKind::is_job_cache),
            listing_keys: self.count(&["cache", "jobs"], |kind| kind == KeyKind::Listings),
            session_keys: self.count(&["sessions"], |kind| kind == KeyKind::Sessions),
        };
    }

    /// Returns the keys that `clear_cache_task` would clear; none when a database of one of these
    /// roles was not looked through.
    pub fn to_clear(&self, roles: &[&str]) -> Option<Count> {
        self.count(roles, KeyKind::is_cleared)
    }

    /// Adds up the keys of some kinds; none when a database of one of these roles was not looked
    /// through.
    fn count(&self, roles: &[&str], wanted: impl Fn(KeyKind) -> bool) -> Option<Count> {
        let mut found = Count::exact(0);
        for database in &self.databases {
            let matters = database.roles.iter().any(|role| roles.contains(role));
            if matters && database.looked_at.is_none() {
                return None;
            }
            let wanted = database.namespaces.iter().filter(|one| wanted(one.kind));
            found = found + wanted.map(|one| one.keys).sum();
        }
        Some(found)
    }
}
