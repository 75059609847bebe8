//! Going through all sessions of a database in small steps.

use std::{collections::VecDeque, fmt};

use redis::{cmd, pipe};
use rhubarb_connection::Pages;

use super::{
    backend::Backend, directory::Directory, error::SessionError, glimpse, key::SessionKey,
    session::Session, store::failed,
};
use crate::{FormatError, client::Ttl, compress, key};

/// How many keys one turn of a scan looks at: about a millisecond of Redis.
const SCAN_COUNT: usize = 250;

/// The template of all sessions' keys; what stands for the keyword's slug stands for anything.
const EVERY: &str = "django.contrib.sessions.*";

/// How many sessions are read at a time.
const BATCH: usize = 100;

/// The greatest session that is read together with others, in bytes; larger ones are read one by
/// one.
const SMALL: usize = 64 << 10;

/// A session that a walk came by.
pub struct Found {
    /// Whose it is.
    pub backend: Backend,
    /// Its key.
    pub key: SessionKey,
    /// How long it lives.
    pub ttl: Ttl,
    /// The session, or why it cannot be read.
    pub session: Result<Session, FormatError>,
    /// The bytes of one that cannot be read.
    unread: Vec<u8>,
}

impl Found {
    /// Tells whether this user is logged in with it; for one that cannot be read, as far as its
    /// bytes tell.
    pub fn is_of(&self, user: &str) -> bool {
        match &self.session {
            Ok(session) => session.data().user().is_some_and(|id| id == user),
            Err(_) => {
                let unpacked = compress::decompress(&self.unread).ok().flatten();
                glimpse::is_of(unpacked.as_deref().unwrap_or(&self.unread), user)
            }
        }
    }

    /// Returns the bytes in Redis as they were met.
    pub(super) fn stored(&self) -> &[u8] {
        self.session.as_ref().map_or(&self.unread, |session| &session.stored)
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backend, ttl, session, .. } = self;
        f.debug_struct("Found")
            .field("backend", backend)
            .field("ttl", ttl)
            .field("session", session)
            .finish_non_exhaustive()
    }
}

/// A walk over all sessions of a [`Directory`], in no order.
///
/// Redis is asked in steps of some hundred keys (`SCAN`), and never blocked; memory is bounded by a
/// batch of small sessions, or one large one. A session that is there from the walk's beginning to
/// its end is met at least once, and more than once while Redis resizes its table; one that comes
/// or goes meanwhile may be met.
#[derive(Debug)]
pub struct Walk<'d> {
    directory: &'d Directory,
    /// Where the scan goes on; `None` at its end.
    cursor: Option<u64>,
    pages: Pages,
    pending: VecDeque<(Backend, SessionKey)>,
}

impl<'d> Walk<'d> {
    pub(super) fn new(directory: &'d Directory) -> Self {
        let pages = Pages::new(cmd("DBSIZE"), SCAN_COUNT);
        Self { directory, cursor: Some(0), pages, pending: VecDeque::new() }
    }

    /// Returns the next keys; `None` at the end, and an empty list where there were none on the
    /// way.
    ///
    /// # Cancel safety
    /// A dropped call has not gone on.
    ///
    /// # Errors
    /// [`SessionError::Redis`]; the walk may be gone on with.
    pub async fn next_keys(&mut self) -> Result<Option<Vec<(Backend, SessionKey)>>, SessionError> {
        let Some(cursor) = self.cursor else { return Ok(None) };
        self.pages.turn(&self.directory.redis).await.map_err(failed("scan for"))?;
        let alias = &self.directory.alias;
        let prefix = key::raw(alias, "");
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(key::glob(alias, EVERY));
        scan.arg("COUNT").arg(SCAN_COUNT).arg("TYPE").arg("string");
        let answer = self.directory.redis.query::<(u64, Vec<Vec<u8>>)>(&scan).await;
        let (next, raws) = answer.map_err(failed("scan for"))?;
        self.cursor = (next != 0).then_some(next);
        let of = |raw: &Vec<u8>| Backend::of(std::str::from_utf8(raw).ok()?.strip_prefix(&prefix)?);
        let keys = raws.iter().filter_map(of);
        Ok(Some(keys.filter(|(backend, _)| self.directory.backends.contains(backend)).collect()))
    }

    /// Returns the next sessions; `None` at the end, and an empty list where there were none on the
    /// way.
    ///
    /// # Cancel safety
    /// A dropped call may have skipped a batch.
    ///
    /// # Errors
    /// [`SessionError::Redis`].
    pub async fn next(&mut self) -> Result<Option<Vec<Found>>, SessionError> {
        if self.pending.is_empty() {
            match self.next_keys().await? {
                Some(keys) => self.pending.extend(keys),
                None => return Ok(None),
            }
        }
        let n = self.pending.len().min(BATCH);
        let batch: Vec<(Backend, SessionKey)> = self.pending.drain(..n).collect();
        self.read(batch).await.map(Some)
    }

    pub(super) async fn read(
        &self,
        batch: Vec<(Backend, SessionKey)>,
    ) -> Result<Vec<Found>, SessionError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut both = pipe();
        for (backend, key) in &batch {
            let raw = self.directory.sessions(*backend).raw(key);
            // One byte over the limit tells that there is more.
            both.cmd("PTTL").arg(&raw).cmd("GETRANGE").arg(&raw).arg(0).arg(SMALL);
        }
        let answers = self.directory.redis.pipe::<Vec<redis::Value>>(&both).await;
        let answers = answers.map_err(failed("read"))?;
        let mut found = Vec::with_capacity(batch.len());
        for ((backend, key), answer) in batch.into_iter().zip(answers.as_chunks::<2>().0) {
            let [redis::Value::Int(pttl), redis::Value::BulkString(stored)] = answer else {
                continue;
            };
            let whole = match stored.len() {
                0 => None,
                1..=SMALL => Some((stored.clone(), Ttl::from_pttl(*pttl))),
                _ => self.directory.sessions(backend).read_bytes(&key).await?,
            };
            found.extend(whole.map(|(stored, ttl)| self.found(backend, key, stored, ttl)));
        }
        Ok(found)
    }

    fn found(&self, backend: Backend, key: SessionKey, stored: Vec<u8>, ttl: Ttl) -> Found {
        let sessions = self.directory.sessions(backend);
        match sessions.session(key.clone(), stored.clone(), ttl) {
            Ok(session) => Found { backend, key, ttl, session: Ok(session), unread: Vec::new() },
            Err(error) => Found { backend, key, ttl, session: Err(error), unread: stored },
        }
    }
}
