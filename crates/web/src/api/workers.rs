//! Workers.

use axum::{Json, extract::State};
use rhubarb_queue::inspect::{self, WorkerInfo};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{access::Reader, problem::Problem, site::Site};

/// The workers of the last hour.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Workers {
    /// The living first.
    #[schema(value_type = Vec<Object>)]
    items: Vec<WorkerInfo>,
}

/// The workers of the last hour, the living first
#[utoipa::path(get, path = "/workers", tag = "workers",
    responses((status = 200, description = "The workers.", body = Workers)))]
pub(super) async fn list(_: Reader, State(site): State<Site>) -> Result<Json<Workers>, Problem> {
    Ok(Json(Workers { items: inspect::workers(site.client()).await? }))
}
