//! Who is told when a schedule is late, and when it no longer is: the log and the webhook, once
//! each.

use std::time::Duration;

use jiff::Timestamp;
use rhubarb_core::clock;
use rhubarb_queue::notice::{Notice, NoticeKind};
use serde_json::json;

use crate::{book::Slot, entry::late, webhook::Webhooks};

/// Judges a schedule that was just published, this late.
pub(crate) fn published(
    slot: &mut Slot,
    tick: Timestamp,
    lateness: Duration,
    hooks: &mut Webhooks,
) {
    let Some(limit) = slot.known.schedule.config.alert_after else { return };
    if lateness > limit {
        tell(slot, tick, lateness, hooks);
    } else if slot.told {
        slot.told = false;
        let schedule = &slot.known.schedule.name;
        tracing::info!(schedule, due = %tick, "schedule is on time again");
        hooks.notice(&notice(NoticeKind::ScheduleOnTime, slot, tick, lateness));
        hooks.alert(&json!({
            "event": "on_time", "schedule": schedule, "task": slot.known.schedule.config.task,
            "queue": slot.known.queue, "due": tick.to_string(), "late_s": lateness.as_secs_f64(),
        }));
    }
}

/// Judges a schedule that was due and not published: its task waits, ticks are left out, or Redis
/// refuses it.
pub(crate) fn unpublished(slot: &mut Slot, now: Timestamp, hooks: &mut Webhooks) {
    let Some(limit) = slot.known.schedule.config.alert_after else { return };
    let since = slot.record.ran.unwrap_or(slot.record.anchor);
    let expected = slot.known.schedule.next_after(since, slot.record.anchor);
    if let Some(expected) = expected.filter(|expected| late(*expected, now) > limit) {
        tell(slot, expected, late(expected, now), hooks);
    }
}

fn tell(slot: &mut Slot, due: Timestamp, lateness: Duration, hooks: &mut Webhooks) {
    if slot.told {
        return;
    }
    slot.told = true;
    let schedule = &slot.known.schedule.name;
    let task = &slot.known.schedule.config.task;
    let queue = &slot.known.queue;
    let late_ms = u64::try_from(lateness.as_millis()).unwrap_or(u64::MAX);
    tracing::warn!(schedule, task, queue, %due, late_ms, "schedule is late");
    hooks.notice(&notice(NoticeKind::ScheduleLate, slot, due, lateness));
    hooks.alert(&json!({
        "event": "late", "schedule": schedule, "task": task, "queue": queue, "due": due.to_string(),
        "late_s": lateness.as_secs_f64(),
    }));
}

fn notice(kind: NoticeKind, slot: &Slot, due: Timestamp, lateness: Duration) -> Notice {
    let (schedule, config) = (&slot.known.schedule.name, &slot.known.schedule.config);
    let (task, queue, late_s) = (&config.task, &slot.known.queue, lateness.as_secs());
    let text = match kind {
        NoticeKind::ScheduleOnTime => format!("Schedule {schedule} is on time again"),
        _ => format!("Schedule {schedule} is {late_s} s late: {task} was due at {due}"),
    };
    Notice::new(kind, schedule, clock::now(), &text)
        .with("schedule", schedule.as_str())
        .with("task", task.as_str())
        .with("queue", queue.as_str())
        .with("due", due.to_string())
        .with("late_s", late_s)
}
