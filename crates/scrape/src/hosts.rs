//! The pace of hosts that a fleet keeps together.
//!
//! A fetcher keeps each host's pace within its process by itself. Where several processes ask the
//! same hosts, they share the pace through a [`Hosts`]: whoever implements it keeps it, in Redis
//! for instance.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::time::Instant;

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
        hosts: &Arc<dyn Hosts>,
        host: &str,
        pace: Pace,
        deadline: Instant,
        longest: Duration,
    ) -> Result<Self, (Why, Duration)> {
        let ticket = format!("{:032x}", fastrand::u128(..));
        loop {
            let (after, why) = match hosts.take(host, &ticket, pace).await {
                Some(Turn::Wait { after, why }) => (after, why),
                None => return Ok(Self::default()),
                Some(Turn::Taken) => {
                    let (hosts, host) = (Arc::clone(hosts), host.to_owned());
                    return Ok(Self(Some(Taken { hosts, host, ticket, pace })));
                }
            };
            let is_wish = matches!(why, Why::Held | Why::Resting);
            let sleep = if why == Why::Busy { after.min(LOOK_AGAIN) } else { after };
            if Instant::now() + sleep > deadline || is_wish && after > longest {
                return Err((why, after));
            }
            // A little later, so that those who wait do not all come at once.
            tokio::time::sleep(sleep.mul_f64(1.0 + fastrand::f64() / 20.0)).await;
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
    fn end(self, how: RequestEnd) -> Asking<'static, ()> {
        let Self { hosts, host, ticket, pace } = self;
        hosts.end(host, ticket, pace, how)
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
