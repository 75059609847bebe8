//! How a task ended, and what that means for its message.

use std::time::Duration;

use jiff::Timestamp;
use rhubarb_queue::Outgoing;
use rhubarb_wire::Exception;
use serde_json::{Map, Value};

/// How a run ended, with what its end has to tell besides the outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// The outcome.
    pub outcome: Outcome,
    /// What the task has published, as its result lists it: `[[id, null], null]` each, or a group's
    /// tree.
    pub children: Vec<Value>,
    /// Which of its errbacks were called where it failed, by their places; the others are
    /// published.
    pub errbacks_called: Vec<usize>,
    /// What whoever ran it has made of its end already, in place of what is made here.
    pub made: Option<Box<Made>>,
}

impl From<Outcome> for Ending {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, children: Vec::new(), errbacks_called: Vec::new(), made: None }
    }
}

/// What an end consists of, made where the task ran: by Celery itself, in a Python process. It is
/// written together, as what is made here is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Made {
    /// The state to store, encoded; `None` where nothing is to be stored.
    pub state: Option<Vec<u8>>,
    /// The messages to publish: what follows a success, or the task again.
    pub messages: Vec<Outgoing>,
    /// Its part of a chord, in the form of the chord's collection.
    pub part: Option<Vec<u8>>,
    /// Whether those who wait for a failed task were told already: the rest of its chain, its chord,
    /// its errbacks.
    pub told: bool,
}

/// How the next attempt of a task differs from this one; empty for not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Again {
    /// When it is due, in place of the wait that the outcome names.
    pub at: Option<Timestamp>,
    /// Other positional arguments.
    pub args: Option<Vec<Value>>,
    /// Other keyword arguments.
    pub kwargs: Option<Map<String, Value>>,
    /// Another queue.
    pub queue: Option<String>,
    /// Another priority.
    pub priority: Option<u8>,
}

/// How a task ended in a worker.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It returned this.
    Success(Value),
    /// It raised this, for good.
    Failure {
        /// What it raised.
        exception: Exception,
        /// Where, as text.
        traceback: Option<String>,
    },
    /// It is to run again; the retry is counted, and the state RETRY is stored.
    Retry {
        /// Why.
        exception: Exception,
        /// Where, as text.
        traceback: Option<String>,
        /// How long to wait.
        after: Duration,
        /// What is to be different in its next attempt.
        again: Box<Again>,
    },
    /// It is to run later as it is: nothing is counted or stored. It holds no slot while it waits.
    PutOff {
        /// How long to wait.
        after: Duration,
    },
    /// Its ETA has not come: it waits in Redis until then.
    NotDue {
        /// When it is due.
        at: Timestamp,
    },
    /// It wants no end to be told (Celery's `Ignore`): nothing is stored, and nothing follows.
    Ignored,
    /// It wants none of its message (Celery's `Reject`): nothing is stored, and nothing follows.
    Rejected {
        /// Whether the message goes back, as one that was delivered before; else it is kept as a
        /// dead letter.
        requeue: bool,
        /// One sentence for a person.
        reason: String,
    },
    /// It expired or was revoked.
    Revoked(Revocation),
    /// It can never run: the message is kept apart with the reason, and a FAILURE is stored when
    /// its id is known.
    Dead {
        /// One sentence for a person.
        reason: String,
        /// What waiting callers are told.
        exception: Exception,
    },
    /// This worker has no task of that name: the message is parked or forwarded.
    Unknown,
    /// Somebody else runs it, and it cannot be passed over where it is: it goes to the producer's
    /// end of its queue.
    Leave,
    /// The process that ran it has died, and this worker lives: the message goes back to the
    /// consumer's end of its queue, and the death is counted as a worker's is.
    Died {
        /// How it died, for a person.
        reason: String,
    },
    /// We are stopping: the message goes back to the consumer's end of its queue, and no attempt is
    /// burnt.
    HandBack,
}

/// Why a task was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// It had not begun when it expired.
    Expired,
    /// Somebody revoked it before it began.
    Revoked,
    /// Somebody had it ended while it ran.
    Terminated {
        /// The signal that was asked for: `SIGTERM`. We have none to send; it is told on.
        signal: String,
    },
}

impl Revocation {
    /// Returns what a waiting client is told: `TaskRevokedError` with Celery's word for the reason.
    pub fn exception(&self) -> Exception {
        Exception::task_revoked(match self {
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Terminated { .. } => "terminated",
        })
    }
}
