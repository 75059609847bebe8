//! Where the parties keep their sessions.

use super::key::SessionKey;

/// Who made a session: it says what stands before the session's key in the cache key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// `django.contrib.sessions.backends.cache`: Redis is all there is.
    Cache,
    /// `django.contrib.sessions.backends.cached_db`: Redis stands before the table
    /// `django_session`.
    ///
    /// Only the side in Redis is ours, so three things are different:
    /// - An update holds until Django writes the session, which puts all of it into the table, too.
    ///   If Redis loses the key before that, Django reads the older state from the table.
    /// - Deleting would end nothing, because Django would read the session back from its table. It
    ///   is emptied instead, and stays so for as long as it would have lived: that ends the login.
    ///   Whoever cannot trust Redis to keep it (an eviction policy, a flush) deletes the row of
    ///   `django_session` as well.
    /// - A session created here has no row. Django reads it, and refuses to save it until there is
    ///   one.
    CachedDb,
    /// `sessions::tower::TowerSessions`: sessions of Rust services on tower-sessions, which Django
    /// has no cookies for.
    Tower,
}

impl Backend {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Cache, Self::CachedDb, Self::Tower];

    /// Returns what stands before the session's key in the logical cache key.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Cache => "django.contrib.sessions.cache",
            Self::CachedDb => "django.contrib.sessions.cached_db",
            // Django's name space, so that all who look for sessions by it find and protect ours,
            // too.
            Self::Tower => "django.contrib.sessions.tower",
        }
    }

    /// Returns the name that `--json` shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::CachedDb => "cached_db",
            Self::Tower => "tower",
        }
    }

    /// Takes a logical cache key apart.
    ///
    /// `…cached_db<key>` begins with `…cache`, too, but `d_db<key>` is no key: there is no `_` in
    /// one.
    pub(super) fn of(logical: &str) -> Option<(Self, SessionKey)> {
        let key = |backend: &Self| SessionKey::parse(logical.strip_prefix(backend.prefix())?);
        Self::ALL.iter().find_map(|backend| Some((*backend, key(backend)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_backend_knows_its_own_keys() {
        let check = |logical: &str, expect: Option<(Backend, &str)>| {
            let found = Backend::of(logical);
            assert_eq!(found.as_ref().map(|(b, key)| (*b, key.expose())), expect, "{logical}");
        };
        let key = "3yqdidcrtxh3of02twkjp2ad6to2qvdr";
        for backend in Backend::ALL {
            check(&format!("{}{key}", backend.prefix()), Some((backend, key)));
        }
        check("django.contrib.sessions.cache", None);
        check("django.contrib.sessions.cache*", None);
        check("jobs:rust", None);
    }
}
