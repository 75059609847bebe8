//! The way in: takes over what dead Python workers had not acknowledged.
//!
//! kombu notes each delivered message in `unacked` and `unacked_index` until it is acknowledged,
//! and a Python worker puts back what is older than the visibility timeout (an hour by default)
//! while it holds `unacked_mutex`. Where no Python worker is left, nobody does. [`adopt`] does the
//! same on demand, under the same lock and in the same order.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use serde::Serialize;
use uuid::Uuid;

use crate::{
    Client, Error,
    error::redis,
    fields,
    keys::{QueueKeys, list_number},
    queue_name, script,
    unacked::Unacked,
};

/// How long the lock is held without a step: after our death kombu's own sweeps go on then.
const LOCK: Duration = Duration::from_secs(30);
/// How many messages one step moves.
const BATCH: u64 = 100;
/// How many entries that stay are told one by one.
const TOLD: usize = 1_000;
/// How many bindings are remembered.
const BINDINGS: usize = 1_000;

/// What to adopt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adoption {
    /// Only what was delivered at least this long ago.
    pub older_than: Duration,
    /// At most so many entries, the oldest ones; all of them where there is none.
    pub limit: Option<u64>,
    /// Only look, without the lock.
    pub dry_run: bool,
}

/// What was adopted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Adopted {
    /// Messages that went back (or would), by queue.
    pub moved: BTreeMap<String, u64>,
    /// Entries that were acknowledged, or delivered anew, while we looked.
    pub gone: u64,
    /// How many entries stay because nothing can be made of them.
    pub n_left: u64,
    /// The first 1,000 of them.
    pub left: Vec<Left>,
}

/// An entry that stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Its delivery tag.
    pub tag: String,
    /// One sentence for a person.
    pub reason: String,
}

impl Adopted {
    fn leave(&mut self, tag: &[u8], reason: String) {
        self.n_left += 1;
        if self.left.len() < TOLD {
            self.left.push(Left { tag: String::from_utf8_lossy(tag).into_owned(), reason });
        }
    }
}

/// Puts messages that Python workers had not acknowledged back on their queues, to run next, the
/// oldest first.
///
/// A message whose worker is alive after all, and still runs it, runs a second time: `older_than`
/// has to be longer than any task. Ages are told by Redis's clock and the delivering worker's.
///
/// # Cancel safety
///
/// A dropped call has moved some of the messages, each of them wholly, and may hold the lock for
/// another 30 s.
///
/// # Errors
///
/// [`Error::Refused`] while somebody else holds kombu's lock, or when it was lost on the way (what
/// was moved until then stays moved); [`Error::Redis`].
pub async fn adopt(client: &Client, adoption: Adoption) -> Result<Adopted, Error> {
    let mut sweep = Sweep::new(client, adoption);
    if adoption.dry_run {
        return sweep.run().await;
    }
    sweep.lock().await?;
    let adopted = sweep.run().await;
    // A lock that cannot be released ends by itself.
    let released = sweep.unlock().await;
    if let Err(error) = released {
        tracing::warn!(%error, "the lock of kombu's sweeps was not released; it ends by itself");
    }
    adopted
}

/// One pass over the index, from the youngest entry that is old enough to the oldest.
struct Sweep<'c> {
    client: &'c Client,
    adoption: Adoption,
    token: String,
    bindings: HashMap<(String, String), Result<String, String>>,
    adopted: Adopted,
}

/// A message to be put back.
struct Item {
    tag: Vec<u8>,
    entry: Vec<u8>,
    list: usize,
    message: Vec<u8>,
}

impl<'c> Sweep<'c> {
    fn new(client: &'c Client, adoption: Adoption) -> Self {
        Self {
            client,
            adoption,
            token: Uuid::new_v4().simple().to_string(),
            bindings: HashMap::new(),
            adopted: Adopted::default(),
        }
    }

    fn key(&self, name: &str) -> String {
        self.client.keys().kombus(name)
    }

    /// Takes kombu's lock as redis-py's `Lock` does.
    async fn lock(&self) -> Result<(), Error> {
        let key = self.key("unacked_mutex");
        let mut set = ::redis::cmd("SET");
        set.arg(&key).arg(&self.token).arg("NX").arg("PX").arg(millis(LOCK));
        let mut pipeline = ::redis::pipe();
        pipeline.add_command(set).cmd("PTTL").arg(&key);
        let (taken, rest): (Option<String>, i64) =
            self.client.queue().pipe(&pipeline).await.map_err(redis("take kombu's lock"))?;
        if taken.is_some() {
            return Ok(());
        }
        Err(Error::Refused(format!(
            "a Python worker, or another adopt-unacked, holds kombu's lock `{key}` for at most {} s more; try again then",
            (rest.max(0) + 999) / 1000
        )))
    }

    /// Gives the lock back if it is still ours; the lock script compares and deletes as redis-py
    /// does.
    async fn unlock(&self) -> Result<(), Error> {
        let args = ["release".into(), self.token.clone().into_bytes(), "0".into()];
        let _: u8 = self
            .client
            .queue()
            .eval(&script::LOCK, &[self.key("unacked_mutex")], &args, &[])
            .await
            .map_err(redis("release kombu's lock"))?;
        Ok(())
    }

