//! What a shadow run tells.

use std::collections::BTreeMap;

use serde::Serialize;

/// What was seen of a live queue, and what would run here.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ShadowReport {
    /// For how long it was looked at, seconds.
    pub seconds: f64,
    /// How many looks there were.
    pub looks: u64,
    /// Looks that failed, because Redis was away.
    pub failed_looks: u64,
    /// The queues, in order.
    pub queues: Vec<QueueReport>,
    /// What Python's workers had taken and not acknowledged, of all queues.
    pub unacked: UnackedReport,
    /// Events of workers that told of tasks; 0 where they send none (`celery worker -E`).
    pub events: u64,
    /// Tasks by name.
    pub tasks: BTreeMap<String, TaskReport>,
    /// What cannot be read, by kind.
    pub unreadable: BTreeMap<String, Unreadable>,
    /// Whether it ended early because no more messages can be told apart.
    pub ended_early: bool,
    /// Where the names of known tasks are from.
    pub known_from: KnownFrom,
    /// The numbers to decide on.
    pub sum: Sum,
    /// One sentence to decide on.
    pub conclusion: String,
}

/// One queue as it was looked at.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct QueueReport {
    /// Its name.
    pub name: String,
    /// Messages that waited at the first look.
    pub waiting_first: u64,
    /// Messages that waited at the last look.
    pub waiting_last: u64,
    /// The most that waited at any look.
    pub waiting_most: u64,
    /// For how long a message was seen waiting, or says that it has waited, at the most; seconds.
    pub oldest_seconds: f64,
    /// Looks that met the newest message of the look before: nothing in between was missed.
    pub looks_without_gap: u64,
    /// Messages of the backlog that were not reached.
    pub not_reached: u64,
}

/// What Python's workers held.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct UnackedReport {
    /// The most at any look.
    pub most: u64,
    /// The age of the oldest at the last look, by the delivering worker's clock; seconds.
    pub oldest_seconds: f64,
}

/// Whether a task would run here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A worker of ours registers it.
    Runs,
    /// No worker of ours does.
    Unknown,
    /// No worker of ours is alive and no names were given.
    #[default]
    NobodySays,
}

/// One task as it was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TaskReport {
    /// Whether it would run here.
    pub verdict: Verdict,
    /// Messages that waited at the first look.
    pub waited: u64,
    /// Messages that came later.
    pub came: u64,
    /// Tasks that only an event told of: no look came while they waited.
    pub told: u64,
    /// Bytes of the messages that were read, together.
    pub bytes: u64,
    /// The largest of them, bytes.
    pub largest: usize,
    /// Messages whose arguments would not fit.
    pub misfits: u64,
    /// Why the first of these would not.
    pub misfit: Option<String>,
}

impl TaskReport {
    /// Returns how many were seen.
    pub fn seen(&self) -> u64 {
        self.waited + self.came + self.told
    }

    /// Returns how large a message of it is, bytes; 0 where none was read.
    pub fn mean_bytes(&self) -> u64 {
        self.bytes / (self.waited + self.came).max(1)
    }
}

/// Messages that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Unreadable {
    /// How many.
    pub n: u64,
    /// Why the first of them cannot.
    pub reason: String,
    /// Its id, where that can be read.
    pub id: Option<String>,
}

/// Where the names of known tasks are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownFrom {
    /// The registrations of our live workers.
    Workers,
    /// The caller's list.
    List,
    /// Nowhere: no worker of ours is alive.
    Nowhere,
}

/// The numbers to decide on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Sum {
    /// Messages that were seen, once each.
    pub seen: u64,
    /// Those that would run here.
    pub would_run: u64,
    /// Those whose task is unknown here.
    pub unknown: u64,
    /// Names of such tasks.
    pub unknown_tasks: u64,
    /// Those whose arguments would not fit.
    pub misfits: u64,
    /// Those that cannot be read.
    pub unreadable: u64,
}

impl Sum {
    pub(super) fn of(
        tasks: &BTreeMap<String, TaskReport>,
        unreadable: &BTreeMap<String, Unreadable>,
    ) -> Self {
        let mut sum =
            Self { unreadable: unreadable.values().map(|it| it.n).sum(), ..Self::default() };
        sum.seen = sum.unreadable + tasks.values().map(TaskReport::seen).sum::<u64>();
        for task in tasks.values() {
            match task.verdict {
                Verdict::Runs => {
                    sum.would_run += task.seen() - task.misfits;
                    sum.misfits += task.misfits;
                }
                Verdict::Unknown => {
                    sum.unknown += task.seen();
                    sum.unknown_tasks += 1;
                }
                Verdict::NobodySays => {}
            }
        }
        sum
    }

    /// Returns the sentence to decide on.
    pub(super) fn conclusion(&self, known_from: KnownFrom) -> String {
        let Self { seen, would_run, unknown, unknown_tasks, misfits, unreadable } = *self;
        if seen == 0 {
            return "no message was seen: look for longer, or while the queue is used".to_owned();
        }
        if known_from == KnownFrom::Nowhere {
            return format!(
                "{seen} messages were seen, {unreadable} of them unreadable; which would run \
                 nobody says: start a worker of yours on a queue of its own, or name its tasks by \
                 --task"
            );
        }
        if would_run == seen {
            return format!("all {seen} messages that were seen would run here");
        }
        let mut rest = Vec::new();
        if unknown > 0 {
            let tasks = if unknown_tasks == 1 { "task" } else { "tasks" };
            rest.push(format!(
                "{unknown} are of {unknown_tasks} {tasks} that no worker here knows"
            ));
        }
        if misfits > 0 {
            rest.push(format!("{misfits} have arguments that do not fit"));
        }
        if unreadable > 0 {
            rest.push(format!("{unreadable} cannot be read"));
        }
        let rest = rest.join(", ");
        format!(
            "{would_run} of the {seen} messages that were seen would run here; {rest}: mend \
             these, or leave them to Python's workers, before you switch"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conclusion_says_what_to_do() {
        let sum = Sum { seen: 10, would_run: 10, ..Sum::default() };
        let told = sum.conclusion(KnownFrom::Workers);
        assert_eq!(told, "all 10 messages that were seen would run here");
        let sum =
            Sum { would_run: 6, unknown: 2, unknown_tasks: 1, misfits: 1, unreadable: 1, ..sum };
        assert_eq!(
            sum.conclusion(KnownFrom::List),
            "6 of the 10 messages that were seen would run here; 2 are of 1 task that no worker \
             here knows, 1 have arguments that do not fit, 1 cannot be read: mend these, or leave \
             them to Python's workers, before you switch"
        );
        assert!(sum.conclusion(KnownFrom::Nowhere).contains("--task"));
        assert!(Sum::default().conclusion(KnownFrom::Workers).starts_with("no message"));
    }
}
