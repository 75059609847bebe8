//! Claims whose worker has no lease: its entry was evicted, or deleted by hand.
//!
//! Whoever looks at leases sees nothing of them. So the claims themselves are looked for, which
//! stand in no list of ours that could not be lost in the same way: by `SCAN`, in bounded steps.
//! The workers of a fleet walk together, a step of 1,000 keys with each look at the leases, at each
//! start (and then faster) and a while after each walk's end; the command line looks for itself.

use std::{collections::BTreeMap, time::Duration};

use rhubarb_connection::{Error as RedisError, Redis};
use tokio::time::Instant;

use crate::{
    Client, Error,
    error::redis,
    keys::{OURS, QueueKeys},
    queue_name,
    scan::{KEYS_PER_SECOND, SCAN_COUNT, escaped},
    script,
};

/// What stands between a queue's keys' beginning and a worker's id.
const CLAIMS: &str = ":claims:";
/// How many keys of claims are looked at, about: there is one for each worker and queue.
const MOST_KEYS: usize = 100_000;
/// How many keys one step of a walk looks at.
const STEP: usize = 1000;
/// How many steps follow each other in a walk at the start: 10 ms of the server's time at the most.
const STEPS: usize = 20;

/// Claims of a worker without a lease.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Orphan {
    /// What the keys of its queue begin with, up to its name's end.
    head: String,
    /// The worker's id.
    pub worker: String,
}

impl Orphan {
    fn of(key: Vec<u8>) -> Option<Self> {
        let key = String::from_utf8(key).ok()?;
        let (head, worker) = key.rsplit_once(CLAIMS)?;
        Some(Self { head: head.to_owned(), worker: worker.to_owned() })
    }

    /// Tells whether it is on this queue.
    pub fn is_on(&self, queue: &QueueKeys) -> bool {
        queue.leases == self.leases()
    }

    fn leases(&self) -> String {
        format!("{}:leases", self.head)
    }

    fn claims(&self) -> String {
        format!("{}{CLAIMS}{}", self.head, self.worker)
    }

    /// Returns the name of its queue.
    pub fn queue(&self, client: &Client) -> Option<String> {
        let tag = self.head.strip_prefix(&client.keys().ours(""))?;
        let bare = tag.strip_prefix('{').and_then(|tag| tag.strip_suffix('}'));
        let names = [Some(tag), bare, tag.strip_prefix(OURS)].into_iter().flatten();
        names
            .filter(|name| queue_name::check(name, client.celery()).is_ok())
            .find(|name| self.is_on(&QueueKeys::new(name, client.celery())))
            .map(str::to_owned)
    }

    /// Gives it a lease of this length, or of the longest that a worker of its queue has; returns
    /// how many claims it has.
    pub async fn adopt(&self, redis_: &Redis, grace: Duration) -> Result<u64, Error> {
        let keys = [self.leases(), self.claims(), format!("{}:looks", self.head)];
        let args = [self.worker.clone().into_bytes(), grace.as_millis().to_string().into_bytes()];
        redis_
            .eval(&script::ORPHAN, &keys, &args, &[])
            .await
            .map_err(redis(format!("give the claims {} a lease", self.claims())))
    }

    /// Returns how many claims it has.
    pub async fn len(&self, redis_: &Redis) -> Result<u64, Error> {
        let mut count = ::redis::cmd("HLEN");
        count.arg(self.claims());
        redis_.query(&count).await.map_err(redis(format!("count the claims {}", self.claims())))
    }
}

/// Returns the pattern of all claims.
fn pattern(client: &Client) -> String {
    format!("{}*{CLAIMS}*", escaped(&client.keys().ours("")))
}

/// Looks for claims without a lease, for at most `effort` and at 250,000 keys for each second of
/// it.
///
/// Where Redis does not permit a `SCAN`, none is found.
pub async fn find(client: &Client, effort: Duration) -> Result<Vec<Orphan>, Error> {
    match scan(client, effort).await {
        Ok(keys) => unleased(client.queue(), keys).await,
        Err(RedisError::Refused { .. }) => Ok(Vec::new()),
        Err(source) => Err(redis("look for claims without a lease")(source)),
    }
}

/// Returns the queues that these are on.
pub fn queues(client: &Client, orphans: &[Orphan]) -> Vec<String> {
    orphans.iter().filter_map(|orphan| orphan.queue(client)).collect()
}

async fn scan(client: &Client, effort: Duration) -> Result<Vec<Vec<u8>>, RedisError> {
    let until = Instant::now() + effort;
    let most = effort.as_millis() * KEYS_PER_SECOND / 1000;
    let (mut cursor, mut looked_at, mut keys) = (0_u64, 0, Vec::new());
    loop {
        let mut scan = ::redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern(client)).arg("COUNT").arg(SCAN_COUNT);
        let (next, found): (u64, Vec<Vec<u8>>) = client.queue().query(&scan).await?;
        keys.extend(found);
        looked_at += SCAN_COUNT as u128;
        let is_spent = looked_at >= most || keys.len() >= MOST_KEYS || Instant::now() >= until;
        if next == 0 || is_spent {
            return Ok(keys);
        }
        cursor = next;
    }
}

