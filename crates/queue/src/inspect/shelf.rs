//! The places in which a queue's messages wait, read page by page.

use tokio::time::Instant;

use crate::{Client, keys::QueueKeys};

/// How many messages are read at once, and how many of them at first, before their sizes are known.
const PAGE: usize = 1000;
const FIRST_PAGE: usize = 50;
/// About so much is read at once, bytes.
const PAGE_BYTES: usize = 4 << 20;

/// One list of a queue, or what waits for its time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shelf<'a> {
    key: &'a str,
    is_list: bool,
}

/// How far a walk came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walked<T> {
    /// What ended it early.
    pub(super) found: Option<T>,
    /// How many messages were read, those that are taken next.
    pub(super) read: usize,
    /// How many there are.
    pub(super) holds: usize,
}

impl<'a> Shelf<'a> {
    /// Returns those of a queue: its lists by priority, then what waits for its time.
    pub(super) fn of(keys: &'a QueueKeys) -> impl Iterator<Item = Self> {
        let lists = keys.lists.iter().map(|key| Self { key, is_list: true });
        lists.chain([Self { key: &keys.scheduled, is_list: false }])
    }

    /// Tells whether it is a list, and not what waits for its time.
    pub(super) fn is_list(&self) -> bool {
        self.is_list
    }

    /// Reads at most `depth` messages until `until`, beginning with what is taken next, and hands
    /// each page to `look`; what it returns ends the walk.
    pub(super) async fn walk<T>(
        &self,
        client: &Client,
        depth: usize,
        until: Option<Instant>,
        mut look: impl FnMut(&[Vec<u8>]) -> Option<T>,
    ) -> Result<Walked<T>, rhubarb_connection::Error> {
        let len = if self.is_list { "LLEN" } else { "ZCARD" };
        let holds: usize = client.queue().query(::redis::cmd(len).arg(self.key)).await?;
        let depth = holds.min(depth);
        let (mut read, mut page) = (0, FIRST_PAGE);
        while read < depth && until.is_none_or(|until| Instant::now() < until) {
            let n = page.min(depth - read);
            let messages = self.read(client, read, n).await?;
            if let Some(found) = look(&messages) {
                return Ok(Walked { found: Some(found), read, holds });
            }
            let bytes = messages.iter().map(Vec::len).sum::<usize>().max(1);
            page = (n * PAGE_BYTES / bytes).clamp(1, PAGE);
            read += n;
        }
        Ok(Walked { found: None, read, holds })
    }

    /// Reads `n` members behind the first `skipped`, in the order in which they are taken.
    async fn read(
        &self,
        client: &Client,
        skipped: usize,
        n: usize,
    ) -> Result<Vec<Vec<u8>>, rhubarb_connection::Error> {
        // Neither Redis nor a search of ours goes as far as 2^63.
        let at = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let mut range = ::redis::cmd(if self.is_list { "LRANGE" } else { "ZRANGE" });
        range.arg(self.key);
        if self.is_list {
            range.arg(-at(skipped + n)).arg(-at(skipped + 1));
        } else {
            range.arg(at(skipped)).arg(at(skipped + n - 1));
        }
        client.queue().query(&range).await
    }

    /// Returns when a member is due, where it waits for its time and still does.
    pub(super) async fn due(
        &self,
        client: &Client,
        member: &[u8],
    ) -> Result<Option<String>, rhubarb_connection::Error> {
        if self.is_list {
            return Ok(None);
        }
        let mut score = ::redis::cmd("ZSCORE");
        score.arg(self.key).arg(member);
        let ms: Option<f64> = client.queue().query(&score).await?;
        Ok(ms.and_then(super::iso_ms))
    }

    /// Returns the message of a member; one that waits for its time is `<list>|<message>`.
    pub(super) fn message<'m>(&self, member: &'m [u8]) -> Option<&'m [u8]> {
        if self.is_list {
            return Some(member);
        }
        let at = member.iter().position(|b| *b == b'|')?;
        Some(&member[at + 1..])
    }
}
