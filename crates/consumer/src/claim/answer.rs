//! What the claim script answers.

use jiff::Timestamp;
use redis::{FromRedisValue, ParsingError};

use super::Round;

/// How much is read of a message that is too large: its first and its last bytes.
const ENDS: (usize, usize) = (4096, 65_536);

/// One message as the script hands it out.
pub(crate) struct Claimed {
    pub(super) number: u64,
    pub(super) deliveries: u32,
    pub(super) size: usize,
    pub(super) message: Vec<u8>,
    /// When workers died with it, as the script tells it.
    pub(super) deaths: Vec<u8>,
    /// Whether it was published to all workers, and is in no list.
    pub(super) is_broadcast: bool,
}

/// The claim script's answer.
pub(crate) struct Answer {
    pub(crate) now: Timestamp,
    pub(crate) full: bool,
    next_due: Option<Timestamp>,
    pub(crate) claimed: Vec<Claimed>,
}

impl Answer {
    pub(crate) fn empty(now: Timestamp) -> Self {
        Self { now, full: false, next_due: None, claimed: Vec::new() }
    }

    /// Adds what a later call of the same look brought.
    pub(crate) fn join(&mut self, later: Self) {
        self.claimed.extend(later.claimed);
        (self.now, self.full, self.next_due) = (later.now, later.full, later.next_due);
    }

    /// Gives the claims their numbers, of which the script leaves none out.
    pub(super) fn number_from(&mut self, first: u64) {
        for (claimed, number) in self.claimed.iter_mut().zip(first..) {
            claimed.number = number;
        }
    }

    /// Returns the claims whose messages did not fit into the answer.
    pub(super) fn left_out(&mut self, max: usize) -> impl Iterator<Item = &mut Claimed> {
        self.claimed.iter_mut().filter(move |claimed| claimed.is_left_out(max))
    }

    /// Forgets the claims without their messages: they are ours no more.
    pub(super) fn keep_whole(&mut self, max: usize) {
        self.claimed.retain(|claimed| !claimed.is_left_out(max));
    }

    pub(super) fn merge_into(self, idx: usize, round: &mut Round) {
        round.now = self.now;
        round.claimed.extend(self.claimed.into_iter().map(|claimed| (idx, claimed)));
        if self.full {
            round.again = None;
        } else if let (Some(due), Some(again)) = (self.next_due, &mut round.again) {
            *again = Some(again.map_or(due, |earlier| earlier.min(due)));
        }
    }
}

impl Claimed {
    /// Takes a message that was published to all workers; of one that is too large, its ends.
    pub(super) fn heard(number: u64, mut message: Vec<u8>, max: usize) -> Self {
        let size = message.len();
        if size > max && size > ENDS.0 + ENDS.1 {
            message.drain(ENDS.0..size - ENDS.1);
        }
        Self { number, deliveries: 0, size, message, deaths: Vec::new(), is_broadcast: true }
    }

    /// Tells whether its message, of at most `max` bytes, did not fit into the answer.
    fn is_left_out(&self, max: usize) -> bool {
        self.message.is_empty() && (1..=max).contains(&self.size)
    }

    /// Takes the message out of what the claims hash has of it.
    pub(super) fn complete(&mut self, mut recorded: Vec<u8>) {
        recorded.drain(..recorded.len().saturating_sub(self.size));
        self.message = recorded;
    }
}

impl FromRedisValue for Claimed {
    fn from_redis_value(item: ::redis::Value) -> Result<Self, ParsingError> {
        if let ::redis::Value::BulkString(message) = item {
            let size = message.len();
            let (number, deliveries, deaths) = (0, 0, Vec::new());
            return Ok(Self { number, deliveries, size, message, deaths, is_broadcast: false });
        }
        type Item = (u64, u32, u32, usize, Vec<u8>, Vec<u8>);
        let (number, _list, deliveries, size, message, deaths): Item =
            FromRedisValue::from_redis_value(item)?;
        Ok(Self { number, deliveries, size, message, deaths, is_broadcast: false })
    }
}

impl FromRedisValue for Answer {
    fn from_redis_value(value: ::redis::Value) -> Result<Self, ParsingError> {
        let mut parts = Vec::<::redis::Value>::from_redis_value(value)?.into_iter();
        let mut int = || i64::from_redis_value(parts.next().unwrap_or(::redis::Value::Nil));
        let (now, state, at) = (int()?, int()?, int()?);
        let claimed =
            parts.map(Claimed::from_redis_value).collect::<Result<Vec<_>, ParsingError>>()?;
        let time = |ms| Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(Self {
            now: time(now),
            full: state == 0,
            next_due: (at >= 0).then(|| time(at)),
            claimed,
        })
    }
}
