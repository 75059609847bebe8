//! What the queues, workers, schedules and sources say together. Pure.

use std::{collections::BTreeSet, time::Duration};

use rhubarb_jobs::{SourceState, Status};
use rhubarb_queue::inspect::{Composition, QueueInfo, WorkerInfo};

use crate::{
    finding::{Finding, Level},
    number::{grouped, tasks_wait},
};

/// How many names a sentence tells.
const TOLD: usize = 3;

/// All that is known of the processes around the queue.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// The queues.
    pub queues: Vec<QueueInfo>,
    /// Rhubarb's workers, those lost in the last hour too.
    pub workers: Vec<WorkerInfo>,
    /// How many Python workers are registered.
    pub python: usize,
    /// What waits, by the name of its task, for each queue that holds something.
    pub waiting: Vec<Composition>,
    /// Dead letters.
    pub dead: u64,
    /// Parked tasks.
    pub parked: u64,
    /// Claims of workers without a lease.
    pub stranded: u64,
    /// What Python workers have not acknowledged.
    pub unacked: u64,
    /// How many schedules are on.
    pub schedules: usize,
    /// Those that are late.
    pub late: Vec<LateSchedule>,
    /// Schedules that cannot be used: the name and why.
    pub unusable: Vec<(String, String)>,
    /// Whether a beat leads, ours or Python's.
    pub led: bool,
    /// What the last scrape said.
    pub status: Option<Status>,
}

/// A schedule whose next tick has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateSchedule {
    /// Its name.
    pub name: String,
    /// How late.
    pub by: Duration,
}

