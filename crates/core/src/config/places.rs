//! That the keys of one cache are never those of another, nor of a session: each can be cleared
//! alone.

use super::{
    cache::{CacheConfig, CacheTarget},
    domains::DOMAINS,
    redis::Role,
};

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

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn problems(text: &str) -> Vec<String> {
        Config::from_toml(text).map_or_else(|problems| problems.0, |_| Vec::new())
    }

    #[test]
    fn a_key_that_could_be_anybodys_is_refused() {
        let check = |text: &str, words: &[&str]| {
            let found = problems(text);
            assert_eq!(found.len(), words.len(), "{text}: {found:?}");
            for (found, words) in found.iter().zip(words) {
                assert!(found.contains(words), "{text}: {found}");
            }
        };
        let own = "text of its own";
        check("[cache.users]\nalias = \"sessions\"\nkey = \"{id}\"", &[own]);
        check("[cache.users]\nalias = \"sessions\"\nkey = \":{id}\"", &[own]);
        check("[cache.users]\nalias = \"sessions\"\nkey = \"d{id}\"", &["Django's sessions"]);
        check("[cache.status]\nkey = \"django.contrib.sessions.cachex\"", &["Django's sessions"]);
        check("[cache.users]\nkey = \"api:{id}\"", &["can be a key of responses"]);
        check("[cache.users]\nkey = \"api:x:{id}:y\"", &["can be a key of responses"]);
        check("[cache.users]\nkey = \"scraping_{id}\"", &["can be a key of status"]);
        check("[cache.proxies]\nkey = \"scraping_status\"", &["can be a key of status"]);
        check("[cache.proxies]\nkey = \"api:proxies\"", &["can be a key of proxies"]);
        check("[cache.proxies]\nkey = \"proxies{id}\"", &["without {"]);
        check("[[cache.listings]]\nkey = \"jobs:{id}:{keyword_slug}\"", &["{keyword_slug}"]);
        let listings = "[[cache.listings]]\nalias = \"default\"\nkey = \"{keyword_slug}\"";
        check(listings, &[own]);
    }

    #[test]
    fn keys_that_differ_in_beginning_end_prefix_or_database_are_taken() {
        for text in [
            "[cache.users]\nkey = \"api{id}\"\n[cache.responses]\nkey = \"apx:{path}\"",
            "[cache.users]\nkey = \"x:{id}:user\"\n[cache.responses]\nkey = \"x:{path}:response\"",
            "[cache.users]\nalias = \"sessions\"\nkey = \"d:{id}\"",
            "[cache.users]\nalias = \"jobs\"\nkey = \"api:{id}\"",
            "[cache.aliases.other]\nprefix = \"other\"\n[cache.users]\nalias = \"other\"\nkey = \"api:{id}\"",
            "[cache.aliases.jobs]\nprefix = \"hire_voo_ai\"\n[cache.users]\nkey = \"jobs:{id}\"",
        ] {
            assert_eq!(problems(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_two_aliases_share_counts_by_the_key_in_redis() {
        let two = "[redis]\nlayout = \"two\"\n";
        let text = format!(
            "{two}[cache.aliases.jobs]\nprefix = \"hire_voo_ai\"\n[cache.users]\nkey = \"jobs:{{id}}\""
        );
        assert_eq!(problems(&text).len(), 1, "{:?}", problems(&text));
        let nested = format!(
            "{two}[cache.aliases.jobs]\nprefix = \"hire_voo_ai:1\"\n[cache.users]\nkey = \"1:jobs:{{id}}\""
        );
        assert_eq!(problems(&nested).len(), 1, "{:?}", problems(&nested));
    }
}
