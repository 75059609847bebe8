//! Workers: who is there, and what runs.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Html,
};
use rhubarb_queue::inspect::{Running, WorkerInfo};

use super::{
    Frame, html,
    part::{self, Part, Wanted},
    text,
};
use crate::{access::Reader, looks, problem::Problem, shown::url_encoded, site::Site};

/// So many workers, and running tasks of each, are on a page: it stays under 100 KB.
const MOST: usize = 50;
const MOST_RUNNING: usize = 5;

#[derive(Template)]
#[template(path = "workers.html")]
struct WorkersPage {
    frame: Frame,
    rows: Vec<Row>,
    slots: usize,
    taken: usize,
    part: Part,
}

struct Row {
    node: String,
    state: &'static str,
    is_bad: bool,
    queues: String,
    slots: usize,
    running: usize,
    processed: u64,
    late: u64,
    version: String,
    since: String,
    /// Address, task, since when.
    tasks: Vec<(String, String, String)>,
}

impl Row {
    fn of(worker: &WorkerInfo) -> Self {
        let record = &worker.record;
        let state = match (worker.alive, record.draining) {
            (false, _) => "gone",
            (true, true) => "stopping",
            (true, false) => "live",
        };
        let time = |at: &str| text(at.get(..19).unwrap_or(at), 30).replace('T', " ");
        let task = |one: &Running| {
            let url = format!("/task?id={}", url_encoded(&one.id));
            (url, text(&one.task, 80), time(&one.since))
        };
        Self {
            node: text(&record.node, 100),
            state,
            is_bad: !worker.alive && record.n_running > 0,
            queues: text(&record.queues.join(", "), 200),
            slots: record.concurrency,
            running: record.n_running,
            processed: record.processed,
            late: record.late,
            version: text(&record.version, 30),
            since: time(&record.started_at),
            tasks: record.running.iter().take(MOST_RUNNING).map(task).collect(),
        }
    }
}

/// Shows them.
///
/// # Errors
///
/// 503: nothing is known yet.
pub async fn show(
    Reader(visitor): Reader,
    State(site): State<Site>,
    Query(wanted): Query<Wanted>,
) -> Result<Html<String>, Problem> {
    let shown = looks::workers(&site).await?;
    let live = || shown.what.iter().filter(|worker| worker.alive);
    let all = shown.what.iter();
    let (workers, part) = part::of("/workers", &wanted, MOST, all, |worker| &worker.record.node);
    html(&WorkersPage {
        frame: Frame::new(&site, &visitor, "/workers", "Workers").aged(shown.age_s),
        slots: live().map(|worker| worker.record.concurrency).sum(),
        taken: live().map(|worker| worker.record.n_running).sum(),
        rows: workers.into_iter().map(Row::of).collect(),
        part,
    })
}
