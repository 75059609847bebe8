//! The event `task-sent`, which a client sends for each task where `task_send_sent_event` asks for
//! it.

use ::redis::Cmd;
use jiff::Timestamp;
use rhubarb_core::clock;
use rhubarb_wire::{
    Headers, Lamport,
    event::{self, Origin},
    event_channel,
};
use uuid::Uuid;

use crate::config::CeleryConfig;

const TOPIC: &str = "task.sent";

/// The client as a sender of events.
#[derive(Debug)]
pub(super) struct Sent {
    channel: String,
    hostname: String,
    utcoffset: f64,
    clock: Lamport,
}

impl Sent {
    pub(super) fn new(celery: &CeleryConfig, db: u32, hostname: &str) -> Self {
        Self {
            channel: event_channel(&celery.global_keyprefix, i64::from(db), TOPIC),
            hostname: hostname.to_owned(),
            utcoffset: clock::utcoffset(),
            clock: Lamport::default(),
        }
    }

    /// Returns the command that tells of a task.
    pub(super) fn event(&self, headers: &Headers, queue: &str) -> Cmd {
        let origin = Origin {
            hostname: &self.hostname,
            utcoffset: self.utcoffset,
            pid: std::process::id(),
            clock: self.clock.forward(),
            timestamp: Timestamp::now().as_duration().as_secs_f64(),
        };
        // Celery names the task itself here, whatever it is to be shown as.
        let task = event::Task { name: &headers.task, ..event::Task::from(headers) };
        let event = event::task_sent(&origin, &task, queue, "", queue);
        let message = event::message(TOPIC, &self.hostname, &event, &Uuid::new_v4().to_string());
        let mut publish = ::redis::cmd("PUBLISH");
        publish.arg(&self.channel).arg(message);
        publish
    }
}
