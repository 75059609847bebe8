//! What waits in a queue, by the name of its task.

use std::{collections::BTreeMap, time::Duration};

use rhubarb_wire::Envelope;
use serde::Serialize;
use tokio::time::Instant;

use super::shelf::Shelf;
use crate::{Client, Error, error::redis, keys::QueueKeys};

/// How many names are told apart; the messages of others count as unnamed.
const NAMES: usize = 1_000;

/// A sample of what waits in a queue: the messages that run next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Composition {
    /// The queue's name.
    pub queue: String,
    /// Messages by the name of their task.
    pub tasks: BTreeMap<String, u64>,
    /// Messages that are none of Celery's, or of a name beyond the first 1,000.
    pub unnamed: u64,
    /// How many messages were read.
    pub read: u64,
    /// How many there are, those that wait for their time among them.
    pub holds: u64,
}

impl Composition {
    fn count(&mut self, message: Option<&[u8]>) {
        let named = message.and_then(|message| Envelope::decode(message).ok());
        let Some(task) = named.map(|envelope| envelope.headers.task) else {
            self.unnamed += 1;
            return;
        };
        if self.tasks.len() < NAMES || self.tasks.contains_key(&task) {
            *self.tasks.entry(task).or_default() += 1;
        } else {
            self.unnamed += 1;
        }
    }
}

/// Reads at most `depth` messages of each of a queue's lists and of what waits for its time, for at
/// most about `effort`. A key of another type counts as empty.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn composition(
    client: &Client,
    queue: &str,
    depth: usize,
    effort: Duration,
) -> Result<Composition, Error> {
    let keys = QueueKeys::new(queue, client.celery());
    let until = Some(Instant::now() + effort);
    let mut sample = Composition { queue: queue.to_owned(), ..Composition::default() };
    for shelf in Shelf::of(&keys) {
        let count = |messages: &[Vec<u8>]| {
            messages.iter().for_each(|member| sample.count(shelf.message(member)));
            None::<()>
        };
        match shelf.walk(client, depth, until, count).await {
            Ok(walked) => {
                sample.read += walked.read as u64;
                sample.holds += walked.holds as u64;
            }
            Err(error) if error.wrong_type().is_some() => {}
            Err(source) => return Err(redis(format!("look into queue `{queue}`"))(source)),
        }
    }
    Ok(sample)
}
