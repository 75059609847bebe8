//! Which keys belong together: the caches' and the queue's namespaces, as the configuration names
//! them.

use std::collections::HashSet;

use rhubarb_cache::key;
use rhubarb_connection::Role;
use rhubarb_jobs::CacheTarget;
use rhubarb_queue::keys::{self, QueueKeys};
use rhubarb_settings::Settings;

/// What every session's logical key begins with: `SessionStore.cache_key_prefix` of Django's cache
/// and cached_db engines (5.2), which goes on with `cache` or `cached_db` and the session's secret.
const SESSION: &str = "django.contrib.sessions.";

/// A set of keys with one meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// What a person calls it.
    pub name: String,
    /// What it is for.
    pub kind: KeyKind,
    /// Which keys are in it.
    pub globs: Vec<Glob>,
    /// Whether its keys should have a time to live, by the configuration.
    pub expires: bool,
}

/// What keys are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Keywords' listings.
    Listings,
    /// The scraping status or the proxy list.
    Scraping,
    /// Anything else in a cache on the jobs' role.
    Jobs,
    /// Django's sessions.
    Sessions,
    /// Another cache.
    Cache,
    /// The queue's or the results'.
    Queue,
    /// None of ours.
    Other,
}

impl KeyKind {
    /// Tells whether the keys are part of the job caches.
    pub fn is_job_cache(self) -> bool {
        matches!(self, Self::Listings | Self::Scraping | Self::Jobs)
    }

    /// Tells whether `--clear` deletes the keys.
    pub fn is_cleared(self) -> bool {
        matches!(self, Self::Listings | Self::Scraping)
    }

    /// Tells whether the keys are in one of Django's caches, sessions apart.
    pub fn is_cache(self) -> bool {
        self.is_job_cache() || self == Self::Cache
    }
}

/// A name with `*` for anything, as `SCAN`'s `MATCH` has it without its other wildcards.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glob(Vec<Vec<u8>>);

impl Glob {
    fn exact(key: &str) -> Self {
        Self(vec![key.as_bytes().to_vec()])
    }

    fn between(prefix: &str, suffix: &str) -> Self {
        Self(vec![prefix.as_bytes().to_vec(), suffix.as_bytes().to_vec()])
    }

    /// Reads a pattern in which all but `*` is escaped, as [`rhubarb_jobs::template::pattern`]
    /// writes it.
    fn read(pattern: &str) -> Self {
        let mut parts = vec![Vec::new()];
        let mut bytes = pattern.bytes();
        while let Some(byte) = bytes.next() {
            match byte {
                b'*' => parts.push(Vec::new()),
                b'\\' => parts.last_mut().expect("there is always one").extend(bytes.next()),
                other => parts.last_mut().expect("there is always one").push(other),
            }
        }
        Self(parts)
    }

