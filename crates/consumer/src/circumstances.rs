//! What an end is decided under.

use jiff::Timestamp;
use rhubarb_queue::{
    canvas::max_bytes_in_worker,
    config::{CeleryConfig, UnknownTasks, WorkerConfig},
};
use serde_json::Value;

use crate::{broker::Broker, notices::Notices, record::Reporter};

/// What a plan needs to know besides the outcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'a> {
    /// Redis's clock.
    pub(crate) now: Timestamp,
    /// The queue's name.
    pub(crate) queue: &'a str,
    /// The node's name.
    pub(crate) worker: &'a str,
    /// Celery's settings.
    pub(crate) celery: &'a CeleryConfig,
    /// The greatest message that a worker runs, bytes.
    pub(crate) max_message_bytes: usize,
    /// The greatest result that is stored, bytes.
    pub(crate) max_result_bytes: usize,
    /// How much memory may be taken for a signature that is published, bytes.
    pub(crate) max_canvas_bytes: usize,
    /// Where unknown tasks are forwarded to, if they are.
    pub(crate) forward_to: Option<&'a str>,
    /// A fresh delivery tag; only a retry needs one.
    pub(crate) tag: &'a str,
    /// The client that waits for the results of what follows.
    pub(crate) reply_to: &'a str,
    /// The publishing process, in Celery's form.
    pub(crate) origin: &'a str,
    /// What the task has published, as its result lists it.
    pub(crate) children: &'a [Value],
    /// Which of its errbacks were called already, by their places.
    pub(crate) errbacks_called: &'a [usize],
    /// Which ends somebody is told of.
    pub(crate) notices: &'a Notices,
}

impl<'a> Circumstances<'a> {
    /// What plans are made under.
    pub(crate) fn of(
        broker: &'a Broker,
        config: &'a WorkerConfig,
        queue: usize,
        tag: &'a str,
    ) -> Self {
        Self {
            now: broker.now(),
            queue: &broker.queues[queue].name,
            worker: &broker.node,
            celery: broker.client.celery(),
            max_message_bytes: config.max_message_bytes,
            max_result_bytes: config.max_result_bytes,
            max_canvas_bytes: max_bytes_in_worker(config.max_message_bytes),
            forward_to: match &config.unknown_tasks {
                UnknownTasks::Park => None,
                UnknownTasks::Forward(queue) => Some(queue),
            },
            tag,
            reply_to: broker.client.reply_to(),
            origin: broker.client.origin(),
            children: &[],
            errbacks_called: &[],
            notices: &broker.notices,
        }
    }

    pub(crate) fn reporter(self) -> Reporter<'a> {
        Reporter { now: self.now, worker: self.worker, celery: self.celery }
    }
}
