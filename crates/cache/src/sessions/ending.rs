//! All sessions of a database: counted, found, ended by user.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    backend::Backend,
    directory::Directory,
    error::SessionError,
    key::SessionKey,
    walk::{Found, Walk},
};

/// How often the walk that ends a user's sessions is repeated while it still finds some.
///
/// Django's cache backend asks whether a session is there, and then writes it: a request that was
/// in between when the session ended brings it back. The next walk finds it.
const PASSES: usize = 3;

/// How often ending a session is tried again because somebody else wrote it meanwhile.
const TRIES: usize = 16;

/// What ending a user's sessions did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Revoked {
    /// Sessions of the user that were ended.
    pub ended: u64,
    /// Sessions that cannot be read and do not seem to be the user's; they go on.
    pub unreadable: u64,
    /// Sessions of the user that were written so often meanwhile that they go on.
    pub busy: u64,
}

/// What became of a session that was to end.
enum End {
    Ended,
    /// It has ended by itself, or is another user's by now.
    NotTheirs,
    /// Others wrote it again and again.
    Busy,
}

impl Directory {
    /// Begins a walk over all sessions.
    pub fn walk(&self) -> Walk<'_> {
        Walk::new(self)
    }

    /// Counts the sessions, logged in or not, without reading them.
    ///
    /// # Errors
    /// [`SessionError::Redis`].
    pub async fn count(&self) -> Result<BTreeMap<Backend, u64>, SessionError> {
        let mut counts: BTreeMap<Backend, u64> = self.backends.iter().map(|b| (*b, 0)).collect();
        let mut walk = self.walk();
        while let Some(keys) = walk.next_keys().await? {
            for (backend, _) in keys {
                *counts.entry(backend).or_default() += 1;
            }
        }
        Ok(counts)
    }

    /// Reads the session of a key, whether it can be read or not; `None` when there is none.
    ///
    /// # Errors
    /// [`SessionError::Redis`].
    pub async fn look_up(
        &self,
        backend: Backend,
        key: SessionKey,
    ) -> Result<Option<Found>, SessionError> {
        Ok(self.walk().read(vec![(backend, key)]).await?.pop())
    }

    /// Finds the sessions whose key is this text or, if there is none, begins with it; `most` of
    /// them at most.
    ///
    /// # Errors
    /// [`SessionError::Redis`].
    pub async fn find(
        &self,
        start: &str,
        most: usize,
    ) -> Result<Vec<(Backend, SessionKey)>, SessionError> {
        let Some(whole) = SessionKey::parse(start) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for backend in &self.backends {
            if self.sessions(*backend).exists(&whole).await? {
                found.push((*backend, whole.clone()));
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
        // A scan may come by a key twice.
        let mut alike = BTreeSet::new();
        let mut walk = self.walk();
        while alike.len() < most
            && let Some(keys) = walk.next_keys().await?
        {
            alike.extend(keys.into_iter().filter(|(_, key)| key.expose().starts_with(start)));
        }
        Ok(alike.into_iter().take(most).collect())
    }

    /// Ends all sessions of a user (`_auth_user_id`), which logs the user out everywhere.
    ///
    /// One that cannot be read ends, too, if its bytes name the user where Django's login does.
    ///
    /// Walks over all sessions, and again while it finds some. A login that happens meanwhile may
    /// be missed; who has to shut somebody out deactivates the user first.
    ///
    /// # Cancel safety
    /// A dropped call has ended some of them; calling it again goes on.
    ///
    /// # Errors
    /// [`SessionError::Redis`]; what has ended stays so.
    pub async fn revoke_user(&self, user: &str) -> Result<Revoked, SessionError> {
        let mut revoked = Revoked::default();
        for _ in 0..PASSES {
            let pass = self.revoke_pass(user).await?;
            revoked = Revoked { ended: revoked.ended + pass.ended, ..pass };
            if pass.ended == 0 {
                break;
            }
        }
        Ok(revoked)
    }

    async fn revoke_pass(&self, user: &str) -> Result<Revoked, SessionError> {
        let mut pass = Revoked::default();
        let mut walk = self.walk();
        while let Some(batch) = walk.next().await? {
            for found in batch {
                if found.is_of(user) {
                    match self.end(found, user).await? {
                        End::Ended => pass.ended += 1,
                        End::NotTheirs => {}
                        End::Busy => pass.busy += 1,
                    }
                } else if found.session.is_err() {
                    pass.unreadable += 1;
                }
            }
        }
        Ok(pass)
    }

    /// Ends a session as long as it is the user's.
    ///
    /// Only what was looked at is ended: by now somebody else may have logged in with it.
    async fn end(&self, mut found: Found, user: &str) -> Result<End, SessionError> {
        let sessions = self.sessions(found.backend);
        for _ in 0..TRIES {
            match sessions.end_if_same(&found.key, found.stored()).await? {
                1 => return Ok(End::Ended),
                0 => return Ok(End::NotTheirs),
                _ => match self.look_up(found.backend, found.key.clone()).await? {
                    Some(now) if now.is_of(user) => found = now,
                    _ => return Ok(End::NotTheirs),
                },
            }
        }
        Ok(End::Busy)
    }
}
