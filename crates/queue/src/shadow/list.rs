//! One list: what is new in it since the last look, and what waited before.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    ANSWER,
    tally::{Place, Tally},
};
use crate::{Client, Error, error::redis, oldest, published, script};
use rhubarb_core::clock;

/// How many messages one command reads.
const PAGE: u64 = 200;
/// How many commands one look sends for what is new.
const PAGES: u32 = 10;

/// What `sample` answers.
type Sample = (u64, i64, String, Vec<(usize, Vec<u8>)>);

/// A list between two looks.
#[derive(Debug)]
pub(super) struct List {
    key: [String; 1],
    /// SHA-1 of what was the newest message.
    newest: Option<String>,
    /// Where the next page of what waited before begins, from the producer's end. New messages move
    /// it away from there: what is read twice counts once.
    backlog: Option<u64>,
    /// The delivery tag of the message that runs next, and since when it does.
    next: Option<(String, Instant)>,
}

/// What one look saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) commands: u32,
    pub(super) waiting: u64,
    /// Whether the newest message of the last look was still there, or the list was empty then.
    pub(super) met: bool,
    /// How many messages of the backlog are still to be read.
    pub(super) not_reached: u64,
    /// For how long the message that runs next has waited at least.
    pub(super) age: Duration,
}

impl List {
    pub(super) fn new(key: String) -> Self {
        Self { key: [key], newest: None, backlog: Some(0), next: None }
    }

    /// Reads what is new, and a page of what waited before.
    pub(super) async fn look(
        &mut self,
        client: &Client,
        max: usize,
        tally: &mut Tally,
    ) -> Result<Seen, Error> {
        let mut seen = Seen::default();
        if self.newest.is_some() {
            self.read_new(client, max, tally, &mut seen).await?;
        }
        if let Some(from) = self.backlog {
            let (waiting, next, newest) =
                self.page(client, max, from, "", (tally, Place::Before)).await?;
            seen.commands += 1;
            if self.newest.is_none() {
                (seen.waiting, seen.met) = (waiting, true);
                self.newest = Some(newest);
            }
            self.backlog = u64::try_from(next).ok();
        }
        seen.not_reached = self.backlog.map_or(0, |from| seen.waiting.saturating_sub(from));
        if seen.waiting == 0 {
            self.next = None;
        } else {
            seen.age = self.age(client).await?;
            seen.commands += 1;
        }
        Ok(seen)
    }

    /// Reads from the newest message to the one that was the newest at the last look.
    async fn read_new(
        &mut self,
        client: &Client,
        max: usize,
        tally: &mut Tally,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let (before, mut at) = (self.newest.clone().unwrap_or_default(), 0);
        for page in 0..PAGES {
            let (waiting, next, newest) =
                self.page(client, max, at, &before, (&mut *tally, Place::Came)).await?;
            seen.commands += 1;
            if page == 0 {
                seen.waiting = waiting;
                // The very first message was the one that was met: it stays the newest.
                if next != -2 || !newest.is_empty() {
                    self.newest = Some(newest);
                }
            }
            match u64::try_from(next) {
                Ok(next) => at = next,
                Err(_) => {
                    seen.met = next == -2 || before.is_empty();
                    return Ok(());
                }
            }
        }
        // There is more than one look reads: it is read with the backlog, from here.
        self.backlog = Some(self.backlog.map_or(at, |from| from.min(at)));
        Ok(())
    }

    async fn page(
        &self,
        client: &Client,
        max: usize,
        from: u64,
        until: &str,
        (tally, place): (&mut Tally, Place),
    ) -> Result<(u64, i64, String), Error> {
        let numbers = [from, PAGE, ANSWER as u64, max as u64];
        let numbers = numbers.iter().map(|number| number.to_string().into_bytes());
        let args: Vec<Vec<u8>> = numbers.chain([until.as_bytes().to_vec()]).collect();
        let answer: Vec<::redis::Value> = client
            .queue()
            .eval(&script::SAMPLE, &self.key, &args, &[])
            .await
            .map_err(redis("look at a queue"))?;
        let (waiting, next, newest, messages) = read(answer).unwrap_or_default();
        for (size, message) in &messages {
            tally.message(message, *size, place);
        }
        Ok((waiting, next, newest))
    }

    /// Tells for how long the message that runs next has waited: since it was published where that
    /// is said, or else since it was first seen there.
    async fn age(&mut self, client: &Client) -> Result<Duration, Error> {
        let Some(tag) = oldest::next_tag(client, &self.key).await? else {
            self.next = None;
            return Ok(Duration::ZERO);
        };
        if let Some(at) = published::time_of(&tag) {
            return Ok(Duration::try_from(clock::now().duration_since(at)).unwrap_or_default());
        }
        let since = match &self.next {
            Some((before, since)) if *before == tag => *since,
            _ => Instant::now(),
        };
        self.next = Some((tag, since));
        Ok(since.elapsed())
    }
}

/// Takes the script's answer apart; `None` where it is not what the script gives.
fn read(answer: Vec<::redis::Value>) -> Option<Sample> {
    use ::redis::from_redis_value;
    let mut values = answer.into_iter();
    let waiting = from_redis_value(values.next()?).ok()?;
    let next = from_redis_value(values.next()?).ok()?;
    let newest = from_redis_value(values.next()?).ok()?;
    let messages = values.map(|value| from_redis_value(value).ok()).collect::<Option<_>>()?;
    Some((waiting, next, newest, messages))
}
