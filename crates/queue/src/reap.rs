//! One look at a queue's leases: renews the caller's, and gives back what dead workers held.

use std::time::Duration;

use ::redis::{FromRedisValue, ParsingError, Value};
use rhubarb_connection::Redis;

use crate::{Error, error::redis, keys::QueueKeys, script};

/// How long the count of a message's deaths, and that of the looks, is kept without a change.
const TTL: Duration = Duration::from_secs(7 * 24 * 3600);
/// The most claims that one look gives back.
pub const MOST: usize = 500;

/// Who looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reaper<'a> {
    /// The worker's id; empty for who is none.
    pub worker: &'a str,
    /// Its lease; zero for who is none.
    pub lease: Duration,
    /// Whether it holds claims on the queue.
    pub holds: bool,
    /// How many claims are given back at the most, [`MOST`] or fewer.
    pub most: usize,
}

/// What a look brought.
#[derive(Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reaped {
    /// To how many workers one more period was granted, because nobody could renew a lease for a
    /// while.
    pub granted: u64,
    /// The workers whose claims were given back, and how many.
    pub given: Vec<(String, u64)>,
}

impl FromRedisValue for Reaped {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut values = Vec::<Value>::from_redis_value(value)?.into_iter();
        let granted = values.next().ok_or_else(|| ParsingError::from("no count of grants"))?;
        let mut reaped = Self { granted: u64::from_redis_value(granted)?, ..Self::default() };
        while let (Some(worker), Some(n)) = (values.next(), values.next()) {
            reaped.given.push((String::from_redis_value(worker)?, u64::from_redis_value(n)?));
        }
        Ok(reaped)
    }
}

/// Looks.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn look(redis_: &Redis, queue: &QueueKeys, look: Reaper<'_>) -> Result<Reaped, Error> {
    let mut keys = vec![queue.leases.clone(), queue.deliveries.clone(), queue.looks.clone()];
    keys.extend(queue.lists.iter().cloned());
    let args = [
        queue.claims_prefix.clone().into_bytes(),
        TTL.as_secs().to_string().into_bytes(),
        look.worker.to_owned().into_bytes(),
        look.lease.as_millis().to_string().into_bytes(),
        u8::from(look.holds).to_string().into_bytes(),
        look.most.to_string().into_bytes(),
    ];
    redis_
        .eval(&script::REAP, &keys, &args, &[])
        .await
        .map_err(redis(format!("look at the leases of queue `{}`", queue.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_count_and_pairs() {
        let (int, text) = (Value::Int, |text: &str| Value::BulkString(text.as_bytes().to_vec()));
        let read = |values| Reaped::from_redis_value(Value::Array(values));
        let answer = read(vec![int(2), text("w1"), int(3)]).unwrap();
        assert_eq!(answer, Reaped { granted: 2, given: vec![("w1".to_owned(), 3)] });
        assert_eq!(read(vec![int(0)]).unwrap(), Reaped::default());
        assert!(read(Vec::new()).is_err());
    }
}
