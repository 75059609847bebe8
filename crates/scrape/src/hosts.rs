//! The pace of hosts that a fleet keeps together.
//!
//! A fetcher keeps each host's pace within its process by itself. Where several processes ask the
//! same hosts, they share the pace through a [`Hosts`]: whoever implements it keeps it, in Redis
//! for instance.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout, timeout_at},
};

/// The boxed future of [`Hosts`].
pub type Asking<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What may be asked of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The least time between two requests.
    pub interval: Duration,
    /// Requests at once.
    pub in_flight: u32,
    /// How long a request may last. Whoever is silent for longer has died.
    pub lease: Duration,
}

/// The answer to [`Hosts::take`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The request may start now.
    Taken,
    /// Not yet.
    Wait {
        /// How long from now.
        after: Duration,
        /// What is waited for.
        why: Why,
    },
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The host asked to be left alone.
    Held,
    /// The host failed too often.
    Resting,
    /// Others have just asked it.
    Pace,
    /// Others are asking it; one may end sooner.
    Busy,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestEnd {
    /// How long the host took to answer.
    pub latency: Option<Duration>,
    /// Whether the host serves: none where that is not known, as through a proxy that fails.
    pub serves: Option<bool>,
    /// How long it asked to be left alone.
    pub hold: Duration,
}

/// Keeps the pace of hosts for all processes.
pub trait Hosts: fmt::Debug + Send + Sync {
    /// Takes a turn at a host, under a ticket of the caller's own.
    ///
    /// None where the shared pace cannot be asked: each process then keeps its own alone.
    fn take<'a>(&'a self, host: &'a str, ticket: &'a str, pace: Pace) -> Asking<'a, Option<Turn>>;

    /// Ends the request that took its turn with this ticket.
    fn end(&self, host: String, ticket: String, pace: Pace, how: RequestEnd)
    -> Asking<'static, ()>;
}

/// A turn that was taken. However it is dropped, the host's place is given back.
#[derive(Debug, Default)]
pub(crate) struct Held(Option<Taken>);

#[derive(Debug)]
struct Taken {
    hosts: Arc<dyn Hosts>,
    host: String,
    ticket: String,
    pace: Pace,
    line: Arc<Line>,
}

/// Those of this process who wait for a host: the first of them asks for its turn, the others wait
/// for theirs here.
#[derive(Debug, Default)]
pub(crate) struct Lines(Mutex<HashMap<String, Weak<Line>>>);

#[derive(Debug, Default)]
struct Line {
    /// Who asks; in it, when the shared pace could not be asked last.
    first: tokio::sync::Mutex<Option<Instant>>,
    /// Somebody has given a place back.
    ended: Notify,
}

/// As many hosts as may be asked at once before those that nobody asks are looked for.
const MANY_LINES: usize = 64;

impl Lines {
    fn of(&self, host: &str) -> Arc<Line> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(host).and_then(Weak::upgrade) {
            return line;
        }
        if lines.len() >= MANY_LINES {
            lines.retain(|_, line| line.strong_count() > 0);
        }
        let line = Arc::default();
        lines.insert(host.to_owned(), Arc::downgrade(&line));
        line
    }
}

/// As long as a request sleeps before it looks again whether a place is free.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

impl Held {
    /// Waits for a turn at a host.
    ///
    /// # Errors
    /// The turn would come after `deadline`, or `longest` from now where it is the host's wish:
    /// what is waited for, and how long.
    ///
    /// # Cancel safety
    /// A turn that was asked for and not heard of ends with its lease.
    pub(crate) async fn take(
        (hosts, lines): (&Arc<dyn Hosts>, &Lines),
        host: &str,
        pace: Pace,
        deadline: Instant,
        longest: Duration,
    ) -> Result<Self, (Why, Duration)> {
        let (line, began) = (lines.of(host), Instant::now());
        let first = timeout_at(deadline, line.first.lock()).await;
        let mut first = first.map_err(|_| (Why::Busy, Duration::ZERO))?;
        // What failed while this one waited was its own try too: else each of many would wait for
        // the same server in its turn.
        if first.is_some_and(|failed| failed >= began) {
            return Ok(Self::default());
        }
        let ticket = format!("{:032x}", fastrand::u128(..));
        loop {
            let (after, why) = match hosts.take(host, &ticket, pace).await {
                Some(Turn::Wait { after, why }) => (after, why),
                None => {
                    *first = Some(Instant::now());
                    return Ok(Self::default());
                }
                Some(Turn::Taken) => {
                    let (hosts, host) = (Arc::clone(hosts), host.to_owned());
                    let line = Arc::clone(&line);
                    return Ok(Self(Some(Taken { hosts, host, ticket, pace, line })));
                }
            };
            let is_wish = matches!(why, Why::Held | Why::Resting);
            let sleep = if why == Why::Busy { after.min(LOOK_AGAIN) } else { after };
            if Instant::now() + sleep > deadline || is_wish && after > longest {
                return Err((why, after));
            }
            // A little later, so that those who wait do not all come at once.
            let sleep = sleep.mul_f64(1.0 + fastrand::f64() / 20.0);
            match why {
                // One of this process may end sooner.
                Why::Busy => drop(timeout(sleep, line.ended.notified()).await),
                _ => tokio::time::sleep(sleep).await,
            }
        }
    }

