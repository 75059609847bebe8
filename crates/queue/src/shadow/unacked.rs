//! What Python's workers have taken and not acknowledged.

use std::collections::BTreeSet;

use ::redis::from_redis_value;
use rhubarb_core::clock;

use super::{
    ANSWER, UnackedReport,
    tally::{Place, Tally},
};
use crate::{Client, Error, error::redis, script, unacked};

/// How many entries one command reads.
const PAGE: u64 = 200;
/// How many commands one look sends.
const PAGES: u32 = 10;
/// What kombu writes around a message, bytes.
const AROUND: usize = 1 << 10;

/// kombu's keys between two looks.
#[derive(Debug)]
pub(super) struct Unacked {
    keys: [String; 2],
    queues: BTreeSet<String>,
    /// When the newest of the last look was delivered, as Redis writes it.
    newest: String,
    place: Place,
    pub(super) report: UnackedReport,
}

/// What `sample_unacked` answers.
#[derive(Debug)]
struct Sample {
    n: u64,
    oldest: String,
    newest: String,
    more: bool,
    entries: Vec<(usize, Vec<u8>)>,
}

impl Unacked {
    pub(super) fn new(client: &Client, queues: &[String]) -> Self {
        let key = |name| client.keys().kombus(name);
        Self {
            keys: [key("unacked_index"), key("unacked")],
            queues: queues.iter().cloned().collect(),
            newest: "-inf".to_owned(),
            place: Place::Before,
            report: UnackedReport::default(),
        }
    }

    /// Reads what was delivered since the last look; returns how many commands that took.
    pub(super) async fn look(
        &mut self,
        client: &Client,
        max: usize,
        tally: &mut Tally,
    ) -> Result<u32, Error> {
        let (since, mut over, mut commands) = (self.newest.clone(), 0, 0);
        loop {
            let sample = self.page(client, &since, over, max).await?;
            commands += 1;
            over += sample.entries.len() as u64;
            for (size, entry) in &sample.entries {
                self.count(entry, *size, tally);
            }
            if commands == 1 {
                self.note(&sample);
            }
            if !sample.more || sample.entries.is_empty() || commands == PAGES {
                break;
            }
        }
        self.place = Place::Came;
        Ok(commands)
    }

    fn note(&mut self, sample: &Sample) {
        self.report.most = self.report.most.max(sample.n);
        if !sample.newest.is_empty() {
            self.newest.clone_from(&sample.newest);
        }
        let delivered = sample.oldest.parse().ok();
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are below 2^53")]
        let now = clock::now().as_millisecond() as f64 / 1000.0;
        let age = delivered.map_or(0.0, |at: f64| now - at);
        self.report.oldest_seconds = if age.is_finite() { age.max(0.0) } else { 0.0 };
    }

    async fn page(
        &self,
        client: &Client,
        since: &str,
        over: u64,
        max: usize,
    ) -> Result<Sample, Error> {
        let numbers = [over, PAGE, ANSWER as u64, (max + max / 2 + AROUND) as u64];
        let numbers = numbers.iter().map(|number| number.to_string().into_bytes());
        let args: Vec<Vec<u8>> =
            std::iter::once(since.as_bytes().to_vec()).chain(numbers).collect();
        let answer: Vec<::redis::Value> = client
            .queue()
            .eval(&script::SAMPLE_UNACKED, &self.keys, &args, &[])
            .await
            .map_err(redis("look at what Python's workers hold"))?;
        let malformed = || Error::Malformed {
            what: "`unacked`".to_owned(),
            reason: "the script answered something else".to_owned(),
        };
        read(answer).ok_or_else(malformed)
    }

    /// Counts an entry whose queue is looked at. One that came by a named exchange counts: which
    /// queue it was in does not stand there.
    fn count(&self, entry: &[u8], size: usize, tally: &mut Tally) {
        // It was acknowledged between the two steps of a worker.
        if size == 0 {
            return;
        }
        if entry.is_empty() {
            return tally.message(entry, size, self.place);
        }
        match unacked::Unacked::read(entry) {
            Ok(one) if !one.exchange.is_empty() || self.queues.contains(&one.routing_key) => {
                tally.message(&one.message, one.message.len(), self.place);
            }
            Ok(_) => {}
            Err(_) => tally.message(entry, size, self.place),
        }
    }
}

/// Takes the script's answer apart; `None` where it is not what the script gives.
fn read(answer: Vec<::redis::Value>) -> Option<Sample> {
    let mut values = answer.into_iter();
    let mut next = || values.next();
    Some(Sample {
        n: from_redis_value(next()?).ok()?,
        oldest: from_redis_value(next()?).ok()?,
        newest: from_redis_value(next()?).ok()?,
        more: from_redis_value::<u8>(next()?).ok()? == 1,
        entries: values.map(|value| from_redis_value(value).ok()).collect::<Option<_>>()?,
    })
}
