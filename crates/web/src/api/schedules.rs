//! Schedules: when they run, and that they do not.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use rhubarb_queue::schedules::{Edited, Schedules};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{body::Given, queues::Changed};
use crate::{
    access::{Operator, Reader},
    audit,
    editing::{self, known},
    problem::Problem,
    site::Site,
    timetable::{self, Timetable},
};

/// All schedules: in words, their next runs, and who leads
#[utoipa::path(get, path = "/schedules", tag = "schedules",
    responses((status = 200, description = "The schedules.", body = Object)))]
pub(super) async fn list(_: Reader, State(site): State<Site>) -> Result<Json<Timetable>, Problem> {
    Ok(Json(timetable::read(site.client(), site.config()).await?))
}

/// Why.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Noted {
    /// Why, for those who look; at most 500 characters.
    #[serde(default)]
    note: String,
}

/// Pause a schedule, whoever owns it
#[utoipa::path(post, path = "/schedules/{name}/pause", tag = "schedules",
    params(("name" = String, Path, description = "Its name"), Noted),
    responses((status = 200, description = "It is paused.", body = Changed)))]
pub(super) async fn pause(
    Operator(visitor): Operator,
    State(site): State<Site>,
    Path(name): Path<String>,
    Query(Noted { note }): Query<Noted>,
) -> Result<Json<Changed>, Problem> {
    known(&site, &name).await?;
    let edited = Schedules::new(site.client()).pause(&name, &note).await?;
    audit::note(&site, &visitor, "paused a schedule", &name).await;
    Ok(Json(Changed { changed: edited == Edited::Done }))
}

/// Resume a schedule
#[utoipa::path(post, path = "/schedules/{name}/resume", tag = "schedules",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "It goes on.", body = Changed)))]
pub(super) async fn resume(
    Operator(visitor): Operator,
    State(site): State<Site>,
    Path(name): Path<String>,
) -> Result<Json<Changed>, Problem> {
    known(&site, &name).await?;
    let edited = Schedules::new(site.client()).resume(&name).await?;
    audit::note(&site, &visitor, "resumed a schedule", &name).await;
    Ok(Json(Changed { changed: edited == Edited::Done }))
}

/// What was published.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Run {
    /// The task's id.
    id: String,
}

/// Run a schedule's task now
#[utoipa::path(post, path = "/schedules/{name}/run", tag = "schedules",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 201, description = "It is published.", body = Run)))]
pub(super) async fn run(
    Operator(visitor): Operator,
    State(site): State<Site>,
    Path(name): Path<String>,
) -> Result<(axum::http::StatusCode, Json<Run>), Problem> {
    let known = known(&site, &name).await?;
    let mut task = known.publish();
    task.options.expires_in = known.schedule.config.expires;
    let id = site.client().publish(&task).await?.id;
    audit::note(&site, &visitor, "ran a schedule", &name).await;
    Ok((axum::http::StatusCode::CREATED, Json(Run { id })))
}

/// A live schedule as it was set.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Set {
    /// When it runs, in words.
    words: String,
}

/// Add or replace a live schedule
///
/// The body has the keys of an entry in the configuration file. What the file or RedBeat keeps is
/// refused with 409.
#[utoipa::path(put, path = "/schedules/{name}", tag = "schedules", request_body = Object,
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "It is set.", body = Set)))]
pub(super) async fn set(
    Operator(visitor): Operator,
    State(site): State<Site>,
    Path(name): Path<String>,
    Given(entry): Given<serde_json::Map<String, serde_json::Value>>,
) -> Result<Json<Set>, Problem> {
    let entry = serde_json::Value::Object(entry).to_string();
    let words = editing::set(&site, &name, &entry).await?;
    audit::note(&site, &visitor, "set a schedule", &name).await;
    Ok(Json(Set { words }))
}

/// Remove a live schedule and its pause
#[utoipa::path(delete, path = "/schedules/{name}", tag = "schedules",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, description = "It is gone.", body = Changed)))]
pub(super) async fn remove(
    Operator(visitor): Operator,
    State(site): State<Site>,
    Path(name): Path<String>,
) -> Result<Json<Changed>, Problem> {
    let changed = editing::remove(&site, &name).await?;
    audit::note(&site, &visitor, "removed a schedule", &name).await;
    Ok(Json(Changed { changed }))
}
