//! Bounds that a script, a cron job or a health check holds an installation to. Pure.

use std::time::Duration;

use rhubarb_queue::inspect::QueueInfo;

use crate::{fleet::Fleet, number::tasks_wait};

/// What has to hold; absent is what does not matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// So many workers are live, and not stopping, at the least.
    pub workers: Option<usize>,
    /// No task has waited for longer.
    pub max_age: Option<Duration>,
    /// No more tasks wait in a queue.
    pub max_waiting: Option<u64>,
    /// No schedule is later.
    pub max_late: Option<Duration>,
}

/// Returns each bound that does not hold, as one sentence; what could not be found out does not
/// hold either.
pub fn broken(bounds: &Bounds, fleet: &Fleet, queues: &[QueueInfo]) -> Vec<String> {
    let mut broken = Vec::new();
    if let Some(wanted) = bounds.workers {
        broken.extend(workers(wanted, fleet));
    }
    for queue in queues {
        broken.extend(queue_broken(bounds, fleet, queue));
    }
    if let Some(most) = bounds.max_late {
        broken.extend(late(most, fleet));
    }
    broken
}

fn workers(wanted: usize, fleet: &Fleet) -> Option<String> {
    if fleet.workers.is_none() {
        return Some("the workers could not be listed".to_owned());
    }
    let live = fleet.claiming().count();
    (live < wanted).then(|| format!("{live} workers are live, not {wanted}"))
}

fn queue_broken(bounds: &Bounds, fleet: &Fleet, queue: &QueueInfo) -> Vec<String> {
    let mut broken = Vec::new();
    let QueueInfo { name, waiting, .. } = queue;
    if let Some(problem) = &queue.problem {
        let matters = bounds.max_age.is_some() || bounds.max_waiting.is_some();
        broken.extend(matters.then(|| format!("queue `{name}` cannot be read: {problem}")));
        return broken;
    }
    let paused = if queue.paused { ", which is paused" } else { "" };
    if let Some(most) = bounds.max_waiting.filter(|most| waiting > most) {
        broken
            .push(format!("{} in queue `{name}`{paused}, more than {most}", tasks_wait(*waiting)));
    }
    match (bounds.max_age, fleet.oldest.get(name)) {
        (Some(most), Some(age)) if *age > most => {
            let (age, most) = (age.as_secs(), most.as_secs_f64());
            let told = format!(
                "a task has waited for {age} s in queue `{name}`{paused}, longer than {most} s"
            );
            broken.push(told);
        }
        (Some(_), None) if *waiting > 0 => {
            broken.push(format!("how long tasks wait in queue `{name}` could not be found out"));
        }
        _ => {}
    }
    broken
}

fn late(most: Duration, fleet: &Fleet) -> Vec<String> {
    let Some(schedules) = &fleet.schedules else {
        return vec!["the schedules could not be read".to_owned()];
    };
    let mut broken = Vec::new();
    if fleet.leader.is_none() && schedules.iter().any(|one| one.state == "on") {
        broken.push("no beat leads: nothing that is scheduled is published".to_owned());
    }
    for schedule in schedules.iter().filter(|one| one.overdue > most) {
        let (name, by) = (&schedule.name, schedule.overdue.as_secs());
        let most = most.as_secs_f64();
        broken.push(format!("schedule `{name}` is late by {by} s, more than {most} s"));
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::ScheduleState;

    fn queue(name: &str, waiting: u64) -> QueueInfo {
        QueueInfo { name: name.to_owned(), waiting, ..QueueInfo::default() }
    }

    fn fleet() -> Fleet {
        let schedule = ScheduleState {
            name: "hourly".to_owned(),
            state: "on",
            late: Duration::from_secs(900),
            overdue: Duration::from_secs(90),
        };
        Fleet {
            workers: Some(Vec::new()),
            oldest: [("a".to_owned(), Duration::from_secs(61))].into(),
            schedules: Some(vec![schedule]),
            leader: Some("rhubarb@host".to_owned()),
            ..Fleet::default()
        }
    }

    fn all(seconds: u64, n: u64) -> Bounds {
        Bounds {
            workers: Some(1),
            max_age: Some(Duration::from_secs(seconds)),
            max_waiting: Some(n),
            max_late: Some(Duration::from_secs(seconds)),
        }
    }

    #[test]
    fn each_bound_that_does_not_hold_is_one_sentence() {
        let paused = QueueInfo { paused: true, ..queue("a", 5) };
        assert_eq!(
            broken(&all(60, 4), &fleet(), &[paused, queue("b", 0)]),
            [
                "0 workers are live, not 1",
                "5 tasks wait in queue `a`, which is paused, more than 4",
                "a task has waited for 61 s in queue `a`, which is paused, longer than 60 s",
                "schedule `hourly` is late by 90 s, more than 60 s",
            ]
        );
        let bounds = Bounds { workers: Some(0), ..all(90, 5) };
        assert_eq!(broken(&bounds, &fleet(), &[queue("a", 5)]), [""; 0]);
        assert_eq!(broken(&Bounds::default(), &Fleet::default(), &[queue("a", 5)]), [""; 0]);
    }

    #[test]
    fn what_could_not_be_found_out_does_not_hold() {
        let unreadable = QueueInfo { problem: Some("it is a hash".to_owned()), ..queue("b", 0) };
        let told = broken(&all(60, 9), &Fleet::default(), &[queue("a", 5), unreadable]);
        assert_eq!(told.len(), 4, "{told:?}");
        let leaderless = Fleet { leader: None, ..fleet() };
        let told = broken(
            &Bounds { max_late: Some(Duration::MAX), ..Bounds::default() },
            &leaderless,
            &[],
        );
        assert_eq!(told, ["no beat leads: nothing that is scheduled is published"]);
    }
}
