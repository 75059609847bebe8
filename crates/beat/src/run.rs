//! The beat's life: wake, hold the lead, publish what is due; at the end let go of the lead.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use rhubarb_connection::{Backoff, Connections, Redis, Role, Spell};
use rhubarb_core::{class::Class, shutdown::Shutdown};
use rhubarb_queue::{
    Client, inspect,
    keys::QueueKeys,
    schedules::{All, Live, RedBeat, Schedules, Version},
    tick::{Lead, Record, Ticks},
};
use rhubarb_settings::Settings;
use tokio::time::Instant;

use crate::{
    Error,
    ages::Ages,
    book::{Book, Changes, Kept, gather},
    pulse::Pulse,
    wake::Wakes,
    webhook::Webhooks,
};

/// How long letting go of the lead may take at the end; after that the lease ends by itself.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How many faults that are not over are told apart.
const FAULTS: usize = 50;
/// For how long a fault must not have come until it is news again.
const FAULT_OVER: Duration = Duration::from_secs(60);
/// How often a beat that stands by says so.
const STANDING: Duration = Duration::from_secs(3_600);

/// Publishes what the schedules ask for until `shutdown`.
///
/// While Redis cannot be reached it waits, with one log line, and does not lead.
///
/// # Errors
///
/// [`Error`]: a configuration that cannot work. None for a passing fault of Redis.
pub async fn run(config: &Settings, shutdown: &Shutdown) -> Result<(), Error> {
    let connections = Connections::new(&config.redis, "rhubarb-beat").map_err(Error::Redis)?;
    run_on(config, &connections, shutdown).await
}

/// As [`run`], on connections that the process has already and that others use too.
///
/// # Errors
///
/// As for [`run`].
pub async fn run_on(
    config: &Settings,
    connections: &Connections,
    shutdown: &Shutdown,
) -> Result<(), Error> {
    let mut beat = Beat::new(config, connections, shutdown)?;
    let vital = rhubarb_probe::serve(config.beat.http, beat.pulse.clone());
    tokio::select! {
        never = vital => match never {},
        ran = live(&mut beat, connections, shutdown) => ran,
    }
}

async fn live(
    beat: &mut Beat<'_>,
    connections: &Connections,
    shutdown: &Shutdown,
) -> Result<(), Error> {
    tokio::select! {
        reached = reach(&beat.redis) => reached?,
        () = shutdown.drained() => return Ok(()),
    }
    beat.announce();
    let told = rhubarb_monitor::boot::tell(connections, &[Role::Queue]);
    let going_on = async { tokio::join!(beat.go_on(), told).0 };
    tokio::select! {
        never = going_on => match never {},
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

/// What one look at the schedules left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looked {
    /// All that is due was published.
    Done,
    /// More is due: the next look is at once.
    More,
}

pub(crate) struct Beat<'a> {
    pub(crate) config: &'a Settings,
    redis: Redis,
    pub(crate) client: Client,
    pub(crate) ticks: Ticks,
    schedules: Schedules,
    holder: String,
    lease: Duration,
    standing: Standing,
    /// What was last said of it, and when: a fault in between changes nothing that is worth a line.
    last_said: Standing,
    said: Instant,
    /// The greatest fencing number that this beat has met.
    greatest: u64,
    pub(crate) book: Book,
    /// The queues that earlier leaders were shut out of.
    assumed: BTreeSet<String>,
    /// The queues whose schedules stand still, since our keys of theirs are of another type.
    barred: BTreeSet<String>,
    /// When all was read last.
    taken_up: Instant,
    /// The number of edits of the live schedules that the book has seen.
    version: Version,
    redbeat: RedBeat,
    /// The problems of entries that were logged.
    told: BTreeSet<(String, String)>,
    pub(crate) hooks: Webhooks,
    ages: Ages,
    /// The faults that were logged, so that each is once, however many take turns.
    faults: BTreeMap<String, Spell>,
    pulse: Arc<Pulse>,
}

