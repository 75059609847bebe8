//! How proxies have served, each for each host: a proxy may serve one site and not another.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rhubarb_core::hex::hex;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::Proxy;

/// How long a proxy that failed is left out, for the host that it failed for; each further failure
/// doubles that.
const COOL: Duration = Duration::from_secs(60);
const MAX_DOUBLED: u32 = 6;
const LONGEST: Duration = COOL.saturating_mul(1 << MAX_DOUBLED);
/// As many failing pairs as are remembered, and as many latencies.
const MAX_PAIRS: usize = 20_000;
/// A proxy that is slower than this, and many times as slow as another, has its turn when no other
/// can serve.
const SLOW: Duration = Duration::from_secs(2);
const TIMES_SLOWER: u32 = 4;
/// How long what others know is believed.
const HEARD_FOR: Duration = Duration::from_secs(5);

/// Which proxies fail for which hosts, and how long they take there, for a whole process.
#[derive(Debug, Default)]
pub(crate) struct Health {
    state: Mutex<State>,
}

/// By the way that a pair of proxy and host is: credentials are not kept here.
#[derive(Debug, Default)]
struct State {
    failing: HashMap<String, Failing>,
    latency: HashMap<String, Duration>,
    /// When the others were asked last.
    heard: Option<Instant>,
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
    /// The host's own answer came after so long, whatever it said: 429 is the host's, not the
    /// proxy's.
    Yes(Duration),
    /// It did not, or too late.
    No,
}

/// A proxy that may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice<'p> {
    pub(crate) proxy: &'p Proxy,
    /// Whether it has failed, so that one request of all tries whether it serves again.
    pub(crate) is_probe: bool,
}

/// Returns the name of a pair.
pub(crate) fn way(proxy: &Proxy, host: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(proxy.expose().as_str());
    hash.update("\n");
    hash.update(host);
    hex(&hash.finalize()[..12])
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a proxy that is not left out for the host: the first from this turn on that is not
    /// much slower than another, else the first; the turn is taken from `proxies` all around.
    pub(crate) fn choose<'p>(
        &self,
        proxies: &'p [Proxy],
        turn: usize,
        host: &str,
        now: Instant,
    ) -> Option<Choice<'p>> {
        let mut state = self.state();
        let start = turn.checked_rem(proxies.len())?;
        let around = proxies[start..].iter().chain(&proxies[..start]);
        let mut slow = None;
        for proxy in around {
            let way = way(proxy, host);
            match state.failing.get_mut(&way) {
                Some(pair) if pair.until > now => continue,
                Some(pair) => {
                    // Half open: this one tries, the others wait for what becomes of it.
                    pair.until = now + COOL;
                    return Some(Choice { proxy, is_probe: true });
                }
                None => {}
            }
            if !state.is_slow(&way, proxies, host) {
                return Some(Choice { proxy, is_probe: false });
            }
            slow = slow.or(Some(Choice { proxy, is_probe: false }));
        }
        slow
    }

    /// Notes how a proxy served a request for a host; returns how long it rests now.
    pub(crate) fn note(
        &self,
        proxy: &Proxy,
        host: &str,
        served: Served,
        now: Instant,
    ) -> Option<Duration> {
        let (mut state, way) = (self.state(), way(proxy, host));
        match served {
            Served::Yes(took) => {
                state.failing.remove(&way);
                state.took(way, took);
                None
            }
            Served::No => Some(state.failed(way, now)),
        }
    }

    /// Tells whether a proxy is known to fail for a host.
    pub(crate) fn fails(&self, proxy: &Proxy, host: &str) -> bool {
        self.state().failing.contains_key(&way(proxy, host))
    }

    /// Tells whether it is time to hear what others know; if so, nobody else has to ask soon.
    pub(crate) fn is_to_hear(&self, now: Instant) -> bool {
        let mut state = self.state();
        let is_due = state.heard.is_none_or(|heard| now.duration_since(heard) >= HEARD_FOR);
        if is_due {
            state.heard = Some(now);
        }
        is_due
    }

    /// Takes over what others know.
    pub(crate) fn hear(&self, resting: Vec<(String, Duration)>, now: Instant) {
        let mut state = self.state();
        for (way, left) in resting.into_iter().take(MAX_PAIRS) {
            if state.has_room(&way, now) {
                let until = now + left.min(LONGEST);
                let pair = state.failing.entry(way).or_insert(Failing { failures: 1, until });
                pair.until = pair.until.max(until);
            }
        }
    }
}

impl State {
    fn took(&mut self, way: String, took: Duration) {
        if self.latency.len() >= MAX_PAIRS && !self.latency.contains_key(&way) {
            self.latency.clear();
        }
        let latency = self.latency.entry(way).or_insert(took);
        // What was counts for three quarters.
        *latency = (*latency * 3 + took) / 4;
    }

    fn failed(&mut self, way: String, now: Instant) -> Duration {
        let before = self.failing.get(&way).map_or(0, |pair| pair.failures);
        let rest = COOL * 2u32.pow(before.min(MAX_DOUBLED));
        if self.has_room(&way, now) {
            let failures = before.saturating_add(1);
            self.failing.insert(way, Failing { failures, until: now + rest });
        }
        rest
    }

