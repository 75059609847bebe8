//! The HTTP API, `/api/v1`: what the pages show and do, for programs.
//!
//! A handler and its description are one ([`utoipa::path`]); `openapi.json` is made of them. An
//! error is a [`Problem`]; a list has a `limit`, says whether there is more, and where its order is
//! in time a `next` that goes on. A change demands an [`Operator`](crate::access::Operator), and
//! leaves a line in the log ([`audit`](crate::audit)).

mod audit;
mod body;
mod caches;
mod canvas;
mod description;
mod enqueue;
mod history;
mod letters;
mod queues;
mod schedules;
mod scraping;
mod sessions;
mod tasks;
mod workers;

pub use description::all as operations;

use std::time::Duration;

use axum::{Json, Router, extract::State, routing::get};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{access::Reader, problem::Problem, site::Site};

/// Where it is.
const ROOT: &str = "/api/v1";
/// So many are in a list where nothing is said.
const FEW: usize = 50;
/// The most that are in a list.
const MOST: usize = 1000;
/// The longest that an answer is waited for.
const WAIT: Duration = Duration::from_secs(50);

/// Returns the routes of the API, and its description.
pub fn routes() -> (Router<Site>, OpenApi) {
    let all = OpenApiRouter::new()
        .routes(routes!(enqueue::enqueue))
        .routes(routes!(canvas::apply))
        .routes(routes!(canvas::scrape))
        .routes(routes!(tasks::show))
        .routes(routes!(tasks::why))
        .routes(routes!(tasks::result))
        .routes(routes!(tasks::revoke))
        .routes(routes!(history::list))
        .routes(routes!(history::statistics))
        .routes(routes!(queues::list))
        .routes(routes!(queues::show))
        .routes(routes!(queues::pause))
        .routes(routes!(queues::resume))
        .routes(routes!(queues::purge))
        .routes(routes!(letters::list))
        .routes(routes!(letters::retry_all))
        .routes(routes!(letters::drop_all))
        .routes(routes!(letters::show))
        .routes(routes!(letters::retry))
        .routes(routes!(letters::drop))
        .routes(routes!(schedules::list))
        .routes(routes!(schedules::set))
        .routes(routes!(schedules::remove))
        .routes(routes!(schedules::pause))
        .routes(routes!(schedules::resume))
        .routes(routes!(schedules::run))
        .routes(routes!(caches::list))
        .routes(routes!(caches::keys))
        .routes(routes!(caches::value))
        .routes(routes!(caches::clear))
        .routes(routes!(sessions::count))
        .routes(routes!(sessions::end))
        .routes(routes!(audit::list))
        .routes(routes!(workers::list))
        .routes(routes!(scraping::listings))
        .routes(routes!(scraping::changes))
        .routes(routes!(scraping::status));
    let (router, api) =
        OpenApiRouter::with_openapi(description::head()).nest(ROOT, all).split_for_parts();
    let api = description::complete(api);
    let served = api.clone();
    let describe = async move |_: Reader, State(site): State<Site>| {
        let mut served = served.clone();
        if site.doors().are_open() {
            // This machine's own programs need no token here.
            served.security = None;
        }
        Json(served)
    };
    (router.route(&format!("{ROOT}/openapi.json"), get(describe)), api)
}

/// Returns how many are meant.
///
/// # Errors
///
/// None, or too many.
fn limit(wanted: Option<usize>) -> Result<usize, Problem> {
    match wanted.unwrap_or(FEW) {
        n @ 1..=MOST => Ok(n),
        n => Err(Problem::bad(&format!("limit: 1 to {MOST} is expected, not {n}"))),
    }
}

/// Returns a length of time.
///
/// # Errors
///
/// It is negative, no number, or too long.
fn seconds(name: &str, wanted: f64) -> Result<Duration, Problem> {
    let time = Duration::try_from_secs_f64(wanted);
    time.map_err(|_| Problem::bad(&format!("{name}: a number of seconds is expected, such as 10")))
}

/// Returns how long to wait for an answer.
///
/// # Errors
///
/// It is no length of time, or too long.
fn wait(wanted: Option<f64>) -> Result<Duration, Problem> {
    let time = seconds("wait", wanted.unwrap_or_default())?;
    if time > WAIT {
        let most = WAIT.as_secs();
        return Err(Problem::bad(&format!("wait: at most {most} s; ask again after that")));
    }
    Ok(time)
}

/// Reads a time.
///
/// # Errors
///
/// It is none, or has no offset.
fn instant(name: &str, text: &str) -> Result<jiff::Timestamp, Problem> {
    text.parse().map_err(|_| {
        let told = "a time with an offset is expected, such as 2027-01-01T09:00:00Z";
        Problem::bad(&format!("{name}: {told}"))
    })
}
