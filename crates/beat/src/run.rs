//! The beat's life: wake, hold the lead, publish what is due; at the end let go of the lead.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    time::Duration,
};

use jiff::Timestamp;
use rhubarb_connection::{Backoff, Connections, Redis, Role};
use rhubarb_core::{class::Class, config::Config, shutdown::Shutdown};
use rhubarb_queue::{
    Client,
    tick::{Lead, Ticked, Ticks},
};

use crate::{
    Error,
    entry::{Entry, late},
    wake::Wakes,
};

/// How long letting go of the lead may take at the end; after that the lease ends by itself.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Publishes what the configuration's schedules ask for until `shutdown`.
///
/// While Redis cannot be reached it waits, with one log line, and does not lead.
///
/// # Errors
///
/// [`Error`]: a configuration that cannot work. None for a passing fault of Redis.
pub async fn run(config: &Config, shutdown: &Shutdown) -> Result<(), Error> {
    let mut beat = Beat::new(config)?;
    tokio::select! {
        reached = reach(&beat.redis) => reached?,
        () = shutdown.drained() => return Ok(()),
    }
    beat.announce();
    tokio::select! {
        never = beat.go_on() => match never {},
        () = shutdown.drained() => beat.leave().await,
    }
    Ok(())
}

/// Waits until the queue's Redis answers; only what waiting cannot change is an error.
async fn reach(redis: &Redis) -> Result<(), Error> {
    let mut backoff = Backoff::default();
    while let Err(error) = redis.ready().await {
        if error.class() != Class::Transient {
            return Err(Error::Redis(error));
        }
        backoff.sleep().await;
    }
    Ok(())
}

/// Where this beat stands among the beats.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// Redis has not told, or not since the last fault.
    Unknown,
    /// It leads under this fencing number.
    Leading(u64),
    /// That one leads.
    Behind(String),
}

struct Beat {
    redis: Redis,
    client: Client,
    ticks: Ticks,
    holder: String,
    lease: Duration,
    queues: BTreeMap<String, Vec<Entry>>,
    /// Every configured name, of disabled schedules too.
    names: BTreeSet<String>,
    standing: Standing,
    /// The last fault that was logged, so that a lasting one is logged once.
    fault: Option<String>,
}

impl Beat {
    fn new(config: &Config) -> Result<Self, Error> {
        let queues = Entry::by_queue(config)?;
        let connections = Connections::new(config, "rhubarb-beat").map_err(Error::Redis)?;
        let redis = connections.role(Role::Queue);
        let holder = config.process_id();
        let lease = config.beat.lease;
        Ok(Self {
            client: Client::new(&connections, config),
            ticks: Ticks::new(redis.clone(), &config.celery, &holder, lease),
            redis,
            holder,
            lease,
            queues,
            names: config.schedules.keys().cloned().collect(),
            standing: Standing::Unknown,
            fault: None,
        })
    }

    fn announce(&self) {
        let schedules = self.queues.values().map(Vec::len).sum::<usize>();
        tracing::info!(beat = self.holder, schedules, "beat ready");
        if schedules == 0 {
            tracing::warn!("no schedule is configured and enabled: nothing will be published");
        }
    }

    async fn go_on(&mut self) -> Infallible {
        let mut wakes = Wakes::default();
        let mut backoff = Backoff::default();
        loop {
            if let Err(error) = self.look().await {
                self.fail(error);
                backoff.sleep().await;
                continue;
            }
            self.fault = None;
            backoff.reset();
            tokio::select! {
                () = wakes.next() => {}
                // A lease shorter than three wakes would end between them.
                () = tokio::time::sleep(self.lease / 3) => {}
            }
        }
    }

    /// Whoever cannot reach Redis does not lead. That it is unreachable was logged by the connection.
    fn fail(&mut self, error: rhubarb_queue::Error) {
        self.standing = Standing::Unknown;
        if error.is_unreachable() {
            return;
        }
        let error = format!("{:#}", anyhow::Error::new(error));
        if self.fault.as_ref() != Some(&error) {
            tracing::warn!(error, "beat cannot do its work, trying again");
            self.fault = Some(error);
        }
    }

