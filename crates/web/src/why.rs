//! Why a task does not run: [`explain`] is pure, what was seen in and one answer out.

use std::collections::BTreeMap;

use rhubarb_queue::{
    Client, Error,
    inspect::{self, QueueInfo, TaskPlace, WorkerInfo},
    revocations,
};
use serde::Serialize;

/// What was seen of a task and its surroundings.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The task.
    pub task: &'a TaskPlace,
    /// Its queue, where it is on one.
    pub queue: Option<&'a QueueInfo>,
    /// The workers of the last hour.
    pub workers: &'a [WorkerInfo],
    /// Whether it is revoked.
    pub revoked: bool,
}

/// Why a task does not run, or that it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Why {
    /// As a word for programs.
    pub reason: &'static str,
    /// In one sentence.
    pub words: String,
    /// What to do about it; may be empty.
    pub advice: String,
}

/// Looks at what there is besides, and returns the reason.
///
/// # Errors
///
/// Redis is away.
pub async fn of(client: &Client, task: &TaskPlace, workers: &[WorkerInfo]) -> Result<Why, Error> {
    let names: Vec<String> = task.queue.iter().cloned().collect();
    let queue = inspect::queues_named(client, &names).await?.pop();
    let revoked = revocations::is_revoked(client, &task.id).await?;
    Ok(explain(Facts { task, queue: queue.as_ref(), workers, revoked }))
}

fn why(reason: &'static str, words: impl Into<String>, advice: &str) -> Why {
    Why { reason, words: words.into(), advice: advice.to_owned() }
}

/// Returns the reason that matters most: what would keep it from running when all the others were
/// mended comes first.
pub fn explain(facts: Facts<'_>) -> Why {
    let task = facts.task;
    let told = task.reason.as_deref().unwrap_or("nobody said why");
    match task.place.as_str() {
        "dead" => why("dead", format!("It is a dead letter: {told}."), "Retry it, or drop it."),
        "parked" => why(
            "parked",
            format!("It is parked: {told}."),
            "It runs by itself once a worker knows its task.",
        ),
        "running" => {
            let worker = task.worker.as_deref().unwrap_or("a worker");
            why("running", format!("It runs now, on {worker}."), "")
        }
        _ if facts.revoked || task.state == "REVOKED" => {
            why("revoked", "It is revoked: no worker begins it.", "Publish it anew to have it run.")
        }
        "done" => why("done", format!("It has ended: {}.", task.state), ""),
        "scheduled" => scheduled(facts),
        "waiting" => waiting(facts),
        _ => why(
            "unknown",
            "Nothing is known of it: it was never published here, or its result has expired.",
            "Compare the id, and the queue's database with its publisher's.",
        ),
    }
}

fn scheduled(facts: Facts<'_>) -> Why {
    let due = facts.task.due.as_deref().unwrap_or("a time that cannot be read");
    let words = format!("It waits for its time: it is due at {due}.");
    let is_paused = facts.queue.is_some_and(|queue| queue.paused);
    let advice = if is_paused { "Its queue is paused: it would wait even then." } else { "" };
    why("scheduled", words, advice)
}

fn waiting(facts: Facts<'_>) -> Why {
    if facts.task.due.is_some() {
        return scheduled(facts);
    }
    let name = facts.task.queue.as_deref().unwrap_or_default();
    if let Some(queue) = facts.queue.filter(|queue| queue.paused) {
        let pause = queue.pause.as_ref();
        let since = pause.map_or(String::new(), |pause| format!(" since {}", pause.since));
        let note = pause.and_then(|pause| pause.note.as_deref());
        let note = note.map_or(String::new(), |note| format!(": {note}"));
        return why("paused", format!("Its queue {name} is paused{since}{note}."), "Resume it.");
    }
    let live = || facts.workers.iter().filter(|worker| worker.alive && !worker.record.draining);
    let serving: Vec<&WorkerInfo> =
        live().filter(|worker| worker.record.queues.iter().any(|queue| queue == name)).collect();
    if serving.is_empty() {
        let n = live().count();
        let words = format!("No live worker serves the queue {name} ({n} serve others).");
        let advice = "Start a worker with --queues, or publish to a queue that is served. Workers in \
                      Python are not seen here.";
        return why("not_served", words, advice);
    }
    let task = facts.task.task.as_deref().unwrap_or_default();
    let knows = |worker: &&WorkerInfo| worker.record.tasks.iter().any(|known| known == task);
    if !serving.iter().any(knows) {
        let words = format!("No live worker that serves {name} knows the task {task}.");
        return why("unknown_task", words, "Deploy a worker with this task, or mend its name.");
    }
    slots(facts, &serving)
}

/// All is well: it waits for its turn.
fn slots(facts: Facts<'_>, serving: &[&WorkerInfo]) -> Why {
    let slots: usize = serving.iter().map(|worker| worker.record.concurrency).sum();
    let taken: usize = serving.iter().map(|worker| worker.record.n_running).sum();
    let ahead = facts.task.ahead.unwrap_or_default();
    if taken >= slots {
        let mut by_task: BTreeMap<&str, usize> = BTreeMap::new();
        let running = serving.iter().flat_map(|worker| &worker.record.running);
        running.for_each(|one| *by_task.entry(&one.task).or_default() += 1);
        let mut by_task: Vec<_> = by_task.into_iter().collect();
        by_task.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let by: Vec<String> =
            by_task.iter().take(3).map(|(task, n)| format!("{n} by {task}")).collect();
        let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
        let words = format!("All {slots} slots are taken{by}, and {ahead} tasks are before it.");
        return why("slots_taken", words, "Add workers, or raise worker.concurrency.");
    }
    let free = slots - taken;
    let words = format!("It is next: {ahead} tasks are before it, and {free} slots are free.");
    why("in_turn", words, "")
}

