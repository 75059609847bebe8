//! What becomes of tasks, told to whoever looks later: the history and the statistics.
//!
//! No end waits for it: what does not fit into the buffer, or is refused, is dropped and counted.
//! Ends are gathered for a moment, so that a busy worker pays one command for a hundred of them.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use rhubarb_connection::memory;
use rhubarb_core::{clock, secrets::Secrets};
use rhubarb_queue::{
    config::HistoryConfig,
    history::{self, ENTRY_ENDS, Entry},
    statistics::{Histogram, Statistics},
};
use rhubarb_wire::brief;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    broker::Broker,
    delivery::{Message, Settlement},
    outcome::Outcome,
};

/// How many ends wait to be written at the most.
const BUFFER: usize = 10_000;
/// How long the first end of an entry waits for others.
const GATHER: Duration = Duration::from_millis(100);
/// The most bytes of a text that a waiting end holds, and of a traceback, its end.
const MAX_TEXT: usize = 2048;
const MAX_TRACEBACK: usize = 8192;
/// How often the history is looked at for its size and age.
const TRIM: Duration = Duration::from_secs(10);
/// How long the last ends may take when the worker ends.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The history has at most this part of a server's `maxmemory`.
const PART: u64 = 10;

/// One end, before it is written. It holds copies of what is kept, and not the message: a hundred
/// large ones, or ten thousand, would stay in memory until Redis has answered.
#[derive(Debug)]
pub(crate) struct Story {
    of: Entry<'static>,
    queue: usize,
    state: &'static str,
    at: Timestamp,
    ran: Option<Duration>,
    due: Option<Timestamp>,
    result: Option<String>,
    error: Option<String>,
    traceback: Option<String>,
}

/// What is counted of one task's ends, by queue and state.
#[derive(Debug, Default)]
struct Tally {
    ends: Vec<(usize, &'static str, u64)>,
    run: Histogram,
    wait: Histogram,
    /// Claims of which a worker had died before.
    redelivered: u64,
}

/// What takes ends, and counts them.
#[derive(Debug)]
pub(crate) struct Chronicle {
    sender: Option<mpsc::Sender<Story>>,
    tallies: Mutex<HashMap<String, Tally>>,
    counts: Mutex<Statistics>,
    /// What was added to the fleet's counts since the start.
    written: Mutex<Statistics>,
    dropped: AtomicU64,
}

impl Chronicle {
    /// Returns what takes ends, and the ends to be written; none where no history is kept.
    pub(crate) fn new(config: &HistoryConfig) -> (Self, mpsc::Receiver<Story>) {
        let (sender, stories) = mpsc::channel(BUFFER);
        let sender = (config.ends > 0).then_some(sender);
        let this = Self {
            sender,
            tallies: Mutex::default(),
            counts: Mutex::default(),
            written: Mutex::default(),
            dropped: AtomicU64::new(0),
        };
        (this, stories)
    }

    /// Counts a settlement that ends a task or changes its state, and takes it down.
    pub(crate) fn note(&self, settlement: &Settlement) {
        let outcome = &settlement.ending.outcome;
        let Some(state) = state(outcome) else { return };
        self.tally(settlement, state);
        let Some(sender) = &self.sender else { return };
        let Some(of) = of(&settlement.message) else { return };
        let mut story = Story {
            of,
            queue: settlement.claim.queue,
            state,
            at: clock::now(),
            ran: settlement.ran,
            due: None,
            result: None,
            error: None,
            traceback: None,
        };
        story.tell(outcome);
        if sender.try_send(story).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn tally(&self, settlement: &Settlement, state: &'static str) {
        let (name, waited, died) = match &settlement.message {
            Message::Read(received) => {
                let died = !received.deaths.is_empty();
                (received.envelope.headers.task.as_str(), received.waited, died)
            }
            Message::Raw(raw) => (raw.task.as_deref().unwrap_or_default(), None, false),
        };
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = match tallies.get_mut(name) {
            Some(tally) => tally,
            None => tallies.entry(name.to_owned()).or_default(),
        };
        let queue = settlement.claim.queue;
        match tally.ends.iter_mut().find(|(q, s, _)| (*q, *s) == (queue, state)) {
            Some((.., n)) => *n += 1,
            None => tally.ends.push((queue, state, 1)),
        }
        tally.redelivered += u64::from(died);
        if let Some(ran) = settlement.ran {
            tally.run.add(ran);
            // Of what ran only: that a task is refused at once says nothing of how long tasks wait.
            waited.inspect(|waited| tally.wait.add(*waited));
        }
    }

    /// Counts something else.
    pub(crate) fn count(&self, what: &str, n: u64) {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).count(what, n);
    }

    /// Takes what was counted since the last time; `name` knows the queues' names.
    pub(crate) fn take(&self, name: impl Fn(usize) -> String) -> Statistics {
        let mut counted =
            std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        let tallies =
            std::mem::take(&mut *self.tallies.lock().unwrap_or_else(PoisonError::into_inner));
        for (task, tally) in tallies {
            for (queue, state, n) in tally.ends {
                counted.ends(&name(queue), &task, state, n);
            }
            counted.runs(&task, &tally.run);
            counted.waits(&task, &tally.wait);
            counted.count("redelivered", tally.redelivered);
        }
        counted.count("unrecorded", self.dropped.swap(0, Ordering::Relaxed));
        counted
    }

