//! What became of tasks, and how many.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json,
    extract::{Query, State},
};
use rhubarb_core::clock;
use rhubarb_queue::{
    history::{self, HistoryFilter, StateChange},
    statistics::{self, Statistics},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{instant, limit};
use crate::{access::Reader, problem::Problem, site::Site};

/// How long the history is searched for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which ends are meant.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Meant {
    /// Only this state: `SUCCESS`, `FAILURE`, `RETRY`, `REVOKED`, `DEAD`, `PARKED`.
    state: Option<String>,
    /// Only tasks whose name contains this.
    task: Option<String>,
    /// Only those with this text in id, name, arguments, result or error.
    search: Option<String>,
    /// Only what came at this time or later (ISO 8601 with an offset).
    since: Option<String>,
    /// At most so many, 1 to 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Go on behind an earlier answer: its `next`.
    cursor: Option<String>,
}

/// Ends of tasks.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ends {
    /// The newest first.
    #[schema(value_type = Vec<Object>)]
    items: Vec<StateChange>,
    /// How many were looked at.
    searched: usize,
    /// What `cursor` goes on with; null at the end.
    next: Option<String>,
}

/// What became of tasks, the newest first
#[utoipa::path(get, path = "/history", tag = "history", params(Meant),
    responses((status = 200, description = "Ends of tasks.", body = Ends)))]
pub(super) async fn list(
    _: Reader,
    State(site): State<Site>,
    Query(meant): Query<Meant>,
) -> Result<Json<Ends>, Problem> {
    let limit = limit(meant.limit)?;
    let behind = meant.cursor.as_deref().map(str::parse).transpose();
    let filter = HistoryFilter {
        state: meant.state,
        task: meant.task,
        text: meant.search,
        since: meant.since.map(|since| instant("since", &since)).transpose()?,
        behind: behind.map_err(|told: String| Problem::bad(&format!("cursor: {told}")))?,
    };
    let depth = site.config().history.ends;
    let found = history::read(site.client(), &filter, limit, depth, PATIENCE).await?;
    let next = found.next.filter(|_| found.more).map(|place| place.to_string());
    Ok(Json(Ends { items: found.changes, searched: found.searched, next }))
}

/// Which time is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Span {
    /// The last so many minutes, 1 to 4320 (three days).
    #[param(minimum = 1, maximum = 4320)]
    minutes: Option<u32>,
}

/// How many tasks ended in a time.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Counted {
    /// Ends by queue, task and state.
    ends: Vec<Count>,
    /// How long tasks ran and waited.
    tasks: BTreeMap<String, Took>,
    /// Other counts: `late`, `dead`, `parked`, `redelivered`.
    counts: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Count {
    queue: String,
    task: String,
    state: String,
    n: u64,
}

/// Percentiles in seconds: the ends of the buckets of a histogram; absent where nothing was
/// measured, or beyond the last bucket.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Took {
    runs: u64,
    run_p50_s: Option<f64>,
    run_p95_s: Option<f64>,
    wait_p50_s: Option<f64>,
    wait_p95_s: Option<f64>,
}

impl Counted {
    fn of(counted: Statistics) -> Self {
        let mut tasks: BTreeMap<String, Took> = BTreeMap::new();
        let finite = |s: Option<f64>| s.filter(|s| s.is_finite());
        for (task, run) in counted.run {
            let took = tasks.entry(task).or_default();
            took.runs = run.count();
            took.run_p50_s = finite(run.percentile(0.5));
            took.run_p95_s = finite(run.percentile(0.95));
        }
        for (task, wait) in counted.wait {
            let took = tasks.entry(task).or_default();
            took.wait_p50_s = finite(wait.percentile(0.5));
            took.wait_p95_s = finite(wait.percentile(0.95));
        }
        let ends = counted.ends.into_iter();
        let ends = ends.map(|((queue, task, state), n)| Count { queue, task, state, n });
        Self { ends: ends.collect(), tasks, counts: counted.counts }
    }
}

/// How many tasks ended lately, and how long they took
#[utoipa::path(get, path = "/statistics", tag = "history", params(Span),
    responses((status = 200, description = "Sums of the time.", body = Counted)))]
pub(super) async fn statistics(
    _: Reader,
    State(site): State<Site>,
    Query(span): Query<Span>,
) -> Result<Json<Counted>, Problem> {
    let minutes = span.minutes.unwrap_or(60);
    if !(1..=4320).contains(&minutes) {
        return Err(Problem::bad("minutes: 1 to 4320 is expected"));
    }
    let now = statistics::minute_of(clock::now().as_millisecond());
    let all = statistics::minutes(site.client(), now - i64::from(minutes) + 1..=now).await?;
    let mut sum = Statistics::default();
    all.values().for_each(|one| sum.merge(one));
    Ok(Json(Counted::of(sum)))
}
