//! Queues: what is in them, who serves them.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Html,
};
use rhubarb_queue::inspect::{QueueInfo, WorkerInfo};

use super::{
    Frame, html,
    part::{self, Part, Wanted},
    text,
};
use crate::{access::Reader, looks, problem::Problem, shown::url_encoded, site::Site};

/// So many queues are on a page: it stays under 100 KB.
const MOST: usize = 60;

#[derive(Template)]
#[template(path = "queues.html")]
struct QueuesPage {
    frame: Frame,
    rows: Vec<Row>,
    part: Part,
}

/// A queue.
struct Row {
    /// As it is.
    name: String,
    shown: String,
    url: String,
    waiting: u64,
    running: u64,
    scheduled: u64,
    priorities: String,
    paused: Option<String>,
    problem: Option<String>,
    served_by: String,
    is_served: bool,
}

impl Row {
    fn of(queue: &QueueInfo, workers: &[WorkerInfo]) -> Self {
        let serve = workers
            .iter()
            .filter(|worker| worker.alive && worker.record.queues.contains(&queue.name));
        let nodes: Vec<&str> = serve.map(|worker| worker.record.node.as_str()).collect();
        let steps = queue.by_priority.iter().filter(|step| step.waiting > 0 && step.priority > 0);
        let steps: Vec<String> =
            steps.map(|step| format!("{} of priority {}", step.waiting, step.priority)).collect();
        let since = || match &queue.pause {
            Some(pause) => {
                let note = pause.note.as_deref().map_or(String::new(), |note| format!(": {note}"));
                let since = pause.since.get(..19).unwrap_or(&pause.since).replace('T', " ");
                text(&format!("paused since {since}{note}"), 300)
            }
            None => "paused".to_owned(),
        };
        Self {
            name: queue.name.clone(),
            shown: text(&queue.name, 100),
            url: format!("/queue?name={}", url_encoded(&queue.name)),
            waiting: queue.waiting,
            running: queue.claimed,
            scheduled: queue.scheduled,
            priorities: steps.join(", "),
            paused: queue.paused.then(since),
            problem: queue.problem.as_ref().map(|problem| text(problem, 300)),
            is_served: !nodes.is_empty(),
            served_by: match nodes.as_slice() {
                [] => "no worker of ours".to_owned(),
                [one] => text(one, 60),
                [one, rest @ ..] => format!("{} and {} more", text(one, 60), rest.len()),
            },
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
    let seen = site.report().await?;
    let workers = looks::workers(&site).await?;
    let queues = seen.what.queues.as_deref().unwrap_or_default();
    let (queues, part) = part::of("/queues", &wanted, MOST, queues, |queue| &queue.name);
    let rows = queues.into_iter().map(|queue| Row::of(queue, &workers.what)).collect();
    let age_s = workers.age_s.max(seen.at.elapsed().as_secs());
    html(&QueuesPage {
        frame: Frame::new(&site, &visitor, "/queues", "Queues").aged(age_s),
        rows,
        part,
    })
}
