//! What was read of boards, kept for all workers and keywords beside the listings.

use std::time::Duration;

use rhubarb_cache::Cache;
use rhubarb_connection::{Error, Redis, scripts};

use super::{board::Head, room::Room};

scripts! {
    /// Keeps a board.
    BOARDS_PUT = "boards_put";
}

/// As many boards as are kept.
const MAX_BOARDS: usize = 50_000;
/// How long they are kept when none is written.
const LIFE: Duration = Duration::from_secs(7 * 24 * 3_600);
/// A board that was not read again for so long gives way to others.
const IDLE: Duration = Duration::from_secs(24 * 3_600);
/// They have at most this part of a server's `maxmemory`.
const PART: u64 = 5;
/// The most bytes of one board.
const MAX_BYTES: usize = 4 << 20;

/// The kept boards. They give way: when Redis has no memory left, all of them go.
#[derive(Clone, Debug)]
pub(super) struct Boards {
    redis: Redis,
    /// The hash of boards, the zset of when they were kept.
    keys: [String; 2],
    /// For all together.
    room: Room,
}

impl Boards {
    /// Returns the boards kept beside what a cache holds, at most so many bytes of them, and at
    /// most a fifth of what Redis has.
    pub(super) fn new(cache: &Cache, max_bytes: usize) -> Self {
        let keys = crate::listings::BOARDS.map(|key| cache.version(0).raw_key(key));
        let room = Room::new(cache.redis().clone(), max_bytes, PART);
        Self { redis: cache.redis().clone(), keys, room }
    }

    /// Tells whether any are kept.
    pub(super) fn are_kept(&self) -> bool {
        !self.room.is_none()
    }

    /// Returns the head of a board.
    pub(super) async fn head(&self, id: &str) -> Result<Option<Head>, Error> {
        Ok(self.heads(&[id.to_owned()]).await?.pop().flatten())
    }

    /// Returns the heads of boards, in their order.
    pub(super) async fn heads(&self, ids: &[String]) -> Result<Vec<Option<Head>>, Error> {
        let mut heads = Vec::new();
        for some in ids.chunks(500) {
            let read: Vec<Option<Vec<u8>>> = self.fields(some).await?;
            heads.extend(read.iter().map(|bytes| Head::decode(bytes.as_deref()?)));
        }
        Ok(heads)
    }

    /// Returns parts of a board, in their order.
    pub(super) async fn parts(
        &self,
        id: &str,
        numbers: &[usize],
    ) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let fields: Vec<String> = numbers.iter().map(|number| format!("{id}/{number}")).collect();
        self.fields(&fields).await
    }

    async fn fields(&self, fields: &[String]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        if fields.is_empty() {
            return Ok(Vec::new());
        }
        self.redis.query(redis::cmd("HMGET").arg(&self.keys[0]).arg(fields)).await
    }

    /// Keeps a head, and with it the content's parts in place of those that were kept; tells
    /// whether there was room.
    pub(super) async fn put(
        &self,
        id: &str,
        head: &Head,
        parts: Option<Vec<Vec<u8>>>,
    ) -> Result<bool, Error> {
        let Some(head) = head.encode() else { return Ok(false) };
        let bytes: usize = parts.iter().flatten().map(Vec::len).sum();
        if bytes + head.len() > MAX_BYTES {
            return Ok(false);
        }
        let what = if parts.is_some() { "all" } else { "head" };
        let numbers = [
            self.room.bytes().await as u128,
            MAX_BOARDS as u128,
            LIFE.as_millis(),
            IDLE.as_millis(),
        ];
        let mut args = vec![id.into()];
        args.extend(numbers.map(|number| number.to_string().into_bytes()));
        args.extend([what.into(), head]);
        args.extend(parts.into_iter().flatten());
        let kept: Result<u64, Error> = self.redis.eval(&BOARDS_PUT, &self.keys, &args, &[]).await;
        if kept.as_ref().is_err_and(Error::is_out_of_memory) {
            self.clear().await?;
        }
        kept.map(|kept| kept == 1)
    }

    /// Lets go of all boards.
    pub(super) async fn clear(&self) -> Result<(), Error> {
        let mut command = redis::cmd("UNLINK");
        self.redis.query::<u64>(command.arg(&self.keys)).await.map(drop)
    }
}
