//! Who changed what.

use axum::{
    Json,
    extract::{Query, State},
};
use rhubarb_queue::audit::{self, Audited};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::limit;
use crate::{access::Reader, problem::Problem, site::Site};

/// How many are meant.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Meant {
    /// At most so many, 1 to 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// What people changed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Changes {
    /// The newest first.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Audited>,
}

/// What people changed over the dashboard and this API, the newest first
#[utoipa::path(get, path = "/audit", tag = "audit", params(Meant),
    responses((status = 200, description = "Changes.", body = Changes)))]
pub(super) async fn list(
    _: Reader,
    State(site): State<Site>,
    Query(meant): Query<Meant>,
) -> Result<Json<Changes>, Problem> {
    Ok(Json(Changes { items: audit::last(site.client(), limit(meant.limit)?).await? }))
}
