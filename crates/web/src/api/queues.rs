//! Queues: what is in them, and whether they are served.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Query, State},
};
use rhubarb_queue::{
    inspect::{self, Composition, QueueInfo, Unseen},
    pauses::{self, Purged},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::{Operator, Reader},
    audit,
    problem::Problem,
    site::Site,
};

/// For how long queues are looked for that only Celery's programs use.
const EFFORT: Duration = Duration::from_millis(200);

/// So many messages of each of a queue's lists are looked at for what it is made of.
const DEPTH: usize = 2000;

/// All queues.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queues {
    /// In the order of their names.
    #[schema(value_type = Vec<Object>)]
    items: Vec<QueueInfo>,
    /// What was not looked through for queues that only Celery's programs use.
    #[schema(value_type = Option<Object>)]
    unseen: Option<Unseen>,
}

/// All queues as they stand
#[utoipa::path(get, path = "/queues", tag = "queues",
    responses((status = 200, description = "The queues.", body = Queues)))]
pub(super) async fn list(_: Reader, State(site): State<Site>) -> Result<Json<Queues>, Problem> {
    let served = &site.config().worker.queues;
    let (items, unseen) = inspect::all_queues(site.client(), served, EFFORT).await?;
    Ok(Json(Queues { items, unseen }))
}

/// One queue, and the workers that serve it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queue {
    /// As it stands.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    queue: QueueInfo,
    /// The nodes of live workers that serve it.
    served_by: Vec<String>,
    /// What waits there by the name of its task: a sample of what runs next.
    #[schema(value_type = Object)]
    composition: Composition,
}

/// One queue as it stands, who serves it, and what waits there by name
#[utoipa::path(get, path = "/queues/{queue}", tag = "queues",
    params(("queue" = String, Path, description = "Its name")),
    responses((status = 200, description = "The queue.", body = Queue)))]
pub(super) async fn show(
    _: Reader,
    State(site): State<Site>,
    Path(name): Path<String>,
) -> Result<Json<Queue>, Problem> {
    let names = std::slice::from_ref(&name);
    let client = site.client();
    let known = inspect::queue_names(client, &inspect::of_settings(client.celery())).await?;
    let found = inspect::queues_named(client, names).await?.pop().unwrap_or_default();
    let is_empty = found.waiting + found.scheduled + found.claimed == 0 && !found.paused;
    if is_empty && found.problem.is_none() && !known.contains(&name) {
        return Err(Problem::not_found("there is no such queue"));
    }
    let workers = inspect::workers(client).await?;
    let serve = workers.into_iter().filter(|one| one.alive && one.record.queues.contains(&name));
    let served_by = serve.map(|worker| worker.record.node).collect();
    let composition = inspect::composition(client, &name, DEPTH, EFFORT).await?;
    Ok(Json(Queue { queue: found, served_by, composition }))
}

/// Why.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Noted {
    /// Why, for those who look; at most 500 characters.
    note: Option<String>,
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Changed {
    /// Whether it was otherwise before.
    pub(super) changed: bool,
}

/// Pause a queue: no worker claims from it until it is resumed
#[utoipa::path(post, path = "/queues/{queue}/pause", tag = "queues",
    params(("queue" = String, Path, description = "Its name"), Noted),
    responses((status = 200, description = "It is paused.", body = Changed)))]
pub(super) async fn pause(
    Operator(visitor): Operator,
    State(site): State<Site>,
    Path(name): Path<String>,
    Query(Noted { note }): Query<Noted>,
) -> Result<Json<Changed>, Problem> {
    let changed = pauses::pause(site.client(), &name, note.as_deref()).await?;
    audit::note(&site, &visitor, "paused a queue", &name).await;
    Ok(Json(Changed { changed }))
}

/// Resume a queue
#[utoipa::path(post, path = "/queues/{queue}/resume", tag = "queues",
    params(("queue" = String, Path, description = "Its name")),
    responses((status = 200, description = "It is served again.", body = Changed)))]
pub(super) async fn resume(
    Operator(visitor): Operator,
    State(site): State<Site>,
    Path(name): Path<String>,
) -> Result<Json<Changed>, Problem> {
    let changed = pauses::resume(site.client(), &name).await?;
    audit::note(&site, &visitor, "resumed a queue", &name).await;
    Ok(Json(Changed { changed }))
}

/// What to throw away.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Purging {
    /// What waits for its time, too.
    #[serde(default)]
    scheduled: bool,
}

/// How much was thrown away.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Gone {
    /// Messages that waited.
    waiting: u64,
    /// Messages that waited for their time.
    scheduled: u64,
}

/// Throw away what waits in a queue; what runs goes on
#[utoipa::path(post, path = "/queues/{queue}/purge", tag = "queues",
    params(("queue" = String, Path, description = "Its name"), Purging),
    responses((status = 200, description = "It is gone.", body = Gone)))]
pub(super) async fn purge(
    Operator(visitor): Operator,
    State(site): State<Site>,
    Path(name): Path<String>,
    Query(Purging { scheduled }): Query<Purging>,
) -> Result<Json<Gone>, Problem> {
    let purged = pauses::purge(site.client(), &name, scheduled).await?;
    audit::note(&site, &visitor, "purged a queue", &name).await;
    let Purged { waiting, scheduled, .. } = purged;
    Ok(Json(Gone { waiting, scheduled }))
}
