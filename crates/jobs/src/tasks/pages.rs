//! Pages as sites sent them, kept for all workers: least recently used, within a cap of bytes.

use std::time::Duration;

use rhubarb_cache::Cache;
use rhubarb_connection::{Error, Redis, scripts};
use rhubarb_scrape::fetch::{ResponseStore, Storing};

use super::room::Room;

scripts! {
    /// Reads a page.
    PAGES_GET = "pages_get";
    /// Keeps a page and lets go of others.
    PAGES_PUT = "pages_put";
}

/// As many pages as are kept.
const MAX_PAGES: usize = 20_000;
/// How long they are kept when none is used.
const LIFE: Duration = Duration::from_secs(7 * 24 * 3_600);
/// They have at most this part of a server's `maxmemory`.
const PART: u64 = 10;
/// A larger page is not kept.
const MAX_BYTES: usize = 4 << 20;

/// The kept pages, beside the listings. They give way: when Redis has no memory left, all of them
/// go.
#[derive(Clone, Debug)]
pub struct Pages {
    redis: Redis,
    /// The hash of pages, the zset of their uses.
    keys: [String; 2],
    /// What was read of boards, which gives way with them.
    boards: [String; 2],
    /// For all together.
    room: Room,
}

impl Pages {
    /// Returns the pages kept beside what a cache holds, at most so many bytes of them, and at most
    /// a tenth of what Redis has.
    pub fn new(cache: &Cache, max_bytes: usize) -> Self {
        let alias = cache.alias();
        // Version 0, where Django looks for nothing.
        let key = |name: &str| format!("{}:0:rhubarb.{name}", alias.prefix);
        let keys = [key("pages"), key("pages.used")];
        let boards = crate::listings::BOARDS.map(|name| cache.version(0).raw_key(name));
        let room = Room::new(cache.redis().clone(), max_bytes, PART);
        Self { redis: cache.redis().clone(), keys, boards, room }
    }

    /// Returns a page.
    ///
    /// # Errors
    /// Redis's.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        if self.room.is_none() {
            return Ok(None);
        }
        self.redis.eval(&PAGES_GET, &self.keys, &[key.into()], &[]).await
    }

    /// Keeps a page, and lets go of those that were used the longest ago.
    ///
    /// # Errors
    /// Redis's; when it has no memory left, all pages have been let go of.
    pub async fn put(&self, key: &str, page: Vec<u8>) -> Result<(), Error> {
        if self.room.is_none() || page.len() > MAX_BYTES {
            return Ok(());
        }
        let numbers = [self.room.bytes().await as u128, MAX_PAGES as u128, LIFE.as_millis()];
        let mut args = vec![key.into(), page];
        args.extend(numbers.map(|number| number.to_string().into_bytes()));
        let kept: Result<u64, Error> = self.redis.eval(&PAGES_PUT, &self.keys, &args, &[]).await;
        if kept.as_ref().is_err_and(Error::is_out_of_memory) {
            self.clear().await?;
        }
        kept.map(drop)
    }

    /// Lets go of all pages, and of what was read of boards.
    ///
    /// # Errors
    /// Redis's.
    pub async fn clear(&self) -> Result<(), Error> {
        let mut command = redis::cmd("UNLINK");
        self.redis.query::<u64>(command.arg(&self.keys).arg(&self.boards)).await.map(drop)
    }
}

/// Writes into a cache; when Redis has no memory left, the pages give way to it.
pub(super) async fn before_pages<T, F: Future<Output = Result<T, rhubarb_cache::Error>>>(
    pages: &Pages,
    write: impl Fn() -> F,
) -> Result<T, rhubarb_cache::Error> {
    match write().await {
        Err(rhubarb_cache::Error::Redis { source, .. }) if source.is_out_of_memory() => {
            if let Err(error) = pages.clear().await {
                tracing::debug!(%error, "the kept pages did not give way");
            }
            write().await
        }
        other => other,
    }
}

impl ResponseStore for Pages {
    fn load<'a>(&'a self, key: &'a str) -> Storing<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            self.get(key).await.unwrap_or_else(|error| {
                tracing::debug!(%error, "a kept page was not read");
                None
            })
        })
    }

    fn save<'a>(&'a self, key: &'a str, value: Vec<u8>) -> Storing<'a, ()> {
        Box::pin(async move {
            if let Err(error) = self.put(key, value).await {
                tracing::debug!(%error, "a page was not kept");
            }
        })
    }
}
