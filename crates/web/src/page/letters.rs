//! Dead letters and parked tasks, grouped by what is wrong.

use std::collections::HashMap;

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Html,
};
use rhubarb_queue::letter::{Letter, LetterKind};
use serde::Deserialize;

use super::{Frame, html, text};
use crate::{
    access::Reader,
    looks::{self, LETTERS},
    problem::Problem,
    shown::url_encoded,
    site::Site,
};

/// So many groups and single letters are shown.
const MOST: usize = 100;
/// So many characters of a reason make a group.
const SAME: usize = 100;

/// Which kind.
#[derive(Debug, Default, Deserialize)]
pub struct Which {
    /// `dead` or `parked`.
    #[serde(default)]
    kind: String,
}

#[derive(Template)]
#[template(path = "letters.html")]
struct LettersPage {
    frame: Frame,
    kind: &'static str,
    groups: Vec<Group>,
    rows: Vec<Row>,
    n: usize,
    more: bool,
}

impl LettersPage {
    /// Returns the two lists: word, words, whether it is this one.
    fn kinds(&self) -> [(&'static str, &'static str, bool); 2] {
        [("dead", "Dead letters"), ("parked", "Parked tasks")]
            .map(|(kind, words)| (kind, words, kind == self.kind))
    }
}

/// Letters of one task with one reason.
struct Group {
    task: String,
    raw_task: String,
    reason: String,
    raw_reason: String,
    n: usize,
}

struct Row {
    id: String,
    raw_id: String,
    url: String,
    task: String,
    queue: String,
    at: String,
    reason: String,
}

/// Returns the groups, the largest first.
fn groups(letters: &[Letter]) -> Vec<Group> {
    let mut counted: HashMap<(String, String), usize> = HashMap::new();
    for letter in letters {
        let reason: String = letter.reason.chars().take(SAME).collect();
        let task = letter.task.clone().unwrap_or_default();
        *counted.entry((task, reason)).or_default() += 1;
    }
    let mut groups: Vec<Group> = counted
        .into_iter()
        .map(|((task, reason), n)| Group {
            task: if task.is_empty() { "(no name)".to_owned() } else { text(&task, 100) },
            raw_task: task,
            reason: text(&reason, SAME),
            raw_reason: reason,
            n,
        })
        .collect();
    groups.sort_by(|a, b| (b.n, &a.raw_task).cmp(&(a.n, &b.raw_task)));
    groups.truncate(MOST);
    groups
}

/// Shows them.
///
/// # Errors
///
/// 503: nothing is known yet.
pub async fn show(
    Reader(visitor): Reader,
    State(site): State<Site>,
    Query(which): Query<Which>,
) -> Result<Html<String>, Problem> {
    let (kind, word) = match which.kind.as_str() {
        "parked" => (LetterKind::Parked, "parked"),
        _ => (LetterKind::Dead, "dead"),
    };
    let shown = looks::letters(&site, kind).await?;
    let n = shown.what.len().min(LETTERS);
    let letters = &shown.what[..n];
    let row = |letter: &Letter| Row {
        id: text(&letter.id, 40),
        raw_id: letter.id.clone(),
        url: format!("/task?id={}", url_encoded(&letter.id)),
        task: text(letter.task.as_deref().unwrap_or("-"), 100),
        queue: text(&letter.queue, 60),
        at: text(letter.at.get(..19).unwrap_or(&letter.at), 30).replace('T', " "),
        reason: text(&letter.reason, 300),
    };
    html(&LettersPage {
        frame: Frame::new(&site, &visitor, "/letters", "Dead and parked").aged(shown.age_s),
        kind: word,
        groups: groups(letters),
        rows: letters.iter().take(MOST).map(row).collect(),
        n,
        more: shown.what.len() > LETTERS,
    })
}