    /// Tells whether a key is named so.
    pub fn matches(&self, key: &[u8]) -> bool {
        let Some((first, more)) = self.0.split_first() else { return false };
        let Some(mut rest) = key.strip_prefix(first.as_slice()) else { return false };
        let Some((last, between)) = more.split_last() else { return rest.is_empty() };
        for part in between {
            let Some(at) = find(rest, part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }

    /// Returns the one key that it matches, if it is only one.
    pub fn key(&self) -> Option<&[u8]> {
        match self.0.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Returns it as a person reads it.
    pub fn shown(&self) -> String {
        let parts: Vec<_> = self.0.iter().map(|part| String::from_utf8_lossy(part)).collect();
        parts.join("*")
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    text.windows(part.len()).position(|window| window == part)
}

/// Returns the namespaces of a database by the roles that share it; a key is in the first one that
/// matches.
///
/// `queues` are the names of the known queues.
pub fn of(config: &Settings, roles: &[Role], queues: &[String]) -> Vec<Namespace> {
    // Sessions first: no clearing takes a key that looks like one, whatever pattern it matches.
    let mut found = sessions(config, roles);
    found.extend(scraping(config, roles));
    found.extend(celery(config, roles, queues));
    found.extend(domains(config, roles));
    found.extend(caches(config, roles));
    // Two aliases may have one prefix, two targets one key: what is counted once is told once.
    let mut told = HashSet::new();
    found.retain(|one| told.insert((one.name.clone(), one.globs.clone())));
    found
}

/// Returns the namespace of a cache of the application, if it is in one of these roles' databases.
fn target(
    config: &Settings,
    roles: &[Role],
    name: &str,
    target: &CacheTarget,
    kind: impl Fn(Role) -> KeyKind,
) -> Option<Namespace> {
    let alias = config.cache.aliases.get(&target.alias)?;
    let expires = target.timeout.or(alias.timeout).is_some();
    let globs = vec![Glob::read(&rhubarb_jobs::template::pattern(alias, &target.key))];
    let kind = kind(alias.role);
    roles.contains(&alias.role).then(|| Namespace { name: name.to_owned(), kind, globs, expires })
}

/// Listings, status and proxies: exactly what `clear_cache_task` clears.
fn scraping(config: &Settings, roles: &[Role]) -> Vec<Namespace> {
    let cache = &config.cache;
    let listings = cache.listings.iter();
    let listings =
        listings.map(|one| target(config, roles, "listings", one, |_| KeyKind::Listings));
    let named = |name, one| target(config, roles, name, one, |_| KeyKind::Scraping);
    let others = [named("scraping status", &cache.status), named("proxy list", &cache.proxies)];
    listings.chain(others).flatten().collect()
}

/// The application's other caches.
fn domains(config: &Settings, roles: &[Role]) -> Vec<Namespace> {
    let cache = &config.cache;
    let named = |name, one| target(config, roles, name, one, kind_of_cache);
    let domains = [
        named("listing details", &cache.details),
        named("API responses", &cache.responses),
        named("user data", &cache.users),
    ];
    domains.into_iter().flatten().collect()
}

fn kind_of_cache(role: Role) -> KeyKind {
    match role {
        Role::Jobs => KeyKind::Jobs,
        Role::Sessions => KeyKind::Other,
        _ => KeyKind::Cache,
    }
}

fn sessions(config: &Settings, roles: &[Role]) -> Vec<Namespace> {
    let namespace = |glob, expires| Namespace {
        name: "sessions".to_owned(),
        kind: KeyKind::Sessions,
        globs: vec![glob],
        expires,
    };
    let here = || config.cache.aliases.values().filter(|alias| roles.contains(&alias.role));
    let theirs = here().filter(|alias| alias.role == Role::Sessions);
    let mut found: Vec<Namespace> = theirs
        .map(|alias| {
            namespace(Glob::between(&key::raw(alias, SESSION), ""), alias.timeout.is_some())
        })
        .collect();
    // Django keeps them in its default cache unless it is told another (SESSION_CACHE_ALIAS).
    if here().next().is_some() {
        found.push(namespace(Glob(vec![Vec::new(), SESSION.into(), Vec::new()]), true));
    }
    found
}

fn celery(config: &Settings, roles: &[Role], queues: &[String]) -> Vec<Namespace> {
    let namespace = |name: &str, globs| Namespace {
        name: name.to_owned(),
        kind: KeyKind::Queue,
        globs,
        expires: false,
    };
    let mut found = Vec::new();
    if roles.contains(&Role::Queue) {
        let lists = queues.iter().flat_map(|name| QueueKeys::new(name, &config.celery).lists);
        found.push(namespace("waiting tasks", lists.map(|list| Glob::exact(&list)).collect()));
        let redbeat = Glob::between(&config.beat.redbeat_key_prefix, "");
        found.push(namespace("RedBeat", vec![redbeat]));
    }
    if roles.contains(&Role::Queue) || roles.contains(&Role::Results) {
        found.extend(keys::families(&config.celery).into_iter().map(|family| {
            namespace(family.name, vec![Glob::between(&family.prefix, family.suffix)])
        }));
    }
    found
}

/// Whatever else begins with a cache's prefix, in any version.
fn caches(config: &Settings, roles: &[Role]) -> Vec<Namespace> {
    let here = config.cache.aliases.iter().filter(|(_, alias)| roles.contains(&alias.role));
    here.map(|(name, alias)| Namespace {
        name: format!("cache {name}"),
        kind: kind_of_cache(alias.role),
        globs: vec![Glob::between(&format!("{}:", alias.prefix), "")],
        expires: alias.timeout.is_some(),
    })
    .collect()
}

/// Returns a key as it may be shown: without what steers a terminal, without a session's secret,
/// not too long.
pub fn shown(key: &[u8]) -> String {
    let text = rhubarb_core::shown::clean(&String::from_utf8_lossy(key));
    if let Some(at) = text.find(SESSION) {
        return format!("{}***", &text[..at + SESSION.len()]);
    }
    match text.char_indices().nth(80) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use rhubarb_cache::AliasConfig;

    use super::*;

    fn name(config: &Settings, roles: &[Role], key: &str) -> String {
        let namespaces = of(config, roles, &["celery".to_owned()]);
        let found = namespaces
            .into_iter()
            .find(|namespace| namespace.globs.iter().any(|glob| glob.matches(key.as_bytes())));
        found.map_or_else(String::new, |namespace| namespace.name)
    }

    #[test]
    fn each_key_is_counted_where_its_writer_would_look_for_it() {
        let config = Settings::default();
        for (key, expect) in [
            ("jobs:1:jobs:software_engineer", "listings"),
            ("jobs:1:job_details:7", "listing details"),
            ("jobs:1:listing:7", "cache jobs"),
            ("hire_voo_ai:1:api:/jobs", "API responses"),
            ("hire_voo_ai:1:user:7", "user data"),
            ("jobs:2:jobs:rust", "cache jobs"),
            ("hire_voo_ai:1:scraping_status", "scraping status"),
            ("hire_voo_ai:1:scraping_status2", "cache default"),
            ("hire_voo_ai:1:proxy_list", "proxy list"),
            ("session:1:django.contrib.sessions.cacheabc", "sessions"),
            ("session:1:django.contrib.sessions.cached_dbabc", "sessions"),
            ("session:1:x", "cache sessions"),
            ("hire_voo_ai:1:django.contrib.sessions.cacheabc", "sessions"),
            ("jobs:1:jobs:django.contrib.sessions.cacheabc", "sessions"),
            ("celery", "waiting tasks"),
            ("celery\u{6}\u{16}9", "waiting tasks"),
            ("celery-task-meta-1", "results"),
            ("redbeat:nightly", "RedBeat"),
            ("redbeat::lock", "RedBeat"),
            ("rhubarb:{celery}:scheduled", "queues"),
            ("_kombu.binding.celery", "bindings"),
            ("1.reply.celery.pidbox", "replies"),
            ("celeryx", ""),
        ] {
            assert_eq!(name(&config, &Role::ALL, key), expect, "{key}");
        }
        assert_eq!(name(&config, &[Role::Sessions], "jobs:1:jobs:a"), "", "jobs are elsewhere");
    }

    #[test]
    fn a_glob_matches_what_redis_matches() {
        let alias = AliasConfig::new(Role::Jobs, "a*b");
        let one = Glob::read(&rhubarb_jobs::template::pattern(&alias, "[{keyword_slug}]"));
        assert!(one.matches(b"a*b:1:[x]") && !one.matches(b"a*b:1:[x"));
        let glob = Glob::read(r"a\*b:1:\[*\]-*!");
        assert_eq!(glob.shown(), "a*b:1:[*]-*!");
        for (key, expect) in [
            ("a*b:1:[x]-y!", true),
            ("a*b:1:[]-!", true),
            ("a*b:1:[x]-]-y!", true),
            ("axb:1:[x]-y!", false),
            ("a*b:1:[x]-y", false),
            ("a*b:1:[x]y!", false),
        ] {
            assert_eq!(glob.matches(key.as_bytes()), expect, "{key}");
        }
        assert!(!Glob::between("ab", "bc").matches(b"abc"), "begin and end may not overlap");
        assert!(Glob::exact("a").matches(b"a") && !Glob::exact("a").matches(b"ab"));
    }

    #[test]
    fn no_shown_key_holds_a_sessions_secret_or_steers_the_terminal() {
        assert_eq!(
            shown(b"session:1:django.contrib.sessions.cachesecret"),
            "session:1:django.contrib.sessions.***"
        );
        assert_eq!(shown(b"a\x1b[2Jb"), "a [2Jb");
        assert_eq!(shown(&[b'a'; 200]).chars().count(), 81);
    }
}