impl<'a> Beat<'a> {
    fn new(
        config: &'a Settings,
        connections: &Connections,
        shutdown: &Shutdown,
    ) -> Result<Self, Error> {
        let of_file = All::of(config.scheduled(), Live::default(), &RedBeat::default());
        if let Some(wrong) = of_file.problems.into_iter().next() {
            return Err(Error::Schedule { name: wrong.name, problem: wrong.problem });
        }
        let (client, redis) = (Client::new(connections, config), connections.role(Role::Queue));
        let holder = config.process_id();
        let lease = config.beat.lease;
        Ok(Self {
            config,
            ticks: Ticks::new(redis.clone(), &config.celery, &holder, lease),
            schedules: Schedules::new(&client),
            client,
            redis,
            holder,
            lease,
            standing: Standing::Unknown,
            last_said: Standing::Unknown,
            said: Instant::now(),
            greatest: 0,
            book: Book::default(),
            assumed: BTreeSet::new(),
            barred: BTreeSet::new(),
            taken_up: Instant::now(),
            version: Version::default(),
            redbeat: RedBeat::default(),
            told: BTreeSet::new(),
            hooks: Webhooks::new(&config.beat, &config.notify),
            ages: Ages::new(config.notify.queue_age),
            faults: BTreeMap::new(),
            pulse: Arc::new(Pulse::new(lease, shutdown)),
        })
    }

    fn announce(&self) {
        let schedules = self.config.schedules.values().filter(|entry| entry.enabled).count();
        tracing::info!(beat = self.holder, schedules, "beat ready");
        rhubarb_core::process::ready();
    }

    async fn go_on(&mut self) -> Infallible {
        let mut wakes = Wakes::default();
        let mut backoff = Backoff::default();
        loop {
            let looked = match self.look().await {
                Ok(looked) => {
                    self.tell();
                    looked
                }
                Err(error) => {
                    self.fail(error);
                    self.tell();
                    backoff.sleep().await;
                    continue;
                }
            };
            backoff.reset();
            if looked == Looked::More {
                continue;
            }
            tokio::select! {
                () = wakes.next() => {}
                // A lease shorter than three wakes would end between them.
                () = tokio::time::sleep(self.lease / 3) => {}
            }
        }
    }

    /// Tells its health that the loop turns.
    fn tell(&self) {
        let leads = match &self.standing {
            Standing::Unknown => None,
            Standing::Leading(_) => Some(true),
            Standing::Behind(_) => Some(false),
        };
        self.pulse.turn(leads, self.book.n_on());
    }

    /// Whoever cannot reach Redis does not lead.
    fn fail(&mut self, error: rhubarb_queue::Error) {
        self.standing = Standing::Unknown;
        self.warn_once(error);
    }

    /// Logs a fault that the connection has not logged: when it begins, and once a minute.
    pub(crate) fn warn_once(&mut self, error: rhubarb_queue::Error) {
        if error.is_logged() {
            return;
        }
        let error = format!("{:#}", anyhow::Error::new(error));
        let now = std::time::Instant::now();
        self.faults.retain(|_, spell| spell.over(now).is_none());
        if let Some(spell) = self.faults.get_mut(&error) {
            if let Some(lasted) = spell.again(now) {
                let lasts_s = lasted.as_secs();
                tracing::warn!(error, lasts_s, "beat still cannot do its work, trying again");
            }
        } else if self.faults.len() < FAULTS {
            tracing::warn!(error, "beat cannot do its work, trying again");
            self.faults.insert(error, Spell::begin(FAULT_OVER, now));
        }
    }

    async fn look(&mut self) -> Result<Looked, rhubarb_queue::Error> {
        let (fence, now) = match self.ticks.hold(self.greatest).await? {
            Lead::Ours { fence, now } => (fence, now),
            Lead::Theirs { holder, leading, .. } => {
                self.stand_behind(&holder, leading);
                return Ok(Looked::Done);
            }
        };
        if self.standing != Standing::Leading(fence) {
            if !self.assume(fence, now).await? {
                return Ok(Looked::Done);
            }
        } else if self.tries_again() {
            // Until the book is open again, what is in Redis counts.
            self.standing = Standing::Unknown;
            if !self.take_up(fence, now).await? {
                return Ok(Looked::Done);
            }
            self.standing = Standing::Leading(fence);
        } else if self.changed().await? {
            let all = self.all().await?;
            let (kept, removed) = std::mem::take(&mut self.book).close(&all);
            // Until the book is open again, what is in Redis counts.
            self.standing = Standing::Unknown;
            if !self.open(all, kept, removed, (fence, now)).await? {
                return Ok(Looked::Done);
            }
            self.standing = Standing::Leading(fence);
        }
        self.ages.look(&self.client, &mut self.hooks);
        let begun = Instant::now();
        let more = self.publish_due(fence, now).await?;
        let (holder, n) = (&self.holder, self.book.n_on());
        if self.standing == Standing::Leading(fence) && self.book.all_on_time() {
            let event = || serde_json::json!({ "event": "alive", "beat": holder, "schedules": n });
            self.hooks.ping(event);
        }
        tracing::trace!(elapsed_ms = begun.elapsed().as_millis(), "looked");
        Ok(if more { Looked::More } else { Looked::Done })
    }

