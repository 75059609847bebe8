//! `[cache]`: the caches that Django shares.

mod domains;
mod places;

use std::{collections::BTreeMap, time::Duration};

use rhubarb_cache::{AliasConfig, Aliases};
use rhubarb_config::{
    Kept,
    rules::{is_name, seconds},
    settings,
};
use rhubarb_connection::{RedisConfig, Role};

pub use self::domains::{DOMAINS, Domain, Holds};

settings! {
    /// The caches that Django shares.
    #[derive(Clone, Debug, PartialEq)]
    pub struct CacheConfig {}
    tables {
        /// Django's caches, as `settings.CACHES` has them; "default", "sessions" and "jobs", and
        /// what is added.
        aliases: Aliases = default_aliases();
        /// Where listings are written; the first entry is read from. {keyword_slug} is the
        /// keyword trimmed, in lower case, with each space as _. The keys of each cache begin
        /// with a text of their own, that no other cache or session of their alias has:
        /// clearing a cache deletes what begins like that. A second entry is a second copy, for
        /// templates that read the default cache, say.
        listings: Vec<CacheTarget> = vec![target("listings")];
        /// Where the state of the last scrape is written.
        status: CacheTarget = target("status");
        /// Where the proxy list is written.
        proxies: CacheTarget = target("proxies");
        /// Where the application keeps one listing whole, {id} being its id; `rhubarb cache`
        /// reads and clears it, as the next two.
        details: CacheTarget = target("details");
        /// Where it keeps responses of its API.
        responses: CacheTarget = target("responses");
        /// Where it keeps data of a user.
        users: CacheTarget = target("users");
    }
}

settings! {
    /// A key in an alias, with its own timeout.
    #[derive(Clone, Debug, PartialEq)]
    pub struct CacheTarget {
        /// The alias.
        alias: String = DOMAINS[0].alias.to_owned(),
            accepts "the name of a cache alias", if |text| is_name(text);
        /// The key, without the alias's prefix and version.
        key: String = DOMAINS[0].key.to_owned(),
            accepts "a logical key of 1 to 200 characters", if |text| is_name(text);
        /// How long a value is kept; "none" for ever.
        timeout: Option<Duration> = Some(seconds(DOMAINS[0].timeout)), through Kept,
            accepts "1 s or more, or \"none\" for ever,";
    }
}

fn default_aliases() -> Aliases {
    let alias = |name: &str, role, prefix, timeout| {
        let timeout = Some(seconds(timeout));
        (name.to_owned(), AliasConfig { timeout, ..AliasConfig::new(role, prefix) })
    };
    BTreeMap::from([
        alias("default", Role::Cache, "hire_voo_ai", 300),
        alias("sessions", Role::Sessions, "session", 1_209_600),
        alias("jobs", Role::Jobs, "jobs", 3_600),
    ])
}

impl Domain {
    /// Returns where it is where nothing is configured.
    pub fn target(&self) -> CacheTarget {
        CacheTarget {
            alias: self.alias.to_owned(),
            key: self.key.to_owned(),
            timeout: Some(Duration::from_secs(self.timeout)),
        }
    }
}

fn target(name: &str) -> CacheTarget {
    Domain::find(name).map(Domain::target).unwrap_or_default()
}

impl CacheConfig {
    /// Returns why what is written to the caches has no place there.
    pub fn problems(&self, redis: &RedisConfig) -> Vec<String> {
        let mut problems = Vec::new();
        let others = [&self.status, &self.proxies, &self.details, &self.responses, &self.users];
        for CacheTarget { alias, .. } in self.listings.iter().chain(others) {
            if !self.aliases.contains_key(alias) {
                let known: Vec<&str> = self.aliases.keys().map(String::as_str).collect();
                let known = known.join(", ");
                problems.push(format!("cache: no alias `{alias}`; known: {known}"));
            }
        }
        self.check_keys(&mut problems);
        problems.extend(self.collisions(|one, other| redis.share_database(one, other)));
        problems
    }

    fn check_keys(&self, problems: &mut Vec<String>) {
        if self.listings.is_empty() {
            problems.push("cache.listings: at least one target is expected".to_owned());
        }
        let has_slug = |key: &str| key.contains('{') && key.find('{') == key.find("{keyword_slug}");
        if self.listings.iter().any(|target| !has_slug(&target.key)) {
            let problem = "cache.listings: a key with {keyword_slug} in it, and no {…} before that, is expected";
            problems.push(problem.to_owned());
        }
        for (name, target) in [("status", &self.status), ("proxies", &self.proxies)] {
            if target.key.contains('{') {
                let problem = "a key without {…} in it is expected";
                problems.push(format!("cache.{name}.key: {problem}"));
            }
        }
        for (name, target) in
            [("details", &self.details), ("responses", &self.responses), ("users", &self.users)]
        {
            let (open, close) = (target.key.find('{'), target.key.find('}'));
            if open.zip(close).is_none_or(|(open, close)| open > close) {
                let problem = "a key with {id} or the like in it is expected";
                problems.push(format!("cache.{name}.key: {problem}"));
            }
        }
    }
}