    /// Notes what was added to the fleet's counts.
    pub(crate) fn note_written(&self, counted: &Statistics) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).merge(counted);
    }

    /// Returns all that was added to the fleet's counts since the start.
    pub(crate) fn written(&self) -> Statistics {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts back what could not be written.
    pub(crate) fn put_back(&self, counted: &Statistics) {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).merge(counted);
    }
}

/// Returns what an outcome is called in the history; none where nothing has changed for the task.
fn state(outcome: &Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Success(_) => Some("SUCCESS"),
        Outcome::Failure { .. } => Some("FAILURE"),
        Outcome::Retry { .. } => Some("RETRY"),
        Outcome::Revoked(_) => Some("REVOKED"),
        Outcome::Dead { .. } => Some("DEAD"),
        Outcome::Unknown => Some("PARKED"),
        Outcome::Ignored => Some("IGNORED"),
        Outcome::Rejected { .. } => Some("REJECTED"),
        Outcome::PutOff { .. }
        | Outcome::NotDue { .. }
        | Outcome::Leave
        | Outcome::Died { .. }
        | Outcome::HandBack => None,
    }
}

/// Returns what the message tells of its task; none where it does not even tell an id.
fn of(message: &Message) -> Option<Entry<'static>> {
    let own = |text: &str| Cow::Owned(text.to_owned());
    match message {
        Message::Read(received) => {
            let headers = &received.envelope.headers;
            let named = |name: &Option<String>| name.as_deref().map(cut).map(own);
            let root = headers.root_id.as_deref().filter(|root| *root != headers.id);
            Some(Entry {
                id: own(cut(&headers.id)),
                task: own(cut(&headers.task)),
                retries: headers.retries,
                args: named(&headers.argsrepr),
                kwargs: named(&headers.kwargsrepr),
                parent: named(&headers.parent_id),
                root: root.map(cut).map(own),
                origin: named(&headers.origin),
                ..Entry::default()
            })
        }
        Message::Raw(raw) => Some(Entry {
            id: own(cut(raw.task_id.as_deref()?)),
            task: own(cut(raw.task.as_deref().unwrap_or_default())),
            ..Entry::default()
        }),
    }
}

/// Returns the beginning of a text from outside: more than is kept, so that its cut is told there.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

/// Returns the end of a traceback.
fn tail(text: &str) -> String {
    text[text.ceil_char_boundary(text.len().saturating_sub(MAX_TRACEBACK))..].to_owned()
}

impl Story {
    fn tell(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Success(value) => self.result = Some(brief(value)),
            Outcome::Failure { exception, traceback } => {
                self.error = Some(cut(&exception.to_string()).to_owned());
                self.traceback = traceback.as_deref().map(tail);
            }
            Outcome::Retry { exception, traceback, after, again } => {
                self.error = Some(cut(&exception.to_string()).to_owned());
                self.traceback = traceback.as_deref().map(tail);
                self.due = again.at.or_else(|| self.at.checked_add(*after).ok());
            }
            Outcome::Revoked(revocation) => self.error = Some(revocation.exception().to_string()),
            Outcome::Dead { reason, .. } | Outcome::Rejected { reason, .. } => {
                self.error = Some(cut(reason).to_owned());
            }
            _ => {}
        }
    }

    fn entry<'a>(&'a self, queue: &'a str, secrets: &'a Secrets) -> Entry<'a> {
        let hide = |text: Option<&'a str>| text.map(|text| secrets.hide(text));
        let of = &self.of;
        Entry {
            queue: queue.into(),
            state: self.state.into(),
            at: self.at.as_millisecond(),
            ran: self.ran.map(|ran| u64::try_from(ran.as_micros()).unwrap_or(u64::MAX)),
            due: self.due.map(Timestamp::as_millisecond),
            args: hide(of.args.as_deref()),
            kwargs: hide(of.kwargs.as_deref()),
            result: hide(self.result.as_deref()),
            error: hide(self.error.as_deref()),
            traceback: hide(self.traceback.as_deref()),
            ..of.clone()
        }
    }
}

/// Writes ends until `stop` fires and none is left.
pub(super) async fn run(
    broker: Arc<Broker>,
    chronicle: Arc<Chronicle>,
    mut stories: mpsc::Receiver<Story>,
    config: HistoryConfig,
    stop: CancellationToken,
) {
    let secrets = Secrets::new(&config.hide);
    let mut trim_at = Instant::now();
    let mut batch = Vec::with_capacity(ENTRY_ENDS);
    loop {
        tokio::select! {
            biased;
            n = stories.recv_many(&mut batch, ENTRY_ENDS) => if n == 0 { return },
            () = stop.cancelled() => break,
        }
        gather(&mut stories, &mut batch, &stop).await;
        write(&broker, &chronicle, &config, &secrets, &mut batch).await;
        if Instant::now() >= trim_at {
            trim_at = Instant::now() + TRIM;
            if let Err(error) = trim(&broker, &config).await {
                tracing::debug!(%error, "the history could not be trimmed, trying again");
            }
        }
    }
    // The last ends are told after `stop`: they are settled first.
    let rest = async {
        while let Ok(story) = stories.try_recv() {
            batch.push(story);
            if batch.len() == ENTRY_ENDS {
                write(&broker, &chronicle, &config, &secrets, &mut batch).await;
            }
        }
        write(&broker, &chronicle, &config, &secrets, &mut batch).await;
    };
    let _ = tokio::time::timeout(LAST_WORDS, rest).await;
}