    /// Says that another beat leads: when it is news, and each hour.
    fn stand_behind(&mut self, leader: &str, leading: Duration) {
        let standing = Standing::Behind(leader.to_owned());
        if self.standing != standing {
            self.standing = standing.clone();
            self.book = Book::default();
        }
        if self.last_said != standing || self.said.elapsed() >= STANDING {
            let leading_s = leading.as_secs();
            tracing::info!(leader, leading_s, "standing by: another beat leads");
            self.said = Instant::now();
            self.last_said = standing;
        }
    }

    /// Says that this beat leads, when it is news.
    fn lead(&mut self, fence: u64) {
        self.standing = Standing::Leading(fence);
        if self.last_said == self.standing {
            return;
        }
        match &self.last_said {
            Standing::Behind(before) => {
                tracing::info!(fence, before, "taking over: this beat leads");
            }
            _ => tracing::info!(fence, "this beat leads"),
        }
        self.last_said = self.standing.clone();
        if self.book.n_on() == 0 && self.barred.is_empty() {
            tracing::warn!("no schedule is configured and enabled: nothing is published");
        }
    }

    /// Begins to lead: shuts earlier leaders out, reads what they left, and opens the book. False
    /// when it lost the lead again.
    async fn assume(&mut self, fence: u64, now: Timestamp) -> Result<bool, rhubarb_queue::Error> {
        if let Some(prefix) = RedBeat::obeyed(&self.config.beat, &self.config.celery) {
            self.redbeat = RedBeat::read(&self.redis, prefix, None).await?.unwrap_or_default();
        }
        if !self.take_up(fence, now).await? {
            return Ok(false);
        }
        self.lead(fence);
        Ok(true)
    }