#[cfg(test)]
mod tests {
    use rhubarb_queue::{
        inspect::{Running, WorkerRecord},
        pauses::Pause,
    };

    use super::*;

    fn task(place: &str) -> TaskPlace {
        TaskPlace {
            id: "1".into(),
            state: "PENDING".into(),
            place: place.into(),
            queue: Some("mail".into()),
            ahead: Some(7),
            due: None,
            worker: None,
            task: Some("shop.mail".into()),
            reason: None,
            result: None,
            passed: Vec::new(),
            unseen: None,
        }
    }

    fn worker(queue: &str, task: &str, running: usize) -> WorkerInfo {
        let one = Running {
            id: "2".into(),
            task: "shop.slow".into(),
            queue: queue.into(),
            since: String::new(),
        };
        let record = WorkerRecord {
            id: "w".into(),
            node: "celery@w".into(),
            pid: 1,
            version: String::new(),
            started_at: String::new(),
            concurrency: 4,
            queues: vec![queue.into()],
            tasks: vec![task.into()],
            parameters: std::collections::BTreeMap::new(),
            n_running: running,
            running: vec![one; running],
            processed: 0,
            late: 0,
            dead: 0,
            parked: 0,
            draining: false,
        };
        WorkerInfo { record, alive: true, lease_until: String::new() }
    }

    fn answer(task: &TaskPlace, workers: &[WorkerInfo]) -> (&'static str, String) {
        let found = explain(Facts { task, queue: None, workers, revoked: false });
        (found.reason, found.words)
    }

    #[test]
    fn a_dead_letter_and_a_parked_task_say_why() {
        for place in ["dead", "parked"] {
            let task = TaskPlace { reason: Some("it is broken".into()), ..task(place) };
            let (reason, words) = answer(&task, &[]);
            assert_eq!(reason, place);
            assert!(words.contains("it is broken"), "{words}");
        }
    }

    #[test]
    fn a_revoked_task_is_revoked_wherever_it_waits() {
        for place in ["waiting", "scheduled", "unknown"] {
            let task = task(place);
            let facts = Facts { task: &task, queue: None, workers: &[], revoked: true };
            assert_eq!(explain(facts).reason, "revoked", "{place}");
        }
        let state = TaskPlace { state: "REVOKED".into(), ..task("done") };
        assert_eq!(answer(&state, &[]).0, "revoked");
    }

    #[test]
    fn what_has_ended_runs_or_is_not_known_says_so() {
        let done = TaskPlace { state: "SUCCESS".into(), ..task("done") };
        assert_eq!(answer(&done, &[]), ("done", "It has ended: SUCCESS.".into()));
        assert_eq!(answer(&task("unknown"), &[]).0, "unknown");
        let running = TaskPlace { worker: Some("celery@w".into()), ..task("running") };
        let revoked = Facts { task: &running, queue: None, workers: &[], revoked: true };
        assert_eq!(explain(revoked).words, "It runs now, on celery@w.");
    }

    #[test]
    fn a_scheduled_task_says_when_it_is_due() {
        let due = TaskPlace { due: Some("2027-01-01T00:00:00+00:00".into()), ..task("scheduled") };
        let (reason, words) = answer(&due, &[]);
        assert_eq!(reason, "scheduled");
        assert!(words.contains("2027-01-01T00:00:00"), "{words}");
    }

    #[test]
    fn what_no_worker_has_taken_yet_says_when_it_is_due_too() {
        let due = TaskPlace { due: Some("2027-01-01T00:00:00+00:00".into()), ..task("waiting") };
        let (reason, words) = answer(&due, &[worker("mail", "shop.mail", 4)]);
        assert_eq!(reason, "scheduled");
        assert!(words.contains("2027-01-01T00:00:00"), "{words}");
    }

    #[test]
    fn a_paused_queue_goes_before_what_its_workers_do() {
        let pause = Pause { since: "2027".into(), note: Some("a deploy".into()) };
        let queue = QueueInfo { paused: true, pause: Some(pause), ..QueueInfo::default() };
        let task = task("waiting");
        let facts = Facts { task: &task, queue: Some(&queue), workers: &[], revoked: false };
        let found = explain(facts);
        assert_eq!(found.reason, "paused");
        assert_eq!(found.words, "Its queue mail is paused since 2027: a deploy.");
    }

    #[test]
    fn no_live_worker_serves_its_queue() {
        let mut others = vec![worker("other", "shop.mail", 0), worker("mail", "shop.mail", 0)];
        others[1].alive = false;
        let (reason, words) = answer(&task("waiting"), &others);
        assert_eq!(reason, "not_served");
        assert_eq!(words, "No live worker serves the queue mail (1 serve others).");
        others[1].alive = true;
        others[1].record.draining = true;
        assert_eq!(answer(&task("waiting"), &others).0, "not_served");
    }

    #[test]
    fn no_live_worker_knows_its_name() {
        let (reason, words) = answer(&task("waiting"), &[worker("mail", "shop.other", 0)]);
        assert_eq!(reason, "unknown_task");
        assert!(words.contains("shop.mail"), "{words}");
    }

    #[test]
    fn all_slots_are_taken_and_by_what() {
        let (reason, words) = answer(&task("waiting"), &[worker("mail", "shop.mail", 4)]);
        assert_eq!(reason, "slots_taken");
        assert_eq!(words, "All 4 slots are taken (4 by shop.slow), and 7 tasks are before it.");
    }

    #[test]
    fn else_it_waits_for_its_turn() {
        let (reason, words) = answer(&task("waiting"), &[worker("mail", "shop.mail", 1)]);
        assert_eq!(reason, "in_turn");
        assert_eq!(words, "It is next: 7 tasks are before it, and 3 slots are free.");
    }
}