    /// Gives the place back and tells what became of the request.
    pub(crate) async fn end(mut self, how: RequestEnd) {
        if let Some(taken) = self.0.take() {
            taken.end(how).await;
        }
    }
}

impl Taken {
    async fn end(self, how: RequestEnd) {
        let Self { hosts, host, ticket, pace, line } = self;
        hosts.end(host, ticket, pace, how).await;
        line.ended.notify_one();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The fetch was given up; what it held is given back beside it, or ends with its lease.
        if let (Some(taken), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(taken.end(RequestEnd::default()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    /// One place, and how often it was asked for.
    #[derive(Debug, Default)]
    struct OnePlace {
        is_taken: Arc<Mutex<bool>>,
        asked: AtomicUsize,
    }

    impl Hosts for OnePlace {
        fn take<'a>(&'a self, _: &'a str, _: &'a str, _: Pace) -> Asking<'a, Option<Turn>> {
            self.asked.fetch_add(1, SeqCst);
            let was_taken = std::mem::replace(&mut *self.is_taken.lock().unwrap(), true);
            let wait = Turn::Wait { after: Duration::from_secs(10), why: Why::Busy };
            Box::pin(std::future::ready(Some(if was_taken { wait } else { Turn::Taken })))
        }

        fn end(&self, _: String, _: String, _: Pace, _: RequestEnd) -> Asking<'static, ()> {
            let is_taken = Arc::clone(&self.is_taken);
            Box::pin(async move { *is_taken.lock().unwrap() = false })
        }
    }

    const PACE: Pace =
        Pace { interval: Duration::ZERO, in_flight: 1, lease: Duration::from_secs(30) };

    #[tokio::test]
    async fn of_those_who_wait_for_a_host_one_asks_and_has_its_turn_as_soon_as_another_ends() {
        let (place, lines) = (Arc::new(OnePlace::default()), Lines::default());
        let hosts: Arc<dyn Hosts> = Arc::clone(&place) as _;
        let (deadline, longest) = (Instant::now() + Duration::from_secs(60), Duration::MAX);
        let asking = (0..20).map(|_| async {
            let held = Held::take((&hosts, &lines), "a", PACE, deadline, longest).await.unwrap();
            tokio::task::yield_now().await;
            held.end(RequestEnd::default()).await;
        });
        let begun = Instant::now();
        futures_util::future::join_all(asking).await;
        assert!(place.asked.load(SeqCst) <= 3 * 20, "{:?} times", place.asked);
        assert!(begun.elapsed() < 10 * LOOK_AGAIN, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn who_waits_behind_others_waits_no_longer_than_its_deadline() {
        let (place, lines) = (Arc::new(OnePlace::default()), Lines::default());
        let hosts: Arc<dyn Hosts> = place;
        let take = |seconds: f64| {
            let deadline = Instant::now() + Duration::from_secs_f64(seconds);
            Held::take((&hosts, &lines), "a", PACE, deadline, Duration::MAX)
        };
        let _held = take(60.0).await.unwrap();
        let (first, second) = tokio::join!(timeout(Duration::from_secs(1), take(60.0)), take(0.1));
        assert!(first.is_err() && second.is_err_and(|(why, _)| why == Why::Busy));
    }

    /// A pace that cannot be asked, which takes a while to find out.
    #[derive(Debug)]
    struct Silent;

    impl Hosts for Silent {
        fn take<'a>(&'a self, _: &'a str, _: &'a str, _: Pace) -> Asking<'a, Option<Turn>> {
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(200)).await;
                None
            })
        }

        fn end(&self, _: String, _: String, _: Pace, _: RequestEnd) -> Asking<'static, ()> {
            Box::pin(std::future::ready(()))
        }
    }

    #[tokio::test]
    async fn a_pace_that_cannot_be_asked_is_waited_for_once_by_all_who_wait() {
        let (hosts, lines): (Arc<dyn Hosts>, _) = (Arc::new(Silent), Lines::default());
        let begun = Instant::now();
        let deadline = begun + Duration::from_secs(60);
        let asking =
            (0..50).map(|_| Held::take((&hosts, &lines), "a", PACE, deadline, Duration::MAX));
        let all = futures_util::future::join_all(asking).await;
        assert!(all.into_iter().all(|held| held.is_ok_and(|held| held.0.is_none())));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    #[test]
    fn lines_that_nobody_stands_in_are_forgotten() {
        let lines = Lines::default();
        let kept = lines.of("kept");
        for n in 0..10 * MANY_LINES {
            lines.of(&n.to_string());
        }
        assert!(Arc::ptr_eq(&kept, &lines.of("kept")));
        assert!(lines.0.lock().unwrap().len() <= MANY_LINES);
    }
}