/// Keeps of these claims those whose worker has no lease.
async fn unleased(redis_: &Redis, keys: Vec<Vec<u8>>) -> Result<Vec<Orphan>, Error> {
    let mut queues: BTreeMap<String, Vec<Orphan>> = BTreeMap::new();
    for one in keys.into_iter().filter_map(Orphan::of) {
        queues.entry(one.leases()).or_default().push(one);
    }
    let mut orphans = Vec::new();
    for (leases, mut held) in queues {
        held.sort();
        held.dedup();
        for held in held.chunks(STEP) {
            let mut ends = ::redis::cmd("ZMSCORE");
            ends.arg(&leases);
            for one in held {
                ends.arg(&one.worker);
            }
            let ends: Vec<Option<f64>> = match redis_.query(&ends).await {
                // Nobody can be looked after there before that key is gone.
                Err(error) if error.wrong_type().is_some() => continue,
                other => other.map_err(redis(format!("read the leases {leases}")))?,
            };
            let orphaned = held.iter().zip(ends).filter(|(_, end)| end.is_none());
            orphans.extend(orphaned.map(|(one, _)| one.clone()));
        }
    }
    Ok(orphans)
}

/// A worker's part in the fleet's walk.
#[derive(Debug)]
pub struct Walk {
    lease: Duration,
    due: Instant,
    /// Whether it has yet to begin one, whatever the others did.
    begins: bool,
    /// How many steps follow each other.
    steps: usize,
}

impl Walk {
    /// Prepares it; the first walk begins at once.
    pub fn new(lease: Duration) -> Self {
        Self { lease, due: Instant::now(), begins: true, steps: STEPS }
    }

    /// Takes some steps if one is due, and gives what is found one more period of a lease.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]; what was missed is found by the next walk.
    pub async fn go_on(&mut self, client: &Client) -> Result<(), Error> {
        if Instant::now() < self.due {
            return Ok(());
        }
        // Whatever becomes of it, no sooner than after a rest.
        self.due = Instant::now() + self.rest();
        for _ in 0..self.steps {
            let (wait, keys) = self.step(client).await?;
            self.begins = false;
            for orphan in unleased(client.queue(), keys).await? {
                self.adopt(client, &orphan).await?;
            }
            self.due = Instant::now() + wait;
            if !wait.is_zero() {
                self.steps = 1;
                break;
            }
        }
        Ok(())
    }

    async fn adopt(&self, client: &Client, orphan: &Orphan) -> Result<(), Error> {
        let n = orphan.adopt(client.queue(), self.lease).await?;
        if n > 0 {
            tracing::warn!(
                queue = orphan.queue(client),
                worker = orphan.worker,
                n,
                "a worker holds tasks and has no lease: they go back unless it renews one within a period"
            );
        }
        Ok(())
    }

    /// How long the fleet rests between two walks.
    fn rest(&self) -> Duration {
        4 * self.lease
    }

    async fn step(&self, client: &Client) -> Result<(Duration, Vec<Vec<u8>>), Error> {
        let args = [
            pattern(client),
            STEP.to_string(),
            self.rest().as_millis().to_string(),
            u8::from(self.begins).to_string(),
        ];
        let found: Vec<::redis::Value> = client
            .queue()
            .eval(&script::WALK, &[client.keys().walk()], &args.map(String::into_bytes), &[])
            .await
            .map_err(redis("look for claims without a lease"))?;
        let mut found = found.into_iter();
        let wait = found.next().and_then(|wait| ::redis::from_redis_value::<u64>(wait).ok());
        let keys = found.filter_map(|key| ::redis::from_redis_value(key).ok());
        Ok((Duration::from_millis(wait.unwrap_or_default()), keys.collect()))
    }
}

#[cfg(test)]
mod tests {
    use rhubarb_connection::Connections;

    use super::*;
    use crate::Config;

    #[tokio::test]
    async fn a_claims_key_says_whose_it_is_and_on_which_queue() {
        let mut config = Config::default();
        config.celery.global_keyprefix = "shop:".to_owned();
        let connections = Connections::new(&config.redis, "test").unwrap();
        let client = Client::new(&connections, &config);
        for name in ["celery", "{tag} and more", "{tag}", "{{tag}}", "a:claims:b", "grüße", "{}"]
        {
            let queue = QueueKeys::new(name, &config.celery);
            let key = queue.claims("node-1:77");
            let orphan = Orphan::of(key.clone().into_bytes()).unwrap();
            assert!(orphan.is_on(&queue), "{orphan:?}");
            assert_eq!((orphan.worker.as_str(), orphan.claims()), ("node-1:77", key));
            assert_eq!(orphan.queue(&client).as_deref(), Some(name));
        }
        assert_eq!(Orphan::of(b"rhubarb:{q}:leases".to_vec()), None);
        assert_eq!(Orphan::of(b"rhubarb:{q}:claims:\xff".to_vec()), None);
        let others = Orphan::of(b"rhubarb:{q}:claims:w".to_vec()).unwrap();
        assert_eq!(others.queue(&client), None);
    }
}
