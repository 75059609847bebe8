//! Many keys: found and deleted bit by bit, however many there are.

use std::collections::VecDeque;

use redis::cmd;
use rhubarb_connection::Pages;

use super::{BATCH, Cache, failed};
use crate::{
    error::{Error, SESSIONS},
    key,
};

/// The most keys that [`Cache::keys`] returns.
pub(crate) const MAX_KEYS: usize = 100_000;

/// The logical keys that match a pattern, a batch at a time.
#[derive(Debug)]
pub struct Keys {
    scan: Scan,
    found: VecDeque<String>,
    passed: u64,
}

/// The raw keys that match a pattern, a turn at a time.
#[derive(Debug)]
struct Scan {
    cache: Cache,
    pattern: String,
    /// Absent when it is over.
    cursor: Option<u64>,
    pages: Pages,
}

impl Cache {
    /// Returns the logical keys that match a glob pattern, in no order.
    ///
    /// # Errors
    /// [`Error::TooMany`] beyond 100,000: use [`Cache::iter_keys`]. [`Error::Redis`].
    pub async fn keys(&self, pattern: &str) -> Result<Vec<String>, Error> {
        let mut found = std::collections::BTreeSet::new();
        let mut keys = self.iter_keys(pattern);
        loop {
            match self.open(keys.next().await, None)? {
                Some(_) if found.len() >= MAX_KEYS => {
                    return Err(Error::TooMany { limit: MAX_KEYS, pattern: pattern.to_owned() });
                }
                Some(key) => drop(found.insert(key)),
                None => return Ok(found.into_iter().collect()),
            }
        }
    }

    /// Returns the logical keys that match a glob pattern as they are found, in bounded memory.
    ///
    /// A key that comes or goes meanwhile may be missed; one may come twice. Keys that are not
    /// UTF-8 are passed over.
    pub fn iter_keys(&self, pattern: &str) -> Keys {
        let pattern = key::glob(&self.alias, pattern);
        Keys { scan: Scan::new(self, pattern), found: VecDeque::new(), passed: 0 }
    }

    /// Deletes every key that matches a glob pattern and returns how many there were.
    ///
    /// It scans and frees in batches of about 1,000: other commands of the server go in between.
    ///
    /// # Cancel safety
    /// A dropped call has deleted some of them; calling it again goes on.
    ///
    /// # Errors
    /// [`Error::Redis`]; what was deleted stays deleted.
    pub async fn delete_pattern(&self, pattern: &str) -> Result<u64, Error> {
        let deleted = self.delete_found(key::glob(&self.alias, pattern), |_| true).await;
        self.open(deleted, 0)
    }

    /// Deletes every key of this cache's prefix, whatever its version, and returns how many there
    /// were.
    ///
    /// Django's `clear()` empties the whole database instead; this never touches another prefix's
    /// keys.
    ///
    /// # Cancel safety
    /// As for [`Cache::delete_pattern`].
    ///
    /// # Errors
    /// [`Error::Redis`]; what was deleted stays deleted.
    pub async fn clear(&self) -> Result<u64, Error> {
        let start = format!("{}:", self.alias.prefix);
        let is_ours = move |raw: &[u8]| {
            let rest = raw.strip_prefix(start.as_bytes()).unwrap_or_default();
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            digits > 0 && rest.get(digits) == Some(&b':')
        };
        let pattern = format!("{}:*", key::escape(&self.alias.prefix));
        let deleted = self.delete_found(pattern, is_ours).await;
        self.open(deleted, 0)
    }

    /// Deletes every key that matches a glob pattern but Django's sessions; returns how many there
    /// were.
    ///
    /// # Cancel safety
    /// As for [`Cache::delete_pattern`].
    ///
    /// # Errors
    /// [`Error::Redis`], also where the alias ignores outages; what was deleted stays deleted.
    pub async fn delete_but_sessions(&self, pattern: &str) -> Result<u64, Error> {
        self.delete_found(key::glob(&self.alias, pattern), |raw| !is_session(raw)).await
    }

    async fn delete_found(
        &self,
        pattern: String,
        is_meant: impl Fn(&[u8]) -> bool,
    ) -> Result<u64, Error> {
        let mut scan = Scan::new(self, pattern);
        let mut deleted = 0;
        while let Some(mut found) = scan.turn().await? {
            found.retain(|raw| is_meant(raw));
            for batch in found.chunks(BATCH) {
                deleted += self.unlink(batch).await?;
            }
        }
        Ok(deleted)
    }
}

impl Keys {
    /// Returns the next key; `None` when there are no more.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
    ///
    /// # Errors
    /// [`Error::Redis`]; calling again goes on where it failed.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        loop {
            if let Some(key) = self.found.pop_front() {
                return Ok(Some(key));
            }
            let Some(found) = self.scan.turn().await? else { return Ok(None) };
            let prefix = self.scan.cache.raw_key("");
            for raw in found {
                match String::from_utf8(raw) {
                    Ok(raw) => self.found.extend(raw.strip_prefix(&prefix).map(str::to_owned)),
                    Err(_) => self.passed += 1,
                }
            }
        }
    }

    /// Returns how many keys were passed over so far because they are not UTF-8.
    pub fn passed(&self) -> u64 {
        self.passed
    }
}

impl Scan {
    fn new(cache: &Cache, pattern: String) -> Self {
        let pages = Pages::new(cmd("DBSIZE"), BATCH);
        Self { cache: cache.clone(), pattern, cursor: Some(0), pages }
    }

    async fn turn(&mut self) -> Result<Option<Vec<Vec<u8>>>, Error> {
        let Some(cursor) = self.cursor else { return Ok(None) };
        self.pages.turn(&self.cache.redis).await.map_err(failed("scan", &self.pattern))?;
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&self.pattern).arg("COUNT").arg(BATCH);
        let (next, found): (u64, _) = self.cache.run("scan", &self.pattern, &scan).await?;
        self.cursor = (next != 0).then_some(next);
        Ok(Some(found))
    }
}

fn is_session(key: &[u8]) -> bool {
    key.windows(SESSIONS.len()).any(|window| window == SESSIONS.as_bytes())
}