    async fn look(&mut self) -> Result<(), rhubarb_queue::Error> {
        let fence = match self.ticks.hold().await? {
            Lead::Ours { fence } => fence,
            Lead::Theirs { holder, .. } => {
                self.stand(Standing::Behind(holder));
                return Ok(());
            }
        };
        if self.standing != Standing::Leading(fence) {
            self.forget_gone().await?;
            self.stand(Standing::Leading(fence));
        }
        self.publish_due(fence).await
    }

    /// Logs each change of the lead once.
    fn stand(&mut self, standing: Standing) {
        if self.standing == standing {
            return;
        }
        match (&standing, &self.standing) {
            (Standing::Leading(fence), Standing::Behind(before)) => {
                tracing::info!(fence, before, "taking over: this beat leads");
            }
            (Standing::Leading(fence), _) => tracing::info!(fence, "this beat leads"),
            (Standing::Behind(leader), _) => {
                tracing::info!(leader, "standing by: another beat leads")
            }
            (Standing::Unknown, _) => {}
        }
        self.standing = standing;
    }

    /// Forgets the marks of schedules that the configuration no longer names.
    async fn forget_gone(&self) -> Result<(), rhubarb_queue::Error> {
        for queue in self.queues.keys() {
            let marked = self.ticks.last(queue).await?.into_keys();
            let gone: Vec<String> = marked.filter(|name| !self.names.contains(name)).collect();
            self.ticks.forget(queue, &gone).await?;
            for schedule in gone {
                tracing::info!(schedule, queue, "schedule is gone, its last tick is forgotten");
            }
        }
        Ok(())
    }

    /// Offers every schedule; a fault with one of them does not keep the others waiting.
    async fn publish_due(&mut self, fence: u64) -> Result<(), rhubarb_queue::Error> {
        let now = self.ticks.now().await?;
        let mut outcome = Ok(());
        for (queue, entries) in &self.queues {
            let last = self.ticks.last(queue).await?;
            for entry in entries {
                match self.offer(entry, last.get(&entry.schedule.name).copied(), now, fence).await {
                    Ok(Ticked::NotLeading) => {
                        tracing::warn!(fence, "the lead was lost: another beat has published");
                        self.standing = Standing::Unknown;
                        return outcome;
                    }
                    Ok(Ticked::Published | Ticked::AlreadyPublished) => {}
                    Err(error) if error.is_unreachable() => return Err(error),
                    Err(error) => outcome = Err(error),
                }
            }
        }
        outcome
    }

    /// Publishes the schedule's tick if one is due. One that was never seen is marked, to start from now.
    async fn offer(
        &self,
        entry: &Entry,
        last: Option<Timestamp>,
        now: Timestamp,
        fence: u64,
    ) -> Result<Ticked, rhubarb_queue::Error> {
        let Entry { schedule, queue } = entry;
        let name = &schedule.name;
        if last.is_none() {
            tracing::info!(schedule = name, queue, "schedule is new: it starts from now");
            return self.ticks.publish(name, now, fence, queue, 0, None).await;
        }
        let Some(tick) = schedule.due(last, now).tick else {
            return Ok(Ticked::AlreadyPublished);
        };
        let id = entry.id(tick);
        let envelope = self.client.message(entry.task(tick, now))?.envelope;
        let (priority, message) = (envelope.properties.priority, envelope.encode());
        let ticked = self.ticks.publish(name, tick, fence, queue, priority, Some(&message)).await?;
        if ticked == Ticked::Published {
            let late_ms = u64::try_from(late(tick, now).as_millis()).unwrap_or(u64::MAX);
            let task = &envelope.headers.task;
            tracing::info!(schedule = name, task, id, queue, due = %tick, late_ms, "tick published");
        }
        Ok(ticked)
    }

    async fn leave(&self) {
        let released = tokio::time::timeout(LAST_WORDS, self.ticks.release()).await;
        let clean = matches!(released, Ok(Ok(())));
        tracing::info!(beat = self.holder, lead_released = clean, "stopped");
    }
}
