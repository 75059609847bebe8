//! One queue: what waits in it, by the name of its task.

use std::time::Duration;

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Html,
};
use rhubarb_queue::inspect::{self, Composition};
use serde::Deserialize;

use super::{Frame, html, text};
use crate::{access::Reader, problem::Problem, site::Site};

/// So many messages of each list are looked at, for so long.
const DEPTH: usize = 2000;
const EFFORT: Duration = Duration::from_millis(200);
/// So many names are shown.
const MOST: usize = 50;

/// Which queue.
#[derive(Debug, Deserialize)]
pub struct Which {
    /// Its name.
    #[serde(default)]
    name: String,
}

#[derive(Template)]
#[template(path = "queue.html")]
struct QueuePage {
    frame: Frame,
    name: String,
    waiting: u64,
    running: u64,
    scheduled: u64,
    paused: bool,
    /// Name, how many, percent of those that were read.
    tasks: Vec<(String, u64, u64)>,
    read: u64,
    holds: u64,
}

/// Returns what there is most of first.
fn shares(sample: &Composition) -> Vec<(String, u64, u64)> {
    let named = sample.tasks.iter().map(|(task, n)| (text(task, 100), *n));
    let unnamed = (sample.unnamed > 0).then(|| ("(no name)".to_owned(), sample.unnamed));
    let mut all: Vec<(String, u64)> = named.chain(unnamed).collect();
    all.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let percent = |n: u64| (n * 100).div_ceil(sample.read.max(1));
    all.into_iter().take(MOST).map(|(task, n)| (task, n, percent(n))).collect()
}

/// Shows it.
///
/// # Errors
///
/// Redis is away.
pub async fn show(
    Reader(visitor): Reader,
    State(site): State<Site>,
    Query(Which { name }): Query<Which>,
) -> Result<Html<String>, Problem> {
    let client = site.client();
    let found = inspect::queues_named(client, std::slice::from_ref(&name)).await?.pop();
    let found = found.unwrap_or_default();
    let sample = inspect::composition(client, &name, DEPTH, EFFORT).await?;
    html(&QueuePage {
        frame: Frame::new(&site, &visitor, "", "Queue"),
        name: text(&name, 100),
        waiting: found.waiting,
        running: found.claimed,
        scheduled: found.scheduled,
        paused: found.paused,
        tasks: shares(&sample),
        read: sample.read,
        holds: sample.holds,
    })
}
