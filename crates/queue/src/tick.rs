//! Beat's side of the queue: the lead, and ticks that are published exactly once.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use rhubarb_connection::Redis;
use rhubarb_core::config::CeleryConfig;

use crate::{
    Error,
    error::redis,
    keys::{self, QueueKeys},
    script,
};

/// Who leads among the beats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lead {
    /// We do, under this fencing number; it grows with each change of leader.
    Ours {
        /// The fencing number.
        fence: u64,
    },
    /// Another beat does.
    Theirs {
        /// Its id.
        holder: String,
        /// Its lease's rest.
        rest: Duration,
    },
}

/// What became of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ticked {
    /// It was published now.
    Published,
    /// It, or a later one, had been published before.
    AlreadyPublished,
    /// A beat with a greater fencing number has published since: we do not lead any more.
    NotLeading,
}

/// The lead and the ticks of beats, on the queue's database.
#[derive(Clone, Debug)]
pub struct Ticks {
    redis: Redis,
    celery: CeleryConfig,
    holder: String,
    lease: Duration,
}

impl Ticks {
    /// Prepares a beat's side; nothing is sent. `holder` has to be unique to this process.
    pub fn new(redis: Redis, celery: &CeleryConfig, holder: &str, lease: Duration) -> Self {
        Self { redis, celery: celery.clone(), holder: holder.to_owned(), lease }
    }

    /// Takes the lead if it is free, or keeps it. To be called at least three times a lease.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]; whoever cannot renew does not lead.
    pub async fn hold(&self) -> Result<Lead, Error> {
        let (ours, fence, rest, holder): (u8, u64, i64, String) = self.lease("hold").await?;
        Ok(match ours {
            1 => Lead::Ours { fence },
            _ => Lead::Theirs {
                holder,
                rest: Duration::from_millis(u64::try_from(rest).unwrap_or_default()),
            },
        })
    }

    /// Gives up the lead, so that the next beat takes it at once. Harmless when another leads.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]; the lease then ends by itself.
    pub async fn release(&self) -> Result<(), Error> {
        let _: (u8, u64, i64, String) = self.lease("release").await?;
        Ok(())
    }

    async fn lease<T: ::redis::FromRedisValue>(&self, what: &str) -> Result<T, Error> {
        let keys = [keys::BEAT_LEASE.to_owned(), keys::BEAT_FENCE.to_owned()];
        let lease = self.lease.as_millis().to_string();
        let args = [what.into(), self.holder.clone().into_bytes(), lease.into_bytes()];
        self.redis
            .eval(&script::BEAT_LEASE, &keys, &args, &[])
            .await
            .map_err(redis(format!("{what} the beat's lease")))
    }

    /// Returns Redis's clock.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn now(&self) -> Result<Timestamp, Error> {
        let (s, us): (i64, i32) =
            self.redis.query(&::redis::cmd("TIME")).await.map_err(redis("read Redis's clock"))?;
        Timestamp::new(s, us * 1000).map_err(|e| Error::Malformed {
            what: "Redis's clock".to_owned(),
            reason: e.to_string(),
        })
    }

    /// Returns each schedule's last tick on a queue.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn last(&self, queue: &str) -> Result<HashMap<String, Timestamp>, Error> {
        let keys = QueueKeys::new(queue, &self.celery);
        let stored: HashMap<String, i64> = self
            .redis
            .query(::redis::cmd("HGETALL").arg(&keys.ticks))
            .await
            .map_err(redis(format!("read the last ticks of queue `{queue}`")))?;
        let read = |(name, ms)| Timestamp::from_millisecond(ms).ok().map(|at| (name, at));
        Ok(stored.into_iter().filter_map(read).collect())
    }

    /// Publishes a schedule's tick and marks it, in one step; `None` for the message only marks it.
    ///
    /// The message is a whole envelope; it goes to the list of `priority`. Two beats that both believe to lead
    /// publish a tick once all the same: the mark decides.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have published; calling again answers [`Ticked::AlreadyPublished`].
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]; calling again is safe.
    pub async fn publish(
        &self,
        schedule: &str,
        tick: Timestamp,
        fence: u64,
        queue: &str,
        priority: u8,
        message: Option<&[u8]>,
    ) -> Result<Ticked, Error> {
        let keys = QueueKeys::new(queue, &self.celery);
        let list = keys.list_for(priority).to_owned();
        let args = [
            schedule.as_bytes().to_vec(),
            tick.as_millisecond().to_string().into_bytes(),
            fence.to_string().into_bytes(),
            message.unwrap_or_default().to_vec(),
        ];
        let answer: i64 = self
            .redis
            .eval(&script::TICK, &[keys.ticks, keys.fence, list], &args, &[])
            .await
            .map_err(redis(format!("publish the tick of schedule `{schedule}`")))?;
        Ok(match answer {
            1 => Ticked::Published,
            0 => Ticked::AlreadyPublished,
            _ => Ticked::NotLeading,
        })
    }

    /// Forgets the ticks of schedules that are gone, so that the marks do not grow for ever.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn forget(&self, queue: &str, names: &[String]) -> Result<(), Error> {
        if names.is_empty() {
            return Ok(());
        }
        let keys = QueueKeys::new(queue, &self.celery);
        let _: u64 = self
            .redis
            .query(::redis::cmd("HDEL").arg(&keys.ticks).arg(names))
            .await
            .map_err(redis(format!("forget ticks of queue `{queue}`")))?;
        Ok(())
    }
}