/// Waits a moment for more ends, while an entry has room.
async fn gather(
    stories: &mut mpsc::Receiver<Story>,
    batch: &mut Vec<Story>,
    stop: &CancellationToken,
) {
    let end = tokio::time::sleep(GATHER);
    tokio::pin!(end);
    while batch.len() < ENTRY_ENDS {
        let room = ENTRY_ENDS - batch.len();
        tokio::select! {
            biased;
            n = stories.recv_many(batch, room) => if n == 0 { return },
            () = stop.cancelled() => return,
            () = &mut end => return,
        }
    }
}

/// Writes a batch; what is refused is dropped and counted.
async fn write(
    broker: &Broker,
    chronicle: &Chronicle,
    config: &HistoryConfig,
    secrets: &Secrets,
    batch: &mut Vec<Story>,
) {
    if batch.is_empty() {
        return;
    }
    let key = broker.client.keys().history();
    let entries = batch.iter().map(|one| one.entry(&broker.queues[one.queue].name, secrets));
    let mut pipeline = ::redis::pipe();
    for packed in history::pack(entries) {
        let add = pipeline.cmd("XADD").arg(&key).arg("MAXLEN").arg("~").arg(config.ends);
        add.arg("*").arg("n").arg(packed.n).arg("w").arg(&broker.node);
        add.arg("d").arg(packed.data).ignore();
    }
    if let Err(error) = broker.queue.pipe::<()>(&pipeline).await {
        chronicle.dropped.fetch_add(batch.len() as u64, Ordering::Relaxed);
        tracing::debug!(%error, n = batch.len(), "ends of tasks are missing in the history");
    }
    batch.clear();
}

/// Has the oldest ends give way: those that are too old, and those that take too much memory.
async fn trim(broker: &Broker, config: &HistoryConfig) -> Result<(), rhubarb_connection::Error> {
    let key = broker.client.keys().history();
    let oldest = clock::now().as_millisecond()
        - i64::try_from(config.max_age.as_millis()).unwrap_or(i64::MAX / 2);
    let mut pipeline = ::redis::pipe();
    pipeline.cmd("XTRIM").arg(&key).arg("MINID").arg("~").arg(oldest.max(0)).ignore();
    pipeline.cmd("XLEN").arg(&key);
    pipeline.cmd("MEMORY").arg("USAGE").arg(&key).arg("SAMPLES").arg(5);
    pipeline.cmd("INFO").arg("memory");
    let (len, used, info): (u64, Option<u64>, String) = broker.queue.pipe(&pipeline).await?;
    let most = memory::share(config.max_bytes as u64, PART, &info);
    let used = used.unwrap_or(0);
    if used <= most {
        return Ok(());
    }
    // A tenth more than is needed, so that it is not done for each entry.
    let keep = u128::from(len) * u128::from(most) * 9 / (u128::from(used) * 10);
    let mut cut = ::redis::cmd("XTRIM");
    cut.arg(&key).arg("MAXLEN").arg("~").arg(u64::try_from(keep).unwrap_or(u64::MAX));
    let _: u64 = broker.queue.query(&cut).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rhubarb_wire::{Exception, NewTask};

    use super::*;
    use crate::delivery::{ClaimId, Received};

    #[test]
    fn a_waiting_end_holds_no_message_and_little_of_its_texts() {
        let long = "é".repeat(1 << 20);
        let mut task = NewTask::new("t", "celery");
        task.headers.id = "id".to_owned();
        task.headers.argsrepr = Some(long.clone());
        let received = Arc::new(Received::new(task.into_envelope("d"), 1 << 20));
        let exception = Exception::builtin("ValueError", vec![long.clone().into()]);
        let outcome = Outcome::Failure { exception, traceback: Some(long) };
        let settlement = Settlement {
            claim: ClaimId { queue: 0, number: 1 },
            message: Message::Read(received.clone()),
            ending: outcome.into(),
            ran: None,
            slot: None,
        };
        let (chronicle, mut stories) = Chronicle::new(&HistoryConfig::default());
        chronicle.note(&settlement);
        drop(settlement);
        assert_eq!(Arc::strong_count(&received), 1, "the message is free");
        let story = stories.try_recv().unwrap();
        assert!(story.of.args.as_ref().is_some_and(|args| args.len() <= MAX_TEXT));
        assert!(story.error.as_ref().is_some_and(|error| error.len() <= MAX_TEXT));
        assert!(story.traceback.as_ref().is_some_and(|text| text.len() <= MAX_TRACEBACK));
    }
}
