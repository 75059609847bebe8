//! That the keys of one cache are never those of another, nor of a session: each can be cleared
//! alone.

use rhubarb_connection::Role;

use super::{CacheConfig, CacheTarget, DOMAINS};

/// What the logical key of every one of Django's sessions begins with.
const SESSIONS: &str = "django.contrib.sessions.";

/// One target of a cache, with the keys that it stands for in Redis.
struct CachePlace<'c> {
    /// The cache's name in the table.
    cache: &'static str,
    /// Where it is set: `cache.users.key`.
    setting: String,
    key: &'c str,
    role: Role,
    keys: Keys,
}

/// All keys that begin and end like this, or the one.
struct Keys {
    before: String,
    /// Absent when `before` is the whole key.
    after: Option<String>,
}

impl Keys {
    /// Returns the keys of a template, each with this before it.
    fn of(start: &str, template: &str) -> Self {
        match split(template) {
            Some((before, after)) => {
                Self { before: format!("{start}{before}"), after: Some(after.to_owned()) }
            }
            None => Self { before: format!("{start}{template}"), after: None },
        }
    }

    fn matches(&self, key: &str) -> bool {
        let rest = key.strip_prefix(&self.before);
        rest.is_some_and(|rest| match &self.after {
            Some(after) => rest.ends_with(after.as_str()),
            None => rest.is_empty(),
        })
    }

    /// Tells whether some key is one of these and of the others.
    fn overlap(&self, other: &Self) -> bool {
        match (&self.after, &other.after) {
            (None, _) => other.matches(&self.before),
            (_, None) => self.matches(&other.before),
            (Some(after), Some(others)) => {
                let starts = |one: &Self, other: &Self| one.before.starts_with(&other.before);
                (starts(self, other) || starts(other, self))
                    && (after.ends_with(others.as_str()) || others.ends_with(after.as_str()))
            }
        }
    }
}

impl CacheConfig {
    /// Returns where the configuration has put a cache of the table; nothing for a name that it
    /// does not have.
    pub fn places(&self, cache: &str) -> &[CacheTarget] {
        match cache {
            "listings" => &self.listings,
            "status" => std::slice::from_ref(&self.status),
            "proxies" => std::slice::from_ref(&self.proxies),
            "details" => std::slice::from_ref(&self.details),
            "responses" => std::slice::from_ref(&self.responses),
            "users" => std::slice::from_ref(&self.users),
            _ => &[],
        }
    }

    /// Returns what would let one cache delete the keys of another or a session, one sentence each;
    /// nothing when all is well.
    ///
    /// `share_database` tells whether two roles use the same server and database.
    pub fn collisions(&self, share_database: impl Fn(Role, Role) -> bool) -> Vec<String> {
        let all: Vec<CachePlace<'_>> = DOMAINS
            .iter()
            .flat_map(|domain| self.places(domain.name).iter().map(|target| (domain.name, target)))
            .filter_map(|(cache, target)| self.place(cache, target))
            .collect();
        let mut problems: Vec<String> = all.iter().filter_map(alone).collect();
        if !problems.is_empty() {
            // Such a key is like all others: one sentence for each of them would say the same.
            return problems;
        }
        for (idx, one) in all.iter().enumerate() {
            let before = all[..idx].iter().filter(|other| {
                other.cache != one.cache
                    && share_database(other.role, one.role)
                    && other.keys.overlap(&one.keys)
            });
            problems.extend(before.map(|other| {
                format!(
                    "{}: `{}` can be a key of {} (`{}`) as well, and clearing one would delete the other; \
                     give each a beginning of its own",
                    one.setting, one.key, other.cache, other.key
                )
            }));
        }
        problems
    }

    /// Returns a target's place; nothing when it names an alias that there is not.
    fn place<'c>(&self, cache: &'static str, target: &'c CacheTarget) -> Option<CachePlace<'c>> {
        let alias = self.aliases.get(&target.alias)?;
        let start = format!("{}:{}:", alias.prefix, alias.version);
        Some(CachePlace {
            cache,
            setting: format!("cache.{cache}.key"),
            key: &target.key,
            role: alias.role,
            keys: Keys::of(&start, &target.key),
        })
    }
}

/// Returns what is wrong with a place whatever the others are.
fn alone(place: &CachePlace<'_>) -> Option<String> {
    let CachePlace { cache, setting, key, .. } = place;
    let sessions = Keys { before: SESSIONS.to_owned(), after: Some(String::new()) };
    if split(key).is_some_and(|(before, _)| !before.contains(char::is_alphanumeric)) {
        return Some(format!(
            "{setting}: a text of its own is expected before {{…}}, as in `{cache}:{{…}}`, not `{key}`: \
             clearing {cache} would delete whatever else is in its alias"
        ));
    }
    Keys::of("", key).overlap(&sessions).then(|| {
        format!("{setting}: `{key}` can be the key of one of Django's sessions; give it another beginning")
    })
}

/// Splits a template at its first `{…}`: what is before it and what is behind.
fn split(template: &str) -> Option<(&str, &str)> {
    let (before, rest) = template.split_once('{')?;
    Some((before, rest.split_once('}')?.1))
}
