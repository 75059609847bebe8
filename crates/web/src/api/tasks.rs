//! One task: where it is, what it ended with, and that it shall not run.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Query, State},
};
use rhubarb_queue::{
    inspect::{self, TaskPlace},
    wire::TaskResult,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::wait;
use crate::{
    access::{Operator, Reader},
    audit,
    problem::Problem,
    site::Site,
    why::{self, Why},
};

/// Where a task is
///
/// Its state, and the place where its message is: `waiting`, `scheduled`, `running`, `dead`,
/// `parked`, `done` or `unknown`.
#[utoipa::path(get, path = "/tasks/{id}", tag = "tasks",
    params(("id" = String, Path, description = "The task's id")),
    responses((status = 200, description = "What is known of it.", body = Object)))]
pub(super) async fn show(
    _: Reader,
    State(site): State<Site>,
    Path(id): Path<String>,
) -> Result<Json<TaskPlace>, Problem> {
    check(&id)?;
    Ok(Json(inspect::task(site.client(), &id).await?))
}

/// Why a task does not run, or that it does
///
/// `reason` is a word: `waiting` tasks are `paused`, `not_served`, `unknown_task`, `slots_taken` or
/// `in_turn`; others `scheduled`, `revoked`, `running`, `dead`, `parked`, `done` or `unknown`.
#[utoipa::path(get, path = "/tasks/{id}/why", tag = "tasks",
    params(("id" = String, Path, description = "The task's id")),
    responses((status = 200, description = "The reason.", body = Why)))]
pub(super) async fn why(
    _: Reader,
    State(site): State<Site>,
    Path(id): Path<String>,
) -> Result<Json<Why>, Problem> {
    check(&id)?;
    let task = inspect::task(site.client(), &id).await?;
    let workers = inspect::workers(site.client()).await?;
    Ok(Json(why::of(site.client(), &task, &workers).await?))
}

/// How long to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Waiting {
    /// Wait so many seconds for its end, 0 to 50.
    #[param(minimum = 0, maximum = 50)]
    wait: Option<f64>,
}

/// What a task has ended with.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StoredResult {
    /// The task's id.
    id: String,
    /// Celery's state; `PENDING` where nothing is stored.
    state: String,
    /// Whether it has ended.
    ready: bool,
    /// What is stored, as it stands in Redis: `result`, `traceback`, `children`, ….
    #[schema(value_type = Option<Object>)]
    stored: Option<Box<RawValue>>,
    /// The same where it is no JSON by the book, such as with NaN.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_text: Option<String>,
}

impl StoredResult {
    fn new(id: String, result: Option<&TaskResult>) -> Self {
        let state = result.map_or("PENDING", |result| result.status.as_str()).to_owned();
        let ready = result.is_some_and(|result| result.status.is_final());
        let text = result.map(|result| String::from_utf8_lossy(&result.encode()).into_owned());
        match text.map(|text| RawValue::from_string(text.clone()).map_err(|_| text)) {
            None => Self { id, state, ready, stored: None, stored_text: None },
            Some(Ok(raw)) => Self { id, state, ready, stored: Some(raw), stored_text: None },
            Some(Err(text)) => Self { id, state, ready, stored: None, stored_text: Some(text) },
        }
    }
}

/// What a task ended with
///
/// With `wait` it answers when the task has ended, or when the time is over; `ready` says which.
#[utoipa::path(get, path = "/tasks/{id}/result", tag = "tasks",
    params(("id" = String, Path, description = "The task's id"), Waiting),
    responses((status = 200, description = "What is stored.", body = StoredResult)))]
pub(super) async fn result(
    _: Reader,
    State(site): State<Site>,
    Path(id): Path<String>,
    Query(waiting): Query<Waiting>,
) -> Result<Json<StoredResult>, Problem> {
    check(&id)?;
    let time = wait(waiting.wait)?;
    let ended = if time == Duration::ZERO { None } else { end(&site, &id, time).await? };
    let stored = match ended {
        Some(ended) => Some(ended),
        None => site.client().result(&id).await?,
    };
    Ok(Json(StoredResult::new(id, stored.as_ref())))
}

/// Waits for the end of a task, for so long, or until we stop.
async fn end(site: &Site, id: &str, time: Duration) -> Result<Option<TaskResult>, Problem> {
    tokio::select! {
        ended = site.client().wait(id, time, |_| {}) => Ok(ended?),
        () = site.shutdown().drained() => Ok(None),
    }
}

/// How to revoke.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Revoking {
    /// End it too where it runs.
    #[serde(default)]
    terminate: bool,
}

/// Who heard.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Heard {
    /// How many workers heard it now; those that start later obey too.
    workers: u64,
}

/// Revoke a task: it shall not run
#[utoipa::path(post, path = "/tasks/{id}/revoke", tag = "tasks",
    params(("id" = String, Path, description = "The task's id"), Revoking),
    responses((status = 200, description = "It is revoked.", body = Heard)))]
pub(super) async fn revoke(
    Operator(visitor): Operator,
    State(site): State<Site>,
    Path(id): Path<String>,
    Query(Revoking { terminate }): Query<Revoking>,
) -> Result<Json<Heard>, Problem> {
    let keep = site.config().worker.revoke_expires;
    let workers = site.client().revoke(&id, terminate, keep).await?;
    audit::note(&site, &visitor, "revoked a task", &id).await;
    Ok(Json(Heard { workers }))
}

/// Refuses what is no id.
fn check(id: &str) -> Result<(), Problem> {
    if id.is_empty() || id.len() > 512 || id.chars().any(char::is_control) {
        let told = "a task's id has 1 to 512 characters and no control characters";
        return Err(Problem::bad(told));
    }
    Ok(())
}
