//! What each host's robots.txt said, for half a day.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::OnceCell,
    time::{Instant, timeout_at},
};
use url::Url;

use crate::{
    error::{FetchError, Phase},
    politeness::host_of,
    robots::Robots,
};

/// RFC 9309, 2.4: a copy is not used for longer than a day, and a shared one may be half as old
/// when it comes here.
const MAX_AGE: Duration = Duration::from_secs(12 * 3_600);
/// As many hosts as are remembered; the oldest is forgotten first.
const MAX_HOSTS: usize = 1_024;

/// The rules of each scheme, host and port.
#[derive(Debug, Default)]
pub(super) struct RobotsCache {
    origins: Mutex<HashMap<String, Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    since: Instant,
    rules: Arc<OnceCell<Arc<Robots>>>,
}

impl RobotsCache {
    /// Returns the rules for this URL, fetched once however many ask at the same time.
    ///
    /// A failure is not kept: whoever asks next fetches again, at the host's pace.
    ///
    /// # Errors
    ///
    /// The fetch failed, or another one's fetch lasts past the deadline.
    pub(super) async fn get<F: Future<Output = Result<Robots, FetchError>>>(
        &self,
        url: &Url,
        deadline: Instant,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<Robots>, FetchError> {
        let cell = self.cell(url.origin().ascii_serialization(), Instant::now());
        let rules = cell.get_or_try_init(|| async { fetch().await.map(Arc::new) });
        let late = |_| FetchError::Timeout { host: host_of(url), phase: Phase::Turn };
        timeout_at(deadline, rules).await.map_err(late)?.cloned()
    }

    fn cell(&self, origin: String, now: Instant) -> Arc<OnceCell<Arc<Robots>>> {
        let mut origins = self.origins.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(entry) = origins.get(&origin)
            && now.duration_since(entry.since) < MAX_AGE
        {
            return Arc::clone(&entry.rules);
        }
        if origins.len() >= MAX_HOSTS {
            let oldest =
                origins.iter().min_by_key(|(_, entry)| entry.since).map(|(o, _)| o.clone());
            oldest.and_then(|oldest| origins.remove(&oldest));
        }
        let rules = Arc::default();
        origins.insert(origin, Entry { since: now, rules: Arc::clone(&rules) });
        rules
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn ask(cache: &RobotsCache, url: &str, fetches: &Cell<u32>) {
        let fetch = || async {
            tokio::task::yield_now().await;
            fetches.set(fetches.get() + 1);
            Ok(Robots::allow_all())
        };
        let deadline = Instant::now() + 60 * SECOND;
        cache.get(&Url::parse(url).unwrap(), deadline, fetch).await.unwrap();
    }

    #[tokio::test]
    async fn a_copy_serves_its_scheme_host_and_port() {
        let (cache, fetches) = (RobotsCache::default(), Cell::new(0));
        ask(&cache, "https://a.example/x", &fetches).await;
        ask(&cache, "https://a.example:443/y", &fetches).await;
        assert_eq!(fetches.get(), 1);
        ask(&cache, "http://a.example/x", &fetches).await;
        ask(&cache, "https://a.example:8443/x", &fetches).await;
        assert_eq!(fetches.get(), 3);
    }

    #[test]
    fn a_copy_is_used_for_half_a_day_at_the_most() {
        let (cache, now) = (RobotsCache::default(), Instant::now());
        let cell = |at| cache.cell("https://a.example".to_owned(), at);
        let first = cell(now);
        assert!(Arc::ptr_eq(&first, &cell(now + MAX_AGE - SECOND)));
        assert!(!Arc::ptr_eq(&first, &cell(now + MAX_AGE)));
    }

    #[tokio::test]
    async fn those_who_ask_at_once_share_one_fetch() {
        let (cache, fetches) = (RobotsCache::default(), Cell::new(0));
        let asks = (0..10).map(|_| ask(&cache, "https://a.example/", &fetches));
        futures_util::future::join_all(asks).await;
        assert_eq!(fetches.get(), 1);
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let (cache, fetches) = (RobotsCache::default(), Cell::new(0));
        let url = Url::parse("https://a.example/").unwrap();
        let error = FetchError::TooManyRedirects { host: "a.example".into(), limit: 5 };
        let deadline = Instant::now() + 60 * SECOND;
        let failed = cache.get(&url, deadline, || async { Err(error.clone()) }).await;
        assert_eq!(failed.unwrap_err(), error);
        ask(&cache, "https://a.example/", &fetches).await;
        assert_eq!(fetches.get(), 1);
    }

    #[test]
    fn the_memory_of_hosts_is_bounded() {
        let (cache, now) = (RobotsCache::default(), Instant::now());
        for n in 0..2 * MAX_HOSTS {
            cache.cell(format!("https://h{n}.example"), now);
        }
        assert_eq!(cache.origins.lock().unwrap().len(), MAX_HOSTS);
    }
}
