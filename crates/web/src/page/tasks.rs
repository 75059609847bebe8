//! Tasks: a search in what became of them, and one task's story with why it does not run.

use std::time::Duration;

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Html,
};
use rhubarb_queue::{
    history::{self, HistoryFilter, StateChange},
    inspect,
};
use serde::Deserialize;

use super::{Frame, html, text};
use crate::{
    access::Reader,
    looks,
    problem::Problem,
    shown::url_encoded,
    site::Site,
    why::{self, Why},
};

/// So many are on a page.
const MOST: usize = 50;
/// For how long the history is searched.
const PATIENCE: Duration = Duration::from_secs(3);
/// The most of a long text that is shown.
const LONG: usize = 4000;

/// What is searched for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Search {
    /// A text, or an id.
    q: String,
    /// A state.
    state: String,
    /// Where to go on.
    cursor: String,
}

#[derive(Template)]
#[template(path = "tasks.html")]
struct TasksPage {
    frame: Frame,
    q: String,
    state: String,
    rows: Vec<Row>,
    searched: usize,
    next: Option<String>,
}

impl TasksPage {
    fn states(&self) -> [(&'static str, bool); 6] {
        let all = ["SUCCESS", "FAILURE", "RETRY", "REVOKED", "DEAD", "PARKED"];
        all.map(|state| (state, state == self.state))
    }
}

/// One change of a task's state.
struct Row {
    url: String,
    at: String,
    state: String,
    is_bad: bool,
    task: String,
    id: String,
    what: String,
    worker: String,
    ms: Option<f64>,
    traceback: Option<String>,
}

impl Row {
    fn of(change: &StateChange) -> Self {
        let what = change.error.as_deref().or(change.result.as_deref()).unwrap_or_default();
        let at = change.at.get(..19).unwrap_or(&change.at).replace('T', " ");
        Self {
            url: format!("/task?id={}", url_encoded(&change.id)),
            at: text(&at, 30),
            is_bad: ["FAILURE", "DEAD", "PARKED"].contains(&change.state.as_str()),
            state: text(&change.state, 30),
            task: text(&change.task, 100),
            id: text(&change.id, 40),
            what: text(what, 160),
            worker: text(&change.worker, 60),
            ms: change.runtime_ms,
            traceback: change.traceback.as_ref().map(|lines| long(lines)),
        }
    }
}

/// Returns a text of several lines, each as it may be shown.
fn long(lines: &str) -> String {
    let cut: String = lines.chars().take(LONG).collect();
    cut.lines().map(|line| text(line, LONG)).collect::<Vec<_>>().join("\n")
}

/// Shows what was found.
///
/// # Errors
///
/// Redis is away.
pub async fn search(
    Reader(visitor): Reader,
    State(site): State<Site>,
    Query(wanted): Query<Search>,
) -> Result<Html<String>, Problem> {
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let behind = given(&wanted.cursor).map(|cursor| cursor.parse()).transpose();
    let filter = HistoryFilter {
        state: given(&wanted.state),
        text: given(&wanted.q),
        behind: behind.map_err(|told: String| Problem::bad(&told))?,
        ..HistoryFilter::default()
    };
    let depth = site.config().history.ends;
    let found = history::read(site.client(), &filter, MOST, depth, PATIENCE).await?;
    let (q, state) = (url_encoded(&wanted.q), url_encoded(&wanted.state));
    let next = found.next.filter(|_| found.more);
    html(&TasksPage {
        frame: Frame::new(&site, &visitor, "/tasks", "Tasks"),
        rows: found.changes.iter().map(Row::of).collect(),
        searched: found.searched,
        next: next.map(|place| format!("/tasks?q={q}&state={state}&cursor={place}")),
        q: text(&wanted.q, 500),
        state: wanted.state,
    })
}

/// Which task.
#[derive(Debug, Deserialize)]
pub struct Which {
    /// Its id.
    #[serde(default)]
    id: String,
}

#[derive(Template)]
#[template(path = "task.html")]
struct TaskPage {
    frame: Frame,
    id: String,
    raw_id: String,
    why: Why,
    facts: Vec<(&'static str, String)>,
    stored: Option<String>,
    story: Vec<Row>,
    may_revoke: bool,
}

/// Shows one task.
///
/// # Errors
///
/// Redis is away, or what is stored is no result.
pub async fn story(
    Reader(visitor): Reader,
    State(site): State<Site>,
    Query(Which { id }): Query<Which>,
) -> Result<Html<String>, Problem> {
    let id = id.trim().to_owned();
    if id.is_empty() || id.len() > 512 {
        return Err(Problem::bad("a task's id has 1 to 512 characters"));
    }
    let client = site.client();
    let task = inspect::task(client, &id).await?;
    let workers = looks::workers(&site).await?;
    let why = why::of(client, &task, &workers.what).await?;
    let filter = HistoryFilter { text: Some(id.clone()), ..HistoryFilter::default() };
    let depth = site.config().history.ends;
    let found = history::read(client, &filter, MOST, depth, PATIENCE).await?;
    let mut own: Vec<&StateChange> =
        found.changes.iter().filter(|change| change.id == id).collect();
    own.reverse();
    let stored = task.result.as_ref().map(|stored| long(&format!("{stored:#}")));
    html(&TaskPage {
        frame: Frame::new(&site, &visitor, "/tasks", "Task"),
        id: text(&id, 100),
        facts: facts(&task, own.first().copied()),
        may_revoke: visitor.may_write()
            && ["waiting", "scheduled", "running"].contains(&task.place.as_str()),
        raw_id: id,
        story: own.into_iter().map(Row::of).collect(),
        why,
        stored,
    })
}

fn facts(task: &inspect::TaskPlace, first: Option<&StateChange>) -> Vec<(&'static str, String)> {
    let known = |text: &Option<String>| text.clone();
    let of = |get: fn(&StateChange) -> Option<&String>| first.and_then(get).cloned();
    let all = [
        ("Name", known(&task.task).or_else(|| first.map(|change| change.task.clone()))),
        ("State", Some(task.state.clone())),
        ("Place", Some(task.place.clone())),
        ("Queue", known(&task.queue).or_else(|| first.map(|change| change.queue.clone()))),
        ("Worker", known(&task.worker)),
        ("Due", known(&task.due)),
        ("Arguments", of(|change| change.args.as_ref())),
        ("Keyword arguments", of(|change| change.kwargs.as_ref())),
        ("Published by", of(|change| change.origin.as_ref())),
        ("Parent", of(|change| change.parent.as_ref())),
        ("Root", of(|change| change.root.as_ref())),
    ];
    let given = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
    given.map(|(name, value)| (name, text(&value, 1000))).collect()
}
