//! Django's sessions: how many there are, and that a user's end.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, Query, State},
};
use rhubarb_cache::sessions::Revoked;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::{Operator, Reader},
    audit, caching,
    problem::Problem,
    site::Site,
};

/// Where they are.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Place {
    /// The cache alias that Django's `SESSION_CACHE_ALIAS` names; `sessions` where it is absent.
    alias: Option<String>,
}

impl Place {
    fn alias(&self) -> &str {
        self.alias.as_deref().unwrap_or("sessions")
    }
}

/// How many there are.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionCount {
    /// All, logged in or not.
    sessions: u64,
    /// By Django's backend.
    backends: BTreeMap<&'static str, u64>,
}

/// How many sessions there are
#[utoipa::path(get, path = "/sessions", tag = "sessions", params(Place),
    responses((status = 200, description = "The counts.", body = SessionCount)))]
pub(super) async fn count(
    _: Reader,
    State(site): State<Site>,
    Query(place): Query<Place>,
) -> Result<Json<SessionCount>, Problem> {
    let counts = caching::sessions(&site, place.alias())?.count().await?;
    let backends: BTreeMap<_, _> = counts.iter().map(|(of, n)| (of.name(), *n)).collect();
    Ok(Json(SessionCount { sessions: backends.values().sum(), backends }))
}

/// End all sessions of a user, which logs the user out everywhere
#[utoipa::path(post, path = "/sessions/{user}/end", tag = "sessions",
    params(("user" = String, Path, description = "The user's id in Django"), Place),
    responses((status = 200, description = "How many ended, and what was left.", body = Object)))]
pub(super) async fn end(
    Operator(visitor): Operator,
    State(site): State<Site>,
    Path(user): Path<String>,
    Query(place): Query<Place>,
) -> Result<Json<Revoked>, Problem> {
    let revoked = caching::end(&site, place.alias(), &user).await?;
    audit::note(&site, &visitor, "ended sessions", &user).await;
    Ok(Json(revoked))
}
