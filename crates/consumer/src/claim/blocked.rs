//! A queue that cannot be claimed from because a key of it is of another type: told once, and when
//! it is over.

use rhubarb_queue::{Error, inspect};

use super::Claimer;

/// The queue at fault, by its place, and what was said of it.
pub(super) struct Blocked {
    idx: usize,
    problem: String,
}

impl Claimer {
    /// Says which key keeps a queue from being claimed from, unless that was said; `false` where
    /// none is seen.
    pub(super) async fn tell_blocked(&mut self, error: &Error) -> bool {
        let (redis, celery) = (self.broker.queue.clone(), self.broker.client.celery());
        for idx in self.broker.queues.active() {
            let name = &self.broker.queues[idx].name;
            let Ok(Some(problem)) = inspect::wrong_keys(&redis, name, celery).await else {
                continue;
            };
            if self.blocked.as_ref().is_none_or(|told| told.problem != problem) {
                let what = "the queue is not claimed from until that key is gone";
                tracing::warn!(queue = name, problem, %error, "{what}");
                self.blocked = Some(Blocked { idx, problem });
            }
            return true;
        }
        false
    }

    /// Says that a queue is claimed from again, once it was looked at.
    pub(super) fn tell_unblocked(&mut self, looked: &[usize]) {
        if let Some(told) = self.blocked.take_if(|told| looked.contains(&told.idx)) {
            let queue = &self.broker.queues[told.idx].name;
            tracing::info!(queue, problem = told.problem, "the queue is claimed from again");
        }
    }
}
