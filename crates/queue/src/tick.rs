//! Beat's side of the queue: the lead, and ticks that are published exactly once.
//!
//! A beat takes the lease and with it a fencing number. Before it publishes it shuts earlier
//! leaders out of each queue ([`Ticks::assume`]) and reads what they had marked
//! ([`Ticks::records`]): from then on nobody else can write there until a greater number comes, so
//! that what it has in memory is what is in Redis.

mod record;

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use rhubarb_connection::Redis;

pub use self::record::Record;

use crate::{
    Client, Error,
    config::CeleryConfig,
    error::redis,
    hash,
    keys::{Keys, QueueKeys},
    script,
};

/// How many records one call of a script writes.
const BATCH: usize = 250;

/// Who leads among the beats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lead {
    /// We do.
    Ours {
        /// The fencing number; it grows with each change of leader.
        fence: u64,
        /// Redis's clock.
        now: Timestamp,
    },
    /// Another beat does.
    Theirs {
        /// Its id.
        holder: String,
        /// How long it has been leading.
        leading: Duration,
        /// Its lease's rest.
        rest: Duration,
    },
}

/// What became of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ticked {
    /// It was published, or passed over, now.
    Done {
        /// How late the publication was, ms.
        late_ms: u64,
    },
    /// It, or a later one, was before.
    Before,
    /// A beat with a greater fencing number has written since: we do not lead any more.
    NotLeading,
}

/// A tick to be published or passed over.
#[derive(Clone, Copy, Debug)]
pub struct Tick<'a> {
    /// The schedule's name.
    pub schedule: &'a str,
    /// The queue.
    pub queue: &'a str,
    /// The message, a whole envelope, and its priority; absent to pass the tick over.
    pub message: Option<(&'a [u8], u8)>,
    /// The record as it is to be afterwards; of a publication the script fills in its time and
    /// lateness.
    pub record: &'a Record,
}

/// The lead and the ticks of beats, on the queue's database.
#[derive(Clone, Debug)]
pub struct Ticks {
    redis: Redis,
    celery: CeleryConfig,
    holder: String,
    lease: Duration,
}

/// What the lease's script answers: whether we lead, fencing number, since (ms), rest (ms), holder,
/// now (us).
type Lease = (u8, u64, i64, i64, String, i64);

impl Ticks {
    /// Prepares a beat's side; nothing is sent. `holder` has to be unique to this process.
    pub fn new(redis: Redis, celery: &CeleryConfig, holder: &str, lease: Duration) -> Self {
        Self { redis, celery: celery.clone(), holder: holder.to_owned(), lease }
    }

