//! Schedules: in words, when they run next, how late they were.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Html,
};

use super::{
    Frame, html,
    part::{self, Part, Wanted},
    text,
};
use crate::{
    access::Reader,
    board::{EndCounts, Trend},
    chart, looks,
    problem::Problem,
    shown::url_encoded,
    site::Site,
    timetable::Entry,
};

/// So many are on a page, and so many of those that cannot be used: it stays under 100 KB.
const MOST: usize = 40;

#[derive(Template)]
#[template(path = "schedules.html")]
struct SchedulesPage {
    frame: Frame,
    leader: Option<String>,
    rows: Vec<Row>,
    problems: Vec<(String, String)>,
    part: Part,
}

struct Row {
    name: String,
    url: String,
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
    /// How its task ended in the last day: a picture, and the same in words.
    spark: String,
    ended: String,
}

impl Row {
    fn of(entry: &Entry, trend: &Trend) -> Self {
        let outcomes = chart::outcomes(trend, &entry.task);
        let time = |at: &String| at.replace('T', " ");
        Self {
            name: entry.name.clone(),
            url: format!("/schedule?name={}", url_encoded(&entry.name)),
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
            spark: chart::small(&outcomes),
            ended: ended(&outcomes),
        }
    }
}

/// Tells in words how a task ended; empty where it did not.
fn ended(outcomes: &[EndCounts]) -> String {
    let good: u64 = outcomes.iter().map(|hour| hour.good).sum();
    let bad: u64 = outcomes.iter().map(|hour| hour.bad).sum();
    match (good, bad) {
        (0, 0) => String::new(),
        (good, 0) => format!("{good} well"),
        (good, bad) => format!("{good} well, {bad} failed"),
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
    let shown = looks::timetable(&site).await?;
    let trend = looks::trend(&site).await.map(|trend| trend.what).unwrap_or_default();
    let all = &shown.what;
    let (items, part) = part::of("/schedules", &wanted, MOST, &all.items, |one| &one.name);
    let problems = all.problems.iter().take(MOST);
    html(&SchedulesPage {
        frame: Frame::new(&site, &visitor, "/schedules", "Schedules").aged(shown.age_s),
        leader: all.leader.as_ref().map(|leader| text(leader, 100)),
        rows: items.into_iter().map(|one| Row::of(one, &trend)).collect(),
        problems: problems.map(|one| (text(&one.name, 100), text(&one.problem, 500))).collect(),
        part,
    })
}
