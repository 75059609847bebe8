//! Limits that all workers keep together: a rate, a number at once, and a rest after failures.
//!
//! A limit is a name. Whoever wants to do what it limits takes a place, renews it while it lasts
//! longer than its lease, and ends it; a place whose holder dies ends with its lease. Several
//! limits are taken in one step, all or none. Everything is reckoned on Redis's clock, by scripts,
//! and what is not used is forgotten, so that tens of thousands of names cost what is in use.

use std::time::Duration;

use rhubarb_connection::Redis;

use crate::{Error, error::redis, keys::Keys, script};

/// How long a limit is remembered that nobody uses.
const REMEMBERED: Duration = Duration::from_secs(600);
/// As many limits as one call may name.
const MAX_LIMITS: usize = 16;

/// What may be done, by all workers together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What it limits; each name has its own places and pace.
    pub name: String,
    /// The least time between two starts; zero for none.
    pub interval: Duration,
    /// How many may start at once after a quiet time, 1 or more.
    pub burst: u32,
    /// How many may run at once; zero for any number.
    pub places: u32,
    /// What failures do.
    pub breaker: Option<Breaker>,
}

/// A rest after failures in a row, after which one tries before the others may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// How many failures in a row open it.
    pub failures: u32,
    /// How long it is open first; each further failure doubles that, up to 32 times.
    pub rest: Duration,
}

/// The answer to [`Limiter::take`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A place is taken under every limit.
    Taken,
    /// Nothing is taken. Come again after so long.
    Wait {
        /// How long from now.
        after: Duration,
        /// Which kind of wait is the longest.
        why: Why,
    },
}

/// Why one has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Somebody reported a wish to be left alone.
    Held,
    /// It failed too often.
    Open,
    /// It is too early after the last start.
    Rate,
    /// All places are taken; one may be free sooner, or be taken by another.
    Busy,
}

/// What became of a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaceUse {
    /// How long nobody is to take this limit; zero for no such wish.
    pub hold: Duration,
    /// Whether it went well; none where that says nothing about what is limited.
    pub success: Option<bool>,
    /// How long it took: the pace of starts follows it, up to [`PlaceUse::most_delay`].
    pub took: Option<Duration>,
    /// The longest time between starts that reports may lead to.
    pub most_delay: Duration,
}

/// Takes and ends places.
#[derive(Clone, Debug)]
pub struct Limiter {
    redis: Redis,
    keys: Keys,
}

impl Limiter {
    /// Returns the limits of the installation with these keys, over the queue's connection; nothing
    /// is sent.
    pub fn new(redis: Redis, keys: Keys) -> Self {
        Self { redis, keys }
    }

    /// Takes a place under all of these limits, or under none. `token` is the holder's own, unique
    /// to this place; `lease` is how long the place lasts without a renewal.
    ///
    /// # Cancel safety
    /// A dropped call may have taken the place, which ends with its lease.
    ///
    /// # Errors
    /// [`Error::Redis`]; after a lost connection the place may be taken.
    ///
    /// # Panics
    /// With more than 16 limits: that is the caller's mistake.
    pub async fn take(
        &self,
        limits: &[Limit],
        token: &str,
        lease: Duration,
    ) -> Result<Turn, Error> {
        assert!(limits.len() <= MAX_LIMITS, "{} limits in one call", limits.len());
        let mut args = vec![token.into(), micros(lease), millis(REMEMBERED)];
        for limit in limits {
            let trip = limit.breaker.map_or(0, |breaker| breaker.failures);
            let numbers = [limit.burst.max(1), limit.places, trip].map(|n| n.to_string().into());
            args.push(micros(limit.interval));
            args.extend(numbers);
        }
        let keys = self.keys_of(limits);
        let (taken, wait, why): (bool, String, String) = self
            .redis
            .eval(&script::LIMIT_TAKE, &keys, &args, &[])
            .await
            .map_err(redis(format!("take {}", names(limits))))?;
        if taken {
            return Ok(Turn::Taken);
        }
        let why = match why.as_str() {
            "held" => Why::Held,
            "open" => Why::Open,
            "rate" => Why::Rate,
            _ => Why::Busy,
        };
        Ok(Turn::Wait { after: Duration::from_micros(wait.parse().unwrap_or_default()), why })
    }

    /// Holds a place for another lease; false when it has ended, so that another may have it.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn renew(
        &self,
        limits: &[Limit],
        token: &str,
        lease: Duration,
    ) -> Result<bool, Error> {
        let keys: Vec<String> =
            limits.iter().map(|limit| self.keys.limit_places(&limit.name)).collect();
        let args = [token.into(), micros(lease)];
        self.redis
            .eval(&script::LIMIT_RENEW, &keys, &args, &[])
            .await
            .map_err(redis(format!("renew {}", names(limits))))
    }

    /// Ends a place under all of these limits, and reports what became of it to each.
    ///
    /// # Errors
    /// [`Error::Redis`]; the place ends with its lease at the latest.
    pub async fn release(
        &self,
        limits: &[Limit],
        token: &str,
        report: PlaceUse,
    ) -> Result<(), Error> {
        let mut args = vec![token.into(), millis(REMEMBERED)];
        for limit in limits {
            let success = report.success.map_or(-1, i32::from).to_string().into();
            let took = report.took.map_or_else(|| "-1".into(), micros);
            let breaker = limit.breaker.unwrap_or(Breaker { failures: 0, rest: Duration::ZERO });
            args.extend([micros(report.hold), success, took, micros(limit.interval)]);
            args.push(micros(report.most_delay.max(limit.interval)));
            args.extend([breaker.failures.to_string().into(), micros(breaker.rest)]);
        }
        let keys = self.keys_of(limits);
        let released: Result<u32, _> = self.redis.eval(&script::LIMIT_END, &keys, &args, &[]).await;
        released.map(drop).map_err(redis(format!("release {}", names(limits))))
    }

    fn keys_of(&self, limits: &[Limit]) -> Vec<String> {
        let both =
            |limit: &Limit| [self.keys.limit(&limit.name), self.keys.limit_places(&limit.name)];
        limits.iter().flat_map(both).collect()
    }
}

fn names(limits: &[Limit]) -> String {
    let names: Vec<&str> = limits.iter().map(|limit| limit.name.as_str()).collect();
    format!("a place under the limit `{}`", names.join("`, `"))
}

fn micros(of: Duration) -> Vec<u8> {
    of.as_micros().to_string().into()
}

fn millis(of: Duration) -> Vec<u8> {
    of.as_millis().to_string().into()
}
