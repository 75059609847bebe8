//! The application's caches: hit rates, keys, values, and that they go.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::limit;
use crate::{
    access::{Operator, Reader},
    audit,
    caching::{self, CacheKeys, CacheRow, CacheValue},
    problem::Problem,
    site::Site,
};

/// All caches.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rows {
    items: Vec<CacheRow>,
}

/// All caches of the application: where each is, and how often a value was found
#[utoipa::path(get, path = "/caches", tag = "caches",
    responses((status = 200, description = "The caches.", body = Rows)))]
pub(super) async fn list(_: Reader, State(site): State<Site>) -> Result<Json<Rows>, Problem> {
    Ok(Json(Rows { items: caching::rows(&site).await? }))
}

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Many {
    /// At most so many, 1 to 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// The keys of a cache
#[utoipa::path(get, path = "/caches/{name}", tag = "caches",
    params(("name" = String, Path, description = "Its name"), Many),
    responses((status = 200, description = "Its keys.", body = CacheKeys)))]
pub(super) async fn keys(
    _: Reader,
    State(site): State<Site>,
    Path(name): Path<String>,
    Query(many): Query<Many>,
) -> Result<Json<CacheKeys>, Problem> {
    let cache = caching::named(&site, &name)?;
    Ok(Json(caching::keys(cache, limit(many.limit)?).await?))
}

/// Which value.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// The keyword, id or path; absent where there is one value only.
    argument: Option<String>,
}

/// A value of a cache, decoded
#[utoipa::path(get, path = "/caches/{name}/value", tag = "caches",
    params(("name" = String, Path, description = "Its name"), Which),
    responses((status = 200, description = "The value.", body = CacheValue)))]
pub(super) async fn value(
    _: Reader,
    State(site): State<Site>,
    Path(name): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<CacheValue>, Problem> {
    let cache = caching::named(&site, &name)?;
    let argument = which.argument.unwrap_or_default();
    if cache.has_many() && argument.is_empty() {
        return Err(Problem::bad("argument: which value? GET /caches/NAME lists them"));
    }
    Ok(Json(caching::value(cache, &argument).await?))
}

/// What to delete.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Clearing {
    /// The keyword, id or path of one value.
    argument: Option<String>,
    /// All values.
    #[serde(default)]
    all: bool,
}

/// How many went.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Cleared {
    deleted: u64,
}

/// Delete a value of a cache, or all of them with `all=true`
#[utoipa::path(post, path = "/caches/{name}/clear", tag = "caches",
    params(("name" = String, Path, description = "Its name"), Clearing),
    responses((status = 200, description = "They are gone.", body = Cleared)))]
pub(super) async fn clear(
    Operator(visitor): Operator,
    State(site): State<Site>,
    Path(name): Path<String>,
    Query(Clearing { argument, all }): Query<Clearing>,
) -> Result<Json<Cleared>, Problem> {
    let cache = caching::named(&site, &name)?;
    let argument = argument.filter(|argument| !argument.is_empty());
    if all == argument.is_some() {
        return Err(Problem::bad("say which: argument=… for one value, or all=true"));
    }
    let deleted = caching::clear(cache, argument.as_deref()).await?;
    let what = format!("{name} {}", argument.unwrap_or_default());
    audit::note(&site, &visitor, "cleared a cache", &what).await;
    Ok(Json(Cleared { deleted }))
}
