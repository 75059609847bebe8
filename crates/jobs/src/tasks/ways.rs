//! What all workers know of proxies: which fail for which hosts, in one bounded hash.

use std::time::Duration;

use rhubarb_cache::Cache;
use rhubarb_connection::{Error, Redis, scripts};
use rhubarb_scrape::proxies::{Fleet, Telling};

scripts! {
    /// Notes, claims and lists ways.
    WAYS = "ways";
}

/// As many failing ways as are known.
const MAX_WAYS: usize = 1_000;
/// A probe that is not heard of is another's after so long.
const PROBE: Duration = Duration::from_secs(60);

/// The failing ways, beside the listings.
#[derive(Clone, Debug)]
pub struct Ways {
    redis: Redis,
    keys: [String; 1],
}

impl Ways {
    /// Returns the ways kept beside what a cache holds.
    pub fn new(cache: &Cache) -> Self {
        // Version 0, where Django looks for nothing.
        let keys = [format!("{}:0:rhubarb.ways", cache.alias().prefix)];
        Self { redis: cache.redis().clone(), keys }
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        what: &str,
        way: &str,
        time: Duration,
    ) -> Result<T, Error> {
        let time = time.as_millis().to_string().into_bytes();
        let args = [what.into(), way.into(), time, MAX_WAYS.to_string().into_bytes()];
        self.redis.eval(&WAYS, &self.keys, &args, &[]).await
    }
}

impl Fleet for Ways {
    fn resting(&self) -> Telling<'_, Vec<(String, Duration)>> {
        Box::pin(async move {
            let read: Result<Vec<(String, u64)>, Error> =
                self.run("list", "", Duration::ZERO).await;
            let read = read.unwrap_or_else(|error| {
                tracing::debug!(%error, "what others know of proxies was not read");
                Vec::new()
            });
            read.into_iter().map(|(way, left)| (way, Duration::from_millis(left))).collect()
        })
    }

    fn claim<'a>(&'a self, way: &'a str) -> Telling<'a, bool> {
        Box::pin(async move {
            self.run("claim", way, PROBE).await.unwrap_or_else(|error| {
                tracing::debug!(%error, "a proxy is tried without asking who else tries it");
                true
            })
        })
    }

    fn note<'a>(&'a self, way: &'a str, rest: Option<Duration>) -> Telling<'a, ()> {
        Box::pin(async move {
            let what = if rest.is_some() { "rest" } else { "serves" };
            let noted: Result<u64, Error> = self.run(what, way, rest.unwrap_or_default()).await;
            if let Err(error) = noted {
                tracing::debug!(%error, "what was found of a proxy is this process's own");
            }
        })
    }
}
