//! Schedules: in words, when they run next, how late they were.

use askama::Template;
use axum::{extract::State, response::Html};

use super::{Frame, html, text};
use crate::{access::Reader, looks, problem::Problem, site::Site, timetable::Entry};

/// So many are shown.
const MOST: usize = 300;

#[derive(Template)]
#[template(path = "schedules.html")]
struct SchedulesPage {
    frame: Frame,
    leader: Option<String>,
    rows: Vec<Row>,
    problems: Vec<(String, String)>,
    left_out: usize,
}

struct Row {
    name: String,
    shown: String,
    words: String,
    task: String,
    owner: String,
    state: &'static str,
    note: String,
    next: Vec<String>,
    last: String,
    runs: u64,
    missed: u64,
    late_s: u64,
}

impl Row {
    fn of(entry: &Entry) -> Self {
        let time = |at: &String| at.replace('T', " ");
        Self {
            name: entry.name.clone(),
            shown: text(&entry.name, 100),
            words: text(&entry.words, 200),
            task: text(&entry.task, 100),
            owner: entry.owner.to_string(),
            state: entry.state,
            note: text(entry.note.as_deref().unwrap_or_default(), 200),
            next: entry.next_runs.iter().map(time).collect(),
            last: entry.last_run.as_ref().map_or_else(|| "never".to_owned(), time),
            runs: entry.runs,
            missed: entry.missed,
            late_s: entry.late_ms / 1000,
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
) -> Result<Html<String>, Problem> {
    let shown = looks::timetable(&site).await?;
    let all = &shown.what;
    let problems = all.problems.iter().take(MOST);
    html(&SchedulesPage {
        frame: Frame::new(&site, &visitor, "/schedules", "Schedules").aged(shown.age_s),
        leader: all.leader.as_ref().map(|leader| text(leader, 100)),
        rows: all.items.iter().take(MOST).map(Row::of).collect(),
        problems: problems.map(|one| (text(&one.name, 100), text(&one.problem, 500))).collect(),
        left_out: all.items.len().saturating_sub(MOST),
    })
}
