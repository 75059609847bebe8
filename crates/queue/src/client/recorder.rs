//! A client that keeps what it would send, for the tests of those who publish.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rhubarb_core::clock::{self, TestClock};
use rhubarb_wire::{Envelope, TaskResult};

use super::Client;

/// What a recording client would have sent. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    recorded: Arc<Mutex<Recorded>>,
    clock: TestClock,
}

#[derive(Debug, Default)]
struct Recorded {
    messages: Vec<(String, Envelope)>,
    states: Vec<TaskResult>,
}

impl Recorder {
    /// Returns the messages so far, in order, each with its queue.
    pub fn messages(&self) -> Vec<(String, Envelope)> {
        self.lock().messages.clone()
    }

    /// Returns the passing states so far, in order.
    pub fn states(&self) -> Vec<TaskResult> {
        self.lock().states.clone()
    }

    /// Returns the clock that the client goes by.
    pub fn clock(&self) -> &TestClock {
        &self.clock
    }

    pub(super) fn sent(&self, messages: Vec<(String, Envelope)>) {
        self.lock().messages.extend(messages);
    }

    pub(super) fn stored(&self, state: &TaskResult) {
        self.lock().states.push(state.clone());
    }

    fn lock(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// Returns a client that sends no message and stores no passing state, and what it records of
    /// them. `unique_for` keeps nothing out. What reads goes to Redis all the same. Its time is the
    /// recorder's.
    #[must_use]
    pub fn recording(self) -> (Self, Recorder) {
        let recorder = Recorder::default();
        (Self { recorder: Some(recorder.clone()), ..self }, recorder)
    }

    /// Returns the current time: this machine's, but for a recording client.
    pub fn now(&self) -> Timestamp {
        self.recorder.as_ref().map_or_else(clock::now, |recorder| recorder.clock.now())
    }
}
