//! `queues`, `workers` and `task`: the queue as it stands.

use rhubarb_queue::inspect::{self, Passed, QueueInfo, TaskPlace, Unseen, WorkerInfo};
use serde_json::Value;

use super::Context;
use crate::{
    cli::{QueuesArgs, Shown, TaskArgs},
    error::Error,
    output::{self, Format},
    table::{Grid, clean},
};

/// Shows each queue.
pub(crate) async fn queues(context: &Context, args: &QueuesArgs) -> Result<(), Error> {
    let (client, served) = (&context.client, &context.config.worker.queues);
    let (queues, unseen) = inspect::all_queues(client, served, args.effort).await?;
    Format::of(args.shown.json).show(&queues, |queues| queue_table(queues))?;
    if let Some(unseen) = unseen {
        let more = if unseen.reason.is_none() { "; --effort S looks at more" } else { "" };
        output::note(&format!("note: {}{more}", unseen_text(&unseen)));
    }
    Ok(())
}

/// Says what was not looked through for queues that only Celery's programs use.
fn unseen_text(unseen: &Unseen) -> String {
    let why = match (&unseen.reason, unseen.keys) {
        (Some(reason), _) => format!("Redis refused to SCAN: {}", clean(reason)),
        (None, Some(keys)) => format!("{} of {keys} keys were looked at", unseen.looked_at),
        (None, None) => format!("{} keys were looked at", unseen.looked_at),
    };
    format!("queues that only Celery's programs use may be missing: {why}")
}

/// Renders queues as a table.
pub(super) fn queue_table(queues: &[QueueInfo]) -> String {
    let headings =
        ["QUEUE", "WAITING", "BY PRIORITY", "RUNNING", "SCHEDULED", "NEXT DUE", "PAUSED"];
    let mut grid = Grid::new(&headings)
        .right(&["WAITING", "RUNNING", "SCHEDULED"])
        .times(&["NEXT DUE", "PAUSED"])
        .spare(&["BY PRIORITY"]);
    for queue in queues {
        grid.row(cells(queue));
    }
    let mut lines = vec![grid.render()];
    lines.extend(queues.iter().filter_map(|queue| {
        let problem = queue.problem.as_ref()?;
        Some(clean(&format!("queue {} cannot be read: {problem}", queue.name)))
    }));
    lines.join("\n")
}

fn cells(queue: &QueueInfo) -> [String; 7] {
    let name = queue.name.clone();
    if queue.problem.is_some() {
        let [a, b, c, d, e] = [(); 5].map(|()| String::new());
        return [name, "unreadable".to_owned(), a, b, c, d, e];
    }
    let waiting = queue.by_priority.iter().filter(|step| step.waiting > 0);
    let steps: Vec<String> =
        waiting.map(|step| format!("{}: {}", step.priority, step.waiting)).collect();
    [
        name,
        queue.waiting.to_string(),
        steps.join(", "),
        queue.claimed.to_string(),
        queue.scheduled.to_string(),
        queue.next_due.clone().unwrap_or_default(),
        paused(queue),
    ]
}

fn paused(queue: &QueueInfo) -> String {
    match (&queue.pause, queue.paused) {
        (Some(pause), _) => match &pause.note {
            Some(note) => format!("since {}: {}", pause.since, clean(note)),
            None => format!("since {}", pause.since),
        },
        (None, true) => "yes".to_owned(),
        (None, false) => "no".to_owned(),
    }
}

/// Shows each worker of the last hour.
pub(crate) async fn workers(context: &Context, shown: Shown) -> Result<(), Error> {
    let workers = inspect::workers(&context.client).await?;
    Ok(Format::of(shown.json).show(&workers, |workers| worker_table(workers))?)
}

