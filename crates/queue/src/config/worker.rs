//! `[worker]`.

use std::{net::SocketAddr, time::Duration};

use rhubarb_config::{
    Input, Shown, Value, Wrong, quoted,
    rules::{DAY, MIB, seconds, within},
    settings,
};

use super::{node, queue_name};

/// The most blocking handlers at once: half of the threads that tokio has for everything that
/// blocks, names of hosts looked up among it (512 by default).
pub(super) const MAX_BLOCKING_THREADS: usize = 256;

const QUEUES: &str = "a list of at most 100 queue names, each of 1 to 512 characters without control \
                      characters";
const MESSAGE: &str = "1 KiB to 512 MiB";
const LETTERS: &str = "1 to 1000000";
const LETTERS_AGE: &str = "1 minute to 365 days";
const LETTERS_BYTES: &str = "64 KiB to 64 GiB";

settings! {
    /// The worker.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct WorkerConfig {
        /// How many tasks run at once; 0 means 8 for each core, because most tasks wait for others.
        concurrency: usize = 0, accepts "0 to 1000 (0 for 8 a core)", if |n| *n <= 1000;
        /// How many blocking handlers (Rust's `app.blocking_task`) run at once, each on a thread of
        /// its own; 0 means as many as tasks, at most 256. A handler that outlives its hard limit
        /// keeps its thread, and its place here, until it returns.
        blocking_threads: usize = 0,
            accepts "0 to 256 (0 for as many as worker.concurrency)",
            if |n| *n <= MAX_BLOCKING_THREADS;
        /// The queues to serve, in order; empty means `celery.task_default_queue`.
        queues: Vec<String> = Vec::new(), accepts QUEUES, if |queues| are_queues(queues);
        /// Queues not to serve although `queues` names them (Celery's `-X`).
        exclude_queues: Vec<String> = Vec::new(), accepts QUEUES, if |queues| are_queues(queues);
        /// How long a worker may be silent before others take its tasks. If it is too short, tasks
        /// of a worker that was only slow run twice.
        lease: Duration = seconds(15), accepts "1 s to 10 minutes", if |d| within(d, 1, 600);
        /// How long running tasks may go on after SIGTERM before they are handed back. Heroku kills
        /// after 30 s.
        drain: Duration = seconds(25), accepts "0 s to 1 h", if |d| within(d, 0, 3600);
        /// A task's hard time limit where it has none of its own; 0 means none.
        task_time_limit: Duration = Duration::ZERO,
            accepts "0 s (none) to 7 days", if |d| within(d, 0, 7 * DAY);
        /// After how long a task is asked to end where its registration and message name nothing; 0
        /// means never. A scrape then ends as partial, and sources that have not answered have
        /// failed ("time limit"). If none has answered, it is a FAILURE, SoftTimeLimitExceeded.
        task_soft_time_limit: Duration = Duration::ZERO,
            accepts "0 s (none) to 7 days", if |d| within(d, 0, 7 * DAY);
        /// How often a message may be delivered before it counts as one that kills workers.
        max_deliveries: u32 = 5, accepts "1 to 1000", if |n| (1..=1000).contains(n);
        /// The greatest message that is run; a larger one goes to the dead letters.
        max_message_bytes: usize = 8 * MIB, accepts MESSAGE, if |n| is_message(*n);
        /// The greatest result that is stored; a larger one is a FAILURE that says so.
        max_result_bytes: usize = 8 * MIB, accepts MESSAGE, if |n| is_message(*n);
        /// How far results may take a Redis that is out of memory beyond its maxmemory. Beyond
        /// that, a result that is larger than its task's message is a FAILURE that says so.
        results_beyond_maxmemory: usize = 8 * MIB,
            accepts "0 to 64 GiB", if |n| *n <= 64 << 30;
        /// How many dead letters are kept; what is over gives way, the oldest first, with a warning
        /// for each.
        max_dead_letters: usize = 10_000, accepts LETTERS, if |n| (1..=1_000_000).contains(n);
        /// How long dead letters are kept.
        max_dead_letters_age: Duration = seconds(30 * DAY),
            accepts LETTERS_AGE, if |d| within(d, 60, 365 * DAY);
        /// How many bytes of dead letters are kept, all records together. With parked tasks it
        /// leaves room on a Redis of 50 MB; none of it is used where nothing goes wrong.
        max_dead_letters_bytes: usize = 16 * MIB,
            accepts LETTERS_BYTES, if |n| (64 << 10..=64 << 30).contains(n);
        /// How many parked tasks are kept, whose name no worker knows.
        max_parked: usize = 10_000, accepts LETTERS, if |n| (1..=1_000_000).contains(n);
        /// How long parked tasks are kept.
        max_parked_age: Duration = seconds(30 * DAY),
            accepts LETTERS_AGE, if |d| within(d, 60, 365 * DAY);
        /// How many bytes of parked tasks are kept, all records together.
        max_parked_bytes: usize = 16 * MIB,
            accepts LETTERS_BYTES, if |n| (64 << 10..=64 << 30).contains(n);
        /// Over this resident memory the worker finishes what it runs and exits with 0, for its
        /// platform to start it again; 0 means never. Linux only.
        max_memory: usize = 0,
            accepts "0 (off), or 16 MiB to 1024 GiB",
            if |n| *n == 0 || (16 * MIB..=1 << 40).contains(n);
        /// How often queues are looked at when no wake-up came.
        poll_interval: Duration = seconds(15), accepts "1 s to 10 minutes", if |d| within(d, 1, 600);
        /// After how long a worker that works no more ends itself with exit code 1, to be started
        /// anew: nothing succeeds on its queue's connection, or nothing is claimed although a slot
        /// is free, while Redis answers a fresh connection. 0 means never.
        watchdog: Duration = seconds(60),
            accepts "0 s (off), or 1 s to 1 h", if |d| d.is_zero() || within(d, 1, 3600);
        /// The node name; empty means rhubarb@$DYNO or rhubarb@host. %h stands for the host, %n and
        /// %d for its name before and after the first dot, %i for 0, %I for nothing, %% for %. A
        /// name without @ gets `@` and the host behind it.
        hostname: String = String::new(), accepts node::RULE, if |text| node::is_valid(text);
        /// What happens to a task that no live worker knows: "park" keeps it apart, "forward:QUEUE"
        /// moves it.
        unknown_tasks: UnknownTasks = UnknownTasks::Park;
        /// Whether task events are sent from the start (Celery's `-E`); remote control can switch
        /// them on and off.
        send_task_events: bool = false;
        /// Whether the worker tells `celery events` and Flower that it lives: online, a heartbeat
        /// every 2 s, offline.
        send_heartbeats: bool = true;
        /// Whether remote control (`celery inspect`, `celery control`, Flower) is answered.
        enable_remote_control: bool = true;
        /// Whether the worker asks the others at its start which tasks are revoked, before its
        /// first claim.
        mingle: bool = true;
        /// An address to answer health checks and a scraper of this worker on; without it none is
        /// answered. Everybody who reaches it reads names of tasks and queues.
        http: Option<SocketAddr> = None, example "\"127.0.0.1:9464\"";
        /// How long a revocation is kept: a worker that was down for longer does not obey it.
        revoke_expires: Duration = seconds(3 * 3600),
            accepts "1 minute to 7 days", if |d| within(d, 60, 7 * DAY);
    }
}

