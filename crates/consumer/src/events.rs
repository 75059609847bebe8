//! The events that Flower and `celery events` read: a worker's own, and those of its tasks when
//! somebody wants them.
//!
//! No event holds up a task: what does not fit into the buffer, or cannot be sent in time, is
//! dropped and counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use rhubarb_connection::{Backoff, Redis};
use rhubarb_core::clock;
use rhubarb_queue::Config;
use rhubarb_wire::{
    Exception, Headers, Lamport,
    event::{self, Origin, Revoked, Task, Worker},
    event_channel,
};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    machine,
    outcome::{Outcome, Revocation},
};

/// How many task events wait to be sent at the most.
const BUFFER: usize = 10_000;
/// The longest traceback that an event carries, bytes.
const MAX_TRACEBACK: usize = 16_384;
/// How long the first event of a batch waits for others.
const GATHER: Duration = Duration::from_millis(10);
/// How long the last events may take when the worker ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How often a heartbeat is sent: Celery's default.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(2);

/// Whether task events are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Mode {
    Off,
    On,
    /// From the start (`-E`): Celery's remote control cannot switch these off.
    Always,
}

/// The sending side.
#[derive(Debug)]
pub(crate) struct Events {
    mode: AtomicU8,
    /// Whether the worker tells of itself.
    pub(crate) heartbeats: bool,
    buffer: mpsc::Sender<Value>,
    pub(crate) clock: Lamport,
    node: String,
    prefix: String,
    db: i64,
    utcoffset: f64,
    pub(crate) dropped: AtomicU64,
    /// Fires when the last task event has been sent.
    pub(crate) flushed: CancellationToken,
}

/// One message on a channel of events.
pub(crate) struct Publication {
    pub(crate) channel: String,
    pub(crate) message: Vec<u8>,
}

/// What a worker tells of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sign {
    Online,
    Heartbeat,
    Offline,
}

impl Events {
    /// Returns the sending side and the events to be sent.
    pub(crate) fn new(config: &Config, queue: &Redis, node: &str) -> (Self, mpsc::Receiver<Value>) {
        let (buffer, events) = mpsc::channel(BUFFER);
        let mode = if config.worker.send_task_events { Mode::Always } else { Mode::Off };
        let this = Self {
            mode: AtomicU8::new(mode as u8),
            heartbeats: config.worker.send_heartbeats,
            buffer,
            clock: Lamport::default(),
            node: node.to_owned(),
            prefix: config.celery.global_keyprefix.clone(),
            db: i64::from(queue.db()),
            utcoffset: clock::utcoffset(),
            dropped: AtomicU64::new(0),
            flushed: CancellationToken::new(),
        };
        (this, events)
    }

    /// Tells whether task events are sent.
    pub(crate) fn on(&self) -> bool {
        self.mode.load(Ordering::Relaxed) != Mode::Off as u8
    }

    /// Switches task events on; false when they were.
    pub(crate) fn enable(&self) -> bool {
        self.switch(Mode::Off, Mode::On)
    }

    /// Switches task events off; false when they were, or when they are sent from the start.
    pub(crate) fn disable(&self) -> bool {
        self.switch(Mode::On, Mode::Off)
    }