    /// Takes the lead if it is free, or keeps it. To be called at least three times a lease.
    ///
    /// A new fencing number is greater than `least`, the greatest that this beat has met: so that a
    /// counter that was lost or deleted does not shut all beats out.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]; whoever cannot renew does not lead.
    pub async fn hold(&self, least: u64) -> Result<Lead, Error> {
        let (ours, fence, since, rest, holder, now) = self.lease("hold", least).await?;
        let now = clock(now)?;
        if ours == 1 {
            return Ok(Lead::Ours { fence, now });
        }
        let millis = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or_default());
        let leading = millis(now.as_millisecond().saturating_sub(since));
        Ok(Lead::Theirs { holder, leading, rest: millis(rest) })
    }

    /// Gives up the lead, so that the next beat takes it at once; tells whether it was ours.
    /// Harmless when another leads.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]; the lease then ends by itself.
    pub async fn release(&self) -> Result<bool, Error> {
        self.lease("release", 0).await.map(|(ours, ..)| ours == 1)
    }

    async fn lease(&self, what: &str, least: u64) -> Result<Lease, Error> {
        let keys = Keys::new(&self.celery);
        let keys = [keys.beat_lease(), keys.beat_fence()];
        let lease = self.lease.as_millis().to_string();
        let args = [
            what.into(),
            self.holder.clone().into_bytes(),
            lease.into_bytes(),
            least.to_string().into_bytes(),
        ];
        self.redis
            .eval(&script::BEAT_LEASE, &keys, &args, &[])
            .await
            .map_err(redis(format!("{what} the beat's lease")))
    }

    /// Shuts every beat with a lesser fencing number out of the queue's ticks, and makes the queue
    /// known.
    ///
    /// Returns the greater number of another beat, if there is one: then nothing was changed.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]; calling again is safe.
    pub async fn assume(&self, queue: &str, fence: u64) -> Result<Option<u64>, Error> {
        let mut declare = ::redis::pipe();
        crate::client::declare(&mut declare, queue, &self.celery);
        let _: ::redis::Value = self
            .redis
            .pipe(&declare)
            .await
            .map_err(redis(format!("declare the queue `{queue}`")))?;
        self.note(queue, fence, &[]).await
    }

    /// Writes records of schedules without publishing; returns the greater number of another beat,
    /// if there is one.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have written some of them; calling again is safe.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]; calling again is safe.
    pub async fn note(
        &self,
        queue: &str,
        fence: u64,
        records: &[(&str, &Record)],
    ) -> Result<Option<u64>, Error> {
        let keys = QueueKeys::new(queue, &self.celery);
        let keys = [keys.ticks, keys.fence];
        let mut batches = records.chunks(BATCH).peekable();
        loop {
            let mut args = vec![fence.to_string().into_bytes()];
            for (name, record) in batches.next().unwrap_or_default() {
                args.extend([name.as_bytes().to_vec(), record.encode().into_bytes()]);
            }
            let greater: u64 = self
                .redis
                .eval(&script::TICK_NOTE, &keys, &args, &[])
                .await
                .map_err(redis(format!("note schedules of queue `{queue}`")))?;
            if greater != 0 {
                return Ok(Some(greater));
            }
            if batches.peek().is_none() {
                return Ok(None);
            }
        }
    }

    /// Returns the record of each schedule of a queue. What cannot be read is left out: the
    /// schedule starts from now.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn records(&self, queue: &str) -> Result<HashMap<String, Record>, Error> {
        let keys = QueueKeys::new(queue, &self.celery);
        let what = format!("read the ticks of queue `{queue}`");
        let mut records = HashMap::new();
        hash::scan(&self.redis, &keys.ticks, &what, |name, text| {
            records.extend(Record::decode(&text).map(|record| (name, record)));
        })
        .await?;
        Ok(records)
    }

    /// Publishes a schedule's tick and marks it, in one step, or passes it over.
    ///
    /// Two beats that both believe to lead publish a tick once all the same: the mark and the fence
    /// decide.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have published; calling again answers [`Ticked::Before`].
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]; calling again is safe.
    pub async fn publish(&self, fence: u64, tick: Tick<'_>) -> Result<Ticked, Error> {
        let Tick { schedule, queue, message, record } = tick;
        let keys = QueueKeys::new(queue, &self.celery);
        let (message, priority) = message.unwrap_or_default();
        let list = keys.list_for(priority).to_owned();
        let args = [
            schedule.as_bytes().to_vec(),
            record.tick.as_millisecond().to_string().into_bytes(),
            fence.to_string().into_bytes(),
            message.to_vec(),
            record.counts().into_bytes(),
            record.times().into_bytes(),
            record.rest().into_bytes(),
        ];
        let (answer, late_ms): (i64, u64) = self
            .redis
            .eval(&script::TICK, &[keys.ticks, keys.fence, list], &args, &[])
            .await
            .map_err(redis(format!("publish the tick of schedule `{schedule}`")))?;
        Ok(match answer {
            1 => Ticked::Done { late_ms },
            0 => Ticked::Before,
            _ => Ticked::NotLeading,
        })
    }

    /// Forgets schedules, so that their records do not grow for ever.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn forget(&self, queue: &str, names: &[String]) -> Result<(), Error> {
        let keys = QueueKeys::new(queue, &self.celery);
        for names in names.chunks(BATCH) {
            let _: u64 = self
                .redis
                .query(::redis::cmd("HDEL").arg(&keys.ticks).arg(names))
                .await
                .map_err(redis(format!("forget schedules of queue `{queue}`")))?;
        }
        Ok(())
    }
}

/// Reads who leads and for how long, without reaching for the lead.
pub(crate) async fn leader(client: &Client) -> Result<Option<(String, Duration)>, Error> {
    let mut look = ::redis::pipe();
    look.cmd("GET").arg(client.keys().beat_lease()).cmd("TIME");
    let (lease, (s, us)): (Option<String>, (i64, i64)) =
        client.queue().pipe(&look).await.map_err(redis("read the beat's lease"))?;
    let now = s.saturating_mul(1_000).saturating_add(us / 1_000);
    let read = |lease: String| {
        let mut parts = lease.splitn(3, ' ').skip(1);
        let since: i64 = parts.next()?.parse().ok()?;
        let leading = u64::try_from(now.saturating_sub(since)).unwrap_or_default();
        Some((parts.next()?.to_owned(), Duration::from_millis(leading)))
    };
    Ok(lease.and_then(read))
}

fn clock(us: i64) -> Result<Timestamp, Error> {
    Timestamp::from_microsecond(us)
        .map_err(|e| Error::Malformed { what: "Redis's clock".to_owned(), reason: e.to_string() })
}