    fn has_room(&mut self, way: &str, now: Instant) -> bool {
        if self.failing.len() >= MAX_PAIRS {
            self.failing.retain(|_, pair| pair.until > now);
        }
        self.failing.len() < MAX_PAIRS || self.failing.contains_key(way)
    }

    /// Tells whether another proxy is known to be many times as fast.
    fn is_slow(&self, of: &str, proxies: &[Proxy], host: &str) -> bool {
        let Some(own) = self.latency.get(of).filter(|own| **own >= SLOW) else { return false };
        let others = proxies.iter().map(|proxy| way(proxy, host));
        let mut others = others.filter(|way| !self.failing.contains_key(way));
        others.any(|way| self.latency.get(&way).is_some_and(|took| *took * TIMES_SLOWER < *own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies() -> Vec<Proxy> {
        ["198.51.100.1:1", "198.51.100.2:2"].iter().map(|text| text.parse().unwrap()).collect()
    }

    const FAST: Served = Served::Yes(Duration::from_millis(100));

    #[test]
    fn a_proxy_that_fails_for_a_host_is_left_out_there_and_tried_by_one_later() {
        let (proxies, health, now) = (proxies(), Health::default(), Instant::now());
        let chosen = |turn, host: &str, now| {
            health.choose(&proxies, turn, host, now).map(|choice| choice.proxy.port())
        };
        assert_eq!(
            (chosen(0, "a", now), chosen(1, "a", now), chosen(2, "a", now)),
            (Some(1), Some(2), Some(1))
        );
        assert_eq!(health.note(&proxies[0], "a", Served::No, now), Some(COOL));
        assert_eq!((chosen(0, "a", now), chosen(0, "b", now)), (Some(2), Some(1)));
        health.note(&proxies[1], "a", Served::No, now);
        assert_eq!(chosen(0, "a", now), None);
        let later = now + COOL;
        assert_eq!((chosen(0, "a", later), chosen(0, "a", later)), (Some(1), Some(2)), "one each");
        assert_eq!(chosen(0, "a", later), None);
        assert_eq!(health.note(&proxies[0], "a", Served::No, later), Some(2 * COOL));
        assert_eq!(chosen(0, "a", later + COOL), Some(2), "twice as long");
        health.note(&proxies[0], "a", FAST, later);
        assert_eq!(chosen(0, "a", later), Some(1));
        assert_eq!(Health::default().choose(&[], 5, "a", now), None);
    }

    #[test]
    fn what_others_know_counts_and_is_asked_for_now_and_then() {
        let (proxies, health, now) = (proxies(), Health::default(), Instant::now());
        assert!(health.is_to_hear(now) && !health.is_to_hear(now + HEARD_FOR / 2));
        assert!(health.is_to_hear(now + HEARD_FOR));
        health.hear(vec![(way(&proxies[0], "a"), 2 * COOL)], now);
        let chosen = |now| health.choose(&proxies, 0, "a", now).unwrap();
        assert_eq!(chosen(now), Choice { proxy: &proxies[1], is_probe: false });
        assert_eq!(chosen(now + 2 * COOL), Choice { proxy: &proxies[0], is_probe: true });
        assert!(health.fails(&proxies[0], "a") && !health.fails(&proxies[0], "b"));
        health.hear(vec![(way(&proxies[1], "a"), Duration::MAX)], now);
        assert!(health.choose(&proxies, 1, "a", now + LONGEST).is_some(), "no rest is for ever");
    }

    #[test]
    fn a_proxy_that_is_many_times_slower_waits_until_no_other_serves() {
        let (proxies, health, now) = (proxies(), Health::default(), Instant::now());
        let chosen = || health.choose(&proxies, 0, "a", now).map(|choice| choice.proxy.port());
        health.note(&proxies[0], "a", Served::Yes(Duration::from_secs(9)), now);
        assert_eq!(chosen(), Some(1), "nothing is known of the other");
        health.note(&proxies[1], "a", FAST, now);
        assert_eq!(chosen(), Some(2));
        health.note(&proxies[1], "a", Served::No, now);
        assert_eq!(chosen(), Some(1));
        for _ in 0..20 {
            health.note(&proxies[0], "a", FAST, now);
        }
        health.note(&proxies[1], "a", FAST, now);
        assert_eq!(chosen(), Some(1), "it is fast again");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_holds_no_credentials() {
        let (health, now) = (Health::default(), Instant::now());
        let proxy: Proxy = "198.51.100.1:1:alice:hunter2".parse().unwrap();
        for n in 0..MAX_PAIRS + 100 {
            health.note(&proxy, &n.to_string(), Served::No, now);
            health.note(&proxy, &format!("b{n}"), FAST, now);
        }
        let state = health.state();
        assert!(state.failing.len() <= MAX_PAIRS && state.latency.len() <= MAX_PAIRS);
        assert!(!format!("{state:?}").contains("hunter2"));
    }
}
