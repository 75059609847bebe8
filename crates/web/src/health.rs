//! What machines ask: is it alive, can it serve, how is the installation.

use std::time::Duration;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use rhubarb_connection::Role;
use rhubarb_core::metrics;
use rhubarb_monitor::prometheus;

use crate::{access::Reader, problem::Problem, site::Site};

/// How long Redis may take until we are not ready.
const REDIS: Duration = Duration::from_secs(2);

/// Answers that this process serves: that it is here is what it says.
pub async fn live() -> &'static str {
    "alive\n"
}

/// Answers whether it can serve now.
///
/// # Errors
///
/// 503: the process is stopping, or Redis cannot be used.
pub async fn ready(State(site): State<Site>) -> Result<&'static str, Problem> {
    if site.shutdown().is_draining() {
        return Err(Problem::unavailable("it is stopping"));
    }
    let queue = site.connections().role(Role::Queue);
    let answer = tokio::time::timeout(REDIS, queue.probe()).await;
    let answer = answer.map_err(|_| Problem::unavailable("Redis does not answer within 2 s"))?;
    // Whoever asks may be anybody: the address stays in the log.
    answer.map_err(|_| Problem::unavailable("Redis cannot be used"))?;
    Ok("ready\n")
}

/// Answers with the metrics of the installation.
///
/// # Errors
///
/// 503: nothing is known yet.
pub async fn of_all(_: Reader, State(site): State<Site>) -> Result<Response, Problem> {
    let (report, fleet) = (site.report().await?, site.fleet().await?);
    let text = prometheus::render(&report.what, Some(&fleet.what));
    Ok(([(header::CONTENT_TYPE, metrics::TEXT)], text).into_response())
}
