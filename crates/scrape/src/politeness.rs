//! The pace at which each host is asked.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use tokio::time::{Instant, sleep_until};
use url::Url;

/// As many hosts as are remembered; the one that is free the soonest is forgotten first.
const MAX_HOSTS: usize = 4_096;
/// A host's wish to be left alone is kept this long at the most.
pub(crate) const MAX_HOLD: Duration = Duration::from_secs(3_600);

/// Returns the name under which a host is paced.
///
/// Both schemes' own ports are one server; any other port is another one.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Why a turn does not come in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooLate {
    /// The host asked to be left alone for so long.
    Held(Duration),
    /// Too many requests wait for it.
    Busy,
}

/// Turns at hosts, within this process.
///
/// Fetching knows only [`turn`](Limiter::turn) and [`hold`](Limiter::hold); a limiter for all
/// processes would answer the same two.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    hosts: Mutex<HashMap<String, HostPace>>,
}

#[derive(Clone, Copy, Debug)]
struct HostPace {
    /// When the next request may start.
    next: Instant,
    /// Until when the host is to be left alone.
    held_until: Instant,
}

impl Limiter {
    /// Waits until a request to the host may start, at least `interval` after the one before.
    ///
    /// # Errors
    ///
    /// The turn would come after `deadline`: answered at once, and nothing is taken.
    ///
    /// # Cancel safety
    ///
    /// A turn given up while waiting stays unused, which only makes the host's pace slower.
    pub(crate) async fn turn(
        &self,
        host: &str,
        interval: Duration,
        deadline: Instant,
    ) -> Result<(), TooLate> {
        loop {
            let start = self.reserve(host, interval, deadline)?;
            sleep_until(start).await;
            // Another request may have been told to hold off while this one slept.
            if self.with(host, |pace| pace.held_until <= start) {
                return Ok(());
            }
        }
    }

    /// Leaves the host alone for this long from now, at most an hour; never shortens an earlier hold.
    pub(crate) fn hold(&self, host: &str, wait: Duration) {
        let until = Instant::now() + wait.min(MAX_HOLD);
        self.with(host, |pace| {
            pace.held_until = pace.held_until.max(until);
            pace.next = pace.next.max(until);
        });
    }

    fn reserve(
        &self,
        host: &str,
        interval: Duration,
        deadline: Instant,
    ) -> Result<Instant, TooLate> {
        // Up to a fifth longer, so that many processes do not fall into step; never shorter.
        let interval = interval.mul_f64(1.0 + fastrand::f64() / 5.0);
        self.with(host, |pace| {
            let now = Instant::now();
            let start = pace.next.max(now);
            if start > deadline {
                let held = pace.held_until.saturating_duration_since(now);
                return Err(if held.is_zero() { TooLate::Busy } else { TooLate::Held(held) });
            }
            pace.next = start + interval;
            Ok(start)
        })
    }

    fn with<T>(&self, host: &str, act: impl FnOnce(&mut HostPace) -> T) -> T {
        let now = Instant::now();
        let mut hosts = self.hosts.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if !hosts.contains_key(host) && hosts.len() >= MAX_HOSTS {
            forget_some(&mut hosts, now);
        }
        let fresh = HostPace { next: now, held_until: now };
        act(hosts.entry(host.to_owned()).or_insert(fresh))
    }
}

/// Makes room: all hosts that are free now, or else the one that will be the soonest.
fn forget_some(hosts: &mut HashMap<String, HostPace>, now: Instant) {
    hosts.retain(|_, pace| pace.next > now);
    if hosts.len() >= MAX_HOSTS {
        let soonest = hosts.iter().min_by_key(|(_, pace)| pace.next).map(|(host, _)| host.clone());
        soonest.and_then(|host| hosts.remove(&host));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn far() -> Instant {
        Instant::now() + 1_000 * SECOND
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_is_asked_once_an_interval_and_hosts_do_not_wait_for_each_other() {
        let limiter = Limiter::default();
        let begin = Instant::now();
        limiter.turn("a", SECOND, far()).await.unwrap();
        limiter.turn("b", SECOND, far()).await.unwrap();
        assert_eq!(begin.elapsed(), Duration::ZERO);
        limiter.turn("a", SECOND, far()).await.unwrap();
        let first = begin.elapsed();
        assert!(first >= SECOND && first <= SECOND.mul_f64(1.21), "{first:?}");
        limiter.turn("a", SECOND, far()).await.unwrap();
        assert!(begin.elapsed() - first >= SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn turns_asked_for_at_once_come_one_after_the_other() {
        let limiter = Limiter::default();
        let begin = Instant::now();
        let turns = (0..5).map(|_| async {
            limiter.turn("a", SECOND, far()).await.unwrap();
            begin.elapsed()
        });
        let mut at = futures_util::future::join_all(turns).await;
        at.sort();
        assert!(at.windows(2).all(|pair| pair[1] - pair[0] >= SECOND), "{at:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_held_host_is_left_alone_also_by_those_already_waiting() {
        let limiter = Limiter::default();
        let begin = Instant::now();
        limiter.turn("a", SECOND, far()).await.unwrap();
        let waiting = limiter.turn("a", SECOND, far());
        let hold = async { limiter.hold("a", 30 * SECOND) };
        let (turn, ()) = tokio::join!(waiting, hold);
        turn.unwrap();
        assert!(begin.elapsed() >= 30 * SECOND, "{:?}", begin.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_after_the_deadline_is_refused_at_once() {
        let limiter = Limiter::default();
        let begin = Instant::now();
        limiter.hold("a", 60 * SECOND);
        let late = limiter.turn("a", SECOND, begin + 10 * SECOND).await;
        assert_eq!(late, Err(TooLate::Held(60 * SECOND)));
        limiter.turn("b", 60 * SECOND, far()).await.unwrap();
        assert_eq!(limiter.turn("b", SECOND, begin + 10 * SECOND).await, Err(TooLate::Busy));
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_is_an_hour_at_the_most() {
        let limiter = Limiter::default();
        limiter.hold("a", 100 * MAX_HOLD);
        let late = limiter.turn("a", SECOND, Instant::now()).await;
        assert_eq!(late, Err(TooLate::Held(MAX_HOLD)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_of_hosts_is_bounded_and_keeps_the_held_ones() {
        let limiter = Limiter::default();
        limiter.hold("held", MAX_HOLD);
        for n in 0..2 * MAX_HOSTS {
            limiter.turn(&n.to_string(), SECOND, far()).await.unwrap();
        }
        let hosts = limiter.hosts.lock().unwrap();
        assert!(hosts.len() <= MAX_HOSTS && hosts.contains_key("held"), "{}", hosts.len());
    }

    #[test]
    fn both_schemes_own_ports_are_one_host() {
        let of = |text: &str| host_of(&Url::parse(text).unwrap());
        assert_eq!(of("http://a.example/x"), of("https://a.example:443/"));
        assert_eq!(of("http://u:p@a.example:8080/x"), "a.example:8080");
    }
}
