//! Claims from among messages that other workers run, without touching those.

use std::time::Duration;

use ::redis::{FromRedisValue, ParsingError, Value};
use rhubarb_connection::Backoff;
use rhubarb_queue::{Error, error::redis};
use tokio::time::Instant;

use super::{Answer, call::Caller, keys};
use crate::{others::Others, script};

/// How many calls of the script one look makes; each looks at 1,000 messages.
const CALLS: usize = 10;

/// The first and the longest pause between two looks at a queue that bring nothing of ours.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How a queue on which others' tasks wait is looked through.
#[derive(Debug)]
pub(super) struct Passing {
    cursor: Cursor,
    pause: Backoff,
    /// Not before; each push and pop of the others' tasks wakes us, and not each is worth a look.
    next: Option<Instant>,
}

/// How far a queue's lists were looked through. The next look goes on there when one did not come
/// to the end.
#[derive(Debug)]
struct Cursor {
    list: u64,
    passed: u64,
    /// Whether anything was passed over since the beginning.
    is_any: bool,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { list: 1, passed: 0, is_any: false }
    }
}

impl Default for Passing {
    fn default() -> Self {
        let (first, cap) = PAUSE;
        Self { cursor: Cursor::default(), pause: Backoff::new(first, cap), next: None }
    }
}

impl Passing {
    /// Returns when the next look may be, while that is to come.
    pub(super) fn too_early(&self) -> Option<Instant> {
        self.next.filter(|next| *next > Instant::now())
    }

    /// The last look brought something of ours.
    pub(super) fn soon(&mut self) {
        self.pause.reset();
        self.next = None;
    }

    /// The last look brought nothing of ours.
    pub(super) fn later(&mut self) {
        self.next = Some(Instant::now() + self.pause.next_wait());
    }
}

/// Claims up to `n` messages of queue number `idx` whose tasks are none of `tasks`, or in the share
/// of one of them.
///
/// `number` is that of the next claim; numbers are spent even if an answer is lost.
///
/// # Errors
///
/// [`Error::Redis`]; what was claimed before goes back by reconciling.
pub(super) async fn pick(
    (caller, others): (&Caller, &Others),
    idx: usize,
    n: usize,
    number: &mut u64,
    tasks: &[(String, u8)],
    passing: &mut Passing,
) -> Result<Answer, Error> {
    let broker = &caller.broker;
    let (queue, cursor) = (&broker.queues[idx], &mut passing.cursor);
    let mut all = Answer::empty(broker.now());
    for _ in 0..CALLS {
        let left = n - all.claimed.len();
        let mut args = caller.arguments(left, *number);
        *number += left as u64;
        args.push(cursor.list.to_string().into_bytes());
        args.push(cursor.passed.to_string().into_bytes());
        for (name, share) in tasks {
            args.extend([name.clone().into_bytes(), share.to_string().into_bytes()]);
        }
        let mut picked: Picked = broker
            .queue
            .eval(&script::PICK, &keys(broker, queue), &args, &caller.caching())
            .await
            .map_err(redis(format!("claim from queue `{}`", queue.name)))?;
        broker.set_clock(picked.answer.now);
        caller.complete(idx, &mut picked.answer).await?;
        cursor.is_any |= picked.passed_over > 0;
        all.join(picked.answer);
        if let Some((list, passed)) = picked.rest {
            (cursor.list, cursor.passed) = (list, passed);
            continue;
        }
        if !all.full && !std::mem::take(cursor).is_any {
            others.pass_nothing(&queue.name);
        }
        break;
    }
    Ok(all)
}

/// The pick script's answer.
struct Picked {
    answer: Answer,
    passed_over: u64,
    /// Where the next call goes on, when this one has looked at as much as one may.
    rest: Option<(u64, u64)>,
}

impl FromRedisValue for Picked {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut parts = Vec::<Value>::from_redis_value(value)?;
        if parts.len() < 6 {
            return Err(ParsingError::from("fewer than 6 values"));
        }
        let state = i64::from_redis_value(parts[1].clone())?;
        let own: Vec<u64> =
            parts.drain(3..6).map(u64::from_redis_value).collect::<Result<_, _>>()?;
        let rest = (state == 3).then_some((own[0], own[1]));
        let answer = Answer::from_redis_value(Value::Array(parts))?;
        Ok(Self { answer, passed_over: own[2], rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_claims_cursor_and_count() {
        let int = Value::Int;
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let item = Value::Array(vec![int(7), int(1), int(0), int(2), text("{}"), text("")]);
        let answer = vec![int(5), int(3), int(-1), int(2), int(40), int(9), item];
        let picked = Picked::from_redis_value(Value::Array(answer)).unwrap();
        assert_eq!((picked.rest, picked.passed_over), (Some((2, 40)), 9));
        assert_eq!(picked.answer.claimed.len(), 1);
        assert!(!picked.answer.full);
        assert!(Picked::from_redis_value(Value::Array(vec![int(1)])).is_err());
    }
}
