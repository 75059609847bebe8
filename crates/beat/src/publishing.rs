//! What becomes of the schedules that are due: published, passed over, or put off.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rhubarb_queue::{
    Error,
    schedules::unfinished,
    tick::{Record, Tick, Ticked},
};
use rhubarb_schedule::{Overlap, Step};
use tokio::time::Instant;

use crate::{
    entry::{id, task},
    lateness,
    run::Beat,
};

/// How long until a schedule that could not be published is looked at again.
const AGAIN: SignedDuration = SignedDuration::from_secs(1);

/// What became of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Took {
    /// It was published or passed over: the next may follow.
    Step,
    /// It waits for the last tick's task.
    Waits,
    /// We do not lead any more.
    Lost,
}

/// What is to be done with a tick, by what the last one's task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Publish,
    Pass,
    Wait,
    Cancel,
}

impl Beat<'_> {
    /// Publishes what is due, the earliest first; a fault with one schedule does not keep the
    /// others waiting. Tells whether more is due than fits between two renewals of the lead.
    pub(crate) async fn publish_due(&mut self, fence: u64, now: Timestamp) -> Result<bool, Error> {
        let until = Instant::now() + self.lease() / 4;
        while let Some(idx) = self.book.first_due(now) {
            if Instant::now() >= until {
                return Ok(true);
            }
            match self.offer(idx, fence, now, until).await {
                Ok(Took::Lost) => {
                    tracing::warn!(fence, "the lead was lost: another beat has published");
                    self.lose();
                    return Ok(false);
                }
                Ok(Took::Step) => {
                    let slot = self.book.slot(idx);
                    let next = slot.known.schedule.next_at(&slot.record.progress());
                    self.book.look_at(idx, next);
                }
                Ok(Took::Waits) => self.put_off(idx, now),
                // Whether it was carried out is not known: what is in Redis counts, and is read
                // again.
                Err(error) if error.is_unreachable() => return Err(error),
                Err(error) => {
                    self.warn_once(error);
                    self.put_off(idx, now);
                }
            }
        }
        Ok(false)
    }

    fn put_off(&mut self, idx: usize, now: Timestamp) {
        lateness::unpublished(self.book.slot(idx), now, &mut self.hooks);
        let again = now.checked_add(AGAIN).ok();
        self.book.look_at(idx, again);
    }

    /// Takes the steps of one schedule, until they are done or the lead has to be renewed.
    async fn offer(
        &mut self,
        idx: usize,
        fence: u64,
        now: Timestamp,
        until: Instant,
    ) -> Result<Took, Error> {
        let slot = self.book.slot(idx);
        for step in slot.known.schedule.due(&slot.record.progress(), now) {
            let took = self.take(idx, fence, now, step).await?;
            if took != Took::Step {
                return Ok(took);
            }
            if Instant::now() >= until {
                break;
            }
        }
        Ok(Took::Step)
    }

    async fn take(
        &mut self,
        idx: usize,
        fence: u64,
        now: Timestamp,
        step: Step,
    ) -> Result<Took, Error> {
        let verdict = if step.publish { self.verdict(idx).await? } else { Verdict::Pass };
        match verdict {
            Verdict::Wait => return Ok(Took::Waits),
            Verdict::Cancel => self.cancel_last(idx).await?,
            Verdict::Publish | Verdict::Pass => {}
        }
        let publishes = verdict != Verdict::Pass;
        let slot = self.book.slot(idx);
        let left_out = u64::from(step.publish && !publishes);
        let mut record = Record {
            tick: step.tick,
            missed: slot.record.missed.saturating_add(step.missed).saturating_add(left_out),
            ..slot.record.clone()
        };
        if publishes {
            record.runs += 1;
            record.ran = Some(step.tick);
        }
        record.next = slot.known.schedule.next_at(&record.progress());
        let outcome = self.write_tick(idx, fence, now, &record, publishes).await?;
        let Ticked::Done { late_ms } = outcome else { return Ok(Took::Lost) };
        let slot = self.book.slot(idx);
        if publishes {
            record.late_ms = late_ms;
            record.at = Some(now);
            slot.record = record;
            let lateness = Duration::from_millis(late_ms);
            lateness::published(slot, step.tick, lateness, &mut self.hooks);
        } else {
            slot.record = record;
            let (schedule, missed) = (&slot.known.schedule.name, step.missed + left_out);
            tracing::info!(schedule, due = %step.tick, missed, "ticks passed over");
            lateness::unpublished(slot, now, &mut self.hooks);
        }
        Ok(Took::Step)
    }

    /// Decides by the schedule's overlap; only where it forbids one is Redis asked.
    async fn verdict(&mut self, idx: usize) -> Result<Verdict, Error> {
        let client = self.client.clone();
        let slot = self.book.slot(idx);
        let overlap = slot.known.schedule.config.overlap;
        let Some(last) = slot.record.ran.filter(|_| overlap != Overlap::Allow) else {
            return Ok(Verdict::Publish);
        };
        let last = id(&client.celery().global_keyprefix, &slot.known.schedule.name, last);
        if !unfinished(&client, &slot.known.queue, &last).await? {
            return Ok(Verdict::Publish);
        }
        Ok(match overlap {
            Overlap::Allow => Verdict::Publish,
            Overlap::Skip => Verdict::Pass,
            Overlap::QueueOne => Verdict::Wait,
            Overlap::CancelRunning => Verdict::Cancel,
        })
    }

    async fn cancel_last(&mut self, idx: usize) -> Result<(), Error> {
        let slot = self.book.slot(idx);
        let Some(ran) = slot.record.ran else { return Ok(()) };
        let schedule = slot.known.schedule.name.clone();
        let id = id(&self.client.celery().global_keyprefix, &schedule, ran);
        self.client.revoke(&id, true, self.config.worker.revoke_expires).await?;
        tracing::info!(schedule, id, "the last tick's task is not done: revoked");
        Ok(())
    }

    async fn write_tick(
        &mut self,
        idx: usize,
        fence: u64,
        now: Timestamp,
        record: &Record,
        publishes: bool,
    ) -> Result<Ticked, Error> {
        let (client, ticks) = (self.client.clone(), self.ticks.clone());
        let (known, prefix) = (&self.book.slot(idx).known, &client.celery().global_keyprefix);
        let (schedule, queue) = (known.schedule.name.as_str(), known.queue.as_str());
        let message = match publishes {
            true => Some(client.message(task(prefix, known, record.tick, now))?),
            false => None,
        };
        let message = message.as_ref().map(|one| (one.message.as_slice(), one.priority));
        let ticked = ticks.publish(fence, Tick { schedule, queue, message, record }).await?;
        if let (Ticked::Done { late_ms }, true) = (ticked, publishes) {
            let (task, id) = (&known.schedule.config.task, id(prefix, schedule, record.tick));
            tracing::info!(schedule, task, id, queue, due = %record.tick, late_ms, "tick published");
        }
        Ok(ticked)
    }
}
