//! What other live workers run, of both kinds: ours by their registry entries, Python's by asking
//! them.
//!
//! Python workers are asked by remote control, as `celery inspect` does: `registered` for their
//! tasks and `active_queues` for their queues. A worker counts for a task on a queue only if it has
//! both, because the workers of one application often register all of its tasks and serve some of
//! its queues.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rhubarb_queue::{Error, inspect};
use tokio::time::Instant;

use crate::{
    ask::{Answers, Node, ask},
    broker::Broker,
};

/// How long it is believed that somebody runs a task.
pub(super) const SOMEBODY: Duration = Duration::from_secs(30);
/// How long it is believed that nobody does.
const NOBODY: Duration = Duration::from_secs(10);
/// How long a worker's last answer stands while it listens and does not answer: Celery's solo pool
/// is deaf while it runs a task.
const SILENT: Duration = Duration::from_secs(600);
/// How many names of others' tasks are passed over on a queue.
const NAMES: usize = 500;

/// Why a message is for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// We do not run its task.
    Foreign,
    /// It is not in our share; Python's workers alone take it.
    Share,
}

/// What is known of the others.
#[derive(Debug, Default)]
pub(crate) struct Others(Mutex<Answered>);

#[derive(Debug, Default)]
struct Answered {
    nodes: BTreeMap<String, Node>,
    asked: Option<Instant>,
    /// By queue: the names that are passed over, because somebody else runs them or is being asked
    /// for them.
    passed: BTreeMap<String, BTreeMap<String, Why>>,
}

impl Others {
    fn known(&self) -> MutexGuard<'_, Answered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether somebody else runs a task from a queue; `None` when that has to be asked.
    pub(crate) fn runs(&self, queue: &str, task: &str) -> Option<bool> {
        self.known().runs(queue, task, Instant::now())
    }

    /// Tells whether somebody else takes a message from a queue; `None` when that has to be asked.
    pub(crate) fn takes(&self, queue: &str, task: &str, why: Why) -> Option<bool> {
        self.known().takes(queue, task, why, Instant::now())
    }

    /// Passes over messages of this task on this queue from now on.
    pub(crate) fn pass_over(&self, queue: &str, task: &str, why: Why) {
        self.known().pass_over(queue, task, why);
    }

    /// Returns the tasks to pass over on a queue, each with how many of 100 of its messages are
    /// not; `share` says it of those that we run too.
    pub(crate) fn passed_over(&self, queue: &str, share: impl Fn(&str) -> u8) -> Vec<(String, u8)> {
        self.known().passed_over(queue, share)
    }

    /// Tells whether anything is passed over on a queue.
    pub(crate) fn passes_over(&self, queue: &str) -> bool {
        self.known().passed.contains_key(queue)
    }

    /// Forgets what is passed over on a queue, because nothing of it waits there any more.
    pub(crate) fn pass_nothing(&self, queue: &str) {
        self.known().passed.remove(queue);
    }

    /// Returns when to ask again so that what is passed over stays known; `None` while nothing is.
    pub(super) fn refresh_at(&self) -> Option<Instant> {
        self.known().refresh_at()
    }

    /// Asks all live workers, and keeps what they say.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]; what was known stays.
    pub(super) async fn ask(&self, broker: &Broker) -> Result<(), Error> {
        let mut answers = ask(broker).await?;
        let workers = inspect::workers(&broker.client).await?;
        // Ours answer as Python's do.
        for worker in &workers {
            if let Some(node) = answers.nodes.get_mut(&worker.record.node) {
                node.is_ours = true;
            }
        }
        for worker in workers.into_iter().filter(|w| w.alive && w.record.id != broker.id) {
            let record = worker.record;
            let (queues, tasks) = (record.queues.into_iter(), record.tasks.into_iter());
            let (queues, tasks) = (queues.collect(), tasks.collect());
            let node = Node { queues, tasks, at: None, is_ours: true };
            answers.registered.insert(record.id, node);
        }
        self.keep(answers);
        Ok(())
    }

    /// Keeps what was answered.
    pub(super) fn keep(&self, answers: Answers) {
        self.known().keep(answers, Instant::now());
    }

    /// Returns something that differs when what the others run does.
    pub(super) fn signature(&self) -> Vec<(BTreeSet<String>, BTreeSet<String>)> {
        let mut all: Vec<_> =
            self.known().nodes.values().map(|n| (n.queues.clone(), n.tasks.clone())).collect();
        all.sort();
        all.dedup();
        all
    }
}

impl Answered {
    fn runs(&self, queue: &str, task: &str, now: Instant) -> Option<bool> {
        self.takes(queue, task, Why::Foreign, now)
    }

    fn takes(&self, queue: &str, task: &str, why: Why, now: Instant) -> Option<bool> {
        let age = now - self.asked?;
        let may = |node: &Node| why == Why::Foreign || !node.is_ours;
        let runs = |node: &Node| node.queues.contains(queue) && node.tasks.contains(task);
        let somebody = self.nodes.values().any(|node| may(node) && runs(node));
        let believed = if somebody { SOMEBODY } else { NOBODY };
        (age < believed).then_some(somebody)
    }

    fn pass_over(&mut self, queue: &str, task: &str, why: Why) {
        let names = self.passed.entry(queue.to_owned()).or_default();
        if names.len() < NAMES && names.get(task) != Some(&why) {
            names.insert(task.to_owned(), why);
        }
    }