fn are_queues(queues: &[String]) -> bool {
    queues.len() <= 100 && queues.iter().all(|queue| queue_name::is_valid(queue))
}

fn is_message(bytes: usize) -> bool {
    (1 << 10..=512 * MIB).contains(&bytes)
}

/// How much is kept of messages that were set apart; what is over gives way, the oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetterCaps {
    /// So many.
    pub count: usize,
    /// So long.
    pub age: Duration,
    /// So many bytes, all records together.
    pub bytes: usize,
}

impl WorkerConfig {
    /// Returns how much is kept of messages that can never run.
    pub fn dead_letters(&self) -> LetterCaps {
        LetterCaps {
            count: self.max_dead_letters,
            age: self.max_dead_letters_age,
            bytes: self.max_dead_letters_bytes,
        }
    }

    /// Returns how much is kept of messages whose task nobody knows.
    pub fn parked(&self) -> LetterCaps {
        LetterCaps {
            count: self.max_parked,
            age: self.max_parked_age,
            bytes: self.max_parked_bytes,
        }
    }
}

/// What happens to a task whose name this worker does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UnknownTasks {
    /// Keep it apart, show it, let it be replayed (`park`).
    #[default]
    Park,
    /// Move it to this queue (`forward:QUEUE`).
    Forward(String),
}

impl Value for UnknownTasks {
    const ACCEPTS: &'static str = "\"park\" or \"forward:QUEUE\"";
    fn read(input: Input<'_>) -> Result<Self, Wrong> {
        let text = input.text().ok_or(None)?.trim();
        match text.split_once(':') {
            None if text == "park" => Ok(Self::Park),
            Some(("forward", queue)) if !queue.is_empty() => Ok(Self::Forward(queue.to_owned())),
            _ => Err(None),
        }
    }
    fn show(&self) -> Shown {
        Shown::Is(match self {
            Self::Park => quoted("park"),
            Self::Forward(queue) => quoted(&format!("forward:{queue}")),
        })
    }
}