    /// Shuts earlier leaders out, reads what is kept of all schedules and opens the book; false
    /// when a later beat has led.
    async fn take_up(&mut self, fence: u64, now: Timestamp) -> Result<bool, rhubarb_queue::Error> {
        let mut all = self.all().await?;
        let mut queues: BTreeSet<String> =
            all.known.values().map(|known| known.queue.clone()).collect();
        queues.extend(inspect::queue_names(&self.client, &[]).await?);
        self.assumed.clear();
        let mut kept = Kept::new();
        let mut stale: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut barred = BTreeSet::new();
        for queue in &queues {
            let records = match self.shut_out(queue, fence).await {
                Ok(false) => return Ok(false),
                Ok(true) => self.ticks.records(queue).await,
                Err(error) => Err(error),
            };
            match records {
                Ok(records) => {
                    for (queue, name) in gather(&mut kept, queue, records) {
                        stale.entry(queue).or_default().push(name);
                    }
                }
                Err(error) if error.wrong_type().is_some() => {
                    if self.bar(&mut all, queue, error) {
                        barred.insert(queue.clone());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        self.barred = barred;
        self.taken_up = Instant::now();
        self.open(all, kept, stale, (fence, now)).await
    }

    /// Leaves the schedules of a queue alone whose keys of ours are of another type; those of the
    /// others go on. False when there are none.
    fn bar(&self, all: &mut All, queue: &str, error: rhubarb_queue::Error) -> bool {
        let n = all.leave(queue);
        if n > 0 && !self.barred.contains(queue) {
            let error = format!("{:#}", anyhow::Error::new(error));
            let QueueKeys { ticks, fence, .. } = QueueKeys::new(queue, &self.config.celery);
            tracing::warn!(
                queue,
                schedules = n,
                error,
                ticks,
                fence,
                "the schedules of this queue stand still until the key of another type is moved away"
            );
        }
        n > 0
    }

    /// Tells whether it is time to look whether a queue is usable again whose schedules stand
    /// still.
    fn tries_again(&self) -> bool {
        !self.barred.is_empty() && self.taken_up.elapsed() >= self.lease
    }

    /// Shuts earlier leaders out of a queue; false when a later one has been there.
    async fn shut_out(&mut self, queue: &str, fence: u64) -> Result<bool, rhubarb_queue::Error> {
        if let Some(greater) = self.ticks.assume(queue, fence).await? {
            tracing::warn!(
                fence,
                greater,
                queue,
                "a later beat has led: reaching for the lead anew"
            );
            self.greatest = self.greatest.max(greater);
            self.standing = Standing::Unknown;
            self.ticks.release().await?;
            return Ok(false);
        }
        self.assumed.insert(queue.to_owned());
        Ok(true)
    }

    /// Returns all schedules, and logs each problem once.
    ///
    /// The live ones are read each time: what they are as text is not kept in memory.
    async fn all(&mut self) -> Result<All, rhubarb_queue::Error> {
        let live = self.schedules.live().await?;
        self.version = live.version.clone();
        let all = All::of(self.config.scheduled(), live, &self.redbeat);
        let mut told = BTreeSet::new();
        for wrong in &all.problems {
            let problem = (wrong.name.clone(), wrong.problem.clone());
            if !self.told.contains(&problem) {
                let (schedule, owner) = (&wrong.name, wrong.owner.to_string());
                tracing::warn!(schedule, owner, problem = wrong.problem, "schedule cannot be used");
            }
            told.insert(problem);
        }
        self.told = told;
        Ok(all)
    }

    /// Tells whether schedules were edited since the last look.
    async fn changed(&mut self) -> Result<bool, rhubarb_queue::Error> {
        let mut changed = self.schedules.version().await? != self.version;
        if let Some(prefix) = RedBeat::obeyed(&self.config.beat, &self.config.celery) {
            let read = RedBeat::read(&self.redis, prefix, Some(&self.redbeat)).await?;
            if let Some(redbeat) = read {
                if redbeat.locked {
                    tracing::warn!(
                        "a beat of Python's RedBeat leads: its entries are left to it until it is gone"
                    );
                }
                self.redbeat = redbeat;
                changed = true;
            }
        }
        Ok(changed)
    }

    /// Opens the book and makes Redis say what it says; false when a later beat has led.
    async fn open(
        &mut self,
        all: All,
        kept: Kept,
        forget: BTreeMap<String, Vec<String>>,
        (fence, now): (u64, Timestamp),
    ) -> Result<bool, rhubarb_queue::Error> {
        let (book, changes) = Book::open(all, kept, now);
        let queues: Vec<String> = book
            .queues()
            .into_iter()
            .filter(|queue| !self.assumed.contains(*queue))
            .map(str::to_owned)
            .collect();
        for queue in queues {
            if !self.shut_out(&queue, fence).await? {
                return Ok(false);
            }
        }
        self.write(fence, &book, changes, forget).await?;
        self.book = book;
        Ok(true)
    }

    async fn write(
        &self,
        fence: u64,
        book: &Book,
        changes: Changes,
        forget: BTreeMap<String, Vec<String>>,
    ) -> Result<(), rhubarb_queue::Error> {
        for (schedule, from) in changes.new.iter().take(100) {
            tracing::info!(schedule, %from, "schedule is new: its ticks count from then on");
        }
        for (queue, notes) in &changes.note {
            let notes: Vec<(&str, &Record)> = notes.iter().map(|idx| book.named(*idx)).collect();
            self.ticks.note(queue, fence, &notes).await?;
        }
        // What moved to another queue is noted there by now.
        for (queue, names) in changes.forget.iter().chain(&forget) {
            self.ticks.forget(queue, names).await?;
            for schedule in names.iter().take(100) {
                tracing::info!(schedule, queue, "schedule is gone, its history is forgotten");
            }
        }
        Ok(())
    }

    /// Stops leading until the next look.
    pub(crate) fn lose(&mut self) {
        self.standing = Standing::Unknown;
    }

    pub(crate) fn lease(&self) -> Duration {
        self.lease
    }

    async fn leave(&self) {
        // Whoever has led may do so still, whatever its last look ended with.
        if !matches!(self.last_said, Standing::Leading(_)) {
            tracing::info!(beat = self.holder, "stopped");
            return;
        }
        let released = tokio::time::timeout(LAST_WORDS, self.ticks.release()).await;
        let released = matches!(released, Ok(Ok(true)));
        tracing::info!(beat = self.holder, lead_released = released, "stopped");
    }
}
