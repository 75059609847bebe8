//! Dead letters and parked tasks: messages kept apart.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use rhubarb_queue::{
    letter::{self, Letter, LetterFilter, LetterKind},
    replay,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{limit, seconds};
use crate::{
    access::{Operator, Reader},
    audit,
    problem::Problem,
    site::Site,
};

/// Which kind.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum WhichLetters {
    /// It can never run as it is.
    Dead,
    /// No worker knows its task.
    Parked,
}

impl From<WhichLetters> for LetterKind {
    fn from(kind: WhichLetters) -> Self {
        match kind {
            WhichLetters::Dead => Self::Dead,
            WhichLetters::Parked => Self::Parked,
        }
    }
}

/// Which letters are meant: all that is given has to hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Meant {
    /// The task's name.
    task: Option<String>,
    /// The queue that it came from.
    queue: Option<String>,
    /// What its reason contains.
    reason: Option<String>,
    /// Kept for at least so many seconds.
    older_than: Option<f64>,
    /// At most so many, 1 to 1000; for the list only.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Every one of them: demanded where nothing else is said; for retry and drop only.
    #[serde(default)]
    all: bool,
}

impl Meant {
    fn filter(&self) -> Result<LetterFilter, Problem> {
        Ok(LetterFilter {
            task: self.task.clone(),
            queue: self.queue.clone(),
            reason: self.reason.clone(),
            older_than: self.older_than.map(|s| seconds("older_than", s)).transpose()?,
        })
    }

    /// Returns the filter of a change: that it means all of them has to be said.
    fn to_change(&self) -> Result<LetterFilter, Problem> {
        let filter = self.filter()?;
        if filter == LetterFilter::default() && !self.all {
            let told = "say which (task, queue, reason, older_than), or all=true for every one";
            return Err(Problem::bad(told));
        }
        Ok(filter)
    }
}

/// Letters.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Letters {
    /// The newest first, without their messages.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Letter>,
    /// Whether there are more.
    more: bool,
}

/// Messages kept apart, the newest first
#[utoipa::path(get, path = "/letters/{kind}", tag = "letters",
    params(("kind" = inline(WhichLetters), Path, description = "dead or parked"), Meant),
    responses((status = 200, description = "The letters.", body = Letters)))]
pub(super) async fn list(
    _: Reader,
    State(site): State<Site>,
    Path(kind): Path<WhichLetters>,
    Query(meant): Query<Meant>,
) -> Result<Json<Letters>, Problem> {
    let limit = limit(meant.limit)?;
    let mut items = letter::heads(site.client(), kind.into(), &meant.filter()?, limit + 1).await?;
    let more = items.len() > limit;
    items.truncate(limit);
    Ok(Json(Letters { items, more }))
}

/// One message kept apart, with all that is known of it
#[utoipa::path(get, path = "/letters/{kind}/one/{id}", tag = "letters",
    params(("kind" = inline(WhichLetters), Path, description = "dead or parked"),
        ("id" = String, Path, description = "The task's id")),
    responses((status = 200, description = "The letter.", body = Object)))]
pub(super) async fn show(
    _: Reader,
    State(site): State<Site>,
    Path((kind, id)): Path<(WhichLetters, String)>,
) -> Result<Json<Letter>, Problem> {
    let found = letter::find(site.client(), kind.into(), &id).await?;
    found.map(Json).ok_or_else(missing)
}

fn missing() -> Problem {
    Problem::not_found("there is no such letter")
}

/// What became of them.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Done {
    /// How many were put back, or forgotten.
    n: u64,
    /// How many stay, because they cannot be put back.
    refused: u64,
    /// Why, a sentence each, at most 100.
    reasons: Vec<String>,
}

/// Put one back on its queue
#[utoipa::path(post, path = "/letters/{kind}/one/{id}/retry", tag = "letters",
    params(("kind" = inline(WhichLetters), Path, description = "dead or parked"),
        ("id" = String, Path, description = "The task's id")),
    responses((status = 200, description = "It is back.", body = Done)))]
pub(super) async fn retry(
    Operator(visitor): Operator,
    State(site): State<Site>,
    Path((kind, id)): Path<(WhichLetters, String)>,
) -> Result<Json<Done>, Problem> {
    if !replay::replay(site.client(), kind.into(), &id).await? {
        return Err(missing());
    }
    audit::note(&site, &visitor, "retried a letter", &id).await;
    Ok(Json(Done { n: 1, ..Done::default() }))
}

/// Forget one
#[utoipa::path(post, path = "/letters/{kind}/one/{id}/drop", tag = "letters",
    params(("kind" = inline(WhichLetters), Path, description = "dead or parked"),
        ("id" = String, Path, description = "The task's id")),
    responses((status = 200, description = "It is gone.", body = Done)))]
pub(super) async fn drop(
    Operator(visitor): Operator,
    State(site): State<Site>,
    Path((kind, id)): Path<(WhichLetters, String)>,
) -> Result<Json<Done>, Problem> {
    if !letter::drop_letter(site.client(), kind.into(), &id).await? {
        return Err(missing());
    }
    audit::note(&site, &visitor, "dropped a letter", &id).await;
    Ok(Json(Done { n: 1, ..Done::default() }))
}

/// Put all that are meant back on their queues
#[utoipa::path(post, path = "/letters/{kind}/retry", tag = "letters",
    params(("kind" = inline(WhichLetters), Path, description = "dead or parked"), Meant),
    responses((status = 200, description = "What became of them.", body = Done)))]
pub(super) async fn retry_all(
    Operator(visitor): Operator,
    State(site): State<Site>,
    Path(kind): Path<WhichLetters>,
    Query(meant): Query<Meant>,
) -> Result<Json<Done>, Problem> {
    let filter = meant.to_change()?;
    let replayed = replay::replay_all(site.client(), kind.into(), &filter).await?;
    audit::note(&site, &visitor, "retried letters", &format!("{kind:?} {}", replayed.moved)).await;
    let done = Done { n: replayed.moved, refused: replayed.n_refused, reasons: replayed.refused };
    Ok(Json(done))
}

/// Forget all that are meant
#[utoipa::path(post, path = "/letters/{kind}/drop", tag = "letters",
    params(("kind" = inline(WhichLetters), Path, description = "dead or parked"), Meant),
    responses((status = 200, description = "They are gone.", body = Done)))]
pub(super) async fn drop_all(
    Operator(visitor): Operator,
    State(site): State<Site>,
    Path(kind): Path<WhichLetters>,
    Query(meant): Query<Meant>,
) -> Result<Json<Done>, Problem> {
    let filter = meant.to_change()?;
    let ids = letter::ids(site.client(), kind.into(), &filter).await?;
    let n = letter::drop_letters(site.client(), kind.into(), &ids).await?;
    audit::note(&site, &visitor, "dropped letters", &format!("{kind:?} {n}")).await;
    Ok(Json(Done { n, ..Done::default() }))
}
