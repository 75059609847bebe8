//! Publishing a canvas, and a scrape.

use axum::{Json, extract::State, http::StatusCode};
use rhubarb_queue::{Publish, wire::Signature};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::Given;
use crate::{access::Operator, audit, problem::Problem, site::Site};

/// The task that scrapes one keyword.
const SCRAPE: &str = "job_scraper.tasks.scrape_specific_keyword";

/// The longest keyword, characters.
const LONGEST: usize = 200;
/// Ten years in seconds: nothing older is looked for.
const AGES: u32 = 315_360_000;

/// What was published.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Begun {
    /// The id that its result is stored under; a group's is that of the group.
    id: String,
}

/// Publish a canvas: a chain, a group, a chord, or any other of Celery's signatures
///
/// The body is a signature as Celery writes it, such as `{"task": "celery.chain", "args": [], "kwargs":
/// {"tasks": […]}, "options": {}, "subtask_type": "chain", "immutable": false}`; each task in it is
/// a signature as well. If the answer is lost, a part of it may have been published.
#[utoipa::path(post, path = "/canvas", tag = "tasks", request_body = Object,
    responses((status = 201, description = "It is published.", body = Begun)))]
pub(super) async fn apply(
    Operator(visitor): Operator,
    State(site): State<Site>,
    Given(signature): Given<Map<String, Value>>,
) -> Result<(StatusCode, Json<Begun>), Problem> {
    let wrong = |told: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, told);
    let signature = Signature::from_value(Value::Object(signature)).map_err(wrong)?;
    let what = signature.task.clone();
    let id = site.client().apply(signature).await?.id;
    audit::note(&site, &visitor, "published a canvas", &format!("{what} {id}")).await;
    Ok((StatusCode::CREATED, Json(Begun { id })))
}

/// What to scrape.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Scrape {
    /// What is looked for.
    #[schema(example = "rust", min_length = 1, max_length = 200)]
    keyword: String,
    /// Only listings in this place.
    location: Option<String>,
    /// Only listings that may be done from elsewhere, or only others.
    remote: Option<bool>,
    /// Only listings of the last so many seconds.
    #[schema(minimum = 1, maximum = 315_360_000)]
    posted_within: Option<u32>,
    /// Only listings of this kind, such as `full_time`.
    employment_type: Option<String>,
    /// Only listings that pay at least so much a year.
    min_salary: Option<f64>,
    /// Only listings of this company.
    company: Option<String>,
    /// Only these sources; absent for all that are configured.
    #[serde(default)]
    sources: Vec<String>,
    /// Ask the sources also where fresh listings are cached.
    #[serde(default)]
    force: bool,
}

impl Scrape {
    fn task(self) -> Publish {
        let given: [(&str, Option<Value>); 6] = [
            ("location", self.location.map(Value::from)),
            ("remote", self.remote.map(Value::from)),
            ("posted_within", self.posted_within.map(Value::from)),
            ("employment_type", self.employment_type.map(Value::from)),
            ("min_salary", self.min_salary.map(Value::from)),
            ("company", self.company.map(Value::from)),
        ];
        let mut task = Publish::new(SCRAPE).arg(self.keyword);
        for (name, value) in given {
            if let Some(value) = value {
                task = task.kwarg(name, value);
            }
        }
        if self.force {
            task = task.kwarg("force", true);
        }
        if self.sources.is_empty() { task } else { task.kwarg("sources", self.sources) }
    }

    /// A scrape of a name that is not configured would find nothing, as an honest zero.
    fn check(&self, site: &Site) -> Result<(), Problem> {
        if self.keyword.trim().is_empty() || self.keyword.chars().nth(LONGEST).is_some() {
            return Err(Problem::bad("keyword: 1 to 200 characters are expected, such as rust"));
        }
        if self.posted_within.is_some_and(|s| !(1..=AGES).contains(&s)) {
            return Err(Problem::bad("posted_within: 1 to 315360000 seconds are expected"));
        }
        let known: Vec<&str> =
            site.config().scraping.sources.iter().map(|one| one.name.as_str()).collect();
        match self.sources.iter().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(_) => {
                let known = known.join(", ");
                Err(Problem::bad(&format!("sources: configured are {known}")))
            }
        }
    }
}

/// Scrape a keyword
///
/// The answer is the id of a task; `GET /tasks/{id}/result?wait=50` waits for its summary, and
/// `GET /listings` has what it found.
#[utoipa::path(post, path = "/scrape", tag = "scraping", request_body = Scrape,
    responses((status = 201, description = "It is published.", body = Begun)))]
pub(super) async fn scrape(
    Operator(visitor): Operator,
    State(site): State<Site>,
    Given(scrape): Given<Scrape>,
) -> Result<(StatusCode, Json<Begun>), Problem> {
    scrape.check(&site)?;
    let keyword = scrape.keyword.clone();
    let id = site.client().publish(&scrape.task()).await?.id;
    audit::note(&site, &visitor, "asked for a scrape", &keyword).await;
    Ok((StatusCode::CREATED, Json(Begun { id })))
}
