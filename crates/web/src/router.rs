//! Every route, in one place.
//!
//! Who may use a route is the first argument of its handler:
//! [`Reader`](crate::access::Reader) or [`Operator`](crate::access::Operator). What changes
//! something is a POST, PUT, PATCH or DELETE, and demands an `Operator`. A handler returns
//! `Result<_, Problem>`.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn, from_fn_with_state},
    routing::{get, post},
};

use crate::{api, asset, guard, health, live, page, problem::Problem, shown, site::Site};

/// Returns everything that is served.
pub fn new(site: Site) -> Router {
    let open = Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/assets/{file}", get(asset::serve))
        .route("/login", get(page::login::form).post(page::login::enter))
        .route("/logout", post(page::login::leave));
    let known = Router::new()
        .route("/", get(page::overview::show))
        .route("/queue", get(page::queue::show))
        .route("/queues", get(page::queues::show))
        .route("/tasks", get(page::tasks::search))
        .route("/task", get(page::tasks::story))
        .route("/letters", get(page::letters::show))
        .route("/schedules", get(page::schedules::show))
        .route("/schedule", get(page::schedule::show))
        .route("/workers", get(page::workers::show))
        .route("/scraping", get(page::scraping::show))
        .route("/audit", get(page::audit::show))
        .route("/caches", get(page::caches::show))
        .route("/cache", get(page::caches::one))
        .route("/sessions", get(page::sessions::show))
        .route("/redis", get(page::redis::show))
        .route("/do", post(page::act::act))
        .route("/live", get(live::events))
        .route("/metrics", get(health::of_all));
    open.merge(known)
        .merge(api::routes().0)
        .fallback(async || Problem::not_found("there is no such page"))
        .layer(DefaultBodyLimit::max(guard::BODY))
        .layer(from_fn_with_state(site.clone(), guard::origin))
        .layer(from_fn(guard::time))
        .layer(from_fn(shown::tell))
        .layer(from_fn(guard::headers))
        .with_state(site)
}