    async fn run(&mut self) -> Result<Adopted, Error> {
        let ceiling = self.ceiling().await?;
        let mut left = self.count(&ceiling).await?;
        // The oldest lie at the end.
        let mut offset = self.adoption.limit.map_or(0, |limit| left.saturating_sub(limit));
        left -= offset;
        while left > 0 {
            let tags = self.tags(&ceiling, offset, left.min(BATCH)).await?;
            if tags.is_empty() {
                break;
            }
            left -= tags.len() as u64;
            offset += self.batch(tags, &ceiling).await?;
        }
        Ok(std::mem::take(&mut self.adopted))
    }

    /// Returns the greatest score that is old enough, as Redis writes it.
    async fn ceiling(&self) -> Result<String, Error> {
        let (s, us): (u64, u64) = self
            .client
            .queue()
            .query(&::redis::cmd("TIME"))
            .await
            .map_err(redis("read the clock"))?;
        let now = Duration::from_secs(s) + Duration::from_micros(us);
        let then = now.saturating_sub(self.adoption.older_than);
        Ok(format!("{}.{:06}", then.as_secs(), then.subsec_micros()))
    }

    async fn count(&self, ceiling: &str) -> Result<u64, Error> {
        let mut count = ::redis::cmd("ZCOUNT");
        count.arg(self.key("unacked_index")).arg("-inf").arg(ceiling);
        self.client.queue().query(&count).await.map_err(redis("count the unacknowledged messages"))
    }

    /// Returns delivery tags, younger ones first.
    async fn tags(&self, ceiling: &str, offset: u64, n: u64) -> Result<Vec<Vec<u8>>, Error> {
        let mut range = ::redis::cmd("ZRANGE");
        range.arg(self.key("unacked_index")).arg(ceiling).arg("-inf").arg("BYSCORE").arg("REV");
        range.arg("LIMIT").arg(offset).arg(n);
        self.client.queue().query(&range).await.map_err(redis("list the unacknowledged messages"))
    }

    /// Moves the messages of these tags; returns how many entries stay in the index.
    async fn batch(&mut self, tags: Vec<Vec<u8>>, ceiling: &str) -> Result<u64, Error> {
        let n = tags.len() as u64;
        let key = self.key("unacked");
        let mut removed = 0;
        for group in fields::groups(self.client.queue(), &key, tags).await? {
            let fields = fields::read(self.client.queue(), &key, group).await?;
            for (queue, items) in self.sort(fields).await? {
                removed += self.put_back(&queue, &items, ceiling).await?;
            }
        }
        Ok(n - removed)
    }

    /// Reads entries and sorts them by queue, the order kept; what cannot be read is noted as left.
    async fn sort(
        &mut self,
        fields: Vec<fields::Field>,
    ) -> Result<BTreeMap<String, Vec<Item>>, Error> {
        let mut queues: BTreeMap<String, Vec<Item>> = BTreeMap::new();
        for (tag, entry) in fields {
            let Some(entry) = entry else {
                self.adopted.leave(&tag, "kombu's index names it, but there is no message".into());
                continue;
            };
            let unacked = match Unacked::read(&entry) {
                Ok(unacked) => unacked,
                Err(reason) => {
                    self.adopted.leave(&tag, reason);
                    continue;
                }
            };
            match self.queue_of(unacked.exchange, unacked.routing_key).await? {
                Ok(queue) => {
                    let list = list_number(unacked.priority, &self.client.celery().priority_steps);
                    let item = Item { tag, entry, list, message: unacked.message };
                    queues.entry(queue).or_default().push(item);
                }
                Err(reason) => self.adopted.leave(&tag, reason),
            }
        }
        Ok(queues)
    }

    /// Returns a name, or why no queue of ours can have it.
    fn usable(&self, queue: String) -> Result<String, String> {
        if queue.is_empty() {
            return Err("it names no queue".to_owned());
        }
        queue_name::check(&queue, self.client.celery()).map(|()| queue)
    }

    /// Returns the queue that a message came from, or why that is not known.
    async fn queue_of(
        &mut self,
        exchange: String,
        routing_key: String,
    ) -> Result<Result<String, String>, Error> {
        if exchange.is_empty() {
            return Ok(self.usable(routing_key));
        }
        let route = (exchange, routing_key);
        if let Some(known) = self.bindings.get(&route) {
            return Ok(known.clone());
        }
        let (exchange, routing_key) = &route;
        let mut members = ::redis::cmd("SMEMBERS");
        members.arg(self.key(&format!("_kombu.binding.{exchange}")));
        let members: Vec<Vec<u8>> = self
            .client
            .queue()
            .query(&members)
            .await
            .map_err(redis(format!("read the bindings of exchange `{exchange}`")))?;
        let found = bound(&members, exchange, routing_key, &self.client.celery().sep);
        let found = found.and_then(|queue| self.usable(queue));
        if self.bindings.len() >= BINDINGS {
            self.bindings.clear();
        }
        self.bindings.insert(route, found.clone());
        Ok(found)
    }