impl Fleet {
    /// Returns what is not as it should be.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self.queues.iter().filter_map(unreadable).collect();
        if self.workers.is_empty() && !self.led {
            findings.push(self.not_started());
        } else {
            let queues = self.queues.iter().flat_map(|one| [self.unserved(one), self.paused(one)]);
            findings.extend(queues.flatten());
            findings.extend(self.waiting.iter().filter_map(|sample| self.unknown(sample)));
            findings.extend(self.ticks());
        }
        findings.extend(self.unusable());
        let rest = [
            self.stranded(),
            self.unacked(),
            self.parked(),
            self.dead(),
            self.lost(),
            self.versions(),
        ];
        findings.extend(rest.into_iter().flatten());
        findings.extend(self.sources());
        findings
    }

    /// Tells that nothing runs. Before the first deployment that is as it should be, and a release
    /// phase is not to stop at it: it is a warning only where tasks wait and nobody else may run
    /// them.
    fn not_started(&self) -> Finding {
        let waiting: u64 = self.queues.iter().map(|queue| queue.waiting).sum();
        let level = if waiting > 0 && self.python == 0 { Level::Warning } else { Level::Info };
        let found = match waiting {
            0 => "no worker and no beat runs".to_owned(),
            n => format!("no worker and no beat runs, and {}", tasks_wait(n)),
        };
        let advice = "Start them: `worker` and `beat`.";
        Finding::new(level, "not_started", "installation", found, advice)
    }

    fn alive(&self) -> impl Iterator<Item = &WorkerInfo> {
        self.workers.iter().filter(|worker| worker.alive)
    }

    fn serves(&self, queue: &str) -> bool {
        self.alive().any(|worker| worker.record.queues.iter().any(|served| served == queue))
    }

    fn unserved(&self, queue: &QueueInfo) -> Option<Finding> {
        if queue.waiting == 0 || self.serves(&queue.name) {
            return None;
        }
        let wait = tasks_wait(queue.waiting);
        let (level, found) = match self.python {
            0 => (Level::Warning, format!("{wait}, and no live worker serves it")),
            python => (
                Level::Info,
                format!("{wait}, and no worker of Rhubarb's serves it; {python} of Celery's may"),
            ),
        };
        let advice = format!("Start a worker for it (`worker -Q {}`).", queue.name);
        Some(Finding::new(level, "unserved_queue", format!("queue {}", queue.name), found, advice))
    }

    fn paused(&self, queue: &QueueInfo) -> Option<Finding> {
        if !queue.paused || queue.waiting == 0 {
            return None;
        }
        let since = queue.pause.as_ref().map(|pause| format!(" since {}", pause.since));
        let found =
            format!("it is paused{}, and {}", since.unwrap_or_default(), tasks_wait(queue.waiting));
        let advice = format!("Let it go on when that suits: `rhubarb resume {}`.", queue.name);
        let place = format!("queue {}", queue.name);
        Some(Finding::new(Level::Warning, "paused_queue", place, found, advice))
    }

    /// Tells of tasks that no live worker of their queue registers. Where Python's workers are
    /// there too, nobody but they knows what they run.
    fn unknown(&self, sample: &Composition) -> Option<Finding> {
        if self.python > 0 || !self.serves(&sample.queue) {
            return None;
        }
        let known: BTreeSet<&str> =
            self.alive().flat_map(|worker| &worker.record.tasks).map(String::as_str).collect();
        let unknown: Vec<&str> =
            sample.tasks.keys().map(String::as_str).filter(|task| !known.contains(task)).collect();
        if unknown.is_empty() {
            return None;
        }
        let found = format!("tasks wait that no live worker registers: {}", some(&unknown));
        let advice = "Deploy a worker that has them; until then they are parked, and wait again by \
                      themselves when one is there.";
        let place = format!("queue {}", sample.queue);
        Some(Finding::new(Level::Warning, "unknown_tasks", place, found, advice))
    }

    fn unusable(&self) -> impl Iterator<Item = Finding> {
        self.unusable.iter().map(|(name, why)| {
            let place = format!("schedule {name}");
            let advice = "Mend it: `rhubarb schedules list` shows all of them.";
            Finding::new(Level::Warning, "unusable_schedule", place, why.clone(), advice)
        })
    }

    fn ticks(&self) -> Vec<Finding> {
        if self.schedules > 0 && !self.led {
            let found = format!("no beat leads: {} schedules publish nothing", self.schedules);
            let advice = "Start a beat (`beat`).";
            return vec![Finding::new(Level::Warning, "no_beat", "schedules", found, advice)];
        }
        let late = self.late.iter().map(|late| {
            let found = format!("its tick is {} s late", late.by.as_secs());
            let advice = "Look at the beat that leads: its log says why it does not publish.";
            let place = format!("schedule {}", late.name);
            Finding::new(Level::Warning, "late_schedule", place, found, advice)
        });
        late.collect()
    }

    fn stranded(&self) -> Option<Finding> {
        let found = format!("tasks claimed by workers that are gone: {}", grouped(self.stranded));
        let advice = "Nothing to do while a worker of ours runs: it takes them over within minutes. \
                      Else start one.";
        counted(self.stranded, Level::Warning, "stranded_claims", found, advice)
    }

    fn unacked(&self) -> Option<Finding> {
        if self.python > 0 {
            return None;
        }
        let found =
            format!("tasks that Celery's workers left unacknowledged: {}", grouped(self.unacked));
        let advice = "Take them over, when no Celery worker runs: `rhubarb adopt-unacked`.";
        counted(self.unacked, Level::Warning, "unacked", found, advice)
    }

    fn dead(&self) -> Option<Finding> {
        let found = format!("dead letters: {}", grouped(self.dead));
        let advice =
            "See why (`rhubarb dead list`), then retry or drop them (`rhubarb dead retry ID`).";
        counted(self.dead, Level::Info, "dead_letters", found, advice)
    }

    fn parked(&self) -> Option<Finding> {
        let found =
            format!("parked tasks, whose name no live worker registers: {}", grouped(self.parked));
        let advice = "Deploy a worker that has them; `rhubarb parked list` names them.";
        counted(self.parked, Level::Warning, "parked_tasks", found, advice)
    }

    fn lost(&self) -> Option<Finding> {
        let lost: Vec<&str> = self
            .workers
            .iter()
            .filter(|worker| !worker.alive)
            .map(|worker| worker.record.node.as_str())
            .collect();
        if lost.is_empty() {
            return None;
        }
        let found = format!("workers lost in the last hour: {}", some(&lost));
        let advice = "Look for why they were killed (memory?); what they ran is run elsewhere.";
        Some(Finding::new(Level::Info, "lost_workers", "workers", found, advice))
    }

    fn versions(&self) -> Option<Finding> {
        let versions: BTreeSet<&str> =
            self.alive().map(|worker| worker.record.version.as_str()).collect();
        if versions.len() < 2 {
            return None;
        }
        let all: Vec<&str> = versions.into_iter().collect();
        let found = format!("workers of different versions run: {}", all.join(", "));
        let advice = "Expected during a deployment; else restart the older ones.";
        Some(Finding::new(Level::Info, "mixed_versions", "workers", found, advice))
    }

    fn sources(&self) -> Vec<Finding> {
        let Some(status) = &self.status else { return Vec::new() };
        let broken = status.sources.iter().filter(|(_, source)| {
            matches!(
                source.status,
                SourceState::Failed | SourceState::NotFound | SourceState::Partial
            )
        });
        broken
            .map(|(name, source)| {
                let said = source.error.clone().unwrap_or_else(|| "it did not end well".to_owned());
                let advice = format!("Try it step by step: `rhubarb sources check {name}`.");
                let place = format!("source {name}");
                Finding::new(Level::Warning, "broken_source", place, said, advice)
            })
            .collect()
    }
}

fn unreadable(queue: &QueueInfo) -> Option<Finding> {
    let found = format!("it cannot be read: {}", queue.problem.as_ref()?);
    let advice = "Move that key away (redis-cli RENAME): something else uses the queue's name.";
    let place = format!("queue {}", queue.name);
    Some(Finding::new(Level::Error, "unreadable_queue", place, found, advice))
}

fn counted(
    n: u64,
    level: Level,
    code: &'static str,
    found: String,
    advice: &'static str,
) -> Option<Finding> {
    (n > 0).then(|| Finding::new(level, code, "queue", found, advice))
}

/// Names the first few, and how many more there are.
fn some(names: &[&str]) -> String {
    let told = names.iter().take(TOLD).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(TOLD) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}
