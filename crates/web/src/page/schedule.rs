//! One schedule: its entry, and the form that changes a live one.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Html,
};
use rhubarb_core::redact;
use rhubarb_queue::schedules::Owner;
use serde::Deserialize;

use super::{Frame, html, text};
use crate::{access::Reader, editing, problem::Problem, shown::url_encoded, site::Site};

/// What a new one begins with.
const EXAMPLE: &str = "{\n  \"task\": \"shop.report\",\n  \"cron\": \"30 1 * * mon-fri\"\n}";

/// Which one.
#[derive(Debug, Default, Deserialize)]
pub struct Which {
    /// Its name; empty for a new one.
    #[serde(default)]
    name: String,
}

#[derive(Template)]
#[template(path = "schedule.html")]
struct SchedulePage {
    frame: Frame,
    name: String,
    raw_name: String,
    words: String,
    owner: String,
    is_live: bool,
    /// As it stands where it may be edited, without its secrets where it is only looked at.
    entry: String,
    history: String,
}

/// Shows it.
///
/// # Errors
///
/// There is none of this name, or Redis is away.
pub async fn show(
    Reader(visitor): Reader,
    State(site): State<Site>,
    Query(Which { name }): Query<Which>,
) -> Result<Html<String>, Problem> {
    let frame = Frame::new(&site, &visitor, "/schedule", "Schedule");
    if name.is_empty() {
        return html(&new(frame));
    }
    let known = editing::known(&site, &name).await?;
    let config = &known.schedule.config;
    let (is_live, json) = (known.owner == Owner::Live, config.to_json());
    let is_edited = is_live && frame.may_write();
    let entry = if is_edited { json } else { redact::hidden(json) };
    html(&SchedulePage {
        name: text(&name, 100),
        raw_name: name,
        words: text(&known.schedule.words(), 200),
        owner: known.owner.to_string(),
        is_live,
        entry: serde_json::to_string_pretty(&entry).unwrap_or_default(),
        history: format!("/tasks?q={}", url_encoded(&config.task)),
        frame,
    })
}

fn new(frame: Frame) -> SchedulePage {
    SchedulePage {
        frame,
        name: String::new(),
        raw_name: String::new(),
        words: String::new(),
        owner: String::new(),
        is_live: true,
        entry: EXAMPLE.to_owned(),
        history: String::new(),
    }
}