    /// Moves messages of one queue; returns how many left kombu's index.
    async fn put_back(&mut self, queue: &str, items: &[Item], ceiling: &str) -> Result<u64, Error> {
        let n = items.len() as u64;
        let moved =
            if self.adoption.dry_run { 0 } else { self.step(queue, items, ceiling).await? };
        let told = if self.adoption.dry_run { n } else { moved };
        *self.adopted.moved.entry(queue.to_owned()).or_default() += told;
        self.adopted.gone += n - told;
        // What has gone is no longer counted by the index either, as far as it was acknowledged.
        Ok(if self.adoption.dry_run { 0 } else { n })
    }

    async fn step(&self, queue: &str, items: &[Item], ceiling: &str) -> Result<u64, Error> {
        let mut keys =
            vec![self.key("unacked"), self.key("unacked_index"), self.key("unacked_mutex")];
        keys.extend(QueueKeys::new(queue, self.client.celery()).lists);
        let mut args = vec![
            self.token.clone().into_bytes(),
            millis(LOCK).to_string().into_bytes(),
            ceiling.as_bytes().to_vec(),
        ];
        for item in items {
            let list = item.list.to_string().into_bytes();
            args.extend([item.tag.clone(), item.entry.clone(), list, item.message.clone()]);
        }
        let moved: Vec<u64> = self
            .client
            .queue()
            .eval(&script::ADOPT, &keys, &args, &[])
            .await
            .map_err(redis(format!("adopt messages of queue `{queue}`")))?;
        if moved.is_empty() {
            return Err(Error::Refused(
                "kombu's lock was lost on the way; what was adopted until then is on its queues, the rest is as it was"
                    .to_owned(),
            ));
        }
        Ok(moved.iter().sum())
    }
}

/// Finds the one queue that an exchange leads to: kombu's direct and topic exchanges.
fn bound(
    members: &[Vec<u8>],
    exchange: &str,
    routing_key: &str,
    sep: &str,
) -> Result<String, String> {
    let mut queues: Vec<String> = members
        .iter()
        .filter_map(|member| {
            let member = String::from_utf8_lossy(member);
            let mut parts = member.split(sep);
            let (key, pattern, queue) = (parts.next()?, parts.next()?, parts.next()?);
            let leads = key == routing_key || (!pattern.is_empty() && matches(key, routing_key));
            leads.then(|| queue.to_owned())
        })
        .collect();
    queues.sort();
    queues.dedup();
    match queues.len() {
        1 => Ok(queues.remove(0)),
        n => Err(format!(
            "exchange `{exchange}` leads to {n} queues by the routing key `{routing_key}`, so that its own is not known"
        )),
    }
}

/// Tells whether a topic's binding key takes a routing key: `*` is one word, `#` any number of
/// them.
fn matches(binding: &str, routing_key: &str) -> bool {
    fn words(binding: &[&str], key: &[&str]) -> bool {
        match (binding.split_first(), key.split_first()) {
            (None, None) => true,
            (Some((&"#", rest)), None) => words(rest, key),
            (Some((&"#", rest)), Some((_, shorter))) => words(rest, key) || words(binding, shorter),
            (Some((word, rest)), Some((next, shorter))) if *word == "*" || word == next => {
                words(rest, shorter)
            }
            _ => false,
        }
    }
    // Bounded, because several `#` in a long key would be tried in very many ways.
    let (binding, key): (Vec<&str>, Vec<&str>) =
        (binding.split('.').collect(), routing_key.split('.').collect());
    binding.len() <= 16 && key.len() <= 16 && words(&binding, &key)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_takes_words() {
        for (binding, key, expect) in [
            ("jobs.*", "jobs.fetch", true),
            ("jobs.*", "jobs.fetch.now", false),
            ("jobs.#", "jobs.fetch.now", true),
            ("jobs.#", "jobs", true),
            ("#", "anything.at.all", true),
            ("jobs.fetch", "jobs.store", false),
        ] {
            assert_eq!(matches(binding, key), expect, "{binding} {key}");
        }
    }

    #[test]
    fn an_exchange_leads_to_one_queue_or_none_is_chosen() {
        let member =
            |key: &str, pattern: &str, queue: &str| format!("{key}|{pattern}|{queue}").into_bytes();
        let members = [
            member("a", "", "one"),
            member("b.*", "^b\\..*?[^\\.]$", "two"),
            member("c", "", "three"),
        ];
        let of = |key: &str| bound(&members, "x", key, "|");
        assert_eq!(of("a"), Ok("one".to_owned()));
        assert_eq!(of("b.now"), Ok("two".to_owned()));
        assert!(of("d").unwrap_err().contains("leads to 0 queues"));
        let twice = [member("a", "", "one"), member("a", "", "two")];
        assert!(bound(&twice, "x", "a", "|").unwrap_err().contains("leads to 2 queues"));
    }
}
