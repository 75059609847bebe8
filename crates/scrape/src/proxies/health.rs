//! How proxies have served, each for each host: a proxy may serve one site and not another.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Mutex,
    time::Duration,
};

use tokio::time::Instant;

use super::Proxy;

/// How long a proxy that failed is left out, for the host that it failed for; each further failure
/// doubles that.
const COOL: Duration = Duration::from_secs(60);
const MAX_DOUBLED: u32 = 6;
/// As many failing pairs as are remembered. One that serves is not remembered at all.
const MAX_PAIRS: usize = 20_000;

/// Which proxies fail for which hosts, for a whole process.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// By the hash of proxy and host: credentials are not kept here.
    failing: Mutex<HashMap<u64, Failing>>,
    hasher: RandomState,
}

#[derive(Clone, Copy, Debug)]
struct Failing {
    failures: u32,
    /// Until when it is left out; then one request tries it.
    until: Instant,
}

/// How a proxy served a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// The host's own answer came, whatever it said: 429 is the host's, not the proxy's.
    Yes,
    /// It did not, or too late.
    No,
}

impl Health {
    /// Returns the first proxy, from this turn on, that is not left out for the host; the turn is
    /// taken from `proxies` all around.
    pub(crate) fn choose<'p>(
        &self,
        proxies: &'p [Proxy],
        turn: usize,
        host: &str,
        now: Instant,
    ) -> Option<&'p Proxy> {
        let mut failing = self.failing.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let start = turn.checked_rem(proxies.len())?;
        let mut around = proxies[start..].iter().chain(&proxies[..start]);
        around.find(|proxy| match failing.get_mut(&self.key(proxy, host)) {
            None => true,
            Some(pair) if pair.until > now => false,
            Some(pair) => {
                // Half open: this one tries, the others wait for what becomes of it.
                pair.until = now + COOL;
                true
            }
        })
    }

    /// Notes how a proxy served a request for a host.
    pub(crate) fn note(&self, proxy: &Proxy, host: &str, served: Served, now: Instant) {
        let mut failing = self.failing.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let key = self.key(proxy, host);
        if served == Served::Yes {
            failing.remove(&key);
            return;
        }
        if failing.len() >= MAX_PAIRS {
            failing.retain(|_, pair| pair.until > now);
        }
        if failing.len() < MAX_PAIRS || failing.contains_key(&key) {
            let pair = failing.entry(key).or_insert(Failing { failures: 0, until: now });
            pair.until = now + COOL * 2u32.pow(pair.failures.min(MAX_DOUBLED));
            pair.failures = pair.failures.saturating_add(1);
        }
    }

    fn key(&self, proxy: &Proxy, host: &str) -> u64 {
        self.hasher.hash_one((proxy, host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_fails_for_a_host_is_left_out_there_and_tried_by_one_later() {
        let proxies: Vec<Proxy> =
            ["198.51.100.1:1", "198.51.100.2:2"].iter().map(|text| text.parse().unwrap()).collect();
        let (health, now) = (Health::default(), Instant::now());
        let chosen =
            |turn, host: &str, now| health.choose(&proxies, turn, host, now).map(Proxy::port);
        assert_eq!(
            (chosen(0, "a", now), chosen(1, "a", now), chosen(2, "a", now)),
            (Some(1), Some(2), Some(1))
        );
        health.note(&proxies[0], "a", Served::No, now);
        assert_eq!((chosen(0, "a", now), chosen(0, "b", now)), (Some(2), Some(1)));
        health.note(&proxies[1], "a", Served::No, now);
        assert_eq!(chosen(0, "a", now), None);
        let later = now + COOL;
        assert_eq!((chosen(0, "a", later), chosen(0, "a", later)), (Some(1), Some(2)), "one each");
        assert_eq!(chosen(0, "a", later), None);
        health.note(&proxies[0], "a", Served::No, later);
        assert_eq!(chosen(0, "a", later + COOL), Some(2), "twice as long");
        health.note(&proxies[0], "a", Served::Yes, later);
        assert_eq!(chosen(0, "a", later), Some(1));
        assert_eq!(Health::default().choose(&[], 5, "a", now), None);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_holds_no_credentials() {
        let (health, now) = (Health::default(), Instant::now());
        let proxy: Proxy = "198.51.100.1:1:alice:hunter2".parse().unwrap();
        for n in 0..MAX_PAIRS + 100 {
            health.note(&proxy, &n.to_string(), Served::No, now);
        }
        assert_eq!(health.failing.lock().unwrap().len(), MAX_PAIRS);
        assert!(!format!("{:?}", Health::default()).contains("hunter2"));
    }
}