fn worker_table(workers: &[WorkerInfo]) -> String {
    if workers.is_empty() {
        return "no worker is running, and none was lost in the last hour".to_owned();
    }
    let headings = [
        "NODE",
        "ID",
        "STATE",
        "QUEUES",
        "SLOTS",
        "RUNNING",
        "PROCESSED",
        "VERSION",
        "LEASE UNTIL",
    ];
    let mut grid = Grid::new(&headings)
        .right(&["SLOTS", "RUNNING", "PROCESSED"])
        .whole(&["ID"])
        .times(&["LEASE UNTIL"])
        .spare(&["VERSION", "LEASE UNTIL", "PROCESSED", "ID"]);
    for worker in workers {
        let record = &worker.record;
        grid.row([
            record.node.clone(),
            record.id.clone(),
            worker_state(worker).to_owned(),
            record.queues.join(","),
            record.concurrency.to_string(),
            record.n_running.to_string(),
            record.processed.to_string(),
            record.version.clone(),
            worker.lease_until.clone(),
        ]);
    }
    grid.render()
}

fn worker_state(worker: &WorkerInfo) -> &'static str {
    match (worker.alive, worker.record.draining) {
        (true, false) => "alive",
        (true, true) => "stopping",
        (false, _) => "lost",
    }
}

/// Shows one task.
pub(crate) async fn task(context: &Context, args: &TaskArgs) -> Result<(), Error> {
    let task = inspect::task(&context.client, &args.id).await?;
    if task.place == "unknown" && task.result.is_none() {
        return Err(Error::Failed(unknown_task(&task)));
    }
    Ok(Format::of(args.shown.json).show(&task, task_lines)?)
}

/// Says why nothing is known of a task: guesses that its result has expired only when all was
/// searched.
fn unknown_task(task: &TaskPlace) -> String {
    let mut why: Vec<String> = task
        .passed
        .iter()
        .map(|passed| {
            let Passed { queue, searched, holds } = passed;
            format!("it is not among the next {searched} of queue {queue}, which holds {holds}")
        })
        .collect();
    why.extend(task.unseen.as_ref().map(unseen_text));
    if why.is_empty() {
        why.push("its result may have expired".to_owned());
    }
    clean(&format!("nothing is known of task {}; {}", task.id, why.join("; ")))
}

fn task_lines(task: &TaskPlace) -> String {
    let field = |name: &str| task.result.as_ref().and_then(|result| result.get(name));
    // That it is done, and that nothing is known, its state says.
    let place = (!["unknown", "done"].contains(&&*task.place)).then(|| task.place.clone());
    let mut lines = Vec::new();
    let rows = [
        ("id", Some(task.id.clone())),
        ("task", task.task.clone()),
        ("place", place),
        ("queue", task.queue.clone()),
        ("worker", task.worker.clone()),
        ("reason", task.reason.clone()),
        ("state", Some(task.state.clone())),
        ("ended", text(field("date_done"))),
        outcome(field("result")),
    ];
    for (name, value) in rows {
        lines.extend(value.map(|value| format!("{name:<8}{}", clean(&value))));
    }
    if let Some(traceback) = text(field("traceback")) {
        lines.push("traceback".to_owned());
        lines.extend(
            traceback.lines().map(|line| format!("  {}", line.replace(char::is_control, " "))),
        );
    }
    lines.join("\n")
}

/// Returns the value, or the exception as a person reads it.
fn outcome(result: Option<&Value>) -> (&'static str, Option<String>) {
    let exception = result.and_then(|result| result.get("exc_type")?.as_str());
    let Some(exception) = exception else { return ("result", text(result)) };
    let message = match result.and_then(|result| result.get("exc_message")) {
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| text(Some(part))).collect::<Vec<_>>().join(", ")
        }
        other => text(other).unwrap_or_default(),
    };
    ("error", Some(format!("{exception}: {message}")))
}

fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        value => Some(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use rhubarb_queue::{
        inspect::{PriorityInfo, WorkerRecord},
        pauses::Pause,
    };
    use serde_json::json;

    use super::*;

    #[test]
    fn a_queue_shows_its_priorities_and_whether_it_is_paused() {
        let step = |priority, waiting| PriorityInfo { priority, waiting };
        let queue = QueueInfo {
            name: "celery".into(),
            waiting: 12,
            by_priority: vec![step(0, 2), step(3, 0), step(9, 10)],
            claimed: 3,
            scheduled: 1,
            next_due: Some("2026-11-24T00:00:00+00:00".into()),
            paused: true,
            pause: Some(Pause {
                since: "2026-11-23T22:00:00Z".into(),
                note: Some("deploy".into()),
            }),
            problem: None,
        };
        let broken = QueueInfo {
            name: "mail".into(),
            problem: Some("key mail is a string, not a list".into()),
            ..queue.clone()
        };
        let expect = "\
QUEUE   WAITING  BY PRIORITY  RUNNING  SCHEDULED  NEXT DUE                   PAUSED
celery       12  0: 2, 9: 10        3          1  2026-11-24T00:00:00+00:00  since 2026-11-23T22:00:00Z: deploy";
        assert_eq!(queue_table(std::slice::from_ref(&queue)), expect);
        let shown = queue_table(&[queue, broken]);
        let last: Vec<&str> = shown.lines().skip(2).collect();
        assert!(last[0].starts_with("mail    unreadable  -  "), "{shown}");
        assert_eq!(last[1], "queue mail cannot be read: key mail is a string, not a list");
    }

    #[test]
    fn a_worker_is_alive_stopping_or_lost() {
        let worker = |alive, draining| WorkerInfo {
            record: WorkerRecord {
                id: "w1".into(),
                node: "rhubarb@host".into(),
                pid: 1,
                version: "0.1.0".into(),
                started_at: String::new(),
                concurrency: 16,
                queues: vec!["celery".into(), "mail".into()],
                tasks: Vec::new(),
                parameters: std::collections::BTreeMap::new(),
                n_running: 2,
                running: Vec::new(),
                processed: 7,
                late: 0,
                dead: 0,
                parked: 0,
                draining,
            },
            alive,
            lease_until: "2026-11-24T00:00:15+00:00".into(),
        };
        let shown = worker_table(&[worker(true, false), worker(true, true), worker(false, false)]);
        let expect = "\
NODE          ID  STATE     QUEUES       SLOTS  RUNNING  PROCESSED  VERSION  LEASE UNTIL
rhubarb@host  w1  alive     celery,mail     16        2          7  0.1.0    2026-11-24T00:00:15+00:00
rhubarb@host  w1  stopping  celery,mail     16        2          7  0.1.0    2026-11-24T00:00:15+00:00
rhubarb@host  w1  lost      celery,mail     16        2          7  0.1.0    2026-11-24T00:00:15+00:00";
        assert_eq!(shown, expect);
        assert_eq!(worker_table(&[]), "no worker is running, and none was lost in the last hour");
    }

    #[test]
    fn a_task_shows_its_traceback_line_by_line() {
        let task = TaskPlace {
            id: "t1".into(),
            state: "FAILURE".into(),
            place: "unknown".into(),
            queue: None,
            ahead: None,
            due: None,
            worker: None,
            task: None,
            reason: None,
            passed: Vec::new(),
            unseen: None,
            result: Some(json!({
                "status": "FAILURE",
                "result": {"exc_type": "ValueError", "exc_message": ["no", 3], "exc_module": "builtins"},
                "traceback": "one\n\u{1b}[2Jtwo",
            })),
        };
        let expect = "\
id      t1
state   FAILURE
error   ValueError: no, 3
traceback
  one
   [2Jtwo";
        assert_eq!(task_lines(&task), expect);
    }

    #[test]
    fn that_a_result_has_expired_is_guessed_only_when_all_was_searched() {
        let mut task = TaskPlace {
            id: "t1".into(),
            state: "PENDING".into(),
            place: "unknown".into(),
            queue: None,
            ahead: None,
            due: None,
            worker: None,
            task: None,
            reason: None,
            result: None,
            passed: Vec::new(),
            unseen: None,
        };
        let told = "nothing is known of task t1; its result may have expired";
        assert_eq!(unknown_task(&task), told);
        task.passed = vec![Passed { queue: "mail".into(), searched: 10, holds: 25 }];
        task.unseen = Some(Unseen { looked_at: 500, keys: Some(9_000), reason: None });
        let told = "nothing is known of task t1; it is not among the next 10 of queue mail, which holds 25; queues \
                    that only Celery's programs use may be missing: 500 of 9000 keys were looked at";
        assert_eq!(unknown_task(&task), told);
    }
}