    fn switch(&self, from: Mode, to: Mode) -> bool {
        let (from, to) = (from as u8, to as u8);
        self.mode.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// A worker has taken a task; it may still have to wait.
    pub(crate) fn received(&self, headers: &Headers) {
        self.send(|origin| event::task_received(origin, &Task::from(headers)));
    }

    /// A task begins.
    pub(crate) fn started(&self, headers: &Headers) {
        self.send(|origin| event::task_started(origin, &headers.id));
    }

    /// A task has ended, or goes back.
    pub(crate) fn ended(&self, headers: &Headers, outcome: &Outcome, ran: Option<Duration>) {
        if self.on()
            && let Some(of) = ending(&headers.id, outcome, ran)
        {
            self.send(of);
        }
    }

    fn send(&self, of: impl FnOnce(&Origin<'_>) -> Value) {
        if self.on() && self.buffer.try_send(of(&self.origin())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn origin(&self) -> Origin<'_> {
        Origin {
            hostname: &self.node,
            utcoffset: self.utcoffset,
            pid: std::process::id(),
            clock: self.clock.forward(),
            timestamp: seconds(Timestamp::now()),
        }
    }

    /// Returns a sign of life to be published.
    pub(crate) fn sign(&self, sign: Sign, active: usize, processed: u64) -> Publication {
        let worker = Worker {
            freq: HEARTBEAT.as_secs_f64(),
            active: active as u64,
            processed,
            loadavg: machine::loadavg(),
            sw_ident: "rhubarb",
            sw_ver: env!("CARGO_PKG_VERSION"),
            sw_sys: machine::system(),
        };
        let origin = self.origin();
        let (kind, body) = match sign {
            Sign::Online => ("worker-online", event::worker_online(&origin, &worker)),
            Sign::Heartbeat => ("worker-heartbeat", event::worker_heartbeat(&origin, &worker)),
            Sign::Offline => ("worker-offline", event::worker_offline(&origin, &worker)),
        };
        self.publication(&event::topic(kind), &body)
    }

    fn publication(&self, topic: &str, body: &Value) -> Publication {
        Publication {
            channel: event_channel(&self.prefix, self.db, topic),
            message: event::message(topic, &self.node, body, &Uuid::new_v4().to_string()),
        }
    }
}

/// Sends task events until `stop` fires and none is left.
pub(super) async fn run(
    queue: Redis,
    events: Arc<Events>,
    mut waiting: mpsc::Receiver<Value>,
    stop: CancellationToken,
) {
    let mut batch = Vec::with_capacity(event::BATCH);
    loop {
        tokio::select! {
            biased;
            Some(event) = waiting.recv() => batch.push(event),
            () = stop.cancelled() => break,
        }
        tokio::select! {
            () = tokio::time::sleep(GATHER) => {}
            () = stop.cancelled() => {}
        }
        fill(&mut batch, &mut waiting);
        publish(&queue, &events, std::mem::take(&mut batch), &stop).await;
    }
    let rest = async {
        loop {
            fill(&mut batch, &mut waiting);
            if batch.is_empty() {
                return;
            }
            publish(&queue, &events, std::mem::take(&mut batch), &stop).await;
        }
    };
    let _ = tokio::time::timeout(LAST_WORDS, rest).await;
    events.flushed.cancel();
}

fn fill(batch: &mut Vec<Value>, events: &mut mpsc::Receiver<Value>) {
    while batch.len() < event::BATCH
        && let Ok(event) = events.try_recv()
    {
        batch.push(event);
    }
}

/// Publishes a batch, trying again while Redis is away: the buffer fills meanwhile, and what comes
/// later is dropped.
async fn publish(queue: &Redis, events: &Events, batch: Vec<Value>, stop: &CancellationToken) {
    let n = batch.len() as u64;
    let Publication { channel, message } =
        events.publication(event::TASK_MULTI, &Value::Array(batch));
    let mut command = ::redis::cmd("PUBLISH");
    command.arg(channel).arg(message);
    let mut backoff = Backoff::default();
    while let Err(error) = queue.query::<u64>(&command).await {
        tracing::debug!(%error, "events not sent, trying again");
        let refused = !error.is_unreachable();
        if refused || stop.is_cancelled() {
            events.dropped.fetch_add(n, Ordering::Relaxed);
            return;
        }
        tokio::select! {
            () = backoff.sleep() => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Returns what tells of an outcome; none for one of which Celery's readers are told nothing.
fn ending<'a>(
    id: &'a str,
    outcome: &'a Outcome,
    ran: Option<Duration>,
) -> Option<impl FnOnce(&Origin<'_>) -> Value + use<'a>> {
    let told = match outcome {
        Outcome::PutOff { .. } | Outcome::NotDue { .. } => false,
        // What was never begun goes back unseen.
        Outcome::HandBack | Outcome::Died { .. } => ran.is_some(),
        Outcome::Leave | Outcome::Ignored => false,
        _ => true,
    };
    let of = move |origin: &Origin<'_>| match outcome {
        Outcome::Success(value) => {
            event::task_succeeded(origin, id, value, ran.map(|ran| ran.as_secs_f64()))
        }
        Outcome::Failure { exception, traceback } => {
            failed(origin, id, exception, traceback.as_deref())
        }
        Outcome::Dead { exception, .. } => failed(origin, id, exception, None),
        Outcome::Retry { exception, traceback, .. } => {
            let traceback = cut(traceback.as_deref().unwrap_or_default());
            event::task_retried(origin, id, exception, traceback)
        }
        Outcome::Revoked(why) => event::task_revoked(origin, id, revoked(why)),
        Outcome::Unknown => event::task_rejected(origin, id, false),
        Outcome::Rejected { requeue, .. } => event::task_rejected(origin, id, *requeue),
        _ => event::task_rejected(origin, id, true),
    };
    told.then_some(of)
}

fn failed(origin: &Origin<'_>, id: &str, exception: &Exception, traceback: Option<&str>) -> Value {
    event::task_failed(origin, id, exception, Some(traceback.map_or("", cut)))
}

fn revoked(why: &Revocation) -> Revoked {
    match why {
        Revocation::Expired => Revoked::Expired,
        Revocation::Revoked => Revoked::Revoked,
        Revocation::Terminated { signal } => {
            Revoked::Terminated { signum: signum(signal).unwrap_or(15) }
        }
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TRACEBACK)]
}

/// Returns a signal's number; its name may come without `SIG`, and as its number.
pub(crate) fn signum(signal: &str) -> Option<i32> {
    let name = signal.strip_prefix("SIG").unwrap_or(signal);
    let known = [
        ("HUP", 1),
        ("INT", 2),
        ("QUIT", 3),
        ("ABRT", 6),
        ("KILL", 9),
        ("USR1", 10),
        ("SEGV", 11),
        ("USR2", 12),
        ("PIPE", 13),
        ("ALRM", 14),
        ("TERM", 15),
        ("CONT", 18),
        ("STOP", 19),
    ];
    let number = name.parse().ok().filter(|n| (1..=64).contains(n));
    number.or_else(|| known.iter().find(|(known, _)| *known == name).map(|(_, n)| *n))
}

/// Returns a time as Python's `time.time()` has it.
pub(crate) fn seconds(at: Timestamp) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds of this century are exact in 53 bits"
    )]
    let micros = at.as_microsecond() as f64;
    micros / 1e6
}
