//! The pace at which each host is asked.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use tokio::time::{Instant, sleep_until};
use url::Url;

/// As many hosts as are remembered; the one that is free the soonest is forgotten first.
const MAX_HOSTS: usize = 4_096;
/// A host's wish to be left alone is kept this long at the most.
pub(crate) const MAX_HOLD: Duration = Duration::from_secs(3_600);
/// A fetch waits no longer for a host that asked to be left alone: its task comes again later,
/// rather than to keep a slot asleep.
pub(crate) const MAX_WAITED: Duration = Duration::from_secs(15);

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
/// What all processes keep together is beside it, in [`hosts`](crate::hosts).
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
            let start = self.reserve(host, interval, deadline, Instant::now())?;
            sleep_until(start).await;
            // Another request may have been told to hold off while this one slept.
            if self.with(host, start, |pace| pace.held_until <= start) {
                return Ok(());
            }
        }
    }

    /// Leaves the host alone for this long from now, at most an hour; never shortens an earlier
    /// hold.
    pub(crate) fn hold(&self, host: &str, wait: Duration) {
        self.hold_from(Instant::now(), host, wait);
    }

    fn hold_from(&self, now: Instant, host: &str, wait: Duration) {
        let until = now + wait.min(MAX_HOLD);
        self.with(host, now, |pace| {
            pace.held_until = pace.held_until.max(until);
            pace.next = pace.next.max(until);
        });
    }

    fn reserve(
        &self,
        host: &str,
        interval: Duration,
        deadline: Instant,
        now: Instant,
    ) -> Result<Instant, TooLate> {
        // Up to a fifth longer, so that many processes do not fall into step; never shorter.
        let interval = interval.mul_f64(1.0 + fastrand::f64() / 5.0);
        self.with(host, now, |pace| {
            let start = pace.next.max(now);
            let held = pace.held_until.saturating_duration_since(now);
            if start > deadline || held > MAX_WAITED {
                return Err(if held.is_zero() { TooLate::Busy } else { TooLate::Held(held) });
            }
            pace.next = start + interval;
            Ok(start)
        })
    }

    fn with<T>(&self, host: &str, now: Instant, act: impl FnOnce(&mut HostPace) -> T) -> T {
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

    #[test]
    fn a_host_is_asked_once_an_interval_and_hosts_do_not_wait_for_each_other() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        let reserve = |host: &str| limiter.reserve(host, SECOND, now + 60 * SECOND, now).unwrap();
        assert_eq!((reserve("a"), reserve("b")), (now, now));
        let mut last = now;
        for _ in 0..20 {
            let start = reserve("a");
            let gap = start - last;
            assert!(gap >= SECOND && gap <= SECOND.mul_f64(1.2), "{gap:?}");
            last = start;
        }
    }

    #[test]
    fn a_slow_asker_gets_its_turn_at_once() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        limiter.reserve("a", SECOND, now, now).unwrap();
        let later = now + 2 * SECOND;
        assert_eq!(limiter.reserve("a", SECOND, later, later), Ok(later));
    }

    #[test]
    fn a_turn_after_the_deadline_is_refused_and_takes_nothing() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        limiter.hold_from(now, "a", 60 * SECOND);
        let soon = now + 10 * SECOND;
        assert_eq!(limiter.reserve("a", SECOND, soon, now), Err(TooLate::Held(60 * SECOND)));
        limiter.reserve("b", 60 * SECOND, soon, now).unwrap();
        assert_eq!(limiter.reserve("b", SECOND, soon, now), Err(TooLate::Busy));
        limiter.hold_from(now, "c", 10 * SECOND);
        let far = now + 100 * SECOND;
        assert_eq!(limiter.reserve("c", SECOND, far, now), Ok(now + 10 * SECOND));
        assert_eq!(limiter.reserve("a", SECOND, far, now), Err(TooLate::Held(60 * SECOND)));
    }

    #[test]
    fn a_hold_is_an_hour_at_the_most_and_is_not_shortened() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        limiter.hold_from(now, "a", 100 * MAX_HOLD);
        limiter.hold_from(now, "a", SECOND);
        assert_eq!(limiter.reserve("a", SECOND, now, now), Err(TooLate::Held(MAX_HOLD)));
    }

    #[tokio::test]
    async fn a_held_host_is_left_alone_also_by_those_already_waiting() {
        let (limiter, begin) = (Limiter::default(), Instant::now());
        let (interval, hold, deadline) = (SECOND / 50, SECOND / 5, begin + 60 * SECOND);
        limiter.turn("a", interval, deadline).await.unwrap();
        // `join` polls in order, so the second turn is reserved before the hold comes.
        let waiting = limiter.turn("a", interval, deadline);
        let (turn, ()) = tokio::join!(waiting, async { limiter.hold("a", hold) });
        turn.unwrap();
        assert!(begin.elapsed() >= hold, "{:?}", begin.elapsed());
    }

    #[test]
    fn the_memory_of_hosts_is_bounded_and_keeps_the_held_ones() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        limiter.hold_from(now, "held", MAX_HOLD);
        for n in 0..MAX_HOSTS + 100 {
            limiter.reserve(&n.to_string(), SECOND, now, now).unwrap();
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
