//! What a health check and a scraper may know of one worker.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use rhubarb_core::{
    clock,
    metrics::{self as m, Exposition},
};
use rhubarb_probe::{Health, Vital};
use rhubarb_queue::{
    config::WorkerConfig,
    statistics::{BUCKETS, Histogram, MAX_TASKS, OTHER},
};

use crate::{
    Counters, broker::Broker, chronicle::Chronicle, held::Held, signals::Signals, slots::Slots,
    watchdog,
};

/// Redis may take so long until a worker is not ready.
const REDIS: Duration = Duration::from_secs(2);
/// So long the claim loop may stand at the least until it counts as stuck.
const STUCK: Duration = Duration::from_secs(60);

/// A worker's health and metrics; it holds the worker up in nothing.
#[derive(Debug)]
pub struct Pulse {
    pub(crate) broker: Arc<Broker>,
    pub(crate) config: Arc<WorkerConfig>,
    pub(crate) held: Arc<Held>,
    pub(crate) slots: Arc<Slots>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) chronicle: Arc<Chronicle>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) started_at: Timestamp,
}

impl Vital for Pulse {
    fn live(&self) -> Health {
        let stands = self.counters.stands_for();
        // It waits for a slot while all are taken, and is over while the worker stops.
        let may_stand = !self.slots.any_free() || self.signals.draining.is_cancelled();
        let most = STUCK.max(2 * self.config.poll_interval).max(2 * self.config.lease);
        if may_stand || stands <= most {
            return Ok(());
        }
        Err(format!("the worker has not looked for tasks for {} s", stands.as_secs()))
    }

    fn ready(&self) -> Pin<Box<dyn Future<Output = Health> + Send + '_>> {
        Box::pin(async {
            if self.signals.draining.is_cancelled() {
                return Err("the worker is stopping".to_owned());
            }
            if self.broker.queues.active().is_empty() {
                return Err("the worker serves no queue".to_owned());
            }
            let works = watchdog::claims_work(&self.broker, &self.config);
            match tokio::time::timeout(REDIS, works).await {
                Ok(true) => Ok(()),
                Ok(false) => Err("Redis cannot be used".to_owned()),
                Err(_) => Err("Redis does not answer within 2 s".to_owned()),
            }
        })
    }

    fn metrics(&self) -> String {
        let mut text = Exposition::default();
        let count = |n: usize| u32::try_from(n).map_or(f64::MAX, f64::from);
        let free = self.slots.n_free();
        let size = self.slots.size();
        text.metric(&m::WORKER_SLOTS).add(&[], count(size));
        text.metric(&m::WORKER_SLOTS_USED).add(&[], count(size.saturating_sub(free)));
        text.metric(&m::WORKER_CLAIMS).add(&[], count(self.held.len()));
        let draining = self.signals.draining.is_cancelled();
        text.metric(&m::WORKER_DRAINING).add(&[], f64::from(u8::from(draining)));
        let up = clock::now().duration_since(self.started_at).as_secs_f64();
        text.metric(&m::WORKER_UPTIME).add(&[], up);
        let stands = self.counters.stands_for().as_secs_f64();
        text.metric(&m::WORKER_STANDS).add(&[], stands);
        self.counted(&mut text);
        text.into_text()
    }
}

impl Pulse {
    fn counted(&self, text: &mut Exposition) {
        let counters = &self.counters;
        for (metric, counter) in [
            (&m::WORKER_ROUNDS, &counters.rounds),
            (&m::WORKER_LATE, &counters.late),
            (&m::WORKER_DEAD, &counters.dead),
            (&m::WORKER_PARKED, &counters.parked),
        ] {
            text.metric(metric).add(&[], float(counter.load(Ordering::Relaxed)));
        }
        let spans = rhubarb_trace::counts();
        let mut told = text.metric(&m::WORKER_SPANS);
        told.add(&["exported"], float(spans.exported));
        told.add(&["dropped"], float(spans.dropped));
        let mut started = text.metric(&m::WORKER_STARTED);
        let by_task = counters.by_task();
        by_task.iter().take(MAX_TASKS).for_each(|(task, n)| started.add(&[task], float(*n)));
        let others: u64 = by_task.values().skip(MAX_TASKS).sum();
        started.add(&[OTHER], (others > 0).then(|| float(others)));
        let written = self.chronicle.written();
        let mut ends = text.metric(&m::WORKER_TASKS);
        for ((queue, task, state), n) in &written.ends {
            ends.add(&[queue, task, state], float(*n));
        }
        for (metric, of) in [(&m::WORKER_RUNTIME, &written.run), (&m::WORKER_WAIT, &written.wait)] {
            let mut samples = text.metric(metric);
            for (task, Histogram { counts, sum_us }) in of {
                samples.histogram(&[task], &BUCKETS, counts, float(*sum_us) / 1e6);
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn float(n: u64) -> f64 {
    n as f64
}
