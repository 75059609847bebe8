//! The caches of the application, each by name: what it holds, under which key, for how long and up
//! to which size.
//!
//! This is the one table of them. What `[cache.*]` sets moves a cache to another alias, key or
//! timeout; what it holds and its size cap are fixed.

/// What Python reads from a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A list of dicts.
    Dicts,
    /// One dict.
    Dict,
    /// A list of text.
    Texts,
    /// Whatever the application put there.
    Anything,
}

/// One cache of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Its name, in `[cache.NAME]` and on the command line.
    pub name: &'static str,
    /// What it is, for a person.
    pub about: &'static str,
    /// What a value is.
    pub holds: Holds,
    /// The alias, where nothing is configured.
    pub alias: &'static str,
    /// The logical key, where nothing is configured; `{…}` stands for what tells its values apart.
    pub key: &'static str,
    /// How long a value is kept, in seconds, where nothing is configured.
    pub timeout: u64,
    /// The most bytes of one stored value.
    pub max_bytes: usize,
    /// Whether values hold passwords, which are never shown.
    pub secret: bool,
}

/// All of them. Databases are those of the aliases: `default` is on 1, `jobs` on 3.
#[rustfmt::skip]
pub static DOMAINS: [Domain; 6] = [
    Domain { name: "listings", about: "listings of a keyword", holds: Holds::Dicts, alias: "jobs", key: "jobs:{keyword_slug}", timeout: 1_800, max_bytes: 8 << 20, secret: false },
    Domain { name: "details", about: "one listing whole", holds: Holds::Dict, alias: "jobs", key: "job_details:{id}", timeout: 3_600, max_bytes: 512 << 10, secret: false },
    Domain { name: "status", about: "what the last scrape did", holds: Holds::Dict, alias: "default", key: "scraping_status", timeout: 300, max_bytes: 64 << 10, secret: false },
    Domain { name: "proxies", about: "proxies that scraping goes through", holds: Holds::Texts, alias: "default", key: "proxy_list", timeout: 600, max_bytes: 1 << 20, secret: true },
    Domain { name: "responses", about: "responses of the application's API", holds: Holds::Anything, alias: "default", key: "api:{path}", timeout: 300, max_bytes: 2 << 20, secret: false },
    Domain { name: "users", about: "data of one user", holds: Holds::Dict, alias: "default", key: "user:{id}", timeout: 300, max_bytes: 256 << 10, secret: false },
];

impl Domain {
    /// Returns the cache of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        DOMAINS.iter().find(|domain| domain.name == name)
    }
}

impl Holds {
    /// Returns the kind of value in Python's words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dicts => "list of dict",
            Self::Dict => "dict",
            Self::Texts => "list of str",
            Self::Anything => "any",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::CacheConfig;

    #[test]
    fn every_cache_has_a_name_a_place_and_a_key_of_its_own() {
        let names: BTreeSet<&str> = DOMAINS.iter().map(|domain| domain.name).collect();
        let keys: BTreeSet<&str> =
            DOMAINS.iter().map(|d| d.key.split(['{', ':']).next().unwrap_or_default()).collect();
        assert_eq!((names.len(), keys.len()), (DOMAINS.len(), DOMAINS.len()));
        let aliases = CacheConfig::default().aliases;
        for domain in &DOMAINS {
            assert!(aliases.contains_key(domain.alias), "{}", domain.name);
            assert_eq!(Domain::find(domain.name), Some(domain));
        }
        assert_eq!(Domain::find("sessions"), None);
    }
}