    fn passed_over(&self, queue: &str, share: impl Fn(&str) -> u8) -> Vec<(String, u8)> {
        let names = self.passed.get(queue).into_iter().flatten();
        let of = |(name, why): (&String, &Why)| match why {
            Why::Foreign => Some((name.clone(), 0)),
            Why::Share => Some((name.clone(), share(name))).filter(|(_, share)| *share < 100),
        };
        names.filter_map(of).collect()
    }

    fn refresh_at(&self) -> Option<Instant> {
        let is_needed = !self.passed.is_empty();
        self.asked.filter(|_| is_needed).map(|asked| asked + SOMEBODY * 2 / 3)
    }

    /// Those who listened in silence keep what they said before.
    fn keep(&mut self, answers: Answers, now: Instant) {
        let Answers { mut nodes, registered, complete } = answers;
        nodes.values_mut().for_each(|node| node.at = Some(now));
        nodes.extend(registered);
        let old = std::mem::replace(&mut self.nodes, nodes);
        if !complete {
            let fresh = |node: &Node| node.at.is_some_and(|at| now - at < SILENT);
            for (name, node) in old.into_iter().filter(|(_, node)| fresh(node)) {
                self.nodes.entry(name).or_insert(node);
            }
        }
        self.asked = Some(now);
        let mut passed = std::mem::take(&mut self.passed);
        for (queue, names) in &mut passed {
            names.retain(|task, why| self.takes(queue, task, *why, now) == Some(true));
        }
        passed.retain(|_, names| !names.is_empty());
        self.passed = passed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(complete: bool, nodes: &[(&str, &str, &str)]) -> Answers {
        let set = |one: &str| BTreeSet::from([one.to_owned()]);
        let node =
            |queue, task| Node { queues: set(queue), tasks: set(task), at: None, is_ours: false };
        let nodes = nodes.iter().map(|(name, queue, task)| ((*name).to_owned(), node(queue, task)));
        Answers { nodes: nodes.collect(), registered: BTreeMap::new(), complete }
    }

    #[test]
    fn an_answer_is_believed_for_a_while_and_a_no_for_a_shorter_one() {
        let (mut known, now) = (Answered::default(), Instant::now());
        assert_eq!(known.runs("q", "t", now), None);
        known.keep(answers(true, &[("w", "q", "t")]), now);
        assert_eq!(known.runs("q", "t", now), Some(true));
        assert_eq!(known.runs("other", "t", now), Some(false), "it does not serve that queue");
        assert_eq!(known.runs("q", "other", now), Some(false));
        assert_eq!(known.runs("q", "other", now + NOBODY), None);
        assert_eq!(known.runs("q", "t", now + NOBODY), Some(true));
        assert_eq!(known.runs("q", "t", now + SOMEBODY), None);
    }

    #[test]
    fn a_worker_that_listens_in_silence_keeps_its_word_for_a_while() {
        let (mut known, now) = (Answered::default(), Instant::now());
        known.keep(answers(true, &[("busy", "q", "t"), ("other", "q", "u")]), now);
        known.keep(answers(false, &[("other", "q", "v")]), now);
        assert_eq!(known.runs("q", "t", now), Some(true));
        assert_eq!(known.runs("q", "u", now), Some(false), "it has said something else by now");
        known.keep(answers(true, &[]), now);
        assert_eq!(known.runs("q", "t", now), Some(false), "nobody listens");
        known.keep(answers(true, &[("busy", "q", "t")]), now);
        known.keep(answers(false, &[]), now + SILENT);
        assert_eq!(known.runs("q", "t", now + SILENT), Some(false), "silent for too long");
    }

    #[test]
    fn names_are_passed_over_while_somebody_runs_them() {
        let (mut known, now) = (Answered::default(), Instant::now());
        let passed_over = |known: &Answered| -> Vec<String> {
            known.passed_over("q", |_| 100).into_iter().map(|(name, _)| name).collect()
        };
        known.pass_over("q", "t", Why::Foreign);
        known.pass_over("q", "u", Why::Foreign);
        assert_eq!(passed_over(&known), ["t", "u"], "while they are being asked for");
        assert_eq!(known.refresh_at(), None, "the first question is on its way");
        known.keep(answers(true, &[("w", "q", "t")]), now);
        assert_eq!(passed_over(&known), ["t"]);
        assert!(known.refresh_at().is_some_and(|at| at < now + SOMEBODY));
        known.keep(answers(true, &[]), now);
        assert_eq!(passed_over(&known), [""; 0]);
        assert_eq!(known.refresh_at(), None);
        (0..2 * NAMES).for_each(|n| known.pass_over("q", &n.to_string(), Why::Foreign));
        assert_eq!(passed_over(&known).len(), NAMES);
    }

    #[test]
    fn only_pythons_workers_are_left_a_share() {
        let (mut known, now) = (Answered::default(), Instant::now());
        let takes = |known: &Answered, why| known.takes("q", "t", why, now);
        let mut ours = answers(true, &[("ours", "q", "t")]);
        ours.nodes.values_mut().for_each(|node| node.is_ours = true);
        known.pass_over("q", "t", Why::Share);
        known.keep(ours, now);
        assert_eq!(takes(&known, Why::Foreign), Some(true));
        assert_eq!(takes(&known, Why::Share), Some(false), "another one of ours decides alike");
        assert!(known.passed_over("q", |_| 10).is_empty(), "nobody would take what is left");
        known.keep(answers(true, &[("python", "q", "t")]), now);
        assert_eq!(takes(&known, Why::Share), Some(true));
        known.pass_over("q", "t", Why::Share);
        assert_eq!(known.passed_over("q", |_| 10), [("t".to_owned(), 10)]);
        assert!(known.passed_over("q", |_| 100).is_empty(), "all of it is ours by now");
    }
}
