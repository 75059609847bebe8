//! Hosts' pace, kept by all workers together through the queue's limits.

use std::time::Duration;

use rhubarb_queue::limiter::{Breaker, Limit, Limiter, PlaceUse, Turn, Why};
use rhubarb_scrape::hosts::{self, Asking, Hosts, Pace, RequestEnd};

/// So many failures in a row make a host rest: three scrapes with two more tries each.
const FAILURES: u32 = 10;
/// How long it rests first; each failed try after that doubles it, to 16 minutes.
const REST: Duration = Duration::from_secs(30);
/// A slow host is asked no slower than this, unless it asks for that itself.
const MOST_DELAY: Duration = Duration::from_secs(60);
/// Longer than an answer takes to be told of behind the request's own time.
const GRACE: Duration = Duration::from_secs(5);

/// The limits of hosts, as fetching asks for them.
#[derive(Clone, Debug)]
pub struct SharedHosts(Limiter);

impl SharedHosts {
    /// Returns the hosts' limits among the others of an installation.
    pub fn new(limiter: Limiter) -> Self {
        Self(limiter)
    }
}

impl Hosts for SharedHosts {
    fn take<'a>(
        &'a self,
        host: &'a str,
        ticket: &'a str,
        pace: Pace,
    ) -> Asking<'a, Option<hosts::Turn>> {
        Box::pin(async move {
            let taken = self.0.take(&[limit(host, pace)], ticket, pace.lease + GRACE).await;
            match taken {
                Ok(Turn::Taken) => Some(hosts::Turn::Taken),
                Ok(Turn::Wait { after, why }) => Some(hosts::Turn::Wait { after, why: kind(why) }),
                Err(error) => {
                    tracing::debug!(host, %error, "a host's pace is this process's own for now");
                    None
                }
            }
        })
    }

    fn end(
        &self,
        host: String,
        ticket: String,
        pace: Pace,
        how: RequestEnd,
    ) -> Asking<'static, ()> {
        let limiter = self.0.clone();
        Box::pin(async move {
            let report = PlaceUse {
                hold: how.hold,
                success: how.serves,
                // With several at once a start may come as often as one of them ends.
                took: how.latency.map(|latency| latency / pace.in_flight.max(1)),
                most_delay: MOST_DELAY,
            };
            if let Err(error) = limiter.release(&[limit(&host, pace)], &ticket, report).await {
                tracing::debug!(host, %error, "a host's place ends with its lease");
            }
        })
    }
}

fn limit(host: &str, pace: Pace) -> Limit {
    Limit {
        name: format!("host:{host}"),
        interval: pace.interval,
        burst: 1,
        places: pace.in_flight,
        breaker: Some(Breaker { failures: FAILURES, rest: REST }),
    }
}

fn kind(why: Why) -> hosts::Why {
    match why {
        Why::Held => hosts::Why::Held,
        Why::Open => hosts::Why::Resting,
        Why::Rate => hosts::Why::Pace,
        Why::Busy => hosts::Why::Busy,
    }
}
